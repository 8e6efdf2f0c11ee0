//! The SQLite file that a store is moved out of.

use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::{Connection, OptionalExtension as _, params};
use uuid::Uuid;

use super::capture::{self, HELD, MOVED};
use super::digest::Tally;
use super::pages;
use super::tables::{Cell, Record, TABLES};
use crate::store::sqlite::{Held, MOVED_SCHEMA, fault, newest_schema};
use crate::store::{SqliteStore, StoreError};

/// The file.
#[derive(Clone)]
pub struct Source {
    store: Arc<SqliteStore>,
}

/// A move that was begun.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Started {
    /// Its name on both sides.
    pub run: Uuid,
    /// When.
    pub started_ms: u64,
    /// Rows that there were.
    pub total: u64,
    /// At most so many rows a second.
    pub rate: Option<u32>,
    /// Whether the triggers were made for the tables of now.
    pub is_of_this_schema: bool,
    /// Set once it is over.
    pub moved: Option<Moved>,
}

/// That the file is not the store any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moved {
    /// Which move.
    pub run: Uuid,
    /// The digest over all rows, in hexadecimal digits.
    pub digest: String,
    /// The database, in words.
    pub target: String,
    /// Whether the database was opened for vaults.
    pub is_released: bool,
}

/// Rows that changed.
#[derive(Debug, Default)]
pub(super) struct Changes {
    /// The last change of these; none if there is none.
    pub(super) last: Option<i64>,
    /// How many changes these are: a row that changed twice is here once.
    pub(super) count: u64,
    /// Table, key, and the row as it is now; none where it is gone.
    pub(super) rows: Vec<(usize, Vec<Cell>, Option<Record>)>,
}

impl Source {
    /// Of this store.
    #[must_use]
    pub fn new(store: Arc<SqliteStore>) -> Self {
        Self { store }
    }

    /// The move that was begun, if one was.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], [`StoreError::Corrupt`].
    pub async fn started(&self) -> Result<Option<Started>, StoreError> {
        self.store.read_for_move(started).await
    }

    /// Begins one: from now on every change is written down.
    ///
    /// # Errors
    /// [`StoreError::Exists`] if one was begun.
    pub async fn begin(&self, run: Uuid, now_ms: u64, rate: Option<u32>) -> Result<(), StoreError> {
        let total = self.store.read_for_move(count).await?;
        let now = i64::try_from(now_ms).map_err(|_| StoreError::TooLarge)?;
        self.store
            .write_for_move(move |conn| {
                if started(conn)?.is_some() {
                    return Err(StoreError::Exists);
                }
                conn.execute_batch(capture::MADE).map_err(fault)?;
                capture::make(conn, &capture::capturing()).map_err(fault)?;
                let sql =
                    "INSERT INTO moving (id, run, started_ms, schema, total, rate) VALUES (1, ?1, ?2, ?3, ?4, ?5)";
                let values = params![run.as_bytes(), now, newest_schema(), total, rate];
                conn.execute(sql, values).map(|_| ()).map_err(fault)
            })
            .await
    }

