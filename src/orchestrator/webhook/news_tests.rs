//! The merchant is told of every change, once, and the last word is the payment's state.

use serde_json::Value;

use super::EventType;
use crate::connector::{DisputeStage, DisputeStatus};
use crate::intent::rig::{AUTHENTICATE, DECLINED, FULL, GOOD, Rig, Trouble, card, new_payment};
use crate::intent::{CapturePlan, Dispute, NewRefund, Payment};
use crate::store::{Effects, OutboxEvent, StoreError, Version};

/// What the merchant was told about the rig's payment, oldest first.
async fn told(rig: &Rig) -> Vec<OutboxEvent> {
    let mut events = rig.store.outbox_events(&rig.merchant, Some("pay_1"), None, 100).await.unwrap();
    events.reverse();
    events
}

async fn types(rig: &Rig) -> Vec<String> {
    told(rig).await.into_iter().map(|event| event.event_type).collect()
}

/// The last event about the payment itself says what the store says.
async fn last_word_is_the_state(rig: &Rig) {
    let (payment, _) = rig.engine.payment(&rig.merchant, "pay_1").await.unwrap();
    let bodies = told(rig).await.into_iter().map(|event| serde_json::from_str::<Value>(&event.body).unwrap());
    let last = bodies.filter(|body| body["content"]["type"] == "payment_details").last().unwrap();
    assert_eq!(last["content"]["object"]["status"], payment.state.word());
    assert_eq!(last["content"]["object"]["amount_capturable"], payment.capturable_minor());
    assert_eq!(last["content"]["object"]["amount_received"].as_u64().unwrap_or(0), payment.captured_minor);
}

async fn pay(rig: &Rig, number: &str, capture: CapturePlan) -> Payment {
    let new = new_payment(|terms| terms.capture = capture);
    rig.engine.create(&rig.merchant, new, card(number), true).await.unwrap()
}

async fn refund(rig: &Rig, id: &str, amount_minor: u64) {
    let new = NewRefund {
        payment_id: "pay_1".into(),
        refund_id: Some(id.into()),
        amount_minor: Some(amount_minor),
        reason: None,
        metadata: Default::default(),
    };
    rig.engine.refund(&rig.merchant, new).await.unwrap();
}

#[tokio::test]
async fn success_and_refunds_are_told_once_with_the_objects_of_the_api() {
    let rig = Rig::new().await;
    pay(&rig, GOOD, CapturePlan::Automatic).await;
    refund(&rig, "ref_1", 300).await;
    refund(&rig, "ref_2", 200).await;
    rig.engine.round(true).await;
    assert_eq!(types(&rig).await, ["payment_succeeded", "refund_succeeded", "refund_succeeded"]);
    last_word_is_the_state(&rig).await;
    let events = told(&rig).await;
    let bodies: Vec<Value> = events.iter().map(|event| serde_json::from_str(&event.body).unwrap()).collect();
    assert_eq!(bodies[0]["merchant_id"], "shop");
    assert_eq!(bodies[0]["event_id"], events[0].event_id);
    assert_eq!(bodies[0]["timestamp"], "2027-01-15T08:00:00.000Z");
    assert_eq!(bodies[0]["content"]["object"]["payment_id"], "pay_1");
    assert_eq!(bodies[2]["content"]["type"], "refund_details");
    assert_eq!(bodies[2]["content"]["object"]["refund_id"], "ref_2");
    assert!(!events[0].body.contains(GOOD));
}

#[tokio::test]
async fn decline_authentication_cancellation_and_capture_are_told() {
    let rig = Rig::new().await;
    pay(&rig, DECLINED, CapturePlan::Automatic).await;
    assert_eq!(types(&rig).await, ["payment_failed"]);
    last_word_is_the_state(&rig).await;

    let rig = Rig::new().await;
    let payment = pay(&rig, AUTHENTICATE, CapturePlan::Automatic).await;
    assert_eq!(types(&rig).await, ["action_required"]);
    rig.psp.state.lock().unwrap().authenticate(payment.attempts[0].psp_id.as_deref().unwrap());
    rig.engine.come_back(&rig.merchant, "pay_1").await.unwrap();
    assert_eq!(types(&rig).await, ["action_required", "payment_succeeded"]);
    last_word_is_the_state(&rig).await;

    let rig = Rig::new().await;
    pay(&rig, GOOD, CapturePlan::Manual).await;
    rig.engine.cancel(&rig.merchant, "pay_1", None).await.unwrap();
    assert_eq!(types(&rig).await, ["payment_authorized", "payment_cancelled"]);
    last_word_is_the_state(&rig).await;

    let rig = Rig::new().await;
    pay(&rig, GOOD, CapturePlan::Manual).await;
    rig.engine.capture(&rig.merchant, "pay_1", Some(400)).await.unwrap();
    assert_eq!(types(&rig).await, ["payment_authorized", "payment_captured"]);
    last_word_is_the_state(&rig).await;
}

