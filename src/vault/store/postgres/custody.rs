//! The Root in force, changes of it with the keys that they stage, and acknowledgements.

use async_trait::async_trait;
use strongroom_wire::custody::RootChangeState;
use strongroom_wire::limits;
use tokio_postgres::{Client, Row};

use super::fault::{Failure, column, fixed, signed_time, unsigned};
use super::keys;
use super::run::{ask, big, bytes, flag, small, text, transact};
use super::{PostgresStore, hold, touch};
use crate::store::bounds;
use crate::store::{AcknowledgementRow, Custody, KeyRow, RootChangeRow, StagedKey, StoreError};

#[async_trait]
impl Custody for PostgresStore {
    async fn root_in_force(&self) -> Result<Option<[u8; 32]>, StoreError> {
        ask!(self.connections, c => { in_force(c).await })
    }

    async fn adopt_root(&self, sum: [u8; 32]) -> Result<[u8; 32], StoreError> {
        transact!(self.connections, tx => {
            if let Some(known) = in_force(tx).await? {
                return Ok(known);
            }
            touch(tx).await?;
            let sql = "INSERT INTO settings (name, value) VALUES ('root', $1) ON CONFLICT (name) DO NOTHING";
            if tx.execute_typed(sql, &[bytes(&sum.as_slice())]).await? == 0 {
                // Another node was first: begun again, this finds what it put there.
                return Err(Failure::Again);
            }
            Ok(sum)
        })
    }

    async fn root_change(&self) -> Result<Option<RootChangeRow>, StoreError> {
        ask!(self.connections, c => { Ok(newest(c).await?.map(|(_, row)| row)) })
    }

    async fn begin_root_change(&self, row: RootChangeRow) -> Result<bool, StoreError> {
        bounds::root_change(&row)?;
        transact!(self.connections, tx => { begin(tx, &row).await })
    }

    async fn note_root_change(&self, row: RootChangeRow) -> Result<bool, StoreError> {
        bounds::root_change(&row)?;
        transact!(self.connections, tx => { note(tx, &row).await })
    }

    async fn unstaged_keys(&self, limit: u32) -> Result<Vec<KeyRow>, StoreError> {
        let limit = limit.min(limits::STORE_PAGE_MAX);
        ask!(self.connections, c => { unstaged(c, limit).await })
    }

    async fn count_staged(&self) -> Result<(u64, u64), StoreError> {
        let sql = format!("SELECT count(*), count(*) FILTER (WHERE {UNSTAGED}) FROM keys WHERE keys.state <> 4");
        let rows: Vec<Row> = ask!(self.connections, c => { Ok(c.query_typed(&sql, &[]).await?) })?;
        let row = rows.first().ok_or(StoreError::Corrupt)?;
        let (live, left) = (unsigned(column(row, 0)?)?, unsigned(column(row, 1)?)?);
        Ok((live.saturating_sub(left), live))
    }

    async fn stage_keys(&self, to: [u8; 32], staged: Vec<StagedKey>) -> Result<bool, StoreError> {
        bounds::page(staged.len())?;
        let mut named = Vec::with_capacity(staged.len());
        for key in staged {
            bounds::wrapped(&key.wrapped)?;
            bounds::wrapped(&key.instead_of)?;
            named.push((self.key_name(&key.name).await?, key));
        }
        transact!(self.connections, tx => {
            hold(tx).await?;
            if !newest(tx).await?.is_some_and(|(_, change)| change.state.is_open() && change.to == to) {
                return Err(Failure::Not);
            }
            for (name, key) in &named {
                stage(tx, name, key).await?;
            }
            Ok(true)
        })
    }

    async fn swap_root(&self, from: [u8; 32], to: [u8; 32], rewraps: bool) -> Result<bool, StoreError> {
        transact!(self.connections, tx => { swap(tx, &from, &to, rewraps).await })
    }

