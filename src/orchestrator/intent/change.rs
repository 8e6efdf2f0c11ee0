//! Capture, raise and cancel: what a merchant does with reserved money.

use strongroom_wire::{TenantId, limits};

use super::call::{Call, Flight, Pending};
use super::drive::Making;
use super::engine::{CvcInput, Engine};
use super::fault::Fault;
use super::payment::Payment;
use super::rows::{CaptureRow, CaptureStatus, IncrementRow};
use super::settle;
use super::state::{Event, State};
use super::terms::CapturePlan;
use crate::ids;
use crate::store::{Effects, Version};

/// A capture as it was asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NewCapture {
    /// The name under which it is stored, unique among all captures; a fresh one where none is given.
    pub capture_id: Option<String>,
    /// How much, in minor units; what the merchant announced, or all that is left.
    pub amount_minor: Option<u64>,
    /// Whether the rest is released with it, though the payment may have several captures.
    pub release_rest: bool,
}

impl From<Option<u64>> for NewCapture {
    fn from(amount_minor: Option<u64>) -> Self {
        Self { amount_minor, ..Self::default() }
    }
}

/// A raise of what is reserved, as it was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewIncrement {
    /// The name under which it is stored, unique among all increments; a fresh one where none is given.
    pub increment_id: Option<String>,
    /// What shall be reserved in all, in minor units.
    pub total_minor: u64,
    /// What was reserved when the caller added to it, where the caller named a difference: by now it may be more.
    pub from_minor: Option<u64>,
    /// The merchant's words.
    pub reason: Option<String>,
}

impl Engine {
    /// Takes reserved money: all of it, or a part. Where the payment has one capture alone, the rest is released.
    ///
    /// # Errors
    /// [`Fault`]; the payment is as before unless it says `processing`.
    pub async fn capture(
        &self,
        merchant: &TenantId,
        payment_id: &str,
        new: impl Into<NewCapture> + Send,
    ) -> Result<Payment, Fault> {
        let new = new.into();
        let (payment, version) = self.payment(merchant, payment_id).await?;
        self.begin_capture(payment, version, new).await
    }

    pub(super) async fn begin_capture(
        &self,
        mut payment: Payment,
        version: Version,
        new: NewCapture,
    ) -> Result<Payment, Fault> {
        let now = self.now_ms();
        if payment.state.after(Event::Capture).is_none() {
            let expected = "requires_capture, partially_captured_and_capturable, processing".to_owned();
            return Err(Fault::BadState { flow: "captured", state: payment.state, expected });
        }
        if payment.is_overdue(now) {
            return Err(Fault::Precondition(OVER));
        }
        let left = payment.capturable_minor();
        let announced = payment.terms.to_capture_minor().filter(|_| payment.captured_minor == 0);
        let amount_minor = new.amount_minor.or(announced).unwrap_or(left);
        if amount_minor == 0 || amount_minor > left {
            return Err(Fault::Unprocessable {
                field: "amount_to_capture",
                reason: "at least 1 and at most amount_capturable",
            });
        }
        let account = self.account_of(&payment).await?;
        let partial = self.connector(&account.connector).is_some_and(|c| c.capabilities().partial_capture);
        if amount_minor < left && !partial {
            return Err(Fault::NotSupported("This connector cannot capture a part of the amount"));
        }
        if payment.captures.len() >= limits::CAPTURES_MAX {
            return Err(Fault::Precondition("The payment has as many captures as are allowed (100)"));
        }
        let several = payment.terms.capture == CapturePlan::ManualMultiple;
        let is_final = !several || new.release_rest || amount_minor == left;
        let capture_id = match new.capture_id {
            Some(id) => id,
            None => ids::fresh("cap_", now)?,
        };
        payment.captures.push(CaptureRow {
            capture_id: capture_id.clone(),
            amount_minor,
            status: CaptureStatus::Pending,
            error_code: None,
            error_message: None,
            created_ms: now,
        });
        self.begin(payment, version, Event::Capture, Call::Capture { amount_minor, capture_id, is_final }).await
    }

