//! Measuring: load over mutual TLS, and what the numbers are compared with.

mod bare;
mod cards;
mod client;
mod fill;
mod growth;
mod handshakes;
pub mod load;
mod machine;
mod oha;
mod payments;
mod plot;
mod postgres;
mod raw;
mod report;
mod requests;
mod rotation;
mod run;
mod storage;
mod unseal;
mod usage;

pub use client::Generator;
pub use machine::Machine;
pub use report::{Report, Row};
pub use run::{Plan, Section, run};
