//! Reroot: another Root, or the same one in another division, comes into force while the vault works.
//!
//! Invariants:
//! - Until one transaction of the store the Root before opens the vault, from that moment on the one to come; nothing ever
//!   needs both. That transaction swaps all keys or none, and only if every one of them is staged as it is now.
//! - A key is staged only after it was opened again under the Root to come and found the same.
//! - Keys are made under the lock that the swap takes too, so none is made under a Root that is gone.
//! - A change that is taken up again rests on the act that two people agreed on, which is signed, and not on its row.
//! - The root.json to come is named by its sum in what two people agreed on, and read from the operator's file.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use strongroom_keys::note::Statement as _;
use strongroom_keys::reroot::Reroot;
use strongroom_keys::root::{Descriptor, Root};
use strongroom_wire::RequestId;
use strongroom_wire::acts::ActKind;
use strongroom_wire::admin::RootKind;
use strongroom_wire::custody::{ChangeRootRequest, RootChangeState, RootSum};
use strongroom_wire::entry::OwnAct;
use strongroom_wire::hex::{hex, unhex};

use super::acts::{self, Agreed};
use super::nodes;
use super::{Asker, FlowError, StoreFault, Vault, keyring};
use crate::audit::Own;
use crate::policy::{ChangeRoot, Note, Principal};
use crate::store::{RootChangeRow, StoreError};
use crate::telemetry::log;

/// What the log says about it.
pub(super) fn about(asked: &ChangeRootRequest) -> Note {
    match unhex(&asked.to) {
        Some(to) => Note::words("change the root to").and(&RootSum(to)),
        None => Note::words("change the root"),
    }
}

/// Refuses what makes no sense: another root.json than the one that lies there, or a change beside an open one.
pub(super) async fn check(vault: &Vault, asked: &ChangeRootRequest) -> Result<(), FlowError> {
    if asked.keys_per_second_max == Some(0) {
        let why = "keys_per_second_max is at least 1; leave it out for no limit";
        return Err(FlowError::Field { field: "keys_per_second_max", why });
    }
    let to = unhex(&asked.to).ok_or(FlowError::Field {
        field: "to",
        why: "to is the SHA-256 of the root.json to come, 64 hexadecimal digits in lower case",
    })?;
    let next = vault.root.read_next()?.ok_or(FlowError::Conflict(
        "there is no root to change to: put its root.json where [root.next] file of vaultd's configuration says",
    ))?;
    if next.sum() != to {
        return Err(FlowError::Conflict(
            "the root.json that [root.next] file names is another one than you ask for; find out why before you go on",
        ));
    }
    match open_change(vault).await? {
        Some(open) if open.to != to => Err(FlowError::Conflict(
            "a change to another root is not over; wait for it, or give it up with `vaultctl root abandon`",
        )),
        _ => Ok(()),
    }
}

/// Begins the change, or takes it up again where it stopped. Where an interruption came between, it may be in force already.
pub(super) async fn begin(vault: &Arc<Vault>, _: &Agreed, asked: &ChangeRootRequest) -> Result<String, FlowError> {
    let in_force = vault.root.descriptor().sum();
    if unhex(&asked.to) == Some(in_force) {
        return Ok("it is in force".to_owned());
    }
    check(vault, asked).await?;
    let current = vault.root.get().await?;
    let next = vault.root.next().await?;
    let row = match open_change(vault).await? {
        Some(row) => RootChangeRow {
            keys_per_second_max: asked.keys_per_second_max,
            rewraps: !current.is_of(next.descriptor()).await?,
            ..row
        },
        None => {
            let (_, total) = vault.store.count_staged().await?;
            let row = RootChangeRow {
                from: in_force,
                to: next.descriptor().sum(),
                rewraps: !current.is_of(next.descriptor()).await?,
                state: RootChangeState::Running,
                done: 0,
                total,
                started_ms: vault.now_ms(),
                keys_per_second_max: asked.keys_per_second_max,
                fault: None,
                proof: None,
            };
            if !vault.store.begin_root_change(row.clone()).await? {
                return Err(FlowError::Conflict("a change of the root was begun by another request; ask again"));
            }
            row
        }
    };
    go_on(vault, row, current, next);
    Ok("begun; `vaultctl root status --watch` shows how far it is".to_owned())
}

