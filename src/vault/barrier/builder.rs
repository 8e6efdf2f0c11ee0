//! `KeyringBuilder`: the way from stored keys to a keyring when the vault is unsealed.

use std::collections::HashMap;

use strongroom_keys::intake::IntakeKey;
use strongroom_keys::node::Voice;
use strongroom_keys::{Kek, Key, Mac};
use strongroom_wire::TenantId;
use strongroom_wire::admin::KeyState;

use super::intake::IntakeKeys;
use super::keyring::{KekTerm, KeyFacts, Keyring, KeyringError, TenantKeys};
use super::mac_terms::{MacTerm, MacTerms};

/// Gathers keys one by one, in any order, as an unseal reads them.
#[derive(Default)]
pub struct KeyringBuilder {
    tenants: HashMap<TenantId, Gathered>,
    signers: Vec<(KeyFacts, Voice)>,
    intake: IntakeKeys,
    /// The first fault of an intake key.
    fault: Option<KeyringError>,
}

#[derive(Default)]
struct Gathered {
    keks: Vec<KekTerm>,
    fingerprint: Vec<MacTerm>,
    session: Vec<MacTerm>,
}

impl Keyring {
    /// An empty builder.
    #[must_use]
    pub fn builder() -> KeyringBuilder {
        KeyringBuilder::default()
    }
}

impl KeyringBuilder {
    /// Takes one term of a tenant's Kek.
    #[must_use]
    pub fn kek(mut self, tenant: &TenantId, facts: KeyFacts, key: &Key<Kek>) -> Self {
        self.of(tenant).keks.push(KekTerm::new(facts, key));
        self
    }

    /// Takes one term of a tenant's fingerprint key.
    #[must_use]
    pub fn fingerprint(mut self, tenant: &TenantId, facts: KeyFacts, key: Key<Mac>) -> Self {
        self.of(tenant).fingerprint.push(MacTerm::new(facts, key));
        self
    }

    /// Takes one term of a tenant's session key.
    #[must_use]
    pub fn session(mut self, tenant: &TenantId, facts: KeyFacts, key: Key<Mac>) -> Self {
        self.of(tenant).session.push(MacTerm::new(facts, key));
        self
    }

    /// Takes one term of the vault's signer.
    #[must_use]
    pub fn signer(mut self, facts: KeyFacts, signer: impl Into<Voice>) -> Self {
        self.signers.push((facts, signer.into()));
        self
    }

    /// Takes one term of the vault's intake key.
    #[must_use]
    pub fn intake(mut self, facts: KeyFacts, key: IntakeKey) -> Self {
        let taken = self.intake.take(facts, key);
        self.fault = self.fault.or(taken.err());
        self
    }

    /// The keyring.
    ///
    /// # Errors
    /// [`KeyringError::NoSigner`], what is wrong with an intake key, or what [`TenantKeys::new`] answers for a tenant: a vault with a tenant whose keys are
    /// not complete does not unseal by halves.
    pub fn build(self) -> Result<Keyring, KeyringError> {
        let mut signer = None;
        let mut former = Vec::new();
        for (facts, key) in self.signers {
            facts.check()?;
            match facts.state {
                KeyState::Active if signer.is_some() => return Err(KeyringError::TwoActive),
                KeyState::Active => signer = Some((facts, key)),
                _ => former.push((facts, key.retired())),
            }
        }
        former.sort_unstable_by_key(|(facts, _): &(KeyFacts, _)| facts.term);
        let signer = signer.ok_or(KeyringError::NoSigner)?;
        self.fault.map_or(Ok(()), Err)?;
        let complete = |(tenant, Gathered { keks, fingerprint, session })| {
            Ok((tenant, TenantKeys::new(keks, MacTerms::new(fingerprint)?, MacTerms::new(session)?)?))
        };
        let tenants = self.tenants.into_iter().map(complete).collect::<Result<Vec<_>, KeyringError>>()?;
        Ok(Keyring::of(signer, former, self.intake, tenants))
    }

    fn of(&mut self, tenant: &TenantId) -> &mut Gathered {
        self.tenants.entry(tenant.clone()).or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::super::rig::{NOW_MS, signer};
    use super::*;

    #[test]
    fn an_unseal_with_incomplete_keys_is_refused_as_a_whole() {
        let acme: TenantId = "acme".parse().unwrap();
        let facts = KeyFacts::fresh(1, NOW_MS);
        let mac = || Key::generate().unwrap();
        let full = || {
            Keyring::builder().kek(&acme, facts, &Key::generate().unwrap()).fingerprint(&acme, facts, mac()).session(
                &acme,
                facts,
                mac(),
            )
        };
        let other: TenantId = "other".parse().unwrap();
        assert!(full().signer(facts, signer()).build().is_ok());
        assert_eq!(full().build().err(), Some(KeyringError::NoSigner));
        let half = full().signer(facts, signer()).kek(&other, facts, &Key::generate().unwrap());
        assert_eq!(half.build().err(), Some(KeyringError::Incomplete));
        let two = full().signer(facts, signer()).kek(&acme, KeyFacts::fresh(2, 0), &Key::generate().unwrap());
        assert_eq!(two.build().err(), Some(KeyringError::TwoActive));
        let twice = full().signer(facts, signer()).kek(&acme, facts, &Key::generate().unwrap());
        assert_eq!(twice.build().err(), Some(KeyringError::Exists));
        let two_signers = full().signer(facts, signer()).signer(KeyFacts::fresh(2, 0), signer());
        assert_eq!(two_signers.build().err(), Some(KeyringError::TwoActive));
        let gone = KeyFacts { state: KeyState::Destroyed, ..KeyFacts::fresh(2, 0) };
        let destroyed = full().signer(facts, signer()).kek(&acme, gone, &Key::generate().unwrap());
        assert_eq!(destroyed.build().err(), Some(KeyringError::Facts));
    }
}
