//! What an outcome does to a payment or refund: pure, so that each case is tested by itself.

use strongroom_wire::{CustomerId, Token};

use super::call::{Call, Pending, Watch};
use super::held::{self, Asked};
use super::payment::{IllegalMove, Payment};
use super::rows::{AttemptStatus, RefundStatus};
use super::state::{Event, State};
use super::terms::{CapturePlan, FutureUsage, PaymentKind};
use crate::connector::{Decline, Handles, Outcome, Refusal};
use crate::store::{ChoreKind, Effects, NewChore, Record, SavedUse};

/// What is left to say to the caller after an outcome was applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Settled {
    /// The call ended and did what it should, or the payment says why not.
    Ended,
    /// A capture or cancellation was refused; the payment is where it was.
    Refused(String),
    /// The provider works on it.
    Waiting,
    /// The outcome does not fit the call, so nothing is known.
    Strange,
}

/// Applies the outcome of the pending call. Its effects are stored in the same transaction as the payment.
///
/// # Errors
/// [`IllegalMove`] if the payment is not where a pending call leaves it.
pub(super) fn payment(
    payment: &mut Payment,
    outcome: &Outcome,
    now_ms: i64,
) -> Result<(Settled, Effects), IllegalMove> {
    let Some(pending) = payment.pending.clone() else {
        return Ok((Settled::Strange, Effects::default()));
    };
    payment.modified_ms = now_ms;
    let settled = match &pending.call {
        Call::Authorize { .. } | Call::Verify { .. } | Call::Complete { .. } => {
            authorization(payment, &pending, outcome, now_ms)?
        }
        Call::Capture { amount_minor, capture_id, is_final } => {
            let asked = Asked { amount_minor: *amount_minor, capture_id, is_final: *is_final };
            held::capture(payment, &pending, &asked, outcome)?
        }
        Call::Increment { total_minor, increment_id } => {
            held::increment(payment, &pending, *total_minor, increment_id, outcome)?
        }
        Call::Cancel | Call::Expire => held::release(payment, &pending, outcome)?,
    };
    if matches!(settled, Settled::Waiting | Settled::Strange) {
        return Ok((settled, Effects::default()));
    }
    payment.pending = None;
    payment.plan.clear();
    if payment.state != State::RequiresCustomerAction {
        payment.redirect_url = None;
        payment.watch = None;
    } else if payment.watch.is_none() {
        payment.watch = Some(Watch { tries: 0, next_ms: now_ms + WATCH_FIRST_MS });
    }
    let is_new = matches!(pending.call, Call::Authorize { .. } | Call::Verify { .. } | Call::Complete { .. });
    Ok((settled, aftercare(payment, !is_new, now_ms)))
}

