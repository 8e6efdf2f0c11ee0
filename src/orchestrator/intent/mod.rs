//! Payments: the state machine, attempts, idempotency, recovery.

mod change;
mod chores;
mod confirm;
mod credentials;
mod drive;
mod engine;
mod fault;
mod payment;
mod refund;
mod resolve;
mod saved;
mod settle;
mod state;

pub use confirm::{Asker, MethodInput, NewPayment};
pub use credentials::to_secret_text;
pub use engine::{CvcInput, Engine, Parts};
pub use fault::{Fault, Flow};
pub use payment::{
    Attempt, AttemptStatus, Call, Flight, FutureUsage, IllegalMove, Method, Payment, Pending, Refund, RefundStatus,
    Stored, Terms, Watch,
};
pub use refund::NewRefund;
pub use saved::SavedCard;
pub use state::{Event, State};

#[cfg(test)]
pub(crate) mod rig;

#[cfg(test)]
mod retry_tests;

#[cfg(test)]
mod steps_tests;

#[cfg(test)]
mod stray_tests;

#[cfg(test)]
mod tests;
