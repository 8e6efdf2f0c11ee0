//! The ledger: one line for each operation that reserved, took, released or returned money, and sums for each payment.
//! All dialects write into the same one.
//!
//! An automatically captured payment writes two lines, `authorize` and `capture`, so that sums mean the same whichever
//! way a payment was captured.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Serialize;

/// What happened to money.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    /// Reserved on the card.
    Authorize,
    /// More reserved on the card, for the same payment.
    Increment,
    /// Taken from the card.
    Capture,
    /// A reservation released.
    Cancel,
    /// Given back.
    Refund,
}

/// One operation.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Line {
    /// `led_` and the line's number, from 1.
    pub(crate) id: String,
    /// The dialect that was spoken.
    pub(crate) provider: &'static str,
    /// What happened.
    pub(crate) kind: Kind,
    /// How much, in minor units.
    pub(crate) amount: i64,
    /// Of a capture below the reserved amount: what was released with it, in minor units.
    pub(crate) released: i64,
    /// ISO 4217, lower case.
    pub(crate) currency: String,
    /// The card's last four digits.
    pub(crate) last4: &'static str,
    /// The provider's id of the payment.
    pub(crate) psp_id: String,
    /// The same id, under the name that Stripe has for it.
    pub(crate) payment_intent: String,
    /// The provider's id of the refund, of a refund.
    pub(crate) refund: Option<String>,
    /// The operation failed after all (a refund whose bank sent the money back), so that the line counts in no sum.
    pub(crate) reversed: bool,
    /// The idempotency key of the request that did it; none when the cardholder did, on the 3-D Secure page.
    pub(crate) idempotency_key: Option<String>,
    /// The merchant's name for the payment (at Stripe: `metadata[payment_id]`).
    pub(crate) payment_id: Option<String>,
    /// The merchant's name for the attempt (at Stripe: `metadata[attempt_id]`).
    pub(crate) attempt_id: Option<String>,
    /// Seconds since 1970.
    pub(crate) created: i64,
}

/// How often and how much, for one payment reference.
#[derive(Clone, Default, PartialEq, Eq, Debug, Serialize)]
pub(crate) struct Sums {
    /// How many authorizations.
    pub(crate) authorizations: u64,
    /// How many times more was reserved.
    pub(crate) increments: u64,
    /// How many captures.
    pub(crate) captures: u64,
    /// How many released reservations.
    pub(crate) cancels: u64,
    /// How many refunds.
    pub(crate) refunds: u64,
    /// Reserved, in minor units.
    pub(crate) authorized: i64,
    /// Taken, in minor units.
    pub(crate) captured: i64,
    /// Released, in minor units.
    pub(crate) released: i64,
    /// Given back, in minor units.
    pub(crate) refunded: i64,
}

impl Sums {
    fn add(&mut self, line: &Line) {
        if line.reversed {
            return;
        }
        self.released += line.released;
        let (count, sum) = match line.kind {
            Kind::Authorize => (&mut self.authorizations, &mut self.authorized),
            Kind::Increment => (&mut self.increments, &mut self.authorized),
            Kind::Capture => (&mut self.captures, &mut self.captured),
            Kind::Cancel => (&mut self.cancels, &mut self.released),
            Kind::Refund => (&mut self.refunds, &mut self.refunded),
        };
        *count += 1;
        *sum += line.amount;
    }
}

/// Every line, in order. A clone is another handle on the same ledger; its lock is held for one line at a time and
/// nothing else is locked under it.
#[derive(Clone, Default)]
pub(crate) struct Ledger {
    lines: Arc<Mutex<Vec<Line>>>,
}

/// What `GET /ledger` answers.
#[derive(Serialize)]
pub(crate) struct Statement {
    /// One item for each operation, oldest first.
    pub(crate) entries: Vec<Line>,
    /// By the merchant's name for the payment, or by the provider's id where there is none.
    pub(crate) payments: BTreeMap<String, Sums>,
    /// Over all entries; sums of money mean something only where there is one currency.
    pub(crate) totals: Sums,
}

impl Ledger {
    /// Writes one line and numbers it.
    pub(crate) fn write(&self, mut line: Line) {
        let mut lines = self.lock();
        line.id = format!("led_{}", lines.len() + 1);
        lines.push(line);
    }

    /// Marks the line of a refund that failed after all.
    pub(crate) fn reverse_refund(&self, provider: &str, refund: &str) {
        let mut lines = self.lock();
        let of = |line: &&mut Line| line.provider == provider && line.refund.as_deref() == Some(refund);
        if let Some(line) = lines.iter_mut().rev().find(of) {
            line.reversed = true;
        }
    }

    /// The dialect and the provider's id of the newest payment under this reference: the provider's id, or the
    /// merchant's name for it.
    pub(crate) fn find(&self, reference: &str) -> Option<(&'static str, String)> {
        let lines = self.lock();
        let found = lines.iter().rev().find(|line| line.is_of(reference))?;
        Some((found.provider, found.psp_id.clone()))
    }

    /// The lines of one payment (the merchant's name for it, or the provider's id), or all of them, with their sums.
    pub(crate) fn statement(&self, payment: Option<&str>) -> Statement {
        let entries: Vec<Line> = {
            let lines = self.lock();
            lines.iter().filter(|line| payment.is_none_or(|wanted| line.is_of(wanted))).cloned().collect()
        };
        let mut payments: BTreeMap<String, Sums> = BTreeMap::new();
        let mut totals = Sums::default();
        for line in &entries {
            let reference = line.payment_id.as_ref().unwrap_or(&line.psp_id);
            payments.entry(reference.clone()).or_default().add(line);
            totals.add(line);
        }
        Statement { entries, payments, totals }
    }

    /// How many lines there are.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.lock().len()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Line>> {
        // Each change under the lock is one push or one assignment, so a panic elsewhere leaves nothing half done.
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Line {
    fn is_of(&self, reference: &str) -> bool {
        self.payment_id.as_deref() == Some(reference) || self.psp_id == reference
    }
}