fn authorization(
    payment: &mut Payment,
    pending: &Pending,
    outcome: &Outcome,
    now_ms: i64,
) -> Result<Settled, IllegalMove> {
    let verifies = payment.terms.kind == PaymentKind::SetupMandate;
    match outcome {
        Outcome::Authorized { psp_id, network_transaction_id, handles } if !verifies => {
            note(payment, AttemptStatus::Authorized, Some(psp_id), network_transaction_id.clone(), handles);
            payment.step(Event::Authorized)?;
            hold(payment, pending, now_ms);
        }
        Outcome::Captured { psp_id, amount_minor, network_transaction_id, handles } if !verifies => {
            note(payment, AttemptStatus::Charged, Some(psp_id), network_transaction_id.clone(), handles);
            payment.captured_minor = *amount_minor;
            let several = payment.terms.capture == CapturePlan::ManualMultiple;
            payment.step(held::taken(payment, !several))?;
            hold(payment, pending, now_ms);
        }
        // Some providers tell of a card that was proven good as of one that was charged nothing.
        Outcome::Verified { psp_id, network_transaction_id, handles }
        | Outcome::Authorized { psp_id, network_transaction_id, handles }
        | Outcome::Captured { psp_id, network_transaction_id, handles, amount_minor: 0 }
            if verifies =>
        {
            note(payment, AttemptStatus::Charged, Some(psp_id), network_transaction_id.clone(), handles);
            payment.step(Event::Captured)?;
        }
        Outcome::Cancelled { psp_id } => {
            note(payment, AttemptStatus::Voided, Some(psp_id), None, &Handles::new());
            payment.step(Event::Cancelled)?;
        }
        Outcome::RequiresAction { psp_id, redirect_url, handles } => {
            note(payment, AttemptStatus::AuthenticationPending, Some(psp_id), None, handles);
            payment.step(Event::ActionNeeded)?;
            payment.redirect_url = Some(redirect_url.clone());
        }
        Outcome::Pending { psp_id, handles } => {
            note(payment, AttemptStatus::Pending, Some(psp_id), None, handles);
            return Ok(Settled::Waiting);
        }
        Outcome::Declined(decline) => {
            failed(payment, decline);
            payment.step(Event::Failed)?;
        }
        // What a browser brings back is nobody's word: that the provider does not want it says nothing about the payer.
        Outcome::Refused(refusal) if matches!(pending.call, Call::Complete { .. }) => {
            note(payment, AttemptStatus::AuthenticationPending, None, None, &Handles::new());
            payment.step(Event::ActionNeeded)?;
            return Ok(Settled::Refused(refusal.message.clone()));
        }
        Outcome::Refused(refusal) => {
            refused(payment, refusal);
            payment.step(Event::Failed)?;
        }
        Outcome::Authorized { .. } | Outcome::Captured { .. } | Outcome::Verified { .. } | Outcome::Refunded { .. } => {
            return Ok(Settled::Strange);
        }
    }
    Ok(Settled::Ended)
}

/// From when on the time of the authorization runs. A call whose answer was lost may have been done when it began.
fn hold(payment: &mut Payment, pending: &Pending, now_ms: i64) {
    let since = if pending.flight.doubt.is_some() { pending.flight.began_ms } else { now_ms };
    let days = payment.last_attempt().map_or(0, |attempt| i64::from(attempt.authorization_days));
    payment.authorized_until_ms = payment.is_reserved().then_some(since + days * DAY_MS);
    payment.capture_due_ms = payment
        .terms
        .capture_on_ms
        .filter(|_| payment.state == State::RequiresCapture && payment.terms.capture == CapturePlan::Scheduled);
}

pub(super) fn merge(payment: &mut Payment, handles: &Handles) {
    if let Some(attempt) = payment.attempts.last_mut() {
        attempt.handles.extend(handles.iter().map(|(name, text)| (name.clone(), text.clone())));
    }
}

/// What a payment that was given up before any provider was asked leaves to do.
pub(super) fn abandoned(payment: &mut Payment) -> Effects {
    let now_ms = payment.modified_ms;
    aftercare(payment, false, now_ms)
}

/// Applies the outcome of a refund's call.
pub(super) fn refund(payment: &mut Payment, refund_id: &str, outcome: &Outcome, now_ms: i64) -> Settled {
    let Some(refund) = payment.refunds.iter_mut().find(|r| r.refund_id == refund_id) else {
        return Settled::Strange;
    };
    refund.modified_ms = now_ms;
    match outcome {
        Outcome::Refunded { psp_id, .. } => {
            refund.psp_refund_id = Some(psp_id.clone());
            refund.status = RefundStatus::Succeeded;
        }
        Outcome::Pending { psp_id, .. } => {
            refund.psp_refund_id = Some(psp_id.clone());
            return Settled::Waiting;
        }
        Outcome::Declined(Decline { code, message, .. }) | Outcome::Refused(Refusal { code, message }) => {
            refund.error_code = Some(code.clone());
            refund.error_message = Some(message.clone());
            refund.status = RefundStatus::Failed;
        }
        _ => return Settled::Strange,
    }
    refund.flight = None;
    Settled::Ended
}

