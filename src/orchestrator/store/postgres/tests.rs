//! The shared store against a real server: it conforms, several processes may use it at once, and it tells what it knows.

use std::sync::Arc;

use super::super::conformance::{conform, payment, shop, with_merchant};
use super::super::{Accounts as _, Effects, Payments as _, Store as _, StoreError, Version};
use super::{BadSettings, OpenError, PostgresSettings, PostgresStore};

#[path = "../../../../tests/harness/postgres.rs"]
#[expect(unreachable_pub, dead_code, reason = "the harness shows it to other crates")]
pub(crate) mod server;

use server::{Pooler, Postgres};

pub(crate) async fn open(server: &Postgres, database: &str) -> Result<PostgresStore, OpenError> {
    let settings = PostgresSettings::new(&server.url(database), Some(server.ca()), Some(server.password_file()), 8);
    let tls = crate::api::client_config(&server.ca(), None).unwrap();
    PostgresStore::open(&settings.unwrap(), Some(tls)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn it_conforms() {
    let server = Postgres::start();
    server.add_database("one");
    conform(Arc::new(open(&server, "one").await.unwrap())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_conforms_behind_a_pooler_that_gives_each_transaction_another_connection() {
    let server = Postgres::start();
    server.add_database("one");
    let pooler = Pooler::start(&server);
    let settings = PostgresSettings::new(&pooler.url("one"), None, None, 8).unwrap();
    let store = PostgresStore::open(&settings, None).await.unwrap();
    let others = PostgresStore::open(&settings, None).await.unwrap();
    let busy = async {
        for _ in 0..200 {
            let pings = futures_util::future::join_all((0..8).map(|_| others.ping())).await;
            assert!(pings.iter().all(Result::is_ok));
        }
    };
    tokio::join!(conform(Arc::new(store)), busy);
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_that_start_at_once_make_one_schema_and_a_newer_one_is_refused() {
    let server = Postgres::start();
    server.add_database("one");
    let opened = futures_util::future::join_all((0..8).map(|_| open(&server, "one"))).await;
    for store in &opened {
        store.as_ref().map_err(|error| *error).unwrap().ping().await.unwrap();
    }
    with_merchant(opened[0].as_ref().ok().unwrap()).await;
    assert!(opened[7].as_ref().ok().unwrap().merchant(&shop()).await.unwrap().is_some());
    server.sql("one", "UPDATE orchestrator_schema SET version = 99");
    let refused = open(&server, "one").await.err().unwrap();
    assert!(matches!(refused, OpenError::Store(StoreError::NewerSchema { found: 99, .. })), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_changes_at_once_each_is_seen_by_the_next() {
    let server = Postgres::start();
    server.add_database("one");
    let nodes = [open(&server, "one").await.unwrap(), open(&server, "one").await.unwrap()];
    with_merchant(&nodes[0]).await;
    nodes[0].add_payment(&payment("pay_1"), &Effects::default()).await.unwrap();
    let raise = async |store: &PostgresStore| {
        let mut conflicts = 0;
        for _ in 0..25 {
            loop {
                let (mut read, version) = store.payment(&shop(), "pay_1").await.unwrap().unwrap();
                read.captured_minor += 1;
                match store.save_payment(&read, version, &Effects::default()).await {
                    Ok(_) => break,
                    Err(StoreError::Conflict) => conflicts += 1,
                    Err(other) => panic!("{other}"),
                }
            }
        }
        conflicts
    };
    let conflicts = tokio::join!(raise(&nodes[0]), raise(&nodes[1]), raise(&nodes[0]), raise(&nodes[1]));
    let (read, version) = nodes[1].payment(&shop(), "pay_1").await.unwrap().unwrap();
    assert_eq!((read.captured_minor, version), (100, Version(101)), "{conflicts:?}");
    assert!(conflicts.0 + conflicts.1 + conflicts.2 + conflicts.3 > 0, "they never met");
}

#[tokio::test(flavor = "multi_thread")]
async fn transactions_that_block_each_other_are_done_again() {
    let server = Postgres::start();
    server.add_database("one");
    let store = open(&server, "one").await.unwrap();
    with_merchant(&store).await;
    store.add_merchant(&super::super::conformance::merchant_named("second")).await.unwrap();
    let met = Arc::new(tokio::sync::Barrier::new(2));
    let turns = std::sync::atomic::AtomicU32::new(0);
    let cross = async |first: &str, second: &str| -> Result<(), StoreError> {
        let sql = "UPDATE merchants SET body = body || ' ' WHERE merchant_id = $1";
        let once = std::sync::atomic::AtomicBool::new(true);
        super::run::transact!(store.connections, tx => {
            turns.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            tx.execute_typed(sql, &[super::run::text(&first)]).await?;
            if once.swap(false, std::sync::atomic::Ordering::Relaxed) {
                met.wait().await;
            }
            tx.execute_typed(sql, &[super::run::text(&second)]).await?;
            Ok(())
        })
    };
    let (one, two) = tokio::join!(cross("shop", "second"), cross("second", "shop"));
    assert_eq!((one, two), (Ok(()), Ok(())));
    assert_eq!(turns.into_inner(), 3, "one of the two was rolled back and done again");
    assert_eq!(server.sql("one", "SELECT count(*) FROM merchants WHERE body LIKE '%}  '"), "2");
}

#[tokio::test(flavor = "multi_thread")]
async fn server_that_stops_is_unavailable_and_used_again_when_it_is_back() {
    let server = Postgres::start();
    server.add_database("one");
    let store = open(&server, "one").await.unwrap();
    with_merchant(&store).await;
    let version = store.add_payment(&payment("pay_1"), &Effects::default()).await.unwrap();
    server.crash();
    assert_eq!(store.ping().await, Err(StoreError::Unavailable));
    assert_eq!(store.payment(&shop(), "pay_1").await, Err(StoreError::Unavailable));
    let refused = store.save_payment(&payment("pay_1"), version, &Effects::default()).await;
    assert_eq!(refused, Err(StoreError::Unavailable));
    server.start_again();
    assert_eq!(store.payment(&shop(), "pay_1").await.unwrap().unwrap().1, version, "what was confirmed is there");
    store.save_payment(&payment("pay_1"), version, &Effects::default()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn connection_that_the_server_ends_is_replaced_without_a_word() {
    let server = Postgres::start();
    server.add_database("one");
    let store = open(&server, "one").await.unwrap();
    with_merchant(&store).await;
    for round in 0..5 {
        server
            .sql("one", "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE usename = 'orchestrator'");
        store.add_payment(&payment(&format!("pay_{round}")), &Effects::default()).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn server_that_a_stranger_vouches_for_gets_no_password_and_plain_text_is_for_this_machine() {
    let server = Postgres::start();
    server.add_database("one");
    server.add_database("two");
    server.sql("two", "GRANT ALL ON SCHEMA public TO plain");
    let password = || Some(server.password_file());
    let stranger = Postgres::start();
    let settings = PostgresSettings::new(&server.url("one"), Some(stranger.ca()), password(), 2).unwrap();
    let tls = crate::api::client_config(&stranger.ca(), None).unwrap();
    let refused = PostgresStore::open(&settings, Some(tls)).await.err();
    assert_eq!(refused, Some(OpenError::Store(StoreError::Unavailable)));

    // The server lets this role in over TLS alone, so it proves that the first test spoke TLS.
    let settings = PostgresSettings::new(&server.url("one"), None, password(), 2).unwrap();
    assert!(PostgresStore::open(&settings, None).await.is_err());
    for url in [server.plain_url("two"), server.socket_url("one")] {
        let settings = PostgresSettings::new(&url, None, password(), 2).unwrap();
        PostgresStore::open(&settings, None).await.unwrap().ping().await.unwrap();
    }
    let wrong = server.folder().join("wrong");
    std::fs::write(&wrong, "wrong\n").unwrap();
    let settings = PostgresSettings::new(&server.plain_url("two"), None, Some(wrong), 2).unwrap();
    assert!(PostgresStore::open(&settings, None).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn server_that_confirms_what_it_can_lose_is_refused() {
    let server = Postgres::start();
    server.add_database("one");
    server.sql("one", "ALTER ROLE orchestrator SET synchronous_commit = off");
    assert_eq!(open(&server, "one").await.err(), Some(OpenError::Forgetful));
}

#[tokio::test(flavor = "multi_thread")]
async fn ids_that_no_text_can_be_are_nobodys() {
    let server = Postgres::start();
    server.add_database("one");
    let store = open(&server, "one").await.unwrap();
    with_merchant(&store).await;
    assert_eq!(store.payment(&shop(), "pay_\0").await.unwrap(), None);
    assert!(!store.revoke_api_key(&shop(), "key_\0", 1).await.unwrap());
    let mut odd = payment("pay_1");
    odd.attempts = vec![super::super::conformance::attempt("rig", "mca_1", Some("pi_\0"))];
    store.add_payment(&odd, &Effects::default()).await.unwrap();
    assert_eq!(store.payment(&shop(), "pay_1").await.unwrap().unwrap().0, odd);
}

#[test]
fn settings_say_what_is_wrong_with_them() {
    let ca = || Some("ca.pem".into());
    for (url, ca, part) in [
        ("postgres://u:secret@127.0.0.1/db", None, "database_password_file"),
        ("postgres://127.0.0.1/db", None, "name the user"),
        ("postgres://u@127.0.0.1", None, "name the user"),
        ("postgres://u@/db", None, "name the server"),
        ("postgres://u@db.example/db", None, "database_ca"),
        ("postgres://u@localhost/db", None, "database_ca"),
        ("postgres://u@127.0.0.1,db.example/db", None, "database_ca"),
        ("postgres://u@127.0.0.1/db?hostaddr=10.0.0.1", None, "database_ca"),
        ("postgres://u@127.0.0.1/db?sslmode=require", None, "set database_ca"),
        ("postgres://u@127.0.0.1/db?sslmode=disable", ca(), "contradicts"),
        ("postgres://u@%2Frun%2Fpostgresql/db", ca(), "unix socket"),
        ("postgres://u@127.0.0.1/db?unknown=1", None, "parameters"),
        ("postgres://u@127.0.0.1:x/db", None, "parameters"),
    ] {
        let Err(BadSettings(said)) = PostgresSettings::new(url, ca, None, 4) else { panic!("{url} was taken") };
        assert!(said.contains(part), "{url}: {said}");
    }
    for (url, ca) in [
        ("postgres://u@db.example:6432/db", ca()),
        ("postgresql://u@one.example,two.example/db?target_session_attrs=read-write", ca()),
        ("postgres://u@[::1]/db", None),
        ("postgres://u@127.0.0.1/db?application_name=x", None),
        ("postgres://u@%2Frun%2Fpostgresql/db", None),
    ] {
        assert!(PostgresSettings::new(url, ca, None, 4).is_ok(), "{url}");
    }
}
