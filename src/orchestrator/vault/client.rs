//! Talks to the vault's release listener over mutual TLS.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use reqwest::{Client, Method, Response};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use strongroom_wire::encrypted_fields::{EncryptedFieldsRequest, PinCheckRequest};
use strongroom_wire::forward::{ForwardRequest, Forwarded};
use strongroom_wire::payment_method::{
    Page, PaymentMethod, Purpose, RevealRequest, Session, SessionRequest, Storage, StoredSecret, TenantRequest,
};
use strongroom_wire::{CustomerId, Kind, Problem, SecretId, TenantId, Token, header, limits};
use zeroize::Zeroizing;

use super::{Card, CardInput, ForwardFault, Forwarder, SecretText, Vault, VaultError};
use crate::connector::Doubt;

/// Where the vault is and who we are to it.
pub struct VaultSettings {
    /// Base URL of the release listener, without a trailing slash.
    pub url: String,
    /// TLS: the vault's CA, our certificate and key.
    pub tls: rustls::ClientConfig,
    /// Time limit for a connection.
    pub connect_timeout: Duration,
    /// Time limit for a whole call.
    pub total_timeout: Duration,
}

/// The vault over the network.
pub struct VaultClient {
    url: String,
    /// For calls whose bodies carry no card.
    pooled: Client,
    /// For calls that carry a card: the connection closes afterwards, so that no idle buffer keeps a number.
    single_use: Client,
}

impl VaultClient {
    /// A client; connects when it is first used.
    ///
    /// # Errors
    /// The TLS settings cannot be used.
    pub fn new(settings: VaultSettings) -> Result<Self, reqwest::Error> {
        let builder = || {
            Client::builder()
                .tls_backend_preconfigured(settings.tls.clone())
                .https_only(true)
                .no_proxy()
                .http1_only()
                .redirect(reqwest::redirect::Policy::none())
                .retry(reqwest::retry::never())
                .connect_timeout(settings.connect_timeout)
                .timeout(settings.total_timeout)
        };
        Ok(Self {
            url: settings.url.clone(),
            pooled: builder().pool_idle_timeout(POOL_IDLE).build()?,
            single_use: builder().pool_max_idle_per_host(0).build()?,
        })
    }

    async fn call(
        &self,
        client: &Client,
        method: Method,
        path: &str,
        tenant: Option<&TenantId>,
        body: Option<Zeroizing<Vec<u8>>>,
    ) -> Result<Zeroizing<Vec<u8>>, VaultError> {
        let mut request = client.request(method, format!("{}{path}", self.url));
        if let Some(tenant) = tenant {
            request = request.header(header::TENANT, tenant.as_str());
        }
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(Bytes::from_owner(Wiped(body)));
        }
        let response = request.send().await.map_err(|_| VaultError::Unavailable)?;
        let status = response.status();
        let body = read_limited(response).await?;
        if status.is_success() { Ok(body) } else { Err(refusal(status.as_u16(), &body)) }
    }

    async fn post<T: Serialize, R: DeserializeOwned>(
        &self,
        client: &Client,
        path: &str,
        tenant: Option<&TenantId>,
        body: &T,
    ) -> Result<R, VaultError> {
        let answer = self.call(client, Method::POST, path, tenant, Some(to_wiped_json(body)?)).await?;
        read(&answer)
    }

    /// One page of the customer's cards, short-term ones among them.
    async fn page(
        &self,
        tenant: &TenantId,
        customer: &CustomerId,
        cursor: Option<&str>,
    ) -> Result<Page<PaymentMethod>, VaultError> {
        let most = limits::PAGE_ITEMS_MAX.to_string();
        let mut query = vec![("customer_id", customer.as_str()), ("limit", &most)];
        query.extend(cursor.map(|cursor| ("cursor", cursor)));
        let query = serde_urlencoded::to_string(query).map_err(|_| VaultError::Unavailable)?;
        let path = format!("/v1/payment_methods?{query}");
        read(&self.call(&self.pooled, Method::GET, &path, Some(tenant), None).await?)
    }
}

#[async_trait]
impl Vault for VaultClient {
    async fn register(&self, tenant: &TenantId) -> Result<(), VaultError> {
        let body = to_wiped_json(&TenantRequest { tenant: tenant.clone() })?;
        self.call(&self.pooled, Method::POST, "/v1/tenants", None, Some(body)).await.map(drop)
    }

