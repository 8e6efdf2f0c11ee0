//! Nodes of one vault: generations, beats, leases.

use std::sync::Arc;
use std::time::Duration;

use strongroom_wire::admin::{KeyPurpose, KeyState, RotationState};
use strongroom_wire::{ActId, limits};
use uuid::Uuid;

use super::rows::{NOW, acme, card, key, tenant_row};
use crate::store::{ActRow, KeptRow, KeyChange, NodeReport, RotationRow, Store, StoreError};

fn node(name: &str) -> NodeReport {
    NodeReport {
        node: name.parse().unwrap(),
        run: Uuid::new_v4(),
        holds: false,
        taken: 0,
        settled: 0,
        news: Vec::new(),
    }
}

async fn joined(store: &dyn Store, name: &str) -> NodeReport {
    let report = node(name);
    assert_eq!(store.join(report.clone()).await, Ok(true));
    report
}

fn rotation(key: KeyPurpose, done: u64) -> RotationRow {
    RotationRow {
        key,
        tenant: Some("acme".parse().unwrap()),
        to_term: 2,
        state: RotationState::Running,
        done,
        total: 10,
        started_ms: NOW,
        records_per_second_max: None,
        emergency: false,
        fault: None,
        proof: None,
    }
}

fn kept(value: &str) -> KeptRow {
    KeptRow { name: "policy".to_owned(), value: value.as_bytes().to_vec(), note: "signed".to_owned() }
}

pub(in crate::store) async fn every_change_that_others_must_know_is_counted(store: Arc<dyn Store>) {
    let mut last = store.generation().await.unwrap();
    assert!(last > 0, "0 is what a node says that knows nothing");
    let mut counted = async |what: &str| {
        let now = store.generation().await.unwrap();
        assert_eq!(now, last + 1, "{what}");
        last = now;
    };
    let tenant = "acme".parse().unwrap();
    let first = key(KeyPurpose::Kek, Some(&tenant), 1);
    assert_eq!(store.insert_tenant(tenant_row(&tenant), vec![first.clone()], None).await, Ok(true));
    counted("tenant").await;
    let states = vec![(first.name.clone(), KeyState::Active, KeyState::Retiring)];
    let insert = vec![key(KeyPurpose::Kek, Some(&tenant), 2)];
    assert_eq!(store.change_keys(KeyChange { insert, states, ..KeyChange::default() }).await, Ok(true));
    counted("keys").await;
    store.put_rotation(rotation(KeyPurpose::Session, 0)).await.unwrap();
    counted("rotation of a session key").await;
    store.put_kept(kept("first")).await.unwrap();
    counted("kept").await;
    assert_eq!(store.swap_kept(Some(kept("first")), kept("second")).await, Ok(true));
    counted("kept, swapped").await;
    let act = ActRow { id: ActId::fresh(), is_open: true, until_ms: NOW, note: "act".to_owned() };
    store.insert_act(act.clone()).await.unwrap();
    counted("act").await;
    let over = ActRow { is_open: false, ..act.clone() };
    assert_eq!(store.swap_act(act, over).await, Ok(true));
    counted("act, changed").await;
    store.adopt_root([1; 32]).await.unwrap();
    counted("first root").await;
    store.set_stays_sealed(true).await.unwrap();
    counted("sealed").await;
    store.set_stays_sealed(false).await.unwrap();
    counted("unsealed").await;
    store.shred_tenant(&tenant).await.unwrap();
    counted("shredded").await;
}

