//! The Root: the one key that wraps a vault's other keys, in memory while the vault is unsealed and nowhere at rest.

mod assembly;
mod descriptor;
pub mod dev;

pub use assembly::{Assembly, ShareRefused, Step};
pub use descriptor::{BadDescriptor, Descriptor};

use strongroom_wire::admin::RootKind;
use uuid::Uuid;

use crate::Unauthentic;
use crate::aead::Cipher;
use crate::context::Context;
use crate::key::{Key, NoRandomness, Role, RootRole};
use crate::share::{self, Share, ShareError};

/// The Root of one vault, proved to be the right one against its [`Descriptor`]. Wiped on drop.
pub struct Root {
    kind: RootKind,
    cipher: Cipher<RootRole>,
}

impl Root {
    /// Where it came from.
    #[must_use]
    pub fn kind(&self) -> RootKind {
        self.kind
    }

    /// Wraps a key for its place and term.
    ///
    /// # Errors
    /// [`NoRandomness`] if there is no nonce to be had.
    pub fn wrap<K: Role>(&self, context: &Context<'_>, term: u32, key: &Key<K>) -> Result<Vec<u8>, NoRandomness> {
        self.cipher.wrap(context, term, key)
    }

    /// The key that [`Root::wrap`] wrapped for the same place and term.
    ///
    /// # Errors
    /// [`Unauthentic`] for anything else.
    pub fn unwrap_key<K: Role>(&self, context: &Context<'_>, term: u32, wrapped: &[u8]) -> Result<Key<K>, Unauthentic> {
        self.cipher.unwrap_key(context, term, wrapped)
    }

    /// The Root that a key is, if the descriptor says so.
    fn check(key: &Key<RootRole>, descriptor: &Descriptor) -> Result<Self, Unauthentic> {
        let cipher = Cipher::new(key);
        descriptor.check(&cipher)?;
        Ok(Self { kind: descriptor.kind(), cipher })
    }
}

/// Makes a Root, deals it among custodians and forgets it. The shares are proved before they are handed out: they match
/// their commitments, and the last `threshold` of them bring the Root back.
///
/// # Errors
/// [`ShareError::Division`] for too few people, [`ShareError::NoRandomness`].
pub fn found(shares: u8, threshold: u8) -> Result<(Descriptor, Vec<Share>), ShareError> {
    let root = Key::<RootRole>::generate()?;
    let vault_id = fresh_vault_id()?;
    let dealt = share::deal(&root, vault_id, shares, threshold)?;
    let commitments = dealt.iter().map(Share::commitment).collect();
    let descriptor = Descriptor::custodians(vault_id, threshold, commitments, &Cipher::new(&root))?;
    let last: Vec<&Share> = dealt.iter().rev().take(usize::from(threshold)).collect();
    let proved = share::recombine(&last, threshold).is_some_and(|again| Root::check(&again, &descriptor).is_ok());
    if proved { Ok((descriptor, dealt)) } else { Err(NoRandomness.into()) }
}

fn fresh_vault_id() -> Result<Uuid, NoRandomness> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|_| NoRandomness)?;
    Ok(uuid::Builder::from_random_bytes(bytes).into_uuid())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::context::Purpose;
    use crate::key::Kek;

    #[test]
    fn a_key_comes_back_for_its_place_and_term_alone() {
        let (text, descriptor) = dev::make().unwrap();
        let root = dev::parse(text.as_bytes(), &descriptor).unwrap();
        let place = |tenant| Context { tenant, record: b"kek", purpose: Purpose::Key(Kek::NAME) };
        let kek = Key::<Kek>::generate().unwrap();
        let wrapped = root.wrap(&place("acme"), 1, &kek).unwrap();
        let back: Key<Kek> = root.unwrap_key(&place("acme"), 1, &wrapped).unwrap();
        assert!(back.bytes() == kek.bytes());
        assert!(root.unwrap_key::<Kek>(&place("acme"), 2, &wrapped).is_err());
        assert!(root.unwrap_key::<Kek>(&place("other"), 1, &wrapped).is_err());
        assert_eq!(root.kind(), RootKind::Dev);
    }
}
