//! Shamir's scheme over GF(256) (ISO/IEC 19592-2): a Root dealt among custodians, any k of n of whom bring it back.

mod passphrase;
mod sealed;
mod submission;

pub use passphrase::{Hardness, Passphrase};
pub use sealed::{SealedShare, custodian_is_sound};
pub use submission::{BadSubmission, Submission, read_submission, write_submission};

use std::convert::Infallible;

use blahaj::Sharks;
use getrandom::rand_core::{TryCryptoRng, TryRng};
use sha2::{Digest, Sha256};
use strongroom_wire::limits;
use uuid::Uuid;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::key::{Key, NoRandomness, RootRole};

/// One custodian's part of a Root. Not `Clone`, `Debug` or `Serialize`; wiped on drop. It lives on the heap so that moving
/// it leaves no copy behind.
pub struct Share {
    vault_id: Uuid,
    index: u8,
    bytes: Box<[u8; 32]>,
}

/// Why a share was not made, opened or taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ShareError {
    /// See [`NoRandomness`].
    #[error(transparent)]
    NoRandomness(#[from] NoRandomness),
    /// The number of shares or the threshold is outside of the limits.
    #[error(
        "a Root is dealt into 3 to {} shares, of which 2 or more and at most all are needed (PCI DSS 3.6.1.2: two halves are not enough)",
        limits::SHARES_MAX
    )]
    Division,
    /// The passphrase is too short or too long.
    #[error(
        "a passphrase has {} characters or more and at most {} bytes; take several random words",
        limits::PASSPHRASE_CHARS_MIN,
        limits::PASSPHRASE_BYTES_MAX
    )]
    Passphrase,
    /// The custodian's name cannot stand in a file and on a screen.
    #[error("a custodian's name has 1 to {} characters and no control characters", limits::CUSTODIAN_CHARS_MAX)]
    Custodian,
    /// The file is not a sealed share.
    #[error("the file is not a sealed share of format 1; take the share-N.json that init wrote")]
    File,
    /// The key derivation in the file is too weak or too costly.
    #[error(
        "the file asks for a key derivation outside of the limits; it was not written by this tool or was changed since"
    )]
    Hardness,
    /// Wrong passphrase, or a changed file.
    #[error("the share does not open: the passphrase is wrong, or the file was changed")]
    Closed,
}

impl Share {
    /// The vault it belongs to.
    #[must_use]
    pub fn vault_id(&self) -> Uuid {
        self.vault_id
    }

    /// Which share, from 1.
    #[must_use]
    pub fn index(&self) -> u8 {
        self.index
    }

    /// `SHA-256(len(label) || label || vault id || index || share)` with the label `strongroom/share-commitment/1` and its
    /// length as one byte: published in `root.json`, so that a wrong share is told apart at once. A share is 256 random
    /// bits, so its hash says nothing about it.
    #[must_use]
    pub fn commitment(&self) -> [u8; 32] {
        let label = b"strongroom/share-commitment/1";
        let mut hash = Sha256::new();
        // The label is shorter than 256 bytes.
        hash.update([u8::try_from(label.len()).unwrap_or(u8::MAX)]);
        hash.update(label);
        hash.update(self.vault_id.as_bytes());
        hash.update([self.index]);
        hash.update(&self.bytes[..]);
        hash.finalize().into()
    }

    /// A share whose bytes `fill` writes in place.
    pub(crate) fn try_init_with<E>(
        vault_id: Uuid,
        index: u8,
        fill: impl FnOnce(&mut [u8; 32]) -> Result<(), E>,
    ) -> Result<Self, E> {
        let mut share = Self { vault_id, index, bytes: Box::new([0; 32]) };
        fill(&mut share.bytes)?;
        Ok(share)
    }

    /// The bytes, for this crate alone.
    pub(crate) fn bytes(&self) -> &[u8; 32] {
        &self.bytes
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.bytes.zeroize();
    }
}

impl ZeroizeOnDrop for Share {}

/// Deals a Root into `shares` shares, any `threshold` of which bring it back and fewer of which say nothing.
///
/// # Errors
/// [`ShareError::Division`] for other numbers than 3 to 16 shares with a threshold of 2 to all of them;
/// [`ShareError::NoRandomness`].
pub fn deal(root: &Key<RootRole>, vault_id: Uuid, shares: u8, threshold: u8) -> Result<Vec<Share>, ShareError> {
    if !division_is_sound(shares, threshold) {
        return Err(ShareError::Division);
    }
    let mut source = SystemRandomness { failed: false };
    let dealt: Vec<Share> = Sharks(threshold)
        .dealer_rng(root.bytes(), &mut source)
        .take(usize::from(shares))
        .filter_map(|dealt| {
            // The index in front, then one byte for each byte of the Root.
            let flat = Zeroizing::new(Vec::from(&dealt));
            let (&index, bytes) = flat.split_first()?;
            let copy = |to: &mut [u8; 32]| {
                to.copy_from_slice(bytes);
                Ok::<(), Infallible>(())
            };
            Share::try_init_with(vault_id, index, copy).ok()
        })
        .collect();
    if source.failed || dealt.len() != usize::from(shares) { Err(NoRandomness.into()) } else { Ok(dealt) }
}

