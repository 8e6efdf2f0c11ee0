//! Events that go out to merchants, and those of providers that were answered, in PostgreSQL.

use async_trait::async_trait;
use strongroom_wire::TenantId;
use tokio_postgres::{Row, Transaction};

use super::super::{NewEvent, Outbox, OutboxEvent, OutboxState, SeenEvent, StoreError};
use super::run::{Failure, ask, int, text, transact};
use super::{PostgresStore, column};

#[async_trait]
impl Outbox for PostgresStore {
    async fn claim_due_events(&self, now_ms: i64, lease_ms: i64, limit: u32) -> Result<Vec<OutboxEvent>, StoreError> {
        // Of two nodes at once the second passes over what the first has locked, and an event that the first took while
        // the second looked is not due any more when the second comes to lock it.
        let sql = format!(
            "UPDATE outbox SET due_ms = $2 WHERE seq IN (
                 SELECT seq FROM outbox AS event
                 WHERE state = 'waiting' AND due_ms <= $1 AND NOT EXISTS (
                     SELECT 1 FROM outbox AS earlier
                     WHERE earlier.merchant_id = event.merchant_id AND earlier.payment_id = event.payment_id
                       AND earlier.state = 'waiting' AND earlier.seq < event.seq)
                 ORDER BY due_ms, seq LIMIT $3 FOR UPDATE SKIP LOCKED)
             RETURNING {COLUMNS}"
        );
        let (until_ms, limit) = (now_ms.saturating_add(lease_ms), i64::from(limit));
        transact!(self.connections, tx => {
            let params = [int(&now_ms), int(&until_ms), int(&limit)];
            let mut events = read_all(&tx.query_typed(&sql, &params).await?)?;
            events.sort_by_key(|event| event.seq);
            Ok(events)
        })
    }

    async fn finish_event(&self, seq: i64, status: u16, now_ms: i64) -> Result<(), StoreError> {
        let sql = "UPDATE outbox SET state = 'delivered', last_status = $2, delivered_ms = $3 WHERE seq = $1";
        self.change(sql, &[int(&seq), int(&i64::from(status)), int(&now_ms)]).await.map(drop)
    }

    async fn postpone_event(&self, seq: i64, status: Option<u16>, due_ms: i64) -> Result<(), StoreError> {
        let sql = "UPDATE outbox SET tries = tries + 1, last_status = $2, due_ms = $3
                   WHERE seq = $1 AND state = 'waiting'";
        self.change(sql, &[int(&seq), int(&status.map(i64::from)), int(&due_ms)]).await.map(drop)
    }

    async fn give_up_event(&self, seq: i64, status: Option<u16>) -> Result<(), StoreError> {
        let sql = "UPDATE outbox SET state = 'given_up', last_status = $2 WHERE seq = $1 AND state = 'waiting'";
        self.change(sql, &[int(&seq), int(&status.map(i64::from))]).await.map(drop)
    }

    async fn replay_event(&self, merchant: &TenantId, event_id: &str, now_ms: i64) -> Result<bool, StoreError> {
        if event_id.contains('\0') {
            return Ok(false);
        }
        let sql = "UPDATE outbox SET state = 'waiting', tries = 0, due_ms = $3, delivered_ms = NULL
                   WHERE merchant_id = $1 AND event_id = $2";
        let changed = self.change(sql, &[text(&merchant.as_str()), text(&event_id), int(&now_ms)]).await?;
        Ok(changed > 0)
    }

    async fn outbox_events(
        &self,
        merchant: &TenantId,
        payment_id: Option<&str>,
        before_seq: Option<i64>,
        limit: u32,
    ) -> Result<Vec<OutboxEvent>, StoreError> {
        let (merchant, before, limit) = (merchant.as_str(), before_seq.unwrap_or(i64::MAX), i64::from(limit));
        let mut params = vec![text(&merchant), int(&before), int(&limit)];
        params.extend(payment_id.as_ref().map(|id| text(id)));
        let of_payment = if payment_id.is_some() { "AND payment_id = $4" } else { "" };
        let sql = format!(
            "SELECT {COLUMNS} FROM outbox WHERE merchant_id = $1 AND seq < $2 {of_payment} ORDER BY seq DESC LIMIT $3"
        );
        ask!(self.connections, c => { Ok(read_all(&c.query_typed(&sql, &params).await?)?) })
    }

    async fn outbox_event(&self, merchant: &TenantId, event_id: &str) -> Result<Option<OutboxEvent>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM outbox WHERE merchant_id = $1 AND event_id = $2");
        let merchant = merchant.as_str();
        ask!(self.connections, c => {
            let rows = c.query_typed(&sql, &[text(&merchant), text(&event_id)]).await?;
            Ok(rows.first().map(event_of).transpose()?)
        })
    }

    async fn waiting_events(&self) -> Result<u64, StoreError> {
        ask!(self.connections, c => {
            let rows = c.query_typed("SELECT count(*) FROM outbox WHERE state = 'waiting'", &[]).await?;
            let count = column::<i64>(rows.first().ok_or(StoreError::Unreadable)?, 0)?;
            Ok(u64::try_from(count).unwrap_or(0))
        })
    }

    async fn is_seen(&self, seen: &SeenEvent) -> Result<bool, StoreError> {
        ask!(self.connections, c => {
            let sql = "SELECT 1 FROM seen_events WHERE merchant_id = $1 AND account_id = $2 AND event_id = $3";
            let merchant = seen.merchant_id.as_str();
            let key = [text(&merchant), text(&seen.account_id), text(&seen.event_id)];
            Ok(!c.query_typed(sql, &key).await?.is_empty())
        })
    }

    async fn mark_seen(&self, seen: &SeenEvent) -> Result<(), StoreError> {
        transact!(self.connections, tx => { put_seen(tx, seen).await.map(drop) })
    }

    async fn seen_events(
        &self,
        merchant: &TenantId,
        payment_id: &str,
        limit: u32,
    ) -> Result<Vec<SeenEvent>, StoreError> {
        let sql = "SELECT account_id, event_id, seen_ms FROM seen_events
                   WHERE merchant_id = $1 AND payment_id = $2 ORDER BY seen_ms, event_id LIMIT $3";
        let (name, limit) = (merchant.as_str(), i64::from(limit));
        ask!(self.connections, c => {
            let rows = c.query_typed(sql, &[text(&name), text(&payment_id), int(&limit)]).await?;
            let seen = |row: &Row| {
                Ok(SeenEvent {
                    merchant_id: merchant.clone(),
                    account_id: column(row, 0)?,
                    event_id: column(row, 1)?,
                    seen_ms: column(row, 2)?,
                    payment_id: Some(payment_id.to_owned()),
                })
            };
            Ok(rows.iter().map(seen).collect::<Result<_, StoreError>>()?)
        })
    }

    async fn sweep(&self, before_ms: i64) -> Result<(), StoreError> {
        for sql in [
            "DELETE FROM outbox WHERE state = 'delivered' AND delivered_ms < $1",
            "DELETE FROM outbox WHERE state = 'given_up' AND due_ms < $1",
            "DELETE FROM seen_events WHERE seen_ms < $1",
        ] {
            self.change(sql, &[int(&before_ms)]).await?;
        }
        Ok(())
    }
}

