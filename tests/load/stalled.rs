//! A disk that does not answer: requests wait for it in a bounded number of places, everybody else is told at once, and
//! whoever watches sees it.

use std::time::{Duration, Instant};

use rusqlite::{Connection, TransactionBehavior};
use strongroom_tests::harness::{Client, World, eventually, word};
use tokio::task::JoinSet;

use crate::gauge::Gauges;
use crate::{alone, card, stored, vault};

const PLACES: usize = 4;

/// Somebody holds the audit log's file as a backup program does that locks what it reads: no write comes to its end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_the_audit_log_stalls_few_wait_and_all_others_are_told_at_once() {
    let _turn = alone().await;
    let world = vault(&format!("release_requests_max = {PLACES}")).await;
    let release = world.release().await.unwrap();
    let security = world.security().await.unwrap();
    let token = stored(&release, "cus_ada").await;
    let path = format!("/v1/payment_methods/{token}/reveal");
    let mut other = Connection::open(world.vault.audit_file()).unwrap();
    let held = other.transaction_with_behavior(TransactionBehavior::Immediate).unwrap();

    let mut asking = JoinSet::new();
    for _ in 0..10 * PLACES {
        asking.spawn(timed(release.clone(), path.clone()));
    }
    let health = async {
        for _ in 0..3 {
            security.get("/health/live").await.unwrap().must_be(200).unwrap();
        }
        eventually("health to say that it is not well", Duration::from_secs(60), || async {
            let (there, here) = (release.get("/health/ready").await?, security.get("/health/ready").await?);
            Ok((there.status == 503 && here.status == 503).then_some(()))
        })
        .await
        .unwrap();
    };
    let (answers, ()) = tokio::join!(asking.join_all(), health);
    let of =
        |kind: &str| answers.iter().filter(|(found, ..)| found == kind).map(|(_, _, took)| *took).collect::<Vec<_>>();
    let (told, waited) = (of("overloaded"), of("not-recorded"));
    println!(
        "{} were told after at most {:?}, {} waited {:?}",
        told.len(),
        told.iter().max(),
        waited.len(),
        waited.iter().min()
    );
    assert_eq!(
        told.len() + waited.len(),
        answers.len(),
        "{:?}",
        answers.iter().map(|(kind, ..)| kind).collect::<Vec<_>>()
    );
    assert!(answers.iter().all(|(_, retry_after, _)| *retry_after), "a refusal does not say when to come back");
    // Those who wait do so until SQLite gives up; while they do, nobody else is let in.
    assert!(!waited.is_empty() && told.len() >= 4 * PLACES, "{} were told, {} waited", told.len(), waited.len());
    let (slowest_told, quickest_waited) = (told.iter().max().unwrap(), waited.iter().min().unwrap());
    assert!(
        slowest_told < quickest_waited,
        "somebody was told after {slowest_told:?}, others waited {quickest_waited:?}"
    );
    drop(held);

    eventually("the vault to go on", Duration::from_secs(60), || async {
        Ok((timed(release.clone(), path.clone()).await.0.is_empty()).then_some(()))
    })
    .await
    .unwrap();
    eventually("health to be well", Duration::from_secs(60), || async {
        Ok((security.get("/health/ready").await?.status == 200).then_some(()))
    })
    .await
    .unwrap();
    eventually("nothing to be at work", Duration::from_secs(60), || async {
        let at_work = Gauges::of(&security).await.get("strongroom_requests_at_work{listener=\"Release\"}");
        Ok((at_work == 0).then_some(()))
    })
    .await
    .unwrap();
}

/// The problem's kind, whether it says when to come back, and how long it took.
pub(crate) async fn timed(release: Client, path: String) -> (String, bool, Duration) {
    let began = Instant::now();
    let body = serde_json::json!({ "purpose": "authorize", "reference": "pay_stalled" });
    let answer = release.post(&path, &body).await.unwrap();
    let kind = if answer.status == 200 { String::new() } else { answer.problem() };
    (kind, answer.header("retry-after").is_some(), began.elapsed())
}

/// A program reads the store's file and does not end: what is written meanwhile goes to the log beside it, up to its bound.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_that_holds_the_store_s_log_back_stops_writes_at_its_bound_and_reveals_go_on() {
    let _turn = alone().await;
    let mut world = vault("").await;
    world.vault.process().stop().await.unwrap();
    world
        .vault
        .edit_configuration(|text| text.replace("[store]\n", &format!("[store]\nlog_bytes_max = {LOG_BYTES_MAX}\n")))
        .unwrap();
    world.vault.restart().await.unwrap();
    let release = world.release().await.unwrap();
    let kept = stored(&release, "cus_ada").await;
    let mut other = Connection::open(world.vault.store_file()).unwrap();
    let held = other.transaction().unwrap();
    held.query_row("SELECT count(*) FROM cards", [], |_| Ok(())).unwrap();

    let mut writing = JoinSet::new();
    for writer in 0..8 {
        writing.spawn(fill(release.clone(), writer));
    }
    let written: usize = writing.join_all().await.into_iter().sum();
    assert!(written > 100, "only {written} cards were stored until the log was full");
    let log = world.path().join("vault.db-wal");
    let length = std::fs::metadata(&log).unwrap().len();
    println!("{written} cards were stored until the log was {} MiB long", length >> 20);
    assert!(length < LOG_BYTES_MAX * 2, "the log is {length} bytes long");
    warns(&world, true).await;
    // What only reads goes on, and its entries are written to a file of their own.
    assert!(timed(release.clone(), format!("/v1/payment_methods/{kept}/reveal")).await.0.is_empty());

    drop(held);
    drop(other);
    eventually("writes to go on", Duration::from_secs(60), || async {
        Ok((release.post("/v1/payment_methods", &card("cus_after")).await?.status == 201).then_some(()))
    })
    .await
    .unwrap();
    warns(&world, false).await;
}

/// Whether status and metrics speak of the log, as they shall.
async fn warns(world: &World, wanted: bool) {
    let security = world.security().await.unwrap();
    let status = security.get("/v1/status").await.unwrap().expect(200).unwrap();
    let warnings = status["warnings"].as_array().unwrap();
    let found = warnings.iter().any(|warning| warning.as_str().unwrap().contains("write-ahead log"));
    assert_eq!(found, wanted, "{warnings:?}");
    let length = Gauges::of(&security).await.get("strongroom_disk_log_bytes{disk=\"store\"}");
    assert_eq!(length > LOG_BYTES_MAX / 2, wanted, "the metric says {length}");
}

/// Stores cards with as much metadata as there may be until that is refused; answers how many were kept.
async fn fill(release: Client, writer: usize) -> usize {
    let notes: serde_json::Value =
        (0..7).map(|nth| (format!("note_{nth}"), serde_json::Value::from("x".repeat(500)))).collect();
    for turn in 0..CARDS_MAX {
        let mut body = card(&format!("cus_{writer}_{turn}"));
        body["metadata"] = notes.clone();
        let answer = release.post("/v1/payment_methods", &body).await.unwrap();
        if answer.status != 201 {
            assert_eq!((answer.status, answer.problem().as_str()), (503, "unavailable"), "{}", answer.text());
            assert!(answer.header("retry-after").is_some());
            return turn;
        }
        word(&answer.json().unwrap(), "payment_method_id").unwrap();
    }
    panic!("{CARDS_MAX} cards did not fill the log");
}

/// The least that may be configured, in bytes.
const LOG_BYTES_MAX: u64 = 16 * 1024 * 1024;
const CARDS_MAX: usize = 20_000;
