//! Refunds: all of a charge or parts of it, never more than was taken.

use super::{Book, Call, NAME, Refund, fresh_id, room};
use crate::cards::Behaviour;
use crate::ledger::Kind;
use crate::stripe::form::Form;
use crate::stripe::refusal::Refusal;

impl Book {
    /// `POST /v1/refunds`; answers the id.
    pub(crate) fn create_refund(&mut self, mut form: Form, call: &Call) -> Result<String, Refusal> {
        let by_intent = form.text("payment_intent");
        let by_charge = form.text("charge");
        let wanted = form.integer("amount")?;
        let reason = form.choice("reason", &["duplicate", "fraudulent", "requested_by_customer"])?;
        let metadata = form.metadata()?;
        form.finish()?;
        let charge = match (by_intent, by_charge) {
            (Some(intent), None) => {
                let charge = self.intent(&intent)?.charge.clone();
                charge.ok_or_else(|| no_charge().param("payment_intent"))?
            }
            (None, Some(charge)) => charge.as_str().to_owned(),
            _ => {
                let message = "One of these params, and one alone: payment_intent, charge.";
                return Err(Refusal::invalid("parameter_missing", message));
            }
        };
        let found = self.charge(&charge)?;
        if found.captured == 0 {
            return Err(no_charge());
        }
        let left = found.captured - found.refunded;
        if left == 0 {
            return Err(Refusal::state("charge_already_refunded", "The charge has already been refunded."));
        }
        let amount = wanted.unwrap_or(left);
        if amount < 1 {
            return Err(Refusal::invalid("parameter_invalid_integer", "This value must be at least 1.").param("amount"));
        }
        if amount > left {
            let message = "The refund amount is greater than the unrefunded amount of the charge.";
            return Err(Refusal::state("amount_too_large", message).param("amount"));
        }
        room(self.refunds.len())?;
        let (status, becomes) = match self.method(&found.method)?.card.behaviour {
            Behaviour::RefundPending => ("pending", Some("succeeded")),
            Behaviour::RefundFails => ("succeeded", Some("failed")),
            _ => ("succeeded", None),
        };
        let (intent, currency) = (found.intent.clone(), found.currency.clone());
        let id = fresh_id("re");
        let refund = Refund {
            id: id.clone(),
            intent: intent.clone(),
            charge: charge.clone(),
            amount,
            currency,
            status,
            becomes,
            reason,
            metadata,
            created: call.now,
        };
        let place = self.refunds.len() as u64;
        self.refund_places.insert(id.clone(), place);
        self.refunds.insert(place, refund);
        if let Some(charge) = self.charges.get_mut(&charge) {
            charge.refunded += amount;
        }
        self.enter(Kind::Refund, &intent, amount, 0, Some(&id), call);
        self.tell_refund(&id, "refund.created");
        Ok(id)
    }

    /// The refund with this id, as it stands.
    pub(crate) fn refund(&self, id: &str) -> Result<&Refund, Refusal> {
        let refund = self.refund_places.get(id).and_then(|place| self.refunds.get(place));
        refund.ok_or_else(|| Refusal::missing("refund", "refund"))
    }

    /// `GET /v1/refunds/{id}`: the refund, after the bank's later word on it. A refund that fails has its
    /// ledger line marked, because the money is the merchant's again.
    pub(crate) fn read_refund(&mut self, id: &str) -> Result<&Refund, Refusal> {
        let refund = self.refund_places.get(id).and_then(|place| self.refunds.get_mut(place));
        let refund = refund.ok_or_else(|| Refusal::missing("refund", "refund"))?;
        if let Some(status) = refund.becomes.take() {
            refund.status = status;
            if status == "failed" {
                let (charge, amount) = (refund.charge.clone(), refund.amount);
                if let Some(charge) = self.charges.get_mut(&charge) {
                    charge.refunded -= amount;
                }
                self.ledger.reverse_refund(NAME, id);
            }
            self.tell_refund(id, if status == "failed" { "refund.failed" } else { "charge.refund.updated" });
        }
        self.refund(id)
    }
}

fn no_charge() -> Refusal {
    Refusal::state("payment_intent_unexpected_state", "This payment does not have a successful charge to refund.")
}
