//! Tenants, which stand as small numbers in every other row.

use rusqlite::{Connection, OptionalExtension, params};
use strongroom_wire::admin::KeyState;
use strongroom_wire::{TenantId, limits};

use super::cards::signed_time;
use super::cluster;
use super::custody::wrapped_under;
use super::fault::{fault, unsigned};
use super::keys::{self, Name};
use super::shred;
use super::writer::Desk;
use crate::store::{KeyRow, StoreError, TenantRow};

/// The number of a tenant.
pub(super) fn number(conn: &Connection, tenant: &TenantId) -> Result<Option<i64>, StoreError> {
    conn.prepare_cached("SELECT id FROM tenants WHERE name = ?1")
        .and_then(|mut statement| statement.query_row([tenant.as_str()], |row| row.get(0)).optional())
        .map_err(fault)
}

/// Registers a tenant with its first keys.
pub(super) fn insert(
    desk: &mut Desk<'_>,
    tenant: &TenantRow,
    first: &[KeyRow],
    under: Option<&[u8; 32]>,
) -> Result<bool, StoreError> {
    wrapped_under(desk.conn, under)?;
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
    cluster::touch(desk)?;
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
