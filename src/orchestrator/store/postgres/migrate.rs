//! Brings a database to the newest schema. Several processes may start at once: each takes the row with the number of the
//! schema in a transaction, and whoever has it first does the work.

use std::time::Duration;

use tokio_postgres::error::SqlState;

use super::super::StoreError;
use super::run::{Connections, Failure, ask, int, transact};
use super::{OpenError, column};

pub(super) async fn migrate(connections: &Connections) -> Result<(), StoreError> {
    let known = u32::try_from(MIGRATIONS.len()).unwrap_or(u32::MAX);
    if let Some(found) = version(connections).await? {
        if found > known {
            return Err(StoreError::NewerSchema { found, known });
        }
        if found == known {
            return Ok(());
        }
    } else {
        begin(connections).await?;
    }
    transact!(in connections.turns_within(MIGRATE_TIMEOUT), tx => {
        let rows = tx.query_typed("SELECT version FROM orchestrator_schema WHERE id = 1 FOR UPDATE", &[]).await?;
        let found = schema_number(rows.first().ok_or(StoreError::Unreadable)?)?;
        if found > known {
            return Err(StoreError::NewerSchema { found, known }.into());
        }
        for (number, sql) in (1u32..).zip(MIGRATIONS).filter(|(number, _)| *number > found) {
            tx.batch_execute(sql).await?;
            let number = i64::from(number);
            let sql = "UPDATE orchestrator_schema SET version = $1 WHERE id = 1";
            tx.execute_typed(sql, &[int(&number)]).await?;
        }
        Ok(())
    })
}

/// The number of the schema; `None` where there is none yet.
async fn version(connections: &Connections) -> Result<Option<u32>, StoreError> {
    ask!(connections, c => {
        let found = c.query_typed("SELECT version FROM orchestrator_schema WHERE id = 1", &[]).await;
        match found {
            Ok(rows) => Ok(rows.first().map(schema_number).transpose()?),
            Err(error) if error.code() == Some(&SqlState::UNDEFINED_TABLE) => Ok(None),
            Err(other) => Err(other.into()),
        }
    })
}

/// Makes the row that processes wait for each other at.
async fn begin(connections: &Connections) -> Result<(), StoreError> {
    for _ in 0..BEGIN_MAX {
        let made = transact!(in connections.turns_within(MIGRATE_TIMEOUT), tx => {
            tx.batch_execute(
                "CREATE TABLE IF NOT EXISTS orchestrator_schema (id BIGINT PRIMARY KEY, version BIGINT NOT NULL);
                 INSERT INTO orchestrator_schema VALUES (1, 0) ON CONFLICT (id) DO NOTHING;",
            )
            .await
            .map_err(Failure::from)
        });
        match made {
            // Two that make the same table meet in the catalogue; the second finds it when it looks again.
            Err(StoreError::Duplicate) => {}
            other => return other,
        }
    }
    Err(StoreError::Unavailable)
}

/// Whether what the server confirms is on its disk.
pub(super) async fn keeps_what_it_confirms(connections: &Connections) -> Result<(), OpenError> {
    // An engine that speaks the same protocol may know neither setting.
    let sql = "SELECT coalesce(current_setting('synchronous_commit', true), ''), coalesce(current_setting('fsync', true), '')";
    let is_forgetful = ask!(connections, c => {
        let rows = c.query_typed(sql, &[]).await?;
        let row = rows.first().ok_or(StoreError::Unreadable)?;
        Ok([column::<&str>(row, 0)?, column::<&str>(row, 1)?].contains(&"off"))
    })?;
    if is_forgetful { Err(OpenError::Forgetful) } else { Ok(()) }
}

fn schema_number(row: &tokio_postgres::Row) -> Result<u32, StoreError> {
    u32::try_from(column::<i64>(row, 0)?).map_err(|_| StoreError::Unreadable)
}

const BEGIN_MAX: u32 = 5;
/// How long the work on the schema may take, with the wait for another process that does it.
const MIGRATE_TIMEOUT: Duration = Duration::from_secs(120);

/// Numbered by place, from 1. A released row is never changed; a change is a new row.
const MIGRATIONS: &[&str] = &[include_str!("migrations/0001_begin.sql"), include_str!("migrations/0002_operators.sql")];
