//! A tenant's session key: the new term makes sessions at once, and the old one counts for those that it made, an hour at
//! most. In an emergency it counts no more from the start: every browser has to get a new session.

use std::sync::Arc;
use std::time::Duration;

use strongroom_keys::Mac;
use strongroom_wire::admin::{KeyPurpose, KeyState, RotationState};
use strongroom_wire::limits;

use super::running::Run;
use super::{CHANGED, New, completion, ends, first_state, made, next_state, taken, use_when_known};
use crate::barrier::{Keyring, KeyringError, MacTerm};
use crate::flow::{FlowError, Vault, keyring};
use crate::store::{KeyChange, RotationRow};

/// Makes the new term, active: first in the store, then in the keyring.
pub(super) async fn prepare(vault: &Vault, row: &mut RotationRow) -> Result<(), FlowError> {
    let tenant = row.tenant.clone().ok_or(FlowError::NotFound)?;
    let (known, active) = ends(vault, row).await?;
    if let Some(mut new) = New::<Mac>::of(vault, row, known).await? {
        let changing = vault.root.still(&new.root).await?;
        if new.is_fresh {
            new.row.state = first_state(vault);
            made(vault, row).await?;
            let states = vec![(active, KeyState::Active, next_state(new.row.state))];
            let change =
                KeyChange { insert: vec![new.row.clone()], states, under: new.under(), ..KeyChange::default() };
            if !vault.store.change_keys(change).await? {
                return Err(CHANGED);
            }
        }
        let term = MacTerm::new(keyring::facts(&new.row), new.key);
        taken(vault.barrier.update(|ring| ring.add_mac_term(&tenant, PURPOSE, term)))?;
        drop(changing);
    }
    use_when_known(vault, row).await?;
    if row.emergency {
        vault.barrier.update(|ring| ring.close_mac_terms(&tenant, PURPOSE, row.to_term))?;
    }
    Ok(())
}

/// Waits until the last session of before is over, or somebody says that it is an emergency; answers the signed completion.
pub(super) async fn wait(vault: &Arc<Vault>, run: &Arc<Run>) -> Result<String, FlowError> {
    let row = run.row();
    let tenant = row.tenant.clone().ok_or(FlowError::NotFound)?;
    let (new, _) = ends(vault, &row).await?;
    let ends_ms = new.ok_or(FlowError::NotFound)?.created_ms + WINDOW_MS;
    run.ends_at(ends_ms);
    while vault.now_ms() < ends_ms && !run.is_emergency() {
        // Sealed, the vault makes and takes no session, and the next unseal goes on from the row.
        if !vault.barrier.is_unsealed() {
            return Err(FlowError::Sealed);
        }
        run.is_ours(vault)?;
        actix_web::rt::time::sleep(LOOK_EVERY).await;
    }
    vault.barrier.update(|ring| ring.close_mac_terms(&tenant, PURPOSE, row.to_term))?;
    completion(vault, run)
}

/// The keyring of an unseal without the old session keys whose window was over before it.
pub(in crate::flow) fn closed(mut ring: Keyring, rotations: &[RotationRow]) -> Result<Keyring, KeyringError> {
    for row in rotations.iter().filter(|row| row.key == PURPOSE) {
        if let Some(tenant) = row.tenant.as_ref().filter(|_| row.state == RotationState::Done || row.emergency) {
            ring = match ring.close_mac_terms(tenant, PURPOSE, row.to_term) {
                // The tenant was shredded since.
                Err(KeyringError::Missing) => ring,
                closed => closed?,
            };
        }
    }
    Ok(ring)
}

const PURPOSE: KeyPurpose = KeyPurpose::Session;
/// The longest life of a session, and the minute that may pass between the making of a key and its first use.
const WINDOW_MS: u64 = (limits::SESSION_TTL_MAX_S + 60) * 1000;
const LOOK_EVERY: Duration = Duration::from_millis(500);
