//! What a client of Stripe's dialect sees, with and without faults.

use std::fs;

use crate::rig::{KEY, certified, config, psp};
use reqwest::{Method, Response, header};
use serde_json::{Value, json};
use strongroom_simulator::{Config, StartError, start};
use strongroom_wire::limits;

fn intent<'a>(method: &'a str, payment: &'a str) -> Vec<(&'a str, &'a str)> {
    vec![
        ("amount", "1999"),
        ("currency", "EUR"),
        ("confirm", "true"),
        ("payment_method", method),
        ("metadata[payment_id]", payment),
    ]
}

#[actix_web::test]
async fn payment_is_made_captured_in_part_refunded_and_stands_in_the_ledger() {
    let psp = psp();
    let ready = fs::read_to_string(psp.folder.path().join("ready")).expect("the ready file");
    assert!(psp.base.ends_with(&ready));
    let method = psp.method("5555555555554444").await;
    let mut form = intent(&method, "pay_1");
    form.push(("capture_method", "manual"));
    form.push(("expand[]", "latest_charge"));
    let (_, made) = psp.post("/v1/payment_intents", "a", &form).await;
    assert_eq!(
        (&made["status"], &made["amount_capturable"], &made["currency"]),
        (&json!("requires_capture"), &json!(1999), &json!("eur"))
    );
    assert!(made["latest_charge"]["payment_method_details"]["card"]["network_transaction_id"].is_string());
    let id = made["id"].as_str().expect("an id");

    let capture = format!("/v1/payment_intents/{id}/capture");
    let (status, refused) = psp.post(&capture, "too-much", &[("amount_to_capture", "2000")]).await;
    assert_eq!((status.as_u16(), &refused["error"]["param"]), (400, &json!("amount_to_capture")));
    let (_, captured) = psp.post(&capture, "b", &[("amount_to_capture", "1000")]).await;
    assert_eq!((&captured["status"], &captured["amount_received"]), (&json!("succeeded"), &json!(1000)));
    let (status, refused) = psp.post(&capture, "again", &[]).await;
    assert_eq!((status.as_u16(), &refused["error"]["code"]), (400, &json!("payment_intent_unexpected_state")));
    assert_eq!(refused["error"]["payment_intent"]["status"], "succeeded");

    let (_, first) = psp.post("/v1/refunds", "c", &[("payment_intent", id), ("amount", "400")]).await;
    assert_eq!(first["status"], "succeeded");
    let (status, _) = psp.post("/v1/refunds", "d", &[("payment_intent", id), ("amount", "601")]).await;
    assert_eq!(status, 400);
    let (_, rest) = psp.post("/v1/refunds", "e", &[("payment_intent", id)]).await;
    assert_eq!(rest["amount"], 600);
    let (_, refused) = psp.post("/v1/refunds", "f", &[("payment_intent", id)]).await;
    assert_eq!(refused["error"]["code"], "charge_already_refunded");

    let refunds = psp.get(&format!("/v1/refunds?payment_intent={id}&limit=1")).await;
    assert_eq!((&refunds["has_more"], &refunds["data"][0]["id"]), (&json!(true), &rest["id"]));
    let ledger = psp.get("/ledger").await;
    let kinds: Vec<_> =
        ledger["entries"].as_array().expect("entries").iter().map(|line| line["kind"].clone()).collect();
    assert_eq!(kinds, ["authorize", "capture", "refund", "refund"]);
    let sums = json!({
        "authorizations": 1, "increments": 0, "captures": 1, "cancels": 0, "refunds": 2,
        "authorized": 1999, "captured": 1000, "released": 999, "refunded": 1000
    });
    assert_eq!(ledger["payments"]["pay_1"], sums);
    let lines = psp.client.get(format!("{}/ledger?format=lines", psp.base)).send().await.expect("an answer");
    let lines = lines.text().await.expect("text");
    assert_eq!(lines.lines().count(), 4);
    assert!(lines.contains("\"last4\":\"4444\"") && !lines.contains("5555555555554444"));
}

