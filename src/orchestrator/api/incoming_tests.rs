//! The door for providers over HTTP: who is let in, and what is answered.

use serde_json::{Value, json};
use strongroom_wire::limits;

use super::tests::{ADMIN, Shop, paying};
use crate::connector::Outcome;
use crate::intent::State;
use crate::intent::rig::{GOOD, Trouble, webhook};

const PATH: &str = "/webhooks/shop/mca_1";

/// Knocks as the provider with this secret; status and body of the answer.
async fn knock(shop: &Shop, path: &str, secret: &str, body: &Value) -> (u16, String) {
    let body = body.to_string();
    knock_with(shop, path, Some(&webhook::signature(secret, body.as_bytes())), body).await
}

async fn knock_with(shop: &Shop, path: &str, signature: Option<&str>, body: String) -> (u16, String) {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let mut request = client.post(format!("{}{path}", shop.base));
    if let Some(signature) = signature {
        request = request.header("rig-signature", signature);
    }
    let answer = request.body(body).send().await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

fn captured(psp_id: &str) -> Outcome {
    Outcome::Captured {
        psp_id: psp_id.into(),
        amount_minor: 1000,
        network_transaction_id: None,
        handles: Default::default(),
    }
}

/// A payment whose answer was lost.
async fn in_doubt(shop: &Shop) -> String {
    shop.rig.trouble("/pay", Trouble::LostAnswer);
    let (_, paid) = shop.post("/payments", paying(GOOD)).await;
    assert_eq!(paid["status"], "processing");
    paid["payment_id"].as_str().unwrap().to_owned()
}

async fn state(shop: &Shop, id: &str) -> State {
    shop.rig.engine.payment(&shop.rig.merchant, id).await.unwrap().0.state
}

#[actix_web::test]
async fn signed_word_of_the_provider_settles_a_payment_and_is_taken_once() {
    let shop = Shop::new().await;
    let id = in_doubt(&shop).await;
    let body = webhook::body("we_1", &format!("{id}_1"), "payment", &captured("ps_0"));
    for _ in 0..2 {
        assert_eq!(knock(&shop, PATH, webhook::SECRET, &body).await, (200, String::new()));
        assert_eq!(state(&shop, &id).await, State::Succeeded);
    }
    let (_, events) = shop.get(&format!("/events/shop?payment_id={id}")).await;
    let kinds: Vec<_> = events["items"].as_array().unwrap().iter().map(|event| event["event_type"].clone()).collect();
    assert_eq!(kinds, ["payment_succeeded", "payment_processing"]);
    let text = shop.rig.engine.metrics.text();
    assert!(text.contains("webhooks_in_total{result=\"applied\"} 1"));
    assert!(text.contains("webhooks_in_total{result=\"duplicate\"} 1"));
}

#[actix_web::test]
async fn wrong_signature_and_unknown_account_are_refused_alike_and_change_nothing() {
    let shop = Shop::new().await;
    let id = in_doubt(&shop).await;
    let body = webhook::body("we_1", &format!("{id}_1"), "payment", &captured("ps_0"));
    let wrong = knock(&shop, PATH, "whsec_guess", &body).await;
    assert_eq!(wrong.0, 401);
    for path in ["/webhooks/shop/mca_2", "/webhooks/nobody/mca_1", "/webhooks/SHOP!/mca_1"] {
        assert_eq!(knock(&shop, path, webhook::SECRET, &body).await, wrong, "{path}");
    }
    assert_eq!(knock_with(&shop, PATH, None, body.to_string()).await, wrong);
    let mut other = body.clone();
    other[0]["outcome"]["amount_minor"] = json!(1);
    let stolen = webhook::signature(webhook::SECRET, body.to_string().as_bytes());
    assert_eq!(knock_with(&shop, PATH, Some(&stolen), other.to_string()).await, wrong);
    assert_eq!(state(&shop, &id).await, State::Processing);
    assert_eq!(knock(&shop, PATH, webhook::SECRET, &json!([{"what": "gossip"}])).await.0, 400);
}

#[actix_web::test]
async fn provider_that_has_not_heard_of_a_new_secret_is_believed_until_the_overlap_ends() {
    let shop = Shop::new().await;
    let hook = json!({"connector_webhook_details": {"merchant_secret": "whsec_fresh"}, "overlap_seconds": 60});
    let path = "/account/shop/connectors/mca_1";
    assert_eq!(shop.call(reqwest::Method::POST, path, ADMIN, hook).await.0, 200);
    let nothing = json!([{"event_id": "we_1", "payment_id": "pay_1", "what": "nothing"}]);
    for (wait_ms, old) in [(0, 200), (59_999, 200), (1, 401)] {
        shop.rig.clock.advance(wait_ms);
        assert_eq!(knock(&shop, PATH, webhook::SECRET, &nothing).await.0, old);
        assert_eq!(knock(&shop, PATH, "whsec_fresh", &nothing).await.0, 200);
        assert_eq!(knock(&shop, PATH, "whsec_guess", &nothing).await.0, 401);
    }
}

#[actix_web::test]
async fn event_that_came_before_our_own_commit_is_asked_for_again_and_a_strangers_is_not_for_ever() {
    let shop = Shop::new().await;
    let body = json!([{"event_id": "we_1", "psp_id": "ps_7", "what": "payment", "outcome": captured("ps_7")}]);
    assert_eq!(knock(&shop, PATH, webhook::SECRET, &body).await.0, 503);
    shop.rig.clock.advance(299_999);
    assert_eq!(knock(&shop, PATH, webhook::SECRET, &body).await.0, 503);
    shop.rig.clock.advance(1);
    assert_eq!(knock(&shop, PATH, webhook::SECRET, &body).await.0, 200);
    assert_eq!(knock(&shop, PATH, webhook::SECRET, &body).await.0, 200, "and it is remembered");
    assert!(shop.rig.engine.metrics.text().contains("webhooks_in_total{result=\"stranger\"} 1"));
}

#[actix_web::test]
async fn hint_makes_the_engine_ask_and_says_so_when_it_cannot() {
    let shop = Shop::new().await;
    let id = in_doubt(&shop).await;
    let hint = |event: &str| json!([{"event_id": event, "payment_id": id, "what": "look"}]);
    assert_eq!(knock(&shop, PATH, webhook::SECRET, &hint("we_1")).await.0, 200);
    assert_eq!(state(&shop, &id).await, State::Succeeded);
    let nothing = json!([{"event_id": "we_2", "payment_id": id, "what": "nothing"}]);
    assert_eq!(knock(&shop, PATH, webhook::SECRET, &nothing).await.0, 200);
}

#[actix_web::test]
async fn webhook_waits_for_the_vault_that_keeps_its_secret() {
    let shop = Shop::new().await;
    let nothing = json!([{"event_id": "we_1", "payment_id": "pay_1", "what": "nothing"}]);
    shop.rig.vault.state.lock().unwrap().down = true;
    assert_eq!(knock(&shop, PATH, webhook::SECRET, &nothing).await.0, 503);
    shop.rig.vault.state.lock().unwrap().down = false;
    assert_eq!(knock(&shop, PATH, webhook::SECRET, &nothing).await.0, 200);
}

#[actix_web::test]
async fn webhook_over_its_size_and_webhooks_over_their_rate_are_refused() {
    let shop = Shop::new().await;
    let large = "x".repeat(limits::WEBHOOK_BODY_BYTES_MAX + 1);
    assert_eq!(knock_with(&shop, PATH, None, large).await.0, 413);
    let nothing = json!([{"event_id": "we_1", "payment_id": "pay_1", "what": "nothing"}]);
    let mut taken = 0;
    // The clock stands still, so the bucket does not fill.
    while knock(&shop, PATH, webhook::SECRET, &nothing).await.0 == 200 {
        taken += 1;
        assert!(taken <= 2 * limits::WEBHOOKS_IN_PER_SECOND_MAX + 1);
    }
    assert!(taken >= limits::WEBHOOKS_IN_PER_SECOND_MAX);
    assert_eq!(knock(&shop, PATH, webhook::SECRET, &nothing).await.0, 429);
    shop.rig.clock.advance(1_000);
    assert_eq!(knock(&shop, PATH, webhook::SECRET, &nothing).await.0, 200);
}
