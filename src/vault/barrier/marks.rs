//! Keyed marks: fingerprints of card numbers, digests of requests, names of idempotency keys, bindings of rows. All are
//! HMACs under a key of the tenant, so none can be made or guessed from the store alone.
//!
//! While that key rotates two terms of it or more are known. What is new is made under the active one; whoever looks for
//! something made earlier, or by a request that began earlier, looks under all of them.

use strongroom_keys::mac::{self, Use, mac};
use strongroom_keys::{Key, Mac};
use strongroom_wire::TenantId;
use strongroom_wire::admin::KeyPurpose;

use super::{Barrier, BarrierError};
use crate::audit::Warrant;
use crate::card::Pan;
use crate::policy::{Fingerprint, Permit, Tokenize};

/// The fingerprints of one card number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fingerprints {
    /// Term of the active key.
    pub term: u32,
    /// Under the active key.
    pub active: [u8; 16],
    /// Under the other terms that are known.
    pub others: Vec<[u8; 16]>,
}

/// An idempotency key and its request under one term.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SlotMark {
    /// Which term.
    pub term: u32,
    /// The key's name in the store.
    pub name: [u8; 32],
    /// What stands for the request, to tell whether a repeated one is the same.
    pub digest: [u8; 32],
}

impl Barrier {
    /// `HMAC-SHA-256(tenant's fingerprint key, number)`, the first 16 bytes (PCI DSS 3.5.1.1), under every term that is
    /// known. The same number has the same fingerprint within a tenant and term, and no relation between tenants. It needs
    /// a Permit, because whoever may ask for fingerprints freely could search all numbers of a BIN.
    ///
    /// # Errors
    /// [`BarrierError::Sealed`], [`BarrierError::NoSuchTenant`], [`BarrierError::Expired`].
    pub fn fingerprints(&self, permit: &Permit<Tokenize>, pan: &Pan) -> Result<Fingerprints, BarrierError> {
        let ring = self.unsealed()?;
        let terms = ring.tenant(permit.tenant())?.fingerprint();
        let (facts, key) = terms.active();
        self.in_period(KeyPurpose::Fingerprint, facts)?;
        let others = terms.others().map(|(_, key)| fingerprint(key, pan)).collect();
        Ok(Fingerprints { term: facts.term, active: fingerprint(key, pan), others })
    }

    /// What stands for `what` under a key of the caller's own, within the Warrant's tenant. It is made under a key derived
    /// from the tenant's active fingerprint key and the caller's, so it is none of our fingerprints, and whoever knows the
    /// caller's key alone cannot make it. A new term of the fingerprint key makes it another one.
    ///
    /// # Errors
    /// [`BarrierError::Sealed`], [`BarrierError::NoSuchTenant`], [`BarrierError::Expired`].
    pub fn caller_fingerprint(
        &self,
        warrant: Warrant<Fingerprint>,
        caller_key: &[u8],
        what: &[u8],
    ) -> Result<[u8; 32], BarrierError> {
        let ring = self.unsealed()?;
        let (facts, key) = ring.tenant(warrant.tenant())?.fingerprint().active();
        self.in_period(KeyPurpose::Fingerprint, facts)?;
        Ok(mac::caller_fingerprint(key, caller_key, what))
    }

    /// The name of an idempotency key and the digest of its request under every term that is known, the active one first.
    ///
    /// # Errors
    /// [`BarrierError::Sealed`], [`BarrierError::NoSuchTenant`].
    pub fn slot_marks(
        &self,
        tenant: &TenantId,
        name: &[&[u8]],
        request: &[&[u8]],
    ) -> Result<Vec<SlotMark>, BarrierError> {
        let ring = self.unsealed()?;
        let terms = ring.tenant(Some(tenant))?.fingerprint();
        let made = |(facts, key): (&super::KeyFacts, &Key<Mac>)| SlotMark {
            term: facts.term,
            name: mark(key, tenant, Use::IdempotencyKey, name),
            digest: mark(key, tenant, Use::Body, request),
        };
        Ok(std::iter::once(terms.active()).chain(terms.others()).map(made).collect())
    }

    /// A mark over the columns of a row that no ciphertext binds, under the row's term; the tenant's name is always among
    /// them.
    ///
    /// # Errors
    /// [`BarrierError::Sealed`], [`BarrierError::NoSuchTenant`]; [`BarrierError::Unauthentic`] for a term that is not known.
    pub fn binding(&self, tenant: &TenantId, term: u32, parts: &[&[u8]]) -> Result<[u8; 16], BarrierError> {
        let ring = self.unsealed()?;
        let key = ring.tenant(Some(tenant))?.fingerprint().key(term)?;
        Ok(half(mark(key, tenant, Use::Binding, parts)))
    }
}

