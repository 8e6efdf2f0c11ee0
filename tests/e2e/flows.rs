//! Both flows of an external vault: a new customer's card is kept after the money is there, and paid with again by token.

use std::time::Duration;

use serde_json::json;
use strongroom_tests::harness::{Shop, World, card, eventually, with_card, word};

use crate::ledger::{moved, moves};

#[tokio::test]
async fn a_new_customer_pays_and_comes_back() {
    let world = World::with_payments().await.unwrap();
    let shop = Shop::of(&world).unwrap();
    let checkout = shop.begin(4200, Some("cus_ada"), json!({})).await.unwrap();
    let begun = shop.payment(&checkout.payment_id).await.unwrap();
    assert_eq!(
        (begun["status"].as_str(), begun["amount_capturable"].as_i64()),
        (Some("requires_payment_method"), Some(4200))
    );

    let session = shop.vault_session(&checkout).await.unwrap();
    let stored = shop.post_card(&session, card::VISA, "123").await.unwrap();
    let token = word(&stored, "payment_method_id").unwrap();
    assert_eq!((stored["storage"].as_str(), stored["customer_id"].as_str()), (Some("short_term"), Some("cus_ada")));
    let paid = shop.confirm(&checkout, with_card(&stored).unwrap()).await.unwrap();
    assert_eq!(paid["status"], "succeeded", "{paid}");
    assert_eq!((paid["amount_received"].as_i64(), paid["amount_capturable"].as_i64()), (Some(4200), Some(0)));
    assert_eq!(
        (paid["payment_method_id"].as_str(), paid["payment_method_status"].as_str()),
        (Some(&*token), Some("active"))
    );
    assert_eq!(paid["connector"], "stripe");
    assert_eq!(moved(&world, &checkout.payment_id).await, moves(&[("authorize", 4200), ("capture", 4200)]));
    is_kept(&world, &token).await;

    let again = shop.begin(999, Some("cus_ada"), json!({})).await.unwrap();
    let saved = shop.saved(&again).await.unwrap();
    assert_eq!(saved.len(), 1);
    assert_eq!(
        (saved[0]["payment_method_id"].as_str(), saved[0]["card"]["last4_digits"].as_str()),
        (Some(&*token), Some("4242"))
    );
    let with = json!({ "payment_token": word(&saved[0], "payment_token").unwrap() });
    let paid = shop.confirm(&again, with).await.unwrap();
    assert_eq!(paid["status"], "succeeded", "{paid}");
    assert_eq!(moved(&world, &again.payment_id).await, moves(&[("authorize", 999), ("capture", 999)]));
}

#[tokio::test]
async fn a_card_inside_confirm_is_kept_only_after_the_money_is_there() {
    let world = World::with_payments().await.unwrap();
    let shop = Shop::of(&world).unwrap();
    let checkout = shop.begin(1500, Some("cus_bob"), json!({})).await.unwrap();
    let card = json!({
        "card_number": card::MASTERCARD, "card_exp_month": "12", "card_exp_year": "2031",
        "card_cvc": "123", "card_holder_name": "Bob",
    });
    let paid = shop.confirm(&checkout, json!({ "payment_method_data": { "card": card } })).await.unwrap();
    assert_eq!(paid["status"], "succeeded", "{paid}");
    let token = word(&paid, "payment_method_id").unwrap();
    is_kept(&world, &token).await;
}

#[tokio::test]
async fn create_and_confirm_in_one_request_pays() {
    let world = World::with_payments().await.unwrap();
    let shop = Shop::of(&world).unwrap();
    let body = json!({
        "amount": 700, "currency": "USD", "confirm": true, "payment_method": "card",
        "authentication_type": "no_three_ds",
        "payment_method_data": { "card": {
            "card_number": card::AMEX, "card_exp_month": "12", "card_exp_year": "2031", "card_cvc": "1234",
        } },
    });
    let paid = shop.server().post("/payments", &body).await.unwrap().expect(200).unwrap();
    assert_eq!(paid["status"], "succeeded", "{paid}");
    assert!(paid["payment_method_id"].is_null(), "a card was kept although nobody asked for it");
    assert_eq!(
        moved(&world, &word(&paid, "payment_id").unwrap()).await,
        moves(&[("authorize", 700), ("capture", 700)])
    );
}

