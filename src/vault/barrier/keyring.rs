//! `Keyring`: every key of the vault as one value. A change makes a new one; the old one is wiped when its last user ends.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use strongroom_keys::node::{FormerVoice, Voice, Voices};
use strongroom_keys::sign::Signer;
use strongroom_keys::{Cipher, Kek, Key};
use strongroom_wire::TenantId;
use strongroom_wire::admin::{KeyInfo, KeyPurpose, KeyState, rfc3339_ms};

#[path = "follow.rs"]
mod follow;

pub use follow::{Described, Newcomers, Term};

use super::BarrierError;
use super::intake::IntakeKeys;
use super::mac_terms::{MacTerm, MacTerms};
use super::period::Cryptoperiods;
use super::wraps::Wraps;

/// The keys of the vault: each tenant's, and the one that signs. Cloning shares the keys and copies none.
#[derive(Clone)]
pub struct Keyring {
    tenants: HashMap<TenantId, Arc<TenantKeys>>,
    /// Tenants that are there and whose keys the Root has not unwrapped yet; see [`Keyring::follow`].
    awaited: HashSet<TenantId>,
    signer: (KeyFacts, Voice),
    pub(super) intake: IntakeKeys,
    /// Terms of the Sign key that sign nothing any more, the newest last.
    former_signers: Vec<(KeyFacts, FormerVoice)>,
}

/// The keys of one tenant.
#[derive(Clone)]
pub struct TenantKeys {
    /// Exactly one is active; no two have the same term.
    keks: Vec<KekTerm>,
    fingerprint: MacTerms,
    session: MacTerms,
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
    /// A tenant lacks an active Kek, fingerprint or session key.
    #[error("a tenant's keys are not complete")]
    Incomplete,
    /// Two terms of one key are active.
    #[error("two terms of one key are active")]
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
    pub fn new(keks: Vec<KekTerm>, fingerprint: MacTerms, session: MacTerms) -> Result<Self, KeyringError> {
        keks.iter().try_for_each(|kek| kek.facts.check())?;
        for (place, kek) in keks.iter().enumerate() {
            if keks[..place].iter().any(|earlier| earlier.facts.term == kek.facts.term) {
                return Err(KeyringError::Exists);
            }
        }
        match keks.iter().filter(|kek| kek.facts.state == KeyState::Active).count() {
            0 => Err(KeyringError::Incomplete),
            1 => Ok(Self { keks, fingerprint, session }),
            _ => Err(KeyringError::TwoActive),
        }
    }

    /// The Kek that seals.
    pub(super) fn active(&self) -> &KekTerm {
        let active = self.keks.iter().find(|kek| kek.facts.state == KeyState::Active);
        active
            .expect("`new` lets no keys through without an active Kek, and every change goes through `new` or keeps it")
    }

    /// The Kek of a stored record; a pending one too, under which another node may seal already. An unknown term is no other
    /// fault than a wrong key: nothing more is said.
    pub(super) fn kek(&self, term: u32) -> Result<&KekTerm, BarrierError> {
        self.keks.iter().find(|kek| kek.facts.term == term).ok_or(BarrierError::Unauthentic)
    }

    pub(super) fn fingerprint(&self) -> &MacTerms {
        &self.fingerprint
    }

    pub(super) fn session(&self) -> &MacTerms {
        &self.session
    }

    fn mac_mut(&mut self, purpose: KeyPurpose) -> Result<&mut MacTerms, KeyringError> {
        match purpose {
            KeyPurpose::Fingerprint => Ok(&mut self.fingerprint),
            KeyPurpose::Session => Ok(&mut self.session),
            KeyPurpose::Kek | KeyPurpose::Sign | KeyPurpose::Intake => Err(KeyringError::Missing),
        }
    }
}

impl Keyring {
    /// A keyring without tenants.
    #[must_use]
    pub fn new(facts: KeyFacts, signer: impl Into<Voice>) -> Self {
        Self::of((facts, signer.into()), Vec::new(), IntakeKeys::default(), Vec::new())
    }

