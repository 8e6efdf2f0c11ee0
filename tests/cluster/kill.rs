//! `kill -9` of a vaultd among several: the others go on, and what it had begun is taken up by one of them.

use std::time::Duration;

use serde_json::json;
use strongroom_tests::harness::{Traffic, card, eventually};

use crate::{Site, finished, number, of, store};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_killed_under_load_stops_nobody_else_and_loses_no_acknowledged_card() {
    let mut site = Site::start(3).await;
    let nodes = site.cluster.releases().unwrap();
    let others = Traffic::begin(nodes[1..].to_vec(), 4);
    let at_it = Traffic::begin(nodes[..1].to_vec(), 4);
    at_it.more(40).await.unwrap();
    // The first node led until now.
    site.cluster.node_mut(0).process().kill().unwrap();
    others.more(100).await.unwrap();
    let lost = at_it.end().await.unwrap();
    let told = others.end().await.unwrap();
    assert!(told.unclean.is_empty(), "{:#?}", told.unclean);
    lost.hold_at(&nodes[1..]).await.unwrap();
    told.hold_at(&nodes[1..]).await.unwrap();
    // What the leader does goes on: a card at its end is swept.
    let brief = json!({
        "type": "card", "card": { "number": card::VISA, "exp_month": 12, "exp_year": 2031 }, "storage": "short_term",
        "ttl_seconds": strongroom_wire::limits::SHORT_TERM_TTL_MIN_S, "customer_id": "brief",
    });
    store(&nodes[1], &brief).await.unwrap();
    let swept = eventually("a card to be swept without the first leader", Duration::from_secs(120), || async {
        let mut swept = 0;
        for nth in 1..3 {
            let scrape = site.cluster.officer(nth, "alice")?.get("/metrics").await?.text();
            swept += u32::from(scrape.contains("strongroom_swept_records_total 1"));
        }
        Ok((swept == 1).then_some(()))
    });
    swept.await.unwrap();
    site.cluster.node_mut(0).restart().await.unwrap();
    site.cluster.ready(0).await.unwrap();
    told.hold_at(&site.cluster.releases().unwrap()[..1]).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rotation_of_a_killed_node_is_taken_up_by_another_and_ends_with_every_record_moved() {
    let mut site = Site::start(3).await;
    let nodes = site.cluster.releases().unwrap();
    let mut tokens = Vec::new();
    for nth in 0..240 {
        tokens.push(store(&nodes[nth % 3], &of(&format!("cus_{nth}"), card::AMEX)).await.unwrap());
    }
    for (round, key) in [(0, "kek"), (2, "fingerprint")] {
        let slow = json!({ "key": key, "tenant": site.cluster.world.tenant, "records_per_second_max": 60 });
        let officer = site.cluster.officer(round, "alice").unwrap();
        officer.post("/v1/rotations", &slow).await.unwrap().must_be(202).unwrap();
        eventually("the rotation to be under way", Duration::from_secs(90), || async {
            let all = officer.get("/v1/rotations").await?.expect(200)?;
            let mine = all["rotations"].as_array().into_iter().flatten().rfind(|rotation| rotation["key"] == key);
            Ok(mine.and_then(|mine| mine["done"].as_u64()).filter(|done| *done > 0))
        })
        .await
        .unwrap();
        site.cluster.node_mut(round).process().kill().unwrap();
        let done = finished(&site.cluster.officer(1, "alice").unwrap(), key).await.unwrap();
        assert!(done["proof"].as_str().is_some_and(|note| note.contains("\u{2014} ")), "{done}");
        for token in tokens.iter().step_by(7) {
            assert_eq!(number(&nodes[1], token).await.unwrap(), card::AMEX);
        }
        site.cluster.node_mut(round).restart().await.unwrap();
        site.cluster.ready(round).await.unwrap();
    }
    for (nth, token) in tokens.iter().enumerate() {
        let again = store(&nodes[(nth + 1) % 3], &of(&format!("cus_{nth}"), card::AMEX)).await.unwrap();
        assert_eq!(again, *token, "cus_{nth} got another token");
    }
}
