//! Recovery: what was left running, in doubt or with the payer is asked about before anything else is tried.
//!
//! Order for a call whose result is not known: nothing that could move money was sent -> it failed. Else ask the provider:
//! it knows -> that counts. It does not know -> make the call again with the same idempotency key while the provider
//! promises to answer a known key from memory; after that promise has run out, absence is proof that it never arrived.
//!
//! Some providers cannot be asked. There the call is made again with the same key while the promise lasts, and after that
//! only the provider's own word (a webhook) ends the doubt.

use std::panic::AssertUnwindSafe;

use futures_util::{FutureExt as _, StreamExt as _, stream};
use strongroom_wire::TenantId;

use super::call::{Call, Watch};
use super::drive::Making;
use super::engine::{CvcInput, Engine, Exchanged};
use super::fault::Fault;
use super::payment::Payment;
use super::refund::{find, flight_of};
use super::rows::RefundStatus;
use super::state::State;
use crate::account::ConnectorAccount;
use crate::connector::{Connector, Doubt, Outcome, Refusal};
use crate::ids;
use crate::store::{Effects, StoreError, Version};

impl Engine {
    /// One round of the background loop: payments whose result could not be stored, payments and chores that are due. With
    /// `everything`, also what other runs left.
    pub async fn round(&self, everything: bool) {
        let now = self.now_ms();
        self.credentials.forget_old(now);
        self.breakers.forget_old(now);
        self.look_at_let_go().await;
        let until = if everything { i64::MAX } else { now };
        match self.store.due_payments(until, ROUND_MAX).await {
            Ok(due) => {
                let why = if everything { Why::Restarted } else { Why::Due };
                // Several at once, so that a provider that does not answer keeps nobody else's payments waiting.
                stream::iter(due)
                    .map(|(merchant, id)| async move { self.resolve_in_round(&merchant, &id, why).await })
                    .buffer_unordered(AT_ONCE)
                    .for_each(|_| std::future::ready(()))
                    .await;
            }
            Err(error) => tracing::error!(%error, "due payments cannot be read"),
        }
        self.do_due_chores().await;
    }

    /// What this run let go because the store took no result is looked at without waiting for its lease to end: the
    /// provider is asked first, as always. While the store still refuses, one payment is tried in each round.
    async fn look_at_let_go(&self) {
        let mut left = self.at_work.take_let_go().into_iter();
        let Some((merchant, id)) = left.next() else { return };
        let answers = self.resolve_in_round(&merchant, &id, Why::LetGo).await;
        if !answers {
            self.at_work.let_go(&merchant, &id);
        }
        let now = if answers { ROUND_MAX as usize } else { 0 };
        stream::iter(left.by_ref().take(now).collect::<Vec<_>>())
            .map(|(merchant, id)| async move {
                if !self.resolve_in_round(&merchant, &id, Why::LetGo).await {
                    self.at_work.let_go(&merchant, &id);
                }
            })
            .buffer_unordered(AT_ONCE)
            .for_each(|()| std::future::ready(()))
            .await;
        for (merchant, id) in left {
            self.at_work.let_go(&merchant, &id);
        }
    }

    /// Whether the store answered. A panic over one payment is that payment's alone.
    async fn resolve_in_round(&self, merchant: &TenantId, id: &str, why: Why) -> bool {
        match AssertUnwindSafe(self.resolve_for(merchant, id, why)).catch_unwind().await {
            Ok(Ok(_)) => true,
            Ok(Err(fault)) => {
                tracing::warn!(payment_id = id, %fault, "a payment could not be resolved yet");
                !matches!(fault, Fault::Store)
            }
            Err(_panic) => {
                tracing::error!(payment_id = id, "looking at a payment ended by a panic");
                true
            }
        }
    }

    /// Asks the provider about whatever is open on this payment. `force`: now, whatever the back-off says.
    ///
    /// # Errors
    /// [`Fault`]; the payment is as before.
    pub async fn resolve(&self, merchant: &TenantId, payment_id: &str, force: bool) -> Result<Payment, Fault> {
        self.resolve_for(merchant, payment_id, if force { Why::Asked } else { Why::Due }).await
    }

    async fn resolve_for(&self, merchant: &TenantId, payment_id: &str, why: Why) -> Result<Payment, Fault> {
        let ended = self.resolve_now(merchant, payment_id, why).await;
        self.or_let_go(merchant, payment_id, ended)
    }

