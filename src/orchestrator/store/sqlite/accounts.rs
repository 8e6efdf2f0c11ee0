//! Merchants, API keys, connector accounts, customers and routing rules in SQLite.

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension, params};
use serde::de::DeserializeOwned;
use strongroom_wire::{CustomerId, TenantId};

use super::super::{Accounts, StoreError};
use super::{SqliteStore, execute, many, one, to_text};
use crate::account::{ApiKey, ConnectorAccount, Customer, Merchant};

#[async_trait]
impl Accounts for SqliteStore {
    async fn add_merchant(&self, merchant: &Merchant) -> Result<(), StoreError> {
        let (id, key, body) = (merchant.merchant_id.to_string(), merchant.publishable_key.clone(), to_text(merchant)?);
        self.write(move |tx| {
            execute(tx, "INSERT INTO merchants VALUES (?1, ?2, ?3)", params![id, key, body])?;
            Ok(())
        })
        .await
    }

    async fn save_merchant(&self, merchant: &Merchant, seen: &Merchant) -> Result<(), StoreError> {
        let (id, key, body) = (merchant.merchant_id.to_string(), merchant.publishable_key.clone(), to_text(merchant)?);
        let seen = seen.clone();
        self.write(move |tx| {
            expect(tx, "SELECT body FROM merchants WHERE merchant_id = ?1", params![id], &seen)?;
            let sql = "UPDATE merchants SET publishable_key = ?2, body = ?3 WHERE merchant_id = ?1";
            execute(tx, sql, params![id, key, body])?;
            Ok(())
        })
        .await
    }

    async fn merchant(&self, id: &TenantId) -> Result<Option<Merchant>, StoreError> {
        let id = id.to_string();
        self.read(move |c| one(c, "SELECT body FROM merchants WHERE merchant_id = ?1", params![id])).await
    }

    async fn merchant_of_publishable_key(&self, key: &str) -> Result<Option<Merchant>, StoreError> {
        let key = key.to_owned();
        self.read(move |c| one(c, "SELECT body FROM merchants WHERE publishable_key = ?1", params![key])).await
    }

    async fn add_api_key(&self, key: &ApiKey) -> Result<(), StoreError> {
        let row = (key.key_id.clone(), key.merchant_id.to_string(), key.hash.clone(), to_text(key)?);
        self.write(move |tx| {
            execute(tx, "INSERT INTO api_keys VALUES (?1, ?2, ?3, ?4)", row)?;
            Ok(())
        })
        .await
    }

    async fn api_key_of_hash(&self, hash: &str) -> Result<Option<ApiKey>, StoreError> {
        let hash = hash.to_owned();
        self.read(move |c| one(c, "SELECT body FROM api_keys WHERE hash = ?1", params![hash])).await
    }

    async fn api_keys(&self, merchant: &TenantId) -> Result<Vec<ApiKey>, StoreError> {
        let id = merchant.to_string();
        self.read(move |c| many(c, "SELECT body FROM api_keys WHERE merchant_id = ?1 ORDER BY rowid", params![id]))
            .await
    }

    async fn revoke_api_key(&self, merchant: &TenantId, key_id: &str, now_ms: i64) -> Result<bool, StoreError> {
        let (merchant, key_id) = (merchant.to_string(), key_id.to_owned());
        self.write(move |tx| {
            let sql = "SELECT body FROM api_keys WHERE merchant_id = ?1 AND key_id = ?2";
            let Some(mut key) = one::<ApiKey>(tx, sql, params![merchant, key_id])? else {
                return Ok(false);
            };
            key.revoked_ms.get_or_insert(now_ms);
            execute(tx, "UPDATE api_keys SET body = ?2 WHERE key_id = ?1", params![key_id, to_text(&key)?])?;
            Ok(true)
        })
        .await
    }

    async fn add_connector_account(&self, account: &ConnectorAccount) -> Result<(), StoreError> {
        let row = (account.account_id.clone(), account.merchant_id.to_string(), to_text(account)?);
        self.write(move |tx| {
            execute(tx, "INSERT INTO connector_accounts VALUES (?1, ?2, ?3)", row)?;
            Ok(())
        })
        .await
    }

    async fn save_connector_account(
        &self,
        account: &ConnectorAccount,
        seen: &ConnectorAccount,
    ) -> Result<(), StoreError> {
        let (merchant, id, body) = (account.merchant_id.to_string(), account.account_id.clone(), to_text(account)?);
        let seen = seen.clone();
        self.write(move |tx| {
            let sql = "SELECT body FROM connector_accounts WHERE merchant_id = ?1 AND account_id = ?2";
            expect(tx, sql, params![merchant, id], &seen)?;
            execute(tx, "UPDATE connector_accounts SET body = ?2 WHERE account_id = ?1", params![id, body])?;
            Ok(())
        })
        .await
    }

