//! The Root in force, changes of it with the keys that they stage, and acknowledgements.

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension, Row, params};
use strongroom_wire::custody::RootChangeState;
use strongroom_wire::limits;

use super::SqliteStore;
use super::cards::signed_time;
use super::cluster;
use super::fault::{fault, unsigned};
use super::keys::{self, Name};
use super::writer::Desk;
use crate::store::bounds;
use crate::store::{AcknowledgementRow, Custody, KeyRow, RootChangeRow, StagedKey, StoreError};

#[async_trait]
impl Custody for SqliteStore {
    async fn root_in_force(&self) -> Result<Option<[u8; 32]>, StoreError> {
        self.readers.short(in_force)
    }

    async fn adopt_root(&self, sum: [u8; 32]) -> Result<[u8; 32], StoreError> {
        self.writer.write(move |desk| adopt(desk, &sum)).await
    }

    async fn root_change(&self) -> Result<Option<RootChangeRow>, StoreError> {
        self.readers.short(|conn| Ok(newest(conn)?.map(|(_, row)| row)))
    }

    async fn begin_root_change(&self, row: RootChangeRow) -> Result<bool, StoreError> {
        bounds::root_change(&row)?;
        self.writer.write(move |desk| begin(desk, &row)).await
    }

    async fn note_root_change(&self, row: RootChangeRow) -> Result<bool, StoreError> {
        bounds::root_change(&row)?;
        self.writer.write(move |desk| note(desk, &row)).await
    }

    async fn unstaged_keys(&self, limit: u32) -> Result<Vec<KeyRow>, StoreError> {
        let limit = limit.min(limits::STORE_PAGE_MAX);
        self.readers.long(move |conn| unstaged(conn, limit)).await
    }

    async fn count_staged(&self) -> Result<(u64, u64), StoreError> {
        self.readers.long(count).await
    }

    async fn stage_keys(&self, to: [u8; 32], staged: Vec<StagedKey>) -> Result<bool, StoreError> {
        bounds::page(staged.len())?;
        let mut named = Vec::with_capacity(staged.len());
        for key in staged {
            bounds::wrapped(&key.wrapped)?;
            bounds::wrapped(&key.instead_of)?;
            named.push((self.key_name(&key.name)?, key));
        }
        self.writer
            .write(move |desk| {
                if !newest(desk.conn)?.is_some_and(|(_, change)| change.state.is_open() && change.to == to) {
                    return Ok(false);
                }
                named.iter().try_for_each(|(name, key)| stage(desk, *name, key))?;
                Ok(true)
            })
            .await
    }

    async fn swap_root(&self, from: [u8; 32], to: [u8; 32], rewraps: bool) -> Result<bool, StoreError> {
        self.writer.write(move |desk| swap(desk, &from, &to, rewraps)).await
    }

    async fn acknowledge(&self, row: AcknowledgementRow) -> Result<bool, StoreError> {
        bounds::acknowledgement(&row)?;
        self.writer.write(move |desk| acknowledge(desk, &row)).await
    }

    async fn acknowledgements(&self) -> Result<Vec<AcknowledgementRow>, StoreError> {
        self.readers.short(acknowledged)
    }
}

fn in_force(conn: &Connection) -> Result<Option<[u8; 32]>, StoreError> {
    let sum: Option<Vec<u8>> = conn
        .prepare_cached("SELECT value FROM settings WHERE name = 'root'")
        .and_then(|mut statement| statement.query_row([], |row| row.get(0)).optional())
        .map_err(fault)?;
    sum.map(|bytes| bytes.try_into().map_err(|_| StoreError::Corrupt)).transpose()
}

/// Whether keys that were wrapped by this root.json may be stored; before the first one is adopted any may.
pub(super) fn wrapped_under(conn: &Connection, under: Option<&[u8; 32]>) -> Result<(), StoreError> {
    let Some(under) = under else { return Ok(()) };
    if in_force(conn)?.is_none_or(|known| known == *under) { Ok(()) } else { Err(StoreError::OtherRoot) }
}

fn adopt(desk: &mut Desk<'_>, sum: &[u8; 32]) -> Result<[u8; 32], StoreError> {
    if let Some(known) = in_force(desk.conn)? {
        return Ok(known);
    }
    desk.conn
        .prepare_cached("INSERT INTO settings (name, value) VALUES ('root', ?1)")
        .and_then(|mut statement| statement.execute(params![sum]))
        .map_err(fault)?;
    cluster::touch(desk)?;
    Ok(*sum)
}

