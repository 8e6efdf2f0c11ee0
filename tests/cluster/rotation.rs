//! Keys rotate while several nodes store and reveal: every card reveals everywhere, the same card keeps its token, and the
//! proof holds.

use std::fs;

use serde_json::json;
use strongroom_tests::harness::{Traffic, card};

use crate::{Site, finished, of, store};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_rotate_under_load_at_three_nodes_and_no_card_is_lost_or_stored_twice() {
    let site = Site::start(3).await;
    let (cluster, nodes) = (&site.cluster, site.cluster.releases().unwrap());
    let mut known = Vec::new();
    for nth in 0..90 {
        let customer = format!("known_{nth}");
        let token = store(&nodes[nth % 3], &of(&customer, card::VISA)).await.unwrap();
        known.push((customer, token));
    }
    let traffic = Traffic::begin(nodes.clone(), 4);
    let meet = {
        // The same cards come again and again, at whichever node, before, during and after.
        let (nodes, known) = (nodes.clone(), known.clone());
        tokio::spawn(async move {
            for (turn, (customer, token)) in known.iter().cycle().take(3 * known.len()).enumerate() {
                let again = store(&nodes[(turn + turn / 90) % 3], &of(customer, card::VISA)).await.unwrap();
                assert_eq!(again, *token, "{customer} got another token");
            }
        })
    };
    for (nth, key) in ["fingerprint", "kek", "session"].into_iter().enumerate() {
        let officer = cluster.officer(nth, "alice").unwrap();
        let tenant = &cluster.world.tenant;
        // The sessions of before have an hour unless it is an emergency.
        let rotate = match key {
            "session" => json!({ "key": key, "tenant": tenant, "emergency": true }),
            _ => json!({ "key": key, "tenant": tenant, "records_per_second_max": 400 }),
        };
        officer.post("/v1/rotations", &rotate).await.unwrap().must_be(202).unwrap();
        traffic.more(30).await.unwrap();
        let other = cluster.officer((nth + 1) % 3, "alice").unwrap();
        let done = finished(&other, key).await.unwrap();
        let proof = done["proof"].as_str().unwrap();
        let note = cluster.world.path().join("note");
        fs::write(&note, proof).unwrap();
        // By the key of the node that saw its end, and of no other.
        let mut verified = 0;
        for nth in 0..3 {
            let keys = cluster.node(nth).audit_file().with_file_name("keys.pub");
            let officer = cluster.officer(nth, "alice").unwrap();
            fs::write(&keys, officer.get("/v1/audit/public-key").await.unwrap().text()).unwrap();
            verified += u32::from(cluster.world.verify_note(&note, &keys).is_ok());
        }
        assert_eq!(verified, 1, "{proof}");
    }
    meet.await.unwrap();
    let told = traffic.end().await.unwrap();
    assert!(told.unclean.is_empty(), "{:#?}", told.unclean);
    told.hold_at(&nodes).await.unwrap();
    for (nth, (customer, token)) in known.iter().enumerate() {
        let again = store(&nodes[nth % 3], &of(customer, card::VISA)).await.unwrap();
        assert_eq!(again, *token, "{customer} got another token");
    }
}
