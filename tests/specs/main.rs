//! Providers' published specifications as judges: of what the connectors send and believe, and of what the simulator
//! answers and tells.
//!
//! The specifications lie here in part (`NOTICE.md` says what is from where); `cargo xtask test` installs Prism, which holds
//! requests against them, and the vendors' own packages, which verify webhooks.
#![allow(clippy::unwrap_used, reason = "a step of a test that fails shall end the test there")]

mod adyen;
mod adyen_webhooks;
mod form;
mod golden;
mod intake;
mod prism;
mod schema;
mod stripe;
mod worldpay;
