//! Opens the store's file: the lock against a second process, the settings of a connection, migrations, whose vault it is.

use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, OptionalExtension, params};

use super::fault::fault;
use crate::store::StoreError;

/// Where the store's file really is, made when absent: under another name (a symbolic link) it has the same lock and the
/// same log. It is made here so that nobody else may read it; SQLite gives its log the same rights.
pub(super) fn place(path: &Path) -> Result<PathBuf, StoreError> {
    private(path)?;
    path.canonicalize().map_err(|_| StoreError::Unavailable)
}

/// Takes the lock that keeps a second vaultd away. It lasts as long as the file is held, also over `kill -9`.
pub(super) fn lock(path: &Path) -> Result<File, StoreError> {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let file = private(&PathBuf::from(name))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StoreError::InUse),
        Err(TryLockError::Error(_)) => Err(StoreError::Unavailable),
    }
}

/// The one connection that writes, with every migration applied.
pub(super) fn writer(path: &Path, vault: &str, bytes_max: Option<u64>) -> Result<Connection, StoreError> {
    private(path)?;
    let mut conn = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    let application: i32 = pragma(&conn, "application_id")?;
    let schema: i32 = pragma(&conn, "user_version")?;
    let tables: i64 = conn.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)).map_err(fault)?;
    if application != APPLICATION && (tables > 0 || application != 0) {
        return Err(StoreError::OtherVault);
    }
    let schema = usize::try_from(schema).map_err(|_| StoreError::Corrupt)?;
    if schema >= MOVED_SCHEMA as usize && owner(&conn)?.as_deref() == Some(vault.as_bytes()) {
        return Err(StoreError::Moved);
    }
    if schema > MIGRATIONS.len() {
        return Err(StoreError::NewerSchema);
    }
    if schema > 0 && owner(&conn)?.as_deref() != Some(vault.as_bytes()) {
        return Err(StoreError::OtherVault);
    }
    for (setting, value) in WRITER_SETTINGS {
        conn.pragma_update(None, setting, value).map_err(fault)?;
    }
    super::moving::let_go(&conn)?;
    migrate(&mut conn, schema, vault)?;
    if let Some(bytes) = bytes_max {
        let page: i64 = pragma(&conn, "page_size")?;
        let pages = i64::try_from(bytes).unwrap_or(i64::MAX) / page.max(1);
        conn.pragma_update(None, "max_page_count", pages.max(1)).map_err(fault)?;
    }
    Ok(conn)
}

/// A connection that only reads.
pub(super) fn reader(path: &Path) -> Result<Connection, StoreError> {
    // Readers keep the log's index up to date and so need the right to write the files, but no statement of theirs may.
    let conn = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    for (setting, value) in READER_SETTINGS {
        conn.pragma_update(None, setting, value).map_err(fault)?;
    }
    Ok(conn)
}

/// Number of the newest migration that this version knows.
pub(in crate::store) fn newest_schema() -> u32 {
    u32::try_from(MIGRATIONS.len()).unwrap_or(u32::MAX)
}

fn connect(path: &Path, mode: OpenFlags) -> Result<Connection, StoreError> {
    let conn = Connection::open_with_flags(path, mode | OpenFlags::SQLITE_OPEN_NO_MUTEX).map_err(fault)?;
    conn.busy_timeout(BUSY).map_err(fault)?;
    conn.set_prepared_statement_cache_capacity(STATEMENTS);
    Ok(conn)
}

fn migrate(conn: &mut Connection, from: usize, vault: &str) -> Result<(), StoreError> {
    let tx = conn.transaction().map_err(fault)?;
    for sql in &MIGRATIONS[from..] {
        tx.execute_batch(sql).map_err(fault)?;
    }
    if from == 0 {
        tx.execute("INSERT INTO settings (name, value) VALUES ('vault', ?1)", params![vault.as_bytes()])
            .map_err(fault)?;
        tx.pragma_update(None, "application_id", APPLICATION).map_err(fault)?;
    }
    tx.pragma_update(None, "user_version", newest_schema()).map_err(fault)?;
    tx.commit().map_err(fault)
}

fn owner(conn: &Connection) -> Result<Option<Vec<u8>>, StoreError> {
    conn.query_row("SELECT value FROM settings WHERE name = 'vault'", [], |row| row.get(0)).optional().map_err(fault)
}