#[tokio::test]
async fn a_card_that_nobody_asked_to_keep_is_shredded_after_the_payment() {
    let world = World::with_payments().await.unwrap();
    let shop = Shop::of(&world).unwrap();
    let checkout = shop.begin(800, None, json!({})).await.unwrap();
    let session = shop.vault_session(&checkout).await.unwrap();
    let stored = shop.post_card(&session, card::VISA, "123").await.unwrap();
    let paid = shop.confirm(&checkout, with_card(&stored).unwrap()).await.unwrap();
    assert_eq!(paid["status"], "succeeded", "{paid}");
    is_gone(&world, &word(&stored, "payment_method_id").unwrap()).await;
}

#[tokio::test]
async fn a_declined_card_is_not_kept_and_moves_no_money() {
    let world = World::with_payments().await.unwrap();
    let shop = Shop::of(&world).unwrap();
    let checkout = shop.begin(5000, Some("cus_ada"), json!({})).await.unwrap();
    let session = shop.vault_session(&checkout).await.unwrap();
    let stored = shop.post_card(&session, card::DECLINED, "123").await.unwrap();
    let refused = shop.confirm(&checkout, with_card(&stored).unwrap()).await.unwrap();
    assert_eq!((refused["status"].as_str(), refused["error_code"].as_str()), (Some("failed"), Some("card_declined")));
    assert!(refused["error_message"].as_str().is_some_and(|words| !words.is_empty()));
    assert_eq!(moved(&world, &checkout.payment_id).await, []);
    is_gone(&world, &word(&stored, "payment_method_id").unwrap()).await;
    let next = shop.begin(100, Some("cus_ada"), json!({})).await.unwrap();
    assert!(shop.saved(&next).await.unwrap().is_empty(), "a declined card is among the saved ones");
}

#[tokio::test]
async fn three_d_secure_is_approved_by_the_customer() {
    let world = World::with_payments().await.unwrap();
    let shop = Shop::of(&world).unwrap();
    let asked = shop.pay_new(12_000, Some("cus_eve"), card::THREE_DS, json!({})).await.unwrap();
    assert_eq!(asked["status"], "requires_customer_action", "{asked}");
    let id = word(&asked, "payment_id").unwrap();
    assert_eq!(moved(&world, &id).await, [], "money moved before the customer approved");
    let back =
        world.psp().unwrap().click(&word(&asked["next_action"], "redirect_to_url").unwrap(), "approve").await.unwrap();
    // The browser comes back to the orchestrator, which asks the PSP and sends it on to the shop.
    let way = world.payments().unwrap().anyone().base().to_owned();
    let path = back.strip_prefix(&way).expect("the browser comes back to the orchestrator");
    let answer = world.payments().unwrap().anyone().get(path).await.unwrap();
    answer.must_be(303).unwrap();
    assert!(answer.header("location").is_some_and(|url| url.starts_with("https://shop.example/thanks")));
    let paid = shop.payment(&id).await.unwrap();
    assert_eq!(paid["status"], "succeeded", "{paid}");
    assert_eq!(moved(&world, &id).await, moves(&[("authorize", 12_000), ("capture", 12_000)]));
    is_kept(&world, &word(&paid, "payment_method_id").unwrap()).await;
}

#[tokio::test]
async fn three_d_secure_that_fails_moves_no_money() {
    let world = World::with_payments().await.unwrap();
    let shop = Shop::of(&world).unwrap();
    let asked = shop.pay_new(12_000, Some("cus_eve"), card::THREE_DS, json!({})).await.unwrap();
    let id = word(&asked, "payment_id").unwrap();
    world.psp().unwrap().click(&word(&asked["next_action"], "redirect_to_url").unwrap(), "fail").await.unwrap();
    let synced = shop.server().get(&format!("/payments/{id}?force_sync=true")).await.unwrap().expect(200).unwrap();
    assert_eq!(synced["status"], "failed", "{synced}");
    assert_eq!(moved(&world, &id).await, []);
}

/// The after-steps of a payment run in the background, durable across crashes; they are there soon.
async fn is_kept(world: &World, token: &str) {
    let release = world.release().await.unwrap();
    let path = format!("/v1/payment_methods/{token}");
    let long = eventually("the card to be kept", Duration::from_secs(20), || async {
        Ok((release.get(&path).await?.expect(200)?["storage"] == "long_term").then_some(()))
    });
    long.await.unwrap();
}

async fn is_gone(world: &World, token: &str) {
    let release = world.release().await.unwrap();
    let path = format!("/v1/payment_methods/{token}");
    let gone = eventually("the card to be shredded", Duration::from_secs(20), || async {
        Ok((release.get(&path).await?.status == 404).then_some(()))
    });
    gone.await.unwrap();
}
