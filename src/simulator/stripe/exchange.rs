//! One request from its key to its answer: authentication, idempotency, faults, and what is done between them.

use actix_web::http::StatusCode;
use actix_web::http::header::ContentType;
use actix_web::web::Bytes;
use actix_web::{HttpRequest, HttpResponse};
use serde_json::Value;
use uuid::Uuid;

use super::book::{Book, Call};
use super::form::Form;
use super::refusal::Refusal;
use super::{NAME, Stripe};
use crate::exchange::{Work, ask, cut, own_address, perform, presented_key};
use crate::fault::{Asked, Met, Operation, Place};
use crate::replay::{Answer, Begin, Hold};

/// Does a request that changes something, once for each idempotency key. `subject` is the payment intent that the path
/// names: its metadata may ask for a fault.
pub(super) async fn change(
    stripe: &Stripe,
    request: &HttpRequest,
    body: &Bytes,
    operation: Operation,
    subject: Option<&str>,
    act: impl FnOnce(&mut Book, Form, &Call) -> Result<Value, Refusal>,
) -> HttpResponse {
    let begun = authenticate(stripe, request).and_then(|account| {
        let begun = hold(stripe, request, &account, body)?;
        Ok((account, begun))
    });
    let (account, hold, key) = match begun {
        Ok((account, Begun::Go(hold, key))) => (account, hold, key),
        Ok((_, Begun::Again(answer))) => return reply(&answer, true),
        Err(refusal) => return refuse(&refusal),
    };
    let form = match Form::parse(body) {
        Ok(form) => form,
        Err(refusal) => return refuse(&refusal),
    };
    let met = fault_of(stripe, &account, &form, operation, subject);
    let mut call = call(stripe, request, account, key);
    let work = |declines| {
        call.declines = declines;
        match stripe.with_book(|book| act(book, form, &call)) {
            Ok(value) => Work { answer: Answer { status: 200, body: value.to_string() }, began: true },
            Err(refusal) => Work { answer: answer(&refusal), began: refusal.began },
        }
    };
    match perform(met, hold, answer(&Refusal::internal()), work).await {
        Some(answer) => reply(&answer, false),
        None => cut(request),
    }
}

/// Answers a request that changes nothing.
pub(super) async fn look(
    stripe: &Stripe,
    request: &HttpRequest,
    act: impl FnOnce(&mut Book, Form) -> Result<Value, Refusal>,
) -> HttpResponse {
    let asked = authenticate(stripe, request).and_then(|account| {
        let form = Form::parse(request.query_string().as_bytes())?;
        Ok((account, form))
    });
    let (account, form) = match asked {
        Ok(asked) => asked,
        Err(refusal) => return refuse(&refusal),
    };
    let place = Place { provider: NAME, account: &account, operation: Operation::Read };
    let met = stripe.house.fault(place, Asked::default());
    let look = || match stripe.with_book(|book| act(book, form)) {
        Ok(value) => Answer { status: 200, body: value.to_string() },
        Err(refusal) => answer(&refusal),
    };
    match ask(met, answer(&Refusal::internal()), look).await {
        Some(answer) => reply(&answer, false),
        None => cut(request),
    }
}

/// 404 in Stripe's envelope.
pub(crate) async fn no_route() -> HttpResponse {
    refuse(&Refusal::no_route())
}

/// A refusal as an answer.
pub(super) fn refuse(refusal: &Refusal) -> HttpResponse {
    reply(&answer(refusal), false)
}

/// What a request has to tell the books.
pub(super) fn call(stripe: &Stripe, request: &HttpRequest, account: String, idempotency_key: Option<String>) -> Call {
    let (now, base_url) = (stripe.house.now_s(), own_address(request));
    Call { now, account, idempotency_key, base_url, declines: false }
}

/// The account (its secret key) that asks.
fn authenticate(stripe: &Stripe, request: &HttpRequest) -> Result<String, Refusal> {
    let key = presented_key(request).ok_or_else(|| Refusal::unauthorized("You did not provide an API key."))?;
    let known = stripe.api_keys.contains(&key);
    if known { Ok(key) } else { Err(Refusal::unauthorized("Invalid API Key provided.")) }
}

enum Begun {
    Go(Option<Hold>, Option<String>),
    Again(Answer),
}

fn hold(stripe: &Stripe, request: &HttpRequest, account: &str, body: &Bytes) -> Result<Begun, Refusal> {
    let Some(key) = request.headers().get("idempotency-key") else { return Ok(Begun::Go(None, None)) };
    let key =
        key.to_str().map_err(|_| Refusal::invalid("parameter_invalid", "The Idempotency-Key is not ASCII text."))?;
    Ok(match stripe.keys.begin(account, key, request.path(), body)? {
        Begin::Fresh(hold) => Begun::Go(Some(hold), Some(key.to_owned())),
        Begin::Again(answer) => Begun::Again(answer),
    })
}

fn fault_of(stripe: &Stripe, account: &str, form: &Form, operation: Operation, subject: Option<&str>) -> Option<Met> {
    let book = stripe.book();
    let intent = subject.and_then(|id| book.intent(id).ok());
    let metadata =
        form.peek(ASKED_BY).or_else(|| intent.and_then(|intent| intent.metadata.get(ASKED).map(String::as_str)));
    let amount = form.peek("amount").and_then(|text| text.parse().ok()).or(intent.map(|intent| intent.amount));
    stripe.house.fault(Place { provider: NAME, account, operation }, Asked { metadata, amount })
}

fn answer(refusal: &Refusal) -> Answer {
    Answer { status: refusal.status, body: refusal.body(None).to_string() }
}

fn reply(answer: &Answer, replayed: bool) -> HttpResponse {
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = HttpResponse::build(status);
    response.content_type(ContentType::json());
    response.insert_header(("Request-Id", format!("req_{}", &Uuid::new_v4().simple().to_string()[..14])));
    if replayed {
        response.insert_header(("Idempotent-Replayed", "true"));
    }
    if answer.status == 409 {
        response.insert_header(("Stripe-Should-Retry", "true"));
    }
    response.body(answer.body.clone())
}

const ASKED: &str = "simulator_fault";
const ASKED_BY: &str = "metadata[simulator_fault]";
