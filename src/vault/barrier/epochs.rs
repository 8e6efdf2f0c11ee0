//! Epochs of CVCs among several nodes: each node makes its own and gives their keys to the others, sealed to mailboxes that live
//! in memory as the epochs do.
//!
//! Invariants:
//! - A node seals under epochs of its own alone. A key that came from elsewhere only opens.
//! - An epoch is used only after whoever it was given to can find it: [`Barrier::next_epoch`] makes one, and
//!   [`Barrier::begin_epoch`] puts it in use when its grants are in the store.

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use strongroom_keys::epoch::{EpochGrant, Mailbox};
use strongroom_keys::{Cipher, EpochRole, Key};
use strongroom_wire::limits;
use uuid::Uuid;

use super::cvc::{Epoch, TTL_MS};
use super::{Barrier, BarrierError, CvcGone};

/// What a node has of the epochs of all.
#[derive(Default)]
pub(super) struct SharedEpochs {
    /// The newest last. The one before it still opens what was on its way.
    mailboxes: Vec<(Mailbox, u64)>,
    /// The one that seals.
    current: Option<Arc<Epoch>>,
    /// All that open, the current one too.
    known: HashMap<u32, Arc<Epoch>>,
}

/// An epoch that is not in use yet.
pub struct NextEpoch(Arc<Epoch>);

impl Barrier {
    /// From now on epochs are those of several nodes.
    pub fn share_epochs(&self) {
        self.is_shared.store(true, Ordering::SeqCst);
    }

    /// The public half of this node's mailbox, and when it was made. A mailbox is exchanged after as long as an epoch opens, so
    /// that no copy of the store opens for longer than that, whatever becomes of a node's memory.
    ///
    /// # Errors
    /// [`BarrierError::Sealed`], [`BarrierError::NoRandomness`].
    pub fn mailbox(&self) -> Result<([u8; 32], u64), BarrierError> {
        let now_ms = self.clock.now_ms();
        let mut shared = self.shared();
        // Under the lock: a seal that comes later clears this one, too.
        self.unsealed()?;
        if shared.mailboxes.last().is_none_or(|(_, made_ms)| now_ms.saturating_sub(*made_ms) >= 2 * TTL_MS) {
            shared.mailboxes.push((Mailbox::generate()?, now_ms));
            let surplus = shared.mailboxes.len().saturating_sub(2);
            shared.mailboxes.drain(..surplus);
        }
        shared.mailboxes.last().map(|(mailbox, made_ms)| (*mailbox.public_key(), *made_ms)).ok_or(BarrierError::Sealed)
    }

    /// The public halves of the mailboxes that open.
    #[must_use]
    pub fn mailboxes(&self) -> Vec<[u8; 32]> {
        self.shared().mailboxes.iter().map(|(mailbox, _)| *mailbox.public_key()).collect()
    }

    /// Epochs that open here now.
    #[must_use]
    pub fn epoch_ids(&self) -> Vec<u32> {
        let now_ms = self.clock.now_ms();
        let mut shared = self.shared();
        shared.roll(now_ms);
        shared.known.keys().copied().collect()
    }

    /// Whether there is an epoch that seals and whether its end is near.
    #[must_use]
    pub fn sealing_epoch(&self) -> (bool, bool) {
        let now_ms = self.clock.now_ms();
        let mut shared = self.shared();
        shared.roll(now_ms);
        let age_ms = shared.current.as_ref().map(|epoch| now_ms.saturating_sub(epoch.start_ms));
        (age_ms.is_some(), age_ms.is_some_and(|age_ms| age_ms >= RENEW_MS))
    }

    /// Makes an epoch of this node's own, which nothing is sealed under yet.
    ///
    /// # Errors
    /// [`BarrierError::NoRandomness`].
    pub fn next_epoch(&self) -> Result<NextEpoch, BarrierError> {
        let mut id = [0; 4];
        getrandom::fill(&mut id).map_err(|_| BarrierError::NoRandomness)?;
        Ok(NextEpoch(Arc::new(Epoch::of_nodes(u32::from_be_bytes(id), self.clock.now_ms(), Key::generate()?))))
    }

    /// Seals under it from now on.
    ///
    /// # Errors
    /// [`BarrierError::Sealed`]; then the key is wiped.
    pub fn begin_epoch(&self, next: NextEpoch) -> Result<(), BarrierError> {
        let mut shared = self.shared();
        self.unsealed()?;
        shared.known.insert(next.0.id, Arc::clone(&next.0));
        shared.current = Some(next.0);
        Ok(())
    }

    /// The key of an epoch that opens here, for the mailbox of another node; none if it is over.
    #[must_use]
    pub fn grant_epoch(&self, vault_id: Uuid, epoch: u32, to: &[u8; 32]) -> Option<EpochGrant> {
        let epoch = self.shared().known.get(&epoch).cloned()?;
        grant(&epoch, vault_id, to)
    }

    /// Takes the key of another node's epoch. The caller checked the signature. `false` if it does not open or is over.
    #[must_use]
    pub fn accept_epoch(&self, grant: &EpochGrant) -> bool {
        let now_ms = self.clock.now_ms();
        let mut shared = self.shared();
        shared.roll(now_ms);
        if self.unsealed().is_err() || shared.known.len() >= limits::EPOCHS_MAX {
            return false;
        }
        // A clock that runs ahead may be right; one that is a whole epoch ahead would keep the key for too long.
        if grant.at_ms.saturating_add(2 * TTL_MS) <= now_ms || grant.at_ms > now_ms.saturating_add(TTL_MS) {
            return false;
        }
        let mailbox = shared.mailboxes.iter().find(|(mailbox, _)| *mailbox.public_key() == grant.to);
        let Some(Ok(key)) = mailbox.map(|(mailbox, _)| grant.open_in(mailbox)) else { return false };
        shared.known.entry(grant.epoch).or_insert_with(|| Arc::new(Epoch::of_nodes(grant.epoch, grant.at_ms, key)));
        true
    }

