//! One request from its key to its answer: authentication, idempotency, faults, and what is done between them.
//!
//! Adyen's promise about idempotency keys speaks of the key alone: whoever sends it again gets the first answer, whatever the
//! body. An answer that was lost on the way (a 500 after the work) is the first answer all the same; a request that was
//! turned away leaves its key free.

use actix_web::http::StatusCode;
use actix_web::http::header::ContentType;
use actix_web::web::Bytes;
use actix_web::{HttpRequest, HttpResponse};
use serde_json::Value;
use strongroom_wire::limits;

use super::book::{Book, Call};
use super::refusal::Refusal;
use super::request::{Peek, read};
use super::{Adyen, NAME};
use crate::exchange::{Work, cut, own_address, perform};
use crate::fault::{Asked, Met, Operation, Place};
use crate::replay::{Answer, Begin, Hold, KeyRefused};

/// Does a request, once for each idempotency key. `subject` is the payment that the path names: its metadata may ask for a
/// fault. `status` is that of a success.
pub(super) async fn change(
    adyen: &Adyen,
    request: &HttpRequest,
    body: &Bytes,
    what: (Operation, u16),
    subject: Option<&str>,
    act: impl FnOnce(&mut Book, &[u8], &Call) -> Result<Value, Refusal>,
) -> HttpResponse {
    let (operation, status) = what;
    let begun = authenticate(adyen, request).and_then(|account| {
        let begun = hold(adyen, request, &account)?;
        Ok((account, begun))
    });
    let (account, hold, key) = match begun {
        Ok((account, Begun::Go(hold, key))) => (account, hold, key),
        Ok((_, Begun::Again(answer))) => return reply(&answer, header(request)),
        Err(refusal) => return reply(&refusal.answer(), None),
    };
    let met = fault_of(adyen, &account, body, operation, subject);
    let (now, base_url) = (adyen.house.now_s(), own_address(request));
    let mut call = Call { now, account, idempotency_key: key, base_url, declines: false };
    let work = |declines| {
        call.declines = declines;
        let mut book = adyen.book();
        let acted = act(&mut book, body, &call);
        adyen.ring(&mut book);
        match acted {
            Ok(value) => {
                let answer = Answer { status, body: value.to_string() };
                if let Some(hold) = &hold {
                    hold.keep(&answer);
                }
                Work { answer, began: true }
            }
            Err(refusal) => Work { answer: refusal.answer(), began: false },
        }
    };
    match perform(met, None, Refusal::internal().answer(), work).await {
        Some(answer) => reply(&answer, header(request)),
        None => cut(request),
    }
}

/// The account (its API key) that asks.
fn authenticate(adyen: &Adyen, request: &HttpRequest) -> Result<String, Refusal> {
    let key = request.headers().get("x-api-key").and_then(|key| key.to_str().ok());
    let known = key.and_then(|key| adyen.api_keys.iter().find(|known| *known == key));
    known.cloned().ok_or(Refusal::unauthorized())
}

enum Begun {
    Go(Option<Hold>, Option<String>),
    Again(Answer),
}

fn hold(adyen: &Adyen, request: &HttpRequest, account: &str) -> Result<Begun, Refusal> {
    let Some(key) = request.headers().get(KEY) else { return Ok(Begun::Go(None, None)) };
    let key = key.to_str().ok().filter(|key| key.len() <= limits::ADYEN_KEY_CHARS_MAX).ok_or(KeyRefused::Length)?;
    Ok(match adyen.keys.begin(account, key, request.path(), b"")? {
        Begin::Fresh(hold) => Begun::Go(Some(hold), Some(key.to_owned())),
        Begin::Again(answer) => Begun::Again(answer),
    })
}

fn fault_of(adyen: &Adyen, account: &str, body: &[u8], operation: Operation, subject: Option<&str>) -> Option<Met> {
    let peek: Peek = read(body).unwrap_or_default();
    let book = adyen.book();
    let payment = subject.and_then(|id| book.payment(id));
    let noted = peek.metadata.get(ASKED).or_else(|| payment.and_then(|payment| payment.metadata.get(ASKED)));
    let asked = Asked { metadata: noted.map(String::as_str), amount: peek.amount.map(|amount| amount.value) };
    adyen.house.fault(Place { provider: NAME, account, operation }, asked)
}

fn header(request: &HttpRequest) -> Option<String> {
    request.headers().get(KEY).and_then(|key| key.to_str().ok()).map(str::to_owned)
}

fn reply(answer: &Answer, key: Option<String>) -> HttpResponse {
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = HttpResponse::build(status);
    response.content_type(ContentType::json());
    if let Some(key) = key {
        response.insert_header((KEY, key));
    }
    response.body(answer.body.clone())
}

const KEY: &str = "idempotency-key";
const ASKED: &str = "simulator_fault";
