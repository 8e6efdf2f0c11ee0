//! Leave to seal: use counts of Keks, persisted in blocks before they are used, and a way to wait until everything that
//! was sealed under an old term has reached the store.

use strongroom_wire::TenantId;
use strongroom_wire::admin::KeyPurpose;
use tokio::sync::{Mutex, RwLock, RwLockReadGuard};

use super::{FlowError, Vault};
use crate::store::KeyName;

/// Counts wraps, and knows who is between sealing and storing.
#[derive(Default)]
pub(super) struct WrapCount {
    /// One request renews a block at a time, so that concurrent requests take one block and not many.
    renewing: Mutex<()>,
    /// Read by whoever seals, until it is stored. Nobody takes it twice: the lock is fair, and a rotation that waits
    /// between two readings of one request would wait for itself.
    sealing: RwLock<()>,
}

/// Leave to seal under the active term. Hold it until what was sealed is stored.
#[must_use = "hold it until what was sealed is stored"]
pub(super) struct Leave<'a> {
    _sealing: RwLockReadGuard<'a, ()>,
}

impl WrapCount {
    /// Sees to it that the tenant's active Kek may wrap a few more Deks (a request needs three at most).
    pub(super) async fn reserve(&self, vault: &Vault, tenant: &TenantId) -> Result<Leave<'_>, FlowError> {
        self.reserve_at_least(vault, tenant, LOW).await
    }

    /// Waits until nothing that was sealed before now is still on its way to the store. After a new term became active
    /// this means: nothing under the old term is.
    pub(super) async fn settled(&self) {
        drop(self.sealing.write().await);
    }

    /// Takes a first block for a term that is about to become the active one: a request that has its leave and looked at the
    /// term before finds some left when it seals.
    pub(super) async fn begin_term(&self, vault: &Vault, tenant: &TenantId, term: u32) -> Result<(), FlowError> {
        if vault.barrier.wraps_left_of(tenant, term) != Some(0) {
            return Ok(());
        }
        let name = KeyName { purpose: KeyPurpose::Kek, tenant: Some(tenant.clone()), term };
        vault.store.add_wraps(&name, BLOCK).await?;
        vault.barrier.grant_wraps(tenant, term, BLOCK);
        Ok(())
    }

    /// The same for a batch of so many.
    pub(super) async fn reserve_at_least(
        &self,
        vault: &Vault,
        tenant: &TenantId,
        need: u64,
    ) -> Result<Leave<'_>, FlowError> {
        vault.barrier.kek_in_period(tenant)?;
        // First the leave, then the look at the active term: a term that becomes active in between waits for this.
        let leave = Leave { _sealing: self.sealing.read().await };
        if vault.barrier.wraps_left(tenant) >= need {
            return Ok(leave);
        }
        let _one_at_a_time = self.renewing.lock().await;
        if vault.barrier.wraps_left(tenant) >= need {
            return Ok(leave);
        }
        let term = vault.barrier.active_term(tenant).ok_or(FlowError::NotFound)?;
        let name = KeyName { purpose: KeyPurpose::Kek, tenant: Some(tenant.clone()), term };
        let block = BLOCK.max(need);
        let total = vault.store.add_wraps(&name, block).await?;
        if total > strongroom_wire::limits::KEK_WRAPS_MAX {
            return Err(FlowError::Crypto("the tenant's key reached its use limit; rotate it"));
        }
        vault.barrier.grant_wraps(tenant, term, block);
        Ok(leave)
    }
}

/// Wraps counted at once: one write for so many cards, and at most so many counted in vain at a crash.
const BLOCK: u64 = 65_536;
/// When to take the next block; well above what the requests under way can use.
const LOW: u64 = 4_096;
