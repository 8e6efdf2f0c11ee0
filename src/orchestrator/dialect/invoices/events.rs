//! What happened: a webhook carries the id and the type alone, and whoever gets one asks here, so that nobody has to trust it.

use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use serde_json::{Value, json};

use super::orders::{is_invoice, note};
use super::wrong::{Wrong, good};
use super::{auth, names, words};
use crate::api::Api;
use crate::clock::rfc3339;
use crate::intent::{Fault, Payment};
use crate::store::OutboxEvent;
use crate::webhook::{Headers, Spoken, natively};

/// An event about an invoice: where it goes and what it says.
pub(in crate::dialect) fn speak(payment: &Payment, event: &OutboxEvent) -> Option<Spoken> {
    let kind = words::event_type(&event.event_type).filter(|_| is_invoice(payment))?;
    let body = json!({"event_id": names::renamed(&event.event_id, "evt_", "ev_"), "event_type": kind});
    let url = note(payment).get("webhook_url").and_then(Value::as_str).map(str::to_owned);
    Some(Spoken { body: body.to_string(), url, sign })
}

/// Our signature, where the merchant has a secret for it; this dialect asks for none, because nothing in a letter is trusted.
fn sign(secrets: &[&str], body: &str, now_ms: i64) -> Option<Headers> {
    Some(natively(secrets, body, now_ms).unwrap_or_default())
}

/// `GET /events/{id}`.
pub(super) async fn retrieve(api: Data<Api>, request: HttpRequest, id: Path<String>) -> Result<HttpResponse, Wrong> {
    let merchant = auth::server(&api, &request).await?;
    let missing = || Wrong::not_found("event");
    let name = id.strip_prefix("ev_").ok_or_else(missing)?;
    let event = api.engine.store().outbox_event(&merchant, &format!("evt_{name}")).await?.ok_or_else(missing)?;
    let (payment, _) = api.engine.payment(&merchant, &event.payment_id).await?;
    let kind = words::event_type(&event.event_type).filter(|_| is_invoice(&payment)).ok_or_else(missing)?;
    let told: Value = serde_json::from_str(&event.body).map_err(|_| Fault::Internal)?;
    let object = &told["content"]["object"];
    let mut content = json!({"name": kind});
    if object["refund_id"].is_string() {
        content["refund"] = words::refund(object);
    } else if object["dispute_id"].is_string() {
        content["chargeback"] = words::chargeback(object);
    }
    // An event about a refund or a dispute holds no picture of the payment, so that one is of now.
    let is_whole = object["client_secret"].is_string();
    content["transaction"] = if is_whole {
        let mut native = object.clone();
        native[words::DECLINED] = words::is_declined(&payment).into();
        words::transaction(&native)
    } else {
        words::transaction(&words::native(&payment))
    };
    Ok(good(
        "event",
        json!({
            "id": id.as_str(),
            "project_id": merchant,
            "name": kind,
            "data": content,
            "fired_at": rfc3339(event.created_ms),
        }),
    ))
}
