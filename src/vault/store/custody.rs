//! What the store knows of the Root: which root.json is in force, how far a change of it is, who acknowledged their duty.

use async_trait::async_trait;
use strongroom_wire::custody::RootChangeState;

use super::{KeyName, KeyRow, StoreError};

/// How far a change of the Root is. At most one is open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RootChangeRow {
    /// The root.json before, by its SHA-256.
    pub from: [u8; 32],
    /// The root.json to come.
    pub to: [u8; 32],
    /// Whether it is another Root, under which every key is wrapped anew.
    pub rewraps: bool,
    /// How far.
    pub state: RootChangeState,
    /// Keys that are wrapped under the Root to come.
    pub done: u64,
    /// Keys that there are.
    pub total: u64,
    /// When it began.
    pub started_ms: u64,
    /// At most so many keys a second.
    pub keys_per_second_max: Option<u32>,
    /// What stopped it.
    pub fault: Option<String>,
    /// The signed completion note.
    pub proof: Option<String>,
}

/// A key under the Root to come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StagedKey {
    /// Which.
    pub name: KeyName,
    /// The wrapped key of now that it was made from. If that changes, this is worth nothing.
    pub instead_of: Vec<u8>,
    /// The key under the Root to come.
    pub wrapped: Vec<u8>,
}

/// That a custodian acknowledged their duty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AcknowledgementRow {
    /// Who.
    pub who: String,
    /// The root.json whose share they hold.
    pub root: [u8; 32],
    /// The number of the text.
    pub duty: u32,
    /// When.
    pub at_ms: u64,
}

/// The part of the store that custody needs. As everywhere in [`super::Store`] each method is one transaction.
#[async_trait]
pub trait Custody: Send + Sync + 'static {
    /// The root.json in force, by its SHA-256; none before the first unseal.
    async fn root_in_force(&self) -> Result<Option<[u8; 32]>, StoreError>;

    /// Puts a root.json in force if none is, and answers the one that is.
    async fn adopt_root(&self, sum: [u8; 32]) -> Result<[u8; 32], StoreError>;

    /// The newest change of the Root.
    async fn root_change(&self) -> Result<Option<RootChangeRow>, StoreError>;

    /// Begins a change. `false` if another one is open; then nothing changes. Keys that an earlier change staged go.
    async fn begin_root_change(&self, row: RootChangeRow) -> Result<bool, StoreError>;

    /// Writes down how far the newest change is. `false` if that is another one or it is over; then nothing changes. One
    /// that is given up takes what was staged for it along.
    ///
    /// # Errors
    /// [`StoreError::TooLarge`].
    async fn note_root_change(&self, row: RootChangeRow) -> Result<bool, StoreError>;

    /// Up to `limit` keys, not the destroyed ones, that are not staged, or were staged from other bytes than they have now.
    async fn unstaged_keys(&self, limit: u32) -> Result<Vec<KeyRow>, StoreError>;

    /// How many keys, not the destroyed ones, are staged from the bytes that they have now, and how many there are.
    async fn count_staged(&self) -> Result<(u64, u64), StoreError>;

    /// Keeps keys under the Root to come beside those of now. `false`, and nothing is kept, unless the open change leads
    /// there.
    ///
    /// # Errors
    /// [`StoreError::TooLarge`]; [`StoreError::NoTenant`].
    async fn stage_keys(&self, to: [u8; 32], keys: Vec<StagedKey>) -> Result<bool, StoreError>;

    /// Puts the root.json of the open change in force and, where it `rewraps`, every staged key in the place of the one that it
    /// was made from. `false`, and nothing changes, unless that change is open, the one that it comes from is in force, and
    /// every key that is not destroyed is staged from the bytes that it has now. The caller says whether it rewraps, and
    /// not the row: whoever can write to the row must not have a Root put in force under which no key was wrapped.
    async fn swap_root(&self, from: [u8; 32], to: [u8; 32], rewraps: bool) -> Result<bool, StoreError>;

    /// Keeps an acknowledgement. `false` if this custodian gave it for this root.json before; then nothing changes.
    ///
    /// # Errors
    /// [`StoreError::TooLarge`].
    async fn acknowledge(&self, row: AcknowledgementRow) -> Result<bool, StoreError>;

    /// Every acknowledgement, oldest first.
    async fn acknowledgements(&self) -> Result<Vec<AcknowledgementRow>, StoreError>;
}
