//! What an unseal costs: each tenant has three keys, and each is opened under the Root. A development Root opens at the start.

use std::time::{Duration, Instant};

use super::machine::ms;
use super::report::{Report, Row};
use super::run::Plan;
use crate::harness::{Result, World, WorldPlan, eventually};

/// Adds its figures to the report.
///
/// # Errors
/// When a process does not start, or an answer is wrong.
pub(super) async fn measure(plan: &Plan, report: &mut Report, tell: &mut impl FnMut(&str)) -> Result<()> {
    let mut world = World::start(WorldPlan::default()).await?;
    let tenants = if plan.quick { FEW } else { MANY };
    tell(&format!("registering {tenants} tenants"));
    for nth in 1..tenants {
        world.register(&format!("shop-{nth}")).await?;
    }
    tell(&format!("starting with {tenants} tenants"));
    let with_many = start(&mut world).await?;
    let name = format!("start to ready and unsealed with {tenants} tenants");
    report.rows.push(Row::alone(name, ms(with_many), "ms", Some(READY_MS_MAX)));
    Ok(())
}

/// The shortest of a few starts, from the process to an answer that it is ready.
async fn start(world: &mut World) -> Result<Duration> {
    let mut shortest = Duration::MAX;
    for _ in 0..STARTS {
        world.vault.process().stop().await?;
        let began = Instant::now();
        world.vault.restart().await?;
        let release = world.release().await?;
        let ready = || async { Ok((release.get("/health/ready").await?.status == 200).then_some(())) };
        eventually("the vault to be ready", WITHIN, ready).await?;
        shortest = shortest.min(began.elapsed());
    }
    Ok(shortest)
}

const FEW: usize = 100;
const MANY: usize = 1_000;
const STARTS: usize = 3;
const READY_MS_MAX: f64 = 1000.0;
const WITHIN: Duration = Duration::from_secs(90);
