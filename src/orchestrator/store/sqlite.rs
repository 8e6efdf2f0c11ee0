//! [`Store`] in one SQLite file: WAL, `synchronous=FULL`, one connection behind a mutex on blocking threads.

use std::fs::File;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use rusqlite::{Connection, ErrorCode, OptionalExtension, Row, Transaction, params};
use serde::Serialize;
use serde::de::DeserializeOwned;
use strongroom_wire::{CustomerId, TenantId, Token};

use super::{Chore, ChoreKind, Effects, Kept, KeptState, NewChore, PaymentToken, SavedUse, Store, StoreError, Version};
use crate::account::{ApiKey, ConnectorAccount, Customer, Merchant};
use crate::intent::Payment;

/// The embedded store.
pub struct SqliteStore {
    connection: Arc<Mutex<Connection>>,
    /// Held for as long as the store is open, so that no second process works on the same payments.
    _lock: File,
}

impl SqliteStore {
    /// Opens or makes the file and brings it to the newest schema.
    ///
    /// # Errors
    /// [`StoreError::NewerSchema`], [`StoreError::InUse`], [`StoreError::Unavailable`].
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let mut lock_path = path.as_os_str().to_owned();
        lock_path.push(".lock");
        let lock = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(PathBuf::from(lock_path))
            .map_err(|_| StoreError::Unavailable)?;
        lock.try_lock().map_err(|_| StoreError::InUse)?;
        // Names, mail addresses and client secrets are nobody else's business; SQLite's own files follow this one.
        File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(path)
            .map_err(|_| StoreError::Unavailable)?;
        let mut connection = Connection::open(path)?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.pragma_update(None, "foreign_keys", "ON")?;
        connection.pragma_update(None, "secure_delete", "ON")?;
        migrate(&mut connection)?;
        Ok(Self { connection: Arc::new(Mutex::new(connection)), _lock: lock })
    }

    /// Runs `work` in one transaction on a blocking thread; commits when it succeeds.
    async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let connection = self.connection.clone();
        tokio::task::spawn_blocking(move || {
            // A panic inside a transaction rolled it back, so the connection is still good.
            let mut connection = connection.lock().unwrap_or_else(PoisonError::into_inner);
            let transaction = connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
            let done = work(&transaction)?;
            transaction.commit()?;
            Ok(done)
        })
        .await
        .map_err(|_| StoreError::Unavailable)?
    }

    async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let connection = self.connection.clone();
        tokio::task::spawn_blocking(move || work(&connection.lock().unwrap_or_else(PoisonError::into_inner)))
            .await
            .map_err(|_| StoreError::Unavailable)?
    }
}

fn migrate(connection: &mut Connection) -> Result<(), StoreError> {
    let known = u32::try_from(MIGRATIONS.len()).unwrap_or(u32::MAX);
    let found: u32 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if found > known {
        return Err(StoreError::NewerSchema { found, known });
    }
    for (number, sql) in (1u32..).zip(MIGRATIONS).filter(|(number, _)| *number > found) {
        let transaction = connection.transaction()?;
        transaction.execute_batch(sql)?;
        transaction.pragma_update(None, "user_version", number)?;
        transaction.commit()?;
    }
    Ok(())
}

#[async_trait]
impl Store for SqliteStore {
    async fn add_merchant(&self, merchant: &Merchant) -> Result<(), StoreError> {
        let (id, key, body) = (merchant.merchant_id.to_string(), merchant.publishable_key.clone(), to_text(merchant)?);
        self.write(move |tx| {
            tx.execute("INSERT INTO merchants VALUES (?1, ?2, ?3)", params![id, key, body])?;
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
            tx.execute("INSERT INTO api_keys VALUES (?1, ?2, ?3, ?4)", row)?;
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
            tx.execute("UPDATE api_keys SET body = ?2 WHERE key_id = ?1", params![key_id, to_text(&key)?])?;
            Ok(true)
        })
        .await
    }

