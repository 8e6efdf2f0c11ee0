//! The Root: the one key that wraps a vault's other keys. Where it lives differs (in memory from custodians' shares or a
//! development file, in an HSM, in a KMS); what it does, and what it refuses, does not.

mod assembly;
mod descriptor;
pub mod dev;
mod error;
#[cfg(feature = "kms")]
mod kms;
mod memory;
#[cfg(feature = "pkcs11")]
mod pkcs11;
pub mod place;
mod redeal;
mod remote;

pub use assembly::{Assembly, ShareRefused, Step};
pub use descriptor::{BadDescriptor, Descriptor};
pub use error::RootError;
pub use redeal::{RedealError, prove, redeal};
pub use remote::{can_reach, found_in_hsm, found_in_kms};

use std::sync::Arc;

use async_trait::async_trait;
use strongroom_wire::admin::RootKind;
use subtle::ConstantTimeEq;
use uuid::Uuid;

use crate::Unauthentic;
use crate::aead::{Cipher, Unsealed};
use crate::context::{Context, Part};
use crate::key::{Key, NoRandomness, Role, RootRole};
use crate::share::{self, Share, ShareError};
use memory::Memory;

/// The Root of one vault, proved to be the right one against its [`Descriptor`]. A key in memory is wiped on drop; one in
/// an HSM or KMS never was here.
///
/// A wrapped key is `version u8 = 1 | home u8 (1 memory, 2 HSM, 3 KMS) | what that home made of it`.
pub struct Root {
    descriptor: Arc<Descriptor>,
    home: Arc<dyn Home>,
}

/// Where a Root lives: seals a few bytes for a place and opens them there alone. Each call ends within a time that the
/// home bounds itself.
#[async_trait]
trait Home: Send + Sync {
    /// The byte that stands in front of what this home wraps.
    fn code(&self) -> u8;

    /// Ciphertext with everything in it that [`Home::open`] needs, but for the key and the place.
    async fn seal(&self, place: &Place<'_>, plaintext: &[u8]) -> Result<Vec<u8>, RootError>;

    /// What [`Home::seal`] sealed for the same place.
    async fn open(&self, place: &Place<'_>, sealed: &[u8]) -> Result<Unsealed, RootError>;
}

/// What a home binds to a ciphertext.
struct Place<'a> {
    context: &'a Context<'a>,
    part: Part,
    term: u32,
}

impl Root {
    /// Where it lives.
    #[must_use]
    pub fn kind(&self) -> RootKind {
        self.descriptor.kind()
    }

    /// The public half that it was proved against.
    #[must_use]
    pub fn descriptor(&self) -> &Descriptor {
        &self.descriptor
    }

    /// Wraps a key for its place and term.
    ///
    /// # Errors
    /// [`RootError`], each with what to do; nothing was wrapped.
    pub async fn wrap<K: Role>(&self, context: &Context<'_>, term: u32, key: &Key<K>) -> Result<Vec<u8>, RootError> {
        let sealed = self.home.seal(&Self::place(context, term), key.bytes()).await?;
        let mut wrapped = Vec::with_capacity(2 + sealed.len());
        wrapped.extend_from_slice(&[WRAPPED_VERSION, self.home.code()]);
        wrapped.extend_from_slice(&sealed);
        Ok(wrapped)
    }

    /// The key that [`Root::wrap`] wrapped for the same place and term.
    ///
    /// # Errors
    /// [`RootError::Unauthentic`] for anything else, and why the Root cannot be used now.
    pub async fn unwrap_key<K: Role>(
        &self,
        context: &Context<'_>,
        term: u32,
        wrapped: &[u8],
    ) -> Result<Key<K>, RootError> {
        let Some((&[version, code], sealed)) = wrapped.split_first_chunk::<2>() else {
            return Err(RootError::Unauthentic);
        };
        if version != WRAPPED_VERSION || code != self.home.code() {
            return Err(RootError::Unauthentic);
        }
        let opened = self.home.open(&Self::place(context, term), sealed).await?;
        Key::try_init_with(|bytes| {
            if opened.len() != bytes.len() {
                return Err(RootError::Unauthentic);
            }
            bytes.copy_from_slice(&opened);
            Ok(())
        })
    }

    /// Whether it can be used now, found out by opening the descriptor's check text with it.
    ///
    /// # Errors
    /// [`RootError`]: why not.
    pub async fn probe(&self) -> Result<(), RootError> {
        self.descriptor.check_at(&*self.home).await
    }

