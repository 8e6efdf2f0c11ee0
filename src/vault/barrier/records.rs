//! Records that are no cards: kept answers, metadata, secrets; and the rewrap of any record under a new term.

use strongroom_keys::context::Purpose;
use strongroom_keys::{Context, Envelope, Unsealed};
use strongroom_wire::admin::KeyPurpose;
use strongroom_wire::{SecretId, TenantId, Token};

use super::{Barrier, BarrierError};
use crate::audit::Warrant;
use crate::policy::{RevealSecret, Rotate, WriteSecret};

impl Barrier {
    /// Seals an answer that is kept for an idempotency key. Answers hold masked cards only.
    ///
    /// # Errors
    /// [`BarrierError`].
    pub fn seal_answer(&self, tenant: &TenantId, name: &[u8; 32], answer: &[u8]) -> Result<Envelope, BarrierError> {
        self.seal_record(Some(tenant), name, Purpose::Answer, answer)
    }

    /// Opens a kept answer.
    ///
    /// # Errors
    /// [`BarrierError`].
    pub fn open_answer(
        &self,
        tenant: &TenantId,
        name: &[u8; 32],
        envelope: &Envelope,
    ) -> Result<Unsealed, BarrierError> {
        self.open_record(Some(tenant), name, Purpose::Answer, envelope)
    }

    /// Seals the caller's notes about a card.
    ///
    /// # Errors
    /// [`BarrierError`].
    pub fn seal_metadata(&self, tenant: &TenantId, token: &Token, json: &[u8]) -> Result<Envelope, BarrierError> {
        self.seal_record(Some(tenant), token.uuid().as_bytes(), Purpose::Metadata, json)
    }

    /// Opens the caller's notes about a card.
    ///
    /// # Errors
    /// [`BarrierError`].
    pub fn open_metadata(
        &self,
        tenant: &TenantId,
        token: &Token,
        envelope: &Envelope,
    ) -> Result<Unsealed, BarrierError> {
        self.open_record(Some(tenant), token.uuid().as_bytes(), Purpose::Metadata, envelope)
    }

    /// Seals a secret, for the tenant and id of the Warrant.
    ///
    /// # Errors
    /// [`BarrierError`]; [`BarrierError::Unauthentic`] if the Warrant names no secret.
    pub fn seal_secret(&self, warrant: Warrant<WriteSecret>, value: &[u8]) -> Result<Envelope, BarrierError> {
        let id = named(warrant.secret())?;
        self.seal_record(warrant.tenant(), id.uuid().as_bytes(), Purpose::Secret, value)
    }

    /// Opens the secret that the Warrant names.
    ///
    /// # Errors
    /// [`BarrierError::Unauthentic`] for the envelope of any other secret or tenant.
    pub fn open_secret(&self, warrant: Warrant<RevealSecret>, envelope: &Envelope) -> Result<Unsealed, BarrierError> {
        let id = named(warrant.secret())?;
        self.open_record(warrant.tenant(), id.uuid().as_bytes(), Purpose::Secret, envelope)
    }

    /// The same record of the Warrant's tenant with its Dek under the active term. What the Dek seals is neither opened
    /// nor changed. A record that is on the active term already stays as it is.
    ///
    /// `record` and `purpose` say which record it is: the 16 bytes of a token for a card or metadata, those of an id for
    /// a secret, the 32 bytes of a name for an answer.
    ///
    /// # Errors
    /// [`BarrierError::Unauthentic`] if the Dek is not this record's.
    pub fn rewrap(
        &self,
        warrant: &Warrant<Rotate>,
        record: &[u8],
        purpose: Purpose,
        envelope: &Envelope,
    ) -> Result<Envelope, BarrierError> {
        let ring = self.unsealed()?;
        let keys = ring.tenant(warrant.tenant())?;
        let new = keys.active();
        if envelope.term() == new.facts().term {
            return Ok(envelope.clone());
        }
        let old = keys.kek(envelope.term())?;
        self.in_period(KeyPurpose::Kek, new.facts())?;
        new.wraps().take()?;
        let place = Context { tenant: tenant_of(warrant.tenant())?, record, purpose };
        Ok(envelope.rewrap(old.cipher(), new.cipher(), new.facts().term, &place)?)
    }