    /// Another limit.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn limit(&self, rate: Option<u32>) -> Result<(), StoreError> {
        let sql = "UPDATE moving SET rate = ?1 WHERE id = 1";
        self.store.write_for_move(move |conn| conn.execute(sql, params![rate]).map(|_| ()).map_err(fault)).await
    }

    /// Up to `limit` rows of a table after a place, and the place after them; none at the table's end.
    pub(super) async fn page(
        &self,
        table: usize,
        after: Option<Vec<Cell>>,
        limit: u32,
    ) -> Result<(Vec<Record>, Option<Vec<Cell>>), StoreError> {
        self.store.read_for_move(move |conn| pages::page(conn, table, after.as_deref(), limit)).await
    }

    /// The rows that the oldest changes are about, as they are now.
    pub(super) async fn changes(&self, limit: u32) -> Result<Changes, StoreError> {
        self.store.read_for_move(move |conn| changes(conn, i64::MIN, limit)).await
    }

    /// Forgets changes that are copied.
    pub(super) async fn forget(&self, last: i64) -> Result<(), StoreError> {
        let sql = "DELETE FROM moving_changes WHERE id <= ?1";
        self.store.write_for_move(move |conn| conn.execute(sql, [last]).map(|_| ()).map_err(fault)).await
    }

    /// How many changes wait.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn waiting(&self) -> Result<u64, StoreError> {
        self.store
            .read_for_move(|conn| {
                let count = conn.query_row("SELECT count(*) FROM moving_changes", [], |row| row.get::<_, i64>(0));
                count.map(i64::unsigned_abs).map_err(fault)
            })
            .await
    }

    /// The store as it is at this moment.
    pub(super) async fn snapshot(&self) -> Result<Snapshot, StoreError> {
        let (conn, held) = self.store.snapshot_for_move().await?;
        Ok(Snapshot { conn: Arc::new(Mutex::new(conn)), _held: Arc::new(held) })
    }

    /// Refuses every write from here on; what was handed in before is done first.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] if changes were not written down as they should.
    pub async fn hold(&self) -> Result<(), StoreError> {
        self.store.refuse_writes(Some(StoreError::Held));
        let held = self.store.write_for_move(|conn| {
            if !capture::are_there(conn, &capture::capturing()).map_err(fault)? {
                return Err(StoreError::Corrupt);
            }
            capture::remove(conn, &capture::refusing(HELD)).map_err(fault)?;
            capture::make(conn, &capture::refusing(HELD)).map_err(fault)
        });
        let held = held.await;
        if held.is_err() {
            self.store.refuse_writes(None);
        }
        held
    }

    /// Whether writes are held: also by an attempt that could not take its hold away, because the disk was full.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn is_held(&self) -> Result<bool, StoreError> {
        self.store.read_for_move(|conn| capture::are_there(conn, &capture::refusing(HELD)).map_err(fault)).await
    }

    /// Takes writes again, unless the file is not the store any more.
    ///
    /// # Errors
    /// Those of the store; then writes are refused until the next start.
    pub async fn let_go(&self) -> Result<(), StoreError> {
        let moved = self
            .store
            .write_for_move(|conn| {
                capture::remove(conn, &capture::refusing(HELD)).map_err(fault)?;
                Ok(started(conn)?.is_some_and(|started| started.moved.is_some()))
            })
            .await?;
        self.store.refuse_writes(moved.then_some(StoreError::Moved));
        Ok(())
    }

    /// Marks the file as moved, for ever: nothing is written to it any more, and no vault opens it.
    ///
    /// # Errors
    /// [`StoreError::Busy`] if a change is not copied; [`StoreError::Unavailable`]: it may have happened or not.
    pub async fn mark_moved(&self, digest: String, target: String) -> Result<(), StoreError> {
        let marked = self.store.write_for_move(move |conn| {
            let left = conn.query_row("SELECT EXISTS (SELECT 1 FROM moving_changes)", [], |row| row.get::<_, bool>(0));
            if left.map_err(fault)? || !capture::are_there(conn, &capture::refusing(HELD)).map_err(fault)? {
                return Err(StoreError::Busy);
            }
            let sql = "UPDATE moving SET digest = ?1, target = ?2 WHERE id = 1 AND digest IS NULL";
            if conn.execute(sql, params![digest, target]).map_err(fault)? != 1 {
                return Err(StoreError::Corrupt);
            }
            capture::make(conn, &capture::refusing(MOVED)).map_err(fault)?;
            capture::remove(conn, &capture::refusing(HELD)).map_err(fault)?;
            capture::remove(conn, &capture::capturing()).map_err(fault)?;
            // An older version knows no moves; a schema that it does not know it refuses.
            conn.pragma_update(None, "user_version", MOVED_SCHEMA + newest_schema()).map_err(fault)
        });
        marked.await?;
        self.store.refuse_writes(Some(StoreError::Moved));
        Ok(())
    }

    /// Notes that the database was opened for vaults.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn mark_released(&self) -> Result<(), StoreError> {
        let sql = "UPDATE moving SET released = 1 WHERE id = 1 AND digest IS NOT NULL";
        self.store.write_for_move(|conn| conn.execute(sql, []).map(|_| ()).map_err(fault)).await
    }

    /// Gives the move up: nothing of it is left in the file.
    ///
    /// # Errors
    /// [`StoreError::Moved`] if it is over.
    pub async fn abandon(&self) -> Result<(), StoreError> {
        self.store
            .write_for_move(|conn| {
                let Some(started) = started(conn)? else { return Ok(()) };
                if started.moved.is_some() {
                    return Err(StoreError::Moved);
                }
                capture::remove(conn, &capture::refusing(HELD)).map_err(fault)?;
                capture::remove(conn, &capture::capturing()).map_err(fault)?;
                conn.execute_batch("DROP TABLE moving_changes; DROP TABLE moving;").map_err(fault)
            })
            .await?;
        self.store.refuse_writes(None);
        Ok(())
    }
}

