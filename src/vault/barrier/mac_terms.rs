//! `MacTerms`: every term of one of a tenant's Mac keys. One makes what is new; the others are known while what they made is
//! still about.

use std::sync::Arc;

use strongroom_keys::{Key, Mac};
use strongroom_wire::admin::KeyState;

use super::BarrierError;
use super::keyring::{KeyFacts, KeyringError};

/// The terms of a fingerprint or session key. Cloning shares the keys and copies none.
#[derive(Clone)]
pub struct MacTerms(Vec<MacTerm>);

/// One term.
#[derive(Clone)]
pub struct MacTerm {
    facts: KeyFacts,
    /// None once nothing that it made counts any more: then it is listed, and good for nothing.
    key: Option<Arc<Key<Mac>>>,
}

impl MacTerm {
    /// A term with its key.
    #[must_use]
    pub fn new(facts: KeyFacts, key: Key<Mac>) -> Self {
        Self { facts, key: Some(Arc::new(key)) }
    }

    /// Which.
    pub(super) fn number(&self) -> u32 {
        self.facts.term
    }

    pub(super) fn in_state(&self, state: KeyState) -> Self {
        Self { facts: KeyFacts { state, ..self.facts }, key: self.key.clone() }
    }
}

impl MacTerms {
    /// At least one term, exactly one of them active, no two with one number.
    ///
    /// # Errors
    /// [`KeyringError::Incomplete`], [`KeyringError::TwoActive`], [`KeyringError::Exists`], [`KeyringError::Facts`].
    pub fn new(terms: Vec<MacTerm>) -> Result<Self, KeyringError> {
        for (place, term) in terms.iter().enumerate() {
            term.facts.check()?;
            if terms[..place].iter().any(|earlier| earlier.facts.term == term.facts.term) {
                return Err(KeyringError::Exists);
            }
        }
        match terms.iter().filter(|term| term.facts.state == KeyState::Active && term.key.is_some()).count() {
            0 => Err(KeyringError::Incomplete),
            1 => Ok(Self(terms)),
            _ => Err(KeyringError::TwoActive),
        }
    }

    /// The term that makes what is new, and its key.
    pub(super) fn active(&self) -> (&KeyFacts, &Key<Mac>) {
        let active = self.0.iter().find(|term| term.facts.state == KeyState::Active);
        let known = active.and_then(|term| Some((&term.facts, term.key.as_deref()?)));
        known.expect("`new` lets no terms through without an active one, and every change goes through `new`")
    }

    /// The key of a term. An unknown one is no other fault than a wrong key: nothing more is said.
    pub(super) fn key(&self, term: u32) -> Result<&Key<Mac>, BarrierError> {
        let known = self.0.iter().find(|known| known.facts.term == term);
        known.and_then(|known| known.key.as_deref()).ok_or(BarrierError::Unauthentic)
    }

    /// A term, also one whose work counts no more.
    pub(super) fn find(&self, term: u32) -> Option<&MacTerm> {
        self.0.iter().find(|known| known.facts.term == term)
    }

    /// The other terms that have keys: one that is on its way in, and those on their way out.
    pub(super) fn others(&self) -> impl Iterator<Item = (&KeyFacts, &Key<Mac>)> {
        let others = self.0.iter().filter(|term| term.facts.state != KeyState::Active);
        others.filter_map(|term| Some((&term.facts, term.key.as_deref()?)))
    }

    /// What is known of every term, in the order of their numbers.
    pub(super) fn facts(&self) -> Vec<KeyFacts> {
        let mut facts: Vec<KeyFacts> = self.0.iter().map(|term| term.facts).collect();
        facts.sort_unstable_by_key(|facts| facts.term);
        facts
    }

    /// With one more term. An active one retires the one that was active.
    pub(super) fn add(&self, term: MacTerm) -> Result<Self, KeyringError> {
        if term.facts.state == KeyState::Retiring || term.facts.term < self.active().0.term {
            return Err(KeyringError::Facts);
        }
        let mut terms = if term.facts.state == KeyState::Active { self.retired() } else { self.0.clone() };
        terms.push(term);
        Self::new(terms)
    }

