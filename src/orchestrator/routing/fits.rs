//! Whether an account can take a payment at all: what its connector can do and what the merchant lets it accept.

use serde_json::{Map, Value};
use strongroom_wire::payment_method::Brand;

use crate::account::ConnectorAccount;
use crate::connector::Capabilities;
use crate::intent::CapturePlan;
use crate::money::Currency;

/// What is known about a payment when its way is decided.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Facts<'a> {
    /// How much, in minor units.
    pub amount_minor: u64,
    /// In which currency.
    pub currency: Currency,
    /// The card, once it is known.
    pub card: Option<CardFacts<'a>>,
    /// Where the card's bills go, ISO 3166-1 alpha-2, where known.
    pub country: Option<&'a str>,
    /// The merchant's notes.
    pub metadata: &'a Map<String, Value>,
    /// When the money is taken.
    pub capture: CapturePlan,
    /// The payer is away.
    pub off_session: bool,
    /// No money moves; a card is to be proven good.
    pub zero_amount: bool,
    /// What is reserved may be raised later.
    pub incremental: bool,
    /// The merchant wishes the payer to be authenticated.
    pub three_ds: bool,
    /// The payment refers to one at another provider by the scheme's id.
    pub foreign_network_id: bool,
}

/// What routing may know of a card.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CardFacts<'a> {
    /// The scheme.
    pub brand: Brand,
    /// First 6 or 8 digits.
    pub bin: &'a str,
}

/// Why an account cannot take a payment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Misfit {
    /// Switched off or deleted.
    Disabled,
    /// The connector or the account does not take this currency.
    Currency,
    /// The connector or the account does not take this card network.
    Network,
    /// The account names countries, and the payment's is another or not known.
    Country,
    /// Below the account's minimum or above its maximum.
    Amount,
    /// The connector cannot prove a card good without money.
    ZeroAmount,
    /// The connector captures once.
    MultipleCaptures,
    /// The connector cannot raise what is reserved.
    Incremental,
    /// The connector knows only its own payments by the scheme's id.
    ForeignNetworkId,
}

/// Why `account` cannot take the payment; `None` if it can. A card that is not known yet is no reason.
#[must_use]
pub fn misfit(account: &ConnectorAccount, can: &Capabilities, facts: &Facts<'_>) -> Option<Misfit> {
    let accepts = &account.accepts;
    let currency = facts.currency.as_str();
    let brand = facts.card.map(|card| card.brand);
    let below = accepts.minimum_amount.is_some_and(|minimum| facts.amount_minor < minimum);
    let above = accepts.maximum_amount.is_some_and(|maximum| facts.amount_minor > maximum);
    // Limits are about money; proving a card moves none.
    let out_of_range = !facts.zero_amount && (below || above);
    let checks = [
        (account.disabled || account.deleted_ms.is_some(), Misfit::Disabled),
        (!listed(can.currencies, &currency) || !listed(&accepts.currencies, &facts.currency), Misfit::Currency),
        (
            brand.is_some_and(|brand| !listed(can.networks, &brand) || !listed(&accepts.card_networks, &brand)),
            Misfit::Network,
        ),
        (
            !accepts.countries.is_empty()
                && !facts.country.is_some_and(|country| accepts.countries.iter().any(|known| known == country)),
            Misfit::Country,
        ),
        (out_of_range, Misfit::Amount),
        (facts.zero_amount && !can.zero_amount, Misfit::ZeroAmount),
        (facts.capture == CapturePlan::ManualMultiple && !can.multiple_captures, Misfit::MultipleCaptures),
        (facts.incremental && !can.incremental, Misfit::Incremental),
        (facts.foreign_network_id && !can.foreign_network_id, Misfit::ForeignNetworkId),
    ];
    checks.into_iter().find(|(is_so, _)| *is_so).map(|(_, why)| why)
}

/// An empty list means everything.
fn listed<T: PartialEq>(list: &[T], item: &T) -> bool {
    list.is_empty() || list.contains(item)
}
