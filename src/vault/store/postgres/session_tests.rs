//! Prepared questions against a real server: where there are any, and what they outlive.

use std::net::SocketAddr;
use std::str::FromStr as _;
use std::time::{Duration, Instant};

use strongroom_wire::{TenantId, Token};
use tokio::net::{TcpListener, TcpStream};
use tokio_postgres::{Config, NoTls};

use super::open;
use super::server::{Pooler, Postgres};
use crate::store::conformance::{acme, answer, card, customer};
use crate::store::postgres::fault::column;
use crate::store::postgres::run::ask;
use crate::store::postgres::session::Session;
use crate::store::postgres::{PostgresOptions, PostgresStore, PostgresUrl};
use crate::store::{CardRow, Inserted, Store, StoreError};

const NOW: u64 = 1_764_000_000_000;

#[tokio::test]
async fn a_question_is_planned_for_all_cards_once_and_not_for_each_anew() {
    let server = Postgres::shared();
    let store = open(server, &server.fresh_database()).await.unwrap();
    let (tenant, row) = stored(&store).await;
    let kept = answer(&tenant, 1);
    assert_eq!(store.insert_answer(kept.clone(), NOW).await, Ok(None));
    let (owner, print) = (row.customer.clone().unwrap(), row.fingerprint);
    for (table, asked) in [("cards", 3), ("answers", 3), ("claims", 3)] {
        let began = Instant::now();
        loop {
            assert_eq!(store.card(&tenant, &row.token, NOW).await.unwrap().as_ref(), Some(&row));
            assert_eq!(store.answer(&tenant, &kept.name, NOW).await.unwrap().as_ref(), Some(&kept));
            assert_eq!(store.find_duplicate(&tenant, &owner, &print, NOW).await, Ok(Some(row.token)));
            let (statements, anew, general) = plans(&store, table).await;
            assert!(statements == 1 && anew <= 5, "{table}: {statements} statements, planned {anew} times");
            // Statements are renewed now and then.
            if general >= asked {
                break;
            }
            assert!(began.elapsed() < Duration::from_secs(60), "{table}: the plan for all was never used");
        }
    }
}

/// How many statements about a table the connection that is used next has, how often they were planned for what was asked, and how
/// often they were run as planned for everything.
async fn plans(store: &PostgresStore, table: &str) -> (i64, i64, i64) {
    let sql = format!(
        "SELECT count(*), coalesce(sum(custom_plans), 0)::int8, coalesce(sum(generic_plans), 0)::int8 \
         FROM pg_prepared_statements WHERE statement LIKE '%FROM {table} WHERE%'"
    );
    ask!(store.connections, c => {
        let rows = c.query_typed(&sql, &[]).await?;
        Ok((column(&rows[0], 0)?, column(&rows[0], 1)?, column(&rows[0], 2)?))
    })
    .unwrap()
}

async fn stored(store: &PostgresStore) -> (TenantId, CardRow) {
    let tenant = acme(store).await;
    let row = card(&tenant, customer("cus_1"));
    assert_eq!(store.insert_card(row.clone(), None).await, Ok(Inserted::Stored));
    (tenant, row)
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_prepared_behind_a_pooler_a_proxy_or_a_unix_socket() {
    let server = Postgres::start();
    server.add_database("one");
    let store = open(&server, "one").await.unwrap();
    let (tenant, row) = stored(&store).await;
    // The server writes down how it was asked from the next connection on.
    server.sql("one", "ALTER DATABASE one SET log_statement = 'all'");
    let pooler = Pooler::start(&server);
    let proxy = proxy_of(&server).await;
    let proxied = format!("postgres://orchestrator@127.0.0.1:{}/one", proxy.port());
    let ways =
        [("pooler", pooler.url("one"), false), ("proxy", proxied, true), ("socket", server.socket_url("one"), false)];
    for (way, url, over_tls) in ways {
        let shared = PostgresStore::open(at(&server, &url, over_tls)).await.unwrap();
        assert!(!prepares(&shared).await, "{way}");
        read_all_at_once(&shared, &tenant, &row).await;
        read_all_at_once(&shared, &tenant, &row).await;
        let log = log(&server);
        assert!(log.contains("FROM cards WHERE") && !log.contains("execute s"), "{way}");
    }
    let direct = open(&server, "one").await.unwrap();
    assert!(prepares(&direct).await);
    read_all_at_once(&direct, &tenant, &row).await;
    assert!(log(&server).contains("execute s"), "the server says when a statement has a name");
}

fn at(server: &Postgres, url: &str, over_tls: bool) -> PostgresOptions {
    let (ca, password) = (server.ca(), server.password_file());
    let ca = over_tls.then_some(ca.as_path());
    let at = PostgresUrl { url, ca, password_file: Some(&password), connections: 8, needs_standby: false };
    PostgresOptions::new(&at, "vault-a").unwrap()
}

async fn prepares(store: &PostgresStore) -> bool {
    ask!(store.connections, c => { Ok(c.prepares()) }).unwrap()
}

/// More than one lane asks, and more in one group than are asked one by one.
async fn read_all_at_once(store: &PostgresStore, tenant: &TenantId, row: &CardRow) {
    let absent = Token::from_uuid(uuid::Uuid::from_u128(7));
    let asked = (0..100).map(|nth| if nth % 3 == 0 { absent } else { row.token });
    let found = asked.clone().map(|token| async move { store.card(tenant, &token, NOW).await });
    for (token, found) in asked.zip(futures_util::future::join_all(found).await) {
        assert_eq!(found.unwrap().as_ref(), Some(row).filter(|_| token == row.token));
    }
}

fn log(server: &Postgres) -> String {
    std::fs::read_to_string(server.folder().join("log")).unwrap()
}

/// Hands bytes to and fro and understands none of them.
async fn proxy_of(server: &Postgres) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (own, to) = (listener.local_addr().unwrap(), address(server));
    tokio::spawn(async move {
        while let Ok((mut near, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut far = TcpStream::connect(to).await.unwrap();
                let _ = tokio::io::copy_bidirectional(&mut near, &mut far).await;
            });
        }
    });
    own
}

