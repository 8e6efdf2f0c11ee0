//! Nodes come and go as operators have them: a rolling restart, a join and a leave fail no request.

use strongroom_tests::harness::{Balancer, Client, Traffic, VaultPlan, WorldPlan};

use crate::Site;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rolling_restart_behind_a_balancer_fails_no_request() {
    let mut site = site(3).await;
    let (balancer, client) = balanced(&site);
    let mut refused = Vec::new();
    // A machine that is so busy that a node is not heard of for seconds has it refuse by itself; that is not meant here, so
    // one whole turn of several is enough.
    for _ in 0..TURNS {
        let traffic = Traffic::begin(vec![client.clone()], 6);
        traffic.more(60).await.unwrap();
        for nth in 0..3 {
            site.cluster.node_mut(nth).process().stop().await.unwrap();
            traffic.more(30).await.unwrap();
            site.cluster.node_mut(nth).restart().await.unwrap();
            site.cluster.ready(nth).await.unwrap();
            traffic.more(30).await.unwrap();
        }
        let told = traffic.end().await.unwrap();
        assert!(told.unclean.is_empty(), "{:#?}", told.unclean);
        told.hold_at(&site.cluster.releases().unwrap()).await.unwrap();
        refused.push(told.refused);
        if told.refused == 0 {
            break;
        }
    }
    assert!(refused.contains(&0), "requests were refused in every turn: {refused:?}");
    drop(balancer);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_joins_and_leaves_under_load_disturbs_nobody() {
    let mut site = site(2).await;
    let (balancer, client) = balanced(&site);
    let traffic = Traffic::begin(vec![client], 6);
    traffic.more(40).await.unwrap();
    site.cluster.join().await.unwrap();
    site.cluster.ready(2).await.unwrap();
    balancer.add(site.cluster.node(2), &site.cluster.world.pki).unwrap();
    traffic.more(60).await.unwrap();
    site.cluster.node_mut(2).process().stop().await.unwrap();
    traffic.more(60).await.unwrap();
    // The first one leaves too, and the second has everything.
    site.cluster.node_mut(0).process().stop().await.unwrap();
    traffic.more(60).await.unwrap();
    let told = traffic.end().await.unwrap();
    assert!(told.unclean.is_empty(), "{:#?}", told.unclean);
    told.hold_at(&site.cluster.releases().unwrap()[1..2]).await.unwrap();
}

/// Nodes that give the balancer a moment to notice that they leave.
async fn site(nodes: usize) -> Site {
    let vault = VaultPlan { notice_seconds: 2, ..VaultPlan::default() };
    Site::planned(nodes, WorldPlan { vault, ..WorldPlan::default() }).await
}

/// A balancer before all nodes, and a client that knows nothing but the balancer.
fn balanced(site: &Site) -> (Balancer, Client) {
    let (cluster, world) = (&site.cluster, &site.cluster.world);
    let vaults: Vec<_> = (0..cluster.count()).map(|nth| cluster.node(nth)).collect();
    let balancer = Balancer::start(world, &vaults).unwrap();
    let who = world.credentials("orchestrator", "main").unwrap();
    let client = Client::new(&world.pki, balancer.at(), Some(&who)).unwrap().tenant(&world.tenant);
    (balancer, client)
}

const TURNS: usize = 3;
