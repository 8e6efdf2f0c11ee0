//! A disk that takes nothing more: no card leaves without its entry, nothing is acknowledged that is not kept, and when
//! there is room again the vault goes on by itself.

use std::time::Duration;

use rusqlite::{Connection, TransactionBehavior};
use serde_json::{Value, json};
use strongroom_tests::harness::{Answer, Client, VaultPlan, World, WorldPlan, eventually, word};

const NUMBER: &str = "4242424242424242";

#[tokio::test]
async fn a_full_disk_releases_no_card_and_loses_none() {
    let vault = VaultPlan { survives_file_size_limit: true, ..VaultPlan::default() };
    let mut world = World::start(WorldPlan { vault, ..WorldPlan::default() }).await.unwrap();
    let (key, checkpoint) = world.keep_checkpoint().await.unwrap();
    let release = world.release().await.unwrap();
    let kept = store(&release, "cus_before").await.expect(201).unwrap();
    let kept = word(&kept, "payment_method_id").unwrap();

    world.vault.process().limit_file_size(Some(4096)).unwrap();
    for turn in 0..3 {
        refused(&reveal(&release, &kept).await);
        refused(&store(&release, &format!("cus_full_{turn}")).await);
        let path = format!("/v1/payment_methods/{kept}");
        refused(&release.get(&path).await.unwrap());
        refused(&release.send(reqwest::Method::DELETE, &path, None, &[]).await.unwrap());
    }
    let ready = world.security().await.unwrap().get("/health/ready").await.unwrap();
    assert_eq!(ready.status, 503, "a vault that cannot write its log calls itself ready");

    world.vault.process().limit_file_size(None).unwrap();
    recovers(&release, &kept).await;
    for turn in 0..3 {
        // What was refused was not kept: the same customer's card is new.
        store(&release, &format!("cus_full_{turn}")).await.must_be(201).unwrap();
    }
    world.vault.process().kill().unwrap();
    world.vault.restart().await.unwrap();
    shows(&reveal(&world.release().await.unwrap(), &kept).await);
    world.vault.process().stop().await.unwrap();
    world.verify_audit(&key, Some(&checkpoint)).unwrap();
}

#[tokio::test]
async fn a_log_that_cannot_be_written_releases_no_card() {
    let mut world = World::vault_only().await.unwrap();
    let release = world.release().await.unwrap();
    let kept = store(&release, "cus_ada").await.expect(201).unwrap();
    let kept = word(&kept, "payment_method_id").unwrap();
    let size = audit_size(&world).await;

    // Somebody else holds the log's file: vaultd can read it and not write.
    let mut other = Connection::open(world.vault.audit_file()).unwrap();
    let held = other.transaction_with_behavior(TransactionBehavior::Immediate).unwrap();
    let answer = reveal(&release, &kept).await;
    assert_eq!((answer.status, answer.problem().as_str()), (503, "not-recorded"));
    assert!(answer.header("retry-after").is_some());
    refused(&answer);
    drop(held);

    recovers(&release, &kept).await;
    assert!(audit_size(&world).await > size);
    world.vault.process().stop().await.unwrap();
}

