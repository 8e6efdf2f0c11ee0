//! A store that somebody wrote to: moved ciphertext does not open, a changed column is found, a flipped byte never makes
//! another card.

use std::fs;

use rusqlite::{Connection, params};
use serde_json::{Value, json};
use strongroom_tests::harness::{Client, World, word};

/// A stored card: its token and the digits that it must reveal or not reveal at all.
struct Stored {
    token: String,
    id: i64,
}

/// SQL for one row; `?1` is the row's id, `?2` that of an untouched row of the same tenant.
const CHANGES: [(&str, &str); 13] = [
    (
        "envelope of another token",
        "UPDATE cards SET envelope = (SELECT envelope FROM cards WHERE id = ?2) WHERE id = ?1",
    ),
    (
        "envelope and binding of another token",
        "UPDATE cards SET (envelope, binding) = (SELECT envelope, binding FROM cards WHERE id = ?2) WHERE id = ?1",
    ),
    (
        "whole row of another token",
        "UPDATE cards SET (envelope, binding, fingerprint, metadata, customer, created_after_ms) = \
         (SELECT envelope, binding, fingerprint, metadata, customer, created_after_ms FROM cards WHERE id = ?2) WHERE id = ?1",
    ),
    ("another tenant", "UPDATE cards SET tenant = (SELECT id FROM tenants WHERE name = 'other') WHERE id = ?1"),
    ("another customer", "UPDATE cards SET customer = 'cus_eve' WHERE id = ?1"),
    ("no customer", "UPDATE cards SET customer = NULL WHERE id = ?1"),
    ("another expiry", "UPDATE cards SET expires_ms = 9000000000000 WHERE id = ?1"),
    ("another creation time", "UPDATE cards SET created_after_ms = created_after_ms + 1000 WHERE id = ?1"),
    (
        "another fingerprint",
        "UPDATE cards SET fingerprint = (SELECT fingerprint FROM cards WHERE id = ?2) WHERE id = ?1",
    ),
    ("another token", "UPDATE cards SET rest = rest + 1 WHERE id = ?1"),
    ("binding changed", "UPDATE cards SET binding = zeroblob(16) WHERE id = ?1"),
    (
        "metadata of another token",
        "UPDATE cards SET metadata = (SELECT metadata FROM cards WHERE id = ?2) WHERE id = ?1",
    ),
    ("metadata removed", "UPDATE cards SET metadata = NULL WHERE id = ?1"),
];

#[tokio::test]
async fn a_changed_column_is_found_and_gives_no_card() {
    let mut world = two_tenants().await;
    let release = world.release().await.unwrap();
    let mut victims = Vec::new();
    for turn in 0..CHANGES.len() {
        victims.push(store(&release, turn, "4242424242424242").await);
    }
    let untouched = store(&release, 99, "5555555555554444").await;
    world.vault.process().stop().await.unwrap();
    let open = Connection::open(world.vault.store_file()).unwrap();
    for ((case, sql), victim) in CHANGES.iter().zip(&victims) {
        // Some changes name the untouched row, others do not.
        let changed = if sql.contains("?2") {
            open.execute(sql, params![victim.id, untouched.id])
        } else {
            open.execute(sql, params![victim.id])
        };
        assert_eq!(changed.unwrap(), 1, "{case}");
    }
    drop(open);
    world.vault.restart().await.unwrap();
    let main = world.credentials("orchestrator", "main").unwrap();
    for ((case, _), victim) in CHANGES.iter().zip(&victims) {
        for tenant in ["acme", "other"] {
            let client = world.vault.release(&world.pki, &main).unwrap().tenant(tenant);
            let path = format!("/v1/payment_methods/{}", victim.token);
            let seen = client.get(&path).await.unwrap();
            let taken = client.post(&format!("{path}/reveal"), &purpose()).await.unwrap();
            for answer in [&seen, &taken] {
                let refused = (answer.status == 500 && answer.problem() == "integrity") || answer.status == 404;
                // Notes are no card: a release does not read them, but no view may show them as they were left.
                let notes = case.starts_with("metadata") && std::ptr::eq(answer, &taken) && answer.status == 200;
                assert!(refused || notes, "{case}, as {tenant}: answered {}", answer.status);
            }
        }
    }
    let release = world.release().await.unwrap();
    reveals(&release, &untouched.token, "5555555555554444").await;
    let entries =
        world.security().await.unwrap().get("/v1/audit/entries?limit=1000").await.unwrap().expect(200).unwrap();
    let found = entries["entries"].as_array().unwrap().iter().filter(|entry| is_tamper(entry)).count();
    assert!(found >= 8, "only {found} entries tell that records were changed");
}

