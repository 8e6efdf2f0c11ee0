//! What a provider tells about a payment on which no call of ours runs: the payer is back, the money was captured or
//! released by somebody else. It is applied as the outcome of the call that would have caused it.

use super::call::{Call, Flight, Pending, Stored};
use super::engine::Engine;
use super::fault::Fault;
use super::payment::Payment;
use super::rows::{CaptureRow, CaptureStatus};
use super::state::{Event, State};
use super::terms::{CapturePlan, PaymentKind};
use crate::connector::Outcome;
use crate::ids;
use crate::store::Version;

impl Engine {
    /// Applies and stores such an outcome. One that tells nothing new, or that cannot follow where the payment is, changes
    /// nothing.
    ///
    /// # Errors
    /// [`Fault`]; the payment is as before.
    pub(crate) async fn observe(
        &self,
        mut payment: Payment,
        version: Version,
        outcome: &Outcome,
    ) -> Result<Payment, Fault> {
        let now = self.now_ms();
        let back_to = payment.state;
        let (event, call) = match (payment.state, outcome) {
            (State::RequiresCustomerAction, Outcome::RequiresAction { .. } | Outcome::Refused(_)) => {
                return Ok(payment);
            }
            (State::RequiresCustomerAction, _) => {
                let credential = Stored::OneTime;
                let verifies = payment.terms.kind == PaymentKind::SetupMandate;
                let call = if verifies { Call::Verify { credential } } else { Call::Authorize { credential } };
                (Event::ActionDone, call)
            }
            (_, Outcome::Captured { amount_minor, .. })
                if payment.is_reserved() && *amount_minor > payment.captured_minor =>
            {
                let capture_id = ids::fresh("cap_", now)?;
                let amount_minor = amount_minor - payment.captured_minor;
                payment.captures.push(CaptureRow {
                    capture_id: capture_id.clone(),
                    amount_minor,
                    status: CaptureStatus::Pending,
                    error_code: None,
                    error_message: None,
                    created_ms: now,
                });
                let is_final = payment.terms.capture != CapturePlan::ManualMultiple;
                (Event::Capture, Call::Capture { amount_minor, capture_id, is_final })
            }
            (_, Outcome::Cancelled { .. }) if payment.is_reserved() => (Event::Cancel, Call::Cancel),
            _ => return Ok(payment),
        };
        payment.step(event)?;
        let mut flight = Flight::begin(String::new(), &self.run, now, self.lease_ms);
        // What is to be done is at the provider already: from here on it is only ever asked about.
        flight.accepted = true;
        payment.pending = Some(Pending { call, flight, back_to });
        self.finish(payment, version, outcome).await
    }
}
