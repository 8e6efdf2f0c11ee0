//! The vault's Sign key: the log says from which entry the new one counts, and the old one names it in a handover, so that
//! whoever trusts the old one can follow. Each of several nodes does so for its own log and its own key.
//!
//! Invariant: no checkpoint over that entry or a later one is ever signed by the old key. Signing pauses from before the
//! entry until the new key is in its place; checkpoints are signed a moment later instead.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use strongroom_keys::lineage::Handover;
use strongroom_keys::node::Voice;
use strongroom_keys::note::Statement as _;
use strongroom_keys::sign::Signer;
use strongroom_keys::{Key, SignRole};
use strongroom_wire::admin::{KeyPurpose, KeyState};
use strongroom_wire::entry::OwnAct;

use super::running::Run;
use super::{CHANGED, New, ends};
use crate::audit::Own;
use crate::flow::{FlowError, StoreFault, Vault, audit, kept, keyring};
use crate::policy::Note;
use crate::store::{KeyChange, KeyRow, RotationRow, SignTerm};

/// Makes the new term and hands over to it.
pub(super) async fn prepare(vault: &Vault, row: &mut RotationRow) -> Result<(), FlowError> {
    let (known, active) = ends(vault, row).await?;
    let Some(new) = New::<SignRole>::of(vault, row, known).await? else { return Ok(()) };
    let _changing = vault.root.still(&new.root).await?;
    let change = match new.is_fresh {
        true => KeyChange {
            insert: vec![new.row.clone()],
            states: vec![(active, KeyState::Active, KeyState::Retiring)],
            under: new.under(),
            ..KeyChange::default()
        },
        false => KeyChange::default(),
    };
    enter(vault, &new.row, new.key, change).await
}

/// Takes over a term that another node made. The caller holds the lock under which keys change.
///
/// # Errors
/// Those of the audit log and the store; asking again goes on.
pub async fn take_over(vault: &Vault, row: &KeyRow, key: Key<SignRole>) -> Result<(), FlowError> {
    if vault.barrier.sign_term().is_some_and(|term| term >= row.name.term) {
        return Ok(());
    }
    enter(vault, row, key, KeyChange::default()).await?;
    kept::sign_again(vault).await
}

/// From the old term to the new one, while nothing is signed.
async fn enter(vault: &Vault, row: &KeyRow, key: Key<SignRole>, change: KeyChange) -> Result<(), FlowError> {
    vault.signing_paused.store(true, Ordering::SeqCst);
    let done = hand_over(vault, row, key, change).await;
    // After a fault of the store it is not known which of the two keys it holds to be in force: nothing is signed until
    // asking again, or the next start, has settled it.
    if !matches!(done, Err(FlowError::Store(StoreFault::Gone))) {
        vault.signing_paused.store(false, Ordering::SeqCst);
    }
    done
}

async fn hand_over(vault: &Vault, row: &KeyRow, key: Key<SignRole>, change: KeyChange) -> Result<(), FlowError> {
    let voice = keyring::voice(vault.root.descriptor().vault_id(), vault.node.as_ref(), key)?;
    let is_known = audit::own_terms(vault).await?.iter().any(|known| known.term == row.name.term);
    if !is_known {
        let sign_term = Some(step(vault, row.name.term, &voice, None).await?);
        if !vault.store.change_keys(KeyChange { sign_term, ..change }).await? {
            return Err(CHANGED);
        }
    }
    vault.barrier.update(|ring| ring.replace_signer(keyring::facts(row), voice))?;
    Ok(())
}

/// The entry and the handover. `old` is none where the key that goes still signs.
async fn step(vault: &Vault, term: u32, to: &Voice, old: Option<&Signer>) -> Result<SignTerm, FlowError> {
    let key = to.signer().public_key().clone();
    let note = Note::none().and(&KeyPurpose::Sign).and(&"term").and(&term).and(&"from this entry on");
    let from_entry = vault.audit.record_own(OwnAct::KeyMade, Own::noting(note)).await?;
    let handover = Handover { term, key: key.clone(), from_entry, at_ms: vault.now_ms() };
    let note = match old {
        Some(old) => handover.sign(old),
        None => vault.barrier.sign(|old| handover.sign(old))?,
    };
    Ok(SignTerm { node: vault.node.clone(), term, public_key: key.to_string(), from_entry, handover: Some(note) })
}

/// Before the log is signed after an unseal: writes down what is public of the term that signs. Nobody handed over to the first of
/// a log; a node that was away while others came to a new term hands over now.
pub(in crate::flow) async fn catch_up(vault: &Vault) -> Result<(), FlowError> {
    let term = vault.barrier.sign_term().ok_or(FlowError::Sealed)?;
    let voice = vault.barrier.voice()?;
    let sign_term = match audit::own_terms(vault).await?.last() {
        // Who hands over has signed checkpoints before, so this log was begun anew: its keys begin anew with it.
        Some(last) if last.from_entry > 0 && vault.audit.newest_checkpoint().is_none() => match &vault.node {
            Some(node) => return Ok(vault.store.restart_log(node, first(vault, term, &voice)).await?),
            None => return Ok(()),
        },
        Some(last) if last.term >= term => return Ok(()),
        Some(last) => {
            let old = vault.barrier.former_signer(last.term)?.ok_or(FlowError::Tampered)?;
            step(vault, term, &voice, Some(&old)).await?
        }
        None => first(vault, term, &voice),
    };
    vault.store.change_keys(KeyChange { sign_term: Some(sign_term), ..KeyChange::default() }).await?;
    Ok(())
}

/// A term that nobody handed over to.
fn first(vault: &Vault, term: u32, voice: &Voice) -> SignTerm {
    let public_key = voice.signer().public_key().to_string();
    SignTerm { node: vault.node.clone(), term, public_key, from_entry: 0, handover: None }
}

/// The handover, after a first checkpoint by the new key.
pub(super) async fn proof(vault: &Arc<Vault>, run: &Arc<Run>) -> Result<String, FlowError> {
    let term = run.row().to_term;
    // The writer signs again by itself if this one cannot be stored.
    let _ = vault.audit.checkpoint().await;
    kept::sign_again(vault).await?;
    let terms = audit::own_terms(vault).await?;
    let handover = terms.into_iter().find(|known| known.term == term).and_then(|known| known.handover);
    handover.ok_or(FlowError::NotFound)
}

#[cfg(test)]
#[path = "sign_tests.rs"]
mod tests;
