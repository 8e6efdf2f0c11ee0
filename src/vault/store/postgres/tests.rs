//! The store in PostgreSQL against a real server.

use std::sync::Arc;

use strongroom_wire::admin::KeyPurpose;
use strongroom_wire::limits::STORE_PAGE_MAX;

use super::{OpenError, PostgresOptions, PostgresStore, PostgresUrl};
use crate::store::conformance::{acme, card, conformance, key, tenant_row};
use crate::store::{CardRow, KeyChange, Store, StoreError, TokenMint};

#[path = "../../../../tests/harness/postgres.rs"]
#[expect(unreachable_pub, reason = "the harness shows it to other crates")]
pub(in crate::store) mod server;

use server::Postgres;

#[path = "outage_tests.rs"]
mod outages;
#[path = "race_tests.rs"]
mod races;
#[path = "refusal_tests.rs"]
mod refusals;
#[path = "session_tests.rs"]
mod sessions;

conformance!(fresh);

async fn fresh() -> (Arc<dyn Store>, ()) {
    let server = Postgres::shared();
    (Arc::new(open(server, &server.fresh_database()).await.unwrap()), ())
}

pub(in crate::store) fn options(server: &Postgres, database: &str) -> PostgresOptions {
    let (url, ca, password) = (server.url(database), server.ca(), server.password_file());
    let at =
        PostgresUrl { url: &url, ca: Some(&ca), password_file: Some(&password), connections: 8, needs_standby: false };
    PostgresOptions::new(&at, "vault-a").unwrap()
}

async fn open(server: &Postgres, database: &str) -> Result<PostgresStore, OpenError> {
    PostgresStore::open(options(server, database)).await
}

#[tokio::test]
async fn a_store_of_another_vault_or_a_newer_version_is_refused() {
    let server = Postgres::shared();
    let database = server.fresh_database();
    assert_eq!(PostgresStore::check(options(server, &database)).await, Ok(()), "an empty database may become a store");
    assert_eq!(server.sql(&database, "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"), "0");
    let opened = futures_util::future::join_all((0..6).map(|_| open(server, &database))).await;
    assert!(opened.iter().all(Result::is_ok), "nodes that start at once make one schema");
    assert_eq!(PostgresStore::check(options(server, &database)).await, Ok(()));
    let mut other = options(server, &database);
    other.vault = "vault-b".to_owned();
    assert_eq!(PostgresStore::open(other).await.err(), Some(OpenError::Store(StoreError::OtherVault)));
    server.sql(&database, "UPDATE vault_schema SET version = 99");
    assert_eq!(open(server, &database).await.err(), Some(OpenError::Store(StoreError::NewerSchema)));
}

#[tokio::test]
async fn a_sample_has_the_oldest_and_the_newest_card_of_each_tenant() {
    let server = Postgres::shared();
    let store = open(server, &server.fresh_database()).await.unwrap();
    assert_eq!(store.sample(vec![0, u64::MAX]).await, Ok(Vec::new()));
    let (tenant, other) = (acme(&store).await, "other".parse().unwrap());
    store.insert_tenant(tenant_row(&other), Vec::new(), None).await.unwrap();
    let mint = TokenMint::new();
    let now = 1_764_000_000_000;
    let mut rows = Vec::new();
    // The second's after the first's, because tokens only grow, and as far from each other.
    for place in 0..10 {
        let tenant = if place < 5 { &tenant } else { &other };
        let row = CardRow { token: mint.token(now + place * 1000), ..card(tenant, None) };
        store.insert_card(row.clone(), None).await.unwrap();
        rows.push(row);
    }
    let half = 1 << 63;
    let sample = store.sample(vec![0, half - 1, half, u64::MAX]).await.unwrap();
    assert_eq!(sample, [&rows[0], &rows[4], &rows[5], &rows[9]].map(Clone::clone));
    let many: Vec<u64> = (0..300).map(|place| ((place << 64) / 300_u128) as u64).collect();
    let sample = store.sample(many).await.unwrap();
    assert!(sample.len() == 300 && rows.iter().all(|row| sample.contains(row)));
    assert_eq!(store.sample(vec![0; STORE_PAGE_MAX as usize + 1]).await, Err(StoreError::TooLarge));
}

#[tokio::test]
async fn a_key_that_was_destroyed_leaves_the_table_with_the_next_settling_and_a_copy_is_the_servers_work() {
    let server = Postgres::shared();
    let database = server.fresh_database();
    let store = open(server, &database).await.unwrap();
    let tenant = acme(&store).await;
    let first = key(KeyPurpose::Kek, Some(&tenant), 1);
    store.change_keys(KeyChange { insert: vec![first.clone()], ..KeyChange::default() }).await.unwrap();
    assert_eq!(store.shred_tenant(&tenant).await, Ok(1));
    store.settle().await.unwrap();
    let dead = "SELECT count(*) FROM pg_stat_all_tables WHERE relname = 'keys' AND vacuum_count > 0 AND n_dead_tup = 0";
    let began = std::time::Instant::now();
    // The server counts such things in its own time.
    while server.sql(&database, dead) != "1" {
        assert!(began.elapsed().as_secs() < 60, "the old version of the key is there still");
    }
    let into = server.folder().join("copy");
    assert_eq!(store.copy_to(&into).await, Err(StoreError::NoCopy));
    assert!(!into.exists());
}
