//! The engine against a provider that loses requests and answers, and against crashes: money moves once or not at all.

use super::rig::{AUTHENTICATE, DECLINED, GOOD, Rig, Trouble, card, new_payment};
use super::{Asker, CapturePlan, Fault, FutureUsage, MethodInput, NewRefund, Payment, RefundStatus, State, Terms};
use strongroom_wire::payment_method::Storage;

async fn pay(rig: &Rig, number: &str, change: impl FnOnce(&mut Terms)) -> Payment {
    rig.engine.create(&rig.merchant, new_payment(change), card(number), true).await.unwrap()
}

fn saving(terms: &mut Terms) {
    terms.customer_id = Some("cus_1".parse().unwrap());
    terms.setup_future_usage = Some(FutureUsage::OffSession);
}

fn refund(id: &str, amount_minor: Option<u64>) -> NewRefund {
    NewRefund {
        payment_id: "pay_1".into(),
        refund_id: Some(id.into()),
        amount_minor,
        reason: None,
        metadata: serde_json::Map::new(),
    }
}

#[tokio::test]
async fn card_is_kept_only_after_it_paid() {
    let rig = Rig::new().await;
    let payment = pay(&rig, GOOD, saving).await;
    assert_eq!((payment.state, payment.captured_minor), (State::Succeeded, 1000));
    let stored = rig.vault.state.lock().unwrap();
    let method = &stored.cards[&payment.method.unwrap().token].0;
    assert_eq!(method.storage, Storage::LongTerm);
}

#[tokio::test]
async fn declined_card_is_shredded() {
    let rig = Rig::new().await;
    let payment = pay(&rig, DECLINED, saving).await;
    assert_eq!(payment.state, State::Failed);
    assert_eq!(payment.attempts[0].error_code.as_deref(), Some("card_declined"));
    assert_eq!((rig.cards_in_vault(), rig.charges()), (0, 0));
}

#[tokio::test]
async fn card_of_a_guest_is_shredded_after_it_paid() {
    let rig = Rig::new().await;
    assert_eq!(pay(&rig, GOOD, |_| {}).await.state, State::Succeeded);
    assert_eq!(rig.cards_in_vault(), 0);
}

#[tokio::test]
async fn keeping_a_card_survives_an_outage_of_the_vault_and_a_crash() {
    let mut rig = Rig::new().await;
    let payment = rig.engine.create(&rig.merchant, new_payment(saving), card(AUTHENTICATE), true).await.unwrap();
    rig.psp.state.lock().unwrap().authenticate("ps_0");
    rig.vault.state.lock().unwrap().down = true;
    let token = payment.method.unwrap().token;
    let payment = rig.engine.resolve(&rig.merchant, "pay_1", true).await.unwrap();
    assert_eq!(payment.state, State::Succeeded);
    assert_eq!(rig.vault.state.lock().unwrap().cards[&token].0.storage, Storage::ShortTerm);
    rig.crash();
    rig.vault.state.lock().unwrap().down = false;
    rig.clock.advance(600_000);
    rig.engine.round(false).await;
    assert_eq!(rig.vault.state.lock().unwrap().cards[&token].0.storage, Storage::LongTerm);
    assert!(rig.store.due_chores(i64::MAX, 10).await.unwrap().is_empty());
}

#[tokio::test]
async fn lost_answer_is_found_by_asking_and_not_charged_again() {
    let rig = Rig::new().await;
    rig.trouble("/pay", Trouble::LostAnswer);
    let payment = pay(&rig, GOOD, |_| {}).await;
    assert_eq!(payment.state, State::Processing);
    let again = rig.engine.update(&rig.merchant, "pay_1", Asker::Merchant, |_| Ok(()), card(GOOD), true).await;
    assert!(matches!(again, Err(Fault::BadState { state: State::Processing, .. })));
    assert!(matches!(rig.engine.cancel(&rig.merchant, "pay_1", None).await, Err(Fault::BadState { .. })));
    assert!(matches!(rig.engine.capture(&rig.merchant, "pay_1", None).await, Err(Fault::BadState { .. })));
    let payment = rig.engine.resolve(&rig.merchant, "pay_1", true).await.unwrap();
    assert_eq!(payment.state, State::Succeeded);
    assert_eq!(rig.charges(), 1);
}

