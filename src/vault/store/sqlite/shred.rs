//! Shredding of many: a tenant's keys in one transaction, its rows afterwards; cards that are older than they may be.

use rusqlite::{Connection, params};
use strongroom_wire::admin::KeyState;

use super::cards::{self, signed_time, token};
use super::cluster;
use super::fault::{fault, unsigned};
use super::segments::next_stretch;
use super::writer::Desk;
use crate::store::{OverAge, Place, Shredded, StoreError};

/// Destroys every key of a tenant and marks it; says how many keys it had in all. Rotations of it are over.
pub(super) fn tenant(desk: &mut Desk<'_>, tenant: i64) -> Result<u64, StoreError> {
    for (sql, destroyed) in [
        ("UPDATE keys SET state = ?2, wrapped = x'' WHERE tenant = ?1", true),
        // Copies for a Root to come would outlive the keys.
        ("DELETE FROM staged_keys WHERE tenant = ?1", false),
        ("UPDATE tenants SET shredded = 1 WHERE id = ?1 AND shredded = 0", false),
        ("DELETE FROM rotations WHERE tenant = ?1", false),
    ] {
        let mut statement = desk.conn.prepare_cached(sql).map_err(fault)?;
        let done = if destroyed {
            statement.execute(params![tenant, KeyState::Destroyed as u8])
        } else {
            statement.execute(params![tenant])
        };
        done.map_err(fault)?;
    }
    desk.shreds = true;
    cluster::touch(desk)?;
    let keys: i64 = desk
        .conn
        .prepare_cached("SELECT count(*) FROM keys WHERE tenant = ?1")
        .and_then(|mut statement| statement.query_row([tenant], |row| row.get(0)))
        .map_err(fault)?;
    unsigned(keys)
}

/// Marks a tenant whose rows are gone.
pub(super) fn end(desk: &mut Desk<'_>, tenant: i64) -> Result<(), StoreError> {
    for sql in [
        "UPDATE tenants SET shredded = 2 WHERE id = ?1 AND shredded = 1",
        "DELETE FROM rotations WHERE tenant = (SELECT id FROM tenants WHERE id = ?1 AND shredded = 2)",
    ] {
        desk.conn.prepare_cached(sql).and_then(|mut statement| statement.execute([tenant])).map_err(fault)?;
    }
    Ok(())
}

/// Shreds the records that stand in these places; says how many there were.
pub(super) fn places(desk: &mut Desk<'_>, tenant: i64, places: &[Place]) -> Result<u64, StoreError> {
    let mut count = 0;
    for place in places {
        let is_gone = match place {
            // The card's own place comes too; metadata is part of its row.
            Place::Metadata(_) => false,
            Place::Card(token) => cards::delete(desk, tenant, token, None)?,
            Place::Secret(id) => super::secrets::delete(desk, tenant, id)?,
            Place::Answer(name) => super::answers::delete(desk, tenant, name)?,
        };
        count += u64::from(is_gone);
    }
    Ok(count)
}

/// How far a tenant is shredded.
pub(super) fn shredded(number: u8) -> Result<Shredded, StoreError> {
    match number {
        0 => Ok(Shredded::No),
        1 => Ok(Shredded::Keys),
        2 => Ok(Shredded::All),
        _ => Err(StoreError::Corrupt),
    }
}

/// Cards that were made before a moment, in the order of their ids: as many as asked for, and how many there are.
pub(super) fn over_age(conn: &Connection, tenant: i64, before_ms: u64, limit: u32) -> Result<OverAge, StoreError> {
    // An id begins with the time of its token, which a clock that was set back may have left ahead of the card's own.
    let end = signed_time(before_ms.saturating_add(AHEAD_MS)).saturating_mul(1 << 16);
    let mut statement = conn
        .prepare_cached(
            "SELECT id, head, rest, (coalesce(head, id) >> 16) + created_after_ms FROM cards \
             WHERE id > ?1 AND id <= ?2 AND tenant = ?3 AND (coalesce(head, id) >> 16) + created_after_ms < ?4 ORDER BY id",
        )
        .map_err(fault)?;
    let mut found = OverAge::default();
    let mut from = i64::MIN;
    loop {
        let stretch = next_stretch(conn, from, tenant, None)?;
        if stretch.after >= end {
            return Ok(found);
        }
        let mut rows = statement
            .query(params![stretch.after, stretch.last.min(end), tenant, signed_time(before_ms)])
            .map_err(fault)?;
        while let Some(row) = rows.next().map_err(fault)? {
            let created_ms = unsigned(row.get(3).map_err(fault)?)?;
            found.count += 1;
            found.oldest_ms = Some(found.oldest_ms.map_or(created_ms, |oldest| oldest.min(created_ms)));
            if found.first.len() < limit as usize {
                let card = token(row.get(0).map_err(fault)?, row.get(1).map_err(fault)?, row.get(2).map_err(fault)?);
                found.first.push(card);
            } else if limit > 0 {
                // Who wants cards and not their number goes on after these are gone.
                return Ok(found);
            }
        }
        if stretch.last == i64::MAX {
            return Ok(found);
        }
        from = stretch.last;
    }
}

const AHEAD_MS: u64 = 24 * 3_600 * 1_000;
