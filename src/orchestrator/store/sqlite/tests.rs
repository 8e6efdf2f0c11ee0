//! The embedded store: it conforms, it is one process's alone, and it reads what earlier versions wrote.

use std::sync::Arc;

use super::super::conformance::{conform, payment, shop, with_merchant};
use super::super::{Effects, PaymentFilter, Payments as _, StoreError};
use super::{MIGRATIONS, SqliteStore};
use crate::intent::{CapturePlan, State};

#[tokio::test]
async fn it_conforms() {
    let folder = tempfile::tempdir().unwrap();
    conform(Arc::new(SqliteStore::open(&folder.path().join("s.db")).unwrap())).await;
}

#[tokio::test]
async fn what_was_stored_is_there_after_opening_again_and_one_process_at_a_time_may() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s.db");
    let store = SqliteStore::open(&path).unwrap();
    with_merchant(&store).await;
    store.add_payment(&payment("pay_1"), &Effects::default()).await.unwrap();
    assert!(matches!(SqliteStore::open(&path), Err(StoreError::InUse)));
    drop(store);
    let store = SqliteStore::open(&path).unwrap();
    assert!(store.payment(&shop(), "pay_1").await.unwrap().is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_that_fail_or_panic_leave_nothing_behind_and_undo_nobody_else() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s.db");
    let store = SqliteStore::open(&path).unwrap();
    let jobs = (0..300).map(|number| {
        store.write(move |c| {
            super::execute(c, "INSERT INTO merchants VALUES (?1, ?1, '')", [format!("m{number}")])?;
            match number % 3 {
                0 => Ok(number),
                1 => Err(StoreError::Conflict),
                _ => panic!("a fault in the work"),
            }
        })
    });
    let told = futures_util::future::join_all(jobs).await;
    for (number, told) in told.into_iter().enumerate() {
        let expected = [Ok(number), Err(StoreError::Conflict), Err(StoreError::Unavailable)];
        assert_eq!(told, expected[number % 3], "job {number}");
    }
    // Another connection sees what was committed and nothing else.
    let other = rusqlite::Connection::open(&path).unwrap();
    let count = |sql: &str| other.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
    assert_eq!(count("SELECT count(*) FROM merchants"), 100);
    assert_eq!(count("SELECT count(*) FROM merchants WHERE CAST(substr(merchant_id, 2) AS INTEGER) % 3 = 0"), 100);
}

#[tokio::test]
async fn what_nobody_waits_for_any_more_is_done_before_the_store_closes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s.db");
    let store = SqliteStore::open(&path).unwrap();
    for number in 0..50 {
        let job = store.write(move |c| {
            super::execute(c, "INSERT INTO merchants VALUES (?1, ?1, '')", [format!("m{number}")])?;
            Ok(())
        });
        // Asked once, so that it is handed over, and then forgotten.
        assert!(futures_util::FutureExt::now_or_never(job).is_none_or(|done| done.is_ok()));
    }
    drop(store);
    let other = rusqlite::Connection::open(&path).unwrap();
    assert_eq!(other.query_row("SELECT count(*) FROM merchants", [], |row| row.get::<_, i64>(0)).unwrap(), 50);
}

#[tokio::test]
async fn files_of_the_store_are_for_their_owner_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&folder.path().join("s.db")).unwrap();
    with_merchant(&store).await;
    for file in std::fs::read_dir(folder.path()).unwrap() {
        let file = file.unwrap();
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o077, 0, "{}", file.path().display());
    }
}

#[test]
fn store_of_a_newer_version_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s.db");
    drop(SqliteStore::open(&path).unwrap());
    rusqlite::Connection::open(&path).unwrap().pragma_update(None, "user_version", 99).unwrap();
    assert!(matches!(SqliteStore::open(&path), Err(StoreError::NewerSchema { found: 99, .. })));
}

/// A payment as the first version wrote it: without the fields that came later, and with `automatic_capture`.
fn first_form(id: &str, created_ms: i64, state: &str, customer: &str, pending: &str) -> String {
    format!(
        r#"{{"payment_id":"{id}","merchant_id":"shop","state":"{state}","terms":{{"amount_minor":1234,"currency":"EUR",
        "automatic_capture":true,"three_ds":false,"customer_id":{customer},"description":null,
        "statement_descriptor":null,"return_url":null,"setup_future_usage":"off_session","off_session":false,
        "metadata":{{"order":"7"}},"extra":{{}},"connectors":[]}},"captured_minor":1234,"method":null,
        "attempts":[{{"attempt_id":"{id}_1","connector":"stripe","account_id":"mca_1","status":"failure",
        "idempotency_key":"key_1","psp_id":null,"network_transaction_id":null,"error_code":"card_declined",
        "error_message":"no","decline_kind":null,"created_ms":1}},{{"attempt_id":"{id}_2","connector":"stripe",
        "account_id":"mca_1","status":"charged","idempotency_key":"key_2","psp_id":"pi_{id}",
        "network_transaction_id":"nti","error_code":null,"error_message":null,"decline_kind":null,"created_ms":2}}],
        "pending":{pending},"redirect_url":null,"watch":null,"refunds":[{{"refund_id":"ref_{id}","amount_minor":34,
        "status":"succeeded","reason":null,"metadata":{{}},"psp_refund_id":"re_1","error_code":null,
        "error_message":null,"flight":null,"created_ms":{created_ms}1,"modified_ms":3}}],"cancellation_reason":null,
        "client_secret":"{id}_secret_x","created_ms":{created_ms},"modified_ms":9,"expires_ms":10}}"#
    )
}

