//! Golden exchanges: for each file in a connector's `golden/`, the operation, the requests that it must become, the
//! answers that are given, and the outcome that they must mean. One suite holds every connector to them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;

use serde_json::{Map, Value, json};

use super::{
    AccountPart, Address, Auth, Authorize, Body, Browser, Cancel, Capture, CaptureMethod, Complete, Connector,
    Credential, Field, Increment, Json, Method, MitCategory, Operation, Payer, Progress, PspAnswer, PspRequest, Refund,
    Step, Sync, SyncRefund,
};
use crate::money::Money;

#[test]
fn every_golden_exchange_holds() {
    for connector in super::all() {
        hold(*connector);
    }
}

fn hold(connector: &dyn Connector) {
    let mut names = BTreeSet::new();
    for (name, exchange) in exchanges(connector) {
        let operation = operation(&name, &exchange["operation"]);
        let steps = exchange["steps"].as_array().unwrap_or_else(|| panic!("{name}: steps"));
        let mut progress = Progress::default();
        for (number, step) in steps.iter().enumerate() {
            let place = format!("{name}, step {number}");
            let made = connector.request(&operation, &progress).unwrap_or_else(|why| panic!("{place}: {why}"));
            assert_eq!(shown(&made), step["request"], "{place}: the request");
            let again = connector.request(&operation, &progress).unwrap_or_else(|why| panic!("{place}: {why}"));
            assert_eq!(made, again, "{place}: the same arguments make the same request");
            let answer = PspAnswer {
                status: step["answer"]["status"].as_u64().and_then(|status| status.try_into().ok()).expect("a status"),
                body: step["answer"]["body"].to_string().into_bytes(),
            };
            let meaning = connector.outcome(&operation, &progress, &answer);
            assert_eq!(meant(&meaning), step["means"], "{place}: the meaning");
            match meaning {
                Step::Next(next) => progress = next,
                _ => assert_eq!(number + 1, steps.len(), "{place}: the operation ended early"),
            }
        }
        assert!(names.insert(exchange["title"].to_string()), "{name}: the title stands twice");
    }
    assert!(names.len() >= 30, "{}: golden exchanges are missing: {}", connector.name(), names.len());
}

#[test]
fn no_golden_exchange_holds_a_card_number() {
    for (name, exchange) in super::all().iter().flat_map(|connector| exchanges(*connector)) {
        let text: String = exchange.to_string().chars().filter(|letter| !matches!(letter, ' ' | '-')).collect();
        // Times have ten digits; a scheme's transaction id here begins with zeros, as no card does.
        let mut runs = text.split(|letter: char| !letter.is_ascii_digit()).filter(|run| run.len() > 10);
        assert!(runs.all(|run| run.starts_with("0000")), "{name}: too many digits in a row");
    }
}

#[test]
fn every_operation_has_an_exchange_that_succeeds_and_one_that_leaves_doubt() {
    for connector in super::all() {
        covers(*connector);
    }
}

fn covers(connector: &dyn Connector) {
    let mut seen = BTreeSet::new();
    for (_, exchange) in exchanges(connector) {
        let kind = exchange["operation"].as_object().and_then(|only| only.keys().next()).expect("an operation").clone();
        let last = exchange["steps"].as_array().and_then(|steps| steps.last()).expect("a step")["means"].clone();
        let what = if last.get("in_doubt").is_some() { "doubt" } else { "answer" };
        seen.insert((kind, what));
    }
    let can = connector.capabilities();
    let mut kinds = vec!["authorize", "capture", "cancel", "refund"];
    kinds.extend(can.can_sync.then_some("sync"));
    kinds.extend(can.can_sync.then_some("sync_refund"));
    kinds.extend(can.incremental.then_some("increment"));
    kinds.extend(can.zero_amount.then_some("verify"));
    for kind in kinds {
        for what in ["answer", "doubt"] {
            assert!(seen.contains(&(kind.to_owned(), what)), "{}: {kind}: {what}", connector.name());
        }
    }
}

