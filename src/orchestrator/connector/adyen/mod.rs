//! Adyen (Checkout API, version 71), as a pure mapping.
//!
//! Invariants:
//! - Adyen cannot be asked about a payment. What became of a call is told by its answer, by a webhook, or by the same call
//!   under the same idempotency key, which Adyen answers from memory for a week.
//! - Every request carries a reference of ours (`reference.rs`), which Adyen gives back in the part of its webhooks that the
//!   signature covers.
//! - Captures, cancellations, refunds and changes of amount are `received` first and happen later: they are
//!   [`Outcome::Pending`](super::Outcome::Pending) until their webhook comes.
//! - The card goes to `/payments` itself and is never stored at Adyen. Where a request is repeated after its security code
//!   is gone, its body is shorter; if the first one arrived, Adyen still answers with the first result.
//!
//! **Automatic capture.** Adyen answers `Authorised` and captures by itself, at once when it is told a delay of 0 hours; it
//! sends no further word unless something goes wrong. Waiting for a word that never comes would leave every payment
//! unfinished, so `Authorised` to such a request is claimed as `Captured`. The claim rests on Adyen's promise, not on money
//! seen to move. A `CAPTURE_FAILED` webhook takes it back, as a `Told::Capture` without a capture id; a merchant who wants to
//! see money move first captures by hand.
//!
//! **Several captures** must be switched on for the merchant account by Adyen. Without it Adyen releases the rest after the
//! first capture and refuses the second; with it the rest stays reserved after a last capture in part, until it is
//! cancelled or runs out.

mod amount;
mod answer;
mod authorize;
mod decline;
mod event;
mod modify;
mod payer;
mod reference;
mod webhook;

use super::{
    AccountPart, Auth, BadCredentials, Body, Capabilities, Connector, Credentials, Doubt, Json, Method, Operation,
    Progress, PspAnswer, PspEvent, PspRequest, Step, Unsupported, WebhookCall, WebhookRefusal,
};

/// Adyen (docs.adyen.com).
pub(super) struct Adyen;

impl Connector for Adyen {
    fn name(&self) -> &'static str {
        "adyen"
    }

    fn capabilities(&self) -> &'static Capabilities {
        &CAPABILITIES
    }

    fn check_credentials(&self, credentials: &Credentials) -> Result<(), BadCredentials> {
        let bad = |field, reason| Err(BadCredentials { field, reason });
        let key = credentials.api_key.as_str();
        if !(KEY_CHARS_MIN..=KEY_CHARS_MAX).contains(&key.len()) || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
            return bad("api_key", "an API key of Adyen's has 16 to 512 visible ASCII characters");
        }
        let Some(account) = &credentials.key1 else {
            return bad("key1", "give the merchant account");
        };
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
        if !(1..=ACCOUNT_CHARS_MAX).contains(&account.len()) || !account.bytes().all(plain) {
            return bad("key1", "a merchant account has 1 to 80 letters, digits, underscores and hyphens");
        }
        if credentials.api_secret.is_some() {
            return bad("api_secret", "Adyen takes an API key and a merchant account; leave it out");
        }
        if credentials.webhook_secret.as_ref().is_some_and(|key| webhook::key(key).is_none()) {
            return bad("webhook_secret", "the HMAC key of the webhook is 64 hexadecimal digits");
        }
        Ok(())
    }

    fn request(&self, operation: &Operation, _: &Progress) -> Result<PspRequest, Unsupported> {
        match operation {
            Operation::Authorize(authorize) | Operation::Verify(authorize) => authorize::request(authorize),
            Operation::Complete(complete) => authorize::complete_request(complete),
            Operation::Capture(capture) => modify::capture_request(capture),
            Operation::Cancel(cancel) => modify::cancel_request(cancel),
            Operation::Increment(increment) => modify::increment_request(increment),
            Operation::Refund(refund) => modify::refund_request(refund),
            Operation::Sync(_) | Operation::SyncRefund(_) => Err(Unsupported("Adyen cannot be asked; it tells")),
        }
    }

    fn outcome(&self, operation: &Operation, _: &Progress, answer: &PspAnswer) -> Step {
        match operation {
            Operation::Authorize(authorize) | Operation::Verify(authorize) => authorize::outcome(authorize, answer),
            Operation::Complete(complete) => authorize::complete_outcome(complete, answer),
            Operation::Capture(capture) => modify::capture_outcome(capture, answer),
            Operation::Cancel(cancel) => modify::cancel_outcome(cancel, answer),
            Operation::Increment(increment) => modify::increment_outcome(increment, answer),
            Operation::Refund(refund) => modify::refund_outcome(refund, answer),
            Operation::Sync(_) | Operation::SyncRefund(_) => Step::InDoubt(Doubt::Unreadable),
        }
    }

    fn needs_return(&self) -> bool {
        true
    }

    fn webhook(&self, call: &WebhookCall<'_>, credentials: &Credentials) -> Result<Vec<PspEvent>, WebhookRefusal> {
        webhook::read(call, credentials)
    }

    /// Adyen repeats a webhook until it reads this.
    fn webhook_receipt(&self) -> &'static str {
        "[accepted]"
    }
}

