//! What the vault keeps: rows of ciphertext behind one trait. This room knows neither cards nor keys.
//!
//! Invariants:
//! - A write that was answered with `Ok` survives `kill -9` and the loss of power. A write that was answered with
//!   [`StoreError::Unavailable`] may or may not have happened; every write is made so that asking again is safe.
//! - Every method is one transaction: it happens whole or not at all.
//! - The one thing that is read inside an envelope is the term, which stands in clear in front of the ciphertext.

mod bounds;
pub mod cluster;
pub mod custody;
pub mod error;
pub mod mint;
pub mod moving;
pub mod postgres;
pub mod row;
pub mod shared;
pub mod sqlite;

#[cfg(test)]
mod conformance;

use std::path::Path;

use async_trait::async_trait;
use strongroom_wire::{CustomerId, SecretId, TenantId, Token};

pub use cluster::{Cluster, LeaseRow, NodeReport, NodeRow, Pulse};
pub use custody::{AcknowledgementRow, Custody, RootChangeRow, StagedKey};
pub use error::StoreError;
pub use mint::TokenMint;
pub use postgres::{PostgresOptions, PostgresStore, PostgresUrl};
pub use row::{
    ActRow, AnswerRow, CardContent, CardRow, EnvelopeSwap, Expired, Inserted, KeptRow, KeyChange, KeyName, KeyRow,
    MarkCount, MarkPage, MarkSwap, Marks, OverAge, Place, RotationRow, SecretRow, Shredded, SignTerm, SpentRow,
    StaleCursor, StalePage, StaleRecord, TenantRow,
};
pub use shared::{CvcMark, EpochRow, Shared, UseReport, UseRow};
pub use sqlite::{SqliteOptions, SqliteStore};

use crate::telemetry::load::Disk;

/// Which cards a list shows; every filter that is set must fit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CardFilter {
    /// Of this customer.
    pub customer: Option<CustomerId>,
    /// With this fingerprint.
    pub fingerprint: Option<[u8; 16]>,
}

/// A store of ciphertext. Times are milliseconds since 1970-01-01 UTC; a record whose `expires_ms` is not after `now_ms` is
/// gone for every reader, whether or not it has been shredded yet.
///
/// Every method fails with [`StoreError::Unavailable`] if the storage does not take or give bytes,
/// [`StoreError::Busy`] if too many writes wait (nothing happened), [`StoreError::Corrupt`] if a row cannot be what this
/// version writes, and [`StoreError::NoTenant`] for a tenant that is not registered. Further errors are named at the
/// method.
#[async_trait]
pub trait Store: Custody + Cluster + Shared {
    /// Stores a new card and, in the same transaction, the answer that is kept for its idempotency key.
    ///
    /// # Errors
    /// [`StoreError::Exists`] if the token is taken; [`StoreError::TooLarge`].
    async fn insert_card(&self, card: CardRow, answer: Option<AnswerRow>) -> Result<Inserted, StoreError>;

    /// Stores many cards in one transaction; the results stand in the same order. One card that is a duplicate does not
    /// keep the others out.
    ///
    /// # Errors
    /// As [`Store::insert_card`]; then no card is stored.
    async fn insert_cards(&self, cards: Vec<(CardRow, Option<AnswerRow>)>) -> Result<Vec<Inserted>, StoreError>;

    /// One card, or none if it was never there, is deleted or expired.
    async fn card(&self, tenant: &TenantId, token: &Token, now_ms: u64) -> Result<Option<CardRow>, StoreError>;

    /// Up to `limit` cards that come after `after`, oldest first. Fewer than `limit` means that there are no more.
    async fn cards(
        &self,
        tenant: &TenantId,
        filter: &CardFilter,
        after: Option<Token>,
        limit: u32,
        now_ms: u64,
    ) -> Result<Vec<CardRow>, StoreError>;

    /// The live card that this customer already has with this fingerprint.
    async fn find_duplicate(
        &self,
        tenant: &TenantId,
        customer: &CustomerId,
        fingerprint: &[u8; 16],
        now_ms: u64,
    ) -> Result<Option<Token>, StoreError>;

    /// Replaces what may change of a card, if it is still `old` in every part. `false` means that somebody else was
    /// there in between, or that the card is gone: read it again. Update and retain are written with this.
    ///
    /// # Errors
    /// [`StoreError::TooLarge`].
    async fn swap_card(
        &self,
        tenant: &TenantId,
        token: &Token,
        old: CardContent,
        new: CardContent,
    ) -> Result<bool, StoreError>;

    /// Shreds a card: row, metadata, index entries and kept answers that show it, overwritten in place. `false` if there was none (an expired one
    /// that was not swept yet counts as one).
    async fn delete_card(&self, tenant: &TenantId, token: &Token) -> Result<bool, StoreError>;

