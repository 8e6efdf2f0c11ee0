//! vaultd as a library: the rooms of the vault. `src/ARCHITECTURE.md` says which room may use which.

pub mod api;
pub mod audit;
pub mod barrier;
pub mod card;
pub mod clock;
pub mod config;
pub mod dialect;
pub mod egress;
pub mod flow;
pub mod harden;
pub mod policy;
pub mod start;
pub mod store;
pub mod telemetry;
