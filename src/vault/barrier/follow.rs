//! Following: from the keyring that is there to the one that the store describes, because another node changed something.
//!
//! What is there stays shared and is not unwrapped again; what the store does not have any more goes; what came has to be
//! brought by the caller. What is not brought yet is left out, and a tenant that lacks a key for that is waited for: a
//! key that is destroyed or retired never waits for another one that the Root has to unwrap first.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use strongroom_keys::intake::IntakeKey;
use strongroom_wire::TenantId;
use strongroom_wire::admin::KeyPurpose;

use super::{KekTerm, KeyFacts, Keyring, KeyringError, TenantKeys};
use crate::barrier::intake::IntakeKeys;
use crate::barrier::mac_terms::{MacTerm, MacTerms};

/// One term of one key, as the store describes it. A destroyed one is not described.
pub type Described = (KeyPurpose, Option<TenantId>, KeyFacts);

/// One term of one key by its name.
pub type Term = (KeyPurpose, Option<TenantId>, u32);

/// Keys that a keyring may lack. Cloning shares them.
#[derive(Clone, Default)]
pub struct Newcomers {
    keks: Vec<(TenantId, KekTerm)>,
    fingerprints: Vec<(TenantId, MacTerm)>,
    sessions: Vec<(TenantId, MacTerm)>,
    intake: Vec<(KeyFacts, Arc<IntakeKey>)>,
}

#[derive(Default)]
struct Gathered {
    keks: Vec<KekTerm>,
    fingerprint: Vec<MacTerm>,
    session: Vec<MacTerm>,
    is_short: bool,
}

impl Newcomers {
    /// Brings one term of a tenant's Kek.
    pub fn kek(&mut self, tenant: TenantId, kek: KekTerm) {
        self.keks.push((tenant, kek));
    }

    /// Brings one term of a tenant's fingerprint key.
    pub fn fingerprint(&mut self, tenant: TenantId, term: MacTerm) {
        self.fingerprints.push((tenant, term));
    }

    /// Brings one term of a tenant's session key.
    pub fn session(&mut self, tenant: TenantId, term: MacTerm) {
        self.sessions.push((tenant, term));
    }

    /// Brings one term of the intake key.
    pub fn intake(&mut self, facts: KeyFacts, key: IntakeKey) {
        self.intake.push((facts, Arc::new(key)));
    }
}

impl Keyring {
    /// The keyring that holds these terms, and those of them that it had to leave out. Terms of the Sign key that are not
    /// described go; new ones are for [`Keyring::replace_signer`].
    ///
    /// # Errors
    /// [`KeyringError::TwoActive`], [`KeyringError::Exists`] or [`KeyringError::Facts`] where no keyring can be so.
    pub fn follow(&self, described: &[Described], new: &Newcomers) -> Result<(Self, Vec<Term>), KeyringError> {
        let mut tenants: HashMap<&TenantId, Gathered> = HashMap::new();
        let mut next = Self {
            tenants: HashMap::new(),
            awaited: HashSet::new(),
            signer: self.signer.clone(),
            intake: IntakeKeys::default(),
            former_signers: Vec::new(),
        };
        let mut missing = Vec::new();
        for (purpose, tenant, facts) in described {
            let is_here = match (purpose, tenant) {
                (KeyPurpose::Sign, None) => {
                    let former = self.former_signers.iter().find(|(known, _)| known.term == facts.term);
                    next.former_signers.extend(former.cloned());
                    true
                }
                (KeyPurpose::Intake, None) => match self.intake_of(facts, new) {
                    Some(key) => next.intake.share(*facts, key).map(|()| true)?,
                    None => false,
                },
                (KeyPurpose::Kek, Some(tenant)) => {
                    let kek = self.kek_of(tenant, facts, new);
                    tenants.entry(tenant).or_default().take(|own| &mut own.keks, kek)
                }
                (KeyPurpose::Fingerprint, Some(tenant)) => {
                    let term = self.mac_of(tenant, facts, TenantKeys::fingerprint, &new.fingerprints);
                    tenants.entry(tenant).or_default().take(|own| &mut own.fingerprint, term)
                }
                (KeyPurpose::Session, Some(tenant)) => {
                    let term = self.mac_of(tenant, facts, TenantKeys::session, &new.sessions);
                    tenants.entry(tenant).or_default().take(|own| &mut own.session, term)
                }
                _ => return Err(KeyringError::Facts),
            };
            if !is_here {
                missing.push((*purpose, tenant.clone(), facts.term));
            }
        }
        for (tenant, keys) in tenants {
            let is_short = keys.is_short;
            match keys.complete() {
                Ok(keys) => drop(next.tenants.insert(tenant.clone(), Arc::new(keys))),
                // Of one of its keys no term that is active is here.
                Err(KeyringError::Incomplete) if is_short => drop(next.awaited.insert(tenant.clone())),
                Err(error) => return Err(error),
            }
        }
        Ok((next, missing))
    }

