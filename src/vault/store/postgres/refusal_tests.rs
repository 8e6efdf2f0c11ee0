//! Servers that are not to be used, and what is said about them.

use std::net::TcpListener;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd};

use super::server::Postgres;
use crate::store::postgres::{OpenError, PostgresOptions, PostgresStore, PostgresUrl, Refused};

/// What is said about a URL, with the server's own CA and password unless others are given.
async fn said(server: &Postgres, url: &str, ca: Option<&std::path::Path>, password: &std::path::Path) -> OpenError {
    let at = PostgresUrl { url, ca, password_file: Some(password), connections: 8, needs_standby: false };
    let options = || PostgresOptions::new(&at, "vault-a").unwrap();
    let checked = PostgresStore::check(options()).await.unwrap_err();
    assert_eq!(PostgresStore::open(options()).await.err(), Some(checked), "a start says what a check says");
    assert_eq!(server.sql("postgres", "SELECT 1"), "1");
    checked
}

#[tokio::test]
async fn each_reason_for_no_connection_has_its_own_words() {
    let (server, stranger) = (Postgres::shared(), Postgres::start());
    let database = server.fresh_database();
    let (url, ca, password) = (server.url(&database), server.ca(), server.password_file());
    let wrong = stranger.folder().join("wrong");
    std::fs::write(&wrong, "wrong\n").unwrap();
    let at = |url: &str| url.to_owned();
    let by_name = url.replace("127.0.0.1", "localhost") + "?hostaddr=127.0.0.1";
    let nowhere = {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        format!("postgresql://orchestrator@{}/{database}", listener.local_addr().unwrap())
    };
    for (url, ca, password, reason) in [
        (at(&url), Some(stranger.ca()), &password, Refused::Stranger),
        (by_name, Some(ca.clone()), &password, Refused::OtherName),
        (at(&url), Some(ca.clone()), &wrong, Refused::Login),
        // The server lets this role in over TLS alone.
        (at(&url), None, &password, Refused::Login),
        (server.url("none-of-this-name"), Some(ca.clone()), &password, Refused::NoDatabase),
        (nowhere, Some(ca.clone()), &password, Refused::Silent),
    ] {
        assert_eq!(said(server, &url, ca.as_deref(), password).await, OpenError::Refused(reason));
    }
    for (setting, reason) in
        [("synchronous_commit = off", Refused::Forgetful), ("default_transaction_read_only = on", Refused::Standby)]
    {
        server.sql("postgres", &format!("ALTER DATABASE \"{database}\" SET {setting}"));
        assert_eq!(said(server, &url, Some(&ca), &password).await, OpenError::Refused(reason));
        server.sql("postgres", &format!("ALTER DATABASE \"{database}\" RESET ALL"));
    }
    server.sql(&database, "REVOKE ALL ON SCHEMA public FROM PUBLIC; ALTER SCHEMA public OWNER TO admin");
    let at =
        PostgresUrl { url: &url, ca: Some(&ca), password_file: Some(&password), connections: 8, needs_standby: false };
    let refused = PostgresStore::open(PostgresOptions::new(&at, "vault-a").unwrap()).await.err();
    assert_eq!(refused, Some(OpenError::Tables));
}

#[tokio::test]
async fn a_server_whose_commits_wait_for_no_standby_is_refused_where_one_is_required() {
    let server = Postgres::start();
    server.add_database("one");
    let (url, ca, password) = (server.url("one"), server.ca(), server.password_file());
    let checked = async |needs_standby| {
        let at =
            PostgresUrl { url: &url, ca: Some(&ca), password_file: Some(&password), connections: 8, needs_standby };
        PostgresStore::check(PostgresOptions::new(&at, "vault-a").unwrap()).await.err()
    };
    let alone = Some(OpenError::Refused(Refused::Alone));
    assert_eq!((checked(true).await, checked(false).await), (alone, None));
    let socket = server.socket_url("one");
    let local = PostgresUrl { url: &socket, ca: None, password_file: None, connections: 8, needs_standby: true };
    assert_eq!(
        PostgresStore::check(PostgresOptions::new(&local, "vault-a").unwrap()).await.err(),
        alone,
        "by a socket"
    );
    // From here on a commit would wait for ever; a check only looks.
    server.sql("postgres", "ALTER SYSTEM SET synchronous_standby_names = 'somebody'");
    server.sql("postgres", "SELECT pg_reload_conf()");
    let began = std::time::Instant::now();
    while checked(true).await.is_some() {
        assert!(began.elapsed().as_secs() < 60, "the server does not read its settings");
    }
    for (commit, refused) in [("remote_write", alone), ("remote_apply", None), ("local", FORGETFUL), ("off", FORGETFUL)]
    {
        // Not by a commit in this database, which would wait.
        let at = format!("{url}{}options=-csynchronous_commit%3D{commit}", if url.contains('?') { '&' } else { '?' });
        let at = PostgresUrl {
            url: &at,
            ca: Some(&ca),
            password_file: Some(&password),
            connections: 8,
            needs_standby: true,
        };
        let checked = PostgresStore::check(PostgresOptions::new(&at, "vault-a").unwrap()).await.err();
        assert_eq!(checked, refused, "{commit}");
    }
}

const FORGETFUL: Option<OpenError> = Some(OpenError::Refused(Refused::Forgetful));

#[tokio::test]
async fn a_certificate_whose_time_is_over_is_refused() {
    let server = Postgres::start();
    server.add_database("one");
    let mut authority = CertificateParams::default();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
    let ca = server.folder().join("other-ca.pem");
    std::fs::write(&ca, authority.pem()).unwrap();
    let (key, mut params) =
        (KeyPair::generate().unwrap(), CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap());
    (params.not_before, params.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(2021, 1, 1));
    // Written over, so that owner and rights of the files stay.
    std::fs::write(server.folder().join("server.pem"), params.signed_by(&key, &authority).unwrap().pem()).unwrap();
    std::fs::write(server.folder().join("server.key"), key.serialize_pem()).unwrap();
    server.crash();
    server.start_again();
    let refused = said(&server, &server.url("one"), Some(&ca), &server.password_file()).await;
    assert_eq!(refused, OpenError::Refused(Refused::Expired));
}

#[tokio::test]
async fn a_server_that_stands_still_does_not_hide_the_one_that_answers() {
    let server = Postgres::shared();
    let database = server.fresh_database();
    // It takes connections and says nothing, as a machine does whose disk hangs.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    let url = server.url(&database).replace("@127.0.0.1:", &format!("@127.0.0.1:{port},127.0.0.1:"));
    let (ca, password) = (server.ca(), server.password_file());
    let at =
        PostgresUrl { url: &url, ca: Some(&ca), password_file: Some(&password), connections: 8, needs_standby: false };
    PostgresStore::open(PostgresOptions::new(&at, "vault-a").unwrap()).await.unwrap();
}
