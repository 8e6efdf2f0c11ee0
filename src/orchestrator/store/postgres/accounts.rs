//! Merchants, API keys, connector accounts, customers and routing rules in PostgreSQL.

use async_trait::async_trait;
use serde::de::DeserializeOwned;
use strongroom_wire::{CustomerId, TenantId};
use tokio_postgres::Transaction;

use super::super::{Accounts, StoreError};
use super::run::{Failure, Param, ask, int, text, transact};
use super::{PostgresStore, column, many, one, to_text};
use crate::account::{ApiKey, ConnectorAccount, Customer, Merchant};

#[async_trait]
impl Accounts for PostgresStore {
    async fn add_merchant(&self, merchant: &Merchant) -> Result<(), StoreError> {
        let body = to_text(merchant)?;
        let id = merchant.merchant_id.as_str();
        let row = [text(&id), text(&merchant.publishable_key), text(&body)];
        let sql = "INSERT INTO merchants (merchant_id, publishable_key, body) VALUES ($1, $2, $3)";
        self.change(sql, &row).await.map(drop)
    }

    async fn save_merchant(&self, merchant: &Merchant, seen: &Merchant) -> Result<(), StoreError> {
        let (id, body) = (merchant.merchant_id.as_str(), to_text(merchant)?);
        transact!(self.connections, tx => {
            let sql = "SELECT body FROM merchants WHERE merchant_id = $1 FOR UPDATE";
            expect(tx, sql, &[text(&id)], seen).await?;
            let sql = "UPDATE merchants SET publishable_key = $2, body = $3 WHERE merchant_id = $1";
            tx.execute_typed(sql, &[text(&id), text(&merchant.publishable_key), text(&body)]).await?;
            Ok(())
        })
    }

    async fn merchant(&self, id: &TenantId) -> Result<Option<Merchant>, StoreError> {
        self.find("SELECT body FROM merchants WHERE merchant_id = $1", &[text(&id.as_str())]).await
    }

    async fn merchant_of_publishable_key(&self, key: &str) -> Result<Option<Merchant>, StoreError> {
        self.find("SELECT body FROM merchants WHERE publishable_key = $1", &[text(&key)]).await
    }

    async fn add_api_key(&self, key: &ApiKey) -> Result<(), StoreError> {
        let body = to_text(key)?;
        let sql = "INSERT INTO api_keys (key_id, merchant_id, hash, body) VALUES ($1, $2, $3, $4)";
        let merchant = key.merchant_id.as_str();
        let row = [text(&key.key_id), text(&merchant), text(&key.hash), text(&body)];
        self.change(sql, &row).await.map(drop)
    }

    async fn api_key_of_hash(&self, hash: &str) -> Result<Option<ApiKey>, StoreError> {
        self.find("SELECT body FROM api_keys WHERE hash = $1", &[text(&hash)]).await
    }

    async fn api_keys(&self, merchant: &TenantId) -> Result<Vec<ApiKey>, StoreError> {
        let sql = "SELECT body FROM api_keys WHERE merchant_id = $1 ORDER BY place";
        self.list(sql, &[text(&merchant.as_str())]).await
    }

    async fn revoke_api_key(&self, merchant: &TenantId, key_id: &str, now_ms: i64) -> Result<bool, StoreError> {
        if key_id.contains('\0') {
            return Ok(false);
        }
        transact!(self.connections, tx => {
            let sql = "SELECT body FROM api_keys WHERE merchant_id = $1 AND key_id = $2 FOR UPDATE";
            let rows = tx.query_typed(sql, &[text(&merchant.as_str()), text(&key_id)]).await?;
            let Some(mut key) = one::<ApiKey>(&rows)? else {
                return Ok(false);
            };
            key.revoked_ms.get_or_insert(now_ms);
            let sql = "UPDATE api_keys SET body = $2 WHERE key_id = $1";
            tx.execute_typed(sql, &[text(&key_id), text(&to_text(&key)?)]).await?;
            Ok(true)
        })
    }

    async fn add_connector_account(&self, account: &ConnectorAccount) -> Result<(), StoreError> {
        let body = to_text(account)?;
        let sql = "INSERT INTO connector_accounts (account_id, merchant_id, body) VALUES ($1, $2, $3)";
        let merchant = account.merchant_id.as_str();
        let row = [text(&account.account_id), text(&merchant), text(&body)];
        self.change(sql, &row).await.map(drop)
    }

    async fn save_connector_account(
        &self,
        account: &ConnectorAccount,
        seen: &ConnectorAccount,
    ) -> Result<(), StoreError> {
        let (merchant, id, body) = (account.merchant_id.as_str(), &account.account_id, to_text(account)?);
        transact!(self.connections, tx => {
            let sql = "SELECT body FROM connector_accounts WHERE merchant_id = $1 AND account_id = $2 FOR UPDATE";
            expect(tx, sql, &[text(&merchant), text(id)], seen).await?;
            let sql = "UPDATE connector_accounts SET body = $2 WHERE account_id = $1";
            tx.execute_typed(sql, &[text(id), text(&body)]).await?;
            Ok(())
        })
    }

    async fn connector_accounts(&self, merchant: &TenantId) -> Result<Vec<ConnectorAccount>, StoreError> {
        let sql = "SELECT body FROM connector_accounts WHERE merchant_id = $1 ORDER BY place";
        self.list(sql, &[text(&merchant.as_str())]).await
    }