#[tokio::test]
async fn lost_request_is_repeated_under_the_same_key_after_asking() {
    let rig = Rig::new().await;
    rig.trouble("/pay", Trouble::LostRequest);
    assert_eq!(pay(&rig, GOOD, |_| {}).await.state, State::Processing);
    let at_once = rig.engine.resolve(&rig.merchant, "pay_1", true).await.unwrap();
    assert_eq!(at_once.state, State::Processing, "the request may still travel");
    rig.clock.advance(10_000);
    rig.engine.round(false).await;
    let (payment, _) = rig.engine.payment(&rig.merchant, "pay_1").await.unwrap();
    assert_eq!((payment.state, rig.charges()), (State::Succeeded, 1));
    let arrived = rig.psp.state.lock().unwrap().arrived.clone();
    assert_eq!(
        arrived,
        ["/card", "/find", "/find", "/pay"],
        "it asks before it repeats, and the card is not sent again"
    );
}

#[tokio::test]
async fn absence_after_the_promise_of_the_key_has_run_out_is_proof() {
    let rig = Rig::new().await;
    rig.trouble("/pay", Trouble::LostRequest);
    pay(&rig, GOOD, |_| {}).await;
    rig.clock.advance(86_400_000);
    rig.engine.round(false).await;
    let (payment, _) = rig.engine.payment(&rig.merchant, "pay_1").await.unwrap();
    assert_eq!(payment.state, State::Processing, "a clock that was put forward proves nothing");
    for _ in 0..6 {
        rig.clock.advance(60_000);
        rig.engine.round(false).await;
    }
    let (payment, _) = rig.engine.payment(&rig.merchant, "pay_1").await.unwrap();
    assert_eq!((payment.state, rig.charges(), rig.cards_in_vault()), (State::Failed, 0, 0));
}

#[tokio::test]
async fn crash_before_the_money_request_charges_nothing() {
    let mut rig = Rig::new().await;
    rig.trouble("/card", Trouble::Hang);
    interrupt(&rig).await;
    rig.crash();
    rig.engine.round(true).await;
    let (payment, _) = rig.engine.payment(&rig.merchant, "pay_1").await.unwrap();
    assert_eq!(payment.state, State::Failed);
    assert_eq!(payment.attempts[0].error_code.as_deref(), Some("interrupted"));
    assert_eq!((rig.charges(), rig.cards_in_vault()), (0, 0));
}

#[tokio::test]
async fn crash_during_the_money_request_is_asked_about_first() {
    let mut rig = Rig::new().await;
    rig.trouble("/pay", Trouble::Hang);
    interrupt(&rig).await;
    let (payment, _) = rig.engine.payment(&rig.merchant, "pay_1").await.unwrap();
    assert_eq!(payment.pending.unwrap().flight.progress.step, 1, "how far it came was stored before the request");
    rig.crash();
    rig.clock.advance(5_000);
    rig.engine.round(true).await;
    let (payment, _) = rig.engine.payment(&rig.merchant, "pay_1").await.unwrap();
    assert_eq!((payment.state, rig.charges()), (State::Succeeded, 1));
    assert_eq!(rig.psp.state.lock().unwrap().arrived, ["/card", "/find", "/pay"]);
}

/// Begins to pay and stops in the middle, as a killed process does.
async fn interrupt(rig: &Rig) {
    let paying = rig.engine.create(&rig.merchant, new_payment(|_| {}), card(GOOD), true);
    tokio::select! {
        _ = paying => panic!("the provider hangs, so nothing can be answered"),
        () = rig.met() => {}
    }
}

#[tokio::test]
async fn unreachable_provider_fails_the_payment_and_charges_nothing() {
    let rig = Rig::new().await;
    rig.trouble("/pay", Trouble::Unreachable);
    let payment = pay(&rig, GOOD, |_| {}).await;
    assert_eq!(payment.state, State::Failed);
    assert_eq!(payment.attempts[0].error_code.as_deref(), Some("connector_unreachable"));
}

