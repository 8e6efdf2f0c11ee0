//! The ledger: one line for each operation that reserved, took, released or returned money, and sums for each payment.
//!
//! An automatically captured payment writes two lines, `authorize` and `capture`, so that sums mean the same whichever
//! way a payment was captured.

use std::collections::BTreeMap;

use serde::Serialize;

/// What happened to money.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    /// Reserved on the card.
    Authorize,
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
    /// What happened.
    pub(crate) kind: Kind,
    /// How much, in minor units.
    pub(crate) amount: i64,
    /// Of a capture below the authorized amount: what was released with it, in minor units.
    pub(crate) released: i64,
    /// ISO 4217, lower case, as Stripe writes it.
    pub(crate) currency: String,
    /// The card's last four digits.
    pub(crate) last4: &'static str,
    /// The payment intent.
    pub(crate) payment_intent: String,
    /// The refund, of a refund.
    pub(crate) refund: Option<String>,
    /// Of a refund: the bank sent the money back, so that the line counts in no sum.
    pub(crate) reversed: bool,
    /// The `Idempotency-Key` of the request that did it; none when the cardholder did, on the 3-D Secure page.
    pub(crate) idempotency_key: Option<String>,
    /// `metadata[payment_id]` of the payment intent.
    pub(crate) payment_id: Option<String>,
    /// `metadata[attempt_id]` of the payment intent.
    pub(crate) attempt_id: Option<String>,
    /// Seconds since 1970.
    pub(crate) created: i64,
}

/// How often and how much, for one payment reference.
#[derive(Clone, Default, PartialEq, Eq, Debug, Serialize)]
pub(crate) struct Sums {
    /// How many authorizations.
    pub(crate) authorizations: u64,
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
            Kind::Capture => (&mut self.captures, &mut self.captured),
            Kind::Cancel => (&mut self.cancels, &mut self.released),
            Kind::Refund => (&mut self.refunds, &mut self.refunded),
        };
        *count += 1;
        *sum += line.amount;
    }
}

/// Every line, in order.
#[derive(Default)]
pub(crate) struct Ledger {
    lines: Vec<Line>,
}

/// What `GET /ledger` answers.
#[derive(Serialize)]
pub(crate) struct Statement<'a> {
    /// One item for each operation, oldest first.
    pub(crate) entries: Vec<&'a Line>,
    /// By `payment_id` of the metadata, or by payment intent where there is none.
    pub(crate) payments: BTreeMap<&'a str, Sums>,
    /// Over all entries; sums of money mean something only where there is one currency.
    pub(crate) totals: Sums,
}

impl Ledger {
    /// Writes one line and numbers it.
    pub(crate) fn write(&mut self, mut line: Line) {
        line.id = format!("led_{}", self.lines.len() + 1);
        self.lines.push(line);
    }

    /// Marks the line of a refund that failed after all.
    pub(crate) fn reverse(&mut self, refund: &str) {
        if let Some(line) = self.lines.iter_mut().rfind(|line| line.refund.as_deref() == Some(refund)) {
            line.reversed = true;
        }
    }

    /// The lines of one payment (its `payment_id` or payment intent), or all of them, with their sums.
    pub(crate) fn statement(&self, payment: Option<&str>) -> Statement<'_> {
        let of = |line: &&Line| {
            payment.is_none_or(|wanted| line.payment_id.as_deref() == Some(wanted) || line.payment_intent == wanted)
        };
        let entries: Vec<&Line> = self.lines.iter().filter(of).collect();
        let mut payments: BTreeMap<&str, Sums> = BTreeMap::new();
        let mut totals = Sums::default();
        for line in &entries {
            let reference = line.payment_id.as_deref().unwrap_or(&line.payment_intent);
            payments.entry(reference).or_default().add(line);
            totals.add(line);
        }
        Statement { entries, payments, totals }
    }

    /// How many lines there are.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.lines.len()
    }
}