    async fn add_connector_account(&self, account: &ConnectorAccount) -> Result<(), StoreError> {
        let row = (account.account_id.clone(), account.merchant_id.to_string(), to_text(account)?);
        self.write(move |tx| {
            tx.execute("INSERT INTO connector_accounts VALUES (?1, ?2, ?3)", row)?;
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
            tx.execute("INSERT INTO customers VALUES (?1, ?2, ?3)", row)?;
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

    async fn add_payment(&self, payment: &Payment, effects: &Effects) -> Result<Version, StoreError> {
        let (row, effects) = (PaymentRow::of(payment)?, effects.clone());
        self.write(move |tx| {
            tx.execute(
                "INSERT INTO payments (merchant_id, payment_id, version, due_ms, token, live, body)
                 VALUES (?1, ?2, 1, ?3, ?4, ?5, ?6)",
                params![row.merchant, row.id, row.due_ms, row.token, row.live, row.body],
            )?;
            put_refunds(tx, &row)?;
            put_effects(tx, &effects)?;
            Ok(Version(1))
        })
        .await
    }

    async fn payment(&self, merchant: &TenantId, id: &str) -> Result<Option<(Payment, Version)>, StoreError> {
        let (merchant, id) = (merchant.to_string(), id.to_owned());
        self.read(move |c| find_payment(c, &merchant, &id)).await
    }

    async fn save_payment(&self, payment: &Payment, seen: Version, effects: &Effects) -> Result<Version, StoreError> {
        let (row, effects) = (PaymentRow::of(payment)?, effects.clone());
        self.write(move |tx| {
            let changed = tx.execute(
                "UPDATE payments SET version = version + 1, due_ms = ?4, token = ?5, live = ?6, body = ?7
                 WHERE merchant_id = ?1 AND payment_id = ?2 AND version = ?3",
                params![row.merchant, row.id, seen.0, row.due_ms, row.token, row.live, row.body],
            )?;
            if changed == 0 {
                return Err(StoreError::Conflict);
            }
            put_refunds(tx, &row)?;
            put_effects(tx, &effects)?;
            Ok(Version(seen.0 + 1))
        })
        .await
    }

    async fn payment_of_refund(
        &self,
        merchant: &TenantId,
        refund_id: &str,
    ) -> Result<Option<(Payment, Version)>, StoreError> {
        let (merchant, refund_id) = (merchant.to_string(), refund_id.to_owned());
        self.read(move |c| {
            let sql = "SELECT payment_id FROM refunds WHERE merchant_id = ?1 AND refund_id = ?2";
            let id: Option<String> = c.query_row(sql, params![merchant, refund_id], |row| row.get(0)).optional()?;
            id.map_or(Ok(None), |id| find_payment(c, &merchant, &id))
        })
        .await
    }

    async fn due_payments(&self, until_ms: i64, limit: u32) -> Result<Vec<(TenantId, String)>, StoreError> {
        self.read(move |c| {
            let mut statement = c.prepare_cached(
                "SELECT merchant_id, payment_id FROM payments WHERE due_ms <= ?1 ORDER BY due_ms LIMIT ?2",
            )?;
            let rows = statement.query_map(params![until_ms, limit], |row| Ok((row.get(0)?, row.get(1)?)))?;
            rows.map(|row| {
                let (merchant, id): (String, String) = row?;
                Ok((merchant.parse().map_err(|_| StoreError::Unreadable)?, id))
            })
            .collect()
        })
        .await
    }

    async fn is_card_in_use(&self, merchant: &TenantId, token: Token, except: &str) -> Result<bool, StoreError> {
        let (merchant, token, except) = (merchant.to_string(), token.to_string(), except.to_owned());
        self.read(move |c| {
            let sql = "SELECT EXISTS (SELECT 1 FROM payments
                                      WHERE merchant_id = ?1 AND token = ?2 AND live AND payment_id <> ?3)
                           OR EXISTS (SELECT 1 FROM chores WHERE merchant_id = ?1 AND token = ?2 AND kind = ?4)";
            let keeping = to_text(&ChoreKind::Retain)?;
            Ok(c.query_row(sql, params![merchant, token, except, keeping], |row| row.get(0))?)
        })
        .await
    }

    async fn add_chore(&self, chore: &NewChore) -> Result<(), StoreError> {
        let chore = chore.clone();
        self.write(move |tx| put_chore(tx, &chore)).await
    }

    async fn due_chores(&self, until_ms: i64, limit: u32) -> Result<Vec<Chore>, StoreError> {
        self.read(move |c| {
            let mut statement = c.prepare_cached(
                "SELECT id, merchant_id, kind, token, payment_id, tries FROM chores
                 WHERE due_ms <= ?1 ORDER BY due_ms, id LIMIT ?2",
            )?;
            let mut rows = statement.query(params![until_ms, limit])?;
            let mut chores = Vec::new();
            while let Some(row) = rows.next()? {
                chores.push(chore_of(row)?);
            }
            Ok(chores)
        })
        .await
    }

    async fn finish_chore(&self, id: i64) -> Result<(), StoreError> {
        self.write(move |tx| {
            tx.execute("DELETE FROM chores WHERE id = ?1", params![id])?;
            Ok(())
        })
        .await
    }

    async fn postpone_chore(&self, id: i64, due_ms: i64) -> Result<(), StoreError> {
        self.write(move |tx| {
            tx.execute("UPDATE chores SET due_ms = ?2, tries = tries + 1 WHERE id = ?1", params![id, due_ms])?;
            Ok(())
        })
        .await
    }

    async fn saved_uses(&self, merchant: &TenantId, customer: &CustomerId) -> Result<Vec<SavedUse>, StoreError> {
        let (merchant, customer) = (merchant.to_string(), customer.to_string());
        let sql = "SELECT body FROM saved_uses WHERE merchant_id = ?1 AND customer_id = ?2";
        self.read(move |c| many(c, sql, params![merchant, customer])).await
    }

    async fn add_payment_tokens(&self, tokens: &[PaymentToken], now_ms: i64) -> Result<(), StoreError> {
        let tokens = tokens.to_vec();
        self.write(move |tx| {
            tx.execute("DELETE FROM payment_tokens WHERE expires_ms <= ?1", params![now_ms])?;
            for token in &tokens {
                tx.execute(
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

    async fn begin_kept(&self, kept: &Kept, now_ms: i64) -> Result<KeptState, StoreError> {
        let kept = kept.clone();
        self.write(move |tx| super::sqlite_kept::begin(tx, &kept, now_ms)).await
    }

    async fn finish_kept(&self, merchant: &TenantId, key: &str, status: u16, body: &[u8]) -> Result<(), StoreError> {
        let (merchant, key, body) = (merchant.to_string(), key.to_owned(), body.to_vec());
        self.write(move |tx| super::sqlite_kept::finish(tx, &merchant, &key, status, &body)).await
    }

    async fn drop_kept(&self, merchant: &TenantId, key: &str) -> Result<(), StoreError> {
        let (merchant, key) = (merchant.to_string(), key.to_owned());
        self.write(move |tx| super::sqlite_kept::give_up(tx, &merchant, &key)).await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.read(|c| Ok(c.query_row("SELECT 1", [], |_| Ok(()))?)).await
    }
}

struct PaymentRow {
    merchant: String,
    id: String,
    due_ms: Option<i64>,
    token: Option<String>,
    live: bool,
    refunds: Vec<String>,
    body: String,
}

impl PaymentRow {
    fn of(payment: &Payment) -> Result<Self, StoreError> {
        Ok(Self {
            merchant: payment.merchant_id.to_string(),
            id: payment.payment_id.clone(),
            due_ms: payment.due_ms(),
            token: payment.method.as_ref().map(|m| m.token.to_string()),
            live: !payment.state.is_terminal(),
            refunds: payment.refunds.iter().map(|r| r.refund_id.clone()).collect(),
            body: to_text(payment)?,
        })
    }
}

fn find_payment(c: &Connection, merchant: &str, id: &str) -> Result<Option<(Payment, Version)>, StoreError> {
    let sql = "SELECT body, version FROM payments WHERE merchant_id = ?1 AND payment_id = ?2";
    let row: Option<(String, i64)> =
        c.query_row(sql, params![merchant, id], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
    row.map(|(body, version)| Ok((from_text(&body)?, Version(version)))).transpose()
}

fn put_refunds(tx: &Transaction<'_>, row: &PaymentRow) -> Result<(), StoreError> {
    for refund in &row.refunds {
        let sql = "SELECT payment_id FROM refunds WHERE merchant_id = ?1 AND refund_id = ?2";
        let owner: Option<String> = tx.query_row(sql, params![row.merchant, refund], |r| r.get(0)).optional()?;
        match owner {
            Some(owner) if owner == row.id => {}
            Some(_) => return Err(StoreError::Duplicate),
            None => {
                tx.execute("INSERT INTO refunds VALUES (?1, ?2, ?3)", params![row.merchant, refund, row.id])?;
            }
        }
    }
    Ok(())
}

fn put_effects(tx: &Transaction<'_>, effects: &Effects) -> Result<(), StoreError> {
    for chore in &effects.chores {
        put_chore(tx, chore)?;
    }
    if let Some(used) = &effects.used {
        let key = params![used.merchant_id.as_str(), used.customer_id.as_str(), used.token.to_string()];
        let sql = "SELECT body FROM saved_uses WHERE merchant_id = ?1 AND customer_id = ?2 AND token = ?3";
        let mut now = used.clone();
        if let Some(before) = one::<SavedUse>(tx, sql, key)? {
            now.network_transaction_id = before.network_transaction_id.or(now.network_transaction_id);
            now.off_session |= before.off_session;
        }
        tx.execute(
            "INSERT OR REPLACE INTO saved_uses VALUES (?1, ?2, ?3, ?4)",
            params![now.merchant_id.as_str(), now.customer_id.as_str(), now.token.to_string(), to_text(&now)?],
        )?;
    }
    Ok(())
}

fn put_chore(tx: &Transaction<'_>, chore: &NewChore) -> Result<(), StoreError> {
    let (merchant, token) = (chore.merchant_id.as_str(), chore.token.to_string());
    tx.execute(
        "INSERT INTO chores (merchant_id, kind, token, payment_id, due_ms, tries) VALUES (?1, ?2, ?3, ?4, ?5, 0)",
        params![merchant, to_text(&chore.kind)?, token, chore.payment_id, chore.due_ms],
    )?;
    Ok(())
}

fn chore_of(row: &Row<'_>) -> Result<Chore, StoreError> {
    let (merchant, kind, token): (String, String, String) = (row.get(1)?, row.get(2)?, row.get(3)?);
    Ok(Chore {
        id: row.get(0)?,
        merchant_id: merchant.parse().map_err(|_| StoreError::Unreadable)?,
        kind: from_text::<ChoreKind>(&kind)?,
        token: token.parse().map_err(|_| StoreError::Unreadable)?,
        payment_id: row.get(4)?,
        tries: row.get(5)?,
    })
}

fn one<T: DeserializeOwned>(c: &Connection, sql: &str, p: impl rusqlite::Params) -> Result<Option<T>, StoreError> {
    let text: Option<String> = c.prepare_cached(sql)?.query_row(p, |row| row.get(0)).optional()?;
    text.map(|text| from_text(&text)).transpose()
}

fn many<T: DeserializeOwned>(c: &Connection, sql: &str, p: impl rusqlite::Params) -> Result<Vec<T>, StoreError> {
    let mut statement = c.prepare_cached(sql)?;
    let rows = statement.query_map(p, |row| row.get::<_, String>(0))?;
    rows.map(|text| from_text(&text?)).collect()
}

fn to_text<T: Serialize>(value: &T) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|_| StoreError::Unreadable)
}

fn from_text<T: DeserializeOwned>(text: &str) -> Result<T, StoreError> {
    serde_json::from_str(text).map_err(|_| StoreError::Unreadable)
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::ConstraintViolation) => StoreError::Duplicate,
            code => {
                // The code alone: the message of a constraint or a parameter could repeat what was stored.
                tracing::error!(code = ?code, "the store refused");
                StoreError::Unavailable
            }
        }
    }
}

/// Numbered by place, from 1. A released row is never changed; a change is a new row.
const MIGRATIONS: &[&str] = &[include_str!("migrations/0001_begin.sql")];
