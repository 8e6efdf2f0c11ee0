//! `Envelope`: a record under a fresh Dek, the Dek under the tenant's Kek, version and term in front.
//!
//! ```text
//! version u8 = 1 | term u32 BE | Dek under the Kek: nonce 12, ciphertext 32, tag 16
//! | glance length u8 | glance ciphertext, tag 16 | record ciphertext, tag 16
//! ```
//!
//! A Dek seals exactly two messages, the glance under nonce 0 and the record under nonce 1, and is never used again: any
//! change of either makes a new envelope with a new Dek. That is why those two need no random nonce. The glance is what
//! may be shown masked, so that a masked view never decrypts the record.

use crate::Unauthentic;
use crate::aead::{Cipher, NONCE, TAG, Unsealed, WRAPPED_KEY};
use crate::context::{Context, Part};
use crate::key::{Dek, Kek, Key, NoRandomness};
use crate::stack::wiped;

/// A sealed record as it is stored. The bytes have the right form; whether they are authentic shows when they are
/// opened.
#[derive(Clone, PartialEq, Eq)]
pub struct Envelope(Box<[u8]>);

/// Why bytes are not an envelope.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("these bytes are not an envelope of version 1")]
pub struct BadEnvelope;

impl Envelope {
    /// Reads stored bytes, strictly.
    ///
    /// # Errors
    /// [`BadEnvelope`] for another version, term 0, or a length that cannot be.
    pub fn parse(bytes: &[u8]) -> Result<Self, BadEnvelope> {
        if bytes.len() < SHORTEST || bytes.len() > LONGEST || bytes[0] != VERSION {
            return Err(BadEnvelope);
        }
        let envelope = Self(bytes.into());
        if envelope.term() == 0 || bytes.len() < SHORTEST + envelope.glance_length() {
            return Err(BadEnvelope);
        }
        Ok(envelope)
    }

    /// The Kek's term that the Dek is wrapped under.
    #[must_use]
    pub fn term(&self) -> u32 {
        self.0[1..HEAD].try_into().map_or(0, u32::from_be_bytes)
    }

    /// The bytes to store.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Seals a record and its glance under a fresh Dek.
    ///
    /// # Errors
    /// [`SealError`] if there is no randomness, or the glance (over 255 bytes) or record (over 72 KiB) is too long.
    pub fn seal(
        kek: &Cipher<Kek>,
        term: u32,
        context: &Context<'_>,
        glance: &[u8],
        record: &[u8],
    ) -> Result<Self, SealError> {
        let glance_length = u8::try_from(glance.len()).map_err(|_| SealError::TooLong)?;
        if record.len() > RECORD_MAX || term == 0 {
            return Err(SealError::TooLong);
        }
        wiped(|| {
            let dek = Key::<Dek>::generate()?;
            let mut out = Vec::with_capacity(SHORTEST + glance.len() + record.len());
            out.push(VERSION);
            out.extend_from_slice(&term.to_be_bytes());
            out.extend_from_slice(&kek.wrap(context, term, &dek)?);
            out.push(glance_length);
            let cipher = Cipher::new(&dek);
            cipher.append(&mut out, &GLANCE_NONCE, &context.associated_data(Part::Glance, 0), glance);
            cipher.append(&mut out, &RECORD_NONCE, &context.associated_data(Part::Record, 0), record);
            Ok(Self(out.into()))
        })
    }

    /// The record.
    ///
    /// # Errors
    /// [`Unauthentic`] under another Kek, term or context, or after any change.
    pub fn open(&self, kek: &Cipher<Kek>, context: &Context<'_>) -> Result<Unsealed, Unauthentic> {
        let record = &self.0[GLANCE + self.glance_length() + TAG..];
        wiped(|| self.dek(kek, context)?.open_with(&RECORD_NONCE, &context.associated_data(Part::Record, 0), record))
    }

    /// The glance; the record stays closed.
    ///
    /// # Errors
    /// [`Unauthentic`] under another Kek, term or context, or after any change of the glance.
    pub fn open_glance(&self, kek: &Cipher<Kek>, context: &Context<'_>) -> Result<Unsealed, Unauthentic> {
        let glance = &self.0[GLANCE..GLANCE + self.glance_length() + TAG];
        wiped(|| self.dek(kek, context)?.open_with(&GLANCE_NONCE, &context.associated_data(Part::Glance, 0), glance))
    }

    /// The same record with its Dek under another term's Kek. Neither glance nor record is decrypted.
    ///
    /// # Errors
    /// [`RewrapError`] if the Dek does not open, or there is no randomness.
    pub fn rewrap(
        &self,
        old: &Cipher<Kek>,
        new: &Cipher<Kek>,
        new_term: u32,
        context: &Context<'_>,
    ) -> Result<Self, RewrapError> {
        wiped(|| {
            let dek: Key<Dek> = old.unwrap_key(context, self.term(), &self.0[HEAD..HEAD + WRAPPED_KEY])?;
            let mut out = Vec::with_capacity(self.0.len());
            out.push(VERSION);
            out.extend_from_slice(&new_term.to_be_bytes());
            out.extend_from_slice(&new.wrap(context, new_term, &dek)?);
            out.extend_from_slice(&self.0[HEAD + WRAPPED_KEY..]);
            Ok(Self(out.into()))
        })
    }

    fn dek(&self, kek: &Cipher<Kek>, context: &Context<'_>) -> Result<Cipher<Dek>, Unauthentic> {
        Ok(Cipher::new(&kek.unwrap_key(context, self.term(), &self.0[HEAD..HEAD + WRAPPED_KEY])?))
    }

