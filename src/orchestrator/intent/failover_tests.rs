//! Failover with every kind of end that an attempt can have: whatever happens, money moves once or not at all.

use strongroom_wire::{TenantId, limits};

use super::rig::{DECLINED, GOOD, Rig, Trouble, card, new_payment};
use super::{AttemptStatus, CapturePlan, CvcInput, Fault, FutureUsage, MethodInput, Payment, State, Terms};

/// A rig whose merchant has three accounts.
async fn three() -> Rig {
    let rig = Rig::new().await;
    rig.add_account(2).await;
    rig.add_account(3).await;
    rig
}

async fn pay(rig: &Rig, change: impl FnOnce(&mut Terms)) -> Payment {
    rig.engine.create(&rig.merchant, new_payment(change), card(GOOD), true).await.unwrap()
}

/// Account, status and error code of every attempt.
fn told(payment: &Payment) -> Vec<(&str, AttemptStatus, Option<&str>)> {
    payment.attempts.iter().map(|a| (a.account_id.as_str(), a.status, a.error_code.as_deref())).collect()
}

#[tokio::test]
async fn account_that_cannot_be_reached_or_declines_softly_gives_way_to_the_next() {
    for (path, trouble, code) in [
        ("/card", Trouble::Unreachable, "connector_unreachable"),
        ("/pay", Trouble::Unreachable, "connector_unreachable"),
        ("/card", Trouble::LostRequest, "connector_no_answer"),
        ("/card", Trouble::LostAnswer, "connector_no_answer"),
        ("/pay", Trouble::Soft, "card_declined"),
    ] {
        let rig = three().await;
        rig.trouble_of(1, path, trouble);
        let payment = pay(&rig, |_| {}).await;
        let failed = ("mca_1", AttemptStatus::Failure, Some(code));
        assert_eq!(told(&payment), [failed, ("mca_2", AttemptStatus::Charged, None)], "{path} {trouble:?}");
        assert_eq!((payment.state, rig.charges()), (State::Succeeded, 1));
        assert_eq!(rig.psp.state.lock().unwrap().charged_by, ["sk_test_rig_2"]);
        let [first, second] = &payment.attempts[..] else { panic!("two attempts") };
        assert_ne!(first.idempotency_key, second.idempotency_key);
        assert_ne!(first.attempt_id, second.attempt_id);
        assert!(payment.plan.is_empty(), "what ended leaves nothing to try");
    }
}

#[tokio::test]
async fn next_account_gets_the_cvc_although_a_sealed_one_opens_once() {
    let rig = three().await;
    rig.trouble_of(1, "/pay", Trouble::Soft);
    rig.trouble_of(2, "/card", Trouble::Unreachable);
    assert_eq!(pay(&rig, |_| {}).await.state, State::Succeeded);
    assert_eq!(rig.psp.state.lock().unwrap().cvcs, [Some("123".to_owned()), Some("123".to_owned())]);
    assert_eq!(rig.vault.state.lock().unwrap().opened.len(), 1);
}

#[tokio::test]
async fn hard_or_forbidden_decline_refusal_and_authentication_end_it_at_the_first_account() {
    for (trouble, state) in [
        (Trouble::Hard, State::Failed),
        (Trouble::Forbidden, State::Failed),
        (Trouble::Refused, State::Failed),
        (Trouble::Action, State::RequiresCustomerAction),
    ] {
        let rig = three().await;
        rig.trouble_of(1, "/pay", trouble);
        let payment = pay(&rig, |_| {}).await;
        assert_eq!((payment.state, payment.attempts.len(), rig.charges()), (state, 1, 0), "{trouble:?}");
        assert!(payment.plan.is_empty());
    }
}

#[tokio::test]
async fn decline_after_the_payer_authenticated_goes_to_no_other_account() {
    let rig = three().await;
    rig.trouble_of(1, "/pay", Trouble::Action);
    let payment = pay(&rig, |terms| terms.off_session = false).await;
    let id = payment.attempts[0].psp_id.clone().unwrap();
    rig.psp.state.lock().unwrap().set(&id, "status", "declined");
    let payment = rig.engine.resolve(&rig.merchant, "pay_1", true).await.unwrap();
    assert_eq!((payment.state, payment.attempts.len(), rig.charges()), (State::Failed, 1, 0));
}