    async fn acknowledge(&self, row: AcknowledgementRow) -> Result<bool, StoreError> {
        bounds::acknowledgement(&row)?;
        let (duty, at) = (i64::from(row.duty), signed_time(row.at_ms));
        let root = row.root.as_slice();
        transact!(self.connections, tx => {
            hold(tx).await?;
            let sql = "INSERT INTO acknowledgements (id, who, root, duty, at_ms) \
                       SELECT coalesce(max(id), 0) + 1, $1, $2, $3, $4 FROM acknowledgements \
                       ON CONFLICT (who, root) DO UPDATE SET duty = $3, at_ms = $4 WHERE acknowledgements.duty <> $3";
            Ok(tx.execute_typed(sql, &[text(&row.who), bytes(&root), big(&duty), big(&at)]).await? > 0)
        })
    }

    async fn acknowledgements(&self) -> Result<Vec<AcknowledgementRow>, StoreError> {
        let sql = "SELECT who, root, duty, at_ms FROM acknowledgements ORDER BY id";
        let rows: Vec<Row> = ask!(self.connections, c => { Ok(c.query_typed(sql, &[]).await?) })?;
        let acknowledged = |row: &Row| {
            Ok(AcknowledgementRow {
                who: column(row, 0)?,
                root: fixed(column(row, 1)?)?,
                duty: u32::try_from(column::<i64>(row, 2)?).map_err(|_| StoreError::Corrupt)?,
                at_ms: unsigned(column(row, 3)?)?,
            })
        };
        rows.iter().map(acknowledged).collect()
    }
}

/// Whether keys that were wrapped by this root.json may be stored; before the first one is adopted any may. Call it after
/// [`touch`], for which a change of the Root waits.
pub(super) async fn wrapped_under(tx: &Client, under: Option<&[u8; 32]>) -> Result<(), Failure> {
    let Some(under) = under else { return Ok(()) };
    if in_force(tx).await?.is_none_or(|known| known == *under) { Ok(()) } else { Err(StoreError::OtherRoot.into()) }
}

async fn in_force(client: &Client) -> Result<Option<[u8; 32]>, Failure> {
    let rows = client.query_typed("SELECT value FROM settings WHERE name = 'root'", &[]).await?;
    Ok(rows.first().map(|row| fixed(column(row, 0)?)).transpose()?)
}

async fn newest(client: &Client) -> Result<Option<(i64, RootChangeRow)>, Failure> {
    let sql = "SELECT id, from_root, to_root, rewraps, state, done, total, started_ms, keys_per_second_max, fault, proof \
               FROM root_changes ORDER BY id DESC LIMIT 1";
    Ok(client.query_typed(sql, &[]).await?.first().map(change_of).transpose()?)
}

fn change_of(row: &Row) -> Result<(i64, RootChangeRow), StoreError> {
    let state: i16 = column(row, 4)?;
    let most: Option<i64> = column(row, 8)?;
    let change = RootChangeRow {
        from: fixed(column(row, 1)?)?,
        to: fixed(column(row, 2)?)?,
        rewraps: column(row, 3)?,
        state: *RootChangeState::ALL.iter().find(|known| **known as i16 == state).ok_or(StoreError::Corrupt)?,
        done: unsigned(column(row, 5)?)?,
        total: unsigned(column(row, 6)?)?,
        started_ms: unsigned(column(row, 7)?)?,
        keys_per_second_max: most.map(u32::try_from).transpose().map_err(|_| StoreError::Corrupt)?,
        fault: column(row, 9)?,
        proof: column(row, 10)?,
    };
    Ok((column(row, 0)?, change))
}

async fn begin(tx: &Client, row: &RootChangeRow) -> Result<bool, Failure> {
    hold(tx).await?;
    if newest(tx).await?.is_some_and(|(_, known)| known.state.is_open()) {
        return Err(Failure::Not);
    }
    tx.execute_typed("DELETE FROM staged_keys", &[]).await?;
    let (state, most) = (row.state as i16, row.keys_per_second_max.map(i64::from));
    let (done, total, started) = (signed_time(row.done), signed_time(row.total), signed_time(row.started_ms));
    let (from, to) = (row.from.as_slice(), row.to.as_slice());
    let sql = "INSERT INTO root_changes (id, from_root, to_root, rewraps, state, done, total, started_ms, \
               keys_per_second_max, fault, proof) \
               SELECT coalesce(max(id), 0) + 1, $1, $2, $3, $4, $5, $6, $7, $8, $9, $10 FROM root_changes";
    let params = [
        bytes(&from),
        bytes(&to),
        flag(&row.rewraps),
        small(&state),
        big(&done),
        big(&total),
        big(&started),
        big(&most),
        text(&row.fault),
        text(&row.proof),
    ];
    tx.execute_typed(sql, &params).await?;
    Ok(true)
}

