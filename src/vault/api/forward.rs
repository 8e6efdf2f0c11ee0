//! Forward and what belongs to it on the release listener: a request that the vault sends itself, and a CVC by itself.

use actix_web::HttpRequest;
use actix_web::http::StatusCode;
use strongroom_wire::forward::{BadTemplate, ForwardRequest};
use strongroom_wire::{Kind, header};

use super::answer::{Answer, More, written};
use super::body::{Body, ForwardBytes};
use super::call::Call;
use super::problem::Refusal;
use super::release::token;
use super::whole::whole;
use crate::card::IncomingCvc;
use crate::card::text::holds_card_number;
use crate::flow::{IdempotencyKey, cvc, forward};

/// `POST /v1/forward`. It goes on to its end even if the caller goes away: a request that was sent has its second entry and
/// its kept answer. A problem document means that nothing was sent, except for one of status 500.
pub(super) async fn forward(call: Call, body: ForwardBytes) -> Answer {
    let asked: ForwardRequest = body.0.json()?;
    drop(body);
    asked.check()?;
    if holds_card_number(asked.reference.as_str()) {
        let detail = "a reference lands in the audit log; name the payment, not the card";
        return Err(Refusal::new(Kind::CardInText, detail).at("reference"));
    }
    let key = key_of(&asked)?;
    if call.key.is_some() && call.key != key {
        let detail = "the idempotency key of a forward is idempotency_key in the body; leave the header out";
        return Err(Refusal::new(Kind::InvalidField, detail).at(header::IDEMPOTENCY_KEY));
    }
    let sent = async move { forward::forward(&call.state.vault, &call.asker, key.as_ref(), asked).await };
    let done = whole(sent).await?;
    Ok(written(StatusCode::OK, done.json, More { audit_index: Some(done.audit_index), is_replay: done.is_replay }))
}

/// `POST /v1/payment_methods/{id}/cvc`.
pub(super) async fn seal_cvc(call: Call, request: HttpRequest, body: Body) -> Answer {
    let token = token(&request)?;
    let parsed = IncomingCvc::parse(&body.0)?;
    let sealed = cvc::seal(&call.state.vault, &call.asker, token, parsed).await?;
    Ok(written(StatusCode::OK, sealed.json, More { audit_index: Some(sealed.audit_index), is_replay: false }))
}

fn key_of(asked: &ForwardRequest) -> Result<Option<IdempotencyKey>, Refusal> {
    let Some(text) = &asked.idempotency_key else { return Ok(None) };
    let key = text.parse::<IdempotencyKey>();
    key.map(Some).map_err(|_| {
        let detail = "an idempotency key is 1 to 128 printable ASCII characters without spaces";
        Refusal::new(Kind::InvalidField, detail).at("idempotency_key")
    })
}

impl From<BadTemplate> for Refusal {
    fn from(bad: BadTemplate) -> Self {
        Refusal::new(Kind::InvalidField, bad.why).at(&bad.place.to_string())
    }
}
