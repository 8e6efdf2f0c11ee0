//! Measuring: load over mutual TLS, and what the numbers are compared with.

mod bare;
pub mod load;
mod payments;
mod report;
mod rotation;
mod run;

pub use report::{Report, Row};
pub use run::run;