    /// Up to `limit` cards whose end has come, earliest first, for the sweep to shred.
    async fn expired(&self, now_ms: u64, limit: u32) -> Result<Vec<Expired>, StoreError>;

    /// Shreds a card whose end has come. `false` if there is none, or its end was moved since it was listed.
    async fn shred_expired(&self, expired: &Expired, now_ms: u64) -> Result<bool, StoreError>;

    /// Stores a secret.
    ///
    /// # Errors
    /// [`StoreError::Exists`] if the id is taken; [`StoreError::TooLarge`].
    async fn insert_secret(&self, secret: SecretRow) -> Result<(), StoreError>;

    /// One secret.
    async fn secret(&self, tenant: &TenantId, id: &SecretId) -> Result<Option<SecretRow>, StoreError>;

    /// Shreds a secret. `false` if there was none.
    async fn delete_secret(&self, tenant: &TenantId, id: &SecretId) -> Result<bool, StoreError>;

    /// The answer that is kept for an idempotency key.
    async fn answer(&self, tenant: &TenantId, name: &[u8; 32], now_ms: u64) -> Result<Option<AnswerRow>, StoreError>;

    /// Keeps an answer. If a live one with this name is there already, nothing changes and that one comes back.
    ///
    /// # Errors
    /// [`StoreError::TooLarge`].
    async fn insert_answer(&self, answer: AnswerRow, now_ms: u64) -> Result<Option<AnswerRow>, StoreError>;

    /// Shreds up to `limit` answers whose end has come; says how many.
    async fn purge_answers(&self, now_ms: u64, limit: u32) -> Result<u64, StoreError>;

    /// Writes down that a sealed card was opened. `true` if it is the first time, or the same request within
    /// [`strongroom_wire::limits::IDEMPOTENCY_TTL_S`] of the first time; `false` if the card was used before.
    async fn spend(&self, spent: SpentRow) -> Result<bool, StoreError>;

    /// Forgets up to `limit` sealed cards whose key's term is below `term`; says how many. Call it for keys that open
    /// nothing any more.
    async fn forget_spent(&self, term: u32, limit: u32) -> Result<u64, StoreError>;

    /// Registers a tenant together with its first keys. `false` if the tenant is there already; then nothing changes.
    ///
    /// # Errors
    /// [`StoreError::Full`] at [`strongroom_wire::limits::TENANTS_MAX`]; [`StoreError::Exists`] if a key is taken;
    /// [`StoreError::TooLarge`]; [`StoreError::OtherRoot`] if `under` is named, the root.json by which the keys were wrapped, and another is in
    /// force: a node may not have followed yet.
    async fn insert_tenant(
        &self,
        tenant: TenantRow,
        keys: Vec<KeyRow>,
        under: Option<[u8; 32]>,
    ) -> Result<bool, StoreError>;

    /// Every tenant, oldest first.
    async fn tenants(&self) -> Result<Vec<TenantRow>, StoreError>;

    /// Every term of every key, destroyed ones too (without their bytes).
    async fn keys(&self) -> Result<Vec<KeyRow>, StoreError>;

    /// Makes all the changes or none. `false` if a state or wrapped key was not what the change expects, or a new key's
    /// name is taken; then nothing changed.
    ///
    /// # Errors
    /// [`StoreError::TooLarge`]; [`StoreError::OtherRoot`] as [`Store::insert_tenant`].
    async fn change_keys(&self, change: KeyChange) -> Result<bool, StoreError>;

    /// Counts wraps under a key and answers the new total. Call it before the wraps are done.
    ///
    /// # Errors
    /// [`StoreError::NoKey`].
    async fn add_wraps(&self, key: &KeyName, by: u64) -> Result<u64, StoreError>;

    /// A step through the tenant's sealed records (cards, metadata, secrets, answers) whose term is below `term`. A page
    /// may be empty and still have a next one; go on until `next` is none.
    async fn stale_records(
        &self,
        tenant: &TenantId,
        term: u32,
        from: Option<StaleCursor>,
        limit: u32,
    ) -> Result<StalePage, StoreError>;

    /// How many of the tenant's sealed records have a term below `term`. It walks every record of the store, in short
    /// steps, off the caller's thread.
    async fn count_stale(&self, tenant: &TenantId, term: u32) -> Result<u64, StoreError>;

    /// Replaces each envelope that is still the old one; says how many were.
    ///
    /// # Errors
    /// [`StoreError::TooLarge`].
    async fn swap_envelopes(&self, tenant: &TenantId, swaps: Vec<EnvelopeSwap>) -> Result<u64, StoreError>;

    /// A step through the tenant's cards and secrets whose MACs are under a term of its fingerprint key below `term`. A
    /// page may be empty and still have a next one; go on until `next` is none.
    async fn stale_marks(
        &self,
        tenant: &TenantId,
        term: u32,
        from: Option<StaleCursor>,
        limit: u32,
    ) -> Result<MarkPage, StoreError>;

