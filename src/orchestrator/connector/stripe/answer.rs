//! Stripe's answers, read strictly where money hangs on them and tolerantly everywhere else: added fields are no error, a
//! missing status is.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::amount::from_stripe;
use super::decline::kind;
use crate::connector::{Decline, Doubt, Handles, Outcome, PspAnswer, Refusal, Step};
use crate::money::Money;

/// What an answer says.
pub(super) enum Said<T> {
    /// 200 with an object of the right shape.
    Object(T),
    /// A refusal in Stripe's error envelope.
    Problem(u16, Box<Problem>),
    /// Nothing that proves what happened.
    Doubt(Doubt),
}

/// A `payment_intent`.
#[derive(Deserialize)]
pub(super) struct Intent {
    pub(super) id: String,
    pub(super) status: String,
    pub(super) amount: u64,
    pub(super) currency: String,
    pub(super) created: i64,
    amount_received: Option<u64>,
    #[serde(default)]
    metadata: Option<BTreeMap<String, String>>,
    next_action: Option<NextAction>,
    last_payment_error: Option<Problem>,
    charges: Option<List<Charge>>,
}

/// A `refund`.
#[derive(Deserialize)]
pub(super) struct Refund {
    pub(super) id: String,
    pub(super) status: String,
    pub(super) amount: u64,
    pub(super) currency: String,
    pub(super) failure_reason: Option<String>,
    #[serde(default)]
    metadata: Option<BTreeMap<String, String>>,
}

/// A page of a list.
#[derive(Deserialize)]
pub(super) struct List<T> {
    pub(super) data: Vec<T>,
    #[serde(default)]
    pub(super) has_more: bool,
}

/// An object of which only the id matters.
#[derive(Deserialize)]
pub(super) struct Named {
    pub(super) id: String,
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
    pub(super) payment_intent: Option<Brief>,
}

/// The payment intent inside an error.
#[derive(Deserialize)]
pub(super) struct Brief {
    pub(super) id: String,
    pub(super) status: Option<String>,
}

#[derive(Deserialize)]
struct NextAction {
    redirect_to_url: Option<Redirect>,
}

#[derive(Deserialize)]
struct Redirect {
    url: Option<String>,
}

#[derive(Deserialize)]
struct Charge {
    payment_method_details: Option<Details>,
}

#[derive(Deserialize)]
struct Details {
    card: Option<Card>,
}

#[derive(Deserialize)]
struct Card {
    network_transaction_id: Option<String>,
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

impl Intent {
    /// What a payment intent proves.
    pub(super) fn step(&self) -> Step {
        let (psp_id, handles) = (self.id.clone(), Handles::new());
        let done = |outcome| Step::Done(outcome);
        if !is_id(&self.id) {
            return Step::InDoubt(Doubt::Unreadable);
        }
        match self.status.as_str() {
            "succeeded" => match self.received() {
                Some(amount_minor) => {
                    let network_transaction_id = self.network_transaction_id();
                    done(Outcome::Captured { psp_id, amount_minor, network_transaction_id, handles })
                }
                None => Step::InDoubt(Doubt::Unreadable),
            },
            "requires_capture" => {
                let network_transaction_id = self.network_transaction_id();
                done(Outcome::Authorized { psp_id, network_transaction_id, handles })
            }
            "processing" => done(Outcome::Pending { psp_id, handles }),
            "canceled" => done(Outcome::Cancelled { psp_id }),
            "requires_action" => match self.redirect() {
                Some(redirect_url) => done(Outcome::RequiresAction { psp_id, redirect_url, handles }),
                // Only a browser with Stripe's library and the client secret could go on, and we hand that out to nobody.
                None => done(Outcome::Declined(Decline {
                    psp_id: Some(psp_id),
                    code: "authentication_required".to_owned(),
                    decline_code: None,
                    message: "The card wants authentication, and there was no return_url to come back to.".to_owned(),
                    kind: kind("authentication_required", None, None),
                })),
            },
            "requires_payment_method" => match &self.last_payment_error {
                Some(problem) => done(Outcome::Declined(problem.decline(Some(psp_id)))),
                None => done(Outcome::Refused(refusal("requires_payment_method", "The payment was not tried."))),
            },
            "requires_confirmation" => {
                done(Outcome::Refused(refusal("requires_confirmation", "The payment was not confirmed.")))
            }
            _ => Step::InDoubt(Doubt::Unreadable),
        }
    }

    /// Whether this is the payment that was asked for: another amount or currency means that the answer is not ours.
    pub(super) fn is_for(&self, money: Money) -> bool {
        from_stripe(self.amount, &self.currency) == Some(money)
    }

    /// A value of the metadata.
    pub(super) fn noted(&self, name: &str) -> Option<&str> {
        self.metadata.as_ref()?.get(name).map(String::as_str)
    }

    /// How much was taken, where the answer says so.
    pub(super) fn took(&self) -> Option<Option<Money>> {
        self.amount_received.map(|amount| from_stripe(amount, &self.currency))
    }

    /// How much was taken. `amount_received` is not among the fields that Stripe's specification calls required; without
    /// it, all was taken.
    fn received(&self) -> Option<u64> {
        from_stripe(self.amount_received.unwrap_or(self.amount), &self.currency).map(|money| money.minor)
    }

    fn network_transaction_id(&self) -> Option<String> {
        let charge = self.charges.as_ref()?.data.first()?;
        let id = charge.payment_method_details.as_ref()?.card.as_ref()?.network_transaction_id.as_ref()?;
        let plain = id.len() <= 64 && id.bytes().all(|byte| byte.is_ascii_alphanumeric());
        plain.then(|| id.clone())
    }

    /// The page to send the payer to. It goes into a `Location` header, so nothing but a plain https address will do.
    fn redirect(&self) -> Option<String> {
        let url = self.next_action.as_ref()?.redirect_to_url.as_ref()?.url.as_ref()?;
        let plain = url.len() <= URL_CHARS_MAX && url.bytes().all(|byte| byte.is_ascii_graphic());
        (plain && url.starts_with("https://")).then(|| url.clone())
    }
}

impl Refund {
    /// What a refund proves.
    pub(super) fn step(&self) -> Step {
        let psp_id = self.id.clone();
        if !is_id(&self.id) {
            return Step::InDoubt(Doubt::Unreadable);
        }
        match self.status.as_str() {
            "succeeded" => match from_stripe(self.amount, &self.currency) {
                Some(money) => Step::Done(Outcome::Refunded { psp_id, amount_minor: money.minor }),
                None => Step::InDoubt(Doubt::Unreadable),
            },
            "pending" | "requires_action" => Step::Done(Outcome::Pending { psp_id, handles: Handles::new() }),
            "failed" | "canceled" => {
                let code = self.failure_reason.as_deref().map_or("refund_failed".to_owned(), word);
                Step::Done(Outcome::Refused(refusal(&code, "The refund failed; the money stayed with the merchant.")))
            }
            _ => Step::InDoubt(Doubt::Unreadable),
        }
    }

    /// A value of the metadata.
    pub(super) fn noted(&self, name: &str) -> Option<&str> {
        self.metadata.as_ref()?.get(name).map(String::as_str)
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

    /// The payment intent that the error names, if its id can be one.
    pub(super) fn psp_id(&self) -> Option<String> {
        self.payment_intent.as_ref().map(|intent| intent.id.clone()).filter(|id| is_id(id))
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
fn word(text: &str) -> String {
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
const URL_CHARS_MAX: usize = 4096;
const MESSAGE_CHARS_MAX: usize = 300;
const DIGITS_MAX: usize = 8;

#[cfg(test)]
mod tests {
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
