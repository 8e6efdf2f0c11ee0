//! Keys from passphrases: Argon2id (RFC 9106), as hard as a second on the machine of the ceremony allows.

use std::time::{Duration, Instant};

use argon2::{Algorithm, Argon2, Params, Version};
use serde::{Deserialize, Serialize};
use strongroom_wire::limits;
use zeroize::Zeroizing;

use super::ShareError;
use crate::key::{Key, PassphraseRole};

/// A custodian's passphrase; wiped on drop.
pub struct Passphrase(Zeroizing<String>);

impl Passphrase {
    /// Takes a passphrase as it was typed.
    ///
    /// # Errors
    /// [`ShareError::Passphrase`] if it is shorter than 12 characters or longer than 1,024 bytes.
    pub fn new(text: Zeroizing<String>) -> Result<Self, ShareError> {
        let fits = text.chars().count() >= limits::PASSPHRASE_CHARS_MIN && text.len() <= limits::PASSPHRASE_BYTES_MAX;
        if fits { Ok(Self(text)) } else { Err(ShareError::Passphrase) }
    }

    /// Whether two custodians (or one, typing twice) gave the same.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        use subtle::ConstantTimeEq;
        self.0.as_bytes().ct_eq(other.0.as_bytes()).into()
    }

    /// `Argon2id(passphrase, salt)` with version 0x13, made in place.
    pub(super) fn derive(&self, salt: &[u8], hardness: Hardness) -> Result<Key<PassphraseRole>, ShareError> {
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, hardness.params()?);
        Key::try_init_with(|bytes| {
            argon2.hash_password_into(self.0.as_bytes(), salt, bytes).map_err(|_| ShareError::Hardness)
        })
    }
}

/// Argon2id's parameters, never below [`Hardness::FLOOR`] nor so high that a forged file exhausts the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hardness {
    /// Memory, in KiB: 64 MiB to 1 GiB.
    pub memory_kib: u32,
    /// Passes over it: 3 to 32.
    pub passes: u32,
    /// Lanes: 1 to 8.
    pub lanes: u32,
}

impl Hardness {
    /// The least that is ever written or read (RFC 9106 section 4, the second recommended option, with one lane).
    pub const FLOOR: Self = Self { memory_kib: 64 * 1024, passes: 3, lanes: 1 };
    const CEILING: Self = Self { memory_kib: 1024 * 1024, passes: 32, lanes: 8 };
    /// Memory that calibration uses at most, so that a share made on a large machine opens on a small one.
    const MEMORY_KIB_CALIBRATED_MAX: u32 = 256 * 1024;

    /// Parameters that take about `target` on this machine: first more memory, then more passes.
    ///
    /// # Errors
    /// [`ShareError::Hardness`] if the machine cannot give the memory.
    pub fn calibrate(target: Duration) -> Result<Self, ShareError> {
        let mut hardness = Self::FLOOR;
        let mut took = hardness.measure()?;
        while took * 2 <= target && hardness.memory_kib < Self::MEMORY_KIB_CALIBRATED_MAX {
            hardness.memory_kib *= 2;
            took = hardness.measure()?;
        }
        // Time grows with the passes, nearly in proportion.
        let passes = f64::from(hardness.passes) * target.as_secs_f64() / took.as_secs_f64().max(1e-6);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the clamp bounds it to 3..=32")]
        let passes = passes.clamp(f64::from(Self::FLOOR.passes), f64::from(Self::CEILING.passes)) as u32;
        Ok(Self { passes, ..hardness })
    }

    /// Whether the parameters lie within the limits.
    #[must_use]
    pub fn is_allowed(self) -> bool {
        (Self::FLOOR.memory_kib..=Self::CEILING.memory_kib).contains(&self.memory_kib)
            && (Self::FLOOR.passes..=Self::CEILING.passes).contains(&self.passes)
            && (Self::FLOOR.lanes..=Self::CEILING.lanes).contains(&self.lanes)
    }

    fn params(self) -> Result<Params, ShareError> {
        if !self.is_allowed() {
            return Err(ShareError::Hardness);
        }
        Params::new(self.memory_kib, self.passes, self.lanes, Some(32)).map_err(|_| ShareError::Hardness)
    }

    fn measure(self) -> Result<Duration, ShareError> {
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, self.params()?);
        let started = Instant::now();
        argon2.hash_password_into(b"calibration", &[0; 16], &mut [0; 32]).map_err(|_| ShareError::Hardness)?;
        Ok(started.elapsed())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passphrase(text: &str) -> Result<Passphrase, ShareError> {
        Passphrase::new(Zeroizing::new(text.to_owned()))
    }

    #[test]
    fn a_passphrase_outside_of_the_limits_is_refused() {
        assert!(passphrase("eleven char").is_err());
        assert!(passphrase("twelve chars").is_ok());
        assert!(passphrase(&"ü".repeat(limits::PASSPHRASE_CHARS_MIN - 1)).is_err());
        assert!(passphrase(&"ü".repeat(limits::PASSPHRASE_CHARS_MIN)).is_ok());
        assert!(passphrase(&"a".repeat(limits::PASSPHRASE_BYTES_MAX)).is_ok());
        assert!(passphrase(&"a".repeat(limits::PASSPHRASE_BYTES_MAX + 1)).is_err());
    }

    #[test]
    fn parameters_below_the_floor_or_above_the_ceiling_are_refused() {
        let floor = Hardness::FLOOR;
        assert!(floor.is_allowed());
        for bad in [
            Hardness { memory_kib: floor.memory_kib - 1, ..floor },
            Hardness { passes: 2, ..floor },
            Hardness { lanes: 0, ..floor },
            Hardness { memory_kib: 1024 * 1024 + 1, ..floor },
            Hardness { memory_kib: u32::MAX, ..floor },
            Hardness { passes: 33, ..floor },
            Hardness { lanes: 9, ..floor },
        ] {
            assert!(!bad.is_allowed());
            let derived = passphrase("correct horse battery").unwrap().derive(&[0; 16], bad);
            assert_eq!(derived.err(), Some(ShareError::Hardness));
        }
    }

    #[test]
    fn calibration_stays_within_the_limits() {
        assert_eq!(Hardness::calibrate(Duration::ZERO).unwrap(), Hardness::FLOOR);
        assert!(Hardness::calibrate(Duration::from_millis(300)).unwrap().is_allowed());
    }
}
