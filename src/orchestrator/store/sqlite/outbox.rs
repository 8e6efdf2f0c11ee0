//! Events that go out to merchants, and those of providers that were answered, in SQLite.

use async_trait::async_trait;
use rusqlite::types::Value;
use rusqlite::{Connection, Row, params, params_from_iter};
use strongroom_wire::TenantId;

use super::super::{NewEvent, Outbox, OutboxEvent, OutboxState, SeenEvent, StoreError};
use super::{SqliteStore, execute};

#[async_trait]
impl Outbox for SqliteStore {
    async fn claim_due_events(&self, now_ms: i64, lease_ms: i64, limit: u32) -> Result<Vec<OutboxEvent>, StoreError> {
        self.write(move |tx| {
            let mut statement = tx.prepare_cached(&format!(
                "UPDATE outbox SET due_ms = ?2 WHERE seq IN (
                     SELECT seq FROM outbox AS event
                     WHERE state = 'waiting' AND due_ms <= ?1 AND NOT EXISTS (
                         SELECT 1 FROM outbox AS earlier
                         WHERE earlier.merchant_id = event.merchant_id AND earlier.payment_id = event.payment_id
                           AND earlier.state = 'waiting' AND earlier.seq < event.seq)
                     ORDER BY due_ms, seq LIMIT ?3)
                 RETURNING {COLUMNS}"
            ))?;
            let mut events = read_all(statement.query(params![now_ms, now_ms.saturating_add(lease_ms), limit])?)?;
            events.sort_by_key(|event| event.seq);
            Ok(events)
        })
        .await
    }

    async fn finish_event(&self, seq: i64, status: u16, now_ms: i64) -> Result<(), StoreError> {
        let sql = "UPDATE outbox SET state = 'delivered', last_status = ?2, delivered_ms = ?3 WHERE seq = ?1";
        self.write(move |tx| Ok(execute(tx, sql, params![seq, status, now_ms]).map(drop)?)).await
    }

    async fn postpone_event(&self, seq: i64, status: Option<u16>, due_ms: i64) -> Result<(), StoreError> {
        let sql = "UPDATE outbox SET tries = tries + 1, last_status = ?2, due_ms = ?3
                   WHERE seq = ?1 AND state = 'waiting'";
        self.write(move |tx| Ok(execute(tx, sql, params![seq, status, due_ms]).map(drop)?)).await
    }

    async fn give_up_event(&self, seq: i64, status: Option<u16>) -> Result<(), StoreError> {
        let sql = "UPDATE outbox SET state = 'given_up', last_status = ?2 WHERE seq = ?1 AND state = 'waiting'";
        self.write(move |tx| Ok(execute(tx, sql, params![seq, status]).map(drop)?)).await
    }

    async fn replay_event(&self, merchant: &TenantId, event_id: &str, now_ms: i64) -> Result<bool, StoreError> {
        let (merchant, event_id) = (merchant.to_string(), event_id.to_owned());
        let sql = "UPDATE outbox SET state = 'waiting', tries = 0, due_ms = ?3, delivered_ms = NULL
                   WHERE merchant_id = ?1 AND event_id = ?2";
        self.write(move |tx| Ok(execute(tx, sql, params![merchant, event_id, now_ms])? > 0)).await
    }

    async fn outbox_events(
        &self,
        merchant: &TenantId,
        payment_id: Option<&str>,
        before_seq: Option<i64>,
        limit: u32,
    ) -> Result<Vec<OutboxEvent>, StoreError> {
        let mut values: Vec<Value> = vec![merchant.to_string().into(), before_seq.unwrap_or(i64::MAX).into()];
        let of_payment = if payment_id.is_some() { "AND payment_id = ?3" } else { "" };
        values.extend(payment_id.map(|id| Value::from(id.to_owned())));
        let sql = format!(
            "SELECT {COLUMNS} FROM outbox WHERE merchant_id = ?1 AND seq < ?2 {of_payment}
             ORDER BY seq DESC LIMIT {limit}"
        );
        self.read(move |c| read_all(c.prepare_cached(&sql)?.query(params_from_iter(values))?)).await
    }

    async fn outbox_event(&self, merchant: &TenantId, event_id: &str) -> Result<Option<OutboxEvent>, StoreError> {
        let key = (merchant.to_string(), event_id.to_owned());
        let sql = format!("SELECT {COLUMNS} FROM outbox WHERE merchant_id = ?1 AND event_id = ?2");
        self.read(move |c| Ok(read_all(c.prepare_cached(&sql)?.query(key)?)?.pop())).await
    }

    async fn waiting_events(&self) -> Result<u64, StoreError> {
        let sql = "SELECT count(*) FROM outbox WHERE state = 'waiting'";
        self.read(move |c| {
            Ok(u64::try_from(c.prepare_cached(sql)?.query_row([], |row| row.get::<_, i64>(0))?).unwrap_or(0))
        })
        .await
    }

    async fn is_seen(&self, seen: &SeenEvent) -> Result<bool, StoreError> {
        let key = (seen.merchant_id.to_string(), seen.account_id.clone(), seen.event_id.clone());
        let sql = "SELECT EXISTS (SELECT 1 FROM seen_events
                                  WHERE merchant_id = ?1 AND account_id = ?2 AND event_id = ?3)";
        self.read(move |c| Ok(c.prepare_cached(sql)?.query_row(key, |row| row.get(0))?)).await
    }

    async fn mark_seen(&self, seen: &SeenEvent) -> Result<(), StoreError> {
        let seen = seen.clone();
        self.write(move |tx| put_seen(tx, &seen).map(drop)).await
    }

    async fn seen_events(
        &self,
        merchant: &TenantId,
        payment_id: &str,
        limit: u32,
    ) -> Result<Vec<SeenEvent>, StoreError> {
        let (merchant_id, payment_id) = (merchant.clone(), payment_id.to_owned());
        self.read(move |c| {
            let sql = "SELECT account_id, event_id, seen_ms FROM seen_events
                       WHERE merchant_id = ?1 AND payment_id = ?2 ORDER BY seen_ms, event_id LIMIT ?3";
            let mut statement = c.prepare_cached(sql)?;
            let rows = statement.query_map(params![merchant_id.as_str(), payment_id, limit], |row| {
                Ok(SeenEvent {
                    merchant_id: merchant_id.clone(),
                    account_id: row.get(0)?,
                    event_id: row.get(1)?,
                    seen_ms: row.get(2)?,
                    payment_id: Some(payment_id.clone()),
                })
            })?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
        .await
    }

    async fn sweep(&self, before_ms: i64) -> Result<(), StoreError> {
        self.write(move |tx| {
            execute(tx, "DELETE FROM outbox WHERE state = 'delivered' AND delivered_ms < ?1", params![before_ms])?;
            execute(tx, "DELETE FROM outbox WHERE state = 'given_up' AND due_ms < ?1", params![before_ms])?;
            execute(tx, "DELETE FROM seen_events WHERE seen_ms < ?1", params![before_ms])?;
            Ok(())
        })
        .await
    }
}

pub(super) fn put_event(tx: &Connection, event: &NewEvent) -> Result<(), StoreError> {
    execute(
        tx,
        "INSERT INTO outbox (event_id, merchant_id, event_type, payment_id, body, created_ms, state, tries, due_ms)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, 'waiting', 0, ?6)",
        params![
            event.event_id,
            event.merchant_id.as_str(),
            event.event_type,
            event.payment_id,
            event.body,
            event.created_ms
        ],
    )?;
    Ok(())
}

/// `false`: it was there before.
pub(super) fn put_seen(tx: &Connection, seen: &SeenEvent) -> Result<bool, StoreError> {
    let sql = "INSERT OR IGNORE INTO seen_events (merchant_id, account_id, event_id, seen_ms, payment_id)
               VALUES (?1, ?2, ?3, ?4, ?5)";
    let row = params![seen.merchant_id.as_str(), seen.account_id, seen.event_id, seen.seen_ms, seen.payment_id];
    Ok(execute(tx, sql, row)? > 0)
}

fn read_all(mut rows: rusqlite::Rows<'_>) -> Result<Vec<OutboxEvent>, StoreError> {
    let mut events = Vec::new();
    while let Some(row) = rows.next()? {
        events.push(event_of(row)?);
    }
    Ok(events)
}

fn event_of(row: &Row<'_>) -> Result<OutboxEvent, StoreError> {
    let (merchant, state): (String, String) = (row.get(2)?, row.get(7)?);
    Ok(OutboxEvent {
        seq: row.get(0)?,
        event_id: row.get(1)?,
        merchant_id: merchant.parse().map_err(|_| StoreError::Unreadable)?,
        event_type: row.get(3)?,
        payment_id: row.get(4)?,
        body: row.get(5)?,
        created_ms: row.get(6)?,
        state: OutboxState::of_word(&state).ok_or(StoreError::Unreadable)?,
        tries: row.get(8)?,
        due_ms: row.get(9)?,
        last_status: row.get(10)?,
        delivered_ms: row.get(11)?,
    })
}

const COLUMNS: &str = "seq, event_id, merchant_id, event_type, payment_id, body, created_ms, state, tries, due_ms, \
                       last_status, delivered_ms";
