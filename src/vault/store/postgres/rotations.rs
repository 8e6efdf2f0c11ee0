//! How far each rotation is.

use strongroom_wire::admin::{KeyPurpose, RotationState};
use tokio_postgres::Row;

use super::fault::{column, signed_term, signed_time, term, unsigned};
use super::keys;
use super::run::{ask, big, flag, int, small, text, transact};
use super::{PostgresStore, touch};
use crate::store::{RotationRow, StoreError};

impl PostgresStore {
    /// Writes down how far a rotation is.
    pub(super) async fn note_rotation(&self, number: i32, rotation: &RotationRow) -> Result<(), StoreError> {
        let sql = "INSERT INTO rotations (purpose, tenant, to_term, state, done, total, started_ms, records_per_second_max, \
                   emergency, fault, proof) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) \
                   ON CONFLICT (purpose, tenant, to_term) DO UPDATE SET state = excluded.state, done = excluded.done, \
                   total = excluded.total, started_ms = excluded.started_ms, \
                   records_per_second_max = excluded.records_per_second_max, emergency = excluded.emergency, \
                   fault = excluded.fault, proof = excluded.proof";
        let (purpose, to_term) = (rotation.key as i16, signed_term(rotation.to_term)?);
        let state =
            STATES.iter().zip(1i16..).find(|(state, _)| **state == rotation.state).map_or(0, |(_, place)| place);
        let (done, total) = (signed_time(rotation.done), signed_time(rotation.total));
        let (started, most) = (signed_time(rotation.started_ms), rotation.records_per_second_max.map(i64::from));
        let row = [
            small(&purpose),
            int(&number),
            int(&to_term),
            small(&state),
            big(&done),
            big(&total),
            big(&started),
            big(&most),
            flag(&rotation.emergency),
            text(&rotation.fault),
            text(&rotation.proof),
        ];
        transact!(self.connections, tx => {
            // Old sessions end with it, everywhere.
            if rotation.key == KeyPurpose::Session {
                touch(tx).await?;
            }
            tx.execute_typed(sql, &row).await?;
            Ok(())
        })
    }

    /// Every rotation.
    pub(super) async fn all_rotations(&self) -> Result<Vec<RotationRow>, StoreError> {
        let sql = "SELECT tenants.name, rotations.tenant, purpose, to_term, state, done, total, started_ms, \
                   records_per_second_max, emergency, fault, proof FROM rotations \
                   LEFT JOIN tenants ON tenants.id = rotations.tenant \
                   ORDER BY started_ms, rotations.tenant, purpose, to_term";
        let rows: Vec<Row> = ask!(self.connections, c => { Ok(c.query_typed(sql, &[]).await?) })?;
        rows.iter().map(read).collect()
    }
}

fn read(row: &Row) -> Result<RotationRow, StoreError> {
    let state = usize::try_from(column::<i16>(row, 4)?).ok().and_then(|number| number.checked_sub(1));
    let most: Option<i64> = column(row, 8)?;
    Ok(RotationRow {
        key: keys::purpose(column(row, 2)?)?,
        tenant: keys::tenant(column(row, 0)?, column(row, 1)?)?,
        to_term: term(column(row, 3)?)?,
        state: *state.and_then(|place| STATES.get(place)).ok_or(StoreError::Corrupt)?,
        done: unsigned(column(row, 5)?)?,
        total: unsigned(column(row, 6)?)?,
        started_ms: unsigned(column(row, 7)?)?,
        records_per_second_max: most.map(u32::try_from).transpose().map_err(|_| StoreError::Corrupt)?,
        emergency: column(row, 9)?,
        fault: column(row, 10)?,
        proof: column(row, 11)?,
    })
}

/// Their places are their numbers in rows, less one: never reorder them.
const STATES: [RotationState; 3] = [RotationState::Running, RotationState::Done, RotationState::Stopped];
