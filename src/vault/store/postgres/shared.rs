//! What nodes share, over one database.

use async_trait::async_trait;
use strongroom_wire::{NodeName, limits};
use tokio_postgres::Row;
use tokio_postgres::types::Type;
use uuid::Uuid;

use super::PostgresStore;
use super::fault::{column, fixed, signed_term, signed_time, unsigned};
use super::run::{array, ask, big, bytes, int, text, transact, uuid};
use crate::store::{CvcMark, EpochRow, Shared, SignTerm, StoreError, UseReport, UseRow, bounds};

#[async_trait]
impl Shared for PostgresStore {
    async fn put_epochs(&self, mut rows: Vec<EpochRow>) -> Result<(), StoreError> {
        bounds::epochs(&rows)?;
        // In one order, so that two nodes that give the same keys do not wait for each other.
        rows.sort_unstable_by_key(|row| (row.to, row.epoch));
        let mailboxes: Vec<&[u8]> = rows.iter().map(|row| row.to.as_slice()).collect();
        let epochs: Vec<i64> = rows.iter().map(|row| i64::from(row.epoch)).collect();
        let ends: Vec<i64> = rows.iter().map(|row| signed_time(row.ends_ms)).collect();
        let notes: Vec<&str> = rows.iter().map(|row| row.note.as_str()).collect();
        let sql = "INSERT INTO epochs (mailbox, epoch, ends_ms, note) SELECT * FROM unnest($1, $2, $3, $4) \
                   ON CONFLICT (mailbox, epoch) DO NOTHING";
        let params = [
            array(&mailboxes, Type::BYTEA_ARRAY),
            array(&epochs, Type::INT8_ARRAY),
            array(&ends, Type::INT8_ARRAY),
            array(&notes, Type::TEXT_ARRAY),
        ];
        self.connections.once(sql, &params).await.map(drop)
    }

    async fn epochs_to(&self, mailboxes: Vec<[u8; 32]>, now_ms: u64) -> Result<Vec<EpochRow>, StoreError> {
        bounds::page(mailboxes.len())?;
        let mailboxes: Vec<&[u8]> = mailboxes.iter().map(<[u8; 32]>::as_slice).collect();
        let (now, most) = (signed_time(now_ms), i64::from(limits::STORE_PAGE_MAX));
        let sql = "SELECT epoch, mailbox, ends_ms, note FROM epochs WHERE mailbox = ANY($1) AND ends_ms > $2 LIMIT $3";
        let rows: Vec<Row> = ask!(self.connections, c => {
            Ok(c.query_typed(sql, &[array(&mailboxes, Type::BYTEA_ARRAY), big(&now), big(&most)]).await?)
        })?;
        let row = |row: &Row| {
            Ok(EpochRow {
                epoch: u32::try_from(column::<i64>(row, 0)?).map_err(|_| StoreError::Corrupt)?,
                to: fixed(column(row, 1)?)?,
                ends_ms: unsigned(column(row, 2)?)?,
                note: column(row, 3)?,
            })
        };
        rows.iter().map(row).collect()
    }

    async fn mark_cvc(&self, mark: CvcMark) -> Result<bool, StoreError> {
        // The row of the first time comes back either way; it is written over with itself, which waits for whoever makes it now.
        let sql = "INSERT INTO opened_cvcs (epoch, name, attempt, ends_ms) VALUES ($1, $2, $3, $4) \
                   ON CONFLICT (epoch, name) DO UPDATE SET attempt = opened_cvcs.attempt RETURNING attempt";
        let (epoch, name, ends) = (i64::from(mark.epoch), mark.name.as_slice(), signed_time(mark.ends_ms));
        let attempt = Uuid::from_bytes(mark.attempt);
        let rows = self.connections.once(sql, &[big(&epoch), bytes(&name), uuid(&attempt), big(&ends)]).await?;
        Ok(column::<Uuid>(rows.first().ok_or(StoreError::Corrupt)?, 0)? == attempt)
    }

    async fn purge_epochs(&self, now_ms: u64, limit: u32) -> Result<u64, StoreError> {
        let (now, most) = (signed_time(now_ms), i64::from(limit.min(limits::STORE_PAGE_MAX)));
        let keys = "DELETE FROM epochs USING (SELECT mailbox, epoch FROM epochs WHERE ends_ms <= $1 \
                    ORDER BY mailbox, epoch LIMIT $2) AS old \
                    WHERE epochs.mailbox = old.mailbox AND epochs.epoch = old.epoch RETURNING 1";
        let marks = "DELETE FROM opened_cvcs USING (SELECT epoch, name FROM opened_cvcs WHERE ends_ms <= $1 \
                     ORDER BY ends_ms, epoch, name LIMIT $2) AS old \
                     WHERE opened_cvcs.epoch = old.epoch AND opened_cvcs.name = old.name RETURNING 1";
        let mut gone = 0;
        for sql in [keys, marks] {
            gone += self.connections.once(sql, &[big(&now), big(&most)]).await?.len() as u64;
        }
        Ok(gone)
    }

    async fn restart_log(&self, node: &NodeName, first: SignTerm) -> Result<(), StoreError> {
        bounds::sign_term(&first)?;
        let (node, term, from) = (node.as_str(), signed_term(first.term)?, signed_time(first.from_entry));
        transact!(self.connections, tx => {
            tx.execute_typed("DELETE FROM sign_terms WHERE node = $1", &[text(&node)]).await?;
            let sql = "INSERT INTO sign_terms (node, term, public_key, from_entry, handover) VALUES ($1, $2, $3, $4, $5)";
            let row = [text(&node), int(&term), text(&first.public_key), big(&from), text(&first.handover)];
            tx.execute_typed(sql, &row).await?;
            Ok(())
        })
    }

    async fn exchange_uses(&self, own: UseReport) -> Result<Vec<UseRow>, StoreError> {
        bounds::uses(&own)?;
        let (node, turn) = (own.node.as_str(), signed_time(own.turn));
        // The others are read as they were when the statement began, before this node's row is there for anybody.
        let sql = "WITH own AS (INSERT INTO uses (node, run, turn, said, seen) VALUES ($1, $2, $3, $4, clock_timestamp()) \
                   ON CONFLICT (node) DO UPDATE SET run = excluded.run, turn = excluded.turn, said = excluded.said, \
                   seen = excluded.seen WHERE uses.run <> excluded.run OR uses.turn < excluded.turn) \
                   SELECT node, CAST(extract(epoch FROM clock_timestamp() - seen) * 1000 AS BIGINT), said FROM uses \
                   WHERE node <> $1 AND seen > clock_timestamp() - INTERVAL '25 hours' ORDER BY node";
        let params = [text(&node), uuid(&own.run), big(&turn), bytes(&own.said)];
        let rows = self.connections.once(sql, &params).await?;
        let row = |row: &Row| {
            Ok(UseRow {
                node: column::<&str>(row, 0)?.parse().map_err(|_| StoreError::Corrupt)?,
                age_ms: u64::try_from(column::<i64>(row, 1)?).unwrap_or(0),
                said: column(row, 2)?,
            })
        };
        rows.iter().map(row).collect()
    }
}
