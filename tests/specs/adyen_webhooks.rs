//! What the simulator tells as Adyen: held against Adyen's specification of its webhooks, and verified by Adyen's own Python
//! package.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use strongroom_tests::harness::{Client, Peer, Pki, Reply, eventually};

use crate::adyen::simulator;
use crate::schema::Specification;

/// A key as Adyen shows it.
fn key() -> String {
    "4b".repeat(32)
}

#[tokio::test]
async fn simulators_webhooks_have_adyens_form_and_pass_adyens_own_verification() {
    let folder = tempfile::tempdir().unwrap();
    let pki = Pki::new(folder.path().join("pki")).unwrap();
    let shop =
        Peer::start(&pki.server("shop").unwrap(), |_| Reply::Answer(200, "", "[accepted]".into())).await.unwrap();
    let (psp, client) = simulator(&pki, &folder).await;
    let authority = fs::read_to_string(pki.ca()).unwrap();
    let target = json!({ "provider": "adyen", "url": shop.url(), "secret": key(), "ca": authority });
    psp.client().post("/webhooks", &target).await.unwrap().must_be(200).unwrap();

    let mut said = live(&client, psp.client()).await;
    said.sort_unstable();
    // One whose answer did not arrive comes once more, later than others: what came counts, not when and how often.
    let heard = eventually("the webhooks", Duration::from_secs(30), || async {
        let heard: BTreeMap<String, Value> = shop.heard().iter().map(|request| body(request)).map(named).collect();
        Ok((heard.len() >= said.len()).then_some(heard))
    });
    let bodies: Vec<Value> = heard.await.unwrap().into_values().collect();
    let codes: Vec<&str> = bodies.iter().map(|body| item(body)["eventCode"].as_str().unwrap()).collect();
    let mut sorted = codes.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, said);

    let specification = Specification::open("adyen/webhooks.json");
    for (code, body) in codes.iter().zip(&bodies) {
        assert_eq!(specification.complaint_of_webhook(code, body), None, "{body}");
    }
    assert!(bodies.iter().all(|body| verified(folder.path(), body, &key())), "a signature is not Adyen's");
    let mut forged = bodies[0].clone();
    forged["notificationItems"][0]["NotificationRequestItem"]["amount"]["value"] = json!(1);
    assert!(!verified(folder.path(), &forged, &key()));
    assert!(!verified(folder.path(), &bodies[0], &"4c".repeat(32)));
}

/// A short life of payments; answers the codes of the events that it causes.
async fn live(client: &Client, desk: &Client) -> Vec<&'static str> {
    let held =
        pay(client, json!({ "additionalData": { "manualCapture": "true", "authorisationType": "PreAuth" } })).await;
    let id = held["pspReference"].as_str().unwrap();
    modify(client, &format!("/v71/payments/{id}/amountUpdates"), json!({ "amount": amount(2500) })).await;
    modify(client, &format!("/v71/payments/{id}/captures"), json!({ "amount": amount(2000) })).await;
    modify(client, &format!("/v71/payments/{id}/refunds"), json!({ "amount": amount(500) })).await;
    modify(client, &format!("/v71/payments/{id}/refunds"), json!({ "amount": amount(5000) })).await;
    modify(client, &format!("/v71/payments/{id}/cancels"), json!({})).await;
    desk.post("/disputes", &json!({ "psp_id": id })).await.unwrap().must_be(200).unwrap();
    pay(client, json!({ "paymentMethod": { "holderName": "DECLINED" } })).await;
    pay(client, json!({ "reference": "given_up_1", "additionalData": { "manualCapture": "true" } })).await;
    modify(client, "/v71/cancels", json!({ "paymentReference": "given_up_1" })).await;
    vec![
        "AUTHORISATION",
        "AUTHORISATION_ADJUSTMENT",
        "CAPTURE",
        "REFUND",
        "REFUND",
        "CANCELLATION",
        "CHARGEBACK",
        "AUTHORISATION",
        "AUTHORISATION",
        "TECHNICAL_CANCEL",
    ]
}

async fn pay(client: &Client, more: Value) -> Value {
    let mut body = json!({
        "amount": amount(1999), "merchantAccount": "Shop", "reference": "pay_1_1",
        "returnUrl": "https://shop.example/", "metadata": { "payment_id": "pay_1" },
        "paymentMethod": { "type": "scheme", "number": "4111111111111111", "expiryMonth": "03", "expiryYear": "2030",
            "cvc": "737" },
    });
    for (name, value) in more.as_object().unwrap() {
        match (body[name].as_object_mut(), value) {
            (Some(members), Value::Object(more)) => members.extend(more.clone()),
            (_, value) => body[name] = value.clone(),
        }
    }
    client.post("/v71/payments", &body).await.unwrap().expect(200).unwrap()
}

async fn modify(client: &Client, path: &str, mut body: Value) {
    body["merchantAccount"] = json!("Shop");
    body["reference"] = json!("pay_1.reference");
    let answer: Value = client.post(path, &body).await.unwrap().expect(201).unwrap();
    assert_eq!(answer["status"], "received");
}

fn amount(minor: u64) -> Value {
    json!({ "value": minor, "currency": "EUR" })
}

fn body(request: &str) -> Value {
    serde_json::from_str(request.split_once("\r\n\r\n").unwrap().1).unwrap()
}

/// A notification under what tells it from every other: Adyen's reference and the event.
fn named(body: Value) -> (String, Value) {
    (format!("{} {}", item(&body)["pspReference"], item(&body)["eventCode"]), body)
}

fn item(body: &Value) -> &Value {
    &body["notificationItems"][0]["NotificationRequestItem"]
}

/// Whether Adyen's package says that the notification was signed with this key.
fn verified(folder: &std::path::Path, body: &Value, key: &str) -> bool {
    let file = folder.join("notification.json");
    fs::write(&file, body.to_string()).unwrap();
    let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("specs/adyen/verify.py");
    let said = Command::new(python()).arg(script).arg(&file).arg(key).output().unwrap();
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    match String::from_utf8_lossy(&said.stdout).trim() {
        "valid" => true,
        "invalid" => false,
        other => panic!("{other}"),
    }
}

/// The Python of the environment that `cargo xtask test` makes.
fn python() -> PathBuf {
    let made = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../target/python/bin/python");
    let python = std::env::var_os("STRONGROOM_PYTHON").map_or(made, PathBuf::from);
    assert!(python.exists(), "Adyen's package is not installed: `cargo xtask test` makes its environment");
    python
}
