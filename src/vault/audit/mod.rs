//! The audit log: an append-only RFC 6962 Merkle tree in its own SQLite file. A [`Warrant`] exists only after the entry of
//! the act it allows is durable.
//!
//! ```text
//! AuditLog::open(path, clock, origin_name) -> Result<AuditLog, AuditError>
//! record(Permit<A>)                        -> Result<Warrant<A>, NotRecorded>     async; durable when it answers
//! record_refusal(Denied)                   -> Result<Option<u64>, NotRecorded>    async; None: counted, see `refusals`
//! record_failure(Trace, Note)              -> Result<u64, NotRecorded>            async
//! record_own(OwnAct, Own)                  -> Result<u64, NotRecorded>            async
//! ```

mod warrant;

pub use warrant::Warrant;

/// The entry could not be made durable (full disk, I/O error, too many waiting): nothing may happen on its strength.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the audit log cannot be written; free space on its disk or see the vault's log, then try again")]
pub struct NotRecorded;
