//! What the nodes of one vault hand each other through the store: keys of CVC epochs, sealed to mailboxes that no store knows, and
//! which CVCs were opened. A store that one process uses alone has all of this too, and nothing in it.

use async_trait::async_trait;
use strongroom_wire::NodeName;
use uuid::Uuid;

use super::{SignTerm, StoreError};

/// The key of an epoch for one mailbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EpochRow {
    /// Which epoch.
    pub epoch: u32,
    /// The public half of the mailbox.
    pub to: [u8; 32],
    /// When it is worth nothing any more, in milliseconds since 1970-01-01 UTC.
    pub ends_ms: u64,
    /// The signed note with the sealed key. At most [`strongroom_wire::limits::EPOCH_NOTE_BYTES_MAX`].
    pub note: String,
}

/// That a CVC was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CvcMark {
    /// Of which epoch.
    pub epoch: u32,
    /// Which one.
    pub name: [u8; 12],
    /// By which attempt; asking again for the same one is the same as asking once.
    pub attempt: [u8; 16],
    /// When its epoch is over.
    pub ends_ms: u64,
}

/// What a node says of the allowances that all share. The store does not look into it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UseReport {
    /// Its name.
    pub node: NodeName,
    /// This run of its process.
    pub run: Uuid,
    /// Which report of this run.
    pub turn: u64,
    /// What it says. At most [`strongroom_wire::limits::USES_BYTES_MAX`].
    pub said: Vec<u8>,
}

/// What another node said last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UseRow {
    /// Its name.
    pub node: NodeName,
    /// Milliseconds since then, by the store's clock.
    pub age_ms: u64,
    /// What.
    pub said: Vec<u8>,
}

/// The part of the store that nodes share. As everywhere in [`super::Store`] each method is one transaction.
#[async_trait]
pub trait Shared: Send + Sync + 'static {
    /// Keeps keys of epochs; one that is there already stays as it is.
    ///
    /// # Errors
    /// [`StoreError::TooLarge`], also for more than [`strongroom_wire::limits::STORE_PAGE_MAX`].
    async fn put_epochs(&self, rows: Vec<EpochRow>) -> Result<(), StoreError>;

    /// The keys for these mailboxes whose end has not come, at most [`strongroom_wire::limits::STORE_PAGE_MAX`].
    ///
    /// # Errors
    /// [`StoreError::TooLarge`] for more mailboxes than that.
    async fn epochs_to(&self, mailboxes: Vec<[u8; 32]>, now_ms: u64) -> Result<Vec<EpochRow>, StoreError>;

    /// Writes down that a CVC was opened. `true` if it is the first time, or the same attempt as the first time.
    async fn mark_cvc(&self, mark: CvcMark) -> Result<bool, StoreError>;

    /// Says what this node uses of the allowances of all, in the place of what it said before, and reads what the others said
    /// before that, of the last day, also those that are gone. One round trip. Of two reports of one run the one with the greater
    /// turn stays, whichever comes last.
    ///
    /// # Errors
    /// [`StoreError::TooLarge`].
    async fn exchange_uses(&self, own: UseReport) -> Result<Vec<UseRow>, StoreError>;

    /// Forgets up to `limit` keys and as many marks whose epoch is over; says how many.
    async fn purge_epochs(&self, now_ms: u64, limit: u32) -> Result<u64, StoreError>;

    /// Puts one term in the place of all that are known of a node's Sign key: its log was begun anew.
    ///
    /// # Errors
    /// [`StoreError::TooLarge`].
    async fn restart_log(&self, node: &NodeName, first: SignTerm) -> Result<(), StoreError>;
}
