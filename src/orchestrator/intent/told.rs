//! What a provider told by itself, applied to a payment by the rules that hold for answers, too.
//!
//! Webhooks come late, twice, out of order and while a call of ours runs. What a payment makes of an event therefore depends
//! on its state alone, and not on when the event came:
//! - an event that settles the call that is pending settles it, whether somebody waits for its answer or not: both store by
//!   compare-and-swap, and whoever comes second finds the call settled;
//! - an event that tells what is known already, or what the table of states does not allow (any more), changes nothing;
//! - money that was reported taken or given back and then was not is noted, because that is what became of it;
//! - disputes only move forward.

use super::call::Call;
use super::observe::Witness;
use super::payment::{IllegalMove, Payment};
use super::rows::{AttemptStatus, CaptureStatus, Dispute, RefundStatus};
use super::settle::{self, Settled};
use super::state::{Event, State};
use super::terms::{CapturePlan, PaymentKind};
use crate::connector::{Decline, Outcome, PspDispute, Refusal, Told};
use crate::store::Effects;
use strongroom_wire::limits;

/// What an event does to a payment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Change {
    /// The payment changed; store it with these effects.
    Changed(Box<Effects>),
    /// The provider knows more than it told: ask.
    Ask,
    /// Known already, or contradicts what is certain.
    Late,
    /// It follows something that is not known yet.
    NotYet,
    /// It is about something of this payment that is not stored, or not yet.
    Unknown,
}

/// Applies events.
pub(super) struct Reader<'a> {
    /// Who writes down what nobody here has asked for.
    pub(super) witness: Witness<'a>,
    /// Whether the provider can be asked.
    pub(super) can_ask: bool,
}

