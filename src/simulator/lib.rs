//! Payment service providers for demos and tests: each speaks a subset of a real provider's API over TLS on loopback,
//! answers the published test cards as that provider's test mode does, can be told to fail in the ways that lose money,
//! tells by webhook what happened, and writes every authorization, capture, cancellation and refund into one ledger, so
//! that a test can prove that nothing was charged twice, whichever provider did it.
//!
//! It holds no card: a number is compared with the table of published test numbers (`cards.rs`) and forgotten; any
//! other number is refused, so that nobody puts a real card in.
//!
//! Each dialect is a folder that gives routes (`house::Dialect`); they share the ledger, faults, idempotency keys, the
//! 3-D Secure page, the bell and the desk.

mod adyen;
mod bell;
mod cards;
mod desk;
mod exchange;
mod fault;
mod house;
mod inside;
mod ledger;
mod page;
mod replay;
mod server;
mod stripe;
mod worldpay;

pub use fault::{Armed, Fault, Operation};
pub use inside::{Carried, Inside, Moved};
pub use server::{Config, Running, StartError, Webhook, start};
