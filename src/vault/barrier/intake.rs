//! Cards and CVCs that clients sealed before they sent them: the intake keys in memory, and what opens under them.

use std::sync::Arc;

use strongroom_keys::Unsealed;
use strongroom_keys::intake::{IntakeKey, PUBLIC_BYTES, Sender, What, info};
use strongroom_wire::Token;
use strongroom_wire::admin::KeyState;
use uuid::Uuid;

use super::keyring::{KeyFacts, Keyring, KeyringError};
use super::{Barrier, BarrierError};
use crate::card::SealedPart;
use crate::policy::{Permit, Principal, Tokenize};

/// The terms of the intake key. Cloning shares the keys and copies none.
#[derive(Clone, Default)]
pub(super) struct IntakeKeys(Vec<(KeyFacts, Arc<IntakeKey>)>);

/// Why a sealed card or CVC did not open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SealedCardError {
    /// There is no such key any more, or there never was.
    #[error("the intake key is not in use")]
    NoSuchKey,
    /// It was sealed as something else or for another vault, key, session, tenant or card, or changed since; nothing more is
    /// said, on purpose.
    #[error("authentication failed")]
    Unauthentic,
    /// See [`BarrierError`].
    #[error(transparent)]
    Barrier(#[from] BarrierError),
}

impl IntakeKeys {
    /// Takes one term. At most one is active, and each is there once; there may be none, for the vault makes one.
    pub(super) fn take(&mut self, facts: KeyFacts, key: IntakeKey) -> Result<(), KeyringError> {
        self.share(facts, Arc::new(key))
    }

    /// The same for one that another keyring has too.
    pub(super) fn share(&mut self, facts: KeyFacts, key: Arc<IntakeKey>) -> Result<(), KeyringError> {
        facts.check()?;
        if self.0.iter().any(|(known, _)| known.term == facts.term) {
            return Err(KeyringError::Exists);
        }
        if facts.state == KeyState::Active && self.active().is_some() {
            return Err(KeyringError::TwoActive);
        }
        self.0.push((facts, key));
        Ok(())
    }

    /// The key of a term.
    pub(super) fn find(&self, term: u32) -> Option<&Arc<IntakeKey>> {
        self.0.iter().find(|(facts, _)| facts.term == term).map(|(_, key)| key)
    }

    pub(super) fn facts(&self) -> impl Iterator<Item = &KeyFacts> {
        self.0.iter().map(|(facts, _)| facts)
    }

    fn retire(&mut self) {
        for (known, _) in self.0.iter_mut().filter(|(known, _)| known.state == KeyState::Active) {
            known.state = KeyState::Retiring;
        }
    }

    fn active(&self) -> Option<&(KeyFacts, Arc<IntakeKey>)> {
        self.0.iter().find(|(facts, _)| facts.state == KeyState::Active)
    }
}

impl Keyring {
    /// With a new intake key. An active one is what clients seal to from now on, and the one before it retires: it only opens.
    /// A pending one opens what was sealed to it elsewhere.
    ///
    /// # Errors
    /// [`KeyringError::Exists`] for a term that is there; [`KeyringError::Facts`] for a key that retires.
    pub fn add_intake(&self, facts: KeyFacts, key: IntakeKey) -> Result<Self, KeyringError> {
        let mut next = self.clone();
        match facts.state {
            KeyState::Active => next.intake.retire(),
            KeyState::Pending => {}
            KeyState::Retiring | KeyState::Destroyed => return Err(KeyringError::Facts),
        }
        next.intake.take(facts, key)?;
        Ok(next)
    }

    /// Makes a pending intake key the one that clients seal to; the one before it retires.
    ///
    /// # Errors
    /// [`KeyringError::Missing`] pending term.
    pub fn activate_intake(&self, term: u32) -> Result<Self, KeyringError> {
        let mut next = self.clone();
        next.intake.retire();
        let pending = |(known, _): &&mut (KeyFacts, _)| known.term == term && known.state == KeyState::Pending;
        let (facts, _) = next.intake.0.iter_mut().find(pending).ok_or(KeyringError::Missing)?;
        facts.state = KeyState::Active;
        Ok(next)
    }

    /// Without an intake key whose time is over.
    ///
    /// # Errors
    /// [`KeyringError::Missing`]; [`KeyringError::Active`] for the one that clients seal to.
    pub fn remove_intake(&self, term: u32) -> Result<Self, KeyringError> {
        let place = self.intake.facts().position(|known| known.term == term).ok_or(KeyringError::Missing)?;
        if self.intake.0[place].0.state == KeyState::Active {
            return Err(KeyringError::Active);
        }
        let mut next = self.clone();
        next.intake.0.remove(place);
        Ok(next)
    }
}