/// Every exchange in `connector/{name}/golden/`, with the place where it stands.
pub(super) fn exchanges(connector: &dyn Connector) -> Vec<(String, Value)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("connector").join(connector.name()).join("golden");
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
pub(super) fn shown(request: &PspRequest) -> Value {
    let method = match request.method {
        Method::Get => "GET",
        Method::Post => "POST",
        Method::Delete => "DELETE",
    };
    let mut value = json!({ "call": format!("{method} {}", request.path) });
    if !request.query.is_empty() {
        value["query"] = request.query.iter().map(|(name, text)| (name.clone(), json!(text))).collect();
    }
    if let Auth::BasicWithQuery(name, part) = request.auth {
        value["query"][name] = shown_json(&Json::Account(part));
    }
    if let Some(key) = &request.idempotency_key {
        value["idempotency_key"] = json!(key);
    }
    if request.moves_money {
        value["moves_money"] = json!(true);
    }
    match &request.body {
        Body::Empty => {}
        Body::Form(pairs) => {
            let text = |field: &Field| match field {
                Field::Text(text) => json!(text),
                // Unlike a text, so that no text can pass for a slot.
                Field::Slot(slot) => json!({ "slot": slot.as_str() }),
            };
            value["form"] = pairs.iter().map(|(name, field)| (name.clone(), text(field))).collect();
        }
        Body::Json(body) => value["json"] = shown_json(body),
    }
    value
}

/// JSON with its slots, as golden files spell it: `{"slot": "{{card.number}}"}`, `{"account": "key1"}`.
pub(super) fn shown_json(body: &Json) -> Value {
    match body {
        Json::Bool(is) => json!(is),
        Json::Number(number) => json!(number),
        Json::Text(text) => json!(text),
        Json::Slot(slot) => json!({ "slot": slot.as_str() }),
        Json::Account(AccountPart::Key1) => json!({ "account": "key1" }),
        Json::Account(AccountPart::ApiSecret) => json!({ "account": "api_secret" }),
        Json::List(values) => values.iter().map(shown_json).collect(),
        Json::Object(members) => members.iter().map(|(name, value)| (name.clone(), shown_json(value))).collect(),
    }
}

pub(super) fn meant(step: &Step) -> Value {
    match step {
        Step::Next(progress) => json!({ "next": progress.values }),
        Step::Done(outcome) => json!({ "done": outcome }),
        Step::Absent => json!("absent"),
        Step::InDoubt(doubt) => json!({ "in_doubt": doubt }),
    }
}

/// Reads an operation; a field that is spelled wrong is a mistake in the golden file.
pub(super) fn operation(name: &str, value: &Value) -> Operation {
    let (kind, fields) = value.as_object().and_then(|only| only.iter().next()).unwrap_or_else(|| panic!("{name}"));
    let mut fields = Fields { name, left: fields.as_object().expect("fields").clone() };
    let operation = match kind.as_str() {
        "authorize" => Operation::Authorize(authorize(name, &mut fields)),
        "verify" => Operation::Verify(authorize(name, &mut fields)),
        "increment" => Operation::Increment(Increment {
            payment_id: fields.text("payment_id"),
            psp_id: fields.text("psp_id"),
            handles: fields.texts("handles"),
            idempotency_key: fields.text("idempotency_key"),
            before: fields.money("before"),
            total: fields.money("total"),
            reason: fields.maybe("reason"),
        }),
        "complete" => Operation::Complete(Complete {
            payment_id: fields.text("payment_id"),
            attempt_id: fields.text("attempt_id"),
            psp_id: fields.maybe("psp_id"),
            handles: fields.texts("handles"),
            idempotency_key: fields.text("idempotency_key"),
            amount: fields.money("amount"),
            capture: capture(name, fields.maybe("capture")),
            returned: fields.texts("returned"),
        }),
        "sync" => Operation::Sync(Sync {
            payment_id: fields.text("payment_id"),
            attempt_id: fields.text("attempt_id"),
            psp_id: fields.maybe("psp_id"),
            handles: fields.texts("handles"),
            amount: fields
                .maybe_money("amount")
                .unwrap_or(Money { minor: 1999, currency: "USD".parse().expect("one") }),
            since_unix_s: fields.maybe("since_unix_s").map_or(0, |text| text.parse().expect("a time")),
            released_after: fields.maybe_money("released_after"),
            raised_to: fields.maybe_money("raised_to"),
        }),
        "capture" => Operation::Capture(Capture {
            payment_id: fields.text("payment_id"),
            psp_id: fields.text("psp_id"),
            idempotency_key: fields.text("idempotency_key"),
            handles: fields.texts("handles"),
            capture_id: fields.maybe("capture_id").unwrap_or_default(),
            amount: fields.money("amount"),
            authorized: fields.money("authorized"),
            taken: fields.nothing_or_money("taken"),
            is_final: fields.maybe("is_final").is_none_or(|text| text == "yes"),
        }),
        "cancel" => Operation::Cancel(Cancel {
            payment_id: fields.text("payment_id"),
            psp_id: fields.text("psp_id"),
            handles: fields.texts("handles"),
            authorized: fields
                .maybe_money("authorized")
                .unwrap_or(Money { minor: 1999, currency: "USD".parse().expect("one") }),
            taken: fields.nothing_or_money("taken"),
            idempotency_key: fields.text("idempotency_key"),
            reason: fields.maybe("reason"),
        }),
        "refund" => {
            let amount = fields.money("amount");
            Operation::Refund(Refund {
                payment_id: fields.text("payment_id"),
                refund_id: fields.text("refund_id"),
                psp_id: fields.text("psp_id"),
                handles: fields.texts("handles"),
                idempotency_key: fields.text("idempotency_key"),
                amount,
                captured: fields.maybe_money("captured").unwrap_or(amount),
                reason: fields.maybe("reason"),
            })
        }
        "sync_refund" => Operation::SyncRefund(SyncRefund {
            refund_id: fields.text("refund_id"),
            psp_id: fields.text("psp_id"),
            handles: fields.texts("handles"),
            amount: fields
                .maybe_money("amount")
                .unwrap_or(Money { minor: 1999, currency: "USD".parse().expect("one") }),
            psp_refund_id: fields.maybe("psp_refund_id"),
        }),
        other => panic!("{name}: {other}"),
    };
    assert!(fields.left.is_empty(), "{name}: nobody read {:?}", fields.left);
    operation
}