#[tokio::test]
async fn of_many_confirms_at_once_one_charges() {
    let rig = Rig::new().await;
    rig.engine.create(&rig.merchant, new_payment(|_| {}), None, false).await.unwrap();
    let tasks: Vec<_> = (0..8)
        .map(|_| {
            let (engine, merchant) = (rig.engine.clone(), rig.merchant.clone());
            tokio::spawn(async move {
                engine.update(&merchant, "pay_1", Asker::Merchant, |_| Ok(()), card(GOOD), true).await.is_ok()
            })
        })
        .collect();
    let mut won = 0;
    for task in tasks {
        won += u32::from(task.await.unwrap());
    }
    assert_eq!((won, rig.charges()), (1, 1));
}

#[tokio::test]
async fn payment_id_is_used_once() {
    let rig = Rig::new().await;
    pay(&rig, GOOD, |_| {}).await;
    let again = rig.engine.create(&rig.merchant, new_payment(|_| {}), card(GOOD), true).await;
    assert_eq!(again.unwrap_err(), Fault::Duplicate("payment"));
    assert_eq!(rig.charges(), 1);
}

#[tokio::test]
async fn invalid_card_makes_no_payment() {
    let rig = Rig::new().await;
    let refused = rig.engine.create(&rig.merchant, new_payment(|_| {}), card("4242"), true).await;
    assert_eq!(refused.unwrap_err(), Fault::BadCardNumber);
    assert!(matches!(rig.engine.payment(&rig.merchant, "pay_1").await, Err(Fault::NotFound(_))));
}

#[tokio::test]
async fn manual_capture_takes_a_part_and_releases_the_rest() {
    let rig = Rig::new().await;
    assert_eq!(pay(&rig, GOOD, |t| t.capture = CapturePlan::Manual).await.state, State::RequiresCapture);
    let above = rig.engine.capture(&rig.merchant, "pay_1", Some(1001)).await;
    assert!(matches!(above, Err(Fault::Unprocessable { .. })));
    let payment = rig.engine.capture(&rig.merchant, "pay_1", Some(400)).await.unwrap();
    assert_eq!((payment.state, payment.captured_minor, payment.capturable_minor()), (State::PartiallyCaptured, 400, 0));
}

#[tokio::test]
async fn capture_in_doubt_is_found_done_or_done_once() {
    for (trouble, captures) in [(Trouble::LostAnswer, 1), (Trouble::LostRequest, 1)] {
        let rig = Rig::new().await;
        pay(&rig, GOOD, |t| t.capture = CapturePlan::Manual).await;
        rig.trouble("/capture", trouble);
        let payment = rig.engine.capture(&rig.merchant, "pay_1", None).await.unwrap();
        assert_eq!(payment.state, State::Processing);
        rig.clock.advance(10_000);
        let payment = rig.engine.resolve(&rig.merchant, "pay_1", true).await.unwrap();
        assert_eq!(payment.state, State::Succeeded);
        assert_eq!(rig.psp.state.lock().unwrap().captures, captures);
    }
}

#[tokio::test]
async fn cancelled_payment_holds_no_money_and_no_card() {
    let rig = Rig::new().await;
    pay(&rig, GOOD, |t| t.capture = CapturePlan::Manual).await;
    let payment = rig.engine.cancel(&rig.merchant, "pay_1", Some("changed mind".into())).await.unwrap();
    assert_eq!((payment.state, rig.cards_in_vault()), (State::Cancelled, 0));
    let after = rig.engine.capture(&rig.merchant, "pay_1", None).await;
    assert!(matches!(after, Err(Fault::BadState { .. })));
}

#[tokio::test]
async fn authentication_ends_when_the_provider_says_so() {
    let rig = Rig::new().await;
    let payment = pay(&rig, AUTHENTICATE, |_| {}).await;
    assert_eq!(payment.state, State::RequiresCustomerAction);
    assert!(payment.redirect_url.is_some());
    let payment = rig.engine.resolve(&rig.merchant, "pay_1", true).await.unwrap();
    assert_eq!(payment.state, State::RequiresCustomerAction, "the payer has done nothing yet");
    rig.psp.state.lock().unwrap().authenticate("ps_0");
    rig.clock.advance(60_000);
    rig.engine.round(false).await;
    let (payment, _) = rig.engine.payment(&rig.merchant, "pay_1").await.unwrap();
    assert_eq!((payment.state, payment.redirect_url), (State::Succeeded, None));
}