    async fn resolve_now(&self, merchant: &TenantId, payment_id: &str, why: Why) -> Result<Payment, Fault> {
        let (mut payment, mut version) = self.payment(merchant, payment_id).await?;
        let now = self.now_ms();
        let force = match why {
            Why::Due => false,
            Why::Restarted | Why::LetGo => true,
            // Where nothing can be asked, nothing is found sooner.
            Why::Asked => payment.attempts.is_empty() || self.can_be_asked(&self.account_of(&payment).await?)?,
        };
        if let Some(pending) = &payment.pending {
            if self.is_busy(&payment, None, &pending.flight) || !force && pending.flight.lease_ms > now {
                return Ok(payment);
            }
            let _hold = self.hold(&payment, None);
            let Some(claimed) = self.claim_payment(payment, version).await? else {
                return Ok(self.payment(merchant, payment_id).await?.0);
            };
            payment = self.resolve_pending(claimed.0, claimed.1).await?;
        } else if payment.state == State::RequiresCustomerAction
            && (force || payment.watch.is_some_and(|watch| watch.next_ms <= now))
        {
            let watch = payment.watch.unwrap_or(Watch { tries: 0, next_ms: now });
            payment = self.resolve_watch(payment, version, watch).await?;
        } else if payment.is_reserved() {
            payment = self.resolve_reserved(payment, version, force && why == Why::Asked).await?;
        }
        let open: Vec<String> = payment
            .refunds
            .iter()
            .filter(|refund| {
                refund.flight.as_ref().is_some_and(|flight| {
                    !self.is_busy(&payment, Some(&refund.refund_id), flight) && (force || flight.lease_ms <= now)
                })
            })
            .map(|r| r.refund_id.clone())
            .collect();
        for refund_id in open {
            (payment, version) = self.payment(merchant, payment_id).await?;
            payment = self.resolve_refund(payment, version, &refund_id).await?;
        }
        Ok(payment)
    }

    /// Marks the pending call as ours. `None`: somebody else was faster.
    async fn claim_payment(&self, mut payment: Payment, version: Version) -> Result<Option<(Payment, Version)>, Fault> {
        let now = self.now_ms();
        if let Some(pending) = payment.pending.as_mut() {
            if pending.flight.busy {
                // The run that made the call ended, or overran its lease, before it stored a result.
                pending.flight.doubt.get_or_insert(Doubt::Interrupted);
            }
            pending.flight.busy = true;
            pending.flight.run.clone_from(&self.run);
            pending.flight.lease_ms = now + self.lease_ms * 2;
        }
        match self.save(&mut payment, version, &Effects::default()).await {
            Ok(version) => Ok(Some((payment, version))),
            Err(StoreError::Conflict) => Ok(None),
            Err(other) => Err(other.into()),
        }
    }

    async fn resolve_pending(&self, payment: Payment, version: Version) -> Result<Payment, Fault> {
        let account = self.account_of(&payment).await?;
        let connector = self.connector(&account.connector).ok_or(Fault::Internal)?;
        let pending = payment.pending.clone().ok_or(Fault::Internal)?;
        let operation = self.operation(&payment).ok_or(Fault::Internal)?;
        let next_moves = connector.request(&operation, &pending.flight.progress).is_ok_and(|r| r.moves_money);
        if !next_moves && !pending.flight.accepted {
            // What was stored proves that the request which moves money was never made.
            return self.finish(payment, version, &not_done("interrupted", INTERRUPTED)).await;
        }
        let age_ms = self.now_ms() - pending.flight.began_ms;
        if !connector.capabilities().can_sync {
            return self.again_or_wait(payment, version, connector, age_ms).await;
        }
        let sync = Self::sync_operation(&payment).ok_or(Fault::Internal)?;
        match self.ask(&account, &sync).await {
            Exchanged::Done(outcome) => match reading(&payment, &pending.call, outcome) {
                Reading::Counts(outcome) => self.finish_or_go_on(payment, version, outcome).await,
                Reading::NotYet => self.again_or_never(payment, version, connector, age_ms).await,
                Reading::Nothing => self.leave_in_doubt(payment, version, None).await,
            },
            Exchanged::Absent => self.again_or_never(payment, version, connector, age_ms).await,
            Exchanged::Next(_) | Exchanged::InDoubt(_) | Exchanged::NotDone(_) => {
                self.leave_in_doubt(payment, version, None).await
            }
        }
    }

