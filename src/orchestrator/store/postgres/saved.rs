//! What is known about kept cards in PostgreSQL, and payment tokens.

use async_trait::async_trait;
use strongroom_wire::{CustomerId, TenantId, Token};
use tokio_postgres::Transaction;

use super::super::{PaymentToken, SavedCards, SavedUse, StoreError};
use super::run::{Failure, int, ints, text, texts, transact};
use super::{PostgresStore, one, to_text};

#[async_trait]
impl SavedCards for PostgresStore {
    async fn saved_uses(&self, merchant: &TenantId, customer: &CustomerId) -> Result<Vec<SavedUse>, StoreError> {
        let sql = "SELECT body FROM saved_uses WHERE merchant_id = $1 AND customer_id = $2 ORDER BY token";
        self.list(sql, &[text(&merchant.as_str()), text(&customer.as_str())]).await
    }

    async fn forget_saved_use(
        &self,
        merchant: &TenantId,
        customer: &CustomerId,
        token: Token,
    ) -> Result<(), StoreError> {
        let sql = "DELETE FROM saved_uses WHERE merchant_id = $1 AND customer_id = $2 AND token = $3";
        let (merchant, customer, token) = (merchant.as_str(), customer.as_str(), token.to_string());
        self.change(sql, &[text(&merchant), text(&customer), text(&token)]).await.map(drop)
    }

    async fn add_payment_tokens(&self, tokens: &[PaymentToken], now_ms: i64) -> Result<(), StoreError> {
        let names: Vec<String> = tokens.iter().map(|token| token.payment_token.clone()).collect();
        let merchants: Vec<String> = tokens.iter().map(|token| token.merchant_id.to_string()).collect();
        let expiries: Vec<i64> = tokens.iter().map(|token| token.expires_ms).collect();
        let bodies = tokens.iter().map(to_text).collect::<Result<Vec<_>, _>>()?;
        transact!(self.connections, tx => {
            // What another node forgets right now need not be waited for.
            let sql = "DELETE FROM payment_tokens WHERE payment_token IN (
                               SELECT payment_token FROM payment_tokens WHERE expires_ms <= $1
                               ORDER BY expires_ms LIMIT 1000 FOR UPDATE SKIP LOCKED)";
            tx.execute_typed(sql, &[int(&now_ms)]).await?;
            let sql = "INSERT INTO payment_tokens (payment_token, merchant_id, expires_ms, body)
                       SELECT * FROM unnest($1, $2, $3, $4)";
            tx.execute_typed(sql, &[texts(&names), texts(&merchants), ints(&expiries), texts(&bodies)]).await?;
            Ok(())
        })
    }

    async fn payment_token(
        &self,
        merchant: &TenantId,
        token: &str,
        now_ms: i64,
    ) -> Result<Option<PaymentToken>, StoreError> {
        let sql = "SELECT body FROM payment_tokens WHERE payment_token = $1 AND merchant_id = $2 AND expires_ms > $3";
        self.find(sql, &[text(&token), text(&merchant.as_str()), int(&now_ms)]).await
    }
}

pub(super) async fn put_use(tx: &Transaction<'_>, used: &SavedUse) -> Result<(), Failure> {
    let (merchant, customer) = (used.merchant_id.as_str(), used.customer_id.as_str());
    let (token, body) = (used.token.to_string(), to_text(used)?);
    let sql = "INSERT INTO saved_uses (merchant_id, customer_id, token, body) VALUES ($1, $2, $3, $4)
               ON CONFLICT (merchant_id, customer_id, token) DO NOTHING";
    if tx.execute_typed(sql, &[text(&merchant), text(&customer), text(&token), text(&body)]).await? > 0 {
        return Ok(());
    }
    let sql = "SELECT body FROM saved_uses WHERE merchant_id = $1 AND customer_id = $2 AND token = $3 FOR UPDATE";
    let rows = tx.query_typed(sql, &[text(&merchant), text(&customer), text(&token)]).await?;
    let mut now = used.clone();
    if let Some(before) = one::<SavedUse>(&rows)? {
        now.network_transaction_id = before.network_transaction_id.or(now.network_transaction_id);
        now.off_session |= before.off_session;
    }
    let sql = "UPDATE saved_uses SET body = $4 WHERE merchant_id = $1 AND customer_id = $2 AND token = $3";
    tx.execute_typed(sql, &[text(&merchant), text(&customer), text(&token), text(&to_text(&now)?)]).await?;
    Ok(())
}