#[tokio::test]
async fn doubt_stops_everything_until_the_provider_has_told() {
    for trouble in [Trouble::LostRequest, Trouble::LostAnswer, Trouble::Fault] {
        let rig = three().await;
        rig.trouble_of(1, "/pay", trouble);
        let payment = pay(&rig, |_| {}).await;
        assert_eq!((payment.state, payment.attempts.len()), (State::Processing, 1), "{trouble:?}");
        assert!(!rig.psp.state.lock().unwrap().charged_by.iter().any(|key| key != "sk_test_rig"));
        rig.clock.advance(10_000);
        let payment = rig.engine.resolve(&rig.merchant, "pay_1", true).await.unwrap();
        let expected = if trouble == Trouble::Fault { (State::Processing, 0) } else { (State::Succeeded, 1) };
        assert_eq!((payment.state, rig.charges()), expected, "{trouble:?}");
        assert_eq!(payment.attempts.len(), 1, "{trouble:?}");
    }
}

#[tokio::test]
async fn soft_decline_that_an_inquiry_brings_ends_a_payment_whose_payer_has_left() {
    let rig = three().await;
    rig.trouble_of(1, "/pay", Trouble::LostAnswer);
    let payment = rig.engine.create(&rig.merchant, new_payment(|_| {}), card(DECLINED), true).await.unwrap();
    assert_eq!(payment.state, State::Processing);
    let payment = rig.engine.resolve(&rig.merchant, "pay_1", true).await.unwrap();
    assert_eq!((payment.state, payment.attempts.len(), rig.charges()), (State::Failed, 1, 0));
}

/// A kept card that may be charged without the payer, paid for at the first account.
async fn kept(rig: &Rig) -> strongroom_wire::Token {
    let mut new = new_payment(|terms| {
        terms.customer_id = Some("cus_1".parse().unwrap());
        terms.setup_future_usage = Some(FutureUsage::OffSession);
    });
    new.payment_id = Some("pay_first".into());
    rig.engine.create(&rig.merchant, new, card(GOOD), true).await.unwrap().method.unwrap().token
}

fn without_payer(terms: &mut Terms) {
    terms.customer_id = Some("cus_1".parse().unwrap());
    terms.off_session = true;
}

#[tokio::test]
async fn payment_without_the_payer_goes_on_after_an_inquiry_told_of_a_soft_decline() {
    let mut rig = three().await;
    let token = kept(&rig).await;
    // The provider declined and its answer was lost; then the process ended.
    rig.trouble_of(1, "/pay", Trouble::Soft);
    rig.psp.state.lock().unwrap().loses_next = true;
    let new = new_payment(without_payer);
    let payment = rig.engine.create(&rig.merchant, new, Some(MethodInput::Recurring(token)), true).await.unwrap();
    assert_eq!((payment.state, &payment.plan[..]), (State::Processing, &["mca_2".to_owned(), "mca_3".to_owned()][..]));
    rig.crash();
    rig.engine.round(true).await;
    let (payment, _) = rig.engine.payment(&rig.merchant, "pay_1").await.unwrap();
    let failed = ("mca_1", AttemptStatus::Failure, Some("card_declined"));
    assert_eq!(told(&payment), [failed, ("mca_2", AttemptStatus::Charged, None)]);
    assert_eq!(rig.psp.state.lock().unwrap().charged_by, ["sk_test_rig", "sk_test_rig_2"]);
}

#[tokio::test]
async fn payment_without_the_payer_is_not_tried_again_where_the_schemes_forbid_it() {
    let rig = three().await;
    let token = kept(&rig).await;
    rig.trouble_of(1, "/pay", Trouble::Forbidden);
    let new = new_payment(without_payer);
    let payment = rig.engine.create(&rig.merchant, new, Some(MethodInput::Recurring(token)), true).await.unwrap();
    assert_eq!((payment.state, payment.attempts.len(), rig.charges()), (State::Failed, 1, 1));
}

#[tokio::test]
async fn crash_in_the_middle_of_the_second_attempt_asks_the_second_provider_alone() {
    for trouble in [Trouble::LostAnswer, Trouble::LostRequest] {
        let mut rig = three().await;
        rig.trouble_of(1, "/pay", Trouble::Soft);
        rig.trouble_of(2, "/pay", trouble);
        let payment = pay(&rig, |_| {}).await;
        assert_eq!((payment.state, &payment.plan[..]), (State::Processing, &["mca_3".to_owned()][..]));
        rig.crash();
        rig.clock.advance(10_000);
        rig.engine.round(true).await;
        let (payment, _) = rig.engine.payment(&rig.merchant, "pay_1").await.unwrap();
        assert_eq!((payment.state, payment.attempts.len(), rig.charges()), (State::Succeeded, 2, 1), "{trouble:?}");
        assert_eq!(rig.psp.state.lock().unwrap().charged_by, ["sk_test_rig_2"]);
    }
}

