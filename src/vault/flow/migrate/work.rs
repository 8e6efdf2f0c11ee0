//! The worker of a move: copies, compares, switches; tries again what may pass.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use strongroom_wire::entry::{OwnAct, Subject};
use strongroom_wire::hex::hex;
use strongroom_wire::migration::MigrationState;
use strongroom_wire::{TenantId, limits};
use uuid::Uuid;

use super::Aim;
use crate::audit::{Own, Warrant};
use crate::flow::{FlowError, StoreFault, Vault, row};
use crate::policy::{Carried, Digest, Migrate, Note};
use crate::store::moving::{CHANGES, Filling, Left, Target, Trouble, Verdict};
use crate::store::postgres::{OpenError, Refused};
use crate::store::{CardRow, Shredded, StoreError};
use crate::telemetry::log;

/// Why an attempt ended.
enum Ended {
    /// Another one may succeed.
    Waits(String),
    /// Somebody has to see to it.
    Stops(String),
}

/// Works until the store is moved or somebody has to see to it.
pub(super) async fn work(vault: &Arc<Vault>, run: Uuid, warrant: &Warrant<Migrate>) {
    loop {
        match attempt(vault, run, warrant).await {
            Ok(()) => return,
            Err(Ended::Waits(why)) => {
                log::warn("the move of the store waits: see `vaultctl store status`", &[]);
                vault.moves.shown.ended(MigrationState::Waiting, why);
                actix_web::rt::time::sleep(AGAIN).await;
            }
            Err(Ended::Stops(why)) => {
                log::error("the move of the store stopped: see `vaultctl store status`", &[]);
                vault.moves.shown.ended(MigrationState::Stopped, why);
                return;
            }
        }
    }
}

async fn attempt(vault: &Arc<Vault>, run: Uuid, warrant: &Warrant<Migrate>) -> Result<(), Ended> {
    let plan = vault.moves.here()?;
    let aim = plan.aim()?;
    let started = plan.source.started().await?.ok_or_else(|| Ended::Stops("it was given up".to_owned()))?;
    if let Some(moved) = started.moved {
        // An attempt before this one could not say so.
        let target = open(aim).await?;
        return finish(vault, warrant, &target, run, (&moved.digest, 0)).await;
    }
    if !started.is_of_this_schema {
        let why = "vaultd was updated since the move began, and its tables are others now: give it up and begin anew";
        return Err(Ended::Stops(why.to_owned()));
    }
    if plan.source.is_held().await? {
        plan.source.let_go().await?;
    }
    let target = open(aim).await?;
    let mut filling = Filling::take_up(plan.source.clone(), target.clone(), run).await?;
    copy(vault, &mut filling).await?;
    vault.moves.shown.state(MigrationState::Verifying);
    catch_up(vault, &mut filling).await?;
    same(filling.compare().await?)?;
    wait_for_keys(vault, &mut filling).await?;
    try_sample(vault, warrant, &filling, SAMPLE).await?;
    catch_up(vault, &mut filling).await?;
    vault.moves.shown.state(MigrationState::Switching);
    let began = Instant::now();
    match plan.source.hold().await {
        Ok(()) => {}
        Err(StoreError::Corrupt) => {
            let why = "changes were not written down as they should: somebody changed the file. Give the move up and begin anew";
            return Err(Ended::Stops(why.to_owned()));
        }
        Err(other) => return Err(other.into()),
    }
    let digest = match switch(vault, warrant, &mut filling, (&target, run, &aim.words), began).await {
        Ok(digest) => digest,
        Err(ended) => {
            // Whether the file was marked is looked at in the same write that takes the hold away.
            plan.source.let_go().await?;
            match plan.source.started().await?.and_then(|started| started.moved) {
                Some(moved) => moved.digest,
                None => return Err(ended),
            }
        }
    };
    let held_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    finish(vault, warrant, &target, run, (&digest, held_ms)).await
}

/// What is used of the quotas, for the nodes that come.
fn uses(vault: &Vault) -> Vec<Left> {
    let carried = vault.policy.carried(vault.now_ms());
    carried.into_iter().map(|Carried { hour, age_ms, said }| Left { part: hour, age_ms, said }).collect()
}

async fn open(aim: &Aim) -> Result<Target, Ended> {
    let options = (aim.options)().map_err(|bad| Ended::Waits(bad.to_string()))?;
    Ok(Target::open(options).await.map_err(Trouble::from)?)
}

