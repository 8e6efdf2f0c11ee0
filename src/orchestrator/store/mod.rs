//! What outlives the process. Each method is one transaction; when it returns, the change is on the disk.

mod desk;
mod events;
mod filter;
mod postgres;
mod rows;
mod sqlite;

pub use desk::{OperatorSession, Tally, TallyRow};
pub use events::{NewEvent, OutboxEvent, OutboxState, SeenEvent};
pub use filter::PaymentFilter;
pub use postgres::{BadSettings, OpenError, PostgresSettings, PostgresStore};
pub use rows::{Chore, ChoreKind, Claim, Effects, Kept, KeptState, NewChore, PaymentToken, Record, SavedUse};
pub use sqlite::SqliteStore;
#[cfg(test)]
pub(crate) use sqlite::Trouble as StoreTrouble;

use async_trait::async_trait;
use strongroom_wire::{CustomerId, TenantId, Token};

use crate::account::{ApiKey, ConnectorAccount, Customer, Merchant};
use crate::intent::Payment;

/// The store of the orchestrator. It never sees a card, a CVC or a credential.
#[async_trait]
pub trait Store: Accounts + Payments + Outbox + Chores + SavedCards + KeptAnswers + Desk {
    /// Whether no second process can use this store, so that what another run left was left by a process that ended.
    /// `false`: the leases of other runs are to be respected.
    fn is_exclusive(&self) -> bool;
    /// Whether the store answers.
    async fn ping(&self) -> Result<(), StoreError>;
}

/// Merchants and what belongs to them.
#[async_trait]
pub trait Accounts: Send + Sync {
    /// A new merchant.
    async fn add_merchant(&self, merchant: &Merchant) -> Result<(), StoreError>;
    /// Replaces a merchant if the stored one is still `seen`.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when it is another one by now, or none.
    async fn save_merchant(&self, merchant: &Merchant, seen: &Merchant) -> Result<(), StoreError>;
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
    /// Replaces a connector account if the stored one is still `seen`.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when it is another one by now, or none.
    async fn save_connector_account(
        &self,
        account: &ConnectorAccount,
        seen: &ConnectorAccount,
    ) -> Result<(), StoreError>;
    /// Every connector account of a merchant, oldest first.
    async fn connector_accounts(&self, merchant: &TenantId) -> Result<Vec<ConnectorAccount>, StoreError>;
    /// A new customer.
    async fn add_customer(&self, customer: &Customer) -> Result<(), StoreError>;
    /// Replaces a customer if the stored one is still `seen`.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when it is another one by now, or none.
    async fn save_customer(&self, customer: &Customer, seen: &Customer) -> Result<(), StoreError>;
    /// A customer.
    async fn customer(&self, merchant: &TenantId, id: &CustomerId) -> Result<Option<Customer>, StoreError>;
    /// A merchant's customers, newest first, after skipping `offset`.
    async fn customers(&self, merchant: &TenantId, limit: u32, offset: u32) -> Result<Vec<Customer>, StoreError>;
    /// The merchant's rules for the choice of a connector account: JSON text that the store does not read.
    async fn routing(&self, merchant: &TenantId) -> Result<Option<String>, StoreError>;
    /// Replaces these rules, or takes them away.
    async fn save_routing(&self, merchant: &TenantId, document: Option<&str>) -> Result<(), StoreError>;
    /// The same if these rules are still `seen`, to the byte.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when they are others by now.
    async fn swap_routing(
        &self,
        merchant: &TenantId,
        seen: Option<&str>,
        document: Option<&str>,
    ) -> Result<(), StoreError>;
}

