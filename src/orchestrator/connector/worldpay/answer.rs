//! Worldpay's answers, read strictly where money hangs on them and tolerantly everywhere else: added fields are no error.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::links;
use super::refusal::kind;
use crate::connector::{Decline, DeclineKind, Doubt, Handles, PspAnswer, Refusal, words};
use crate::money::Money;

/// What an answer says.
pub(super) enum Said<T> {
    /// The status of success, with an object of the right shape.
    Object(T),
    /// A refusal in Worldpay's error envelope, with its status.
    Problem(u16, Refusal),
    /// Nothing that proves what happened.
    Doubt(Doubt),
}

/// The answer to an authorization or to a step after it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Payment {
    outcome: Option<String>,
    payment_id: Option<String>,
    command_id: Option<String>,
    refusal_code: Option<String>,
    refusal_description: Option<String>,
    advice: Option<Advice>,
    amounts: Option<Amounts>,
    scheme: Option<Scheme>,
    #[serde(rename = "_links", default)]
    links: Map<String, Value>,
}

#[derive(Deserialize)]
struct Advice {
    code: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Amounts {
    total_authorized: u64,
    currency: String,
}

/// What the card scheme said.
#[derive(Deserialize)]
pub(super) struct Scheme {
    reference: String,
}

/// An amount as Worldpay writes it.
#[derive(Deserialize)]
pub(super) struct Amount {
    amount: u64,
    currency: String,
}

/// How a request ended, by Worldpay's word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// Money is reserved.
    Authorized,
    /// Money is on its way.
    SentForSettlement,
    /// The reservation is released.
    SentForCancellation,
    /// Money is on its way back.
    SentForRefund,
    /// The issuer said no.
    Refused,
    /// The risk check said no.
    FraudHighRisk,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Envelope {
    error_name: String,
    message: Option<String>,
    #[serde(default)]
    validation_errors: Vec<Violation>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Violation {
    message: Option<String>,
    json_path: Option<String>,
}

/// Reads an answer whose success has the status `good`. Of the others, a 4xx with Worldpay's envelope says that the request
/// was not carried out ("when you resolve the problem you can safely retry the call"), except where the status itself
/// speaks of another request (409) or of time that ran out (408). All else leaves doubt.
pub(super) fn read<T: DeserializeOwned>(answer: &PspAnswer, good: u16) -> Said<T> {
    match answer.status {
        status if status == good => {
            serde_json::from_slice(&answer.body).map_or(Said::Doubt(Doubt::Unreadable), Said::Object)
        }
        408 => Said::Doubt(Doubt::TimedOut),
        409 => Said::Doubt(Doubt::StillRunning),
        status @ 400..=499 => match serde_json::from_slice::<Envelope>(&answer.body) {
            Ok(envelope) => Said::Problem(status, envelope.refusal(status)),
            Err(_) => Said::Doubt(Doubt::Unreadable),
        },
        500..=599 => Said::Doubt(Doubt::ServerFault),
        _ => Said::Doubt(Doubt::Unreadable),
    }
}

impl Payment {
    /// How the request ended. `Some(None)`: a word that we do not know.
    pub(super) fn ending(&self) -> Option<Option<Ending>> {
        self.outcome.as_deref().map(ending)
    }

    /// What later requests need: the links, and Worldpay's id of the payment.
    pub(super) fn handles(&self) -> Handles {
        let mut handles = links::handles(&self.links);
        handles.extend(named(PAYMENT_ID, self.payment_id.as_deref()));
        handles
    }

    /// As [`Payment::handles`], with what was accepted and is not carried out yet: the id of the command, or the word
    /// `otherwise` where the answer names none.
    pub(super) fn handles_while_it_runs(&self, otherwise: &str) -> Handles {
        let mut handles = self.handles();
        let command = self.command_id.as_deref().filter(|id| is_id(id)).unwrap_or(otherwise);
        handles.insert(ACCEPTED.to_owned(), command.to_owned());
        handles
    }

    /// The scheme's id of the payment.
    pub(super) fn network_transaction_id(&self) -> Option<String> {
        self.scheme.as_ref()?.id()
    }

    /// What is reserved in all, where the answer says so. `Some(None)`: an amount that cannot be one of ours.
    pub(super) fn reserved(&self) -> Option<Option<Money>> {
        let amounts = self.amounts.as_ref()?;
        Some(money(amounts.total_authorized, &amounts.currency))
    }

    /// The refusal as a decline of the card.
    pub(super) fn decline(&self, psp_id: &str) -> Decline {
        let advice = self.advice.as_ref().map(|advice| advice.code.as_str());
        declined(psp_id, self.refusal_code.as_deref(), self.refusal_description.as_deref(), advice)
    }
}

impl Scheme {
    /// The scheme's id as it came: Mastercard's has blanks at its end that belong to it.
    pub(super) fn id(&self) -> Option<String> {
        let id = &self.reference;
        let plain = id.len() <= NETWORK_ID_CHARS_MAX
            && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b' ')
            && !id.trim().is_empty();
        plain.then(|| id.clone())
    }
}

impl Amount {
    /// The amount, in minor units of ISO 4217; `None` when it cannot be one of ours.
    pub(super) fn money(&self) -> Option<Money> {
        money(self.amount, &self.currency)
    }
}

impl Envelope {
    fn refusal(&self, status: u16) -> Refusal {
        let (code, message) = match status {
            401 => {
                ("authentication_failed".to_owned(), "Worldpay did not accept the user name and password.".to_owned())
            }
            429 => ("rate_limit".to_owned(), "Worldpay asked to slow down.".to_owned()),
            _ => (words::code(&self.error_name), self.words()),
        };
        Refusal { code, message }
    }

