//! What the vault keeps under its own signature.

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::cluster;
use super::fault::fault;
use super::writer::Desk;
use crate::store::{KeptRow, StoreError};

/// Keeps it in the place of what had its name.
pub(super) fn put(desk: &mut Desk<'_>, kept: &KeptRow) -> Result<(), StoreError> {
    desk.conn
        .prepare_cached("INSERT OR REPLACE INTO kept (name, value, note) VALUES (?1, ?2, ?3)")
        .and_then(|mut statement| statement.execute(params![kept.name, kept.value, kept.note]))
        .map_err(fault)?;
    cluster::touch(desk)
}

/// Keeps it in the place of exactly this, or where its name has nothing.
pub(super) fn swap(desk: &mut Desk<'_>, old: Option<&KeptRow>, new: &KeptRow) -> Result<bool, StoreError> {
    let known = desk
        .conn
        .prepare_cached("SELECT name, value, note FROM kept WHERE name = ?1")
        .and_then(|mut statement| statement.query_row([&new.name], |row| Ok(of(row))).optional())
        .map_err(fault)?
        .transpose()?;
    if known.as_ref() != old {
        return Ok(false);
    }
    put(desk, new)?;
    Ok(true)
}

/// Everything whose name begins so, by name.
pub(super) fn list(conn: &Connection, prefix: &str) -> Result<Vec<KeptRow>, StoreError> {
    let mut statement = conn
        .prepare_cached("SELECT name, value, note FROM kept WHERE substr(name, 1, length(?1)) = ?1 ORDER BY name")
        .map_err(fault)?;
    let mut rows = statement.query([prefix]).map_err(fault)?;
    let mut kept = Vec::new();
    while let Some(row) = rows.next().map_err(fault)? {
        kept.push(of(row)?);
    }
    Ok(kept)
}

fn of(row: &Row<'_>) -> Result<KeptRow, StoreError> {
    Ok(KeptRow {
        name: row.get(0).map_err(fault)?,
        value: row.get(1).map_err(fault)?,
        note: row.get(2).map_err(fault)?,
    })
}
