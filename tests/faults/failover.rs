//! Two accounts of one merchant, one of which fails: the payment goes on where nothing was taken, stops where something may
//! have been, and the PSP's ledger shows each payment once.

use std::net::TcpListener;
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use strongroom_tests::harness::{OrchestratorPlan, Shop, World, WorldPlan, card, eventually, with_card, word};

#[tokio::test]
async fn an_account_that_cannot_be_reached_gives_way_to_the_next() {
    let world = two_accounts().await;
    prefer(&world, &["away", "here"]).await;
    let shop = Shop::of(&world).unwrap();
    let paid = shop.pay_new(4200, None, card::VISA, json!({})).await.unwrap();
    assert_eq!(paid["status"], "succeeded", "{paid}");
    assert_eq!(attempts(&paid), [("connector_unreachable".to_owned(), "failure".to_owned()), charged()]);
    assert_eq!(moved(&world, &paid).await, once(4200));
    // An account that fails each time is soon passed over.
    for _ in 0..4 {
        shop.pay_new(4200, None, card::VISA, json!({})).await.unwrap();
    }
    let paid = shop.pay_new(4300, None, card::VISA, json!({})).await.unwrap();
    assert_eq!(attempts(&paid), [charged()], "the account that is away rests");
    assert_eq!(moved(&world, &paid).await, once(4300));
}

#[tokio::test]
async fn a_soft_decline_is_followed_by_the_next_account_which_gets_the_cvc_too() {
    let world = two_accounts().await;
    prefer(&world, &["here", "stripe_default"]).await;
    world.psp().unwrap().arm("decline", "authorize", 1, 0).await.unwrap();
    let shop = Shop::of(&world).unwrap();
    let paid = shop.pay_new(4200, None, card::VISA, json!({})).await.unwrap();
    assert_eq!(paid["status"], "succeeded", "{paid}");
    assert_eq!(attempts(&paid), [("card_declined".to_owned(), "failure".to_owned()), charged()]);
    assert_eq!(moved(&world, &paid).await, once(4200));
    // The vault opens a sealed CVC once; the second account's charge was checked with it nevertheless.
    let id = word(&paid, "connector_transaction_id").unwrap();
    let path = format!("/v1/payment_intents/{id}?expand[]=latest_charge");
    let intent = world.psp().unwrap().client().get(&path).await.unwrap().expect(200).unwrap();
    let checks = &intent["latest_charge"]["payment_method_details"]["card"]["checks"];
    assert_eq!(checks["cvc_check"], "pass", "{intent}");
}

#[tokio::test]
async fn a_hard_decline_stops_at_the_first_account() {
    let world = two_accounts().await;
    prefer(&world, &["here", "stripe_default"]).await;
    let shop = Shop::of(&world).unwrap();
    // Published numbers: declined for insufficient funds (soft, at both), as lost (never to be tried again), as expired.
    for (number, tried) in [("4000000000009995", 2), ("4000000000009987", 1), ("4000000000000069", 1)] {
        let failed = shop.pay_new(4200, None, number, json!({})).await.unwrap();
        assert_eq!((&failed["status"], attempts(&failed).len()), (&json!("failed"), tried), "{failed}");
        assert_eq!(moved(&world, &failed).await, []);
    }
}

#[tokio::test]
async fn doubt_stops_at_the_first_account_until_the_psp_has_told() {
    for fault in ["drop_after", "error_after", "drop_before"] {
        let world = two_accounts().await;
        prefer(&world, &["here", "stripe_default"]).await;
        world.psp().unwrap().arm(fault, "authorize", 1, 0).await.unwrap();
        let shop = Shop::of(&world).unwrap();
        let told = shop.pay_new(4200, None, card::VISA, json!({})).await.unwrap();
        let paid = settled(&shop, &told).await;
        assert_eq!(paid["status"], "succeeded", "{fault}: {paid}");
        assert_eq!(attempts(&paid), [charged()], "{fault}");
        assert_eq!(moved(&world, &paid).await, once(4200), "{fault}");
    }
}

#[tokio::test]
async fn an_orchestrator_killed_in_the_second_attempt_finds_it_and_charges_once() {
    let mut world = two_accounts().await;
    prefer(&world, &["here", "stripe_default"]).await;
    let psp = world.psp().unwrap();
    psp.arm("decline", "authorize", 1, 0).await.unwrap();
    psp.arm("slow", "authorize", 1, 20_000).await.unwrap();
    let shop = Shop::of(&world).unwrap();
    let checkout = shop.begin(4200, Some("cus_ada"), json!({})).await.unwrap();
    let session = shop.vault_session(&checkout).await.unwrap();
    let stored = shop.post_card(&session, card::VISA, "123").await.unwrap();
    let mut body = with_card(&stored).unwrap();
    body["client_secret"] = json!(checkout.client_secret);
    body["payment_method"] = json!("card");
    let (page, path) = (shop.page().clone(), format!("/payments/{}/confirm", checkout.payment_id));
    let asked = tokio::spawn(async move { page.post(&path, &body).await });
    let reached = eventually("the second charge", Duration::from_secs(30), || async {
        Ok((world.psp()?.ledger_of(&checkout.payment_id).await?.len() == 2).then_some(()))
    });
    reached.await.unwrap();
    let orchestrator = world.orchestrator.as_mut().unwrap();
    orchestrator.process().kill().unwrap();
    assert!(asked.await.unwrap().is_err(), "a killed orchestrator answered");
    orchestrator.restart().await.unwrap();
    let shop = Shop::of(&world).unwrap();
    let paid = settled(&shop, &json!({ "payment_id": checkout.payment_id })).await;
    assert_eq!(paid["status"], "succeeded", "{paid}");
    assert_eq!(attempts(&paid), [("card_declined".to_owned(), "failure".to_owned()), charged()]);
    assert_eq!(moved(&world, &paid).await, once(4200));
}

