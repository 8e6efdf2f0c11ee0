//! How far each rotation is.

use rusqlite::{Connection, params};
use strongroom_wire::admin::{KeyPurpose, RotationState};

use super::cards::signed_time;
use super::cluster;
use super::fault::{fault, unsigned};
use super::keys;
use super::writer::Desk;
use crate::store::{RotationRow, StoreError};

/// Writes down how far a rotation is.
pub(super) fn put(desk: &mut Desk<'_>, tenant: i64, rotation: &RotationRow) -> Result<(), StoreError> {
    desk.conn
        .prepare_cached(
            "INSERT OR REPLACE INTO rotations (purpose, tenant, to_term, state, done, total, started_ms, \
             records_per_second_max, emergency, fault, proof) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
        )
        .and_then(|mut statement| {
            statement.execute(params![
                rotation.key as u8,
                tenant,
                rotation.to_term,
                STATES.iter().position(|state| *state == rotation.state).map(|place| place as i64 + 1),
                signed_time(rotation.done),
                signed_time(rotation.total),
                signed_time(rotation.started_ms),
                rotation.records_per_second_max,
                rotation.emergency,
                rotation.fault,
                rotation.proof,
            ])
        })
        .map_err(fault)?;
    // Old sessions end with it, everywhere.
    if rotation.key == KeyPurpose::Session { cluster::touch(desk) } else { Ok(()) }
}

/// Every rotation.
pub(super) fn list(conn: &Connection) -> Result<Vec<RotationRow>, StoreError> {
    let mut statement = conn
        .prepare_cached(
            "SELECT tenants.name, to_term, state, done, total, started_ms, records_per_second_max, fault, proof, \
             emergency, purpose, rotations.tenant FROM rotations LEFT JOIN tenants ON tenants.id = rotations.tenant \
             ORDER BY started_ms, rotations.tenant, purpose, to_term",
        )
        .map_err(fault)?;
    let mut rows = statement.query([]).map_err(fault)?;
    let mut rotations = Vec::new();
    while let Some(row) = rows.next().map_err(fault)? {
        let name: Option<String> = row.get(0).map_err(fault)?;
        let tenant = match (row.get::<_, i64>(11).map_err(fault)?, name) {
            (0, None) => None,
            (_, Some(name)) => Some(name.parse().map_err(|_| StoreError::Corrupt)?),
            (_, None) => return Err(StoreError::Corrupt),
        };
        let state: u8 = row.get(2).map_err(fault)?;
        rotations.push(RotationRow {
            key: keys::purpose(row.get(10).map_err(fault)?)?,
            tenant,
            to_term: row.get(1).map_err(fault)?,
            state: *state.checked_sub(1).and_then(|place| STATES.get(usize::from(place))).ok_or(StoreError::Corrupt)?,
            done: unsigned(row.get(3).map_err(fault)?)?,
            total: unsigned(row.get(4).map_err(fault)?)?,
            started_ms: unsigned(row.get(5).map_err(fault)?)?,
            records_per_second_max: row.get(6).map_err(fault)?,
            emergency: row.get(9).map_err(fault)?,
            fault: row.get(7).map_err(fault)?,
            proof: row.get(8).map_err(fault)?,
        });
    }
    Ok(rotations)
}

/// Their places are their numbers in rows, less one: never reorder them.
const STATES: [RotationState; 3] = [RotationState::Running, RotationState::Done, RotationState::Stopped];
