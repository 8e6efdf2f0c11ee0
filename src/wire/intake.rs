//! The public half of the vault's intake key: what a client needs to seal a card before it sends it.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::BadId;

/// The name of one term of the intake key: `ik_` and the term, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct IntakeKeyId(u32);

/// `GET /v1/intake-key`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublicIntakeKey {
    /// The vault, which a sealed card or CVC is bound to.
    pub vault_id: Uuid,
    /// Which key; send it back as `key_id` of what is sealed.
    pub key_id: IntakeKeyId,
    /// X25519, 32 bytes as base64url without padding.
    pub public_key: String,
    /// DHKEM(X25519, HKDF-SHA256), by its number in RFC 9180.
    pub kem_id: u16,
    /// HKDF-SHA256.
    pub kdf_id: u16,
    /// AES-256-GCM.
    pub aead_id: u16,
    /// From when on nobody is to seal to it, RFC 3339, UTC; the next one is there before. What was sealed opens for an hour
    /// longer.
    pub expires_at: String,
}

impl IntakeKeyId {
    /// The name of a term.
    #[must_use]
    pub fn of(term: u32) -> Self {
        Self(term)
    }

    /// The term that it names.
    #[must_use]
    pub fn term(self) -> u32 {
        self.0
    }
}

impl FromStr for IntakeKeyId {
    type Err = BadId;

    fn from_str(text: &str) -> Result<Self, BadId> {
        let digits = text.strip_prefix("ik_").filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()));
        let term = digits.and_then(|digits| digits.parse::<u32>().ok()).ok_or(BadId(FORM))?;
        // One name for each key: no zeros in front, because the name is bound to what is sealed.
        if term > 0 && Self(term).to_string() == text { Ok(Self(term)) } else { Err(BadId(FORM)) }
    }
}

impl fmt::Display for IntakeKeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ik_{}", self.0)
    }
}

impl Serialize for IntakeKeyId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for IntakeKeyId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

const FORM: &str = "an intake key's id is ik_ and a number, as GET /v1/intake-key answers it";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_one_name() {
        assert_eq!("ik_12".parse::<IntakeKeyId>().unwrap().term(), 12);
        assert_eq!(serde_json::to_value(IntakeKeyId::of(3)).unwrap(), "ik_3");
        for bad in ["", "ik_", "ik_0", "ik_01", "ik_+1", "ik_4294967296", "IK_1", "12", "ik_1 "] {
            assert!(bad.parse::<IntakeKeyId>().is_err(), "{bad}");
        }
    }
}
