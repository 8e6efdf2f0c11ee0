//! Webhook settings, secrets and events over the API.

use reqwest::Method;
use serde_json::{Value, json};
use strongroom_wire::limits;

use super::tests::{ADMIN, Shop, code, paying};
use crate::intent::rig::GOOD;

const URL: &str = "https://shop.test/hook";

async fn admin(shop: &Shop, path: &str, body: Value) -> (u16, Value) {
    shop.call(Method::POST, path, ADMIN, body).await
}

#[actix_web::test]
async fn first_address_brings_a_secret_that_is_shown_once_and_lies_in_the_vault_alone() {
    let shop = Shop::new().await;
    let (status, made) = admin(&shop, "/accounts/shop", json!({"webhook_details": {"webhook_url": URL}})).await;
    assert_eq!((status, &made["webhook_details"]["webhook_url"]), (200, &json!(URL)));
    let secret = made["webhook_details"]["webhook_secret"].as_str().unwrap().to_owned();
    assert!(secret.starts_with("whsec_") && secret.len() > 40);
    let (_, shown) = shop.call(Method::GET, "/accounts/shop", ADMIN, Value::Null).await;
    assert!(!shown.to_string().contains(&secret));
    assert_eq!(shown["webhook_details"]["secrets"].as_array().unwrap().len(), 1);
    let stored = shop.rig.store.merchant(&shop.rig.merchant).await.unwrap().unwrap();
    assert!(!serde_json::to_string(&stored).unwrap().contains(&secret));
    assert_eq!(shop.rig.vault.state.lock().unwrap().secrets[&stored.webhooks.secrets[0].secret_id], secret);
    let other = json!({"webhook_details": {"events": ["payment_succeeded"]}, "merchant_name": "Shop"});
    let (_, again) = admin(&shop, "/accounts/shop", other).await;
    assert_eq!(again["webhook_details"]["webhook_secret"], Value::Null, "there is one already");
    assert_eq!(again["webhook_details"]["webhook_url"], URL, "what is absent stays");
    assert_eq!(
        (&again["merchant_name"], &again["webhook_details"]["events"]),
        (&json!("Shop"), &json!(["payment_succeeded"]))
    );
    let (_, none) = admin(&shop, "/accounts/shop", json!({"webhook_details": {"webhook_url": null}})).await;
    assert_eq!(none["webhook_details"]["webhook_url"], Value::Null);

    let body = json!({"merchant_id": "two", "webhook_details": {"webhook_url": URL}});
    let (_, two) = admin(&shop, "/accounts", body).await;
    assert!(two["webhook_details"]["webhook_secret"].as_str().unwrap().starts_with("whsec_"));
}

#[actix_web::test]
async fn settings_that_cannot_be_right_are_refused_and_change_nothing() {
    let shop = Shop::new().await;
    let long = format!("https://shop.test/{}", "x".repeat(limits::URL_BYTES_MAX));
    for details in [
        json!({"webhook_url": "http://shop.test/"}),
        json!({"webhook_url": "https://127.0.0.1/"}),
        json!({"webhook_url": "https://u:p@shop.test/"}),
        json!({"webhook_url": "https://shop.test/4242424242424242"}),
        json!({"webhook_url": long}),
        json!({"webhook_url": URL, "events": ["payment_lost"]}),
        json!({"webhook_url": URL, "events": ["refund_failed", "refund_failed"]}),
        json!({"webhook_url": URL, "secret": "mine"}),
    ] {
        let refused = admin(&shop, "/accounts/shop", json!({"webhook_details": details})).await;
        assert_eq!(code(&refused), (400, "IR_06"), "{details}");
    }
    let stored = shop.rig.store.merchant(&shop.rig.merchant).await.unwrap().unwrap();
    assert_eq!(stored.webhooks, Default::default());
    let by_shop = shop.post("/accounts/shop", json!({"webhook_details": {"webhook_url": URL}})).await;
    assert_eq!(code(&by_shop), (401, "IR_01"));
    assert_eq!(code(&admin(&shop, "/accounts/nobody", json!({})).await), (404, "HE_02"));
}

#[actix_web::test]
async fn rotation_keeps_the_former_secret_for_its_overlap_and_no_more_than_allowed_at_a_time() {
    let shop = Shop::new().await;
    admin(&shop, "/accounts/shop", json!({"webhook_details": {"webhook_url": URL}})).await;
    let path = "/accounts/shop/webhook_secret/rotate";
    let (status, rotated) = admin(&shop, path, json!({})).await;
    assert_eq!(status, 200);
    assert!(rotated["webhook_secret"].as_str().unwrap().starts_with("whsec_"));
    let day = i64::try_from(limits::WEBHOOK_OVERLAP_S).unwrap() * 1000;
    assert_eq!(rotated["former_secrets_end_at"], crate::clock::rfc3339(shop.rig.engine.now_ms() + day));
    let too_long = json!({"overlap_seconds": limits::WEBHOOK_OVERLAP_MAX_S + 1});
    assert_eq!(code(&admin(&shop, path, too_long).await), (400, "IR_06"));
    assert_eq!(admin(&shop, path, json!({"overlap_seconds": 60})).await.0, 200);
    assert_eq!(code(&admin(&shop, path, json!({"overlap_seconds": 60})).await), (400, "IR_16"));
    let (status, last) = admin(&shop, path, json!({"overlap_seconds": 0})).await;
    assert_eq!((status, &last["former_secrets_end_at"]), (200, &Value::Null));
    let stored = shop.rig.store.merchant(&shop.rig.merchant).await.unwrap().unwrap();
    assert_eq!(stored.webhooks.secrets.len(), 1);
    assert_eq!(code(&shop.post(path, json!({})).await), (401, "IR_01"));
}

