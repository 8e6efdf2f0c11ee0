//! `PostgresStore`: the store in a PostgreSQL database that several vaultd share. Plain SQL, so that engines which speak the same
//! protocol can take its place.
//!
//! Layout (`migrations/` says each column):
//! - `cards`, `claims` and `answers` are each sixteen tables by the hash of token, owner and name: sized for a billion cards. A
//!   tenant stands in them as its number in `tenants`.
//! - A card's key is (tenant, token); a token begins with its time, so that a tenant's cards are listed in the order in which they
//!   came. `created_ms` stands there only where it is not the token's own time.
//! - A card with a customer has one row in `claims`: (owner, fingerprint) to token. See `insert.rs` for what it is good for.
//! - `secrets`, `spent`, `keys`, `sign_terms`, `rotations`, `kept`, `acts`, `root_changes`, `staged_keys`, `acknowledgements`,
//!   `settings`, `nodes`, `leases`, `epochs`, `opened_cvcs` and `uses` are small. `cluster` counts changes of what every node keeps in memory.
//!
//! Invariants:
//! - Every method is one transaction of `READ COMMITTED`, and safe to repeat where its outcome is not known.
//! - Nothing rests on a session: no advisory locks, no notifications, no settings beyond a transaction. What is prepared on
//!   one (`session.rs`) saves time and can be missing.
//! - What changes keys, tenants, kept rows, acts, the Root in force or stays-sealed calls [`touch`] first.
//! - Once the node joined, every transaction that writes holds the node's own row: see [`run::Connections::fence`].

mod acts;
mod answers;
pub(in crate::store) mod cards;
mod cluster;
mod connect;
mod custody;
pub(in crate::store) mod fault;
mod group;
mod insert;
mod keys;
mod lanes;
mod marks;
mod migrate;
mod reads;
mod rotations;
pub(in crate::store) mod run;
mod sample;
mod secrets;
mod session;
mod settings;
mod shared;
mod shred;
mod single;
mod spent;
mod stale;
mod store;
mod tenants;
mod tls;

use std::collections::HashMap;
use std::sync::{Arc, RwLock};

use strongroom_wire::TenantId;
use tokio::runtime::{Handle, Runtime};
use tokio_postgres::Client;

use self::connect::Connector;
use self::fault::Failure;
use self::insert::Inserts;
use self::reads::Reads;
use self::run::Connections;
use super::StoreError;

pub use connect::Refused;
pub use settings::{BadSettings, PostgresOptions, PostgresUrl, check_url};

/// A store in a PostgreSQL database.
pub struct PostgresStore {
    connections: Arc<Connections>,
    reads: Reads,
    inserts: Inserts,
    tenants: RwLock<HashMap<TenantId, i32>>,
    /// Dropped last.
    _threads: Threads,
}

/// Why the database cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// There is no connection.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// The tables are not there and cannot be made, or not be read.
    #[error(
        "the tables can be neither read nor made: the user needs the right to make tables in this database (let it own the \
         database), and the server's log says what else is in the way"
    )]
    Tables,
    /// Whose store it is, or of which version.
    #[error(transparent)]
    Store(StoreError),
    /// A move fills it.
    #[error(
        "a store is being moved into this database and is not whole yet: start vaultd with the configuration of before, \
         which goes on moving it"
    )]
    HalfMoved,
}

impl PostgresStore {
    /// Connects and brings the database to the newest schema.
    ///
    /// # Errors
    /// [`OpenError`].
    pub async fn open(options: PostgresOptions) -> Result<Self, OpenError> {
        let store = Self::open_to_fill(options).await?;
        if migrate::is_half_moved(&store.connections).await.map_err(OpenError::Store)? {
            return Err(OpenError::HalfMoved);
        }
        Ok(store)
    }

    /// The same for a database that a move fills: for the move alone.
    ///
    /// # Errors
    /// [`OpenError`].
    pub(in crate::store) async fn open_to_fill(options: PostgresOptions) -> Result<Self, OpenError> {
        let threads = Threads::start()?;
        let (vault, most) = (options.vault.clone(), options.connections);
        let connections = Arc::new(Connections::new(Connector::new(options, threads.0.clone()), most));
        connections.try_one().await?;
        migrate::migrate(&connections, &vault).await.map_err(tables)?;
        Ok(Self {
            reads: Reads::start(&threads.0, &connections),
            inserts: Inserts::start(&threads.0, &connections),
            connections,
            tenants: RwLock::default(),
            _threads: threads,
        })
    }

    /// The turns of a transaction of a move, which no node makes.
    pub(in crate::store) fn turns_to_fill(&self, time: std::time::Duration) -> run::Turns<'_> {
        self.connections.turns_within(time).unfenced()
    }

    /// Whether [`PostgresStore::open`] would find a server and database of this vault, or an empty one. Changes nothing.
    ///
    /// # Errors
    /// [`OpenError`].
    pub async fn check(options: PostgresOptions) -> Result<(), OpenError> {
        let threads = Threads::start()?;
        let vault = options.vault.clone();
        let connections = Connections::new(Connector::new(options, threads.0.clone()), 1);
        connections.try_one().await?;
        match migrate::look(&connections, &vault).await.map_err(tables)? {
            Some(_) if migrate::is_half_moved(&connections).await.map_err(OpenError::Store)? => {
                Err(OpenError::HalfMoved)
            }
            _ => Ok(()),
        }
    }
}

/// The threads of lanes and connections.
struct Threads(Handle, Option<Runtime>);

impl Threads {
    fn start() -> Result<Self, OpenError> {
        let mut threads = tokio::runtime::Builder::new_multi_thread();
        threads.worker_threads(THREADS).thread_name("postgres").enable_all();
        let runtime = threads.build().map_err(|_| OpenError::Store(StoreError::Unavailable))?;
        Ok(Self(runtime.handle().clone(), Some(runtime)))
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        // Dropping the runtime itself would block, which nothing may do on a thread that serves.
        if let Some(runtime) = self.1.take() {
            runtime.shutdown_background();
        }
    }
}

fn tables(error: StoreError) -> OpenError {
    match error {
        StoreError::NewerSchema | StoreError::OtherVault => OpenError::Store(error),
        _ => OpenError::Tables,
    }
}

/// Counts a change of what every node keeps in memory. Call it first in the transaction that makes the change: it holds the
/// row until the end, so that such changes happen one after the other.
pub(in crate::store) async fn touch(tx: &Client) -> Result<(), Failure> {
    match tx.execute_typed("UPDATE cluster SET generation = generation + 1 WHERE id = 1", &[]).await? {
        1 => Ok(()),
        _ => Err(StoreError::Corrupt.into()),
    }
}

/// The same for a seal.
pub(in crate::store) async fn touch_sealed(tx: &Client) -> Result<(), Failure> {
    touch(tx).await?;
    tx.execute_typed("UPDATE cluster SET seals = seals + 1 WHERE id = 1", &[]).await?;
    Ok(())
}

/// Waits for its turn like [`touch`], for a change that nobody keeps in memory.
pub(in crate::store) async fn hold(tx: &Client) -> Result<(), Failure> {
    match tx.query_typed("SELECT id FROM cluster WHERE id = 1 FOR UPDATE", &[]).await?.len() {
        1 => Ok(()),
        _ => Err(StoreError::Corrupt.into()),
    }
}

const THREADS: usize = 2;

#[cfg(test)]
pub(in crate::store) mod tests;
