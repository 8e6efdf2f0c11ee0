//! The provider's books: payments and what was done to them, in memory, under one lock.
//!
//! Invariants, which `law_tests.rs` tries with random operations:
//! - every change of money writes its ledger line in the same call, and every end of a request its notification;
//! - captured <= authorized, and refunded <= captured, for every payment;
//! - a payment is authorized at most once.

mod authorise;
mod modify;

use std::collections::{BTreeMap, HashMap};

use serde_json::{Value, json};
use uuid::Uuid;

use super::NAME;
use super::cards::Refused;
use super::event::{self, Told};
use super::refusal::Refusal;
use crate::cards::TestCard;
use crate::ledger::{Kind, Ledger, Line};
use crate::page::Verdict;

/// Who asks, and when: what a ledger line and an event need.
#[derive(Clone, Default)]
pub(super) struct Call {
    /// Seconds since 1970.
    pub(super) now: i64,
    /// The request's `Idempotency-Key`.
    pub(super) idempotency_key: Option<String>,
    /// `https://host:port` of the simulator, for the address of a 3-D Secure page.
    pub(super) base_url: String,
    /// The API key of the account that asks.
    pub(super) account: String,
    /// A fault wants the issuer to decline.
    pub(super) declines: bool,
}

/// Everything that the dialect remembers.
#[derive(Default)]
pub(super) struct Book {
    payments: HashMap<String, Payment>,
    /// By merchant account and reference: the newest payment that has it.
    references: HashMap<(String, String), String>,
    /// By the id of a 3-D Secure page.
    challenges: HashMap<String, String>,
    /// By what a browser brings back from such a page.
    results: HashMap<String, String>,
    events: Vec<(String, Value)>,
    /// What was done with money; shared with the other dialects.
    ledger: Ledger,
}

/// How a payment stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum State {
    /// The payer is at the 3-D Secure page, or on the way there or back.
    Waiting,
    /// Money is or was reserved.
    Authorised,
    /// No.
    Refused,
    /// Given up before it was authorized, or released.
    Cancelled,
}

/// A payment. Its card is a row of the table of published numbers, and no more.
pub(super) struct Payment {
    pub(super) psp_reference: String,
    /// The API key that made it.
    pub(super) account: String,
    pub(super) merchant_account: String,
    pub(super) reference: String,
    pub(super) currency: String,
    /// What was asked for, or raised to.
    pub(super) amount: i64,
    /// Reserved and not captured.
    pub(super) capturable: i64,
    pub(super) captured: i64,
    pub(super) refunded: i64,
    pub(super) state: State,
    /// Captured by Adyen itself.
    automatic: bool,
    /// A pre-authorization, whose amount may be changed.
    adjustable: bool,
    card: &'static TestCard,
    /// What the issuer will say once it is asked.
    answer: Option<Refused>,
    network_id: String,
    return_url: String,
    verdict: Option<Verdict>,
    pub(super) metadata: BTreeMap<String, String>,
    pub(super) dispute: Option<Disputed>,
}

/// A dispute of a payment.
pub(super) struct Disputed {
    pub(super) psp_reference: String,
    pub(super) amount: i64,
    pub(super) reason: String,
    pub(super) is_over: bool,
}

impl Payment {
    /// Adyen's name of the card's scheme.
    pub(super) fn variant(&self) -> &'static str {
        match self.card.brand {
            "mastercard" => "mc",
            "unionpay" => "cup",
            brand => brand,
        }
    }

    /// Whether Adyen has switched several captures on for the account.
    fn captures_often(&self) -> bool {
        self.merchant_account.ends_with(OFTEN)
    }
}

impl Book {
    /// Empty books that write into this ledger.
    pub(super) fn new(ledger: Ledger) -> Self {
        Self { ledger, ..Self::default() }
    }

    /// What has happened since the last call, with the API key of its account.
    pub(super) fn events(&mut self) -> Vec<(String, Value)> {
        std::mem::take(&mut self.events)
    }

    /// The payment with this reference of Adyen's.
    pub(super) fn payment(&self, psp_reference: &str) -> Option<&Payment> {
        self.payments.get(psp_reference)
    }

    /// The same, to be changed.
    pub(super) fn payment_mut(&mut self, psp_reference: &str) -> Option<&mut Payment> {
        self.payments.get_mut(psp_reference)
    }

    /// The payment that a 3-D Secure page belongs to, and whether it still waits for a verdict.
    pub(super) fn challenged(&self, challenge: &str) -> Option<(&Payment, bool)> {
        let payment = self.challenges.get(challenge).and_then(|id| self.payments.get(id))?;
        Some((payment, payment.state == State::Waiting && payment.verdict.is_none()))
    }

    /// The cardholder's verdict, which counts once; answers where the browser goes. Nothing is authorized before the
    /// merchant has handed over what the browser brings back.
    pub(super) fn authenticate(&mut self, challenge: &str, verdict: Verdict) -> Option<String> {
        let (payment, waits) = self.challenged(challenge)?;
        let (id, url) = (payment.psp_reference.clone(), payment.return_url.clone());
        if !waits {
            return None;
        }
        let result = Uuid::new_v4().simple().to_string();
        self.results.insert(result.clone(), id.clone());
        self.payments.get_mut(&id)?.verdict = Some(verdict);
        Some(crate::page::with_query(&url, &[("redirectResult", &result)]))
    }

    /// The payment of this account, to be changed.
    fn of(&mut self, psp_reference: &str, merchant_account: &str) -> Result<&mut Payment, Refusal> {
        let payment = self.payments.get_mut(psp_reference).ok_or(Refusal::no_payment())?;
        if payment.merchant_account == merchant_account { Ok(payment) } else { Err(Refusal::account()) }
    }

    /// Notes what is told about a payment.
    pub(super) fn tell(&mut self, psp_reference: &str, told: &Told<'_>, now: i64) {
        let Some(payment) = self.payments.get(psp_reference) else { return };
        self.events.push((payment.account.clone(), event::of(payment, told, now)));
    }

    /// Writes the ledger line of what was just done to a payment.
    fn enter(&self, kind: Kind, psp_reference: &str, amount: i64, released: i64, refund: Option<&str>, call: &Call) {
        let Some(payment) = self.payments.get(psp_reference) else { return };
        self.ledger.write(Line {
            id: String::new(),
            provider: NAME,
            kind,
            amount,
            released,
            currency: payment.currency.to_ascii_lowercase(),
            last4: payment.card.last4(),
            psp_id: payment.psp_reference.clone(),
            payment_intent: payment.psp_reference.clone(),
            refund: refund.map(str::to_owned),
            reversed: false,
            idempotency_key: call.idempotency_key.clone(),
            payment_id: payment.metadata.get("payment_id").cloned(),
            attempt_id: payment.metadata.get("attempt_id").cloned(),
            created: call.now,
        });
    }
}

/// A reference in Adyen's manner: 16 capital letters and digits.
pub(super) fn fresh_reference() -> String {
    let random = Uuid::new_v4().into_bytes();
    random.iter().map(|byte| char::from(SYMBOLS[usize::from(byte % 32)])).collect()
}

/// The notes of an event that has none.
fn no_notes() -> Value {
    json!({})
}

/// No word and no long number comes of these by chance.
const SYMBOLS: &[u8; 32] = b"BCDFGHJKLMNPQRSTVWXZ23456789BCDF";

/// The ending of a merchant account that may capture several times.
const OFTEN: &str = "_MultipleCaptures";

#[cfg(test)]
pub(super) mod law_tests;