/// What operators look at, and their sessions.
#[async_trait]
pub trait Desk: Send + Sync {
    /// Merchants by name, behind this one.
    async fn merchants(&self, after: Option<&TenantId>, limit: u32) -> Result<Vec<Merchant>, StoreError>;
    /// Counts a merchant's payments that were made at `from_ms` or later, in parts of `part_ms` milliseconds; of more than
    /// `limit` only the newest.
    async fn tally(&self, merchant: &TenantId, from_ms: i64, part_ms: i64, limit: u32) -> Result<Tally, StoreError>;
    /// A new session. Of its operator's sessions the newest `most` stay; of everybody's those that began at `dead_ms` or
    /// earlier go.
    async fn add_session(&self, session: &OperatorSession, most: u32, dead_ms: i64) -> Result<(), StoreError>;
    /// The session with this hash (64 hexadecimal digits).
    async fn session(&self, hash: &str) -> Result<Option<OperatorSession>, StoreError>;
    /// The session's operator was seen; nothing happens to a session that has ended.
    async fn see_session(&self, hash: &str, now_ms: i64) -> Result<(), StoreError>;
    /// Ends a session. Ending it again is fine.
    async fn end_session(&self, hash: &str) -> Result<(), StoreError>;
    /// Counts a try to log in under this name before it is judged, so that tries side by side are counted, too. `false`: the
    /// name is locked, and nothing changed. The `most`th try in a row locks the name until `lock_until_ms`, unless
    /// [`forget_tries`](Desk::forget_tries) follows; after that time counting begins anew.
    async fn count_try(&self, name: &str, most: u32, now_ms: i64, lock_until_ms: i64) -> Result<bool, StoreError>;
    /// The last try went well.
    async fn forget_tries(&self, name: &str) -> Result<(), StoreError>;
}

/// Payments and refunds.
#[async_trait]
pub trait Payments: Send + Sync {
    /// A new payment, and its effects.
    ///
    /// # Errors
    /// [`StoreError::Duplicate`] when the id is taken, [`StoreError::Conflict`] when another run took the claim over.
    async fn add_payment(&self, payment: &Payment, effects: &Effects) -> Result<Version, StoreError>;
    /// A payment and its version.
    async fn payment(&self, merchant: &TenantId, id: &str) -> Result<Option<(Payment, Version)>, StoreError>;
    /// Replaces a payment if its version is still `seen`, together with its effects. New refunds are registered by id,
    /// and each attempt's id at the provider with its account.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when somebody was faster or took the claim over, [`StoreError::Duplicate`] when a refund id belongs to another
    /// payment or the provider's event was answered before; nothing changed.
    async fn save_payment(&self, payment: &Payment, seen: Version, effects: &Effects) -> Result<Version, StoreError>;
    /// The payment that has this refund, with its version.
    async fn payment_of_refund(
        &self,
        merchant: &TenantId,
        refund_id: &str,
    ) -> Result<Option<(Payment, Version)>, StoreError>;
    /// The payment with an attempt on this account that has this id at the provider.
    async fn payment_of_psp(
        &self,
        merchant: &TenantId,
        account_id: &str,
        psp_id: &str,
    ) -> Result<Option<(Payment, Version)>, StoreError>;
    /// A merchant's payments that the filter lets through, newest first.
    async fn payments(
        &self,
        merchant: &TenantId,
        filter: &PaymentFilter,
        limit: u32,
    ) -> Result<Vec<Payment>, StoreError>;
    /// A merchant's refunds, or one payment's, newest first: each with its payment. `before`: behind this one,
    /// `created_ms` and id of the last refund that was shown.
    async fn refunds(
        &self,
        merchant: &TenantId,
        payment_id: Option<&str>,
        before: Option<(i64, String)>,
        limit: u32,
    ) -> Result<Vec<(Payment, String)>, StoreError>;
    /// Names of payments that are due to be looked at until `until_ms`, most urgent first.
    async fn due_payments(&self, until_ms: i64, limit: u32) -> Result<Vec<(TenantId, String)>, StoreError>;
    /// Whether a payment other than `except` that is not terminal uses this card, or a chore is about to keep it.
    async fn is_card_in_use(&self, merchant: &TenantId, token: Token, except: &str) -> Result<bool, StoreError>;
}

