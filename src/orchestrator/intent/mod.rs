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
mod terms;

pub use confirm::{Asker, MethodInput, NewPayment};
pub use credentials::to_secret_text;
pub use engine::{CvcInput, Engine, Parts};
pub use fault::{Fault, Flow};
pub use payment::{
    Attempt, AttemptStatus, Call, CaptureRow, CaptureStatus, Dispute, Flight, IllegalMove, IncrementRow, Method,
    Payment, Pending, Refund, RefundStatus, Stored, Watch,
};
pub use refund::NewRefund;
pub use saved::SavedCard;
pub use state::{Event, State};
pub use terms::{CapturePlan, FutureUsage, PaymentKind, Terms};

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