#[tokio::test]
async fn wrong_keys_and_unknown_destinations_are_told_when_an_account_is_saved() {
    let world = World::with_payments().await.unwrap();
    let operator = world.payments().unwrap().operator();
    for (field, value) in [
        ("connector_account_details", json!({ "auth_type": "HeaderKey", "api_key": "sk_test_of_somebody_else" })),
        ("destination", json!("stripe-nowhere")),
        ("destination", json!("adyen")),
    ] {
        let mut body = account("second");
        body[field] = value;
        let refused = operator.post(CONNECTORS, &body).await.unwrap();
        assert_eq!((refused.status, &refused.json().unwrap()["error"]["code"]), (400, &json!("IR_06")), "{field}");
    }
    let mut good = account("second");
    let made = operator.post(CONNECTORS, &good).await.unwrap().expect(200).unwrap();
    assert_eq!(made["verification"], "accepted", "{made}");
    // The same keys once more, as a rotation: the next payment already runs under them.
    good = json!({ "connector_account_details": good["connector_account_details"] });
    let path = format!("{CONNECTORS}/{}", word(&made, "merchant_connector_id").unwrap());
    let rotated = operator.post(&path, &good).await.unwrap().expect(200).unwrap();
    assert!(rotated["rotated_at"].is_string(), "{rotated}");
    prefer(&world, &["second"]).await;
    let shop = Shop::of(&world).unwrap();
    let paid = shop.pay_new(4200, None, card::VISA, json!({})).await.unwrap();
    assert_eq!(
        (&paid["status"], &paid["merchant_connector_id"]),
        (&json!("succeeded"), &made["merchant_connector_id"])
    );
}

/// Beside the account that every test merchant has: one at the simulator and one at an address where nobody listens.
async fn two_accounts() -> World {
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let more = format!("\n[psp.stripe-away]\nbase_url = \"https://localhost:{}\"\n", nobody.port());
    let orchestrator = OrchestratorPlan { more, ..OrchestratorPlan::default() };
    let world = World::start(WorldPlan { payments: true, orchestrator, ..WorldPlan::default() }).await.unwrap();
    let operator = world.payments().unwrap().operator();
    operator.post(CONNECTORS, &account("here")).await.unwrap().expect(200).unwrap();
    let mut away = account("away");
    away["destination"] = json!("stripe-away");
    let made = operator.post(CONNECTORS, &away).await.unwrap().expect(200).unwrap();
    assert_eq!(made["verification"], "unknown", "nobody can say that these keys are wrong: {made}");
    world
}

fn account(label: &str) -> Value {
    json!({
        "connector_type": "payment_processor",
        "connector_name": "stripe",
        "connector_label": label,
        "connector_account_details": { "auth_type": "HeaderKey", "api_key": "sk_test_strongroom_harness" },
    })
}

async fn prefer(world: &World, labels: &[&str]) {
    let rules = json!({ "fallback": labels });
    let operator = world.payments().unwrap().operator();
    let answer = operator.send(Method::PUT, "/account/acme/routing", Some(&rules), &[]).await.unwrap();
    answer.must_be(200).unwrap();
}

/// Error code and status of each attempt.
fn attempts(payment: &Value) -> Vec<(String, String)> {
    let all = payment["attempts"].as_array().unwrap();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    all.iter().map(|one| (text(&one["error_code"]), text(&one["status"]))).collect()
}

fn charged() -> (String, String) {
    (String::new(), "charged".to_owned())
}

async fn settled(shop: &Shop, payment: &Value) -> Value {
    let id = word(payment, "payment_id").unwrap();
    eventually("the payment to be settled", Duration::from_secs(60), || async {
        let payment = shop.payment(&id).await?;
        Ok((payment["status"] != "processing").then_some(payment))
    })
    .await
    .unwrap()
}

async fn moved(world: &World, payment: &Value) -> Vec<(String, i64)> {
    let lines = world.psp().unwrap().ledger_of(&word(payment, "payment_id").unwrap()).await.unwrap();
    lines.into_iter().map(|line| (line.kind, line.amount)).collect()
}

fn once(amount: i64) -> [(String, i64); 2] {
    [("authorize".to_owned(), amount), ("capture".to_owned(), amount)]
}

const CONNECTORS: &str = "/account/acme/connectors";
