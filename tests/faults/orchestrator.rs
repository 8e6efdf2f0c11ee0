//! A PSP that answers late, wrongly or not at all, and an orchestrator that is killed in between: money moves once, and
//! what a payment says agrees with what the PSP did.

use std::time::Duration;

use serde_json::{Value, json};
use strongroom_tests::harness::{
    Checkout, OrchestratorPlan, Shop, World, WorldPlan, card, eventually, with_card, word,
};

#[tokio::test]
async fn a_charge_whose_answer_is_lost_is_found_and_not_repeated() {
    for fault in ["drop_after", "error_after"] {
        let world = World::with_payments().await.unwrap();
        world.psp().unwrap().arm(fault, "authorize", 1, 0).await.unwrap();
        let shop = Shop::of(&world).unwrap();
        let (checkout, stored) = ready(&shop, 4200).await;
        // The answer may already know the outcome, or say that it is being found out; it may not say that it failed.
        let told = shop.confirm(&checkout, with_card(&stored).unwrap()).await.unwrap();
        assert!(["processing", "succeeded"].contains(&told["status"].as_str().unwrap()), "{fault}: {told}");
        assert_eq!(settled(&shop, &checkout.payment_id).await, "succeeded", "{fault}");
        assert_eq!(
            moved(&world, &checkout.payment_id).await,
            [("authorize".to_owned(), 4200), ("capture".to_owned(), 4200)]
        );
    }
}

#[tokio::test]
async fn a_request_that_the_psp_never_saw_is_made_again_and_charges_once() {
    let world = World::with_payments().await.unwrap();
    world.psp().unwrap().arm("drop_before", "authorize", 1, 0).await.unwrap();
    let shop = Shop::of(&world).unwrap();
    let (checkout, stored) = ready(&shop, 4200).await;
    shop.confirm(&checkout, with_card(&stored).unwrap()).await.unwrap();
    assert_eq!(agrees(&world, &shop, &checkout.payment_id, 4200).await, "succeeded");
}

