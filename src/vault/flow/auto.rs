//! Auto: a vault whose Root is in an HSM or KMS opens by itself, tries again for as long as that is away, and says when it
//! is lost later. Keys that are in memory do not need it: cards go on being stored and released.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::Deserialize;
use strongroom_keys::root::RootError;
use strongroom_wire::admin::{Phase, UnsealProgress};
use strongroom_wire::entry::OwnAct;
use tokio::sync::Notify;
use tokio::time::timeout;

use super::{Asker, FlowError, Vault, reroot, unseal};
use crate::audit::Own;
use crate::policy::{Note, Unseal};
use crate::telemetry::log;

/// How the HSM or KMS was the last time it was asked.
pub struct Reach {
    every: Duration,
    /// Why the Root could not be used the last time; none while it can, or was not asked yet.
    fault: Mutex<Option<RootError>>,
    /// An operator sealed the vault: it does not open by itself again.
    stays_sealed: AtomicBool,
    /// Another attempt is wanted now.
    nudge: Notify,
}

impl Reach {
    /// With the time between two probes.
    #[must_use]
    pub fn new(every: Duration) -> Self {
        let (fault, stays_sealed) = (Mutex::default(), AtomicBool::new(false));
        Self { every, fault, stays_sealed, nudge: Notify::new() }
    }

    /// Another Root is in force: what was known of the one before is forgotten, and the new one looked at.
    pub(super) fn look_again(&self) {
        self.set(None);
        self.nudge.notify_one();
    }

    /// Why the Root could not be used the last time it was asked.
    #[must_use]
    pub fn fault(&self) -> Option<RootError> {
        *self.fault.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, fault: Option<RootError>) -> Option<RootError> {
        std::mem::replace(&mut *self.fault.lock().unwrap_or_else(PoisonError::into_inner), fault)
    }

    pub(super) fn stays_sealed(&self) -> bool {
        self.stays_sealed.load(Ordering::SeqCst)
    }
}

