//! Nodes come and go as operators have them: a rolling restart, a join and a leave fail no request.

use strongroom_tests::harness::{Acknowledged, Balancer, Client, Traffic, VaultPlan, WorldPlan};

use crate::Site;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rolling_restart_behind_a_balancer_fails_no_request() {
    let mut site = site(3).await;
    let (balancer, client) = balanced(&site);
    for turn in 0..TURNS {
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
        refused_by_none_that_leaves(&told, turn);
    }
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
    refused_by_none_that_leaves(&told, 0);
    told.hold_at(&site.cluster.releases().unwrap()[1..2]).await.unwrap();
}

/// That a node leaves or comes refuses nothing. On a machine that is so busy that a node does not run for two seconds, that
/// node refuses by itself, because it cannot know whether a key was destroyed meanwhile: it says so in these words, whoever
/// leaves or comes, and that is not meant here.
fn refused_by_none_that_leaves(told: &Acknowledged, turn: usize) {
    let is_of_the_machine = |why: &str| {
        why.contains("has not reached the store for too long") || why.contains("has not heard for a moment")
    };
    let others: Vec<_> = told.why.iter().filter(|(why, _)| !is_of_the_machine(why)).collect();
    assert!(others.is_empty(), "turn {turn}: {others:?}");
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
