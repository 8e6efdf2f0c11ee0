//! Cards that are set up, kept and charged again: with the payer, without them, and with an agreement from elsewhere.

use serde_json::json;
use strongroom_wire::payment_method::Storage;

use super::rig::{AUTHENTICATE, BLIND, DECLINED, FULL, GOOD, PLAIN, Rig, Trouble, card, new_payment};
use super::{Asker, CvcInput, Fault, FutureUsage, MethodInput, NewPayment, Payment, PaymentKind, State, Stored, Terms};
use crate::connector::{Credential, MitCategory};
use crate::vault::{CardInput, SecretText};

fn named(id: &str, change: impl FnOnce(&mut Terms)) -> NewPayment {
    let new = new_payment(|terms| {
        terms.customer_id = Some("cus_1".parse().unwrap());
        change(terms);
    });
    NewPayment { payment_id: Some(id.into()), ..new }
}

/// Nothing is charged; the card is proven good and kept.
fn set_up(terms: &mut Terms) {
    terms.amount_minor = 0;
    terms.kind = PaymentKind::SetupMandate;
    terms.setup_future_usage = Some(FutureUsage::OffSession);
    terms.extra.insert("customer_acceptance".into(), json!({"acceptance_type": "offline"}));
}

async fn pay(
    rig: &Rig,
    id: &str,
    method: Option<MethodInput>,
    change: impl FnOnce(&mut Terms),
) -> Result<Payment, Fault> {
    rig.engine.create(&rig.merchant, named(id, change), method, true).await
}

fn plain(cvc: &str) -> CvcInput {
    CvcInput::Plain(cvc.to_owned().into())
}

fn foreign() -> Option<MethodInput> {
    let number = SecretText::new(GOOD.into());
    let card = CardInput { number, exp_month: 12, exp_year: 2034, cvc: None, holder_name: None };
    Some(MethodInput::Foreign(Box::new(card)))
}

fn last_credential(rig: &Rig) -> String {
    rig.psp.state.lock().unwrap().credential.clone()
}

fn last_cvc(rig: &Rig) -> Option<String> {
    rig.psp.state.lock().unwrap().cvcs.last().cloned().flatten()
}

async fn later(rig: &Rig) -> Payment {
    rig.clock.advance(40_000);
    rig.engine.round(false).await;
    rig.engine.payment(&rig.merchant, "pay_1").await.unwrap().0
}

#[tokio::test]
async fn card_that_was_set_up_without_money_is_charged_without_the_payer() {
    let rig = Rig::at(FULL).await;
    let payment = pay(&rig, "pay_1", card(GOOD), set_up).await.unwrap();
    assert_eq!((payment.state, payment.captured_minor, rig.charges()), (State::Succeeded, 0, 0));
    let token = payment.method.unwrap().token;
    assert_eq!(rig.vault.state.lock().unwrap().cards[&token].0.storage, Storage::LongTerm);
    assert_eq!(last_credential(&rig), "first true");
    let alone = |terms: &mut Terms| {
        terms.off_session = true;
        terms.mit_category = MitCategory::Recurring;
    };
    let paid = pay(&rig, "pay_2", Some(MethodInput::Recurring(token)), alone).await.unwrap();
    assert_eq!((paid.state, rig.charges()), (State::Succeeded, 1));
    assert_eq!(last_credential(&rig), "merchant Some(\"ntid\") Recurring", "the scheme's id of the first one is sent");
}

#[tokio::test]
async fn set_up_that_is_declined_keeps_no_card() {
    let rig = Rig::at(FULL).await;
    let payment = pay(&rig, "pay_1", card(DECLINED), set_up).await.unwrap();
    assert_eq!((payment.state, rig.cards_in_vault()), (State::Failed, 0));
}

#[tokio::test]
async fn set_up_in_doubt_is_found_or_made_again_and_then_kept() {
    for connector in [FULL, BLIND] {
        for trouble in [Trouble::LostAnswer, Trouble::LostRequest] {
            let rig = Rig::at(connector).await;
            rig.trouble("/pay", trouble);
            assert_eq!(pay(&rig, "pay_1", card(GOOD), set_up).await.unwrap().state, State::Processing);
            let payment = later(&rig).await;
            assert_eq!((payment.state, payment.captured_minor), (State::Succeeded, 0), "{connector} {trouble:?}");
            assert!(payment.method.unwrap().kept);
        }
    }
}

