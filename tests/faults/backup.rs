//! Backups: consistent while the vault works, whole or absent whatever happens, and good for a vault in another place.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use strongroom_tests::harness::{
    Answer, Binary, Client, Vault, VaultPlan, World, WorldPlan, binary_path, eventually, standard_policy, word,
};

const NUMBER: &str = "4242424242424242";

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_under_load_restores_every_card_that_was_acknowledged_before_it() {
    let mut world = World::vault_only().await.unwrap();
    let release = world.release().await.unwrap();
    let key = world.security().await.unwrap().get("/v1/audit/public-key").await.unwrap().text().trim().to_owned();
    let mut before = Vec::new();
    for turn in 0..60 {
        before.push(stored(&store(&release, &format!("cus_before_{turn}")).await));
    }
    let (stop, beside) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let writers: Vec<_> = (0..3)
        .map(|writer| {
            let (release, stop, beside) = (release.clone(), Arc::clone(&stop), Arc::clone(&beside));
            tokio::spawn(async move {
                let mut turn = 0;
                while !stop.load(Ordering::Relaxed) {
                    store(&release, &format!("cus_{writer}_{turn}")).await.must_be(201).unwrap();
                    turn += 1;
                    beside.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    eventually("load", Duration::from_secs(60), || async { Ok((beside.load(Ordering::Relaxed) > 10).then_some(())) })
        .await
        .unwrap();
    // One is quick: that cards are stored beside it is seen at one of several.
    let (mut made, mut grew) = (Value::Null, 0);
    for _ in 0..20 {
        let at = beside.load(Ordering::Relaxed);
        made = backup(&world).await.expect(201).unwrap();
        grew = beside.load(Ordering::Relaxed) - at;
        if grew > 0 {
            break;
        }
    }
    assert!(grew > 0, "no card was stored beside a backup");
    stop.store(true, Ordering::Relaxed);
    for writer in writers {
        writer.await.unwrap();
    }
    world.vault.process().kill().unwrap();

    let from = backups(&world).join(made["name"].as_str().unwrap());
    let verified = vaultctl(&["backup", "verify", from.to_str().unwrap(), "--public-key", &key]).unwrap();
    assert!(verified.contains("holds"), "{verified}");
    let restored = restore(&world, &from, "restored").await;
    let release = restored.release(&world.pki, &world.credentials("orchestrator", "main").unwrap()).unwrap();
    let release = release.tenant(&world.tenant);
    for token in &before {
        shows(&reveal(&release, token).await);
    }
    // Never an effect without an entry: each card of the copied store was recorded in the copied log.
    let admin = restored.admin(&world.pki, &world.credentials("security", "alice").unwrap()).unwrap();
    let recorded = recorded(&admin).await;
    let kept = every_card(&release).await;
    assert!(kept.len() >= before.len());
    assert!(kept.is_subset(&recorded), "a card of the backup has no entry in it");
    let sampled = admin.post("/v1/store/verify", &json!({ "sample": 500 })).await.unwrap().expect(200).unwrap();
    assert!(sampled["cards"].as_u64().is_some_and(|cards| cards > 0), "{sampled}");
    assert_eq!((&sampled["cards"], &sampled["failed"]), (&sampled["opened"], &json!(0)));
}

#[tokio::test]
async fn a_backup_that_does_not_fit_harms_neither_older_ones_nor_the_vault() {
    let vault = VaultPlan { survives_file_size_limit: true, ..VaultPlan::default() };
    let mut world = World::start(WorldPlan { vault, ..WorldPlan::default() }).await.unwrap();
    let release = world.release().await.unwrap();
    let notes: Value = (0..7).map(|nth| (format!("note_{nth}"), json!("x".repeat(500)))).collect();
    let mut token = String::new();
    for turn in 0..400 {
        let body = json!({
            "type": "card",
            "card": { "number": NUMBER, "exp_month": 12, "exp_year": 2031 },
            "customer_id": format!("cus_{turn}"),
            "metadata": notes,
        });
        token = stored(&release.post("/v1/payment_methods", &body).await.unwrap());
    }
    // Logs are folded in at the end of a process and begin at nothing in the next.
    world.vault.process().stop().await.unwrap();
    world.vault.restart().await.unwrap();
    assert!(fs::metadata(world.vault.store_file()).unwrap().len() > LIMIT + (1 << 18));
    let first = backup(&world).await.expect(201).unwrap();
    world.vault.process().limit_file_size(Some(LIMIT)).unwrap();
    let refused = backup(&world).await;
    assert_eq!((refused.status, refused.problem().as_str()), (503, "unavailable"));
    assert_eq!(names(&backups(&world)), [first["name"].as_str().unwrap()], "something of the failed backup is left");
    shows(&reveal(&release, &token).await);
    world.vault.process().limit_file_size(None).unwrap();
    let second = backup(&world).await.expect(201).unwrap();
    assert_eq!(names(&backups(&world)).len(), 2);
    // That it failed is in the log.
    let entries = world.security().await.unwrap().get("/v1/audit/entries?from=400&limit=1000").await.unwrap();
    let entries = entries.expect(200).unwrap();
    let of_backups = entries["entries"].as_array().unwrap().iter().filter(|entry| entry["act"] == "backup");
    let outcomes: Vec<&str> = of_backups.map(|entry| entry["outcome"].as_str().unwrap()).collect();
    assert_eq!(outcomes, ["allowed", "ended", "allowed", "failed", "allowed", "ended"]);
    assert_ne!(first["name"], second["name"]);
}

#[tokio::test]
async fn a_process_that_is_killed_leaves_whole_backups_or_none() {
    let mut world = World::vault_only().await.unwrap();
    let release = world.release().await.unwrap();
    for turn in 0..20 {
        store(&release, &format!("cus_{turn}")).await.must_be(201).unwrap();
    }
    for delay_ms in [0, 3, 8, 15, 25] {
        let asking = {
            let security = world.security().await.unwrap();
            tokio::spawn(async move { security.send(Method::POST, "/v1/backups", None, &[]).await })
        };
        tokio::time::sleep(Duration::from_millis(delay_ms)).await;
        world.vault.process().kill().unwrap();
        let _answered = asking.await;
        for name in names(&backups(&world)).iter().filter(|name| name.starts_with("backup-")) {
            for file in ["manifest.json", "vault.db", "audit.db"] {
                assert!(backups(&world).join(name).join(file).exists(), "{name} has no {file}");
            }
        }
        world.vault.restart().await.unwrap();
    }
    backup(&world).await.must_be(201).unwrap();
    let left = names(&backups(&world));
    assert!(left.iter().all(|name| name.starts_with("backup-")), "{left:?}");
}

#[tokio::test]
async fn only_so_many_backups_are_kept_and_a_changed_one_does_not_hold() {
    let mut world = World::vault_only().await.unwrap();
    world.vault.process().stop().await.unwrap();
    world
        .vault
        .edit_configuration(|text| text.replace("folder = \"backups\"", "folder = \"backups\"\nkeep = 2"))
        .unwrap();
    world.vault.restart().await.unwrap();
    let key = world.security().await.unwrap().get("/v1/audit/public-key").await.unwrap().text().trim().to_owned();
    let mut made = Vec::new();
    for _ in 0..3 {
        made.push(backup(&world).await.expect(201).unwrap());
    }
    assert_eq!(made[2]["removed"], json!([made[0]["name"]]));
    assert_eq!(names(&backups(&world)).len(), 2);
    let newest = backups(&world).join(made[2]["name"].as_str().unwrap());
    let path = newest.to_str().unwrap();
    vaultctl(&["backup", "verify", path, "--public-key", &key]).unwrap();
    let store = newest.join("vault.db");
    let mut bytes = fs::read(&store).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&store, bytes).unwrap();
    let refused = vaultctl(&["backup", "verify", path, "--public-key", &key]).unwrap_err();
    assert!(refused.contains("vault.db is not what was written"), "{refused}");
}

#[tokio::test]
async fn a_backup_of_after_a_new_sign_key_holds_by_the_first_one_and_its_handovers_alone() {
    let world = World::vault_only().await.unwrap();
    let alice = world.credentials("security", "alice").unwrap();
    let first = world.security().await.unwrap().get("/v1/audit/public-key").await.unwrap().text().trim().to_owned();
    world.vaultctl(&alice, &["keys", "rotate", "--purpose", "sign"]).unwrap();
    let made = backup(&world).await.expect(201).unwrap();
    let path = backups(&world).join(made["name"].as_str().unwrap());
    let [handovers, forged] = ["handovers", "forged"].map(|name| world.path().join(name).to_str().unwrap().to_owned());
    world.vaultctl(&alice, &["audit", "handovers", "--out", &handovers]).unwrap();
    let verify = ["backup", "verify", path.to_str().unwrap(), "--public-key", &first];
    let refused = vaultctl(&verify).unwrap_err();
    assert!(refused.contains("vaultctl audit handovers --out FILE"), "{refused}");
    let with = |handovers| vaultctl(&[&verify[..], &["--handovers", handovers]].concat());
    assert!(with(&handovers).unwrap().contains("holds"));
    let text = fs::read_to_string(&handovers).unwrap();
    fs::write(&forged, text.replacen("from entry ", "from entry 1", 1)).unwrap();
    let refused = with(&forged).unwrap_err();
    assert!(refused.contains("does not follow from the key before it"), "{refused}");
}

#[tokio::test]
async fn a_sample_finds_a_record_that_was_changed_and_says_so_in_the_log() {
    let mut world = World::vault_only().await.unwrap();
    let release = world.release().await.unwrap();
    let tokens = [stored(&store(&release, "cus_a").await), stored(&store(&release, "cus_b").await)];
    world.vault.process().stop().await.unwrap();
    let db = rusqlite::Connection::open(world.vault.store_file()).unwrap();
    db.execute("UPDATE cards SET envelope = (SELECT envelope FROM cards WHERE customer = 'cus_a')", []).unwrap();
    drop(db);
    world.vault.restart().await.unwrap();
    let alice = world.credentials("security", "alice").unwrap();
    let said = world.vaultctl(&alice, &["backup", "sample", "--cards", "1000"]).unwrap_err().to_string();
    assert!(said.contains("1 cards did not open"), "{said}");
    let page = world.security().await.unwrap().get("/v1/audit/entries?limit=1000").await.unwrap().expect(200).unwrap();
    let found: Vec<&Value> =
        page["entries"].as_array().unwrap().iter().filter(|entry| entry["act"] == "tamper-found").collect();
    assert_eq!(found.len(), 1);
    assert_eq!(found[0]["subject"], tokens[1].as_str());
    let beyond = json!({ "sample": strongroom_wire::limits::VERIFY_SAMPLE_MAX + 1 });
    let refused = world.security().await.unwrap().post("/v1/store/verify", &beyond).await.unwrap();
    assert_eq!((refused.status, refused.problem().as_str()), (422, "invalid-field"));
}

async fn backup(world: &World) -> Answer {
    world.security().await.unwrap().send(Method::POST, "/v1/backups", None, &[]).await.unwrap()
}

/// A vault in another folder, on the files of a backup, with the same Root and certificates.
async fn restore(world: &World, from: &Path, name: &str) -> Vault {
    let folder = world.path().join(name);
    fs::create_dir_all(folder.join("root")).unwrap();
    for file in ["vault.db", "audit.db"] {
        fs::copy(from.join(file), folder.join(file)).unwrap();
    }
    for file in fs::read_dir(world.path().join("root")).unwrap() {
        let file = file.unwrap();
        fs::copy(file.path(), folder.join("root").join(file.file_name())).unwrap();
    }
    let server = world.pki.server("server").unwrap();
    Vault::start(&folder, VaultPlan::default(), &standard_policy(), &server, &world.pki).await.unwrap()
}

/// Tokens whose storing is in the log.
async fn recorded(admin: &Client) -> BTreeSet<String> {
    let mut tokens = BTreeSet::new();
    let mut from = Some(0);
    while let Some(at) = from {
        let page = admin.get(&format!("/v1/audit/entries?from={at}&limit=1000")).await.unwrap().expect(200).unwrap();
        let entries = page["entries"].as_array().unwrap();
        let of_cards = entries.iter().filter(|entry| entry["act"] == "tokenize");
        tokens.extend(of_cards.filter_map(|entry| entry["subject"].as_str()).map(str::to_owned));
        from = page["next"].as_u64();
    }
    tokens
}

async fn every_card(release: &Client) -> BTreeSet<String> {
    let mut tokens = BTreeSet::new();
    let mut path = "/v1/payment_methods?limit=100".to_owned();
    loop {
        let page = release.get(&path).await.unwrap().expect(200).unwrap();
        let items = page["items"].as_array().unwrap();
        tokens.extend(items.iter().map(|item| word(item, "payment_method_id").unwrap()));
        match page["next_cursor"].as_str() {
            Some(cursor) => path = format!("/v1/payment_methods?limit=100&cursor={cursor}"),
            None => return tokens,
        }
    }
}

async fn store(release: &Client, customer: &str) -> Answer {
    let body = json!({
        "type": "card",
        "card": { "number": NUMBER, "exp_month": 12, "exp_year": 2031 },
        "customer_id": customer,
    });
    release.post("/v1/payment_methods", &body).await.unwrap()
}

fn stored(answer: &Answer) -> String {
    answer.must_be(201).unwrap();
    word(&answer.json().unwrap(), "payment_method_id").unwrap()
}

async fn reveal(release: &Client, token: &str) -> Answer {
    let body = json!({ "purpose": "authorize", "reference": "pay_restored" });
    release.post(&format!("/v1/payment_methods/{token}/reveal"), &body).await.unwrap()
}

fn shows(answer: &Answer) {
    answer.must_be(200).unwrap();
    assert!(answer.json().unwrap()["card"]["number"] == NUMBER, "another card came out");
}

fn backups(world: &World) -> PathBuf {
    world.path().join("backups")
}

fn names(folder: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// What it printed, or why it failed.
fn vaultctl(arguments: &[&str]) -> Result<String, String> {
    let done = Command::new(binary_path(Binary::Vaultctl).unwrap()).args(arguments).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if done.status.success() { Ok(text(&done.stdout)) } else { Err(text(&done.stderr)) }
}

/// Smaller than the store of that test, larger than what its logs need.
const LIMIT: u64 = 1 << 20;