/// Stripe remembers a 500 for its idempotency key, so asking again with that key never ends the doubt, and asking with
/// another could charge twice. The payment stays in doubt, and nothing but the truth is said of it.
#[tokio::test]
async fn a_fault_that_the_psp_remembers_stays_in_doubt_and_is_never_asked_under_another_key() {
    let world = World::with_payments().await.unwrap();
    world.psp().unwrap().arm("error_before", "authorize", 1, 0).await.unwrap();
    let shop = Shop::of(&world).unwrap();
    let (checkout, stored) = ready(&shop, 4200).await;
    shop.confirm(&checkout, with_card(&stored).unwrap()).await.unwrap();
    // Longer than the orchestrator waits before it makes a call again.
    let watched = std::time::Instant::now();
    while watched.elapsed() < Duration::from_secs(6) {
        let status = word(&shop.payment(&checkout.payment_id).await.unwrap(), "status").unwrap();
        assert!(["processing", "failed"].contains(&status.as_str()), "the payment says {status}");
        assert_eq!(moved(&world, &checkout.payment_id).await, []);
        let again = shop.confirm(&checkout, with_card(&stored).unwrap()).await;
        assert!(
            again.is_err() || again.is_ok_and(|told| told["status"] != "succeeded"),
            "a second charge was let through"
        );
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn a_time_out_after_charging_is_resolved_by_asking() {
    let orchestrator = OrchestratorPlan { psp_total_ms: 1_000, ..OrchestratorPlan::default() };
    let world = World::start(WorldPlan { payments: true, orchestrator, ..WorldPlan::default() }).await.unwrap();
    world.psp().unwrap().arm("slow", "authorize", 1, 3_000).await.unwrap();
    let shop = Shop::of(&world).unwrap();
    let (checkout, stored) = ready(&shop, 4200).await;
    let told = shop.confirm(&checkout, with_card(&stored).unwrap()).await.unwrap();
    assert_eq!(told["status"], "processing", "{told}");
    // While nobody knows, nothing else may be tried.
    let again = shop.confirm(&checkout, with_card(&stored).unwrap()).await;
    assert!(again.is_err() || again.is_ok_and(|told| told["status"] != "failed"));
    assert_eq!(settled(&shop, &checkout.payment_id).await, "succeeded");
    assert_eq!(moved(&world, &checkout.payment_id).await.len(), 2);
}

#[tokio::test]
async fn an_orchestrator_killed_in_the_middle_of_a_charge_finds_it_again() {
    let mut world = World::with_payments().await.unwrap();
    world.psp().unwrap().arm("slow", "authorize", 1, 20_000).await.unwrap();
    let shop = Shop::of(&world).unwrap();
    let (checkout, stored) = ready(&shop, 4200).await;
    let path = format!("/payments/{}/confirm", checkout.payment_id);
    let mut body = with_card(&stored).unwrap();
    body["client_secret"] = json!(checkout.client_secret);
    body["payment_method"] = json!("card");
    let page = shop.page().clone();
    let asked = tokio::spawn(async move { page.post(&path, &body).await });
    let charged = eventually("the charge", Duration::from_secs(20), || async {
        Ok((world.psp()?.ledger_of(&checkout.payment_id).await?.len() == 2).then_some(()))
    });
    charged.await.unwrap();
    let orchestrator = world.orchestrator.as_mut().unwrap();
    orchestrator.process().kill().unwrap();
    assert!(asked.await.unwrap().is_err(), "a killed orchestrator answered");
    orchestrator.restart().await.unwrap();
    let shop = Shop::of(&world).unwrap();
    assert_eq!(settled(&shop, &checkout.payment_id).await, "succeeded");
    assert_eq!(moved(&world, &checkout.payment_id).await.len(), 2, "the charge was repeated");
    // What follows a payment is done too, although the process that took it is gone.
    let token = word(&stored, "payment_method_id").unwrap();
    let release = world.release().await.unwrap();
    let kept = eventually("the card to be kept", Duration::from_secs(20), || async {
        let method = release.get(&format!("/v1/payment_methods/{token}")).await?.expect(200)?;
        Ok((method["storage"] == "long_term").then_some(()))
    });
    kept.await.unwrap();
}

#[tokio::test]
async fn a_capture_and_a_refund_whose_answers_are_lost_are_not_repeated() {
    let world = World::with_payments().await.unwrap();
    let shop = Shop::of(&world).unwrap();
    let held = shop.pay_new(5000, None, card::VISA, json!({ "capture_method": "manual" })).await.unwrap();
    let id = word(&held, "payment_id").unwrap();
    world.psp().unwrap().arm("drop_after", "capture", 1, 0).await.unwrap();
    shop.server().post(&format!("/payments/{id}/capture"), &json!({})).await.unwrap();
    assert_eq!(settled(&shop, &id).await, "succeeded");

    world.psp().unwrap().arm("drop_after", "refund", 1, 0).await.unwrap();
    let refund = json!({ "payment_id": id, "refund_id": "ref_lost_answer", "amount": 700 });
    shop.server().post("/refunds", &refund).await.unwrap();
    // Whoever asks again gets the refund that there is.
    let done = eventually("the refund to be known", Duration::from_secs(30), || async {
        let answer = shop.server().get("/refunds/ref_lost_answer").await?.expect(200)?;
        Ok((answer["status"] == "succeeded").then_some(()))
    });
    done.await.unwrap();
    let kinds: Vec<(String, i64)> = moved(&world, &id).await;
    let expected =
        [("authorize", 5000), ("capture", 5000), ("refund", 700)].map(|(kind, amount)| (kind.to_owned(), amount));
    assert_eq!(kinds, expected);
}

#[tokio::test]
async fn a_vault_that_is_away_stops_a_payment_before_any_money_moves() {
    let mut world = World::with_payments().await.unwrap();
    let shop = Shop::of(&world).unwrap();
    let (checkout, stored) = ready(&shop, 4200).await;
    world.vault.process().kill().unwrap();
    let refused = shop.confirm(&checkout, with_card(&stored).unwrap()).await;
    assert!(refused.is_err() || refused.is_ok_and(|told| told["status"] != "succeeded"));
    assert_eq!(moved(&world, &checkout.payment_id).await, []);
    world.vault.restart().await.unwrap();
    // A CVC lives in the memory of the vault that is gone, so the card is typed again.
    let shop = Shop::of(&world).unwrap();
    let (checkout, stored) = ready(&shop, 4300).await;
    let paid = shop.confirm(&checkout, with_card(&stored).unwrap()).await.unwrap();
    assert_eq!(paid["status"], "succeeded", "{paid}");
}

#[tokio::test]
async fn a_psp_that_is_away_is_a_failure_without_doubt() {
    let mut world = World::with_payments().await.unwrap();
    let shop = Shop::of(&world).unwrap();
    let (checkout, stored) = ready(&shop, 4200).await;
    world.psp.as_mut().unwrap().process().kill().unwrap();
    let answer = shop.confirm(&checkout, with_card(&stored).unwrap()).await;
    let told = shop.payment(&checkout.payment_id).await.unwrap();
    // Nothing was sent, so nothing is in doubt: the payment did not go through, and says so.
    assert_ne!(told["status"], "processing", "{told}");
    assert_ne!(told["status"], "succeeded", "{told}");
    assert!(answer.is_err() || answer.is_ok_and(|told| told["status"] != "succeeded"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kills_and_faults_in_a_storm_of_payments_charge_each_at_most_once() {
    let mut world = World::with_payments().await.unwrap();
    let mut ids = Vec::new();
    for round in 0..ROUNDS {
        let shop = Shop::of(&world).unwrap();
        for (turn, fault) in ["drop_after", "error_after", "drop_before"].iter().enumerate() {
            if turn % 2 == round % 2 || round == 4 {
                world.psp().unwrap().arm(fault, "authorize", 1, 0).await.unwrap();
            }
        }
        let mut asked = Vec::new();
        for turn in 0..PAYMENTS {
            let (checkout, stored) = ready(&shop, 1000 + (round * PAYMENTS + turn) as i64).await;
            ids.push((checkout.payment_id.clone(), 1000 + (round * PAYMENTS + turn) as i64));
            let path = format!("/payments/{}/confirm", checkout.payment_id);
            let mut body = with_card(&stored).unwrap();
            body["client_secret"] = json!(checkout.client_secret);
            body["payment_method"] = json!("card");
            let page = shop.page().clone();
            asked.push(tokio::spawn(async move { page.post(&path, &body).await.map(|answer| answer.status) }));
        }
        // In the middle: some are answered, some are at the PSP, some have not begun.
        let ledger = world.psp().unwrap();
        let before = ledger.ledger().await.unwrap().len();
        let some = eventually("some charges", Duration::from_secs(30), || async {
            let over = asked.iter().filter(|task| task.is_finished()).count();
            Ok((ledger.ledger().await?.len() > before + round || over > PAYMENTS / 2).then_some(()))
        });
        some.await.unwrap();
        let orchestrator = world.orchestrator.as_mut().unwrap();
        orchestrator.process().kill().unwrap();
        for task in asked {
            let _ = task.await.unwrap();
        }
        orchestrator.restart().await.unwrap();
    }
    let shop = Shop::of(&world).unwrap();
    let mut succeeded = 0;
    for (id, amount) in &ids {
        succeeded += usize::from(agrees(&world, &shop, id, *amount).await == "succeeded");
    }
    assert!(succeeded > 0, "no payment of the storm succeeded: it was none");
}

const ROUNDS: usize = 5;
const PAYMENTS: usize = 8;

/// A payment whose card is in the vault and that waits for its confirmation.
async fn ready(shop: &Shop, amount: i64) -> (Checkout, Value) {
    let checkout = shop.begin(amount, Some("cus_ada"), json!({})).await.unwrap();
    let session = shop.vault_session(&checkout).await.unwrap();
    let stored = shop.post_card(&session, card::VISA, "123").await.unwrap();
    (checkout, stored)
}

/// The status once nothing is in doubt any more. The orchestrator finds out by itself; nobody asks it to.
async fn settled(shop: &Shop, id: &str) -> String {
    eventually("the payment to be settled", Duration::from_secs(60), || async {
        let status = word(&shop.payment(id).await?, "status")?;
        Ok((status != "processing").then_some(status))
    })
    .await
    .unwrap()
}

/// What the payment says is what the PSP did: charged once and succeeded, or not charged and not succeeded.
async fn agrees(world: &World, shop: &Shop, id: &str, amount: i64) -> String {
    let status = settled(shop, id).await;
    let moved = moved(world, id).await;
    if status == "succeeded" {
        assert_eq!(moved, [("authorize".to_owned(), amount), ("capture".to_owned(), amount)], "{id} says {status}");
    } else {
        assert_eq!(moved, [], "{id} says {status}");
    }
    status
}

async fn moved(world: &World, id: &str) -> Vec<(String, i64)> {
    let lines = world.psp().unwrap().ledger_of(id).await.unwrap();
    lines.into_iter().map(|line| (line.kind, line.amount)).collect()
}