    async fn tokenize(
        &self,
        tenant: &TenantId,
        card: &CardInput,
        customer: Option<&CustomerId>,
    ) -> Result<PaymentMethod, VaultError> {
        let body = TokenizeBody {
            kind: "card",
            card: CardBody {
                number: card.number.expose(),
                exp_month: card.exp_month,
                exp_year: card.exp_year,
                cvc: card.cvc.as_ref().map(SecretText::expose),
                holder_name: card.holder_name.as_ref().map(SecretText::expose),
            },
            storage: "short_term",
            customer_id: customer.map(CustomerId::as_str),
        };
        self.post(&self.single_use, "/v1/payment_methods", Some(tenant), &body).await
    }

    async fn tokenize_encrypted(
        &self,
        tenant: &TenantId,
        card: &EncryptedFieldsRequest,
    ) -> Result<PaymentMethod, VaultError> {
        self.post(&self.single_use, "/v1/payment_methods/encrypted_fields", Some(tenant), card).await
    }

    async fn check_pin(&self, tenant: &TenantId, pin: &PinCheckRequest) -> Result<(), VaultError> {
        let body = to_wiped_json(pin)?;
        self.call(&self.single_use, Method::POST, "/v1/pins/check", Some(tenant), Some(body)).await.map(drop)
    }

    async fn reveal(
        &self,
        tenant: &TenantId,
        token: Token,
        reference: &str,
        cvc_token: Option<&str>,
    ) -> Result<Card, VaultError> {
        let body = RevealRequest {
            purpose: Purpose::Authorize,
            reference: reference.parse().map_err(|_| VaultError::InvalidField { field: Some("reference".into()) })?,
            cvc_token: cvc_token.map(str::to_owned),
        };
        let path = format!("/v1/payment_methods/{token}/reveal");
        let body = to_wiped_json(&body)?;
        let answer = self.call(&self.single_use, Method::POST, &path, Some(tenant), Some(body)).await?;
        let revealed: Revealed = read(&answer)?;
        Ok(Card {
            number: revealed.card.number.into_inner(),
            exp_month: revealed.card.exp_month,
            exp_year: revealed.card.exp_year,
            cvc: revealed.card.cvc.map(SecretText::into_inner),
            holder_name: revealed.card.holder_name.map(SecretText::into_inner),
        })
    }

    async fn get(&self, tenant: &TenantId, token: Token) -> Result<PaymentMethod, VaultError> {
        let path = format!("/v1/payment_methods/{token}");
        read(&self.call(&self.pooled, Method::GET, &path, Some(tenant), None).await?)
    }

    async fn list(&self, tenant: &TenantId, customer: &CustomerId) -> Result<Vec<PaymentMethod>, VaultError> {
        let mut kept = Vec::new();
        let mut cursor: Option<String> = None;
        for _ in 0..limits::SAVED_CARD_PAGES_MAX {
            let page = self.page(tenant, customer, cursor.as_deref()).await?;
            kept.extend(page.items.into_iter().filter(|method| method.storage == Storage::LongTerm));
            cursor = page.next_cursor;
            if cursor.is_none() || kept.len() >= limits::SAVED_CARDS_MAX {
                break;
            }
        }
        kept.truncate(limits::SAVED_CARDS_MAX);
        Ok(kept)
    }

    async fn retain(&self, tenant: &TenantId, token: Token) -> Result<(), VaultError> {
        let path = format!("/v1/payment_methods/{token}/retain");
        let body = Zeroizing::new(b"{}".to_vec());
        self.call(&self.pooled, Method::POST, &path, Some(tenant), Some(body)).await.map(drop)
    }

    async fn delete(&self, tenant: &TenantId, token: Token) -> Result<(), VaultError> {
        let path = format!("/v1/payment_methods/{token}");
        self.call(&self.pooled, Method::DELETE, &path, Some(tenant), None).await.map(drop)
    }

    async fn session(
        &self,
        tenant: &TenantId,
        customer: Option<&CustomerId>,
        allowed_origins: Vec<String>,
        expires_in_s: u64,
    ) -> Result<Session, VaultError> {
        let body = SessionRequest { customer_id: customer.cloned(), allowed_origins, expires_in: Some(expires_in_s) };
        self.post(&self.pooled, "/v1/sessions", Some(tenant), &body).await
    }

