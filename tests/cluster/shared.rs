//! One vault at several addresses: what is stored, changed, deleted or made at one node is so at every other.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::json;
use strongroom_tests::harness::{Client, card, eventually, word};

use crate::{Site, number, of, reveal, store};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_card_of_one_node_is_revealed_changed_and_deleted_at_every_other() {
    let site = Site::start(3).await;
    let nodes = site.cluster.releases().unwrap();
    let token = store(&nodes[0], &of("ada", card::AMEX)).await.unwrap();
    for node in &nodes {
        assert_eq!(number(node, &token).await.unwrap(), card::AMEX);
    }
    let path = format!("/v1/payment_methods/{token}");
    let change = json!({ "card": { "exp_month": 1, "exp_year": 2033 }, "metadata": { "order": "7" } });
    nodes[1].send(Method::PATCH, &path, Some(&change), &[]).await.unwrap().must_be(200).unwrap();
    let seen = nodes[2].get(&path).await.unwrap().expect(200).unwrap();
    assert_eq!((&seen["card"]["exp_year"], &seen["metadata"]["order"]), (&json!(2033), &json!("7")));
    let list = nodes[0].get("/v1/payment_methods?customer_id=ada").await.unwrap().expect(200).unwrap();
    assert_eq!(list["items"].as_array().map(Vec::len), Some(1));
    nodes[2].send(Method::DELETE, &path, None, &[]).await.unwrap().must_be(204).unwrap();
    for node in &nodes {
        reveal(node, &token, None).await.unwrap().must_be(404).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tenant_of_one_node_takes_cards_at_the_others_soon_and_a_shredded_one_opens_nowhere() {
    let site = Site::start(3).await;
    let cluster = &site.cluster;
    let officer = cluster.officer(1, "alice").unwrap();
    officer.post("/v1/tenants", &json!({ "tenant": "fresh" })).await.unwrap().must_be(200).unwrap();
    let made = Instant::now();
    let of_fresh: Vec<Client> = cluster.releases().unwrap().into_iter().map(|client| client.tenant("fresh")).collect();
    let mut tokens = Vec::new();
    for client in &of_fresh {
        let body = of("ada", card::VISA);
        let stored = eventually("the tenant to be known", Duration::from_secs(90), || async {
            let answer = client.post("/v1/payment_methods", &body).await?;
            Ok(if [200, 201].contains(&answer.status) { Some(answer.json()?) } else { None })
        });
        tokens.push(word(&stored.await.unwrap(), "payment_method_id").unwrap());
    }
    eprintln!("measured: a tenant of one node was known at all three after {:?}", made.elapsed());
    assert_eq!(tokens.iter().collect::<BTreeSet<_>>().len(), 1, "the same card has several tokens");
    cluster.agreed([2, 0], "DELETE", "/v1/tenants/fresh", None).await.unwrap();
    // Who was answered that it is shredded finds it so everywhere.
    for client in &of_fresh {
        let answer = reveal(client, &tokens[0], None).await.unwrap();
        assert!(answer.status >= 400, "a shredded tenant's card was released");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_idempotency_key_at_every_node_at_once_stores_one_card() {
    let site = Site::start(3).await;
    let nodes = site.cluster.releases().unwrap();
    for round in 0..5 {
        // Without a customer: nothing but the key tells a card from the same card once more.
        let body = json!({ "type": "card", "card": { "number": card::VISA, "exp_month": 12, "exp_year": 2031 } });
        let key = format!("order-{round}");
        let asked: Vec<_> = (0..12)
            .map(|nth| {
                let (node, body) = (nodes[nth % 3].clone().with("Idempotency-Key", &key), body.clone());
                tokio::spawn(async move { store(&node, &body).await })
            })
            .collect();
        let mut tokens = BTreeSet::new();
        for one in asked {
            tokens.extend(one.await.unwrap());
        }
        assert_eq!(tokens.len(), 1, "one key has several cards: {tokens:?}");
    }
    let list = nodes[0].get("/v1/payment_methods?limit=100").await.unwrap().expect(200).unwrap();
    assert_eq!(list["items"].as_array().map(Vec::len), Some(5));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_card_of_one_customer_at_every_node_at_once_has_one_token() {
    let site = Site::start(3).await;
    let nodes = site.cluster.releases().unwrap();
    for round in 0..20 {
        let body = of(&format!("cus_{round}"), card::VISA);
        let asked: Vec<_> = (0..6)
            .map(|nth| {
                let (node, body) = (nodes[nth % 3].clone(), body.clone());
                tokio::spawn(async move { store(&node, &body).await })
            })
            .collect();
        let mut tokens = BTreeSet::new();
        for one in asked {
            tokens.insert(one.await.unwrap().unwrap());
        }
        assert_eq!(tokens.len(), 1, "one card of one customer has several tokens: {tokens:?}");
    }
}
