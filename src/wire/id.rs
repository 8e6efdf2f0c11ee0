//! Names of things: parsed once at the edge, carried as types afterwards.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::limits;

/// Why a text is not the identifier it should be. It never repeats the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadId(pub(crate) &'static str);

/// The name of a stored card: `pm_` and a UUIDv7 as 32 lower-case hexadecimal digits. It says nothing about the card.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Token(Uuid);

/// The name of a stored secret: `sec_` and a UUIDv7 as 32 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SecretId(Uuid);

/// The id of one request: `req_` and a UUIDv7 as 32 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RequestId(Uuid);

/// The name of an act that needs two people: `act_` and a UUIDv7 as 32 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ActId(Uuid);

macro_rules! prefixed_uuid {
    ($name:ident, $prefix:literal, $error:literal) => {
        impl $name {
            /// A fresh id, ordered by time.
            #[must_use]
            pub fn fresh() -> Self {
                Self(Uuid::now_v7())
            }

            /// The UUID alone.
            #[must_use]
            pub fn uuid(&self) -> Uuid {
                self.0
            }

            /// The id that a UUID names.
            #[must_use]
            pub fn from_uuid(uuid: Uuid) -> Self {
                Self(uuid)
            }
        }

        impl FromStr for $name {
            type Err = BadId;

            fn from_str(text: &str) -> Result<Self, BadId> {
                let hex = text.strip_prefix($prefix).ok_or(BadId($error))?;
                let lower = hex.len() == 32 && hex.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
                if !lower {
                    return Err(BadId($error));
                }
                let uuid = Uuid::try_parse(hex).map_err(|_| BadId($error))?;
                if uuid.get_version_num() != 7 {
                    return Err(BadId($error));
                }
                Ok(Self(uuid))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "{}"), self.0.simple())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        text_serde!($name);
    };
}