impl Barrier {
    /// The intake key that clients seal to: what is known of it, and its public half. None while sealed.
    #[must_use]
    pub fn intake_key(&self) -> Option<(KeyFacts, [u8; PUBLIC_BYTES])> {
        let ring = self.ring().ok()?;
        let (facts, key) = ring.get().ok()?.intake.active()?;
        Some((*facts, *key.public_key()))
    }

    /// What is known of every intake key in memory.
    #[must_use]
    pub fn intake_keys(&self) -> Vec<KeyFacts> {
        let Ok(ring) = self.ring() else { return Vec::new() };
        ring.get().map_or_else(|_| Vec::new(), |ring| ring.intake.facts().copied().collect())
    }

    /// Opens a card that was sealed for whoever the Permit is for: a client session, or an identity that acts for a
    /// tenant. A key that was made before `made_since_ms` opens nothing, whether or not it has been destroyed yet.
    ///
    /// # Errors
    /// [`SealedCardError`].
    pub fn open_sealed_card(
        &self,
        permit: &Permit<Tokenize>,
        vault_id: Uuid,
        sealed: &SealedPart,
        made_since_ms: u64,
    ) -> Result<Unsealed, SealedCardError> {
        self.open_sealed(What::Card, permit, vault_id, sealed, made_since_ms)
    }

    /// Opens a CVC that was sealed for this stored card; otherwise as [`Barrier::open_sealed_card`].
    ///
    /// # Errors
    /// [`SealedCardError`].
    pub fn open_sealed_cvc(
        &self,
        permit: &Permit<Tokenize>,
        vault_id: Uuid,
        token: &Token,
        sealed: &SealedPart,
        made_since_ms: u64,
    ) -> Result<Unsealed, SealedCardError> {
        self.open_sealed(What::Cvc(token), permit, vault_id, sealed, made_since_ms)
    }

    fn open_sealed(
        &self,
        what: What<'_>,
        permit: &Permit<Tokenize>,
        vault_id: Uuid,
        sealed: &SealedPart,
        made_since_ms: u64,
    ) -> Result<Unsealed, SealedCardError> {
        let ring = self.unsealed()?;
        let is_it = |(facts, _): &&(KeyFacts, Arc<IntakeKey>)| {
            facts.term == sealed.key.term() && facts.created_ms >= made_since_ms
        };
        let (_, key) = ring.get()?.intake.0.iter().find(is_it).ok_or(SealedCardError::NoSuchKey)?;
        let from = match permit.who() {
            Principal::Session(claims) => Sender::Session(claims.id),
            Principal::Identity(_) | Principal::Vault => {
                Sender::Tenant(permit.tenant().ok_or(BarrierError::NoSuchTenant)?)
            }
        };
        let info = info(what, vault_id, &sealed.key.to_string(), from);
        key.open(&info, &sealed.enc, &sealed.ciphertext).map_err(|_| SealedCardError::Unauthentic)
    }
}

#[cfg(test)]
mod tests {
    use strongroom_keys::{Key, intake};
    use strongroom_wire::TenantId;
    use strongroom_wire::intake::IntakeKeyId;

    use super::super::rig::{NOW_MS, Rig, signer};
    use super::*;

    const VAULT: Uuid = Uuid::from_u128(9);

    fn key() -> IntakeKey {
        IntakeKey::new(&Key::generate().unwrap())
    }

    /// Sealed to the active key for an identity that acts for a tenant.
    fn seal(rig: &Rig, tenant: &str) -> SealedPart {
        seal_as(What::Card, rig, tenant)
    }

    fn seal_as(what: What<'_>, rig: &Rig, tenant: &str) -> SealedPart {
        let (facts, public) = rig.barrier.intake_key().unwrap();
        let tenant: TenantId = tenant.parse().unwrap();
        let key = IntakeKeyId::of(facts.term);
        let info = info(what, VAULT, &key.to_string(), Sender::Tenant(&tenant));
        let (enc, ciphertext) = intake::seal(&public, &info, b"a card").unwrap();
        SealedPart { key, enc, ciphertext }
    }

    fn rig() -> Rig {
        let rig = Rig::new(&["acme", "globex"]);
        rig.barrier.update(|ring| ring.add_intake(KeyFacts::fresh(1, NOW_MS), key())).unwrap();
        rig
    }

