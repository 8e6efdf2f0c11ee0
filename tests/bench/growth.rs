//! What a large store costs: reveals beside a store of ten thousand cards, memory, and how long a start takes.

use std::time::Instant;

use super::fill::fill;
use super::machine::ms;
use super::report::{Report, Row};
use super::requests::of;
use super::run::{Plan, Stage};
use super::usage;
use crate::harness::{Result, WorldPlan};

/// Adds its figures to the report.
///
/// # Errors
/// When a process does not start, or an answer is wrong.
pub(super) async fn measure(plan: &Plan, report: &mut Report, tell: &mut impl FnMut(&str)) -> Result<()> {
    let mut small = Stage::set(plan, WorldPlan::default()).await?;
    let mut large = Stage::set(plan, WorldPlan::default()).await?;
    let grown = plan.grown;
    tell(&format!("storing {FEW} and {grown} cards"));
    let few = fill(&small.world, FEW, false, tell).await?;
    let began = Instant::now();
    let many = fill(&large.world, grown, false, tell).await?;
    #[expect(clippy::cast_precision_loss, reason = "counts of one run are far below 2^52")]
    let rate = grown as f64 / began.elapsed().as_secs_f64();
    report.rows.push(Row::alone("cards stored in batches of 1,000".to_owned(), rate, "1/s", None));
    let of_few = of(small.world.path(), &few, 1)?.0;
    let of_many = of(large.world.path(), &many, 1)?.0;

    tell(&format!("starting with {grown} cards"));
    large.world.vault.process().stop().await?;
    let began = Instant::now();
    large.world.vault.restart().await?;
    let took = ms(began.elapsed());
    let name = format!("start to ready with {grown} cards");
    report.rows.push(Row::alone(name, took, "ms", Some(START_MS_MAX)));

    tell(&format!("reveal with {FEW} and with {grown} cards"));
    // A first round each, because a store that was opened just now is read from the disk.
    for round in 0..2 {
        let (small_at, large_at) = (small.release(), large.release());
        let below = small.client.fire(small_at, &of_few, CONNECTIONS)?;
        let above = large.client.fire(large_at, &of_many, CONNECTIONS)?;
        if round == 1 {
            let (p50, few_p50) = (above.measured.p50_ms, below.measured.p50_ms);
            let name = format!("reveal p50 with {grown} cards, beside {FEW}");
            report.rows.push(Row::at_most(name, p50, "ms", few_p50, RATIO_MAX));
        }
    }
    let (_, process) = large.release();
    let name = format!("memory of vaultd with {grown} cards");
    report.rows.push(Row::alone(name, usage::resident_mib(process)?, "MiB", Some(RESIDENT_MIB_MAX)));
    Ok(())
}

const FEW: u64 = 10_000;
const CONNECTIONS: usize = 64;
const RATIO_MAX: f64 = 1.2;
const START_MS_MAX: f64 = 1000.0;
const RESIDENT_MIB_MAX: f64 = 150.0;
