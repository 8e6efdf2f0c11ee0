//! Every request in the orchestrator's golden exchanges with Stripe is one that the simulator understands: the two speak
//! the same dialect although neither links the other.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use crate::rig::{KEY, Psp, psp};
use reqwest::{Method, Url};
use serde_json::{Map, Value};

#[actix_web::test]
async fn every_request_of_the_connector_is_understood() {
    let psp = psp();
    let method = psp.method("4242424242424242").await;
    let mut calls = BTreeSet::new();
    for (number, (place, request)) in requests().into_iter().enumerate() {
        let call = request["call"].as_str().expect("a call");
        let (verb, path) = call.split_once(' ').expect("a verb and a path");
        // A payment of its own for each request, so that none finds the work of another done.
        let (intent, setup) = made(&psp, &method, number).await;
        let real =
            |text: &str| text.replace("pm_1SaB", &method).replace("seti_1SaB", &setup).replace("pi_1SaB", &intent);
        let form = fields(&request["form"], &real);
        let verb = Method::from_bytes(verb.as_bytes()).expect("a verb");
        let mut url = Url::parse(&format!("{}{}", psp.base, real(path))).expect("an address");
        let query = fields(&request["query"], &real);
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let mut sent = psp.client.request(verb, url).bearer_auth(KEY);
        if !form.is_empty() {
            sent = sent.form(&form);
        }
        let answer = sent.send().await.expect("an answer");
        let (status, said): (u16, Value) = (answer.status().as_u16(), answer.json().await.expect("JSON"));
        let code = said["error"]["code"].as_str().unwrap_or_default();
        // Golden exchanges show odd ids and states too; what counts is that nothing in the request is unknown.
        assert!(matches!(status, 200 | 400 | 402 | 404), "{place}: {said}");
        let known = !matches!(code, "parameter_unknown" | "parameter_invalid" | "parameter_missing");
        assert!(known && (status != 404 || code == "resource_missing"), "{place}: {said}");
        calls.insert(format!("{} {status}", call.split("/pi_").next().unwrap_or(call)));
    }
    for call in ["POST /v1/payment_intents 200", "POST /v1/setup_intents 200", "POST /v1/refunds 400"] {
        assert!(calls.contains(call), "{call}: {calls:?}");
    }
    let captures = psp.get("/ledger").await["totals"]["increments"].clone();
    assert!(captures.as_u64().is_some_and(|count| count > 0), "no increment went through");
}

/// A reservation that may be raised and captured several times, and a verification that waits.
async fn made(psp: &Psp, method: &str, number: usize) -> (String, String) {
    let reserve = [
        ("amount", "1999"),
        ("currency", "usd"),
        ("confirm", "true"),
        ("capture_method", "manual"),
        ("payment_method", method),
        ("payment_method_options[card][request_multicapture]", "if_available"),
        ("payment_method_options[card][request_incremental_authorization]", "if_available"),
    ];
    let (_, intent) = psp.post("/v1/payment_intents", &format!("pi-{number}"), &reserve).await;
    let (_, setup) = psp.post("/v1/setup_intents", &format!("si-{number}"), &[("payment_method", method)]).await;
    let id = |made: &Value| made["id"].as_str().expect("an id").to_owned();
    (id(&intent), id(&setup))
}

fn requests() -> Vec<(String, Value)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../orchestrator/connector/stripe/golden");
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("the connector's golden exchanges") {
        let path = entry.expect("an entry").path();
        let name = path.file_stem().and_then(|stem| stem.to_str()).expect("a name").to_owned();
        let exchanges: Value = serde_json::from_str(&fs::read_to_string(&path).expect("a file")).expect("JSON");
        for exchange in exchanges.as_array().expect("a list") {
            for step in exchange["steps"].as_array().expect("steps") {
                found.push((format!("{name}: {}", exchange["title"]), step["request"].clone()));
            }
        }
    }
    assert!(found.len() > 100, "only {} requests were read", found.len());
    found
}

fn fields(form: &Value, real: &impl Fn(&str) -> String) -> Vec<(String, String)> {
    let nothing = Map::new();
    let fields = form.as_object().unwrap_or(&nothing).iter();
    let filled = fields.map(|(name, value)| {
        let value = match value["slot"].as_str() {
            Some("{{card.number}}") => "4242424242424242".to_owned(),
            Some("{{card.exp_month}}") => "12".to_owned(),
            Some("{{card.exp_year}}") => "2031".to_owned(),
            Some("{{card.cvc}}") => "123".to_owned(),
            Some("{{card.holder_name}}") => "Ada Lovelace".to_owned(),
            Some(other) => panic!("no such slot: {other}"),
            None => real(value.as_str().expect("a text")),
        };
        (name.clone(), value)
    });
    filled.collect()
}
