//! Migrate: the store goes from its SQLite file into a PostgreSQL database while the vault works, and lies there from then on.
//!
//! 1. Begin: an entry; from then on the file writes down which rows change.
//! 2. Copy page after page, and what changed meanwhile after each (`store/moving`).
//! 3. Compare both sides as they are at one moment, by counts and digests; open a sample of the cards from the database.
//! 4. Hold writes, copy the last changes, compare again with what those changed, an entry with the digest.
//! 5. Mark the file as moved; then open the database for vaults; an entry.
//!
//! An interruption before the mark leaves the file the store, and the next start goes on where the database says. One after it
//! leaves the file marked; whoever starts vaultd on it opens the database and is told to use that.
//!
//! Invariants:
//! - Writes are held only in step 4, and are taken again whatever ends it, unless the file is marked; by the next attempt, if a
//!   full disk keeps this one from it.
//! - What was used of the quotas goes over with the last step, so that a move gives nobody a fresh allowance.
//! - From the mark on this process answers nothing of the store any more, reads neither.

mod show;
mod work;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use strongroom_wire::RequestId;
use strongroom_wire::migration::{MigrateRequest, Migration, MigrationState};
use tokio::sync::Mutex;
use tokio::task::JoinHandle;
use uuid::Uuid;

use self::show::Shown;
use super::reveal::failed;
use super::{Asker, FlowError, Vault};
use crate::audit::Warrant;
use crate::policy::{Migrate, Note, Principal};
use crate::store::StoreError;
use crate::store::moving::{Source, Target, Trouble};
use crate::store::postgres::{BadSettings, PostgresOptions};
use crate::telemetry::log;

/// The move of the store, where it can be moved.
#[derive(Default)]
pub struct Moves {
    plan: OnceLock<Plan>,
    /// The worker; locked by whoever begins or ends it.
    worker: Mutex<Option<JoinHandle<()>>>,
    shown: Shown,
    is_over: AtomicBool,
}

/// What can be moved, and where to.
pub struct Plan {
    /// The file that the vault runs on.
    pub source: Source,
    /// The database that the configuration names.
    pub aim: Option<Aim>,
}

/// A database to move into.
pub struct Aim {
    /// Server and database, for people.
    pub words: String,
    /// How it is reached; read again for each connection, because a password may change.
    pub options: Box<dyn Fn() -> Result<PostgresOptions, BadSettings> + Send + Sync>,
}

impl Moves {
    /// Says what can be moved where; once, at the start.
    pub fn plan(&self, plan: Plan) {
        // A second call would be a fault of the start; the first stays.
        let _ = self.plan.set(plan);
    }

    /// Whether the store lies elsewhere by now.
    pub(super) fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Acquire)
    }

    /// Ends the worker where it stands, as a kill would. Whoever awaits this knows that it does not hold the vault any more.
    pub async fn end(&self) {
        let mut worker = self.worker.lock().await;
        if let Some(worker) = worker.take() {
            worker.abort();
            // An error says that it was ended.
            let _ = worker.await;
        }
    }

    fn here(&self) -> Result<&Plan, FlowError> {
        self.plan.get().ok_or(FlowError::Conflict("this vault's store is in PostgreSQL already"))
    }
}

impl Plan {
    fn aim(&self) -> Result<&Aim, FlowError> {
        self.aim.as_ref().ok_or(FlowError::Conflict(
            "the configuration names no database to move to: add [store.move_to] postgres to vaultd.toml and start vaultd anew",
        ))
    }
}

/// Begins the move, or gives the one that runs another limit. It goes on by itself, also in the next process.
///
/// # Errors
/// [`FlowError::Conflict`] if no database is named; [`FlowError::Move`] if it cannot be used.
pub async fn start(vault: &Arc<Vault>, asker: &Asker, asked: MigrateRequest) -> Result<Migration, FlowError> {
    if asked.records_per_second_max == Some(0) {
        let why = "records_per_second_max is at least 1; leave it out for no limit";
        return Err(FlowError::Field { field: "records_per_second_max", why });
    }
    let permit = vault.permit_unsealed::<Migrate>(asker, (), Note::words("move the store")).await?;
    vault.moves.here()?.aim()?;
    let mut worker = vault.moves.worker.lock().await;
    let warrant = vault.warrant(permit).await?;
    let trace = warrant.trace();
    let begun = match begin(vault, &asked).await {
        Ok(begun) => begun,
        Err(error) => return Err(failed(vault, trace, error).await),
    };
    if worker.as_ref().is_none_or(JoinHandle::is_finished) {
        *worker = Some(spawn(vault, begun, warrant));
    }
    drop(worker);
    show(vault).await
}

/// Names the move that is under way, or begins one.
async fn begin(vault: &Vault, asked: &MigrateRequest) -> Result<Uuid, FlowError> {
    let Plan { source, .. } = vault.moves.here()?;
    let run = match source.started().await? {
        Some(started) => {
            source.limit(asked.records_per_second_max).await?;
            started.run
        }
        None => {
            look(vault).await?;
            let mut bytes = [0; 16];
            getrandom::fill(&mut bytes)
                .map_err(|_| FlowError::Crypto("the operating system gave no random numbers"))?;
            let run = uuid::Builder::from_random_bytes(bytes).into_uuid();
            source.begin(run, vault.now_ms(), asked.records_per_second_max).await?;
            run
        }
    };
    vault.moves.shown.limit(asked.records_per_second_max);
    Ok(run)
}