/// After an unseal, and when the Root to come is here: a change that is not over goes on by itself. Where an HSM or KMS does
/// not answer it is tried again.
///
/// # Errors
/// Those of policy, the audit log and the store. A Root to come that is not here is none.
pub(super) async fn resume(vault: &Arc<Vault>) -> Result<(), FlowError> {
    let Some(mut row) = open_change(vault).await? else { return Ok(()) };
    if vault.store.root_in_force().await? == Some(row.to) {
        return vouch(vault, &mut row).await;
    }
    let next = match vault.root.next().await {
        Ok(next) if next.descriptor().sum() == row.to => next,
        Ok(_) => return stop(vault, row, &FlowError::Conflict("[root.next] file is another root.json now")).await,
        Err(why) => return wait(vault, row, &why).await,
    };
    // The row is not signed, the act is: whoever can write to the store must not begin what nobody agreed on.
    let to = hex(&row.to);
    if !acts::was_agreed(vault, |what| matches!(what, ActKind::ChangeRoot(asked) if asked.to == to)).await? {
        let why = "nobody is known to have agreed to it; give it up with `vaultctl root abandon`, or ask for it again";
        return stop(vault, row, &FlowError::Conflict(why)).await;
    }
    let current = vault.root.get().await?;
    row.rewraps = match current.is_of(next.descriptor()).await {
        Ok(same) => !same,
        Err(why) => return wait(vault, row, &why.into()).await,
    };
    let asker = Asker { who: Principal::Vault, tenant: None, request: RequestId::fresh(), origin: None, key: None };
    let permit = vault.permit_unsealed::<ChangeRoot>(&asker, (), Note::words("resume")).await?;
    let _resumed = vault.warrant(permit).await?;
    go_on(vault, row, current, next);
    Ok(())
}

/// Stops, and takes the change up again later if what is in its way may pass.
async fn wait(vault: &Arc<Vault>, row: RootChangeRow, why: &FlowError) -> Result<(), FlowError> {
    stop(vault, row, why).await?;
    if may_pass(why) {
        // Neither is held by it: a vault that is sealed or ends meanwhile forgets its Root at once.
        let (holder, current) = (Arc::downgrade(vault), Arc::downgrade(&vault.root.get().await?));
        actix_web::rt::spawn(async move {
            actix_web::rt::time::sleep(AGAIN).await;
            let (Some(vault), true) = (holder.upgrade(), current.strong_count() > 0) else { return };
            if resume(&vault).await.is_err() {
                log::error("the change of the root could not be taken up: see `vaultctl root status`", &[]);
            }
        });
    }
    Ok(())
}

fn may_pass(error: &FlowError) -> bool {
    match error {
        FlowError::Root(why) => why.may_pass(),
        // A disk that is full now has room again later.
        FlowError::Store(fault) => matches!(fault, StoreFault::Busy | StoreFault::Held | StoreFault::Gone),
        FlowError::NotRecorded(_) => true,
        _ => false,
    }
}

pub(super) async fn open_change(vault: &Vault) -> Result<Option<RootChangeRow>, FlowError> {
    Ok(vault.store.root_change().await?.filter(|row| row.state.is_open()))
}

fn go_on(vault: &Arc<Vault>, asked: RootChangeRow, current: Arc<Root>, next: Arc<Root>) {
    let vault = Arc::clone(vault);
    // On the thread's own runtime: it is many short awaits, and the store and the Roots do the waiting.
    actix_web::rt::spawn(async move {
        // One that began before the vault was sealed and unsealed leaves the place soon.
        while !vault.root.enter(&asked) {
            if pause(&vault, &current, TURN).await.is_err() {
                return;
            }
        }
        while let Ok(Some(row)) = open_change(&vault).await {
            if row.to != asked.to {
                break;
            }
            let mut row = RootChangeRow {
                state: RootChangeState::Running,
                rewraps: asked.rewraps,
                keys_per_second_max: asked.keys_per_second_max,
                fault: None,
                ..row
            };
            let Err(error) = run(&vault, &mut row, &current, &next).await else { break };
            // What is worked on is what the status says, and until it is tried again that is why it waits.
            vault.root.tell(&stopped(row.clone(), &error));
            // If this cannot be written either, the row still says that it runs, and this or the next unseal takes it up.
            let _ = stop(&vault, row, &error).await;
            if !may_pass(&error) || pause(&vault, &current, AGAIN).await.is_err() {
                break;
            }
        }
        vault.root.leave();
    });
}