/// The fields of an authorization or verification.
fn authorize(name: &str, fields: &mut Fields<'_>) -> Authorize {
    let network_transaction_id = fields.maybe("network_transaction_id");
    Authorize {
        payment_id: fields.text("payment_id"),
        attempt_id: fields.text("attempt_id"),
        idempotency_key: fields.text("idempotency_key"),
        amount: fields.money("amount"),
        capture: capture(name, fields.maybe("capture")),
        incremental: fields.maybe("incremental").is_some_and(|text| text == "wanted"),
        three_ds: fields.maybe("three_ds").is_some_and(|text| text == "wanted"),
        return_url: fields.maybe("return_url"),
        credential: match fields.maybe("credential").as_deref() {
            None => Credential::OneTime,
            Some("first_off_session") => Credential::FirstToStore { off_session: true },
            Some("first_on_session") => Credential::FirstToStore { off_session: false },
            Some("by_payer") => Credential::StoredByPayer { network_transaction_id },
            Some("by_merchant") => {
                Credential::StoredByMerchant { network_transaction_id, category: Default::default() }
            }
            Some("by_merchant_recurring") => {
                Credential::StoredByMerchant { network_transaction_id, category: MitCategory::Recurring }
            }
            Some(other) => panic!("{name}: {other}"),
        },
        description: fields.maybe("description"),
        statement_descriptor: fields.maybe("statement_descriptor"),

        payer: payer(fields),
    }
}

fn payer(fields: &mut Fields<'_>) -> Payer {
    let browser = fields.maybe("browser").is_some_and(|text| text == "known");
    let country = fields.maybe("billing_country");
    Payer {
        customer_id: fields.maybe("customer_id"),
        email: fields.maybe("email"),
        ip: fields.maybe("ip"),
        browser: browser.then(|| Browser {
            accept_header: "text/html".into(),
            user_agent: "Mozilla/5.0".into(),
            language: "en-GB".into(),
            color_depth: 24,
            screen_height: 1080,
            screen_width: 1920,
            time_zone_offset_min: -60,
            java_enabled: false,
        }),
        billing: country.map(|country| Address {
            line1: Some("1 Main Street".into()),
            line2: None,
            city: Some("Springfield".into()),
            state: None,
            zip: Some("12345".into()),
            country: Some(country),
        }),
    }
}

fn capture(name: &str, word: Option<String>) -> CaptureMethod {
    match word.as_deref() {
        None | Some("automatic") => CaptureMethod::Automatic,
        Some("manual") => CaptureMethod::Manual,
        Some("manual_multiple") => CaptureMethod::ManualMultiple,
        Some(other) => panic!("{name}: {other}"),
    }
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
        self.maybe_money(field).unwrap_or_else(|| panic!("{}: {field} is missing", self.name))
    }

    fn maybe_money(&mut self, field: &str) -> Option<Money> {
        let text = self.maybe(field)?;
        let (minor, currency) = text.split_once(' ').expect("an amount and a currency");
        Some(Money { minor: minor.parse().expect("an amount"), currency: currency.parse().expect("a currency") })
    }

    fn nothing_or_money(&mut self, field: &str) -> Money {
        self.maybe_money(field).unwrap_or(Money { minor: 0, currency: "USD".parse().expect("one") })
    }

    /// An object of texts; empty where it is missing.
    fn texts(&mut self, field: &str) -> BTreeMap<String, String> {
        let value = self.left.remove(field).unwrap_or_else(|| json!({}));
        serde_json::from_value(value).unwrap_or_else(|error| panic!("{}: {field}: {error}", self.name))
    }
}