async fn note(tx: &Client, row: &RootChangeRow) -> Result<bool, Failure> {
    hold(tx).await?;
    let Some((id, known)) = newest(tx).await? else { return Err(Failure::Not) };
    if !known.state.is_open() || (known.from, known.to) != (row.from, row.to) {
        return Err(Failure::Not);
    }
    if row.state == RootChangeState::Abandoned {
        tx.execute_typed("DELETE FROM staged_keys", &[]).await?;
    }
    let (state, most) = (row.state as i16, row.keys_per_second_max.map(i64::from));
    let (done, total) = (signed_time(row.done), signed_time(row.total));
    let sql = "UPDATE root_changes SET state = $2, done = $3, total = $4, keys_per_second_max = $5, fault = $6, proof = $7 \
               WHERE id = $1";
    let params = [big(&id), small(&state), big(&done), big(&total), big(&most), text(&row.fault), text(&row.proof)];
    tx.execute_typed(sql, &params).await?;
    Ok(true)
}

async fn unstaged(client: &Client, limit: u32) -> Result<Vec<KeyRow>, Failure> {
    let (sql, limit) = (
        format!(
            "{} WHERE keys.state <> 4 AND {UNSTAGED} ORDER BY keys.tenant, keys.purpose, keys.term LIMIT $1",
            keys::SELECT
        ),
        i64::from(limit),
    );
    let rows = client.query_typed(&sql, &[big(&limit)]).await?;
    Ok(rows.iter().map(keys::read).collect::<Result<_, _>>()?)
}

async fn stage(tx: &Client, name: &keys::Name, key: &StagedKey) -> Result<(), Failure> {
    // A key that was destroyed while it was being wrapped is not staged: the copy would outlive it.
    let sql = "INSERT INTO staged_keys (purpose, tenant, term, instead_of, wrapped) SELECT $1, $2, $3, $4, $5 \
               WHERE EXISTS (SELECT 1 FROM keys WHERE purpose = $1 AND tenant = $2 AND term = $3 AND state <> 4) \
               ON CONFLICT (purpose, tenant, term) \
               DO UPDATE SET instead_of = excluded.instead_of, wrapped = excluded.wrapped";
    let [purpose, tenant, term] = name.params();
    tx.execute_typed(sql, &[purpose, tenant, term, bytes(&key.instead_of), bytes(&key.wrapped)]).await?;
    Ok(())
}

async fn swap(tx: &Client, from: &[u8; 32], to: &[u8; 32], rewraps: bool) -> Result<bool, Failure> {
    touch(tx).await?;
    let Some((_, change)) = newest(tx).await? else { return Err(Failure::Not) };
    let is_this = change.state.is_open() && (&change.from, &change.to) == (from, to);
    if !is_this || in_force(tx).await?.as_ref() != Some(from) {
        return Err(Failure::Not);
    }
    if rewraps {
        if !unstaged(tx, 1).await?.is_empty() {
            return Err(Failure::Not);
        }
        let sql = "UPDATE keys SET wrapped = staged_keys.wrapped FROM staged_keys WHERE staged_keys.purpose = keys.purpose \
                   AND staged_keys.tenant = keys.tenant AND staged_keys.term = keys.term AND keys.state <> 4";
        tx.execute_typed(sql, &[]).await?;
    }
    tx.execute_typed("DELETE FROM staged_keys", &[]).await?;
    tx.execute_typed("UPDATE settings SET value = $1 WHERE name = 'root'", &[bytes(&to.as_slice())]).await?;
    Ok(true)
}

/// Keys that are not staged from the bytes that they have now.
const UNSTAGED: &str = "NOT EXISTS (SELECT 1 FROM staged_keys AS staged WHERE staged.purpose = keys.purpose \
    AND staged.tenant = keys.tenant AND staged.term = keys.term AND staged.instead_of = keys.wrapped)";