    /// Nobody can be asked: make the call again while its key protects it, then wait for the provider's own word.
    async fn again_or_wait(
        &self,
        mut payment: Payment,
        version: Version,
        connector: &dyn Connector,
        age_ms: i64,
    ) -> Result<Payment, Fault> {
        let accepted = payment.pending.as_ref().is_some_and(|p| p.flight.accepted);
        if !accepted && Self::may_repeat(connector, age_ms) {
            if age_ms < SETTLE_MS {
                return self.leave_in_doubt(payment, version, None).await;
            }
            return self.drive(payment, version, CvcInput::None, Making::Again).await;
        }
        if let Some(pending) = payment.pending.as_mut() {
            pending.flight.rest(self.now_ms());
        }
        match self.save(&mut payment, version, &Effects::default()).await {
            Ok(_) => Ok(payment),
            Err(StoreError::Conflict) => self.reload(&payment).await,
            Err(other) => Err(other.into()),
        }
    }

    /// Whether the provider behind an account can be asked what became of something.
    pub(super) fn can_be_asked(&self, account: &ConnectorAccount) -> Result<bool, Fault> {
        Ok(self.connector(&account.connector).ok_or(Fault::Internal)?.capabilities().can_sync)
    }

    /// The provider shows no trace of the call: make it again where that is safe, call it off where absence is proof.
    async fn again_or_never(
        &self,
        payment: Payment,
        version: Version,
        connector: &dyn Connector,
        age_ms: i64,
    ) -> Result<Payment, Fault> {
        let accepted = payment.pending.as_ref().is_some_and(|p| p.flight.accepted);
        if !accepted && Self::may_repeat(connector, age_ms) {
            if age_ms < SETTLE_MS {
                // The first request may still travel; a moment later the question alone may answer it.
                return self.leave_in_doubt(payment, version, None).await;
            }
            let (payment, version) = self.with_fresh_key(payment, version, connector).await?;
            return self.drive(payment, version, CvcInput::None, Making::Again).await;
        }
        let tries = payment.pending.as_ref().map_or(0, |p| p.flight.tries);
        if tries >= ABSENT_TRIES && age_ms >= absence_is_proof_ms(connector) {
            return self.finish(payment, version, &not_done("not_processed", NOT_PROCESSED)).await;
        }
        self.leave_in_doubt(payment, version, None).await
    }

    /// A provider repeats a fault of its own under a key too, for as long as it knows the key. A release, or a capture that
    /// takes all that is left or is the only one, which it says has not happened needs no key to happen once, because its
    /// payment allows it once: it gets a new one.
    async fn with_fresh_key(
        &self,
        mut payment: Payment,
        version: Version,
        connector: &dyn Connector,
    ) -> Result<(Payment, Version), Fault> {
        let several = connector.capabilities().multiple_captures;
        let left = payment.terms.amount_minor.saturating_sub(payment.captured_minor);
        let Some(pending) = payment.pending.as_mut().filter(|pending| {
            let spent = pending.flight.doubt == Some(Doubt::ServerFault);
            spent
                && match &pending.call {
                    Call::Capture { amount_minor, .. } => !several || *amount_minor >= left,
                    Call::Cancel | Call::Expire => true,
                    _ => false,
                }
        }) else {
            return Ok((payment, version));
        };
        pending.flight.key = ids::fresh("key_", self.now_ms())?;
        let version = self.save(&mut payment, version, &Effects::default()).await?;
        Ok((payment, version))
    }

