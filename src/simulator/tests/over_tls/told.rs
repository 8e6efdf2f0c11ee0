//! What the simulator tells by itself, over real sockets: webhooks of payments, refunds and disputes, and the desk that
//! directs them.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use crate::rig::{KEY, Psp, psp};
use reqwest::Method;
use serde_json::{Value, json};

/// A merchant's endpoint that takes everything: header block and event of each webhook.
fn merchant() -> (String, Receiver<(String, Value)>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("bound");
    let url = format!("http://{}/webhooks", listener.local_addr().expect("an address"));
    let (tell, told) = channel();
    thread::spawn(move || {
        for connection in listener.incoming() {
            let mut connection = connection.expect("a connection");
            let mut text = Vec::new();
            let mut piece = [0; 16 * 1024];
            let (head, event) = loop {
                let read = connection.read(&mut piece).expect("read");
                assert!(read > 0, "the whole event comes before the end");
                text.extend_from_slice(&piece[..read]);
                let Some((head, body)) = std::str::from_utf8(&text).ok().and_then(|text| text.split_once("\r\n\r\n"))
                else {
                    continue;
                };
                if let Ok(event) = serde_json::from_str(body) {
                    break (head.to_owned(), event);
                }
            };
            let answer = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
            connection.write_all(answer.as_bytes()).expect("written");
            if tell.send((head, event)).is_err() {
                return;
            }
        }
    });
    (url, told)
}

fn next(told: &Receiver<(String, Value)>) -> (String, Value) {
    told.recv_timeout(Duration::from_secs(20)).expect("a webhook")
}

impl Psp {
    async fn desk(&self, method: Method, path: &str, body: Value) -> (u16, Value) {
        let request = self.client.request(method, format!("{}{path}", self.base)).bearer_auth(KEY);
        let answer = request.body(body.to_string()).send().await.expect("an answer");
        (answer.status().as_u16(), answer.json().await.expect("JSON"))
    }

    async fn aim(&self, url: &str) {
        let aim = json!({ "provider": "stripe", "url": url, "secret": "whsec_test" });
        let (status, shown) = self.desk(Method::POST, "/webhooks", aim).await;
        let targets = shown["targets"].as_array().expect("a list");
        assert!(status == 200 && targets.iter().any(|target| target["url"] == url), "{shown}");
        assert!(!shown.to_string().contains("whsec"), "a secret is not shown");
    }
}

#[actix_web::test]
async fn payment_refund_and_dispute_are_told_in_order_and_signed() {
    let psp = psp();
    let (url, told) = merchant();
    psp.aim(&url).await;
    let method = psp.method("4242424242424242").await;
    let form = [
        ("amount", "1999"),
        ("currency", "eur"),
        ("confirm", "true"),
        ("payment_method", &method),
        ("metadata[payment_id]", "pay_1"),
        ("metadata[attempt_id]", "pay_1_1"),
    ];
    let (_, made) = psp.post("/v1/payment_intents", "k", &form).await;
    let id = made["id"].as_str().expect("an id");
    let (head, event) = next(&told);
    assert!(head.to_ascii_lowercase().contains("\r\nstripe-signature: t="), "{head}");
    assert_eq!((&event["type"], &event["data"]["object"]["id"]), (&json!("payment_intent.succeeded"), &json!(id)));
    assert_eq!(event["data"]["object"]["metadata"]["attempt_id"], "pay_1_1");
    psp.post("/v1/refunds", "r", &[("payment_intent", id), ("amount", "100")]).await;
    assert_eq!(next(&told).1["type"], "refund.created");

    for (status, kind) in
        [("inquiry", "charge.dispute.created"), ("opened", "charge.dispute.updated"), ("lost", "charge.dispute.closed")]
    {
        let (answered, dispute) =
            psp.desk(Method::POST, "/disputes", json!({ "payment_id": "pay_1", "status": status })).await;
        assert_eq!(answered, 200, "{dispute}");
        let event = next(&told).1;
        assert_eq!((&event["type"], &event["data"]["object"]), (&json!(kind), &dispute));
        assert_eq!((&dispute["payment_intent"], &dispute["amount"]), (&json!(id), &json!(1999)));
    }
    let (status, _) = psp.desk(Method::POST, "/disputes", json!({ "psp_id": id, "status": "won" })).await;
    assert_eq!(status, 400, "it is over");
}

#[actix_web::test]
async fn page_of_the_cardholder_tells_the_account_that_asked() {
    let psp = psp();
    let (url, told) = merchant();
    let other =
        json!({ "provider": "stripe", "url": format!("{url}/other"), "secret": "x", "account_ending": "other" });
    assert_eq!(psp.desk(Method::POST, "/webhooks", other).await.0, 200);
    psp.aim(&url).await;
    let method = psp.method("4000002760003184").await;
    let form = [("confirm", "true"), ("payment_method", &*method), ("return_url", "https://shop.example/back")];
    let (_, made) = psp.post("/v1/setup_intents", "k", &form).await;
    assert_eq!(next(&told).1["type"], "setup_intent.requires_action");
    let page = made["next_action"]["redirect_to_url"]["url"].as_str().expect("a page");
    let sent = psp.client.post(page).form(&[("outcome", "approve")]).send().await.expect("an answer");
    assert_eq!(sent.status(), 303);
    let (head, event) = next(&told);
    assert_eq!((&event["type"], &event["data"]["object"]["id"]), (&json!("setup_intent.succeeded"), &made["id"]));
    assert!(head.starts_with("POST /webhooks HTTP"), "the other account hears nothing: {head}");
}

#[actix_web::test]
async fn desk_says_what_is_wrong_and_changes_nothing() {
    let psp = psp();
    let cases = [
        ("/webhooks", json!({ "provider": "nobody", "url": "http://127.0.0.1:1/", "secret": "x" }), 400, "provider"),
        ("/webhooks", json!({ "provider": "stripe", "url": "https://shop.example/", "secret": "x" }), 400, "url"),
        ("/webhooks", json!({ "provider": "stripe", "url": "https://localhost/", "secret": "x" }), 400, "ca"),
        ("/webhooks", json!({ "provider": "stripe", "url": "http://127.0.0.1:1/", "secret": "" }), 400, "secret"),
        ("/webhooks", json!({ "provider": "stripe" }), 400, "Send JSON"),
        ("/faults", json!({ "fault": "slow", "provider": "nobody" }), 400, "provider"),
        ("/faults", json!({ "fault": "webhook_lost", "operation": "refund" }), 400, "fault"),
        ("/disputes", json!({ "psp_id": "pi_none" }), 404, "No money"),
        ("/disputes", json!({ "psp_id": "a", "payment_id": "b" }), 400, "not both"),
        ("/disputes", json!({}), 400, "Name the payment"),
        ("/disputes", json!({ "psp_id": "a", "status": "nonsense" }), 400, "Send JSON"),
    ];
    for (path, body, status, word) in cases {
        let (answered, said) = psp.desk(Method::POST, path, body).await;
        assert_eq!(answered, status, "{path}: {said}");
        assert!(said["error"]["message"].as_str().is_some_and(|message| message.contains(word)), "{path}: {said}");
    }
    let (_, shown) = psp.desk(Method::GET, "/webhooks", json!(null)).await;
    assert_eq!((&shown["targets"], &shown["counts"]["taken"]), (&json!([]), &json!(0)));
    let unknown = psp.client.get(format!("{}/ledger?wrong=1", psp.base)).send().await.expect("an answer");
    assert_eq!(unknown.status(), 400);
}
