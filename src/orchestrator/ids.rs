//! Fresh names for payments, keys and the like, and the rule for names that callers choose.

use base64::Engine as _;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use strongroom_wire::{Reference, limits};

/// The operating system gave no random numbers, so nothing can be named or keyed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the operating system gives no random numbers")]
pub struct NoRandomness;

/// A fresh id: the prefix and 26 characters, the first ten ordered by time, the rest random (80 bits).
///
/// # Errors
/// [`NoRandomness`].
pub fn fresh(prefix: &str, now_ms: i64) -> Result<String, NoRandomness> {
    let mut random = [0u8; 16];
    getrandom::fill(&mut random).map_err(|_| NoRandomness)?;
    let mut id = String::with_capacity(prefix.len() + 26);
    id.push_str(prefix);
    let time = u64::try_from(now_ms).unwrap_or(0);
    for place in (0..10).rev() {
        id.push(symbol(usize::try_from(time >> (5 * place) & 31).unwrap_or(0)));
    }
    for byte in random {
        id.push(symbol(usize::from(byte & 31)));
    }
    Ok(id)
}

/// A fresh secret of 256 random bits as base64url behind a prefix.
///
/// # Errors
/// [`NoRandomness`].
pub fn fresh_secret(prefix: &str) -> Result<Zeroizing<String>, NoRandomness> {
    let mut random = Zeroizing::new([0u8; 32]);
    getrandom::fill(random.as_mut()).map_err(|_| NoRandomness)?;
    let mut text = Zeroizing::new(String::with_capacity(prefix.len() + 44));
    text.push_str(prefix);
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode_string(random.as_ref(), &mut text);
    Ok(text)
}

/// SHA-256 of an API key. The keys are 256 random bits, so a plain hash cannot be searched.
#[must_use]
pub fn key_hash(key: &str) -> [u8; 32] {
    Sha256::digest(key.as_bytes()).into()
}

/// Whether a caller may choose this as an id: 1 to 30 of `A-Z a-z 0-9 _ -` that does not look like a card number and is not
/// `list`, which has a meaning where ids stand in paths.
#[must_use]
pub fn is_allowed(id: &str) -> bool {
    id.len() <= limits::PAYMENT_ID_CHARS_MAX
        && id != "list"
        && id.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'))
        && id.parse::<Reference>().is_ok()
}

fn symbol(index: usize) -> char {
    char::from(SYMBOLS[index % SYMBOLS.len()])
}

/// Crockford's base 32, lower case: no letter that reads like a digit.
const SYMBOLS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fresh_ids_are_allowed_ordered_by_time_and_differ() {
        let early = fresh("pay_", 1_700_000_000_000).unwrap();
        let late = fresh("pay_", 1_700_000_000_001).unwrap();
        assert_eq!(early.len(), 30);
        assert!(is_allowed(&early) && early < late);
        assert_ne!(late, fresh("pay_", 1_700_000_000_001).unwrap());
    }

    #[test]
    fn ids_that_are_too_long_or_look_like_cards_are_refused() {
        for bad in ["", "a b", "list", "4242424242424242", "pay_4242-4242-4242-4242", &"a".repeat(31), "pay/1"] {
            assert!(!is_allowed(bad));
        }
    }

    #[test]
    fn secrets_carry_256_bits() {
        assert_eq!(fresh_secret("k_").unwrap().len(), 2 + 43);
        assert_ne!(*fresh_secret("").unwrap(), *fresh_secret("").unwrap());
    }
}