fn newest(conn: &Connection) -> Result<Option<(i64, RootChangeRow)>, StoreError> {
    let mut statement = conn
        .prepare_cached(
            "SELECT id, from_root, to_root, rewraps, state, done, total, started_ms, keys_per_second_max, fault, proof \
             FROM root_changes ORDER BY id DESC LIMIT 1",
        )
        .map_err(fault)?;
    let mut rows = statement.query([]).map_err(fault)?;
    rows.next().map_err(fault)?.map(change_of).transpose()
}

fn change_of(row: &Row<'_>) -> Result<(i64, RootChangeRow), StoreError> {
    let sum = |column| -> Result<[u8; 32], StoreError> {
        row.get::<_, Vec<u8>>(column).map_err(fault)?.try_into().map_err(|_| StoreError::Corrupt)
    };
    let state: u8 = row.get(4).map_err(fault)?;
    let change = RootChangeRow {
        from: sum(1)?,
        to: sum(2)?,
        rewraps: row.get(3).map_err(fault)?,
        state: *RootChangeState::ALL.iter().find(|known| **known as u8 == state).ok_or(StoreError::Corrupt)?,
        done: unsigned(row.get(5).map_err(fault)?)?,
        total: unsigned(row.get(6).map_err(fault)?)?,
        started_ms: unsigned(row.get(7).map_err(fault)?)?,
        keys_per_second_max: row.get(8).map_err(fault)?,
        fault: row.get(9).map_err(fault)?,
        proof: row.get(10).map_err(fault)?,
    };
    Ok((row.get(0).map_err(fault)?, change))
}

fn begin(desk: &mut Desk<'_>, row: &RootChangeRow) -> Result<bool, StoreError> {
    if newest(desk.conn)?.is_some_and(|(_, known)| known.state.is_open()) {
        return Ok(false);
    }
    clear(desk)?;
    desk.conn
        .prepare_cached(
            "INSERT INTO root_changes (from_root, to_root, rewraps, state, done, total, started_ms, keys_per_second_max, \
             fault, proof) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
        )
        .and_then(|mut statement| {
            statement.execute(params![
                row.from,
                row.to,
                row.rewraps,
                row.state as u8,
                signed_time(row.done),
                signed_time(row.total),
                signed_time(row.started_ms),
                row.keys_per_second_max,
                row.fault,
                row.proof,
            ])
        })
        .map_err(fault)?;
    Ok(true)
}

fn note(desk: &mut Desk<'_>, row: &RootChangeRow) -> Result<bool, StoreError> {
    let Some((id, known)) = newest(desk.conn)? else { return Ok(false) };
    if !known.state.is_open() || (known.from, known.to) != (row.from, row.to) {
        return Ok(false);
    }
    if row.state == RootChangeState::Abandoned {
        clear(desk)?;
    }
    desk.conn
        .prepare_cached(
            "UPDATE root_changes SET state = ?2, done = ?3, total = ?4, keys_per_second_max = ?5, fault = ?6, proof = ?7 \
             WHERE id = ?1",
        )
        .and_then(|mut statement| {
            statement.execute(params![
                id,
                row.state as u8,
                signed_time(row.done),
                signed_time(row.total),
                row.keys_per_second_max,
                row.fault,
                row.proof,
            ])
        })
        .map_err(fault)?;
    Ok(true)
}

fn clear(desk: &mut Desk<'_>) -> Result<(), StoreError> {
    let gone = desk.conn.execute("DELETE FROM staged_keys", []).map_err(fault)?;
    desk.shreds |= gone > 0;
    Ok(())
}

fn unstaged(conn: &Connection, limit: u32) -> Result<Vec<KeyRow>, StoreError> {
    let sql = format!("{} WHERE {UNSTAGED} ORDER BY keys.tenant, keys.purpose, keys.term LIMIT ?1", keys::SELECT);
    let mut statement = conn.prepare_cached(&sql).map_err(fault)?;
    let mut rows = statement.query([limit]).map_err(fault)?;
    let mut found = Vec::new();
    while let Some(row) = rows.next().map_err(fault)? {
        found.push(keys::row(row)?);
    }
    Ok(found)
}

