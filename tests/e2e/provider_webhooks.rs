//! What the PSP tells by itself: it ends waiting, and doubled, lost, delayed and forged it changes nothing wrongly.

use std::time::Duration;

use serde_json::{Value, json};
use strongroom_tests::harness::{Receiver, Shop, World, card, eventually, word};

use crate::ledger::{moved, moves};
use crate::webhooks::{agree, listening, refund};

/// What the PSP signs its webhooks with in these tests.
const SECRET: &str = "whsec_of_the_psp";

/// A world whose merchant has a receiver, and whose PSP tells the orchestrator what happens. With the path of the account's
/// webhooks.
async fn telling() -> (World, Receiver, String) {
    let (world, receiver) = listening().await;
    let hook = wired(&world).await;
    (world, receiver, hook)
}

/// Has the PSP tell the orchestrator what happens, and answers the path of the account's webhooks.
pub(crate) async fn wired(world: &World) -> String {
    let orchestrator = world.payments().unwrap();
    let path = format!("/account/{}/connectors", orchestrator.merchant.id);
    let accounts = orchestrator.operator().get(&path).await.unwrap().expect(200).unwrap();
    let account = word(&accounts[0], "merchant_connector_id").unwrap();
    let secret = json!({ "connector_webhook_details": { "merchant_secret": SECRET } });
    orchestrator.operator().post(&format!("{path}/{account}"), &secret).await.unwrap().expect(200).unwrap();
    let hook = format!("/webhooks/{}/{account}", orchestrator.merchant.id);
    let aim = json!({
        "provider": "stripe",
        "url": format!("https://localhost:{}{hook}", orchestrator.at().port()),
        "secret": SECRET,
        "ca": std::fs::read_to_string(world.pki.ca()).unwrap(),
    });
    world.psp().unwrap().client().post("/webhooks", &aim).await.unwrap().expect(200).unwrap();
    hook
}

/// Waits until the PSP has nothing more to tell.
async fn told(world: &World) {
    let silence = eventually("the PSP to have told everything", Duration::from_secs(60), || async {
        let webhooks = world.psp()?.client().get("/webhooks").await?.expect(200)?;
        Ok((webhooks["counts"]["waiting"] == 0).then_some(()))
    });
    silence.await.unwrap();
}

pub(crate) async fn dispute(world: &World, payment_id: &str, status: &str) {
    let order = json!({ "payment_id": payment_id, "status": status });
    world.psp().unwrap().client().post("/disputes", &order).await.unwrap().expect(200).unwrap();
}

async fn paid(shop: &Shop, amount: i64, more: Value) -> String {
    word(&shop.pay_new(amount, None, card::VISA, more).await.unwrap(), "payment_id").unwrap()
}

#[tokio::test]
async fn a_payer_who_never_comes_back_from_authentication_has_paid_as_soon_as_the_psp_says_so() {
    let (world, receiver, _) = telling().await;
    let shop = Shop::of(&world).unwrap();
    let more = json!({ "authentication_type": "three_ds" });
    let asked = shop.pay_new(4200, None, card::THREE_DS, more).await.unwrap();
    assert_eq!(asked["status"], "requires_customer_action", "{asked}");
    let id = word(&asked, "payment_id").unwrap();
    let page = word(&asked["next_action"], "redirect_to_url").unwrap();
    world.psp().unwrap().click(&page, "approve").await.unwrap();
    // Sooner than the orchestrator would ask by itself about a payer who is away.
    let succeeded = eventually("the payment", Duration::from_secs(20), || async {
        Ok((shop.payment(&id).await?["status"] == "succeeded").then_some(()))
    });
    succeeded.await.unwrap();
    agree(&shop, &receiver, &id).await;
    assert_eq!(moved(&world, &id).await, moves(&[("authorize", 4200), ("capture", 4200)]));
}

