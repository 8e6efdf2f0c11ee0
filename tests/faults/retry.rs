//! What a crash leaves in doubt: a request without an answer is asked again under its key and stores one card; a deletion
//! that was answered stays.

use std::env;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use strongroom_tests::harness::{Answer, Client, Result, World, card, eventually, word};

/// What one worker did until the vault was gone.
#[derive(Default)]
struct Done {
    /// Customer and token of cards that were acknowledged and not deleted since.
    kept: Vec<(String, String)>,
    /// Tokens whose deletion was acknowledged.
    deleted: Vec<String>,
    /// The customer of the card whose answer never came.
    unanswered: Option<String>,
    /// The token whose deletion was not answered: it may be there or not.
    in_doubt: Option<String>,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unanswered_request_stores_one_card_and_an_answered_deletion_stays() {
    let mut world = World::vault_only().await.unwrap();
    let kills = env::var("STRONGROOM_SOAK_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(KILLS);
    let (mut all, mut retried) = (Done::default(), 0);
    for round in 0..kills {
        let parts = load_until_killed(&mut world, round).await;
        world.vault.restart().await.unwrap();
        let client = world.release().await.unwrap();
        for part in parts {
            if let Some(customer) = &part.unanswered {
                all.kept.push((customer.clone(), retry(&client, customer).await));
                retried += 1;
            }
            if let Some(token) = &part.in_doubt {
                let answer = client.get(&format!("/v1/payment_methods/{token}")).await.unwrap();
                assert!(matches!(answer.status, 200 | 404), "a deletion that was cut off left {}", answer.status);
            }
            all.kept.extend(part.kept);
            all.deleted.extend(part.deleted);
        }
    }
    assert!(retried > kills * CONNECTIONS / 4, "only {retried} requests were cut off");
    assert!(all.deleted.len() > kills, "only {} deletions were acknowledged", all.deleted.len());
    let client = world.release().await.unwrap();
    for (customer, token) in &all.kept {
        assert_eq!(tokens_of(&client, customer).await, [token.as_str()], "{customer} has not one card but others");
    }
    for token in &all.deleted {
        let path = format!("/v1/payment_methods/{token}");
        client.get(&path).await.unwrap().must_be(404).unwrap();
        let body = json!({ "purpose": "authorize", "reference": "pay_deleted" });
        client.post(&format!("{path}/reveal"), &body).await.unwrap().must_be(404).unwrap();
    }
}

async fn load_until_killed(world: &mut World, round: usize) -> Vec<Done> {
    let client = world.release().await.unwrap();
    let answered = Arc::new(AtomicUsize::new(0));
    let workers: Vec<_> = (0..CONNECTIONS)
        .map(|nth| tokio::spawn(work(client.clone(), format!("cus_{round}_{nth}"), Arc::clone(&answered))))
        .collect();
    let wanted = CONNECTIONS * 2 + round * 37 % 100;
    eventually("load", Duration::from_secs(60), || async {
        Ok((answered.load(Ordering::Relaxed) >= wanted).then_some(()))
    })
    .await
    .unwrap();
    world.vault.process().kill().unwrap();
    let mut done = Vec::new();
    for worker in workers {
        done.push(worker.await.unwrap());
    }
    done
}

/// Stores a card for one customer after the other, and deletes every third, until the vault is gone.
async fn work(client: Client, name: String, answered: Arc<AtomicUsize>) -> Done {
    let mut done = Done::default();
    for turn in 0.. {
        let customer = format!("{name}_{turn}");
        let Ok(answer) = ask(&client, &customer).await else {
            done.unanswered = Some(customer);
            return done;
        };
        let token = word(&answer.expect(201).unwrap(), "payment_method_id").unwrap();
        answered.fetch_add(1, Ordering::Relaxed);
        if turn % 3 != 0 {
            done.kept.push((customer, token));
            continue;
        }
        let Ok(answer) = client.send(Method::DELETE, &format!("/v1/payment_methods/{token}"), None, &[]).await else {
            done.in_doubt = Some(token);
            return done;
        };
        answer.must_be(204).unwrap();
        done.deleted.push(token);
    }
    done
}

/// The request of a customer, always the same under the same key.
async fn ask(client: &Client, customer: &str) -> Result<Answer> {
    let body: Value = json!({
        "type": "card",
        "card": { "number": card::VISA, "exp_month": 12, "exp_year": 2031 },
        "customer_id": customer,
    });
    let key = format!("order-{customer}");
    client.send(Method::POST, "/v1/payment_methods", Some(&body), &[("Idempotency-Key", &key)]).await
}

/// Asks twice more; both times the answer is the same card.
async fn retry(client: &Client, customer: &str) -> String {
    let mut tokens = Vec::new();
    for _ in 0..2 {
        let answer = ask(client, customer).await.unwrap();
        assert!(matches!(answer.status, 200 | 201), "a retry answered {}: {}", answer.status, answer.problem());
        tokens.push(word(&answer.json().unwrap(), "payment_method_id").unwrap());
    }
    assert_eq!(tokens[0], tokens[1], "a retry stored another card");
    tokens.swap_remove(0)
}

async fn tokens_of(client: &Client, customer: &str) -> Vec<String> {
    let page = client.get(&format!("/v1/payment_methods?customer_id={customer}")).await.unwrap().expect(200).unwrap();
    page["items"].as_array().unwrap().iter().map(|item| word(item, "payment_method_id").unwrap()).collect()
}

const KILLS: usize = 6;
const CONNECTIONS: usize = 64;
