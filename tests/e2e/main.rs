//! End to end: a shop's flows over real processes and mutual TLS, with the PSP's ledger as the judge.
#![allow(clippy::unwrap_used, reason = "a step of a test that fails shall end the test there")]

mod adyen;
mod custody;
mod direct_charges;
mod duplicates;
mod export;
mod flows;
mod gateway;
mod import;
mod invoices;
mod ledger;
mod localstripe;
mod locker;
mod log;
mod money;
mod provider_webhooks;
mod refusals;
mod reroot;
mod reroot_elsewhere;
mod syslog;
mod traces;
mod webhooks;