/// A file of schema 1 with two payments, one of them in the middle of a capture.
fn store_of_the_first_version(path: &std::path::Path) {
    let file = rusqlite::Connection::open(path).unwrap();
    file.execute_batch(MIGRATIONS[0]).unwrap();
    file.pragma_update(None, "user_version", 1).unwrap();
    file.execute(
        "INSERT INTO merchants VALUES ('shop', 'pk', ?1)",
        [r#"{"merchant_id":"shop","merchant_name":null,"publishable_key":"pk","profile_id":"pro","metadata":{},"created_ms":1}"#],
    )
    .unwrap();
    let pending = r#"{"call":{"kind":"capture","amount_minor":1234},"flight":{"key":"key_c",
        "progress":{"step":0,"values":{}},"began_ms":5,"run":"run_old","busy":true,"lease_ms":70,"doubt":null,
        "accepted":false,"tries":0},"back_to":"requires_capture"}"#;
    let rows = [
        ("pay_1", first_form("pay_1", 5, "succeeded", r#""cus_1""#, "null"), None),
        ("pay_2", first_form("pay_2", 6, "processing", "null", pending), Some(70)),
    ];
    for (id, body, due_ms) in rows {
        let live = due_ms.is_some();
        file.execute("INSERT INTO payments VALUES ('shop', ?1, 3, ?2, NULL, ?3, ?4)", (id, due_ms, live, body))
            .unwrap();
        file.execute("INSERT INTO refunds VALUES ('shop', 'ref_' || ?1, ?1)", [id]).unwrap();
    }
    let kept =
        "INSERT INTO kept_answers VALUES ('shop', 'POST /payments k', 'd', 'run_old', 'payment pay_2', 99, NULL, NULL)";
    file.execute(kept, []).unwrap();
}

#[tokio::test]
async fn store_of_the_first_version_opens_and_its_payments_are_found_by_everything_that_came_later() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s.db");
    store_of_the_first_version(&path);
    let store = SqliteStore::open(&path).unwrap();
    let (first, version) = store.payment(&shop(), "pay_1").await.unwrap().unwrap();
    assert_eq!((first.terms.capture, first.state, version.0), (CapturePlan::Automatic, State::Succeeded, 3));
    let filter = PaymentFilter {
        customer_id: Some("cus_1".parse().unwrap()),
        status: vec![State::Succeeded],
        connector: vec!["stripe".into()],
        currency: vec!["EUR".parse().unwrap()],
        created_from_ms: Some(5),
        created_until_ms: Some(5),
        amount_from_minor: Some(1234),
        amount_until_minor: Some(1234),
        before: Some((5, "pay_2".into())),
    };
    assert_eq!(store.payments(&shop(), &filter, 10).await.unwrap(), [first]);
    let all = store.payments(&shop(), &PaymentFilter::default(), 10).await.unwrap();
    assert_eq!(all.iter().map(|p| p.payment_id.as_str()).collect::<Vec<_>>(), ["pay_2", "pay_1"]);
    let refunds = store.refunds(&shop(), None, Some((61, "ref_pay_2".into())), 10).await.unwrap();
    assert_eq!(refunds.iter().map(|(_, id)| id.as_str()).collect::<Vec<_>>(), ["ref_pay_1"]);
    let (second, version) = store.payment_of_psp(&shop(), "mca_1", "pi_pay_2").await.unwrap().unwrap();
    assert_eq!(second.payment_id, "pay_2");
    assert_eq!(store.due_payments(70, 10).await.unwrap(), [(shop(), "pay_2".to_owned())]);
    store.save_payment(&second, version, &Effects::default()).await.unwrap();
}

#[test]
fn a_write_that_was_refused_is_known_not_to_have_been_made_and_a_failed_write_back_is_not() {
    use rusqlite::{Error, ffi};
    let unknown = |code| super::leaves_disk_unknown(&Error::SqliteFailure(ffi::Error::new(code), None));
    for refused in [ffi::SQLITE_FULL, ffi::SQLITE_IOERR_WRITE, ffi::SQLITE_IOERR_SHMSIZE, ffi::SQLITE_BUSY] {
        assert!(!unknown(refused), "{refused}");
    }
    for lost in [ffi::SQLITE_IOERR_FSYNC, ffi::SQLITE_IOERR_DIR_FSYNC, ffi::SQLITE_IOERR_READ, ffi::SQLITE_CORRUPT] {
        assert!(unknown(lost), "{lost}");
    }
}
