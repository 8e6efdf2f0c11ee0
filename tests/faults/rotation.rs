//! A rotation that is interrupted goes on, loses nothing and ends with a proof.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use strongroom_tests::harness::{Client, Result, World, eventually, word};

/// More than two batches of a rotation, so that it can be met half-way.
const CARDS: usize = 600;
/// Times that one rotation is interrupted.
const KILLS: usize = 4;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rotation_that_was_killed_goes_on_and_every_card_still_reveals() {
    let mut world = World::vault_only().await.unwrap();
    let release = world.release().await.unwrap();
    let tasks: Vec<_> = (0..8).map(|_| tokio::spawn(store(release.clone(), CARDS / 8))).collect();
    let mut tokens = Vec::new();
    for task in tasks {
        tokens.extend(task.await.unwrap());
    }
    let security = world.security().await.unwrap();
    let slow = json!({ "tenant": world.tenant, "records_per_second_max": 100 });
    let begun = security.post("/v1/rotations", &slow).await.unwrap().expect(202).unwrap();
    assert_eq!((begun["state"].as_str(), begun["to_term"].as_u64()), (Some("running"), Some(2)));
    let path = format!("/v1/rotations/{}", world.tenant);
    let half = eventually("the rotation to be under way", Duration::from_secs(30), || async {
        let now = security.get(&path).await?.expect(200)?;
        Ok(now["done"].as_u64().filter(|done| *done > 0))
    });
    assert!((half.await.unwrap() as usize) < CARDS, "the rotation was over before it could be interrupted");
    world.vault.process().kill().unwrap();
    world.vault.restart().await.unwrap();

    let security = world.security().await.unwrap();
    // Asking again attaches to the rotation that was interrupted, or finds it running.
    let again = json!({ "tenant": world.tenant });
    let asked = security.post("/v1/rotations", &again).await.unwrap().expect(202).unwrap();
    assert_eq!(asked["to_term"], 2, "an interrupted rotation was left behind and another begun");
    let done = finished(&security, &path).await.unwrap();
    assert!(
        done["proof"].as_str().is_some_and(|note| note.contains("\u{2014} ")),
        "a rotation ends without a signed proof"
    );

    let release = world.release().await.unwrap();
    for token in &tokens {
        let body = json!({ "purpose": "authorize", "reference": "pay_rotated" });
        let card =
            release.post(&format!("/v1/payment_methods/{token}/reveal"), &body).await.unwrap().expect(200).unwrap();
        assert_eq!(card["card"]["number"], "4242424242424242");
    }
    let keys = security.get("/v1/keys").await.unwrap().expect(200).unwrap();
    let active: Vec<&Value> = keys["keys"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|key| key["purpose"] == "kek" && key["tenant"] == world.tenant && key["state"] == "active")
        .collect();
    assert_eq!(active.len(), 1, "a tenant has one active Kek");
    assert_eq!(active[0]["term"], 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rotation_that_is_killed_again_and_again_under_load_ends_with_every_record_moved() {
    let mut world = World::vault_only().await.unwrap();
    let client = world.release().await.unwrap();
    let writers: Vec<_> = (0..8).map(|_| tokio::spawn(store(client.clone(), CARDS * (KILLS + 1) / 8))).collect();
    let mut tokens = Vec::new();
    for writer in writers {
        tokens.extend(writer.await.unwrap());
    }
    let path = format!("/v1/rotations/{}", world.tenant);
    let slow = json!({ "tenant": world.tenant, "records_per_second_max": 600 });
    let begun = world.security().await.unwrap().post("/v1/rotations", &slow).await.unwrap();
    begun.must_be(202).unwrap();
    for _ in 0..KILLS {
        let client = world.release().await.unwrap();
        let workers: Vec<_> = (0..8).map(|_| tokio::spawn(load(client.clone()))).collect();
        under_way(&world.security().await.unwrap(), &path).await;
        world.vault.process().kill().unwrap();
        for worker in workers {
            tokens.extend(worker.await.unwrap());
        }
        world.vault.restart().await.unwrap();
    }
    // It was taken up again by itself.
    let security = world.security().await.unwrap();
    let done = finished(&security, &path).await.unwrap();
    assert_eq!(done["to_term"], 2);
    assert!(done["proof"].as_str().is_some_and(|note| note.contains("\u{2014} ")), "it ends without a signed proof");
    let release = world.release().await.unwrap();
    for token in &tokens {
        let body = json!({ "purpose": "authorize", "reference": "pay_rotated" });
        let card = release.post(&format!("/v1/payment_methods/{token}/reveal"), &body).await.unwrap();
        assert_eq!(card.expect(200).unwrap()["card"]["number"], "4242424242424242");
    }
    world.vault.process().stop().await.unwrap();
    let open = rusqlite::Connection::open(world.vault.store_file()).unwrap();
    for (table, column) in
        [("cards", "envelope"), ("cards", "metadata"), ("answers", "envelope"), ("secrets", "envelope")]
    {
        let ask = format!("SELECT count(*) FROM {table} WHERE substr({column}, 2, 4) = x'00000001'");
        let left: u32 = open.query_row(&ask, [], |row| row.get(0)).unwrap();
        assert_eq!(left, 0, "{left} of {table}.{column} are left on the old term, and the proof says none is");
    }
}

/// Waits until more records were moved than when it was called, and makes sure that some are left to be.
async fn under_way(security: &Client, path: &str) {
    let mut before = None;
    loop {
        let now = security.get(path).await.unwrap().expect(200).unwrap();
        assert_eq!(now["state"], "running", "the rotation was over before it could be interrupted");
        let done = now["done"].as_u64().unwrap();
        if *before.get_or_insert(done) < done {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Stores and reveals until the vault is gone; answers what was stored. Every other request has an idempotency key, whose
/// kept answer has to be moved as well.
async fn load(client: Client) -> Vec<String> {
    let mut stored = Vec::new();
    for turn in 0.. {
        let key = format!("order-{}-{turn}", strongroom_wire::Token::fresh());
        let headers: &[(&str, &str)] = if turn % 2 == 0 { &[("Idempotency-Key", &key)] } else { &[] };
        let body = json!({
            "type": "card",
            "card": { "number": "4242424242424242", "exp_month": 12, "exp_year": 2031 },
            "metadata": { "order": key },
        });
        let Ok(answer) = client.send(Method::POST, "/v1/payment_methods", Some(&body), headers).await else { break };
        let token = word(&answer.expect(201).unwrap(), "payment_method_id").unwrap();
        let body = json!({ "purpose": "authorize", "reference": "pay_rotating" });
        let revealed = client.post(&format!("/v1/payment_methods/{token}/reveal"), &body).await;
        stored.push(token);
        let Ok(answer) = revealed else { break };
        answer.must_be(200).unwrap();
        // A trickle: the walk has to meet records of before and of now, not to race with a flood.
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    stored
}

async fn store(release: Client, count: usize) -> Vec<String> {
    let body = json!({ "type": "card", "card": { "number": "4242424242424242", "exp_month": 12, "exp_year": 2031 } });
    let mut tokens = Vec::new();
    for _ in 0..count {
        let stored = release.post("/v1/payment_methods", &body).await.unwrap().expect(201).unwrap();
        tokens.push(word(&stored, "payment_method_id").unwrap());
    }
    tokens
}

async fn finished(security: &Client, path: &str) -> Result<Value> {
    eventually("the rotation to end", Duration::from_secs(60), || async {
        let now = security.get(path).await?.expect(200)?;
        assert_ne!(now["state"], "stopped", "a rotation stopped");
        Ok((now["state"] == "done").then_some(now))
    })
    .await
}
