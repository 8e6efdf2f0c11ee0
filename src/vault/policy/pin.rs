//! `Pin`: the public key that an identity's certificates must have, whoever signed them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use strongroom_wire::limits;

use super::rules::Fault;

/// SHA-256 of a SubjectPublicKeyInfo, written `sha256/` and 44 characters of base64 (as RFC 7469 has it).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pin([u8; 32]);

impl Pin {
    /// Reads one pin.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let bytes = STANDARD.decode(text.strip_prefix("sha256/")?).ok()?;
        bytes.try_into().ok().map(Self)
    }

    /// Whether a key is the pinned one.
    pub(super) fn is(&self, key: &[u8; 32]) -> bool {
        self.0 == *key
    }
}

/// Reads the pins of one identity.
pub(super) fn read_pins(texts: &[String]) -> Result<Vec<Pin>, Fault> {
    if texts.len() > limits::PINS_MAX {
        return Err(Fault::Pins);
    }
    texts.iter().map(|text| Pin::parse(text).ok_or(Fault::Pins)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pin_is_a_whole_sha_256_in_base64() {
        let right = format!("sha256/{}", STANDARD.encode([7; 32]));
        let pin = Pin::parse(&right).unwrap();
        assert!(pin.is(&[7; 32]) && !pin.is(&[8; 32]));
        let short = format!("sha256/{}", STANDARD.encode([7; 31]));
        for wrong in ["", "sha256/", "sha1/AAAA", &right[7..], &short, &format!("{right}\n")] {
            assert_eq!(Pin::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn more_pins_than_the_limit_are_refused() {
        let pin = format!("sha256/{}", STANDARD.encode([7; 32]));
        assert_eq!(read_pins(&vec![pin.clone(); limits::PINS_MAX]).unwrap().len(), limits::PINS_MAX);
        assert_eq!(read_pins(&vec![pin; limits::PINS_MAX + 1]), Err(Fault::Pins));
    }
}
