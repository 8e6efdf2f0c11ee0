//! Sealed cards that were opened: each counts once while its key lives.

use rusqlite::{OptionalExtension, params};
use strongroom_wire::limits;

use super::cards::signed_time;
use super::fault::{fault, fixed, unsigned};
use super::writer::Desk;
use crate::store::{SpentRow, StoreError};

/// Whether it is the first time, or the same request as the first time.
pub(super) fn spend(desk: &mut Desk<'_>, spent: &SpentRow) -> Result<bool, StoreError> {
    let known: Option<(Vec<u8>, i64)> = desk
        .conn
        .prepare_cached("SELECT request, at_ms FROM spent WHERE term = ?1 AND enc = ?2")
        .and_then(|mut statement| {
            statement.query_row(params![spent.term, spent.enc], |row| Ok((row.get(0)?, row.get(1)?))).optional()
        })
        .map_err(fault)?;
    if let Some((request, at)) = known {
        // The answer that is kept for the request lives as long and begins later, so it is there whenever this is true.
        let until_ms = unsigned(at)?.saturating_add(limits::IDEMPOTENCY_TTL_S * 1000);
        return Ok(fixed::<32>(&request)? == spent.request && spent.at_ms < until_ms);
    }
    desk.conn
        .prepare_cached("INSERT INTO spent (term, enc, request, at_ms) VALUES (?1, ?2, ?3, ?4)")
        .and_then(|mut statement| {
            statement.execute(params![spent.term, spent.enc, spent.request, signed_time(spent.at_ms)])
        })
        .map_err(fault)?;
    Ok(true)
}

/// Forgets those of old terms.
pub(super) fn forget(desk: &mut Desk<'_>, term: u32, limit: u32) -> Result<u64, StoreError> {
    let gone = desk
        .conn
        .prepare_cached(
            "DELETE FROM spent WHERE (term, enc) IN (SELECT term, enc FROM spent WHERE term < ?1 ORDER BY term, enc \
             LIMIT ?2)",
        )
        .and_then(|mut statement| statement.execute(params![term, limit]))
        .map_err(fault)?;
    desk.shreds |= gone > 0;
    Ok(gone as u64)
}
