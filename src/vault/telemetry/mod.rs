//! What may be told about the vault while it runs: log events made of log-safe types only, and metrics.

pub mod load;
pub mod log;
pub mod metrics;

pub use log::LogSafe;
pub use metrics::Metrics;