fn address(server: &Postgres) -> SocketAddr {
    let url = Config::from_str(&server.url("one")).unwrap();
    SocketAddr::from(([127, 0, 0, 1], url.get_ports()[0]))
}

#[tokio::test]
async fn a_connection_is_the_servers_own_when_address_and_port_of_both_ends_agree() {
    let server = Postgres::shared();
    let database = server.fresh_database();
    let mut config = Config::from_str(&server.plain_url(&database)).unwrap();
    config.password(std::fs::read_to_string(server.password_file()).unwrap());
    let elsewhere = |end: SocketAddr| SocketAddr::from(([127, 0, 0, 2], end.port()));
    let next = |end: SocketAddr| SocketAddr::new(end.ip(), end.port() ^ 1);
    let mapped = |end: SocketAddr| match end {
        SocketAddr::V4(v4) => SocketAddr::from((v4.ip().to_ipv6_mapped(), v4.port())),
        v6 => v6,
    };
    type Change<'a> = &'a dyn Fn(SocketAddr) -> SocketAddr;
    let same: Change<'_> = &|end| end;
    let cases: [(Change<'_>, Change<'_>, bool); 7] = [
        (same, same, true),
        (&mapped, &mapped, true),
        (&elsewhere, same, false),
        (&next, same, false),
        (same, &elsewhere, false),
        (same, &next, false),
        (&next, &next, false),
    ];
    for (nth, (here, there, agrees)) in cases.into_iter().enumerate() {
        let stream = TcpStream::connect(address(server)).await.unwrap();
        let (near, far) = (stream.local_addr().unwrap(), stream.peer_addr().unwrap());
        let (client, connection) = config.connect_raw(stream, NoTls).await.unwrap();
        tokio::spawn(connection);
        let session = Session::between(client, here(near), there(far)).await;
        assert_eq!(session.prepares(), agrees, "case {nth}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_the_tables_and_statements_that_are_gone_go_unnoticed() {
    let server = Postgres::start();
    server.add_database("one");
    let store = open(&server, "one").await.unwrap();
    let (tenant, row) = stored(&store).await;
    let began = Instant::now();
    let in_time = || assert!(began.elapsed() < Duration::from_secs(90), "the server took all that was prepared before");
    // As a newer version would that begins beside this one. A statement that was renewed just then is not refused.
    for kind in ["varchar", "text"].iter().cycle() {
        read_all_at_once(&store, &tenant, &row).await;
        server.sql("one", &format!("ALTER TABLE cards ALTER COLUMN customer TYPE {kind}"));
        read_all_at_once(&store, &tenant, &row).await;
        if log(&server).contains("cached plan must not change result type") {
            break;
        }
        in_time();
    }
    while !log(&server).contains("prepared statement \"s") {
        assert_eq!(store.card(&tenant, &row.token, NOW).await.unwrap().as_ref(), Some(&row));
        assert_eq!(plans(&store, "cards").await.0, 1, "it is prepared again");
        ask!(store.connections, c => { Ok(c.batch_execute("DEALLOCATE ALL").await?) }).unwrap();
        assert_eq!(store.card(&tenant, &row.token, NOW).await.unwrap().as_ref(), Some(&row));
        in_time();
    }
    assert_eq!(store.card(&tenant, &row.token, NOW).await.unwrap().as_ref(), Some(&row));
    assert_eq!(plans(&store, "cards").await.0, 1, "it is prepared again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_was_started_again_is_asked_with_new_statements() {
    let server = Postgres::start();
    server.add_database("one");
    let store = open(&server, "one").await.unwrap();
    let (tenant, row) = stored(&store).await;
    for _ in 0..2 {
        read_all_at_once(&store, &tenant, &row).await;
        server.crash();
        server.start_again();
        let began = Instant::now();
        loop {
            match store.card(&tenant, &row.token, NOW).await {
                Ok(found) => break assert_eq!(found.as_ref(), Some(&row)),
                Err(error) => assert_eq!(error, StoreError::Unavailable),
            }
            assert!(began.elapsed() < Duration::from_secs(60), "it never answered");
        }
        assert_eq!(plans(&store, "cards").await.0, 1);
    }
}