    /// Whether it is the Root of another root.json too: the same key, divided or described in another way.
    ///
    /// # Errors
    /// [`RootError`] if that cannot be found out now.
    pub async fn is_of(&self, other: &Descriptor) -> Result<bool, RootError> {
        let in_memory = |kind| matches!(kind, RootKind::Custodians | RootKind::Dev);
        let alike = self.kind() == other.kind() || (in_memory(self.kind()) && in_memory(other.kind()));
        if !alike || self.descriptor.vault_id() != other.vault_id() {
            return Ok(false);
        }
        match other.check_at(&*self.home).await {
            Ok(()) => Ok(true),
            Err(RootError::WrongKey) => Ok(false),
            Err(away) => Err(away),
        }
    }

    /// This Root under another root.json that describes it; none if that one describes another Root.
    ///
    /// # Errors
    /// As [`Root::is_of`].
    pub async fn described_by(&self, other: &Descriptor) -> Result<Option<Self>, RootError> {
        let is_it = self.is_of(other).await?;
        Ok(is_it.then(|| Self { descriptor: Arc::new(other.clone()), home: Arc::clone(&self.home) }))
    }

    /// A key that this Root wrapped, wrapped by another one for the same place and term. What comes back was opened again and is
    /// the same key.
    ///
    /// # Errors
    /// [`RootError`], of either Root.
    pub async fn rewrap<K: Role>(
        &self,
        next: &Root,
        context: &Context<'_>,
        term: u32,
        wrapped: &[u8],
    ) -> Result<Vec<u8>, RootError> {
        let key = self.unwrap_key::<K>(context, term, wrapped).await?;
        let anew = next.wrap(context, term, &key).await?;
        let again = next.unwrap_key::<K>(context, term, &anew).await?;
        // Should an HSM ever wrap something else than it was given, the key of now must not be given up for it.
        if again.bytes().ct_eq(key.bytes()).into() { Ok(anew) } else { Err(RootError::Unauthentic) }
    }

    fn place<'a>(context: &'a Context<'a>, term: u32) -> Place<'a> {
        Place { context, part: Part::Dek, term }
    }

    /// The Root that a key in memory is, if the descriptor says so.
    fn check(key: &Key<RootRole>, descriptor: &Descriptor) -> Result<Self, Unauthentic> {
        let cipher = Cipher::new(key);
        descriptor.check(&cipher)?;
        Ok(Self { descriptor: Arc::new(descriptor.clone()), home: Arc::new(Memory::new(cipher)) })
    }
}

/// Makes a Root, deals it among custodians and forgets it. The shares are proved before they are handed out: they match
/// their commitments, and the last `threshold` of them bring the Root back.
///
/// # Errors
/// [`ShareError::Division`] for too few people, [`ShareError::NoRandomness`].
pub fn found(shares: u8, threshold: u8) -> Result<(Descriptor, Vec<Share>), ShareError> {
    found_for(fresh_vault_id()?, shares, threshold)
}

/// The same for a vault that is there already and shall get another Root.
///
/// # Errors
/// As [`found`].
pub fn found_for(vault_id: Uuid, shares: u8, threshold: u8) -> Result<(Descriptor, Vec<Share>), ShareError> {
    of_key(&Key::<RootRole>::generate()?, vault_id, shares, threshold)
}

/// Deals a key and proves what was dealt.
fn of_key(
    root: &Key<RootRole>,
    vault_id: Uuid,
    shares: u8,
    threshold: u8,
) -> Result<(Descriptor, Vec<Share>), ShareError> {
    let dealt = share::deal(root, vault_id, shares, threshold)?;
    let commitments = dealt.iter().map(Share::commitment).collect();
    let descriptor = Descriptor::custodians(vault_id, threshold, commitments, &Cipher::new(root))?;
    let last: Vec<&Share> = dealt.iter().rev().take(usize::from(threshold)).collect();
    let proved = share::recombine(&last, threshold).is_some_and(|again| Root::check(&again, &descriptor).is_ok());
    if proved { Ok((descriptor, dealt)) } else { Err(NoRandomness.into()) }
}

/// An id for a new vault.
///
/// # Errors
/// [`NoRandomness`].
pub fn fresh_vault_id() -> Result<Uuid, NoRandomness> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|_| NoRandomness)?;
    Ok(uuid::Builder::from_random_bytes(bytes).into_uuid())
}

const WRAPPED_VERSION: u8 = 1;

#[cfg(test)]
mod conformance;
