//! `kill -9` of vaultd under load: every acknowledged token still reveals, every release has its entry.

use std::collections::BTreeMap;
use std::env;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use strongroom_tests::harness::{Client, Result, World, card, eventually};

/// What vaultd acknowledged, which must hold whatever happens afterwards.
#[derive(Default)]
struct Acknowledged {
    /// Token and the number that was stored under it.
    cards: Vec<(String, &'static str)>,
    /// Audit index of a release and the token that was released.
    releases: Vec<(u64, String)>,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_by_kill_9_under_load() {
    let mut world = World::vault_only().await.unwrap();
    let (key, checkpoint) = world.keep_checkpoint().await.unwrap();
    let until = env::var("STRONGROOM_SOAK_SECONDS").ok().and_then(|text| text.parse().ok()).map(Duration::from_secs);
    let began = Instant::now();
    let mut all = Acknowledged::default();
    let mut kills = 0;
    while kills < KILLS_MIN || until.is_some_and(|until| began.elapsed() < until) {
        let fresh = load_until_killed(&mut world, kills).await;
        kills += 1;
        world.vault.restart().await.unwrap();
        check_cards(&world, &fresh.cards).await;
        all.cards.extend(fresh.cards);
        all.releases.extend(fresh.releases);
    }
    assert!(all.cards.len() > 20 * KILLS_MIN, "only {} cards were acknowledged: the load was none", all.cards.len());
    assert!(all.releases.len() > 10 * KILLS_MIN, "only {} releases were acknowledged", all.releases.len());
    // Cards of all rounds, not only of the last.
    let step = all.cards.len() / 200 + 1;
    let sample: Vec<_> = all.cards.iter().step_by(step).cloned().collect();
    check_cards(&world, &sample).await;
    check_entries(&world, &all.releases).await;
    world.vault.process().stop().await.unwrap();
    world.verify_audit(&key, Some(&checkpoint)).unwrap();
}

/// Starts writers and readers, kills vaultd in the middle, and answers what they were told.
async fn load_until_killed(world: &mut World, round: usize) -> Acknowledged {
    let client = world.release().await.unwrap();
    let (stop, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let tasks: Vec<_> = (0..CONNECTIONS)
        .map(|_| tokio::spawn(work(client.clone(), Arc::clone(&stop), Arc::clone(&answered))))
        .collect();
    // A different moment in every round, counted in answers and not in time, so that slow machines test the same.
    let wanted = 40 + round * 13 % 100;
    eventually("load", Duration::from_secs(60), || async {
        Ok((answered.load(Ordering::Relaxed) >= wanted).then_some(()))
    })
    .await
    .unwrap();
    world.vault.process().kill().unwrap();
    stop.store(true, Ordering::Relaxed);
    let mut sum = Acknowledged::default();
    for task in tasks {
        let part = task.await.unwrap();
        sum.cards.extend(part.cards);
        sum.releases.extend(part.releases);
    }
    sum
}

/// Stores and reveals until the vault is gone. Only whole answers count as acknowledged.
async fn work(client: Client, stop: Arc<AtomicBool>, answered: Arc<AtomicUsize>) -> Acknowledged {
    let mut told = Acknowledged::default();
    let mut turn = 0;
    while !stop.load(Ordering::Relaxed) {
        let number = NUMBERS[turn % NUMBERS.len()];
        turn += 1;
        let Ok(token) = store(&client, number).await else { break };
        told.cards.push((token.clone(), number));
        answered.fetch_add(1, Ordering::Relaxed);
        let Ok(index) = reveal(&client, &token, number).await else { break };
        told.releases.push((index, token));
        answered.fetch_add(1, Ordering::Relaxed);
    }
    told
}

async fn store(client: &Client, number: &str) -> Result<String> {
    let body = json!({ "type": "card", "card": { "number": number, "exp_month": 12, "exp_year": 2031 } });
    let stored = client.post("/v1/payment_methods", &body).await?.expect(201)?;
    strongroom_tests::harness::word(&stored, "payment_method_id")
}

/// The audit index that the answer rests on.
async fn reveal(client: &Client, token: &str, number: &str) -> Result<u64> {
    let body = json!({ "purpose": "authorize", "reference": "pay_kill" });
    let answer = client.post(&format!("/v1/payment_methods/{token}/reveal"), &body).await?;
    let index = answer.header("audit-index").and_then(|text| text.parse().ok());
    let card = answer.expect(200)?;
    assert_eq!(card["card"]["number"], number, "a token reveals another card");
    Ok(index.expect("a release without the index of its entry"))
}

async fn check_cards(world: &World, cards: &[(String, &'static str)]) {
    let client = world.release().await.unwrap();
    for (token, number) in cards {
        if let Err(fault) = reveal(&client, token, number).await {
            panic!("an acknowledged token does not reveal after a crash: {fault}");
        }
    }
}

/// Each acknowledged release has an entry of its own, at the index that the caller was told.
async fn check_entries(world: &World, releases: &[(u64, String)]) {
    let security = world.security().await.unwrap();
    let mut entries: BTreeMap<u64, Value> = BTreeMap::new();
    let mut from = Some(0);
    while let Some(at) = from {
        let page = security.get(&format!("/v1/audit/entries?from={at}&limit=1000")).await.unwrap().expect(200).unwrap();
        for entry in page["entries"].as_array().unwrap() {
            entries.insert(entry["index"].as_u64().unwrap(), entry.clone());
        }
        from = page["next"].as_u64();
    }
    for (index, token) in releases {
        let entry = entries.get(index).unwrap_or_else(|| panic!("the entry {index} of a release is gone"));
        assert_eq!((entry["act"].as_str(), entry["outcome"].as_str()), (Some("reveal"), Some("allowed")));
        assert_eq!(entry["subject"], *token, "the entry {index} is about another card");
    }
}

/// At least so many kills in one run.
const KILLS_MIN: usize = 20;
const CONNECTIONS: usize = 64;
const NUMBERS: [&str; 3] = [card::VISA, card::MASTERCARD, card::AMEX];
