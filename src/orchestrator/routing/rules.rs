//! A merchant's routing document: rules in order, each with conditions and a way, and a fallback list.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer};
use serde_json::Value;
use strongroom_wire::limits;

use super::fits::Facts;
use super::network::Network;
use crate::account::ConnectorAccount;
use crate::intent::CapturePlan;
use crate::money::Currency;

/// The document. Accounts are named by id or label.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rules {
    /// The first rule that matches decides.
    #[serde(default)]
    pub rules: Vec<Rule>,
    /// Tried after the rule's own accounts, and where no rule matches. Absent: every account, the oldest first.
    #[serde(default)]
    pub fallback: Option<Vec<String>>,
}

/// One rule.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// For people.
    #[serde(default)]
    pub name: Option<String>,
    /// All of these must hold; none: always.
    #[serde(default, rename = "if")]
    pub when: When,
    /// Where the payment goes then.
    #[serde(rename = "use")]
    pub way: Way,
}

/// Conditions; what is absent holds always.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct When {
    /// From and to, both included, in minor units.
    #[serde(default)]
    pub amount: Option<Span>,
    /// One of these.
    #[serde(default)]
    pub currency: Option<Vec<Currency>>,
    /// One of these.
    #[serde(default)]
    pub card_network: Option<Vec<Network>>,
    /// The number begins with one of these: 1 to 8 digits.
    #[serde(default)]
    pub card_bin: Option<Vec<Bin>>,
    /// One of these.
    #[serde(default)]
    pub billing_country: Option<Vec<Country>>,
    /// All of these are in the payment's metadata.
    #[serde(default)]
    pub metadata: Option<BTreeMap<String, Value>>,
    /// One of these.
    #[serde(default)]
    pub capture_method: Option<Vec<CapturePlan>>,
    /// Whether the payer is away.
    #[serde(default)]
    pub off_session: Option<bool>,
}

/// An inclusive range of amounts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Span {
    /// At least; 0 when absent.
    #[serde(default)]
    pub from: u64,
    /// At most; no end when absent.
    #[serde(default)]
    pub to: Option<u64>,
}

/// Where a payment goes.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Way {
    /// One of these by chance, the others after it.
    Split(Vec<Part>),
    /// These, in order.
    Order(Vec<String>),
}

/// A part of a split.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Part {
    /// Id or label.
    pub account: String,
    /// 1 to 100; all parts make 100.
    pub percent: u8,
}

/// The first digits of card numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bin(pub String);

/// ISO 3166-1 alpha-2.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Country(pub String);

/// Why a document is no set of rules.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {reason}")]
pub struct BadRules {
    /// Where in the document.
    pub path: String,
    /// What is wrong there.
    pub reason: &'static str,
}

impl Rules {
    /// Whether sizes and sums are within their limits; names are checked by whoever knows the accounts.
    ///
    /// # Errors
    /// [`BadRules`].
    pub fn check(&self) -> Result<(), BadRules> {
        let bad = |path: String, reason| Err(BadRules { path, reason });
        if self.rules.len() > limits::ROUTING_RULES_MAX {
            return bad("rules".into(), "at most 50 rules");
        }
        if self.fallback.as_ref().is_some_and(|names| names.len() > limits::CONNECTOR_ACCOUNTS_MAX) {
            return bad("fallback".into(), "at most 20 accounts");
        }
        for (number, rule) in self.rules.iter().enumerate() {
            let at = |field: &str| format!("rules[{number}].{field}");
            if rule.name.as_ref().is_some_and(|name| name.len() > limits::PAYMENT_TEXT_BYTES_MAX) {
                return bad(at("name"), "at most 255 bytes");
            }
            if rule.when.amount.is_some_and(|span| span.to.is_some_and(|to| to < span.from)) {
                return bad(at("if.amount"), "`to` is below `from`, so no payment ever matches");
            }
            for (field, values) in rule.when.sizes() {
                if values == 0 {
                    return bad(at(&format!("if.{field}")), "no value, so no payment ever matches; leave it out");
                }
                if values > limits::ROUTING_VALUES_MAX {
                    return bad(at(&format!("if.{field}")), "at most 100 values");
                }
            }
            match &rule.way {
                Way::Order(names) if names.is_empty() || names.len() > limits::CONNECTOR_ACCOUNTS_MAX => {
                    return bad(at("use.order"), "1 to 20 accounts");
                }
                Way::Split(parts) if parts.is_empty() || parts.len() > limits::CONNECTOR_ACCOUNTS_MAX => {
                    return bad(at("use.split"), "1 to 20 accounts");
                }
                Way::Split(parts) if parts.iter().any(|part| part.percent == 0) => {
                    return bad(at("use.split"), "each percent is 1 to 100; leave an account of 0 out");
                }
                Way::Split(parts) if parts.iter().map(|part| u32::from(part.percent)).sum::<u32>() != 100 => {
                    return bad(at("use.split"), "the percents must make 100 together");
                }
                Way::Order(_) | Way::Split(_) => {}
            }
        }
        Ok(())
    }

