//! Shred: a tenant goes for good. All of its keys are destroyed in one transaction, after which nothing of it opens; its
//! rows are shredded afterwards, whatever interrupts that.
//!
//! A copy of the database from before still holds the wrapped keys, and opens with the Root. How long such copies are kept
//! is how long shredding takes.

use std::sync::Arc;

use strongroom_keys::destruction::Shredding;
use strongroom_keys::note::Statement as _;
use strongroom_wire::TenantId;
use strongroom_wire::entry::{OwnAct, Subject};

use super::acts::Agreed;
use super::{FlowError, Vault};
use crate::audit::Own;
use crate::barrier::KeyringError;
use crate::policy::Note;
use crate::store::Shredded;
use crate::telemetry::log;

/// What the log says about it.
pub(super) fn about() -> Note {
    Note::words("shred the tenant")
}

/// Refuses a tenant that is not there or is shredded already.
pub(super) async fn check(vault: &Vault, tenant: &TenantId) -> Result<(), FlowError> {
    let tenants = vault.store.tenants().await?;
    match tenants.into_iter().find(|row| row.tenant == *tenant).ok_or(FlowError::NotFound)?.shredded {
        Shredded::No => Ok(()),
        Shredded::Keys | Shredded::All => Err(FlowError::Conflict("the tenant is shredded already")),
    }
}

/// Destroys the keys and answers the signed note. Doing it twice is the same as once.
pub(super) async fn shred(vault: &Arc<Vault>, agreed: &Agreed, tenant: &TenantId) -> Result<String, FlowError> {
    let keys = gone(vault, agreed, tenant).await?;
    // The note says that nobody has them any more.
    vault.known().await?;
    let done = Shredding { tenant: tenant.clone(), keys, at_ms: vault.now_ms() };
    Ok(vault.barrier.sign(|signer| done.sign(signer))?)
}

async fn gone(vault: &Arc<Vault>, agreed: &Agreed, tenant: &TenantId) -> Result<u64, FlowError> {
    // Held to the end, so that the store and the keyring change in the same order as with every other change of keys.
    let _held = vault.root.held.lock().await;
    let note = Note::words("every key of the tenant").and(&agreed.id());
    record(vault, tenant, note).await?;
    let keys = vault.store.shred_tenant(tenant).await?;
    match vault.barrier.update(|ring| ring.remove_tenant(tenant)) {
        Ok(()) | Err(KeyringError::Missing) => {}
        Err(error) => return Err(error.into()),
    }
    vault.store.settle().await?;
    Ok(keys)
}

/// Shreds the rows of tenants whose keys are destroyed. It needs no key.
///
/// # Errors
/// Those of the audit log and the store; what is left is shredded the next time.
pub(super) async fn sweep(vault: &Vault) -> Result<(), FlowError> {
    let tenants = vault.store.tenants().await?;
    for row in tenants.into_iter().filter(|row| row.shredded == Shredded::Keys) {
        // A request that had the keys when they were destroyed has stored its row by now.
        vault.wraps.settled().await;
        vault.settled_elsewhere().await?;
        let mut shredded = 0u64;
        while vault.store.count_stale(&row.tenant, u32::MAX).await? > 0 {
            let mut cursor = None;
            loop {
                let page = vault.store.stale_records(&row.tenant, u32::MAX, cursor, BATCH).await?;
                let places = page.records.into_iter().map(|record| record.place).collect();
                shredded += vault.store.shred_places(&row.tenant, places).await?;
                cursor = page.next;
                if cursor.is_none() {
                    break;
                }
            }
        }
        record(vault, &row.tenant, Note::words("records of the tenant shredded:").and(&shredded)).await?;
        vault.store.end_shredding(&row.tenant).await?;
        log::info("tenant shredded", &[("tenant", &row.tenant), ("records", &shredded)]);
    }
    Ok(())
}

async fn record(vault: &Vault, tenant: &TenantId, note: Note) -> Result<(), FlowError> {
    let about = Own { tenant: Some(tenant.clone()), subject: Subject::None, note };
    vault.audit.record_own(OwnAct::KeyDestroyed, about).await?;
    Ok(())
}

/// Records in one transaction.
const BATCH: u32 = 256;

#[cfg(test)]
#[path = "shred_tests.rs"]
mod tests;