/// Notes on the last attempt how it stands, as of the time at which the payment was last changed.
pub(super) fn note(
    payment: &mut Payment,
    status: AttemptStatus,
    psp_id: Option<&str>,
    network: Option<String>,
    handles: &Handles,
) {
    merge(payment, handles);
    if let Some(attempt) = payment.attempts.last_mut() {
        let is_open = |status| matches!(status, AttemptStatus::Pending | AttemptStatus::AuthenticationPending);
        if is_open(attempt.status) && !is_open(status) {
            attempt.ended_ms = Some(payment.modified_ms);
        }
        attempt.status = status;
        if let Some(psp_id) = psp_id {
            attempt.psp_id = Some(psp_id.to_owned());
        }
        attempt.network_transaction_id = network.or(attempt.network_transaction_id.take());
    }
}

/// Notes a decline on the last attempt.
pub(super) fn failed(payment: &mut Payment, decline: &Decline) {
    note(payment, AttemptStatus::Failure, decline.psp_id.as_deref(), None, &Handles::new());
    if let Some(attempt) = payment.attempts.last_mut() {
        attempt.error_code = Some(decline.code.clone());
        attempt.error_message = Some(match &decline.decline_code {
            Some(fine) => format!("message - {}, decline_code - {fine}", decline.message),
            None => decline.message.clone(),
        });
        attempt.decline_kind = Some(decline.kind);
    }
}

/// Notes a refusal on the last attempt.
pub(super) fn refused(payment: &mut Payment, refusal: &Refusal) {
    note(payment, AttemptStatus::Failure, None, None, &Handles::new());
    if let Some(attempt) = payment.attempts.last_mut() {
        attempt.error_code = Some(refusal.code.clone());
        attempt.error_message = Some(refusal.message.clone());
    }
}

/// What the vault has to do now that the authorization ended: pay first, keep the card only then. A card that will not be
/// kept goes as soon as the provider has it, so that it does not wait for a payer who may never come back.
fn aftercare(payment: &mut Payment, was_authorized: bool, now_ms: i64) -> Effects {
    let mut effects = Effects::default();
    let customer = payment.terms.customer_id.clone();
    let usage = payment.terms.setup_future_usage;
    let wished = usage.is_some() && customer.is_some();
    let success = match payment.state {
        State::RequiresCapture
        | State::Succeeded
        | State::PartiallyCaptured
        | State::PartiallyCapturedAndCapturable => true,
        State::Failed | State::Cancelled | State::Expired => false,
        State::RequiresCustomerAction if !wished => false,
        _ => return effects,
    };
    let keep = success && wished;
    let Some(token) = payment.method.as_ref().map(|method| method.token) else {
        return effects;
    };
    if payment.method.as_ref().is_some_and(|method| method.fresh) {
        effects.chores.push(chore(payment, if keep { ChoreKind::Retain } else { ChoreKind::Shred }, token));
    }
    let Some(method) = payment.method.as_mut() else {
        return effects;
    };
    if method.fresh {
        method.fresh = false;
        method.kept = keep;
    }
    if success && !was_authorized && method.kept {
        let network = payment.attempts.last().and_then(|a| a.network_transaction_id.clone());
        effects.used = customer.map(|customer_id: CustomerId| SavedUse {
            merchant_id: payment.merchant_id.clone(),
            customer_id,
            token: method.token,
            last_used_ms: now_ms,
            network_transaction_id: network,
            off_session: usage == Some(FutureUsage::OffSession),
        });
    }
    effects
}

fn chore(payment: &Payment, kind: ChoreKind, token: Token) -> NewChore {
    let (merchant_id, payment_id) = (payment.merchant_id.clone(), payment.payment_id.clone());
    NewChore { merchant_id, kind, record: Record::Card(token), payment_id, due_ms: 0 }
}

/// How long a payer is left alone with the authentication page before the provider is asked, in milliseconds.
const WATCH_FIRST_MS: i64 = 30_000;
/// Milliseconds of a day.
const DAY_MS: i64 = 24 * 3_600_000;
