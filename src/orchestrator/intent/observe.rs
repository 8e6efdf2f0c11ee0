//! What a provider tells about a payment on which no call of ours runs: the payer is back, the money was captured or
//! released by somebody else. It is applied as the outcome of the call that would have caused it.

use super::call::{Call, Flight, Pending, Stored};
use super::engine::Engine;
use super::fault::Fault;
use super::payment::{IllegalMove, Payment};
use super::rows::{CaptureRow, CaptureStatus};
use super::state::{Event, State};
use super::terms::{CapturePlan, PaymentKind};
use crate::connector::Outcome;
use crate::ids;
use crate::store::Version;

/// Who writes an outcome down, and when.
pub(super) struct Witness<'a> {
    /// The run of the process.
    pub(super) run: &'a str,
    /// Milliseconds since 1970.
    pub(super) now_ms: i64,
    /// How long a call may run, in milliseconds.
    pub(super) lease_ms: i64,
    /// The name of a capture that somebody else made.
    pub(super) capture_id: String,
}

impl Witness<'_> {
    /// Writes down the call that would have caused this outcome. `false`: it tells nothing new, or cannot follow where the
    /// payment is; then nothing changed.
    ///
    /// # Errors
    /// [`IllegalMove`]; nothing changed.
    pub(super) fn write_call(&self, payment: &mut Payment, outcome: &Outcome) -> Result<bool, IllegalMove> {
        let back_to = payment.state;
        let (event, call) = match (payment.state, outcome) {
            (State::RequiresCustomerAction, Outcome::RequiresAction { .. } | Outcome::Refused(_)) => return Ok(false),
            (State::RequiresCustomerAction, _) => {
                let credential = Stored::OneTime;
                let verifies = payment.terms.kind == PaymentKind::SetupMandate;
                let call = if verifies { Call::Verify { credential } } else { Call::Authorize { credential } };
                (Event::ActionDone, call)
            }
            (_, Outcome::Captured { amount_minor, .. })
                if payment.is_reserved() && *amount_minor > payment.captured_minor =>
            {
                let amount_minor = amount_minor - payment.captured_minor;
                let is_final = payment.terms.capture != CapturePlan::ManualMultiple;
                (Event::Capture, Call::Capture { amount_minor, capture_id: self.capture_id.clone(), is_final })
            }
            (_, Outcome::Cancelled { .. }) if payment.is_reserved() => (Event::Cancel, Call::Cancel),
            _ => return Ok(false),
        };
        payment.step(event)?;
        if let Call::Capture { amount_minor, .. } = &call {
            payment.captures.push(CaptureRow {
                capture_id: self.capture_id.clone(),
                amount_minor: *amount_minor,
                status: CaptureStatus::Pending,
                error_code: None,
                error_message: None,
                created_ms: self.now_ms,
            });
        }
        let mut flight = Flight::begin(String::new(), self.run, self.now_ms, self.lease_ms);
        // What is to be done is at the provider already: from here on it is only ever asked about.
        flight.accepted = true;
        payment.pending = Some(Pending { call, flight, back_to });
        Ok(true)
    }
}

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
        if self.witness()?.write_call(&mut payment, outcome)? {
            self.finish(payment, version, outcome).await
        } else {
            Ok(payment)
        }
    }

    pub(super) fn witness(&self) -> Result<Witness<'_>, Fault> {
        let now_ms = self.now_ms();
        let capture_id = ids::fresh("cap_", now_ms)?;
        Ok(Witness { run: &self.run, now_ms, lease_ms: self.lease_ms, capture_id })
    }
}
