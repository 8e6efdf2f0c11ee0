//! What a test asks of the simulator itself: the ledger, and faults to come.

use actix_web::http::header::ContentType;
use actix_web::web::{Bytes, Data};
use actix_web::{HttpRequest, HttpResponse};
use serde_json::json;

use super::Simulator;
use super::exchange::{authenticate, refuse};
use crate::fault::Armed;
use crate::form::Form;
use crate::refusal::Refusal;

/// `GET /ledger`: `{"entries", "payments", "totals"}`; `?payment=` for one payment (its `payment_id` or payment intent),
/// `?format=lines` for one JSON line for each entry. It needs no key: there is no secret in it.
pub(super) async fn ledger(simulator: Data<Simulator>, request: HttpRequest) -> HttpResponse {
    let wanted = Form::parse(request.query_string().as_bytes()).and_then(|mut form| {
        let payment = form.plain("payment", 128)?;
        let lines = form.choice("format", &["json", "lines"])? == Some("lines");
        form.finish()?;
        Ok((payment, lines))
    });
    let (payment, lines) = match wanted {
        Ok(wanted) => wanted,
        Err(refusal) => return refuse(&refusal),
    };
    let book = simulator.book();
    let statement = book.ledger.statement(payment.as_deref());
    if !lines {
        return HttpResponse::Ok().json(&statement);
    }
    let text: String = statement.entries.iter().map(|line| format!("{}\n", json!(line))).collect();
    HttpResponse::Ok().content_type("application/x-ndjson").body(text)
}

/// `GET /faults`: what is armed.
pub(super) async fn list_faults(simulator: Data<Simulator>, request: HttpRequest) -> HttpResponse {
    match authenticate(&simulator, &request) {
        Ok(_) => HttpResponse::Ok().json(json!({ "armed": simulator.faults().list() })),
        Err(refusal) => refuse(&refusal),
    }
}

/// `POST /faults` with an [`Armed`] as JSON.
pub(super) async fn arm_fault(simulator: Data<Simulator>, request: HttpRequest, body: Bytes) -> HttpResponse {
    let armed = authenticate(&simulator, &request).and_then(|_| {
        let armed: Armed = serde_json::from_slice(&body).map_err(|_| Refusal::invalid("parameter_invalid", ARMED))?;
        simulator.faults().arm(armed).map_err(|why| Refusal::invalid("parameter_invalid", why))
    });
    match armed {
        Ok(()) => HttpResponse::Ok().json(json!({ "armed": simulator.faults().list() })),
        Err(refusal) => refuse(&refusal),
    }
}

/// `DELETE /faults`: disarms all of them.
pub(super) async fn clear_faults(simulator: Data<Simulator>, request: HttpRequest) -> HttpResponse {
    match authenticate(&simulator, &request) {
        Ok(_) => {
            simulator.faults().clear();
            HttpResponse::Ok().content_type(ContentType::json()).body(r#"{"armed":[]}"#)
        }
        Err(refusal) => refuse(&refusal),
    }
}

const ARMED: &str = "Send JSON: {\"fault\": slow | drop_after | error_after | error_before | drop_before, \
    \"operation\"?: method | prepare | authorize | capture | cancel | refund | read | any, \"times\"?, \"delay_ms\"?}.";
