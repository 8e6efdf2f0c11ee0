//! What a move of the store needs of its file, and what a file says that is not the store any more.

use std::path::Path;

use rusqlite::{Connection, OpenFlags};

use super::copy::Held;
use super::fault::fault;
use super::{SqliteStore, open};
use crate::store::StoreError;
use crate::store::moving::{Moved, capture, source};

impl SqliteStore {
    /// A read of a move.
    pub(in crate::store) async fn read_for_move<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.readers.long(read).await
    }

    /// A write of a move, in the writer's turn; it is done while others are refused, too.
    pub(in crate::store) async fn write_for_move<T: Send + 'static>(
        &self,
        mut write: impl FnMut(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.writer.write_always(move |desk| write(desk.conn)).await
    }

    /// A connection that sees the store as it is now for as long as it lives.
    pub(in crate::store) async fn snapshot_for_move(&self) -> Result<(Connection, Held), StoreError> {
        let (path, held) = (self.readers.path(), self.copies.held());
        let connect = move || {
            let conn = open::reader(&path)?;
            conn.execute_batch("BEGIN").map_err(fault)?;
            // The moment is that of the first read.
            conn.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(())).map_err(fault)?;
            Ok((conn, held))
        };
        tokio::task::spawn_blocking(connect).await.unwrap_or(Err(StoreError::Unavailable))
    }

    /// Refuses writes with this error, or takes them again.
    pub(in crate::store) fn refuse_writes(&self, why: Option<StoreError>) {
        self.writer.refuse(why);
    }
}

/// Writes that were held when a process ended are taken again.
pub(super) fn let_go(conn: &Connection) -> Result<(), StoreError> {
    let sql = "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'moving')";
    if conn.query_row(sql, [], |row| row.get(0)).map_err(fault)? {
        capture::remove(conn, &capture::refusing(capture::HELD)).map_err(fault)?;
    }
    Ok(())
}

/// A file that is not the store any more. While this lives no other process has it.
pub struct MovedFrom {
    conn: Connection,
    _lock: std::fs::File,
}

/// What a file says that [`SqliteStore::open`] refused with [`StoreError::Moved`].
///
/// # Errors
/// [`StoreError::InUse`], [`StoreError::Corrupt`], [`StoreError::Unavailable`].
pub fn find_moved(path: &Path) -> Result<(MovedFrom, Moved), StoreError> {
    let path = open::place(path)?;
    let lock = open::lock(&path)?;
    let conn = Connection::open_with_flags(&path, OpenFlags::SQLITE_OPEN_READ_WRITE).map_err(fault)?;
    conn.pragma_update(None, "synchronous", "FULL").map_err(fault)?;
    let moved = source::started(&conn)?.and_then(|started| started.moved).ok_or(StoreError::Corrupt)?;
    Ok((MovedFrom { conn, _lock: lock }, moved))
}

impl MovedFrom {
    /// Notes that the database was opened for vaults.
    ///
    /// # Errors
    /// Those of the store.
    pub fn mark_released(&self) -> Result<(), StoreError> {
        self.conn.execute("UPDATE moving SET released = 1 WHERE id = 1", []).map(|_| ()).map_err(fault)
    }
}
