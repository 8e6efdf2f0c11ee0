//! What may be tried again and what may not: captures that were not sent, refunds that run beside each other or fail later,
//! cards of a former customer, cards that are gone before they could be kept.

use super::rig::{AUTHENTICATE, GOOD, Rig, Trouble, card, new_payment};
use super::{Asker, CapturePlan, CvcInput, Fault, FutureUsage, MethodInput, NewRefund, RefundStatus, State};

fn refund(id: &str, amount_minor: u64) -> NewRefund {
    NewRefund {
        payment_id: "pay_1".into(),
        refund_id: Some(id.into()),
        amount_minor: Some(amount_minor),
        reason: None,
        metadata: serde_json::Map::new(),
    }
}

#[tokio::test]
async fn capture_or_cancellation_that_was_not_sent_can_be_asked_for_again() {
    for path in ["/capture", "/cancel"] {
        let rig = Rig::new().await;
        rig.engine
            .create(&rig.merchant, new_payment(|t| t.capture = CapturePlan::Manual), card(GOOD), true)
            .await
            .unwrap();
        rig.trouble(path, Trouble::Unreachable);
        let again = async || match path {
            "/capture" => rig.engine.capture(&rig.merchant, "pay_1", None).await,
            _ => rig.engine.cancel(&rig.merchant, "pay_1", None).await,
        };
        assert_eq!(again().await.unwrap_err(), Fault::ProviderUnreachable);
        let (payment, _) = rig.engine.payment(&rig.merchant, "pay_1").await.unwrap();
        assert_eq!(payment.state, State::RequiresCapture);
        assert!(matches!(again().await.unwrap().state, State::Succeeded | State::Cancelled));
    }
}

#[tokio::test]
async fn fault_that_the_provider_repeats_does_not_hold_a_reservation_for_a_day() {
    for (path, expected) in [("/capture", State::Succeeded), ("/cancel", State::Cancelled)] {
        let rig = Rig::new().await;
        rig.engine
            .create(&rig.merchant, new_payment(|t| t.capture = CapturePlan::Manual), card(GOOD), true)
            .await
            .unwrap();
        rig.trouble(path, Trouble::Fault);
        let payment = match path {
            "/capture" => rig.engine.capture(&rig.merchant, "pay_1", None).await.unwrap(),
            _ => rig.engine.cancel(&rig.merchant, "pay_1", None).await.unwrap(),
        };
        assert_eq!(payment.state, State::Processing);
        rig.clock.advance(10_000);
        let payment = rig.engine.resolve(&rig.merchant, "pay_1", true).await.unwrap();
        assert_eq!(payment.state, expected);
        assert!(rig.psp.state.lock().unwrap().captures <= 1);
    }
}

#[tokio::test]
async fn fault_that_the_provider_repeats_never_makes_a_second_charge() {
    let rig = Rig::new().await;
    rig.trouble("/pay", Trouble::Fault);
    rig.engine.create(&rig.merchant, new_payment(|_| {}), card(GOOD), true).await.unwrap();
    rig.clock.advance(10_000);
    for _ in 0..4 {
        let payment = rig.engine.resolve(&rig.merchant, "pay_1", true).await.unwrap();
        assert_eq!(payment.state, State::Processing, "a charge may only be repeated under its own key");
    }
    assert_eq!(rig.charges(), 0);
}

#[tokio::test]
async fn refunds_beside_each_other_say_what_became_of_each() {
    let rig = Rig::new().await;
    rig.engine.create(&rig.merchant, new_payment(|_| {}), card(GOOD), true).await.unwrap();
    let tasks: Vec<_> = (0..8)
        .map(|n| {
            let (engine, merchant) = (rig.engine.clone(), rig.merchant.clone());
            tokio::spawn(
                async move { engine.refund(&merchant, refund(&format!("ref_{n}"), 100)).await.map(|_| 100u64) },
            )
        })
        .collect();
    let mut told = 0;
    for task in tasks {
        match task.await.unwrap() {
            Ok(amount) => told += amount,
            Err(fault) => assert_eq!(fault, Fault::Busy),
        }
    }
    assert_eq!(rig.psp.state.lock().unwrap().refunds, told, "money went back that nobody was told of");
    let (payment, _) = rig.engine.payment(&rig.merchant, "pay_1").await.unwrap();
    assert!(payment.refunds.iter().all(|r| r.status == RefundStatus::Succeeded));
}

#[tokio::test]
async fn refund_that_fails_at_the_provider_later_frees_its_amount() {
    let rig = Rig::new().await;
    rig.engine.create(&rig.merchant, new_payment(|_| {}), card(GOOD), true).await.unwrap();
    rig.trouble("/refund", Trouble::LostAnswer);
    rig.engine.refund(&rig.merchant, refund("ref_1", 1000)).await.unwrap();
    for (word, expected) in [("pending", RefundStatus::Pending), ("failed", RefundStatus::Failed)] {
        rig.psp.state.lock().unwrap().set_refund("ref_1", word);
        let payment = rig.engine.resolve(&rig.merchant, "pay_1", true).await.unwrap();
        assert_eq!(payment.refunds[0].status, expected);
    }
    let (payment, _) = rig.engine.refund(&rig.merchant, refund("ref_2", 1000)).await.unwrap();
    assert_eq!(payment.refunds[1].status, RefundStatus::Succeeded);
}

#[tokio::test]
async fn chosen_card_does_not_go_to_another_customer() {
    let rig = Rig::new().await;
    let saving = new_payment(|t| {
        t.customer_id = Some("cus_1".parse().unwrap());
        t.setup_future_usage = Some(FutureUsage::OnSession);
    });
    let token = rig.engine.create(&rig.merchant, saving, card(GOOD), true).await.unwrap().method.unwrap().token;
    let mut chosen = new_payment(|t| t.customer_id = Some("cus_1".parse().unwrap()));
    chosen.payment_id = Some("pay_2".into());
    let method = MethodInput::Stored(token, CvcInput::None);
    rig.engine.create(&rig.merchant, chosen, Some(method), false).await.unwrap();
    for confirm in [false, true] {
        let change = |terms: &mut super::Terms| {
            terms.customer_id = Some("cus_2".parse().unwrap());
            Ok(())
        };
        let refused = rig.engine.update(&rig.merchant, "pay_2", Asker::Merchant, change, None, confirm).await;
        assert!(matches!(refused, Err(Fault::Precondition(_))));
    }
    assert_eq!(rig.charges(), 1);
}

#[tokio::test]
async fn payment_names_no_card_that_was_gone_before_it_could_be_kept() {
    let rig = Rig::new().await;
    let saving = new_payment(|t| {
        t.customer_id = Some("cus_1".parse().unwrap());
        t.setup_future_usage = Some(FutureUsage::OnSession);
    });
    rig.engine.create(&rig.merchant, saving, card(AUTHENTICATE), true).await.unwrap();
    rig.vault.state.lock().unwrap().cards.clear();
    rig.psp.state.lock().unwrap().authenticate("ps_0");
    rig.engine.resolve(&rig.merchant, "pay_1", true).await.unwrap();
    let (payment, _) = rig.engine.payment(&rig.merchant, "pay_1").await.unwrap();
    assert_eq!((payment.state, payment.method.unwrap().kept), (State::Succeeded, false));
}
