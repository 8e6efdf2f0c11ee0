//! Idempotency keys in SQLite: reserved before work begins, answered after it. What another run reserved is left by a
//! process that ended, because the file has one process at a time.

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension, params};

use super::super::{Claim, Kept, KeptAnswers, KeptState, StoreError};
use super::{SqliteStore, execute};

#[async_trait]
impl KeptAnswers for SqliteStore {
    async fn begin_kept(&self, kept: &Kept, now_ms: i64) -> Result<KeptState, StoreError> {
        let kept = kept.clone();
        self.write(move |tx| begin(tx, &kept, now_ms)).await
    }

    async fn extend_kept(&self, claim: &Claim, lease_ms: i64) -> Result<(), StoreError> {
        let claim = claim.clone();
        let sql = "UPDATE kept_answers SET lease_ms = ?4 WHERE merchant_id = ?1 AND key = ?2 AND run = ?3";
        self.write(move |tx| {
            Ok(execute(tx, sql, params![claim.merchant_id.as_str(), claim.key, claim.run, lease_ms]).map(drop)?)
        })
        .await
    }

    async fn finish_kept(&self, claim: &Claim, status: u16, body: &[u8]) -> Result<(), StoreError> {
        let (claim, body) = (claim.clone(), body.to_vec());
        let sql = "UPDATE kept_answers SET status = ?4, body = ?5
                   WHERE merchant_id = ?1 AND key = ?2 AND run = ?3 AND status IS NULL";
        self.write(move |tx| {
            Ok(execute(tx, sql, params![claim.merchant_id.as_str(), claim.key, claim.run, status, body]).map(drop)?)
        })
        .await
    }

    async fn leave_kept(&self, claim: &Claim, untouched: bool) -> Result<(), StoreError> {
        let claim = claim.clone();
        let sql = "UPDATE kept_answers SET lease_ms = 0, begun = begun AND NOT ?4
                   WHERE merchant_id = ?1 AND key = ?2 AND run = ?3 AND status IS NULL";
        self.write(move |tx| {
            Ok(execute(tx, sql, params![claim.merchant_id.as_str(), claim.key, claim.run, untouched]).map(drop)?)
        })
        .await
    }

    async fn drop_kept(&self, claim: &Claim) -> Result<(), StoreError> {
        let claim = claim.clone();
        let sql = "DELETE FROM kept_answers WHERE merchant_id = ?1 AND key = ?2 AND run = ?3 AND status IS NULL";
        self.write(move |tx| Ok(execute(tx, sql, params![claim.merchant_id.as_str(), claim.key, claim.run]).map(drop)?))
            .await
    }
}

fn begin(tx: &Connection, kept: &Kept, now_ms: i64) -> Result<KeptState, StoreError> {
    execute(tx, "DELETE FROM kept_answers WHERE expires_ms <= ?1", params![now_ms])?;
    let sql = "SELECT digest, subject, status, body, begun FROM kept_answers WHERE merchant_id = ?1 AND key = ?2";
    let (merchant, key, run) = (kept.claim.merchant_id.as_str(), &kept.claim.key, &kept.claim.run);
    let found = tx
        .query_row(sql, params![merchant, key], |row| {
            let (digest, subject): (String, String) = (row.get(0)?, row.get(1)?);
            let (status, body, begun): (Option<u16>, Option<Vec<u8>>, bool) = (row.get(2)?, row.get(3)?, row.get(4)?);
            Ok((digest, subject, status, body, begun))
        })
        .optional()?;
    match found {
        None => {
            execute(
                tx,
                "INSERT INTO kept_answers (merchant_id, key, digest, run, subject, expires_ms, lease_ms)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                params![merchant, key, kept.digest, run, kept.subject, kept.expires_ms, kept.lease_ms],
            )?;
            Ok(KeptState::Fresh)
        }
        Some((digest, ..)) if digest != kept.digest => Ok(KeptState::OtherBody),
        Some((_, _, Some(status), Some(body), _)) => Ok(KeptState::Answered { status, body }),
        Some((_, subject, _, _, begun)) => {
            execute(
                tx,
                "UPDATE kept_answers SET run = ?3, lease_ms = ?4 WHERE merchant_id = ?1 AND key = ?2",
                params![merchant, key, run, kept.lease_ms],
            )?;
            Ok(KeptState::Unanswered { subject, begun })
        }
    }
}

/// Notes that something changes under the key.
///
/// # Errors
/// [`StoreError::Conflict`] when the key is no longer this run's.
pub(super) fn put_claim(tx: &Connection, claim: &Claim) -> Result<(), StoreError> {
    let sql = "UPDATE kept_answers SET begun = 1
               WHERE merchant_id = ?1 AND key = ?2 AND run = ?3 AND status IS NULL";
    match execute(tx, sql, params![claim.merchant_id.as_str(), claim.key, claim.run])? {
        0 => Err(StoreError::Conflict),
        _ => Ok(()),
    }
}
