//! Disputes on purpose: the desk orders one, and Stripe's webhook tells it.

use serde_json::Value;

use super::book::{Book, Disputed, fresh_id};
use super::event::{event, seal};
use super::{NAME, Stripe, shape};
use crate::desk::{Dispute, DisputeStatus};

/// Opens the dispute of a payment or moves it on, and tells it.
pub(super) fn order(stripe: &Stripe, wanted: &Dispute) -> Result<Value, String> {
    let now = stripe.house.now_s();
    let mut book = stripe.book();
    let kind = book.dispute(wanted, now)?;
    let intent = book.intent(&wanted.psp_id).map_err(|_| NO_INTENT)?;
    let shape = shape::dispute(intent).ok_or(NO_INTENT)?;
    stripe.house.bell.ring(NAME, &intent.account, event(kind, shape.clone(), now), seal);
    Ok(shape)
}

impl Book {
    /// Opens or moves a dispute; answers the type of the event that tells it.
    fn dispute(&mut self, wanted: &Dispute, now: i64) -> Result<&'static str, String> {
        let status = status(wanted.status);
        let intent = self.intent_mut(&wanted.psp_id).map_err(|_| NO_INTENT)?;
        let amount = wanted.amount.unwrap_or(intent.received);
        if !(1..=intent.received).contains(&amount) {
            return Err("amount: from 1 to what the payment has taken".to_owned());
        }
        let reason = wanted.reason.as_deref().unwrap_or("fraudulent");
        let reason = REASONS.iter().find(|known| **known == reason);
        let reason = *reason.ok_or_else(|| format!("reason: one of {}", REASONS.join(", ")))?;
        let over = |status| matches!(status, "won" | "lost" | "warning_closed");
        match &mut intent.dispute {
            Some(dispute) if over(dispute.status) => Err("the dispute is over".to_owned()),
            Some(dispute) => {
                dispute.status = status;
                Ok(if over(status) { "charge.dispute.closed" } else { "charge.dispute.updated" })
            }
            open => {
                *open = Some(Disputed { id: fresh_id("dp"), amount, reason, status, created: now });
                Ok("charge.dispute.created")
            }
        }
    }
}

/// Stripe's word. It has none of its own for a merchant that gives in: the dispute is lost.
fn status(status: DisputeStatus) -> &'static str {
    match status {
        DisputeStatus::Inquiry => "warning_needs_response",
        DisputeStatus::Opened => "needs_response",
        DisputeStatus::Challenged => "under_review",
        DisputeStatus::Cancelled => "warning_closed",
        DisputeStatus::Won => "won",
        DisputeStatus::Accepted | DisputeStatus::Lost => "lost",
    }
}

const NO_INTENT: &str = "psp_id: no such payment intent";

const REASONS: &[&str] = &[
    "credit_not_processed",
    "duplicate",
    "fraudulent",
    "general",
    "incorrect_account_details",
    "product_not_received",
    "product_unacceptable",
    "subscription_canceled",
    "unrecognized",
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stripe::book::law_tests::paid;

    fn dispute(psp_id: &str, status: DisputeStatus, amount: Option<i64>) -> Dispute {
        Dispute { psp_id: psp_id.to_owned(), status, amount, reason: None }
    }

    #[test]
    fn dispute_opens_once_moves_and_ends_for_good() {
        let (mut book, id) = paid();
        assert_eq!(book.dispute(&dispute(&id, DisputeStatus::Inquiry, None), 1), Ok("charge.dispute.created"));
        assert_eq!(book.dispute(&dispute(&id, DisputeStatus::Opened, None), 2), Ok("charge.dispute.updated"));
        let shown = book.intent(&id).ok().and_then(shape::dispute).expect("a dispute");
        assert_eq!((&shown["status"], &shown["amount"]), (&"needs_response".into(), &1000.into()));
        assert_eq!(book.dispute(&dispute(&id, DisputeStatus::Accepted, None), 3), Ok("charge.dispute.closed"));
        assert!(book.dispute(&dispute(&id, DisputeStatus::Won, None), 4).is_err());
    }

    #[test]
    fn dispute_of_more_than_was_taken_or_for_no_known_reason_is_refused() {
        let (mut book, id) = paid();
        for amount in [0, 1001] {
            assert!(book.dispute(&dispute(&id, DisputeStatus::Opened, Some(amount)), 1).is_err());
        }
        let odd = Dispute { reason: Some("whim".to_owned()), ..dispute(&id, DisputeStatus::Opened, None) };
        assert!(book.dispute(&odd, 1).is_err());
        assert!(book.dispute(&dispute("pi_none", DisputeStatus::Opened, None), 1).is_err());
        assert!(book.intent(&id).ok().and_then(shape::dispute).is_none());
    }
}
