//! Cards and payments on a PostgreSQL that Patroni and etcd keep available: the machine of the primary is lost under load, and
//! nobody but Patroni does anything about it.
#![allow(clippy::unwrap_used, reason = "a step of a test that fails shall end the test there")]

use strongroom_tests::harness::{Cluster, OrchestratorPlan, Patroni, Tills, Traffic, WorldPlan};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cards_and_payments_outlive_the_machine_of_the_primary_and_nobody_does_anything() {
    let mut patroni = Patroni::start();
    let shared = Some(patroni.database("payments"));
    let orchestrator = OrchestratorPlan { psp_total_ms: 2_000, shared, ..OrchestratorPlan::default() };
    let plan = WorldPlan { payments: true, orchestrator, ..WorldPlan::default() };
    let cluster = Cluster::planned(patroni.database("vault"), 2, plan).await.unwrap();
    let traffic = Traffic::begin(cluster.releases().unwrap(), 4);
    let tills = Tills::begin(vec![cluster.world.payments().unwrap().shop()], 2);
    for round in 0..2 {
        traffic.more(80).await.unwrap();
        tills.more(5).await.unwrap();
        let lost = patroni.kill_primary();
        traffic.more_refused(10).await.unwrap();
        // Patroni has noticed when the lock of the lost one ends.
        if let Err(fault) = traffic.more(80).await {
            panic!("round {round}: {fault}; {:?} is primary\n{}", patroni.primary(), patroni.tails());
        }
        tills.more(5).await.unwrap();
        if round == 0 {
            patroni.bring_back(lost);
        }
    }
    let told = traffic.end().await.unwrap();
    assert!(told.unclean.is_empty(), "{:#?}\n{}", told.unclean, patroni.tails());
    told.hold_at(&cluster.releases().unwrap()).await.unwrap();
    tills.end(cluster.world.psp().unwrap()).await.unwrap();
}
