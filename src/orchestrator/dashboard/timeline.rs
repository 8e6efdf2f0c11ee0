//! What happened to a payment, in its order: from what the engine stores of it, what providers told and what the merchant
//! was told.

use super::words::{Tone, amount, plain, span};
use crate::intent::{Attempt, AttemptStatus, Call, CaptureStatus, Payment, RefundStatus};
use crate::store::{OutboxEvent, OutboxState, SeenEvent};

/// One thing that happened.
pub(super) struct Moment {
    /// Milliseconds since 1970.
    pub(super) at_ms: i64,
    pub(super) tone: Tone,
    pub(super) what: String,
    /// More of our own words.
    pub(super) more: String,
    /// Words of a provider or merchant.
    pub(super) theirs: Option<String>,
}

/// Everything that is known, oldest first.
pub(super) fn moments(payment: &Payment, told: &[OutboxEvent], heard: &[SeenEvent], now_ms: i64) -> Vec<Moment> {
    let mut all = vec![moment(payment.created_ms, Tone::Quiet, "Payment made", amount_of(payment))];
    all.extend((1..).zip(&payment.attempts).map(|(number, one)| attempt(number, one)));
    all.extend(operations(payment));
    all.extend(payment.disputes.iter().map(|dispute| Moment {
        theirs: dispute.reason.clone(),
        ..moment(
            dispute.created_ms,
            Tone::Bad,
            "Dispute",
            crate::view::dispute_status(dispute.status).replace('_', " "),
        )
    }));
    all.extend(heard.iter().map(|event| {
        moment(
            event.seen_ms,
            Tone::Quiet,
            "Webhook of the provider",
            format!("{} of {}", event.event_id, event.account_id),
        )
    }));
    all.extend(told.iter().map(to_merchant));
    if let Some(pending) = &payment.pending {
        let doubt =
            if pending.flight.doubt.is_some() { "; its result is in doubt, and the provider is asked" } else { "" };
        let since = span(now_ms - pending.flight.began_ms);
        let what = format!("{} is under way", call(&pending.call));
        all.push(moment(pending.flight.began_ms, Tone::Open, what, format!("since {since}{doubt}")));
    }
    // Stable: what has the same time stays in the order above.
    all.sort_by_key(|one| one.at_ms);
    all
}

fn moment(at_ms: i64, tone: Tone, what: impl Into<String>, more: impl Into<String>) -> Moment {
    Moment { at_ms, tone, what: what.into(), more: more.into(), theirs: None }
}

fn attempt(number: usize, attempt: &Attempt) -> Moment {
    let (tone, became) = match attempt.status {
        AttemptStatus::Pending => (Tone::Open, "its outcome is not known yet"),
        AttemptStatus::AuthenticationPending => (Tone::Open, "the payer is to authenticate"),
        AttemptStatus::Authorized => (Tone::Held, "money is reserved"),
        AttemptStatus::Charged => (Tone::Good, "money was taken"),
        AttemptStatus::Voided => (Tone::Quiet, "released"),
        AttemptStatus::Failure => (Tone::Bad, "failed"),
    };
    let took =
        attempt.ended_ms.map(|ended| format!(", after {}", span(ended - attempt.created_ms))).unwrap_or_default();
    let what = format!("Attempt {number} at {}", attempt.connector);
    let theirs = match (&attempt.error_code, &attempt.error_message) {
        (None, None) => None,
        (code, message) => {
            let parts = [code.as_deref(), message.as_deref()];
            Some(parts.into_iter().flatten().collect::<Vec<_>>().join(": "))
        }
    };
    Moment { theirs, ..moment(attempt.created_ms, tone, what, format!("{became}{took}")) }
}

fn operations(payment: &Payment) -> impl Iterator<Item = Moment> + '_ {
    let tone_of = |status: CaptureStatus| match status {
        CaptureStatus::Pending => (Tone::Open, "not done yet"),
        CaptureStatus::Charged => (Tone::Good, "done"),
        CaptureStatus::Failed => (Tone::Bad, "did not happen"),
    };
    let money = |minor: u64| amount(minor, payment.terms.currency);
    let captures = payment.captures.iter().map(move |row| {
        let (tone, became) = tone_of(row.status);
        let what = format!("Capture of {}", money(row.amount_minor));
        Moment { theirs: row.error_message.clone(), ..moment(row.created_ms, tone, what, became) }
    });
    let increments = payment.increments.iter().map(move |row| {
        let (tone, became) = tone_of(row.status);
        let what = format!("Reserved amount raised from {} to {}", money(row.before_minor), money(row.total_minor));
        Moment { theirs: row.error_message.clone(), ..moment(row.created_ms, tone, what, became) }
    });
    let refunds = payment.refunds.iter().map(move |row| {
        let took = span(row.modified_ms - row.created_ms);
        let (tone, became) = match row.status {
            RefundStatus::Pending => (Tone::Open, "not done yet".to_owned()),
            RefundStatus::Succeeded => (Tone::Good, format!("done, after {took}")),
            RefundStatus::Failed => (Tone::Bad, format!("did not happen, after {took}")),
        };
        let what = format!("Refund of {}", money(row.amount_minor));
        Moment { theirs: row.error_message.clone(), ..moment(row.created_ms, tone, what, became) }
    });
    captures.chain(increments).chain(refunds)
}

fn to_merchant(event: &OutboxEvent) -> Moment {
    let (tone, became) = match event.state {
        OutboxState::Waiting if event.tries > 0 => (Tone::Open, format!("waits, {} tries failed", event.tries)),
        OutboxState::Waiting => (Tone::Open, "waits".to_owned()),
        OutboxState::Delivered => {
            let took = event.delivered_ms.map(|at| format!(", after {}", span(at - event.created_ms)));
            (Tone::Quiet, format!("delivered{}", took.unwrap_or_default()))
        }
        OutboxState::GivenUp => (Tone::Bad, "given up".to_owned()),
    };
    moment(event.created_ms, tone, format!("Webhook to the merchant: {}", plain(&event.event_type)), became)
}

fn amount_of(payment: &Payment) -> String {
    amount(payment.terms.amount_minor, payment.terms.currency)
}

fn call(call: &Call) -> &'static str {
    match call {
        Call::Authorize { .. } => "The authorization",
        Call::Verify { .. } => "The proof of the card",
        Call::Complete { .. } => "The end of the authentication",
        Call::Capture { .. } => "A capture",
        Call::Increment { .. } => "A raise of what is reserved",
        Call::Cancel => "The cancellation",
        Call::Expire => "The release of what was not taken in time",
    }
}
