//! The database's primary is lost, crashes or falls silent under load: what was acknowledged is there afterwards, errors
//! meanwhile say so and when to ask again, and nobody restarts anything.

use std::net::SocketAddr;

use strongroom_tests::harness::{Cluster, Flow, Pair, Relay, SharedDatabase, Traffic, World, card};

use crate::{Site, number, of, reveal, store};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_primary_killed_under_load_and_its_standby_promoted_lose_no_acknowledged_card() {
    let pair = Pair::start();
    let cluster = Cluster::start(pair.database("vault"), 2).await.unwrap();
    let traffic = Traffic::begin(cluster.releases().unwrap(), WORKERS);
    traffic.more(120).await.unwrap();
    pair.kill_primary();
    traffic.more_refused(10).await.unwrap();
    pair.promote();
    traffic.more(120).await.unwrap();
    let told = traffic.end().await.unwrap();
    assert!(told.unclean.is_empty(), "{:#?}", told.unclean);
    told.hold_at(&cluster.releases().unwrap()).await.unwrap();
    logs_hold(&cluster.world, &[cluster.node(0), cluster.node(1)]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_crashes_and_comes_back_under_load_loses_no_acknowledged_card() {
    let site = Site::start(2).await;
    let traffic = Traffic::begin(site.cluster.releases().unwrap(), WORKERS);
    for _ in 0..2 {
        traffic.more(60).await.unwrap();
        site.server.crash();
        traffic.more_refused(10).await.unwrap();
        site.server.start_again();
    }
    traffic.more(60).await.unwrap();
    let told = traffic.end().await.unwrap();
    assert!(told.unclean.is_empty(), "{:#?}", told.unclean);
    told.hold_at(&site.cluster.releases().unwrap()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_whose_way_to_the_database_stalls_or_breaks_refuses_and_comes_back_by_itself() {
    let site = Site::start(1).await;
    let direct = SharedDatabase::of(&site.server, "vault");
    let port: u16 = direct.url.rsplit_once(':').unwrap().1.split_once('/').unwrap().0.parse().unwrap();
    let relay = Relay::start(vec![SocketAddr::from(([127, 0, 0, 1], port))]).unwrap();
    let url = direct.url.replace(&format!(":{port}/"), &format!(":{}/", relay.at().port()));
    let mut cluster = site.cluster;
    cluster.others.push(cluster.world.add_vault_at("b", SharedDatabase { url, ..direct }).await.unwrap());
    let nodes = cluster.releases().unwrap();
    let token = store(&nodes[1], &of("ada", card::VISA)).await.unwrap();
    for flow in [Flow::Stalls, Flow::Cut] {
        relay.set(flow);
        let stalled = Traffic::begin(vec![nodes[1].clone()], WORKERS);
        stalled.more_refused(20).await.unwrap();
        // It cannot know whether a key was destroyed elsewhere, so it opens nothing; health says so.
        let refused = reveal(&nodes[1], &token, None).await.unwrap();
        refused.must_be(503).unwrap();
        assert!(refused.header("retry-after").is_some(), "{flow:?}");
        assert_eq!(nodes[1].get("/health/ready").await.unwrap().status, 503, "{flow:?}");
        // The other one goes on.
        assert_eq!(number(&nodes[0], &token).await.unwrap(), card::VISA);
        relay.set(Flow::Passes);
        stalled.more(40).await.unwrap();
        let told = stalled.end().await.unwrap();
        assert!(told.unclean.is_empty(), "{flow:?}: {:#?}", told.unclean);
        cluster.ready(1).await.unwrap();
        told.hold_at(&nodes).await.unwrap();
    }
    drop(cluster);
    drop(site.server);
}

/// Each node's own log holds, by its own key.
async fn logs_hold(world: &World, nodes: &[&strongroom_tests::harness::Vault]) {
    for node in nodes {
        let (key, kept) = world.keep_checkpoint_of(node).await.unwrap();
        strongroom_tests::harness::verify_log(&node.audit_file(), &key, Some(&kept)).unwrap();
    }
}

const WORKERS: usize = 6;