    async fn connector_accounts(&self, merchant: &TenantId) -> Result<Vec<ConnectorAccount>, StoreError> {
        let id = merchant.to_string();
        let sql = "SELECT body FROM connector_accounts WHERE merchant_id = ?1 ORDER BY rowid";
        self.read(move |c| many(c, sql, params![id])).await
    }

    async fn add_customer(&self, customer: &Customer) -> Result<(), StoreError> {
        let row = (customer.merchant_id.to_string(), customer.customer_id.to_string(), to_text(customer)?);
        self.write(move |tx| {
            execute(tx, "INSERT INTO customers VALUES (?1, ?2, ?3)", row)?;
            Ok(())
        })
        .await
    }

    async fn save_customer(&self, customer: &Customer, seen: &Customer) -> Result<(), StoreError> {
        let (merchant, id) = (customer.merchant_id.to_string(), customer.customer_id.to_string());
        let (body, seen) = (to_text(customer)?, seen.clone());
        self.write(move |tx| {
            let sql = "SELECT body FROM customers WHERE merchant_id = ?1 AND customer_id = ?2";
            expect(tx, sql, params![merchant, id], &seen)?;
            let sql = "UPDATE customers SET body = ?3 WHERE merchant_id = ?1 AND customer_id = ?2";
            execute(tx, sql, params![merchant, id, body])?;
            Ok(())
        })
        .await
    }

    async fn customer(&self, merchant: &TenantId, id: &CustomerId) -> Result<Option<Customer>, StoreError> {
        let (merchant, id) = (merchant.to_string(), id.to_string());
        let sql = "SELECT body FROM customers WHERE merchant_id = ?1 AND customer_id = ?2";
        self.read(move |c| one(c, sql, params![merchant, id])).await
    }

    async fn customers(&self, merchant: &TenantId, limit: u32, offset: u32) -> Result<Vec<Customer>, StoreError> {
        let merchant = merchant.to_string();
        let sql = "SELECT body FROM customers WHERE merchant_id = ?1 ORDER BY rowid DESC LIMIT ?2 OFFSET ?3";
        self.read(move |c| many(c, sql, params![merchant, limit, offset])).await
    }

    async fn routing(&self, merchant: &TenantId) -> Result<Option<String>, StoreError> {
        let merchant = merchant.to_string();
        self.read(move |c| {
            let sql = "SELECT body FROM routings WHERE merchant_id = ?1";
            Ok(c.prepare_cached(sql)?.query_row(params![merchant], |row| row.get(0)).optional()?)
        })
        .await
    }

    async fn save_routing(&self, merchant: &TenantId, document: Option<&str>) -> Result<(), StoreError> {
        let (merchant, document) = (merchant.to_string(), document.map(str::to_owned));
        self.write(move |tx| put_routing(tx, &merchant, document.as_deref())).await
    }

    async fn swap_routing(
        &self,
        merchant: &TenantId,
        seen: Option<&str>,
        document: Option<&str>,
    ) -> Result<(), StoreError> {
        let (merchant, seen, document) = (merchant.to_string(), seen.map(str::to_owned), document.map(str::to_owned));
        self.write(move |tx| {
            let sql = "SELECT body FROM routings WHERE merchant_id = ?1";
            let found: Option<String> =
                tx.prepare_cached(sql)?.query_row(params![merchant], |row| row.get(0)).optional()?;
            if found != seen {
                return Err(StoreError::Conflict);
            }
            put_routing(tx, &merchant, document.as_deref())
        })
        .await
    }
}

fn put_routing(tx: &Connection, merchant: &str, document: Option<&str>) -> Result<(), StoreError> {
    match document {
        Some(text) => execute(tx, "INSERT OR REPLACE INTO routings VALUES (?1, ?2)", params![merchant, text])?,
        None => execute(tx, "DELETE FROM routings WHERE merchant_id = ?1", params![merchant])?,
    };
    Ok(())
}

/// Whether the row is there and still says what the caller saw; compared as it reads, because an older version of this
/// program may have written it with fewer fields.
fn expect<T: DeserializeOwned + PartialEq>(
    tx: &Connection,
    sql: &str,
    key: impl rusqlite::Params,
    seen: &T,
) -> Result<(), StoreError> {
    match one::<T>(tx, sql, key)? {
        Some(found) if found == *seen => Ok(()),
        _ => Err(StoreError::Conflict),
    }
}
