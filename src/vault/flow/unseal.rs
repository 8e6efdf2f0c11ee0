//! Unseal: custodians hand in their shares one at a time, and with the last one needed the keys come into memory.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use strongroom_keys::SignRole;
use strongroom_keys::lineage::Lineage;
use strongroom_keys::note::Checkpoint;
use strongroom_keys::root::{Root, ShareRefused, Step};
use strongroom_keys::share::read_submission;
use strongroom_wire::admin::{KeyPurpose, Phase, RootKind, UnsealProgress};
use strongroom_wire::entry::{OwnAct, Reason};

use super::{
    Asker, FlowError, Vault, acts, audit, auto, custody, intake, keyring, nodes, policy_change, reroot, rotate,
};
use crate::audit::{AuditError, Own};
use crate::policy::{Note, Unseal};
use crate::store::KeyChange;
use crate::telemetry::log;

/// Takes one share, or has the HSM or KMS asked where the body says so. `body` is wiped.
///
/// # Errors
/// [`FlowError::Share`] says why a share was refused; the refusal is in the audit log. Those of [`auto::ask`].
pub async fn give(vault: &Arc<Vault>, asker: &Asker, body: &mut [u8]) -> Result<UnsealProgress, FlowError> {
    if auto::is_asked_by(body) {
        return auto::ask(vault, asker).await;
    }
    let submission = read_submission(body);
    let permit = vault.permit::<Unseal>(asker, (), Note::words("share")).await?;
    let submission = submission.map_err(|bad| FlowError::Field { field: bad.field.unwrap_or("body"), why: bad.why })?;
    let mut ceremony = vault.root.ceremony.lock().await;
    // Looked at under the lock: a share that waited while the last one needed opened the vault must not begin another
    // ceremony, in which it would lie until somebody seals the vault.
    if vault.barrier.is_unsealed() {
        return Err(FlowError::Conflict("the vault is unsealed already; nothing was done with the share"));
    }
    if ceremony.descriptor().kind() == RootKind::Custodians {
        custody::known_duty(vault, asker, ceremony.descriptor(), submission.acknowledges).await?;
    }
    let step = match ceremony.give(submission.share, &asker.who.who(), vault.now_ms()) {
        Ok(step) => step,
        Err(refused) => {
            let reason = if refused == ShareRefused::SamePerson { Reason::SamePerson } else { Reason::Share };
            vault.audit.record_refusal(permit.refuse(reason)).await?;
            return Err(FlowError::Share(refused));
        }
    };
    if let Err(error) = vault.warrant(permit).await {
        // A share without an entry is not in; where it was the last one needed, all of them are asked for again.
        ceremony.take_back();
        return Err(error);
    }
    match step {
        Step::Waiting { given } => Ok(progress(vault, Phase::Unsealing, given)),
        Step::Complete(root) => {
            if vault.nodes.are_several() {
                // Whatever an operator sealed before: this is the answer to it.
                vault.store.set_stays_sealed(false).await?;
            }
            open(vault, root).await?;
            Ok(progress(vault, Phase::Unsealed, 0))
        }
    }
}

/// Forgets the shares that are in.
///
/// # Errors
/// Those of policy and of the audit log.
pub async fn abandon(vault: &Vault, asker: &Asker) -> Result<UnsealProgress, FlowError> {
    let permit = vault.permit::<Unseal>(asker, (), Note::words("abandon")).await?;
    let _abandoned = vault.warrant(permit).await?;
    vault.root.ceremony.lock().await.abandon();
    let phase = if vault.barrier.is_unsealed() { Phase::Unsealed } else { Phase::Sealed };
    Ok(progress(vault, phase, 0))
}

/// Forgets every key. Of several nodes each does; one that is sealed already tells the others once more.
///
/// # Errors
/// Those of policy and of the audit log. [`FlowError::Store`] of several nodes: this one is sealed, and the others may not
/// have been told.
pub async fn seal(vault: &Arc<Vault>, asker: &Asker) -> Result<UnsealProgress, FlowError> {
    let permit = vault.permit_seal(asker).await?;
    let _sealed = vault.warrant(permit).await?;
    // One more checkpoint while there is a key, so that the last entries are covered. Sealing goes on without it.
    let _ = vault.audit.checkpoint().await;
    let mut held = vault.root.held.lock().await;
    // Under the lock, so that it is known whether the Root opens by itself: another one may be coming into force.
    let noted = auto::stay_sealed(vault).await;
    vault.audit.detach();
    vault.barrier.seal_now();
    *held = None;
    drop(held);
    nodes::let_go(vault);
    vault.root.forget_next().await;
    if vault.nodes.are_several() {
        // Only the store tells the others.
        noted?;
    }
    Ok(progress(vault, Phase::Sealed, 0))
}

