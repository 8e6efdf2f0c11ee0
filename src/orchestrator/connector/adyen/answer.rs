//! Adyen's answers, read strictly where money hangs on them and tolerantly everywhere else: added fields are no error, an
//! unknown result code is a doubt.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::amount::Amount;
use super::decline::kind;
use super::{CARD_PROBLEMS, is_psp_reference};
use crate::connector::words::{network_id, plain_https, words};
use crate::connector::{Decline, DeclineKind, Doubt, Handles, Outcome, PspAnswer, Refusal, Step};
use crate::money::Money;

/// What an answer says.
pub(super) enum Said<T> {
    /// A success with an object of the right shape.
    Object(T),
    /// A refusal in Adyen's error envelope.
    Problem(u16, Box<Problem>),
    /// Nothing that proves what happened.
    Doubt(Doubt),
}

/// The answer to `/payments` and `/payments/details`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Payment {
    result_code: String,
    psp_reference: Option<String>,
    merchant_reference: Option<String>,
    amount: Option<Amount>,
    refusal_reason: Option<String>,
    refusal_reason_code: Option<String>,
    action: Option<Action>,
    #[serde(rename = "additionalData", default)]
    notes: BTreeMap<String, serde_json::Value>,
}

/// The answer to a capture, cancellation, refund or change of amount.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Modification {
    /// The modification's own reference.
    pub(super) psp_reference: String,
    /// The payment's; absent where the payment was named by our reference.
    payment_psp_reference: Option<String>,
    payment_reference: Option<String>,
    status: String,
    amount: Option<Amount>,
}

/// Adyen's `ServiceError`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Problem {
    error_code: Option<String>,
    message: Option<String>,
    psp_reference: Option<String>,
}

#[derive(Deserialize)]
struct Action {
    #[serde(rename = "type")]
    kind: Option<String>,
    method: Option<String>,
    url: Option<String>,
}

/// How the payment was asked for, and so what `Authorised` means.
pub(super) struct Asked<'a> {
    /// The amount.
    pub(super) amount: Money,
    /// Whether Adyen captures by itself.
    pub(super) automatic: bool,
    /// The reference that was sent with it.
    pub(super) reference: &'a str,
}

/// Reads an answer. Only a status that Adyen gives to requests it has not carried out counts as a refusal
/// (docs.adyen.com/development-resources/response-handling); all else leaves doubt.
pub(super) fn read<T: DeserializeOwned>(answer: &PspAnswer) -> Said<T> {
    match answer.status {
        200 | 201 => serde_json::from_slice(&answer.body).map_or(Said::Doubt(Doubt::Unreadable), Said::Object),
        400 | 401 | 403 | 404 | 422 | 429 => match serde_json::from_slice::<Problem>(&answer.body) {
            // "Request already processed or in progress": the first sending of this key is the one that counts.
            Ok(problem) if problem.is("704") => Said::Doubt(Doubt::StillRunning),
            // Without either, the answer may be of something between us and Adyen.
            Ok(problem) if problem.error_code.is_none() && problem.message.is_none() => Said::Doubt(Doubt::Unreadable),
            Ok(problem) => Said::Problem(answer.status, Box::new(problem)),
            Err(_) => Said::Doubt(Doubt::Unreadable),
        },
        500..=599 => Said::Doubt(Doubt::ServerFault),
        _ => Said::Doubt(Doubt::Unreadable),
    }
}

impl Payment {
    /// What the answer proves (docs.adyen.com/online-payments/payment-result-codes).
    pub(super) fn step(&self, asked: &Asked<'_>) -> Step {
        if !self.is_for(asked) {
            return Step::InDoubt(Doubt::Unreadable);
        }
        let handles = Handles::new();
        let psp_id = self.psp_reference.clone();
        match (self.result_code.as_str(), psp_id) {
            ("Authorised", Some(psp_id)) => Step::Done(self.authorised(asked, psp_id)),
            // `Error` is a final result, too: nothing was authorized (the webhook would say `success: false`).
            ("Refused" | "Error" | "Cancelled", psp_id) => Step::Done(Outcome::Declined(self.decline(psp_id))),
            // Until Adyen has given the payment a reference of its own, ours names it.
            ("Pending" | "Received", psp_id) => {
                Step::Done(Outcome::Pending { psp_id: psp_id.unwrap_or_else(|| asked.reference.to_owned()), handles })
            }
            ("RedirectShopper", psp_id) => match self.redirect() {
                Some(redirect_url) => {
                    let psp_id = psp_id.unwrap_or_else(|| asked.reference.to_owned());
                    Step::Done(Outcome::RequiresAction { psp_id, redirect_url, handles })
                }
                None => Step::Done(cannot_authenticate(psp_id)),
            },
            // Only a page with Adyen's components could go on from here, and it was asked for a redirection.
            ("IdentifyShopper" | "ChallengeShopper", psp_id) => Step::Done(cannot_authenticate(psp_id)),
            _ => Step::InDoubt(Doubt::Unreadable),
        }
    }