#[tokio::test]
async fn crash_before_the_second_attempt_was_sent_leaves_nothing_charged() {
    let mut rig = three().await;
    rig.trouble_of(1, "/pay", Trouble::Soft);
    rig.trouble_of(2, "/card", Trouble::Hang);
    let engine = rig.engine.clone();
    let merchant = rig.merchant.clone();
    let asked = tokio::spawn(async move { engine.create(&merchant, new_payment(|_| {}), card(GOOD), true).await });
    let reached = async {
        loop {
            let stored = rig.store.payment(&rig.merchant, "pay_1").await.unwrap();
            if stored.is_some_and(|(payment, _)| payment.attempts.len() == 2) {
                break;
            }
            tokio::task::yield_now().await;
        }
    };
    reached.await;
    asked.abort();
    rig.crash();
    rig.engine.round(true).await;
    let (payment, _) = rig.engine.payment(&rig.merchant, "pay_1").await.unwrap();
    assert_eq!((payment.state, rig.charges(), rig.cards_in_vault()), (State::Failed, 0, 0));
    assert_eq!(payment.attempts[1].error_code.as_deref(), Some("interrupted"));
}

#[tokio::test]
async fn every_account_is_tried_once_and_no_more_than_the_limit() {
    let rig = three().await;
    // More accounts than attempts, over the same three keys.
    let accounts = rig.store.connector_accounts(&rig.merchant).await.unwrap();
    for number in 4..8 {
        let mut more = accounts[2].clone();
        (more.account_id, more.label) = (format!("mca_{number}"), format!("rig {number}"));
        rig.store.add_connector_account(&more).await.unwrap();
    }
    let payment = rig.engine.create(&rig.merchant, new_payment(|_| {}), card(DECLINED), true).await.unwrap();
    let tried: Vec<_> = payment.attempts.iter().map(|a| a.account_id.as_str()).collect();
    assert_eq!(tried, ["mca_1", "mca_2", "mca_3", "mca_4", "mca_5"]);
    assert_eq!((tried.len(), payment.state, rig.charges()), (limits::ATTEMPTS_MAX, State::Failed, 0));
    assert_eq!(rig.cards_in_vault(), 0, "a card that nobody takes is shredded");
}

#[tokio::test]
async fn account_that_was_switched_off_meanwhile_or_may_not_take_the_payment_is_passed_over() {
    let rig = three().await;
    let seen = rig.store.connector_accounts(&rig.merchant).await.unwrap();
    let mut limited = seen[1].clone();
    limited.accepts.maximum_amount = Some(999);
    rig.store.save_connector_account(&limited, &seen[1]).await.unwrap();
    rig.trouble_of(1, "/pay", Trouble::Soft);
    let payment = pay(&rig, |_| {}).await;
    let tried: Vec<_> = payment.attempts.iter().map(|a| a.account_id.as_str()).collect();
    assert_eq!((tried, payment.state), (vec!["mca_1", "mca_3"], State::Succeeded));
}

#[tokio::test]
async fn merchant_s_choice_of_one_account_has_no_other_to_go_to() {
    let rig = three().await;
    rig.trouble_of(2, "/pay", Trouble::Soft);
    let payment = pay(&rig, |terms| terms.accounts = vec!["rig 2".into()]).await;
    assert_eq!(told(&payment), [("mca_2", AttemptStatus::Failure, Some("card_declined"))]);
    assert_eq!((payment.state, rig.charges()), (State::Failed, 0));
}

#[tokio::test]
async fn payment_that_no_account_can_take_is_refused_before_a_card_is_kept() {
    let rig = three().await;
    let wishes: [fn(&mut Terms); 3] = [
        |terms| terms.capture = CapturePlan::ManualMultiple,
        |terms| terms.incremental = true,
        |terms| terms.connectors = vec!["stripe".into()],
    ];
    for wish in wishes {
        let refused = rig.engine.create(&rig.merchant, new_payment(wish), card(GOOD), true).await;
        assert_eq!(refused.unwrap_err(), Fault::NoConnector);
    }
    let unknown = new_payment(|terms| terms.accounts = vec!["mca_9".into()]);
    let refused = rig.engine.create(&rig.merchant, unknown, card(GOOD), true).await;
    assert!(matches!(refused, Err(Fault::Invalid { field: "routing", .. })));
    // A rule about the card is asked when the card is known; the card goes again if it was only kept for this.
    let networks =
        r#"{"rules": [{"if": {"card_network": ["Mastercard"]}, "use": {"order": ["mca_1"]}}], "fallback": []}"#;
    rig.store.save_routing(&rig.merchant, Some(networks)).await.unwrap();
    let refused = rig.engine.create(&rig.merchant, new_payment(|_| {}), card(GOOD), true).await;
    assert_eq!(refused.unwrap_err(), Fault::NoConnector);
    rig.clock.advance(60_000);
    rig.engine.round(false).await;
    assert_eq!((rig.charges(), rig.cards_in_vault()), (0, 0));
    assert!(rig.store.payment(&rig.merchant, "pay_1").await.unwrap().is_none());
}

