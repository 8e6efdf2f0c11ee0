//! What Stripe's objects prove: payment intents, setup intents and refunds.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::amount::from_stripe;
use super::answer::{Problem, is_id, refusal, word};
use super::decline::kind;
use crate::connector::{Decline, Doubt, Handles, Outcome, Step};
use crate::money::Money;

/// A `payment_intent`.
#[derive(Deserialize)]
pub(super) struct Intent {
    pub(super) id: String,
    pub(super) status: String,
    pub(super) amount: u64,
    pub(super) currency: String,
    pub(super) created: i64,
    amount_received: Option<u64>,
    #[serde(default)]
    metadata: Option<BTreeMap<String, String>>,
    next_action: Option<NextAction>,
    last_payment_error: Option<Problem>,
    latest_charge: Option<LatestCharge>,
}

/// A `setup_intent`: a card proven good without money.
#[derive(Deserialize)]
pub(super) struct SetupIntent {
    pub(super) id: String,
    pub(super) status: String,
    pub(super) created: i64,
    #[serde(default)]
    metadata: Option<BTreeMap<String, String>>,
    next_action: Option<NextAction>,
    last_setup_error: Option<Problem>,
}

/// What a search finds by our reference.
pub(super) trait Found: DeserializeOwned {
    /// Stripe's id.
    fn id(&self) -> &str;
    /// When it was made, in seconds since 1970.
    fn created(&self) -> i64;
    /// A value of the metadata.
    fn noted(&self, name: &str) -> Option<&str>;
    /// What it proves.
    fn step(&self) -> Step;
    /// Whether it ended with this much taken, and the rest released.
    fn ended_with(&self, taken: Money) -> bool;
    /// Whether it is about this much.
    fn is_about(&self, money: Money) -> bool;
}

/// A `refund`.
#[derive(Deserialize)]
pub(super) struct Refund {
    pub(super) id: String,
    pub(super) status: String,
    pub(super) amount: u64,
    pub(super) currency: String,
    pub(super) failure_reason: Option<String>,
    #[serde(default)]
    metadata: Option<BTreeMap<String, String>>,
}

/// A page of a list.
#[derive(Deserialize)]
pub(super) struct List<T> {
    pub(super) data: Vec<T>,
    #[serde(default)]
    pub(super) has_more: bool,
}

/// An object of which only the id matters.
#[derive(Deserialize)]
pub(super) struct Named {
    pub(super) id: String,
}

#[derive(Deserialize)]
struct NextAction {
    redirect_to_url: Option<Redirect>,
}

#[derive(Deserialize)]
struct Redirect {
    url: Option<String>,
}

/// The charge itself where `expand[]=latest_charge` was asked for and understood.
#[derive(Deserialize)]
#[serde(untagged)]
enum LatestCharge {
    Whole(Charge),
    Id(#[expect(dead_code, reason = "says nothing that we need, and must not make the answer unreadable")] String),
}

#[derive(Deserialize)]
struct Charge {
    payment_method_details: Option<Details>,
}

#[derive(Deserialize)]
struct Details {
    card: Option<Card>,
}

#[derive(Deserialize)]
struct Card {
    network_transaction_id: Option<String>,
    multicapture: Option<Offered>,
    incremental_authorization: Option<Offered>,
}

#[derive(Deserialize)]
struct Offered {
    status: Option<String>,
}

impl Intent {
    /// Whether this is the payment that was asked for: another amount or currency means that the answer is not ours.
    pub(super) fn is_for(&self, money: Money) -> bool {
        from_stripe(self.amount, &self.currency) == Some(money)
    }

    /// How much was taken, where the answer says so.
    pub(super) fn took(&self) -> Option<Option<Money>> {
        self.amount_received.map(|amount| from_stripe(amount, &self.currency))
    }

    /// How much was taken. `amount_received` is not among the fields that Stripe's specification calls required; without
    /// it, all was taken.
    fn received(&self) -> Option<u64> {
        from_stripe(self.amount_received.unwrap_or(self.amount), &self.currency).map(|money| money.minor)
    }

    /// The scheme's id of the payment.
    pub(super) fn network_transaction_id(&self) -> Option<String> {
        let id = self.card()?.network_transaction_id.as_ref()?;
        let plain = id.len() <= 64 && id.bytes().all(|byte| byte.is_ascii_alphanumeric());
        plain.then(|| id.clone())
    }

    /// What Stripe or the card's network does not offer for this payment, so that we need not ask for it in vain.
    pub(super) fn handles(&self) -> Handles {
        let Some(card) = self.card() else { return Handles::new() };
        let offers = [(MULTICAPTURE, &card.multicapture), (INCREMENT, &card.incremental_authorization)];
        let missing = offers.into_iter().filter(|(_, offered)| {
            offered.as_ref().is_some_and(|offered| offered.status.as_deref() == Some(UNAVAILABLE))
        });
        missing.map(|(name, _)| (name.to_owned(), UNAVAILABLE.to_owned())).collect()
    }

    fn card(&self) -> Option<&Card> {
        match self.latest_charge.as_ref()? {
            LatestCharge::Whole(charge) => charge.payment_method_details.as_ref()?.card.as_ref(),
            LatestCharge::Id(_) => None,
        }
    }

    fn captured(&self, amount_minor: Option<u64>) -> Step {
        let Some(amount_minor) = amount_minor else { return Step::InDoubt(Doubt::Unreadable) };
        let network_transaction_id = self.network_transaction_id();
        let (psp_id, handles) = (self.id.clone(), self.handles());
        Step::Done(Outcome::Captured { psp_id, amount_minor, network_transaction_id, handles })
    }
}

impl Found for Intent {
    fn is_about(&self, money: Money) -> bool {
        self.is_for(money)
    }