/// Waits, unless another Root is in force or the vault is sealed: then nothing may hold the Root any longer.
async fn pause(vault: &Vault, current: &Arc<Root>, time: Duration) -> Result<(), FlowError> {
    let began = Instant::now();
    loop {
        drop(vault.root.still(current).await?);
        match time.checked_sub(began.elapsed()) {
            Some(ahead) => actix_web::rt::time::sleep(ahead.min(TURN)).await,
            None => return Ok(()),
        }
    }
}

async fn stop(vault: &Vault, row: RootChangeRow, why: &FlowError) -> Result<(), FlowError> {
    log::warn("the change of the root waits: see `vaultctl root status`", &[("done", &row.done), ("keys", &row.total)]);
    vault.store.note_root_change(stopped(row, why)).await?;
    Ok(())
}

fn stopped(row: RootChangeRow, why: &FlowError) -> RootChangeRow {
    RootChangeRow { state: RootChangeState::Stopped, fault: Some(why.to_string()), ..row }
}

async fn run(vault: &Vault, row: &mut RootChangeRow, current: &Arc<Root>, next: &Arc<Root>) -> Result<(), FlowError> {
    let pace = vault.root.pace_anew(row);
    loop {
        while row.rewraps {
            let keys = vault.store.unstaged_keys(pace.batch(BATCH)).await?;
            if keys.is_empty() {
                break;
            }
            let batch = keys.len() as u64;
            let rewraps = keys.into_iter().map(|key| keyring::rewrap(Arc::clone(current), Arc::clone(next), key));
            let staged = stream::iter(rewraps).buffer_unordered(AT_ONCE).try_collect().await?;
            if !vault.store.stage_keys(row.to, staged).await? {
                return Err(FlowError::Conflict("it was given up"));
            }
            (row.done, row.total) = vault.store.count_staged().await?;
            vault.root.tell(row);
            if !vault.store.note_root_change(row.clone()).await? {
                return Err(FlowError::Conflict("it was given up"));
            }
            pace.count(batch);
            pause(vault, current, pace.ahead().unwrap_or_default()).await?;
        }
        // Outside of the lock, because it may be slow: a Root that is away does not come into force.
        next.probe().await?;
        if swap(vault, row, current, next).await? {
            return vouch(vault, row).await;
        }
    }
}

/// The one moment. `false` if a key came meanwhile that is not staged.
async fn swap(vault: &Vault, row: &RootChangeRow, current: &Arc<Root>, next: &Arc<Root>) -> Result<bool, FlowError> {
    // In the order in which an unseal takes them.
    let mut ceremony = vault.root.ceremony.lock().await;
    let mut held = vault.root.still(current).await?;
    if row.rewraps && !vault.store.unstaged_keys(1).await?.is_empty() {
        return Ok(false);
    }
    let keys = if row.rewraps { vault.store.count_staged().await?.1 } else { 0 };
    let note = Note::words("root").and(&RootSum(row.to)).and(&"keys").and(&keys);
    vault.audit.record_own(OwnAct::RootChanged, Own::noting(note)).await?;
    match vault.store.swap_root(row.from, row.to, row.rewraps).await {
        Ok(true) => {
            vault.root.turn(&mut held, &mut ceremony, Arc::clone(next));
            log::info("another root.json is in force", &[("keys", &keys)]);
            Ok(true)
        }
        Ok(false) => Err(FlowError::Conflict("it was given up, or the store was changed by somebody else")),
        Err(sure @ (StoreError::Busy | StoreError::Held)) => Err(sure.into()),
        Err(error) => {
            // Whether it happened is not known. No key may be made under either Root until the next unseal asks the store.
            *held = None;
            log::error("it is not known which root.json is in force: start vaultd anew", &[]);
            Err(error.into())
        }
    }
}

