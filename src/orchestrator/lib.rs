//! orchestratord: pays by token at payment service providers; holds a card only for one call to a provider.

pub mod account;
pub mod api;
pub mod clock;
pub mod config;
pub mod connector;
pub mod country;
pub mod dashboard;
pub mod dialect;
pub mod harden;
pub mod ids;
pub mod intent;
pub mod money;
pub mod routing;
pub mod start;
pub mod store;
pub mod telemetry;
pub mod transport;
pub mod vault;
mod view;
pub mod webhook;

#[cfg(test)]
mod sim;
#[cfg(test)]
mod tls_peer;
