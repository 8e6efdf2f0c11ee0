//! The log's SQLite file: opened by one process, migrated, appended to in transactions that are durable when they end.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, OptionalExtension as _, TransactionBehavior};
use strongroom_keys::note::Checkpoint;
use strongroom_keys::tlog::{Frontier, Hash, leaf_hash};

use super::AuditError;
use super::tally::{self, Tally};
use super::tree::{self, StoredNodes, is_stored};

/// The file, open for writing. There is one for each log in the whole machine: a lock beside it sees to that.
pub(super) struct LogFile {
    conn: Connection,
    path: PathBuf,
    /// Held as long as the file is open; the operating system lets go of it when the process ends, however it ends.
    _lock: fs::File,
}

/// A stored root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) checkpoint: Checkpoint,
    pub(super) at_ms: u64,
    /// Signed, unless the vault was sealed.
    pub(super) note: Option<String>,
}

impl LogFile {
    /// Opens or makes the log, and checks that its end is what it was.
    pub(super) fn open(path: &Path, origin: &str) -> Result<(Self, Frontier), AuditError> {
        // Made here so that nobody else may read it; SQLite gives its side files the same mode.
        OpenOptions::new().append(true).create(true).mode(0o600).open(path)?;
        // Where it really is: under another name (a symbolic link) it has the same lock.
        let path = &path.canonicalize()?;
        let lock = lock_beside(path)?;
        let conn = Self::connect(path)?;
        let mut file = Self { conn, path: path.to_owned(), _lock: lock };
        file.migrate()?;
        file.claim(origin)?;
        tree::check_end(&file.conn)?;
        let frontier = file.frontier()?;
        Ok((file, frontier))
    }

    /// Another connection, which can only read.
    pub(super) fn reader(path: &Path) -> Result<Connection, AuditError> {
        let conn =
            Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
        conn.busy_timeout(BUSY)?;
        conn.pragma_update(None, "trusted_schema", false)?;
        Ok(conn)
    }

    /// Moves the write-ahead log into the file and empties it, so that a copy of the file alone is whole. What fails here
    /// is done by the next open.
    pub(super) fn fold(&self) {
        let _ = self.conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
    }

    /// The same in passing: a reader in the way is waited for only as long as one that reads a few rows.
    pub(super) fn try_fold(&self) {
        let _ = self.conn.busy_timeout(IN_PASSING);
        self.fold();
        let _ = self.conn.busy_timeout(BUSY);
    }

    /// Appends entries in one transaction and grows the frontier by them. After an error the frontier is as it was and
    /// no entry can be taken for recorded.
    pub(super) fn append(&mut self, frontier: &mut Frontier, bodies: &[Vec<u8>]) -> Result<u64, AuditError> {
        let first = frontier.size();
        let mut grown = frontier.clone();
        let mut nodes: Vec<(u32, u64, Hash)> = Vec::new();
        let transaction = self.conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
        {
            let mut insert = transaction.prepare_cached("INSERT INTO entries (idx, body) VALUES (?1, ?2)")?;
            for body in bodies {
                insert.execute((int(grown.size()), body))?;
                grown.push_with(leaf_hash(body), |level, index, hash| {
                    if is_stored(level) {
                        nodes.push((level, index, hash));
                    }
                });
            }
            let mut insert = transaction.prepare_cached("INSERT INTO nodes (level, idx, hash) VALUES (?1, ?2, ?3)")?;
            for (level, index, hash) in nodes {
                insert.execute((level, int(index), hash))?;
            }
        }
        transaction.commit()?;
        *frontier = grown;
        Ok(first)
    }

    /// Stores a root. The one before it goes if it is of the same hour, unless that is signed and this is not.
    pub(super) fn put_head(&mut self, head: &Head) -> Result<(), AuditError> {
        let transaction = self.conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
        if let Some(before) = newest(&transaction, false)? {
            let same_hour = before.at_ms / HOUR_MS == head.at_ms / HOUR_MS;
            if same_hour && (before.note.is_none() || head.note.is_some()) {
                transaction.execute("DELETE FROM checkpoints WHERE size = ?1", [int(before.checkpoint.size)])?;
            }
        }
        transaction.execute(
            "INSERT OR REPLACE INTO checkpoints (size, root, at_ms, note) VALUES (?1, ?2, ?3, ?4)",
            (int(head.checkpoint.size), head.checkpoint.root, int(head.at_ms), &head.note),
        )?;
        transaction.commit()?;
        Ok(())
    }

    /// Stores what a stretch says of releases.
    pub(super) fn put_tally(&self, number: u64, tally: &Tally) -> Result<(), AuditError> {
        tally::put(&self.conn, number, tally)
    }

    /// The newest root, signed or not, or the newest signed one.
    pub(super) fn newest(&self, signed: bool) -> Result<Option<Head>, AuditError> {
        newest(&self.conn, signed)
    }

    /// Reads the tree's right edge from the file, after a failure that left in doubt what is in it.
    pub(super) fn reload(&mut self) -> Result<Frontier, AuditError> {
        self.conn = Self::connect(&self.path)?;
        self.frontier()
    }

