//! The provider's books: payments with their histories, in memory, under one lock.
//!
//! Invariants, which `law_tests.rs` tries with random operations:
//! - every change of money writes its ledger line and its event in the same call;
//! - settled + released <= authorized, and refunded <= settled, for every payment.

#[cfg(test)]
mod law_tests;
mod pay;
mod refund;
mod settle;

use std::collections::{BTreeMap, HashMap};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::NAME;
use super::event::event;
use super::issuer::Code;
use super::link::Link;
use super::refusal::Refusal;
use crate::cards::TestCard;
use crate::ledger::{Kind, Ledger, Line};

/// Who asks, and when.
#[derive(Clone, Default)]
pub(super) struct Call {
    /// Seconds since 1970.
    pub(super) now: i64,
    /// The user name of the account that asks.
    pub(super) account: String,
    /// A fault wants the issuer to refuse.
    pub(super) declines: bool,
}

/// Everything that the simulator remembers.
#[derive(Default)]
pub(super) struct Book {
    payments: BTreeMap<u64, Payment>,
    places: HashMap<String, u64>,
    news: Vec<(String, Value)>,
    /// What was done with money; shared with the other dialects.
    pub(super) ledger: Ledger,
}

/// A payment.
pub(super) struct Payment {
    /// Worldpay's id.
    pub(super) id: String,
    /// The merchant's `transactionReference`.
    pub(super) reference: String,
    /// The merchant's `orderReference`.
    order: Option<String>,
    pub(super) entity: String,
    /// The user name of the account.
    pub(super) account: String,
    pub(super) card: &'static TestCard,
    /// ISO 4217, upper case.
    pub(super) currency: String,
    /// What was reserved in all, at first and after each raise, in minor units.
    pub(super) reserved: Vec<i64>,
    /// It was settled on its own.
    pub(super) auto: bool,
    /// It may be raised.
    pub(super) estimated: bool,
    pub(super) standing: Standing,
    /// Taken, in minor units.
    pub(super) settled: i64,
    /// Given back or on its way back, in minor units.
    pub(super) refunded: i64,
    /// Nothing more can be settled.
    pub(super) closed: bool,
    /// It was cancelled or reversed.
    pub(super) released: bool,
    pub(super) refunds: Vec<Returned>,
    /// In Card Payments' words.
    pub(super) last_event: &'static str,
    /// In Payment Queries' words and form.
    pub(super) history: Vec<Value>,
    /// The scheme's id.
    pub(super) scheme: String,
    /// Seconds since 1970.
    pub(super) created: i64,
    /// The last event of a dispute that was told.
    pub(super) disputed: Option<&'static str>,
}

/// What the issuer said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// Yes.
    Authorized,
    /// No.
    Refused(Code, Option<&'static str>),
    /// Nothing.
    Failed,
}

/// A refund.
pub(super) struct Returned {
    reference: Option<String>,
    command: String,
    amount: i64,
    /// It is not decided yet; the next look at the payment decides it.
    runs: bool,
}

impl Book {
    /// Empty books that write into this ledger.
    pub(super) fn new(ledger: Ledger) -> Self {
        Self { ledger, ..Self::default() }
    }

    /// The payment that a link of this account leads to, and what was reserved when the link was given.
    fn linked(&mut self, link: &str, call: &Call) -> Result<(&mut Payment, i64), Refusal> {
        let link = Link::parse(link).ok_or_else(Refusal::unknown)?;
        let place = self.places.get(&link.payment).ok_or_else(Refusal::unknown)?;
        let payment = self.payments.get_mut(place).filter(|payment| payment.account == call.account);
        let payment = payment.ok_or_else(Refusal::unknown)?;
        let reserved = *payment.reserved.get(link.raises).ok_or_else(Refusal::unknown)?;
        Ok((payment, reserved))
    }

    /// The payment that an events link leads to.
    pub(super) fn by_link(&mut self, link: &str, call: &Call) -> Result<&Payment, Refusal> {
        self.linked(link, call).map(|(payment, _)| &*payment)
    }

    /// The payment with Worldpay's id. A refund that runs is decided by this look.
    pub(super) fn by_id(&mut self, id: &str, call: &Call) -> Result<&Payment, Refusal> {
        let place = *self.places.get(id).ok_or_else(Refusal::unknown)?;
        let payment = self.payments.get_mut(&place).filter(|payment| payment.account == call.account);
        let payment = payment.ok_or_else(Refusal::unknown)?;
        payment.decide_refunds(&self.ledger, &mut self.news, call);
        Ok(payment)
    }

    /// Every payment of the account with this `transactionReference`, oldest first.
    pub(super) fn by_reference<'a>(
        &'a self,
        reference: &'a str,
        call: &'a Call,
    ) -> impl DoubleEndedIterator<Item = &'a Payment> {
        self.payments.values().filter(move |payment| payment.reference == reference && payment.account == call.account)
    }

    /// The newest payment with this `transactionReference`, whoever's it is.
    pub(super) fn newest(&mut self, reference: &str) -> Option<&mut Payment> {
        self.payments.values_mut().rev().find(|payment| payment.reference == reference)
    }

    /// The events that are to be told, with their accounts.
    pub(super) fn news(&mut self) -> Vec<(String, Value)> {
        std::mem::take(&mut self.news)
    }
}

impl Payment {
    /// What is reserved in all, in minor units.
    pub(super) fn total(&self) -> i64 {
        self.reserved.last().copied().unwrap_or(0)
    }

    /// The end of this payment's links, as it stands.
    pub(super) fn link(&self) -> String {
        Link { payment: self.id.clone(), raises: self.reserved.len() - 1 }.text()
    }

    /// Notes an event of a command for Payment Queries.
    fn note(&mut self, name: &str, command: &str, more: Value, now: i64) {
        let time = jiff::Timestamp::from_second(now).unwrap_or_default().to_string();
        let mut told = Map::from_iter([
            ("eventName".to_owned(), json!(name)),
            ("timestamp".to_owned(), json!(time)),
            ("commandId".to_owned(), json!(command)),
        ]);
        if let Value::Object(more) = more {
            told.extend(more.into_iter().filter(|(_, value)| !value.is_null()));
        }
        self.history.push(Value::Object(told));
    }

    fn value(&self, amount: i64) -> Value {
        json!({ "currency": self.currency, "amount": amount })
    }

    fn news(&self, kind: &str, reference: Option<&str>, amount: i64, now: i64) -> (String, Value) {
        (self.account.clone(), event(kind, self, reference, amount, now))
    }

    /// The ledger line of a change of money. A payment goes by the merchant's references, as at Worldpay's own desks.
    fn line(&self, kind: Kind, amount: i64, now: i64) -> Line {
        Line {
            id: String::new(),
            provider: NAME,
            kind,
            amount,
            released: 0,
            currency: self.currency.to_ascii_lowercase(),
            last4: self.card.last4(),
            psp_id: self.reference.clone(),
            payment_intent: self.reference.clone(),
            refund: None,
            reversed: false,
            idempotency_key: None,
            payment_id: self.order.clone(),
            attempt_id: Some(self.reference.clone()),
            created: now,
        }
    }
}

/// A fresh id with this word in front, of Worldpay's form.
fn fresh_id(word: &str) -> String {
    format!("{word}{}", URL_SAFE_NO_PAD.encode(Uuid::new_v4().as_bytes()))
}