/// Whether the database can be moved into, before anything is changed.
async fn look(vault: &Vault) -> Result<(), FlowError> {
    let options = (vault.moves.here()?.aim()?.options)();
    let options = options.map_err(|bad| FlowError::Move { why: bad.to_string(), may_pass: false })?;
    let looked = async { Target::open(options).await?.check(None).await };
    looked.await.map_err(|trouble: Trouble| trouble.into())
}

/// How far it is.
///
/// # Errors
/// Those of policy and the store.
pub async fn status(vault: &Vault, asker: &Asker) -> Result<Migration, FlowError> {
    let _allowed = vault.permit::<Migrate>(asker, (), Note::none()).await?;
    show(vault).await
}

async fn show(vault: &Vault) -> Result<Migration, FlowError> {
    let Some(plan) = vault.moves.plan.get() else { return Ok(Shown::nothing()) };
    let started = plan.source.started().await?;
    let waiting = match &started {
        Some(started) if started.moved.is_none() => plan.source.waiting().await?,
        _ => 0,
    };
    Ok(vault.moves.shown.view(started.as_ref(), plan.aim.as_ref().map(|aim| aim.words.clone()), waiting))
}

/// Gives the move up: the file is the store as before, and the database is emptied if it can be reached.
///
/// # Errors
/// [`FlowError::Conflict`] if there is none, or it is over.
pub async fn abandon(vault: &Arc<Vault>, asker: &Asker) -> Result<Migration, FlowError> {
    let permit = vault.permit::<Migrate>(asker, (), Note::words("give the move of the store up")).await?;
    let plan = vault.moves.here()?;
    let mut worker = vault.moves.worker.lock().await;
    let started = plan.source.started().await?.ok_or(FlowError::Conflict("the store is not being moved"))?;
    if started.moved.is_some() {
        return Err(FlowError::Conflict("the store was moved; start vaultd on the database"));
    }
    let warrant = vault.warrant(permit).await?;
    if let Some(worker) = worker.take() {
        worker.abort();
        // An error says that it was ended.
        let _ = worker.await;
    }
    match plan.source.abandon().await {
        Ok(()) => {}
        Err(StoreError::Moved) => {
            vault.moves.is_over.store(true, Ordering::Release);
            let over = FlowError::Conflict("the store was moved at this moment; start vaultd on the database");
            return Err(failed(vault, warrant.trace(), over).await);
        }
        Err(error) => {
            // Nothing was given up, so it goes on.
            let trace = warrant.trace();
            *worker = Some(spawn(vault, started.run, warrant));
            return Err(failed(vault, trace, error.into()).await);
        }
    }
    let emptied = empty(plan, started.run).await;
    let words = if emptied.is_ok() { "given up" } else { "given up; the database was not emptied" };
    vault.audit.record_end(warrant.trace(), Note::words(words)).await?;
    let fault = emptied
        .err()
        .map(|why| format!("the database was not emptied ({why}): drop it and make it anew before it is named again"));
    vault.moves.shown.abandoned(fault);
    show(vault).await
}

async fn empty(plan: &Plan, run: Uuid) -> Result<(), FlowError> {
    let options = (plan.aim()?.options)().map_err(|bad| FlowError::Move { why: bad.to_string(), may_pass: false })?;
    let emptied = async { Target::open(options).await?.empty(run).await };
    emptied.await.map_err(|trouble: Trouble| trouble.into())
}

/// At the start: a move that was begun goes on by itself.
///
/// # Errors
/// Those of the audit log and the store.
pub async fn resume(vault: &Arc<Vault>) -> Result<(), FlowError> {
    let Some(plan) = vault.moves.plan.get() else { return Ok(()) };
    let Some(started) = plan.source.started().await? else { return Ok(()) };
    let mut worker = vault.moves.worker.lock().await;
    if plan.aim.is_none() {
        let why = "the configuration does not name the database of this move any more: add [store.move_to] again, or give the \
                   move up with `vaultctl store abandon`";
        vault.moves.shown.ended(MigrationState::Stopped, why.to_owned());
        log::warn("a move of the store was begun and its database is not in the configuration", &[]);
        return Ok(());
    }
    let asker = Asker { who: Principal::Vault, tenant: None, request: RequestId::fresh(), origin: None, key: None };
    let permit = vault.permit::<Migrate>(&asker, (), Note::words("go on moving the store")).await?;
    let warrant = vault.warrant(permit).await?;
    vault.moves.shown.limit(started.rate);
    *worker = Some(spawn(vault, started.run, warrant));
    Ok(())
}

fn spawn(vault: &Arc<Vault>, run: Uuid, warrant: Warrant<Migrate>) -> JoinHandle<()> {
    vault.moves.shown.anew();
    let vault = Arc::clone(vault);
    // Many short awaits; the stores do the waiting.
    actix_web::rt::spawn(async move { work::work(&vault, run, &warrant).await })
}

impl From<Trouble> for FlowError {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::Store(error) => error.into(),
            Trouble::Open(_) => FlowError::Move { why: trouble.to_string(), may_pass: work::may_pass(&trouble) },
            Trouble::Refused(_) => FlowError::Move { why: trouble.to_string(), may_pass: false },
        }
    }
}
