//! One request from its key to its answer: authentication, idempotency, faults, and what is done between them.

use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::http::header::{AUTHORIZATION, ContentType};
use actix_web::web::Bytes;
use actix_web::{HttpRequest, HttpResponse};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde_json::Value;
use uuid::Uuid;

use super::Simulator;
use crate::book::{Book, Call};
use crate::fault::{Asked, Fault, Operation};
use crate::form::Form;
use crate::refusal::Refusal;
use crate::replay::{Answer, Begin, Hold};

/// A second handle on a connection's socket, kept so that a fault can cut the connection in the middle of a request.
pub(crate) struct Cut(pub(crate) TcpStream);

/// Does a request that changes something, once for each idempotency key. `subject` is the payment intent that the path
/// names: its metadata may ask for a fault.
pub(super) async fn change(
    simulator: &Simulator,
    request: &HttpRequest,
    body: &Bytes,
    operation: Operation,
    subject: Option<&str>,
    act: impl FnOnce(&mut Book, Form, &Call) -> Result<Value, Refusal>,
) -> HttpResponse {
    let begun = authenticate(simulator, request).and_then(|account| hold(simulator, request, account, body));
    let (hold, key) = match begun {
        Ok(Begun::Go(hold, key)) => (hold, key),
        Ok(Begun::Again(answer)) => return reply(&answer, true),
        Err(refusal) => return refuse(&refusal),
    };
    let form = match Form::parse(body) {
        Ok(form) => form,
        Err(refusal) => return refuse(&refusal),
    };
    let fault = fault_of(simulator, &form, operation, subject);
    if let Some((Fault::DropBefore, _)) = fault {
        return cut(request);
    }
    let call = call(request, key);
    let done = match fault {
        Some((Fault::ErrorBefore, _)) => Err(Refusal::internal()),
        _ => act(&mut simulator.book(), form, &call),
    };
    // Work that was done stays done whatever the answer is; only the answer is lost.
    let done = match fault {
        Some((Fault::ErrorAfter, _)) => Err(Refusal::internal()),
        _ => done,
    };
    let (answer, began) = match &done {
        Ok(value) => (Answer { status: 200, body: value.to_string() }, true),
        Err(refusal) => (Answer { status: refusal.status, body: refusal.body(None).to_string() }, refusal.began),
    };
    if let Some(hold) = hold.as_ref().filter(|_| began) {
        hold.keep(&answer);
    }
    match fault {
        Some((Fault::DropAfter, _)) => cut(request),
        Some((Fault::Slow, delay_ms)) => {
            tokio::time::sleep(Duration::from_millis(delay_ms)).await;
            reply(&answer, false)
        }
        _ => reply(&answer, false),
    }
}

/// Answers a request that changes nothing.
pub(super) async fn look(
    simulator: &Simulator,
    request: &HttpRequest,
    act: impl FnOnce(&mut Book, Form) -> Result<Value, Refusal>,
) -> HttpResponse {
    let form = authenticate(simulator, request).and_then(|_| Form::parse(request.query_string().as_bytes()));
    let form = match form {
        Ok(form) => form,
        Err(refusal) => return refuse(&refusal),
    };
    let fault = simulator.faults().meet(Operation::Read, Asked::default());
    match fault {
        Some((Fault::DropBefore | Fault::DropAfter, _)) => return cut(request),
        Some((Fault::ErrorBefore | Fault::ErrorAfter, _)) => return refuse(&Refusal::internal()),
        Some((Fault::Slow, delay_ms)) => tokio::time::sleep(Duration::from_millis(delay_ms)).await,
        None => {}
    }
    let looked = act(&mut simulator.book(), form);
    match looked {
        Ok(value) => reply(&Answer { status: 200, body: value.to_string() }, false),
        Err(refusal) => refuse(&refusal),
    }
}

/// The secret key of `Authorization: Bearer` or of the user name of `Authorization: Basic`.
///
/// # Errors
/// 401 unless it is one of the accepted keys.
pub(super) fn authenticate(simulator: &Simulator, request: &HttpRequest) -> Result<String, Refusal> {
    let header = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let header = header.ok_or_else(|| Refusal::unauthorized("You did not provide an API key."))?;
    let key = match header.split_once(' ') {
        Some((scheme, key)) if scheme.eq_ignore_ascii_case("bearer") => Some(key.trim().to_owned()),
        Some((scheme, pair)) if scheme.eq_ignore_ascii_case("basic") => {
            let pair = STANDARD.decode(pair.trim()).ok().and_then(|bytes| String::from_utf8(bytes).ok());
            pair.map(|pair| pair.split(':').next().unwrap_or_default().to_owned())
        }
        _ => None,
    };
    key.filter(|key| simulator.api_keys.contains(key)).ok_or_else(|| Refusal::unauthorized("Invalid API Key provided."))
}

/// 404 in Stripe's envelope.
pub(super) async fn no_route() -> HttpResponse {
    refuse(&Refusal::no_route())
}

/// A refusal as an answer.
pub(super) fn refuse(refusal: &Refusal) -> HttpResponse {
    reply(&Answer { status: refusal.status, body: refusal.body(None).to_string() }, false)
}

/// What a request has to tell the books.
pub(super) fn call(request: &HttpRequest, idempotency_key: Option<String>) -> Call {
    // The page is named as the caller named the simulator, so that the certificate fits in a browser too.
    let info = request.connection_info();
    let named = info.host().bytes().all(|byte| byte.is_ascii_alphanumeric() || b".:-[]".contains(&byte));
    let host = if named { info.host().to_owned() } else { request.app_config().local_addr().to_string() };
    Call { now: Timestamp::now().as_second(), idempotency_key, base_url: format!("https://{host}") }
}

enum Begun {
    Go(Option<Hold>, Option<String>),
    Again(Answer),
}

fn hold(simulator: &Simulator, request: &HttpRequest, account: String, body: &Bytes) -> Result<Begun, Refusal> {
    let Some(key) = request.headers().get("idempotency-key") else { return Ok(Begun::Go(None, None)) };
    let key =
        key.to_str().map_err(|_| Refusal::invalid("parameter_invalid", "The Idempotency-Key is not ASCII text."))?;
    Ok(match simulator.keys.begin(&account, key, request.path(), body)? {
        Begin::Fresh(hold) => Begun::Go(Some(hold), Some(key.to_owned())),
        Begin::Again(answer) => Begun::Again(answer),
    })
}

fn fault_of(simulator: &Simulator, form: &Form, operation: Operation, subject: Option<&str>) -> Option<(Fault, u64)> {
    let book = simulator.book();
    let intent = subject.and_then(|id| book.intent(id).ok());
    let metadata =
        form.peek(ASKED_BY).or_else(|| intent.and_then(|intent| intent.metadata.get(ASKED).map(String::as_str)));
    let amount = form.peek("amount").and_then(|text| text.parse().ok()).or(intent.map(|intent| intent.amount));
    simulator.faults().meet(operation, Asked { metadata, amount })
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

/// Cuts the connection. The response that the framework wants is never sent.
fn cut(request: &HttpRequest) -> HttpResponse {
    if let Some(Cut(socket)) = request.conn_data::<Cut>() {
        // Fails only when the peer was faster; either way the connection is gone.
        let _ = socket.shutdown(Shutdown::Both);
    }
    refuse(&Refusal::internal())
}

const ASKED: &str = "simulator_fault";
const ASKED_BY: &str = "metadata[simulator_fault]";
