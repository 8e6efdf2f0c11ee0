//! The order in which accounts are tried: the merchant's choice for one payment, else its rules, else the oldest first.

use sha2::{Digest, Sha256};

use super::fits::Facts;
use super::rules::{Part, Rules, Way};
use crate::account::ConnectorAccount;

/// An account that can take the payment.
#[derive(Debug, Clone, Copy)]
pub struct Candidate<'a> {
    /// The account.
    pub account: &'a ConnectorAccount,
    /// Whether its provider can send the payer to an authentication page.
    pub three_ds: bool,
}

/// The ids of the accounts to try, in order, each once. `choice`: ids, labels or connectors that the merchant named for
/// this payment; then nothing else is tried. `candidates` come oldest first.
#[must_use]
pub fn plan(
    rules: Option<&Rules>,
    choice: &[String],
    facts: &Facts<'_>,
    candidates: &[Candidate<'_>],
    draw: u64,
) -> Vec<String> {
    let mut order = Order { candidates, ids: Vec::new() };
    if !choice.is_empty() {
        choice.iter().for_each(|name| order.add(name));
        return order.ids;
    }
    let matching = rules.and_then(|rules| rules.rules.iter().find(|rule| rule.when.holds(facts)));
    match matching.map(|rule| &rule.way) {
        Some(Way::Order(names)) => names.iter().for_each(|name| order.add(name)),
        Some(Way::Split(parts)) => order.add_split(parts, draw),
        None => {}
    }
    match rules.and_then(|rules| rules.fallback.as_ref()) {
        Some(names) => names.iter().for_each(|name| order.add(name)),
        None => order.add_all(facts.three_ds),
    }
    order.ids
}

/// A number that looks random and is the same each time for one attempt of one payment, so that a replay decides alike:
/// the first eight bytes of SHA-256 of `merchant 0 payment_id 0 attempt`.
#[must_use]
pub fn draw(merchant: &str, payment_id: &str, attempt: usize) -> u64 {
    let mut hash = Sha256::new();
    for part in [merchant.as_bytes(), &[0], payment_id.as_bytes(), &[0], attempt.to_string().as_bytes()] {
        hash.update(part);
    }
    hash.finalize().iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte))
}

struct Order<'a> {
    candidates: &'a [Candidate<'a>],
    ids: Vec<String>,
}

impl Order<'_> {
    /// The accounts that a name means: the one with this id, else with this label, else every one of this connector.
    fn add(&mut self, name: &str) {
        let candidates = self.candidates;
        let one = candidates
            .iter()
            .find(|one| one.account.account_id == name)
            .or_else(|| candidates.iter().find(|one| one.account.label == name));
        match one {
            Some(one) => self.push(&one.account.account_id),
            None => candidates
                .iter()
                .filter(|one| one.account.connector == name)
                .for_each(|one| self.push(&one.account.account_id)),
        }
    }

    /// First the part that the draw meets among those that can take the payment, then the others as they stand.
    fn add_split(&mut self, parts: &[Part], draw: u64) {
        let can = |part: &&Part| {
            self.candidates
                .iter()
                .any(|one| one.account.account_id == part.account || one.account.label == part.account)
        };
        let able: Vec<&Part> = parts.iter().filter(can).collect();
        let total: u64 = able.iter().map(|part| u64::from(part.percent)).sum();
        let Some(mut point) = draw.checked_rem(total) else { return };
        let met = able.iter().find(|part| match point.checked_sub(u64::from(part.percent)) {
            Some(rest) => {
                point = rest;
                false
            }
            None => true,
        });
        let met = met.map(|part| part.account.as_str());
        met.into_iter().chain(able.iter().map(|part| part.account.as_str())).for_each(|name| self.add(name));
    }

    /// Every account; where authentication is wished, first those that offer it.
    fn add_all(&mut self, three_ds: bool) {
        let candidates = self.candidates;
        candidates.iter().filter(|one| three_ds && one.three_ds).for_each(|one| self.push(&one.account.account_id));
        candidates.iter().for_each(|one| self.push(&one.account.account_id));
    }

    fn push(&mut self, id: &str) {
        if !self.ids.iter().any(|known| known == id) {
            self.ids.push(id.to_owned());
        }
    }
}
