//! Refunds: stored with their payment, so that together they never exceed what was captured.

use serde_json::{Map, Value};
use strongroom_wire::{TenantId, limits};

use super::call::Flight;
use super::drive::Making;
use super::engine::{Engine, Exchanged};
use super::fault::Fault;
use super::payment::Payment;
use super::rows::{Refund, RefundStatus};
use super::settle::{self, Settled};
use super::state::State;
use crate::connector::{Doubt, Outcome, Refusal};
use crate::ids;
use crate::store::{Effects, StoreError, Version};

/// A refund as it was asked for.
pub struct NewRefund {
    /// Of which payment.
    pub payment_id: String,
    /// The merchant's choice.
    pub refund_id: Option<String>,
    /// How much in minor units; what is left when absent.
    pub amount_minor: Option<u64>,
    /// The merchant's words.
    pub reason: Option<String>,
    /// The merchant's notes.
    pub metadata: Map<String, Value>,
}

impl Engine {
    /// Gives money back. Answers the payment and the refund's id.
    ///
    /// # Errors
    /// [`Fault`]; then no refund was made, unless the provider was asked: then it can be fetched.
    pub async fn refund(&self, merchant: &TenantId, new: NewRefund) -> Result<(Payment, String), Fault> {
        let now = self.now_ms();
        let (mut payment, version) = self.payment(merchant, &new.payment_id).await?;
        let refund_id = match new.refund_id {
            Some(id) => id,
            None => ids::fresh("ref_", now)?,
        };
        if self.store.payment_of_refund(merchant, &refund_id).await?.is_some() {
            return Err(Fault::Duplicate("refund"));
        }
        if !matches!(payment.state, State::Succeeded | State::PartiallyCaptured) {
            let expected = "succeeded, partially_captured".to_owned();
            return Err(Fault::BadState { flow: "refunded", state: payment.state, expected });
        }
        let left = payment.captured_minor.saturating_sub(payment.refunded_minor());
        let amount_minor = new.amount_minor.unwrap_or(left);
        if amount_minor == 0 && left > 0 {
            return Err(Fault::Invalid { field: "amount", reason: "at least 1 minor unit" });
        }
        if amount_minor == 0 || amount_minor > left {
            return Err(Fault::RefundAboveCaptured);
        }
        if payment.refunds.len() >= limits::REFUNDS_MAX {
            return Err(Fault::TooManyRefunds);
        }
        payment.refunds.push(Refund {
            refund_id: refund_id.clone(),
            amount_minor,
            status: RefundStatus::Pending,
            reason: new.reason,
            metadata: new.metadata,
            psp_refund_id: None,
            error_code: None,
            error_message: None,
            flight: Some(Flight::begin(ids::fresh("key_", now)?, &self.run, now, self.lease_ms)),
            told: None,
            created_ms: now,
            modified_ms: now,
        });
        let _hold = self.hold(&payment, Some(&refund_id));
        let version = self.save(&mut payment, version, &Effects::default()).await.map_err(|error| match error {
            StoreError::Duplicate => Fault::Duplicate("refund"),
            other => other.into(),
        })?;
        let payment = self.drive_refund(payment, version, &refund_id, Making::First).await?;
        Ok((payment, refund_id))
    }

    /// The payment that has this refund.
    ///
    /// # Errors
    /// [`Fault::NotFound`], [`Fault::Store`].
    pub async fn payment_of_refund(&self, merchant: &TenantId, id: &str) -> Result<(Payment, Version), Fault> {
        self.store.payment_of_refund(merchant, id).await?.ok_or(Fault::NotFound("Refund"))
    }

    /// Makes the refund's call, which the caller holds.
    pub(crate) async fn drive_refund(
        &self,
        payment: Payment,
        version: Version,
        refund_id: &str,
        making: Making,
    ) -> Result<Payment, Fault> {
        let (merchant, id) = (payment.merchant_id.clone(), payment.payment_id.clone());
        let ended = self.drive_refund_on(payment, version, refund_id, making).await;
        self.or_let_go(&merchant, &id, ended)
    }

