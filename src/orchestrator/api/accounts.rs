//! Merchants, API keys and connector accounts: the operator's side, by the admin key.

use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use strongroom_wire::{TenantId, limits};

use super::answer::{Answer, Refusal};
use super::body::Bounded;
use super::{Api, body, webhooks, who};
use crate::account::{ApiKey, ConnectorAccount, Merchant};
use crate::clock::rfc3339;
use crate::connector::Credentials;
use crate::ids;
use crate::intent::{Fault, to_secret_text};
use crate::store::StoreError;
use crate::vault::SecretText;
use crate::view;

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct MerchantBody {
    merchant_id: Option<String>,
    merchant_name: Option<String>,
    metadata: Option<Map<String, Value>>,
    webhook_details: Option<webhooks::WebhookDetails>,
}

/// `POST /accounts`.
pub(crate) async fn add_merchant(
    api: Data<Api>,
    request: HttpRequest,
    Bounded(bytes): Bounded,
) -> Result<HttpResponse, Refusal> {
    who::admin(&api, &request)?;
    let asked: MerchantBody = body::read(&bytes)?;
    let now = api.engine.now_ms();
    let id = match asked.merchant_id {
        Some(id) => id,
        None => ids::fresh("merchant_", now).map_err(Fault::from)?,
    };
    let mut merchant = Merchant {
        merchant_id: tenant(&id)?,
        merchant_name: body::text("merchant_name", asked.merchant_name, limits::PAYMENT_TEXT_BYTES_MAX)?,
        publishable_key: ids::fresh_secret(who::PUBLISHABLE_PREFIX).map_err(Fault::from)?.to_string(),
        profile_id: ids::fresh("pro_", now).map_err(Fault::from)?,
        metadata: body::metadata(asked.metadata)?,
        webhooks: Default::default(),
        created_ms: now,
    };
    webhooks::change(&api, &mut merchant.webhooks, asked.webhook_details.unwrap_or_default())?;
    if api.engine.store().merchant(&merchant.merchant_id).await?.is_some() {
        return Err(Fault::Duplicate("merchant").into());
    }
    // The vault first: a tenant without a merchant does no harm, a merchant without a tenant cannot keep a card.
    api.engine.vault().register(&merchant.merchant_id).await.map_err(Fault::from)?;
    let secret = webhooks::first_secret(&api, &merchant).await?;
    if let Some(secret) = &secret {
        webhooks::adopt(&mut merchant.webhooks, secret, now);
    }
    match api.engine.store().add_merchant(&merchant).await {
        Ok(()) => Ok(webhooks::show(&merchant, secret.as_ref()).into()),
        Err(StoreError::Duplicate) => Err(Fault::Duplicate("merchant").into()),
        Err(other) => Err(other.into()),
    }
}

