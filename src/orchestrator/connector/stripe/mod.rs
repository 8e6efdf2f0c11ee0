//! Stripe: payment methods, payment intents and refunds, as a pure mapping.
//!
//! Invariants:
//! - The raw card goes to `POST /v1/payment_methods` alone, a request that moves no money; the payment intent names the
//!   payment method by its id. So a body that moves money never differs between two sendings of it (the security code
//!   can be gone by the second), and Stripe's idempotency keys hold.
//! - Every payment intent carries `payment_id` and `attempt_id` in its metadata, every refund `refund_id`: a lost answer
//!   is found again by listing, which Stripe keeps consistent (its search is not).
//! - A verification is a setup intent, told apart by its id (`seti_`) or by an amount of nothing.
//! - The API version is pinned, because the account's default would change answers under us.

mod amount;
mod answer;
mod authorize;
mod cancel;
mod capture;
mod decline;
mod increment;
mod object;
mod refund;
mod sync;
mod webhook;

use super::{
    Auth, BadCredentials, Body, Capabilities, Connector, Credentials, Doubt, Field, Method, Operation, Progress,
    PspAnswer, PspEvent, PspRequest, Step, Unsupported, WebhookCall, WebhookRefusal,
};

/// Stripe (docs.stripe.com/api).
pub(super) struct Stripe;

impl Connector for Stripe {
    fn name(&self) -> &'static str {
        "stripe"
    }

    fn capabilities(&self) -> &'static Capabilities {
        &CAPABILITIES
    }

    fn check_credentials(&self, credentials: &Credentials) -> Result<(), BadCredentials> {
        let bad = |field, reason| Err(BadCredentials { field, reason });
        let key = credentials.api_key.as_str();
        if key.starts_with("pk_") {
            return bad(
                "api_key",
                "this is a publishable key; give the secret key (sk_...) or a restricted one (rk_...)",
            );
        }
        if !(key.starts_with("sk_") || key.starts_with("rk_")) {
            return bad("api_key", "a Stripe key begins with sk_ or rk_");
        }
        let plain = key.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        if !plain || !(8..=KEY_CHARS_MAX).contains(&key.len()) {
            return bad("api_key", "a Stripe key has 8 to 255 letters, digits and underscores");
        }
        if credentials.key1.is_some() {
            return bad("key1", "Stripe takes the API key alone; leave it out");
        }
        if credentials.api_secret.is_some() {
            return bad("api_secret", "Stripe takes the API key alone; leave it out");
        }
        Ok(())
    }

    /// A key that may not list payments could not find a lost answer either.
    fn probe(&self) -> Option<PspRequest> {
        Some(get("/v1/payment_intents", vec![("limit".to_owned(), "1".to_owned())]))
    }

    fn request(&self, operation: &Operation, progress: &Progress) -> Result<PspRequest, Unsupported> {
        match operation {
            Operation::Authorize(authorize) => authorize::request(authorize, progress),
            Operation::Verify(verify) => authorize::verify_request(verify, progress),
            Operation::Increment(increment) => increment::request(increment),
            Operation::Sync(sync) => sync::payment_request(sync, progress),
            Operation::Capture(capture) => capture::request(capture),
            Operation::Cancel(cancel) => cancel::request(cancel),
            Operation::Refund(refund) => refund::request(refund),
            Operation::SyncRefund(sync) => sync::refund_request(sync, progress),
            Operation::Complete(_) => Err(Unsupported(ASK_INSTEAD)),
        }
    }

    fn outcome(&self, operation: &Operation, progress: &Progress, answer: &PspAnswer) -> Step {
        match operation {
            Operation::Authorize(authorize) => authorize::outcome(authorize, progress, answer),
            Operation::Verify(_) => authorize::verify_outcome(progress, answer),
            Operation::Increment(increment) => increment::outcome(increment, answer),
            Operation::Sync(sync) => sync::payment_outcome(sync, progress, answer),
            Operation::Capture(capture) => capture::outcome(capture, answer),
            Operation::Cancel(cancel) => cancel::outcome(cancel, answer),
            Operation::Refund(refund) => refund::outcome(refund, answer),
            Operation::SyncRefund(sync) => sync::refund_outcome(sync, progress, answer),
            // `request` makes none, so no answer can be one to it.
            Operation::Complete(_) => Step::InDoubt(Doubt::Unreadable),
        }
    }

    fn webhook(&self, call: &WebhookCall<'_>, credentials: &Credentials) -> Result<Vec<PspEvent>, WebhookRefusal> {
        webhook::read(call, credentials)
    }
}

/// A form under construction.
#[derive(Default)]
struct Form(Vec<(String, Field)>);

impl Form {
    fn text(mut self, name: &str, text: impl Into<String>) -> Self {
        self.0.push((name.to_owned(), Field::Text(text.into())));
        self
    }