fn count(conn: &Connection) -> Result<(u64, u64), StoreError> {
    let ask = |sql: &str| -> Result<u64, StoreError> {
        unsigned(conn.prepare_cached(sql).and_then(|mut asked| asked.query_row([], |row| row.get(0))).map_err(fault)?)
    };
    let live = ask("SELECT count(*) FROM keys WHERE state != 4")?;
    let left = ask(&format!("SELECT count(*) FROM keys WHERE {UNSTAGED}"))?;
    Ok((live.saturating_sub(left), live))
}

fn stage(desk: &mut Desk<'_>, name: Name, key: &StagedKey) -> Result<(), StoreError> {
    desk.conn
        .prepare_cached(
            // A key that was destroyed while it was being wrapped is not staged: the copy would outlive it.
            "INSERT OR REPLACE INTO staged_keys (purpose, tenant, term, instead_of, wrapped) SELECT ?1, ?2, ?3, ?4, ?5 \
             WHERE EXISTS (SELECT 1 FROM keys WHERE purpose = ?1 AND tenant = ?2 AND term = ?3 AND state != 4)",
        )
        .and_then(|mut statement| {
            statement.execute(params![name.purpose, name.tenant, name.term, key.instead_of, key.wrapped])
        })
        .map_err(fault)?;
    Ok(())
}

/// Everything is looked at first: an answer of `false` has written nothing.
fn swap(desk: &mut Desk<'_>, from: &[u8; 32], to: &[u8; 32], rewraps: bool) -> Result<bool, StoreError> {
    let Some((_, change)) = newest(desk.conn)? else { return Ok(false) };
    let is_this = change.state.is_open() && (&change.from, &change.to) == (from, to);
    if !is_this || in_force(desk.conn)?.as_ref() != Some(from) {
        return Ok(false);
    }
    if rewraps {
        if !unstaged(desk.conn, 1)?.is_empty() {
            return Ok(false);
        }
        desk.conn
            .execute(
                "UPDATE keys SET wrapped = (SELECT staged_keys.wrapped FROM staged_keys WHERE \
                 staged_keys.purpose = keys.purpose AND staged_keys.tenant = keys.tenant AND staged_keys.term = keys.term) \
                 WHERE state != 4",
                [],
            )
            .map_err(fault)?;
        desk.shreds = true;
    }
    clear(desk)?;
    desk.conn
        .prepare_cached("UPDATE settings SET value = ?1 WHERE name = 'root'")
        .and_then(|mut statement| statement.execute(params![to]))
        .map_err(fault)?;
    cluster::touch(desk)?;
    Ok(true)
}

fn acknowledge(desk: &mut Desk<'_>, row: &AcknowledgementRow) -> Result<bool, StoreError> {
    let new = desk
        .conn
        .prepare_cached(
            "INSERT INTO acknowledgements (who, root, duty, at_ms) VALUES (?1, ?2, ?3, ?4) \
             ON CONFLICT (who, root) DO UPDATE SET duty = ?3, at_ms = ?4 WHERE duty <> ?3",
        )
        .and_then(|mut statement| statement.execute(params![row.who, row.root, row.duty, signed_time(row.at_ms)]))
        .map_err(fault)?;
    Ok(new > 0)
}

fn acknowledged(conn: &Connection) -> Result<Vec<AcknowledgementRow>, StoreError> {
    let mut statement =
        conn.prepare_cached("SELECT who, root, duty, at_ms FROM acknowledgements ORDER BY id").map_err(fault)?;
    let mut rows = statement.query([]).map_err(fault)?;
    let mut all = Vec::new();
    while let Some(row) = rows.next().map_err(fault)? {
        all.push(AcknowledgementRow {
            who: row.get(0).map_err(fault)?,
            root: row.get::<_, Vec<u8>>(1).map_err(fault)?.try_into().map_err(|_| StoreError::Corrupt)?,
            duty: row.get(2).map_err(fault)?,
            at_ms: unsigned(row.get(3).map_err(fault)?)?,
        });
    }
    Ok(all)
}

/// Keys, not the destroyed ones (4), that are not staged from the bytes that they have now.
const UNSTAGED: &str = "keys.state != 4 AND NOT EXISTS (SELECT 1 FROM staged_keys AS staged WHERE \
    staged.purpose = keys.purpose AND staged.tenant = keys.tenant AND staged.term = keys.term \
    AND staged.instead_of = keys.wrapped)";

#[cfg(test)]
#[path = "custody_tests.rs"]
mod tests;
