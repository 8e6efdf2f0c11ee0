//! Increment, capture and cancel: what becomes of a reservation.

use super::{Book, Call, Status, check_money};
use crate::cards::Reason;
use crate::ledger::Kind;
use crate::stripe::decline::Decline;
use crate::stripe::form::Form;
use crate::stripe::refusal::Refusal;

impl Book {
    /// `POST /v1/payment_intents/{id}/increment_authorization`: `amount` is the new total. A decline leaves the
    /// reservation as it was.
    pub(crate) fn increment_intent(&mut self, id: &str, mut form: Form, call: &Call) -> Result<(), Refusal> {
        let total = form.integer("amount")?;
        let total = total
            .ok_or_else(|| Refusal::invalid("parameter_missing", "Missing required param: amount.").param("amount"))?;
        let description = form.plain("description", 1000)?;
        form.plain("statement_descriptor", 22)?;
        let metadata = form.metadata()?;
        form.finish()?;
        let intent = self.intent_mut(id)?;
        check_money(total, &intent.currency)?;
        if intent.status != Status::RequiresCapture {
            let message = format!(
                "This PaymentIntent's amount could not be incremented because it has a status of {}. Only a \
                 PaymentIntent with one of the following statuses may be incremented: requires_capture.",
                intent.status.name()
            );
            return Err(self.wrong_state(id, message));
        }
        if !intent.incremental || intent.received > 0 {
            let message = "The PaymentIntent does not support incremental authorization.";
            return Err(Refusal::state("payment_intent_unexpected_state", message));
        }
        let more = total - intent.amount;
        if more < 1 {
            let message = "The amount must be greater than the amount that is authorized.";
            return Err(Refusal::invalid("parameter_invalid_integer", message).param("amount"));
        }
        if call.declines {
            let decline = Decline::from(Reason::Generic);
            return Err(Refusal::card(decline.code, Some(decline.decline_code), decline.message));
        }
        intent.amount = total;
        intent.capturable += more;
        intent.metadata.extend(metadata);
        if description.is_some() {
            intent.description = description;
        }
        let charge = intent.charge.clone();
        if let Some(charge) = charge.and_then(|charge| self.charges.get_mut(&charge)) {
            charge.amount = total;
        }
        self.enter(Kind::Increment, id, more, 0, None, call);
        self.tell_intent(id);
        Ok(())
    }

    /// `POST /v1/payment_intents/{id}/capture`: takes all or a part; what is left is released unless the caller says that
    /// more captures follow (`final_capture=false`). A last capture of nothing releases the rest.
    pub(crate) fn capture_intent(&mut self, id: &str, mut form: Form, call: &Call) -> Result<(), Refusal> {
        let wanted = form.integer("amount_to_capture")?;
        let last = form.flag("final_capture")?.unwrap_or(true);
        form.plain("statement_descriptor", 22)?;
        form.plain("statement_descriptor_suffix", 22)?;
        let metadata = form.metadata()?;
        form.finish()?;
        let intent = self.intent_mut(id)?;
        if intent.status != Status::RequiresCapture {
            let message = format!(
                "This PaymentIntent could not be captured because it has a status of {}. Only a PaymentIntent with \
                 one of the following statuses may be captured: requires_capture.",
                intent.status.name()
            );
            return Err(self.wrong_state(id, message));
        }
        if !last && !intent.multicapture {
            let message = "This PaymentIntent does not support multiple captures: final_capture cannot be false.";
            return Err(Refusal::state("payment_intent_unexpected_state", message).param("final_capture"));
        }
        let amount = wanted.unwrap_or(intent.capturable);
        let least = i64::from(intent.received == 0 || !last);
        if amount < least {
            let message = format!("This value must be at least {least}.");
            return Err(Refusal::invalid("parameter_invalid_integer", message).param("amount_to_capture"));
        }
        if amount > intent.capturable {
            let message = "The amount to capture is greater than the amount that can be captured.";
            return Err(Refusal::state("amount_too_large", message).param("amount_to_capture"));
        }
        intent.received += amount;
        intent.capturable -= amount;
        let released = if last { std::mem::take(&mut intent.capturable) } else { 0 };
        if intent.capturable == 0 {
            intent.status = Status::Succeeded;
        }
        intent.metadata.extend(metadata);
        let charge = intent.charge.clone();
        if let Some(charge) = charge.and_then(|charge| self.charges.get_mut(&charge)) {
            charge.captured += amount;
        }
        match amount {
            0 => self.enter(Kind::Cancel, id, released, 0, None, call),
            _ => self.enter(Kind::Capture, id, amount, released, None, call),
        }
        self.tell_intent(id);
        Ok(())
    }

    /// `POST /v1/payment_intents/{id}/cancel`: releases a reservation, or abandons an intent that holds none.
    pub(crate) fn cancel_intent(&mut self, id: &str, mut form: Form, call: &Call) -> Result<(), Refusal> {
        let reason = form.choice("cancellation_reason", REASONS)?;
        form.finish()?;
        let intent = self.intent_mut(id)?;
        if matches!(intent.status, Status::Succeeded | Status::Canceled) {
            let message = format!(
                "You cannot cancel this PaymentIntent because it has a status of {}. Only a PaymentIntent with one of \
                 the following statuses may be canceled: requires_payment_method, requires_capture, \
                 requires_confirmation, requires_action.",
                intent.status.name()
            );
            return Err(self.wrong_state(id, message));
        }
        if intent.received > 0 {
            let message = "You cannot cancel this PaymentIntent because a part of it was captured. Release the rest with a \
                           capture of 0 and final_capture=true.";
            return Err(self.wrong_state(id, message.to_owned()));
        }
        let released = intent.capturable;
        intent.status = Status::Canceled;
        intent.capturable = 0;
        intent.challenge = None;
        intent.canceled_at = Some(call.now);
        intent.cancellation_reason = reason;
        if released > 0 {
            self.enter(Kind::Cancel, id, released, 0, None, call);
        }
        self.tell_intent(id);
        Ok(())
    }
}

const REASONS: &[&str] = &["duplicate", "fraudulent", "requested_by_customer", "abandoned"];
