//! The audit log: an append-only RFC 6962 Merkle tree in its own SQLite file (`schema.sql`). A [`Warrant`] exists only
//! after the entry of the act it allows is durable.
//!
//! One thread writes. Whatever arrives while a commit runs goes into the next, without waiting for more. A commit that
//! fails records nothing and gives no Warrant; the next one tries again, so that the log heals when its disk does.

mod batch;
mod copy;
mod file;
mod log;
mod read;
mod refusals;
#[cfg(test)]
pub(crate) mod rig;
mod tally;
mod tiles;
mod tree;
mod warrant;
mod writer;

use std::sync::Arc;

use strongroom_keys::note::Checkpoint;

pub use log::{AuditLog, Lag, Own};
pub use warrant::Warrant;

/// Signs a checkpoint and answers the note, or none while there is no Sign key in memory.
pub type Notary = Arc<dyn Fn(&Checkpoint) -> Option<String> + Send + Sync>;

/// Is told about turns for the worse or better.
pub type Watch = Arc<dyn Fn(Turn) + Send + Sync>;

/// What an operator must be told about the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// Entries cannot be written: nothing is released until they can.
    Failing {
        /// SQLite's extended result code, or 0.
        code: i32,
    },
    /// Entries can be written again.
    Healed,
    /// The tree's root could not be stored; it is tried again, and the entries are safe.
    RootNotStored {
        /// SQLite's extended result code, or 0.
        code: i32,
    },
    /// The writer ended by a panic: restart the process.
    WriterLost,
}

/// The entry could not be made durable (full disk, I/O error, too many waiting): nothing may happen on its strength.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the audit log cannot be written; free space on its disk or see the vault's log, then try again")]
pub struct NotRecorded;

/// What can be wrong with the log as a whole.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// Another process has it open.
    #[error("the audit log is in use by another process; stop that one first")]
    InUse,
    /// SQLite could not do it.
    #[error("the audit log's file cannot be used: {0}")]
    File(#[from] rusqlite::Error),
    /// The operating system could not do it.
    #[error("the audit log's file cannot be opened: {0}")]
    Io(#[from] std::io::Error),
    /// The file system lacks what the write-ahead log needs.
    #[error("the audit log's file system cannot hold a write-ahead log; use a local disk")]
    NoWal,
    /// Not one of ours.
    #[error("the file is not an audit log; check the configured path")]
    NotALog,
    /// Made by a newer vaultd.
    #[error("the audit log was written by a newer vaultd; use that version or a later one")]
    NewerSchema,
    /// Of another vault.
    #[error("the audit log belongs to another vault; check the configured path")]
    ForeignLog,
    /// An entry or a stored root is not what it was.
    #[error(
        "the audit log does not match its own hashes near entry {near}: an entry was changed, removed or reordered. Keep \
         the file as evidence, run `vaultctl audit verify` on it against a checkpoint kept elsewhere, and start from the \
         newest copy that verifies"
    )]
    Broken {
        /// Index of the entry, or of the first of the block of entries, at which it was noticed.
        near: u64,
    },
    /// The newest checkpoint in the file is not by a key of this vault.
    #[error(
        "a checkpoint in the audit log is not signed by this vault: the log was replaced. Keep the file as evidence and \
         start from the newest copy that verifies"
    )]
    ForeignCheckpoint,
    /// No Sign key in memory.
    #[error("the vault is sealed, so no checkpoint can be signed; unseal it first")]
    NoNotary,
    /// There is no such entry.
    #[error("the audit log has no entry of this index")]
    NoEntry,
    /// The write-ahead log is as long as it may be.
    #[error("something that reads the audit log keeps its -wal file from being emptied; end it")]
    HeldBack,
    /// The writer has ended.
    #[error("the audit log is closed")]
    Stopped,
}

impl AuditError {
    /// SQLite's extended result code, or 0: what can be told without a path.
    fn code(&self) -> i32 {
        match self {
            AuditError::File(rusqlite::Error::SqliteFailure(failure, _)) => failure.extended_code,
            _ => 0,
        }
    }
}