pub(in crate::store) async fn what_others_need_not_know_is_not_counted(store: Arc<dyn Store>) {
    let tenant = acme(&*store).await;
    store.adopt_root([1; 32]).await.unwrap();
    store.put_kept(kept("first")).await.unwrap();
    let before = store.generation().await.unwrap();
    assert_eq!(store.insert_tenant(tenant_row(&tenant), Vec::new(), None).await, Ok(false));
    let unknown = key(KeyPurpose::Kek, Some(&tenant), 7).name;
    let change = KeyChange { states: vec![(unknown, KeyState::Active, KeyState::Retiring)], ..KeyChange::default() };
    assert_eq!(store.change_keys(change).await, Ok(false));
    store.put_rotation(rotation(KeyPurpose::Kek, 1)).await.unwrap();
    store.insert_card(card(&tenant, None), None).await.unwrap();
    assert_eq!(store.swap_kept(Some(kept("other")), kept("second")).await, Ok(false));
    store.adopt_root([2; 32]).await.unwrap();
    assert_eq!(store.generation().await, Ok(before));
}

pub(in crate::store) async fn seals_are_counted_even_after_they_are_lifted(store: Arc<dyn Store>) {
    assert_eq!(store.seals().await, Ok(0));
    store.set_stays_sealed(true).await.unwrap();
    store.set_stays_sealed(false).await.unwrap();
    assert_eq!((store.seals().await, store.stays_sealed().await), (Ok(1), Ok(false)));
    store.set_stays_sealed(true).await.unwrap();
    assert_eq!(store.seals().await, Ok(2));
}

pub(in crate::store) async fn a_beat_shows_every_node_as_it_last_was(store: Arc<dyn Store>) {
    let (a, b) = (joined(&*store, "a").await, joined(&*store, "b").await);
    let said = NodeReport { holds: true, taken: 5, settled: 4, news: vec![0, 255, 7], ..b };
    store.beat(said.clone()).await.unwrap();
    let pulse = store.beat(a.clone()).await.unwrap();
    assert!(pulse.is_member);
    assert_eq!((pulse.generation, pulse.seals), (store.generation().await.unwrap(), 0));
    assert_eq!(pulse.nodes.into_iter().map(|row| row.report).collect::<Vec<_>>(), [a.clone(), said]);
    // Ages grow, and a beat makes its own 0 again.
    let mut age = 0;
    while age < 30 {
        tokio::time::sleep(Duration::from_millis(10)).await;
        let pulse = store.beat(a.clone()).await.unwrap();
        age = pulse.nodes[1].age_ms;
        assert!(pulse.nodes[0].age_ms <= age);
    }
}

pub(in crate::store) async fn a_name_is_taken_until_its_run_is_gone(store: Arc<dyn Store>) {
    let (first, second) = (joined(&*store, "a").await, node("a"));
    assert_eq!(store.join(second.clone()).await, Ok(false));
    let pulse = store.beat(second.clone()).await.unwrap();
    assert!(!pulse.is_member && pulse.nodes[0].report.run == first.run);
    assert_eq!(store.bury(second.run, Duration::from_secs(3600)).await, Ok(0));
    assert_eq!(store.bury(first.run, Duration::ZERO).await, Ok(0), "no run buries itself");
    assert_eq!(store.bury(second.run, Duration::ZERO).await, Ok(1));
    assert_eq!(store.join(second.clone()).await, Ok(true));
    assert!(!store.beat(first.clone()).await.unwrap().is_member, "a run that was buried came back");
    assert_eq!(store.join(first.clone()).await, Ok(false));
    // The first one's end is not the second one's.
    store.depart(first.run).await.unwrap();
    assert!(store.beat(second.clone()).await.unwrap().is_member);
    store.depart(second.run).await.unwrap();
    assert_eq!(store.join(first).await, Ok(true));
}

