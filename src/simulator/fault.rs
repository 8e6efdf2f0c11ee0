//! Faults on purpose: slow answers, lost answers and lost connections, armed through `POST /faults` or asked for by a
//! request itself (`metadata[simulator_fault]`, or a reserved amount).

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};
use strongroom_wire::limits;

/// What goes wrong.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// The work is done and its answer waits for `delay_ms`.
    Slow,
    /// The work is done and the connection is cut without an answer.
    DropAfter,
    /// The work is done and the answer is 500.
    ErrorAfter,
    /// Nothing is done and the answer is 500.
    ErrorBefore,
    /// Nothing is done and the connection is cut without an answer.
    DropBefore,
}

/// Which requests a fault meets.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Operation {
    /// Creating a payment method.
    Method,
    /// Creating a payment intent without confirming it.
    Prepare,
    /// Creating and confirming a payment intent, or confirming one.
    Authorize,
    /// Capturing.
    Capture,
    /// Cancelling.
    Cancel,
    /// Refunding.
    Refund,
    /// Retrieving or listing anything.
    Read,
    /// Whatever comes next.
    Any,
}

/// A fault that waits for its requests; the body of `POST /faults`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Armed {
    /// What goes wrong.
    pub fault: Fault,
    /// Which requests it meets; any when left out.
    #[serde(default = "any")]
    pub operation: Operation,
    /// How many requests it meets before it is spent; 1 when left out.
    #[serde(default = "once")]
    pub times: u32,
    /// How long a `slow` answer waits, in milliseconds; 5,000 when left out.
    #[serde(default = "five_seconds")]
    pub delay_ms: u64,
}

fn any() -> Operation {
    Operation::Any
}

fn once() -> u32 {
    1
}

fn five_seconds() -> u64 {
    5_000
}

/// The armed faults, oldest first.
#[derive(Default)]
pub(crate) struct Faults {
    armed: VecDeque<Armed>,
}

impl Faults {
    /// Arms a fault.
    ///
    /// # Errors
    /// Why it cannot be armed.
    pub(crate) fn arm(&mut self, armed: Armed) -> Result<(), &'static str> {
        if armed.times == 0 {
            return Err("times: must be at least 1");
        }
        if armed.delay_ms > limits::SIMULATOR_DELAY_MS_MAX {
            return Err("delay_ms: must be at most 120000");
        }
        if self.armed.len() >= limits::SIMULATOR_FAULTS_MAX {
            return Err("too many faults are armed; clear them with DELETE /faults");
        }
        self.armed.push_back(armed);
        Ok(())
    }

    /// Disarms everything.
    pub(crate) fn clear(&mut self) {
        self.armed.clear();
    }

    /// What is armed.
    pub(crate) fn list(&self) -> Vec<Armed> {
        self.armed.iter().cloned().collect()
    }

    /// Takes the fault that meets this request: an armed one, else the one that the request asks for.
    pub(crate) fn meet(&mut self, operation: Operation, asked: Asked<'_>) -> Option<(Fault, u64)> {
        let place = self
            .armed
            .iter()
            .position(|armed| matches!(armed.operation, Operation::Any) || armed.operation == operation);
        let Some(place) = place else { return asked.fault(operation) };
        let armed = &mut self.armed[place];
        let met = (armed.fault, armed.delay_ms);
        armed.times -= 1;
        if armed.times == 0 {
            self.armed.remove(place);
        }
        Some(met)
    }
}

/// What a request says about faults.
#[derive(Clone, Copy, Default)]
pub(crate) struct Asked<'a> {
    /// `metadata[simulator_fault]`: `drop_after`, or `capture:drop_after` for one operation alone.
    pub(crate) metadata: Option<&'a str>,
    /// The amount that an authorization is for, in minor units.
    pub(crate) amount: Option<i64>,
}

impl Asked<'_> {
    /// Without an operation's name in front, only the authorization is met: that is the request that money hangs on.
    fn fault(self, operation: Operation) -> Option<(Fault, u64)> {
        if let Some(text) = self.metadata {
            let (wanted, name) = text.split_once(':').unwrap_or(("authorize", text));
            let named = |name: &str| serde_json::from_value::<Fault>(name.into()).ok();
            let meets = serde_json::from_value::<Operation>(wanted.into()).ok() == Some(operation);
            return if meets { named(name).map(|fault| (fault, five_seconds())) } else { None };
        }
        let amount = self.amount.filter(|_| operation == Operation::Authorize)?;
        AMOUNTS.iter().find(|(reserved, _)| *reserved == amount).map(|(_, fault)| (*fault, five_seconds()))
    }
}

/// The reserved amounts of an authorization, in minor units.
const AMOUNTS: &[(i64, Fault)] = &[
    (990_001, Fault::Slow),
    (990_002, Fault::DropAfter),
    (990_003, Fault::ErrorAfter),
    (990_004, Fault::ErrorBefore),
    (990_005, Fault::DropBefore),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn armed(fault: Fault, operation: Operation, times: u32) -> Armed {
        Armed { fault, operation, times, delay_ms: 1 }
    }

    #[test]
    fn armed_fault_meets_its_operation_as_often_as_it_was_told() {
        let mut faults = Faults::default();
        faults.arm(armed(Fault::DropAfter, Operation::Capture, 2)).expect("armed");
        assert_eq!(faults.meet(Operation::Refund, Asked::default()), None);
        for _ in 0..2 {
            assert_eq!(faults.meet(Operation::Capture, Asked::default()), Some((Fault::DropAfter, 1)));
        }
        assert_eq!(faults.meet(Operation::Capture, Asked::default()), None);
    }

    #[test]
    fn request_asks_for_a_fault_by_metadata_or_amount() {
        let mut faults = Faults::default();
        let text = |metadata| Asked { metadata: Some(metadata), amount: None };
        assert_eq!(faults.meet(Operation::Authorize, text("error_after")).map(|met| met.0), Some(Fault::ErrorAfter));
        assert_eq!(faults.meet(Operation::Capture, text("error_after")), None);
        assert_eq!(faults.meet(Operation::Capture, text("capture:slow")).map(|met| met.0), Some(Fault::Slow));
        assert_eq!(faults.meet(Operation::Authorize, text("nonsense")), None);
        let amount = Asked { metadata: None, amount: Some(990_005) };
        assert_eq!(faults.meet(Operation::Authorize, amount).map(|met| met.0), Some(Fault::DropBefore));
        assert_eq!(faults.meet(Operation::Prepare, amount), None);
    }

    #[test]
    fn faults_beyond_the_limits_are_refused() {
        let mut faults = Faults::default();
        assert!(faults.arm(armed(Fault::Slow, Operation::Any, 0)).is_err());
        let late = Armed { delay_ms: limits::SIMULATOR_DELAY_MS_MAX + 1, ..armed(Fault::Slow, Operation::Any, 1) };
        assert!(faults.arm(late).is_err());
        for _ in 0..limits::SIMULATOR_FAULTS_MAX {
            faults.arm(armed(Fault::Slow, Operation::Any, 1)).expect("armed");
        }
        assert!(faults.arm(armed(Fault::Slow, Operation::Any, 1)).is_err());
    }
}