/// The file is marked: the database has to be opened for vaults, however long that takes.
async fn finish(
    vault: &Vault,
    warrant: &Warrant<Migrate>,
    target: &Target,
    run: Uuid,
    (digest, held_ms): (&str, u64),
) -> Result<(), Ended> {
    vault.moves.is_over.store(true, Ordering::Release);
    let source = &vault.moves.here()?.source;
    loop {
        let released = async {
            // Again, with what was used until this process answered nothing more.
            target.leave_uses(run, &uses(vault)).await?;
            target.release(run).await?;
            Ok::<(), Trouble>(source.mark_released().await?)
        };
        let Err(trouble) = released.await else { break };
        let why = format!("the store is moved, and the database must still be told so: {trouble}");
        vault.moves.shown.moved(digest, held_ms, Some(why));
        actix_web::rt::time::sleep(AGAIN).await;
    }
    let note = Note::words("the store is in postgresql");
    let recorded = vault.audit.record_end(warrant.trace(), with_digest(note, digest)).await;
    if recorded.is_err() {
        log::error("the end of the move was not recorded; the entry before it has the digest", &[]);
    }
    vault.moves.shown.moved(digest, held_ms, None);
    log::info("the store was moved: start vaultd on the database", &[("milliseconds", &held_ms)]);
    Ok(())
}

/// Page after page, with what changed meanwhile.
async fn copy(vault: &Vault, filling: &mut Filling) -> Result<(), Ended> {
    let shown = &vault.moves.shown;
    shown.state(MigrationState::Copying);
    shown.copied(filling.mark().done());
    while let Some(count) = filling.page(shown.pace.batch(PAGE)).await? {
        shown.copied(filling.mark().done());
        shown.pace.moved(count).await;
        shown.changed(filling.follow(CHANGES).await?);
    }
    Ok(())
}

/// Copies what changed until little is left, or for so long that more does not help.
async fn catch_up(vault: &Vault, filling: &mut Filling) -> Result<(), Ended> {
    for _ in 0..ROUNDS {
        let count = filling.follow(CHANGES).await?;
        vault.moves.shown.changed(count);
        if count < u64::from(CHANGES) {
            break;
        }
    }
    Ok(())
}

/// A sealed vault cannot open a sample. What changes meanwhile goes over.
async fn wait_for_keys(vault: &Vault, filling: &mut Filling) -> Result<(), Ended> {
    while !vault.barrier.is_unsealed() {
        vault.moves.shown.state(MigrationState::WaitsForKeys);
        vault.moves.shown.changed(filling.follow(CHANGES).await?);
        actix_web::rt::time::sleep(LOOK).await;
    }
    Ok(())
}

/// Opens cards at random that the database gives back, as every reveal does.
async fn try_sample(vault: &Vault, warrant: &Warrant<Migrate>, filling: &Filling, count: u32) -> Result<(), Ended> {
    let tenants = vault.store.tenants().await?;
    let living: HashSet<TenantId> =
        tenants.into_iter().filter(|row| row.shredded == Shredded::No).map(|row| row.tenant).collect();
    let mut places = vec![0; count.min(limits::STORE_PAGE_MAX) as usize];
    for place in &mut places {
        *place =
            getrandom::u64().map_err(|_| Ended::Waits("the operating system gave no random numbers".to_owned()))?;
    }
    let mut seen = HashSet::new();
    for card in filling.sample(places).await? {
        if !living.contains(&card.tenant) || !seen.insert(card.token) {
            continue;
        }
        match opens(vault, warrant, &card) {
            Ok(()) => {}
            Err(FlowError::Tampered) => {
                vault.metrics.tampered.inc();
                let note = Note::words("found by the move of the store");
                let about = Own { tenant: Some(card.tenant.clone()), subject: Subject::Card(card.token), note };
                vault.audit.record_own(OwnAct::TamperFound, about).await.map_err(FlowError::from)?;
                let why = "a card does not open: it is named in the audit log (tamper-found). It was so before the move; see \
                           to it, then ask for the move again";
                return Err(Ended::Stops(why.to_owned()));
            }
            // Sealed meanwhile, or its tenant shredded.
            Err(other) => return Err(Ended::Waits(other.to_string())),
        }
        if seen.len().is_multiple_of(YIELD_EVERY) {
            tokio::task::yield_now().await;
        }
    }
    Ok(())
}

