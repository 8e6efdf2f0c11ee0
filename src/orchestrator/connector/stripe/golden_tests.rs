//! Golden exchanges: for each file in `golden/`, the operation, the requests that it must become, the answers that are
//! given, and the outcome that they must mean.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use serde_json::{Map, Value, json};

use super::Stripe;
use crate::connector::{
    Authorize, Body, Cancel, Capture, CaptureMethod, Connector, Credential, Field, Method, Operation, Progress,
    PspAnswer, PspRequest, Refund, Step, Sync, SyncRefund,
};
use crate::money::Money;

#[test]
fn every_golden_exchange_holds() {
    let mut names = BTreeSet::new();
    for (name, exchange) in exchanges() {
        let operation = operation(&name, &exchange["operation"]);
        let steps = exchange["steps"].as_array().unwrap_or_else(|| panic!("{name}: steps"));
        let mut progress = Progress::default();
        for (number, step) in steps.iter().enumerate() {
            let place = format!("{name}, step {number}");
            let made = Stripe.request(&operation, &progress).unwrap_or_else(|why| panic!("{place}: {why}"));
            assert_eq!(shown(&made), step["request"], "{place}: the request");
            let again = Stripe.request(&operation, &progress).unwrap_or_else(|why| panic!("{place}: {why}"));
            assert_eq!(made, again, "{place}: the same arguments make the same request");
            let answer = PspAnswer {
                status: step["answer"]["status"].as_u64().and_then(|status| status.try_into().ok()).expect("a status"),
                body: step["answer"]["body"].to_string().into_bytes(),
            };
            let meaning = Stripe.outcome(&operation, &progress, &answer);
            assert_eq!(meant(&meaning), step["means"], "{place}: the meaning");
            match meaning {
                Step::Next(next) => progress = next,
                _ => assert_eq!(number + 1, steps.len(), "{place}: the operation ended early"),
            }
        }
        assert!(names.insert(exchange["title"].to_string()), "{name}: the title stands twice");
    }
    assert!(names.len() >= 30, "golden exchanges are missing: {}", names.len());
}

#[test]
fn no_golden_exchange_holds_a_card_number() {
    for (name, exchange) in exchanges() {
        let text: String = exchange.to_string().chars().filter(|letter| !matches!(letter, ' ' | '-')).collect();
        // Times have ten digits; a scheme's transaction id here begins with zeros, as no card does.
        let mut runs = text.split(|letter: char| !letter.is_ascii_digit()).filter(|run| run.len() > 10);
        assert!(runs.all(|run| run.starts_with("0000")), "{name}: too many digits in a row");
    }
}

#[test]
fn every_operation_has_an_exchange_that_succeeds_and_one_that_leaves_doubt() {
    let mut seen = BTreeSet::new();
    for (_, exchange) in exchanges() {
        let kind = exchange["operation"].as_object().and_then(|only| only.keys().next()).expect("an operation").clone();
        let last = exchange["steps"].as_array().and_then(|steps| steps.last()).expect("a step")["means"].clone();
        let what = if last.get("in_doubt").is_some() { "doubt" } else { "answer" };
        seen.insert((kind, what));
    }
    for kind in ["authorize", "sync", "capture", "cancel", "refund", "sync_refund"] {
        for what in ["answer", "doubt"] {
            assert!(seen.contains(&(kind.to_owned(), what)), "{kind}: {what}");
        }
    }
}

fn exchanges() -> Vec<(String, Value)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("connector/stripe/golden");
    let mut found: Vec<(String, Value)> = Vec::new();
    for entry in fs::read_dir(folder).expect("the folder") {
        let path = entry.expect("an entry").path();
        let name = path.file_stem().and_then(|stem| stem.to_str()).expect("a name").to_owned();
        let text = fs::read_to_string(&path).expect("a file");
        let all: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
        for (number, exchange) in all.as_array().expect("a list of exchanges").iter().enumerate() {
            found.push((format!("{name}.json, exchange {number}"), exchange.clone()));
        }
    }
    found
}

/// A request as golden files spell it.
fn shown(request: &PspRequest) -> Value {
    let method = match request.method {
        Method::Get => "GET",
        Method::Post => "POST",
        Method::Delete => "DELETE",
    };
    let mut value = json!({ "call": format!("{method} {}", request.path) });
    if !request.query.is_empty() {
        value["query"] = request.query.iter().map(|(name, text)| (name.clone(), json!(text))).collect();
    }
    if let Some(key) = &request.idempotency_key {
        value["idempotency_key"] = json!(key);
    }
    if request.moves_money {
        value["moves_money"] = json!(true);
    }
    if let Body::Form(pairs) = &request.body {
        let text = |field: &Field| match field {
            Field::Text(text) => json!(text),
            // Unlike a text, so that no text can pass for a slot.
            Field::Slot(slot) => json!({ "slot": slot.as_str() }),
        };
        value["form"] = pairs.iter().map(|(name, field)| (name.clone(), text(field))).collect();
    }
    value
}

