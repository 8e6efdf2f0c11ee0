//! From PostgreSQL's errors to the store's: whether asking again can help. A message of the server may repeat what stands in a
//! row, so that nothing but its code is ever looked at.

use tokio_postgres::error::SqlState;
use tokio_postgres::types::FromSql;
use tokio_postgres::{Error, Row};

use crate::store::StoreError;
use crate::telemetry::log;

/// Why a piece of work was not done.
pub(in crate::store) enum Failure {
    /// The store's own reason. The transaction is undone.
    Store(StoreError),
    /// Something was not as the caller expects. The transaction is undone and the answer is `false`, 0 or none.
    Not,
    /// The work stood in the way of somebody else's or found something half gone. Done again it may pass.
    Again,
    /// The server's or the connection's reason.
    Server(Error),
    /// The end of the transaction was asked for and not confirmed.
    Unconfirmed(Error),
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Failure::Store(error)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Failure::Server(error)
    }
}

/// What is to be done about an error of the server or the connection.
pub(super) enum Remedy {
    /// The transaction was rolled back in favour of another one: do it again.
    Again,
    /// The connection is of no use any more.
    Leave,
    /// The server refused; so the caller hears.
    Tell(StoreError),
}

/// What is to be done about an error.
pub(super) fn remedy(error: &Error) -> Remedy {
    let Some(code) = error.code() else { return Remedy::Leave };
    if [SqlState::T_R_SERIALIZATION_FAILURE, SqlState::T_R_DEADLOCK_DETECTED].contains(code) {
        return Remedy::Again;
    }
    match code.code().get(..2) {
        // Statement or lock took too long. The session is sound and the transaction undone.
        _ if [SqlState::QUERY_CANCELED, SqlState::LOCK_NOT_AVAILABLE].contains(code) => {
            log::warn("the database was too slow", &[]);
            Remedy::Tell(StoreError::Unavailable)
        }
        // The server stops, restarts, or became a standby.
        Some("08" | "25" | "57") => Remedy::Leave,
        Some("23") => Remedy::Tell(StoreError::Exists),
        // The run's row is gone: see `Connections::fence`.
        _ if *code == SqlState::DIVISION_BY_ZERO => {
            log::warn("another node buried this run: it writes nothing any more", &[]);
            Remedy::Tell(StoreError::Unavailable)
        }
        // More in one row or value than the server takes, or text that it cannot hold.
        Some("54") | Some("22") => Remedy::Tell(StoreError::TooLarge),
        _ => {
            note(error, "the database refused");
            Remedy::Tell(StoreError::Unavailable)
        }
    }
}

/// Logs the code alone.
pub(super) fn note(error: &Error, what: &'static str) {
    let class: &'static str = match error.code().and_then(|code| code.code().get(..2)) {
        None => "connection",
        Some("08") => "08 connection",
        Some("22") => "22 value",
        Some("23") => "23 constraint",
        Some("25") => "25 transaction",
        Some("28") => "28 authorization",
        Some("3D") => "3D no such database",
        Some("40") => "40 rollback",
        Some("42") => "42 statement or right",
        Some("53") => "53 resources",
        Some("54") => "54 limit",
        Some("57") => "57 operator",
        Some("58") => "58 system",
        Some("XX") => "XX internal",
        Some(_) => "other",
    };
    log::warn(what, &[("class", &class)]);
}

/// A column of a row. What is not of its type was not written by this version.
pub(in crate::store) fn column<'a, T: FromSql<'a>>(row: &'a Row, place: usize) -> Result<T, StoreError> {
    row.try_get(place).map_err(|_| {
        log::error("a row of the store is not what this version writes", &[]);
        StoreError::Corrupt
    })
}

/// A number of a row that is never negative.
pub(in crate::store) fn unsigned(number: i64) -> Result<u64, StoreError> {
    u64::try_from(number).map_err(|_| StoreError::Corrupt)
}

/// A time to compare rows with; one that no row can have stands for the end of time.
pub(in crate::store) fn signed_time(at_ms: u64) -> i64 {
    i64::try_from(at_ms).unwrap_or(i64::MAX)
}

/// Bytes of a fixed length.
pub(in crate::store) fn fixed<const N: usize>(bytes: &[u8]) -> Result<[u8; N], StoreError> {
    bytes.try_into().map_err(|_| StoreError::Corrupt)
}

/// A term as it stands in a row. There are never two thousand million of them.
pub(in crate::store) fn signed_term(term: u32) -> Result<i32, StoreError> {
    i32::try_from(term).map_err(|_| StoreError::TooLarge)
}

/// A term to compare rows with.
pub(in crate::store) fn any_term(term: u32) -> i64 {
    i64::from(term)
}

/// A term of a row.
pub(in crate::store) fn term(number: i32) -> Result<u32, StoreError> {
    u32::try_from(number).map_err(|_| StoreError::Corrupt)
}
