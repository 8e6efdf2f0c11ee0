//! Where a payment goes: which of a merchant's connector accounts may take it, in which order, and which rest for now.
//!
//! Everything here is pure: rules, facts, accounts, a draw and the clock's reading go in, a list of accounts comes out. So
//! the same payment is decided alike however often it is asked, and each case is tested without a provider.

mod breaker;
mod fits;
mod network;
mod plan;
mod rules;

pub use breaker::{Breakers, Health, Leave, Pulse, Turn};
pub use fits::{CardFacts, Facts, Misfit, misfit};
pub use network::{Network, all as network_words, parse as network, word};
pub use plan::{Candidate, draw, plan};
pub use rules::{BadRules, Country, Rules, is_country};

#[cfg(test)]
mod plan_tests;
