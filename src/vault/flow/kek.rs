//! Use counts of Keks: persisted in blocks before they are used, so that a crash never under-counts.

use strongroom_wire::TenantId;
use strongroom_wire::admin::KeyPurpose;
use tokio::sync::Mutex;

use super::{FlowError, Vault};
use crate::store::KeyName;

/// Lets one request renew a block at a time, so that concurrent requests take one block and not many.
#[derive(Default)]
pub(super) struct WrapCount {
    renewing: Mutex<()>,
}

impl WrapCount {
    /// Sees to it that the tenant's active Kek may wrap a few more Deks (a request needs three at most).
    pub(super) async fn reserve(&self, vault: &Vault, tenant: &TenantId) -> Result<(), FlowError> {
        self.reserve_at_least(vault, tenant, LOW).await
    }

    /// The same for a batch of so many.
    pub(super) async fn reserve_at_least(&self, vault: &Vault, tenant: &TenantId, need: u64) -> Result<(), FlowError> {
        if vault.barrier.wraps_left(tenant) >= need {
            return Ok(());
        }
        let _one_at_a_time = self.renewing.lock().await;
        if vault.barrier.wraps_left(tenant) >= need {
            return Ok(());
        }
        let term = vault.barrier.active_term(tenant).ok_or(FlowError::NotFound)?;
        let name = KeyName { purpose: KeyPurpose::Kek, tenant: Some(tenant.clone()), term };
        let block = BLOCK.max(need);
        let total = vault.store.add_wraps(&name, block).await?;
        if total > strongroom_wire::limits::KEK_WRAPS_MAX {
            return Err(FlowError::Crypto("the tenant's key reached its use limit; rotate it"));
        }
        vault.barrier.grant_wraps(tenant, term, block);
        Ok(())
    }
}

/// Wraps counted at once: one write for so many cards, and at most so many counted in vain at a crash.
const BLOCK: u64 = 65_536;
/// When to take the next block; well above what the requests under way can use.
const LOW: u64 = 4_096;
