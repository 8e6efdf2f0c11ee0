//! What outlives the process. Each method is one transaction; when it returns, the change is on the disk.

mod rows;
mod sqlite;
mod sqlite_kept;

pub use rows::{Chore, ChoreKind, Effects, Kept, KeptState, NewChore, PaymentToken, SavedUse};
pub use sqlite::SqliteStore;

use async_trait::async_trait;
use strongroom_wire::{CustomerId, TenantId, Token};

use crate::account::{ApiKey, ConnectorAccount, Customer, Merchant};
use crate::intent::Payment;

/// The store of the orchestrator. It never sees a card, a CVC or a credential.
#[async_trait]
pub trait Store: Send + Sync {
    /// A new merchant.
    async fn add_merchant(&self, merchant: &Merchant) -> Result<(), StoreError>;
    /// A merchant.
    async fn merchant(&self, id: &TenantId) -> Result<Option<Merchant>, StoreError>;
    /// The merchant with this publishable key.
    async fn merchant_of_publishable_key(&self, key: &str) -> Result<Option<Merchant>, StoreError>;
    /// A new API key.
    async fn add_api_key(&self, key: &ApiKey) -> Result<(), StoreError>;
    /// The API key with this hash (64 hexadecimal digits).
    async fn api_key_of_hash(&self, hash: &str) -> Result<Option<ApiKey>, StoreError>;
    /// Every API key of a merchant, oldest first.
    async fn api_keys(&self, merchant: &TenantId) -> Result<Vec<ApiKey>, StoreError>;
    /// Marks the key as refused from now on. `false`: there is no such key.
    async fn revoke_api_key(&self, merchant: &TenantId, key_id: &str, now_ms: i64) -> Result<bool, StoreError>;
    /// A new connector account.
    async fn add_connector_account(&self, account: &ConnectorAccount) -> Result<(), StoreError>;
    /// Every connector account of a merchant, oldest first.
    async fn connector_accounts(&self, merchant: &TenantId) -> Result<Vec<ConnectorAccount>, StoreError>;
    /// A new customer.
    async fn add_customer(&self, customer: &Customer) -> Result<(), StoreError>;
    /// A customer.
    async fn customer(&self, merchant: &TenantId, id: &CustomerId) -> Result<Option<Customer>, StoreError>;
    /// A merchant's customers, newest first, after skipping `offset`.
    async fn customers(&self, merchant: &TenantId, limit: u32, offset: u32) -> Result<Vec<Customer>, StoreError>;

    /// A new payment, and its effects.
    async fn add_payment(&self, payment: &Payment, effects: &Effects) -> Result<Version, StoreError>;
    /// A payment and its version.
    async fn payment(&self, merchant: &TenantId, id: &str) -> Result<Option<(Payment, Version)>, StoreError>;
    /// Replaces a payment if its version is still `seen`, together with its effects. New refunds are registered by id.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when somebody was faster, [`StoreError::Duplicate`] when a refund id belongs to another
    /// payment; nothing changed.
    async fn save_payment(&self, payment: &Payment, seen: Version, effects: &Effects) -> Result<Version, StoreError>;
    /// The payment that has this refund, with its version.
    async fn payment_of_refund(
        &self,
        merchant: &TenantId,
        refund_id: &str,
    ) -> Result<Option<(Payment, Version)>, StoreError>;
    /// Names of payments that are due to be looked at until `until_ms`, most urgent first.
    async fn due_payments(&self, until_ms: i64, limit: u32) -> Result<Vec<(TenantId, String)>, StoreError>;
    /// Whether a payment other than `except` that is not terminal uses this card, or a chore is about to keep it.
    async fn is_card_in_use(&self, merchant: &TenantId, token: Token, except: &str) -> Result<bool, StoreError>;

    /// A chore that belongs to no change of a payment.
    async fn add_chore(&self, chore: &NewChore) -> Result<(), StoreError>;
    /// Chores that are due until `until_ms`, most urgent first.
    async fn due_chores(&self, until_ms: i64, limit: u32) -> Result<Vec<Chore>, StoreError>;
    /// A chore is done.
    async fn finish_chore(&self, id: i64) -> Result<(), StoreError>;
    /// A chore is tried again later.
    async fn postpone_chore(&self, id: i64, due_ms: i64) -> Result<(), StoreError>;

    /// What is known about the use of a customer's kept cards.
    async fn saved_uses(&self, merchant: &TenantId, customer: &CustomerId) -> Result<Vec<SavedUse>, StoreError>;
    /// Keeps payment tokens until they expire and forgets the expired.
    async fn add_payment_tokens(&self, tokens: &[PaymentToken], now_ms: i64) -> Result<(), StoreError>;
    /// The card behind a payment token that has not expired.
    async fn payment_token(
        &self,
        merchant: &TenantId,
        token: &str,
        now_ms: i64,
    ) -> Result<Option<PaymentToken>, StoreError>;

    /// Reserves an idempotency key, or tells what is kept under it. Forgets expired ones.
    async fn begin_kept(&self, kept: &Kept, now_ms: i64) -> Result<KeptState, StoreError>;
    /// Keeps the answer of a reserved key.
    async fn finish_kept(&self, merchant: &TenantId, key: &str, status: u16, body: &[u8]) -> Result<(), StoreError>;
    /// Gives a reserved key up, because nothing was done.
    async fn drop_kept(&self, merchant: &TenantId, key: &str) -> Result<(), StoreError>;

    /// Whether the store answers.
    async fn ping(&self) -> Result<(), StoreError>;
}

/// How often a payment was saved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Version(pub i64);

/// Why the store did not do it. Nothing changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The id is taken.
    #[error("the id is taken")]
    Duplicate,
    /// Somebody else changed it first.
    #[error("somebody else changed it first")]
    Conflict,
    /// The disk is full, or the file cannot be read or written.
    #[error("the store is not available")]
    Unavailable,
    /// The store was written by a newer version of this program.
    #[error("the store has schema {found}, this program knows {known}: run the newer program")]
    NewerSchema {
        /// What the file says.
        found: u32,
        /// What this program can read.
        known: u32,
    },
    /// Another process has the store open.
    #[error("another process uses this store: stop it first")]
    InUse,
    /// A row cannot be read back.
    #[error("a stored row cannot be read")]
    Unreadable,
}

#[cfg(test)]
mod conformance;
