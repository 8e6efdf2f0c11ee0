//! Webhooks: the last one that a merchant's receiver took says what its payment is, whatever happened in between.

use std::time::Duration;

use serde_json::{Value, json};
use strongroom_tests::harness::{Receiver, Result, Shop, World, card, eventually, with_card, word};

/// A world whose merchant has a receiver.
pub(crate) async fn listening() -> (World, Receiver) {
    let world = World::with_payments().await.unwrap();
    let receiver = Receiver::start(&world.pki.server("receiver").unwrap()).await.unwrap();
    receiver.subscribe(world.payments().unwrap()).await.unwrap();
    (world, receiver)
}

/// Waits until the receiver's last word about the payment and each of its refunds is what the shop's server is shown.
pub(crate) async fn agree(shop: &Shop, receiver: &Receiver, payment_id: &str) -> Value {
    let told = eventually("the last webhook to say what the payment is", Duration::from_secs(90), || async {
        let payment = shop.payment(payment_id).await?;
        Ok((payment["status"] != "processing" && equal(receiver, &payment)?).then_some(payment))
    });
    told.await.unwrap()
}

fn equal(receiver: &Receiver, payment: &Value) -> Result<bool> {
    let id = word(payment, "payment_id")?;
    let Some(told) = receiver.last_word("payment_details", "payment_id", &id) else { return Ok(false) };
    let same = ["status", "amount", "amount_received", "amount_capturable", "error_code", "captures"];
    let object = &told["content"]["object"];
    let mut equal = same.iter().all(|field| object[*field] == payment[*field]);
    for refund in payment["refunds"].as_array().into_iter().flatten() {
        let told = receiver.last_word("refund_details", "refund_id", &word(refund, "refund_id")?);
        equal &= told.is_some_and(|told| told["content"]["object"]["status"] == refund["status"]);
    }
    for dispute in payment["disputes"].as_array().into_iter().flatten() {
        let told = receiver.last_word("dispute_details", "dispute_id", &word(dispute, "dispute_id")?);
        equal &= told.is_some_and(|told| told["content"]["object"]["dispute_status"] == dispute["dispute_status"]);
    }
    Ok(equal)
}

pub(crate) async fn refund(shop: &Shop, payment_id: &str, refund_id: &str, amount: u64) {
    let body = json!({ "payment_id": payment_id, "refund_id": refund_id, "amount": amount });
    shop.server().post("/refunds", &body).await.unwrap();
}

#[tokio::test]
async fn the_last_webhook_is_the_payment_after_captures_refunds_declines_and_doubts() {
    let (world, receiver) = listening().await;
    let shop = Shop::of(&world).unwrap();
    // A receiver that fails at first gets everything all the same, and in order.
    receiver.refuse(2);
    let manual = json!({ "capture_method": "manual" });
    let paid = word(&shop.pay_new(5000, None, card::VISA, json!({})).await.unwrap(), "payment_id").unwrap();
    refund(&shop, &paid, "ref_hook_1", 700).await;
    refund(&shop, &paid, "ref_hook_2", 300).await;
    let held = word(&shop.pay_new(6000, None, card::VISA, manual.clone()).await.unwrap(), "payment_id").unwrap();
    let part = json!({ "amount_to_capture": 2500 });
    shop.server().post(&format!("/payments/{held}/capture"), &part).await.unwrap().expect(200).unwrap();
    let void = word(&shop.pay_new(7000, None, card::VISA, manual).await.unwrap(), "payment_id").unwrap();
    shop.server().post(&format!("/payments/{void}/cancel"), &json!({})).await.unwrap().expect(200).unwrap();
    let no = word(&shop.pay_new(8000, None, card::DECLINED, json!({})).await.unwrap(), "payment_id").unwrap();
    world.psp().unwrap().arm("drop_after", "authorize", 1, 0).await.unwrap();
    let doubt = word(&shop.pay_new(9000, None, card::VISA, json!({})).await.unwrap(), "payment_id").unwrap();
    for (id, status) in [
        (&paid, "succeeded"),
        (&held, "partially_captured"),
        (&void, "cancelled"),
        (&no, "failed"),
        (&doubt, "succeeded"),
    ] {
        assert_eq!(agree(&shop, &receiver, id).await["status"], status);
    }
    let of = |id: &str| -> Vec<Value> {
        let taken = receiver.taken().into_iter().filter(|event| event["content"]["object"]["payment_id"] == id);
        taken.map(|event| event["event_type"].clone()).collect()
    };
    assert_eq!(of(&paid), ["payment_succeeded", "refund_succeeded", "refund_succeeded"]);
    assert_eq!(of(&held), ["payment_authorized", "payment_captured"]);
    assert_eq!(of(&void), ["payment_authorized", "payment_cancelled"]);
    assert_eq!(receiver.forged(), 0);
    let heard = receiver.heard().concat();
    assert!(!heard.contains(card::VISA) && !heard.contains(card::DECLINED));
}