#[actix_web::test]
async fn lost_answer_after_charging_is_found_again_and_charged_once() {
    let psp = psp();
    let method = psp.method("4242424242424242").await;
    psp.arm(json!({ "fault": "drop_after", "operation": "authorize" })).await;
    let form = intent(&method, "pay_lost");
    assert!(psp.try_post("/v1/payment_intents", "k", &form).await.is_err(), "the connection is cut");
    assert_eq!(psp.captures("pay_lost").await, 1);
    let list = psp.get("/v1/payment_intents?limit=100&created%5Bgte%5D=1").await;
    assert_eq!(list["data"][0]["metadata"]["payment_id"], "pay_lost");
    let again = psp.try_post("/v1/payment_intents", "k", &form).await.expect("an answer");
    assert_eq!(again.headers()["idempotent-replayed"], "true");
    assert!(again.headers().contains_key("request-id"));
    let again: Value = again.json().await.expect("JSON");
    assert_eq!(again["id"], list["data"][0]["id"]);
    assert_eq!(psp.captures("pay_lost").await, 1);
}

#[actix_web::test]
async fn errors_and_cuts_before_and_after_the_work_do_what_they_say() {
    let psp = psp();
    let method = psp.method("4242424242424242").await;
    for (fault, captures, answer) in [
        ("error_after", 1, Some(500)),
        ("error_before", 0, Some(500)),
        ("drop_before", 0, None),
        ("drop_after", 1, None),
    ] {
        let mut form = intent(&method, fault);
        form.push(("metadata[simulator_fault]", fault));
        let answered = psp.try_post("/v1/payment_intents", fault, &form).await;
        assert_eq!(answered.ok().map(|answer| answer.status().as_u16()), answer, "{fault}");
        assert_eq!(psp.captures(fault).await, captures, "{fault}");
    }
    // The 500 belongs to its key, as with Stripe; it proves nothing about the money.
    let mut form = intent(&method, "error_after");
    form.push(("metadata[simulator_fault]", "error_after"));
    let again = psp.try_post("/v1/payment_intents", "error_after", &form).await.expect("an answer");
    assert_eq!(
        (again.status().as_u16(), &again.headers()["idempotent-replayed"]),
        (500, &header::HeaderValue::from_static("true"))
    );
    assert_eq!(psp.captures("error_after").await, 1);
}

#[actix_web::test]
async fn double_of_a_slow_request_is_turned_away_and_later_gets_the_first_answer() {
    let psp = psp();
    let method = psp.method("4242424242424242").await;
    psp.arm(json!({ "fault": "slow", "operation": "authorize", "delay_ms": 400 })).await;
    let form = intent(&method, "pay_slow");
    let first = psp.try_post("/v1/payment_intents", "k", &form);
    let second = async {
        while psp.captures("pay_slow").await == 0 {
            tokio::task::yield_now().await;
        }
        psp.post("/v1/payment_intents", "k", &form).await
    };
    let (first, (status, refused)) = tokio::join!(first, second);
    assert_eq!((status.as_u16(), &refused["error"]["code"]), (409, &json!("idempotency_key_in_use")));
    assert_eq!(first.expect("an answer").status(), 200);
    assert_eq!(psp.post("/v1/payment_intents", "k", &form).await.0, 200);
    let (status, refused) = psp.post("/v1/payment_intents", "k", &intent(&method, "other")).await;
    assert_eq!((status.as_u16(), &refused["error"]["type"]), (400, &json!("idempotency_error")));
    assert_eq!(psp.captures("pay_slow").await, 1);
}