    fn id(&self) -> &str {
        &self.id
    }

    fn created(&self) -> i64 {
        self.created
    }

    fn noted(&self, name: &str) -> Option<&str> {
        self.metadata.as_ref()?.get(name).map(String::as_str)
    }

    fn step(&self) -> Step {
        if !is_id(&self.id) {
            return Step::InDoubt(Doubt::Unreadable);
        }
        match self.status.as_str() {
            "succeeded" => self.captured(self.received()),
            // One of several captures was made, and the rest is still reserved.
            "requires_capture" if self.amount_received.is_some_and(|amount| amount > 0) => {
                self.captured(self.received())
            }
            "requires_capture" => {
                let network_transaction_id = self.network_transaction_id();
                let (psp_id, handles) = (self.id.clone(), self.handles());
                Step::Done(Outcome::Authorized { psp_id, network_transaction_id, handles })
            }
            status => unfinished(&self.id, status, self.next_action.as_ref(), self.last_payment_error.as_ref()),
        }
    }

    fn ended_with(&self, taken: Money) -> bool {
        is_id(&self.id) && self.status == "succeeded" && self.took() == Some(Some(taken)) && !self.is_for(taken)
    }
}

impl Found for SetupIntent {
    fn is_about(&self, money: Money) -> bool {
        money.minor == 0
    }

    fn id(&self) -> &str {
        &self.id
    }

    fn created(&self) -> i64 {
        self.created
    }

    fn noted(&self, name: &str) -> Option<&str> {
        self.metadata.as_ref()?.get(name).map(String::as_str)
    }

    fn step(&self) -> Step {
        if !is_id(&self.id) {
            return Step::InDoubt(Doubt::Unreadable);
        }
        match self.status.as_str() {
            // Stripe tells the scheme's id of a payment and keeps that of a verification to itself.
            "succeeded" => Step::Done(Outcome::Verified {
                psp_id: self.id.clone(),
                network_transaction_id: None,
                handles: Handles::new(),
            }),
            status => unfinished(&self.id, status, self.next_action.as_ref(), self.last_setup_error.as_ref()),
        }
    }

    fn ended_with(&self, _: Money) -> bool {
        false
    }
}

/// What the states prove that payment intents and setup intents have in common. `id` can be one of Stripe's.
fn unfinished(id: &str, status: &str, action: Option<&NextAction>, error: Option<&Problem>) -> Step {
    let (psp_id, handles) = (id.to_owned(), Handles::new());
    Step::Done(match status {
        "processing" => Outcome::Pending { psp_id, handles },
        "canceled" => Outcome::Cancelled { psp_id },
        "requires_action" => match action.and_then(NextAction::page) {
            Some(redirect_url) => Outcome::RequiresAction { psp_id, redirect_url, handles },
            // Only a browser with Stripe's library and the client secret could go on, and we hand that out to nobody.
            None => Outcome::Declined(Decline {
                psp_id: Some(psp_id),
                code: "authentication_required".to_owned(),
                decline_code: None,
                message: "The card wants authentication, and there was no return_url to come back to.".to_owned(),
                kind: kind("authentication_required", None, None),
            }),
        },
        "requires_payment_method" => match error {
            Some(problem) => Outcome::Declined(problem.decline(Some(psp_id))),
            None => Outcome::Refused(refusal("requires_payment_method", "The payment was not tried.")),
        },
        "requires_confirmation" => Outcome::Refused(refusal("requires_confirmation", "The payment was not confirmed.")),
        _ => return Step::InDoubt(Doubt::Unreadable),
    })
}

impl NextAction {
    /// The page to send the payer to. It goes into a `Location` header, so nothing but a plain https address will do.
    fn page(&self) -> Option<String> {
        let url = self.redirect_to_url.as_ref()?.url.as_ref()?;
        let plain = url.len() <= URL_CHARS_MAX && url.bytes().all(|byte| byte.is_ascii_graphic());
        (plain && url.starts_with("https://")).then(|| url.clone())
    }
}

impl Refund {
    /// What a refund proves.
    pub(super) fn step(&self) -> Step {
        let psp_id = self.id.clone();
        if !is_id(&self.id) {
            return Step::InDoubt(Doubt::Unreadable);
        }
        match self.status.as_str() {
            "succeeded" => match from_stripe(self.amount, &self.currency) {
                Some(money) => Step::Done(Outcome::Refunded { psp_id, amount_minor: money.minor }),
                None => Step::InDoubt(Doubt::Unreadable),
            },
            "pending" | "requires_action" => Step::Done(Outcome::Pending { psp_id, handles: Handles::new() }),
            "failed" | "canceled" => {
                let code = self.failure_reason.as_deref().map_or("refund_failed".to_owned(), word);
                Step::Done(Outcome::Refused(refusal(&code, "The refund failed; the money stayed with the merchant.")))
            }
            _ => Step::InDoubt(Doubt::Unreadable),
        }
    }

    /// A value of the metadata.
    pub(super) fn noted(&self, name: &str) -> Option<&str> {
        self.metadata.as_ref()?.get(name).map(String::as_str)
    }
}

/// In the handles: whether several captures are offered.
pub(super) const MULTICAPTURE: &str = "multicapture";

/// In the handles: whether the reservation can be raised.
pub(super) const INCREMENT: &str = "incremental_authorization";

/// The value of either where it is not offered.
pub(super) const UNAVAILABLE: &str = "unavailable";

const URL_CHARS_MAX: usize = 4096;
