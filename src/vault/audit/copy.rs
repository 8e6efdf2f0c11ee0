//! A copy of the log as it is at one moment, made beside its writer.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::Duration;

use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags};

use super::file::LogFile;
use super::{AuditError, AuditLog};

impl AuditLog {
    /// Copies the log into a file that must not be there yet and answers its length in bytes once it is durable. It keeps
    /// no entry from being written. After an error there may be a part of a file.
    ///
    /// # Errors
    /// [`AuditError::File`] or [`AuditError::Io`].
    pub async fn copy_to(&self, into: &Path) -> Result<u64, AuditError> {
        let (from, into) = (self.path().to_owned(), into.to_owned());
        tokio::task::spawn_blocking(move || copy(&from, &into)).await.map_err(|_| AuditError::Stopped)?
    }
}

fn copy(from: &Path, into: &Path) -> Result<u64, AuditError> {
    let source = LogFile::reader(from)?;
    // One read transaction for all steps, so that entries in between do not make the copy begin anew.
    source.execute_batch("BEGIN")?;
    source.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))?;
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(into)?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut target = Connection::open_with_flags(into, flags)?;
    // Half a copy is thrown away whole, so it needs no journal; what makes it durable is the one sync at the end.
    target.pragma_update(None, "journal_mode", "OFF")?;
    target.pragma_update(None, "synchronous", "OFF")?;
    {
        let backup = Backup::new(&source, &mut target)?;
        while backup.step(PAGES)? != StepResult::Done {
            std::thread::sleep(PAUSE);
        }
    }
    target.close().map_err(|(_, error)| error)?;
    file.sync_all()?;
    Ok(file.metadata()?.len())
}

/// Four MiB of pages in a step.
const PAGES: i32 = 1024;
/// Between two steps, so that the disk is not the copy's alone.
const PAUSE: Duration = Duration::from_millis(2);
