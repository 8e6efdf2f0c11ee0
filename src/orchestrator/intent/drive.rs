//! Runs the call that is pending on a payment until its outcome is known or in doubt.

use super::call::Call;
use super::engine::{CardSource, CvcInput, Engine, Exchanged};
use super::failover::Onward;
use super::fault::{Fault, Flow};
use super::payer::payer;
use super::payment::Payment;
use super::rows::Refund;
use super::settle::{self, Settled};
use super::state::State;
use super::terms::CapturePlan;
use crate::account::ConnectorAccount;
use crate::connector::{
    Authorize, Cancel, Capture, CaptureMethod, Complete, Connector, Doubt, Increment, Operation, Outcome, Progress,
    Refund as RefundCall, Refusal, Sync, SyncRefund,
};
use crate::store::{Effects, StoreError, Version};

/// Whether a call is made for the first time or again after a doubt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Making {
    /// The first time: what was not sent did not happen.
    First,
    /// Again, with the same idempotency key: what is not sent now may still have happened then.
    Again,
}

impl Engine {
    /// Makes the pending call. It is stored, with its idempotency key, before this begins, and the caller holds it.
    pub(crate) async fn drive(
        &self,
        payment: Payment,
        version: Version,
        cvc: CvcInput,
        making: Making,
    ) -> Result<Payment, Fault> {
        let (merchant, id) = (payment.merchant_id.clone(), payment.payment_id.clone());
        let ended = self.drive_on(payment, version, cvc, making).await;
        self.or_let_go(&merchant, &id, ended)
    }

    async fn drive_on(
        &self,
        mut payment: Payment,
        mut version: Version,
        cvc: CvcInput,
        making: Making,
    ) -> Result<Payment, Fault> {
        let mut account = self.account_of(&payment).await?;
        let mut cvc = cvc;
        let mut moved = false;
        if making == Making::Again && payment.pending.as_ref().is_some_and(|p| account.rotated_since(p.flight.began_ms))
        {
            return self.leave_in_doubt(payment, version, None).await;
        }
        loop {
            let operation = self.operation(&payment).ok_or(Fault::Internal)?;
            let progress = payment.pending.as_ref().map(|p| p.flight.progress.clone()).unwrap_or_default();
            let mut source = CardSource { payment: &payment, cvc };
            let ended = self.exchange(&account, &operation, &progress, Some(&mut source)).await;
            cvc = source.cvc;
            if making == Making::First {
                match self.onward(&mut payment, version, &ended, moved).await? {
                    Onward::Nowhere => {}
                    Onward::To(next, stored) => {
                        (account, version, moved) = (*next, stored, false);
                        continue;
                    }
                    Onward::Lost => return self.reload(&payment).await,
                }
            }
            match self.without_payer(&payment, ended) {
                Exchanged::Next(next) => {
                    moved |= self.moves_money(&account, &operation, &progress);
                    let lease = self.now_ms() + self.lease_ms;
                    if let Some(pending) = payment.pending.as_mut() {
                        pending.flight.progress = next;
                        pending.flight.lease_ms = lease;
                    }
                    // The next request may move money, so it is not made unless how far it came is stored.
                    version = match self.save(&mut payment, version, &Effects::default()).await {
                        Ok(version) => version,
                        Err(StoreError::Conflict) => return self.reload(&payment).await,
                        Err(other) => return Err(other.into()),
                    };
                }
                // A refusal of the repetition says nothing about the first request. What is over its time is so without a
                // word of the provider's.
                Exchanged::Done(Outcome::Refused(_)) if making == Making::Again && !expires(&payment) => {
                    return self.leave_in_doubt(payment, version, None).await;
                }
                Exchanged::Done(outcome) => return self.finish(payment, version, &outcome).await,
                Exchanged::NotDone(why) if making == Making::First && !must_be_made(&payment) => {
                    not_asked(&mut payment);
                    let refusal = Refusal { code: why.code.into(), message: why.message.into() };
                    let ended = self.finish(payment, version, &Outcome::Refused(refusal)).await;
                    // The payment is as before, and the reason will pass: that is no verdict of the provider's.
                    return match (ended, why.passing()) {
                        (Err(Fault::Connector { .. }), Some(passing)) => Err(passing),
                        (ended, _) => ended,
                    };
                }
                Exchanged::NotDone(_) => return self.leave_in_doubt(payment, version, None).await,
                Exchanged::Absent => return self.leave_in_doubt(payment, version, Some(Doubt::Unreadable)).await,
                Exchanged::InDoubt(doubt) => return self.leave_in_doubt(payment, version, Some(doubt)).await,
            }
        }
    }

    fn moves_money(&self, account: &ConnectorAccount, operation: &Operation, progress: &Progress) -> bool {
        let request = self.connector(&account.connector).map(|connector| connector.request(operation, progress));
        request.is_none_or(|request| request.is_ok_and(|request| request.moves_money))
    }

