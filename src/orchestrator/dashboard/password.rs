//! Passwords of operators: Argon2id (RFC 9106) in the PHC form, made by `orchestratord operator-hash`.

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _};
use argon2::{Algorithm, Argon2, Params, Version};
use strongroom_wire::limits;
use zeroize::Zeroizing;

/// Why a password gets no hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadPassword {
    /// PCI DSS 8.3.6.
    #[error("at least 12 characters, with a letter and a digit among them")]
    Weak,
    /// More than any form takes.
    #[error("at most 1024 bytes")]
    Long,
    /// A line break or the like, which no form can send.
    #[error("no control characters")]
    Control,
    /// No memory, or no random numbers.
    #[error("the machine gives no memory or no random numbers for it")]
    Machine,
}

/// The hash of a password with a fresh salt, for `password_hash` in the configuration: 64 MiB, three passes, one lane.
///
/// # Errors
/// [`BadPassword`].
pub fn hash(password: &Zeroizing<String>) -> Result<String, BadPassword> {
    let has = |kind: fn(char) -> bool| password.chars().any(kind);
    let is_long_enough = password.chars().count() >= limits::PASSPHRASE_CHARS_MIN;
    if password.len() > limits::PASSPHRASE_BYTES_MAX {
        Err(BadPassword::Long)
    } else if has(char::is_control) {
        Err(BadPassword::Control)
    } else if !is_long_enough || !has(char::is_alphabetic) || !has(char::is_numeric) {
        Err(BadPassword::Weak)
    } else {
        hash_with(password, 64 * 1024, 3)
    }
}

/// Whether it is the password of this hash; takes tens to hundreds of milliseconds of one core.
pub(super) fn is_password(password: &str, hash: &PasswordHash) -> bool {
    Argon2::default().verify_password(password.as_bytes(), hash).is_ok()
}

fn hash_with(password: &str, memory_kib: u32, passes: u32) -> Result<String, BadPassword> {
    let params = Params::new(memory_kib, passes, 1, Some(HASH_BYTES)).map_err(|_| BadPassword::Machine)?;
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    argon2.hash_password(password.as_bytes()).map(|hash| hash.to_string()).map_err(|_| BadPassword::Machine)
}

/// The least that is taken: the smallest memory that is recommended with two passes.
pub(super) const MEMORY_KIB_MIN: u32 = 19 * 1024;
/// Length of the hash itself.
pub(super) const HASH_BYTES: usize = 32;

/// A hash that is as quick to check as is allowed.
#[cfg(test)]
pub(crate) fn fast_hash(password: &str) -> String {
    hash_with(password, MEMORY_KIB_MIN, 2).unwrap()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn password_opens_its_own_hash_alone_and_salts_differ() {
        let text = Zeroizing::new("correct horse 1".to_owned());
        let made = hash(&text).unwrap();
        assert!(made.starts_with("$argon2id$v=19$m=65536,t=3,p=1$"), "{made}");
        assert_ne!(made, hash(&text).unwrap());
        let made = PasswordHash::new(&made).unwrap();
        assert!(is_password(&text, &made));
        for wrong in ["", "correct horse 2", "correct horse 1 ", "Correct horse 1"] {
            assert!(!is_password(wrong, &made), "{wrong}");
        }
    }

    #[test]
    fn passwords_that_are_weak_or_cannot_be_typed_get_no_hash() {
        for (text, why) in [
            ("short 1", BadPassword::Weak),
            ("only letters and spaces", BadPassword::Weak),
            ("123456789012345", BadPassword::Weak),
            ("correct horse 1\n", BadPassword::Control),
        ] {
            assert_eq!(hash(&Zeroizing::new(text.to_owned())), Err(why), "{text}");
        }
        let long = "a1".repeat(limits::PASSPHRASE_BYTES_MAX / 2) + "x";
        assert_eq!(hash(&Zeroizing::new(long)), Err(BadPassword::Long));
    }
}
