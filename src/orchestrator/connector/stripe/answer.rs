//! Stripe's answers, read strictly where money hangs on them and tolerantly everywhere else: added fields are no error, a
//! missing status is. What their objects prove is said in `object.rs`.

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::decline::kind;
use crate::connector::{Decline, Doubt, PspAnswer, Refusal};

/// What an answer says.
pub(super) enum Said<T> {
    /// 200 with an object of the right shape.
    Object(T),
    /// A refusal in Stripe's error envelope.
    Problem(u16, Box<Problem>),
    /// Nothing that proves what happened.
    Doubt(Doubt),
}

/// Stripe's `error` object; also `last_payment_error`.
#[derive(Deserialize)]
pub(super) struct Problem {
    #[serde(rename = "type")]
    kind: Option<String>,
    code: Option<String>,
    decline_code: Option<String>,
    advice_code: Option<String>,
    message: Option<String>,
    param: Option<String>,
    pub(super) payment_intent: Option<Brief>,
    pub(super) setup_intent: Option<Brief>,
}

/// The payment intent or setup intent inside an error.
#[derive(Deserialize)]
pub(super) struct Brief {
    pub(super) id: String,
    pub(super) status: Option<String>,
}

#[derive(Deserialize)]
struct Envelope {
    error: Problem,
}

/// Reads an answer. Only a status that Stripe gives to requests it has not carried out counts as a refusal
/// (docs.stripe.com/api/errors); all else leaves doubt.
pub(super) fn read<T: DeserializeOwned>(answer: &PspAnswer) -> Said<T> {
    match answer.status {
        200 => serde_json::from_slice(&answer.body).map_or(Said::Doubt(Doubt::Unreadable), Said::Object),
        400..=404 | 409 | 429 => match serde_json::from_slice::<Envelope>(&answer.body) {
            Ok(Envelope { error }) if error.kind.as_deref() == Some("idempotency_error") && answer.status == 400 => {
                Said::Doubt(Doubt::KeyReused)
            }
            // Stripe could not lock the object, so it did nothing; any other conflict is our own request still running.
            Ok(Envelope { error }) if answer.status != 409 || error.code.as_deref() == Some("lock_timeout") => {
                Said::Problem(answer.status, Box::new(error))
            }
            Ok(_) => Said::Doubt(Doubt::StillRunning),
            Err(_) => Said::Doubt(Doubt::Unreadable),
        },
        424 | 500..=599 => Said::Doubt(Doubt::ServerFault),
        _ => Said::Doubt(Doubt::Unreadable),
    }
}

impl Problem {
    /// The problem as a decline of the card.
    pub(super) fn decline(&self, psp_id: Option<String>) -> Decline {
        let code = self.code.as_deref().map_or("card_declined".to_owned(), word);
        let decline_code = self.decline_code.as_deref().map(word);
        let kind = kind(&code, decline_code.as_deref(), self.advice_code.as_deref());
        Decline { psp_id, code, decline_code, message: words(self.message.as_deref()), kind }
    }

    /// The problem as a refusal of the request. Stripe's own texts about keys show a part of the key, so ours stand in.
    pub(super) fn refusal(&self, status: u16) -> Refusal {
        match status {
            401 => refusal("authentication_failed", "Stripe did not accept the API key."),
            403 => refusal("permission_denied", "The API key does not permit this."),
            429 => refusal("rate_limit", "Stripe asked to slow down."),
            _ => Refusal {
                code: self.code.as_deref().map_or("invalid_request".to_owned(), word),
                message: words(self.message.as_deref()),
            },
        }
    }

    /// Stripe's error code.
    pub(super) fn is(&self, code: &str) -> bool {
        self.code.as_deref() == Some(code)
    }

    /// Whether Stripe does not know this parameter, or one below it: nothing was done.
    pub(super) fn knows_not(&self, param: &str) -> bool {
        self.is("parameter_unknown") && self.param.as_deref().is_some_and(|named| named.starts_with(param))
    }

    /// The payment intent or setup intent that the error names.
    pub(super) fn subject(&self) -> Option<&Brief> {
        self.payment_intent.as_ref().or(self.setup_intent.as_ref())
    }

