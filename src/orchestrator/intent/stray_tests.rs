//! Cards that no payment needs any more leave the vault; a card that somebody still needs stays.

use std::sync::Arc;

use strongroom_wire::payment_method::Storage;
use tokio::sync::Barrier;

use super::rig::{AUTHENTICATE, DECLINED, GOOD, Rig, Trouble, card, new_payment};
use super::{Asker, CapturePlan, CvcInput, Fault, FutureUsage, MethodInput, NewPayment, Payment, State, Terms};
use crate::vault::{CardInput, SecretText, Vault as _};

fn saving(terms: &mut Terms) {
    terms.customer_id = Some("cus_1".parse().unwrap());
    terms.setup_future_usage = Some(FutureUsage::OnSession);
}

fn named(id: &str, change: impl FnOnce(&mut Terms)) -> NewPayment {
    NewPayment { payment_id: Some(id.into()), ..new_payment(change) }
}

async fn pay(rig: &Rig, id: &str, number: &str, change: impl FnOnce(&mut Terms)) -> Result<Payment, Fault> {
    rig.engine.create(&rig.merchant, named(id, change), card(number), true).await
}

async fn confirm(rig: &Rig, method: Option<MethodInput>) -> Result<Payment, Fault> {
    rig.engine.update(&rig.merchant, "pay_1", Asker::Merchant, |_| Ok(()), method, true).await
}

/// Four confirms, each of which has read the payment before the card of any is stored.
async fn confirm_together(rig: &Rig) -> [Result<Payment, Fault>; 4] {
    rig.vault.state.lock().unwrap().gate = Some(Arc::new(Barrier::new(4)));
    let one = || confirm(rig, card(GOOD));
    let (a, b, c, d) = tokio::join!(one(), one(), one(), one());
    rig.vault.state.lock().unwrap().gate = None;
    [a, b, c, d]
}

/// A minute later, so that everything that waits was done.
async fn later(rig: &Rig) {
    rig.clock.advance(60_000);
    rig.engine.round(false).await;
}

#[tokio::test]
async fn cards_of_confirms_that_came_too_late_are_shredded() {
    let rig = Rig::new().await;
    rig.engine.create(&rig.merchant, new_payment(|_| {}), None, false).await.unwrap();
    let confirmed = confirm_together(&rig).await;
    assert_eq!((confirmed.iter().filter(|c| c.is_ok()).count(), rig.charges()), (1, 1));
    assert_eq!(rig.cards_in_vault(), 3, "the cards of the others were typed in vain");
    later(&rig).await;
    assert_eq!(rig.cards_in_vault(), 0);
}

#[tokio::test]
async fn confirms_that_came_too_late_do_not_shred_the_card_that_was_kept() {
    for down in [false, true] {
        let rig = Rig::new().await;
        rig.engine.create(&rig.merchant, new_payment(saving), None, false).await.unwrap();
        let confirmed = confirm_together(&rig).await;
        let paid = confirmed.into_iter().find_map(Result::ok).unwrap();
        let token = paid.method.unwrap().token;
        if down {
            // As if the vault had gone away before it could be told to keep the card.
            rig.vault.state.lock().unwrap().cards.get_mut(&token).unwrap().0.storage = Storage::ShortTerm;
            let keep = crate::store::NewChore {
                merchant_id: rig.merchant.clone(),
                kind: crate::store::ChoreKind::Retain,
                record: crate::store::Record::Card(token),
                payment_id: "pay_1".into(),
                due_ms: rig.engine.now_ms() + 40_000,
            };
            rig.store.add_chore(&keep).await.unwrap();
            rig.clock.advance(35_000);
            rig.engine.round(false).await;
            assert_eq!(rig.cards_in_vault(), 1, "a card that will be kept is not shredded");
        }
        later(&rig).await;
        assert_eq!(rig.vault.state.lock().unwrap().cards[&token].0.storage, Storage::LongTerm);
    }
}

#[tokio::test]
async fn card_of_a_payment_that_is_refused_after_it_was_stored_is_shredded() {
    let rig = Rig::new().await;
    let refused = pay(&rig, "pay_1", GOOD, |terms| terms.off_session = true).await;
    assert!(matches!(refused, Err(Fault::Precondition(_))));
    assert_eq!(rig.cards_in_vault(), 1);
    later(&rig).await;
    assert_eq!(rig.cards_in_vault(), 0);
}

