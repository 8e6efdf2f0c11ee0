//! How often a Kek may still wrap: taken from blocks that were counted durably before they were granted, so that a crash
//! never counts too few (NIST SP 800-38D section 8.3 bounds the uses of a key with random nonces).

use std::sync::atomic::{AtomicU64, Ordering};

use strongroom_wire::{TenantId, limits};

use super::{Barrier, BarrierError};

/// The use count of one term of a Kek. All keyrings that hold the term share it.
#[derive(Debug)]
pub(super) struct Wraps {
    /// Wraps counted durably, those of blocks that are not used up included.
    counted: AtomicU64,
    /// What is left of the granted blocks.
    left: AtomicU64,
}

impl Wraps {
    /// A count that starts at what the store knows; nothing is granted yet.
    pub(super) fn counted(wraps: u64) -> Self {
        Self { counted: AtomicU64::new(wraps), left: AtomicU64::new(0) }
    }

    pub(super) fn total(&self) -> u64 {
        self.counted.load(Ordering::Relaxed)
    }

    /// Takes one wrap, or refuses.
    pub(super) fn take(&self) -> Result<(), BarrierError> {
        let taken = self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
        taken.map(|_| ()).map_err(|_| BarrierError::WrapsSpent)
    }

    /// Adds a block, unless it goes over the limit of the key.
    fn grant(&self, block: u64) {
        let total = |counted: u64| counted.checked_add(block).filter(|total| *total <= limits::KEK_WRAPS_MAX);
        if self.counted.fetch_update(Ordering::Relaxed, Ordering::Relaxed, total).is_ok() {
            self.left.fetch_add(block, Ordering::Relaxed);
        }
    }
}

impl Barrier {
    /// How many records may still be sealed under the tenant's active Kek before more wraps must be granted.
    #[must_use]
    pub fn wraps_left(&self, tenant: &TenantId) -> u64 {
        let ring = self.keyring.load();
        let keys = ring.as_ref().and_then(|ring| ring.tenant(tenant).ok());
        keys.map_or(0, |keys| keys.active().wraps().left.load(Ordering::Relaxed))
    }

    /// The same for any term of it; none for one that is not here.
    #[must_use]
    pub fn wraps_left_of(&self, tenant: &TenantId, term: u32) -> Option<u64> {
        let ring = self.keyring.load();
        let keys = ring.as_ref().and_then(|ring| ring.tenant(tenant).ok());
        let kek = keys.and_then(|keys| keys.kek(term).ok());
        kek.map(|kek| kek.wraps().left.load(Ordering::Relaxed))
    }

    /// Grants a block of wraps to a term of the tenant's Kek. Call it after the block was counted durably. A block for a term
    /// that is not there, or one that goes over [`limits::KEK_WRAPS_MAX`], is not granted.
    pub fn grant_wraps(&self, tenant: &TenantId, term: u32, block: u64) {
        let ring = self.keyring.load();
        let keys = ring.as_ref().and_then(|ring| ring.tenant(tenant).ok());
        if let Some(kek) = keys.and_then(|keys| keys.kek(term).ok()) {
            kek.wraps().grant(block);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::rig::{Rig, visa};
    use super::*;

    #[test]
    fn nothing_wraps_before_a_block_is_granted_and_after_it_is_used() {
        let rig = Rig::without_wraps(&["acme"]);
        let tenant = "acme".parse().unwrap();
        let seal = || rig.barrier.seal(rig.tokenize("acme").0, &visa()).map(|_| ());
        assert_eq!(seal(), Err(BarrierError::WrapsSpent));
        rig.barrier.grant_wraps(&tenant, 1, 2);
        assert_eq!((seal(), seal(), seal()), (Ok(()), Ok(()), Err(BarrierError::WrapsSpent)));
    }

    #[test]
    fn a_block_for_another_term_or_tenant_is_not_granted() {
        let rig = Rig::without_wraps(&["acme"]);
        let tenant = "acme".parse().unwrap();
        rig.barrier.grant_wraps(&tenant, 2, 10);
        rig.barrier.grant_wraps(&"other".parse().unwrap(), 1, 10);
        assert_eq!(rig.barrier.wraps_left(&tenant), 0);
    }

    #[test]
    fn a_key_at_its_limit_gets_no_more() {
        let wraps = Wraps::counted(limits::KEK_WRAPS_MAX - 10);
        wraps.grant(11);
        assert!(wraps.take().is_err());
        wraps.grant(u64::MAX);
        assert!(wraps.take().is_err());
        wraps.grant(10);
        assert!((0..10).all(|_| wraps.take().is_ok()) && wraps.take().is_err());
        assert_eq!(wraps.total(), limits::KEK_WRAPS_MAX);
    }

    #[test]
    fn many_threads_never_take_more_than_was_granted() {
        let wraps = Wraps::counted(0);
        wraps.grant(1000);
        let taken: usize = std::thread::scope(|scope| {
            let takers: Vec<_> =
                (0..4).map(|_| scope.spawn(|| (0..500).filter(|_| wraps.take().is_ok()).count())).collect();
            takers.into_iter().map(|taker| taker.join().unwrap()).sum()
        });
        assert_eq!(taken, 1000);
    }
}