    /// Whether a failed transaction has been undone completely, so that the connection can go on.
    pub(super) fn is_clean(&self) -> bool {
        self.conn.is_autocommit()
    }

    pub(super) fn frontier(&self) -> Result<Frontier, AuditError> {
        Frontier::load(&StoredNodes(&self.conn), tree::size(&self.conn)?)
    }

    /// A disk that is full, for tests.
    #[cfg(test)]
    pub(super) fn limit_pages(&self, pages: Option<i64>) {
        let used: i64 = self.conn.query_row("PRAGMA page_count", [], |row| row.get(0)).unwrap();
        let max = pages.map_or(0x3fff_ffff, |more| used + more);
        self.conn.query_row(&format!("PRAGMA max_page_count = {max}"), [], |_| Ok(())).unwrap();
    }

    fn connect(path: &Path) -> Result<Connection, AuditError> {
        let conn =
            Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
        conn.busy_timeout(BUSY)?;
        conn.pragma_update(None, "journal_mode", "WAL")?;
        // FULL, not NORMAL: a commit in WAL mode is durable only when the WAL has been synced.
        conn.pragma_update(None, "synchronous", "FULL")?;
        conn.pragma_update(None, "wal_autocheckpoint", 1_000)?;
        conn.pragma_update(None, "journal_size_limit", 64 * 1024 * 1024)?;
        conn.pragma_update(None, "trusted_schema", false)?;
        let mode: String = conn.query_row("PRAGMA journal_mode", [], |row| row.get(0))?;
        if mode == "wal" { Ok(conn) } else { Err(AuditError::NoWal) }
    }

    fn migrate(&mut self) -> Result<(), AuditError> {
        let pragma = |name| self.conn.query_row(&format!("PRAGMA {name}"), [], |row| row.get::<_, i64>(0));
        let (app, version) = (pragma("application_id")?, pragma("user_version")?);
        let tables: i64 = self.conn.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
        match (app, version) {
            (0, 0) if tables == 0 => {}
            (APPLICATION_ID, version) if version > MIGRATIONS.len() as i64 => return Err(AuditError::NewerSchema),
            (APPLICATION_ID, version) if version > 0 => {}
            _ => return Err(AuditError::NotALog),
        }
        for (number, sql) in (1i64..).zip(MIGRATIONS).filter(|(number, _)| *number > version) {
            let transaction = self.conn.transaction_with_behavior(TransactionBehavior::Exclusive)?;
            transaction.execute_batch(sql)?;
            transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
            transaction.pragma_update(None, "user_version", number)?;
            transaction.commit()?;
        }
        Ok(())
    }

    fn claim(&self, origin: &str) -> Result<(), AuditError> {
        let known: Option<String> =
            self.conn.query_row("SELECT value FROM settings WHERE name = 'origin'", [], |row| row.get(0)).optional()?;
        match known {
            Some(known) if known == origin => Ok(()),
            Some(_) => Err(AuditError::ForeignLog),
            None => {
                self.conn.execute("INSERT INTO settings (name, value) VALUES ('origin', ?1)", [origin])?;
                Ok(())
            }
        }
    }
}

/// The newest root in a file, signed or not, or the newest signed one.
pub(super) fn newest(conn: &Connection, signed: bool) -> Result<Option<Head>, AuditError> {
    let sql = if signed {
        "SELECT size, root, at_ms, note FROM checkpoints WHERE note IS NOT NULL ORDER BY size DESC LIMIT 1"
    } else {
        "SELECT size, root, at_ms, note FROM checkpoints ORDER BY size DESC LIMIT 1"
    };
    Ok(conn.query_row(sql, [], read_head).optional()?)
}

/// Reads one row of `SELECT size, root, at_ms, note FROM checkpoints`.
pub(super) fn read_head(row: &rusqlite::Row<'_>) -> rusqlite::Result<Head> {
    Ok(Head {
        checkpoint: Checkpoint { size: uint(row, 0)?, root: row.get(1)? },
        at_ms: uint(row, 2)?,
        note: row.get(3)?,
    })
}

/// SQLite's integers are signed. Sizes and times stay far below the bound.
pub(super) fn int(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// Reads what [`int`] wrote.
pub(super) fn uint(row: &rusqlite::Row<'_>, column: usize) -> rusqlite::Result<u64> {
    let number: i64 = row.get(column)?;
    u64::try_from(number).map_err(|_| rusqlite::Error::IntegralValueOutOfRange(column, number))
}

fn lock_beside(path: &Path) -> Result<fs::File, AuditError> {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(name)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(fs::TryLockError::WouldBlock) => Err(AuditError::InUse),
        Err(fs::TryLockError::Error(error)) => Err(error.into()),
    }
}

/// Never changed once released; a change is a new one at the end.
const MIGRATIONS: [&str; 2] = [include_str!("schema.sql"), include_str!("tallies.sql")];
/// `SRal` in ASCII: tells a log from other SQLite files.
const APPLICATION_ID: i64 = 0x5352_616c;
const BUSY: Duration = Duration::from_secs(5);
/// How long a checkpoint that is made in passing waits for readers.
const IN_PASSING: Duration = Duration::from_millis(100);
const HOUR_MS: u64 = 3_600_000;