    /// Where nothing is reserved before the payer's return is handed over, a payment that is given up while they are away
    /// holds nothing, whatever the provider says to its cancellation.
    fn without_payer(&self, payment: &Payment, ended: Exchanged) -> Exchanged {
        let attempt = payment.last_attempt();
        let needs_return = attempt.and_then(|a| self.connector(&a.connector)).is_some_and(Connector::needs_return);
        let is_given_up = payment
            .pending
            .as_ref()
            .is_some_and(|pending| pending.call == Call::Cancel && pending.back_to == State::RequiresCustomerAction);
        match ended {
            Exchanged::Next(_) | Exchanged::Done(Outcome::Authorized { .. } | Outcome::Captured { .. }) => ended,
            _ if needs_return && is_given_up => {
                let psp_id = attempt.and_then(|attempt| attempt.psp_id.clone()).unwrap_or_default();
                Exchanged::Done(Outcome::Cancelled { psp_id })
            }
            ended => ended,
        }
    }

    /// Applies and stores an outcome with its effects.
    pub(crate) async fn finish(
        &self,
        mut payment: Payment,
        version: Version,
        outcome: &Outcome,
    ) -> Result<Payment, Fault> {
        let flow = match payment.pending.as_ref().map(|p| &p.call) {
            Some(Call::Capture { .. }) => Flow::Capture,
            Some(Call::Increment { .. }) => Flow::Increment,
            _ => Flow::Cancel,
        };
        let (settled, effects) = settle::payment(&mut payment, outcome, self.now_ms())?;
        match settled {
            Settled::Waiting => {
                if let Some(pending) = payment.pending.as_mut() {
                    pending.flight.accepted = true;
                }
                return self.leave_in_doubt(payment, version, None).await;
            }
            Settled::Strange => return self.leave_in_doubt(payment, version, Some(Doubt::Unreadable)).await,
            Settled::Ended | Settled::Refused(_) => {}
        }
        match self.save(&mut payment, version, &effects).await {
            Ok(_) => {}
            // Somebody took the call over when the lease had run out; what they stored counts.
            Err(StoreError::Conflict) => return self.reload(&payment).await,
            Err(other) => return Err(other.into()),
        }
        tracing::info!(payment_id = payment.payment_id.as_str(), state = payment.state.word(), "a call ended");
        self.metrics.payment(payment.state.word());
        match settled {
            Settled::Refused(message) => Err(Fault::Connector { flow, message }),
            _ => Ok(payment),
        }
    }

    /// Stores that nothing is known, and when to look again. The payment stays `processing`.
    pub(crate) async fn leave_in_doubt(
        &self,
        mut payment: Payment,
        version: Version,
        doubt: Option<Doubt>,
    ) -> Result<Payment, Fault> {
        let now = self.now_ms();
        if let Some(pending) = payment.pending.as_mut() {
            pending.flight.doubt = doubt.or(pending.flight.doubt);
            pending.flight.wait(now);
            tracing::warn!(payment_id = payment.payment_id.as_str(), doubt = ?pending.flight.doubt, "a call waits");
        }
        payment.modified_ms = now;
        match self.save(&mut payment, version, &Effects::default()).await {
            Ok(_) => Ok(payment),
            Err(StoreError::Conflict) => self.reload(&payment).await,
            Err(other) => Err(other.into()),
        }
    }

    pub(crate) async fn reload(&self, payment: &Payment) -> Result<Payment, Fault> {
        Ok(self.payment(&payment.merchant_id, &payment.payment_id).await?.0)
    }

    /// The pending call as the connector takes it. The same payment gives the same operation, so that it can be repeated.
    pub(crate) fn operation(&self, payment: &Payment) -> Option<Operation> {
        let pending = payment.pending.as_ref()?;
        let attempt = payment.last_attempt()?;
        let payment_id = payment.payment_id.clone();
        let idempotency_key = pending.flight.key.clone();
        let handles = attempt.handles.clone();
        let authorized = payment.money(payment.terms.amount_minor);
        let taken = payment.money(payment.captured_minor);
        Some(match &pending.call {
            Call::Authorize { credential } | Call::Verify { credential } => {
                let authorize = Authorize {
                    attempt_id: attempt.attempt_id.clone(),
                    idempotency_key,
                    amount: authorized,
                    capture: capture_method(payment),
                    incremental: payment.terms.incremental,
                    three_ds: payment.terms.three_ds,
                    return_url: (!payment.terms.off_session
                        && (payment.terms.three_ds || payment.terms.return_url.is_some()))
                    .then(|| self.redirect_back_url(payment)),
                    credential: payment.credential(*credential),
                    description: payment.terms.description.clone(),
                    statement_descriptor: payment.terms.statement_descriptor.clone(),
                    payer: payer(&payment.terms),
                    payment_id,
                };
                match &pending.call {
                    Call::Verify { .. } => Operation::Verify(authorize),
                    _ => Operation::Authorize(authorize),
                }
            }
            Call::Complete { returned } => Operation::Complete(Complete {
                payment_id,
                attempt_id: attempt.attempt_id.clone(),
                psp_id: attempt.psp_id.clone(),
                handles,
                idempotency_key,
                amount: authorized,
                capture: capture_method(payment),
                returned: returned.clone(),
            }),
            Call::Capture { amount_minor, capture_id, is_final } => Operation::Capture(Capture {
                payment_id,
                psp_id: attempt.psp_id.clone()?,
                handles,
                idempotency_key,
                capture_id: capture_id.clone(),
                amount: payment.money(*amount_minor),
                authorized,
                taken,
                is_final: *is_final,
            }),
            Call::Increment { total_minor, increment_id } => Operation::Increment(Increment {
                payment_id,
                psp_id: attempt.psp_id.clone()?,
                handles,
                idempotency_key,
                before: authorized,
                total: payment.money(*total_minor),
                reason: payment
                    .increments
                    .iter()
                    .find(|increment| increment.increment_id == *increment_id)
                    .and_then(|increment| increment.reason.clone()),
            }),
            Call::Cancel | Call::Expire => Operation::Cancel(Cancel {
                payment_id,
                psp_id: attempt.psp_id.clone()?,
                handles,
                authorized,
                taken,
                idempotency_key,
                reason: payment.cancellation_reason.clone(),
            }),
        })
    }