    fn text_if_any(self, name: &str, text: Option<&String>) -> Self {
        match text {
            Some(text) => self.text(name, text.as_str()),
            None => self,
        }
    }

    fn slot(mut self, name: &str, slot: super::Slot) -> Self {
        self.0.push((name.to_owned(), Field::Slot(slot)));
        self
    }

    /// Asks for an object itself where Stripe would give its id.
    fn expanded(self, name: &str) -> Self {
        self.text("expand[0]", name)
    }

    /// The request that posts this form.
    fn post(self, path: impl Into<String>, idempotency_key: Option<String>) -> PspRequest {
        let moves_money = idempotency_key.is_some();
        let body = if self.0.is_empty() { Body::Empty } else { Body::Form(self.0) };
        PspRequest { method: Method::Post, idempotency_key, body, moves_money, ..get(path, Vec::new()) }
    }
}

/// A request that only asks.
fn get(path: impl Into<String>, query: Vec<(String, String)>) -> PspRequest {
    PspRequest {
        method: Method::Get,
        path: path.into(),
        query,
        auth: Auth::Bearer,
        headers: vec![("Stripe-Version", VERSION.to_owned())],
        idempotency_key: None,
        body: Body::Empty,
        moves_money: false,
    }
}

/// An id of Stripe's that may stand in a path. Ids come from answers, so they are checked like any input.
fn id_in_path(id: &str) -> Result<&str, Unsupported> {
    if answer::is_id(id) {
        Ok(id)
    } else {
        Err(Unsupported("the stored id of the payment or refund is none of Stripe's"))
    }
}

/// Whether the id is one of a verification.
fn is_setup(id: &str) -> bool {
    id.starts_with("seti_")
}

/// The merchant's reason, where it is one of the words that Stripe takes; any other text stays with us.
fn reason_of<'a>(reason: Option<&'a String>, known: &[&str]) -> Option<&'a String> {
    reason.filter(|reason| known.contains(&reason.as_str()))
}

const CAPABILITIES: Capabilities = Capabilities {
    partial_capture: true,
    multiple_captures: true,
    incremental: true,
    zero_amount: true,
    // Where Stripe has opened the parameter to the account; elsewhere the payment is made without the scheme's id.
    foreign_network_id: true,
    can_sync: true,
    authorization_days: 7,
    currencies: &[],
    networks: &[],
    three_ds: true,
    // Stripe: "You can remove keys from the system automatically after they're at least 24 hours old."
    idempotent_replay_s: Some(24 * 3600),
};

/// The first version in which the charge is read by `expand[]=latest_charge`, where Stripe tells whether several captures
/// and increments are offered (`payment_method_details.card.multicapture` and `.incremental_authorization`); in the
/// versions before it a payment intent lists its charges instead. Parameters that are younger (`final_capture`,
/// `request_multicapture`, `request_incremental_authorization`) are additions, which Stripe makes to every version; what
/// later versions change (defaults of `capture_method` and of `automatic_payment_methods`) is named in each request.
const VERSION: &str = "2022-11-15";

const ASK_INSTEAD: &str = "Stripe judges what the browser brought back by itself; ask about the payment instead";

const KEY_CHARS_MAX: usize = 255;

#[cfg(test)]
mod alive_tests;

#[cfg(test)]
mod tests {
    use zeroize::Zeroizing;

    use super::*;

    fn check(api_key: &str, key1: Option<&str>) -> Option<&'static str> {
        let part = |text: &str| Zeroizing::new(text.to_owned());
        let credentials =
            Credentials { api_key: part(api_key), key1: key1.map(part), api_secret: None, webhook_secret: None };
        Stripe.check_credentials(&credentials).err().map(|bad| bad.field)
    }

    #[test]
    fn keys_that_cannot_be_secret_keys_of_stripe_are_refused() {
        assert_eq!(check("sk_test_123456", None), None);
        assert_eq!(check("rk_test_123456", None), None);
        let long = format!("sk_{}", "a".repeat(KEY_CHARS_MAX));
        for wrong in ["", "pk_test_123456", "whsec_123456", "sk_", "sk_test_12 3456", "sk_test_12\n3456", &long] {
            assert_eq!(check(wrong, None), Some("api_key"), "{} characters", wrong.len());
        }
        assert_eq!(check("sk_test_123456", Some("x")), Some("key1"));
    }

    #[test]
    fn id_that_would_leave_its_path_is_refused() {
        for bad in ["", "pi_1/../../v1/refunds", "pi_1?expand=x", "pi 1", "pi_%2f"] {
            assert!(id_in_path(bad).is_err(), "{bad}");
        }
        assert!(id_in_path("pi_3MtwBwLkdIwHu7ix28a3tqPa").is_ok());
    }
}
