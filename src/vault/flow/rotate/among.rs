//! Rotations among several nodes: a term is made, known to all, and only then used; one node works on a rotation at a time.

use strongroom_wire::admin::{KeyPurpose, KeyState, RotateRequest, Rotation};

use super::running::{Which, view};
use super::{CHANGED, ends};
use crate::barrier::KeyringError;
use crate::flow::{FlowError, StoreFault, Vault};
use crate::store::{KeyChange, RotationRow};

/// The state in which a term is made: of several nodes each has to know it before one of them uses it.
pub(super) fn first_state(vault: &Vault) -> KeyState {
    if vault.nodes.are_several() { KeyState::Pending } else { KeyState::Active }
}

/// The state that the active term comes to when another one is made in its first state.
pub(super) fn next_state(first: KeyState) -> KeyState {
    if first == KeyState::Active { KeyState::Retiring } else { KeyState::Active }
}

/// Waits until every node knows the term, and has it used. A vault alone made it active at once.
pub(super) async fn use_when_known(vault: &Vault, row: &RotationRow) -> Result<(), FlowError> {
    if !vault.nodes.are_several() {
        return Ok(());
    }
    vault.known().await?;
    put_in_use(vault, row).await
}

/// The pending term becomes the active one. Its caller has waited until everybody knows it.
pub(super) async fn put_in_use(vault: &Vault, row: &RotationRow) -> Result<(), FlowError> {
    let tenant = row.tenant.clone().ok_or(FlowError::NotFound)?;
    // Held to the end, so that the store and the keyring change in the same order.
    let _changing = vault.root.held.lock().await;
    let (new, active) = ends(vault, row).await?;
    let new = new.ok_or(FlowError::NotFound)?;
    if new.state == KeyState::Pending {
        let states =
            vec![(active, KeyState::Active, KeyState::Retiring), (new.name, KeyState::Pending, KeyState::Active)];
        if !vault.store.change_keys(KeyChange { states, ..KeyChange::default() }).await? {
            return Err(CHANGED);
        }
    }
    // A process that was interrupted between the two has the store's word in its keyring already.
    let is_pending = vault.barrier.key_facts().iter().any(|(key, whose, facts)| {
        (*key, whose.as_ref(), facts.term, facts.state) == (row.key, Some(&tenant), row.to_term, KeyState::Pending)
    });
    if is_pending {
        vault.barrier.update(|ring| match row.key {
            KeyPurpose::Kek => ring.activate_term(&tenant, row.to_term),
            key => ring.activate_mac_term(&tenant, key, row.to_term),
        })?;
    }
    Ok(())
}

/// What putting a term into the keyring came to: one that is there already or has its state already, because this node followed
/// another one to it, is as good.
pub(super) fn taken(done: Result<(), KeyringError>) -> Result<(), KeyringError> {
    if matches!(done, Err(KeyringError::Exists | KeyringError::Missing)) { Ok(()) } else { done }
}

/// A rotation that another node works on: asked for as it is, it is shown; whoever wants it otherwise has to ask there.
pub(super) fn at_another(
    vault: &Vault,
    which: &Which,
    known: Option<RotationRow>,
    request: &RotateRequest,
) -> Result<Rotation, FlowError> {
    match known {
        Some(row) if row.emergency >= request.emergency && request.records_per_second_max.is_none() => Ok(view(&row)),
        _ => Err(vault.nodes.holder(&which.lease()).map_or(CHANGED, FlowError::Elsewhere)),
    }
}

/// Whether what is in the way of a rotation passes by itself among several nodes: the row goes on to say that it is under way,
/// and the node that leads takes it up.
pub(super) fn passes(vault: &Vault, error: &FlowError) -> bool {
    let is_away = matches!(error, FlowError::Store(StoreFault::Busy | StoreFault::Gone));
    let is_behind = matches!(error, FlowError::Behind | FlowError::Sealed | FlowError::Unaware(_));
    vault.nodes.are_several() && (is_away || is_behind)
}
