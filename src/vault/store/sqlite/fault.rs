//! From SQLite's errors to the store's: whether asking again can help.

use rusqlite::{Error, ErrorCode};

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
/// pages clean, so a later success would prove nothing: only a full disk is a fault that one can go on after.
pub(super) fn leaves_disk_unknown(error: &Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::SystemIoFailure | ErrorCode::DatabaseCorrupt))
}

/// Number in a row as `u64`. Times and counts are never negative.
pub(super) fn unsigned(number: i64) -> Result<u64, StoreError> {
    u64::try_from(number).map_err(|_| StoreError::Corrupt)
}

/// Bytes of a fixed length.
pub(super) fn fixed<const N: usize>(bytes: &[u8]) -> Result<[u8; N], StoreError> {
    bytes.try_into().map_err(|_| StoreError::Corrupt)
}
