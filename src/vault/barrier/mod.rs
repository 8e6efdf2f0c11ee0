//! The barrier: the one room where a key and a card meet. What crosses it is sealed before, or allowed by a Warrant.
//!
//! Associated data is built from the Warrant's own tenant and token, so a Warrant for one card opens no other. Errors
//! say nothing about why something did not authenticate.

mod builder;
mod cards;
mod cvc;
mod epochs;
mod fence;
mod fields;
mod intake;
mod keyring;
mod mac_terms;
mod marks;
mod period;
mod records;
mod session;
mod wraps;

#[cfg(test)]
mod rig;

pub use builder::KeyringBuilder;
pub use cards::{Glances, Reseals};
pub use cvc::{CvcGone, TakenCvc, TakesCvc};
pub use epochs::NextEpoch;
pub use fence::Fence;
pub use fields::FieldsError;
pub use intake::SealedCardError;
pub use keyring::{Described, KekTerm, KeyFacts, Keyring, KeyringError, Newcomers, TenantKeys, Term};
pub use mac_terms::{MacTerm, MacTerms};
pub use marks::{Fingerprints, SlotMark};
pub use period::{Cryptoperiods, KEK_WRAPS_DUE};

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::{ArcSwapOption, Guard};
use strongroom_keys::envelope::{RewrapError, SealError};
use strongroom_keys::node::{Voice, Voices};
use strongroom_keys::sign::Signer;
use strongroom_keys::{NoRandomness, Unauthentic};
use strongroom_wire::TenantId;
use strongroom_wire::admin::{KeyInfo, KeyPurpose, Phase};

use crate::clock::Clock;
use cvc::Epochs;
use epochs::SharedEpochs;

/// Seals and opens. It holds keys while the vault is unsealed and none while it is sealed.
pub struct Barrier {
    keyring: ArcSwapOption<Keyring>,
    /// Held while the keyring is exchanged, so that a change that is under way cannot bring keys back after a seal.
    changing: Mutex<()>,
    epochs: Mutex<Epochs>,
    /// Whether epochs are those of several nodes: then the ones here are not used.
    is_shared: AtomicBool,
    shared_epochs: Mutex<SharedEpochs>,
    clock: Arc<dyn Clock>,
    periods: Cryptoperiods,
    fence: Fence,
}

/// Why nothing was sealed or opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BarrierError {
    /// There are no keys in memory.
    #[error("the vault is sealed")]
    Sealed,
    /// See [`Fence`]; or the tenant's keys are on their way to this node.
    #[error("this node has not reached the store for too long")]
    Behind,
    /// The Warrant names no tenant, or one that has no keys.
    #[error("there are no keys for this tenant")]
    NoSuchTenant,
    /// It is not what was sealed for this place; nothing more is said, on purpose.
    #[error("authentication failed")]
    Unauthentic,
    /// The key that would make it is over its cryptoperiod.
    #[error("the key is over its cryptoperiod")]
    Expired,
    /// The wraps that were granted to the tenant's active Kek are used up.
    #[error("the tenant's key may not wrap any more now")]
    WrapsSpent,
    /// The nodes share no epoch under which a CVC could be sealed.
    #[error("no epoch of CVCs is in use")]
    NoEpoch,
    /// The operating system gave no random numbers.
    #[error("the operating system gave no random numbers")]
    NoRandomness,
    /// It is larger than what may be sealed.
    #[error("the record is too long to be sealed")]
    TooLong,
}

