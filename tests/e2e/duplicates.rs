//! The same request twice: one payment, one charge, one refund, whichever way it was repeated.

use serde_json::{Value, json};
use strongroom_tests::harness::{Shop, World, card, word};

use crate::ledger::{moved, moves};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_confirms_charge_once() {
    let world = World::with_payments().await.unwrap();
    let shop = Shop::of(&world).unwrap();
    let checkout = shop.begin(2500, None, json!({})).await.unwrap();
    let path = format!("/payments/{}/confirm", checkout.payment_id);
    let mut body = with_raw_card(json!({ "client_secret": checkout.client_secret }));
    // The shop said so when it began the payment; a page may not.
    body.as_object_mut().unwrap().remove("authentication_type");
    let asked: Vec<_> = (0..8)
        .map(|_| {
            let (client, path, body) = (shop.page().clone(), path.clone(), body.clone());
            tokio::spawn(async move { client.post(&path, &body).await.unwrap().status })
        })
        .collect();
    let mut taken = 0;
    for one in asked {
        // Who comes late is told that the payment is under way or over; nobody may be told of a fault of ours.
        let status = one.await.unwrap();
        assert!(status == 200 || (400..500).contains(&status), "a duplicate was answered {status}");
        taken += usize::from(status == 200);
    }
    assert!(taken >= 1, "nobody's confirmation was taken");
    let paid = shop.server().get(&format!("/payments/{}?force_sync=true", checkout.payment_id)).await.unwrap();
    assert_eq!(paid.expect(200).unwrap()["status"], "succeeded");
    assert_eq!(moved(&world, &checkout.payment_id).await, moves(&[("authorize", 2500), ("capture", 2500)]));
}

#[tokio::test]
async fn a_payment_id_is_used_once() {
    let world = World::with_payments().await.unwrap();
    let shop = Shop::of(&world).unwrap();
    let body =
        with_raw_card(json!({ "payment_id": "pay_shop_0001", "amount": 900, "currency": "EUR", "confirm": true }));
    shop.server().post("/payments", &body).await.unwrap().must_be(200).unwrap();
    let again = shop.server().post("/payments", &body).await.unwrap();
    assert_eq!(again.status, 400);
    assert_eq!(again.json().unwrap()["error"]["code"], "HE_01");
    assert_eq!(moved(&world, "pay_shop_0001").await, moves(&[("authorize", 900), ("capture", 900)]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idempotency_key_gives_one_payment_and_one_answer() {
    let world = World::with_payments().await.unwrap();
    let shop = Shop::of(&world).unwrap();
    let body = with_raw_card(json!({ "amount": 1100, "currency": "EUR", "confirm": true }));
    let keyed = shop.server().clone().with("Idempotency-Key", "order-17");
    let asked: Vec<_> = (0..6)
        .map(|_| {
            let (client, body) = (keyed.clone(), body.clone());
            tokio::spawn(async move { client.post("/payments", &body).await.unwrap() })
        })
        .collect();
    let mut ids = std::collections::BTreeSet::new();
    for one in asked {
        let answer = one.await.unwrap();
        // While the first is under way a duplicate may be told to ask again.
        if answer.status == 200 {
            ids.insert(word(&answer.json().unwrap(), "payment_id").unwrap());
        } else {
            assert!((400..500).contains(&answer.status), "a duplicate was answered {}", answer.status);
        }
    }
    let last = keyed.post("/payments", &body).await.unwrap().expect(200).unwrap();
    ids.insert(word(&last, "payment_id").unwrap());
    assert_eq!(ids.len(), 1, "one key made several payments");
    let id = ids.pop_first().unwrap();
    assert_eq!(moved(&world, &id).await, moves(&[("authorize", 1100), ("capture", 1100)]));
    assert_eq!(world.psp().unwrap().ledger().await.unwrap().len(), 2, "money moved for a payment that nobody knows");
}

#[tokio::test]
async fn an_idempotency_key_of_another_body_is_refused() {
    let world = World::with_payments().await.unwrap();
    let keyed = Shop::of(&world).unwrap().server().clone().with("Idempotency-Key", "order-18");
    keyed.post("/payments", &json!({ "amount": 100, "currency": "EUR" })).await.unwrap().must_be(200).unwrap();
    let other = keyed.post("/payments", &json!({ "amount": 200, "currency": "EUR" })).await.unwrap();
    assert!((400..500).contains(&other.status), "another body under the same key was answered {}", other.status);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refund_id_is_used_once() {
    let world = World::with_payments().await.unwrap();
    let shop = Shop::of(&world).unwrap();
    let paid = shop.pay_new(3000, None, card::VISA, json!({})).await.unwrap();
    let id = word(&paid, "payment_id").unwrap();
    let body = json!({ "payment_id": id, "refund_id": "ref_shop_0001", "amount": 1000 });
    let asked: Vec<_> = (0..6)
        .map(|_| {
            let (client, body) = (shop.server().clone(), body.clone());
            tokio::spawn(async move { client.post("/refunds", &body).await.unwrap().status })
        })
        .collect();
    for one in asked {
        let status = one.await.unwrap();
        assert!(status == 200 || (400..500).contains(&status), "a duplicate was answered {status}");
    }
    assert_eq!(moved(&world, &id).await, moves(&[("authorize", 3000), ("capture", 3000), ("refund", 1000)]));
}

/// A card that the shop sends itself, so that a whole body can be repeated.
fn with_raw_card(mut body: Value) -> Value {
    body["payment_method"] = json!("card");
    body["authentication_type"] = json!("no_three_ds");
    body["payment_method_data"] = json!({ "card": {
        "card_number": card::VISA, "card_exp_month": "12", "card_exp_year": "2031", "card_cvc": "123",
    } });
    body
}
