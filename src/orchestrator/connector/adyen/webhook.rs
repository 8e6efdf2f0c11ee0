//! Standard webhooks: each notification is verified, then read.
//!
//! The signature (docs.adyen.com/development-resources/webhooks/secure-webhooks/verify-hmac-signatures):
//!
//! ```text
//! base64(HMAC-SHA256(key, pspReference ":" originalReference ":" merchantAccountCode ":" merchantReference ":"
//!                         amount.value ":" amount.currency ":" eventCode ":" success))
//! ```
//!
//! It covers these eight fields and no time, so an old notification can be sent again by whoever has it: duplicates are
//! known by their id. What it does not cover (the reason, the additional data) is taken as words for people, the kind of a
//! decline and the scheme's transaction id, never as a statement about money.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use serde::Deserialize;
use sha2::Sha256;
use strongroom_wire::limits;
use zeroize::Zeroizing;

use super::amount::Amount;
use super::event;
use crate::connector::{Credentials, PspEvent, WebhookCall, WebhookRefusal};

/// One notification, its signature checked.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Item {
    pub(super) psp_reference: String,
    #[serde(default)]
    pub(super) original_reference: Option<String>,
    pub(super) merchant_account_code: String,
    pub(super) merchant_reference: String,
    pub(super) amount: Amount,
    pub(super) event_code: String,
    pub(super) success: String,
    pub(super) event_date: Option<String>,
    pub(super) reason: Option<String>,
    #[serde(rename = "additionalData", default)]
    notes: serde_json::Map<String, serde_json::Value>,
}

impl Item {
    /// A text of the additional data. Not covered by the signature.
    pub(super) fn noted(&self, name: &str) -> Option<&str> {
        self.notes.get(name)?.as_str()
    }

    /// What the signature is over. `None` if a field holds a colon: the borders between the fields could then be elsewhere
    /// than where they were when it was signed. Nothing of ours, and no field that Adyen fills, holds one.
    fn signed(&self) -> Option<String> {
        let value = self.amount.value.to_string();
        let fields = [
            self.psp_reference.as_str(),
            self.original_reference.as_deref().unwrap_or(""),
            &self.merchant_account_code,
            &self.merchant_reference,
            &value,
            &self.amount.currency,
            &self.event_code,
            &self.success,
        ];
        fields.iter().all(|field| !field.contains(':')).then(|| fields.join(":"))
    }

    /// Compared in constant time.
    fn is_signed_with(&self, key: &[u8; KEY_BYTES]) -> bool {
        let (Some(text), Some(signature)) = (self.signed(), self.noted("hmacSignature")) else {
            return false;
        };
        let Ok(signature) = STANDARD.decode(signature) else {
            return false;
        };
        Hmac::<Sha256>::new_from_slice(key)
            .is_ok_and(|mac| mac.chain_update(text.as_bytes()).verify_slice(&signature).is_ok())
    }
}

/// Verifies every notification, then reads them, oldest first.
pub(super) fn read(call: &WebhookCall<'_>, credentials: &Credentials) -> Result<Vec<PspEvent>, WebhookRefusal> {
    let key = credentials.webhook_secret.as_ref().and_then(|text| key(text)).ok_or(WebhookRefusal::NoSecret)?;
    // The signatures are inside, so what cannot be read has none.
    let notice: Notice = serde_json::from_slice(call.body).map_err(|_| WebhookRefusal::Signature)?;
    let mut items: Vec<Item> = notice.notification_items.into_iter().map(|wrapped| wrapped.item).collect();
    if items.is_empty() || items.len() > limits::WEBHOOK_EVENTS_MAX {
        return Err(WebhookRefusal::Signature);
    }
    // All or nothing: Adyen sends again what was not taken.
    if !items.iter().all(|item| item.is_signed_with(&key)) {
        return Err(WebhookRefusal::Signature);
    }
    items.sort_by_key(|item| item.event_date.as_deref().and_then(event::time_ms));
    // A key can be shared by the accounts of a company; what concerns another account is acknowledged and no more.
    let account = credentials.key1.as_ref().map_or("", |key1| key1.as_str());
    Ok(items.iter().map(|item| event::of(item, account)).collect())
}

/// The HMAC key, which Adyen shows as hexadecimal digits. `None` if the text is none.
pub(super) fn key(text: &str) -> Option<Zeroizing<[u8; KEY_BYTES]>> {
    let mut key = Zeroizing::new([0; KEY_BYTES]);
    if text.len() != 2 * KEY_BYTES || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    for (byte, digits) in key.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        let digits = std::str::from_utf8(digits).ok()?;
        *byte = u8::from_str_radix(digits, 16).ok()?;
    }
    Some(key)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Notice {
    notification_items: Vec<Wrapped>,
}

#[derive(Deserialize)]
struct Wrapped {
    #[serde(rename = "NotificationRequestItem")]
    item: Item,
}

const KEY_BYTES: usize = 32;

#[cfg(test)]
#[path = "webhook_tests.rs"]
mod tests;
