//! Chores in PostgreSQL.

use async_trait::async_trait;
use tokio_postgres::{Row, Transaction};

use super::super::{Chore, ChoreKind, Chores, NewChore, StoreError};
use super::run::{Failure, ask, int, text, transact};
use super::{PostgresStore, column, from_text, to_text};

#[async_trait]
impl Chores for PostgresStore {
    async fn add_chore(&self, chore: &NewChore) -> Result<(), StoreError> {
        transact!(self.connections, tx => { put_chore(tx, chore).await })
    }

    async fn due_chores(&self, until_ms: i64, limit: u32) -> Result<Vec<Chore>, StoreError> {
        ask!(self.connections, c => {
            let sql = "SELECT id, merchant_id, kind, token, payment_id, tries FROM chores
                       WHERE due_ms <= $1 ORDER BY due_ms, id LIMIT $2";
            let rows = c.query_typed(sql, &[int(&until_ms), int(&i64::from(limit))]).await?;
            Ok(rows.iter().map(chore_of).collect::<Result<_, _>>()?)
        })
    }

    async fn finish_chore(&self, id: i64) -> Result<(), StoreError> {
        self.change("DELETE FROM chores WHERE id = $1", &[int(&id)]).await.map(drop)
    }

    async fn postpone_chore(&self, id: i64, due_ms: i64) -> Result<(), StoreError> {
        let sql = "UPDATE chores SET due_ms = $2, tries = tries + 1 WHERE id = $1";
        self.change(sql, &[int(&id), int(&due_ms)]).await.map(drop)
    }
}

pub(super) async fn put_chore(tx: &Transaction<'_>, chore: &NewChore) -> Result<(), Failure> {
    let (merchant, kind, record) = (chore.merchant_id.as_str(), to_text(&chore.kind)?, chore.record.to_string());
    let sql = "INSERT INTO chores (merchant_id, kind, token, payment_id, due_ms, tries) VALUES ($1, $2, $3, $4, $5, 0)";
    let row = [text(&merchant), text(&kind), text(&record), text(&chore.payment_id), int(&chore.due_ms)];
    tx.execute_typed(sql, &row).await?;
    Ok(())
}

fn chore_of(row: &Row) -> Result<Chore, StoreError> {
    Ok(Chore {
        id: column(row, 0)?,
        merchant_id: column::<&str>(row, 1)?.parse().map_err(|_| StoreError::Unreadable)?,
        kind: from_text::<ChoreKind>(column(row, 2)?)?,
        record: column::<&str>(row, 3)?.parse().map_err(|_| StoreError::Unreadable)?,
        payment_id: column(row, 4)?,
        tries: u32::try_from(column::<i64>(row, 5)?).map_err(|_| StoreError::Unreadable)?,
    })
}
