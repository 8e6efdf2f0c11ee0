//! Payments, their refunds, and what a change brings along.

use strongroom_wire::{TenantId, Token};

use super::super::{ChoreKind, Effects, Record, SavedUse, Store, StoreError, Version};
use super::cards::chore;
use super::outbox::event;
use super::{attempt, payment, refund, shop};
use crate::intent::Watch;

pub(super) async fn are_changed_by_one_at_a_time(store: &dyn Store) {
    let mut first = payment("pay_1");
    assert_eq!(store.add_payment(&first, &Effects::default()).await.unwrap(), Version(1));
    assert_eq!(store.add_payment(&first, &Effects::default()).await, Err(StoreError::Duplicate));
    first.captured_minor = 7;
    assert_eq!(store.save_payment(&first, Version(1), &Effects::default()).await.unwrap(), Version(2));
    assert_eq!(store.save_payment(&first, Version(1), &Effects::default()).await, Err(StoreError::Conflict));
    let (read, version) = store.payment(&shop(), "pay_1").await.unwrap().unwrap();
    assert_eq!((read, version), (first, Version(2)));
    let other: TenantId = "other".parse().unwrap();
    assert_eq!(store.payment(&other, "pay_1").await.unwrap(), None);
}

pub(super) async fn refund_ids_belong_to_one_payment(store: &dyn Store) {
    let (mut first, mut second) = (payment("pay_r1"), payment("pay_r2"));
    let one = store.add_payment(&first, &Effects::default()).await.unwrap();
    let two = store.add_payment(&second, &Effects::default()).await.unwrap();
    first.refunds.push(refund("ref_1"));
    store.save_payment(&first, one, &Effects::default()).await.unwrap();
    second.refunds.push(refund("ref_1"));
    second.captured_minor = 9;
    assert_eq!(store.save_payment(&second, two, &Effects::default()).await, Err(StoreError::Duplicate));
    let (read, version) = store.payment(&shop(), "pay_r2").await.unwrap().unwrap();
    assert_eq!((read.captured_minor, version), (0, two), "a refused change leaves nothing behind");
    assert_eq!(store.payment_of_refund(&shop(), "ref_1").await.unwrap().unwrap().0.payment_id, "pay_r1");
}

pub(super) async fn effects_are_stored_with_the_payment_or_not_at_all(store: &dyn Store) {
    let token = Token::fresh();
    let effects = Effects {
        chores: vec![chore(ChoreKind::Shred, token)],
        used: Some(SavedUse {
            merchant_id: shop(),
            customer_id: "cus_1".parse().unwrap(),
            token,
            last_used_ms: 5,
            network_transaction_id: Some("first".into()),
            off_session: true,
        }),
        events: vec![event("evt_e", "pay_e")],
        ..Effects::default()
    };
    let paid = payment("pay_e");
    let version = store.add_payment(&paid, &Effects::default()).await.unwrap();
    assert_eq!(store.save_payment(&paid, Version(99), &effects).await, Err(StoreError::Conflict));
    assert!(store.due_chores(i64::MAX, 10).await.unwrap().is_empty());
    assert!(store.outbox_events(&shop(), Some("pay_e"), None, 10).await.unwrap().is_empty());
    let version = store.save_payment(&paid, version, &effects).await.unwrap();
    let mut later = effects.clone();
    later.chores.clear();
    later.events.clear();
    let used = later.used.as_mut().unwrap();
    (used.network_transaction_id, used.off_session, used.last_used_ms) = (Some("second".into()), false, 6);
    store.save_payment(&paid, version, &later).await.unwrap();
    let uses = store.saved_uses(&shop(), &"cus_1".parse().unwrap()).await.unwrap();
    assert_eq!(uses.len(), 1);
    assert_eq!((uses[0].network_transaction_id.as_deref(), uses[0].off_session), (Some("first"), true));
    assert_eq!(uses[0].last_used_ms, 6);
    assert_eq!(store.outbox_events(&shop(), Some("pay_e"), None, 10).await.unwrap().len(), 1);

    let chores = store.due_chores(0, 10).await.unwrap();
    assert_eq!((chores.len(), chores[0].record, chores[0].kind), (1, Record::Card(token), ChoreKind::Shred));
    store.postpone_chore(chores[0].id, 1000).await.unwrap();
    assert!(store.due_chores(999, 10).await.unwrap().is_empty());
    assert_eq!(store.due_chores(1000, 10).await.unwrap()[0].tries, 1);
    store.finish_chore(chores[0].id).await.unwrap();
    assert!(store.due_chores(i64::MAX, 10).await.unwrap().is_empty());
}

pub(super) async fn due_ones_are_found_by_time(store: &dyn Store) {
    let mut waiting = payment("pay_w");
    waiting.watch = Some(Watch { tries: 0, next_ms: 500 });
    store.add_payment(&waiting, &Effects::default()).await.unwrap();
    assert!(store.due_payments(499, 10).await.unwrap().is_empty());
    assert_eq!(store.due_payments(500, 10).await.unwrap(), [(shop(), "pay_w".to_owned())]);
}

pub(super) async fn are_found_by_the_ids_of_the_provider(store: &dyn Store) {
    let mut first = payment("pay_p1");
    first.attempts = vec![attempt("rig", "mca_1", Some("pi_a")), attempt("rig", "mca_2", None)];
    let version = store.add_payment(&first, &Effects::default()).await.unwrap();
    let found = async |account: &str, psp_id: &str| {
        let found = store.payment_of_psp(&shop(), account, psp_id).await.unwrap();
        found.map(|(payment, version)| (payment.payment_id, version))
    };
    assert_eq!(found("mca_1", "pi_a").await, Some(("pay_p1".to_owned(), Version(1))));
    assert_eq!(found("mca_2", "pi_a").await, None, "ids of one account say nothing about another");
    let other: TenantId = "other".parse().unwrap();
    assert!(store.payment_of_psp(&other, "mca_1", "pi_a").await.unwrap().is_none());
    first.attempts[1].psp_id = Some("pi_b".into());
    store.save_payment(&first, version, &Effects::default()).await.unwrap();
    for (account, psp_id) in [("mca_1", "pi_a"), ("mca_2", "pi_b")] {
        assert_eq!(found(account, psp_id).await, Some(("pay_p1".to_owned(), Version(2))));
    }
    let mut second = payment("pay_p2");
    second.attempts = vec![attempt("rig", "mca_1", Some("pi_a"))];
    store.add_payment(&second, &Effects::default()).await.unwrap();
    assert_eq!(found("mca_1", "pi_a").await.unwrap().0, "pay_p1", "whose it was first");
}
