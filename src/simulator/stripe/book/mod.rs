//! The provider's books: payment methods, payment intents, setup intents, charges and refunds, in memory, under one lock.
//!
//! Invariants, which `law_tests.rs` tries with random operations:
//! - every change of money writes its ledger line in the same call;
//! - captured <= authorized, and refunded <= captured, for every payment intent;
//! - a payment intent is authorized at most once.

mod challenge;
mod intent;
mod method;
mod refund;
mod settle;
mod setup;
mod tell;

use std::collections::{BTreeMap, HashMap};

use uuid::Uuid;

use super::NAME;
use super::decline::Decline;
use super::form::Metadata;
use super::refusal::Refusal;
use super::shape::{self, View};
use crate::cards::TestCard;
use crate::house::room;
use crate::ledger::{Kind, Ledger, Line};

pub(crate) use tell::Happened;

/// Who asks, and when: what a ledger line and an object's `created` need.
#[derive(Clone, Default)]
pub(crate) struct Call {
    /// Seconds since 1970.
    pub(crate) now: i64,
    /// The request's `Idempotency-Key`.
    pub(crate) idempotency_key: Option<String>,
    /// `https://host:port` of the simulator, for the address of a 3-D Secure page.
    pub(crate) base_url: String,
    /// The secret key of the account that asks; empty on the cardholder's page.
    pub(crate) account: String,
    /// A fault wants the issuer to decline.
    pub(crate) declines: bool,
}

/// Everything that the simulator remembers.
#[derive(Default)]
pub(crate) struct Book {
    methods: HashMap<String, Method>,
    intents: BTreeMap<u64, Intent>,
    intent_places: HashMap<String, u64>,
    charges: HashMap<String, Charge>,
    refunds: BTreeMap<u64, Refund>,
    refund_places: HashMap<String, u64>,
    setups: BTreeMap<u64, Setup>,
    setup_places: HashMap<String, u64>,
    /// By challenge: the payment intent or setup intent that it belongs to.
    challenges: HashMap<String, String>,
    happened: Vec<Happened>,
    /// Whether anybody is told what happens; nothing is kept for nobody.
    pub(crate) listened: bool,
    /// What was done with money; shared with the other dialects.
    pub(crate) ledger: Ledger,
}

/// A card as the simulator keeps it: which published number, and no more.
pub(crate) struct Method {
    pub(crate) id: String,
    pub(crate) card: &'static TestCard,
    pub(crate) exp_month: i64,
    pub(crate) exp_year: i64,
    pub(crate) cvc_given: bool,
    pub(crate) holder_name: Option<String>,
    pub(crate) metadata: Metadata,
    pub(crate) created: i64,
}

/// Stripe's status of a payment intent or a setup intent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Status {
    RequiresPaymentMethod,
    RequiresConfirmation,
    RequiresAction,
    RequiresCapture,
    Canceled,
    Succeeded,
}

impl Status {
    /// The name on the wire.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::RequiresPaymentMethod => "requires_payment_method",
            Self::RequiresConfirmation => "requires_confirmation",
            Self::RequiresAction => "requires_action",
            Self::RequiresCapture => "requires_capture",
            Self::Canceled => "canceled",
            Self::Succeeded => "succeeded",
        }
    }
}

/// A payment.
pub(crate) struct Intent {
    pub(crate) id: String,
    /// The secret key of the account that made it.
    pub(crate) account: String,
    pub(crate) client_secret: String,
    pub(crate) amount: i64,
    pub(crate) currency: String,
    pub(crate) manual_capture: bool,
    /// Whether the amount may be raised before it is captured.
    pub(crate) incremental: bool,
    /// Whether it may be captured several times.
    pub(crate) multicapture: bool,
    /// The scheme's id of an earlier payment came with it, so that the issuer asks for no cardholder.
    pub(crate) exempt: bool,
    pub(crate) status: Status,
    pub(crate) method: Option<String>,
    pub(crate) charge: Option<String>,
    pub(crate) capturable: i64,
    pub(crate) received: i64,
    pub(crate) challenge: Option<Challenge>,
    pub(crate) last_error: Option<LastError>,
    pub(crate) three_ds_wanted: bool,
    pub(crate) return_url: Option<String>,
    pub(crate) setup_future_usage: Option<&'static str>,
    pub(crate) description: Option<String>,
    pub(crate) statement_descriptor: Option<String>,
    pub(crate) statement_descriptor_suffix: Option<String>,
    pub(crate) metadata: Metadata,
    pub(crate) created: i64,
    pub(crate) canceled_at: Option<i64>,
    pub(crate) cancellation_reason: Option<&'static str>,
    pub(crate) dispute: Option<Disputed>,
}

/// A dispute of a payment.
pub(crate) struct Disputed {
    pub(crate) id: String,
    pub(crate) amount: i64,
    pub(crate) reason: &'static str,
    pub(crate) status: &'static str,
    pub(crate) created: i64,
}

/// A card that is proven good without money.
pub(crate) struct Setup {
    pub(crate) id: String,
    /// The secret key of the account that made it.
    pub(crate) account: String,
    pub(crate) client_secret: String,
    pub(crate) usage: &'static str,
    pub(crate) status: Status,
    pub(crate) method: Option<String>,
    pub(crate) challenge: Option<Challenge>,
    pub(crate) last_error: Option<LastError>,
    pub(crate) three_ds_wanted: bool,
    pub(crate) return_url: Option<String>,
    pub(crate) description: Option<String>,
    pub(crate) metadata: Metadata,
    pub(crate) created: i64,
    pub(crate) cancellation_reason: Option<&'static str>,
}