    /// The message, and the first field that it is about.
    fn words(&self) -> String {
        let mut text = self.message.clone().unwrap_or_else(|| "Worldpay gave no reason.".to_owned());
        if let Some(first) = self.validation_errors.first() {
            for part in [&first.message, &first.json_path].into_iter().flatten() {
                text.push_str(": ");
                text.push_str(part);
            }
        }
        words::words(&text)
    }
}

/// A refusal of the issuer.
pub(super) fn declined(psp_id: &str, code: Option<&str>, description: Option<&str>, advice: Option<&str>) -> Decline {
    Decline {
        psp_id: Some(psp_id.to_owned()),
        code: "refused".to_owned(),
        decline_code: code.map(words::code),
        message: description.map_or("The issuer refused the payment.".to_owned(), words::words),
        kind: kind(code, advice),
    }
}

/// A refusal of the risk check. The same card has the same risk, so it is not to be tried again.
pub(super) fn risky(psp_id: &str) -> Decline {
    Decline {
        psp_id: Some(psp_id.to_owned()),
        code: "fraud_high_risk".to_owned(),
        decline_code: None,
        message: "Worldpay's risk check refused the payment.".to_owned(),
        kind: DeclineKind::DoNotRetry,
    }
}

/// A payment that Worldpay could not complete.
pub(super) fn broken(psp_id: &str) -> Decline {
    Decline {
        psp_id: Some(psp_id.to_owned()),
        code: "error".to_owned(),
        decline_code: None,
        message: "Worldpay could not complete the payment.".to_owned(),
        kind: DeclineKind::Soft,
    }
}

/// An amount of minor units; Worldpay counts them as ISO 4217 does.
pub(super) fn money(minor: u64, currency: &str) -> Option<Money> {
    Some(Money { minor, currency: currency.parse().ok()? })
}

/// Whether a text can be an id that Worldpay made.
pub(super) fn is_id(text: &str) -> bool {
    (1..=ID_CHARS_MAX).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
}

/// Worldpay's words come in several spellings (`Sent for Settlement`, `sentForSettlement`): letters count, nothing else.
pub(super) fn letters(text: &str) -> String {
    text.chars().filter(char::is_ascii_alphabetic).map(|letter| letter.to_ascii_lowercase()).collect()
}

fn ending(word: &str) -> Option<Ending> {
    match letters(word).as_str() {
        "authorized" => Some(Ending::Authorized),
        "sentforsettlement" => Some(Ending::SentForSettlement),
        "sentforcancellation" => Some(Ending::SentForCancellation),
        "sentforrefund" => Some(Ending::SentForRefund),
        "refused" => Some(Ending::Refused),
        "fraudhighrisk" => Some(Ending::FraudHighRisk),
        _ => None,
    }
}

fn named(name: &str, id: Option<&str>) -> Option<(String, String)> {
    id.filter(|id| is_id(id)).map(|id| (name.to_owned(), id.to_owned()))
}

/// The handle that holds Worldpay's own id of the payment.
pub(super) const PAYMENT_ID: &str = "paymentId";
/// The handle that holds what was last accepted and had yet to be carried out: the id of a command, or [`SETTLING`] or
/// [`CANCELLING`].
pub(super) const ACCEPTED: &str = "accepted";
/// A settlement whose command has no id.
pub(super) const SETTLING: &str = "a settlement";
/// A cancellation or reversal whose command has no id.
pub(super) const CANCELLING: &str = "a cancellation";
/// The handle that is there once a payment was settled in parts: then the link that refunds "the full settled amount" is
/// not used, because it says of no amount.
pub(super) const IN_PARTS: &str = "inParts";

const ID_CHARS_MAX: usize = 36;
const NETWORK_ID_CHARS_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    fn said(status: u16, body: &str) -> Said<Payment> {
        read(&PspAnswer { status, body: body.as_bytes().to_vec() }, 201)
    }