fn opens(vault: &Vault, warrant: &Warrant<Migrate>, card: &CardRow) -> Result<(), FlowError> {
    row::check_binding(&vault.barrier, card)?;
    let envelope = row::envelope(card)?;
    Ok(vault.barrier.check_card(warrant, &card.tenant, &card.token, &envelope)?)
}

/// While writes are held: the last changes, the comparison, the entry, the mark. Answers the digest.
async fn switch(
    vault: &Vault,
    warrant: &Warrant<Migrate>,
    filling: &mut Filling,
    (target, run, words): (&Target, Uuid, &str),
    began: Instant,
) -> Result<String, Ended> {
    loop {
        let count = filling.follow(CHANGES).await?;
        vault.moves.shown.changed(count);
        if count == 0 {
            break;
        }
        if began.elapsed() > HOLD_MAX {
            return Err(Ended::Waits("too much changed to hold writes for so long; it is tried again".to_owned()));
        }
    }
    same(filling.verdict())?;
    try_sample(vault, warrant, filling, SAMPLE_HELD).await?;
    let (rows, digest) = filling.result();
    let digest = hex(&digest);
    let note = Note::words("copied and compared: rows").and(&rows);
    let about = Own { tenant: None, subject: Subject::None, note: with_digest(note, &digest) };
    vault.audit.record_own(OwnAct::StoreMoved, about).await.map_err(FlowError::from)?;
    // Before the mark, because whoever finds the file marked after a crash knows nothing of what was used.
    target.leave_uses(run, &uses(vault)).await?;
    filling.source().mark_moved(digest.clone(), words.to_owned()).await?;
    Ok(digest)
}

fn same(verdict: Verdict) -> Result<(), Ended> {
    let why = match verdict {
        Verdict::Same => return Ok(()),
        Verdict::Differs(found) => format!(
            "the two sides differ in {} of tenant {}: {} and {} rows. Nothing was switched; give the move up and begin anew",
            found.table, found.tenant, found.counts.0, found.counts.1
        ),
        Verdict::Strange(count) => {
            format!("{count} envelopes are not of the form of this version; nothing was switched")
        }
        Verdict::NotCompared => return Err(Ended::Waits("the two sides are not compared yet".to_owned())),
        Verdict::Claims => {
            "cards are not found by their customers in the database; give the move up and begin anew".to_owned()
        }
    };
    Err(Ended::Stops(why))
}

fn with_digest(note: Note, digest: &str) -> Note {
    match digest.parse::<Digest>() {
        Ok(digest) => note.and(&"digest").and(&digest),
        Err(_) => note,
    }
}

/// Whether trying again may help.
pub(super) fn may_pass(trouble: &Trouble) -> bool {
    match trouble {
        Trouble::Store(error) => {
            matches!(error, StoreError::Busy | StoreError::Unavailable | StoreError::Held)
        }
        Trouble::Open(OpenError::Refused(why)) => !matches!(why, Refused::Old | Refused::Forgetful),
        Trouble::Open(OpenError::Tables) => true,
        Trouble::Open(_) => false,
        Trouble::Refused(_) => false,
    }
}

impl From<Trouble> for Ended {
    fn from(trouble: Trouble) -> Self {
        if may_pass(&trouble) { Ended::Waits(trouble.to_string()) } else { Ended::Stops(trouble.to_string()) }
    }
}

impl From<StoreError> for Ended {
    fn from(error: StoreError) -> Self {
        Trouble::from(error).into()
    }
}

impl From<FlowError> for Ended {
    fn from(error: FlowError) -> Self {
        match &error {
            FlowError::NotRecorded(_) | FlowError::Store(StoreFault::Busy | StoreFault::Gone | StoreFault::Held) => {
                Ended::Waits(error.to_string())
            }
            _ => Ended::Stops(error.to_string()),
        }
    }
}

/// Rows in one transaction.
const PAGE: u32 = 1_000;
/// Cards that are opened before writes are held, and while they are.
const SAMPLE: u32 = 500;
const SAMPLE_HELD: u32 = 32;
/// Rounds of changes after which it is not tried to have fewer of them.
const ROUNDS: u32 = 200;
/// Writes are not held longer than this for changes that come over.
const HOLD_MAX: Duration = Duration::from_secs(10);
/// Before the next attempt.
const AGAIN: Duration = Duration::from_secs(1);
/// How often it is looked whether the vault was unsealed.
const LOOK: Duration = Duration::from_millis(200);
/// Cards after which others on this thread have their turn.
const YIELD_EVERY: usize = 64;
