//! Merchants and their API keys: the operator's side, by the admin key.

use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use strongroom_wire::{TenantId, limits};

use super::answer::{Answer, Refusal};
use super::body::Bounded;
use super::once::without_key;
use super::{Api, body, webhooks, who};
use crate::account::{ApiKey, BadOrigins, Merchant, check_origins};
use crate::clock::rfc3339;
use crate::ids;
use crate::intent::Fault;
use crate::store::StoreError;
use crate::view;

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct MerchantBody {
    merchant_id: Option<String>,
    merchant_name: Option<String>,
    metadata: Option<Map<String, Value>>,
    webhook_details: Option<webhooks::WebhookDetails>,
    allowed_origins: Vec<String>,
}

/// `POST /accounts`.
pub(crate) async fn add_merchant(
    api: Data<Api>,
    request: HttpRequest,
    Bounded(bytes): Bounded,
) -> Result<HttpResponse, Refusal> {
    who::admin(&api, &request)?;
    without_key(&request, "name the merchant_id, which is taken once")?;
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
        encryption: Default::default(),
        allowed_origins: origins(asked.allowed_origins)?,
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
    without_key(&request, "revoke the key that you did not receive and make another")?;
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

/// A merchant that should exist.
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

/// Origins that can be kept as a merchant's.
pub(super) fn origins(origins: Vec<String>) -> Result<Vec<String>, Fault> {
    check_origins(&origins).map_err(|BadOrigins(reason)| Fault::Invalid { field: "allowed_origins", reason })?;
    Ok(origins)
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

/// How API keys of servers begin.
const SERVER_PREFIX: &str = "sk_";
