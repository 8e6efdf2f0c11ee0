//! Secrets: few and small, found by their id.

use rusqlite::{Connection, OptionalExtension, params};
use strongroom_wire::{SecretId, TenantId, limits};

use super::cards::{check_envelope, signed_time};
use super::fault::{fault, fixed, signed, unsigned};
use super::writer::Desk;
use crate::store::{SecretRow, StoreError};

/// Refuses a secret whose parts are over their limits.
pub(super) fn check(secret: &SecretRow) -> Result<(), StoreError> {
    check_envelope(&secret.envelope)?;
    signed(secret.created_ms)?;
    if secret.name.chars().count() > limits::SECRET_NAME_CHARS_MAX { Err(StoreError::TooLarge) } else { Ok(()) }
}

/// Stores a secret; its id is unique over all tenants.
pub(super) fn insert(desk: &mut Desk<'_>, tenant: i64, secret: &SecretRow) -> Result<(), StoreError> {
    desk.conn
        .prepare_cached(
            "INSERT INTO secrets (tenant, secret, name, created_ms, binding, envelope) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )
        .and_then(|mut statement| {
            statement.execute(params![
                tenant,
                secret.id.uuid().as_bytes(),
                secret.name,
                signed_time(secret.created_ms),
                secret.binding,
                secret.envelope,
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
    let found: Option<(String, i64, Vec<u8>, Vec<u8>)> = conn
        .prepare_cached("SELECT name, created_ms, binding, envelope FROM secrets WHERE secret = ?1 AND tenant = ?2")
        .and_then(|mut statement| {
            statement
                .query_row(params![id.uuid().as_bytes(), number], |row| {
                    Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
                })
                .optional()
        })
        .map_err(fault)?;
    let Some((name, created, binding, envelope)) = found else {
        return Ok(None);
    };
    Ok(Some(SecretRow {
        tenant: tenant.clone(),
        id: *id,
        name,
        created_ms: unsigned(created)?,
        envelope,
        binding: fixed(&binding)?,
    }))
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
