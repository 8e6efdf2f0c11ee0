//! 3-D Secure: the cardholder approves or fails on a page of the simulator, once.

use super::{Book, Call, Challenge, Intent, LastError, Setup, Status, fresh_id, room};
use crate::page::{Verdict, with_query};
use crate::stripe::refusal::Refusal;

/// What a challenge is about.
pub(crate) enum Challenged<'a> {
    /// A payment.
    Payment(&'a Intent),
    /// A card that is proven good without money.
    Setup(&'a Setup),
}

impl Challenged<'_> {
    /// Whether this challenge still waits for its verdict.
    pub(crate) fn waits(&self, challenge: &str) -> bool {
        let waiting = match self {
            Self::Payment(intent) => &intent.challenge,
            Self::Setup(setup) => &setup.challenge,
        };
        waiting.as_ref().is_some_and(|waiting| waiting.id == challenge)
    }

    /// What the cardholder is asked about: an amount in minor units and its currency.
    pub(crate) fn money(&self) -> (i64, &str) {
        match self {
            Self::Payment(intent) => (intent.amount, &intent.currency),
            Self::Setup(_) => (0, ""),
        }
    }

    /// `return_url` with what Stripe adds to it.
    pub(crate) fn way_back(&self) -> Option<String> {
        let (kind, id, secret, url, status) = match self {
            Self::Payment(it) => ("payment_intent", &it.id, &it.client_secret, &it.return_url, it.status),
            Self::Setup(it) => ("setup_intent", &it.id, &it.client_secret, &it.return_url, it.status),
        };
        let done = matches!(status, Status::Succeeded | Status::RequiresCapture);
        let secret_name = format!("{kind}_client_secret");
        let status = if done { "succeeded" } else { "failed" };
        Some(with_query(url.as_deref()?, &[(kind, id), (&secret_name, secret), ("redirect_status", status)]))
    }
}

impl Book {
    /// What a challenge belongs to.
    pub(crate) fn challenged(&self, challenge: &str) -> Result<Challenged<'_>, Refusal> {
        let id = self.challenges.get(challenge).ok_or_else(|| Refusal::missing("challenge", "challenge"))?;
        match self.setup(id) {
            Ok(setup) => Ok(Challenged::Setup(setup)),
            Err(_) => self.intent(id).map(Challenged::Payment),
        }
    }

    /// Opens a challenge for a payment intent or a setup intent.
    pub(super) fn challenge(&mut self, id: &str, call: &Call) -> Result<Challenge, Refusal> {
        room(self.challenges.len())?;
        let challenge = fresh_id("challenge");
        self.challenges.insert(challenge.clone(), id.to_owned());
        let url = format!("{}/3ds/{challenge}", call.base_url);
        Ok(Challenge { id: challenge, url })
    }

    /// Applies the cardholder's verdict. A challenge that was answered before changes nothing any more: pressing the
    /// button twice charges once.
    pub(crate) fn authenticate(&mut self, challenge: &str, verdict: Verdict, call: &Call) -> Result<(), Refusal> {
        let challenged = self.challenged(challenge)?;
        if !challenged.waits(challenge) {
            return Ok(());
        }
        let (id, method, setup) = match challenged {
            Challenged::Payment(intent) => (intent.id.clone(), intent.method.clone(), false),
            Challenged::Setup(setup) => (setup.id.clone(), setup.method.clone(), true),
        };
        let Some(method) = method else { return Ok(()) };
        let done = match (verdict, setup) {
            (Verdict::Approve, false) => self.charge_card(&id, &method, true, call),
            (Verdict::Approve, true) => self.prove_card(&id, &method, true, call),
            (Verdict::Fail, false) => self.fail_intent(&id, method),
            (Verdict::Fail, true) => self.fail_setup(&id, LastError::NotAuthenticated { method }),
        };
        // The decline shows in the intent, not on the cardholder's page.
        match done {
            Err(refusal) if refusal.status == 402 => Ok(()),
            other => other,
        }
    }

    fn fail_intent(&mut self, id: &str, method: String) -> Result<(), Refusal> {
        let intent = self.intent_mut(id)?;
        intent.challenge = None;
        intent.status = Status::RequiresPaymentMethod;
        intent.method = None;
        intent.last_error = Some(LastError::NotAuthenticated { method });
        self.tell_intent(id);
        Ok(())
    }
}