    pub(super) fn of(
        signer: (KeyFacts, Voice),
        former_signers: Vec<(KeyFacts, FormerVoice)>,
        intake: IntakeKeys,
        tenants: Vec<(TenantId, TenantKeys)>,
    ) -> Self {
        let tenants = tenants.into_iter().map(|(tenant, keys)| (tenant, Arc::new(keys))).collect();
        Self { tenants, awaited: HashSet::new(), signer, former_signers, intake }
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

    /// With a new term of a tenant's fingerprint or session key. An active one takes the place of the one that was active,
    /// which retires; a pending one is known and makes nothing yet.
    ///
    /// # Errors
    /// As [`Keyring::add_term`].
    pub fn add_mac_term(&self, tenant: &TenantId, purpose: KeyPurpose, term: MacTerm) -> Result<Self, KeyringError> {
        self.with_mac(tenant, purpose, |terms| terms.add(term))
    }

    /// Makes a pending term of a tenant's fingerprint or session key the active one; the one that was active retires.
    ///
    /// # Errors
    /// [`KeyringError::Missing`] tenant or pending term.
    pub fn activate_mac_term(&self, tenant: &TenantId, purpose: KeyPurpose, term: u32) -> Result<Self, KeyringError> {
        self.with_mac(tenant, purpose, |terms| terms.activate(term))
    }

    /// Without the keys of retired terms before this one, whose work counts no more. The terms stay listed.
    ///
    /// # Errors
    /// [`KeyringError::Missing`] tenant.
    pub fn close_mac_terms(&self, tenant: &TenantId, purpose: KeyPurpose, before: u32) -> Result<Self, KeyringError> {
        self.with_mac(tenant, purpose, |terms| Ok(terms.close_before(before)))
    }

    /// Without a term of a tenant's fingerprint or session key that nothing needs any more.
    ///
    /// # Errors
    /// [`KeyringError::Missing`]; [`KeyringError::Active`].
    pub fn remove_mac_term(&self, tenant: &TenantId, purpose: KeyPurpose, term: u32) -> Result<Self, KeyringError> {
        self.with_mac(tenant, purpose, |terms| terms.remove(term))
    }

    /// With another signer; the key of the one that was there is wiped when its last user ends.
    ///
    /// # Errors
    /// [`KeyringError::Facts`] for a term that is not above the one that is there, or is not active.
    pub fn replace_signer(&self, facts: KeyFacts, signer: impl Into<Voice>) -> Result<Self, KeyringError> {
        facts.check()?;
        if facts.term <= self.signer.0.term || facts.state != KeyState::Active {
            return Err(KeyringError::Facts);
        }
        let mut next = self.clone();
        let former = KeyFacts { state: KeyState::Retiring, ..self.signer.0 };
        next.former_signers.push((former, self.signer.1.retired()));
        next.signer = (facts, signer.into());
        Ok(next)
    }

    /// Without a term of the Sign key that signs nothing any more.
    ///
    /// # Errors
    /// [`KeyringError::Missing`]; [`KeyringError::Active`].
    pub fn remove_former_signer(&self, term: u32) -> Result<Self, KeyringError> {
        if self.signer.0.term == term {
            return Err(KeyringError::Active);
        }
        let mut next = self.clone();
        let place =
            next.former_signers.iter().position(|(facts, _)| facts.term == term).ok_or(KeyringError::Missing)?;
        next.former_signers.remove(place);
        Ok(next)
    }

    pub(super) fn tenants(&self) -> Vec<TenantId> {
        self.tenants.keys().cloned().collect()
    }

    pub(super) fn tenant(&self, tenant: &TenantId) -> Result<&TenantKeys, BarrierError> {
        let absent = || if self.awaited.contains(tenant) { BarrierError::Behind } else { BarrierError::NoSuchTenant };
        self.tenants.get(tenant).map(|keys| &**keys).ok_or_else(absent)
    }

    /// The key that signs, for what is checked before the keyring is put in force.
    #[must_use]
    pub fn signer(&self) -> &Signer {
        self.signer.1.signer()
    }

    pub(super) fn voice(&self) -> Voice {
        self.signer.1.clone()
    }

    /// What knows the signatures of every term of the Sign key that is not destroyed.
    #[must_use]
    pub fn voices(&self) -> Voices {
        let former = self.former_signers.iter().rev().map(|(_, voice)| voice.clone());
        Voices::new(std::iter::once(self.signer.1.retired()).chain(former).collect())
    }

    /// What signed in this process, or would have, under a term that is not the newest any more.
    pub(super) fn former_signer(&self, term: u32) -> Option<Signer> {
        self.former_signers.iter().find(|(facts, _)| facts.term == term)?.1.signer()
    }

    pub(super) fn sign_term(&self) -> u32 {
        self.signer.0.term
    }

    /// What is known of every term of every key, in a fixed order; of a Kek with the wraps that are counted by now.
    pub(super) fn facts(&self) -> Vec<(KeyPurpose, Option<TenantId>, KeyFacts)> {
        let signers = self.former_signers.iter().map(|(facts, _)| facts).chain([&self.signer.0]);
        let mut all: Vec<_> = signers.map(|facts| (KeyPurpose::Sign, None, *facts)).collect();
        all.extend(self.intake.facts().map(|facts| (KeyPurpose::Intake, None, *facts)));
        let mut tenants: Vec<_> = self.tenants.iter().collect();
        tenants.sort_unstable_by_key(|(tenant, _)| *tenant);
        for (tenant, keys) in tenants {
            let mut keks: Vec<&KekTerm> = keys.keks.iter().collect();
            keks.sort_unstable_by_key(|kek| kek.facts.term);
            let keks = keks.iter().map(|kek| (KeyPurpose::Kek, KeyFacts { wraps: kek.wraps.total(), ..kek.facts }));
            let mac = |purpose, terms: &MacTerms| terms.facts().into_iter().map(move |facts| (purpose, facts));
            let macs = mac(KeyPurpose::Fingerprint, &keys.fingerprint).chain(mac(KeyPurpose::Session, &keys.session));
            all.extend(keks.chain(macs).map(|(purpose, facts)| (purpose, Some(tenant.clone()), facts)));
        }
        all
    }

    /// The same as people see it.
    pub(super) fn key_infos(&self, periods: &Cryptoperiods, now_ms: u64) -> Vec<KeyInfo> {
        self.facts()
            .into_iter()
            .map(|(purpose, tenant, facts)| info(purpose, tenant, &facts, periods, now_ms))
            .collect()
    }

    fn keys(&self, tenant: &TenantId) -> Result<&TenantKeys, KeyringError> {
        self.tenants.get(tenant).map(|keys| &**keys).ok_or(KeyringError::Missing)
    }

    fn with_mac(
        &self,
        tenant: &TenantId,
        purpose: KeyPurpose,
        change: impl FnOnce(&MacTerms) -> Result<MacTerms, KeyringError>,
    ) -> Result<Self, KeyringError> {
        let mut keys = self.keys(tenant)?.clone();
        let terms = keys.mac_mut(purpose)?;
        *terms = change(terms)?;
        Ok(self.with(tenant.clone(), keys))
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

fn info(
    purpose: KeyPurpose,
    tenant: Option<TenantId>,
    facts: &KeyFacts,
    periods: &Cryptoperiods,
    now_ms: u64,
) -> KeyInfo {
    let algorithm = match purpose {
        KeyPurpose::Kek => "AES-256-GCM",
        KeyPurpose::Fingerprint | KeyPurpose::Session => "HMAC-SHA-256",
        KeyPurpose::Sign => "Ed25519",
        KeyPurpose::Intake => "X25519 (HPKE)",
    };
    KeyInfo {
        purpose,
        tenant,
        term: facts.term,
        state: facts.state,
        algorithm: algorithm.to_owned(),
        created_at: rfc3339_ms(facts.created_ms),
        age_days: now_ms.saturating_sub(facts.created_ms) / DAY_MS,
        wraps: facts.wraps,
        expires_at: periods.end_ms(purpose, facts).map(rfc3339_ms),
        due: periods.is_due(purpose, facts, now_ms),
    }
}

const DAY_MS: u64 = 24 * 3600 * 1000;

#[cfg(test)]
#[path = "keyring_tests.rs"]
mod tests;
