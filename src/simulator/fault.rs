//! Faults on purpose: slow answers, lost answers, lost connections and lost webhooks, armed through `POST /faults` or
//! asked for by a request itself (at Stripe `metadata[simulator_fault]`, or a reserved amount).

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
    /// The issuer declines without a reason, whichever card it is; meets what asks the issuer: authorizations,
    /// verifications and increments.
    Decline,
    /// The webhook is never sent.
    WebhookLost,
    /// The webhook is sent twice.
    WebhookTwice,
    /// The webhook waits for `delay_ms`, so that later ones overtake it.
    WebhookDelayed,
}

impl Fault {
    fn meets(self, operation: Operation) -> bool {
        match self {
            Self::WebhookLost | Self::WebhookTwice | Self::WebhookDelayed => operation == Operation::Webhook,
            Self::Decline => {
                matches!(operation, Operation::Authorize | Operation::Verify | Operation::Increment)
            }
            _ => operation != Operation::Webhook,
        }
    }
}

/// Which requests a fault meets.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Operation {
    /// Creating a payment method from a card.
    Method,
    /// Creating a payment without trying it.
    Prepare,
    /// Trying a payment.
    Authorize,
    /// Proving a card good without money.
    Verify,
    /// Handing over what the payer's browser brought back.
    Complete,
    /// Reserving more.
    Increment,
    /// Capturing.
    Capture,
    /// Cancelling.
    Cancel,
    /// Refunding.
    Refund,
    /// Retrieving or listing anything.
    Read,
    /// Sending a webhook.
    Webhook,
    /// Whatever comes next and can have this fault.
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
    /// The dialect that it is for; any when left out.
    #[serde(default)]
    pub provider: Option<String>,
    /// What the API key of the account ends with that it is for; any when left out.
    #[serde(default)]
    pub account_ending: Option<String>,
    /// How many requests it meets before it is spent; 1 when left out.
    #[serde(default = "once")]
    pub times: u32,
    /// How long a `slow` answer or a delayed webhook waits, in milliseconds; 5,000 when left out.
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
        if armed.operation != Operation::Any && !armed.fault.meets(armed.operation) {
            return Err("fault: this one cannot meet that operation");
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
    pub(crate) fn meet(&mut self, place: Place<'_>, asked: Asked<'_>) -> Option<Met> {
        let Some(found) = self.armed.iter().position(|armed| armed.is_for(place)) else {
            return asked.fault(place.operation);
        };
        let armed = &mut self.armed[found];
        let met = Met { fault: armed.fault, delay_ms: armed.delay_ms };
        armed.times -= 1;
        if armed.times == 0 {
            self.armed.remove(found);
        }
        Some(met)
    }
}

impl Armed {
    fn is_for(&self, place: Place<'_>) -> bool {
        (self.operation == Operation::Any || self.operation == place.operation)
            && self.fault.meets(place.operation)
            && self.provider.as_deref().is_none_or(|provider| provider == place.provider)
            && self.account_ending.as_deref().is_none_or(|ending| place.account.ends_with(ending))
    }
}

/// Which request asks whether a fault meets it.
#[derive(Clone, Copy)]
pub(crate) struct Place<'a> {
    /// The dialect.
    pub(crate) provider: &'a str,
    /// The API key of the account; empty where there is none.
    pub(crate) account: &'a str,
    /// What it does.
    pub(crate) operation: Operation,
}

/// A fault that has met its request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Met {
    /// What goes wrong.
    pub(crate) fault: Fault,
    /// How long a slow answer or a delayed webhook waits, in milliseconds.
    pub(crate) delay_ms: u64,
}

/// What a request says about faults.
#[derive(Clone, Copy, Default)]
pub(crate) struct Asked<'a> {
    /// The merchant's note `simulator_fault`: `drop_after`, or `capture:drop_after` for one operation alone.
    pub(crate) metadata: Option<&'a str>,
    /// The amount that an authorization is for, in minor units.
    pub(crate) amount: Option<i64>,
}

