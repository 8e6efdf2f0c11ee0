//! A payment as Payment Queries (v1) tells it: what it is for, and every event in order.
//!
//! A command (an authorization, settlement, refund, cancellation or reversal) is named by its `commandId`. The event that
//! opens it (`settlementRequested`) carries its amount and our reference; the one that ends it (`settlementRequestSubmitted`,
//! `settlementFailed`) carries the id alone.

use serde::Deserialize;
use serde_json::{Map, Value};

use super::answer::{Amount, PAYMENT_ID, Scheme, is_id};
use super::links;
use crate::connector::Handles;
use crate::money::Money;

/// The answer to a search by our reference.
#[derive(Deserialize)]
pub(super) struct Found {
    #[serde(rename = "_embedded", default)]
    embedded: Embedded,
}

#[derive(Default, Deserialize)]
struct Embedded {
    #[serde(default)]
    payments: Vec<Summary>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Summary {
    transaction_reference: String,
    payment_id: String,
}

/// A payment with its history.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Told {
    pub(super) transaction_reference: String,
    payment_id: String,
    value: Amount,
    scheme: Option<Scheme>,
    #[serde(default)]
    events: Vec<Event>,
    #[serde(rename = "_links", default)]
    links: Map<String, Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Event {
    event_name: String,
    command_id: Option<String>,
    settlement_reference: Option<String>,
    refund_reference: Option<String>,
    value: Option<Amount>,
    code: Option<String>,
    description: Option<String>,
}

/// What was asked of Worldpay, and what became of it.
pub(super) struct Command {
    pub(super) kind: Kind,
    pub(super) id: Option<String>,
    /// Ours, of a settlement or refund.
    pub(super) reference: Option<String>,
    /// How much, where told.
    pub(super) amount: Option<Money>,
    pub(super) state: State,
    /// Of a refusal.
    pub(super) code: Option<String>,
    /// Of a refusal.
    pub(super) description: Option<String>,
}

/// What was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// To reserve.
    Authorization,
    /// To reserve and take.
    Sale,
    /// To take.
    Settlement,
    /// To give back.
    Refund,
    /// To release.
    Cancellation,
    /// To release or give back, whichever is possible.
    Reversal,
}

/// What became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// Asked for; or it timed out, which says nothing.
    Open,
    /// Done.
    Done,
    /// The issuer refused.
    Refused,
    /// It failed.
    Failed,
}

impl Found {
    /// The payment with this reference. `Err`: there are several, so none is certainly ours.
    pub(super) fn one(&self, reference: &str) -> Result<Option<&str>, ()> {
        let mut ours = self.embedded.payments.iter().filter(|payment| payment.transaction_reference == reference);
        match (ours.next(), ours.next()) {
            (None, _) => Ok(None),
            (Some(one), None) if is_id(&one.payment_id) => Ok(Some(&one.payment_id)),
            _ => Err(()),
        }
    }
}

impl Told {
    /// What the payment is for.
    pub(super) fn value(&self) -> Option<Money> {
        self.value.money()
    }

    /// The scheme's id.
    pub(super) fn network_transaction_id(&self) -> Option<String> {
        self.scheme.as_ref()?.id()
    }

    /// What may follow.
    pub(super) fn handles(&self) -> Handles {
        let mut handles = links::handles(&self.links);
        if is_id(&self.payment_id) {
            handles.insert(PAYMENT_ID.to_owned(), self.payment_id.clone());
        }
        handles
    }

