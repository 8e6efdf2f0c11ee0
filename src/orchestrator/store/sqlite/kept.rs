//! Idempotency keys in SQLite: reserved before work begins, answered after it.

use async_trait::async_trait;
use rusqlite::{OptionalExtension, Transaction, params};
use strongroom_wire::TenantId;

use super::super::{Kept, KeptAnswers, KeptState, StoreError};
use super::SqliteStore;

#[async_trait]
impl KeptAnswers for SqliteStore {
    async fn begin_kept(&self, kept: &Kept, now_ms: i64) -> Result<KeptState, StoreError> {
        let kept = kept.clone();
        self.write(move |tx| begin(tx, &kept, now_ms)).await
    }

    async fn finish_kept(&self, merchant: &TenantId, key: &str, status: u16, body: &[u8]) -> Result<(), StoreError> {
        let (merchant, key, body) = (merchant.to_string(), key.to_owned(), body.to_vec());
        self.write(move |tx| finish(tx, &merchant, &key, status, &body)).await
    }

    async fn drop_kept(&self, merchant: &TenantId, key: &str) -> Result<(), StoreError> {
        let (merchant, key) = (merchant.to_string(), key.to_owned());
        self.write(move |tx| give_up(tx, &merchant, &key)).await
    }
}

fn begin(tx: &Transaction<'_>, kept: &Kept, now_ms: i64) -> Result<KeptState, StoreError> {
    tx.execute("DELETE FROM kept_answers WHERE expires_ms <= ?1", params![now_ms])?;
    let sql = "SELECT digest, subject, status, body FROM kept_answers WHERE merchant_id = ?1 AND key = ?2";
    let merchant = kept.merchant_id.as_str();
    let found = tx
        .query_row(sql, params![merchant, kept.key], |row| {
            let (digest, subject): (String, String) = (row.get(0)?, row.get(1)?);
            let (status, body): (Option<u16>, Option<Vec<u8>>) = (row.get(2)?, row.get(3)?);
            Ok((digest, subject, status, body))
        })
        .optional()?;
    match found {
        None => {
            tx.execute(
                "INSERT INTO kept_answers (merchant_id, key, digest, run, subject, expires_ms)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                params![merchant, kept.key, kept.digest, kept.run, kept.subject, kept.expires_ms],
            )?;
            Ok(KeptState::Fresh)
        }
        Some((digest, ..)) if digest != kept.digest => Ok(KeptState::OtherBody),
        Some((_, _, Some(status), Some(body))) => Ok(KeptState::Answered { status, body }),
        Some((_, subject, ..)) => Ok(KeptState::Unanswered(subject)),
    }
}

fn finish(tx: &Transaction<'_>, merchant: &str, key: &str, status: u16, body: &[u8]) -> Result<(), StoreError> {
    let sql = "UPDATE kept_answers SET status = ?3, body = ?4 WHERE merchant_id = ?1 AND key = ?2";
    tx.execute(sql, params![merchant, key, status, body])?;
    Ok(())
}

fn give_up(tx: &Transaction<'_>, merchant: &str, key: &str) -> Result<(), StoreError> {
    tx.execute(
        "DELETE FROM kept_answers WHERE merchant_id = ?1 AND key = ?2 AND status IS NULL",
        params![merchant, key],
    )?;
    Ok(())
}
