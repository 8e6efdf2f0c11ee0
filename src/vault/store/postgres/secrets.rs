//! Secrets: few and small, found by their id.

use strongroom_wire::{SecretId, TenantId};
use tokio_postgres::Row;
use uuid::Uuid;

use super::PostgresStore;
use super::fault::{column, signed_term, signed_time, term, unsigned};
use super::run::{ask, big, bytes, int, text, uuid};
use crate::store::{SecretRow, StoreError};

/// The columns that [`read`] reads, in its order.
pub(super) const COLUMNS: &str = "id, name, created_ms, binding, envelope, mac_term";

/// A secret from a row of [`COLUMNS`].
pub(super) fn read(tenant: &TenantId, row: &Row) -> Result<SecretRow, StoreError> {
    Ok(SecretRow {
        tenant: tenant.clone(),
        id: SecretId::from_uuid(column(row, 0)?),
        name: column(row, 1)?,
        created_ms: unsigned(column(row, 2)?)?,
        binding: column::<Uuid>(row, 3)?.into_bytes(),
        envelope: column(row, 4)?,
        mac_term: term(column(row, 5)?)?,
    })
}

impl PostgresStore {
    /// Stores a secret; its id is unique over all tenants.
    pub(super) async fn put_secret(&self, number: i32, secret: &SecretRow) -> Result<(), StoreError> {
        let sql = "INSERT INTO secrets (id, tenant, mac_term, created_ms, binding, name, envelope) \
                   VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING 1";
        let (id, mac_term) = (secret.id.uuid(), signed_term(secret.mac_term)?);
        let (created, binding) = (signed_time(secret.created_ms), Uuid::from_bytes(secret.binding));
        let row = [
            uuid(&id),
            int(&number),
            int(&mac_term),
            big(&created),
            uuid(&binding),
            text(&secret.name),
            bytes(&secret.envelope),
        ];
        self.connections.once(sql, &row).await.map(drop)
    }

    pub(super) async fn one_secret(
        &self,
        number: i32,
        tenant: &TenantId,
        id: &SecretId,
    ) -> Result<Option<SecretRow>, StoreError> {
        let (sql, id) = (format!("SELECT {COLUMNS} FROM secrets WHERE id = $1 AND tenant = $2"), id.uuid());
        let rows: Vec<Row> =
            ask!(self.connections, c => { Ok(c.query_typed(&sql, &[uuid(&id), int(&number)]).await?) })?;
        rows.first().map(|row| read(tenant, row)).transpose()
    }

    pub(super) async fn remove_secret(&self, number: i32, id: &SecretId) -> Result<bool, StoreError> {
        let (sql, id) = ("DELETE FROM secrets WHERE id = $1 AND tenant = $2 RETURNING 1", id.uuid());
        Ok(!self.connections.once(sql, &[uuid(&id), int(&number)]).await?.is_empty())
    }
}