impl Asked<'_> {
    /// Without an operation's name in front, only the authorization is met: that is the request that money hangs on.
    fn fault(self, operation: Operation) -> Option<Met> {
        let met = |fault: Fault| fault.meets(operation).then_some(Met { fault, delay_ms: five_seconds() });
        if let Some(text) = self.metadata {
            let (wanted, name) = text.split_once(':').unwrap_or(("authorize", text));
            let named = |name: &str| serde_json::from_value::<Fault>(name.into()).ok();
            let meets = serde_json::from_value::<Operation>(wanted.into()).ok() == Some(operation);
            return if meets { named(name).and_then(met) } else { None };
        }
        let amount = self.amount.filter(|_| operation == Operation::Authorize)?;
        AMOUNTS.iter().find(|(reserved, _)| *reserved == amount).and_then(|(_, fault)| met(*fault))
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
        Armed { fault, operation, provider: None, account_ending: None, times, delay_ms: 1 }
    }

    fn at(operation: Operation) -> Place<'static> {
        Place { provider: "stripe", account: "sk_test_1", operation }
    }

    fn met(faults: &mut Faults, operation: Operation, asked: Asked<'_>) -> Option<Fault> {
        faults.meet(at(operation), asked).map(|met| met.fault)
    }

    #[test]
    fn armed_fault_meets_its_operation_as_often_as_it_was_told() {
        let mut faults = Faults::default();
        faults.arm(armed(Fault::DropAfter, Operation::Capture, 2)).expect("armed");
        assert_eq!(met(&mut faults, Operation::Refund, Asked::default()), None);
        for _ in 0..2 {
            assert_eq!(met(&mut faults, Operation::Capture, Asked::default()), Some(Fault::DropAfter));
        }
        assert_eq!(met(&mut faults, Operation::Capture, Asked::default()), None);
    }

    #[test]
    fn armed_fault_meets_its_dialect_and_account_alone() {
        let mut faults = Faults::default();
        let other = Some("adyen".to_owned());
        faults.arm(Armed { provider: other, ..armed(Fault::Slow, Operation::Any, 1) }).expect("armed");
        let other = Some("test_2".to_owned());
        faults.arm(Armed { account_ending: other, ..armed(Fault::DropAfter, Operation::Any, 1) }).expect("armed");
        assert_eq!(met(&mut faults, Operation::Capture, Asked::default()), None);
        let account = Place { account: "sk_test_2", ..at(Operation::Capture) };
        assert_eq!(faults.meet(account, Asked::default()).map(|met| met.fault), Some(Fault::DropAfter));
        let dialect = Place { provider: "adyen", ..at(Operation::Capture) };
        assert_eq!(faults.meet(dialect, Asked::default()).map(|met| met.fault), Some(Fault::Slow));
    }

    #[test]
    fn fault_of_a_webhook_meets_no_request_and_the_other_way_round() {
        let mut faults = Faults::default();
        faults.arm(armed(Fault::WebhookLost, Operation::Any, 1)).expect("armed");
        faults.arm(armed(Fault::Slow, Operation::Any, 1)).expect("armed");
        assert_eq!(met(&mut faults, Operation::Read, Asked::default()), Some(Fault::Slow));
        assert_eq!(met(&mut faults, Operation::Read, Asked::default()), None);
        assert_eq!(met(&mut faults, Operation::Webhook, Asked::default()), Some(Fault::WebhookLost));
        assert!(faults.arm(armed(Fault::WebhookLost, Operation::Capture, 1)).is_err());
        assert!(faults.arm(armed(Fault::Decline, Operation::Refund, 1)).is_err());
        assert!(faults.arm(armed(Fault::Slow, Operation::Webhook, 1)).is_err());
    }

    #[test]
    fn request_asks_for_a_fault_by_metadata_or_amount() {
        let mut faults = Faults::default();
        let text = |metadata| Asked { metadata: Some(metadata), amount: None };
        assert_eq!(met(&mut faults, Operation::Authorize, text("error_after")), Some(Fault::ErrorAfter));
        assert_eq!(met(&mut faults, Operation::Capture, text("error_after")), None);
        assert_eq!(met(&mut faults, Operation::Capture, text("capture:slow")), Some(Fault::Slow));
        assert_eq!(met(&mut faults, Operation::Authorize, text("webhook_lost")), None);
        assert_eq!(met(&mut faults, Operation::Authorize, text("nonsense")), None);
        let amount = Asked { metadata: None, amount: Some(990_005) };
        assert_eq!(met(&mut faults, Operation::Authorize, amount), Some(Fault::DropBefore));
        assert_eq!(met(&mut faults, Operation::Prepare, amount), None);
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