    #[test]
    fn status_that_proves_nothing_leaves_doubt() {
        let envelope = r#"{"errorName":"x","message":"y"}"#;
        let doubt = |status, body| match said(status, body) {
            Said::Doubt(doubt) => Some(doubt),
            _ => None,
        };
        for status in [500, 502, 503, 504] {
            assert_eq!(doubt(status, envelope), Some(Doubt::ServerFault), "{status}");
        }
        for (status, body) in
            [(201, "{"), (201, "[]"), (200, "{}"), (202, "{}"), (302, ""), (400, "<html>"), (404, "{}")]
        {
            assert_eq!(doubt(status, body), Some(Doubt::Unreadable), "{status}");
        }
        assert_eq!(doubt(408, envelope), Some(Doubt::TimedOut));
        assert_eq!(doubt(409, envelope), Some(Doubt::StillRunning));
        for status in [400, 401, 403, 404, 406, 415, 422, 429] {
            assert_eq!(doubt(status, envelope), None, "{status}");
        }
        assert_eq!(doubt(201, r#"{"a_new_field":{"x":1}}"#), None);
    }

    #[test]
    fn refusal_names_the_field_and_hides_what_could_be_a_card_number() {
        let body = r#"{"errorName":"bodyDoesNotMatchSchema","message":"The json body does not match","validationErrors":[
            {"errorName":"fieldHasInvalidValue","message":"4444333322221111 is no number","jsonPath":"$.instruction"}]}"#;
        let Said::Problem(400, refusal) = said(400, body) else { panic!("no refusal") };
        assert_eq!(refusal.code, "bodyDoesNotMatchSchema");
        assert_eq!(refusal.message, "The json body does not match: [hidden] is no number: $.instruction");
    }

    #[test]
    fn scheme_id_keeps_its_blanks_and_must_look_like_one() {
        let id = |reference: &str| Scheme { reference: reference.to_owned() }.id();
        assert_eq!(id("MCCOLXT1C0104  ").as_deref(), Some("MCCOLXT1C0104  "));
        assert_eq!(id("060720116005062").as_deref(), Some("060720116005062"));
        for odd in ["", "   ", "a\nb", "<b>", &"x".repeat(65)] {
            assert_eq!(id(odd), None, "{odd}");
        }
    }
}
