//! A node that stood still (SIGSTOP) while the others went on: when it wakes up it serves nothing under keys that are gone.

use std::time::Duration;

use rustix::process::Signal;
use serde_json::json;
use strongroom_tests::harness::{Client, card, eventually};

use crate::{Site, finished, number, of, reveal, store};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_slept_while_a_tenant_was_shredded_releases_none_of_its_cards() {
    let mut site = Site::start(2).await;
    let officer = site.cluster.officer(0, "alice").unwrap();
    officer.post("/v1/tenants", &json!({ "tenant": "gone" })).await.unwrap().must_be(200).unwrap();
    let clients: Vec<Client> =
        site.cluster.releases().unwrap().into_iter().map(|client| client.tenant("gone")).collect();
    let token = store(&clients[0], &of("ada", card::VISA)).await.unwrap();
    let known = || async { Ok((reveal(&clients[1], &token, None).await?.status == 200).then_some(())) };
    eventually("the tenant to be known", Duration::from_secs(90), known).await.unwrap();
    site.cluster.node_mut(1).process().signal(Signal::STOP).unwrap();
    // The act waits for nobody who sleeps.
    site.cluster.agreed([0, 0], "DELETE", "/v1/tenants/gone", None).await.unwrap();
    // Asked while it slept, so that the first thing that it sees is this.
    let asked: Vec<_> = (0..20)
        .map(|_| {
            let (client, token) = (clients[1].clone(), token.clone());
            tokio::spawn(async move { reveal(&client, &token, None).await.unwrap().status })
        })
        .collect();
    // On their way before it wakes.
    tokio::time::sleep(Duration::from_millis(300)).await;
    site.cluster.node_mut(1).process().signal(Signal::CONT).unwrap();
    for one in asked {
        assert!(one.await.unwrap() >= 400, "a card of a shredded tenant was released");
    }
    site.cluster.ready(1).await.unwrap();
    assert!(reveal(&clients[1], &token, None).await.unwrap().status >= 400);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_slept_through_a_rotation_neither_seals_under_the_destroyed_term_nor_overlooks_a_card() {
    let mut site = Site::start(2).await;
    let nodes = site.cluster.releases().unwrap();
    let tenant = site.cluster.world.tenant.clone();
    let token = store(&nodes[0], &of("ada", card::VISA)).await.unwrap();
    assert_eq!(number(&nodes[1], &token).await.unwrap(), card::VISA);
    site.cluster.node_mut(1).process().signal(Signal::STOP).unwrap();
    let officer = site.cluster.officer(0, "alice").unwrap();
    for key in ["kek", "fingerprint"] {
        officer.post("/v1/rotations", &json!({ "key": key, "tenant": tenant })).await.unwrap().must_be(202).unwrap();
        finished(&officer, key).await.unwrap();
        let destroy = json!({ "purpose": key, "tenant": tenant, "term": 1 });
        site.cluster.agreed([0, 0], "POST", "/v1/keys/destroy", Some(&destroy)).await.unwrap();
    }
    let asked: Vec<_> = (0..20)
        .map(|nth| {
            let client = nodes[1].clone();
            let body = of(if nth % 2 == 0 { "ada" } else { "ben" }, card::VISA);
            tokio::spawn(async move { (nth, store(&client, &body).await) })
        })
        .collect();
    // On their way before it wakes.
    tokio::time::sleep(Duration::from_millis(300)).await;
    site.cluster.node_mut(1).process().signal(Signal::CONT).unwrap();
    let mut stored = Vec::new();
    for one in asked {
        // Refused, or done under the keys of now.
        let (nth, answer) = one.await.unwrap();
        if let Ok(one) = answer {
            assert!(nth % 2 == 1 || one == token, "a known card got another token");
            stored.push(one);
        }
    }
    site.cluster.ready(1).await.unwrap();
    for token in stored.iter().chain([&token]) {
        for node in &nodes {
            let shown = || async { Ok(number(node, token).await.ok()) };
            let shown = eventually("every card to be shown", Duration::from_secs(90), shown).await.unwrap();
            assert_eq!(shown, card::VISA);
        }
    }
}