    /// Every command, in the order in which they were opened. `None`: an event of a kind that we do not know, so the
    /// history may say something else than it seems to.
    pub(super) fn commands(&self) -> Option<Vec<Command>> {
        let mut commands: Vec<Command> = Vec::new();
        for event in &self.events {
            let (kind, state) = meaning(&event.event_name)?;
            let amount = match &event.value {
                Some(amount) => Some(amount.money()?),
                None => None,
            };
            let known = commands.iter_mut().rfind(|command| command.kind == kind && command.id == event.command_id);
            let command = match known {
                Some(command) => command,
                None => {
                    commands.push(Command {
                        kind,
                        id: event.command_id.clone(),
                        reference: None,
                        amount: None,
                        state: State::Open,
                        code: None,
                        description: None,
                    });
                    commands.last_mut()?
                }
            };
            let reference = event.settlement_reference.as_ref().or(event.refund_reference.as_ref());
            command.reference = command.reference.take().or_else(|| reference.cloned());
            command.amount = command.amount.or(amount);
            // Events can be told out of order, and what has ended does not open again.
            if state != State::Open {
                command.state = state;
                command.code.clone_from(&event.code);
                command.description.clone_from(&event.description);
            }
        }
        Some(commands)
    }
}

fn meaning(event: &str) -> Option<(Kind, State)> {
    let (kind, rest) = KINDS.iter().find_map(|(name, kind)| Some((*kind, event.strip_prefix(name)?)))?;
    let state = match rest {
        "Requested" | "TimedOut" => State::Open,
        "Succeeded" | "RequestSubmitted" => State::Done,
        "Refused" => State::Refused,
        "Failed" => State::Failed,
        _ => return None,
    };
    Some((kind, state))
}

const KINDS: &[(&str, Kind)] = &[
    ("authorization", Kind::Authorization),
    ("sale", Kind::Sale),
    ("settlement", Kind::Settlement),
    ("refund", Kind::Refund),
    ("cancellation", Kind::Cancellation),
    ("reversal", Kind::Reversal),
];

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn told(events: Value) -> Told {
        serde_json::from_value(json!({
            "transactionReference": "pay_1_1", "paymentId": "payAbc", "value": {"currency": "GBP", "amount": 250},
            "events": events
        }))
        .unwrap()
    }

    #[test]
    fn events_of_one_command_are_one_however_they_are_ordered() {
        let told = told(json!([
            {"eventName": "settlementRequestSubmitted", "commandId": "b"},
            {"eventName": "authorizationSucceeded", "commandId": "a"},
            {"eventName": "settlementRequested", "commandId": "b", "settlementReference": "cap-u1",
                "value": {"currency": "GBP", "amount": 100}},
            {"eventName": "settlementRequested", "commandId": "c", "settlementReference": "cap-u2",
                "value": {"currency": "GBP", "amount": 50}},
        ]));
        let commands = told.commands().unwrap();
        let seen: Vec<_> = commands.iter().map(|c| (c.kind, c.amount.map_or(0, |a| a.minor), c.state)).collect();
        assert_eq!(
            seen,
            [
                (Kind::Settlement, 100, State::Done),
                (Kind::Authorization, 0, State::Done),
                (Kind::Settlement, 50, State::Open),
            ]
        );
        assert_eq!(commands[2].reference.as_deref(), Some("cap-u2"));
    }

    #[test]
    fn history_with_an_event_that_nobody_knows_proves_nothing() {
        for name in ["settlementReopened", "clearingRequested", "settlement", ""] {
            assert!(told(json!([{"eventName": name}])).commands().is_none(), "{name}");
        }
        let odd = json!([{"eventName": "settlementRequested", "value": {"currency": "???", "amount": 1}}]);
        assert!(told(odd).commands().is_none());
    }

    #[test]
    fn two_payments_with_one_reference_leave_it_open_which_is_ours() {
        let found = |list: Value| serde_json::from_value::<Found>(json!({"_embedded": {"payments": list}})).unwrap();
        let (one, other) = (
            json!({"transactionReference": "pay_1_1", "paymentId": "payA"}),
            json!({"transactionReference": "pay_2_1", "paymentId": "payB"}),
        );
        assert_eq!(found(json!([other, one])).one("pay_1_1"), Ok(Some("payA")));
        assert_eq!(found(json!([other])).one("pay_1_1"), Ok(None));
        assert_eq!(found(json!([one, one])).one("pay_1_1"), Err(()));
        let odd = json!({"transactionReference": "pay_1_1", "paymentId": "../payouts"});
        assert_eq!(found(json!([odd])).one("pay_1_1"), Err(()));
    }
}