    fn open(rig: &Rig, tenant: &str, sealed: &SealedPart, since_ms: u64) -> Result<Vec<u8>, SealedCardError> {
        let permit = rig.permit(tenant);
        rig.barrier.open_sealed_card(&permit, VAULT, sealed, since_ms).map(|plaintext| plaintext.to_vec())
    }

    #[test]
    fn a_sealed_card_opens_for_its_own_tenant_alone() {
        let rig = rig();
        let sealed = seal(&rig, "acme");
        assert_eq!(open(&rig, "acme", &sealed, 0), Ok(b"a card".to_vec()));
        assert_eq!(open(&rig, "globex", &sealed, 0), Err(SealedCardError::Unauthentic));
        let permit = rig.permit("acme");
        let elsewhere = rig.barrier.open_sealed_card(&permit, Uuid::from_u128(8), &sealed, 0);
        assert_eq!(elsewhere.err(), Some(SealedCardError::Unauthentic));
    }

    #[test]
    fn a_sealed_cvc_opens_for_its_own_tenant_and_card_alone_and_never_as_a_card() {
        let rig = rig();
        let (token, other) = (Token::fresh(), Token::fresh());
        let open_cvc = |tenant: &str, token: &Token, sealed: &SealedPart| {
            let opened = rig.barrier.open_sealed_cvc(&rig.permit(tenant), VAULT, token, sealed, 0);
            opened.map(|plaintext| plaintext.to_vec())
        };
        let sealed = seal_as(What::Cvc(&token), &rig, "acme");
        assert_eq!(open_cvc("acme", &token, &sealed), Ok(b"a card".to_vec()));
        assert_eq!(open_cvc("acme", &other, &sealed), Err(SealedCardError::Unauthentic));
        assert_eq!(open_cvc("globex", &token, &sealed), Err(SealedCardError::Unauthentic));
        assert_eq!(open(&rig, "acme", &sealed, 0), Err(SealedCardError::Unauthentic));
        assert_eq!(open_cvc("acme", &token, &seal(&rig, "acme")), Err(SealedCardError::Unauthentic));
    }

    #[test]
    fn an_exchanged_key_opens_until_its_time_is_over_and_is_sealed_to_no_more() {
        let rig = rig();
        let sealed = seal(&rig, "acme");
        rig.barrier.update(|ring| ring.add_intake(KeyFacts::fresh(2, NOW_MS + 10), key())).unwrap();
        assert_eq!(rig.barrier.intake_key().unwrap().0.term, 2);
        assert!(open(&rig, "acme", &sealed, NOW_MS).is_ok());
        assert_eq!(open(&rig, "acme", &sealed, NOW_MS + 1), Err(SealedCardError::NoSuchKey));
        // Under the new key's name it is another card.
        let renamed = SealedPart { key: IntakeKeyId::of(2), enc: sealed.enc, ciphertext: sealed.ciphertext.clone() };
        assert_eq!(open(&rig, "acme", &renamed, 0), Err(SealedCardError::Unauthentic));
        rig.barrier.update(|ring| ring.remove_intake(1)).unwrap();
        assert_eq!(open(&rig, "acme", &sealed, 0), Err(SealedCardError::NoSuchKey));
        rig.barrier.seal_now();
        assert_eq!(open(&rig, "acme", &sealed, 0), Err(SealedCardError::Barrier(BarrierError::Sealed)));
        assert!(rig.barrier.intake_key().is_none() && rig.barrier.intake_keys().is_empty());
    }

    #[test]
    fn the_key_that_clients_seal_to_cannot_be_removed_and_no_term_comes_twice() {
        let ring = Keyring::new(KeyFacts::fresh(1, NOW_MS), signer());
        let ring = ring.add_intake(KeyFacts::fresh(1, NOW_MS), key()).unwrap();
        assert_eq!(ring.remove_intake(1).err(), Some(KeyringError::Active));
        assert_eq!(ring.remove_intake(2).err(), Some(KeyringError::Missing));
        assert_eq!(ring.add_intake(KeyFacts::fresh(1, NOW_MS), key()).err(), Some(KeyringError::Exists));
        let retiring = KeyFacts { state: KeyState::Retiring, ..KeyFacts::fresh(2, NOW_MS) };
        assert_eq!(ring.add_intake(retiring, key()).err(), Some(KeyringError::Facts));
        let mut two = ring.intake.clone();
        assert_eq!(two.take(KeyFacts::fresh(2, NOW_MS), key()), Err(KeyringError::TwoActive));
    }
}