    fn glance_length(&self) -> usize {
        usize::from(self.0[GLANCE - 1])
    }
}

/// Why a record could not be sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// See [`NoRandomness`].
    #[error(transparent)]
    NoRandomness(#[from] NoRandomness),
    /// The record or its glance is longer than the envelope holds.
    #[error("the record is too long for an envelope")]
    TooLong,
}

/// Why a record could not be rewrapped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RewrapError {
    /// See [`NoRandomness`].
    #[error(transparent)]
    NoRandomness(#[from] NoRandomness),
    /// See [`Unauthentic`].
    #[error(transparent)]
    Unauthentic(#[from] Unauthentic),
}

const VERSION: u8 = 1;
const HEAD: usize = 5;
const GLANCE: usize = HEAD + WRAPPED_KEY + 1;
const SHORTEST: usize = GLANCE + 2 * TAG;
/// Longest record, in bytes.
pub const RECORD_MAX: usize = 72 * 1024;
const LONGEST: usize = SHORTEST + 255 + RECORD_MAX;
const GLANCE_NONCE: [u8; NONCE] = [0; NONCE];
const RECORD_NONCE: [u8; NONCE] = {
    let mut nonce = [0; NONCE];
    nonce[NONCE - 1] = 1;
    nonce
};

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::context::Purpose;

    fn kek() -> Cipher<Kek> {
        Cipher::new(&Key::generate().unwrap())
    }

    fn place<'a>(tenant: &'a str, record: &'a [u8]) -> Context<'a> {
        Context { tenant, record, purpose: Purpose::Card }
    }

    proptest! {
        #[test]
        fn a_record_comes_back_as_it_went_in(
            glance in prop::collection::vec(any::<u8>(), 0..=255),
            record in prop::collection::vec(any::<u8>(), 0..600),
            term in 1u32..,
        ) {
            let kek = kek();
            let at = place("acme", b"0123456789abcdef");
            let sealed = Envelope::seal(&kek, term, &at, &glance, &record).unwrap();
            let read = Envelope::parse(sealed.as_bytes()).unwrap();
            prop_assert_eq!(read.term(), term);
            prop_assert!(*read.open(&kek, &at).unwrap() == record);
            prop_assert!(*read.open_glance(&kek, &at).unwrap() == glance);
        }

        #[test]
        fn any_changed_byte_is_noticed(at_byte in any::<prop::sample::Index>(), flip in 1u8..) {
            let kek = kek();
            let at = place("acme", b"0123456789abcdef");
            let mut bytes = Envelope::seal(&kek, 7, &at, b"glance", b"record").unwrap().as_bytes().to_vec();
            let index = at_byte.index(bytes.len());
            bytes[index] ^= flip;
            if let Ok(changed) = Envelope::parse(&bytes) {
                let record = changed.open(&kek, &at);
                let glance = changed.open_glance(&kek, &at);
                prop_assert!(record.is_err() || glance.is_err());
            }
        }
    }

    #[test]
    fn moved_to_another_token_tenant_term_or_kek_it_stays_closed() {
        let (kek, other) = (kek(), kek());
        let sealed = Envelope::seal(&kek, 1, &place("acme", b"one"), b"g", b"r").unwrap();
        assert!(sealed.open(&kek, &place("acme", b"two")).is_err());
        assert!(sealed.open(&kek, &place("other", b"one")).is_err());
        assert!(sealed.open(&other, &place("acme", b"one")).is_err());
        let secret = Context { tenant: "acme", record: b"one", purpose: Purpose::Secret };
        assert!(sealed.open(&kek, &secret).is_err());
        let mut relabelled = sealed.as_bytes().to_vec();
        relabelled[4] = 2;
        assert!(Envelope::parse(&relabelled).unwrap().open(&kek, &place("acme", b"one")).is_err());
    }

    #[test]
    fn a_dek_of_one_record_under_the_body_of_another_stays_closed() {
        let kek = kek();
        let one = Envelope::seal(&kek, 1, &place("acme", b"one"), b"g", b"first").unwrap();
        let two = Envelope::seal(&kek, 1, &place("acme", b"two"), b"g", b"other").unwrap();
        let mixed = [&one.as_bytes()[..HEAD + WRAPPED_KEY], &two.as_bytes()[HEAD + WRAPPED_KEY..]].concat();
        let mixed = Envelope::parse(&mixed).unwrap();
        assert!(mixed.open(&kek, &place("acme", b"one")).is_err());
        assert!(mixed.open(&kek, &place("acme", b"two")).is_err());
    }

    #[test]
    fn rewrapped_it_opens_under_the_new_term_only() {
        let (old, new) = (kek(), kek());
        let at = place("acme", b"one");
        let before = Envelope::seal(&old, 1, &at, b"g", b"record").unwrap();
        let after = before.rewrap(&old, &new, 2, &at).unwrap();
        assert_eq!(after.term(), 2);
        assert_eq!(after.open(&new, &at).unwrap().as_slice(), b"record");
        assert!(after.open(&old, &at).is_err());
        assert_eq!(after.as_bytes()[HEAD + WRAPPED_KEY..], before.as_bytes()[HEAD + WRAPPED_KEY..]);
    }

    #[test]
    fn too_long_is_refused() {
        let at = place("acme", b"one");
        assert!(Envelope::seal(&kek(), 1, &at, &[0; 256], b"").is_err());
        assert!(Envelope::seal(&kek(), 1, &at, b"", &[0; RECORD_MAX + 1]).is_err());
        assert!(Envelope::parse(&[1; LONGEST + 1]).is_err());
        assert!(Envelope::parse(&[]).is_err());
    }
}
