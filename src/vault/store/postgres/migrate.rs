//! Brings a database to the newest schema. Several nodes may start at once: each takes the row with the number of the schema in
//! a transaction, and whoever has it first does the work.

use std::time::Duration;

use tokio_postgres::error::SqlState;

use super::fault::{Failure, column, unsigned};
use super::run::{Connections, ask, big, bytes, transact};
use crate::store::StoreError;

/// Number of the newest migration that this version knows.
pub(super) fn newest_schema() -> u32 {
    u32::try_from(MIGRATIONS.len()).unwrap_or(u32::MAX)
}

/// Makes or moves the schema, and marks a new store with the vault's id.
pub(super) async fn migrate(connections: &Connections, vault: &str) -> Result<(), StoreError> {
    let known = newest_schema();
    match look(connections, vault).await? {
        Some(found) if found == known => return Ok(()),
        Some(_) => {}
        None => begin(connections).await?,
    }
    transact!(in connections.turns_within(MIGRATE_TIMEOUT), tx => {
        tx.batch_execute("SET LOCAL statement_timeout = 120000; SET LOCAL idle_in_transaction_session_timeout = 120000")
            .await?;
        let rows = tx.query_typed("SELECT version FROM vault_schema WHERE id = 1 FOR UPDATE", &[]).await?;
        let found = number(rows.first().ok_or(StoreError::Corrupt)?)?;
        if found > known {
            return Err(StoreError::NewerSchema.into());
        }
        for (number, sql) in (1u32..).zip(MIGRATIONS).filter(|(number, _)| *number > found) {
            tx.batch_execute(sql).await?;
            let number = i64::from(number);
            tx.execute_typed("UPDATE vault_schema SET version = $1 WHERE id = 1", &[big(&number)]).await?;
        }
        let mark = vault.as_bytes();
        let sql = "INSERT INTO settings (name, value) VALUES ('vault', $1) ON CONFLICT (name) DO NOTHING";
        tx.execute_typed(sql, &[bytes(&mark)]).await?;
        Ok(())
    })?;
    // Another node may have been first, for another vault.
    look(connections, vault).await.map(drop)
}

/// The number of the schema, none where there is none yet; changes nothing.
///
/// # Errors
/// [`StoreError::NewerSchema`]; [`StoreError::OtherVault`].
pub(super) async fn look(connections: &Connections, vault: &str) -> Result<Option<u32>, StoreError> {
    let found: Option<u32> = ask!(connections, c => {
        let found = c.query_typed("SELECT version FROM vault_schema WHERE id = 1", &[]).await;
        match found {
            Ok(rows) => Ok(rows.first().map(number).transpose()?),
            Err(error) if error.code() == Some(&SqlState::UNDEFINED_TABLE) => Ok(None),
            Err(other) => Err(other.into()),
        }
    })?;
    let Some(found) = found.filter(|found| *found > 0) else { return Ok(None) };
    if found > newest_schema() {
        return Err(StoreError::NewerSchema);
    }
    let mark: Option<Vec<u8>> = ask!(connections, c => {
        let rows = c.query_typed("SELECT value FROM settings WHERE name = 'vault'", &[]).await?;
        Ok(rows.first().map(|row| column(row, 0)).transpose()?)
    })?;
    if mark.as_deref() == Some(vault.as_bytes()) { Ok(Some(found)) } else { Err(StoreError::OtherVault) }
}

/// Whether a move fills the database.
pub(super) async fn is_half_moved(connections: &Connections) -> Result<bool, StoreError> {
    ask!(connections, c => {
        Ok(!c.query_typed("SELECT 1 FROM settings WHERE name = 'moving'", &[]).await?.is_empty())
    })
}

/// Makes the row that nodes wait for each other at.
async fn begin(connections: &Connections) -> Result<(), StoreError> {
    for _ in 0..BEGIN_MAX {
        let made = transact!(in connections.turns_within(MIGRATE_TIMEOUT), tx => {
            let sql = "CREATE TABLE IF NOT EXISTS vault_schema (id BIGINT PRIMARY KEY, version BIGINT NOT NULL); \
                       INSERT INTO vault_schema VALUES (1, 0) ON CONFLICT (id) DO NOTHING";
            match tx.batch_execute(sql).await {
                // Two that make the same table meet in the catalogue; the second finds it when it looks again.
                Err(error) if is_made_by_another(&error) => Err(Failure::Store(StoreError::Exists)),
                other => other.map_err(Failure::from),
            }
        });
        match made {
            Err(StoreError::Exists) => {}
            other => return other,
        }
    }
    Err(StoreError::Unavailable)
}

fn is_made_by_another(error: &tokio_postgres::Error) -> bool {
    let codes = [SqlState::DUPLICATE_TABLE, SqlState::DUPLICATE_OBJECT, SqlState::UNIQUE_VIOLATION];
    error.code().is_some_and(|code| codes.contains(code))
}

fn number(row: &tokio_postgres::Row) -> Result<u32, StoreError> {
    u32::try_from(unsigned(column::<i64>(row, 0)?)?).map_err(|_| StoreError::Corrupt)
}

const BEGIN_MAX: u32 = 5;
/// How long the work on the schema may take, with the wait for another node that does it.
const MIGRATE_TIMEOUT: Duration = Duration::from_secs(120);

/// Each file is one migration; its place is its number less one.
const MIGRATIONS: &[&str] = &[include_str!("migrations/0001_first.sql"), include_str!("migrations/0002_shared.sql")];

#[cfg(test)]
mod tests {
    use sha2::{Digest as _, Sha256};

    use super::*;

    /// A released migration never changes. If this fails, write a new migration in place of the change.
    #[test]
    fn released_migrations_are_as_they_were_released() {
        let sums: Vec<String> = MIGRATIONS
            .iter()
            .map(|sql| Sha256::digest(sql).iter().take(8).map(|byte| format!("{byte:02x}")).collect())
            .collect();
        assert_eq!(sums, ["299adf9df81a584a", "32a215be075d9f5b"]);
    }
}
