//! Payments: the state machine, attempts, idempotency, recovery.

mod accounts;
mod at_work;
mod call;
mod change;
mod chores;
mod claim;
mod confirm;
mod credentials;
mod drive;
mod engine;
mod failover;
mod fault;
mod hear;
mod held;
mod kept;
mod observe;
mod payer;
mod payment;
mod refund;
mod reserved;
mod resolve;
mod returns;
mod route;
mod rows;
mod saved;
mod session;
mod settle;
mod state;
mod terms;
mod told;

pub use accounts::Probed;
pub use call::{Call, Flight, Pending, Stored, Watch};
pub use change::{NewCapture, NewIncrement};
pub use claim::under;
pub use confirm::{Asker, MethodInput, NewPayment};
pub use credentials::to_secret_text;
pub use engine::{CvcInput, Engine, Parts};
pub use fault::{Fault, Flow};
pub use hear::Heard;
pub use kept::KeptCard;
pub use payment::{IllegalMove, Method, Payment};
pub use refund::NewRefund;
pub use returns::{RETURNS_IN_FRAME, Return};
pub use route::Trial;
pub(crate) use route::billing_country;
pub use rows::{Attempt, AttemptStatus, CaptureRow, CaptureStatus, Dispute, IncrementRow, Refund, RefundStatus};
pub use saved::SavedCard;
pub use state::{Event, State};
pub use terms::{CapturePlan, DialectName, DoorNote, FutureUsage, PaymentKind, Terms};

#[cfg(test)]
pub(crate) mod rig;

#[cfg(test)]
mod at_work_tests;

#[cfg(test)]
mod capture_tests;

#[cfg(test)]
mod hold_tests;

#[cfg(test)]
mod failover_tests;

#[cfg(test)]
mod node_tests;

#[cfg(test)]
mod recurring_tests;

#[cfg(test)]
mod retry_tests;

#[cfg(test)]
mod returns_tests;

#[cfg(test)]
mod steps_tests;

#[cfg(test)]
mod stray_tests;

#[cfg(test)]
mod tests;

#[cfg(test)]
mod race_tests;

#[cfg(test)]
mod told_tests;
