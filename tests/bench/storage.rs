//! Bytes on disk: pages in use over rows, of files that were closed in order.

use std::path::Path;

use rusqlite::{Connection, OpenFlags};

use super::fill::fill;
use super::report::{Report, Row};
use super::run::{Plan, Stage};
use crate::harness::{Fault, Result, World, because};

/// Adds its figures to the report. The stage's vault is stopped.
///
/// # Errors
/// When a file is not what it should be.
pub(super) async fn measure(
    stage: &mut Stage,
    plan: &Plan,
    report: &mut Report,
    tell: &mut impl FnMut(&str),
) -> Result<()> {
    tell("counting bytes");
    if count(&stage.world.vault.store_file(), "cards").is_err() {
        fill(&stage.world, plan.cards(), false, tell).await?;
    }
    stage.world.vault.process().stop().await?;
    let (store, log) = (stage.world.vault.store_file(), stage.world.vault.audit_file());
    let card = "bytes for each stored card, indexes included";
    report.rows.push(Row::alone(card.to_owned(), bytes_for_each(&store, "cards")?, "bytes", Some(CARD_BYTES_MAX)));
    let entry = "bytes for each audit entry";
    report.rows.push(Row::alone(entry.to_owned(), bytes_for_each(&log, "entries")?, "bytes", Some(ENTRY_BYTES_MAX)));

    tell("counting bytes of customers' cards");
    let mut world = World::vault_only().await?;
    fill(&world, plan.cards(), true, tell).await?;
    world.vault.process().stop().await?;
    let card = "bytes for each stored card of a customer of its own (20 characters)";
    let bytes = bytes_for_each(&world.vault.store_file(), "cards")?;
    report.rows.push(Row::alone(card.to_owned(), bytes, "bytes", None));
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "sizes of one run are far below 2^52")]
pub(super) fn bytes_for_each(file: &Path, table: &str) -> Result<f64> {
    let rows = count(file, table)?;
    let open = open(file)?;
    let ask = |sql: &str| open.query_row(sql, [], |row| row.get::<_, i64>(0)).map_err(because(file.display()));
    let pages = ask("PRAGMA page_count")? - ask("PRAGMA freelist_count")?;
    Ok((pages * ask("PRAGMA page_size")?) as f64 / rows as f64)
}

fn count(file: &Path, table: &str) -> Result<i64> {
    let sql = format!("SELECT count(*) FROM {table}");
    let rows: i64 = open(file)?.query_row(&sql, [], |row| row.get(0)).map_err(because(file.display()))?;
    if rows == 0 { Err(Fault::new(format!("{table} is empty"))) } else { Ok(rows) }
}

fn open(file: &Path) -> Result<Connection> {
    Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_ONLY).map_err(because(file.display()))
}

const CARD_BYTES_MAX: f64 = 230.0;
const ENTRY_BYTES_MAX: f64 = 200.0;
