//! A copy of the store as it is at one moment, and a sample of its records, both beside readers and the writer.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags, params};

use super::cards::{COLUMNS, read};
use super::fault::fault;
use super::open;
use crate::store::{CardRow, StoreError};

/// How many copies are being made. While there is one, the log cannot be emptied, and the writer does not wait for it.
#[derive(Clone, Default)]
pub(super) struct Copies(Arc<AtomicUsize>);

impl Copies {
    /// Whether the log is in use by a copy.
    pub(super) fn hold_the_log(&self) -> bool {
        self.0.load(Ordering::Acquire) > 0
    }

    fn begin(&self) -> Running<'_> {
        self.0.fetch_add(1, Ordering::AcqRel);
        Running(self)
    }
}

/// The log is in use for as long as this lives.
pub(in crate::store) struct Held(Copies);

impl Copies {
    /// Says that the log is in use.
    pub(super) fn held(&self) -> Held {
        self.0.fetch_add(1, Ordering::AcqRel);
        Held(self.clone())
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::AcqRel);
    }
}

struct Running<'a>(&'a Copies);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Copies the whole store into a file that must not be there yet, page by page from one snapshot; the file is durable when
/// it is answered how long it is. In WAL mode this keeps nobody from writing. A copy that fails leaves a part of a file.
pub(super) fn copy(from: &Path, into: &Path, copies: &Copies) -> Result<u64, StoreError> {
    let _running = copies.begin();
    let source = open::reader(from)?;
    // One read transaction for all steps: without it every write in between would make the copy begin anew.
    source.execute_batch("BEGIN").map_err(fault)?;
    source.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(())).map_err(fault)?;
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(into);
    let file = file.map_err(|_| StoreError::Unavailable)?;
    let mut target =
        Connection::open_with_flags(into, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX)
            .map_err(fault)?;
    // Half a copy is thrown away whole, so it needs no journal; what makes it durable is the one sync at the end.
    target.pragma_update(None, "journal_mode", "OFF").map_err(fault)?;
    target.pragma_update(None, "synchronous", "OFF").map_err(fault)?;
    {
        let backup = Backup::new(&source, &mut target).map_err(fault)?;
        while backup.step(PAGES).map_err(fault)? != StepResult::Done {
            std::thread::sleep(PAUSE);
        }
    }
    target.close().map_err(|(_, error)| fault(error))?;
    durable(&file)
}

fn durable(file: &File) -> Result<u64, StoreError> {
    file.sync_all().and_then(|()| file.metadata()).map(|about| about.len()).map_err(|_| StoreError::Unavailable)
}

/// The card at or after each place, where 0 is the oldest and `u64::MAX` the newest. Cards that were made in a rush stand
/// near each other, so that one of a quiet time is met more often.
pub(super) fn sample(conn: &Connection, places: &[u64]) -> Result<Vec<CardRow>, StoreError> {
    let span = conn.query_row("SELECT min(id), max(id) FROM cards", [], |row| {
        Ok((row.get::<_, Option<i64>>(0)?, row.get::<_, Option<i64>>(1)?))
    });
    let (Some(least), Some(most)) = span.map_err(fault)? else { return Ok(Vec::new()) };
    let width = u128::from(most.abs_diff(least)) + 1;
    let mut select = conn
        .prepare_cached(&format!("SELECT {COLUMNS}, tenant FROM cards WHERE id >= ?1 ORDER BY id LIMIT 1"))
        .map_err(fault)?;
    let mut name = conn.prepare_cached("SELECT name FROM tenants WHERE id = ?1").map_err(fault)?;
    let mut found = Vec::with_capacity(places.len());
    for place in places {
        let step = (u128::from(*place) * width) >> 64;
        let at = least.saturating_add_unsigned(u64::try_from(step).unwrap_or(u64::MAX));
        let mut rows = select.query(params![at]).map_err(fault)?;
        let Some(row) = rows.next().map_err(fault)? else { continue };
        let number: i64 = row.get(COLUMN_OF_TENANT).map_err(fault)?;
        let tenant: String = name.query_row([number], |row| row.get(0)).map_err(fault)?;
        let tenant = tenant.parse().map_err(|_| StoreError::Corrupt)?;
        found.push(read(&tenant, row)?.1);
    }
    Ok(found)
}

/// After [`COLUMNS`].
const COLUMN_OF_TENANT: usize = 10;
/// Four MiB of pages in a step.
const PAGES: i32 = 1024;
/// Between two steps, so that the disk is not the copy's alone.
const PAUSE: Duration = Duration::from_millis(2);

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use strongroom_wire::limits;

    use super::super::{SqliteOptions, SqliteStore};
    use super::*;
    use crate::store::Store as _;

    fn store(path: &Path) -> SqliteStore {
        let vault = "vault-a".to_owned();
        SqliteStore::open(&SqliteOptions { path: path.to_owned(), vault, bytes_max: None }).unwrap()
    }

    #[tokio::test]
    async fn while_a_copy_is_made_nobody_waits_for_the_log_to_be_emptied() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(&folder.path().join("vault.db"));
        let running = store.copies.begin();
        let began = Instant::now();
        assert_eq!(store.settle().await, Err(StoreError::Busy));
        assert!(began.elapsed() < Duration::from_secs(2), "the writer waited for a copy");
        drop(running);
        store.settle().await.unwrap();
    }

    #[tokio::test]
    async fn a_copy_is_a_store_of_the_same_vault_and_is_never_written_over() {
        let folder = tempfile::tempdir().unwrap();
        let original = store(&folder.path().join("vault.db"));
        let into = folder.path().join("copy.db");
        let bytes = original.copy_to(&into).await.unwrap();
        assert_eq!(std::fs::metadata(&into).unwrap().len(), bytes);
        assert_eq!(original.copy_to(&into).await, Err(StoreError::Unavailable));
        assert_eq!(store(&into).tenants().await.unwrap(), original.tenants().await.unwrap());
        let other = SqliteOptions { path: into, vault: "vault-b".to_owned(), bytes_max: None };
        assert_eq!(SqliteStore::open(&other).err(), Some(StoreError::OtherVault));
    }

    #[tokio::test]
    async fn an_empty_store_gives_no_sample_and_a_sample_has_a_limit() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(&folder.path().join("vault.db"));
        assert_eq!(store.sample(vec![0, u64::MAX]).await, Ok(Vec::new()));
        let many = vec![0; limits::STORE_PAGE_MAX as usize + 1];
        assert_eq!(store.sample(many).await, Err(StoreError::TooLarge));
    }
}