/// Unseals with a Root that opens by itself; the caller has made sure that a development Root is on loopback.
///
/// # Errors
/// [`FlowError::Crypto`] if the file is not this vault's Root.
pub async fn by_itself(vault: &Arc<Vault>) -> Result<(), FlowError> {
    let root = vault.root.open().await?;
    if vault.nodes.are_several() {
        vault.store.set_stays_sealed(false).await?;
    }
    open(vault, root).await
}

/// From the Root to a vault that works: keys unwrapped once and held, a way to sign, rotations taken up again.
pub(super) async fn open(vault: &Arc<Vault>, root: Root) -> Result<(), FlowError> {
    let mut held = vault.root.held.lock().await;
    if vault.barrier.is_unsealed() {
        return Err(FlowError::Conflict("the vault is unsealed already"));
    }
    // Before anything is read, so that whoever changes keys from here on waits for this node.
    nodes::will_hold(vault).await?;
    let opened = install(vault, Arc::new(root), &mut held).await;
    drop(held);
    let keys = match opened {
        Ok(keys) => keys,
        Err(error) => {
            nodes::let_go(vault);
            return Err(error);
        }
    };
    vault.audit.record_own(OwnAct::Unsealed, Own::noting(Note::none())).await?;
    // So that the log can be verified from its first moment on; the writer signs again by itself.
    let _ = vault.audit.checkpoint().await;
    check_log(vault, keys);
    if vault.nodes.are_several() {
        // No key is used before this node has followed what came while it read; the one that leads takes up the rest.
        return nodes::beat(vault).await;
    }
    // Without its key no sealed card is taken, and all else works: the sweep tries again.
    if intake::tend(vault).await.is_err() {
        log::error("the intake key could not be made or exchanged", &[]);
    }
    reroot::resume(vault).await?;
    acts::resume(vault).await;
    rotate::resume(vault).await
}

/// The keys into memory, and what signs the log with them.
async fn install(vault: &Arc<Vault>, root: Arc<Root>, held: &mut Option<Arc<Root>>) -> Result<Lineage, FlowError> {
    let mut view = nodes::view(vault).await?;
    // An operator may have sealed the vault while the HSM or KMS was being asked. Custodians who bring their shares are
    // asked by somebody, whatever was said while the Root was in an HSM or KMS.
    let stays_sealed = vault.root.reach.stays_sealed() || (vault.nodes.are_several() && view.stays_sealed);
    if root.kind().opens_by_itself() && stays_sealed {
        return Err(FlowError::Sealed);
    }
    let sum = root.descriptor().sum();
    if view.root.is_some_and(|in_force| in_force != sum) {
        return Err(FlowError::Conflict("another root.json is in force; start vaultd anew with the newest one"));
    }
    if !view.keys.iter().any(|row| row.name.purpose == KeyPurpose::Sign) {
        found(vault, &root).await?;
        view = nodes::view(vault).await?;
    }
    // The lock is held although the Root may be slow: nobody else has a use for it while the vault is sealed, and keys
    // that another request adds meanwhile would be missing from this ring.
    let ring = keyring::open(&root, view.keys, vault.node.as_ref()).await?;
    let verified = policy_change::verify(vault, &ring).await;
    if vault.nodes.are_several() && matches!(verified, Err(FlowError::Conflict(_))) {
        // Another node that is unsealed in this moment was first.
        policy_change::verify(vault, &ring).await?;
    } else {
        verified?;
    }
    let ring = rotate::closed(ring, &view.rotations)?;
    nodes::holds_now(vault, view.generation, view.seals);
    vault.barrier.install(ring)?;
    let keys = match attach(vault).await {
        Ok(keys) => keys,
        Err(error) => {
            vault.barrier.seal_now();
            return Err(error);
        }
    };
    // The first unseal shows that this Root is the vault's; from then on it is replaced by `vaultctl root change` alone.
    if let Err(error) = vault.store.adopt_root(sum).await {
        vault.audit.detach();
        vault.barrier.seal_now();
        return Err(error.into());
    }
    *held = Some(root);
    Ok(keys)
}