fn pragma<T: rusqlite::types::FromSql>(conn: &Connection, name: &str) -> Result<T, StoreError> {
    conn.pragma_query_value(None, name, |row| row.get(0)).map_err(fault)
}

fn private(path: &Path) -> Result<File, StoreError> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
        .map_err(|_| StoreError::Unavailable)
}

/// Each file is one migration; its place is its number less one.
const MIGRATIONS: &[&str] = &[
    include_str!("migrations/0001_first.sql"),
    include_str!("migrations/0002_acts.sql"),
    include_str!("migrations/0003_spent.sql"),
    include_str!("migrations/0004_shredding.sql"),
    include_str!("migrations/0005_mac_terms.sql"),
    include_str!("migrations/0006_custody.sql"),
    include_str!("migrations/0007_cluster.sql"),
    include_str!("migrations/0008_sign_terms_of_nodes.sql"),
];

/// Added to the number of the schema once the store lies elsewhere.
pub(in crate::store) const MOVED_SCHEMA: u32 = 1_000_000;

/// "StRm": tells our files from other SQLite databases.
const APPLICATION: i32 = 0x5374_526d;

pub(super) const BUSY: Duration = Duration::from_secs(5);
const STATEMENTS: usize = 64;

/// Rows are short, so pages of 4 KiB keep what one commit writes small. The log is folded into the file every 10,000 pages,
/// which costs a fifth less than SQLite's 1,000, and is cut back to 64 MiB afterwards.
const WRITER_SETTINGS: &[(&str, &str)] = &[
    ("page_size", "4096"),
    ("journal_mode", "WAL"),
    ("synchronous", "FULL"),
    ("secure_delete", "ON"),
    ("wal_autocheckpoint", "10000"),
    ("journal_size_limit", "67108864"),
    ("temp_store", "MEMORY"),
    ("trusted_schema", "OFF"),
    ("cell_size_check", "ON"),
    ("cache_size", "-65536"),
];

const READER_SETTINGS: &[(&str, &str)] = &[
    ("query_only", "ON"),
    ("temp_store", "MEMORY"),
    ("trusted_schema", "OFF"),
    ("cell_size_check", "ON"),
    ("cache_size", "-8192"),
];

#[cfg(test)]
mod tests {
    use super::*;

    /// A released migration never changes. If this fails, write a new migration in place of the change.
    #[test]
    fn released_migrations_are_as_they_were_released() {
        let sums: Vec<u64> = MIGRATIONS.iter().map(|sql| fnv(sql.as_bytes())).collect();
        assert_eq!(
            sums,
            [
                2_368_220_881_384_337_482,
                1_178_448_383_818_505_891,
                6_932_484_178_136_962_208,
                18_347_012_998_001_747_158,
                1_914_963_234_347_308_586,
                6_104_396_865_639_170_860,
                13_985_817_076_271_935_027,
                11_992_345_005_191_859_902
            ]
        );
    }

    #[test]
    fn a_writer_syncs_every_commit_and_overwrites_what_it_deletes() {
        let folder = tempfile::tempdir().unwrap();
        let conn = writer(&folder.path().join("vault.db"), "vault-a", None).unwrap();
        assert_eq!(pragma::<String>(&conn, "journal_mode").unwrap(), "wal");
        assert_eq!(pragma::<i64>(&conn, "synchronous").unwrap(), 2);
        assert_eq!(pragma::<i64>(&conn, "secure_delete").unwrap(), 1);
        assert_eq!(pragma::<i64>(&conn, "page_size").unwrap(), 4096);
    }

    #[test]
    fn a_reader_cannot_write() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("vault.db");
        writer(&path, "vault-a", None).unwrap();
        assert!(reader(&path).unwrap().execute("DELETE FROM cards", []).is_err());
    }

    #[test]
    fn the_files_are_for_their_owner_alone() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("vault.db");
        let _conn = writer(&path, "vault-a", None).unwrap();
        for file in std::fs::read_dir(folder.path()).unwrap() {
            assert_eq!(file.unwrap().metadata().unwrap().permissions().mode() & 0o077, 0);
        }
    }

    /// FNV-1a, 64 bits: enough to notice an edit.
    fn fnv(bytes: &[u8]) -> u64 {
        bytes.iter().fold(0xcbf2_9ce4_8422_2325, |sum, byte| (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
    }
}