    /// Whether every name is one of these accounts, by id or label.
    ///
    /// # Errors
    /// [`BadRules`].
    pub fn check_names(&self, accounts: &[ConnectorAccount]) -> Result<(), BadRules> {
        let is_known = |name: &str| accounts.iter().any(|account| account.account_id == name || account.label == name);
        match self.names().find(|(_, name)| !is_known(name)) {
            Some((path, _)) => Err(BadRules { path, reason: "it names no connector account of this merchant" }),
            None => Ok(()),
        }
    }

    /// Every name of an account with its place.
    pub fn names(&self) -> impl Iterator<Item = (String, &str)> {
        let of_rules = self.rules.iter().enumerate().flat_map(|(number, rule)| {
            let named: Vec<&str> = match &rule.way {
                Way::Split(parts) => parts.iter().map(|part| part.account.as_str()).collect(),
                Way::Order(names) => names.iter().map(String::as_str).collect(),
            };
            named.into_iter().map(move |name| (format!("rules[{number}].use"), name))
        });
        let of_fallback = self.fallback.iter().flatten().map(|name| ("fallback".to_owned(), name.as_str()));
        of_rules.chain(of_fallback)
    }
}

impl When {
    /// Whether every condition holds. A condition about a card does not hold before there is one.
    #[must_use]
    pub fn holds(&self, facts: &Facts<'_>) -> bool {
        let amount = |span: &Span| span.from <= facts.amount_minor && span.to.is_none_or(|to| facts.amount_minor <= to);
        let network = |list: &Vec<Network>| facts.card.is_some_and(|card| list.contains(&Network(card.brand)));
        let bin = |list: &Vec<Bin>| facts.card.is_some_and(|card| list.iter().any(|bin| card.bin.starts_with(&bin.0)));
        let country =
            |list: &Vec<Country>| facts.country.is_some_and(|country| list.iter().any(|one| one.0 == country));
        let notes = |wanted: &BTreeMap<String, Value>| {
            wanted.iter().all(|(name, value)| facts.metadata.get(name).is_some_and(|noted| noted == value))
        };
        self.amount.as_ref().is_none_or(amount)
            && self.currency.as_ref().is_none_or(|list| list.contains(&facts.currency))
            && self.card_network.as_ref().is_none_or(network)
            && self.card_bin.as_ref().is_none_or(bin)
            && self.billing_country.as_ref().is_none_or(country)
            && self.metadata.as_ref().is_none_or(notes)
            && self.capture_method.as_ref().is_none_or(|list| list.contains(&facts.capture))
            && self.off_session.is_none_or(|wanted| wanted == facts.off_session)
    }

    fn sizes(&self) -> impl Iterator<Item = (&'static str, usize)> {
        let sizes = [
            ("currency", self.currency.as_ref().map(Vec::len)),
            ("card_network", self.card_network.as_ref().map(Vec::len)),
            ("card_bin", self.card_bin.as_ref().map(Vec::len)),
            ("billing_country", self.billing_country.as_ref().map(Vec::len)),
            ("metadata", self.metadata.as_ref().map(BTreeMap::len)),
            ("capture_method", self.capture_method.as_ref().map(Vec::len)),
        ];
        sizes.into_iter().filter_map(|(field, size)| size.map(|size| (field, size)))
    }
}

/// Whether a text can be a country: two upper-case letters.
#[must_use]
pub fn is_country(text: &str) -> bool {
    text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_uppercase())
}

impl<'de> Deserialize<'de> for Bin {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let good = (1..=BIN_DIGITS_MAX).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
        if good { Ok(Self(text)) } else { Err(serde::de::Error::custom("a BIN prefix is 1 to 8 digits")) }
    }
}

impl<'de> Deserialize<'de> for Country {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if is_country(&text) { Ok(Self(text)) } else { Err(serde::de::Error::custom("two upper-case letters")) }
    }
}

/// ISO/IEC 7812: an issuer identification number has at most 8 digits.
const BIN_DIGITS_MAX: usize = 8;
