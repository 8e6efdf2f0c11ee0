//! HMAC-SHA-256 (RFC 2104) with the use spelled out in front, so that one use never yields another's value.

use hmac::{Hmac, KeyInit, Mac as _};
use sha2::Sha256;
use subtle::ConstantTimeEq;

use crate::key::{Key, Mac};
use crate::stack::wiped;

/// What a MAC is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Use {
    /// A card number: its fingerprint (PCI DSS 3.5.1.1).
    Fingerprint,
    /// A request body: whether a repeated idempotency key comes with the same body.
    Body,
    /// An idempotency key: its name in the store.
    IdempotencyKey,
    /// A client session.
    Session,
    /// The part of a client session that may stand in an address: for which pages the vault's card fields are.
    Frame,
    /// The columns of a stored row that no ciphertext binds.
    Binding,
    /// A caller's own fingerprint key: the key that stands for it in here.
    CallerKey,
    /// What a caller wants a fingerprint of under its own key.
    CallerFingerprint,
}

/// `HMAC-SHA-256(key, len(label) || label || len(part) || part ...)`, lengths as 4 bytes big-endian, where the label is
/// `strongroom/fingerprint/1` and the like.
#[must_use]
pub fn mac(key: &Key<Mac>, for_use: Use, parts: &[&[u8]]) -> [u8; 32] {
    let label: &[u8] = match for_use {
        Use::Fingerprint => b"strongroom/fingerprint/1",
        Use::Body => b"strongroom/body/1",
        Use::IdempotencyKey => b"strongroom/idempotency-key/1",
        Use::Session => b"strongroom/session/2",
        Use::Frame => b"strongroom/frame/1",
        Use::Binding => b"strongroom/binding/1",
        Use::CallerKey => b"strongroom/caller-key/1",
        Use::CallerFingerprint => b"strongroom/caller-fingerprint/1",
    };
    // HMAC moves its state while it works, with up to a block of the message in it, and a card number is shorter.
    wiped(|| compute(key, label, parts))
}

fn compute(key: &Key<Mac>, label: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    let mut hmac = Hmac::<Sha256>::new_from_slice(key.bytes()).expect("HMAC takes keys of any length");
    // A part's length always fits 4 bytes under the limits of `wire`.
    for part in std::iter::once(&label).chain(parts) {
        hmac.update(&u32::try_from(part.len()).unwrap_or(u32::MAX).to_be_bytes());
        hmac.update(part);
    }
    hmac.finalize().into_bytes().into()
}

/// `mac(derived, CallerFingerprint, what)`, where `derived = mac(key, CallerKey, caller_key)`: it cannot be made without our
/// key nor without the caller's.
#[must_use]
pub fn caller_fingerprint(key: &Key<Mac>, caller_key: &[u8], what: &[u8]) -> [u8; 32] {
    let derived = Key::<Mac>::init_with(|bytes| *bytes = mac(key, Use::CallerKey, &[caller_key]));
    mac(&derived, Use::CallerFingerprint, &[what])
}

/// Whether a MAC is right, in time that does not depend on where it differs.
#[must_use]
pub fn verify(key: &Key<Mac>, for_use: Use, parts: &[&[u8]], claimed: &[u8]) -> bool {
    mac(key, for_use, parts).as_slice().ct_eq(claimed).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_use_and_each_division_has_its_own_value() {
        let key = Key::generate().unwrap();
        let one = mac(&key, Use::Fingerprint, &[b"ab", b"c"]);
        assert_ne!(one, mac(&key, Use::Body, &[b"ab", b"c"]));
        assert_ne!(one, mac(&key, Use::Fingerprint, &[b"a", b"bc"]));
        assert_ne!(one, mac(&Key::generate().unwrap(), Use::Fingerprint, &[b"ab", b"c"]));
        assert!(verify(&key, Use::Fingerprint, &[b"ab", b"c"], &one));
        assert!(!verify(&key, Use::Fingerprint, &[b"ab", b"c"], &one[..31]));
    }
    #[test]
    fn a_callers_fingerprint_needs_our_key_and_the_callers() {
        let (ours, other) = (Key::generate().unwrap(), Key::generate().unwrap());
        let one = caller_fingerprint(&ours, b"key of the caller", b"4242424242424242");
        assert_eq!(one, caller_fingerprint(&ours, b"key of the caller", b"4242424242424242"));
        assert_ne!(one, caller_fingerprint(&other, b"key of the caller", b"4242424242424242"));
        assert_ne!(one, caller_fingerprint(&ours, b"key of another", b"4242424242424242"));
        assert_ne!(one, caller_fingerprint(&ours, b"key of the caller", b"5555555555554444"));
        assert_ne!(one, mac(&ours, Use::Fingerprint, &[b"4242424242424242"]));
    }
}