    /// Raises what is reserved.
    ///
    /// # Errors
    /// [`Fault`]; the payment is as before unless it says `processing`.
    pub async fn increment(&self, merchant: &TenantId, payment_id: &str, new: NewIncrement) -> Result<Payment, Fault> {
        let now = self.now_ms();
        let (mut payment, version) = self.payment(merchant, payment_id).await?;
        if payment.state.after(Event::Increment).is_none() {
            let expected = State::that_allow(Event::Increment);
            return Err(Fault::BadState { flow: "incremented", state: payment.state, expected });
        }
        if new.from_minor.is_some_and(|from| from != payment.terms.amount_minor) {
            return Err(Fault::Busy);
        }
        if !payment.terms.incremental {
            return Err(Fault::Precondition(
                "The authorization cannot be raised: send request_incremental_authorization: true when the payment is made",
            ));
        }
        if payment.is_overdue(now) {
            return Err(Fault::Precondition(OVER));
        }
        let total_minor = new.total_minor;
        if total_minor <= payment.terms.amount_minor || total_minor > limits::AMOUNT_MINOR_MAX {
            return Err(Fault::Invalid {
                field: "amount",
                reason: "the new total: more than the amount that is authorized, at most 999999999999",
            });
        }
        if payment.increments.len() >= limits::INCREMENTS_MAX {
            return Err(Fault::Precondition("The authorization was raised as often as is allowed (10 times)"));
        }
        let increment_id = match new.increment_id {
            Some(id) => id,
            None => ids::fresh("inc_", now)?,
        };
        payment.increments.push(IncrementRow {
            increment_id: increment_id.clone(),
            before_minor: payment.terms.amount_minor,
            total_minor,
            status: CaptureStatus::Pending,
            reason: new.reason,
            error_code: None,
            error_message: None,
            created_ms: now,
        });
        self.begin(payment, version, Event::Increment, Call::Increment { total_minor, increment_id }).await
    }

    /// Gives the payment up: at once where nothing was asked of a provider, else by releasing what is reserved there.
    ///
    /// # Errors
    /// [`Fault`]; the payment is as before unless it says `processing`.
    pub async fn cancel(
        &self,
        merchant: &TenantId,
        payment_id: &str,
        reason: Option<String>,
    ) -> Result<Payment, Fault> {
        let (mut payment, version) = self.payment(merchant, payment_id).await?;
        payment.cancellation_reason = reason.or(payment.cancellation_reason.take());
        if payment.state.after(Event::Abandon).is_some() {
            payment.step(Event::Abandon)?;
            payment.modified_ms = self.now_ms();
            let effects = settle::abandoned(&mut payment);
            self.save(&mut payment, version, &effects).await?;
            self.metrics.payment(payment.state.word());
            return Ok(payment);
        }
        if payment.state.after(Event::Cancel).is_none() {
            let expected = "requires_payment_method, requires_confirmation, requires_customer_action, requires_capture, \
                            partially_captured_and_capturable";
            return Err(Fault::BadState { flow: "cancelled", state: payment.state, expected: expected.to_owned() });
        }
        self.begin(payment, version, Event::Cancel, Call::Cancel).await
    }

    /// Stores that a call begins, then makes it. Of several that begin at once, one is stored.
    pub(super) async fn begin(
        &self,
        mut payment: Payment,
        version: Version,
        event: Event,
        call: Call,
    ) -> Result<Payment, Fault> {
        let now = self.now_ms();
        let back_to: State = payment.state;
        payment.step(event)?;
        payment.modified_ms = now;
        payment.pending = Some(Pending {
            call,
            flight: Flight::begin(ids::fresh("key_", now)?, &self.run, now, self.lease_ms),
            back_to,
        });
        let _hold = self.hold(&payment, None);
        let version = self.save(&mut payment, version, &Effects::default()).await?;
        self.drive(payment, version, CvcInput::None, Making::First).await
    }
}

const OVER: &str = "The time of the authorization is over: what was reserved is released";