pub(super) async fn put_event(tx: &Transaction<'_>, event: &NewEvent) -> Result<(), Failure> {
    let sql = "INSERT INTO outbox
                   (event_id, merchant_id, event_type, payment_id, body, created_ms, state, tries, due_ms)
               VALUES ($1, $2, $3, $4, $5, $6, 'waiting', 0, $6)";
    let merchant = event.merchant_id.as_str();
    let row = [
        text(&event.event_id),
        text(&merchant),
        text(&event.event_type),
        text(&event.payment_id),
        text(&event.body),
        int(&event.created_ms),
    ];
    tx.execute_typed(sql, &row).await?;
    Ok(())
}

/// `false`: it was there before.
pub(super) async fn put_seen(tx: &Transaction<'_>, seen: &SeenEvent) -> Result<bool, Failure> {
    let sql = "INSERT INTO seen_events (merchant_id, account_id, event_id, seen_ms, payment_id)
               VALUES ($1, $2, $3, $4, $5) ON CONFLICT (merchant_id, account_id, event_id) DO NOTHING";
    let merchant = seen.merchant_id.as_str();
    let row =
        [text(&merchant), text(&seen.account_id), text(&seen.event_id), int(&seen.seen_ms), text(&seen.payment_id)];
    Ok(tx.execute_typed(sql, &row).await? > 0)
}

fn read_all(rows: &[Row]) -> Result<Vec<OutboxEvent>, StoreError> {
    rows.iter().map(event_of).collect()
}

fn event_of(row: &Row) -> Result<OutboxEvent, StoreError> {
    let status = column::<Option<i64>>(row, 10)?.map(u16::try_from).transpose();
    Ok(OutboxEvent {
        seq: column(row, 0)?,
        event_id: column(row, 1)?,
        merchant_id: column::<&str>(row, 2)?.parse().map_err(|_| StoreError::Unreadable)?,
        event_type: column(row, 3)?,
        payment_id: column(row, 4)?,
        body: column(row, 5)?,
        created_ms: column(row, 6)?,
        state: OutboxState::of_word(column(row, 7)?).ok_or(StoreError::Unreadable)?,
        tries: u32::try_from(column::<i64>(row, 8)?).map_err(|_| StoreError::Unreadable)?,
        due_ms: column(row, 9)?,
        last_status: status.map_err(|_| StoreError::Unreadable)?,
        delivered_ms: column(row, 11)?,
    })
}

const COLUMNS: &str = "seq, event_id, merchant_id, event_type, payment_id, body, created_ms, state, tries, due_ms, \
                       last_status, delivered_ms";
