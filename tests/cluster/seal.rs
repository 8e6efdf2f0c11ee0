//! A seal by an operator closes every node, also over restarts; each opens again with shares of its own ceremony.

use std::time::Duration;

use reqwest::Method;
use strongroom_tests::harness::{Cluster, Root, WorldPlan, card, eventually, passphrase_of};

use crate::{Site, number, of, store};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_seals_every_node_and_shares_open_the_one_that_gets_them() {
    let plan = WorldPlan { root: Root::Custodians(3, 2), ..WorldPlan::default() };
    let mut site = Site::planned(2, plan).await;
    for nth in 0..2 {
        open(&site.cluster, nth);
    }
    site.cluster.world.register("acme").await.unwrap();
    let nodes = site.cluster.releases().unwrap();
    let token = eventually("the tenant to be known", WITHIN, || async {
        Ok(store(&nodes[1], &of("ada", card::VISA)).await.ok())
    });
    let token = token.await.unwrap();
    assert_eq!(number(&nodes[0], &token).await.unwrap(), card::VISA);
    let officer = site.cluster.officer(1, "alice").unwrap();
    officer.send(Method::POST, "/v1/seal", None, &[]).await.unwrap().must_be(200).unwrap();
    for nth in 0..2 {
        sealed(&site.cluster, nth).await;
    }
    site.cluster.node_mut(0).process().kill().unwrap();
    site.cluster.node_mut(0).restart().await.unwrap();
    sealed(&site.cluster, 0).await;
    open(&site.cluster, 0);
    site.cluster.ready(0).await.unwrap();
    assert_eq!(number(&nodes[0], &token).await.unwrap(), card::VISA);
    // Nobody brought shares to the other one.
    sealed(&site.cluster, 1).await;
    open(&site.cluster, 1);
    site.cluster.ready(1).await.unwrap();
    assert_eq!(number(&nodes[1], &token).await.unwrap(), card::VISA);
    // And it stays open: the seal of before is over.
    assert_eq!(number(&nodes[0], &token).await.unwrap(), card::VISA);
}

/// Two custodians hand in their shares at a node.
fn open(cluster: &Cluster, nth: usize) {
    for number in 1..=2 {
        let who = cluster.world.credentials("custodian", &format!("c{number}")).unwrap();
        cluster.world.hand_in_at(cluster.node(nth), &who, number, &passphrase_of(number)).unwrap();
    }
}

async fn sealed(cluster: &Cluster, nth: usize) {
    let release = cluster.release(nth).unwrap();
    let sealed = eventually("the node to be sealed", WITHIN, || async {
        let answer = release.get("/v1/payment_methods").await?;
        Ok((answer.status == 503 && answer.problem() == "sealed").then_some(()))
    });
    sealed.await.unwrap();
}

const WITHIN: Duration = Duration::from_secs(90);
