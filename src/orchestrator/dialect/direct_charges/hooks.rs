//! `charge.completed`: what the merchant is told when a charge has ended.

use base64::Engine as _;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};
use sha2::Sha256;

use super::note::{Note, renamed};
use super::show;
use crate::intent::Payment;
use crate::store::OutboxEvent;
use crate::webhook::{EventType, Headers, Spoken};

/// An event about a payment that came through this door, in its words. Of what is on its way, of refunds and of disputes the
/// dialect has no word.
pub(in crate::dialect) fn speak(payment: &Payment, event: &OutboxEvent) -> Option<Spoken> {
    let kind = EventType::of_word(&event.event_type)?;
    let ended =
        [EventType::PaymentSucceeded, EventType::PaymentFailed, EventType::PaymentCancelled, EventType::PaymentExpired];
    if !ended.contains(&kind) {
        return None;
    }
    let told: Value = serde_json::from_str(&event.body).ok()?;
    let body = json!({
        "webhook_id": renamed(&event.event_id, "evt_", "wbk_"),
        "timestamp": event.created_ms,
        "type": "charge.completed",
        "data": show::charge(&told["content"]["object"], &Note::of(payment)?),
    });
    Some(Spoken { body: body.to_string(), url: None, sign })
}

/// The header has room for one signature: that of the newest secret.
fn sign(secrets: &[&str], body: &str, _now_ms: i64) -> Option<Headers> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secrets.first()?.as_bytes()).ok()?;
    mac.update(body.as_bytes());
    let signature = base64::engine::general_purpose::STANDARD.encode(mac.finalize().into_bytes());
    Some(vec![(SIGNATURE, signature)])
}

const SIGNATURE: &str = "flutterwave-signature";

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 4231, test case 2, in base64.
    #[test]
    fn the_signature_is_that_of_other_implementations() {
        let signed = sign(&["Jefe", "older"], "what do ya want for nothing?", 0).unwrap();
        assert_eq!(signed, [(SIGNATURE, "W9zBRr9gdU5qBCQmCJV1x1oAPwidJzmDnexYuWTsOEM=".to_owned())]);
        assert!(sign(&[], "{}", 0).is_none(), "nothing is sent unsigned");
    }
}