    async fn store_secret(&self, tenant: &TenantId, name: &str, value: &str) -> Result<SecretId, VaultError> {
        let stored: StoredSecret =
            self.post(&self.single_use, "/v1/secrets", Some(tenant), &SecretBody { name, value }).await?;
        Ok(stored.secret_id)
    }

    async fn delete_secret(&self, tenant: &TenantId, id: SecretId) -> Result<(), VaultError> {
        self.call(&self.pooled, Method::DELETE, &format!("/v1/secrets/{id}"), Some(tenant), None).await.map(drop)
    }

    async fn reveal_secret(&self, tenant: &TenantId, id: SecretId) -> Result<Zeroizing<String>, VaultError> {
        let path = format!("/v1/secrets/{id}/reveal");
        let body = Zeroizing::new(b"{}".to_vec());
        let answer = self.call(&self.single_use, Method::POST, &path, Some(tenant), Some(body)).await?;
        let secret: RevealedSecret = read(&answer)?;
        Ok(secret.value.into_inner())
    }

    async fn ping(&self, patience: Duration) -> Result<(), VaultError> {
        let request = self.pooled.get(format!("{}/health/ready", self.url)).timeout(patience);
        let response = request.send().await.map_err(|_| VaultError::Unavailable)?;
        let status = response.status();
        let body = read_limited(response).await?;
        let told = serde_json::from_slice::<Problem>(&body).ok().and_then(|p| Kind::from_type_uri(&p.type_uri));
        // A vault that says on its admin listener alone whether it is sealed still answered as a vault.
        if status.is_success() || told == Some(Kind::NoRoute) { Ok(()) } else { Err(VaultError::Unavailable) }
    }
}

#[async_trait]
impl Forwarder for VaultClient {
    async fn forward(
        &self,
        tenant: &TenantId,
        request: &ForwardRequest,
        patience: Duration,
    ) -> Result<Forwarded, ForwardFault> {
        let body = to_wiped_json_within(request, limits::FORWARD_BYTES_MAX).map_err(ForwardFault::NotSent)?;
        let asked = self
            .pooled
            .post(format!("{}/v1/forward", self.url))
            .timeout(patience)
            .header(header::TENANT, tenant.as_str())
            .header("content-type", "application/json")
            .body(Bytes::from_owner(Wiped(body)));
        let response = asked.send().await.map_err(|error| {
            if error.is_connect() {
                ForwardFault::NotSent(VaultError::Unavailable)
            } else if error.is_timeout() {
                ForwardFault::InDoubt(Doubt::TimedOut)
            } else {
                ForwardFault::InDoubt(Doubt::ConnectionLost)
            }
        })?;
        let status = response.status().as_u16();
        let body = read_limited(response).await.map_err(|_| ForwardFault::InDoubt(Doubt::ConnectionLost))?;
        match status {
            200 => serde_json::from_slice(&body).map_err(|_| ForwardFault::InDoubt(Doubt::Unreadable)),
            // The same key is at work, or was used for another template: either way an earlier request may have moved money.
            409 if kind_of(&body) == Some(Kind::IdempotencyConflict) => Err(ForwardFault::InDoubt(Doubt::StillRunning)),
            // A problem document says that nothing was sent, except for a fault of the vault's own.
            400..=499 | 503 if kind_of(&body).is_some() => Err(ForwardFault::NotSent(refusal(status, &body))),
            _ => Err(ForwardFault::InDoubt(Doubt::ServerFault)),
        }
    }
}

fn kind_of(body: &[u8]) -> Option<Kind> {
    Kind::from_type_uri(&serde_json::from_slice::<Problem>(body).ok()?.type_uri)
}

#[derive(Serialize)]
struct TokenizeBody<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    card: CardBody<'a>,
    storage: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    customer_id: Option<&'a str>,
}

#[derive(Serialize)]
struct CardBody<'a> {
    number: &'a str,
    exp_month: u8,
    exp_year: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    cvc: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    holder_name: Option<&'a str>,
}

#[derive(Serialize)]
struct SecretBody<'a> {
    name: &'a str,
    value: &'a str,
}

#[derive(Deserialize)]
struct Revealed {
    card: RevealedCard,
}