#[actix_web::test]
async fn secret_that_signs_no_more_is_deleted_at_the_vault_and_no_other() {
    let shop = Shop::new().await;
    let secrets = || shop.rig.vault.state.lock().unwrap().secrets.len();
    let before = secrets();
    admin(&shop, "/accounts/shop", json!({"webhook_details": {"webhook_url": URL}})).await;
    let path = "/accounts/shop/webhook_secret/rotate";
    admin(&shop, path, json!({"overlap_seconds": 3600})).await;
    assert_eq!(secrets(), before + 2);
    for (wait_ms, left) in [(3_599_999, 2), (100_000, 1), (30 * 86_400_000, 1)] {
        shop.rig.clock.advance(wait_ms);
        shop.rig.engine.round(false).await;
        assert_eq!(secrets(), before + left);
    }
    admin(&shop, path, json!({"overlap_seconds": 0})).await;
    shop.rig.clock.advance(100_000);
    shop.rig.engine.round(false).await;
    assert_eq!(secrets(), before + 1);
    let stored = shop.rig.store.merchant(&shop.rig.merchant).await.unwrap().unwrap();
    let id = stored.webhooks.secrets[0].secret_id;
    assert!(shop.rig.vault.state.lock().unwrap().secrets.contains_key(&id), "the newest is there");
}

#[actix_web::test]
async fn events_are_listed_by_page_and_payment_shown_whole_and_sent_again() {
    let shop = Shop::new().await;
    let mut ids = Vec::new();
    for _ in 0..3 {
        let (_, paid) = shop.post("/payments", paying(GOOD)).await;
        ids.push(paid["payment_id"].as_str().unwrap().to_owned());
    }
    let (status, first) = shop.get("/events/shop?limit=2").await;
    assert_eq!((status, first["items"].as_array().unwrap().len()), (200, 2));
    assert_eq!(first["items"][0]["payment_id"], ids[2], "newest first");
    assert_eq!(
        (&first["items"][0]["delivery_state"], &first["items"][0]["request"]),
        (&json!("waiting"), &Value::Null)
    );
    let next = format!("/events/shop?limit=2&cursor={}", first["next_cursor"].as_str().unwrap());
    let (_, second) = shop.get(&next).await;
    assert_eq!((&second["items"][0]["payment_id"], &second["next_cursor"]), (&json!(ids[0]), &Value::Null));
    let (_, of_one) = shop.get(&format!("/events/shop?payment_id={}", ids[1])).await;
    assert_eq!(of_one["items"].as_array().unwrap().len(), 1);

    let id = of_one["items"][0]["event_id"].as_str().unwrap();
    let path = format!("/events/shop/{id}");
    let (_, whole) = shop.call(Method::GET, &path, ADMIN, Value::Null).await;
    let body: Value = serde_json::from_str(whole["request"]["body"].as_str().unwrap()).unwrap();
    assert_eq!((&body["event_id"], &body["content"]["object"]["payment_id"]), (&json!(id), &json!(ids[1])));
    let event = shop.rig.store.outbox_event(&shop.rig.merchant, id).await.unwrap().unwrap();
    shop.rig.store.finish_event(event.seq, 200, 1).await.unwrap();
    assert_eq!(shop.get(&path).await.1["delivery_state"], "delivered");
    let (status, again) = shop.post(&format!("{path}/retry"), json!({})).await;
    assert_eq!((status, &again["delivery_state"], &again["delivered_at"]), (200, &json!("waiting"), &Value::Null));
}

#[actix_web::test]
async fn events_of_others_are_nobody_elses_business() {
    let shop = Shop::new().await;
    shop.post("/payments", paying(GOOD)).await;
    admin(&shop, "/accounts", json!({"merchant_id": "two"})).await;
    let (_, made) = admin(&shop, "/api_keys/two", json!({"name": "n", "expiration": "never"})).await;
    let two = made["api_key"].as_str().unwrap();
    assert_eq!(code(&shop.call(Method::GET, "/events/shop", two, Value::Null).await), (401, "IR_01"));
    assert_eq!(code(&shop.call(Method::GET, "/events/shop", "pk_rig_0123456789", Value::Null).await), (401, "IR_01"));
    assert_eq!(shop.call(Method::GET, "/events/two", two, Value::Null).await.1["items"], json!([]));
    let (_, list) = shop.get("/events/shop").await;
    let id = list["items"][0]["event_id"].as_str().unwrap();
    assert_eq!(code(&shop.call(Method::GET, &format!("/events/two/{id}"), two, Value::Null).await), (404, "HE_02"));
    let path = format!("/events/two/{id}/retry");
    assert_eq!(code(&shop.call(Method::POST, &path, two, json!({})).await), (404, "HE_02"));
    assert_eq!(code(&shop.get("/events/shop?limit=101").await), (400, "IR_06"));
    assert_eq!(code(&shop.get("/events/shop?cursor=x").await), (400, "IR_06"));
}
