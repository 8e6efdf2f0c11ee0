//! Destroy: a retired term of a key goes for good, once nothing is left on it and two people agreed.

use std::sync::Arc;

use strongroom_keys::destruction::Destruction;
use strongroom_keys::note::Statement as _;
use strongroom_wire::acts::DestroyKey;
use strongroom_wire::admin::{KeyPurpose, KeyState, RotationState};
use strongroom_wire::entry::{OwnAct, Subject};

use super::acts::Agreed;
use super::{FlowError, Vault};
use crate::audit::Own;
use crate::barrier::KeyringError;
use crate::policy::Note;
use crate::store::{KeyChange, KeyName, KeyRow};

/// What the log says about it.
pub(super) fn about(key: &DestroyKey) -> Note {
    Note::words("destroy").and(&key.purpose.as_str()).and(&"term").and(&key.term)
}

/// Refuses what cannot be destroyed: a key that is not there, is in use, or has records on it.
pub(super) async fn check(vault: &Vault, key: &DestroyKey) -> Result<(), FlowError> {
    let row = find(vault, key).await?;
    match row.state {
        KeyState::Retiring => unused(vault, key).await,
        KeyState::Destroyed => Err(FlowError::Conflict("the term is destroyed already")),
        KeyState::Active | KeyState::Pending => {
            Err(FlowError::Conflict("the term is in use; rotate the key first, and destroy the term that retires"))
        }
    }
}

/// Destroys it and answers the signed note. What was destroyed before an interruption is only vouched for again.
pub(super) async fn destroy(vault: &Arc<Vault>, agreed: &Agreed, key: &DestroyKey) -> Result<String, FlowError> {
    // From here on nothing under a retired term is on its way to the store, so that a count of none stays true.
    vault.rounds.settled().await;
    vault.settled_elsewhere().await?;
    gone(vault, agreed, key).await?;
    // The note says that nobody has it any more.
    vault.known().await?;
    let done = Destruction { purpose: key.purpose, tenant: key.tenant.clone(), term: key.term, at_ms: vault.now_ms() };
    Ok(vault.barrier.sign(|signer| done.sign(signer))?)
}

async fn gone(vault: &Arc<Vault>, agreed: &Agreed, key: &DestroyKey) -> Result<(), FlowError> {
    // Held to the end, so that the store and the keyring change in the same order as with every other change of keys.
    let _held = vault.root.held.lock().await;
    vault.wraps.settled().await;
    let row = find(vault, key).await?;
    if row.state != KeyState::Destroyed {
        check(vault, key).await?;
        let note = about(key).and(&"records 0").and(&agreed.id());
        let about = Own { tenant: key.tenant.clone(), subject: Subject::None, note };
        vault.audit.record_own(OwnAct::KeyDestroyed, about).await?;
        let states = vec![(row.name, KeyState::Retiring, KeyState::Destroyed)];
        if !vault.store.change_keys(KeyChange { states, ..KeyChange::default() }).await? {
            return Err(FlowError::Conflict("the key is being changed by another request; approve the act again"));
        }
    }
    // A quiet moment would do it too; whoever reads the note may rely on it now.
    vault.store.settle().await?;
    if let Some(tenant) = &key.tenant {
        let gone = vault.barrier.update(|ring| match key.purpose {
            KeyPurpose::Kek => ring.remove_term(tenant, key.term),
            purpose => ring.remove_mac_term(tenant, purpose, key.term),
        });
        match gone {
            Ok(()) | Err(KeyringError::Missing) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

async fn find(vault: &Vault, key: &DestroyKey) -> Result<KeyRow, FlowError> {
    let name = KeyName { purpose: key.purpose, tenant: key.tenant.clone(), term: key.term };
    vault.store.keys().await?.into_iter().find(|row| row.name == name).ok_or(FlowError::NotFound)
}

/// That nothing is on the term, or on one before it, and nothing will be asked for under it.
async fn unused(vault: &Vault, key: &DestroyKey) -> Result<(), FlowError> {
    let next = key.term.saturating_add(1);
    match (key.purpose, &key.tenant) {
        (KeyPurpose::Kek, Some(tenant)) => match vault.store.count_stale(tenant, next).await? {
            0 => Ok(()),
            _ => Err(FlowError::Conflict(RECORDS)),
        },
        (KeyPurpose::Fingerprint, Some(tenant)) => {
            let left = vault.store.count_stale_marks(tenant, next).await?;
            match (left.cards + left.secrets, left.answers) {
                (0, 0) => Ok(()),
                (0, _) => Err(FlowError::Conflict(ANSWERS)),
                _ => Err(FlowError::Conflict(RECORDS)),
            }
        }
        (KeyPurpose::Session, Some(tenant)) => {
            let rows = vault.store.rotations().await?;
            let is_over = rows.iter().any(|row| {
                let is_ours = row.key == KeyPurpose::Session && row.tenant.as_ref() == Some(tenant);
                is_ours && row.to_term > key.term && row.state == RotationState::Done
            });
            if is_over { Ok(()) } else { Err(FlowError::Conflict(SESSIONS)) }
        }
        _ => {
            let why = "a tenant's kek, fingerprint or session key is destroyed by its term; an intake key ends by itself, and \
                       a Sign key that retired signs nothing that counts";
            Err(FlowError::Field { field: "purpose", why })
        }
    }
}

const RECORDS: &str = "records are still on this term or an older one; let a rotation come to its end first";
const ANSWERS: &str =
    "answers of idempotency keys are still named by this term; they end a day after their requests: ask again then";
const SESSIONS: &str =
    "client sessions of this term may still count; let the rotation of the session key come to its end first";

#[cfg(test)]
#[path = "destroy_tests.rs"]
mod tests;