#[tokio::test]
async fn an_event_outlives_the_orchestrator_that_was_killed_before_it_could_send_it() {
    let (mut world, receiver) = listening().await;
    let shop = Shop::of(&world).unwrap();
    receiver.refuse(usize::MAX);
    let paid = word(&shop.pay_new(5000, None, card::VISA, json!({})).await.unwrap(), "payment_id").unwrap();
    let orchestrator = world.orchestrator.as_mut().unwrap();
    orchestrator.process().kill().unwrap();
    receiver.refuse(0);
    assert!(receiver.taken().is_empty());
    orchestrator.restart().await.unwrap();
    let shop = Shop::of(&world).unwrap();
    assert_eq!(agree(&shop, &receiver, &paid).await["status"], "succeeded");
}

#[tokio::test]
async fn a_receiver_believes_the_new_secret_at_once_and_the_old_one_until_the_overlap_ends() {
    let (world, receiver) = listening().await;
    let shop = Shop::of(&world).unwrap();
    let orchestrator = world.payments().unwrap();
    let path = format!("/accounts/{}/webhook_secret/rotate", orchestrator.merchant.id);
    let rotated = orchestrator.operator().post(&path, &json!({ "overlap_seconds": 3600 })).await.unwrap();
    let new = word(&rotated.expect(200).unwrap(), "webhook_secret").unwrap();
    // The receiver still knows the old one alone.
    let paid = word(&shop.pay_new(1100, None, card::VISA, json!({})).await.unwrap(), "payment_id").unwrap();
    agree(&shop, &receiver, &paid).await;
    receiver.trust(&new);
    let paid = word(&shop.pay_new(1200, None, card::VISA, json!({})).await.unwrap(), "payment_id").unwrap();
    agree(&shop, &receiver, &paid).await;
    assert_eq!(receiver.forged(), 0);
    // Without an overlap the one that the receiver knows signs nothing any more, until it learns the newest.
    let rotated = orchestrator.operator().post(&path, &json!({ "overlap_seconds": 0 })).await.unwrap();
    let newest = word(&rotated.expect(200).unwrap(), "webhook_secret").unwrap();
    let paid = word(&shop.pay_new(1300, None, card::VISA, json!({})).await.unwrap(), "payment_id").unwrap();
    let refused = eventually("a webhook that is not believed", Duration::from_secs(30), || async {
        Ok((receiver.forged() > 0).then_some(()))
    });
    refused.await.unwrap();
    receiver.trust(&newest);
    agree(&shop, &receiver, &paid).await;
}

#[tokio::test]
async fn an_event_is_sent_again_on_demand_with_the_same_words() {
    let (world, receiver) = listening().await;
    let shop = Shop::of(&world).unwrap();
    let checkout = shop.begin(2100, None, json!({})).await.unwrap();
    let session = shop.vault_session(&checkout).await.unwrap();
    let stored = shop.post_card(&session, card::VISA, "123").await.unwrap();
    shop.confirm(&checkout, with_card(&stored).unwrap()).await.unwrap();
    agree(&shop, &receiver, &checkout.payment_id).await;
    let first = receiver.taken().remove(0);
    let id = word(&first, "event_id").unwrap();
    let path = format!("/events/{}/{id}", world.payments().unwrap().merchant.id);
    let delivered = eventually("the delivery to be noted", Duration::from_secs(10), || async {
        Ok((shop.server().get(&path).await?.expect(200)?["delivery_state"] == "delivered").then_some(()))
    });
    delivered.await.unwrap();
    shop.server().post(&format!("{path}/retry"), &json!({})).await.unwrap().expect(200).unwrap();
    let again =
        eventually("the repetition", Duration::from_secs(30), || async { Ok(receiver.taken().get(1).cloned()) });
    assert_eq!(again.await.unwrap(), first);
}
