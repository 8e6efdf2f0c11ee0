//! Events as Stripe tells them, and its signature over them.

use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;

use super::book::fresh_id;
use crate::bell::Letter;

/// An event about an object, as it stands now.
pub(super) fn event(kind: &str, object: Value, now_s: i64) -> Value {
    json!({
        "id": fresh_id("evt"),
        "object": "event",
        "api_version": API_VERSION,
        "created": now_s,
        "data": { "object": object },
        "livemode": false,
        "pending_webhooks": 1,
        "request": { "id": null, "idempotency_key": null },
        "type": kind
    })
}

/// Signs as Stripe does: `Stripe-Signature: t={seconds},v1={hex of HMAC-SHA-256(secret, "{t}.{body}")}`.
pub(super) fn seal(event: &Value, secret: &str, now_s: i64) -> Letter {
    let body = event.to_string();
    let Ok(mac) = Hmac::<Sha256>::new_from_slice(secret.as_bytes()) else {
        // HMAC takes keys of every length.
        return Letter { headers: Vec::new(), body };
    };
    let mac = mac.chain_update(now_s.to_string()).chain_update(".").chain_update(&body).finalize();
    let hex: String = mac.into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    Letter { headers: vec![("Stripe-Signature", format!("t={now_s},v1={hex}"))], body }
}

/// The version that webhook endpoints of the simulator are made with.
const API_VERSION: &str = "2022-11-15";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signature_is_over_time_and_body() {
        let letter = seal(&json!({ "id": "evt_1" }), "whsec_test", 1_700_000_000);
        assert_eq!(letter.body, r#"{"id":"evt_1"}"#);
        // Made with: printf '1700000000.{"id":"evt_1"}' | openssl dgst -sha256 -hmac whsec_test
        let expected = "t=1700000000,v1=c89214b5b5da833daed6f0b8c5bb6bd58cea9022bd80ccc78230f3942d632925";
        assert_eq!(letter.headers, [("Stripe-Signature", expected.to_owned())]);
    }
}
