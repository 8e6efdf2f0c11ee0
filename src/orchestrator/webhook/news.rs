//! Which events a stored payment stands for, and which of them the merchant has not been told yet.
//!
//! Invariant: what stands in `told` is what the newest event in the outbox says. Both are stored in one transaction, so the
//! merchant's last webhook equals the payment's state, whichever path changed it.

use serde_json::{Value, json};

use crate::clock::rfc3339;
use crate::connector::DisputeStatus;
use crate::ids::{self, NoRandomness};
use crate::intent::{Dispute, Payment, Refund, RefundStatus, State};
use crate::store::NewEvent;
use crate::view;

/// What an event may be about, as its `event_type` says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EventType {
    /// All money is taken, or a card was proven good.
    PaymentSucceeded,
    /// Declined, refused, or taken back by the provider.
    PaymentFailed,
    /// The provider works on it, or its answer is awaited.
    PaymentProcessing,
    /// Given up.
    PaymentCancelled,
    /// Money is reserved.
    PaymentAuthorized,
    /// Part of the money is taken.
    PaymentCaptured,
    /// What was reserved was not taken in time.
    PaymentExpired,
    /// The payer must authenticate.
    ActionRequired,
    /// Money is given back.
    RefundSucceeded,
    /// Money is not given back.
    RefundFailed,
    /// The merchant may answer a dispute.
    DisputeOpened,
    /// The merchant has answered it.
    DisputeChallenged,
    /// The merchant gave in.
    DisputeAccepted,
    /// The bank took it back.
    DisputeCancelled,
    /// Decided for the merchant.
    DisputeWon,
    /// Decided for the payer.
    DisputeLost,
    /// The time to answer ran out.
    DisputeExpired,
}

impl EventType {
    /// Every type.
    pub const ALL: [EventType; 17] = [
        EventType::PaymentSucceeded,
        EventType::PaymentFailed,
        EventType::PaymentProcessing,
        EventType::PaymentCancelled,
        EventType::PaymentAuthorized,
        EventType::PaymentCaptured,
        EventType::PaymentExpired,
        EventType::ActionRequired,
        EventType::RefundSucceeded,
        EventType::RefundFailed,
        EventType::DisputeOpened,
        EventType::DisputeChallenged,
        EventType::DisputeAccepted,
        EventType::DisputeCancelled,
        EventType::DisputeWon,
        EventType::DisputeLost,
        EventType::DisputeExpired,
    ];

    /// The word in `event_type`.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            EventType::PaymentSucceeded => "payment_succeeded",
            EventType::PaymentFailed => "payment_failed",
            EventType::PaymentProcessing => "payment_processing",
            EventType::PaymentCancelled => "payment_cancelled",
            EventType::PaymentAuthorized => "payment_authorized",
            EventType::PaymentCaptured => "payment_captured",
            EventType::PaymentExpired => "payment_expired",
            EventType::ActionRequired => "action_required",
            EventType::RefundSucceeded => "refund_succeeded",
            EventType::RefundFailed => "refund_failed",
            EventType::DisputeOpened => "dispute_opened",
            EventType::DisputeChallenged => "dispute_challenged",
            EventType::DisputeAccepted => "dispute_accepted",
            EventType::DisputeCancelled => "dispute_cancelled",
            EventType::DisputeWon => "dispute_won",
            EventType::DisputeLost => "dispute_lost",
            EventType::DisputeExpired => "dispute_expired",
        }
    }

    /// The type of this word.
    #[must_use]
    pub fn of_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.word() == word)
    }
}