impl Default for Reach {
    /// With the usual time between two probes.
    fn default() -> Self {
        Self::new(PROBE_DEFAULT)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wish {
    auto: bool,
}

/// Whether the body of an unseal asks for the HSM or KMS: it is empty, or `{"auto":true}`.
#[must_use]
pub fn is_asked_by(body: &[u8]) -> bool {
    body.trim_ascii().is_empty() || serde_json::from_slice::<Wish>(body).is_ok_and(|wish| wish.auto)
}

/// Opens the vault with the HSM or KMS, asked by an operator; it opens by itself again from then on. A vault that is open
/// and has lost its Root reaches for it anew, with the settings and the PIN as they are now.
///
/// # Errors
/// [`FlowError::Root`] says why the Root cannot be used; it is tried again by itself if that may pass.
pub async fn ask(vault: &Arc<Vault>, asker: &Asker) -> Result<UnsealProgress, FlowError> {
    let permit = vault.permit::<Unseal>(asker, (), Note::words("auto")).await?;
    if !vault.root.descriptor().kind().opens_by_itself() {
        return Err(FlowError::Conflict("this vault's root is not in an HSM or KMS; custodians hand in their shares"));
    }
    let is_open = vault.barrier.is_unsealed();
    if is_open && vault.root.reach.fault().is_none() {
        return Err(FlowError::Conflict("the vault is unsealed already; nothing was done"));
    }
    let _asked = vault.warrant(permit).await?;
    if is_open {
        reach_anew(vault).await?;
        return Ok(OPEN);
    }
    vault.store.set_stays_sealed(false).await?;
    vault.root.reach.stays_sealed.store(false, Ordering::SeqCst);
    let opened = attempt(vault).await;
    // The loop looks again, with its pauses from the shortest on, unless that would be the same try once more.
    if !matches!(opened, Err(FlowError::Root(why)) if !why.may_pass()) {
        vault.root.reach.nudge.notify_one();
    }
    opened?;
    Ok(OPEN)
}

/// Keys stay as they are; only the way to the Root is a new one. It opens the check text of the same root.json, so it is the
/// same Root.
async fn reach_anew(vault: &Arc<Vault>) -> Result<(), FlowError> {
    match vault.root.open().await {
        Ok(root) => {
            let mut held = vault.root.held.lock().await;
            let current = held.as_mut().ok_or(FlowError::Sealed)?;
            if current.descriptor() != root.descriptor() {
                return Err(FlowError::Conflict("another root came into force in between; nothing was done"));
            }
            *current = Arc::new(root);
            drop(held);
            note(vault, None).await;
            // A change to another Root stopped when this one was lost.
            reroot::resume(vault).await
        }
        Err(error) => {
            if let FlowError::Root(why) = error {
                note(vault, Some(why)).await;
            }
            Err(error)
        }
    }
}

/// From now on the vault does not open by itself, not after a restart either, and every other node seals. Sealing goes on if
/// that cannot be written.
///
/// # Errors
/// Those of the store.
pub(super) async fn stay_sealed(vault: &Vault) -> Result<(), FlowError> {
    let opens_by_itself = vault.root.descriptor().kind().opens_by_itself();
    if !opens_by_itself && !vault.nodes.are_several() {
        return Ok(());
    }
    if opens_by_itself {
        vault.root.reach.stays_sealed.store(true, Ordering::SeqCst);
    }
    let noted = vault.store.set_stays_sealed(true).await;
    if noted.is_err() {
        log::error("that the vault shall stay sealed could not be stored: a restart opens it", &[]);
        if vault.nodes.are_several() {
            log::error("THE OTHER NODES MAY NOT BE SEALED: ask for the seal again, here or there", &[]);
        }
    }
    Ok(noted?)
}

/// What the store says now of whether the vault stays sealed: another node may have been asked.
pub(super) fn hear(vault: &Vault, stays: bool) {
    if !vault.root.descriptor().kind().opens_by_itself() {
        return;
    }
    let stayed = vault.root.reach.stays_sealed.swap(stays, Ordering::SeqCst);
    if stayed && !stays {
        vault.root.reach.nudge.notify_one();
    }
}

/// Opens the vault and keeps an eye on its Root until the process ends. There is nothing to do while the Root is in memory;
/// another one may come into force.
pub async fn keep_open(vault: &Arc<Vault>) {
    let reach = &vault.root.reach;
    match vault.store.stays_sealed().await {
        Ok(false) => {}
        Ok(true) => {
            log::warn("an operator sealed the vault: it stays so until `vaultctl unseal --auto`", &[]);
            reach.stays_sealed.store(true, Ordering::SeqCst);
        }
        Err(_) => {
            log::error("whether an operator sealed the vault cannot be read: it stays sealed", &[]);
            reach.stays_sealed.store(true, Ordering::SeqCst);
        }
    }
    let mut pause = RETRY_LEAST;
    // What does not pass by itself is not tried by itself: a wrong PIN would lock the token sooner or later.
    let mut gave_up = false;
    loop {
        let wait = if !vault.root.descriptor().kind().opens_by_itself() {
            reach.every
        } else if vault.barrier.is_unsealed() {
            pause = RETRY_LEAST;
            gave_up = false;
            probe(vault).await;
            reach.every
        } else if reach.stays_sealed() || gave_up {
            reach.every
        } else {
            match attempt(vault).await {
                Ok(()) => reach.every,
                Err(FlowError::Root(why)) if !why.may_pass() => {
                    gave_up = true;
                    reach.every
                }
                Err(FlowError::Tampered) => {
                    gave_up = true;
                    reach.every
                }
                Err(_) => {
                    let wait = pause;
                    pause = (pause * 2).min(RETRY_MOST);
                    wait
                }
            }
        };
        if timeout(wait, reach.nudge.notified()).await.is_ok() {
            (pause, gave_up) = (RETRY_LEAST, false);
        }
    }
}

/// Reaches the Root, then opens the vault with it.
async fn attempt(vault: &Arc<Vault>) -> Result<(), FlowError> {
    let opened = match vault.root.open().await {
        Ok(root) => unseal::open(vault, root).await,
        Err(error) => Err(error),
    };
    match &opened {
        Ok(()) => note(vault, None).await,
        Err(FlowError::Root(why)) => note(vault, Some(*why)).await,
        Err(FlowError::Tampered) => {
            log::error("NOT UNSEALED: a wrapped key in the store does not belong to this root", &[]);
            note(vault, Some(RootError::Unauthentic)).await;
        }
        Err(_) => log::error("not unsealed: the store or the audit log did not do its part", &[]),
    }
    opened
}

/// Asks a Root that is in use for a small thing.
async fn probe(vault: &Arc<Vault>) {
    let Ok(root) = vault.root.get().await else { return };
    let fault = root.probe().await.err();
    // If another Root came into force meanwhile, this says nothing of it. The lock is kept, so that none comes before it is noted.
    let Ok(_held) = vault.root.still(&root).await else { return };
    note(vault, fault).await;
}

/// Says and records a change for the worse or the better.
async fn note(vault: &Arc<Vault>, now: Option<RootError>) {
    let before = vault.root.reach.set(now);
    let (act, word) = match (before, now) {
        (None, Some(why)) => (OwnAct::RootLost, why.word()),
        (Some(_), None) => (OwnAct::RootBack, "available"),
        (Some(before), Some(why)) if before.word() != why.word() => (OwnAct::RootLost, why.word()),
        _ => return,
    };
    match act {
        OwnAct::RootBack => log::info("the HSM or KMS that holds the root can be used again", &[]),
        _ if vault.barrier.is_unsealed() => {
            log::error("the root cannot be used: cards go on, new keys cannot be made", &[("why", &word)])
        }
        _ => log::error("the root cannot be used: the vault stays sealed", &[("why", &word)]),
    }
    if vault.audit.record_own(act, Own::noting(Note::words(word))).await.is_err() {
        log::error("the change could not be recorded", &[]);
    }
}

const PROBE_DEFAULT: Duration = Duration::from_secs(10);
const RETRY_LEAST: Duration = Duration::from_secs(1);
const RETRY_MOST: Duration = Duration::from_secs(60);
const OPEN: UnsealProgress = UnsealProgress { phase: Phase::Unsealed, shares_given: 0, threshold: 0 };

#[cfg(test)]
mod tests {
    use super::super::rig::{Rig, officer};
    use super::*;

    #[actix_web::test]
    async fn a_seal_from_the_time_of_an_hsm_does_not_lock_out_who_holds_the_root_now() {
        let rig = Rig::new().await;
        rig.vault.store.set_stays_sealed(true).await.unwrap();
        rig.vault.root.reach.stays_sealed.store(true, Ordering::SeqCst);
        unseal::seal(&rig.vault, &officer("alice")).await.unwrap();
        unseal::by_itself(&rig.vault).await.unwrap();
        assert!(rig.vault.barrier.is_unsealed());
    }

    #[test]
    fn only_an_empty_body_or_the_wish_itself_asks_for_the_hsm() {
        for body in ["", " \n", "{\"auto\":true}", "{ \"auto\" : true }"] {
            assert!(is_asked_by(body.as_bytes()), "{body}");
        }
        for body in ["{}", "{\"auto\":false}", "{\"auto\":true,\"index\":1}", "{\"share\":\"\"}", "true", "auto"] {
            assert!(!is_asked_by(body.as_bytes()), "{body}");
        }
    }
}
