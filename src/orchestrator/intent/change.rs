//! Capture and cancel.

use strongroom_wire::TenantId;

use super::call::{Call, Flight, Pending};
use super::drive::Making;
use super::engine::{CvcInput, Engine};
use super::fault::Fault;
use super::payment::Payment;
use super::settle;
use super::state::{Event, State};
use crate::ids;
use crate::store::{Effects, Version};

impl Engine {
    /// Takes reserved money: all of it, or `amount_minor`.
    ///
    /// # Errors
    /// [`Fault`]; the payment is as before unless it says `processing`.
    pub async fn capture(
        &self,
        merchant: &TenantId,
        payment_id: &str,
        amount_minor: Option<u64>,
    ) -> Result<Payment, Fault> {
        let (payment, version) = self.payment(merchant, payment_id).await?;
        if payment.state.after(Event::Capture).is_none() {
            let expected = "requires_capture, partially_captured_and_capturable, processing".to_owned();
            return Err(Fault::BadState { flow: "captured", state: payment.state, expected });
        }
        let all = payment.capturable_minor();
        let amount_minor = amount_minor.unwrap_or(all);
        if amount_minor == 0 || amount_minor > all {
            return Err(Fault::Unprocessable {
                field: "amount_to_capture",
                reason: "at least 1 and at most amount_capturable",
            });
        }
        let account = self.account_of(&payment).await?;
        let partial = self.connector(&account.connector).is_some_and(|c| c.capabilities().partial_capture);
        if amount_minor < all && !partial {
            return Err(Fault::NotSupported("This connector cannot capture a part of the amount"));
        }
        let call = Call::Capture { amount_minor, capture_id: String::new(), is_final: true };
        self.begin(payment, version, Event::Capture, call).await
    }

    /// Gives the payment up: at once where nothing was asked of a provider, else by releasing the money there.
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
            let expected = "requires_payment_method, requires_confirmation, requires_capture, requires_customer_action";
            return Err(Fault::BadState { flow: "cancelled", state: payment.state, expected: expected.to_owned() });
        }
        self.begin(payment, version, Event::Cancel, Call::Cancel).await
    }

    async fn begin(&self, mut payment: Payment, version: Version, event: Event, call: Call) -> Result<Payment, Fault> {
        let now = self.now_ms();
        let back_to: State = payment.state;
        payment.step(event)?;
        payment.modified_ms = now;
        payment.watch = None;
        payment.pending = Some(Pending {
            call,
            flight: Flight::begin(ids::fresh("key_", now)?, &self.run, now, self.lease_ms),
            back_to,
        });
        let version = self.save(&mut payment, version, &Effects::default()).await?;
        self.drive(payment, version, CvcInput::None, Making::First).await
    }
}
