//! The release listener: what orchestrators ask for, over mutual TLS.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde::Deserialize;
use strongroom_wire::payment_method::{RetainRequest, RevealRequest, SessionRequest, TenantRequest};
use strongroom_wire::{CustomerId, Kind, SecretId, Token};

use super::answer::{Answer, More, json, written};
use super::body::Body;
use super::call::Call;
use super::problem::Refusal;
use super::whole::whole;
use crate::card::text::holds_card_number;
use crate::card::{Incoming, SecretBody, UpdateBody};
use crate::flow::{audit, customer, delete, read, retain, reveal, secret, session, tenant, tokenize, update};

/// `POST /v1/payment_methods`.
pub(super) async fn tokenize(call: Call, body: Body) -> Answer {
    let vault = &call.state.vault;
    let card = Incoming::parse(&body.0, vault.now_ms())?;
    let done = tokenize::tokenize(vault, &call.asker, call.key.as_ref(), card).await?;
    let status = if done.is_new { StatusCode::CREATED } else { StatusCode::OK };
    Ok(written(status, done.json, More { audit_index: Some(done.audit_index), is_replay: done.is_replay }))
}

/// `GET /v1/payment_methods/{id}`.
pub(super) async fn get(call: Call, request: HttpRequest) -> Answer {
    let method = read::get(&call.state.vault, &call.asker, token(&request)?).await?;
    json(StatusCode::OK, &method)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ListQuery {
    customer_id: Option<CustomerId>,
    fingerprint: Option<String>,
    cursor: Option<Token>,
    limit: Option<u32>,
}

/// `GET /v1/payment_methods`.
pub(super) async fn list(call: Call, request: HttpRequest) -> Answer {
    let query: ListQuery = serde_urlencoded::from_str(request.query_string()).map_err(|_| {
        Refusal::new(Kind::InvalidField, "the query takes customer_id, fingerprint, cursor and limit (1 to 100)")
    })?;
    let fingerprint = match query.fingerprint {
        None => None,
        Some(text) => Some(fingerprint(&text)?),
    };
    let query = read::Query { customer: query.customer_id, fingerprint, cursor: query.cursor, limit: query.limit };
    json(StatusCode::OK, &read::list(&call.state.vault, &call.asker, query).await?)
}

/// `POST /v1/payment_methods/{id}/reveal`. A card is never kept as an answer: with the same idempotency key and body it
/// is released again, under an entry of its own; with another body it is refused.
pub(super) async fn reveal(call: Call, request: HttpRequest, body: Body) -> Answer {
    let token = token(&request)?;
    let asked: RevealRequest = body.json()?;
    if holds_card_number(asked.reference.as_str()) {
        return Err(Refusal::new(
            Kind::CardInText,
            "a reference lands in the audit log; name the payment, not the card",
        )
        .at("reference"));
    }
    let keyed = call.key.as_ref().map(|key| (key, &body.0[..]));
    let released = reveal::reveal(&call.state.vault, &call.asker, token, keyed, &asked).await?;
    Ok(written(StatusCode::OK, released.json, More { audit_index: Some(released.audit_index), is_replay: false }))
}

/// `POST /v1/payment_methods/{id}/retain`. Repeating it is the same as once.
pub(super) async fn retain(call: Call, request: HttpRequest, body: Body) -> Answer {
    let token = token(&request)?;
    let RetainRequest {} = body.json_or_default()?;
    json(StatusCode::OK, &retain::retain(&call.state.vault, &call.asker, token, call.key.as_ref()).await?)
}

/// `PATCH /v1/payment_methods/{id}`.
pub(super) async fn update(call: Call, request: HttpRequest, body: Body) -> Answer {
    let token = token(&request)?;
    let vault = &call.state.vault;
    let changes = UpdateBody::parse(&body.0, vault.now_ms())?;
    json(StatusCode::OK, &update::update(vault, &call.asker, token, changes).await?)
}

/// `DELETE /v1/payment_methods/{id}`.
pub(super) async fn delete(call: Call, request: HttpRequest) -> Answer {
    delete::delete(&call.state.vault, &call.asker, token(&request)?).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// `DELETE /v1/customers/{customer_id}`: every card of a customer. Repeating it is the same as once.
pub(super) async fn delete_customer(call: Call, request: HttpRequest) -> Answer {
    let text = request.match_info().get("customer_id").unwrap_or_default();
    let customer: CustomerId = text.parse().map_err(|bad| Refusal::from(bad).at("customer_id"))?;
    let deleted = async move { customer::delete(&call.state.vault, &call.asker, customer).await };
    json(StatusCode::OK, &whole(deleted).await?)
}

/// `POST /v1/sessions`.
pub(super) async fn session(call: Call, body: Body) -> Answer {
    let asked: SessionRequest = body.json()?;
    let made = session::create(&call.state.vault, &call.asker, call.key.as_ref(), &body.0, asked).await?;
    Ok(written(StatusCode::CREATED, made.json, More { audit_index: None, is_replay: made.is_replay }))
}

/// `POST /v1/secrets`.
pub(super) async fn write_secret(call: Call, body: Body) -> Answer {
    let asked = SecretBody::parse(&body.0)?;
    let done = secret::write(&call.state.vault, &call.asker, call.key.as_ref(), &body.0, asked).await?;
    Ok(written(StatusCode::CREATED, done.json, More { audit_index: None, is_replay: done.is_replay }))
}

/// `POST /v1/secrets/{id}/reveal`: `{"secret_id","value"}`.
pub(super) async fn reveal_secret(call: Call, request: HttpRequest) -> Answer {
    let id = secret_id(&request)?;
    let released = secret::reveal(&call.state.vault, &call.asker, id, call.key.as_ref()).await?;
    let more = More { audit_index: Some(released.audit_index), is_replay: false };
    Ok(written(StatusCode::OK, secret::answer(id, &released.value)?, more))
}

/// `DELETE /v1/secrets/{id}`.
pub(super) async fn delete_secret(call: Call, request: HttpRequest) -> Answer {
    secret::delete(&call.state.vault, &call.asker, secret_id(&request)?).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// `POST /v1/tenants`.
pub(super) async fn provision(call: Call, body: Body) -> Answer {
    let asked: TenantRequest = body.json()?;
    let made = async move { tenant::provision(&call.state.vault, &call.asker, asked.tenant).await };
    json(StatusCode::OK, &whole(made).await?)
}

/// `GET /v1/audit/proofs/{index}`: the proof of an entry of the caller's own.
pub(super) async fn proof(call: Call, request: HttpRequest) -> Answer {
    let index = entry_index(&request)?;
    json(StatusCode::OK, &audit::own_proof(&call.state.vault, &call.asker, index).await?)
}

/// The index in a path; its text is not repeated.
pub(super) fn entry_index(request: &HttpRequest) -> Result<u64, Refusal> {
    let text = request.match_info().get("index").unwrap_or_default();
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| is_number).ok_or_else(|| {
        Refusal::new(Kind::InvalidField, "an index is a whole number, as Audit-Index gave it").at("index")
    })
}

pub(super) fn token(request: &HttpRequest) -> Result<Token, Refusal> {
    let text = request.match_info().get("id").unwrap_or_default();
    text.parse().map_err(|bad| Refusal::from(bad).at("payment_method_id"))
}

fn secret_id(request: &HttpRequest) -> Result<SecretId, Refusal> {
    let text = request.match_info().get("id").unwrap_or_default();
    text.parse().map_err(|bad| Refusal::from(bad).at("secret_id"))
}

fn fingerprint(text: &str) -> Result<[u8; 16], Refusal> {
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(text).ok().and_then(|bytes| bytes.try_into().ok());
    bytes.ok_or_else(|| {
        Refusal::new(Kind::InvalidField, "a fingerprint is 22 characters of base64url").at("fingerprint")
    })
}
