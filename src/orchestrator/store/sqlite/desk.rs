//! What operators look at, and their sessions, in SQLite.

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension, Row, params};
use strongroom_wire::TenantId;

use super::super::filter::known_state;
use super::super::{Desk, OperatorSession, StoreError, Tally, TallyRow};
use super::{SqliteStore, execute, many};
use crate::account::Merchant;

#[async_trait]
impl Desk for SqliteStore {
    async fn merchants(&self, after: Option<&TenantId>, limit: u32) -> Result<Vec<Merchant>, StoreError> {
        let after = after.map(ToString::to_string).unwrap_or_default();
        let sql = "SELECT body FROM merchants WHERE merchant_id > ?1 ORDER BY merchant_id LIMIT ?2";
        self.read(move |c| many(c, sql, params![after, limit])).await
    }

    async fn tally(&self, merchant: &TenantId, from_ms: i64, part_ms: i64, limit: u32) -> Result<Tally, StoreError> {
        let merchant = merchant.to_string();
        self.read(move |c| {
            let sql = "SELECT (created_ms - ?2) / ?3 AS part, state, connector, count(*), min(created_ms)
                       FROM (SELECT created_ms, state, connector FROM payments
                             WHERE merchant_id = ?1 AND created_ms >= ?2
                             ORDER BY created_ms DESC, payment_id DESC LIMIT ?4)
                       GROUP BY part, state, connector ORDER BY part, state, connector";
            let mut statement = c.prepare_cached(sql)?;
            let mut rows = statement.query(params![merchant, from_ms, part_ms.max(1), limit])?;
            let mut tally = Tally::default();
            while let Some(row) = rows.next()? {
                let (state, oldest): (String, i64) = (row.get(1)?, row.get(4)?);
                tally.oldest_ms = Some(tally.oldest_ms.map_or(oldest, |before| before.min(oldest)));
                tally.rows.push(TallyRow {
                    part: row.get(0)?,
                    state: known_state(&state)?,
                    connector: row.get(2)?,
                    payments: u64::try_from(row.get::<_, i64>(3)?).unwrap_or(0),
                });
            }
            Ok(tally)
        })
        .await
    }

    async fn add_session(&self, session: &OperatorSession, most: u32, dead_ms: i64) -> Result<(), StoreError> {
        let new = session.clone();
        self.write(move |tx| {
            let sql = "INSERT INTO operator_sessions VALUES (?1, ?2, ?3, ?4, ?5)";
            execute(tx, sql, params![new.hash, new.operator, new.credential, new.created_ms, new.seen_ms])?;
            execute(tx, "DELETE FROM operator_sessions WHERE created_ms <= ?1", params![dead_ms])?;
            let sql = "DELETE FROM operator_sessions WHERE operator = ?1 AND hash NOT IN (
                           SELECT hash FROM operator_sessions WHERE operator = ?1
                           ORDER BY created_ms DESC, hash DESC LIMIT ?2)";
            execute(tx, sql, params![new.operator, most])?;
            Ok(())
        })
        .await
    }

    async fn session(&self, hash: &str) -> Result<Option<OperatorSession>, StoreError> {
        let hash = hash.to_owned();
        self.read(move |c| find_session(c, &hash)).await
    }

    async fn see_session(&self, hash: &str, now_ms: i64) -> Result<(), StoreError> {
        let hash = hash.to_owned();
        self.write(move |tx| {
            let sql = "UPDATE operator_sessions SET seen_ms = max(seen_ms, ?2) WHERE hash = ?1";
            Ok(execute(tx, sql, params![hash, now_ms]).map(drop)?)
        })
        .await
    }

    async fn end_session(&self, hash: &str) -> Result<(), StoreError> {
        let hash = hash.to_owned();
        self.write(move |tx| Ok(execute(tx, "DELETE FROM operator_sessions WHERE hash = ?1", params![hash]).map(drop)?))
            .await
    }

    async fn count_try(&self, name: &str, most: u32, now_ms: i64, lock_until_ms: i64) -> Result<bool, StoreError> {
        let name = name.to_owned();
        self.write(move |tx| {
            let sql = "INSERT INTO operator_tries AS known VALUES (?1, 1, CASE WHEN ?2 = 1 THEN ?4 ELSE 0 END)
                       ON CONFLICT (name) DO UPDATE SET
                           tries = CASE WHEN known.tries >= ?2 THEN 1 ELSE known.tries + 1 END,
                           locked_until_ms = CASE WHEN known.tries + 1 = ?2 THEN ?4 ELSE 0 END
                       WHERE known.tries < ?2 OR known.locked_until_ms <= ?3";
            Ok(execute(tx, sql, params![name, most, now_ms, lock_until_ms])? > 0)
        })
        .await
    }

    async fn forget_tries(&self, name: &str) -> Result<(), StoreError> {
        let name = name.to_owned();
        self.write(move |tx| Ok(execute(tx, "DELETE FROM operator_tries WHERE name = ?1", params![name]).map(drop)?))
            .await
    }
}

fn find_session(c: &Connection, hash: &str) -> Result<Option<OperatorSession>, StoreError> {
    let sql = "SELECT hash, operator, credential, created_ms, seen_ms FROM operator_sessions WHERE hash = ?1";
    let session = |row: &Row<'_>| {
        Ok(OperatorSession {
            hash: row.get(0)?,
            operator: row.get(1)?,
            credential: row.get(2)?,
            created_ms: row.get(3)?,
            seen_ms: row.get(4)?,
        })
    };
    Ok(c.prepare_cached(sql)?.query_row(params![hash], session).optional()?)
}