#[actix_web::test]
async fn cardholder_approves_on_the_page_and_comes_back() {
    let psp = psp();
    let method = psp.method("4000002760003184").await;
    let mut form = intent(&method, "pay_3ds");
    form.push(("return_url", "https://shop.example/back?order=1#top"));
    let (_, made) = psp.post("/v1/payment_intents", "k", &form).await;
    assert_eq!((&made["status"], &made["next_action"]["type"]), (&json!("requires_action"), &json!("redirect_to_url")));
    let page = made["next_action"]["redirect_to_url"]["url"].as_str().expect("a page");
    let shown = psp.client.get(page).send().await.expect("an answer").text().await.expect("text");
    assert!(shown.contains("value=\"approve\"") && shown.contains("1999 EUR"), "{shown}");
    let sent = psp.client.post(page).form(&[("outcome", "approve")]).send().await.expect("an answer");
    let back = sent.headers()[header::LOCATION].to_str().expect("text");
    let id = made["id"].as_str().expect("an id");
    assert_eq!(sent.status(), 303);
    assert!(back.starts_with(&format!("https://shop.example/back?order=1&payment_intent={id}&")), "{back}");
    assert!(back.ends_with("&redirect_status=succeeded#top"), "{back}");
    let read = psp.client.get(format!("{}/v1/payment_intents/{id}", psp.base)).bearer_auth(KEY);
    let old: Value =
        read.header("Stripe-Version", "2022-08-01").send().await.expect("an answer").json().await.expect("JSON");
    assert_eq!((&old["status"], &old["charges"]["data"][0]["id"]), (&json!("succeeded"), &old["latest_charge"]));
    assert_eq!(psp.get(&format!("/v1/payment_intents/{id}")).await.get("charges"), None);
    assert_eq!(psp.captures("pay_3ds").await, 1);
}

#[actix_web::test]
async fn wrong_key_path_body_and_object_are_refused_in_stripes_envelope() {
    let psp = psp();
    let ask = |method: Method, path: &str| psp.client.request(method, format!("{}{path}", psp.base));
    let status = |response: reqwest::Result<Response>| response.expect("an answer").status().as_u16();
    assert_eq!(status(ask(Method::GET, "/v1/payment_intents").send().await), 401);
    assert_eq!(status(ask(Method::GET, "/v1/payment_intents").bearer_auth("sk_test_other").send().await), 401);
    assert_eq!(status(ask(Method::GET, "/faults").send().await), 401);
    assert_eq!(status(ask(Method::GET, "/v1/payment_intents").basic_auth(KEY, Some("")).send().await), 200);
    assert_eq!(psp.get("/v1/payment_intents/pi_none").await["error"]["code"], "resource_missing");
    assert_eq!(psp.get("/v2/anything").await["error"]["type"], "invalid_request_error");
    let large = "x".repeat(limits::SIMULATOR_BODY_BYTES_MAX + 1);
    let sent = ask(Method::POST, "/v1/payment_methods").bearer_auth(KEY).body(large).send().await;
    assert_eq!(status(sent), 413);
    let (status, refused) = psp
        .post(
            "/v1/payment_methods",
            "k",
            &[
                ("type", "card"),
                ("card[number]", "4111111111111111"),
                ("card[exp_month]", "1"),
                ("card[exp_year]", "2031"),
            ],
        )
        .await;
    assert_eq!((status.as_u16(), &refused["error"]["decline_code"]), (402, &json!("test_mode_live_card")));
}

#[test]
fn address_beyond_loopback_and_live_keys_are_refused() {
    let (folder, _) = certified();
    let refused = start(&config(&folder, "0.0.0.0:0")).err().expect("refused");
    assert!(matches!(refused, StartError::NotLoopback(_)));
    for (keys, count) in
        [(vec![], true), (vec!["sk_live_1234567".to_owned()], false), (vec!["short".to_owned()], false)]
    {
        let refused = start(&Config { api_keys: keys, ..config(&folder, "127.0.0.1:0") }).err().expect("refused");
        assert_eq!(matches!(refused, StartError::KeyCount), count);
    }
    let many = |count| vec![KEY.to_owned(); count];
    let crowd = Config { api_keys: many(limits::SIMULATOR_API_KEYS_MAX + 1), ..config(&folder, "127.0.0.1:0") };
    assert!(matches!(start(&crowd).err(), Some(StartError::KeyCount)));
    let swapped = Config { cert: folder.path().join("key.pem"), ..config(&folder, "127.0.0.1:0") };
    assert!(start(&swapped).is_err());
}
