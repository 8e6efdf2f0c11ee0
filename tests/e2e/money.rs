//! Capture, cancel and refund, whole and in part, with the ledger as the judge.

use serde_json::{Value, json};
use strongroom_tests::harness::{Shop, World, card, word};

use crate::ledger::{moved, moves};

#[tokio::test]
async fn an_authorization_is_captured_in_full() {
    let world = World::with_payments().await.unwrap();
    let shop = Shop::of(&world).unwrap();
    let id = authorized(&shop, 5000).await;
    assert_eq!(moved(&world, &id).await, moves(&[("authorize", 5000)]));
    let captured = act(&shop, &id, "capture", json!({})).await;
    assert_eq!((captured["status"].as_str(), captured["amount_received"].as_i64()), (Some("succeeded"), Some(5000)));
    assert_eq!(captured["amount_capturable"], 0);
    assert_eq!(moved(&world, &id).await, moves(&[("authorize", 5000), ("capture", 5000)]));
}

#[tokio::test]
async fn an_authorization_is_captured_in_part() {
    let world = World::with_payments().await.unwrap();
    let shop = Shop::of(&world).unwrap();
    let id = authorized(&shop, 5000).await;
    let captured = act(&shop, &id, "capture", json!({ "amount_to_capture": 1200 })).await;
    assert_eq!(
        (captured["status"].as_str(), captured["amount_received"].as_i64()),
        (Some("partially_captured"), Some(1200))
    );
    assert_eq!(captured["amount_capturable"], 0);
    assert_eq!(moved(&world, &id).await, moves(&[("authorize", 5000), ("capture", 1200)]));
}

#[tokio::test]
async fn an_authorization_is_cancelled() {
    let world = World::with_payments().await.unwrap();
    let shop = Shop::of(&world).unwrap();
    let id = authorized(&shop, 5000).await;
    let cancelled = act(&shop, &id, "cancel", json!({ "cancellation_reason": "requested_by_customer" })).await;
    assert_eq!(cancelled["status"], "cancelled", "{cancelled}");
    assert_eq!(moved(&world, &id).await, moves(&[("authorize", 5000), ("cancel", 5000)]));
}

#[tokio::test]
async fn a_payment_survives_a_restart_between_authorization_and_capture() {
    let mut world = World::with_payments().await.unwrap();
    let id = authorized(&Shop::of(&world).unwrap(), 5000).await;
    let orchestrator = world.orchestrator.as_mut().unwrap();
    orchestrator.process().stop().await.unwrap();
    orchestrator.restart().await.unwrap();
    world.vault.process().stop().await.unwrap();
    world.vault.restart().await.unwrap();
    let captured = act(&Shop::of(&world).unwrap(), &id, "capture", json!({})).await;
    assert_eq!(captured["status"], "succeeded", "{captured}");
    assert_eq!(moved(&world, &id).await, moves(&[("authorize", 5000), ("capture", 5000)]));
}

#[tokio::test]
async fn a_payment_is_refunded_in_parts_and_never_beyond() {
    let world = World::with_payments().await.unwrap();
    let shop = Shop::of(&world).unwrap();
    let paid = shop.pay_new(3000, None, card::VISA, json!({})).await.unwrap();
    let id = word(&paid, "payment_id").unwrap();
    let refund = |amount: i64| {
        let (shop, id) = (&shop, &id);
        async move { shop.server().post("/refunds", &json!({ "payment_id": id, "amount": amount })).await.unwrap() }
    };
    let first = refund(1000).await.expect(200).unwrap();
    assert_eq!((first["status"].as_str(), first["amount"].as_i64()), (Some("succeeded"), Some(1000)));
    let beyond = refund(2001).await;
    assert_eq!((beyond.status, error_code(&beyond.json().unwrap())), (400, "IR_13".to_owned()));
    let rest = refund(2000).await.expect(200).unwrap();
    assert_eq!(rest["status"], "succeeded");
    assert_eq!(refund(1).await.status, 400);
    assert_eq!(
        moved(&world, &id).await,
        moves(&[("authorize", 3000), ("capture", 3000), ("refund", 1000), ("refund", 2000)])
    );
    let read = shop.server().get(&format!("/refunds/{}", word(&first, "refund_id").unwrap())).await.unwrap();
    assert_eq!(read.expect(200).unwrap()["payment_id"], id);
}

/// A payment that waits for its capture.
async fn authorized(shop: &Shop, amount: i64) -> String {
    let held = shop.pay_new(amount, None, card::VISA, json!({ "capture_method": "manual" })).await.unwrap();
    assert_eq!(
        (held["status"].as_str(), held["amount_capturable"].as_i64()),
        (Some("requires_capture"), Some(amount)),
        "{held}"
    );
    word(&held, "payment_id").unwrap()
}

async fn act(shop: &Shop, id: &str, what: &str, body: Value) -> Value {
    shop.server().post(&format!("/payments/{id}/{what}"), &body).await.unwrap().expect(200).unwrap()
}

fn error_code(answer: &Value) -> String {
    answer["error"]["code"].as_str().unwrap_or_default().to_owned()
}