    fn kek_of(&self, tenant: &TenantId, facts: &KeyFacts, new: &Newcomers) -> Option<KekTerm> {
        let own = self.tenants.get(tenant).map_or(&[][..], |keys| &keys.keks);
        let brought = new.keks.iter().filter(|(whose, _)| whose == tenant).map(|(_, kek)| kek);
        own.iter().chain(brought).find(|kek| kek.facts.term == facts.term).map(|kek| kek.in_state(facts.state))
    }

    fn mac_of(
        &self,
        tenant: &TenantId,
        facts: &KeyFacts,
        terms: impl Fn(&TenantKeys) -> &MacTerms,
        new: &[(TenantId, MacTerm)],
    ) -> Option<MacTerm> {
        let own = self.tenants.get(tenant).and_then(|keys| terms(keys).find(facts.term));
        let brought = || new.iter().find(|(whose, term)| whose == tenant && term.number() == facts.term);
        own.or_else(|| Some(&brought()?.1)).map(|term| term.in_state(facts.state))
    }

    fn intake_of(&self, facts: &KeyFacts, new: &Newcomers) -> Option<Arc<IntakeKey>> {
        let brought = new.intake.iter().find(|(known, _)| known.term == facts.term).map(|(_, key)| key);
        self.intake.find(facts.term).or(brought).cloned()
    }
}

impl Gathered {
    /// Takes a term, or notes that it is not here.
    fn take<T>(&mut self, into: impl Fn(&mut Self) -> &mut Vec<T>, term: Option<T>) -> bool {
        let is_here = term.is_some();
        self.is_short |= !is_here;
        into(self).extend(term);
        is_here
    }

    fn complete(self) -> Result<TenantKeys, KeyringError> {
        TenantKeys::new(self.keks, MacTerms::new(self.fingerprint)?, MacTerms::new(self.session)?)
    }
}

#[cfg(test)]
mod tests {
    use strongroom_keys::Key;
    use strongroom_wire::admin::KeyState;

    use super::*;
    use crate::barrier::BarrierError;
    use crate::barrier::rig::{keks, keys, mac_term, signer};

    fn acme() -> TenantId {
        "acme".parse().unwrap()
    }

    fn ring() -> Keyring {
        let ring = Keyring::new(KeyFacts::fresh(1, 0), signer());
        let key = IntakeKey::new(&Key::generate().unwrap());
        let ring = ring.add_intake(KeyFacts::fresh(1, 0), key).unwrap();
        ring.add_tenant(acme(), keys(1)).unwrap().add_tenant("globex".parse().unwrap(), keys(1)).unwrap()
    }

    fn in_state(all: &mut [Described], purpose: KeyPurpose, tenant: &TenantId, term: u32, state: KeyState) {
        let is_it = |known: &&mut Described| (known.0, known.1.as_ref(), known.2.term) == (purpose, Some(tenant), term);
        all.iter_mut().find(is_it).unwrap().2.state = state;
    }

    #[test]
    fn a_keyring_that_is_up_to_date_stays_as_it_is_and_shares_its_keys() {
        let ring = ring();
        let (next, missing) = ring.follow(&ring.facts(), &Newcomers::default()).unwrap();
        assert_eq!((next.facts(), missing), (ring.facts(), Vec::new()));
        let cipher = |ring: &Keyring| Arc::as_ptr(&ring.tenants[&acme()].keks[0].cipher);
        assert_eq!(cipher(&next), cipher(&ring));
    }