#[tokio::test]
async fn payment_before_its_confirm_and_a_call_that_runs_are_no_news() {
    let rig = Rig::new().await;
    rig.engine.create(&rig.merchant, new_payment(|_| {}), None, false).await.unwrap();
    assert!(types(&rig).await.is_empty());
    rig.trouble("/pay", Trouble::Hang);
    let confirm =
        rig.engine.update(&rig.merchant, "pay_1", crate::intent::Asker::Merchant, |_| Ok(()), card(GOOD), true);
    tokio::select! {
        _ = confirm => panic!("the provider hangs"),
        () = rig.met() => {}
    }
    assert!(types(&rig).await.is_empty(), "the call runs and may end at once");
}

#[tokio::test]
async fn doubt_is_told_once_however_often_it_is_looked_at_and_then_its_end() {
    let rig = Rig::new().await;
    rig.trouble("/pay", Trouble::LostAnswer);
    pay(&rig, GOOD, CapturePlan::Automatic).await;
    assert_eq!(types(&rig).await, ["payment_processing"]);
    for _ in 0..3 {
        rig.clock.advance(400_000);
        rig.trouble("/find", Trouble::LostAnswer);
        rig.engine.round(false).await;
    }
    assert_eq!(types(&rig).await, ["payment_processing"]);
    last_word_is_the_state(&rig).await;
    rig.clock.advance(400_000);
    rig.engine.round(false).await;
    assert_eq!(types(&rig).await, ["payment_processing", "payment_succeeded"]);
    last_word_is_the_state(&rig).await;
}

#[tokio::test]
async fn each_further_capture_and_each_raise_is_news_of_its_own() {
    let rig = Rig::at(FULL).await;
    let mut payment = pay(&rig, GOOD, CapturePlan::ManualMultiple).await;
    let (_, mut version) = rig.engine.payment(&rig.merchant, "pay_1").await.unwrap();
    payment.state = crate::intent::State::PartiallyCapturedAndCapturable;
    for taken in [100, 250, 250, 600] {
        payment.captured_minor = taken;
        version = rig.engine.save(&mut payment, version, &Effects::default()).await.unwrap();
    }
    let captured = types(&rig).await.into_iter().filter(|kind| kind == "payment_captured").count();
    assert_eq!(captured, 3);
    last_word_is_the_state(&rig).await;
    payment.state = crate::intent::State::PartiallyCaptured;
    version = rig.engine.save(&mut payment, version, &Effects::default()).await.unwrap();
    assert_eq!(types(&rig).await.last().unwrap(), "payment_captured", "the rest was released");
    let before = types(&rig).await.len();
    payment.terms.amount_minor = 2000;
    rig.engine.save(&mut payment, version, &Effects::default()).await.unwrap();
    assert_eq!(types(&rig).await.len(), before + 1);
}

#[tokio::test]
async fn dispute_is_told_at_each_step_with_its_stage() {
    let rig = Rig::new().await;
    let mut payment = pay(&rig, GOOD, CapturePlan::Automatic).await;
    let (_, mut version) = rig.engine.payment(&rig.merchant, "pay_1").await.unwrap();
    payment.disputes.push(Dispute {
        dispute_id: "dp_1".into(),
        stage: DisputeStage::Dispute,
        status: DisputeStatus::Opened,
        amount_minor: Some(1000),
        reason: Some("10.4".into()),
        evidence_due_ms: None,
        created_ms: 0,
        modified_ms: 0,
        told: None,
    });
    for (stage, status) in [
        (DisputeStage::Dispute, DisputeStatus::Opened),
        (DisputeStage::Dispute, DisputeStatus::Opened),
        (DisputeStage::Dispute, DisputeStatus::Won),
        (DisputeStage::PreArbitration, DisputeStatus::Opened),
        (DisputeStage::PreArbitration, DisputeStatus::Lost),
    ] {
        (payment.disputes[0].stage, payment.disputes[0].status) = (stage, status);
        version = rig.engine.save(&mut payment, version, &Effects::default()).await.unwrap();
    }
    assert_eq!(types(&rig).await[1..], ["dispute_opened", "dispute_won", "dispute_opened", "dispute_lost"]);
    let last: Value = serde_json::from_str(&told(&rig).await.last().unwrap().body).unwrap();
    assert_eq!(last["content"]["type"], "dispute_details");
    assert_eq!(last["content"]["object"]["dispute_stage"], "pre_arbitration");
    assert_eq!(last["content"]["object"]["dispute_status"], "dispute_lost");
}

#[tokio::test]
async fn change_that_was_not_stored_is_not_told() {
    let rig = Rig::new().await;
    let mut payment = pay(&rig, GOOD, CapturePlan::Manual).await;
    payment.captured_minor = 5;
    let before = payment.clone();
    assert_eq!(rig.engine.save(&mut payment, Version(1), &Effects::default()).await, Err(StoreError::Conflict));
    assert_eq!(payment, before);
    assert_eq!(types(&rig).await, ["payment_authorized"]);
}

#[test]
fn words_lead_back_to_their_types() {
    for kind in EventType::ALL {
        assert_eq!(EventType::of_word(kind.word()), Some(kind));
    }
    assert_eq!(EventType::of_word("payment_lost"), None);
}