fn meant(step: &Step) -> Value {
    match step {
        Step::Next(progress) => json!({ "next": progress.values }),
        Step::Done(outcome) => json!({ "done": outcome }),
        Step::Absent => json!("absent"),
        Step::InDoubt(doubt) => json!({ "in_doubt": doubt }),
    }
}

/// Reads an operation; a field that is spelled wrong is a mistake in the golden file.
fn operation(name: &str, value: &Value) -> Operation {
    let (kind, fields) = value.as_object().and_then(|only| only.iter().next()).unwrap_or_else(|| panic!("{name}"));
    let mut fields = Fields { name, left: fields.as_object().expect("fields").clone() };
    let operation = match kind.as_str() {
        "authorize" => Operation::Authorize(Authorize {
            payment_id: fields.text("payment_id"),
            attempt_id: fields.text("attempt_id"),
            idempotency_key: fields.text("idempotency_key"),
            amount: fields.money("amount"),
            capture: match fields.maybe("capture").as_deref() {
                None | Some("automatic") => CaptureMethod::Automatic,
                Some("manual") => CaptureMethod::Manual,
                Some(other) => panic!("{name}: {other}"),
            },
            three_ds: fields.maybe("three_ds").is_some_and(|text| text == "wanted"),
            return_url: fields.maybe("return_url"),
            credential: match fields.maybe("credential").as_deref() {
                None => Credential::OneTime,
                Some("first_off_session") => Credential::FirstToStore { off_session: true },
                Some("first_on_session") => Credential::FirstToStore { off_session: false },
                Some("by_payer") => Credential::StoredByPayer { network_transaction_id: None },
                Some("by_merchant") => Credential::StoredByMerchant { network_transaction_id: None },
                Some(other) => panic!("{name}: {other}"),
            },
            description: fields.maybe("description"),
            statement_descriptor: fields.maybe("statement_descriptor"),
        }),
        "sync" => Operation::Sync(Sync {
            payment_id: fields.text("payment_id"),
            attempt_id: fields.text("attempt_id"),
            psp_id: fields.maybe("psp_id"),
            since_unix_s: fields.maybe("since_unix_s").map_or(0, |text| text.parse().expect("a time")),
        }),
        "capture" => Operation::Capture(Capture {
            payment_id: fields.text("payment_id"),
            psp_id: fields.text("psp_id"),
            idempotency_key: fields.text("idempotency_key"),
            amount: fields.money("amount"),
            authorized: fields.money("authorized"),
        }),
        "cancel" => Operation::Cancel(Cancel {
            payment_id: fields.text("payment_id"),
            psp_id: fields.text("psp_id"),
            idempotency_key: fields.text("idempotency_key"),
            reason: fields.maybe("reason"),
        }),
        "refund" => Operation::Refund(Refund {
            payment_id: fields.text("payment_id"),
            refund_id: fields.text("refund_id"),
            psp_id: fields.text("psp_id"),
            idempotency_key: fields.text("idempotency_key"),
            amount: fields.money("amount"),
            reason: fields.maybe("reason"),
        }),
        "sync_refund" => Operation::SyncRefund(SyncRefund {
            refund_id: fields.text("refund_id"),
            psp_id: fields.text("psp_id"),
            psp_refund_id: fields.maybe("psp_refund_id"),
        }),
        other => panic!("{name}: {other}"),
    };
    assert!(fields.left.is_empty(), "{name}: nobody read {:?}", fields.left);
    operation
}

struct Fields<'a> {
    name: &'a str,
    left: Map<String, Value>,
}

impl Fields<'_> {
    fn maybe(&mut self, field: &str) -> Option<String> {
        self.left.remove(field).map(|value| value.as_str().expect("text").to_owned())
    }

    fn text(&mut self, field: &str) -> String {
        self.maybe(field).unwrap_or_else(|| panic!("{}: {field} is missing", self.name))
    }

    /// `"1999 USD"`, in minor units.
    fn money(&mut self, field: &str) -> Money {
        let text = self.text(field);
        let (minor, currency) = text.split_once(' ').expect("an amount and a currency");
        Money { minor: minor.parse().expect("an amount"), currency: currency.parse().expect("a currency") }
    }
}
