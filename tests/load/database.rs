//! A PostgreSQL server that stands still, as behind a disk that hangs: few requests wait for it, everybody else is told at
//! once, and when it goes on so does the vault.

use std::time::Duration;

use strongroom_tests::harness::{Cluster, Postgres, SharedDatabase, eventually};
use tokio::task::JoinSet;

use crate::stalled::timed;
use crate::{alone, stored};

const PLACES: usize = 4;
/// Many times what the vault gives the server before it gives up.
const WITHIN: Duration = Duration::from_secs(120);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_the_database_stands_still_few_wait_and_all_others_are_told_at_once() {
    let _turn = alone().await;
    let server = Postgres::start();
    server.add_database("vault");
    let mut cluster = Cluster::start(SharedDatabase::of(&server, "vault"), 1).await.unwrap();
    let vault = cluster.node_mut(0);
    vault.process().stop().await.unwrap();
    vault
        .edit_configuration(|text| {
            text.replacen("[listen]\n", &format!("[listen]\nrelease_requests_max = {PLACES}\n"), 1)
        })
        .unwrap();
    vault.restart().await.unwrap();
    cluster.ready(0).await.unwrap();
    let (release, security) = (cluster.release(0).unwrap(), cluster.officer(0, "alice").unwrap());
    let path = format!("/v1/payment_methods/{}/reveal", stored(&release, "cus_ada").await);

    server.freeze();
    let mut asking = JoinSet::new();
    for _ in 0..10 * PLACES {
        asking.spawn(timed(release.clone(), path.clone()));
    }
    let health = async {
        for _ in 0..3 {
            security.get("/health/live").await.unwrap().must_be(200).unwrap();
        }
    };
    let (answers, ()) = tokio::join!(tokio::time::timeout(WITHIN, asking.join_all()), health);
    server.thaw();
    let answers = answers.expect("a request waits for a server that stands still");
    let (told, waited): (Vec<_>, Vec<_>) = answers.iter().partition(|(kind, ..)| kind == "overloaded");
    println!("{} were told at once, {} others: {waited:?}", told.len(), waited.len());
    assert!(answers.iter().all(|(kind, retry_after, _)| !kind.is_empty() && *retry_after), "{answers:?}");
    assert!(!waited.is_empty() && told.len() >= 4 * PLACES, "{answers:?}");
    let (slowest_told, slowest_waited) =
        (told.iter().map(|(.., took)| took).max().unwrap(), waited.iter().map(|(.., took)| took).max().unwrap());
    assert!(
        slowest_told < slowest_waited,
        "somebody was told after {slowest_told:?}, who waited did {slowest_waited:?}"
    );

    eventually("the vault to go on", WITHIN, || async {
        Ok((timed(release.clone(), path.clone()).await.0.is_empty()).then_some(()))
    })
    .await
    .unwrap();
}
