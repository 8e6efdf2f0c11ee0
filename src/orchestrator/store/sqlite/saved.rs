//! What is known about kept cards in SQLite, and payment tokens.

use async_trait::async_trait;
use rusqlite::params;
use strongroom_wire::{CustomerId, TenantId, Token};

use super::super::{PaymentToken, SavedCards, SavedUse, StoreError};
use super::{SqliteStore, execute, many, one, to_text};

#[async_trait]
impl SavedCards for SqliteStore {
    async fn saved_uses(&self, merchant: &TenantId, customer: &CustomerId) -> Result<Vec<SavedUse>, StoreError> {
        let (merchant, customer) = (merchant.to_string(), customer.to_string());
        let sql = "SELECT body FROM saved_uses WHERE merchant_id = ?1 AND customer_id = ?2";
        self.read(move |c| many(c, sql, params![merchant, customer])).await
    }

    async fn forget_saved_use(
        &self,
        merchant: &TenantId,
        customer: &CustomerId,
        token: Token,
    ) -> Result<(), StoreError> {
        let key = (merchant.to_string(), customer.to_string(), token.to_string());
        self.write(move |tx| {
            let sql = "DELETE FROM saved_uses WHERE merchant_id = ?1 AND customer_id = ?2 AND token = ?3";
            execute(tx, sql, key)?;
            Ok(())
        })
        .await
    }

    async fn add_payment_tokens(&self, tokens: &[PaymentToken], now_ms: i64) -> Result<(), StoreError> {
        let tokens = tokens.to_vec();
        self.write(move |tx| {
            execute(tx, "DELETE FROM payment_tokens WHERE expires_ms <= ?1", params![now_ms])?;
            for token in &tokens {
                execute(
                    tx,
                    "INSERT INTO payment_tokens VALUES (?1, ?2, ?3, ?4)",
                    params![token.payment_token, token.merchant_id.as_str(), token.expires_ms, to_text(token)?],
                )?;
            }
            Ok(())
        })
        .await
    }

    async fn payment_token(
        &self,
        merchant: &TenantId,
        token: &str,
        now_ms: i64,
    ) -> Result<Option<PaymentToken>, StoreError> {
        let (merchant, token) = (merchant.to_string(), token.to_owned());
        let sql = "SELECT body FROM payment_tokens WHERE payment_token = ?1 AND merchant_id = ?2 AND expires_ms > ?3";
        self.read(move |c| one(c, sql, params![token, merchant, now_ms])).await
    }
}
