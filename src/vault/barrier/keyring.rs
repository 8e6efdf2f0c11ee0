//! `Keyring`: every key of the vault as one value. A change makes a new one; the old one is wiped when its last user ends.

use std::collections::HashMap;
use std::sync::Arc;

use strongroom_keys::sign::Signer;
use strongroom_keys::{Cipher, Kek, Key, Mac};
use strongroom_wire::TenantId;
use strongroom_wire::admin::{KeyInfo, KeyPurpose, KeyState, rfc3339_ms};

use super::BarrierError;
use super::intake::IntakeKeys;
use super::wraps::Wraps;

/// The keys of the vault: each tenant's, and the one that signs. Cloning shares the keys and copies none.
#[derive(Clone)]
pub struct Keyring {
    tenants: HashMap<TenantId, Arc<TenantKeys>>,
    signer: Arc<(KeyFacts, Signer)>,
    pub(super) intake: IntakeKeys,
}

/// The keys of one tenant.
#[derive(Clone)]
pub struct TenantKeys {
    /// Exactly one is active; no two have the same term.
    keks: Vec<KekTerm>,
    fingerprint: Arc<(KeyFacts, Key<Mac>)>,
    session: Arc<(KeyFacts, Key<Mac>)>,
}

/// One term of a Kek, expanded. Cloning shares the key.
#[derive(Clone)]
pub struct KekTerm {
    facts: KeyFacts,
    cipher: Arc<Cipher<Kek>>,
    wraps: Arc<Wraps>,
}

/// What is known of a key besides its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyFacts {
    /// Which version, from 1.
    pub term: u32,
    /// Where in its life: pending, active or retiring. A destroyed key has no bytes and is in no keyring.
    pub state: KeyState,
    /// When it was made, in milliseconds since 1970-01-01 UTC.
    pub created_ms: u64,
    /// Wraps that the store has counted (Keks only).
    pub wraps: u64,
}

/// Why a keyring was not made or changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyringError {
    /// There are no keys in memory.
    #[error("the vault is sealed")]
    Sealed,
    /// There are keys in memory.
    #[error("the vault is unsealed already; seal it first")]
    AlreadyUnsealed,
    /// The vault has no Sign key.
    #[error("the vault's Sign key is missing")]
    NoSigner,
    /// A tenant lacks its fingerprint or session key, or an active Kek.
    #[error("a tenant's keys are not complete")]
    Incomplete,
    /// Two of a tenant's Keks are active.
    #[error("two Keks of a tenant are active")]
    TwoActive,
    /// The tenant, or the term of the key, is there already.
    #[error("the tenant or the term is there already")]
    Exists,
    /// No such tenant or term.
    #[error("there is no such tenant or term")]
    Missing,
    /// The key is still in use: the active Kek cannot go.
    #[error("the active key cannot be removed; rotate first")]
    Active,
    /// A term of 0, or a state that a key in memory cannot have.
    #[error("a key in memory has a term from 1 and is pending, active or retiring")]
    Facts,
}

impl KeyFacts {
    /// An active key made now that wrapped nothing yet.
    #[must_use]
    pub fn fresh(term: u32, created_ms: u64) -> Self {
        Self { term, state: KeyState::Active, created_ms, wraps: 0 }
    }

    pub(super) fn check(&self) -> Result<(), KeyringError> {
        if self.term == 0 || self.state == KeyState::Destroyed { Err(KeyringError::Facts) } else { Ok(()) }
    }
}

impl KekTerm {
    /// Expands a Kek.
    #[must_use]
    pub fn new(facts: KeyFacts, key: &Key<Kek>) -> Self {
        Self { facts, cipher: Arc::new(Cipher::new(key)), wraps: Arc::new(Wraps::counted(facts.wraps)) }
    }

    pub(super) fn facts(&self) -> &KeyFacts {
        &self.facts
    }

    pub(super) fn cipher(&self) -> &Cipher<Kek> {
        &self.cipher
    }

    pub(super) fn wraps(&self) -> &Wraps {
        &self.wraps
    }

    fn in_state(&self, state: KeyState) -> Self {
        Self { facts: KeyFacts { state, ..self.facts }, ..self.clone() }
    }
}

