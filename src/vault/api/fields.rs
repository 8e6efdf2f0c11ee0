//! What came encrypted under a secret of the merchant's: a card's fields, or a PIN.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;

use super::answer::{Answer, More, written};
use super::body::Body;
use super::call::Call;
use crate::card::{FieldsBody, PinBody};
use crate::flow::fields;

/// `POST /v1/payment_methods/encrypted_fields`.
pub(super) async fn tokenize(call: Call, body: Body) -> Answer {
    let fields = FieldsBody::parse(&body.0)?;
    let done = fields::tokenize(&call.state.vault, &call.asker, call.key.as_ref(), fields).await?;
    let status = if done.is_new { StatusCode::CREATED } else { StatusCode::OK };
    Ok(written(status, done.json, More { audit_index: Some(done.audit_index), is_replay: done.is_replay }))
}

/// `POST /v1/pins/check`.
pub(super) async fn check_pin(call: Call, body: Body) -> Answer {
    let pin = PinBody::parse(&body.0)?;
    fields::check_pin(&call.state.vault, &call.asker, &pin).await?;
    Ok(HttpResponse::NoContent().finish())
}
