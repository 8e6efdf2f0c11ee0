//! The vault's Sign key: the log says from which entry the new one counts, and the old one names it in a handover, so that
//! whoever trusts the old one can follow.
//!
//! Invariant: no checkpoint over that entry or a later one is ever signed by the old key. Signing pauses from before the
//! entry until the new key is in its place; checkpoints are signed a moment later instead.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use strongroom_keys::SignRole;
use strongroom_keys::lineage::Handover;
use strongroom_keys::note::Statement as _;
use strongroom_wire::admin::KeyState;

use super::running::Run;
use super::{CHANGED, New, ends, made};
use crate::flow::{FlowError, StoreFault, Vault, kept, keyring};
use crate::store::{KeyChange, RotationRow, SignTerm};

/// Makes the new term and hands over to it.
pub(super) async fn prepare(vault: &Vault, row: &mut RotationRow) -> Result<(), FlowError> {
    vault.signing_paused.store(true, Ordering::SeqCst);
    let done = hand_over(vault, row).await;
    // After a fault of the store it is not known which of the two keys it holds to be in force: nothing is signed until
    // asking again, or the next start, has settled it.
    if !matches!(done, Err(FlowError::Store(StoreFault::Gone))) {
        vault.signing_paused.store(false, Ordering::SeqCst);
    }
    done
}

async fn hand_over(vault: &Vault, row: &RotationRow) -> Result<(), FlowError> {
    let (known, active) = ends(vault, row).await?;
    let Some(new) = New::<SignRole>::of(vault, row, known).await? else { return Ok(()) };
    let signer = keyring::signer(&vault.root.descriptor().vault_id().to_string(), &new.key)?;
    let _changing = vault.root.still(&new.root).await?;
    if new.is_fresh {
        let key = signer.public_key().clone();
        let from_entry = made(vault, row, "from this entry on").await?;
        let handover = Handover { term: row.to_term, key: key.clone(), from_entry, at_ms: vault.now_ms() };
        let handover = Some(vault.barrier.sign(|old| handover.sign(old))?);
        let change = KeyChange {
            insert: vec![new.row.clone()],
            states: vec![(active, KeyState::Active, KeyState::Retiring)],
            sign_term: Some(SignTerm { term: row.to_term, public_key: key.to_string(), from_entry, handover }),
            ..KeyChange::default()
        };
        if !vault.store.change_keys(change).await? {
            return Err(CHANGED);
        }
    }
    vault.barrier.update(|ring| ring.replace_signer(keyring::facts(&new.row), signer))?;
    Ok(())
}

/// The handover, after a first checkpoint by the new key.
pub(super) async fn proof(vault: &Arc<Vault>, run: &Arc<Run>) -> Result<String, FlowError> {
    let term = run.row().to_term;
    // The writer signs again by itself if this one cannot be stored.
    let _ = vault.audit.checkpoint().await;
    kept::sign_again(vault).await?;
    let terms = vault.store.sign_terms().await?;
    let handover = terms.into_iter().find(|known| known.term == term).and_then(|known| known.handover);
    handover.ok_or(FlowError::NotFound)
}
