//! Faults are normal: crashes under load, a PSP that does not answer, bytes that somebody changed.
#![allow(clippy::unwrap_used, reason = "a step of a test that fails shall end the test there")]

mod backup;
mod changes;
mod columns;
mod disk;
mod disk_changes;
mod disk_payments;
mod failover;
mod forward;
mod intake;
mod kill;
mod kills;
mod log_columns;
mod log_tamper;
mod migrate;
mod migrate_full;
mod migrate_quota;
mod moving;
mod nodes;
mod orchestrator;
mod reroot;
mod retry;
mod roots;
mod roots_time;
mod rotation;
mod rotation_steps;
mod shred;
mod store_tamper;
