//! Tenants, which stand as small numbers in every other row, and their rotations.

use rusqlite::{Connection, OptionalExtension, params};
use strongroom_wire::admin::{KeyState, RotationState};
use strongroom_wire::{TenantId, limits};

use super::cards::signed_time;
use super::fault::{fault, signed, unsigned};
use super::keys::{self, Name};
use super::shred;
use super::writer::Desk;
use crate::store::{KeyRow, RotationRow, StoreError, TenantRow};

/// The number of a tenant.
pub(super) fn number(conn: &Connection, tenant: &TenantId) -> Result<Option<i64>, StoreError> {
    conn.prepare_cached("SELECT id FROM tenants WHERE name = ?1")
        .and_then(|mut statement| statement.query_row([tenant.as_str()], |row| row.get(0)).optional())
        .map_err(fault)
}

/// Registers a tenant with its first keys.
pub(super) fn insert(desk: &mut Desk<'_>, tenant: &TenantRow, first: &[KeyRow]) -> Result<bool, StoreError> {
    if number(desk.conn, &tenant.tenant)?.is_some() {
        return Ok(false);
    }
    let count: i64 = desk
        .conn
        .prepare_cached("SELECT count(*) FROM tenants")
        .and_then(|mut statement| statement.query_row([], |row| row.get(0)))
        .map_err(fault)?;
    if unsigned(count)? >= limits::TENANTS_MAX as u64 {
        return Err(StoreError::Full);
    }
    desk.conn
        .prepare_cached("INSERT INTO tenants (name, created_ms) VALUES (?1, ?2)")
        .and_then(|mut statement| statement.execute(params![tenant.tenant.as_str(), signed_time(tenant.created_ms)]))
        .map_err(fault)?;
    let number = desk.conn.last_insert_rowid();
    for key in first {
        keys::insert(desk, Name::of(&key.name, number), key)?;
    }
    Ok(true)
}

/// Every tenant.
pub(super) fn list(conn: &Connection) -> Result<Vec<TenantRow>, StoreError> {
    let mut statement = conn
        // A tenant that has a key is not shredded, whoever wrote that into its row.
        .prepare_cached(
            "SELECT name, created_ms, iif(shredded <> 0 AND EXISTS (SELECT 1 FROM keys WHERE keys.tenant = tenants.id \
             AND keys.state <> ?1), 0, shredded) FROM tenants ORDER BY id",
        )
        .map_err(fault)?;
    let mut rows = statement.query([KeyState::Destroyed as u8]).map_err(fault)?;
    let mut tenants = Vec::new();
    while let Some(row) = rows.next().map_err(fault)? {
        let name: String = row.get(0).map_err(fault)?;
        tenants.push(TenantRow {
            tenant: name.parse().map_err(|_| StoreError::Corrupt)?,
            created_ms: unsigned(row.get(1).map_err(fault)?)?,
            shredded: shred::shredded(row.get(2).map_err(fault)?)?,
        });
    }
    Ok(tenants)
}

/// Refuses a rotation whose parts are over their limits.
pub(super) fn check_rotation(rotation: &RotationRow) -> Result<(), StoreError> {
    for number in [rotation.done, rotation.total, rotation.started_ms] {
        signed(number)?;
    }
    let long = [&rotation.fault, &rotation.proof]
        .into_iter()
        .flatten()
        .any(|text| text.len() > limits::ROTATION_TEXT_BYTES_MAX);
    if long { Err(StoreError::TooLarge) } else { Ok(()) }
}

/// Writes down how far a rotation is.
pub(super) fn put_rotation(desk: &mut Desk<'_>, tenant: i64, rotation: &RotationRow) -> Result<(), StoreError> {
    desk.conn
        .prepare_cached(
            "INSERT OR REPLACE INTO rotations (tenant, to_term, state, done, total, started_ms, records_per_second_max, \
             fault, proof) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        )
        .and_then(|mut statement| {
            statement.execute(params![
                tenant,
                rotation.to_term,
                STATES.iter().position(|state| *state == rotation.state).map(|place| place as i64 + 1),
                signed_time(rotation.done),
                signed_time(rotation.total),
                signed_time(rotation.started_ms),
                rotation.records_per_second_max,
                rotation.fault,
                rotation.proof,
            ])
        })
        .map_err(fault)?;
    Ok(())
}

/// Every rotation.
pub(super) fn rotations(conn: &Connection) -> Result<Vec<RotationRow>, StoreError> {
    let mut statement = conn
        .prepare_cached(
            "SELECT tenants.name, to_term, state, done, total, started_ms, records_per_second_max, fault, proof \
             FROM rotations JOIN tenants ON tenants.id = rotations.tenant ORDER BY started_ms, tenants.id, to_term",
        )
        .map_err(fault)?;
    let mut rows = statement.query([]).map_err(fault)?;
    let mut rotations = Vec::new();
    while let Some(row) = rows.next().map_err(fault)? {
        let name: String = row.get(0).map_err(fault)?;
        let state: u8 = row.get(2).map_err(fault)?;
        rotations.push(RotationRow {
            tenant: name.parse().map_err(|_| StoreError::Corrupt)?,
            to_term: row.get(1).map_err(fault)?,
            state: *state.checked_sub(1).and_then(|place| STATES.get(usize::from(place))).ok_or(StoreError::Corrupt)?,
            done: unsigned(row.get(3).map_err(fault)?)?,
            total: unsigned(row.get(4).map_err(fault)?)?,
            started_ms: unsigned(row.get(5).map_err(fault)?)?,
            records_per_second_max: row.get(6).map_err(fault)?,
            fault: row.get(7).map_err(fault)?,
            proof: row.get(8).map_err(fault)?,
        });
    }
    Ok(rotations)
}

/// Their places are their numbers in rows, less one: never reorder them.
const STATES: [RotationState; 3] = [RotationState::Running, RotationState::Done, RotationState::Stopped];
