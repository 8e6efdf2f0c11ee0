//! What an outcome does to money that is reserved: captured, raised or released.
//!
//! The provider's id of the payment was learnt with its authorization and stays: some providers name the capture instead
//! in their answer to one.

use super::call::{Call, Pending};
use super::payment::{IllegalMove, Payment};
use super::rows::{AttemptStatus, CaptureRow, CaptureStatus};
use super::settle::{Settled, merge, note};
use super::state::{Event, State};
use super::terms::CapturePlan;
use crate::connector::{Decline, Handles, Outcome, Refusal};

/// A capture as it was asked for.
pub(super) struct Asked<'a> {
    pub(super) amount_minor: u64,
    pub(super) capture_id: &'a str,
    pub(super) is_final: bool,
}

pub(super) fn capture(
    payment: &mut Payment,
    pending: &Pending,
    asked: &Asked<'_>,
    outcome: &Outcome,
) -> Result<Settled, IllegalMove> {
    match outcome {
        // The provider tells the sum of all captures, so that this one cannot be taken for an earlier one. Where it is the
        // only one, the provider may have taken another amount than it was asked for, and its word counts.
        Outcome::Captured { amount_minor: sum, network_transaction_id, handles, .. } => {
            let before = payment.captured_minor;
            let only = asked.is_final && before == 0;
            let proven = if only { *sum > 0 } else { *sum >= before.saturating_add(asked.amount_minor) };
            if !proven {
                return Ok(Settled::Strange);
            }
            note(payment, AttemptStatus::Charged, None, network_transaction_id.clone(), handles);
            if let Some(row) = row(payment, asked.capture_id) {
                row.status = CaptureStatus::Charged;
                row.amount_minor = row.amount_minor.min(*sum);
            }
            payment.captured_minor = *sum;
            payment.step(taken(payment, asked.is_final))?;
        }
        Outcome::Cancelled { .. } => {
            miss(payment, asked.capture_id, "cancelled", "The provider released the money before it was captured");
            released(payment, Event::Cancelled)?;
        }
        Outcome::Pending { handles, .. } => {
            merge(payment, handles);
            return Ok(Settled::Waiting);
        }
        Outcome::Declined(Decline { code, message, .. }) | Outcome::Refused(Refusal { code, message }) => {
            miss(payment, asked.capture_id, code, message);
            payment.step(back(pending))?;
            return Ok(Settled::Refused(message.clone()));
        }
        _ => return Ok(Settled::Strange),
    }
    Ok(Settled::Ended)
}

pub(super) fn increment(
    payment: &mut Payment,
    pending: &Pending,
    total_minor: u64,
    increment_id: &str,
    outcome: &Outcome,
) -> Result<Settled, IllegalMove> {
    let overtaken = ("overtaken", "The payment was captured or released before it was raised");
    let (code, message) = match outcome {
        Outcome::Authorized { network_transaction_id, handles, .. } => {
            note(payment, AttemptStatus::Authorized, None, network_transaction_id.clone(), handles);
            payment.terms.amount_minor = total_minor;
            payment.step(Event::Authorized)?;
            if let Some(row) = payment.increments.iter_mut().find(|row| row.increment_id == increment_id) {
                row.status = CaptureStatus::Charged;
            }
            return Ok(Settled::Ended);
        }
        Outcome::Pending { handles, .. } => {
            merge(payment, handles);
            return Ok(Settled::Waiting);
        }
        Outcome::Captured { amount_minor: sum, network_transaction_id, handles, .. } => {
            note(payment, AttemptStatus::Charged, None, network_transaction_id.clone(), handles);
            payment.captured_minor = *sum;
            payment.step(taken(payment, payment.terms.capture != CapturePlan::ManualMultiple))?;
            overtaken
        }
        Outcome::Cancelled { .. } => {
            released(payment, Event::Cancelled)?;
            overtaken
        }
        Outcome::Declined(Decline { code, message, .. }) | Outcome::Refused(Refusal { code, message }) => {
            payment.step(back(pending))?;
            (code.as_str(), message.as_str())
        }
        _ => return Ok(Settled::Strange),
    };
    if let Some(row) = payment.increments.iter_mut().find(|row| row.increment_id == increment_id) {
        row.status = CaptureStatus::Failed;
        row.error_code = Some(code.to_owned());
        row.error_message = Some(message.to_owned());
    }
    // A no of the issuer is an answer and stands in the row; a refused request is an error of the call.
    Ok(if matches!(outcome, Outcome::Refused(_)) { Settled::Refused(message.to_owned()) } else { Settled::Ended })
}

pub(super) fn release(payment: &mut Payment, pending: &Pending, outcome: &Outcome) -> Result<Settled, IllegalMove> {
    let expires = pending.call == Call::Expire;
    let event = if expires { Event::Expired } else { Event::Cancelled };
    match outcome {
        Outcome::Cancelled { .. } => released(payment, event)?,
        // It was captured meanwhile, by somebody else.
        Outcome::Captured { amount_minor: sum, network_transaction_id, handles, .. }
            if *sum > payment.captured_minor =>
        {
            note(payment, AttemptStatus::Charged, None, network_transaction_id.clone(), handles);
            payment.captured_minor = *sum;
            payment.step(taken(payment, pending.back_to != State::PartiallyCapturedAndCapturable))?;
        }
        Outcome::Pending { handles, .. } => {
            merge(payment, handles);
            return Ok(Settled::Waiting);
        }
        // An authorization whose time is over needs nobody's leave to be so.
        Outcome::Declined(_) | Outcome::Refused(_) if expires => released(payment, event)?,
        Outcome::Declined(Decline { message, .. }) | Outcome::Refused(Refusal { message, .. }) => {
            payment.step(back(pending))?;
            return Ok(Settled::Refused(message.clone()));
        }
        _ => return Ok(Settled::Strange),
    }
    Ok(Settled::Ended)
}

/// What is reserved is released: all of it, or what earlier captures left.
fn released(payment: &mut Payment, event: Event) -> Result<(), IllegalMove> {
    let took = payment.captured_minor > 0;
    note(payment, if took { AttemptStatus::Charged } else { AttemptStatus::Voided }, None, None, &Handles::new());
    payment.step(if took { Event::CapturedInPart } else { event })
}

/// Which event it is that so much was taken, with the rest released or not.
pub(super) fn taken(payment: &Payment, is_final: bool) -> Event {
    match payment.captured_minor >= payment.terms.amount_minor {
        true => Event::Captured,
        false if is_final => Event::CapturedInPart,
        false => Event::CapturedSome,
    }
}

/// The event that leads back to where the payment was.
fn back(pending: &Pending) -> Event {
    match pending.back_to {
        State::RequiresCustomerAction => Event::ActionNeeded,
        State::PartiallyCapturedAndCapturable => Event::RestStillReserved,
        _ => Event::StillReserved,
    }
}

fn row<'a>(payment: &'a mut Payment, capture_id: &str) -> Option<&'a mut CaptureRow> {
    payment.captures.iter_mut().find(|row| row.capture_id == capture_id)
}

/// A capture that did not happen.
fn miss(payment: &mut Payment, capture_id: &str, code: &str, message: &str) {
    if let Some(row) = row(payment, capture_id) {
        row.status = CaptureStatus::Failed;
        row.error_code = Some(code.to_owned());
        row.error_message = Some(message.to_owned());
    }
}
