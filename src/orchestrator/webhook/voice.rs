//! In whose words an event goes out. The outbox keeps every event in the native dialect; a payment that came through another
//! front door is told about in that door's words, translated when the event is sent.

use super::sign;
use crate::intent::Payment;
use crate::store::OutboxEvent;

/// A letter to a merchant, before it is signed.
#[derive(Debug, Clone)]
pub struct Spoken {
    /// The body.
    pub body: String,
    /// Where it goes instead of the merchant's usual receiver, where the payment named an address that may be called.
    pub url: Option<String>,
    /// Proves the body.
    pub sign: Sign,
}

/// Headers, names in lower case.
pub type Headers = Vec<(&'static str, String)>;

/// Makes the headers that prove a body, from the merchant's secrets, newest first, the body and the time in milliseconds since
/// 1970. `None`: it cannot be signed, and so it is not sent.
pub type Sign = fn(&[&str], &str, i64) -> Option<Headers>;

/// Translates events into the words of the front door by which a payment came.
pub trait Voice: Send + Sync {
    /// The event in these words; `None`: the door has no word for it, and nothing is sent.
    fn speak(&self, payment: &Payment, event: &OutboxEvent) -> Option<Spoken>;
}

/// Speaks the native dialect.
pub struct Native;

impl Voice for Native {
    fn speak(&self, _payment: &Payment, event: &OutboxEvent) -> Option<Spoken> {
        Some(Spoken { body: event.body.clone(), url: None, sign: natively })
    }
}

pub(crate) fn natively(secrets: &[&str], body: &str, now_ms: i64) -> Option<Headers> {
    sign::headers(secrets, body, now_ms).map(Vec::from)
}