#[tokio::test]
async fn refused_payment_does_not_shred_the_card_that_another_one_is_using() {
    let rig = Rig::new().await;
    let of_customer = |terms: &mut Terms| terms.customer_id = Some("cus_1".parse().unwrap());
    let manual = |terms: &mut Terms| {
        saving(terms);
        terms.capture = CapturePlan::Manual;
    };
    rig.trouble("/pay", Trouble::LostRequest);
    assert_eq!(pay(&rig, "pay_1", GOOD, manual).await.unwrap().state, State::Processing);
    let refused = pay(&rig, "pay_2", GOOD, |terms| {
        of_customer(terms);
        terms.off_session = true;
    });
    assert!(matches!(refused.await, Err(Fault::Precondition(_))));
    rig.trouble("/find", Trouble::Unreachable);
    later(&rig).await;
    assert_eq!(rig.cards_in_vault(), 1, "pay_1 is still open");
    later(&rig).await;
    let (paid, _) = rig.engine.payment(&rig.merchant, "pay_1").await.unwrap();
    assert_eq!(paid.state, State::RequiresCapture);
    assert_eq!(rig.vault.state.lock().unwrap().cards[&paid.method.unwrap().token].0.storage, Storage::LongTerm);
}

#[tokio::test]
async fn card_that_another_one_replaced_is_shredded() {
    let rig = Rig::new().await;
    let first = rig.vault.tokenize(&rig.merchant, &typed(GOOD), None).await.unwrap().payment_method_id;
    let method = MethodInput::Stored(first, CvcInput::None);
    let chosen = rig.engine.create(&rig.merchant, new_payment(|_| {}), Some(method), false).await.unwrap();
    assert_eq!(chosen.state, State::RequiresConfirmation);
    assert_eq!(confirm(&rig, card(DECLINED)).await.unwrap().state, State::Failed);
    assert!(rig.vault.state.lock().unwrap().cards.contains_key(&first));
    later(&rig).await;
    assert_eq!(rig.cards_in_vault(), 0);
}

#[tokio::test]
async fn guests_card_does_not_wait_for_a_payer_who_is_away() {
    let rig = Rig::new().await;
    let payment = pay(&rig, "pay_1", AUTHENTICATE, |_| {}).await.unwrap();
    assert_eq!((payment.state, rig.cards_in_vault()), (State::RequiresCustomerAction, 0));
    rig.psp.state.lock().unwrap().authenticate("ps_0");
    let payment = rig.engine.resolve(&rig.merchant, "pay_1", true).await.unwrap();
    assert_eq!((payment.state, payment.method.unwrap().kept), (State::Succeeded, false));
}

#[tokio::test]
async fn card_that_should_be_kept_is_shredded_when_the_payer_never_comes_back() {
    let rig = Rig::new().await;
    let payment = pay(&rig, "pay_1", AUTHENTICATE, saving).await.unwrap();
    assert_eq!((payment.state, rig.cards_in_vault()), (State::RequiresCustomerAction, 1));
    later(&rig).await;
    assert_eq!(rig.cards_in_vault(), 1, "the payer may still authenticate");
    rig.clock.advance(25 * 3_600_000);
    rig.engine.round(false).await;
    assert_eq!(rig.cards_in_vault(), 0);
    let (payment, _) = rig.engine.payment(&rig.merchant, "pay_1").await.unwrap();
    assert_eq!((payment.state, payment.method.unwrap().kept), (State::Cancelled, false));
}

#[tokio::test]
async fn cancelled_while_the_payer_is_away_leaves_no_card() {
    let rig = Rig::new().await;
    pay(&rig, "pay_1", AUTHENTICATE, saving).await.unwrap();
    let payment = rig.engine.cancel(&rig.merchant, "pay_1", None).await.unwrap();
    assert_eq!((payment.state, rig.cards_in_vault()), (State::Cancelled, 0));
}

#[tokio::test]
async fn returning_browsers_cause_one_question_in_three_seconds() {
    let rig = Rig::new().await;
    pay(&rig, "pay_1", AUTHENTICATE, |_| {}).await.unwrap();
    let asked = || rig.psp.state.lock().unwrap().arrived.iter().filter(|path| *path == "/look").count();
    let back = || rig.engine.come_back(&rig.merchant, "pay_1");
    let (a, b, c) = tokio::join!(back(), back(), back());
    assert!([a, b, c].into_iter().all(|payment| payment.unwrap().state == State::RequiresCustomerAction));
    assert_eq!(asked(), 1);
    rig.clock.advance(2_999);
    rig.psp.state.lock().unwrap().authenticate("ps_0");
    assert_eq!(back().await.unwrap().state, State::RequiresCustomerAction, "the stored state");
    assert_eq!(asked(), 1);
    rig.clock.advance(1);
    assert_eq!(back().await.unwrap().state, State::Succeeded);
    assert_eq!(back().await.unwrap().state, State::Succeeded);
    assert_eq!(asked(), 2, "an ended payment is not asked about");
}

fn typed(number: &str) -> CardInput {
    CardInput { number: SecretText::new(number.into()), exp_month: 12, exp_year: 2034, cvc: None, holder_name: None }
}
