//! `Note`: the free text of an audit entry, built only from parts that are safe to log.

use std::fmt::{self, Write as _};
use std::str::FromStr;

use sha2::{Digest as _, Sha256};
use strongroom_wire::admin::KeyPurpose;
use strongroom_wire::custody::RootSum;
use strongroom_wire::export::ExportRecipient;
use strongroom_wire::forward::DestinationName;
use strongroom_wire::payment_method::Purpose;
use strongroom_wire::{ActId, Reference, RequestId, SecretId, TenantId, Token};

use super::Identity;

/// What an act was for, in at most 255 bytes: words of ours and values of log-safe types, one space between them. It
/// cannot be made from text that a client sent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Note(String);

/// A type whose text may stand in an audit entry. Sealed: it is implemented for parsed names and numbers, not for
/// `String`.
pub trait LogSafe: sealed::Sealed {
    /// Appends the text.
    fn append(&self, out: &mut String);
}

impl Note {
    /// No text.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// Words of ours.
    #[must_use]
    pub fn words(words: &'static str) -> Self {
        Self(words.to_owned())
    }

    /// What a card is released for: `authorize pay_...`.
    #[must_use]
    pub fn release(purpose: Purpose, reference: &Reference) -> Self {
        Self::none().and(&purpose).and(reference)
    }

    /// With one more part.
    #[must_use]
    pub fn and(mut self, part: &impl LogSafe) -> Self {
        if !self.0.is_empty() {
            self.0.push(' ');
        }
        part.append(&mut self.0);
        self
    }

    /// This note and another.
    #[must_use]
    pub fn joined(mut self, other: &Note) -> Self {
        if !self.0.is_empty() && !other.0.is_empty() {
            self.0.push(' ');
        }
        self.0.push_str(&other.0);
        self
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub(crate) fn into_text(self) -> String {
        self.0
    }
}

/// SHA-256 of a text, which says nothing about it; shown in 64 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Digest([u8; 32]);

impl Digest {
    /// The digest of these bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// Its first half.
    pub(super) fn half(&self) -> [u8; 16] {
        let mut half = [0; 16];
        half.copy_from_slice(&self.0[..16]);
        half
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl FromStr for Digest {
    type Err = BadDigest;

    fn from_str(text: &str) -> Result<Self, BadDigest> {
        let mut bytes = [0; 32];
        let (pairs, rest) = text.as_bytes().as_chunks::<2>();
        if pairs.len() != bytes.len() || !rest.is_empty() {
            return Err(BadDigest);
        }
        for (byte, pair) in bytes.iter_mut().zip(pairs) {
            let digits = std::str::from_utf8(pair).map_err(|_| BadDigest)?;
            *byte = u8::from_str_radix(digits, 16).map_err(|_| BadDigest)?;
        }
        Ok(Self(bytes))
    }
}

/// Why a text is no digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a digest is 64 hexadecimal digits")]
pub struct BadDigest;

mod sealed {
    pub trait Sealed {}
}

impl sealed::Sealed for &'static str {}
impl LogSafe for &'static str {
    fn append(&self, out: &mut String) {
        out.push_str(self);
    }
}

impl sealed::Sealed for Purpose {}
impl LogSafe for Purpose {
    fn append(&self, out: &mut String) {
        out.push_str(match self {
            Purpose::Authorize => "authorize",
            Purpose::Verify => "verify",
            Purpose::Dispute => "dispute",
            Purpose::Migrate => "migrate",
        });
    }
}

macro_rules! displayed {
    ($($name:ty),*) => {
        $(
            impl sealed::Sealed for $name {}
            impl LogSafe for $name {
                fn append(&self, out: &mut String) {
                    // Writing to a String cannot fail.
                    let _ = write!(out, "{self}");
                }
            }
        )*
    };
}

displayed!(
    ActId,
    Digest,
    DestinationName,
    ExportRecipient,
    Identity,
    KeyPurpose,
    Reference,
    RequestId,
    SecretId,
    TenantId,
    Token,
    u8,
    u16,
    u32,
    u64,
    RootSum
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_release_note_names_purpose_and_reference() {
        let note = Note::release(Purpose::Authorize, &"pay_1".parse().unwrap());
        assert_eq!(note.as_str(), "authorize pay_1");
        assert_eq!(Note::words("term").and(&3u32).as_str(), "term 3");
    }

    #[test]
    fn purposes_read_as_in_json() {
        for purpose in [Purpose::Authorize, Purpose::Verify, Purpose::Dispute, Purpose::Migrate] {
            assert_eq!(serde_json::to_value(purpose).unwrap(), Note::none().and(&purpose).as_str());
        }
    }

    #[test]
    fn a_digest_reads_what_it_writes() {
        let digest = Digest::of(b"abc");
        let text = digest.to_string();
        assert!(text.len() == 64 && text.starts_with("ba7816bf") && text.ends_with("f20015ad"));
        assert_eq!(text.parse(), Ok(digest));
        for bad in ["", &text[1..], &format!("{text}0"), &text.replace('b', "g")] {
            assert_eq!(bad.parse::<Digest>(), Err(BadDigest));
        }
    }
}