/// The fingerprint of a number under one key.
pub(super) fn fingerprint(key: &Key<Mac>, pan: &Pan) -> [u8; 16] {
    half(mac(key, Use::Fingerprint, &[pan.digits().as_bytes()]))
}

fn mark(key: &Key<Mac>, tenant: &TenantId, of: Use, parts: &[&[u8]]) -> [u8; 32] {
    let mut all = Vec::with_capacity(parts.len() + 1);
    all.push(tenant.as_str().as_bytes());
    all.extend_from_slice(parts);
    mac(key, of, &all)
}

/// The first half of a MAC: 128 bits.
fn half(whole: [u8; 32]) -> [u8; 16] {
    let mut half = [0; 16];
    half.copy_from_slice(&whole[..16]);
    half
}

#[cfg(test)]
mod tests {
    use strongroom_wire::admin::KeyState;

    use super::super::rig::{Rig, mac_term};
    use super::*;

    fn pan(number: &str) -> Pan {
        Pan::parse(number).ok().unwrap()
    }

    #[test]
    fn one_number_has_one_fingerprint_in_a_tenant_and_another_elsewhere() {
        let rig = Rig::new(&["acme", "globex"]);
        let of = |tenant, number| rig.barrier.fingerprints(&rig.permit(tenant), &pan(number)).unwrap().active;
        assert_eq!(of("acme", "4242424242424242"), of("acme", "4242 4242 4242 4242"));
        assert_ne!(of("acme", "4242424242424242"), of("acme", "5555555555554444"));
        assert_ne!(of("acme", "4242424242424242"), of("globex", "4242424242424242"));
    }

    #[test]
    fn each_use_tenant_and_division_has_its_own_mark() {
        let rig = Rig::new(&["acme", "globex"]);
        let (acme, globex) = ("acme".parse().unwrap(), "globex".parse().unwrap());
        let parts: &[&[u8]] = &[b"ab", b"c"];
        let one = |tenant, parts: &[&[u8]]| rig.barrier.slot_marks(tenant, parts, parts).unwrap().remove(0);
        let mark = one(&acme, parts);
        assert_eq!(mark, one(&acme, parts));
        assert_ne!(mark.name, one(&acme, &[b"a", b"bc"]).name);
        assert_ne!(mark.name, one(&globex, parts).name);
        assert_ne!(mark.name, mark.digest);
        assert_ne!(mark.name[..16], rig.barrier.binding(&acme, 1, parts).unwrap());
    }

    #[test]
    fn a_tenant_without_keys_and_a_term_that_is_not_known_have_no_marks() {
        let rig = Rig::new(&["acme"]);
        assert_eq!(rig.barrier.binding(&"other".parse().unwrap(), 1, &[]), Err(BarrierError::NoSuchTenant));
        assert_eq!(rig.barrier.binding(&"acme".parse().unwrap(), 2, &[]), Err(BarrierError::Unauthentic));
    }

    /// A request that began before the new term was active and one that began after find what the other made.
    #[test]
    fn requests_on_both_sides_of_a_new_term_know_each_other_s_marks() {
        let rig = Rig::new(&["acme"]);
        let acme: TenantId = "acme".parse().unwrap();
        let permit = rig.permit("acme");
        let number = pan("4242424242424242");
        let see = || {
            let marks = rig.barrier.slot_marks(&acme, &[b"key"], &[b"body"]).unwrap();
            (rig.barrier.fingerprints(&permit, &number).unwrap(), marks)
        };
        let (alone, _) = see();
        assert!(alone.others.is_empty());
        let pending = mac_term(2, KeyState::Pending);
        rig.barrier.update(|ring| ring.add_mac_term(&acme, KeyPurpose::Fingerprint, pending)).unwrap();
        let (before, slot_before) = see();
        rig.barrier.update(|ring| ring.activate_mac_term(&acme, KeyPurpose::Fingerprint, 2)).unwrap();
        let (after, slot_after) = see();
        assert_eq!((before.term, after.term), (1, 2));
        assert_eq!(before.active, alone.active);
        assert_eq!((&before.others, &after.others), (&vec![after.active], &vec![before.active]));
        assert_eq!((slot_before[0].term, slot_after[0].term), (1, 2));
        assert_eq!((&slot_before[0], &slot_before[1]), (&slot_after[1], &slot_after[0]));
    }
}
