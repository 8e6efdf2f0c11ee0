//! Secrets: few and small, found by their id.

use rusqlite::{Connection, OptionalExtension, Row, params};
use strongroom_wire::{SecretId, TenantId};
use uuid::Uuid;

use super::cards::signed_time;
use super::fault::{fault, fixed, unsigned};
use super::writer::Desk;
use crate::store::{SecretRow, StoreError};

/// Stores a secret; its id is unique over all tenants.
pub(super) fn insert(desk: &mut Desk<'_>, tenant: i64, secret: &SecretRow) -> Result<(), StoreError> {
    desk.conn
        .prepare_cached(
            "INSERT INTO secrets (tenant, secret, name, created_ms, binding, envelope, mac_term) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        )
        .and_then(|mut statement| {
            statement.execute(params![
                tenant,
                secret.id.uuid().as_bytes(),
                secret.name,
                signed_time(secret.created_ms),
                secret.binding,
                secret.envelope,
                secret.mac_term,
            ])
        })
        .map_err(fault)?;
    Ok(())
}

/// One secret of a tenant.
pub(super) fn read(
    conn: &Connection,
    number: i64,
    tenant: &TenantId,
    id: &SecretId,
) -> Result<Option<SecretRow>, StoreError> {
    let mut statement = conn
        .prepare_cached(&format!("SELECT {COLUMNS} FROM secrets WHERE secret = ?1 AND tenant = ?2"))
        .map_err(fault)?;
    let mut rows = statement.query(params![id.uuid().as_bytes(), number]).map_err(fault)?;
    rows.next().map_err(fault)?.map(|row| of(tenant, row)).transpose()
}

/// The columns that [`of`] reads, in its order.
pub(super) const COLUMNS: &str = "secret, name, created_ms, binding, envelope, mac_term";

/// A secret from a row of [`COLUMNS`].
pub(super) fn of(tenant: &TenantId, row: &Row<'_>) -> Result<SecretRow, StoreError> {
    let blob = |column: usize| row.get::<_, Vec<u8>>(column).map_err(fault);
    Ok(SecretRow {
        tenant: tenant.clone(),
        id: SecretId::from_uuid(Uuid::from_bytes(fixed(&blob(0)?)?)),
        name: row.get(1).map_err(fault)?,
        created_ms: unsigned(row.get(2).map_err(fault)?)?,
        binding: fixed(&blob(3)?)?,
        envelope: blob(4)?,
        mac_term: row.get(5).map_err(fault)?,
    })
}

/// Shreds a secret.
pub(super) fn delete(desk: &mut Desk<'_>, tenant: i64, id: &SecretId) -> Result<bool, StoreError> {
    let gone = desk
        .conn
        .prepare_cached("DELETE FROM secrets WHERE secret = ?1 AND tenant = ?2")
        .and_then(|mut statement| statement.execute(params![id.uuid().as_bytes(), tenant]))
        .map_err(fault)?;
    desk.shreds |= gone > 0;
    Ok(gone > 0)
}

/// The number of a secret's row.
pub(super) fn id(conn: &Connection, id: &SecretId) -> Result<Option<i64>, StoreError> {
    conn.prepare_cached("SELECT id FROM secrets WHERE secret = ?1")
        .and_then(|mut statement| statement.query_row([id.uuid().as_bytes()], |row| row.get(0)).optional())
        .map_err(fault)
}