/// The store as it was at one moment.
pub(super) struct Snapshot {
    conn: Arc<Mutex<Connection>>,
    /// Meanwhile the log is in use and not emptied.
    _held: Arc<Held>,
}

impl Snapshot {
    /// The changes of that moment after one, with the rows of that moment.
    pub(super) async fn changes(&self, after: i64, limit: u32) -> Result<Changes, StoreError> {
        self.read(move |conn| changes(conn, after, limit)).await
    }

    /// Counts and digests of everything.
    pub(super) async fn tally(&self) -> Result<Tally, StoreError> {
        self.read(|conn| {
            let mut tally = Tally::default();
            for table in 0..TABLES.len() {
                let mut after: Option<Vec<Cell>> = None;
                loop {
                    let (records, next) = pages::page(conn, table, after.as_deref(), TALLY_PAGE)?;
                    records.iter().for_each(|record| tally.add(table, record));
                    match next {
                        Some(next) => after = Some(next),
                        None => break,
                    }
                }
            }
            Ok(tally)
        })
        .await
    }

    async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (conn, held) = (Arc::clone(&self.conn), Arc::clone(&self._held));
        let task = move || {
            let read = read(&conn.lock().unwrap_or_else(PoisonError::into_inner));
            drop((conn, held));
            read
        };
        tokio::task::spawn_blocking(task).await.unwrap_or(Err(StoreError::Unavailable))
    }
}

impl Changes {
    /// Whether there is none.
    pub(super) fn is_empty(&self) -> bool {
        self.last.is_none()
    }
}

/// What the file says of a move.
pub(in crate::store) fn started(conn: &Connection) -> Result<Option<Started>, StoreError> {
    let is_there = "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'moving')";
    if !conn.query_row(is_there, [], |row| row.get::<_, bool>(0)).map_err(fault)? {
        return Ok(None);
    }
    let sql = "SELECT run, started_ms, total, rate, schema, digest, target, released FROM moving WHERE id = 1";
    let row = conn.query_row(sql, [], |row| {
        let run = Uuid::from_bytes(row.get(0)?);
        let moved = match (row.get::<_, Option<String>>(5)?, row.get::<_, Option<String>>(6)?) {
            (Some(digest), Some(target)) => Some(Moved { run, digest, target, is_released: row.get(7)? }),
            _ => None,
        };
        Ok(Started {
            run,
            started_ms: row.get::<_, i64>(1)?.unsigned_abs(),
            total: row.get::<_, i64>(2)?.unsigned_abs(),
            rate: row.get(3)?,
            is_of_this_schema: row.get::<_, u32>(4)? == newest_schema(),
            moved,
        })
    });
    row.optional().map_err(fault)?.ok_or(StoreError::Corrupt).map(Some)
}

fn count(conn: &Connection) -> Result<i64, StoreError> {
    let mut all = 0;
    for table in TABLES {
        let sql = format!("SELECT count(*) FROM {} WHERE {}", table.name, table.goes(table.name));
        all += conn.query_row(&sql, [], |row| row.get::<_, i64>(0)).map_err(fault)?;
    }
    Ok(all)
}

fn changes(conn: &Connection, after: i64, limit: u32) -> Result<Changes, StoreError> {
    let sql = "SELECT id, what, a, b, c FROM moving_changes WHERE id > ?1 ORDER BY id LIMIT ?2";
    let mut statement = conn.prepare_cached(sql).map_err(fault)?;
    let mut rows = statement.query(params![after, limit]).map_err(fault)?;
    let mut found = Changes::default();
    let mut keys = std::collections::BTreeSet::new();
    while let Some(row) = rows.next().map_err(fault)? {
        found.last = Some(row.get(0).map_err(fault)?);
        found.count += 1;
        let table = row.get::<_, u32>(1).map_err(fault)? as usize;
        let length = TABLES.get(table).ok_or(StoreError::Corrupt)?.key;
        let cells: Result<Vec<Cell>, _> =
            (2..2 + length).map(|place| pages::cell(row.get_ref(place).map_err(fault)?)).collect();
        keys.insert((table, cells?));
    }
    drop(rows);
    for (table, key) in keys {
        let record = pages::find(conn, table, &key)?;
        found.rows.push((table, key, record));
    }
    Ok(found)
}

const TALLY_PAGE: u32 = 4096;

#[cfg(test)]
#[path = "source_tests.rs"]
mod tests;
