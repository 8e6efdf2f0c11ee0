//! Every column of every table of the audit log, changed one at a time: `vaultctl` finds it, or vaultd does not go on.

use std::collections::BTreeSet;

use serde_json::json;
use strongroom_tests::harness::World;

use crate::changes::{Change, Kept};

#[tokio::test]
async fn a_changed_column_of_the_log_is_found() {
    let mut world = World::vault_only().await.unwrap();
    let release = world.release().await.unwrap();
    // More than 256 entries, so that the file keeps nodes of the tree.
    for turn in 0..300 {
        let query = format!("/v1/payment_methods?limit={}", 1 + turn % 100);
        release.get(&query).await.unwrap().must_be(200).unwrap();
    }
    let (key, checkpoint) = world.keep_checkpoint().await.unwrap();
    world.vault.process().stop().await.unwrap();
    let log = world.vault.audit_file();
    let kept = Kept::of(&[log.clone(), world.vault.store_file()]);
    world.verify_audit(&key, Some(&checkpoint)).unwrap();
    let (mut tried, mut unfound) = (0, BTreeSet::new());
    for change in Change::all_of(&log, ROWS) {
        kept.put_back();
        if !change.make(&log) {
            continue;
        }
        tried += 1;
        if world.verify_audit(&key, Some(&checkpoint)).is_ok() && starts(&mut world).await {
            unfound.insert(change.place());
        }
    }
    assert!(tried > 20, "only {tried} changes were made");
    let known: BTreeSet<String> = UNBOUND.iter().map(|(place, _)| (*place).to_owned()).collect();
    assert_eq!(unfound, known, "columns whose change is not found");
}

async fn starts(world: &mut World) -> bool {
    if world.vault.restart().await.is_err() {
        return false;
    }
    let asked = json!({ "tenant": world.tenant });
    let works = world.security().await.unwrap().post("/v1/tenants", &asked).await.unwrap().status == 200;
    world.vault.process().kill().unwrap();
    works
}

/// Columns whose change is not found, and why nothing is the worse for it.
const UNBOUND: [(&str, &str); 2] = [
    ("checkpoints.at_ms", "when a root was stored, which decides only which of an hour is kept; the note is signed"),
    ("settings.name", "the log's name is written again, and every checkpoint has it under its signature"),
];
const ROWS: u32 = 12;
