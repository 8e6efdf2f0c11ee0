//! Adyen's Checkout API holds what the connector sends, and the answers that it believes; and what the simulator answers to
//! the very same requests.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use strongroom_tests::harness::{API_KEY, Client, Pki, Psp};

use crate::golden::{Exchange, exchanges};
use crate::prism::Prism;
use crate::schema::Specification;

const SPECIFICATION: &str = "adyen/checkout.json";

/// The path below the specification's server, which ends in `/v71`.
fn path(exchange: &Exchange) -> &str {
    exchange.call.strip_prefix("POST /v71").unwrap()
}

/// The path as the specification writes it.
fn template(path: &str) -> String {
    let mut parts: Vec<&str> = path.split('/').collect();
    if parts.len() == 4 {
        parts[2] = "{paymentPspReference}";
    }
    parts.join("/")
}

#[tokio::test]
async fn every_request_to_adyen_is_one_that_its_specification_allows() {
    let prism = Prism::start(SPECIFICATION).await;
    let mut calls = BTreeMap::<String, u32>::new();
    for exchange in exchanges("adyen") {
        let key = exchange.key.as_deref().unwrap();
        let headers = [("X-API-Key", "key"), ("Idempotency-Key", key)];
        let complaint = prism.complaint(path(&exchange), &headers, &exchange.body).await;
        assert_eq!(complaint, None, "{}", exchange.place);
        *calls.entry(template(path(&exchange))).or_default() += 1;
    }
    assert_eq!(calls.len(), 7, "a call of the connector has no golden exchange: {calls:?}");
}

#[tokio::test]
async fn request_that_breaks_the_specification_is_noticed() {
    let prism = Prism::start(SPECIFICATION).await;
    let key = [("X-API-Key", "key")];
    let good = exchanges("adyen").into_iter().find(|exchange| exchange.place.contains("everything that a merchant"));
    let good = good.unwrap().body;
    assert_eq!(prism.complaint("/payments", &key, &good).await, None);
    assert!(prism.complaint("/payments", &[], &good).await.is_some(), "without a key");
    for (pointer, value) in [
        ("/merchantAccount", Value::Null),
        ("/reference", Value::Null),
        ("/returnUrl", Value::Null),
        ("/paymentMethod", Value::Null),
        ("/amount/value", json!("1999")),
        ("/amount/currency", json!("EURO")),
        ("/amount/decimals", json!(2)),
        ("/paymentMethod/type", json!("a new kind")),
        ("/paymentMethod/expMonth", json!("03")),
        ("/shopperInteraction", json!("Somehow")),
        ("/recurringProcessingModel", json!("Sometimes")),
        ("/authenticationData/attemptAuthentication", json!("perhaps")),
        ("/additionalData/manualCapture", json!(true)),
        ("/browserInfo/colorDepth", json!("24")),
        ("/billingAddress/street", Value::Null),
        ("/captureDelay", json!(0)),
    ] {
        let mut bad = good.clone();
        let (parent, name) = pointer.rsplit_once('/').unwrap();
        if parent == "/additionalData" {
            bad["additionalData"] = json!({});
        }
        let members = bad.pointer_mut(parent).unwrap().as_object_mut().unwrap();
        match value {
            Value::Null => members.remove(name).map(drop).unwrap(),
            value => drop(members.insert(name.to_owned(), value)),
        }
        assert!(prism.complaint("/payments", &key, &bad).await.is_some(), "{pointer}");
    }
}

#[test]
fn every_answer_of_adyen_that_is_believed_is_one_that_its_specification_allows() {
    let specification = Specification::open(SPECIFICATION);
    for exchange in exchanges("adyen").iter().filter(|exchange| exchange.is_believed) {
        // Too many requests: documented, but not with each call.
        let status = if exchange.status == 429 { 422 } else { exchange.status };
        let complaint = specification.complaint_of_answer(&template(path(exchange)), status, &exchange.answer);
        assert_eq!(complaint, None, "{}", exchange.place);
    }
}

#[test]
fn answer_that_breaks_the_specification_is_noticed() {
    let specification = Specification::open(SPECIFICATION);
    for bad in [
        json!({"resultCode": "ANewResult"}),
        json!({"resultCode": 1}),
        json!({"result": "Authorised"}),
        json!({"resultCode": "Authorised", "amount": {"value": "1999", "currency": "EUR"}}),
        json!({"resultCode": "RedirectShopper", "action": {"type": "redirect", "address": "https://a.example"}}),
        json!([]),
    ] {
        assert!(specification.complaint_of_answer("/payments", 200, &bad).is_some(), "{bad}");
    }
    let short = json!({"status": "received", "pspReference": "A"});
    assert!(specification.complaint_of_answer("/cancels", 201, &short).is_some());
    assert!(specification.complaint_of_answer("/cancels", 200, &json!({})).is_some());
}

/// A simulator, and a client that speaks Adyen's dialect to it.
pub(crate) async fn simulator(pki: &Pki, folder: &tempfile::TempDir) -> (Psp, Client) {
    let psp = Psp::start(folder.path().to_owned(), pki, &pki.server("psp").unwrap()).await.unwrap();
    let client = Client::new(pki, psp.at, None).unwrap().with("X-API-Key", API_KEY);
    (psp, client)
}

#[tokio::test]
async fn simulator_answers_every_golden_request_as_the_specification_has_it() {
    let folder = tempfile::tempdir().unwrap();
    let pki = Pki::new(folder.path().join("pki")).unwrap();
    let (_psp, client) = simulator(&pki, &folder).await;
    let specification = Specification::open(SPECIFICATION);
    let mut statuses = BTreeMap::<u16, u32>::new();
    for exchange in exchanges("adyen") {
        let call = exchange.call.strip_prefix("POST ").unwrap();
        let answer = client.post(call, &exchange.body).await.unwrap();
        let (status, body) = (answer.status, answer.json().unwrap());
        let complaint = specification.complaint_of_answer(&template(path(&exchange)), status, &body);
        assert_eq!(complaint, None, "{}: {status} {body}", exchange.place);
        *statuses.entry(status).or_default() += 1;
    }
    // Payments are tried; modifications name payments that this simulator does not know.
    assert!(statuses[&200] >= 30 && statuses.contains_key(&422), "{statuses:?}");
}
