//! A payment service provider for demos and tests: it speaks a subset of Stripe's API over TLS on loopback, answers
//! the published test cards as Stripe's test mode does, can be told to fail in the ways that lose money, and keeps a
//! ledger of every authorization, capture, cancellation and refund, so that a test can prove that nothing was charged
//! twice.
//!
//! It holds no card: a number is compared with the table of published test numbers (`cards.rs`) and forgotten; any
//! other number is refused, so that nobody puts a real card in.

mod api;
mod book;
mod cards;
mod fault;
mod form;
mod ledger;
mod refusal;
mod replay;
mod server;
mod shape;

pub use fault::{Armed, Fault, Operation};
pub use server::{Config, Running, StartError, start};
