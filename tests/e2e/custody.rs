//! Custodians open the vault, and what happens to payments while it is closed.

use std::time::Duration;

use reqwest::Method;
use serde_json::json;
use strongroom_tests::harness::{Root, Shop, World, WorldPlan, card, eventually, passphrase_of, with_card, word};

use crate::ledger::{moved, moves};

#[tokio::test]
async fn three_of_five_custodians_open_the_vault_and_payments_work() {
    let plan = WorldPlan { root: Root::Custodians(5, 3), payments: true, ..WorldPlan::default() };
    let mut world = World::start(plan).await.unwrap();
    let paid = Shop::of(&world).unwrap().pay_new(1000, Some("cus_ada"), card::VISA, json!({})).await.unwrap();
    assert_eq!(paid["status"], "succeeded", "{paid}");

    // A restart closes the vault: nobody's disk has the Root.
    world.vault.process().stop().await.unwrap();
    world.vault.restart().await.unwrap();
    let status = world.security().await.unwrap().get("/v1/status").await.unwrap().expect(200).unwrap();
    assert_eq!((status["phase"].as_str(), status["threshold"].as_u64()), (Some("sealed"), Some(3)));

    // Other custodians than the first time, one at a time.
    world.hand_in(5, &passphrase_of(5)).unwrap();
    world.hand_in(2, &passphrase_of(2)).unwrap();
    let status = world.security().await.unwrap().get("/v1/status").await.unwrap().expect(200).unwrap();
    assert_eq!((status["phase"].as_str(), status["shares_given"].as_u64()), (Some("unsealing"), Some(2)));
    let said = world.hand_in(4, &passphrase_of(4)).unwrap();
    assert!(said.contains("unsealed"), "{said}");

    let shop = Shop::of(&world).unwrap();
    let again = shop.begin(500, Some("cus_ada"), json!({})).await.unwrap();
    let saved = shop.saved(&again).await.unwrap();
    let paid =
        shop.confirm(&again, json!({ "payment_token": word(&saved[0], "payment_token").unwrap() })).await.unwrap();
    assert_eq!(paid["status"], "succeeded", "{paid}");
}

#[tokio::test]
async fn a_sealed_vault_stops_payments_before_any_money_moves() {
    let plan = WorldPlan { root: Root::Custodians(3, 2), payments: true, ..WorldPlan::default() };
    let world = World::start(plan).await.unwrap();
    let shop = Shop::of(&world).unwrap();
    let checkout = shop.begin(1000, None, json!({})).await.unwrap();
    let session = shop.vault_session(&checkout).await.unwrap();
    let stored = shop.post_card(&session, card::VISA, "123").await.unwrap();
    let security = world.security().await.unwrap();
    security.send(Method::POST, "/v1/seal", None, &[]).await.unwrap().must_be(200).unwrap();

    let refused = shop.confirm(&checkout, with_card(&stored).unwrap()).await;
    assert!(refused.is_err(), "a payment went through without its vault");
    assert_eq!(moved(&world, &checkout.payment_id).await, []);

    for number in [3, 1] {
        world.hand_in(number, &passphrase_of(number)).unwrap();
    }
    // Sealing forgot the key of the CVC, so the card is asked for again.
    let session = shop.vault_session(&checkout).await.unwrap();
    let stored = shop.post_card(&session, card::VISA, "123").await.unwrap();
    let paid = shop.confirm(&checkout, with_card(&stored).unwrap()).await.unwrap();
    assert_eq!(paid["status"], "succeeded", "{paid}");
    assert_eq!(moved(&world, &checkout.payment_id).await, moves(&[("authorize", 1000), ("capture", 1000)]));
}

#[tokio::test]
async fn wrong_shares_are_refused_and_open_nothing() {
    let plan = WorldPlan { root: Root::Custodians(3, 2), ..WorldPlan::default() };
    let world = World::start(plan).await.unwrap();
    let refused =
        |number, passphrase: &str| world.hand_in(number, passphrase).expect_err("a wrong share was taken").to_string();
    refused(1, "correct horse battery stable 1");
    world.hand_in(1, &passphrase_of(1)).unwrap();
    refused(1, &passphrase_of(1));
    // The same person with somebody else's share is still one person.
    let first = world.credentials("custodian", "c1").unwrap();
    world.hand_in_as(&first, 2, &passphrase_of(2)).expect_err("one person handed in two shares");
    // An officer who is no custodian.
    let officer = world.credentials("security", "alice").unwrap();
    world.hand_in_as(&officer, 2, &passphrase_of(2)).expect_err("an officer handed in a share");
    let status = world.security().await.unwrap().get("/v1/status").await.unwrap().expect(200).unwrap();
    assert_ne!(status["phase"], "unsealed");
    // None of it stands in the way of the right ones.
    world.hand_in(2, &passphrase_of(2)).unwrap();
    let status = world.security().await.unwrap().get("/v1/status").await.unwrap().expect(200).unwrap();
    assert_eq!(status["phase"], "unsealed");
}

#[tokio::test]
async fn a_share_without_an_entry_is_not_in() {
    let plan = WorldPlan { root: Root::Custodians(3, 2), ..WorldPlan::default() };
    let world = World::start(plan).await.unwrap();
    let phase = async || {
        let status = world.security().await.unwrap().get("/v1/status").await.unwrap().expect(200).unwrap();
        (status["phase"].as_str().unwrap().to_owned(), status["shares_given"].as_u64().unwrap())
    };
    // The duty is acknowledged with the first share, which is forgotten again.
    world.hand_in(1, &passphrase_of(1)).unwrap();
    let first = world.vault.admin(&world.pki, &world.credentials("custodian", "c1").unwrap()).unwrap();
    first.send(Method::DELETE, "/v1/unseal", None, &[]).await.unwrap().must_be(200).unwrap();
    // Somebody else holds the log's file: vaultd can read it and not write.
    let mut other = rusqlite::Connection::open(world.vault.audit_file()).unwrap();
    let held = other.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate).unwrap();
    world.hand_in(1, &passphrase_of(1)).expect_err("a share was taken without an entry");
    drop(held);
    eventually("the log to heal", Duration::from_secs(20), || async {
        Ok(first.get("/v1/status").await?.must_be(200).is_ok().then_some(()))
    })
    .await
    .unwrap();
    assert_eq!(phase().await, ("sealed".to_owned(), 0));
    world.hand_in(2, &passphrase_of(2)).unwrap();
    assert_eq!(phase().await, ("unsealing".to_owned(), 1));
    // Asked again, as the refusal said, it is taken.
    world.hand_in(1, &passphrase_of(1)).unwrap();
    assert_eq!(phase().await.0, "unsealed");
}

#[tokio::test]
async fn a_share_of_another_vault_is_refused() {
    let plan = || WorldPlan { root: Root::Custodians(3, 2), ..WorldPlan::default() };
    let (world, foreign) = (World::start(plan()).await.unwrap(), World::start(plan()).await.unwrap());
    let share = |world: &World| world.path().join("root/share-1.json");
    std::fs::copy(share(&foreign), share(&world)).unwrap();
    world.hand_in(1, &passphrase_of(1)).expect_err("a share of another vault was taken");
}