    fn seal_record(
        &self,
        tenant: Option<&TenantId>,
        record: &[u8],
        purpose: Purpose,
        plaintext: &[u8],
    ) -> Result<Envelope, BarrierError> {
        let ring = self.unsealed()?;
        let kek = ring.tenant(tenant)?.active();
        self.in_period(KeyPurpose::Kek, kek.facts())?;
        kek.wraps().take()?;
        let place = Context { tenant: tenant_of(tenant)?, record, purpose };
        Ok(Envelope::seal(kek.cipher(), kek.facts().term, &place, NO_GLANCE, plaintext)?)
    }

    pub(super) fn open_record(
        &self,
        tenant: Option<&TenantId>,
        record: &[u8],
        purpose: Purpose,
        envelope: &Envelope,
    ) -> Result<Unsealed, BarrierError> {
        let ring = self.unsealed()?;
        let kek = ring.tenant(tenant)?.kek(envelope.term())?;
        Ok(envelope.open(kek.cipher(), &Context { tenant: tenant_of(tenant)?, record, purpose })?)
    }
}

fn tenant_of(tenant: Option<&TenantId>) -> Result<&str, BarrierError> {
    tenant.map(TenantId::as_str).ok_or(BarrierError::NoSuchTenant)
}

fn named(id: Option<SecretId>) -> Result<SecretId, BarrierError> {
    id.ok_or(BarrierError::Unauthentic)
}

/// Only cards have a part that may be shown by itself.
const NO_GLANCE: &[u8] = &[];

#[cfg(test)]
mod tests {
    use strongroom_keys::envelope::RECORD_MAX;

    use super::super::rig::{Rig, keks, visa};
    use super::*;
    use crate::policy::Reveal;

    #[test]
    fn each_kind_of_record_opens_in_its_own_place_alone() {
        let rig = Rig::new(&["acme", "globex"]);
        let barrier = &rig.barrier;
        let (acme, globex) = ("acme".parse().unwrap(), "globex".parse().unwrap());
        let (token, other) = (Token::fresh(), Token::fresh());
        let notes = barrier.seal_metadata(&acme, &token, b"{}").unwrap();
        assert_eq!(barrier.open_metadata(&acme, &token, &notes).unwrap().as_slice(), b"{}");
        assert_eq!(barrier.open_metadata(&acme, &other, &notes).err(), Some(BarrierError::Unauthentic));
        assert_eq!(barrier.open_metadata(&globex, &token, &notes).err(), Some(BarrierError::Unauthentic));
        let answer = barrier.seal_answer(&acme, &[7; 32], b"answer").unwrap();
        assert_eq!(barrier.open_answer(&acme, &[7; 32], &answer).unwrap().as_slice(), b"answer");
        assert_eq!(barrier.open_answer(&acme, &[8; 32], &answer).err(), Some(BarrierError::Unauthentic));
        let mut token_twice = [0; 32];
        token_twice[..16].copy_from_slice(token.uuid().as_bytes());
        assert!(barrier.open_answer(&acme, &token_twice, &notes).is_err());
    }

    #[test]
    fn a_secret_opens_for_its_own_warrant_alone() {
        let rig = Rig::new(&["acme", "globex"]);
        let (warrant, id) = rig.write_secret("acme");
        let sealed = rig.barrier.seal_secret(warrant, b"sk_test").unwrap();
        let open = |tenant, id| rig.barrier.open_secret(rig.reveal_secret(tenant, id), &sealed);
        assert_eq!(open("acme", id).unwrap().as_slice(), b"sk_test");
        assert_eq!(open("acme", SecretId::fresh()).err(), Some(BarrierError::Unauthentic));
        assert_eq!(open("globex", id).err(), Some(BarrierError::Unauthentic));
    }

    #[test]
    fn metadata_is_no_card_and_a_card_no_metadata() {
        let rig = Rig::new(&["acme"]);
        let acme = "acme".parse().unwrap();
        let (warrant, token) = rig.tokenize("acme");
        let card = rig.barrier.seal(warrant, &visa()).unwrap();
        assert!(rig.barrier.open_metadata(&acme, &token, &card).is_err());
        let notes = rig.barrier.seal_metadata(&acme, &token, b"{}").unwrap();
        assert!(rig.barrier.open(rig.on::<Reveal>("acme", token), &notes, |_| ()).is_err());
    }

