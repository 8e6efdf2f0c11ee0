//! What the books tell by webhook: an event for each change, with the object as it stands after it.

use serde_json::Value;

use super::{Book, Status};
use crate::stripe::shape::{self, View};

/// Something that happened and has not been told yet.
pub(crate) struct Happened {
    /// The type of Stripe's event.
    pub(crate) kind: &'static str,
    /// The account (its secret key) that is told.
    pub(crate) account: String,
    /// The object.
    pub(crate) object: Value,
}

impl Book {
    /// Takes what has happened since the last time, oldest first.
    pub(crate) fn happened(&mut self) -> Vec<Happened> {
        std::mem::take(&mut self.happened)
    }

    pub(super) fn tell_intent(&mut self, id: &str) {
        let Some(intent) = self.intent(id).ok().filter(|_| self.listened) else { return };
        let kind = match intent.status {
            Status::RequiresPaymentMethod if intent.last_error.is_some() => "payment_intent.payment_failed",
            Status::RequiresPaymentMethod | Status::RequiresConfirmation => "payment_intent.created",
            Status::RequiresAction => "payment_intent.requires_action",
            Status::RequiresCapture => "payment_intent.amount_capturable_updated",
            Status::Canceled => "payment_intent.canceled",
            Status::Succeeded => "payment_intent.succeeded",
        };
        let (account, object) = (intent.account.clone(), shape::intent(self, intent, View::default()));
        self.happened.push(Happened { kind, account, object });
    }

    pub(super) fn tell_setup(&mut self, id: &str) {
        let Some(setup) = self.setup(id).ok().filter(|_| self.listened) else { return };
        let kind = match setup.status {
            Status::RequiresPaymentMethod if setup.last_error.is_some() => "setup_intent.setup_failed",
            Status::RequiresAction => "setup_intent.requires_action",
            Status::Canceled => "setup_intent.canceled",
            Status::Succeeded => "setup_intent.succeeded",
            _ => "setup_intent.created",
        };
        let (account, object) = (setup.account.clone(), shape::setup(self, setup));
        self.happened.push(Happened { kind, account, object });
    }

    pub(super) fn tell_refund(&mut self, id: &str, kind: &'static str) {
        let Some(refund) = self.refund(id).ok().filter(|_| self.listened) else { return };
        let account = self.intent(&refund.intent).map(|intent| intent.account.clone()).unwrap_or_default();
        self.happened.push(Happened { kind, account, object: shape::refund(refund) });
    }
}