    /// With a pending term as the active one.
    pub(super) fn activate(&self, term: u32) -> Result<Self, KeyringError> {
        let pending = |known: &MacTerm| known.facts.term == term && known.facts.state == KeyState::Pending;
        let place = self.0.iter().position(pending).ok_or(KeyringError::Missing)?;
        let mut terms = self.retired();
        terms[place] = terms[place].in_state(KeyState::Active);
        Self::new(terms)
    }

    /// Without the keys of retired terms before this one; the terms stay listed.
    pub(super) fn close_before(&self, term: u32) -> Self {
        let mut terms = self.0.clone();
        for old in &mut terms {
            if old.facts.term < term && old.facts.state == KeyState::Retiring {
                old.key = None;
            }
        }
        Self(terms)
    }

    /// Without a term.
    pub(super) fn remove(&self, term: u32) -> Result<Self, KeyringError> {
        let place = self.0.iter().position(|known| known.facts.term == term).ok_or(KeyringError::Missing)?;
        let mut terms = self.0.clone();
        if terms.remove(place).facts.state == KeyState::Active {
            return Err(KeyringError::Active);
        }
        Self::new(terms)
    }

    fn retired(&self) -> Vec<MacTerm> {
        let retire = |term: &MacTerm| match term.facts.state {
            KeyState::Active => term.in_state(KeyState::Retiring),
            _ => term.clone(),
        };
        self.0.iter().map(retire).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn term(number: u32, state: KeyState) -> MacTerm {
        MacTerm::new(KeyFacts { state, ..KeyFacts::fresh(number, 0) }, Key::generate().unwrap())
    }

    fn states(terms: &MacTerms) -> Vec<(u32, KeyState)> {
        terms.facts().iter().map(|facts| (facts.term, facts.state)).collect()
    }

    #[test]
    fn one_term_is_active_and_terms_only_grow() {
        assert_eq!(MacTerms::new(Vec::new()).err(), Some(KeyringError::Incomplete));
        let two = vec![term(1, KeyState::Active), term(2, KeyState::Active)];
        assert_eq!(MacTerms::new(two).err(), Some(KeyringError::TwoActive));
        let twice = vec![term(1, KeyState::Active), term(1, KeyState::Retiring)];
        assert_eq!(MacTerms::new(twice).err(), Some(KeyringError::Exists));
        let terms = MacTerms::new(vec![term(2, KeyState::Active)]).unwrap();
        assert_eq!(terms.add(term(1, KeyState::Active)).err(), Some(KeyringError::Facts));
        assert_eq!(terms.add(term(3, KeyState::Retiring)).err(), Some(KeyringError::Facts));
        assert_eq!(terms.add(term(2, KeyState::Pending)).err(), Some(KeyringError::Exists));
    }

    #[test]
    fn a_pending_term_is_known_before_it_is_active() {
        let terms = MacTerms::new(vec![term(1, KeyState::Active)]).unwrap();
        let pending = terms.add(term(2, KeyState::Pending)).unwrap();
        assert_eq!((pending.active().0.term, pending.others().count()), (1, 1));
        assert!(pending.key(2).is_ok() && terms.key(2).is_err());
        let after = pending.activate(2).unwrap();
        assert_eq!(states(&after), [(1, KeyState::Retiring), (2, KeyState::Active)]);
        assert_eq!(after.activate(1).err(), Some(KeyringError::Missing));
    }

    #[test]
    fn a_closed_term_is_listed_and_good_for_nothing() {
        let terms = MacTerms::new(vec![term(1, KeyState::Active)]).unwrap().add(term(2, KeyState::Active)).unwrap();
        assert!(terms.key(1).is_ok());
        let closed = terms.close_before(2);
        assert!(closed.key(1).is_err() && closed.key(2).is_ok() && closed.others().count() == 0);
        assert_eq!(states(&closed), [(1, KeyState::Retiring), (2, KeyState::Active)]);
        assert_eq!(closed.remove(2).err(), Some(KeyringError::Active));
        assert_eq!(states(&closed.remove(1).unwrap()), [(2, KeyState::Active)]);
    }
}