/// Notes in the payment what the merchant is told by storing it now, and answers the events that tell it.
///
/// # Errors
/// No random numbers for the events' ids; the payment must not be stored then.
pub(crate) fn tell(payment: &mut Payment, now_ms: i64) -> Result<Vec<NewEvent>, NoRandomness> {
    let mut news: Vec<(EventType, &str, Value)> = Vec::new();
    if let Some(kind) = of_payment(payment) {
        let told = mark_of_payment(kind, payment);
        if payment.told.as_ref() != Some(&told) {
            payment.told = Some(told);
            news.push((kind, "payment_details", view::payment(payment)));
        }
    }
    for place in 0..payment.refunds.len() {
        let refund = &payment.refunds[place];
        if let Some(kind) = of_refund(refund).filter(|kind| refund.told.as_deref() != Some(kind.word())) {
            news.push((kind, "refund_details", view::refund(payment, refund)));
            payment.refunds[place].told = Some(kind.word().to_owned());
        }
    }
    for place in 0..payment.disputes.len() {
        let dispute = &payment.disputes[place];
        let (kind, told) = (of_dispute(dispute), mark_of_dispute(dispute));
        if dispute.told.as_ref() != Some(&told) {
            news.push((kind, "dispute_details", view::dispute(payment, dispute)));
            payment.disputes[place].told = Some(told);
        }
    }
    news.into_iter().map(|(kind, content, object)| event(payment, kind, content, object, now_ms)).collect()
}

/// What a payment stands for; nothing before it was confirmed and while a call to the provider runs.
fn of_payment(payment: &Payment) -> Option<EventType> {
    Some(match payment.state {
        State::RequiresPaymentMethod | State::RequiresConfirmation => return None,
        State::Processing if payment.pending.as_ref().is_some_and(|pending| pending.flight.busy) => return None,
        State::Processing => EventType::PaymentProcessing,
        State::RequiresCustomerAction => EventType::ActionRequired,
        State::RequiresCapture => EventType::PaymentAuthorized,
        State::Succeeded => EventType::PaymentSucceeded,
        State::PartiallyCaptured | State::PartiallyCapturedAndCapturable => EventType::PaymentCaptured,
        State::Failed => EventType::PaymentFailed,
        State::Cancelled => EventType::PaymentCancelled,
        State::Expired => EventType::PaymentExpired,
    })
}

/// What tells two news of the same type apart: another capture, another amount that is reserved.
fn mark_of_payment(kind: EventType, payment: &Payment) -> String {
    let (taken, of) = (payment.captured_minor, payment.terms.amount_minor);
    format!("{} {} {taken}/{of}", kind.word(), payment.state.word())
}

fn of_refund(refund: &Refund) -> Option<EventType> {
    match refund.status {
        RefundStatus::Pending => None,
        RefundStatus::Succeeded => Some(EventType::RefundSucceeded),
        RefundStatus::Failed => Some(EventType::RefundFailed),
    }
}

fn of_dispute(dispute: &Dispute) -> EventType {
    match dispute.status {
        DisputeStatus::Opened => EventType::DisputeOpened,
        DisputeStatus::Challenged => EventType::DisputeChallenged,
        DisputeStatus::Accepted => EventType::DisputeAccepted,
        DisputeStatus::Expired => EventType::DisputeExpired,
        DisputeStatus::Cancelled => EventType::DisputeCancelled,
        DisputeStatus::Won => EventType::DisputeWon,
        DisputeStatus::Lost => EventType::DisputeLost,
    }
}

/// A second chargeback opens the same dispute once more, at a later stage.
fn mark_of_dispute(dispute: &Dispute) -> String {
    format!("{} {:?}", of_dispute(dispute).word(), dispute.stage)
}

/// `{"merchant_id","event_id","event_type","content":{"type","object"},"timestamp"}`, as the open payments switch sends it.
fn event(
    payment: &Payment,
    kind: EventType,
    content: &str,
    object: Value,
    now_ms: i64,
) -> Result<NewEvent, NoRandomness> {
    let event_id = ids::fresh("evt_", now_ms)?;
    let body = json!({
        "merchant_id": payment.merchant_id,
        "event_id": event_id,
        "event_type": kind.word(),
        "content": {"type": content, "object": object},
        "timestamp": rfc3339(now_ms),
    });
    Ok(NewEvent {
        event_id,
        merchant_id: payment.merchant_id.clone(),
        event_type: kind.word().to_owned(),
        payment_id: payment.payment_id.clone(),
        body: body.to_string(),
        created_ms: now_ms,
    })
}
