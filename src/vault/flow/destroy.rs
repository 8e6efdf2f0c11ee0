//! Destroy: a retired term of a key goes for good, once nothing is left on it and two people agreed.

use std::sync::Arc;

use strongroom_keys::destruction::Destruction;
use strongroom_wire::acts::DestroyKey;
use strongroom_wire::admin::{KeyPurpose, KeyState};
use strongroom_wire::entry::{OwnAct, Subject};

use super::acts::Agreed;
use super::{FlowError, Vault};
use crate::audit::Own;
use crate::barrier::KeyringError;
use crate::policy::Note;
use crate::store::{KeyChange, KeyName, KeyRow};

/// What the log says about it.
pub(super) fn about(key: &DestroyKey) -> Note {
    Note::words("destroy").and(&word(key.purpose)).and(&"term").and(&key.term)
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
    // Held to the end, so that the store and the keyring change in the same order as with every other change of keys.
    let _held = vault.root.held.lock().await;
    // From here on nothing under a retired term is on its way to the store, so that a count of none stays true.
    vault.wraps.settled().await;
    let row = find(vault, key).await?;
    if row.state != KeyState::Destroyed {
        check(vault, key).await?;
        let note = Note::words("kek: term").and(&key.term).and(&"records 0").and(&agreed.id());
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
        match vault.barrier.update(|ring| ring.remove_term(tenant, key.term)) {
            Ok(()) | Err(KeyringError::Missing) => {}
            Err(error) => return Err(error.into()),
        }
    }
    let done = Destruction { purpose: key.purpose, tenant: key.tenant.clone(), term: key.term, at_ms: vault.now_ms() };
    Ok(vault.barrier.sign(|signer| done.sign(signer))?)
}

async fn find(vault: &Vault, key: &DestroyKey) -> Result<KeyRow, FlowError> {
    let name = KeyName { purpose: key.purpose, tenant: key.tenant.clone(), term: key.term };
    vault.store.keys().await?.into_iter().find(|row| row.name == name).ok_or(FlowError::NotFound)
}

/// That no record is on the term, or on one before it.
async fn unused(vault: &Vault, key: &DestroyKey) -> Result<(), FlowError> {
    let (KeyPurpose::Kek, Some(tenant)) = (key.purpose, &key.tenant) else {
        let why = "only a tenant's kek is destroyed by its term";
        return Err(FlowError::Field { field: "purpose", why });
    };
    if vault.store.count_stale(tenant, key.term.saturating_add(1)).await? == 0 {
        return Ok(());
    }
    Err(FlowError::Conflict("records are still on this term or an older one; let a rotation come to its end first"))
}

fn word(purpose: KeyPurpose) -> &'static str {
    match purpose {
        KeyPurpose::Kek => "kek",
        KeyPurpose::Fingerprint => "fingerprint",
        KeyPurpose::Session => "session",
        KeyPurpose::Sign => "sign",
        KeyPurpose::Intake => "intake",
    }
}
