//! Payment intents: created, confirmed, charged.

use super::{Book, Call, Charge, Intent, LastError, Method, Status, check_money, fresh_id, room};
use crate::cards::{Behaviour, Reason};
use crate::ledger::Kind;
use crate::page::is_web_address;
use crate::stripe::decline::Decline;
use crate::stripe::form::Form;
use crate::stripe::refusal::Refusal;
use crate::stripe::shape::{self, View};

impl Book {
    /// `POST /v1/payment_intents`; answers the id. A declined payment leaves its intent behind, as with Stripe.
    pub(crate) fn create_intent(&mut self, mut form: Form, call: &Call) -> Result<String, Refusal> {
        let amount = form.integer("amount")?;
        let amount = amount
            .ok_or_else(|| Refusal::invalid("parameter_missing", "Missing required param: amount.").param("amount"))?;
        let currency = form.required("currency")?.to_ascii_lowercase();
        check_money(amount, &currency)?;
        let confirm = form.flag("confirm")?.unwrap_or(false);
        let manual_capture =
            form.choice("capture_method", &["automatic", "automatic_async", "manual"])? == Some("manual");
        form.choice("confirmation_method", &["automatic", "manual"])?;
        let asked = "payment_method_options[card][request_incremental_authorization]";
        let incremental = form.choice(asked, &["if_available", "never"])? == Some("if_available");
        let asked = "payment_method_options[card][request_multicapture]";
        let multicapture = form.choice(asked, &["if_available", "never"])? == Some("if_available");
        let id = fresh_id("pi");
        let mut intent = Intent {
            client_secret: format!("{id}_secret_{}", &fresh_id("s")[4..]),
            id: id.clone(),
            account: call.account.clone(),
            amount,
            currency,
            manual_capture,
            incremental,
            multicapture,
            exempt: false,
            status: Status::RequiresPaymentMethod,
            method: None,
            charge: None,
            capturable: 0,
            received: 0,
            challenge: None,
            last_error: None,
            three_ds_wanted: false,
            return_url: None,
            setup_future_usage: None,
            description: form.plain("description", 1000)?,
            statement_descriptor: form.plain("statement_descriptor", 22)?,
            statement_descriptor_suffix: form.plain("statement_descriptor_suffix", 22)?,
            metadata: form.metadata()?,
            created: call.now,
            canceled_at: None,
            cancellation_reason: None,
            dispute: None,
        };
        form.plain("receipt_email", 800)?;
        form.flag("automatic_payment_methods[enabled]")?;
        form.choice("automatic_payment_methods[allow_redirects]", &["always", "never"])?;
        let mut terms = Terms::parse(self, &mut form, confirm, call)?;
        form.finish()?;
        room(self.charges.len())?;
        self.keep_card(&mut terms)?;
        intent.accept(&terms);
        self.add_intent(intent)?;
        if confirm {
            self.confirm(&id, &terms, call)?
        } else {
            self.tell_intent(&id)
        }
        Ok(id)
    }

    /// `POST /v1/payment_intents/{id}/confirm`.
    pub(crate) fn confirm_intent(&mut self, id: &str, mut form: Form, call: &Call) -> Result<(), Refusal> {
        let status = self.intent(id)?.status;
        if matches!(status, Status::RequiresCapture | Status::Succeeded | Status::Canceled) {
            let message =
                format!("You cannot confirm this PaymentIntent because it has a status of {}.", status.name());
            return Err(self.wrong_state(id, message));
        }
        let mut terms = Terms::parse(self, &mut form, true, call)?;
        form.finish()?;
        room(self.charges.len())?;
        self.keep_card(&mut terms)?;
        self.intent_mut(id)?.accept(&terms);
        self.confirm(id, &terms, call)
    }

    /// Keeps a card of `payment_method_data`, once nothing else of the request can be refused.
    fn keep_card(&mut self, terms: &mut Terms) -> Result<(), Refusal> {
        match terms.card.take() {
            Some(card) => self.add_method(card).map(drop),
            None => Ok(()),
        }
    }

    fn confirm(&mut self, id: &str, terms: &Terms, call: &Call) -> Result<(), Refusal> {
        let intent = self.intent(id)?;
        let Some(method) = intent.method.clone() else {
            let message = "You cannot confirm this PaymentIntent because it's missing a payment method.";
            return Err(Refusal::state("payment_intent_unexpected_state", message));
        };
        let shown = match self.method(&method)?.card.behaviour {
            Behaviour::Authenticate(_) => true,
            Behaviour::AuthenticateWhenAsked => intent.three_ds_wanted,
            _ => false,
        };
        if !shown {
            return self.charge_card(id, &method, false, call);
        }
        if intent.exempt {
            return self.charge_card(id, &method, false, call);
        }
        if terms.off_session || terms.error_on_action {
            return self.decline(id, &method, Reason::AuthenticationRequired, call);
        }
        let challenge = self.challenge(id, call)?;
        let intent = self.intent_mut(id)?;
        intent.status = Status::RequiresAction;
        intent.last_error = None;
        intent.challenge = Some(challenge);
        self.tell_intent(id);
        Ok(())
    }

