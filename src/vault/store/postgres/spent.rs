//! Sealed cards that were opened: each counts once while its key lives.

use strongroom_wire::limits;

use super::PostgresStore;
use super::fault::{any_term, column, fixed, signed_term, signed_time, unsigned};
use super::run::{big, bytes, int};
use crate::store::{SpentRow, StoreError};

impl PostgresStore {
    /// Whether it is the first time, or the same request as the first time.
    pub(super) async fn use_up(&self, spent: &SpentRow) -> Result<bool, StoreError> {
        // The row of the first time comes back either way; it is written over with itself, which waits for whoever makes it now.
        let sql = "INSERT INTO spent (term, enc, request, at_ms) VALUES ($1, $2, $3, $4) \
                   ON CONFLICT (term, enc) DO UPDATE SET request = spent.request RETURNING request, at_ms";
        let (term, at) = (signed_term(spent.term)?, signed_time(spent.at_ms));
        let (enc, request) = (spent.enc.as_slice(), spent.request.as_slice());
        let rows = self.connections.once(sql, &[int(&term), bytes(&enc), bytes(&request), big(&at)]).await?;
        let first = rows.first().ok_or(StoreError::Corrupt)?;
        // The answer that is kept for the request lives as long and begins later, so it is there whenever this is true.
        let until_ms = unsigned(column(first, 1)?)?.saturating_add(limits::IDEMPOTENCY_TTL_S * 1000);
        Ok(fixed::<32>(column(first, 0)?)? == spent.request && spent.at_ms < until_ms)
    }

    /// Forgets those of old terms.
    pub(super) async fn forget_below(&self, term: u32, limit: u32) -> Result<u64, StoreError> {
        let (term, limit) = (any_term(term), i64::from(limit));
        let sql = "DELETE FROM spent USING (SELECT term, enc FROM spent WHERE term < $1 ORDER BY term, enc LIMIT $2) AS old \
                   WHERE spent.term = old.term AND spent.enc = old.enc RETURNING 1";
        Ok(self.connections.once(sql, &[big(&term), big(&limit)]).await?.len() as u64)
    }
}