#[tokio::test]
async fn a_row_of_another_term_does_not_open() {
    let mut world = two_tenants().await;
    let release = world.release().await.unwrap();
    let (victim, untouched) =
        (store(&release, 0, "4242424242424242").await, store(&release, 1, "5555555555554444").await);
    let security = world.security().await.unwrap();
    // Both terms have keys in memory while the second tenant's rotation has not begun; the row says the wrong one.
    let rotated = security.post("/v1/rotations", &json!({ "tenant": "acme" })).await.unwrap().expect(202).unwrap();
    assert_eq!(rotated["to_term"], 2);
    reveals(&release, &victim.token, "4242424242424242").await;
    world.vault.process().stop().await.unwrap();
    let open = Connection::open(world.vault.store_file()).unwrap();
    let mut envelope: Vec<u8> =
        open.query_row("SELECT envelope FROM cards WHERE id = ?1", params![victim.id], |row| row.get(0)).unwrap();
    envelope[4] = if envelope[4] == 2 { 1 } else { 2 };
    open.execute("UPDATE cards SET envelope = ?1 WHERE id = ?2", params![envelope, victim.id]).unwrap();
    drop(open);
    world.vault.restart().await.unwrap();
    let release = world.release().await.unwrap();
    let path = format!("/v1/payment_methods/{}/reveal", victim.token);
    let refused = release.post(&path, &purpose()).await.unwrap();
    assert_eq!((refused.status, refused.problem().as_str()), (500, "integrity"));
    reveals(&release, &untouched.token, "5555555555554444").await;
}

#[tokio::test]
async fn wrapped_keys_that_were_exchanged_open_nothing() {
    let mut world = two_tenants().await;
    let victim = store(&world.release().await.unwrap(), 0, "4242424242424242").await;
    world.vault.process().stop().await.unwrap();
    let open = Connection::open(world.vault.store_file()).unwrap();
    // Each purpose's key of one tenant under the name of the other (PCI DSS 3.7.7).
    let exchange = "UPDATE keys SET wrapped = (SELECT other.wrapped FROM keys other WHERE other.purpose = keys.purpose \
                    AND other.term = keys.term AND other.tenant NOT IN (0, keys.tenant)) WHERE tenant <> 0";
    assert!(open.execute(exchange, []).unwrap() >= 2);
    drop(open);
    // Either the vault does not open at all, or it opens without these keys.
    if world.vault.restart().await.is_ok() {
        let path = format!("/v1/payment_methods/{}/reveal", victim.token);
        let refused = world.release().await.unwrap().post(&path, &purpose()).await.unwrap();
        assert!(refused.status >= 500, "a card opened under exchanged keys: {}", refused.status);
    }
}

#[tokio::test]
async fn a_flipped_byte_never_makes_another_card() {
    let mut world = World::vault_only().await.unwrap();
    let release = world.release().await.unwrap();
    let mut stored = Vec::new();
    for turn in 0..40 {
        stored.push(store(&release, turn, "4242424242424242").await);
    }
    world.vault.process().stop().await.unwrap();
    let file = world.vault.store_file();
    let whole = fs::read(&file).unwrap();
    let (mut started, mut refused) = (0, 0);
    for turn in 0..FLIPS {
        let mut changed = whole.clone();
        // Past the first page, whose damage SQLite itself reports; an odd step so that columns are hit by turns.
        let at = 4096 + (turn * 7919 * 3) % (whole.len() - 4096);
        changed[at] ^= 0x10;
        for gone in ["vault.db-wal", "vault.db-shm"] {
            let _ = fs::remove_file(file.with_file_name(gone));
        }
        fs::write(&file, &changed).unwrap();
        if world.vault.restart().await.is_err() {
            refused += 1;
            continue;
        }
        started += 1;
        let release = world.release().await.unwrap();
        for card in &stored {
            let path = format!("/v1/payment_methods/{}/reveal", card.token);
            let answer = release.post(&path, &purpose()).await.unwrap();
            match answer.status {
                200 => assert_eq!(answer.json().unwrap()["card"]["number"], "4242424242424242", "byte {at}"),
                404 | 500 | 503 => refused += 1,
                other => panic!("byte {at}: answered {other}"),
            }
        }
        world.vault.process().kill().unwrap();
    }
    assert!(started > 0, "no flipped byte let the vault start: the test saw nothing");
    assert!(refused > 0, "none of {FLIPS} flipped bytes was noticed");
}

/// So many single bytes, each in a run of its own.
const FLIPS: usize = 16;

async fn two_tenants() -> World {
    let world = World::vault_only().await.unwrap();
    world.register("other").await.unwrap();
    world
}

async fn store(release: &Client, turn: usize, number: &str) -> Stored {
    let body = json!({
        "type": "card",
        "card": { "number": number, "exp_month": 12, "exp_year": 2031 },
        "customer_id": format!("cus_{turn}"),
        "metadata": { "order": format!("{turn}") },
    });
    let stored = release.post("/v1/payment_methods", &body).await.unwrap().expect(201).unwrap();
    let token = word(&stored, "payment_method_id").unwrap();
    let head = u64::from_str_radix(&token[3..19], 16).unwrap();
    Stored { token, id: head.cast_signed() }
}

async fn reveals(release: &Client, token: &str, number: &str) {
    let path = format!("/v1/payment_methods/{token}/reveal");
    let card = release.post(&path, &purpose()).await.unwrap().expect(200).unwrap();
    assert_eq!(card["card"]["number"], number);
}

fn purpose() -> Value {
    json!({ "purpose": "authorize", "reference": "pay_tamper" })
}

fn is_tamper(entry: &Value) -> bool {
    entry["act"] == "tamper-found" || (entry["act"] == "reveal" && entry["outcome"] == "failed")
}
