//! What a rotation costs: records a second beside the raw rate at which the same rows of the same store are changed, and how
//! long reveals take while one runs beside how long they take without.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rusqlite::params;
use serde_json::json;

use super::fill::fill;
use super::raw::settled;
use super::report::{Report, Row};
use super::requests::of;
use super::run::{Plan, Stage};
use crate::harness::{Client, Fault, Result, WorldPlan, because, eventually};

/// Adds its figures to the report.
///
/// # Errors
/// When a process does not start, or an answer is wrong.
pub(super) async fn measure(plan: &Plan, report: &mut Report, tell: &mut impl FnMut(&str)) -> Result<()> {
    let mut stage = Stage::set(plan, WorldPlan::default()).await?;
    let (security, tenant) = (stage.world.security().await?, stage.world.tenant.clone());
    tell(&format!("storing {CARDS} cards to rotate"));
    let tokens = fill(&stage.world, CARDS, false, tell).await?;
    let reveals = of(stage.world.path(), &tokens, 1)?.0;
    let vault = stage.release();

    tell("reveal without a rotation");
    let alone = stage.client.fire(vault, &reveals, CONNECTIONS)?;
    for (key, target) in [("kek", Some(P99_RATIO_MAX)), ("fingerprint", None)] {
        tell(&format!("reveal while the {key} rotates"));
        let is_over = Arc::new(AtomicBool::new(false));
        let (asker, whose, over) = (security.clone(), tenant.clone(), Arc::clone(&is_over));
        // One rotation after the other, without a limit, for as long as the load lasts.
        let rotating = tokio::spawn(async move {
            while !over.load(Ordering::Relaxed) {
                rotate(&asker, &whose, key).await?;
            }
            Ok::<(), Fault>(())
        });
        let beside = tokio::task::block_in_place(|| stage.client.fire(vault, &reveals, CONNECTIONS));
        is_over.store(true, Ordering::Relaxed);
        rotating.await.map_err(because("the rotations"))??;
        let (name, beside) = (format!("reveal while the {key} rotates"), beside?);
        let (figure, below) = (&beside.measured, &alone.measured);
        report.rows.push(Row::compared(name.clone(), figure.per_second, "1/s", below.per_second));
        report.rows.push(Row::compared(format!("{name}, p50"), figure.p50_ms, "ms", below.p50_ms));
        let p99 = format!("{name}, p99");
        report.rows.push(match target {
            Some(target) => Row::at_most(p99, figure.p99_ms, "ms", below.p99_ms, target),
            None => Row::compared(p99, figure.p99_ms, "ms", below.p99_ms),
        });
    }
    let mut rates = Vec::new();
    for key in ["kek", "fingerprint"] {
        tell(&format!("rotating the {key} alone"));
        let began = Instant::now();
        let moved = rotate(&security, &tenant, key).await?;
        rates.push((key, per_second(moved, began.elapsed())));
    }
    tell("changing the same rows without a vault");
    stage.world.vault.process().stop().await?;
    let raw = raw_rate(&stage.world.vault.store_file())?;
    for (key, rate) in rates {
        let name = format!("records of a {key} rotation, beside raw updates");
        report.rows.push(match key {
            "kek" => Row::beside(name, rate, "1/s", raw, RATIO),
            _ => Row::compared(name, rate, "1/s", raw),
        });
    }
    Ok(())
}

/// Rotates a key of the tenant to its end; answers how many records were moved.
async fn rotate(security: &Client, tenant: &str, key: &str) -> Result<u64> {
    security.post("/v1/rotations", &json!({ "key": key, "tenant": tenant })).await?.must_be(202)?;
    let path = format!("/v1/rotations/{tenant}?key={key}");
    // Asking is an entry, and beside entries of others a rotation gives way: so it is asked seldom.
    tokio::time::sleep(PAUSE).await;
    eventually("a rotation to end", Duration::from_secs(600), || async {
        let now = security.get(&path).await?.expect(200)?;
        match now["state"].as_str() {
            Some("done") => Ok(Some(now["done"].as_u64().unwrap_or(0))),
            Some("stopped") => Err(Fault::new(format!("the rotation stopped: {}", now["fault"]))),
            _ => {
                tokio::time::sleep(PAUSE).await;
                Ok(None)
            }
        }
    })
    .await
}

/// Each card's envelope changed by compare-and-swap, in the same order, in transactions of the same size, with the same
/// settings of SQLite, and nothing else. The store is of no use afterwards.
fn raw_rate(store: &Path) -> Result<f64> {
    let fault = |error: rusqlite::Error| Fault::new(format!("{}: {error}", store.display()));
    let mut open = settled(store)?;
    let (mut after, mut changed, began) = (i64::MIN, 0u64, Instant::now());
    loop {
        let page: Vec<(i64, Vec<u8>)> = {
            let mut select = open
                .prepare_cached("SELECT id, envelope FROM cards WHERE id > ?1 ORDER BY id LIMIT ?2")
                .map_err(fault)?;
            let rows = select.query_map(params![after, BATCH], |row| Ok((row.get(0)?, row.get(1)?))).map_err(fault)?;
            rows.collect::<rusqlite::Result<_>>().map_err(fault)?
        };
        let Some((last, _)) = page.last() else { break };
        after = *last;
        let transaction = open.transaction().map_err(fault)?;
        for (id, old) in &page {
            let new: Vec<u8> = old.iter().map(|byte| !byte).collect();
            changed += transaction
                .prepare_cached("UPDATE cards SET envelope = ?2 WHERE id = ?1 AND envelope = ?3")
                .and_then(|mut statement| statement.execute(params![id, new, old]))
                .map_err(fault)? as u64;
        }
        transaction.commit().map_err(fault)?;
    }
    Ok(per_second(changed, began.elapsed()))
}

#[expect(clippy::cast_precision_loss, reason = "counts of one run are far below 2^52")]
fn per_second(count: u64, took: Duration) -> f64 {
    count as f64 / took.as_secs_f64().max(0.001)
}

/// What a rotation should reach of the raw rate, and how much longer the slowest hundredth of reveals may take meanwhile.
const RATIO: f64 = 0.6;
const P99_RATIO_MAX: f64 = 2.0;
/// So many that the rotation's beginning and the question whether it has ended do not count.
const CARDS: u64 = 200_000;
/// How long after a question the next one comes.
const PAUSE: Duration = Duration::from_millis(150);
/// Records of one transaction of a rotation.
const BATCH: i64 = 256;
const CONNECTIONS: usize = 16;
