//! How long a vault with many tenants takes to open, with each kind of Root. It is measured and printed, and held to a
//! bound that only a fault goes over.

use std::time::{Duration, Instant};

use serde_json::json;
use strongroom_tests::harness::{Root, World, WorldPlan, passphrase_of};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_tenants_open_soon_with_custodians() {
    let mut world = World::start(WorldPlan { root: Root::Custodians(3, 2), ..WorldPlan::default() }).await.unwrap();
    for number in [1, 2] {
        world.hand_in(number, &passphrase_of(number)).unwrap();
    }
    register(&world, 1_000).await;
    world.vault.process().kill().unwrap();
    world.vault.restart().await.unwrap();
    world.hand_in(1, &passphrase_of(1)).unwrap();
    let began = Instant::now();
    // The share is opened and sent in this time too.
    world.hand_in(2, &passphrase_of(2)).unwrap();
    report("custodians, the last share's passphrase included", 1_000, began.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_tenants_open_soon_with_an_hsm() {
    opens(Root::Hsm, "HSM (SoftHSM)", 1_000).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_tenants_open_soon_with_kms() {
    opens(Root::Kms, "KMS (moto)", 100).await;
}

async fn opens(root: Root, name: &str, tenants: u32) {
    let mut world = World::start(WorldPlan { root, ..WorldPlan::default() }).await.unwrap();
    register(&world, tenants).await;
    world.vault.process().kill().unwrap();
    world.vault.restart().await.unwrap();
    report(name, tenants, world.opened().await.unwrap());
}

/// Several at a time, as long as the machine lets them.
async fn register(world: &World, tenants: u32) {
    let security = world.security().await.unwrap();
    let tasks: Vec<_> = (0..8)
        .map(|chain| {
            let security = security.clone();
            tokio::spawn(async move {
                for nth in (chain..tenants).step_by(8) {
                    let answer = security.post("/v1/tenants", &json!({ "tenant": format!("t{nth}") })).await.unwrap();
                    answer.must_be(200).unwrap();
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
}

fn report(name: &str, tenants: u32, took: Duration) {
    eprintln!("measured: {name}: {tenants} tenants ({} keys) open in {took:?}", 3 * tenants + 1);
    assert!(took < Duration::from_secs(60), "{name} took {took:?}");
}