    async fn add_customer(&self, customer: &Customer) -> Result<(), StoreError> {
        let body = to_text(customer)?;
        let sql = "INSERT INTO customers (merchant_id, customer_id, body) VALUES ($1, $2, $3)";
        let (merchant, id) = (customer.merchant_id.as_str(), customer.customer_id.as_str());
        let row = [text(&merchant), text(&id), text(&body)];
        self.change(sql, &row).await.map(drop)
    }

    async fn save_customer(&self, customer: &Customer, seen: &Customer) -> Result<(), StoreError> {
        let (merchant, id) = (customer.merchant_id.as_str(), customer.customer_id.as_str());
        let body = to_text(customer)?;
        transact!(self.connections, tx => {
            let sql = "SELECT body FROM customers WHERE merchant_id = $1 AND customer_id = $2 FOR UPDATE";
            expect(tx, sql, &[text(&merchant), text(&id)], seen).await?;
            let sql = "UPDATE customers SET body = $3 WHERE merchant_id = $1 AND customer_id = $2";
            tx.execute_typed(sql, &[text(&merchant), text(&id), text(&body)]).await?;
            Ok(())
        })
    }

    async fn customer(&self, merchant: &TenantId, id: &CustomerId) -> Result<Option<Customer>, StoreError> {
        let sql = "SELECT body FROM customers WHERE merchant_id = $1 AND customer_id = $2";
        self.find(sql, &[text(&merchant.as_str()), text(&id.as_str())]).await
    }

    async fn customers(&self, merchant: &TenantId, limit: u32, offset: u32) -> Result<Vec<Customer>, StoreError> {
        let sql = "SELECT body FROM customers WHERE merchant_id = $1 ORDER BY place DESC LIMIT $2 OFFSET $3";
        self.list(sql, &[text(&merchant.as_str()), int(&i64::from(limit)), int(&i64::from(offset))]).await
    }

    async fn routing(&self, merchant: &TenantId) -> Result<Option<String>, StoreError> {
        self.routing_of(merchant.as_str()).await
    }

    async fn save_routing(&self, merchant: &TenantId, document: Option<&str>) -> Result<(), StoreError> {
        let merchant = merchant.as_str();
        match document {
            Some(document) => {
                let sql = "INSERT INTO routings (merchant_id, body) VALUES ($1, $2)
                           ON CONFLICT (merchant_id) DO UPDATE SET body = excluded.body";
                self.change(sql, &[text(&merchant), text(&document)]).await.map(drop)
            }
            None => self.change("DELETE FROM routings WHERE merchant_id = $1", &[text(&merchant)]).await.map(drop),
        }
    }

    async fn swap_routing(
        &self,
        merchant: &TenantId,
        seen: Option<&str>,
        document: Option<&str>,
    ) -> Result<(), StoreError> {
        let merchant = merchant.as_str();
        let changed = match (seen, document) {
            (Some(seen), Some(document)) => {
                let sql = "UPDATE routings SET body = $3 WHERE merchant_id = $1 AND body = $2";
                self.change(sql, &[text(&merchant), text(&seen), text(&document)]).await?
            }
            (Some(seen), None) => {
                let sql = "DELETE FROM routings WHERE merchant_id = $1 AND body = $2";
                self.change(sql, &[text(&merchant), text(&seen)]).await?
            }
            (None, Some(document)) => {
                let sql =
                    "INSERT INTO routings (merchant_id, body) VALUES ($1, $2) ON CONFLICT (merchant_id) DO NOTHING";
                self.change(sql, &[text(&merchant), text(&document)]).await?
            }
            (None, None) => u64::from(self.routing_of(merchant).await?.is_none()),
        };
        if changed > 0 { Ok(()) } else { Err(StoreError::Conflict) }
    }
}

impl PostgresStore {
    async fn routing_of(&self, merchant: &str) -> Result<Option<String>, StoreError> {
        ask!(self.connections, c => {
            let sql = "SELECT body FROM routings WHERE merchant_id = $1";
            let rows = c.query_typed(sql, &[text(&merchant)]).await?;
            Ok(rows.first().map(|row| column(row, 0)).transpose()?)
        })
    }

    /// Runs one statement in a transaction; answers how many rows changed.
    pub(super) async fn change(&self, sql: &str, params: &[Param<'_>]) -> Result<u64, StoreError> {
        transact!(self.connections, tx => { Ok(tx.execute_typed(sql, params).await?) })
    }

    /// The document that a question finds.
    pub(super) async fn find<T: DeserializeOwned>(
        &self,
        sql: &str,
        params: &[Param<'_>],
    ) -> Result<Option<T>, StoreError> {
        ask!(self.connections, c => { Ok(one(&c.query_typed(sql, params).await?)?) })
    }

    /// The documents that a question finds.
    pub(super) async fn list<T: DeserializeOwned>(
        &self,
        sql: &str,
        params: &[Param<'_>],
    ) -> Result<Vec<T>, StoreError> {
        ask!(self.connections, c => { Ok(many(&c.query_typed(sql, params).await?)?) })
    }
}

/// Whether the row is there and still says what the caller saw; compared as it reads, because an older version of this
/// program may have written it with fewer fields.
async fn expect<T: DeserializeOwned + PartialEq>(
    tx: &Transaction<'_>,
    sql: &str,
    key: &[Param<'_>],
    seen: &T,
) -> Result<(), Failure> {
    match one::<T>(&tx.query_typed(sql, key).await?)? {
        Some(found) if found == *seen => Ok(()),
        _ => Err(StoreError::Conflict.into()),
    }
}