/// A request that posts this body.
fn post(path: String, idempotency_key: &str, body: Json) -> PspRequest {
    PspRequest {
        method: Method::Post,
        path,
        query: Vec::new(),
        auth: Auth::Header("x-api-key"),
        headers: Vec::new(),
        idempotency_key: Some(idempotency_key.to_owned()),
        body: Body::Json(body),
        moves_money: true,
    }
}

/// The merchant account.
fn account() -> Json {
    Json::Account(AccountPart::Key1)
}

/// Whether a text can be a reference of Adyen's. None of ours can: they have underscores.
fn is_psp_reference(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// Error codes that say that the card itself cannot be one (docs.adyen.com/development-resources/error-codes): its number,
/// its brand, its security code, its expiry.
const CARD_PROBLEMS: &[&str] = &["101", "102", "103", "129", "153"];

const CAPABILITIES: Capabilities = Capabilities {
    partial_capture: true,
    multiple_captures: true,
    incremental: true,
    zero_amount: true,
    foreign_network_id: true,
    can_sync: false,
    // Adyen gives an authorization up after 28 days; most schemes guarantee it for seven.
    authorization_days: 7,
    currencies: &[],
    networks: &[],
    three_ds: true,
    // Adyen: keys are valid for at least seven days after the first submission.
    idempotent_replay_s: Some(7 * 24 * 3600),
};

const KEY_CHARS_MIN: usize = 16;
const KEY_CHARS_MAX: usize = 512;
const ACCOUNT_CHARS_MAX: usize = 80;

#[cfg(test)]
mod trip_tests;

#[cfg(test)]
mod tests {
    use zeroize::Zeroizing;

    use super::*;

    fn check(api_key: &str, key1: Option<&str>, webhook_secret: Option<&str>) -> Option<&'static str> {
        let part = |text: &str| Zeroizing::new(text.to_owned());
        let credentials = Credentials {
            api_key: part(api_key),
            key1: key1.map(part),
            api_secret: None,
            webhook_secret: webhook_secret.map(part),
        };
        Adyen.check_credentials(&credentials).err().map(|bad| bad.field)
    }

    #[test]
    fn credentials_that_cannot_be_of_adyen_are_refused() {
        let key = "AQEyhmfxK4zMaBxEw0m/n3Q5";
        let hmac = "4B".repeat(32);
        assert_eq!(check(key, Some("ShopAccount_ECOM"), Some(&hmac)), None);
        assert_eq!(check(key, Some("ShopAccount_ECOM"), None), None);
        for wrong in ["", "short", "AQEyhmfxK4zMaBx\n0m/n3Q5", &"A".repeat(KEY_CHARS_MAX + 1)] {
            assert_eq!(check(wrong, Some("Shop"), None), Some("api_key"), "{} characters", wrong.len());
        }
        for wrong in [None, Some(""), Some("Shop:1"), Some("Shop 1")] {
            assert_eq!(check(key, wrong, None), Some("key1"), "{wrong:?}");
        }
        for wrong in ["", "44782D", "not hexadecimal", &hmac[1..], &format!("{hmac}00")] {
            assert_eq!(check(key, Some("Shop"), Some(wrong)), Some("webhook_secret"), "{wrong}");
        }
    }
}
