//! Faults are normal: crashes under load, a PSP that does not answer, bytes that somebody changed.

mod kill;
mod log_tamper;
mod rotation;
mod store_tamper;