#[tokio::test]
async fn webhooks_doubled_lost_late_and_out_of_order_change_nothing_wrongly() {
    let (world, receiver, _) = telling().await;
    let shop = Shop::of(&world).unwrap();
    let psp = world.psp().unwrap();
    for (fault, times, delay_ms) in [
        ("webhook_delayed", 3, 2_500),
        ("webhook_twice", 3, 0),
        ("webhook_lost", 2, 0),
        ("webhook_delayed", 2, 1_200),
        ("webhook_twice", 20, 0),
    ] {
        psp.arm(fault, "webhook", times, delay_ms).await.unwrap();
    }
    psp.arm("drop_after", "authorize", 1, 0).await.unwrap();
    let doubt = paid(&shop, 9000, json!({})).await;
    let all = paid(&shop, 5000, json!({})).await;
    refund(&shop, &all, "ref_told_1", 700).await;
    psp.arm("drop_after", "refund", 1, 0).await.unwrap();
    refund(&shop, &all, "ref_told_2", 300).await;
    let held = paid(&shop, 6000, json!({ "capture_method": "manual" })).await;
    psp.arm("drop_after", "capture", 1, 0).await.unwrap();
    let part = json!({ "amount_to_capture": 2500 });
    shop.server().post(&format!("/payments/{held}/capture"), &part).await.unwrap();
    let void = paid(&shop, 7000, json!({ "capture_method": "manual" })).await;
    shop.server().post(&format!("/payments/{void}/cancel"), &json!({})).await.unwrap().expect(200).unwrap();
    let no = word(&shop.pay_new(8000, None, card::DECLINED, json!({})).await.unwrap(), "payment_id").unwrap();
    told(&world).await;
    for (id, status, money) in [
        (&doubt, "succeeded", moves(&[("authorize", 9000), ("capture", 9000)])),
        (&all, "succeeded", moves(&[("authorize", 5000), ("capture", 5000), ("refund", 700), ("refund", 300)])),
        (&held, "partially_captured", moves(&[("authorize", 6000), ("capture", 2500)])),
        (&void, "cancelled", moves(&[("authorize", 7000), ("cancel", 7000)])),
        (&no, "failed", moves(&[])),
    ] {
        let payment = agree(&shop, &receiver, id).await;
        assert_eq!(payment["status"], status, "{id}");
        let ledger: Vec<_> = moved(&world, id).await.into_iter().filter(|(kind, _)| kind != "release").collect();
        assert_eq!(ledger, money, "{id}");
    }
    let metrics = world.payments().unwrap().operator().get("/metrics").await.unwrap();
    let counted = |result: &str| metrics.text().contains(&format!("webhooks_in_total{{result=\"{result}\"}}"));
    assert!(counted("asked") && counted("duplicate"), "{}", metrics.text());
    assert!(!counted("refused") && !counted("contradiction"));
    assert_eq!(receiver.forged(), 0);
}

#[tokio::test]
async fn a_dispute_stands_on_its_payment_and_reaches_the_merchant_step_by_step() {
    let (world, receiver, _) = telling().await;
    let shop = Shop::of(&world).unwrap();
    let id = paid(&shop, 5000, json!({})).await;
    told(&world).await;
    for (status, word) in [("opened", "dispute_opened"), ("challenged", "dispute_challenged"), ("lost", "dispute_lost")]
    {
        dispute(&world, &id, status).await;
        let stands = eventually("the dispute on the payment", Duration::from_secs(30), || async {
            Ok((shop.payment(&id).await?["disputes"][0]["dispute_status"] == word).then_some(()))
        });
        stands.await.unwrap();
    }
    let payment = agree(&shop, &receiver, &id).await;
    assert_eq!((&payment["status"], payment["disputes"].as_array().unwrap().len()), (&json!("succeeded"), 1));
    assert_eq!(payment["disputes"][0]["amount"], 5000);
    let events: Vec<_> = receiver.taken().into_iter().map(|event| event["event_type"].clone()).collect();
    assert_eq!(events, ["payment_succeeded", "dispute_opened", "dispute_challenged", "dispute_lost"]);
}

#[tokio::test]
async fn a_forged_webhook_is_refused_like_one_for_an_account_that_does_not_exist() {
    let (world, _, hook) = telling().await;
    let shop = Shop::of(&world).unwrap();
    let id = paid(&shop, 5000, json!({ "capture_method": "manual" })).await;
    told(&world).await;
    let anyone = world.payments().unwrap().anyone();
    let forged = json!({ "id": "evt_forged", "object": "event", "type": "charge.dispute.created" });
    let refused = anyone.clone().with("stripe-signature", "t=1,v1=00").post(&hook, &forged).await.unwrap();
    let nowhere = anyone.post("/webhooks/acme/mca_nowhere", &forged).await.unwrap();
    assert_eq!((refused.status, refused.text()), (401, nowhere.text()));
    assert_eq!(nowhere.status, 401);
    assert_eq!(shop.payment(&id).await.unwrap()["status"], "requires_capture");
}