    /// Its id, if it can be one.
    pub(super) fn psp_id(&self) -> Option<String> {
        self.subject().map(|intent| intent.id.clone()).filter(|id| is_id(id))
    }
}

/// A refusal in our words.
pub(super) fn refusal(code: &str, message: &str) -> Refusal {
    Refusal { code: code.to_owned(), message: message.to_owned() }
}

/// Whether a text can be an id of Stripe's.
pub(super) fn is_id(text: &str) -> bool {
    (1..=ID_CHARS_MAX).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// A code of Stripe's, or `unknown` for what does not look like one.
pub(super) fn word(text: &str) -> String {
    let plain = (1..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    if plain { text.to_owned() } else { "unknown".to_owned() }
}

/// A message of Stripe's, made safe to store and to show: short, without control characters, and without any run of
/// digits that could be a part of a card number.
fn words(text: Option<&str>) -> String {
    let text = text.unwrap_or("Stripe gave no reason.");
    let mut safe = String::new();
    let mut digits = 0;
    for letter in text.chars().filter(|letter| !letter.is_control()).take(MESSAGE_CHARS_MAX) {
        if letter.is_numeric() {
            digits += 1;
            safe.push(letter);
        } else if matches!(letter, ' ' | '-') && digits > 0 {
            safe.push(letter);
        } else {
            hide(&mut safe, &mut digits);
            safe.push(letter);
        }
    }
    hide(&mut safe, &mut digits);
    safe
}

/// Replaces the run of digits (and blanks between them) at the end, once it is longer than a date or an amount.
fn hide(safe: &mut String, digits: &mut usize) {
    if *digits > DIGITS_MAX {
        let kept = safe.trim_end_matches(|letter: char| letter.is_numeric() || matches!(letter, ' ' | '-')).len();
        safe.truncate(kept);
        safe.push_str(" [hidden] ");
    }
    *digits = 0;
}

const ID_CHARS_MAX: usize = 255;
const MESSAGE_CHARS_MAX: usize = 300;
const DIGITS_MAX: usize = 8;

#[cfg(test)]
mod tests {
    use super::super::object::Named;
    use super::*;

    #[test]
    fn card_number_in_a_message_is_hidden_however_it_is_written() {
        for number in ["4242424242424242", "4242 4242 4242 4242", "4242-4242-4242-4242"] {
            let said = words(Some(&format!("No such card: {number}. Try 2 more times before 2026-11-15.")));
            assert!(!said.contains("4242"), "{said}");
            assert!(said.contains("Try 2 more times"), "{said}");
        }
        assert_eq!(words(Some("Your card\u{7} was declined.")), "Your card was declined.");
        assert_eq!(words(Some(&"x".repeat(10_000))).len(), MESSAGE_CHARS_MAX);
    }

    #[test]
    fn code_that_is_no_code_is_not_repeated() {
        assert_eq!(word("insufficient_funds"), "insufficient_funds");
        for odd in ["", "4242424242424242", "<script>", &"x".repeat(65)] {
            assert_eq!(word(odd), "unknown");
        }
    }

    #[test]
    fn status_that_proves_nothing_leaves_doubt() {
        let said = |status, body: &str| match read::<Named>(&PspAnswer { status, body: body.as_bytes().to_vec() }) {
            Said::Doubt(doubt) => Some(doubt),
            _ => None,
        };
        let error = r#"{"error":{"type":"api_error"}}"#;
        for status in [424, 500, 502, 503, 504] {
            assert_eq!(said(status, error), Some(Doubt::ServerFault), "{status}");
        }
        for (status, body) in [(200, "{"), (200, "[]"), (302, ""), (204, ""), (400, "<html>"), (402, "{}")] {
            assert_eq!(said(status, body), Some(Doubt::Unreadable), "{status}");
        }
        assert_eq!(said(409, error), Some(Doubt::StillRunning));
        assert_eq!(said(409, r#"{"error":{"type":"invalid_request_error","code":"lock_timeout"}}"#), None);
        assert_eq!(said(400, r#"{"error":{"type":"idempotency_error"}}"#), Some(Doubt::KeyReused));
        assert_eq!(said(200, r#"{"id":"pm_1","a_new_field":{"x":1}}"#), None);
    }
}