pub(in crate::store) async fn a_lease_has_one_holder_who_is_alive(store: Arc<dyn Store>) {
    let (a, b) = (joined(&*store, "a").await, joined(&*store, "b").await);
    assert_eq!(store.lease("leader", Uuid::new_v4()).await, Ok(false), "who never joined holds nothing");
    assert_eq!(store.lease("leader", a.run).await, Ok(true));
    assert_eq!(store.lease("leader", a.run).await, Ok(true));
    assert_eq!(store.lease("leader", b.run).await, Ok(false));
    assert_eq!(store.lease("rotation", b.run).await, Ok(true));
    let pulse = store.beat(b.clone()).await.unwrap();
    let held: Vec<_> = pulse.leases.iter().map(|lease| (lease.name.as_str(), lease.run)).collect();
    assert_eq!(held, [("leader", a.run), ("rotation", b.run)]);
    store.release("leader", b.run).await.unwrap();
    assert_eq!(store.lease("leader", b.run).await, Ok(false), "only the holder gives it back");
    store.release("leader", a.run).await.unwrap();
    assert_eq!(store.lease("leader", b.run).await, Ok(true));
    assert_eq!(store.bury(a.run, Duration::ZERO).await, Ok(1));
    assert_eq!(store.lease("leader", a.run).await, Ok(true), "a buried run's lease is free");
    assert_eq!(store.lease("leader", b.run).await, Ok(false));
    store.depart(a.run).await.unwrap();
    let c = joined(&*store, "c").await;
    for name in ["leader", "rotation"] {
        assert_eq!(store.lease(name, c.run).await, Ok(true));
    }
}

pub(in crate::store) async fn of_many_at_once_one_joins_and_one_leads(store: Arc<dyn Store>) {
    let attempts: Vec<_> = (0..8)
        .map(|_| {
            let store = Arc::clone(&store);
            tokio::spawn(async move { store.join(node("a")).await.unwrap() })
        })
        .collect();
    let mut winners = 0;
    for attempt in attempts {
        winners += u32::from(attempt.await.unwrap());
    }
    assert_eq!(winners, 1);
    let mut attempts = Vec::new();
    for name in ["b", "c", "d", "e"] {
        let (store, run) = (Arc::clone(&store), joined(&*store, name).await.run);
        attempts.push(tokio::spawn(async move { store.lease("leader", run).await.unwrap() }));
    }
    winners = 0;
    for attempt in attempts {
        winners += u32::from(attempt.await.unwrap());
    }
    assert_eq!(winners, 1);
}

pub(in crate::store) async fn what_is_kept_is_swapped_only_from_what_it_was(store: Arc<dyn Store>) {
    assert_eq!(store.swap_kept(Some(kept("first")), kept("second")).await, Ok(false));
    assert_eq!(store.swap_kept(None, kept("first")).await, Ok(true));
    assert_eq!(store.swap_kept(None, kept("second")).await, Ok(false));
    let other_note = KeptRow { note: "other".to_owned(), ..kept("first") };
    assert_eq!(store.swap_kept(Some(other_note), kept("second")).await, Ok(false));
    assert_eq!(store.swap_kept(Some(kept("first")), kept("second")).await, Ok(true));
    assert_eq!(store.kept("").await, Ok(vec![kept("second")]));
    let long = KeptRow { value: vec![0; limits::POLICY_BYTES_MAX + 1], ..kept("") };
    assert_eq!(store.swap_kept(Some(kept("second")), long).await, Err(StoreError::TooLarge));
}

pub(in crate::store) async fn a_cluster_has_its_limits(store: Arc<dyn Store>) {
    let long = NodeReport { news: vec![0; limits::NODE_NEWS_BYTES_MAX + 1], ..node("a") };
    assert_eq!(store.join(long.clone()).await, Err(StoreError::TooLarge));
    assert_eq!(store.beat(long).await, Err(StoreError::TooLarge));
    let fits = NodeReport { news: vec![0; limits::NODE_NEWS_BYTES_MAX], ..node("a") };
    assert_eq!(store.join(fits.clone()).await, Ok(true));
    assert_eq!(store.lease(&"x".repeat(limits::LEASE_BYTES_MAX), fits.run).await, Ok(true));
    assert_eq!(store.lease(&"x".repeat(limits::LEASE_BYTES_MAX + 1), fits.run).await, Err(StoreError::TooLarge));
    for number in 1..limits::NODES_MAX {
        joined(&*store, &format!("node-{number}")).await;
    }
    assert_eq!(store.join(node("one-more")).await, Err(StoreError::Full));
}