/// A 3-D Secure page that waits for its cardholder.
pub(crate) struct Challenge {
    pub(crate) id: String,
    pub(crate) url: String,
}

/// Why the last try of a payment intent failed.
pub(crate) enum LastError {
    /// The issuer declined.
    Declined { decline: Decline, charge: Option<String>, method: String },
    /// The cardholder failed, or gave up, the authentication.
    NotAuthenticated { method: String },
}

/// One try to charge a card.
pub(crate) struct Charge {
    pub(crate) id: String,
    pub(crate) intent: String,
    pub(crate) method: String,
    pub(crate) amount: i64,
    pub(crate) currency: String,
    pub(crate) captured: i64,
    pub(crate) refunded: i64,
    pub(crate) decline: Option<Decline>,
    pub(crate) authenticated: bool,
    pub(crate) network_transaction_id: String,
    pub(crate) created: i64,
}

/// Money given back.
pub(crate) struct Refund {
    pub(crate) id: String,
    pub(crate) intent: String,
    pub(crate) charge: String,
    pub(crate) amount: i64,
    pub(crate) currency: String,
    pub(crate) status: &'static str,
    /// What the status becomes when the refund is next read.
    pub(crate) becomes: Option<&'static str>,
    pub(crate) reason: Option<&'static str>,
    pub(crate) metadata: Metadata,
    pub(crate) created: i64,
}

impl Book {
    /// Empty books that write into this ledger.
    pub(crate) fn new(ledger: Ledger) -> Self {
        Self { ledger, ..Self::default() }
    }

    /// The payment method with this id.
    pub(crate) fn method(&self, id: &str) -> Result<&Method, Refusal> {
        self.methods.get(id).ok_or_else(|| Refusal::missing("PaymentMethod", "payment_method"))
    }

    /// The payment intent with this id.
    pub(crate) fn intent(&self, id: &str) -> Result<&Intent, Refusal> {
        let intent = self.intent_places.get(id).and_then(|place| self.intents.get(place));
        intent.ok_or_else(|| Refusal::missing("payment_intent", "intent"))
    }

    /// The charge with this id.
    pub(crate) fn charge(&self, id: &str) -> Result<&Charge, Refusal> {
        self.charges.get(id).ok_or_else(|| Refusal::missing("charge", "charge"))
    }

    /// Payment intents, newest first.
    pub(crate) fn intents(&self) -> impl Iterator<Item = &Intent> {
        self.intents.values().rev()
    }

    /// Refunds, newest first.
    pub(crate) fn refunds(&self) -> impl Iterator<Item = &Refund> {
        self.refunds.values().rev()
    }

    pub(super) fn intent_mut(&mut self, id: &str) -> Result<&mut Intent, Refusal> {
        let place = self.intent_places.get(id);
        let intent = place.and_then(|place| self.intents.get_mut(place));
        intent.ok_or_else(|| Refusal::missing("payment_intent", "intent"))
    }

    /// The refusal of what does not fit the payment intent's status; it shows the payment intent, as with Stripe.
    fn wrong_state(&self, id: &str, message: String) -> Refusal {
        let refusal = Refusal::state("payment_intent_unexpected_state", message);
        match self.intent(id) {
            Ok(intent) => refusal.beside(None, shape::intent(self, intent, View::default()), None),
            Err(missing) => missing,
        }
    }

    fn add_intent(&mut self, intent: Intent) -> Result<(), Refusal> {
        room(self.intents.len())?;
        let place = self.intents.len() as u64;
        self.intent_places.insert(intent.id.clone(), place);
        self.intents.insert(place, intent);
        Ok(())
    }

    /// Writes the ledger line of what was just done to a payment intent.
    fn enter(&mut self, kind: Kind, intent: &str, amount: i64, released: i64, refund: Option<&str>, call: &Call) {
        let Ok(intent) = self.intent(intent) else { return };
        let method = intent.charge.as_ref().and_then(|id| self.charges.get(id)).map(|charge| &charge.method);
        let last4 = method.and_then(|id| self.methods.get(id)).map_or("", |method| method.card.last4());
        let line = Line {
            id: String::new(),
            provider: NAME,
            kind,
            amount,
            released,
            currency: intent.currency.clone(),
            last4,
            psp_id: intent.id.clone(),
            payment_intent: intent.id.clone(),
            refund: refund.map(str::to_owned),
            reversed: false,
            idempotency_key: call.idempotency_key.clone(),
            payment_id: intent.metadata.get("payment_id").cloned(),
            attempt_id: intent.metadata.get("attempt_id").cloned(),
            created: call.now,
        };
        self.ledger.write(line);
    }
}

/// An id in Stripe's manner: a prefix and 26 letters and digits.
pub(super) fn fresh_id(prefix: &str) -> String {
    let random = Uuid::new_v4().simple().to_string();
    format!("{prefix}_1S{}", &random[..24])
}

fn check_money(amount: i64, currency: &str) -> Result<(), Refusal> {
    if amount < 1 {
        return Err(Refusal::invalid("parameter_invalid_integer", "This value must be at least 1.").param("amount"));
    }
    if amount > AMOUNT_MAX {
        let message = "Amount must be no more than 99999999 minor units.";
        return Err(Refusal::invalid("amount_too_large", message).param("amount"));
    }
    if currency.len() != 3 || !currency.bytes().all(|byte| byte.is_ascii_lowercase()) {
        return Err(Refusal::invalid("parameter_invalid", "Invalid currency.").param("currency"));
    }
    Ok(())
}

/// Stripe's largest amount: eight digits.
const AMOUNT_MAX: i64 = 99_999_999;

#[cfg(test)]
pub(super) mod law_tests;