impl TenantKeys {
    /// The keys of a tenant: at least one Kek, exactly one of them active.
    ///
    /// # Errors
    /// [`KeyringError::Incomplete`], [`KeyringError::TwoActive`], [`KeyringError::Exists`] for two Keks of one term, or
    /// [`KeyringError::Facts`].
    pub fn new(
        keks: Vec<KekTerm>,
        fingerprint: (KeyFacts, Key<Mac>),
        session: (KeyFacts, Key<Mac>),
    ) -> Result<Self, KeyringError> {
        for facts in keks.iter().map(KekTerm::facts).chain([&fingerprint.0, &session.0]) {
            facts.check()?;
        }
        for (place, kek) in keks.iter().enumerate() {
            if keks[..place].iter().any(|earlier| earlier.facts.term == kek.facts.term) {
                return Err(KeyringError::Exists);
            }
        }
        match keks.iter().filter(|kek| kek.facts.state == KeyState::Active).count() {
            0 => Err(KeyringError::Incomplete),
            1 => Ok(Self { keks, fingerprint: Arc::new(fingerprint), session: Arc::new(session) }),
            _ => Err(KeyringError::TwoActive),
        }
    }

    /// The Kek that seals.
    pub(super) fn active(&self) -> &KekTerm {
        let active = self.keks.iter().find(|kek| kek.facts.state == KeyState::Active);
        active
            .expect("`new` lets no keys through without an active Kek, and every change goes through `new` or keeps it")
    }

    /// The Kek of a stored record. An unknown term is no other fault than a wrong key: nothing more is said.
    pub(super) fn kek(&self, term: u32) -> Result<&KekTerm, BarrierError> {
        let may_open = |kek: &&KekTerm| kek.facts.term == term && kek.facts.state != KeyState::Pending;
        self.keks.iter().find(may_open).ok_or(BarrierError::Unauthentic)
    }

    pub(super) fn fingerprint(&self) -> &Key<Mac> {
        &self.fingerprint.1
    }

    pub(super) fn session(&self) -> &Key<Mac> {
        &self.session.1
    }
}

impl Keyring {
    /// A keyring without tenants.
    #[must_use]
    pub fn new(facts: KeyFacts, signer: Signer) -> Self {
        Self::of(facts, signer, IntakeKeys::default(), Vec::new())
    }

    pub(super) fn of(
        facts: KeyFacts,
        signer: Signer,
        intake: IntakeKeys,
        tenants: Vec<(TenantId, TenantKeys)>,
    ) -> Self {
        let tenants = tenants.into_iter().map(|(tenant, keys)| (tenant, Arc::new(keys))).collect();
        Self { tenants, signer: Arc::new((facts, signer)), intake }
    }

    /// With one more tenant.
    ///
    /// # Errors
    /// [`KeyringError::Exists`].
    pub fn add_tenant(&self, tenant: TenantId, keys: TenantKeys) -> Result<Self, KeyringError> {
        if self.tenants.contains_key(&tenant) {
            return Err(KeyringError::Exists);
        }
        Ok(self.with(tenant, keys))
    }

    /// Without a tenant: nothing of it opens any more.
    ///
    /// # Errors
    /// [`KeyringError::Missing`].
    pub fn remove_tenant(&self, tenant: &TenantId) -> Result<Self, KeyringError> {
        let mut next = self.clone();
        next.tenants.remove(tenant).ok_or(KeyringError::Missing)?;
        Ok(next)
    }

    /// With a new term of a tenant's Kek. An active one takes the place of the one that was active, which retires.
    ///
    /// # Errors
    /// [`KeyringError::Missing`] tenant; [`KeyringError::Exists`] or [`KeyringError::Facts`] for a term that is there or
    /// is below the active one: terms only grow.
    pub fn add_term(&self, tenant: &TenantId, kek: KekTerm) -> Result<Self, KeyringError> {
        let mut keys = self.keys(tenant)?.clone();
        kek.facts.check()?;
        if keys.keks.iter().any(|known| known.facts.term == kek.facts.term) {
            return Err(KeyringError::Exists);
        }
        if kek.facts.term < keys.active().facts.term || kek.facts.state == KeyState::Retiring {
            return Err(KeyringError::Facts);
        }
        if kek.facts.state == KeyState::Active {
            retire_active(&mut keys.keks);
        }
        keys.keks.push(kek);
        Ok(self.with(tenant.clone(), keys))
    }

