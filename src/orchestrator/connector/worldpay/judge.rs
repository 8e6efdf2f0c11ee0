//! What a payment's history proves.

use super::answer::{ACCEPTED, CANCELLING, IN_PARTS, SETTLING, broken, declined};
use super::history::{Command, Kind, State, Told};
use super::links;
use crate::connector::{Doubt, Handles, Outcome, Refusal, Step, Sync, SyncRefund, words};

/// What became of a payment.
pub(super) fn payment(sync: &Sync, told: &Told) -> Step {
    let (Some(commands), Some(value)) = (told.commands(), told.value()) else {
        return Step::InDoubt(Doubt::Unreadable);
    };
    // An estimate may have been raised since, and Worldpay does not say whether the value follows.
    let raised = sync.raised_to == Some(value);
    let is_ours = raised
        || value.currency == sync.amount.currency
            && (value == sync.amount || sync.handles.contains_key(links::INCREASE));
    if !is_ours {
        return Step::InDoubt(Doubt::Unreadable);
    }
    let psp_id = sync.attempt_id.clone();
    let mut handles = told.handles();
    let Some(first) = commands.iter().find(|c| matches!(c.kind, Kind::Authorization | Kind::Sale)) else {
        return Step::Done(Outcome::Pending { psp_id, handles });
    };
    match first.state {
        State::Open => return Step::Done(Outcome::Pending { psp_id, handles }),
        State::Refused => {
            let decline = declined(&psp_id, first.code.as_deref(), first.description.as_deref(), None);
            return Step::Done(Outcome::Declined(decline));
        }
        State::Failed => return Step::Done(Outcome::Declined(broken(&psp_id))),
        State::Done => {}
    }
    if still_runs(&sync.handles, &commands) {
        return Step::Done(Outcome::Pending { psp_id, handles });
    }
    let done = |kind: Kind| commands.iter().filter(move |c| c.kind == kind && c.state == State::Done);
    let mut captured: u64 = if first.kind == Kind::Sale { value.minor } else { 0 };
    for settlement in done(Kind::Settlement) {
        // A settlement that names no amount is of the whole.
        captured = captured.saturating_add(settlement.amount.unwrap_or(value).minor);
    }
    let reversed = done(Kind::Reversal).next().is_some();
    let released = done(Kind::Cancellation).next().is_some();
    let rest_released = sync.released_after.is_some_and(|taken| taken.minor == captured);
    if reversed || released && (captured == 0 || rest_released) {
        return Step::Done(Outcome::Cancelled { psp_id });
    }
    let network_transaction_id = told.network_transaction_id();
    if captured > 0 {
        if done(Kind::Settlement).count() > 1 {
            handles.insert(IN_PARTS.to_owned(), "yes".to_owned());
        }
        return Step::Done(Outcome::Captured { psp_id, amount_minor: captured, network_transaction_id, handles });
    }
    // What can be settled waits for us. What cannot is being settled on its own, or its time has run out.
    if handles.contains_key(links::SETTLE) || handles.contains_key(links::PARTIAL_SETTLE) {
        if sync.raised_to.is_some() && !raised {
            return Step::Absent;
        }
        return Step::Done(Outcome::Authorized { psp_id, network_transaction_id, handles });
    }
    Step::Done(Outcome::Pending { psp_id, handles })
}

/// What became of the refund with this reference.
pub(super) fn refund(sync: &SyncRefund, reference: &str, told: &Told) -> Step {
    let Some(commands) = told.commands() else { return Step::InDoubt(Doubt::Unreadable) };
    let ours = commands.iter().find(|c| c.kind == Kind::Refund && c.reference.as_deref() == Some(reference));
    let psp_id = reference.to_owned();
    let Some(ours) = ours else {
        return match sync.psp_refund_id {
            // Worldpay accepted it; the history is behind.
            Some(_) => Step::Done(Outcome::Pending { psp_id, handles: Handles::new() }),
            None => Step::Absent,
        };
    };
    if ours.amount.is_some_and(|amount| amount != sync.amount) {
        return Step::InDoubt(Doubt::Unreadable);
    }
    Step::Done(match ours.state {
        State::Open => Outcome::Pending { psp_id, handles: Handles::new() },
        State::Done => Outcome::Refunded { psp_id, amount_minor: sync.amount.minor },
        State::Refused | State::Failed => Outcome::Refused(Refusal {
            code: ours.code.as_deref().map_or("refund_failed".to_owned(), words::code),
            message: "The refund failed; the money stayed with the merchant.".to_owned(),
        }),
    })
}

/// Whether something that Worldpay accepted is not carried out yet. What the history does not show yet counts as well.
fn still_runs(handles: &Handles, commands: &[Command]) -> bool {
    let kinds = [Kind::Settlement, Kind::Cancellation, Kind::Reversal];
    if commands.iter().any(|c| kinds.contains(&c.kind) && c.state == State::Open) {
        return true;
    }
    let Some(accepted) = handles.get(ACCEPTED) else { return false };
    !commands.iter().any(|command| match accepted.as_str() {
        SETTLING => command.kind == Kind::Settlement,
        CANCELLING => matches!(command.kind, Kind::Cancellation | Kind::Reversal),
        id => command.id.as_deref() == Some(id),
    })
}
