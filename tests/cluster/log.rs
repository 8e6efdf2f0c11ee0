//! Each node keeps a log of its own: verified offline by its own key, before and after its Sign key rotates, and by no
//! other's.

use std::fs;

use serde_json::json;
use strongroom_tests::harness::{Traffic, verify_log};

use crate::{Site, finished};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_nodes_log_is_verified_offline_by_its_own_key_and_by_no_others() {
    let mut site = Site::start(3).await;
    let traffic = Traffic::begin(site.cluster.releases().unwrap(), 3);
    traffic.more(60).await.unwrap();
    let officer = site.cluster.officer(1, "alice").unwrap();
    officer.post("/v1/rotations", &json!({ "key": "sign" })).await.unwrap().must_be(202).unwrap();
    finished(&site.cluster.officer(2, "alice").unwrap(), "sign").await.unwrap();
    traffic.more(60).await.unwrap();
    let told = traffic.end().await.unwrap();
    assert!(told.unclean.is_empty(), "{:#?}", told.unclean);
    let mut keys = Vec::new();
    for nth in 0..3 {
        let node = site.cluster.node(nth);
        // Every node goes over to the new term in its own log.
        let officer = site.cluster.officer(nth, "alice").unwrap();
        let lines = || async {
            let lines = officer.get("/v1/audit/public-key").await?.text();
            Ok((lines.trim().lines().count() > 1).then_some(()))
        };
        let within = std::time::Duration::from_secs(90);
        strongroom_tests::harness::eventually("the handover of the node", within, lines).await.unwrap();
        let (key, kept) = site.cluster.world.keep_checkpoint_of(node).await.unwrap();
        let file = node.audit_file().with_file_name("log.pub");
        fs::write(&file, format!("{key}\n")).unwrap();
        keys.push((file, kept));
    }
    for nth in 0..3 {
        site.cluster.node_mut(nth).process().stop().await.unwrap();
    }
    for nth in 0..3 {
        let log = site.cluster.node(nth).audit_file();
        for (other, (key, kept)) in keys.iter().enumerate() {
            let verified = verify_log(&log, key.to_str().unwrap(), Some(kept));
            assert_eq!(verified.is_ok(), nth == other, "log {nth} by the key of {other}: {verified:?}");
        }
    }
}