#[tokio::test]
async fn set_up_whose_payer_must_authenticate_is_kept_when_they_did() {
    let rig = Rig::at(FULL).await;
    let payment = pay(&rig, "pay_1", card(AUTHENTICATE), set_up).await.unwrap();
    assert_eq!(payment.state, State::RequiresCustomerAction);
    rig.psp.state.lock().unwrap().authenticate("ps_0");
    let payment = later(&rig).await;
    assert_eq!((payment.state, rig.charges()), (State::Succeeded, 0));
    assert!(payment.method.unwrap().kept);
}

#[tokio::test]
async fn set_up_that_lacks_something_is_refused_before_a_card_moves() {
    type Change = fn(&mut Terms);
    let cases: [(Change, Fault); 4] = [
        (|t| _ = t.extra.remove("customer_acceptance"), Fault::Missing("customer_acceptance")),
        (|t| t.customer_id = None, Fault::Missing("customer_id")),
        (
            |t| t.kind = PaymentKind::Normal,
            Fault::Precondition("A payment of amount 0 is confirmed with payment_type: setup_mandate"),
        ),
        (
            |t| t.amount_minor = 1,
            Fault::Invalid { field: "payment_type", reason: "setup_mandate goes with amount 0 alone" },
        ),
    ];
    let rig = Rig::at(FULL).await;
    for (change, expected) in cases {
        let refused = pay(&rig, "pay_1", card(GOOD), |terms| {
            set_up(terms);
            change(terms);
        });
        assert_eq!(refused.await.unwrap_err(), expected);
    }
    let changes: [Change; 5] = [
        |t| t.setup_future_usage = Some(FutureUsage::OnSession),
        |t| t.setup_future_usage = None,
        |t| t.capture = super::CapturePlan::Manual,
        |t| t.off_session = true,
        |t| t.incremental = true,
    ];
    for change in changes {
        let refused = pay(&rig, "pay_1", card(GOOD), |terms| {
            set_up(terms);
            change(terms);
        });
        assert!(matches!(refused.await, Err(Fault::Invalid { field: "amount", .. })));
    }
    assert_eq!(rig.cards_in_vault(), 0);
    let rig = Rig::at(PLAIN).await;
    assert_eq!(pay(&rig, "pay_1", card(GOOD), set_up).await.unwrap_err(), Fault::NoConnector);
    assert_eq!(rig.cards_in_vault(), 0);
}

#[tokio::test]
async fn agreement_from_another_provider_is_sent_with_the_card_which_is_shredded_afterwards() {
    let alone = |terms: &mut Terms| {
        terms.off_session = true;
        terms.network_transaction_id = Some("MCC1234560101".into());
    };
    let rig = Rig::at(FULL).await;
    let paid = pay(&rig, "pay_1", foreign(), alone).await.unwrap();
    assert_eq!((paid.state, rig.charges(), rig.cards_in_vault()), (State::Succeeded, 1, 0));
    assert_eq!(last_credential(&rig), "merchant Some(\"MCC1234560101\") Unscheduled");
    let rig = Rig::at(PLAIN).await;
    assert_eq!(pay(&rig, "pay_1", foreign(), alone).await.unwrap_err(), Fault::NoConnector);
    assert_eq!(rig.cards_in_vault(), 0);
    let rig = Rig::at(FULL).await;
    let refused = pay(&rig, "pay_1", foreign(), |terms| terms.network_transaction_id = Some("MCC1".into())).await;
    assert!(matches!(refused, Err(Fault::Precondition(_))), "the payer is away, and the payment does not say so");
    rig.clock.advance(60_000);
    rig.engine.round(false).await;
    assert_eq!((rig.charges(), rig.cards_in_vault()), (0, 0));
}

