//! A Root that is a key in memory: assembled from custodians' shares, or read from a development file.

use async_trait::async_trait;

use super::{Home, Place, RootError};
use crate::aead::{Cipher, Unsealed};
use crate::key::RootRole;

/// AES-256-GCM under a key that is held here: `nonce || ciphertext || tag`.
pub(super) struct Memory {
    cipher: Cipher<RootRole>,
}

impl Memory {
    pub(super) fn new(cipher: Cipher<RootRole>) -> Self {
        Self { cipher }
    }
}

#[async_trait]
impl Home for Memory {
    fn code(&self) -> u8 {
        1
    }

    // The vault needs no binding of its own: such a key belongs to one vault and is proved against its descriptor.
    async fn seal(&self, place: &Place<'_>, plaintext: &[u8]) -> Result<Vec<u8>, RootError> {
        Ok(self.cipher.seal_part(place.context, place.part, place.term, plaintext)?)
    }

    async fn open(&self, place: &Place<'_>, sealed: &[u8]) -> Result<Unsealed, RootError> {
        Ok(self.cipher.open_part(place.context, place.part, place.term, sealed)?)
    }
}