    #[test]
    fn too_long_is_refused() {
        let rig = Rig::new(&["acme"]);
        let long = vec![0; RECORD_MAX + 1];
        let refused = rig.barrier.seal_metadata(&"acme".parse().unwrap(), &Token::fresh(), &long).err();
        assert_eq!(refused, Some(BarrierError::TooLong));
    }

    #[test]
    fn rewrapped_a_card_opens_under_the_new_term_and_after_the_old_one_is_gone() {
        let rig = Rig::new(&["acme"]);
        let acme: TenantId = "acme".parse().unwrap();
        let (warrant, token) = rig.tokenize("acme");
        let before = rig.barrier.seal(warrant, &visa()).unwrap();
        rig.barrier.update(|ring| ring.add_term(&acme, keks(2))).unwrap();
        let rotate = rig.rotate("acme");
        let record = token.uuid();
        let rewrap = |e: &Envelope| rig.barrier.rewrap(&rotate, record.as_bytes(), Purpose::Card, e);
        assert_eq!(rewrap(&before).err(), Some(BarrierError::WrapsSpent));
        rig.barrier.grant_wraps(&acme, 2, 100);
        let after = rewrap(&before).unwrap();
        assert_eq!((before.term(), after.term()), (1, 2));
        assert!(rewrap(&after).unwrap() == after);
        assert_eq!(rig.barrier.wraps_left(&acme), 99);
        rig.barrier.update(|ring| ring.remove_term(&acme, 1)).unwrap();
        let digits = |e: &Envelope| {
            rig.barrier.open(rig.on::<Reveal>("acme", token), e, |card| card.pan.digits().as_str().to_owned())
        };
        assert_eq!(digits(&after).unwrap(), "4242424242424242");
        assert_eq!(digits(&before).err(), Some(BarrierError::Unauthentic));
    }

    #[test]
    fn a_rewrap_never_decrypts_the_record() {
        let rig = Rig::new(&["acme"]);
        let acme: TenantId = "acme".parse().unwrap();
        let (warrant, token) = rig.tokenize("acme");
        // Whoever decrypted this record would notice that its last byte was changed.
        let mut bytes = rig.barrier.seal(warrant, &visa()).unwrap().as_bytes().to_vec();
        *bytes.last_mut().unwrap() ^= 1;
        let changed = Envelope::parse(&bytes).unwrap();
        rig.barrier.update(|ring| ring.add_term(&acme, keks(2))).unwrap();
        rig.barrier.grant_wraps(&acme, 2, 1);
        let rotate = rig.rotate("acme");
        let after = rig.barrier.rewrap(&rotate, token.uuid().as_bytes(), Purpose::Card, &changed).unwrap();
        assert_eq!(after.term(), 2);
        assert!(rig.barrier.open(rig.on::<Reveal>("acme", token), &after, |_| ()).is_err());
    }

    #[test]
    fn a_rewrap_for_another_record_tenant_or_purpose_is_refused() {
        let rig = Rig::new(&["acme", "globex"]);
        let acme: TenantId = "acme".parse().unwrap();
        let (warrant, token) = rig.tokenize("acme");
        let sealed = rig.barrier.seal(warrant, &visa()).unwrap();
        for tenant in ["acme", "globex"] {
            let tenant: TenantId = tenant.parse().unwrap();
            rig.barrier.update(|ring| ring.add_term(&tenant, keks(2))).unwrap();
            rig.barrier.grant_wraps(&tenant, 2, 10);
        }
        let id = *token.uuid().as_bytes();
        for (tenant, record, purpose) in [
            ("globex", id, Purpose::Card),
            ("acme", *Token::fresh().uuid().as_bytes(), Purpose::Card),
            ("acme", id, Purpose::Metadata),
        ] {
            let refused = rig.barrier.rewrap(&rig.rotate(tenant), &record, purpose, &sealed);
            assert_eq!(refused.err(), Some(BarrierError::Unauthentic));
        }
        assert!(rig.barrier.rewrap(&rig.rotate("acme"), &id, Purpose::Card, &sealed).is_ok());
        assert_eq!(rig.barrier.active_term(&acme), Some(2));
    }
}
