//! From SQLite's errors to the store's: whether asking again can help.

use rusqlite::{Error, ErrorCode, ffi};

use crate::store::StoreError;
use crate::telemetry::log;

/// What an SQLite error means to a caller. Only SQLite's own code is logged, never a value.
pub(in crate::store) fn fault(error: Error) -> StoreError {
    match &error {
        Error::SqliteFailure(failure, words) => match failure.code {
            ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase | ErrorCode::TypeMismatch => {
                log::error("the store is damaged", &[("code", &failure.extended_code)]);
                StoreError::Corrupt
            }
            ErrorCode::ConstraintViolation if failure.extended_code == SQLITE_CONSTRAINT_TRIGGER => {
                refused(words.as_deref())
            }
            ErrorCode::ConstraintViolation => StoreError::Exists,
            ErrorCode::TooBig => StoreError::TooLarge,
            _ => {
                log::warn("the store does not answer", &[("code", &failure.extended_code)]);
                StoreError::Unavailable
            }
        },
        Error::FromSqlConversionFailure(..)
        | Error::IntegralValueOutOfRange(..)
        | Error::InvalidColumnType(..)
        | Error::Utf8Error(..) => {
            log::error("a row of the store is not what this version writes", &[]);
            StoreError::Corrupt
        }
        _ => StoreError::Unavailable,
    }
}

/// What a trigger of ours refused.
fn refused(words: Option<&str>) -> StoreError {
    match words {
        Some("store held") => StoreError::Held,
        Some("store moved") => StoreError::Moved,
        _ => StoreError::Corrupt,
    }
}

const SQLITE_CONSTRAINT_TRIGGER: i32 = 1811;

/// Whether a failed commit leaves it open what is on the disk. After a failed write-back the system may call the same
/// pages clean, so a later success would prove nothing: only a disk, or a limit, that refuses to take a write at all is a
/// fault that one can go on after.
pub(super) fn leaves_disk_unknown(error: &Error) -> bool {
    let Some(failure) = error.sqlite_error() else { return false };
    match failure.code {
        ErrorCode::DatabaseCorrupt => true,
        ErrorCode::SystemIoFailure => !REFUSED_WRITES.contains(&failure.extended_code),
        _ => false,
    }
}

/// What a full disk or a limit of a file's size does, where SQLite does not call it full: to the log, and to the table of
/// the log's pages beside it.
const REFUSED_WRITES: [i32; 3] = [ffi::SQLITE_IOERR_WRITE, ffi::SQLITE_IOERR_TRUNCATE, ffi::SQLITE_IOERR_SHMSIZE];

/// Number in a row as `u64`. Times and counts are never negative.
pub(super) fn unsigned(number: i64) -> Result<u64, StoreError> {
    u64::try_from(number).map_err(|_| StoreError::Corrupt)
}

/// Bytes of a fixed length.
pub(super) fn fixed<const N: usize>(bytes: &[u8]) -> Result<[u8; N], StoreError> {
    bytes.try_into().map_err(|_| StoreError::Corrupt)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_that_was_refused_is_known_not_to_have_been_made_and_a_failed_write_back_is_not() {
        let unknown = |code| leaves_disk_unknown(&Error::SqliteFailure(ffi::Error::new(code), None));
        for refused in [ffi::SQLITE_FULL, ffi::SQLITE_IOERR_WRITE, ffi::SQLITE_IOERR_SHMSIZE, ffi::SQLITE_BUSY] {
            assert!(!unknown(refused), "{refused}");
        }
        for lost in [ffi::SQLITE_IOERR_FSYNC, ffi::SQLITE_IOERR_DIR_FSYNC, ffi::SQLITE_IOERR_READ, ffi::SQLITE_CORRUPT]
        {
            assert!(unknown(lost), "{lost}");
        }
    }
}
