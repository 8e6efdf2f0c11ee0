//! Failover: the next account of the plan, after an attempt that provably took nothing.
//!
//! | how the attempt ended | what follows |
//! |---|---|
//! | nothing was sent, or nothing that moves money (unreachable, no credentials of this account) | the next account |
//! | a soft decline | the next account |
//! | a hard decline, or one that the schemes forbid to repeat | the payment failed |
//! | the request was refused | the payment failed: another account would be asked the same |
//! | in doubt | nothing, until the provider was asked and has said how it ended |
//! | the payer is to authenticate | nothing any more, whatever comes of it: they did it for this attempt |
//!
//! Each attempt has a name and an idempotency key of its own, and is stored, together with the accounts that are left,
//! before its first request. So whoever finds the payment after a crash knows which provider to ask and never begins an
//! attempt beside another.

use strongroom_wire::limits;

use super::drive::Making;
use super::engine::{CvcInput, Engine, Exchanged};
use super::fault::Fault;
use super::{Attempt, Call, Flight, Payment, Pending, State, settle};
use crate::account::ConnectorAccount;
use crate::connector::{DeclineKind, Outcome, Refusal};
use crate::ids;
use crate::store::{Effects, StoreError, Version};

/// What a failed attempt leads to.
pub(crate) enum Onward {
    /// The attempt ended the payment.
    Nowhere,
    /// The next attempt is stored; its call is to be made on this account.
    To(Box<ConnectorAccount>, Version),
    /// Somebody else has taken the payment over.
    Lost,
}

impl Engine {
    /// After the end of an attempt: stores the next one, if there may be one. `moved`: an earlier request of this attempt
    /// may have moved money.
    pub(crate) async fn onward(
        &self,
        payment: &mut Payment,
        version: Version,
        ended: &Exchanged,
        moved: bool,
    ) -> Result<Onward, Fault> {
        let is_over = match ended {
            Exchanged::Done(Outcome::Declined(decline)) => decline.kind == DeclineKind::Soft,
            Exchanged::NotDone(why) => why.elsewhere && !moved,
            _ => false,
        };
        let Some(Pending { call: call @ (Call::Authorize { .. } | Call::Verify { .. }), back_to, .. }) =
            payment.pending.clone()
        else {
            return Ok(Onward::Nowhere);
        };
        let may = is_over && back_to != State::RequiresCustomerAction && payment.attempts.len() < limits::ATTEMPTS_MAX;
        if !may {
            return Ok(Onward::Nowhere);
        }
        let Some(account) = self.next_way(payment).await? else {
            return Ok(Onward::Nowhere);
        };
        let now = self.now_ms();
        payment.modified_ms = now;
        match ended {
            Exchanged::Done(Outcome::Declined(decline)) => settle::failed(payment, decline),
            Exchanged::NotDone(why) => {
                settle::refused(payment, &Refusal { code: why.code.into(), message: why.message.into() });
            }
            _ => return Ok(Onward::Nowhere),
        }
        let key = ids::fresh("key_", now)?;
        let attempt = self.attempt_at(payment, &account, key.clone(), now);
        payment.attempts.push(attempt);
        payment.pending = Some(Pending { call, flight: Flight::begin(key, &self.run, now, self.lease_ms), back_to });
        match self.save(payment, version, &Effects::default()).await {
            Ok(version) => {
                tracing::info!(
                    payment_id = payment.payment_id.as_str(),
                    attempts = payment.attempts.len(),
                    account_id = account.account_id.as_str(),
                    "an attempt failed, the next one begins"
                );
                self.metrics.payment("failed_over");
                Ok(Onward::To(Box::new(account), version))
            }
            Err(StoreError::Conflict) => Ok(Onward::Lost),
            Err(other) => Err(other.into()),
        }
    }

    /// The next attempt of a payment, at this account.
    pub(crate) fn attempt_at(
        &self,
        payment: &Payment,
        account: &ConnectorAccount,
        key: String,
        now_ms: i64,
    ) -> Attempt {
        let connector = self.connector(&account.connector);
        let days = connector.map_or(0, |connector| connector.capabilities().authorization_days);
        Attempt::begin(payment, account, days, key, now_ms)
    }

    /// Applies a final answer that an inquiry brought. A payment without the payer goes on to the next account after a soft
    /// decline; with a payer there was a CVC, which is gone by now, and they have been told to wait long enough.
    pub(crate) async fn finish_or_go_on(
        &self,
        mut payment: Payment,
        version: Version,
        outcome: Outcome,
    ) -> Result<Payment, Fault> {
        if payment.terms.off_session {
            let ended = Exchanged::Done(outcome.clone());
            match self.onward(&mut payment, version, &ended, false).await? {
                Onward::To(_, version) => return self.drive(payment, version, CvcInput::None, Making::First).await,
                Onward::Lost => return self.reload(&payment).await,
                Onward::Nowhere => {}
            }
        }
        self.finish(payment, version, &outcome).await
    }
}