/// `GET /accounts/{merchant_id}`.
pub(crate) async fn merchant(api: Data<Api>, request: HttpRequest, id: Path<String>) -> Result<HttpResponse, Refusal> {
    who::admin(&api, &request)?;
    Ok(Answer::ok(&view::merchant(&known(&api, &id).await?)).into())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyBody {
    name: String,
    description: Option<String>,
    expiration: String,
}

/// `POST /api_keys/{merchant_id}`. The key is in this one answer and nowhere else.
pub(crate) async fn add_key(
    api: Data<Api>,
    request: HttpRequest,
    id: Path<String>,
    Bounded(bytes): Bounded,
) -> Result<HttpResponse, Refusal> {
    who::admin(&api, &request)?;
    let asked: KeyBody = body::read(&bytes)?;
    let merchant = known(&api, &id).await?;
    let now = api.engine.now_ms();
    let expires_ms = match asked.expiration.as_str() {
        "never" => None,
        text => Some(
            text.parse::<jiff::Timestamp>().map(jiff::Timestamp::as_millisecond).ok().filter(|at| *at > now).ok_or(
                Fault::Invalid { field: "expiration", reason: "never, or a time in the future in RFC 3339 form" },
            )?,
        ),
    };
    let keys = api.engine.store().api_keys(&merchant.merchant_id).await?;
    // Dead keys do not count, or a merchant that changes its keys would end without one.
    let good = keys.iter().filter(|key| key.revoked_ms.is_none() && key.expires_ms.is_none_or(|at| at > now)).count();
    if good >= limits::API_KEYS_MAX {
        return Err(Fault::Precondition("The merchant has as many good API keys as are allowed (20)").into());
    }
    let secret = ids::fresh_secret(SERVER_PREFIX).map_err(Fault::from)?;
    let key = ApiKey {
        key_id: ids::fresh("key_", now).map_err(Fault::from)?,
        merchant_id: merchant.merchant_id,
        name: body::text("name", Some(asked.name), limits::PAYMENT_TEXT_BYTES_MAX)?.unwrap_or_default(),
        description: body::text("description", asked.description, limits::PAYMENT_TEXT_BYTES_MAX)?,
        prefix: secret.chars().take(SERVER_PREFIX.len() + 4).collect(),
        hash: who::to_hex(&ids::key_hash(&secret)),
        created_ms: now,
        expires_ms,
        revoked_ms: None,
    };
    api.engine.store().add_api_key(&key).await?;
    let mut shown = show_key(&key);
    shown["api_key"] = Value::from(secret.as_str());
    Ok(Answer::ok(&shown).into())
}

/// `GET /api_keys/{merchant_id}`.
pub(crate) async fn keys(api: Data<Api>, request: HttpRequest, id: Path<String>) -> Result<HttpResponse, Refusal> {
    who::admin(&api, &request)?;
    let merchant = known(&api, &id).await?;
    let keys = api.engine.store().api_keys(&merchant.merchant_id).await?;
    Ok(Answer::ok(&keys.iter().map(show_key).collect()).into())
}

/// `DELETE /api_keys/{merchant_id}/{key_id}`.
pub(crate) async fn revoke_key(
    api: Data<Api>,
    request: HttpRequest,
    path: Path<(String, String)>,
) -> Result<HttpResponse, Refusal> {
    who::admin(&api, &request)?;
    let merchant = known(&api, &path.0).await?;
    if !api.engine.store().revoke_api_key(&merchant.merchant_id, &path.1, api.engine.now_ms()).await? {
        return Err(Fault::NotFound("API key").into());
    }
    Ok(Answer::ok(&json!({"merchant_id": merchant.merchant_id, "key_id": path.1, "revoked": true})).into())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ConnectorBody {
    connector_type: ConnectorTypeWord,
    connector_name: String,
    connector_label: Option<String>,
    connector_account_details: DetailsBody,
    test_mode: Option<bool>,
    disabled: Option<bool>,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum ConnectorTypeWord {
    PaymentProcessor,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DetailsBody {
    auth_type: AuthTypeWord,
    api_key: SecretText,
    key1: Option<SecretText>,
    api_secret: Option<SecretText>,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
enum AuthTypeWord {
    #[serde(rename = "HeaderKey")]
    Header,
    #[serde(rename = "BodyKey")]
    Body,
    #[serde(rename = "SignatureKey")]
    Signature,
}

/// `POST /account/{merchant_id}/connectors`. The credentials go into the vault; this store keeps the name of the secret.
pub(crate) async fn add_connector(
    api: Data<Api>,
    request: HttpRequest,
    id: Path<String>,
    Bounded(bytes): Bounded,
) -> Result<HttpResponse, Refusal> {
    who::admin(&api, &request)?;
    let asked: ConnectorBody = body::read(&bytes)?;
    let ConnectorTypeWord::PaymentProcessor = asked.connector_type;
    let merchant = known(&api, &id).await?;
    let connector = api
        .engine
        .connector(&asked.connector_name)
        .ok_or(Fault::Invalid { field: "connector_name", reason: "no such connector" })?;
    let credentials = credentials(asked.connector_account_details)?;
    connector.check_credentials(&credentials).map_err(|bad| {
        Refusal::new(400, "IR_06", format!("Invalid value for connector_account_details.{}: {}", bad.field, bad.reason))
    })?;
    let accounts = api.engine.store().connector_accounts(&merchant.merchant_id).await?;
    if accounts.len() >= limits::CONNECTOR_ACCOUNTS_MAX {
        return Err(Fault::Precondition("The merchant has as many connector accounts as are allowed (20)").into());
    }
    let now = api.engine.now_ms();
    let account_id = ids::fresh("mca_", now).map_err(Fault::from)?;
    let label = body::text("connector_label", asked.connector_label, limits::PAYMENT_TEXT_BYTES_MAX)?;
    let secret = to_secret_text(&credentials);
    let stored = api.engine.vault().store_secret(&merchant.merchant_id, &account_id, &secret).await;
    let account = ConnectorAccount {
        secret_id: stored.map_err(Fault::from)?,
        label: label.unwrap_or_else(|| format!("{}_default", connector.name())),
        account_id,
        merchant_id: merchant.merchant_id,
        connector: connector.name().to_owned(),
        test_mode: asked.test_mode.unwrap_or(false),
        disabled: asked.disabled.unwrap_or(false),
        created_ms: now,
    };
    api.engine.store().add_connector_account(&account).await?;
    Ok(Answer::ok(&show_account(&account)).into())
}

/// `GET /account/{merchant_id}/connectors`.
pub(crate) async fn connectors(
    api: Data<Api>,
    request: HttpRequest,
    id: Path<String>,
) -> Result<HttpResponse, Refusal> {
    who::admin(&api, &request)?;
    let merchant = known(&api, &id).await?;
    let accounts = api.engine.store().connector_accounts(&merchant.merchant_id).await?;
    Ok(Answer::ok(&accounts.iter().map(show_account).collect()).into())
}

fn credentials(details: DetailsBody) -> Result<Credentials, Fault> {
    let fits = match details.auth_type {
        AuthTypeWord::Header => details.key1.is_none() && details.api_secret.is_none(),
        AuthTypeWord::Body => details.key1.is_some() && details.api_secret.is_none(),
        AuthTypeWord::Signature => details.key1.is_some() && details.api_secret.is_some(),
    };
    let field = "connector_account_details";
    if !fits {
        return Err(Fault::Invalid {
            field,
            reason: "HeaderKey has api_key; BodyKey also key1; SignatureKey also api_secret",
        });
    }
    let parts = [Some(&details.api_key), details.key1.as_ref(), details.api_secret.as_ref()];
    let plain = |text: &str| {
        (1..=CREDENTIAL_CHARS_MAX).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_graphic() && !matches!(b, b'"' | b'\\'))
    };
    if parts.into_iter().flatten().any(|part| !plain(part.expose())) {
        return Err(Fault::Invalid { field, reason: "each part is 1 to 1024 visible ASCII characters without quotes" });
    }
    Ok(Credentials {
        api_key: details.api_key.into_inner(),
        key1: details.key1.map(SecretText::into_inner),
        api_secret: details.api_secret.map(SecretText::into_inner),
        webhook_secret: None,
    })
}

pub(super) async fn known(api: &Api, id: &str) -> Result<Merchant, Refusal> {
    let id = tenant(id).map_err(|_| Fault::NotFound("Merchant"))?;
    Ok(api.engine.store().merchant(&id).await?.ok_or(Fault::NotFound("Merchant"))?)
}

fn tenant(text: &str) -> Result<TenantId, Fault> {
    text.parse().map_err(|_| Fault::Invalid {
        field: "merchant_id",
        reason: "1 to 64 of a-z 0-9 _ - that begin with a letter or digit",
    })
}

fn show_key(key: &ApiKey) -> Value {
    json!({
        "key_id": key.key_id,
        "merchant_id": key.merchant_id,
        "name": key.name,
        "description": key.description,
        "prefix": key.prefix,
        "created": rfc3339(key.created_ms),
        "expiration": key.expires_ms.map_or("never".to_owned(), rfc3339),
        "revoked_at": key.revoked_ms.map(rfc3339),
    })
}

fn show_account(account: &ConnectorAccount) -> Value {
    json!({
        "merchant_connector_id": account.account_id,
        "merchant_id": account.merchant_id,
        "connector_type": "payment_processor",
        "connector_name": account.connector,
        "connector_label": account.label,
        "connector_account_details": {"auth_type": "HeaderKey", "api_key": "********"},
        "test_mode": account.test_mode,
        "disabled": account.disabled,
        "status": if account.disabled { "inactive" } else { "active" },
        "created_at": rfc3339(account.created_ms),
    })
}

/// How API keys of servers begin.
const SERVER_PREFIX: &str = "sk_";
const CREDENTIAL_CHARS_MAX: usize = 1024;
