//! Acts that need two people, changed by compare-and-swap, and what the vault keeps under its own signature.

use strongroom_wire::{ActId, limits};
use tokio_postgres::Row;

use super::fault::{Failure, column, signed_time, unsigned};
use super::run::{ask, big, bytes, flag, text, transact, uuid};
use super::{PostgresStore, touch};
use crate::store::{ActRow, KeptRow, StoreError};

impl PostgresStore {
    /// Stores a new act.
    pub(super) async fn put_act(&self, act: &ActRow) -> Result<(), StoreError> {
        let (id, until) = (act.id.uuid(), signed_time(act.until_ms));
        transact!(self.connections, tx => {
            touch(tx).await?;
            let rows = tx.query_typed("SELECT count(*) FROM acts WHERE open", &[]).await?;
            let open = unsigned(column(rows.first().ok_or(StoreError::Corrupt)?, 0)?)?;
            if act.is_open && open >= u64::from(limits::ACTS_OPEN_MAX) {
                return Err(StoreError::Full.into());
            }
            let sql = "INSERT INTO acts (id, open, until_ms, note) VALUES ($1, $2, $3, $4) ON CONFLICT (id) DO NOTHING";
            let row = [uuid(&id), flag(&act.is_open), big(&until), text(&act.note)];
            if tx.execute_typed(sql, &row).await? == 0 { Err(StoreError::Exists.into()) } else { Ok(()) }
        })
    }

    /// Puts a row in the place of another, if that is still there as it was.
    pub(super) async fn replace_act(&self, old: &ActRow, new: &ActRow) -> Result<bool, StoreError> {
        let (id, old_until, new_until) = (old.id.uuid(), signed_time(old.until_ms), signed_time(new.until_ms));
        let sql = "UPDATE acts SET open = $2, until_ms = $3, note = $4 \
                   WHERE id = $1 AND open = $5 AND until_ms = $6 AND note = $7";
        transact!(self.connections, tx => {
            touch(tx).await?;
            let params = [
                uuid(&id),
                flag(&new.is_open),
                big(&new_until),
                text(&new.note),
                flag(&old.is_open),
                big(&old_until),
                text(&old.note),
            ];
            if tx.execute_typed(sql, &params).await? == 0 { Err(Failure::Not) } else { Ok(true) }
        })
    }

    /// The newest acts; ids are ordered by time. Open ones are never pushed out of the list by those that are over.
    pub(super) async fn all_acts(&self) -> Result<Vec<ActRow>, StoreError> {
        let most = i64::from(limits::ACTS_LISTED_MAX);
        let sql = "SELECT id, open, until_ms, note FROM acts ORDER BY open DESC, id DESC LIMIT $1";
        let rows: Vec<Row> = ask!(self.connections, c => { Ok(c.query_typed(sql, &[big(&most)]).await?) })?;
        let act = |row: &Row| {
            Ok(ActRow {
                id: ActId::from_uuid(column(row, 0)?),
                is_open: column(row, 1)?,
                until_ms: unsigned(column(row, 2)?)?,
                note: column(row, 3)?,
            })
        };
        let mut acts = rows.iter().map(act).collect::<Result<Vec<_>, StoreError>>()?;
        acts.sort_unstable_by_key(|act| std::cmp::Reverse(act.id));
        Ok(acts)
    }

    /// Removes acts that are over and were kept long enough.
    pub(super) async fn drop_acts(&self, now_ms: u64) -> Result<u64, StoreError> {
        let now = signed_time(now_ms);
        transact!(self.connections, tx => {
            touch(tx).await?;
            let gone = tx.execute_typed("DELETE FROM acts WHERE NOT open AND until_ms <= $1", &[big(&now)]).await?;
            if gone == 0 { Err(Failure::Not) } else { Ok(gone) }
        })
    }

    /// Keeps something in the place of what had its name.
    pub(super) async fn keep_row(&self, kept: &KeptRow) -> Result<(), StoreError> {
        let sql = "INSERT INTO kept (name, value, note) VALUES ($1, $2, $3) \
                   ON CONFLICT (name) DO UPDATE SET value = excluded.value, note = excluded.note";
        transact!(self.connections, tx => {
            touch(tx).await?;
            tx.execute_typed(sql, &[text(&kept.name), bytes(&kept.value), text(&kept.note)]).await?;
            Ok(())
        })
    }

    /// Everything whose name begins so, by name.
    pub(super) async fn kept_rows(&self, prefix: &str) -> Result<Vec<KeptRow>, StoreError> {
        let sql =
            "SELECT name, value, note FROM kept WHERE substr(name, 1, length($1)) = $1 ORDER BY name COLLATE \"C\"";
        let rows: Vec<Row> = ask!(self.connections, c => { Ok(c.query_typed(sql, &[text(&prefix)]).await?) })?;
        let kept = |row: &Row| Ok(KeptRow { name: column(row, 0)?, value: column(row, 1)?, note: column(row, 2)? });
        rows.iter().map(kept).collect()
    }
}
