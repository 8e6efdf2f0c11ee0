//! 3-D Secure: the cardholder approves or fails on a page of the simulator, once.

use super::{Book, Call, Intent, LastError, Status};
use crate::page::Verdict;
use crate::stripe::refusal::Refusal;

impl Book {
    /// The payment intent that a challenge belongs to, and whether it still waits.
    pub(crate) fn challenged(&self, challenge: &str) -> Result<(&Intent, bool), Refusal> {
        let id = self.challenges.get(challenge).ok_or_else(|| Refusal::missing("challenge", "challenge"))?;
        let intent = self.intent(id)?;
        let waits = intent.challenge.as_ref().is_some_and(|waiting| waiting.id == challenge);
        Ok((intent, waits))
    }

    /// Applies the cardholder's verdict. A challenge that was answered before changes nothing any more: pressing the
    /// button twice charges once.
    pub(crate) fn authenticate(&mut self, challenge: &str, verdict: Verdict, call: &Call) -> Result<(), Refusal> {
        let (intent, waits) = self.challenged(challenge)?;
        let (id, method) = (intent.id.clone(), intent.method.clone());
        let Some(method) = method.filter(|_| waits) else { return Ok(()) };
        match verdict {
            // The decline shows in the payment intent, not on the cardholder's page.
            Verdict::Approve => match self.charge_card(&id, &method, true, call) {
                Err(refusal) if refusal.status == 402 => Ok(()),
                other => other,
            },
            Verdict::Fail => {
                let intent = self.intent_mut(&id)?;
                intent.challenge = None;
                intent.status = Status::RequiresPaymentMethod;
                intent.method = None;
                intent.last_error = Some(LastError::NotAuthenticated { method });
                Ok(())
            }
        }
    }
}
