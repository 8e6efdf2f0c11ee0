//! The orchestrator's payments through the loss of its database's primary: what was answered holds, and money moves once.

use strongroom_tests::harness::{OrchestratorPlan, Pair, Tills, World, WorldPlan};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn payments_outlive_the_database_that_took_them_and_nothing_is_paid_twice() {
    let pair = Pair::start();
    let shared = Some(pair.database("payments"));
    // Short, so that a lease ends within the patience of a test.
    let plan = OrchestratorPlan { psp_total_ms: 2_000, shared, ..OrchestratorPlan::default() };
    let world = WorldPlan { payments: true, orchestrator: plan.clone(), ..WorldPlan::default() };
    let world = World::start(world).await.unwrap();
    let merchant = Some(world.payments().unwrap().merchant.clone());
    let second = world.add_node("second", OrchestratorPlan { merchant, ..plan }).await.unwrap();
    let tills = Tills::begin(vec![world.payments().unwrap().shop(), second.shop()], 6);
    tills.more(15).await.unwrap();
    pair.kill_primary();
    tills.more_refused(5).await.unwrap();
    pair.promote();
    // By themselves: nobody restarts anything.
    tills.more(15).await.unwrap();
    tills.end(world.psp().unwrap()).await.unwrap();
}
