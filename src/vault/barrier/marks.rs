//! Keyed marks: fingerprints of card numbers, digests of requests, names of idempotency keys, bindings of rows. All are
//! HMACs under a key of the tenant, so none can be made or guessed from the store alone.

use strongroom_keys::mac::{Use, mac};
use strongroom_wire::TenantId;

use super::{Barrier, BarrierError};
use crate::card::Pan;
use crate::policy::{Permit, Tokenize};

impl Barrier {
    /// `HMAC-SHA-256(tenant's fingerprint key, number)`, the first 16 bytes (PCI DSS 3.5.1.1). The same number has the
    /// same fingerprint within a tenant and no relation between tenants. It needs a Permit, because whoever may ask for
    /// fingerprints freely could search all numbers of a BIN.
    ///
    /// # Errors
    /// [`BarrierError::Sealed`], [`BarrierError::NoSuchTenant`].
    pub fn fingerprint(&self, permit: &Permit<Tokenize>, pan: &Pan) -> Result<[u8; 16], BarrierError> {
        let ring = self.unsealed()?;
        let keys = ring.tenant(permit.tenant())?;
        Ok(half(mac(keys.fingerprint(), Use::Fingerprint, &[pan.digits().as_bytes()])))
    }

    /// What stands for a request beside its idempotency key, to tell whether a repeated one is the same.
    ///
    /// # Errors
    /// [`BarrierError::Sealed`], [`BarrierError::NoSuchTenant`].
    pub fn body_digest(&self, tenant: &TenantId, parts: &[&[u8]]) -> Result<[u8; 32], BarrierError> {
        self.mark(tenant, Use::Body, parts)
    }

    /// The name of an idempotency key in the store.
    ///
    /// # Errors
    /// [`BarrierError::Sealed`], [`BarrierError::NoSuchTenant`].
    pub fn idempotency_name(&self, tenant: &TenantId, parts: &[&[u8]]) -> Result<[u8; 32], BarrierError> {
        self.mark(tenant, Use::IdempotencyKey, parts)
    }

    /// A mark over the columns of a row that no ciphertext binds; the tenant's name is always among them.
    ///
    /// # Errors
    /// [`BarrierError::Sealed`], [`BarrierError::NoSuchTenant`].
    pub fn binding(&self, tenant: &TenantId, parts: &[&[u8]]) -> Result<[u8; 16], BarrierError> {
        self.mark(tenant, Use::Binding, parts).map(half)
    }

    fn mark(&self, tenant: &TenantId, of: Use, parts: &[&[u8]]) -> Result<[u8; 32], BarrierError> {
        let ring = self.unsealed()?;
        let keys = ring.tenant(Some(tenant))?;
        let mut all = Vec::with_capacity(parts.len() + 1);
        all.push(tenant.as_str().as_bytes());
        all.extend_from_slice(parts);
        Ok(mac(keys.fingerprint(), of, &all))
    }
}

/// The first half of a MAC: 128 bits.
fn half(whole: [u8; 32]) -> [u8; 16] {
    let mut half = [0; 16];
    half.copy_from_slice(&whole[..16]);
    half
}

#[cfg(test)]
mod tests {
    use super::super::rig::Rig;
    use super::*;

    fn pan(number: &str) -> Pan {
        Pan::parse(number).ok().unwrap()
    }

    #[test]
    fn one_number_has_one_fingerprint_in_a_tenant_and_another_elsewhere() {
        let rig = Rig::new(&["acme", "globex"]);
        let of = |tenant, number| rig.barrier.fingerprint(&rig.permit(tenant), &pan(number)).unwrap();
        assert_eq!(of("acme", "4242424242424242"), of("acme", "4242 4242 4242 4242"));
        assert_ne!(of("acme", "4242424242424242"), of("acme", "5555555555554444"));
        assert_ne!(of("acme", "4242424242424242"), of("globex", "4242424242424242"));
    }

    #[test]
    fn each_use_tenant_and_division_has_its_own_mark() {
        let rig = Rig::new(&["acme", "globex"]);
        let (acme, globex) = ("acme".parse().unwrap(), "globex".parse().unwrap());
        let barrier = &rig.barrier;
        let name = barrier.idempotency_name(&acme, &[b"ab", b"c"]).unwrap();
        assert_eq!(name, barrier.idempotency_name(&acme, &[b"ab", b"c"]).unwrap());
        assert_ne!(name, barrier.idempotency_name(&acme, &[b"a", b"bc"]).unwrap());
        assert_ne!(name, barrier.idempotency_name(&globex, &[b"ab", b"c"]).unwrap());
        assert_ne!(name, barrier.body_digest(&acme, &[b"ab", b"c"]).unwrap());
        assert_ne!(name[..16], barrier.binding(&acme, &[b"ab", b"c"]).unwrap());
    }

    #[test]
    fn a_tenant_without_keys_has_no_marks() {
        let rig = Rig::new(&["acme"]);
        assert_eq!(rig.barrier.binding(&"other".parse().unwrap(), &[]), Err(BarrierError::NoSuchTenant));
    }
}