#[tokio::test]
async fn refunds_together_never_exceed_what_was_captured() {
    let rig = Rig::new().await;
    pay(&rig, GOOD, |_| {}).await;
    rig.engine.refund(&rig.merchant, refund("ref_1", Some(600))).await.unwrap();
    let above = rig.engine.refund(&rig.merchant, refund("ref_2", Some(401))).await;
    assert_eq!(above.unwrap_err(), Fault::RefundAboveCaptured);
    let twice = rig.engine.refund(&rig.merchant, refund("ref_1", Some(1))).await;
    assert_eq!(twice.unwrap_err(), Fault::Duplicate("refund"));
    rig.engine.refund(&rig.merchant, refund("ref_3", None)).await.unwrap();
    assert_eq!(rig.psp.state.lock().unwrap().refunds, 1000);
}

#[tokio::test]
async fn refund_in_doubt_is_made_once() {
    for trouble in [Trouble::LostAnswer, Trouble::LostRequest] {
        let rig = Rig::new().await;
        pay(&rig, GOOD, |_| {}).await;
        rig.trouble("/refund", trouble);
        let (payment, _) = rig.engine.refund(&rig.merchant, refund("ref_1", None)).await.unwrap();
        assert_eq!(payment.refunds[0].status, RefundStatus::Pending);
        rig.clock.advance(10_000);
        rig.engine.round(false).await;
        let (payment, _) = rig.engine.payment(&rig.merchant, "pay_1").await.unwrap();
        assert_eq!(payment.refunds[0].status, RefundStatus::Succeeded);
        assert_eq!(rig.psp.state.lock().unwrap().refunds, 1000);
    }
}

#[tokio::test]
async fn repeat_customer_pays_by_payment_token_and_merchant_without_them() {
    let rig = Rig::new().await;
    let first = pay(&rig, GOOD, saving).await;
    let token = first.method.unwrap().token;
    let customer = "cus_1".parse().unwrap();
    let saved = rig.engine.saved_cards(&rig.merchant, &customer).await.unwrap();
    assert_eq!(saved.len(), 1);
    let name = saved[0].payment_token.clone();

    let mut second = new_payment(|t| t.customer_id = Some("cus_1".parse().unwrap()));
    second.payment_id = Some("pay_2".into());
    let method = MethodInput::PaymentToken(name.clone(), super::CvcInput::None);
    let paid = rig.engine.create(&rig.merchant, second, Some(method), true).await.unwrap();
    assert_eq!((paid.state, paid.method.unwrap().token), (State::Succeeded, token));

    let ttl_ms = i64::try_from(strongroom_wire::limits::PAYMENT_TOKEN_TTL_S).unwrap() * 1000;
    let (found, now) =
        (rig.store.payment_token(&rig.merchant, &name, rig.engine.now_ms() + ttl_ms), rig.engine.now_ms());
    assert_eq!(found.await.unwrap(), None, "a payment token ends");
    assert!(rig.store.payment_token(&rig.merchant, &name, now).await.unwrap().is_some());

    let mut strange = new_payment(|t| t.customer_id = Some("cus_2".parse().unwrap()));
    strange.payment_id = Some("pay_3".into());
    let method = MethodInput::PaymentToken(name, super::CvcInput::None);
    let refused = rig.engine.create(&rig.merchant, strange, Some(method), true).await;
    assert!(matches!(refused, Err(Fault::NotFound(_))), "another customer's card");

    let mut alone = new_payment(|t| {
        t.customer_id = Some("cus_1".parse().unwrap());
        t.off_session = true;
    });
    alone.payment_id = Some("pay_4".into());
    let paid = rig.engine.create(&rig.merchant, alone, Some(MethodInput::Recurring(token)), true).await.unwrap();
    assert_eq!(paid.state, State::Succeeded);
    assert_eq!((rig.charges(), rig.cards_in_vault()), (3, 1));
}

#[tokio::test]
async fn merchant_without_a_connector_is_told_before_a_card_moves() {
    let rig = Rig::new().await;
    let new = new_payment(|t| t.connectors = vec!["other".into()]);
    let refused = rig.engine.create(&rig.merchant, new, card(GOOD), true).await;
    assert_eq!(refused.unwrap_err(), Fault::NoConnector);
    assert_eq!(rig.cards_in_vault(), 0);
}
