//! The store in PostgreSQL against a real server.

use std::sync::Arc;

use super::{OpenError, PostgresOptions, PostgresStore, PostgresUrl};
use crate::store::conformance::conformance;
use crate::store::{Store, StoreError};

#[path = "../../../../tests/harness/postgres.rs"]
#[expect(unreachable_pub, dead_code, reason = "the harness shows it to other crates")]
mod server;

use server::Postgres;

#[path = "outage_tests.rs"]
mod outages;
#[path = "race_tests.rs"]
mod races;
#[path = "refusal_tests.rs"]
mod refusals;

conformance!(fresh);

async fn fresh() -> (Arc<dyn Store>, ()) {
    let server = Postgres::shared();
    (Arc::new(open(server, &server.fresh_database()).await.unwrap()), ())
}

fn options(server: &Postgres, database: &str) -> PostgresOptions {
    let (url, ca, password) = (server.url(database), server.ca(), server.password_file());
    let at = PostgresUrl { url: &url, ca: Some(&ca), password_file: Some(&password), connections: 8 };
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