/// Whether a Root may be dealt this way: 3 to 16 shares, a threshold of 2 to all of them.
#[must_use]
pub fn division_is_sound(shares: u8, threshold: u8) -> bool {
    (limits::SHARES_MIN..=limits::SHARES_MAX).contains(&shares) && (limits::THRESHOLD_MIN..=shares).contains(&threshold)
}

/// The Root that shares yield: the right one only if `threshold` or more of one dealing with different indexes are given,
/// so the result is always checked against something known. `None` if there are too few.
pub(crate) fn recombine(shares: &[&Share], threshold: u8) -> Option<Key<RootRole>> {
    let points: Vec<blahaj::Share> = shares
        .iter()
        .map(|share| {
            let mut flat = Zeroizing::new([0; 33]);
            flat[0] = share.index;
            flat[1..].copy_from_slice(&share.bytes[..]);
            blahaj::Share::try_from(&flat[..])
        })
        .collect::<Result<_, _>>()
        .ok()?;
    let root = Zeroizing::new(Sharks(threshold).recover(&points).ok()?);
    Key::try_init_with(|bytes| {
        if root.len() != bytes.len() {
            return Err(());
        }
        bytes.copy_from_slice(&root);
        Ok(())
    })
    .ok()
}

/// The operating system's random numbers for a dealer that cannot take an error: it is remembered instead, and the
/// dealing is thrown away.
struct SystemRandomness {
    failed: bool,
}

impl TryRng for SystemRandomness {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let mut bytes = [0; 4];
        self.try_fill_bytes(&mut bytes).map(|()| u32::from_ne_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let mut bytes = [0; 8];
        self.try_fill_bytes(&mut bytes).map(|()| u64::from_ne_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, to: &mut [u8]) -> Result<(), Infallible> {
        self.failed |= getrandom::fill(to).is_err();
        Ok(())
    }
}

impl TryCryptoRng for SystemRandomness {}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_division_outside_of_the_limits_is_refused() {
        let (least, most, threshold) = (limits::SHARES_MIN, limits::SHARES_MAX, limits::THRESHOLD_MIN);
        for (shares, needed) in [(least, threshold), (most, most)] {
            assert!(division_is_sound(shares, needed));
        }
        for (shares, needed) in
            [(least - 1, threshold), (most + 1, threshold), (least, threshold - 1), (least, least + 1)]
        {
            assert!(!division_is_sound(shares, needed));
        }
    }

    proptest! {
        #[test]
        fn any_threshold_of_shares_recover_the_root_and_fewer_do_not(
            (shares, threshold) in (3u8..=16).prop_flat_map(|n| (Just(n), 2u8..=n)),
            order in any::<u64>(),
        ) {
            let root = Key::generate().unwrap();
            let mut dealt = deal(&root, Uuid::nil(), shares, threshold).unwrap();
            // An order that the seed picks.
            dealt.sort_by_key(|share| (u64::from(share.index) + 1).wrapping_mul(order | 1) % 257);
            let some: Vec<&Share> = dealt.iter().take(usize::from(threshold)).collect();
            prop_assert!(recombine(&some, threshold).unwrap().bytes() == root.bytes());
            let all: Vec<&Share> = dealt.iter().collect();
            prop_assert!(recombine(&all, threshold).unwrap().bytes() == root.bytes());
            let few = &some[1..];
            prop_assert!(recombine(few, threshold).is_none());
            // Even where the threshold is lied about, too few shares yield another key.
            if few.len() > 1 {
                prop_assert!(recombine(few, threshold - 1).unwrap().bytes() != root.bytes());
            }
        }

        #[test]
        fn a_wrong_share_yields_another_root(flip in 1u8.., at in 0usize..32) {
            let root = Key::generate().unwrap();
            let mut dealt = deal(&root, Uuid::nil(), 3, 2).unwrap();
            dealt[0].bytes[at] ^= flip;
            let wrong = recombine(&[&dealt[0], &dealt[1]], 2).unwrap();
            prop_assert!(wrong.bytes() != root.bytes());
        }
    }

    #[test]
    fn a_division_that_leaves_too_few_people_is_refused() {
        let root = Key::generate().unwrap();
        for (shares, threshold) in [(0, 0), (1, 1), (2, 2), (2, 1), (3, 1), (3, 0), (3, 4), (17, 3), (255, 255)] {
            assert_eq!(deal(&root, Uuid::nil(), shares, threshold).err(), Some(ShareError::Division));
        }
    }

    #[test]
    fn a_commitment_belongs_to_one_share_of_one_vault() {
        let make = |vault: u128, index: u8, byte: u8| {
            let fill = |bytes: &mut [u8; 32]| {
                *bytes = [byte; 32];
                Ok::<(), Infallible>(())
            };
            Share::try_init_with(Uuid::from_u128(vault), index, fill).unwrap().commitment()
        };
        let one = make(1, 1, 1);
        assert_eq!(one, make(1, 1, 1));
        assert!(one != make(2, 1, 1) && one != make(1, 2, 1) && one != make(1, 1, 2));
    }
}