impl Barrier {
    /// A sealed barrier whose keys live as long as [`Cryptoperiods::default`] says.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self::with_periods(clock, Cryptoperiods::default())
    }

    /// A sealed barrier.
    #[must_use]
    pub fn with_periods(clock: Arc<dyn Clock>, periods: Cryptoperiods) -> Self {
        Self {
            keyring: ArcSwapOption::empty(),
            changing: Mutex::default(),
            epochs: Mutex::default(),
            is_shared: AtomicBool::new(false),
            shared_epochs: Mutex::default(),
            clock,
            periods,
            fence: Fence::default(),
        }
    }

    /// Sealed or unsealed. Between the two is a ceremony that this room does not see.
    #[must_use]
    pub fn phase(&self) -> Phase {
        if self.is_unsealed() { Phase::Unsealed } else { Phase::Sealed }
    }

    /// Whether keys are in memory.
    #[must_use]
    pub fn is_unsealed(&self) -> bool {
        self.keyring.load().is_some()
    }

    /// What keeps keys from being used on a node that is behind.
    #[must_use]
    pub fn fence(&self) -> &Fence {
        &self.fence
    }

    /// Unseals: takes the keys.
    ///
    /// # Errors
    /// [`KeyringError::AlreadyUnsealed`]: keys are never exchanged behind the back of requests that run. The new ones
    /// are wiped.
    pub fn install(&self, keyring: Keyring) -> Result<(), KeyringError> {
        let _changing = self.changing();
        if self.is_unsealed() {
            return Err(KeyringError::AlreadyUnsealed);
        }
        self.keyring.store(Some(Arc::new(keyring)));
        Ok(())
    }

    /// Puts the keyring that `change` makes in the place of the one that is there.
    ///
    /// # Errors
    /// [`KeyringError::Sealed`], or what `change` answers; then nothing changed.
    pub fn update(&self, change: impl FnOnce(&Keyring) -> Result<Keyring, KeyringError>) -> Result<(), KeyringError> {
        let _changing = self.changing();
        let before = self.keyring.load_full().ok_or(KeyringError::Sealed)?;
        self.keyring.store(Some(Arc::new(change(&before)?)));
        Ok(())
    }

    /// Seals: forgets every key, the ones of CVCs too. Requests that are opening a card right now finish; the keys are
    /// wiped when the last of them does.
    pub fn seal_now(&self) {
        let _changing = self.changing();
        self.keyring.store(None);
        *self.epochs() = Epochs::default();
        *self.shared() = SharedEpochs::default();
    }

    /// Every tenant that has keys; none while sealed.
    #[must_use]
    pub fn tenants(&self) -> Vec<TenantId> {
        self.keyring.load().as_ref().map_or_else(Vec::new, |ring| ring.tenants())
    }

    /// Whether the tenant has keys.
    #[must_use]
    pub fn has_tenant(&self, tenant: &TenantId) -> bool {
        self.keyring.load().as_ref().is_some_and(|ring| ring.tenant(tenant).is_ok())
    }

    /// The term under which the tenant's records are sealed now.
    #[must_use]
    pub fn active_term(&self, tenant: &TenantId) -> Option<u32> {
        Some(self.keyring.load().as_ref()?.tenant(tenant).ok()?.active().facts().term)
    }

    /// The term of the tenant's fingerprint key under which rows are written now.
    #[must_use]
    pub fn mac_term(&self, tenant: &TenantId) -> Option<u32> {
        Some(self.keyring.load().as_ref()?.tenant(tenant).ok()?.fingerprint().active().0.term)
    }

    /// The term of the Sign key that signs now.
    #[must_use]
    pub fn sign_term(&self) -> Option<u32> {
        Some(self.keyring.load().as_ref()?.sign_term())
    }

    /// Every term of every key in memory, with its age and use.
    #[must_use]
    pub fn key_infos(&self) -> Vec<KeyInfo> {
        let now_ms = self.clock.now_ms();
        self.keyring.load().as_ref().map_or_else(Vec::new, |ring| ring.key_infos(&self.periods, now_ms))
    }

    /// What is known of every term of every key in memory; of a Kek with the wraps that are counted by now.
    #[must_use]
    pub fn key_facts(&self) -> Vec<(KeyPurpose, Option<TenantId>, KeyFacts)> {
        self.keyring.load().as_ref().map_or_else(Vec::new, |ring| ring.facts())
    }

    /// Lends the vault's signer, for audit checkpoints and completion proofs.
    ///
    /// # Errors
    /// [`BarrierError::Sealed`].
    pub fn sign<T>(&self, with: impl FnOnce(&Signer) -> T) -> Result<T, BarrierError> {
        Ok(with(self.ring()?.get()?.signer()))
    }

    /// The term of the Sign key that signs now.
    ///
    /// # Errors
    /// [`BarrierError::Sealed`].
    pub fn voice(&self) -> Result<Voice, BarrierError> {
        Ok(self.ring()?.get()?.voice())
    }

    /// What knows the signatures of every term of the Sign key that is not destroyed, and of every node.
    ///
    /// # Errors
    /// [`BarrierError::Sealed`].
    pub fn voices(&self) -> Result<Voices, BarrierError> {
        Ok(self.ring()?.get()?.voices())
    }

    /// Lends what signed in this process, or would have, under a term before the one that signs now, so that a node that was
    /// away hands over; none for a vault that is one process.
    ///
    /// # Errors
    /// [`BarrierError::Sealed`].
    pub fn former_signer(&self, term: u32) -> Result<Option<Signer>, BarrierError> {
        Ok(self.ring()?.get()?.former_signer(term))
    }

    /// The keyring, to make or open something with it.
    fn unsealed(&self) -> Result<Ring, BarrierError> {
        let ring = self.ring()?;
        if self.fence.is_up() { Err(BarrierError::Behind) } else { Ok(ring) }
    }

    /// The keyring, for what is true of a node that is behind as well: who it is, and what it was told last.
    fn ring(&self) -> Result<Ring, BarrierError> {
        let ring = Ring(self.keyring.load());
        ring.get()?;
        Ok(ring)
    }

    fn changing(&self) -> MutexGuard<'_, ()> {
        self.changing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn epochs(&self) -> MutexGuard<'_, Epochs> {
        self.epochs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The keyring for the time of one act, without a lock.
