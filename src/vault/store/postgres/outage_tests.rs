//! A server that goes away, stands still or is in somebody's hands, and a node that is no member any more.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use strongroom_wire::TenantId;

use super::open;
use super::server::Postgres;
use crate::store::conformance::{acme, card, customer};
use crate::store::postgres::PostgresStore;
use crate::store::{CardRow, Cluster as _, Inserted, NodeReport, Store, StoreError};

const NOW: u64 = 1_764_000_000_000;

#[tokio::test(flavor = "multi_thread")]
async fn what_was_answered_is_there_after_the_server_was_killed_under_load() {
    let server = Postgres::start();
    server.add_database("one");
    let store = Arc::new(open(&server, "one").await.unwrap());
    let tenant = acme(&*store).await;
    let ends = Arc::new(AtomicBool::new(false));
    let refused = Arc::new(AtomicUsize::new(0));
    let writer = || write_until(Arc::clone(&store), tenant.clone(), Arc::clone(&ends), Arc::clone(&refused));
    let writers: Vec<_> = (0..16).map(|_| tokio::spawn(writer())).collect();
    for _ in 0..2 {
        let before = written(&server);
        eventually(|| written(&server) > before + 50).await;
        let before = refused.load(Ordering::Relaxed);
        server.crash();
        // It stays away until somebody noticed.
        eventually(|| refused.load(Ordering::Relaxed) > before).await;
        server.start_again();
    }
    let before = written(&server);
    eventually(|| written(&server) > before + 50).await;
    ends.store(true, Ordering::Relaxed);
    let mut confirmed = Vec::new();
    for writer in writers {
        let (rows, errors) = writer.await.unwrap();
        confirmed.extend(rows);
        assert!(errors.iter().all(|error| *error == StoreError::Unavailable), "{errors:?}");
    }
    for row in &confirmed {
        assert_eq!(
            store.card(&tenant, &row.token, NOW).await.unwrap().as_ref(),
            Some(row),
            "an answered write is lost"
        );
    }
}

