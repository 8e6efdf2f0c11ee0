//! What operators look at, and their sessions, in PostgreSQL.

use async_trait::async_trait;
use strongroom_wire::TenantId;
use tokio_postgres::Row;

use super::super::filter::known_state;
use super::super::{Desk, OperatorSession, StoreError, Tally, TallyRow};
use super::run::{ask, int, text, transact};
use super::{PostgresStore, column};
use crate::account::Merchant;

#[async_trait]
impl Desk for PostgresStore {
    async fn merchants(&self, after: Option<&TenantId>, limit: u32) -> Result<Vec<Merchant>, StoreError> {
        let (after, limit) = (after.map(TenantId::as_str).unwrap_or_default(), i64::from(limit));
        // In the order of bytes, as the other store has them, whatever the database's language.
        let sql = r#"SELECT body FROM merchants WHERE merchant_id COLLATE "C" > $1
                     ORDER BY merchant_id COLLATE "C" LIMIT $2"#;
        self.list(sql, &[text(&after), int(&limit)]).await
    }

    async fn tally(&self, merchant: &TenantId, from_ms: i64, part_ms: i64, limit: u32) -> Result<Tally, StoreError> {
        let sql = "SELECT (created_ms - $2) / $3 AS part, state, connector, count(*), min(created_ms)
                   FROM (SELECT created_ms, state, connector FROM payments
                         WHERE merchant_id = $1 AND created_ms >= $2
                         ORDER BY created_ms DESC, payment_id DESC LIMIT $4) AS newest
                   GROUP BY 1, 2, 3 ORDER BY 1, 2, 3";
        let (merchant, part_ms, limit) = (merchant.as_str(), part_ms.max(1), i64::from(limit));
        ask!(self.connections, c => {
            let rows = c.query_typed(sql, &[text(&merchant), int(&from_ms), int(&part_ms), int(&limit)]).await?;
            let mut tally = Tally::default();
            for row in &rows {
                let oldest: i64 = column(row, 4)?;
                tally.oldest_ms = Some(tally.oldest_ms.map_or(oldest, |before| before.min(oldest)));
                tally.rows.push(TallyRow {
                    part: u32::try_from(column::<i64>(row, 0)?).map_err(|_| StoreError::Unreadable)?,
                    state: known_state(column(row, 1)?)?,
                    connector: column(row, 2)?,
                    payments: u64::try_from(column::<i64>(row, 3)?).unwrap_or(0),
                });
            }
            Ok(tally)
        })
    }

    async fn add_session(&self, session: &OperatorSession, most: u32, dead_ms: i64) -> Result<(), StoreError> {
        let most = i64::from(most);
        transact!(self.connections, tx => {
            let sql = "INSERT INTO operator_sessions (hash, operator, credential, created_ms, seen_ms)
                       VALUES ($1, $2, $3, $4, $5)";
            let row = [
                text(&session.hash),
                text(&session.operator),
                text(&session.credential),
                int(&session.created_ms),
                int(&session.seen_ms),
            ];
            tx.execute_typed(sql, &row).await?;
            tx.execute_typed("DELETE FROM operator_sessions WHERE created_ms <= $1", &[int(&dead_ms)]).await?;
            let sql = "DELETE FROM operator_sessions WHERE operator = $1 AND hash NOT IN (
                           SELECT hash FROM operator_sessions WHERE operator = $1
                           ORDER BY created_ms DESC, hash DESC LIMIT $2)";
            tx.execute_typed(sql, &[text(&session.operator), int(&most)]).await?;
            Ok(())
        })
    }

    async fn session(&self, hash: &str) -> Result<Option<OperatorSession>, StoreError> {
        let sql = "SELECT hash, operator, credential, created_ms, seen_ms FROM operator_sessions WHERE hash = $1";
        ask!(self.connections, c => {
            let rows = c.query_typed(sql, &[text(&hash)]).await?;
            Ok(rows.first().map(session_of).transpose()?)
        })
    }

    async fn see_session(&self, hash: &str, now_ms: i64) -> Result<(), StoreError> {
        let sql = "UPDATE operator_sessions SET seen_ms = $2 WHERE hash = $1 AND seen_ms < $2";
        self.change(sql, &[text(&hash), int(&now_ms)]).await.map(drop)
    }

    async fn end_session(&self, hash: &str) -> Result<(), StoreError> {
        self.change("DELETE FROM operator_sessions WHERE hash = $1", &[text(&hash)]).await.map(drop)
    }

    async fn count_try(&self, name: &str, most: u32, now_ms: i64, lock_until_ms: i64) -> Result<bool, StoreError> {
        let sql = "INSERT INTO operator_tries AS known (name, tries, locked_until_ms)
                   VALUES ($1, 1, CASE WHEN $2 = 1 THEN $4 ELSE 0 END)
                   ON CONFLICT (name) DO UPDATE SET
                       tries = CASE WHEN known.tries >= $2 THEN 1 ELSE known.tries + 1 END,
                       locked_until_ms = CASE WHEN known.tries + 1 = $2 THEN $4 ELSE 0 END
                   WHERE known.tries < $2 OR known.locked_until_ms <= $3";
        let most = i64::from(most);
        let changed = self.change(sql, &[text(&name), int(&most), int(&now_ms), int(&lock_until_ms)]).await?;
        Ok(changed > 0)
    }

    async fn forget_tries(&self, name: &str) -> Result<(), StoreError> {
        self.change("DELETE FROM operator_tries WHERE name = $1", &[text(&name)]).await.map(drop)
    }
}

fn session_of(row: &Row) -> Result<OperatorSession, StoreError> {
    Ok(OperatorSession {
        hash: column(row, 0)?,
        operator: column(row, 1)?,
        credential: column(row, 2)?,
        created_ms: column(row, 3)?,
        seen_ms: column(row, 4)?,
    })
}
