//! A listener's door, the same for vaultd and orchestratord: how many requests are at work at a time, how long a connection
//! may keep the server waiting, and how much it may send ahead. It knows HTTP's shape and nothing of what is asked.
#![cfg_attr(test, allow(clippy::unwrap_used, reason = "a step of a test that fails shall end the test there"))]

mod admission;
mod held;
mod over_tls;
mod pace;
mod patient;
mod queue;

pub use admission::{Counts, Gate, Inside};
pub use held::{drain, hold, hurry};
pub use over_tls::{Stream, over_tls};
pub use pace::{Pace, Patience, Working};
pub use patient::Patient;
pub use queue::listen;
