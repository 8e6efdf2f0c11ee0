//! What a rotation costs: records a second beside the raw rate at which the same rows of the same store are changed, and how
//! long reveals take while one runs beside how long they take without.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rusqlite::{Connection, params};
use serde_json::json;

use super::report::{Report, Row};
use super::run::{Bench, reveal_line, tokenize_line, tokens};
use crate::harness::{Client, Fault, Result, World, because, eventually};

/// Adds its figures to the report.
///
/// # Errors
/// When a process does not start, or an answer is wrong.
pub(super) async fn measure(quick: bool, report: &mut Report, tell: &mut impl FnMut(&str)) -> Result<()> {
    let (seconds, cards): (u64, usize) = if quick { (3, 5_000) } else { (10, 100_000) };
    let mut world = World::vault_only().await?;
    let [_, release, _] = world.vault.addresses();
    let (security, tenant) = (world.security().await?, world.tenant.clone());
    let bench = Bench { world: &world, seconds };
    tell(&format!("storing {cards} cards to rotate"));
    let stored = bench.requests("rotation-cards.tsv", (0..cards as u64).map(tokenize_line))?;
    bench.store(release, &stored, cards).await?;
    let known = tokens(&world.release().await?, cards.min(REVEALED)).await?;
    let reveals = bench.requests("rotation-reveals.tsv", known.iter().map(|token| reveal_line(token)))?;

    tell("reveal without a rotation");
    let alone = bench.load(release, &reveals, CONNECTIONS, 200)?;
    for key in ["kek", "fingerprint"] {
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
        let beside = bench.load(release, &reveals, CONNECTIONS, 200);
        is_over.store(true, Ordering::Relaxed);
        rotating.await.map_err(because("the rotations"))??;
        let (name, beside) = (format!("reveal while the {key} rotates"), beside?);
        report.rows.push(Row::compared(name.clone(), beside.per_second, "1/s", alone.per_second));
        report.rows.push(Row::compared(format!("{name}, p99"), beside.p99_ms, "ms", alone.p99_ms));
    }
    let mut rates = Vec::new();
    for key in ["kek", "fingerprint"] {
        tell(&format!("rotating the {key} alone"));
        let began = Instant::now();
        let moved = rotate(&security, &tenant, key).await?;
        rates.push((key, per_second(moved, began.elapsed())));
    }
    tell("changing the same rows without a vault");
    world.vault.process().stop().await?;
    let raw = raw_rate(&world.vault.store_file())?;
    for (key, rate) in rates {
        report.rows.push(Row::beside(format!("records of a {key} rotation"), rate, "1/s", raw, RATIO));
    }
    Ok(())
}

/// Rotates a key of the tenant to its end; answers how many records were moved.
async fn rotate(security: &Client, tenant: &str, key: &str) -> Result<u64> {
    security.post("/v1/rotations", &json!({ "key": key, "tenant": tenant })).await?.must_be(202)?;
    let path = format!("/v1/rotations/{tenant}?key={key}");
    eventually("a rotation to end", Duration::from_secs(600), || async {
        let now = security.get(&path).await?.expect(200)?;
        match now["state"].as_str() {
            Some("done") => Ok(Some(now["done"].as_u64().unwrap_or(0))),
            Some("stopped") => Err(Fault::new(format!("the rotation stopped: {}", now["fault"]))),
            _ => Ok(None),
        }
    })
    .await
}

/// Each card's envelope changed by compare-and-swap, in the same order, in transactions of the same size, with the same
/// settings of SQLite, and nothing else. The store is of no use afterwards.
fn raw_rate(store: &Path) -> Result<f64> {
    let fault = |error: rusqlite::Error| Fault::new(format!("{}: {error}", store.display()));
    let mut open = Connection::open(store).map_err(fault)?;
    for (setting, value) in [("journal_mode", "WAL"), ("synchronous", "FULL"), ("secure_delete", "ON")] {
        open.pragma_update(None, setting, value).map_err(fault)?;
    }
    open.pragma_update(None, "wal_autocheckpoint", 10_000).map_err(fault)?;
    open.pragma_update(None, "cache_size", -65_536).map_err(fault)?;
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

/// What a rotation should reach of the raw rate.
const RATIO: f64 = 0.6;
/// Records of one transaction of a rotation.
const BATCH: i64 = 256;
const CONNECTIONS: usize = 16;
/// Most different cards that are revealed in turn.
const REVEALED: usize = 20_000;