    async fn drive_refund_on(
        &self,
        mut payment: Payment,
        mut version: Version,
        refund_id: &str,
        making: Making,
    ) -> Result<Payment, Fault> {
        let account = self.account_of(&payment).await?;
        loop {
            let refund = find(&payment, refund_id)?;
            let operation = Self::refund_operation(&payment, refund).ok_or(Fault::Internal)?;
            let progress = refund.flight.as_ref().map(|f| f.progress.clone()).unwrap_or_default();
            match self.exchange(&account, &operation, &progress, None).await {
                Exchanged::Next(next) => {
                    let lease_ms = self.now_ms() + self.lease_ms;
                    if let Some(flight) = flight_of(&mut payment, refund_id) {
                        flight.progress = next;
                        flight.lease_ms = lease_ms;
                    }
                    version = self.save(&mut payment, version, &Effects::default()).await?;
                }
                // A refusal of the repetition says nothing about the first request.
                Exchanged::Done(Outcome::Refused(_)) if making == Making::Again => {
                    return self.refund_waits(payment, version, refund_id, None).await;
                }
                Exchanged::Done(outcome) => return self.finish_refund(payment, version, refund_id, &outcome).await,
                Exchanged::NotDone(why) if making == Making::First => {
                    let refusal = Refusal { code: why.code.into(), message: why.message.into() };
                    return self.finish_refund(payment, version, refund_id, &Outcome::Refused(refusal)).await;
                }
                Exchanged::NotDone(_) => return self.refund_waits(payment, version, refund_id, None).await,
                Exchanged::Absent => {
                    return self.refund_waits(payment, version, refund_id, Some(Doubt::Unreadable)).await;
                }
                Exchanged::InDoubt(doubt) => {
                    return self.refund_waits(payment, version, refund_id, Some(doubt)).await;
                }
            }
        }
    }

    pub(crate) async fn finish_refund(
        &self,
        mut payment: Payment,
        version: Version,
        refund_id: &str,
        outcome: &Outcome,
    ) -> Result<Payment, Fault> {
        match settle::refund(&mut payment, refund_id, outcome, self.now_ms()) {
            Settled::Waiting => {
                if let Some(flight) = flight_of(&mut payment, refund_id) {
                    flight.accepted = true;
                }
                return self.refund_waits(payment, version, refund_id, None).await;
            }
            Settled::Strange => {
                return self.refund_waits(payment, version, refund_id, Some(Doubt::Unreadable)).await;
            }
            Settled::Ended | Settled::Refused(_) => {}
        }
        let mut version = version;
        for _ in 0..SAVES_MAX {
            match self.save(&mut payment, version, &Effects::default()).await {
                Ok(_) => return Ok(payment),
                // Another refund of the same payment was stored meanwhile: apply this outcome to what is stored now.
                Err(StoreError::Conflict) => {
                    (payment, version) = self.payment(&payment.merchant_id, &payment.payment_id).await?;
                    if flight_of(&mut payment, refund_id).is_none() {
                        return Ok(payment);
                    }
                    settle::refund(&mut payment, refund_id, outcome, self.now_ms());
                }
                Err(other) => return Err(other.into()),
            }
        }
        // The provider did it, so this is no failure: it stays pending, and is asked about when its lease has run out.
        self.reload(&payment).await
    }

    /// Nobody can be asked about the refund: it is looked at soon, or (`rests`) left until the provider tells by itself.
    pub(crate) async fn refund_rests(
        &self,
        mut payment: Payment,
        version: Version,
        refund_id: &str,
        rests: bool,
    ) -> Result<Payment, Fault> {
        if !rests {
            return self.refund_waits(payment, version, refund_id, None).await;
        }
        let now = self.now_ms();
        if let Some(flight) = flight_of(&mut payment, refund_id) {
            flight.rest(now);
        }
        match self.save(&mut payment, version, &Effects::default()).await {
            Ok(_) => Ok(payment),
            Err(StoreError::Conflict) => self.reload(&payment).await,
            Err(other) => Err(other.into()),
        }
    }

    pub(crate) async fn refund_waits(
        &self,
        mut payment: Payment,
        version: Version,
        refund_id: &str,
        doubt: Option<Doubt>,
    ) -> Result<Payment, Fault> {
        let now = self.now_ms();
        if let Some(flight) = flight_of(&mut payment, refund_id) {
            flight.doubt = doubt.or(flight.doubt);
            flight.wait(now);
            tracing::warn!(refund_id, doubt = ?flight.doubt, "a refund waits");
        }
        match self.save(&mut payment, version, &Effects::default()).await {
            Ok(_) => Ok(payment),
            Err(StoreError::Conflict) => self.reload(&payment).await,
            Err(other) => Err(other.into()),
        }
    }
}

pub(crate) fn find<'a>(payment: &'a Payment, refund_id: &str) -> Result<&'a Refund, Fault> {
    payment.refunds.iter().find(|r| r.refund_id == refund_id).ok_or(Fault::NotFound("Refund"))
}

pub(crate) fn flight_of<'a>(payment: &'a mut Payment, refund_id: &str) -> Option<&'a mut Flight> {
    payment.refunds.iter_mut().find(|r| r.refund_id == refund_id)?.flight.as_mut()
}

/// How often an outcome is stored again because another refund of the payment was faster: more than a payment has refunds.
const SAVES_MAX: usize = 2 * limits::REFUNDS_MAX;
