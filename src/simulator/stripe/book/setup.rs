//! Setup intents: a card is proven good without money, so that it can be charged later.

use super::{Book, Call, LastError, Setup, Status, fresh_id, room};
use crate::cards::{Behaviour, Reason};
use crate::page::is_web_address;
use crate::stripe::decline::Decline;
use crate::stripe::form::Form;
use crate::stripe::refusal::Refusal;
use crate::stripe::shape;

impl Book {
    /// `POST /v1/setup_intents`; answers the id. A declined verification leaves its setup intent behind.
    pub(crate) fn create_setup(&mut self, mut form: Form, call: &Call) -> Result<String, Refusal> {
        let method = form.text("payment_method").map(|id| self.method(&id).map(|method| method.id.clone()));
        let method = method.transpose()?;
        for kind in form.list("payment_method_types") {
            if kind.as_str() != "card" {
                let message = "The simulator takes payment_method_types[]=card alone.";
                return Err(Refusal::invalid("parameter_invalid", message).param("payment_method_types"));
            }
        }
        let usage = form.choice("usage", &["off_session", "on_session"])?.unwrap_or("off_session");
        let return_url = form.plain("return_url", 2048)?;
        if return_url.as_deref().is_some_and(|url| !is_web_address(url)) {
            return Err(Refusal::invalid("url_invalid", "Not a valid URL.").param("return_url"));
        }
        let wish = "payment_method_options[card][request_three_d_secure]";
        let wish = form.choice(wish, &["automatic", "any", "challenge"])?;
        let confirm = form.flag("confirm")?.unwrap_or(false);
        let id = fresh_id("seti");
        let setup = Setup {
            client_secret: format!("{id}_secret_{}", &fresh_id("s")[4..]),
            id: id.clone(),
            account: call.account.clone(),
            usage,
            status: if method.is_some() { Status::RequiresConfirmation } else { Status::RequiresPaymentMethod },
            method,
            challenge: None,
            last_error: None,
            three_ds_wanted: wish.is_some_and(|wish| wish != "automatic"),
            return_url,
            description: form.plain("description", 1000)?,
            metadata: form.metadata()?,
            created: call.now,
            cancellation_reason: None,
        };
        form.finish()?;
        room(self.setups.len())?;
        let place = self.setups.len() as u64;
        self.setup_places.insert(id.clone(), place);
        self.setups.insert(place, setup);
        if confirm {
            self.confirm_setup(&id, call)?
        } else {
            self.tell_setup(&id)
        }
        Ok(id)
    }

    /// `POST /v1/setup_intents/{id}/cancel`: abandons a verification that waits.
    pub(crate) fn cancel_setup(&mut self, id: &str, mut form: Form) -> Result<(), Refusal> {
        let reason = form.choice("cancellation_reason", REASONS)?;
        form.finish()?;
        let setup = self.setup_mut(id)?;
        if matches!(setup.status, Status::Succeeded | Status::Canceled) {
            let message = format!(
                "You cannot cancel this SetupIntent because it has a status of {}. Only a SetupIntent with one of the \
                 following statuses may be canceled: requires_payment_method, requires_confirmation, requires_action.",
                setup.status.name()
            );
            let refusal = Refusal::state("setup_intent_unexpected_state", message);
            return Err(refusal.beside_setup(shape::setup(self, self.setup(id)?), None));
        }
        setup.status = Status::Canceled;
        setup.challenge = None;
        setup.cancellation_reason = reason;
        self.tell_setup(id);
        Ok(())
    }

    fn confirm_setup(&mut self, id: &str, call: &Call) -> Result<(), Refusal> {
        let setup = self.setup(id)?;
        let Some(method) = setup.method.clone() else {
            let message = "You cannot confirm this SetupIntent because it's missing a payment method.";
            return Err(Refusal::state("setup_intent_unexpected_state", message));
        };
        let shown = match self.method(&method)?.card.behaviour {
            Behaviour::Authenticate(_) => true,
            Behaviour::AuthenticateWhenAsked => setup.three_ds_wanted,
            _ => false,
        };
        if !shown {
            return self.prove_card(id, &method, false, call);
        }
        let challenge = self.challenge(id, call)?;
        let setup = self.setup_mut(id)?;
        setup.status = Status::RequiresAction;
        setup.challenge = Some(challenge);
        self.tell_setup(id);
        Ok(())
    }

    /// Asks the issuer about the card.
    pub(super) fn prove_card(
        &mut self,
        id: &str,
        method: &str,
        authenticated: bool,
        call: &Call,
    ) -> Result<(), Refusal> {
        let reason = match self.method(method)?.card.behaviour {
            Behaviour::Decline(reason) => Some(reason),
            Behaviour::Authenticate(reason) if authenticated => reason,
            _ if call.declines => Some(Reason::Generic),
            _ => None,
        };
        let Some(reason) = reason else {
            let setup = self.setup_mut(id)?;
            setup.status = Status::Succeeded;
            setup.challenge = None;
            setup.last_error = None;
            self.tell_setup(id);
            return Ok(());
        };
        let decline = Decline::from(reason);
        self.fail_setup(id, LastError::Declined { decline, charge: None, method: method.to_owned() })?;
        let (setup, method) = (shape::setup(self, self.setup(id)?), self.method(method).ok().map(shape::method));
        Err(Refusal::card(decline.code, Some(decline.decline_code), decline.message).beside_setup(setup, method))
    }

    pub(super) fn fail_setup(&mut self, id: &str, error: LastError) -> Result<(), Refusal> {
        let setup = self.setup_mut(id)?;
        setup.challenge = None;
        setup.status = Status::RequiresPaymentMethod;
        setup.method = None;
        setup.last_error = Some(error);
        self.tell_setup(id);
        Ok(())
    }

    /// The setup intent with this id.
    pub(crate) fn setup(&self, id: &str) -> Result<&Setup, Refusal> {
        let setup = self.setup_places.get(id).and_then(|place| self.setups.get(place));
        setup.ok_or_else(|| Refusal::missing("setupintent", "intent"))
    }

    /// Setup intents, newest first.
    pub(crate) fn setups(&self) -> impl Iterator<Item = &Setup> {
        self.setups.values().rev()
    }

    fn setup_mut(&mut self, id: &str) -> Result<&mut Setup, Refusal> {
        let setup = self.setup_places.get(id).and_then(|place| self.setups.get_mut(place));
        setup.ok_or_else(|| Refusal::missing("setupintent", "intent"))
    }
}

const REASONS: &[&str] = &["duplicate", "requested_by_customer", "abandoned"];