    /// The question about the last attempt.
    pub(crate) fn sync_operation(payment: &Payment) -> Option<Operation> {
        let attempt = payment.last_attempt()?;
        let releases = payment.pending.as_ref().is_some_and(|p| matches!(p.call, Call::Cancel | Call::Expire));
        let taken = payment.captured_minor;
        Some(Operation::Sync(Sync {
            payment_id: payment.payment_id.clone(),
            attempt_id: attempt.attempt_id.clone(),
            psp_id: attempt.psp_id.clone(),
            handles: attempt.handles.clone(),
            amount: payment.money(payment.terms.amount_minor),
            since_unix_s: attempt.created_ms / 1000 - 60,
            released_after: (releases && taken > 0).then(|| payment.money(taken)),
            raised_to: match payment.pending.as_ref().map(|pending| &pending.call) {
                Some(Call::Increment { total_minor, .. }) => Some(payment.money(*total_minor)),
                _ => None,
            },
        }))
    }

    /// A refund as the connector takes it.
    pub(crate) fn refund_operation(payment: &Payment, refund: &Refund) -> Option<Operation> {
        Some(Operation::Refund(RefundCall {
            payment_id: payment.payment_id.clone(),
            refund_id: refund.refund_id.clone(),
            psp_id: payment.last_attempt()?.psp_id.clone()?,
            handles: payment.last_attempt()?.handles.clone(),
            idempotency_key: refund.flight.as_ref()?.key.clone(),
            amount: payment.money(refund.amount_minor),
            captured: payment.money(payment.captured_minor),
            reason: refund.reason.clone(),
        }))
    }

    /// The question about a refund.
    pub(crate) fn sync_refund_operation(payment: &Payment, refund: &Refund) -> Option<Operation> {
        Some(Operation::SyncRefund(SyncRefund {
            refund_id: refund.refund_id.clone(),
            psp_id: payment.last_attempt()?.psp_id.clone()?,
            handles: payment.last_attempt()?.handles.clone(),
            amount: payment.money(refund.amount_minor),
            psp_refund_id: refund.psp_refund_id.clone(),
        }))
    }

    /// Whether a repeated request with this age is still answered from the provider's memory.
    pub(crate) fn may_repeat(connector: &dyn Connector, age_ms: i64) -> bool {
        connector
            .capabilities()
            .idempotent_replay_s
            .and_then(|s| i64::try_from(s).ok())
            .is_some_and(|s| age_ms < s * 1000 - REPLAY_MARGIN_MS)
    }
}

fn expires(payment: &Payment) -> bool {
    payment.pending.as_ref().is_some_and(|pending| pending.call == Call::Expire)
}

/// Whether the call is made later when it could not be made now: nobody asks for it again.
fn must_be_made(payment: &Payment) -> bool {
    payment.pending.as_ref().is_some_and(|pending| matches!(pending.call, Call::Expire | Call::Complete { .. }))
}

/// The provider never heard of the capture or increment, so that no row of it stays.
fn not_asked(payment: &mut Payment) {
    match payment.pending.as_ref().map(|pending| &pending.call) {
        Some(Call::Capture { capture_id, .. }) => payment.captures.retain(|row| row.capture_id != *capture_id),
        Some(Call::Increment { increment_id, .. }) => {
            payment.increments.retain(|row| row.increment_id != *increment_id);
        }
        _ => {}
    }
}

pub(super) fn capture_method(payment: &Payment) -> CaptureMethod {
    match payment.terms.capture {
        CapturePlan::Automatic => CaptureMethod::Automatic,
        CapturePlan::Manual | CapturePlan::Scheduled => CaptureMethod::Manual,
        CapturePlan::ManualMultiple => CaptureMethod::ManualMultiple,
    }
}

/// Clocks differ and requests travel: a key is not used in the last ten minutes of its life, in milliseconds.
const REPLAY_MARGIN_MS: i64 = 600_000;