#[derive(Deserialize)]
struct RevealedCard {
    number: SecretText,
    exp_month: u8,
    exp_year: u16,
    #[serde(default)]
    cvc: Option<SecretText>,
    #[serde(default)]
    holder_name: Option<SecretText>,
}

#[derive(Deserialize)]
struct RevealedSecret {
    value: SecretText,
}

/// Lets `Bytes` own a buffer that is wiped when the last clone of it is dropped.
struct Wiped(Zeroizing<Vec<u8>>);

impl AsRef<[u8]> for Wiped {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

/// Serializes into a buffer that never grows, because growing would leave an unwiped copy behind.
fn to_wiped_json<T: Serialize>(body: &T) -> Result<Zeroizing<Vec<u8>>, VaultError> {
    to_wiped_json_within(body, limits::BODY_BYTES_MAX)
}

fn to_wiped_json_within<T: Serialize>(body: &T, bytes_max: usize) -> Result<Zeroizing<Vec<u8>>, VaultError> {
    let mut buffer = Zeroizing::new(Vec::with_capacity(bytes_max));
    serde_json::to_writer(&mut *buffer, body).map_err(|_| VaultError::Unavailable)?;
    Ok(buffer)
}

fn read<T: DeserializeOwned>(answer: &[u8]) -> Result<T, VaultError> {
    serde_json::from_slice(answer).map_err(|_| VaultError::Unavailable)
}

async fn read_limited(mut response: Response) -> Result<Zeroizing<Vec<u8>>, VaultError> {
    let expected = response.content_length().and_then(|n| usize::try_from(n).ok()).unwrap_or(16 * 1024);
    if expected > limits::VAULT_ANSWER_BYTES_MAX {
        return Err(VaultError::Unavailable);
    }
    let mut body = Zeroizing::new(Vec::with_capacity(expected));
    while let Some(chunk) = response.chunk().await.map_err(|_| VaultError::Unavailable)? {
        if body.len() + chunk.len() > limits::VAULT_ANSWER_BYTES_MAX {
            return Err(VaultError::Unavailable);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// What a problem document of the vault means to the engine.
fn refusal(status: u16, body: &[u8]) -> VaultError {
    let Ok(problem) = serde_json::from_slice::<Problem>(body) else {
        return VaultError::Unavailable;
    };
    match Kind::from_type_uri(&problem.type_uri) {
        Some(Kind::NotFound) => VaultError::NotFound,
        Some(Kind::InvalidCard) => VaultError::InvalidCard { field: problem.field },
        Some(Kind::InvalidField | Kind::CardInText | Kind::Malformed | Kind::TooLarge) => {
            VaultError::InvalidField { field: problem.field }
        }
        Some(Kind::CvcGone) => VaultError::CvcGone,
        Some(Kind::Denied | Kind::Unauthenticated | Kind::QuotaExceeded) => VaultError::Refused,
        _ => {
            tracing::warn!(status, "the vault answered with a fault");
            VaultError::Unavailable
        }
    }
}

/// Shorter than the vault's keep-alive, so that a request rarely meets a connection that is just being closed.
const POOL_IDLE: Duration = Duration::from_secs(4);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn problems_become_what_the_engine_can_act_on() {
        let with_field = |kind: Kind, field: Option<&str>| {
            let mut problem = kind.problem("x");
            problem.field = field.map(str::to_owned);
            refusal(problem.status, &serde_json::to_vec(&problem).unwrap())
        };
        assert_eq!(with_field(Kind::NotFound, None), VaultError::NotFound);
        assert_eq!(
            with_field(Kind::InvalidCard, Some("card.cvc")),
            VaultError::InvalidCard { field: Some("card.cvc".into()) }
        );
        assert_eq!(with_field(Kind::Denied, None), VaultError::Refused);
        assert_eq!(with_field(Kind::Sealed, None), VaultError::Unavailable);
        assert_eq!(refusal(502, b"<html>"), VaultError::Unavailable);
    }

    #[test]
    fn request_buffer_is_made_once() {
        let body = to_wiped_json(&SecretBody { name: "n", value: &"v".repeat(limits::SECRET_BYTES_MAX) }).unwrap();
        assert_eq!(body.capacity(), limits::BODY_BYTES_MAX);
    }
}