struct Ring(Guard<Option<Arc<Keyring>>>);

impl Ring {
    fn get(&self) -> Result<&Keyring, BarrierError> {
        self.0.as_deref().ok_or(BarrierError::Sealed)
    }

    fn tenant(&self, tenant: Option<&TenantId>) -> Result<&TenantKeys, BarrierError> {
        self.get()?.tenant(tenant.ok_or(BarrierError::NoSuchTenant)?)
    }
}

impl From<Unauthentic> for BarrierError {
    fn from(_: Unauthentic) -> Self {
        BarrierError::Unauthentic
    }
}

impl From<NoRandomness> for BarrierError {
    fn from(_: NoRandomness) -> Self {
        BarrierError::NoRandomness
    }
}

impl From<SealError> for BarrierError {
    fn from(error: SealError) -> Self {
        match error {
            SealError::NoRandomness(_) => BarrierError::NoRandomness,
            SealError::TooLong => BarrierError::TooLong,
        }
    }
}

impl From<RewrapError> for BarrierError {
    fn from(error: RewrapError) -> Self {
        match error {
            RewrapError::NoRandomness(_) => BarrierError::NoRandomness,
            RewrapError::Unauthentic(_) => BarrierError::Unauthentic,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::rig::{Rig, keys, signer};
    use super::*;

    #[test]
    fn a_new_barrier_is_sealed_and_does_nothing() {
        let rig = Rig::sealed();
        assert_eq!(rig.barrier.phase(), Phase::Sealed);
        assert!(rig.barrier.tenants().is_empty() && rig.barrier.key_infos().is_empty());
        assert_eq!(rig.barrier.sign(|_| ()), Err(BarrierError::Sealed));
        assert_eq!(rig.barrier.wraps_left(&"acme".parse().unwrap()), 0);
        assert_eq!(rig.barrier.binding(&"acme".parse().unwrap(), 1, &[b"x"]), Err(BarrierError::Sealed));
    }

    #[test]
    fn unsealed_it_refuses_other_keys_and_keeps_its_own() {
        let rig = Rig::new(&["acme"]);
        let before = rig.barrier.binding(&"acme".parse().unwrap(), 1, &[b"x"]).unwrap();
        let other = Keyring::new(KeyFacts::fresh(1, 0), signer());
        assert_eq!(rig.barrier.install(other), Err(KeyringError::AlreadyUnsealed));
        assert_eq!(rig.barrier.binding(&"acme".parse().unwrap(), 1, &[b"x"]).unwrap(), before);
    }

    #[test]
    fn sealed_again_it_forgets_everything() {
        let rig = Rig::new(&["acme"]);
        assert_eq!(rig.barrier.phase(), Phase::Unsealed);
        let keys = Arc::downgrade(&rig.barrier.keyring.load_full().unwrap());
        rig.barrier.seal_now();
        assert!(keys.upgrade().is_none());
        assert_eq!(rig.barrier.phase(), Phase::Sealed);
        assert_eq!(rig.barrier.update(|ring| Ok(ring.clone())), Err(KeyringError::Sealed));
        assert!(!rig.barrier.has_tenant(&"acme".parse().unwrap()));
    }

    #[test]
    fn a_change_that_fails_changes_nothing() {
        let rig = Rig::new(&["acme"]);
        let again = rig.barrier.update(|ring| ring.add_tenant("acme".parse().unwrap(), keys(1)));
        assert_eq!(again, Err(KeyringError::Exists));
        rig.barrier.update(|ring| ring.add_tenant("globex".parse().unwrap(), keys(1))).unwrap();
        let mut tenants = rig.barrier.tenants();
        tenants.sort();
        assert_eq!(tenants, ["acme".parse().unwrap(), "globex".parse().unwrap()]);
    }

    #[test]
    fn signatures_are_of_the_vault_s_own_key() {
        let rig = Rig::new(&["acme"]);
        let (public, signature) = rig.barrier.sign(|s| (s.public_key().clone(), s.sign(b"m"))).unwrap();
        assert!(public.verify(b"m", &signature).is_ok());
    }
}