macro_rules! text_serde {
    ($name:ident) => {
        impl Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(d)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

prefixed_uuid!(Token, "pm_", "a payment method id is pm_ and 32 hexadecimal digits of a UUIDv7");
prefixed_uuid!(SecretId, "sec_", "a secret id is sec_ and 32 hexadecimal digits of a UUIDv7");
prefixed_uuid!(RequestId, "req_", "a request id is req_ and 32 hexadecimal digits of a UUIDv7");
prefixed_uuid!(ActId, "act_", "an act's id is act_ and 32 hexadecimal digits of a UUIDv7");

/// A merchant's name: 1 to 64 of `a-z 0-9 _ -`, beginning with a letter or digit.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TenantId(std::sync::Arc<str>);

/// The name of one of several vaultd processes that share a store: 1 to 32 of `a-z 0-9 -`, beginning with a letter or digit.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeName(std::sync::Arc<str>);

/// A merchant's name for a customer: 1 to 64 of `A-Z a-z 0-9 _ - . : @`. What looks like a card number (12 to
/// 19 digits that stand alone) is refused.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CustomerId(String);

/// What a release is for, in the caller's words (a payment id): 1 to 64 of `A-Z a-z 0-9 _ - . :`. What looks like a
/// card number is refused, because it lands in the audit log.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Reference(String);

macro_rules! plain_text {
    ($name:ident) => {
        impl $name {
            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        text_serde!($name);
    };
}

plain_text!(TenantId);
plain_text!(NodeName);
plain_text!(CustomerId);
plain_text!(Reference);

impl FromStr for TenantId {
    type Err = BadId;

    fn from_str(text: &str) -> Result<Self, BadId> {
        let inside = (1..=limits::TENANT_CHARS_MAX).contains(&text.len())
            && text.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-'))
            && !text.starts_with(['_', '-']);
        if inside && !holds_card_like_digits(text) {
            Ok(Self(text.into()))
        } else {
            Err(BadId(
                "a tenant is 1 to 64 of a-z 0-9 _ -, begins with a letter or digit and does not look like a card number",
            ))
        }
    }
}

impl FromStr for NodeName {
    type Err = BadId;

    fn from_str(text: &str) -> Result<Self, BadId> {
        let inside = (1..=limits::NODE_CHARS_MAX).contains(&text.len())
            && text.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-'))
            && !text.starts_with('-');
        if inside && !holds_card_like_digits(text) {
            Ok(Self(text.into()))
        } else {
            Err(BadId(
                "a node is 1 to 32 of a-z 0-9 -, begins with a letter or digit and does not look like a card number",
            ))
        }
    }
}

impl FromStr for CustomerId {
    type Err = BadId;

    fn from_str(text: &str) -> Result<Self, BadId> {
        let inside = (1..=limits::CUSTOMER_CHARS_MAX).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.' | b':' | b'@'));
        if inside && !holds_card_like_digits(text) {
            Ok(Self(text.into()))
        } else {
            Err(BadId("a customer_id is 1 to 64 of A-Z a-z 0-9 _ - . : @ and does not look like a card number"))
        }
    }
}

impl FromStr for Reference {
    type Err = BadId;

    fn from_str(text: &str) -> Result<Self, BadId> {
        let inside = (1..=limits::REFERENCE_CHARS_MAX).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.' | b':'));
        if inside && !holds_card_like_digits(text) {
            Ok(Self(text.into()))
        } else {
            Err(BadId("a reference is 1 to 64 of A-Z a-z 0-9 _ - . : and does not look like a card number"))
        }
    }
}

/// Whether a text holds 12 to 19 digits that stand alone, as a card number would, also when written in groups
/// (`4242-4242-4242-4242`). Digits inside a longer word, such as a hexadecimal id, are not meant.
fn holds_card_like_digits(text: &str) -> bool {
    let words: Vec<&str> = text.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty()).collect();
    // Every run of neighbouring words that are all digits, wherever it begins.
    (0..words.len()).any(|first| {
        let digits = words[first..].iter().take_while(|word| word.bytes().all(|b| b.is_ascii_digit()));
        digits
            .scan(0usize, |total, word| {
                *total += word.len();
                Some(*total)
            })
            .any(|total| (12..=19).contains(&total))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn token_reads_what_it_writes() {
        let token = Token::fresh();
        assert_eq!(token.to_string().parse::<Token>().unwrap(), token);
        assert_eq!(token.to_string().len(), 35);
    }

    #[test]
    fn token_of_another_form_is_refused() {
        let good = Token::fresh().to_string();
        for bad in [
            "",
            "pm_",
            &good[..34],
            &good.to_uppercase(),
            &good.replace("pm_", "tok_"),
            "pm_00000000000000000000000000000000",
            "pm_f47ac10b58cc4372a5670e02b2c3d479",
        ] {
            assert!(bad.parse::<Token>().is_err());
        }
    }

    #[test]
    fn names_that_look_like_card_numbers_are_refused() {
        assert!("4242424242424242".parse::<CustomerId>().is_err());
        assert!("4242-4242-4242-4242".parse::<CustomerId>().is_err());
        assert!("pay_4242.4242.4242.4242".parse::<Reference>().is_err());
        assert!("424242424242".parse::<TenantId>().is_err());
        assert!("0000000000-4242424242424242".parse::<Reference>().is_err());
        assert!("cus_424242424242".parse::<CustomerId>().is_err());
        assert!("cus_12345678901".parse::<CustomerId>().is_ok());
        assert!("pay_01912345678901234abcdef012345678".parse::<Reference>().is_ok());
    }

    #[test]
    fn names_over_their_length_are_refused() {
        assert!("a".repeat(limits::TENANT_CHARS_MAX).parse::<TenantId>().is_ok());
        assert!("a".repeat(limits::TENANT_CHARS_MAX + 1).parse::<TenantId>().is_err());
        assert!("a".repeat(limits::CUSTOMER_CHARS_MAX + 1).parse::<CustomerId>().is_err());
        assert!("a".repeat(limits::REFERENCE_CHARS_MAX + 1).parse::<Reference>().is_err());
        assert!("a".repeat(limits::NODE_CHARS_MAX).parse::<NodeName>().is_ok());
        assert!("a".repeat(limits::NODE_CHARS_MAX + 1).parse::<NodeName>().is_err());
        for bad in ["", "-a", "A", "a_b", "a.b", "a/b", "4242424242424242"] {
            assert!(bad.parse::<NodeName>().is_err(), "{bad}");
        }
        assert!("".parse::<TenantId>().is_err());
        assert!("-a".parse::<TenantId>().is_err());
    }
}
