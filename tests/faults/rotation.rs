//! A rotation that is interrupted goes on, loses nothing and ends with a proof.

use std::time::Duration;

use serde_json::{Value, json};
use strongroom_tests::harness::{Client, Result, World, eventually, word};

/// More than two batches of a rotation, so that it can be met half-way.
const CARDS: usize = 600;

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