/// Events that go out to merchants, and those of providers that were answered.
#[async_trait]
pub trait Outbox: Send + Sync {
    /// Takes events that are due: of each payment only the oldest that waits. Whoever took one has `lease_ms`
    /// milliseconds to say what became of it; then it is due again.
    async fn claim_due_events(&self, now_ms: i64, lease_ms: i64, limit: u32) -> Result<Vec<OutboxEvent>, StoreError>;
    /// The merchant took it with this HTTP status.
    async fn finish_event(&self, seq: i64, status: u16, now_ms: i64) -> Result<(), StoreError>;
    /// It is tried again at `due_ms`. `status`: what the merchant answered, if anything.
    async fn postpone_event(&self, seq: i64, status: Option<u16>, due_ms: i64) -> Result<(), StoreError>;
    /// It is not tried any more, but stays listed and can be replayed.
    async fn give_up_event(&self, seq: i64, status: Option<u16>) -> Result<(), StoreError>;
    /// Sends it again, also one that was delivered: it waits, is due now and was never tried. `false`: there is none.
    async fn replay_event(&self, merchant: &TenantId, event_id: &str, now_ms: i64) -> Result<bool, StoreError>;
    /// A merchant's events, or those about one payment, newest first, behind `before_seq`.
    async fn outbox_events(
        &self,
        merchant: &TenantId,
        payment_id: Option<&str>,
        before_seq: Option<i64>,
        limit: u32,
    ) -> Result<Vec<OutboxEvent>, StoreError>;
    /// One event of a merchant.
    async fn outbox_event(&self, merchant: &TenantId, event_id: &str) -> Result<Option<OutboxEvent>, StoreError>;
    /// How many events of all merchants wait.
    async fn waiting_events(&self) -> Result<u64, StoreError>;
    /// Whether a provider's event was answered before.
    async fn is_seen(&self, seen: &SeenEvent) -> Result<bool, StoreError>;
    /// A provider's event that changed nothing was answered. Saying so again is fine.
    async fn mark_seen(&self, seen: &SeenEvent) -> Result<(), StoreError>;
    /// Events of providers about one payment that were answered, oldest first.
    async fn seen_events(
        &self,
        merchant: &TenantId,
        payment_id: &str,
        limit: u32,
    ) -> Result<Vec<SeenEvent>, StoreError>;
    /// Forgets events that were delivered or given up, and events of providers that were answered, before then.
    async fn sweep(&self, before_ms: i64) -> Result<(), StoreError>;
}

/// Things to do at the vault.
#[async_trait]
pub trait Chores: Send + Sync {
    /// A chore that belongs to no change of a payment.
    async fn add_chore(&self, chore: &NewChore) -> Result<(), StoreError>;
    /// Chores that are due until `until_ms`, most urgent first.
    async fn due_chores(&self, until_ms: i64, limit: u32) -> Result<Vec<Chore>, StoreError>;
    /// A chore is done.
    async fn finish_chore(&self, id: i64) -> Result<(), StoreError>;
    /// A chore is tried again later.
    async fn postpone_chore(&self, id: i64, due_ms: i64) -> Result<(), StoreError>;
}

/// What is known about kept cards, and the names under which browsers choose them.
#[async_trait]
pub trait SavedCards: Send + Sync {
    /// What is known about the use of a customer's kept cards.
    async fn saved_uses(&self, merchant: &TenantId, customer: &CustomerId) -> Result<Vec<SavedUse>, StoreError>;
    /// Forgets what is known about the use of a card that is kept no longer.
    async fn forget_saved_use(
        &self,
        merchant: &TenantId,
        customer: &CustomerId,
        token: Token,
    ) -> Result<(), StoreError>;
    /// Keeps payment tokens until they expire and forgets the expired.
    async fn add_payment_tokens(&self, tokens: &[PaymentToken], now_ms: i64) -> Result<(), StoreError>;
    /// The card behind a payment token that has not expired.
    async fn payment_token(
        &self,
        merchant: &TenantId,
        token: &str,
        now_ms: i64,
    ) -> Result<Option<PaymentToken>, StoreError>;
}

/// Idempotency keys and the answers under them.
#[async_trait]
pub trait KeptAnswers: Send + Sync {
    /// Reserves an idempotency key, or tells what is kept under it. Forgets expired ones.
    async fn begin_kept(&self, kept: &Kept, now_ms: i64) -> Result<KeptState, StoreError>;
    /// The request under a reserved key still works: other runs leave it alone until `lease_ms`. Nothing happens to a key
    /// that another run took over; the same holds for the next three.
    async fn extend_kept(&self, claim: &Claim, lease_ms: i64) -> Result<(), StoreError>;
    /// Keeps the answer of a reserved key.
    async fn finish_kept(&self, claim: &Claim, status: u16, body: &[u8]) -> Result<(), StoreError>;
    /// The request under a reserved key ended without an answer, so nobody waits for it. `untouched`: it left things as
    /// they were.
    async fn leave_kept(&self, claim: &Claim, untouched: bool) -> Result<(), StoreError>;
    /// Gives a reserved key up, because nothing was done.
    async fn drop_kept(&self, claim: &Claim) -> Result<(), StoreError>;
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

#[cfg(test)]
pub(crate) use postgres::tests as postgres_tests;