    /// How many of the tenant's rows are under a term of its fingerprint key below `term`. It walks every row of the store,
    /// in short steps, off the caller's thread.
    async fn count_stale_marks(&self, tenant: &TenantId, term: u32) -> Result<MarkCount, StoreError>;

    /// Gives each row its new fingerprint, term and binding if it still has the old ones, together with whatever finds a
    /// card by its fingerprint; says how many were changed.
    ///
    /// # Errors
    /// [`StoreError::TooLarge`].
    async fn swap_marks(&self, tenant: &TenantId, swaps: Vec<MarkSwap>) -> Result<u64, StoreError>;

    /// What is public of every term of the Sign key, by node and term.
    async fn sign_terms(&self) -> Result<Vec<SignTerm>, StoreError>;

    /// Writes down how far a rotation is, in the place of what was there for the same key and term.
    ///
    /// # Errors
    /// [`StoreError::TooLarge`].
    async fn put_rotation(&self, rotation: RotationRow) -> Result<(), StoreError>;

    /// Every rotation, oldest first.
    async fn rotations(&self) -> Result<Vec<RotationRow>, StoreError>;

    /// Destroys every key of a tenant in one transaction, and with them whatever they wrap; says how many keys it had.
    /// Doing it twice is the same as once. Its rows are shredded afterwards, its name stays.
    async fn shred_tenant(&self, tenant: &TenantId) -> Result<u64, StoreError>;

    /// Shreds the records in these places; says how many there were. A card and its metadata are one record.
    ///
    /// # Errors
    /// [`StoreError::TooLarge`] for more than [`strongroom_wire::limits::STORE_PAGE_MAX`].
    async fn shred_places(&self, tenant: &TenantId, places: Vec<Place>) -> Result<u64, StoreError>;

    /// Marks a tenant whose keys are destroyed as one of which no row is left.
    async fn end_shredding(&self, tenant: &TenantId) -> Result<(), StoreError>;

    /// The tenant's cards that were made before a moment. With a limit of 0 all of them are counted; otherwise up to
    /// `limit` are named.
    async fn over_age(&self, tenant: &TenantId, before_ms: u64, limit: u32) -> Result<OverAge, StoreError>;

    /// Keeps something under a name, in the place of what had it.
    ///
    /// # Errors
    /// [`StoreError::TooLarge`].
    async fn put_kept(&self, kept: KeptRow) -> Result<(), StoreError>;

    /// Everything that is kept under names that begin so, by name.
    async fn kept(&self, prefix: &str) -> Result<Vec<KeptRow>, StoreError>;

    /// Stores a new act that needs two people.
    ///
    /// # Errors
    /// [`StoreError::Full`] if [`strongroom_wire::limits::ACTS_OPEN_MAX`] are open; [`StoreError::Exists`];
    /// [`StoreError::TooLarge`].
    async fn insert_act(&self, act: ActRow) -> Result<(), StoreError>;

    /// Puts what `new` says in the place of an act that is still `old` in every part; the id stays. `false` if it is not.
    ///
    /// # Errors
    /// [`StoreError::TooLarge`].
    async fn swap_act(&self, old: ActRow, new: ActRow) -> Result<bool, StoreError>;

    /// Every open act and the newest of those that are over, newest first.
    async fn acts(&self) -> Result<Vec<ActRow>, StoreError>;

    /// Removes acts that are over and were kept until now; says how many.
    async fn purge_acts(&self, now_ms: u64) -> Result<u64, StoreError>;

    /// Copies the store as it is at this moment into a new file, beside reads and writes, and answers its length in bytes
    /// once it is durable. After an error there may be a part of a file.
    async fn copy_to(&self, into: &Path) -> Result<u64, StoreError>;

    /// The card at or after each place of the store, from 0 for the oldest to `u64::MAX` for the newest; one may come more
    /// than once. Short-term cards whose end has come are among them until they are shredded.
    ///
    /// # Errors
    /// [`StoreError::TooLarge`] for more places than [`strongroom_wire::limits::STORE_PAGE_MAX`].
    async fn sample(&self, places: Vec<u64>) -> Result<Vec<CardRow>, StoreError>;

    /// Whether an operator sealed the vault, so that it does not open by itself.
    async fn stays_sealed(&self) -> Result<bool, StoreError>;

    /// Notes that it shall, or shall not. A seal is counted: see [`Cluster::seals`].
    async fn set_stays_sealed(&self, stays: bool) -> Result<(), StoreError>;

    /// Number of the newest migration.
    fn schema(&self) -> u32;

    /// What waits for the store's disk; nothing where it is not this process that writes.
    fn load(&self) -> Disk {
        Disk::default()
    }

    /// Moves everything into the main file and empties the write-ahead log, so that nothing of a deleted row is left in
    /// either. It happens by itself too, when no write comes for a moment and half a minute after a delete at the latest.
    async fn settle(&self) -> Result<(), StoreError>;
}
