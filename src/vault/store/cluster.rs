//! What the nodes of one vault know of each other through the store: who is there, how far each has followed the changes of
//! keys, who leads. A store that one process uses alone has all of this too, with one node or none in it.
//!
//! Invariants:
//! - Every transaction that changes keys, tenants, what is kept, acts, the Root in force, whether the vault stays sealed, or a
//!   rotation of a session key adds 1 to the *generation*. Whoever reads a generation sees every change up to it.
//! - Ages are of the store's own clock, so that the clocks of the nodes need not agree.
//! - A node is one *run* of a process. A run that was buried never comes back: its leases are free, its beats are refused.

use std::time::Duration;

use async_trait::async_trait;
use strongroom_wire::NodeName;
use uuid::Uuid;

use super::{KeptRow, StoreError};

/// What a node says about itself with each beat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeReport {
    /// Its name.
    pub node: NodeName,
    /// This run of its process.
    pub run: Uuid,
    /// Whether it holds keys, or is about to read them. One that does not need not be waited for.
    pub holds: bool,
    /// The generation that its keyring has caught up with: every request that begins from now on knows it.
    pub taken: u64,
    /// The generation that every request of it has caught up with: none is left that began before.
    pub settled: u64,
    /// What else the nodes tell each other; the store does not look into it. At most
    /// [`strongroom_wire::limits::NODE_NEWS_BYTES_MAX`].
    pub news: Vec<u8>,
}

/// A node as the others see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeRow {
    /// What it said.
    pub report: NodeReport,
    /// Milliseconds since then.
    pub age_ms: u64,
}

/// Who holds a lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaseRow {
    /// What for.
    pub name: String,
    /// Which run.
    pub run: Uuid,
}

/// What a beat brings back. The nodes are not older than the generation: one that is not seen here holding keys reads them
/// after that generation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pulse {
    /// Whether the beat counted. `false`: this run was buried, or never joined.
    pub is_member: bool,
    /// How many changes there were.
    pub generation: u64,
    /// How often an operator sealed the vault.
    pub seals: u64,
    /// Every node, this one too, by name.
    pub nodes: Vec<NodeRow>,
    /// Every lease, by name. One whose run is not among the nodes is free.
    pub leases: Vec<LeaseRow>,
}

/// The part of the store that several nodes need. As everywhere in [`super::Store`] each method is one transaction.
#[async_trait]
pub trait Cluster: Send + Sync + 'static {
    /// How many changes there were.
    async fn generation(&self) -> Result<u64, StoreError>;

    /// How often an operator sealed the vault: [`super::Store::set_stays_sealed`] adds 1 to it where it notes a seal.
    async fn seals(&self) -> Result<u64, StoreError>;

    /// Adds a node, seen now. `false` if another run has its name; then nothing changes.
    ///
    /// # Errors
    /// [`StoreError::Full`] at [`strongroom_wire::limits::NODES_MAX`]; [`StoreError::TooLarge`].
    async fn join(&self, report: NodeReport) -> Result<bool, StoreError>;

    /// Puts a report in the place of the run's last one, seen now, and reads how things stand. One round trip.
    ///
    /// # Errors
    /// [`StoreError::TooLarge`].
    async fn beat(&self, report: NodeReport) -> Result<Pulse, StoreError>;

    /// Buries every other run that was not seen for so long, unless a write of it is under way; says how many. From then on
    /// no write of theirs happens in a store that several processes share.
    async fn bury(&self, own: Uuid, unseen: Duration) -> Result<u64, StoreError>;

    /// Ends a run: its row and its leases go.
    async fn depart(&self, run: Uuid) -> Result<(), StoreError>;

    /// Takes a lease, or keeps it. `false` if another run that is not buried holds it, or this one was buried.
    ///
    /// # Errors
    /// [`StoreError::TooLarge`] for a name over [`strongroom_wire::limits::LEASE_BYTES_MAX`].
    async fn lease(&self, name: &str, run: Uuid) -> Result<bool, StoreError>;

    /// Gives a lease back, if it is this run's.
    async fn release(&self, name: &str, run: Uuid) -> Result<(), StoreError>;

    /// Keeps something in the place of exactly this, or where its name has nothing. `false`, and nothing changes, if it is
    /// not so.
    ///
    /// # Errors
    /// [`StoreError::TooLarge`].
    async fn swap_kept(&self, old: Option<KeptRow>, new: KeptRow) -> Result<bool, StoreError>;
}
