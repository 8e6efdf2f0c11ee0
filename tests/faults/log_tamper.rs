//! An audit log that somebody changed: found offline by `vaultctl`, and by vaultd when it starts.

use std::fs;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, params};
use strongroom_tests::harness::{World, verify_log};

/// Each case changes a copy of a log of [`ENTRIES`] entries and more.
const CASES: [(&str, &str); 9] = [
    ("first entry changed", "UPDATE entries SET body = flipped(body) WHERE idx = 0"),
    ("middle entry changed", "UPDATE entries SET body = flipped(body) WHERE idx = 7"),
    ("last entry changed", "UPDATE entries SET body = flipped(body) WHERE idx = (SELECT max(idx) FROM entries)"),
    ("entry removed", "DELETE FROM entries WHERE idx = 7"),
    (
        "entry removed and the gap closed",
        "DELETE FROM entries WHERE idx = 7; UPDATE entries SET idx = idx - 1 WHERE idx > 7",
    ),
    (
        "two entries exchanged",
        "UPDATE entries SET idx = -1 WHERE idx = 6; UPDATE entries SET idx = 6 WHERE idx = 7; \
         UPDATE entries SET idx = 7 WHERE idx = -1",
    ),
    ("entry made up", "INSERT INTO entries SELECT max(idx) + 2, body FROM entries"),
    ("end cut off", "DELETE FROM entries WHERE idx > 9; DELETE FROM checkpoints WHERE size > 10"),
    ("everything removed", "DELETE FROM entries; DELETE FROM checkpoints; DELETE FROM nodes"),
];

const ENTRIES: usize = 12;

#[tokio::test]
async fn a_changed_log_is_found_offline() {
    let mut world = World::vault_only().await.unwrap();
    fill(&world).await;
    let (key, checkpoint) = world.keep_checkpoint().await.unwrap();
    world.vault.process().stop().await.unwrap();
    let log = world.vault.audit_file();
    verify_log(&log, &key, Some(&checkpoint)).unwrap();
    for (case, sql) in CASES {
        let copy = changed_copy(&log, sql);
        let said = verify_log(&copy, &key, Some(&checkpoint));
        assert!(said.is_err(), "{case}: not found");
    }
}

#[tokio::test]
async fn every_flipped_byte_of_an_entry_is_found_offline() {
    let mut world = World::vault_only().await.unwrap();
    fill(&world).await;
    let (key, checkpoint) = world.keep_checkpoint().await.unwrap();
    world.vault.process().stop().await.unwrap();
    let log = world.vault.audit_file();
    let length: u32 = Connection::open(&log)
        .and_then(|open| open.query_row("SELECT length(body) FROM entries WHERE idx = 5", [], |row| row.get(0)))
        .unwrap();
    for at in (0..length as usize).step_by(9) {
        let copy = changed_copy(&log, "");
        let open = Connection::open(&copy).unwrap();
        let mut body: Vec<u8> = open.query_row("SELECT body FROM entries WHERE idx = 5", [], |row| row.get(0)).unwrap();
        body[at] ^= 1;
        open.execute("UPDATE entries SET body = ?1 WHERE idx = 5", params![body]).unwrap();
        drop(open);
        assert!(verify_log(&copy, &key, Some(&checkpoint)).is_err(), "byte {at} of {length} was changed and not found");
    }
}

#[tokio::test]
async fn a_log_of_another_vault_is_found_offline() {
    let (mut one, mut other) = (World::vault_only().await.unwrap(), World::vault_only().await.unwrap());
    let (key, _) = one.keep_checkpoint().await.unwrap();
    other.keep_checkpoint().await.unwrap();
    one.vault.process().stop().await.unwrap();
    other.vault.process().stop().await.unwrap();
    verify_log(&one.vault.audit_file(), &key, None).unwrap();
    assert!(verify_log(&other.vault.audit_file(), &key, None).is_err());
}

#[tokio::test]
async fn vaultd_does_not_go_on_with_a_changed_log() {
    let mut world = World::vault_only().await.unwrap();
    fill(&world).await;
    world.keep_checkpoint().await.unwrap();
    world.vault.process().stop().await.unwrap();
    let log = world.vault.audit_file();
    let copy =
        changed_copy(&log, "UPDATE entries SET body = flipped(body) WHERE idx = (SELECT max(idx) - 3 FROM entries)");
    let _ = fs::remove_file(beside(&log, "-wal"));
    let _ = fs::remove_file(beside(&log, "-shm"));
    fs::copy(&copy, &log).unwrap();
    let fault = world.vault.restart().await.expect_err("vaultd starts with a log whose end was changed").to_string();
    assert!(fault.contains("audit"), "the refusal does not name the audit log: {fault}");
}

async fn fill(world: &World) {
    let release = world.release().await.unwrap();
    for _ in 0..ENTRIES {
        release.get("/v1/payment_methods").await.unwrap().must_be(200).unwrap();
    }
}

/// A copy of a log with one change; `flipped(x)` is x with a bit of its middle byte turned.
fn changed_copy(log: &Path, sql: &str) -> PathBuf {
    let copy = log.with_file_name("changed.db");
    for ending in ["", "-wal", "-shm"] {
        let _ = fs::remove_file(beside(&copy, ending));
    }
    fs::copy(log, &copy).unwrap();
    // What was committed last may stand in the write-ahead log alone.
    if beside(log, "-wal").exists() {
        fs::copy(beside(log, "-wal"), beside(&copy, "-wal")).unwrap();
    }
    let open = Connection::open(&copy).unwrap();
    for statement in sql.split(';').map(str::trim).filter(|statement| !statement.is_empty()) {
        match statement.split_once("flipped(body) WHERE ") {
            None => {
                open.execute(statement, []).unwrap();
            }
            Some((_, row)) => {
                let ask = format!("SELECT body FROM entries WHERE {row}");
                let mut body: Vec<u8> = open.query_row(&ask, [], |row| row.get(0)).unwrap();
                let middle = body.len() / 2;
                body[middle] ^= 1;
                let changed =
                    open.execute(&format!("UPDATE entries SET body = ?1 WHERE {row}"), params![body]).unwrap();
                assert_eq!(changed, 1);
            }
        }
    }
    copy
}

/// `audit.db` and `-wal`.
fn beside(file: &Path, ending: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(ending);
    PathBuf::from(name)
}
