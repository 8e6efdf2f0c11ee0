//! Worldpay: the Card Payments API (v7), Payment Queries (v1) and Events of Access Worldpay, as a pure mapping.
//!
//! Invariants:
//! - Everything goes by our own references: `transactionReference` is the attempt's id, `reference` a capture's or refund's.
//!   Worldpay's searches, events and people know them, and they are known even where an answer was lost. They are also
//!   what our API shows as the provider's ids.
//! - Worldpay promises nothing about a request that is sent twice, so nothing is ever sent twice: what is in doubt is asked
//!   about, and its webhooks tell the rest.
//! - What follows an authorization goes to the link that its answer gave; see [`links`].
//! - A settlement, refund or cancellation is answered with a receipt (202). It is pending until the history or an event says
//!   that it was carried out.
//!
//! The account needs Payment Queries. There are no authentication pages in these APIs: the results of 3-D Secure would come
//! from another one.

mod answer;
mod authorize;
mod cancel;
mod capture;
mod history;
mod increment;
mod judge;
mod links;
mod recovered;
mod reference;
mod refund;
mod refusal;
mod sync;
mod webhook;

use super::{
    Auth, BadCredentials, Body, Capabilities, Connector, Credentials, Doubt, Json, Method, Operation, Progress,
    PspAnswer, PspEvent, PspRequest, Step, Unsupported, WebhookCall, WebhookRefusal,
};
use crate::money::Money;

/// Worldpay (docs.worldpay.com/access).
pub(super) struct Worldpay;

impl Connector for Worldpay {
    fn name(&self) -> &'static str {
        "worldpay"
    }

    fn capabilities(&self) -> &'static Capabilities {
        &CAPABILITIES
    }

    fn check_credentials(&self, credentials: &Credentials) -> Result<(), BadCredentials> {
        let bad = |field, reason| Err(BadCredentials { field, reason });
        let plain = |text: &str| {
            (1..=SECRET_CHARS_MAX).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
        };
        if !plain(&credentials.api_key) || credentials.api_key.contains(':') {
            return bad(
                "api_key",
                "give the user name of Access Worldpay: 1 to 255 printable characters without a colon",
            );
        }
        if !credentials.key1.as_ref().is_some_and(|password| plain(password)) {
            return bad("key1", "give the password of Access Worldpay: 1 to 255 printable characters");
        }
        if !credentials.api_secret.as_ref().is_some_and(|entity| is_entity(entity)) {
            return bad("api_secret", "give the merchant entity: 1 to 32 letters, digits and blanks, such as default");
        }
        Ok(())
    }

    fn request(&self, operation: &Operation, progress: &Progress) -> Result<PspRequest, Unsupported> {
        match operation {
            Operation::Authorize(authorize) => authorize::request(authorize),
            Operation::Increment(increment) => increment::request(increment),
            Operation::Capture(capture) => capture::request(capture),
            Operation::Cancel(cancel) => cancel::request(cancel),
            Operation::Refund(refund) => refund::request(refund),
            Operation::Sync(sync) => sync::payment_request(sync, progress),
            Operation::SyncRefund(sync) => sync::refund_request(sync, progress),
            Operation::Verify(_) => Err(Unsupported("Worldpay's card payments verify no card without an amount")),
            Operation::Complete(_) => {
                Err(Unsupported("Worldpay's card payments take nothing from a returning browser"))
            }
        }
    }

    fn outcome(&self, operation: &Operation, progress: &Progress, answer: &PspAnswer) -> Step {
        match operation {
            Operation::Authorize(authorize) => authorize::outcome(authorize, answer),
            Operation::Increment(increment) => increment::outcome(increment, answer),
            Operation::Capture(capture) => capture::outcome(capture, answer),
            Operation::Cancel(cancel) => cancel::outcome(cancel, answer),
            Operation::Refund(refund) => refund::outcome(refund, answer),
            Operation::Sync(sync) => sync::payment_outcome(sync, progress, answer),
            Operation::SyncRefund(sync) => sync::refund_outcome(sync, progress, answer),
            Operation::Verify(_) | Operation::Complete(_) => Step::InDoubt(Doubt::Unreadable),
        }
    }

    fn webhook(&self, call: &WebhookCall<'_>, credentials: &Credentials) -> Result<Vec<PspEvent>, WebhookRefusal> {
        webhook::read(call, credentials)
    }
}

/// A request that moves or reserves money.
fn post(path: impl Into<String>, body: Option<Json>) -> PspRequest {
    PspRequest {
        method: Method::Post,
        body: body.map_or(Body::Empty, Body::Json),
        moves_money: true,
        ..get(path, Vec::new(), CARD_PAYMENTS, Auth::Basic)
    }
}

/// A request that only asks.
fn get(path: impl Into<String>, query: Vec<(String, String)>, media_type: &str, auth: Auth) -> PspRequest {
    PspRequest {
        method: Method::Get,
        path: path.into(),
        query,
        auth,
        headers: vec![("Accept", media_type.to_owned()), ("Content-Type", media_type.to_owned())],
        idempotency_key: None,
        body: Body::Empty,
        moves_money: false,
    }
}

/// The amount as Worldpay takes it: minor units by ISO 4217.
fn value(money: Money) -> Result<Json, Unsupported> {
    let minor = i64::try_from(money.minor).map_err(|_| Unsupported("the amount is too large for Worldpay"))?;
    Ok(Json::object([("currency", Json::text(money.currency.as_str())), ("amount", Json::Number(minor))]))
}

fn is_entity(text: &str) -> bool {
    (1..=ENTITY_CHARS_MAX).contains(&text.len())
        && text.starts_with(|first: char| first.is_ascii_alphanumeric())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b' ')
}

const CAPABILITIES: Capabilities = Capabilities {
    partial_capture: true,
    multiple_captures: true,
    incremental: true,
    zero_amount: false,
    foreign_network_id: true,
    can_sync: true,
    authorization_days: 7,
    currencies: &[],
    networks: &[],
    three_ds: false,
    idempotent_replay_s: None,
};

const CUSTOMER_PATH: &str = "/cardPayments/customerInitiatedTransactions";
const MERCHANT_PATH: &str = "/cardPayments/merchantInitiatedTransactions";
/// The media type that chooses the API and its version.
const CARD_PAYMENTS: &str = "application/vnd.worldpay.payments-v7+json";
/// As [`CARD_PAYMENTS`].
const PAYMENT_QUERIES: &str = "application/vnd.worldpay.payment-queries-v1.hal+json";

const SECRET_CHARS_MAX: usize = 255;
const ENTITY_CHARS_MAX: usize = 32;

#[cfg(test)]
mod tests;
#[cfg(test)]
mod tls_tests;
#[cfg(test)]
mod trip_tests;