    #[test]
    fn a_term_comes_is_used_and_goes_as_the_store_says() {
        let ring = ring();
        let pending = KeyFacts { state: KeyState::Pending, ..KeyFacts::fresh(2, 5) };
        let mut all = ring.facts();
        all.push((KeyPurpose::Kek, Some(acme()), pending));
        let (without, missing) = ring.follow(&all, &Newcomers::default()).unwrap();
        assert_eq!(missing, [(KeyPurpose::Kek, Some(acme()), 2)]);
        assert_eq!(without.facts(), ring.facts(), "what is not brought is left out, and nothing else");
        let mut new = Newcomers::default();
        new.kek(acme(), keks(2));
        let (with, missing) = ring.follow(&all, &new).unwrap();
        assert!(missing.is_empty() && with.tenants[&acme()].active().facts.term == 1);
        in_state(&mut all, KeyPurpose::Kek, &acme(), 1, KeyState::Retiring);
        in_state(&mut all, KeyPurpose::Kek, &acme(), 2, KeyState::Active);
        let (used, _) = with.follow(&all, &Newcomers::default()).unwrap();
        assert_eq!(used.tenants[&acme()].active().facts.term, 2);
        all.retain(|known| (known.0, known.2.term, known.1.as_ref()) != (KeyPurpose::Kek, 1, Some(&acme())));
        let (gone, _) = used.follow(&all, &Newcomers::default()).unwrap();
        assert!(gone.tenants[&acme()].kek(1).is_err() && gone.tenants[&acme()].kek(2).is_ok());
    }

    #[test]
    fn a_tenant_whose_keys_are_not_brought_keeps_no_other_change_waiting() {
        let ring = ring();
        let new_tenant: TenantId = "initech".parse().unwrap();
        let mut all = ring.facts();
        all.retain(|known| known.1.as_ref() != Some(&"globex".parse().unwrap()));
        for purpose in [KeyPurpose::Kek, KeyPurpose::Fingerprint, KeyPurpose::Session] {
            all.push((purpose, Some(new_tenant.clone()), KeyFacts::fresh(1, 0)));
        }
        let mut new = Newcomers::default();
        new.kek(new_tenant.clone(), keks(1));
        new.fingerprint(new_tenant.clone(), mac_term(1, KeyState::Active));
        let (half, missing) = ring.follow(&all, &new).unwrap();
        assert_eq!(missing, [(KeyPurpose::Session, Some(new_tenant.clone()), 1)]);
        assert_eq!(half.tenants.keys().collect::<Vec<_>>(), [&acme()], "the shredded tenant is gone all the same");
        assert_eq!(half.tenant(&new_tenant).err(), Some(BarrierError::Behind), "it is there, and not here yet");
        new.session(new_tenant.clone(), mac_term(1, KeyState::Active));
        let (whole, missing) = ring.follow(&all, &new).unwrap();
        assert!(missing.is_empty() && whole.tenants.contains_key(&new_tenant));
    }

    #[test]
    fn a_closed_session_term_stays_closed() {
        let ring = ring().add_mac_term(&acme(), KeyPurpose::Session, mac_term(2, KeyState::Active)).unwrap();
        let ring = ring.close_mac_terms(&acme(), KeyPurpose::Session, 2).unwrap();
        let (next, missing) = ring.follow(&ring.facts(), &Newcomers::default()).unwrap();
        assert!(missing.is_empty() && next.tenants[&acme()].session.key(1).is_err());
    }

    #[test]
    fn what_no_keyring_can_be_is_refused() {
        let ring = ring();
        let mut all = ring.facts();
        in_state(&mut all, KeyPurpose::Kek, &acme(), 1, KeyState::Retiring);
        assert_eq!(ring.follow(&all, &Newcomers::default()).err(), Some(KeyringError::Incomplete));
        let mut all = ring.facts();
        all.push((KeyPurpose::Kek, Some(acme()), KeyFacts::fresh(2, 0)));
        let mut new = Newcomers::default();
        new.kek(acme(), keks(2));
        assert_eq!(ring.follow(&all, &new).err(), Some(KeyringError::TwoActive));
    }
}
