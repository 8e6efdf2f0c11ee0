//! The webhooks of the provider in memory: JSON under HMAC-SHA256 in `rig-signature`.

use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};
use sha2::Sha256;

use crate::connector::{About, Credentials, Outcome, PspEvent, Told, WebhookCall, WebhookRefusal};

/// What the provider signs with.
pub(crate) const SECRET: &str = "whsec_rig";

/// The signature of a body.
pub(crate) fn signature(secret: &str, body: &[u8]) -> String {
    let mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap().chain_update(body);
    mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A body with one event about a payment.
pub(crate) fn body(event_id: &str, attempt_id: &str, what: &str, outcome: &Outcome) -> Value {
    json!([{"event_id": event_id, "attempt_id": attempt_id, "what": what, "outcome": outcome}])
}

pub(super) fn read(call: &WebhookCall<'_>, credentials: &Credentials) -> Result<Vec<PspEvent>, WebhookRefusal> {
    let secret = credentials.webhook_secret.as_ref().ok_or(WebhookRefusal::NoSecret)?;
    let sent = call.headers.iter().find(|(name, _)| name == "rig-signature").map(|(_, value)| value.as_str());
    if sent != Some(&signature(secret, call.body)) {
        return Err(WebhookRefusal::Signature);
    }
    let events: Vec<Value> = serde_json::from_slice(call.body).map_err(|_| WebhookRefusal::Unreadable)?;
    events.iter().map(|event| of(event).ok_or(WebhookRefusal::Unreadable)).collect()
}

fn of(event: &Value) -> Option<PspEvent> {
    let text = |name: &str| event[name].as_str().map(str::to_owned);
    let outcome = serde_json::from_value::<Outcome>(event["outcome"].clone());
    let what = match event["what"].as_str()? {
        "nothing" => Told::Nothing,
        "look" => Told::Look,
        "payment" => Told::Payment(outcome.ok()?),
        "refund" => Told::Refund { refund_id: text("refund_id"), psp_refund_id: None, outcome: outcome.ok()? },
        _ => return None,
    };
    let about = About { attempt_id: text("attempt_id"), payment_id: text("payment_id"), psp_id: text("psp_id") };
    Some(PspEvent { event_id: text("event_id")?, about, what })
}
