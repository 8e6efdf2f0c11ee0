//! Events for merchants and of providers.

use strongroom_wire::TenantId;

use super::super::{Effects, NewEvent, OutboxEvent, OutboxState, SeenEvent, Store, StoreError, Version};
use super::{payment, shop};

/// An event of `shop` that is due from 10 on.
pub(super) fn event(id: &str, payment_id: &str) -> NewEvent {
    NewEvent {
        event_id: id.into(),
        merchant_id: shop(),
        event_type: "payment_succeeded".into(),
        payment_id: payment_id.into(),
        body: format!(r#"{{"event_id":"{id}"}}"#),
        created_ms: 10,
    }
}

/// A payment with these events.
async fn told(store: &dyn Store, payment_id: &str, events: &[&str]) -> Version {
    let events = events.iter().map(|id| event(id, payment_id)).collect();
    store.add_payment(&payment(payment_id), &Effects { events, ..Effects::default() }).await.unwrap()
}

async fn claim(store: &dyn Store, now_ms: i64, limit: u32) -> Vec<OutboxEvent> {
    store.claim_due_events(now_ms, 100, limit).await.unwrap()
}

fn ids(events: &[OutboxEvent]) -> Vec<&str> {
    events.iter().map(|event| event.event_id.as_str()).collect()
}

/// Nothing waits when one test of this file ends.
async fn finish_all(store: &dyn Store) {
    loop {
        let events = claim(store, i64::MAX / 2, 100).await;
        if events.is_empty() {
            return;
        }
        for event in events {
            store.finish_event(event.seq, 200, 1_000_000).await.unwrap();
        }
    }
}

pub(super) async fn of_each_payment_the_oldest_that_waits_is_claimed_once(store: &dyn Store) {
    finish_all(store).await;
    told(store, "pay_o1", &["evt_1", "evt_2"]).await;
    told(store, "pay_o2", &["evt_3"]).await;
    assert!(claim(store, 9, 10).await.is_empty(), "nothing is due before its time");
    assert_eq!(claim(store, 10, 1).await.len(), 1, "as many as wanted");
    let rest = claim(store, 10, 10).await;
    assert_eq!(rest.len(), 1, "the second of the first payment waits for the first");
    assert!(claim(store, 109, 10).await.is_empty(), "the lease keeps others away");
    let again = claim(store, 110, 10).await;
    assert_eq!(ids(&again), ["evt_1", "evt_3"], "the lease ended");
    assert_eq!((again[0].tries, again[0].due_ms, again[0].created_ms), (0, 210, 10));
    assert_eq!((again[0].event_type.as_str(), again[0].payment_id.as_str()), ("payment_succeeded", "pay_o1"));
    assert_eq!((again[0].body.as_str(), &again[0].merchant_id), (r#"{"event_id":"evt_1"}"#, &shop()));
    store.postpone_event(again[0].seq, Some(503), 500).await.unwrap();
    store.postpone_event(again[1].seq, None, 400).await.unwrap();
    assert!(claim(store, 399, 10).await.is_empty(), "a later event does not overtake");
    let third = claim(store, 400, 10).await;
    assert_eq!((ids(&third), third[0].tries, third[0].last_status), (vec!["evt_3"], 1, None));
    store.finish_event(third[0].seq, 204, 401).await.unwrap();
    let first = claim(store, 500, 10).await;
    assert_eq!((ids(&first), first[0].tries, first[0].last_status), (vec!["evt_1"], 1, Some(503)));
    store.finish_event(first[0].seq, 200, 501).await.unwrap();
    let second = claim(store, 501, 10).await;
    assert_eq!(ids(&second), ["evt_2"]);
    store.finish_event(second[0].seq, 200, 502).await.unwrap();
    assert!(claim(store, i64::MAX / 2, 10).await.is_empty());
}

pub(super) async fn events_are_given_up_replayed_and_listed(store: &dyn Store) {
    told(store, "pay_o3", &["evt_4", "evt_5"]).await;
    told(store, "pay_o4", &["evt_6"]).await;
    let claimed = claim(store, 10, 10).await;
    assert_eq!(ids(&claimed), ["evt_4", "evt_6"]);
    store.give_up_event(claimed[0].seq, Some(410)).await.unwrap();
    store.finish_event(claimed[1].seq, 200, 20).await.unwrap();
    let next = claim(store, 10, 10).await;
    assert_eq!(ids(&next), ["evt_5"], "what was given up holds nobody up");
    store.finish_event(next[0].seq, 201, 21).await.unwrap();

    let listed = store.outbox_events(&shop(), Some("pay_o3"), None, 10).await.unwrap();
    assert_eq!(ids(&listed), ["evt_5", "evt_4"]);
    assert_eq!((listed[0].state, listed[0].last_status), (OutboxState::Delivered, Some(201)));
    assert_eq!((listed[0].delivered_ms, listed[1].delivered_ms), (Some(21), None));
    assert_eq!((listed[1].state, listed[1].last_status), (OutboxState::GivenUp, Some(410)));
    let page = store.outbox_events(&shop(), None, None, 2).await.unwrap();
    assert_eq!(ids(&page), ["evt_6", "evt_5"]);
    let page = store.outbox_events(&shop(), None, Some(page[1].seq), 1).await.unwrap();
    assert_eq!(ids(&page), ["evt_4"]);
    let other: TenantId = "other".parse().unwrap();
    assert!(store.outbox_events(&other, None, None, 10).await.unwrap().is_empty());

    assert_eq!(store.outbox_event(&shop(), "evt_4").await.unwrap().as_ref(), Some(&page[0]));
    assert_eq!(store.outbox_event(&other, "evt_4").await.unwrap(), None);
    assert_eq!(store.outbox_event(&shop(), "evt_none").await.unwrap(), None);
    assert_eq!(store.waiting_events().await.unwrap(), 0);
    assert!(!store.replay_event(&other, "evt_4", 700).await.unwrap());
    assert!(!store.replay_event(&shop(), "evt_none", 700).await.unwrap());
    for id in ["evt_4", "evt_6"] {
        assert!(store.replay_event(&shop(), id, 700).await.unwrap());
    }
    assert_eq!(store.waiting_events().await.unwrap(), 2);
    let again = claim(store, 700, 10).await;
    assert_eq!(ids(&again), ["evt_4", "evt_6"]);
    assert!(again.iter().all(|event| event.tries == 0 && event.state == OutboxState::Waiting));
    finish_all(store).await;
}

pub(super) async fn an_event_of_a_provider_is_answered_once(store: &dyn Store) {
    let seen = |account: &str, id: &str| SeenEvent {
        merchant_id: shop(),
        account_id: account.into(),
        event_id: id.into(),
        seen_ms: 5,
        payment_id: Some("pay_s".into()),
    };
    let mut paid = payment("pay_s");
    let version = store.add_payment(&paid, &Effects::default()).await.unwrap();
    let effects =
        Effects { events: vec![event("evt_s", "pay_s")], seen: Some(seen("mca_1", "psp_evt_1")), ..Effects::default() };
    assert!(!store.is_seen(&seen("mca_1", "psp_evt_1")).await.unwrap());
    let version = store.save_payment(&paid, version, &effects).await.unwrap();
    assert!(store.is_seen(&seen("mca_1", "psp_evt_1")).await.unwrap());
    assert!(!store.is_seen(&seen("mca_2", "psp_evt_1")).await.unwrap());
    paid.captured_minor = 77;
    let repeated = Effects { events: vec![event("evt_t", "pay_s")], ..effects };
    assert_eq!(store.save_payment(&paid, version, &repeated).await, Err(StoreError::Duplicate));
    let (read, found) = store.payment(&shop(), "pay_s").await.unwrap().unwrap();
    assert_eq!((read.captured_minor, found), (0, version), "a repeated event changes nothing");
    assert_eq!(store.outbox_events(&shop(), Some("pay_s"), None, 10).await.unwrap().len(), 1);
    for _ in 0..2 {
        store.mark_seen(&seen("mca_1", "psp_evt_2")).await.unwrap();
    }
    let nobodys = SeenEvent { payment_id: None, seen_ms: 6, ..seen("mca_1", "psp_evt_0") };
    store.mark_seen(&nobodys).await.unwrap();
    let later = SeenEvent { seen_ms: 7, ..seen("mca_1", "psp_evt_3") };
    store.mark_seen(&later).await.unwrap();
    let [one, two] = [seen("mca_1", "psp_evt_1"), seen("mca_1", "psp_evt_2")];
    assert_eq!(store.seen_events(&shop(), "pay_s", 10).await.unwrap(), [one, two.clone(), later]);
    assert_eq!(store.seen_events(&shop(), "pay_s", 1).await.unwrap().len(), 1);
    assert!(store.seen_events(&shop(), "pay_none", 10).await.unwrap().is_empty());
    assert!(store.seen_events(&"seller".parse().unwrap(), "pay_s", 10).await.unwrap().is_empty());
    let effects = Effects { seen: Some(two), ..Effects::default() };
    assert_eq!(store.save_payment(&paid, version, &effects).await, Err(StoreError::Duplicate));
    finish_all(store).await;
}

pub(super) async fn sweeping_takes_what_is_done_and_old(store: &dyn Store) {
    told(store, "pay_sw", &["evt_w1", "evt_w2", "evt_w3"]).await;
    for (status, at) in [(200, 1000), (410, 1001)] {
        let claimed = claim(store, 900, 1).await;
        if status == 200 {
            store.finish_event(claimed[0].seq, status, at).await.unwrap();
        } else {
            store.give_up_event(claimed[0].seq, Some(status)).await.unwrap();
        }
    }
    let old = SeenEvent {
        merchant_id: shop(),
        account_id: "mca_w".into(),
        event_id: "old".into(),
        seen_ms: 1000,
        payment_id: None,
    };
    store.mark_seen(&old).await.unwrap();
    store.sweep(1000).await.unwrap();
    let list = async || {
        let events = store.outbox_events(&shop(), Some("pay_sw"), None, 10).await.unwrap();
        events.into_iter().map(|event| event.event_id).collect::<Vec<_>>()
    };
    assert_eq!(list().await, ["evt_w3", "evt_w2", "evt_w1"]);
    assert!(store.is_seen(&old).await.unwrap());
    store.sweep(1001).await.unwrap();
    assert_eq!(list().await, ["evt_w3"], "what waits stays");
    assert!(!store.is_seen(&old).await.unwrap());
    finish_all(store).await;
}
