//! A vault that was asked to stop: whoever is connected is answered and sent elsewhere, and nobody is cut off.

use std::time::Duration;

use rustix::process::Signal;
use serde_json::json;
use strongroom_tests::harness::{Result, VaultPlan, World, WorldPlan, eventually};

use crate::{VISA, card, id, reveal};

#[tokio::test]
async fn a_vault_that_leaves_says_so_and_answers_until_its_time_is_over() -> Result<()> {
    // Longer than the test: what is looked at here comes before the end.
    let vault = VaultPlan { notice_seconds: 300, ..VaultPlan::default() };
    let mut world = World::start(WorldPlan { vault, ..WorldPlan::default() }).await?;
    let release = world.release().await?;
    let stored = release.post("/v1/payment_methods", &card(VISA, json!({}))).await?;
    assert_eq!(stored.header("connection"), None);
    let token = id(&stored.expect(201)?);
    world.vault.process().signal(Signal::TERM)?;
    let leaving = eventually("health to say that the vault leaves", Duration::from_secs(60), || async {
        let health = release.get("/health/ready").await?;
        Ok((health.status == 503).then_some(health))
    });
    let leaving = leaving.await?;
    assert_eq!(leaving.header("connection"), Some("close"));
    assert_eq!(leaving.json()?["missing"], "leaving");
    world.security().await?.get("/health/live").await?.must_be(200)?;
    // Each of these comes over a new connection, which is still taken.
    for _ in 0..3 {
        assert_eq!(reveal(&release, &token).await?["card"]["number"], VISA);
        let stored = release.post("/v1/payment_methods", &card(VISA, json!({}))).await?;
        assert_eq!((stored.status, stored.header("connection")), (201, Some("close")));
    }
    world.vault.process().kill()
}

#[tokio::test]
async fn a_connection_that_is_in_use_when_the_vault_stops_gets_its_answer_and_holds_nobody_up() -> Result<()> {
    let mut world = World::vault_only().await?;
    let release = world.release().await?;
    let asked: Vec<_> = (0..8)
        .map(|_| {
            let release = release.clone();
            tokio::spawn(async move {
                let mut answered = 0_usize;
                // Until no connection is taken any more; what went out before that is answered in full.
                while let Ok(answer) = release.post("/v1/payment_methods", &card(VISA, json!({}))).await {
                    answer.must_be(201)?;
                    answered += 1;
                }
                Ok::<_, strongroom_tests::harness::Fault>(answered)
            })
        })
        .collect();
    world.vault.process().stop().await?;
    for one in asked {
        one.await.map_err(strongroom_tests::harness::because("a client"))??;
    }
    Ok(())
}
