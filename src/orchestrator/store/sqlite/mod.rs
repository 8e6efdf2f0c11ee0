//! [`Store`] in one SQLite file: WAL, `synchronous=FULL`, one thread that writes in groups, and a connection for readers.

mod accounts;
mod chores;
mod desk;
mod kept;
mod outbox;
mod payments;
mod saved;
mod writer;

use std::fs::File;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use rusqlite::{Connection, ErrorCode, OptionalExtension, ffi};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Store, StoreError};
use writer::Writer;

/// What befalls a write in a test.
#[cfg(test)]
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trouble {
    #[default]
    None,
    /// It is refused, as by a full disk.
    Full,
    /// It is done, and whoever asked is told that nobody knows, as by a database that goes away with the answer.
    Silent,
}

/// The embedded store.
pub struct SqliteStore {
    writer: Writer,
    reader: Arc<Mutex<Connection>>,
    #[cfg(test)]
    trouble: Mutex<(Trouble, usize)>,
    /// Held for as long as the store is open, so that no second process works on the same payments.
    _lock: File,
}

impl SqliteStore {
    /// Opens or makes the file and brings it to the newest schema.
    ///
    /// # Errors
    /// [`StoreError::NewerSchema`], [`StoreError::InUse`], [`StoreError::Unavailable`].
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let mut lock_path = path.as_os_str().to_owned();
        lock_path.push(".lock");
        let lock = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(PathBuf::from(lock_path))
            .map_err(|_| StoreError::Unavailable)?;
        lock.try_lock().map_err(|_| StoreError::InUse)?;
        // Names, mail addresses and client secrets are nobody else's business; SQLite's own files follow this one.
        File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(path)
            .map_err(|_| StoreError::Unavailable)?;
        let mut connection = Connection::open(path)?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.pragma_update(None, "foreign_keys", "ON")?;
        connection.pragma_update(None, "secure_delete", "ON")?;
        connection.set_prepared_statement_cache_capacity(STATEMENTS);
        migrate(&mut connection)?;
        let reader = Connection::open(path)?;
        reader.pragma_update(None, "query_only", "ON")?;
        reader.set_prepared_statement_cache_capacity(STATEMENTS);
        Ok(Self {
            writer: Writer::start(connection)?,
            reader: Arc::new(Mutex::new(reader)),
            #[cfg(test)]
            trouble: Mutex::default(),
            _lock: lock,
        })
    }

    /// Runs `work` in a transaction; answers when it is durable.
    async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        #[cfg(test)]
        match self.trouble() {
            Trouble::None => {}
            Trouble::Full => return Err(StoreError::Unavailable),
            Trouble::Silent => return self.writer.write(work).await.and(Err(StoreError::Unavailable)),
        }
        self.writer.write(work).await
    }

    /// From now on this befalls whoever writes.
    #[cfg(test)]
    pub(crate) fn set_trouble(&self, trouble: Trouble) {
        self.set_trouble_after(trouble, 0);
    }

    /// The same after so many more writes.
    #[cfg(test)]
    pub(crate) fn set_trouble_after(&self, trouble: Trouble, writes: usize) {
        *self.trouble.lock().unwrap() = (trouble, writes);
    }

    #[cfg(test)]
    fn trouble(&self) -> Trouble {
        let mut planned = self.trouble.lock().unwrap();
        if planned.1 == 0 {
            return planned.0;
        }
        planned.1 -= 1;
        Trouble::None
    }

    async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let reader = self.reader.clone();
        tokio::task::spawn_blocking(move || work(&reader.lock().unwrap_or_else(PoisonError::into_inner)))
            .await
            .map_err(|_| StoreError::Unavailable)?
    }
}

fn migrate(connection: &mut Connection) -> Result<(), StoreError> {
    let known = u32::try_from(MIGRATIONS.len()).unwrap_or(u32::MAX);
    let found: u32 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if found > known {
        return Err(StoreError::NewerSchema { found, known });
    }
    for (number, sql) in (1u32..).zip(MIGRATIONS).filter(|(number, _)| *number > found) {
        let transaction = connection.transaction()?;
        transaction.execute_batch(sql)?;
        transaction.pragma_update(None, "user_version", number)?;
        transaction.commit()?;
    }
    Ok(())
}

#[async_trait]
impl Store for SqliteStore {
    fn is_exclusive(&self) -> bool {
        true
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.read(|c| Ok(c.query_row("SELECT 1", [], |_| Ok(()))?)).await
    }
}

/// Whether a failed write leaves it open what is on the disk. After a failed write-back the system may call the same pages
/// clean, so a later success would prove nothing. A write that the disk or a limit refused is known not to have been made.
fn leaves_disk_unknown(error: &rusqlite::Error) -> bool {
    let Some(failure) = error.sqlite_error() else { return false };
    match failure.code {
        ErrorCode::DatabaseCorrupt => true,
        ErrorCode::SystemIoFailure => !REFUSED_WRITES.contains(&failure.extended_code),
        _ => false,
    }
}

/// Runs a statement that was prepared once.
fn execute(c: &Connection, sql: &str, p: impl rusqlite::Params) -> rusqlite::Result<usize> {
    c.prepare_cached(sql)?.execute(p)
}

fn one<T: DeserializeOwned>(c: &Connection, sql: &str, p: impl rusqlite::Params) -> Result<Option<T>, StoreError> {
    let text: Option<String> = c.prepare_cached(sql)?.query_row(p, |row| row.get(0)).optional()?;
    text.map(|text| from_text(&text)).transpose()
}

fn many<T: DeserializeOwned>(c: &Connection, sql: &str, p: impl rusqlite::Params) -> Result<Vec<T>, StoreError> {
    let mut statement = c.prepare_cached(sql)?;
    let rows = statement.query_map(p, |row| row.get::<_, String>(0))?;
    rows.map(|text| from_text(&text?)).collect()
}

fn to_text<T: Serialize>(value: &T) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|_| StoreError::Unreadable)
}

fn from_text<T: DeserializeOwned>(text: &str) -> Result<T, StoreError> {
    serde_json::from_str(text).map_err(|_| StoreError::Unreadable)
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::ConstraintViolation) => StoreError::Duplicate,
            code => {
                // The code alone: the message of a constraint or a parameter could repeat what was stored.
                tracing::error!(code = ?code, "the store refused");
                StoreError::Unavailable
            }
        }
    }
}

/// What a full disk or a limit of a file's size does, where SQLite does not call it full: to the log, and to the table of
/// the log's pages beside it.
const REFUSED_WRITES: [i32; 3] = [ffi::SQLITE_IOERR_WRITE, ffi::SQLITE_IOERR_TRUNCATE, ffi::SQLITE_IOERR_SHMSIZE];

/// Statements that a connection keeps prepared: more than there are.
const STATEMENTS: usize = 128;

/// Numbered by place, from 1. A released row is never changed; a change is a new row.
const MIGRATIONS: &[&str] = &[
    include_str!("migrations/0001_begin.sql"),
    include_str!("migrations/0002_find.sql"),
    include_str!("migrations/0003_given_up.sql"),
    include_str!("migrations/0004_operators.sql"),
];

#[cfg(test)]
mod tests;
