//! Events as Access Worldpay tells them, and its signature over them.

use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use serde_json::{Value, json};
use sha2::Sha256;
use uuid::Uuid;

use super::book::Payment;
use crate::bell::Letter;

/// An event about a payment. `reference` is the merchant's, of a settlement or refund.
pub(super) fn event(kind: &str, payment: &Payment, reference: Option<&str>, amount: i64, now_s: i64) -> Value {
    let classification = if kind == "informationRequested" { "chargeback" } else { "payment" };
    let told = Timestamp::from_second(now_s).unwrap_or_default().to_string();
    let day = told.get(..10).unwrap_or_default();
    let mut details = json!({
        "classification": classification,
        "transactionReference": payment.reference,
        "type": kind,
        "date": day,
        "amount": { "value": amount, "currencyCode": payment.currency },
        "_links": { "payment": { "href": "" } }
    });
    if let Some(reference) = reference {
        details["reference"] = json!(reference);
    }
    json!({
        "eventId": Uuid::new_v4().to_string(),
        "eventTimestamp": told.trim_end_matches('Z'),
        "eventDetails": details
    })
}

/// Signs as Worldpay does: `Event-Signature: {keyId}/SHA256/{hex of HMAC-SHA-256(secret, body)}`.
pub(super) fn seal(event: &Value, secret: &str, _: i64) -> Letter {
    let body = event.to_string();
    let Ok(mac) = Hmac::<Sha256>::new_from_slice(secret.as_bytes()) else {
        // HMAC takes keys of every length.
        return Letter { headers: Vec::new(), body };
    };
    let mac = mac.chain_update(&body).finalize();
    let hex: String = mac.into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    Letter { headers: vec![("Event-Signature", format!("1/SHA256/{hex}"))], body }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signature_is_over_the_body() {
        let letter = seal(&json!("what do ya want for nothing?"), "Jefe", 0);
        assert_eq!(letter.body, r#""what do ya want for nothing?""#);
        // Made with: printf '"what do ya want for nothing?"' | openssl dgst -sha256 -hmac Jefe
        let expected = "1/SHA256/6e5c2a18febccaca669ac5f4415342714850e76ba86824a3371270e6dd69956f";
        assert_eq!(letter.headers, [("Event-Signature", expected.to_owned())]);
    }
}