#[tokio::test]
async fn rules_that_cannot_be_read_stop_payments_instead_of_sending_them_anywhere() {
    let rig = three().await;
    rig.store.save_routing(&rig.merchant, Some(r#"{"rules": [{"newer": 1}]}"#)).await.unwrap();
    let refused = rig.engine.create(&rig.merchant, new_payment(|_| {}), card(GOOD), true).await;
    assert_eq!((refused.unwrap_err(), rig.charges()), (Fault::Internal, 0));
}

#[tokio::test]
async fn account_that_fails_again_and_again_rests_and_works_again_after_one_good_probe() {
    let rig = Rig::new().await;
    rig.add_account(2).await;
    let pay_as = async |id: String| {
        let mut new = new_payment(|_| {});
        new.payment_id = Some(id);
        rig.engine.create(&rig.merchant, new, card(GOOD), true).await
    };
    for number in 0..5 {
        rig.trouble_of(1, "/card", Trouble::Unreachable);
        let payment = pay_as(format!("pay_a{number}")).await.unwrap();
        assert_eq!(payment.attempts.len(), 2);
    }
    let payment = pay_as("pay_b".into()).await.unwrap();
    assert_eq!(payment.attempts[0].account_id, "mca_2", "the first account rests");
    rig.clock.advance(10_000);
    // The probe is a payment; that it fails costs the payer nothing, because the next account follows.
    rig.trouble_of(1, "/card", Trouble::Unreachable);
    assert_eq!(pay_as("pay_c".into()).await.unwrap().attempts.len(), 2);
    assert_eq!(pay_as("pay_d".into()).await.unwrap().attempts[0].account_id, "mca_2");
    rig.clock.advance(20_000);
    assert_eq!(pay_as("pay_e".into()).await.unwrap().attempts[0].account_id, "mca_1");
    assert_eq!(pay_as("pay_f".into()).await.unwrap().attempts[0].account_id, "mca_1");
}

#[tokio::test]
async fn where_every_account_rests_a_payment_is_refused_at_once_and_nothing_changed() {
    let rig = Rig::new().await;
    let merchant: &TenantId = &rig.merchant;
    for number in 0..5 {
        rig.trouble("/card", Trouble::Unreachable);
        let mut new = new_payment(|_| {});
        new.payment_id = Some(format!("pay_a{number}"));
        assert_eq!(rig.engine.create(merchant, new, card(GOOD), true).await.unwrap().state, State::Failed);
    }
    let cards = rig.cards_in_vault();
    let refused = rig.engine.create(merchant, new_payment(|_| {}), card(GOOD), true).await;
    assert_eq!(refused.unwrap_err(), Fault::Resting);
    assert_eq!(rig.cards_in_vault(), cards, "no card went anywhere");
    assert!(rig.store.payment(merchant, "pay_1").await.unwrap().is_none());
    rig.clock.advance(10_000);
    assert_eq!(pay(&rig, |_| {}).await.state, State::Succeeded);
}

#[tokio::test]
async fn declines_do_not_make_an_account_rest() {
    let rig = Rig::new().await;
    for number in 0..20 {
        let mut new = new_payment(|_| {});
        new.payment_id = Some(format!("pay_{number}"));
        let payment = rig.engine.create(&rig.merchant, new, card(DECLINED), true).await.unwrap();
        assert_eq!(payment.state, State::Failed);
    }
    assert!(!rig.engine.breakers.rests("mca_1", rig.engine.now_ms()));
}

#[tokio::test]
async fn kept_card_with_a_typed_cvc_takes_it_to_the_next_account_too() {
    let rig = three().await;
    let token = kept(&rig).await;
    rig.trouble_of(1, "/pay", Trouble::Soft);
    let cvc = CvcInput::Plain(zeroize::Zeroizing::new("999".into()));
    let new = new_payment(|terms| terms.customer_id = Some("cus_1".parse().unwrap()));
    let payment = rig.engine.create(&rig.merchant, new, Some(MethodInput::Stored(token, cvc)), true).await.unwrap();
    assert_eq!((payment.state, payment.attempts.len()), (State::Succeeded, 2));
    let cvcs = rig.psp.state.lock().unwrap().cvcs.clone();
    assert_eq!(cvcs[1..], [Some("999".to_owned()), Some("999".to_owned())]);
}