#[tokio::test]
async fn stale_agreement_does_not_go_with_another_card() {
    let rig = Rig::at(FULL).await;
    let stale = |terms: &mut Terms| terms.network_transaction_id = Some("MCC1234560101".into());
    let paid = pay(&rig, "pay_1", card(GOOD), stale).await.unwrap();
    assert_eq!((paid.state, last_credential(&rig).as_str()), (State::Succeeded, "once"));
    assert_eq!(paid.terms.network_transaction_id, None);
}

#[tokio::test]
async fn payer_who_chooses_a_card_that_was_kept_for_their_presence_brings_its_cvc() {
    let rig = Rig::at(FULL).await;
    let saving = |terms: &mut Terms| terms.setup_future_usage = Some(FutureUsage::OnSession);
    let token = pay(&rig, "pay_1", card(GOOD), saving).await.unwrap().method.unwrap().token;
    let cards = rig.engine.saved_cards(&rig.merchant, &"cus_1".parse().unwrap()).await.unwrap();
    assert!(cards[0].asks_cvc());
    let reveals = || rig.vault.state.lock().unwrap().reveals;
    let before = reveals();
    for method in [
        MethodInput::Stored(token, CvcInput::None),
        MethodInput::PaymentToken(cards[0].payment_token.clone(), CvcInput::None),
    ] {
        let refused = pay(&rig, "pay_2", Some(method), |_| {}).await;
        assert_eq!(refused.unwrap_err(), Fault::Missing("payment_method_data.card_token.card_cvc"));
    }
    assert_eq!(reveals(), before, "the card has not moved");
    let paid = pay(&rig, "pay_2", Some(MethodInput::Stored(token, plain("123"))), |_| {}).await.unwrap();
    assert_eq!((paid.state, rig.charges()), (State::Succeeded, 2));
    assert_eq!(last_cvc(&rig).as_deref(), Some("123"));
    assert_eq!(last_credential(&rig), "payer Some(\"ntid\")");
}

#[tokio::test]
async fn cvc_comes_with_the_confirmation_of_a_card_that_was_chosen_before() {
    let rig = Rig::at(FULL).await;
    let saving = |terms: &mut Terms| terms.setup_future_usage = Some(FutureUsage::OnSession);
    let token = pay(&rig, "pay_1", card(GOOD), saving).await.unwrap().method.unwrap().token;
    let choose = async |cvc| {
        let method = Some(MethodInput::Stored(token, cvc));
        rig.engine.create(&rig.merchant, named("pay_2", |_| {}), method, false).await
    };
    let refused = choose(plain("123")).await;
    let kept_nowhere = matches!(refused, Err(Fault::Invalid { field: "payment_method_data.card_token", .. }));
    assert!(kept_nowhere);
    choose(CvcInput::None).await.unwrap();
    let confirm = |method| rig.engine.update(&rig.merchant, "pay_2", Asker::Merchant, |_| Ok(()), method, true);
    assert!(matches!(confirm(None).await, Err(Fault::Missing(_))));
    let paid = confirm(Some(MethodInput::Chosen(plain("321")))).await.unwrap();
    assert_eq!((paid.state, last_cvc(&rig).as_deref()), (State::Succeeded, Some("321")));
}

#[tokio::test]
async fn card_that_was_kept_for_their_absence_needs_no_cvc() {
    let rig = Rig::at(FULL).await;
    let saving = |terms: &mut Terms| terms.setup_future_usage = Some(FutureUsage::OffSession);
    let token = pay(&rig, "pay_1", card(GOOD), saving).await.unwrap().method.unwrap().token;
    let paid = pay(&rig, "pay_2", Some(MethodInput::Stored(token, CvcInput::None)), |_| {}).await.unwrap();
    assert_eq!(paid.state, State::Succeeded);
    let network_transaction_id = Some("ntid".into());
    assert_eq!(paid.credential(Stored::ByPayer), Credential::StoredByPayer { network_transaction_id });
}

#[tokio::test]
async fn cvc_without_any_card_is_no_method() {
    let rig = Rig::at(FULL).await;
    let refused = pay(&rig, "pay_1", Some(MethodInput::Chosen(plain("123"))), |_| {}).await;
    assert_eq!(refused.unwrap_err(), Fault::NoMethod);
}