    /// Charges the card: reserves, and takes at once unless capture is manual.
    pub(super) fn charge_card(
        &mut self,
        id: &str,
        method: &str,
        authenticated: bool,
        call: &Call,
    ) -> Result<(), Refusal> {
        let verdict = match self.method(method)?.card.behaviour {
            Behaviour::Decline(decline) => Some(decline),
            Behaviour::Authenticate(decline) if authenticated || self.intent(id)?.exempt => decline,
            // Reached only when the cardholder was not asked, which `confirm` prevents.
            Behaviour::Authenticate(_) => Some(Reason::AuthenticationRequired),
            _ if call.declines => Some(Reason::Generic),
            _ => None,
        };
        if let Some(reason) = verdict {
            return self.decline(id, method, reason, call);
        }
        let charge = self.add_charge(id, method, None, authenticated, call)?;
        let intent = self.intent_mut(id)?;
        let amount = intent.amount;
        intent.charge = Some(charge.clone());
        intent.challenge = None;
        intent.last_error = None;
        let manual = intent.manual_capture;
        if manual {
            intent.status = Status::RequiresCapture;
            intent.capturable = amount;
        } else {
            intent.status = Status::Succeeded;
            intent.received = amount;
        }
        self.enter(Kind::Authorize, id, amount, 0, None, call);
        if !manual {
            if let Some(charge) = self.charges.get_mut(&charge) {
                charge.captured = amount;
            }
            self.enter(Kind::Capture, id, amount, 0, None, call);
        }
        self.tell_intent(id);
        Ok(())
    }

    fn decline(&mut self, id: &str, method: &str, reason: Reason, call: &Call) -> Result<(), Refusal> {
        let decline = Decline::from(reason);
        let charge = self.add_charge(id, method, Some(decline), false, call)?;
        let intent = self.intent_mut(id)?;
        intent.charge = Some(charge.clone());
        intent.challenge = None;
        intent.status = Status::RequiresPaymentMethod;
        intent.method = None;
        intent.last_error =
            Some(LastError::Declined { decline, charge: Some(charge.clone()), method: method.to_owned() });
        self.tell_intent(id);
        let shown = shape::intent(self, self.intent(id)?, View::default());
        let method = self.method(method).ok().map(shape::method);
        Err(Refusal::card(decline.code, Some(decline.decline_code), decline.message).beside(
            Some(charge),
            shown,
            method,
        ))
    }

    fn add_charge(
        &mut self,
        id: &str,
        method: &str,
        decline: Option<Decline>,
        authenticated: bool,
        call: &Call,
    ) -> Result<String, Refusal> {
        let intent = self.intent(id)?;
        let charge = Charge {
            id: fresh_id("ch"),
            intent: id.to_owned(),
            method: method.to_owned(),
            amount: intent.amount,
            currency: intent.currency.clone(),
            captured: 0,
            refunded: 0,
            decline,
            authenticated,
            network_transaction_id: format!("{:015}", self.charges.len() + 1),
            created: call.now,
        };
        let charge_id = charge.id.clone();
        self.charges.insert(charge_id.clone(), charge);
        Ok(charge_id)
    }
}

impl Intent {
    fn accept(&mut self, terms: &Terms) {
        if let Some(method) = &terms.method {
            self.method = Some(method.clone());
            self.status = Status::RequiresConfirmation;
        }
        self.exempt = terms.exempt;
        self.three_ds_wanted |= terms.three_ds_wanted;
        self.return_url = terms.return_url.clone().or(self.return_url.take());
        self.setup_future_usage = terms.setup_future_usage.or(self.setup_future_usage);
    }
}

/// What create and confirm have in common.
struct Terms {
    method: Option<String>,
    card: Option<Method>,
    return_url: Option<String>,
    off_session: bool,
    error_on_action: bool,
    three_ds_wanted: bool,
    exempt: bool,
    setup_future_usage: Option<&'static str>,
}

impl Terms {
    /// Takes the common fields and changes nothing.
    fn parse(book: &Book, form: &mut Form, confirm: bool, call: &Call) -> Result<Self, Refusal> {
        for kind in form.list("payment_method_types") {
            if kind.as_str() != "card" {
                let message = "The simulator takes payment_method_types[]=card alone.";
                return Err(Refusal::invalid("parameter_invalid", message).param("payment_method_types"));
            }
        }
        let return_url = form.plain("return_url", 2048)?;
        if return_url.as_deref().is_some_and(|url| !is_web_address(url)) {
            return Err(Refusal::invalid("url_invalid", "Not a valid URL.").param("return_url"));
        }
        let off_session = form.flag("off_session")?.unwrap_or(false);
        if off_session && !confirm {
            let message = "off_session is for a PaymentIntent that is being confirmed: send confirm=true with it.";
            return Err(Refusal::invalid("parameter_invalid", message).param("off_session"));
        }
        let earlier = "payment_method_options[card][mit_exemption][network_transaction_id]";
        let exempt = form.plain(earlier, 64)?.is_some();
        if exempt && !off_session {
            let message = "mit_exemption is for payments without the cardholder: send off_session=true with it.";
            return Err(Refusal::invalid("parameter_invalid", message).param(earlier));
        }
        let wish = "payment_method_options[card][request_three_d_secure]";
        let wish = form.choice(wish, &["automatic", "any", "challenge"])?;
        let setup_future_usage = form.choice("setup_future_usage", &["off_session", "on_session"])?;
        form.flag("use_stripe_sdk")?;
        let error_on_action = form.flag("error_on_requires_action")?.unwrap_or(false);
        let (method, card) = match form.text("payment_method") {
            Some(id) => (Some(book.method(&id)?.id.clone()), None),
            None if form.choice("payment_method_data[type]", &["card"])?.is_some() => {
                let card = Method::parse(form, "payment_method_data", call)?;
                (Some(card.id.clone()), Some(card))
            }
            None => (None, None),
        };
        let three_ds_wanted = wish.is_some_and(|wish| wish != "automatic");
        Ok(Self { method, card, return_url, off_session, error_on_action, three_ds_wanted, exempt, setup_future_usage })
    }
}
