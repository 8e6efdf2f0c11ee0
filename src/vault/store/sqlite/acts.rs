//! Acts that need two people: few rows, changed by compare-and-swap.

use rusqlite::{Connection, params};
use strongroom_wire::{ActId, limits};
use uuid::Uuid;

use super::cards::signed_time;
use super::cluster;
use super::fault::{fault, unsigned};
use super::writer::Desk;
use crate::store::{ActRow, StoreError};

/// Stores a new act.
pub(super) fn insert(desk: &mut Desk<'_>, act: &ActRow) -> Result<(), StoreError> {
    let open: u32 = desk
        .conn
        .prepare_cached("SELECT count(*) FROM acts WHERE open = 1")
        .and_then(|mut statement| statement.query_row([], |row| row.get(0)))
        .map_err(fault)?;
    if act.is_open && open >= limits::ACTS_OPEN_MAX {
        return Err(StoreError::Full);
    }
    let made = desk
        .conn
        .prepare_cached("INSERT OR IGNORE INTO acts (id, open, until_ms, note) VALUES (?1, ?2, ?3, ?4)")
        .and_then(|mut statement| {
            statement.execute(params![act.id.uuid().as_bytes(), act.is_open, signed_time(act.until_ms), act.note])
        })
        .map_err(fault)?;
    if made == 0 { Err(StoreError::Exists) } else { cluster::touch(desk) }
}

/// Puts a row in the place of another, if that is still there as it was.
pub(super) fn swap(desk: &mut Desk<'_>, old: &ActRow, new: &ActRow) -> Result<bool, StoreError> {
    let changed = desk
        .conn
        .prepare_cached(
            "UPDATE acts SET open = ?2, until_ms = ?3, note = ?4 \
             WHERE id = ?1 AND open = ?5 AND until_ms = ?6 AND note = ?7",
        )
        .and_then(|mut statement| {
            statement.execute(params![
                old.id.uuid().as_bytes(),
                new.is_open,
                signed_time(new.until_ms),
                new.note,
                old.is_open,
                signed_time(old.until_ms),
                old.note,
            ])
        })
        .map_err(fault)?;
    if changed > 0 {
        cluster::touch(desk)?;
    }
    Ok(changed > 0)
}

/// The newest acts; ids are ordered by time.
pub(super) fn list(conn: &Connection) -> Result<Vec<ActRow>, StoreError> {
    let mut statement = conn
        .prepare_cached("SELECT id, open, until_ms, note FROM acts ORDER BY open DESC, id DESC LIMIT ?1")
        .map_err(fault)?;
    let mut rows = statement.query([limits::ACTS_LISTED_MAX]).map_err(fault)?;
    let mut acts = Vec::new();
    while let Some(row) = rows.next().map_err(fault)? {
        let id: Vec<u8> = row.get(0).map_err(fault)?;
        acts.push(ActRow {
            id: ActId::from_uuid(Uuid::from_slice(&id).map_err(|_| StoreError::Corrupt)?),
            is_open: row.get(1).map_err(fault)?,
            until_ms: unsigned(row.get(2).map_err(fault)?)?,
            note: row.get(3).map_err(fault)?,
        });
    }
    // Open ones are never pushed out of the list by those that are over.
    acts.sort_unstable_by_key(|act| std::cmp::Reverse(act.id));
    Ok(acts)
}

/// Removes acts that are over and were kept long enough.
pub(super) fn purge(desk: &mut Desk<'_>, now_ms: u64) -> Result<u64, StoreError> {
    let gone = desk
        .conn
        .prepare_cached("DELETE FROM acts WHERE open = 0 AND until_ms <= ?1")
        .and_then(|mut statement| statement.execute([signed_time(now_ms)]))
        .map_err(fault)?;
    Ok(gone as u64)
}