    fn authorised(&self, asked: &Asked<'_>, psp_id: String) -> Outcome {
        let network_transaction_id = self.noted("networkTxReference").and_then(network_id);
        let handles = Handles::new();
        match (asked.amount.minor, asked.automatic) {
            (0, _) => Outcome::Verified { psp_id, network_transaction_id, handles },
            (amount_minor, true) => Outcome::Captured { psp_id, amount_minor, network_transaction_id, handles },
            (_, false) => Outcome::Authorized { psp_id, network_transaction_id, handles },
        }
    }

    /// Whether this is the payment that was asked for: another amount, currency or reference means that the answer is not
    /// ours, or that less was authorized than was asked for.
    fn is_for(&self, asked: &Asked<'_>) -> bool {
        let named = self.psp_reference.as_deref().is_none_or(is_psp_reference);
        let ours = self.merchant_reference.as_deref().is_none_or(|reference| reference == asked.reference);
        let same = self.amount.as_ref().is_none_or(|amount| amount.money() == Some(asked.amount));
        named && ours && same
    }

    fn decline(&self, psp_id: Option<String>) -> Decline {
        // Adyen gives the code 0 where it has none.
        let code = self.refusal_reason_code.as_deref().filter(|code| *code != "0" && is_number(code));
        let reason = self.refusal_reason.as_deref();
        Decline {
            psp_id,
            code: code.map_or_else(|| self.result_code.to_ascii_lowercase(), str::to_owned),
            decline_code: None,
            message: words(reason.unwrap_or("Adyen gave no reason.")),
            kind: kind(code, reason, self.noted("merchantAdviceCode")),
        }
    }

    fn redirect(&self) -> Option<String> {
        let action = self.action.as_ref().filter(|action| action.kind.as_deref() == Some("redirect"))?;
        // A browser that is sent on by its address bar can only read.
        let reads = action.method.as_deref().is_none_or(|method| method.eq_ignore_ascii_case("GET"));
        action.url.as_deref().filter(|_| reads).and_then(plain_https)
    }

    fn noted(&self, name: &str) -> Option<&str> {
        self.notes.get(name)?.as_str()
    }
}

impl Modification {
    /// Whether Adyen has received this modification of this payment. What becomes of it is told by a webhook.
    pub(super) fn is_received(&self, psp_id: &str, amount: Option<Money>) -> bool {
        let of_payment = self.payment_psp_reference.as_deref().or(self.payment_reference.as_deref()) == Some(psp_id);
        let same = match (&self.amount, amount) {
            (Some(said), Some(asked)) => said.money() == Some(asked),
            (_, None) => true,
            (None, Some(_)) => false,
        };
        self.status == "received" && is_psp_reference(&self.psp_reference) && of_payment && same
    }
}

impl Problem {
    /// What a problem with an authorization means: a card that cannot be one is the payer's to change, all else ours.
    pub(super) fn outcome(&self, status: u16) -> Outcome {
        match self.error_code.as_deref().filter(|code| status == 422 && CARD_PROBLEMS.contains(code)) {
            Some(code) => Outcome::Declined(Decline {
                psp_id: self.psp_reference.clone().filter(|id| is_psp_reference(id)),
                code: code.to_owned(),
                decline_code: None,
                message: words(self.message.as_deref().unwrap_or("Adyen cannot read the card.")),
                kind: DeclineKind::Hard,
            }),
            None => Outcome::Refused(self.refusal(status)),
        }
    }

    /// The problem as a refusal of the request. Texts about keys and roles could say more than a shop should read, so ours
    /// stand in.
    pub(super) fn refusal(&self, status: u16) -> Refusal {
        match status {
            401 => refusal("authentication_failed", "Adyen did not accept the API key."),
            403 => refusal("permission_denied", "The API key does not permit this, or not for this merchant account."),
            429 => refusal("rate_limit", "Adyen asked to slow down."),
            _ => {
                let code = self.error_code.as_deref().filter(|code| is_code(code)).unwrap_or("invalid_request");
                refusal(code, &words(self.message.as_deref().unwrap_or("Adyen gave no reason.")))
            }
        }
    }

    fn is(&self, code: &str) -> bool {
        self.error_code.as_deref() == Some(code)
    }
}

fn cannot_authenticate(psp_id: Option<String>) -> Outcome {
    Outcome::Declined(Decline {
        psp_id,
        code: "38".to_owned(),
        decline_code: None,
        message: "The card wants authentication in a way that is not offered here.".to_owned(),
        kind: kind(Some("38"), None, None),
    })
}

/// A refusal in these words.
pub(super) fn refusal(code: &str, message: &str) -> Refusal {
    Refusal { code: code.to_owned(), message: message.to_owned() }
}

fn is_number(text: &str) -> bool {
    (1..=4).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Adyen's error codes are three digits, some with a suffix (`905_1`), some words.
fn is_code(text: &str) -> bool {
    (1..=40).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        && text.bytes().filter(u8::is_ascii_digit).count() <= 6
}

#[cfg(test)]
#[path = "answer_tests.rs"]
mod tests;