#[tokio::test]
async fn a_store_that_cannot_be_written_acknowledges_nothing() {
    let mut world = World::vault_only().await.unwrap();
    let release = world.release().await.unwrap();
    let kept = store(&release, "cus_ada").await.expect(201).unwrap();
    let kept = word(&kept, "payment_method_id").unwrap();
    let mut other = Connection::open(world.vault.store_file()).unwrap();
    let held = other.transaction_with_behavior(TransactionBehavior::Immediate).unwrap();
    let path = format!("/v1/payment_methods/{kept}");
    // At the same time, because each waits as long as SQLite waits for a lock.
    let (stored, deleted, revealed) = tokio::join!(
        store(&release, "cus_eve"),
        release.send(reqwest::Method::DELETE, &path, None, &[]),
        reveal(&release, &kept),
    );
    refused(&stored);
    refused(&deleted.unwrap());
    // What only reads goes on.
    shows(&revealed);
    world.vault.process().kill().unwrap();
    drop(held);
    world.vault.restart().await.unwrap();
    let release = world.release().await.unwrap();
    shows(&reveal(&release, &kept).await);
    let page = release.get("/v1/payment_methods?customer_id=cus_eve").await.unwrap().expect(200).unwrap();
    assert_eq!(page["items"], json!([]), "a card that was refused is there");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_at_its_limit_refuses_cards_and_keeps_releasing() {
    let mut world = World::vault_only().await.unwrap();
    world.vault.process().stop().await.unwrap();
    world.vault.edit_configuration(|text| text.replace("[store]\n", "[store]\nbytes_max = 16777216\n")).unwrap();
    world.vault.restart().await.unwrap();
    let release = world.release().await.unwrap();
    let writers: Vec<_> = (0..WRITERS).map(|writer| tokio::spawn(fill(release.clone(), writer))).collect();
    let mut kept = Vec::new();
    for writer in writers {
        kept.extend(writer.await.unwrap());
    }
    assert!(kept.len() > 500, "only {} records filled 16 MiB", kept.len());
    world.vault.process().kill().unwrap();
    world.vault.restart().await.unwrap();
    let release = world.release().await.unwrap();
    for token in &kept {
        shows(&reveal(&release, token).await);
    }
    // Shredding makes room again.
    for token in kept.iter().take(40) {
        let gone = release.send(reqwest::Method::DELETE, &format!("/v1/payment_methods/{token}"), None, &[]).await;
        gone.unwrap().must_be(204).unwrap();
    }
    eventually("room for a card", RECOVERED_WITHIN, || async {
        Ok((store(&release, "cus_after").await.status == 201).then_some(()))
    })
    .await
    .unwrap();
}

/// Stores cards with as much metadata as there may be, until the store says that it is full; answers what it kept.
async fn fill(release: Client, writer: usize) -> Vec<String> {
    let notes: Value = (0..7).map(|nth| (format!("note_{nth}"), json!("x".repeat(500)))).collect();
    let mut kept = Vec::new();
    for turn in 0..RECORDS_MAX {
        let body = json!({
            "type": "card",
            "card": { "number": NUMBER, "exp_month": 12, "exp_year": 2031 },
            "customer_id": format!("cus_{writer}_{turn}"),
            "metadata": notes,
        });
        let answer = release.post("/v1/payment_methods", &body).await.unwrap();
        if answer.status != 201 {
            assert_eq!((answer.status, answer.problem().as_str()), (503, "unavailable"), "{}", answer.text());
            return kept;
        }
        kept.push(word(&answer.json().unwrap(), "payment_method_id").unwrap());
    }
    panic!("{RECORDS_MAX} records did not fill the store");
}

async fn store(release: &Client, customer: &str) -> Answer {
    let body = json!({
        "type": "card",
        "card": { "number": NUMBER, "exp_month": 12, "exp_year": 2031 },
        "customer_id": customer,
    });
    release.post("/v1/payment_methods", &body).await.unwrap()
}

async fn reveal(release: &Client, token: &str) -> Answer {
    let body = json!({ "purpose": "authorize", "reference": "pay_disk" });
    release.post(&format!("/v1/payment_methods/{token}/reveal"), &body).await.unwrap()
}

fn refused(answer: &Answer) {
    assert_eq!(answer.status, 503, "{}", answer.problem());
    assert!(!answer.text().contains(NUMBER) && !answer.said().contains("4242"), "a refusal shows digits of the card");
}

fn shows(answer: &Answer) {
    answer.must_be(200).unwrap();
    assert!(answer.json().unwrap()["card"]["number"] == NUMBER, "another card came out");
}

async fn recovers(release: &Client, token: &str) {
    eventually("the vault to go on", RECOVERED_WITHIN, || async {
        let answer = reveal(release, token).await;
        Ok((answer.status == 200).then(|| shows(&answer)))
    })
    .await
    .unwrap();
}

async fn audit_size(world: &World) -> u64 {
    let status = world.security().await.unwrap().get("/v1/status").await.unwrap().expect(200).unwrap();
    status["audit_size"].as_u64().unwrap()
}

const WRITERS: usize = 4;
const RECORDS_MAX: usize = 5_000;
const RECOVERED_WITHIN: Duration = Duration::from_secs(20);
