//! Idempotency keys in PostgreSQL: reserved before work begins, answered after it. What another run reserved is left alone
//! until its lease ends.

use async_trait::async_trait;
use tokio_postgres::Transaction;

use super::super::{Claim, Kept, KeptAnswers, KeptState, StoreError};
use super::run::{Failure, bytes, flag, int, text, transact};
use super::{PostgresStore, column};

#[async_trait]
impl KeptAnswers for PostgresStore {
    async fn begin_kept(&self, kept: &Kept, now_ms: i64) -> Result<KeptState, StoreError> {
        transact!(self.connections, tx => { begin(tx, kept, now_ms).await })
    }

    async fn extend_kept(&self, claim: &Claim, lease_ms: i64) -> Result<(), StoreError> {
        let sql = "UPDATE kept_answers SET lease_ms = $4 WHERE merchant_id = $1 AND key = $2 AND run = $3";
        let merchant = claim.merchant_id.as_str();
        self.change(sql, &[text(&merchant), text(&claim.key), text(&claim.run), int(&lease_ms)]).await.map(drop)
    }

    async fn finish_kept(&self, claim: &Claim, status: u16, body: &[u8]) -> Result<(), StoreError> {
        let sql = "UPDATE kept_answers SET status = $4, body = $5
                   WHERE merchant_id = $1 AND key = $2 AND run = $3 AND status IS NULL";
        let (merchant, status, body) = (claim.merchant_id.as_str(), i64::from(status), body.to_vec());
        let row = [text(&merchant), text(&claim.key), text(&claim.run), int(&status), bytes(&body)];
        self.change(sql, &row).await.map(drop)
    }

    async fn leave_kept(&self, claim: &Claim, untouched: bool) -> Result<(), StoreError> {
        let sql = "UPDATE kept_answers SET lease_ms = 0, begun = begun AND NOT $4
                   WHERE merchant_id = $1 AND key = $2 AND run = $3 AND status IS NULL";
        let merchant = claim.merchant_id.as_str();
        self.change(sql, &[text(&merchant), text(&claim.key), text(&claim.run), flag(&untouched)]).await.map(drop)
    }

    async fn drop_kept(&self, claim: &Claim) -> Result<(), StoreError> {
        let sql = "DELETE FROM kept_answers WHERE merchant_id = $1 AND key = $2 AND run = $3 AND status IS NULL";
        let merchant = claim.merchant_id.as_str();
        self.change(sql, &[text(&merchant), text(&claim.key), text(&claim.run)]).await.map(drop)
    }
}

async fn begin(tx: &Transaction<'_>, kept: &Kept, now_ms: i64) -> Result<KeptState, Failure> {
    let (merchant, key, run) = (kept.claim.merchant_id.as_str(), &kept.claim.key, &kept.claim.run);
    // The row of this key in any case, and a few others; what another node forgets right now need not be waited for.
    let sql = "DELETE FROM kept_answers WHERE merchant_id = $1 AND key = $2 AND expires_ms <= $3";
    tx.execute_typed(sql, &[text(&merchant), text(key), int(&now_ms)]).await?;
    let sql = "DELETE FROM kept_answers WHERE (merchant_id, key) IN (
                   SELECT merchant_id, key FROM kept_answers WHERE expires_ms <= $1
                   ORDER BY expires_ms LIMIT 10 FOR UPDATE SKIP LOCKED)";
    tx.execute_typed(sql, &[int(&now_ms)]).await?;
    let sql = "INSERT INTO kept_answers (merchant_id, key, digest, run, subject, expires_ms, lease_ms, begun)
               VALUES ($1, $2, $3, $4, $5, $6, $7, FALSE) ON CONFLICT (merchant_id, key) DO NOTHING";
    let row = [
        text(&merchant),
        text(key),
        text(&kept.digest),
        text(run),
        text(&kept.subject),
        int(&kept.expires_ms),
        int(&kept.lease_ms),
    ];
    if tx.execute_typed(sql, &row).await? > 0 {
        return Ok(KeptState::Fresh);
    }
    let sql = "SELECT digest, subject, status, body, begun, run, lease_ms FROM kept_answers
               WHERE merchant_id = $1 AND key = $2 FOR UPDATE";
    let rows = tx.query_typed(sql, &[text(&merchant), text(key)]).await?;
    // Given up between the two statements: the caller asks again.
    let Some(row) = rows.first() else { return Ok(KeptState::Running) };
    if column::<&str>(row, 0)? != kept.digest {
        return Ok(KeptState::OtherBody);
    }
    if let (Some(status), Some(body)) = (column::<Option<i64>>(row, 2)?, column(row, 3)?) {
        let status = u16::try_from(status).map_err(|_| StoreError::Unreadable)?;
        return Ok(KeptState::Answered { status, body });
    }
    if column::<&str>(row, 5)? != run && column::<i64>(row, 6)? > now_ms {
        return Ok(KeptState::Running);
    }
    let sql = "UPDATE kept_answers SET run = $3, lease_ms = $4 WHERE merchant_id = $1 AND key = $2";
    tx.execute_typed(sql, &[text(&merchant), text(key), text(run), int(&kept.lease_ms)]).await?;
    Ok(KeptState::Unanswered { subject: column(row, 1)?, begun: column(row, 4)? })
}

/// Notes that something changes under the key.
///
/// # Errors
/// [`StoreError::Conflict`] when the key is no longer this run's.
pub(super) async fn put_claim(tx: &Transaction<'_>, claim: &Claim) -> Result<(), Failure> {
    let sql = "UPDATE kept_answers SET begun = TRUE
               WHERE merchant_id = $1 AND key = $2 AND run = $3 AND status IS NULL";
    let merchant = claim.merchant_id.as_str();
    match tx.execute_typed(sql, &[text(&merchant), text(&claim.key), text(&claim.run)]).await? {
        0 => Err(StoreError::Conflict.into()),
        _ => Ok(()),
    }
}