    pub(super) fn is_shared(&self) -> bool {
        self.is_shared.load(Ordering::Relaxed)
    }

    pub(super) fn shared_current(&self, now_ms: u64) -> Result<Arc<Epoch>, BarrierError> {
        let mut shared = self.shared();
        shared.roll(now_ms);
        shared.current.clone().ok_or(BarrierError::NoEpoch)
    }

    pub(super) fn shared_find(&self, id: u32, now_ms: u64) -> Result<Arc<Epoch>, CvcGone> {
        let mut shared = self.shared();
        shared.roll(now_ms);
        shared.known.get(&id).cloned().ok_or(CvcGone)
    }

    pub(super) fn shared(&self) -> MutexGuard<'_, SharedEpochs> {
        self.shared_epochs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl NextEpoch {
    /// Its key for the mailbox of another node; none if that is no public key.
    #[must_use]
    pub fn grant(&self, vault_id: Uuid, to: &[u8; 32]) -> Option<EpochGrant> {
        grant(&self.0, vault_id, to)
    }
}

impl Epoch {
    fn of_nodes(id: u32, start_ms: u64, key: Key<EpochRole>) -> Self {
        Self { id, start_ms, cipher: Cipher::new(&key), key: Some(key), spent: Mutex::default() }
    }
}

impl SharedEpochs {
    pub(super) fn roll(&mut self, now_ms: u64) {
        let age_ms = |epoch: &Arc<Epoch>| now_ms.saturating_sub(epoch.start_ms);
        self.known.retain(|_, epoch| age_ms(epoch) < 2 * TTL_MS);
        if self.current.as_ref().is_some_and(|epoch| age_ms(epoch) >= TTL_MS) {
            self.current = None;
        }
    }
}

fn grant(epoch: &Epoch, vault_id: Uuid, to: &[u8; 32]) -> Option<EpochGrant> {
    EpochGrant::seal(vault_id, (epoch.id, epoch.start_ms), epoch.key.as_ref()?, to).ok()
}

/// Another epoch is made when the one that seals has so little left.
const RENEW_MS: u64 = TTL_MS - 120_000;

#[cfg(test)]
mod tests {
    use super::super::rig::Rig;
    use super::*;

    fn rig() -> Rig {
        let rig = Rig::new(&["acme"]);
        rig.barrier.share_epochs();
        rig
    }

    fn begun(rig: &Rig, to: &Rig) -> EpochGrant {
        let next = rig.barrier.next_epoch().unwrap();
        let grant = next.grant(Uuid::nil(), &to.barrier.mailbox().unwrap().0).unwrap();
        rig.barrier.begin_epoch(next).unwrap();
        grant
    }

    #[test]
    fn an_epoch_of_another_node_opens_and_never_seals() {
        let (a, b, c) = (rig(), rig(), rig());
        let grant = begun(&a, &b);
        c.barrier.mailbox().unwrap();
        assert!(!c.barrier.accept_epoch(&grant) && b.barrier.accept_epoch(&grant) && b.barrier.accept_epoch(&grant));
        assert_eq!(b.barrier.epoch_ids(), [grant.epoch]);
        assert_eq!((b.barrier.sealing_epoch(), a.barrier.sealing_epoch()), ((false, false), (true, false)));
        assert!(b.barrier.shared_current(0).is_err());
        // A node that came later gets it from any that has it.
        let later = b.barrier.grant_epoch(Uuid::nil(), grant.epoch, &c.barrier.mailbox().unwrap().0).unwrap();
        assert!(c.barrier.accept_epoch(&later));
    }

    #[test]
    fn keys_and_mailboxes_end_with_their_time_and_with_a_seal() {
        let (a, b) = (rig(), rig());
        let grant = begun(&a, &b);
        let first = b.barrier.mailbox().unwrap();
        assert!(b.barrier.accept_epoch(&grant));
        for rig in [&a, &b] {
            rig.clock.advance_ms(TTL_MS);
        }
        assert_eq!((a.barrier.sealing_epoch().0, a.barrier.epoch_ids().len()), (false, 1));
        for rig in [&a, &b] {
            rig.clock.advance_ms(TTL_MS);
        }
        assert!(a.barrier.epoch_ids().is_empty() && b.barrier.epoch_ids().is_empty());
        assert!(!b.barrier.accept_epoch(&grant), "a grant that somebody put back");
        assert_ne!(b.barrier.mailbox().unwrap(), first);
        let grant = begun(&a, &b);
        let key = Arc::downgrade(a.barrier.shared().current.as_ref().unwrap());
        a.barrier.seal_now();
        assert!(key.upgrade().is_none() && a.barrier.mailboxes().is_empty());
        assert!(a.barrier.mailbox().is_err());
        b.barrier.seal_now();
        assert!(!b.barrier.accept_epoch(&grant));
    }

    #[test]
    fn a_node_knows_no_more_epochs_than_its_limit() {
        let (a, b) = (rig(), rig());
        let to = b.barrier.mailbox().unwrap().0;
        let grant = |_| a.barrier.next_epoch().unwrap().grant(Uuid::nil(), &to).unwrap();
        assert!((0..limits::EPOCHS_MAX).map(grant).all(|grant| b.barrier.accept_epoch(&grant)));
        assert!(!b.barrier.accept_epoch(&grant(0)));
    }
}