/// Opening the log looked at its end; now that there is a key to check signatures with, all of it is read once, beside
/// the work. What does not hold is said loudly and recorded; the log goes on, because it is the evidence.
fn check_log(vault: &Arc<Vault>, keys: Lineage) {
    let vault = Arc::clone(vault);
    tokio::task::spawn_blocking(move || {
        match vault.audit.check(&keys) {
            Ok(_) => log::info("audit log checked", &[("entries", &vault.audit.size())]),
            Err(AuditError::Broken { .. } | AuditError::ForeignCheckpoint) => {
                vault.metrics.tampered.inc();
                log::error("THE AUDIT LOG WAS CHANGED: run `vaultctl audit verify` on a copy of it", &[]);
                let about = Own::noting(Note::words("audit log"));
                // Recorded by a task of its own, because this thread may not wait for one.
                let recorder = Arc::clone(&vault);
                drop(tokio::runtime::Handle::current().spawn(async move {
                    if recorder.audit.record_own(OwnAct::TamperFound, about).await.is_err() {
                        log::error("the finding could not be recorded", &[]);
                    }
                }));
            }
            Err(_) => log::warn("audit log not checked: it could not be read", &[]),
        }
        match policy_change::is_newest(&vault) {
            Ok(true) => {}
            Ok(false) => {
                drop(tokio::runtime::Handle::current().spawn(async move { seal_under_an_old_policy(&vault).await }));
            }
            Err(_) => log::error("the policy in force was not held against the log, which could not be read", &[]),
        }
    });
}

/// Somebody put an earlier policy back into the store: nothing more is done under its rules.
async fn seal_under_an_old_policy(vault: &Arc<Vault>) {
    let mut held = vault.root.held.lock().await;
    vault.audit.detach();
    vault.barrier.seal_now();
    *held = None;
    nodes::let_go(vault);
    vault.metrics.tampered.inc();
    log::error(
        "AN EARLIER POLICY WAS PUT BACK INTO THE STORE: put the store's newest copy back. The vault is sealed",
        &[],
    );
    let about = Own::noting(Note::words("policy in force is an earlier one"));
    if vault.audit.record_own(OwnAct::TamperFound, about).await.is_err() {
        log::error("the finding could not be recorded", &[]);
    }
}

/// The first unseal of a vault makes its Sign key.
async fn found(vault: &Vault, root: &Root) -> Result<(), FlowError> {
    let sign = keyring::make::<SignRole>(root, KeyPurpose::Sign, None, 1, vault.now_ms()).await?;
    vault.audit.record_own(OwnAct::KeyMade, Own::noting(Note::words("sign: term 1"))).await?;
    let under = Some(root.descriptor().sum());
    let change = KeyChange { insert: vec![sign.row], under, ..KeyChange::default() };
    if !vault.store.change_keys(change).await? {
        log::info("another node made the vault's first key just now", &[]);
    }
    Ok(())
}

/// Lets the audit log have its checkpoints signed for as long as the keys are here, and answers the keys that signed it.
async fn attach(vault: &Arc<Vault>) -> Result<Lineage, FlowError> {
    let own = vault.barrier.sign(|signer| signer.public_key().clone())?;
    rotate::catch_up(vault).await?;
    let keys = audit::lineage(vault).await?;
    if *keys.newest() != own {
        return Err(FlowError::Tampered);
    }
    let holder = Arc::downgrade(vault);
    let notary = Arc::new(move |checkpoint: &Checkpoint| {
        let vault = holder.upgrade().filter(|vault| !vault.signing_paused.load(Ordering::SeqCst))?;
        vault.barrier.sign(|signer| checkpoint.sign(signer)).ok()
    });
    vault.audit.attach(&keys, notary)?;
    Ok(keys)
}

fn progress(vault: &Vault, phase: Phase, shares_given: u8) -> UnsealProgress {
    UnsealProgress { phase, shares_given, threshold: vault.root.descriptor().threshold() }
}