async fn write_until(
    store: Arc<PostgresStore>,
    tenant: TenantId,
    ends: Arc<AtomicBool>,
    refused: Arc<AtomicUsize>,
) -> (Vec<CardRow>, Vec<StoreError>) {
    let (mut rows, mut errors) = (Vec::new(), Vec::new());
    while !ends.load(Ordering::Relaxed) {
        let row = card(&tenant, customer("cus_1"));
        match store.insert_card(row.clone(), None).await {
            Ok(Inserted::Stored) => rows.push(row),
            Ok(other) => panic!("{other:?}"),
            Err(error) => {
                errors.push(error);
                refused.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
    (rows, errors)
}

fn written(server: &Postgres) -> u64 {
    server.sql("one", "SELECT count(*) FROM cards").parse().unwrap()
}

async fn eventually(mut is_so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < Duration::from_secs(120), "it never came to be");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_stands_still_is_unavailable_and_used_again_when_it_moves() {
    let server = Postgres::start();
    server.add_database("one");
    let store = open(&server, "one").await.unwrap();
    let tenant = acme(&store).await;
    let row = card(&tenant, None);
    store.insert_card(row.clone(), None).await.unwrap();
    server.freeze();
    let (read, written, beat, changed) = tokio::join!(
        store.card(&tenant, &row.token, NOW),
        store.insert_card(card(&tenant, None), None),
        store.beat(node("a")),
        store.set_stays_sealed(true),
    );
    assert_eq!(read, Err(StoreError::Unavailable));
    assert_eq!(written, Err(StoreError::Unavailable));
    assert_eq!(beat, Err(StoreError::Unavailable));
    assert_eq!(changed, Err(StoreError::Unavailable));
    server.thaw();
    assert_eq!(store.card(&tenant, &row.token, NOW).await, Ok(Some(row)));
    assert_eq!(store.insert_card(card(&tenant, None), None).await, Ok(Inserted::Stored));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_somebody_holds_keeps_one_waiting_and_not_the_others() {
    let server = Postgres::shared();
    let database = server.fresh_database();
    let store = open(server, &database).await.unwrap();
    let tenant = acme(&store).await;
    let row = card(&tenant, None);
    store.insert_card(row.clone(), None).await.unwrap();
    let held = std::thread::spawn(move || {
        server.sql(&database, "BEGIN; SELECT * FROM cards FOR UPDATE; SELECT pg_sleep(20); COMMIT")
    });
    // Until the row is held the deletion would succeed; a swap that changes nothing shows it.
    let same = row.content.clone();
    let began = Instant::now();
    while store.swap_card(&tenant, &row.token, same.clone(), same.clone()).await.is_ok() {
        assert!(began.elapsed() < Duration::from_secs(15), "the row was never held");
    }
    let (deleted, others) = tokio::join!(store.delete_card(&tenant, &row.token), async {
        store.insert_card(card(&tenant, None), None).await
    });
    assert_eq!(deleted, Err(StoreError::Unavailable));
    assert_eq!(others, Ok(Inserted::Stored));
    held.join().unwrap();
    assert_eq!(store.delete_card(&tenant, &row.token).await, Ok(true));
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_the_server_ends_are_replaced_without_a_word() {
    let server = Postgres::start();
    server.add_database("one");
    let store = open(&server, "one").await.unwrap();
    let tenant = acme(&store).await;
    for _ in 0..5 {
        let idle = "FROM pg_stat_activity WHERE usename = 'orchestrator'";
        server.sql("one", &format!("SELECT pg_terminate_backend(pid) {idle}"));
        eventually(|| server.sql("one", &format!("SELECT count(*) {idle}")) == "0").await;
        // What the server said is on its way to us; a question of no consequence waits for it.
        eventually_ok(|| store.tenants()).await;
        assert_eq!(store.insert_card(card(&tenant, None), None).await, Ok(Inserted::Stored));
    }
}

async fn eventually_ok<T, F: Future<Output = Result<T, StoreError>>>(mut ask: impl FnMut() -> F) {
    let began = Instant::now();
    while ask().await.is_err() {
        assert!(began.elapsed() < Duration::from_secs(60), "it never answered");
    }
}

fn node(name: &str) -> NodeReport {
    let (node, run) = (name.parse().unwrap(), uuid::Uuid::new_v4());
    NodeReport { node, run, holds: true, taken: 0, settled: 0, news: Vec::new() }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_was_buried_writes_nothing_any_more() {
    let server = Postgres::shared();
    let database = server.fresh_database();
    let (first, second) = (open(server, &database).await.unwrap(), open(server, &database).await.unwrap());
    let tenant = acme(&first).await;
    let (a, b) = (node("a"), node("b"));
    assert_eq!((first.join(a.clone()).await, second.join(b.clone()).await), (Ok(true), Ok(true)));
    let row = card(&tenant, None);
    assert_eq!(first.insert_card(row.clone(), None).await, Ok(Inserted::Stored));
    assert_eq!(second.bury(b.run, Duration::ZERO).await, Ok(1));
    let before = second.generation().await.unwrap();
    assert_eq!(first.insert_card(card(&tenant, None), None).await, Err(StoreError::Unavailable));
    assert_eq!(first.insert_cards(vec![(card(&tenant, None), None)]).await, Err(StoreError::Unavailable));
    assert_eq!(first.delete_card(&tenant, &row.token).await, Err(StoreError::Unavailable));
    assert_eq!(first.set_stays_sealed(true).await, Err(StoreError::Unavailable));
    assert_eq!(
        first.swap_card(&tenant, &row.token, row.content.clone(), row.content.clone()).await,
        Err(StoreError::Unavailable)
    );
    assert_eq!(second.card(&tenant, &row.token, NOW).await, Ok(Some(row.clone())));
    assert_eq!(server.sql(&database, "SELECT count(*) FROM cards"), "1");
    assert_eq!(second.generation().await, Ok(before));
    // It reads, and a new run of it writes again.
    assert_eq!(first.card(&tenant, &row.token, NOW).await, Ok(Some(row)));
    assert_eq!(first.join(node("a")).await, Ok(true));
    assert_eq!(first.insert_card(card(&tenant, None), None).await, Ok(Inserted::Stored));
}