/// Signs that it is done. Repeated after an interruption.
async fn vouch(vault: &Vault, row: &mut RootChangeRow) -> Result<(), FlowError> {
    let (_, total) = vault.store.count_staged().await?;
    let done = Reroot {
        vault_id: vault.root.descriptor().vault_id(),
        from: row.from,
        to: row.to,
        rewrapped: row.rewraps.then_some(total),
        at_ms: vault.now_ms(),
    };
    row.proof = Some(vault.barrier.sign(|signer| done.sign(signer))?);
    (row.done, row.total) = if row.rewraps { (total, total) } else { (0, 0) };
    row.state = RootChangeState::Done;
    row.fault = None;
    vault.store.note_root_change(row.clone()).await?;
    // What the old Root wrapped leaves the files now and not only in a quiet moment.
    vault.store.settle().await?;
    vault.root.forget_next().await;
    Ok(())
}

/// Of several nodes: another one put another root.json in force. It is taken as this node's own `[root.next]` file says, or the
/// vault seals and says so: a node never takes a root.json from the store. Answers whether it is in force here; a Root that has
/// to be reached first is waited for beside the work, for which it is not needed.
pub(super) async fn follow(vault: &Arc<Vault>, sum: [u8; 32]) -> Result<bool, FlowError> {
    let next = vault.root.read_next().ok().flatten().filter(|next| next.sum() == sum);
    let Some(next) = next else {
        seal(vault, "another root.json is in force, and the one of [root.next] is not it").await;
        return Ok(true);
    };
    if !vault.barrier.is_unsealed() {
        vault.root.turn_sealed(&mut *vault.root.ceremony.lock().await, next);
        return Ok(true);
    }
    let current = vault.root.get().await?;
    let described = match current.kind() {
        RootKind::Custodians | RootKind::Dev => current.described_by(&next).await?,
        RootKind::Pkcs11 | RootKind::Kms => None,
    };
    let Some(root) = described.map(Arc::new).or(here(vault, &next)) else { return Ok(false) };
    let mut ceremony = vault.root.ceremony.lock().await;
    let mut held = vault.root.still(&current).await?;
    let note = Note::words("root").and(&RootSum(sum)).and(&"as another node put it in force");
    vault.audit.record_own(OwnAct::RootChanged, Own::noting(note)).await?;
    vault.root.turn(&mut held, &mut ceremony, root);
    log::info("the root.json that another node put in force is in force here", &[]);
    Ok(true)
}

/// The Root to come, if it was opened or brought here; it is opened beside the work otherwise.
fn here(vault: &Arc<Vault>, next: &Descriptor) -> Option<Arc<Root>> {
    // Whoever has the lock opens it now.
    let coming = vault.root.coming.try_lock().ok()?;
    if let Some(root) = coming.held.as_ref().filter(|root| root.descriptor() == next) {
        return Some(Arc::clone(root));
    }
    let vault = Arc::clone(vault);
    actix_web::rt::spawn(async move {
        match vault.root.next().await {
            Ok(_) => vault.nodes.hurry(),
            Err(why) if may_pass(&why) => log::warn("the root that is in force is not reached yet", &[]),
            Err(_) => seal(&vault, "another root is in force, which is not here: unseal with it").await,
        }
    });
    None
}

async fn seal(vault: &Arc<Vault>, why: &'static str) {
    let mut held = vault.root.held.lock().await;
    if vault.barrier.is_unsealed() {
        nodes::seal(vault, &mut held, why).await;
    }
}

/// Keys in one transaction.
const BATCH: u32 = 32;
/// Keys that are wrapped at a time: each may be a journey to a KMS and back.
const AT_ONCE: usize = 16;
/// How often it is looked at whether the vault was sealed, while there is nothing to do.
const TURN: Duration = Duration::from_millis(100);
/// When it is tried again after an HSM or KMS did not answer.
const AGAIN: Duration = Duration::from_secs(5);

#[cfg(test)]
#[path = "reroot_tests.rs"]
mod tests;
