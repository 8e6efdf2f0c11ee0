//! The intake: a browser posts a card and gets a token. One route, and what browsers need around it.

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use actix_web::{HttpRequest, HttpResponse};

use super::answer::{More, written};
use super::body::Body;
use super::call::SessionCall;
use super::problem::Refusal;
use super::release::token;
use crate::card::{Incoming, IncomingCvc};
use crate::flow::{cvc, tokenize};

/// `POST /v1/payment_methods` with a client session.
pub(super) async fn tokenize(session: SessionCall, body: Body) -> Result<HttpResponse, Refusal> {
    let call = session.call;
    let vault = &call.state.vault;
    let card = Incoming::parse(&body.0, vault.now_ms())?;
    let done = tokenize::tokenize(vault, &call.asker, call.key.as_ref(), card).await?;
    let status = if done.is_new { StatusCode::CREATED } else { StatusCode::OK };
    let mut answer = written(status, done.json, More { audit_index: None, is_replay: done.is_replay });
    allow_origin(&mut answer, session.origin.as_deref());
    Ok(answer)
}

/// `POST /v1/payment_methods/{id}/cvc` with a client session of the card's customer.
pub(super) async fn seal_cvc(session: SessionCall, request: HttpRequest, body: Body) -> Result<HttpResponse, Refusal> {
    let call = session.call;
    let parsed = IncomingCvc::parse(&body.0)?;
    let sealed = cvc::seal(&call.state.vault, &call.asker, token(&request)?, parsed).await?;
    let mut answer = written(StatusCode::OK, sealed.json, More::default());
    allow_origin(&mut answer, session.origin.as_deref());
    Ok(answer)
}

/// `OPTIONS` of both routes: whether a page may ask at all. Any page may; the session decides about the card.
pub(super) async fn preflight(request: HttpRequest) -> HttpResponse {
    let origin = request.headers().get(header::ORIGIN).and_then(|value| value.to_str().ok());
    let mut answer = HttpResponse::NoContent().finish();
    allow_origin(&mut answer, origin);
    let headers = answer.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("POST"));
    headers.insert(
        header::ACCESS_CONTROL_ALLOW_HEADERS,
        HeaderValue::from_static("authorization, content-type, idempotency-key"),
    );
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
    answer
}

fn allow_origin(answer: &mut HttpResponse, origin: Option<&str>) {
    let Some(value) = origin.and_then(|origin| HeaderValue::from_str(origin).ok()) else { return };
    let headers = answer.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, value);
    headers.insert(header::VARY, HeaderValue::from_static("origin"));
    headers
        .insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static("x-request-id, idempotent-replayed"));
}
