//! `Idempotency-Key` on every call that changes something: done once, or refused where a secret is in the way.

use reqwest::Method;
use serde_json::{Value, json};

use super::ROUTES;
use super::repeat_tests::unanswered;
use super::tests::{ADMIN, Shop, code};

const SECRET: [&str; 7] = [
    "/payments/{payment_id}/vault_session",
    "/accounts",
    "/accounts/{merchant_id}",
    "/accounts/{merchant_id}/webhook_secret/rotate",
    "/api_keys/{merchant_id}",
    "/account/{merchant_id}/connectors",
    "/account/{merchant_id}/connectors/{merchant_connector_id}",
];

#[actix_web::test]
async fn customer_is_made_once_under_a_key_also_at_the_same_time_and_after_a_crash() {
    let shop = Shop::new().await;
    let body = json!({"name": "Ada"});
    let make = |key: &'static str| shop.call_once(Method::POST, "/customers", &shop.key, body.clone(), Some(key));
    let (first, second, third) = tokio::join!(make("a"), make("a"), make("a"));
    assert_eq!(first.0, 200);
    assert!(first == second && second == third);
    let id = first.1["customer_id"].as_str().unwrap();
    unanswered(&shop, "/customers", "made", &body, &format!("customer {id}")).await;
    assert_eq!(make("made").await, first);
    unanswered(&shop, "/customers", "not-made", &body, "customer cus_never_stored").await;
    assert_ne!(make("not-made").await.1["customer_id"], first.1["customer_id"]);
    assert_eq!(shop.get("/customers").await.1.as_array().unwrap().len(), 2);
}

#[actix_web::test]
async fn change_of_a_customer_is_answered_the_same_under_its_key() {
    let shop = Shop::new().await;
    shop.post("/customers", json!({"customer_id": "cus_1"})).await;
    let change = |name: &str, key: &'static str| {
        shop.call_once(Method::POST, "/customers/cus_1", &shop.key, json!({"name": name}), Some(key))
    };
    let first = change("Ada", "a").await;
    assert_eq!((first.0, &first.1["name"]), (200, &json!("Ada")));
    change("Bea", "b").await;
    assert_eq!(change("Ada", "a").await, first, "the kept answer");
    assert_eq!(shop.get("/customers/cus_1").await.1["name"], "Bea", "and nothing was changed by it");
    assert_eq!(code(&change("Cid", "a").await), (400, "IR_06"), "another body");
    unanswered(&shop, "/customers/cus_1", "c", &json!({"name": "Dea"}), "setting -").await;
    assert_eq!(change("Dea", "c").await.1["name"], "Dea");
}

#[actix_web::test]
async fn key_is_refused_where_its_answer_or_its_body_is_a_secret_and_nothing_is_done() {
    let shop = Shop::new().await;
    let (_, made) = shop.post("/payments", json!({"amount": 5, "currency": "USD"})).await;
    let payment = made["payment_id"].as_str().unwrap();
    let keys = async || shop.call(Method::GET, "/api_keys/shop", ADMIN, Value::Null).await.1;
    let before = keys().await;
    for path in SECRET {
        let called = path
            .replace("{payment_id}", payment)
            .replace("{merchant_id}", "shop")
            .replace("{merchant_connector_id}", "mca_1");
        let who = if path.starts_with("/payments") { shop.key.as_str() } else { ADMIN };
        let body = json!({"name": "server", "expiration": "never"});
        let refused = shop.call_once(Method::POST, &called, who, body, Some("k")).await;
        assert_eq!(code(&refused), (400, "IR_19"), "{path}");
    }
    assert_eq!(keys().await, before);
}

#[test]
fn document_says_of_each_call_whether_it_takes_a_key() {
    let document: Value = serde_json::from_str(super::OPENAPI).unwrap();
    for (path, verbs) in ROUTES.iter().filter(|(_, verbs)| verbs.iter().any(|(verb, _)| *verb == "post")) {
        assert!(verbs.len() <= 3);
        let parameters = document["paths"][path]["post"]["parameters"].as_array().cloned().unwrap_or_default();
        let takes = parameters.iter().any(|parameter| parameter["name"] == "Idempotency-Key");
        // Neither is called by a merchant: a provider and a payer's browser know no such header.
        let is_foreign = path.starts_with("/webhooks/") || path.starts_with("/redirect/");
        assert_eq!(takes, !is_foreign && !SECRET.contains(path), "{path}");
    }
}
