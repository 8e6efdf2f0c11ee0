//! Notifications as Adyen tells them, and its signature over them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use serde_json::{Value, json};
use sha2::Sha256;
use zeroize::Zeroizing;

use super::book::Payment;
use crate::bell::Letter;

/// What a notification is about.
pub(super) struct Told<'a> {
    /// `eventCode`.
    pub(super) code: &'static str,
    /// Its own reference of Adyen's; that of the payment for `AUTHORISATION`.
    pub(super) psp_reference: &'a str,
    /// The merchant's reference for it.
    pub(super) merchant_reference: &'a str,
    /// How much.
    pub(super) amount: i64,
    /// Why it failed; empty when it succeeded.
    pub(super) reason: &'a str,
    /// Whether it succeeded.
    pub(super) success: bool,
    /// More texts.
    pub(super) notes: Value,
}

/// A notification about a payment, unsigned.
pub(super) fn of(payment: &Payment, told: &Told<'_>, now_s: i64) -> Value {
    let mut event = json!({
        "additionalData": told.notes,
        "amount": { "currency": payment.currency, "value": told.amount },
        "eventCode": told.code,
        "eventDate": Timestamp::from_second(now_s).unwrap_or_default().to_string(),
        "merchantAccountCode": payment.merchant_account,
        "merchantReference": told.merchant_reference,
        "paymentMethod": payment.variant(),
        "pspReference": told.psp_reference,
        "reason": told.reason,
        "success": if told.success { "true" } else { "false" },
    });
    // The payment's own notification has no original.
    if told.psp_reference != payment.psp_reference {
        event["originalReference"] = json!(payment.psp_reference);
    }
    event
}

/// Signs as Adyen does: base64 of HMAC-SHA-256 over eight fields, under a key that is shown as hexadecimal digits; the
/// signature stands inside the body. With a secret that is no such key the notification goes out unsigned.
pub(super) fn seal(event: &Value, secret: &str, _: i64) -> Letter {
    let mut item = event.clone();
    if let Some(signature) = key(secret).and_then(|key| sign(&item, &key)) {
        item["additionalData"]["hmacSignature"] = json!(signature);
    }
    let body = json!({ "live": "false", "notificationItems": [{ "NotificationRequestItem": item }] });
    Letter { headers: Vec::new(), body: body.to_string() }
}

fn sign(item: &Value, key: &[u8]) -> Option<String> {
    let text = |name: &str| item[name].as_str().unwrap_or_default().to_owned();
    let signed = [
        text("pspReference"),
        text("originalReference"),
        text("merchantAccountCode"),
        text("merchantReference"),
        item["amount"]["value"].to_string(),
        item["amount"]["currency"].as_str().unwrap_or_default().to_owned(),
        text("eventCode"),
        text("success"),
    ];
    let mac = Hmac::<Sha256>::new_from_slice(key).ok()?.chain_update(signed.join(":"));
    Some(STANDARD.encode(mac.finalize().into_bytes()))
}

fn key(secret: &str) -> Option<Zeroizing<Vec<u8>>> {
    let digits = secret.as_bytes();
    if digits.is_empty() || !digits.len().is_multiple_of(2) || !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    let mut key = Zeroizing::new(Vec::with_capacity(digits.len() / 2));
    for pair in digits.chunks_exact(2) {
        key.push(u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?);
    }
    Some(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signature_is_the_one_that_adyen_publishes_for_its_example() {
        let item = json!({"pspReference": "7914073381342284", "originalReference": "",
            "merchantAccountCode": "TestMerchant", "merchantReference": "TestPayment-1407325143704",
            "amount": {"value": 1130, "currency": "EUR"}, "eventCode": "AUTHORISATION", "success": "true",
            "additionalData": {}});
        let letter = seal(&item, "44782DEF547AAA06C910C43932B1EB0C71FC68D9D0C057550C48EC2ACF6BA056", 0);
        let body: Value = serde_json::from_str(&letter.body).expect("JSON");
        let signed = &body["notificationItems"][0]["NotificationRequestItem"]["additionalData"]["hmacSignature"];
        assert_eq!(signed, "coqCmt/IZ4E3CzPvMY8zTjQVL5hYJUiBRg8UU+iCWo0=");
    }

    #[test]
    fn secret_that_is_no_key_signs_nothing() {
        for secret in ["", "abc", "not hexadecimal"] {
            let letter = seal(&json!({"additionalData": {}, "amount": {}}), secret, 0);
            assert!(!letter.body.contains("hmacSignature"), "{secret}");
        }
    }
}