    async fn resolve_refund(&self, mut payment: Payment, version: Version, refund_id: &str) -> Result<Payment, Fault> {
        let now = self.now_ms();
        if find(&payment, refund_id)?.status != RefundStatus::Pending {
            return Ok(payment);
        }
        let _hold = self.hold(&payment, Some(refund_id));
        let Some(flight) = flight_of(&mut payment, refund_id) else {
            return Ok(payment);
        };
        if flight.busy {
            flight.doubt.get_or_insert(Doubt::Interrupted);
        }
        flight.busy = true;
        flight.run.clone_from(&self.run);
        flight.lease_ms = now + self.lease_ms * 2;
        let (began_ms, accepted, tries) = (flight.began_ms, flight.accepted, flight.tries);
        let version = match self.save(&mut payment, version, &Effects::default()).await {
            Ok(version) => version,
            Err(StoreError::Conflict) => return self.reload(&payment).await,
            Err(other) => return Err(other.into()),
        };
        let account = self.account_of(&payment).await?;
        let connector = self.connector(&account.connector).ok_or(Fault::Internal)?;
        let age_ms = now - began_ms;
        let may_repeat = !accepted && Self::may_repeat(connector, age_ms) && age_ms >= SETTLE_MS;
        if !connector.capabilities().can_sync {
            if may_repeat {
                return self.drive_refund(payment, version, refund_id, Making::Again).await;
            }
            let rests = accepted || !Self::may_repeat(connector, age_ms);
            return self.refund_rests(payment, version, refund_id, rests).await;
        }
        let sync = Self::sync_refund_operation(&payment, find(&payment, refund_id)?).ok_or(Fault::Internal)?;
        match self.ask(&account, &sync).await {
            // A refused question is a doubt; a refusal here is the provider's word that the refund itself failed.
            Exchanged::Done(outcome) => self.finish_refund(payment, version, refund_id, &outcome).await,
            Exchanged::Absent if may_repeat => self.drive_refund(payment, version, refund_id, Making::Again).await,
            Exchanged::Absent if !accepted && tries >= ABSENT_TRIES && age_ms >= absence_is_proof_ms(connector) => {
                let outcome = not_done("not_processed", NOT_PROCESSED);
                self.finish_refund(payment, version, refund_id, &outcome).await
            }
            _ => self.refund_waits(payment, version, refund_id, None).await,
        }
    }
}

/// Why a payment is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Why {
    /// Its time has come.
    Due,
    /// The process began; what other runs left is looked at now.
    Restarted,
    /// This run could not store what came of its call.
    LetGo,
    /// Somebody wants to know now.
    Asked,
}

/// What an answer about a payment says about the call that is in doubt.
enum Reading {
    /// It shows how the call ended.
    Counts(Outcome),
    /// It shows that the call has not happened, or not yet.
    NotYet,
    /// It says nothing about it.
    Nothing,
}

fn reading(payment: &Payment, call: &Call, outcome: Outcome) -> Reading {
    let nothing_new = |sum: u64| payment.captured_minor > 0 && sum <= payment.captured_minor;
    match (call, outcome) {
        (_, Outcome::Refused(_)) => Reading::Nothing,
        // The money is reserved and that is all, or no more is taken than earlier captures took.
        (Call::Capture { .. } | Call::Cancel | Call::Expire, Outcome::Authorized { .. }) => Reading::NotYet,
        (Call::Capture { .. } | Call::Cancel | Call::Expire, Outcome::Captured { amount_minor, .. })
            if nothing_new(amount_minor) =>
        {
            Reading::NotYet
        }
        (Call::Complete { .. } | Call::Cancel, Outcome::RequiresAction { .. }) => Reading::NotYet,
        // After the payer failed to authenticate nothing is reserved, which is what a cancellation wants.
        (Call::Cancel | Call::Expire, Outcome::Declined(_)) => {
            let psp_id = payment.last_attempt().and_then(|attempt| attempt.psp_id.clone()).unwrap_or_default();
            Reading::Counts(Outcome::Cancelled { psp_id })
        }
        (_, outcome) => Reading::Counts(outcome),
    }
}

fn not_done(code: &str, message: &str) -> Outcome {
    Outcome::Refused(Refusal { code: code.into(), message: message.into() })
}

/// From which age on a provider's "never heard of it" proves that a request did not arrive, in milliseconds.
fn absence_is_proof_ms(connector: &dyn Connector) -> i64 {
    let promised = connector.capabilities().idempotent_replay_s.and_then(|s| i64::try_from(s).ok()).unwrap_or(0);
    (promised * 1000).max(ABSENCE_MS_MIN)
}

const INTERRUPTED: &str = "The payment was interrupted before the provider was asked; nothing was charged";
const NOT_PROCESSED: &str = "The provider never received the request; nothing was charged";
/// How often a provider is asked before its "never heard of it" proves anything: the waits between make a minute even if
/// the clock was put forward by days, and no request travels that long.
const ABSENT_TRIES: u32 = 6;
/// How long a request may travel before its absence at the provider means anything, in milliseconds.
const SETTLE_MS: i64 = 3_000;
/// The same where no idempotency key protects a second call: an hour, in milliseconds.
const ABSENCE_MS_MIN: i64 = 3_600_000;
/// Most payments and chores of one round.
const ROUND_MAX: u32 = 200;
/// Due payments that are looked at at the same time.
const AT_ONCE: usize = 8;