    /// Makes a pending term of a tenant's Kek the active one; the one that was active retires.
    ///
    /// # Errors
    /// [`KeyringError::Missing`] tenant or pending term.
    pub fn activate_term(&self, tenant: &TenantId, term: u32) -> Result<Self, KeyringError> {
        let mut keys = self.keys(tenant)?.clone();
        let pending = |kek: &KekTerm| kek.facts.term == term && kek.facts.state == KeyState::Pending;
        let place = keys.keks.iter().position(pending).ok_or(KeyringError::Missing)?;
        retire_active(&mut keys.keks);
        keys.keks[place] = keys.keks[place].in_state(KeyState::Active);
        Ok(self.with(tenant.clone(), keys))
    }

    /// Without a term of a tenant's Kek that no record is left on.
    ///
    /// # Errors
    /// [`KeyringError::Missing`]; [`KeyringError::Active`], because the active key cannot be removed.
    pub fn remove_term(&self, tenant: &TenantId, term: u32) -> Result<Self, KeyringError> {
        let mut keys = self.keys(tenant)?.clone();
        let place = keys.keks.iter().position(|kek| kek.facts.term == term).ok_or(KeyringError::Missing)?;
        if keys.keks[place].facts.state == KeyState::Active {
            return Err(KeyringError::Active);
        }
        keys.keks.remove(place);
        Ok(self.with(tenant.clone(), keys))
    }

    pub(super) fn tenants(&self) -> Vec<TenantId> {
        self.tenants.keys().cloned().collect()
    }

    pub(super) fn tenant(&self, tenant: &TenantId) -> Result<&TenantKeys, BarrierError> {
        self.tenants.get(tenant).map(|keys| &**keys).ok_or(BarrierError::NoSuchTenant)
    }

    /// The key that signs, for what is checked before the keyring is put in force.
    #[must_use]
    pub fn signer(&self) -> &Signer {
        &self.signer.1
    }

    /// Every term of every key, in a fixed order.
    pub(super) fn key_infos(&self, now_ms: u64) -> Vec<KeyInfo> {
        let mut infos = vec![info(KeyPurpose::Sign, None, &self.signer.0, 0, now_ms)];
        infos.extend(self.intake.facts().map(|facts| info(KeyPurpose::Intake, None, facts, 0, now_ms)));
        let mut tenants: Vec<_> = self.tenants.iter().collect();
        tenants.sort_unstable_by_key(|(tenant, _)| *tenant);
        for (tenant, keys) in tenants {
            let mut keks: Vec<&KekTerm> = keys.keks.iter().collect();
            keks.sort_unstable_by_key(|kek| kek.facts.term);
            for kek in keks {
                infos.push(info(KeyPurpose::Kek, Some(tenant), &kek.facts, kek.wraps.total(), now_ms));
            }
            infos.push(info(KeyPurpose::Fingerprint, Some(tenant), &keys.fingerprint.0, 0, now_ms));
            infos.push(info(KeyPurpose::Session, Some(tenant), &keys.session.0, 0, now_ms));
        }
        infos
    }

    fn keys(&self, tenant: &TenantId) -> Result<&TenantKeys, KeyringError> {
        self.tenants.get(tenant).map(|keys| &**keys).ok_or(KeyringError::Missing)
    }

    fn with(&self, tenant: TenantId, keys: TenantKeys) -> Self {
        let mut next = self.clone();
        next.tenants.insert(tenant, Arc::new(keys));
        next
    }
}

fn retire_active(keks: &mut [KekTerm]) {
    for kek in keks.iter_mut().filter(|kek| kek.facts.state == KeyState::Active) {
        *kek = kek.in_state(KeyState::Retiring);
    }
}

fn info(purpose: KeyPurpose, tenant: Option<&TenantId>, facts: &KeyFacts, wraps: u64, now_ms: u64) -> KeyInfo {
    let algorithm = match purpose {
        KeyPurpose::Kek => "AES-256-GCM",
        KeyPurpose::Fingerprint | KeyPurpose::Session => "HMAC-SHA-256",
        KeyPurpose::Sign => "Ed25519",
        KeyPurpose::Intake => "X25519 (HPKE)",
    };
    KeyInfo {
        purpose,
        tenant: tenant.cloned(),
        term: facts.term,
        state: facts.state,
        algorithm: algorithm.to_owned(),
        created_at: rfc3339_ms(facts.created_ms),
        age_days: now_ms.saturating_sub(facts.created_ms) / DAY_MS,
        wraps,
    }
}

const DAY_MS: u64 = 24 * 3600 * 1000;

#[cfg(test)]
mod tests {
    use super::super::rig::{NOW_MS, keks, keys, signer};
    use super::*;