impl Reader<'_> {
    /// Applies what was told about the payment's last attempt. A payment that the table refuses to move is left as it was.
    pub(super) fn apply(&self, payment: &mut Payment, told: &Told) -> Change {
        let mut changed = payment.clone();
        let change = match told {
            Told::Look => Ok(Change::Ask),
            Told::Nothing => Ok(Change::Late),
            Told::Payment(outcome) => self.whole(&mut changed, outcome),
            Told::Capture { capture_id, outcome } => self.capture(&mut changed, capture_id.as_deref(), outcome),
            Told::Cancel(outcome) => self.cancel(&mut changed, outcome),
            Told::Increment(outcome) => self.increment(&mut changed, outcome),
            Told::Refund { refund_id, psp_refund_id, outcome } => {
                Ok(self.refund(&mut changed, refund_id.as_deref(), psp_refund_id.as_deref(), outcome))
            }
            Told::Dispute(told) => Ok(self.dispute(&mut changed, told)),
        };
        let change = change.unwrap_or(Change::Late);
        if matches!(change, Change::Changed(_)) {
            changed.modified_ms = self.witness.now_ms;
            *payment = changed;
        }
        change
    }

    /// How the payment stands as a whole.
    fn whole(&self, payment: &mut Payment, outcome: &Outcome) -> Result<Change, IllegalMove> {
        let pending = payment.pending.as_ref();
        let authorizes = match pending.map(|pending| &pending.call) {
            Some(call) => matches!(call, Call::Authorize { .. } | Call::Verify { .. } | Call::Complete { .. }),
            None => payment.state == State::RequiresCustomerAction,
        };
        let runs = pending.is_some_and(|p| p.flight.busy && p.flight.lease_ms > self.witness.now_ms);
        let at_once =
            payment.terms.capture == CapturePlan::Automatic && payment.terms.kind != PaymentKind::SetupMandate;
        match outcome {
            Outcome::Pending { .. } => Ok(Change::Late),
            // Reserved is half of the story where the money is taken at once. A provider that can be asked tells the rest;
            // one that cannot has no other word for taken.
            Outcome::Authorized { psp_id, network_transaction_id, handles } if authorizes && at_once => {
                if self.can_ask {
                    return Ok(Change::Ask);
                }
                let taken = Outcome::Captured {
                    psp_id: psp_id.clone(),
                    amount_minor: payment.terms.amount_minor,
                    network_transaction_id: network_transaction_id.clone(),
                    handles: handles.clone(),
                };
                self.settle(payment, &taken)
            }
            // Another account may be tried next, which the call that runs or the question decides.
            Outcome::Declined(_) if authorizes && !payment.plan.is_empty() && self.can_ask => Ok(Change::Ask),
            Outcome::Declined(_) if authorizes && !payment.plan.is_empty() && runs => Ok(Change::NotYet),
            _ if authorizes => self.settle(payment, outcome),
            Outcome::Captured { amount_minor, .. } if *amount_minor > payment.captured_minor => {
                self.settle(payment, outcome)
            }
            Outcome::Cancelled { .. } => self.settle(payment, outcome),
            _ => Ok(Change::Late),
        }
    }

    /// A capture by itself; `outcome` has the amount of this one alone.
    fn capture(&self, payment: &mut Payment, id: Option<&str>, outcome: &Outcome) -> Result<Change, IllegalMove> {
        let pending = match payment.pending.as_ref().map(|pending| &pending.call) {
            Some(Call::Capture { capture_id, .. }) => Some(capture_id.clone()),
            // What follows an authorization whose own end is not known yet.
            Some(Call::Authorize { .. } | Call::Complete { .. }) => {
                return Ok(if self.can_ask { Change::Ask } else { Change::NotYet });
            }
            _ => None,
        };
        // Without an id it is not certain which of several is meant.
        if id.is_none() && payment.captures.len() > 1 {
            return Ok(if self.can_ask && pending.is_some() { Change::Ask } else { Change::Late });
        }
        let is_pending = pending.is_some_and(|pending| pending.is_empty() || id.is_none_or(|id| id == pending));
        match outcome {
            Outcome::Captured { psp_id, amount_minor, network_transaction_id, handles } => {
                let known = id.is_some_and(|id| payment.captures.iter().any(|row| row.capture_id == id));
                if !is_pending && (known || payment.captured_minor > 0 && id.is_none()) {
                    return Ok(Change::Late);
                }
                if !known && id.is_some() {
                    return Ok(Change::Unknown);
                }
                let total = Outcome::Captured {
                    psp_id: psp_id.clone(),
                    amount_minor: payment.captured_minor + amount_minor,
                    network_transaction_id: network_transaction_id.clone(),
                    handles: handles.clone(),
                };
                self.settle(payment, &total)
            }
            Outcome::Declined(_) | Outcome::Refused(_) if is_pending => self.settle(payment, outcome),
            Outcome::Declined(Decline { code, message, .. }) | Outcome::Refused(Refusal { code, message }) => {
                self.take_back(payment, id, code, message)
            }
            _ => Ok(Change::Late),
        }
    }

    /// A capture that was reported done failed afterwards. What was reserved for it may be reserved still; where nobody but
    /// the provider captures, the payment has failed.
    fn take_back(
        &self,
        payment: &mut Payment,
        id: Option<&str>,
        code: &str,
        message: &str,
    ) -> Result<Change, IllegalMove> {
        let has_rows = !payment.captures.is_empty();
        let row = payment.captures.iter_mut().find(|row| id.is_none_or(|id| row.capture_id == id));
        let amount_minor = match row {
            Some(row) if row.status == CaptureStatus::Charged => {
                row.status = CaptureStatus::Failed;
                row.error_code = Some(code.to_owned());
                row.error_message = Some(message.to_owned());
                row.amount_minor
            }
            Some(_) => return Ok(Change::Late),
            // A payment with rows has one for each capture; this id is of none of them.
            None if has_rows => return Ok(Change::Late),
            None => payment.captured_minor,
        };
        if amount_minor == 0 || payment.pending.is_some() {
            return Ok(if payment.pending.is_some() { Change::NotYet } else { Change::Late });
        }
        payment.captured_minor = payment.captured_minor.saturating_sub(amount_minor);
        let by_itself = payment.terms.capture == CapturePlan::Automatic;
        payment.step(match (payment.captured_minor, by_itself) {
            (0, true) => Event::Failed,
            (0, false) => Event::StillReserved,
            (_, _) => Event::RestStillReserved,
        })?;
        let days = payment.last_attempt().map_or(0, |attempt| i64::from(attempt.authorization_days));
        payment.authorized_until_ms.get_or_insert(self.witness.now_ms + days * DAY_MS);
        if let Some(attempt) = payment.attempts.last_mut() {
            attempt.status = match payment.state {
                State::Failed => AttemptStatus::Failure,
                State::RequiresCapture => AttemptStatus::Authorized,
                _ => attempt.status,
            };
            attempt.error_code = Some(code.to_owned());
            attempt.error_message = Some(message.to_owned());
        }
        Ok(Change::Changed(Box::default()))
    }

    /// The provider released what was reserved, because we asked or by itself, or did not.
    fn cancel(&self, payment: &mut Payment, outcome: &Outcome) -> Result<Change, IllegalMove> {
        let is_pending =
            payment.pending.as_ref().is_some_and(|pending| matches!(pending.call, Call::Cancel | Call::Expire));
        match outcome {
            Outcome::Cancelled { .. } => self.settle(payment, outcome),
            Outcome::Declined(_) | Outcome::Refused(_) if is_pending => self.settle(payment, outcome),
            _ => Ok(Change::Late),
        }
    }

    fn increment(&self, payment: &mut Payment, outcome: &Outcome) -> Result<Change, IllegalMove> {
        match payment.pending.as_ref().map(|pending| &pending.call) {
            Some(Call::Increment { .. }) => self.settle(payment, outcome),
            _ => Ok(Change::Late),
        }
    }

    fn refund(&self, payment: &mut Payment, id: Option<&str>, psp_id: Option<&str>, outcome: &Outcome) -> Change {
        let found = payment.refunds.iter().find(|refund| match id {
            Some(id) => refund.refund_id == id,
            None => psp_id.is_some() && refund.psp_refund_id.as_deref() == psp_id,
        });
        let Some(refund) = found else { return Change::Unknown };
        let is_no = matches!(outcome, Outcome::Declined(_) | Outcome::Refused(_));
        // What was given back may come back; what was refused is given back by no later word about it.
        if refund.status == RefundStatus::Failed || refund.status == RefundStatus::Succeeded && !is_no {
            return Change::Late;
        }
        let refund_id = refund.refund_id.clone();
        match settle::refund(payment, &refund_id, outcome, self.witness.now_ms) {
            Settled::Ended | Settled::Refused(_) => Change::Changed(Box::default()),
            Settled::Waiting | Settled::Strange => Change::Late,
        }
    }

    fn dispute(&self, payment: &mut Payment, told: &PspDispute) -> Change {
        let amount_minor = told.amount.filter(|amount| amount.currency == payment.terms.currency).map(|a| a.minor);
        let is_full = payment.disputes.len() >= limits::DISPUTES_MAX;
        match payment.disputes.iter_mut().find(|dispute| dispute.dispute_id == told.dispute_id) {
            None if is_full => Change::Late,
            None => {
                payment.disputes.push(Dispute {
                    dispute_id: told.dispute_id.clone(),
                    stage: told.stage,
                    status: told.status,
                    amount_minor,
                    reason: told.reason.clone(),
                    evidence_due_ms: told.evidence_due_ms,
                    created_ms: self.witness.now_ms,
                    modified_ms: self.witness.now_ms,
                    told: None,
                });
                Change::Changed(Box::default())
            }
            Some(known) if (told.stage, told.status) > (known.stage, known.status) => {
                (known.stage, known.status) = (told.stage, told.status);
                known.amount_minor = amount_minor.or(known.amount_minor);
                known.reason = told.reason.clone().or(known.reason.take());
                known.evidence_due_ms = told.evidence_due_ms.or(known.evidence_due_ms);
                known.modified_ms = self.witness.now_ms;
                Change::Changed(Box::default())
            }
            Some(_) => Change::Late,
        }
    }

    /// Settles the call that is pending, or the one that somebody else has made.
    fn settle(&self, payment: &mut Payment, outcome: &Outcome) -> Result<Change, IllegalMove> {
        if payment.pending.is_none() && !self.witness.write_call(payment, outcome)? {
            return Ok(Change::Late);
        }
        Ok(match settle::payment(payment, outcome, self.witness.now_ms)? {
            (Settled::Ended | Settled::Refused(_), effects) => Change::Changed(Box::new(effects)),
            (Settled::Waiting | Settled::Strange, _) => Change::Late,
        })
    }
}

/// Milliseconds of a day.
const DAY_MS: i64 = 24 * 3_600_000;
