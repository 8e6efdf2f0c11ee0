//! The golden exchanges of the connectors, as files, with slots and account parts filled in for a judge that knows neither.

use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};

/// One request of a golden exchange and the answer to it.
pub(crate) struct Exchange {
    /// Where it stands and what it is about.
    pub(crate) place: String,
    /// `POST /v71/payments`.
    pub(crate) call: String,
    /// The idempotency key.
    pub(crate) key: Option<String>,
    /// The JSON body, filled.
    pub(crate) body: Value,
    /// The answer's status.
    pub(crate) status: u16,
    /// The answer's body.
    pub(crate) answer: Value,
    /// Whether the answer is one that the connector believes.
    pub(crate) is_believed: bool,
}

/// Every exchange of a connector that has a JSON body.
pub(crate) fn exchanges(connector: &str) -> Vec<Exchange> {
    let folder = format!("../src/orchestrator/connector/{connector}/golden");
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(folder);
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let all: Vec<Value> = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
        for exchange in &all {
            let name = path.file_stem().unwrap().to_string_lossy();
            let place = format!("{name}: {}", exchange["title"].as_str().unwrap());
            let steps = exchange["steps"].as_array().unwrap().iter();
            found.extend(steps.filter(|step| step["request"]["json"].is_object()).map(|step| read(&place, step)));
        }
    }
    assert!(found.len() >= 30, "{connector}: golden exchanges are missing: {}", found.len());
    found
}

fn read(place: &str, step: &Value) -> Exchange {
    let request = &step["request"];
    Exchange {
        place: place.to_owned(),
        call: request["call"].as_str().unwrap().to_owned(),
        key: request["idempotency_key"].as_str().map(str::to_owned),
        body: filled(&request["json"]),
        status: step["answer"]["status"].as_u64().and_then(|status| status.try_into().ok()).unwrap(),
        answer: step["answer"]["body"].clone(),
        is_believed: step["means"].get("in_doubt").is_none(),
    }
}

/// With the published test card and a merchant account.
fn filled(value: &Value) -> Value {
    match value {
        Value::Object(members) => match (members.get("slot"), members.get("account")) {
            (Some(slot), _) => match slot.as_str().unwrap() {
                "{{card.number}}" => json!("4111111111111111"),
                "{{card.exp_month}}" => json!("03"),
                "{{card.exp_year}}" => json!("2030"),
                "{{card.exp_month_number}}" => json!(3),
                "{{card.exp_year_number}}" => json!(2030),
                "{{card.cvc}}" => json!("737"),
                "{{card.holder_name}}" => json!("J. Smith"),
                other => panic!("{other}"),
            },
            (_, Some(part)) if part == "api_secret" => json!("default"),
            (_, Some(_)) => json!("ShopAccount_ECOM"),
            _ => members.iter().map(|(name, inner)| (name.clone(), filled(inner))).collect(),
        },
        Value::Array(values) => values.iter().map(filled).collect(),
        other => other.clone(),
    }
}