    fn acme() -> TenantId {
        "acme".parse().unwrap()
    }

    fn ring() -> Keyring {
        Keyring::new(KeyFacts::fresh(1, NOW_MS), signer()).add_tenant(acme(), keys(1)).unwrap()
    }

    fn states(ring: &Keyring) -> Vec<(u32, KeyState)> {
        ring.key_infos(NOW_MS)
            .into_iter()
            .filter(|info| info.purpose == KeyPurpose::Kek)
            .map(|info| (info.term, info.state))
            .collect()
    }

    fn kek(term: u32, state: KeyState) -> KekTerm {
        KekTerm::new(KeyFacts { state, ..KeyFacts::fresh(term, NOW_MS) }, &Key::generate().unwrap())
    }

    #[test]
    fn the_active_key_cannot_be_removed() {
        let ring = ring();
        assert_eq!(ring.remove_term(&acme(), 1).err(), Some(KeyringError::Active));
        let next = ring.add_term(&acme(), keks(2)).unwrap();
        assert_eq!(next.remove_term(&acme(), 2).err(), Some(KeyringError::Active));
        assert_eq!(states(&next.remove_term(&acme(), 1).unwrap()), [(2, KeyState::Active)]);
    }

    #[test]
    fn a_new_term_retires_the_old_one_and_leaves_the_old_ring_alone() {
        let before = ring();
        let after = before.add_term(&acme(), keks(2)).unwrap();
        assert_eq!(states(&before), [(1, KeyState::Active)]);
        assert_eq!(states(&after), [(1, KeyState::Retiring), (2, KeyState::Active)]);
    }

    #[test]
    fn a_pending_term_neither_seals_nor_opens_until_it_is_activated() {
        let ring = ring().add_term(&acme(), kek(2, KeyState::Pending)).unwrap();
        let keys = ring.tenant(&acme()).unwrap();
        assert_eq!(keys.active().facts().term, 1);
        assert!(keys.kek(1).is_ok() && keys.kek(2).is_err() && keys.kek(3).is_err());
        let after = ring.activate_term(&acme(), 2).unwrap();
        assert_eq!(states(&after), [(1, KeyState::Retiring), (2, KeyState::Active)]);
        assert_eq!(ring.activate_term(&acme(), 1).err(), Some(KeyringError::Missing));
    }

    #[test]
    fn terms_only_grow_and_never_repeat() {
        let ring = ring().add_term(&acme(), keks(5)).unwrap();
        assert_eq!(ring.add_term(&acme(), keks(5)).err(), Some(KeyringError::Exists));
        assert_eq!(ring.add_term(&acme(), keks(4)).err(), Some(KeyringError::Facts));
        assert_eq!(ring.add_term(&acme(), keks(0)).err(), Some(KeyringError::Facts));
        assert_eq!(ring.add_term(&acme(), kek(6, KeyState::Retiring)).err(), Some(KeyringError::Facts));
        assert_eq!(ring.add_term(&"other".parse().unwrap(), keks(6)).err(), Some(KeyringError::Missing));
    }

    #[test]
    fn a_tenant_is_not_replaced() {
        assert_eq!(ring().add_tenant(acme(), keys(1)).err(), Some(KeyringError::Exists));
    }

    #[test]
    fn the_inventory_names_every_key_with_its_age_and_use() {
        let ring = ring().add_term(&acme(), keks(2)).unwrap();
        let infos = ring.key_infos(NOW_MS + 3 * DAY_MS);
        let rows: Vec<_> = infos.iter().map(|info| (info.purpose, info.term, info.age_days)).collect();
        assert_eq!(
            rows,
            [
                (KeyPurpose::Sign, 1, 3),
                (KeyPurpose::Kek, 1, 3),
                (KeyPurpose::Kek, 2, 3),
                (KeyPurpose::Fingerprint, 1, 3),
                (KeyPurpose::Session, 1, 3),
            ]
        );
        assert!(infos[0].tenant.is_none() && infos[1..].iter().all(|info| info.tenant == Some(acme())));
    }

    #[test]
    fn a_change_shares_the_use_count_of_a_term() {
        let before = ring();
        let after = before.add_term(&acme(), kek(2, KeyState::Pending)).unwrap();
        let (one, two) = (before.tenant(&acme()).unwrap(), after.tenant(&acme()).unwrap());
        assert!(std::ptr::eq(one.active().wraps(), two.active().wraps()));
    }
}
