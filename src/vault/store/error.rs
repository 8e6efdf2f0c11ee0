//! What can go wrong in a store. No variant holds text from a row or a request.

/// Why the store did not do it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// Too many writes wait already; this one did not happen.
    #[error("too many writes are waiting; nothing was changed, ask again in a moment")]
    Busy,
    /// The disk is full, does not answer or failed; a write may or may not have happened.
    #[error("the store cannot be read or written now; check the disk, asking again is safe")]
    Unavailable,
    /// The file is damaged, or a row is not what this version writes.
    #[error("the store is damaged or was changed by something else; restore it from a backup")]
    Corrupt,
    /// The file was written by a newer version.
    #[error("the store was written by a newer version of vaultd; run that version")]
    NewerSchema,
    /// The file is a database, and not one of this vault.
    #[error("the store belongs to another vault; check the path and the vault id")]
    OtherVault,
    /// The store is about to lie elsewhere; the write did not happen.
    #[error("the store moves into another database, so nothing is written for a moment; nothing was changed")]
    Held,
    /// The store lies elsewhere now.
    #[error(
        "the store was moved into a PostgreSQL database: name that as [store] postgres in place of path, and start vaultd anew"
    )]
    Moved,
    /// Another process has the store open.
    #[error("another process has this store open; only one vaultd may run on a store")]
    InUse,
    /// No such tenant.
    #[error("the tenant is not registered")]
    NoTenant,
    /// No such key.
    #[error("there is no such key in the store")]
    NoKey,
    /// The name is taken.
    #[error("a record of this name is there already")]
    Exists,
    /// A blob or text of a row is over its limit.
    #[error("a part of the record is larger than the store takes")]
    TooLarge,
    /// It lies in a server, which is backed up with its own tools.
    #[error("the store lies in a PostgreSQL server: back it up there (pg_basebackup with WAL archiving, or pg_dump)")]
    NoCopy,
    /// The Root that wrapped a key is not in force any more; nothing was changed.
    #[error("another root came into force in between; ask again")]
    OtherRoot,
    /// A table has as many rows as it may have.
    #[error("the store has as many records of this kind as it may have")]
    Full,
}
