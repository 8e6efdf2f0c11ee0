//! Chores in SQLite.

use async_trait::async_trait;
use rusqlite::{Connection, Row, params};

use super::super::{Chore, ChoreKind, Chores, NewChore, StoreError};
use super::{SqliteStore, execute, from_text, to_text};

#[async_trait]
impl Chores for SqliteStore {
    async fn add_chore(&self, chore: &NewChore) -> Result<(), StoreError> {
        let chore = chore.clone();
        self.write(move |tx| put_chore(tx, &chore)).await
    }

    async fn due_chores(&self, until_ms: i64, limit: u32) -> Result<Vec<Chore>, StoreError> {
        self.read(move |c| {
            let mut statement = c.prepare_cached(
                "SELECT id, merchant_id, kind, token, payment_id, tries FROM chores
                 WHERE due_ms <= ?1 ORDER BY due_ms, id LIMIT ?2",
            )?;
            let mut rows = statement.query(params![until_ms, limit])?;
            let mut chores = Vec::new();
            while let Some(row) = rows.next()? {
                chores.push(chore_of(row)?);
            }
            Ok(chores)
        })
        .await
    }

    async fn finish_chore(&self, id: i64) -> Result<(), StoreError> {
        self.write(move |tx| {
            execute(tx, "DELETE FROM chores WHERE id = ?1", params![id])?;
            Ok(())
        })
        .await
    }

    async fn postpone_chore(&self, id: i64, due_ms: i64) -> Result<(), StoreError> {
        self.write(move |tx| {
            execute(tx, "UPDATE chores SET due_ms = ?2, tries = tries + 1 WHERE id = ?1", params![id, due_ms])?;
            Ok(())
        })
        .await
    }
}

pub(super) fn put_chore(tx: &Connection, chore: &NewChore) -> Result<(), StoreError> {
    let (merchant, record) = (chore.merchant_id.as_str(), chore.record.to_string());
    execute(
        tx,
        "INSERT INTO chores (merchant_id, kind, token, payment_id, due_ms, tries) VALUES (?1, ?2, ?3, ?4, ?5, 0)",
        params![merchant, to_text(&chore.kind)?, record, chore.payment_id, chore.due_ms],
    )?;
    Ok(())
}

fn chore_of(row: &Row<'_>) -> Result<Chore, StoreError> {
    let (merchant, kind, record): (String, String, String) = (row.get(1)?, row.get(2)?, row.get(3)?);
    Ok(Chore {
        id: row.get(0)?,
        merchant_id: merchant.parse().map_err(|_| StoreError::Unreadable)?,
        kind: from_text::<ChoreKind>(&kind)?,
        record: record.parse().map_err(|_| StoreError::Unreadable)?,
        payment_id: row.get(4)?,
        tries: row.get(5)?,
    })
}
