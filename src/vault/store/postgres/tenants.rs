//! Tenants, which stand as small numbers in every other row.

use std::sync::PoisonError;

use strongroom_wire::admin::KeyState;
use strongroom_wire::{TenantId, limits};
use tokio_postgres::Row;

use super::custody::wrapped_under;
use super::fault::{Failure, column, signed_time, unsigned};
use super::keys::{self, Name};
use super::run::{ask, big, int, small, text, transact};
use super::{PostgresStore, touch};
use crate::store::{KeyName, KeyRow, Shredded, StoreError, TenantRow};

impl PostgresStore {
    /// A tenant's number. Tenants never go away, so what is known stays right.
    pub(in crate::store) async fn number(&self, tenant: &TenantId) -> Result<i32, StoreError> {
        let known = self.tenants.read().unwrap_or_else(PoisonError::into_inner).get(tenant).copied();
        if let Some(number) = known {
            return Ok(number);
        }
        let name = tenant.as_str();
        let rows: Vec<Row> = ask!(self.connections, c => {
            Ok(c.query_typed("SELECT id FROM tenants WHERE name = $1", &[text(&name)]).await?)
        })?;
        let number = column(rows.first().ok_or(StoreError::NoTenant)?, 0)?;
        self.tenants.write().unwrap_or_else(PoisonError::into_inner).insert(tenant.clone(), number);
        Ok(number)
    }

    /// The name of a key with its tenant's number, 0 for the vault itself.
    pub(in crate::store) async fn key_name(&self, name: &KeyName) -> Result<Name, StoreError> {
        let tenant = match &name.tenant {
            Some(tenant) => self.number(tenant).await?,
            None => 0,
        };
        Name::of(name, tenant)
    }

    /// Registers a tenant with its first keys.
    pub(super) async fn register(
        &self,
        tenant: &TenantRow,
        first: &[KeyRow],
        under: Option<&[u8; 32]>,
    ) -> Result<bool, StoreError> {
        let (name, created) = (tenant.tenant.as_str(), signed_time(tenant.created_ms));
        transact!(self.connections, tx => {
            touch(tx).await?;
            wrapped_under(tx, under).await?;
            if !tx.query_typed("SELECT 1 FROM tenants WHERE name = $1", &[text(&name)]).await?.is_empty() {
                return Err(Failure::Not);
            }
            let rows = tx.query_typed("SELECT count(*), coalesce(max(id), 0) FROM tenants", &[]).await?;
            let row = rows.first().ok_or(StoreError::Corrupt)?;
            if unsigned(column(row, 0)?)? >= limits::TENANTS_MAX as u64 {
                return Err(StoreError::Full.into());
            }
            let number = column::<i32>(row, 1)? + 1;
            let sql = "INSERT INTO tenants (id, name, created_ms, shredded) VALUES ($1, $2, $3, 0)";
            tx.execute_typed(sql, &[int(&number), text(&name), big(&created)]).await?;
            for key in first {
                keys::insert(tx, Name::of(&key.name, number)?, key).await?;
            }
            Ok(true)
        })
    }

    /// Every tenant.
    pub(super) async fn all_tenants(&self) -> Result<Vec<TenantRow>, StoreError> {
        // A tenant that has a key is not shredded, whoever wrote that into its row.
        let sql = "SELECT name, created_ms, CASE WHEN shredded <> 0 AND EXISTS (SELECT 1 FROM keys \
                   WHERE keys.tenant = tenants.id AND keys.state <> $1) THEN 0 ELSE shredded::int4 END FROM tenants ORDER BY id";
        let destroyed = KeyState::Destroyed as i16;
        let rows: Vec<Row> = ask!(self.connections, c => { Ok(c.query_typed(sql, &[small(&destroyed)]).await?) })?;
        let tenant = |row: &Row| {
            Ok(TenantRow {
                tenant: column::<&str>(row, 0)?.parse().map_err(|_| StoreError::Corrupt)?,
                created_ms: unsigned(column(row, 1)?)?,
                shredded: match column::<i32>(row, 2)? {
                    0 => Shredded::No,
                    1 => Shredded::Keys,
                    2 => Shredded::All,
                    _ => return Err(StoreError::Corrupt),
                },
            })
        };
        rows.iter().map(tenant).collect()
    }
}
