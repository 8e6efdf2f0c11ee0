//! Associated data: what a ciphertext belongs to, length-prefixed and never empty, so that nothing sealed for one place
//! opens in another.

/// The place of a ciphertext. Every field is bound; an absent one is bound as absent.
#[derive(Debug, Clone, Copy)]
pub struct Context<'a> {
    /// Whose; empty for the vault's own keys.
    pub tenant: &'a str,
    /// Which record: the UUID of a token or secret, the name of a key, the digest of an idempotency key.
    pub record: &'a [u8],
    /// What kind of plaintext it is.
    pub purpose: Purpose,
}

/// Kinds of plaintext.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// A card.
    Card,
    /// A connector's credentials or another secret of a tenant.
    Secret,
    /// An answer kept for an idempotency key.
    Answer,
    /// The caller's notes about a card.
    Metadata,
    /// A CVC inside the opaque value that a client carries.
    Cvc,
    /// A wrapped key; the name of its role.
    Key(&'static str),
    /// A custodian's share.
    Share,
    /// The text that shows whether a Root is the right one.
    RootCheck,
}

impl Purpose {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Purpose::Card => "card",
            Purpose::Secret => "secret",
            Purpose::Answer => "answer",
            Purpose::Metadata => "metadata",
            Purpose::Cvc => "cvc",
            Purpose::Key(role) => role,
            Purpose::Share => "share",
            Purpose::RootCheck => "root-check",
        }
    }
}

/// Which part of an envelope a ciphertext is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The whole message, where there is no envelope.
    Whole,
    /// The wrapped Dek.
    Dek,
    /// The part that may be shown masked.
    Glance,
    /// The record itself.
    Record,
}

impl Context<'_> {
    /// The associated data: `"strongroom" format part purpose tenant record term`, each with its length in front as 4
    /// bytes, big-endian. `term` is 0 for parts that a rewrap leaves as they are.
    #[must_use]
    pub(crate) fn associated_data(&self, part: Part, term: u32) -> Vec<u8> {
        let part = match part {
            Part::Whole => "whole",
            Part::Dek => "dek",
            Part::Glance => "glance",
            Part::Record => "record",
        };
        let fields: [&[u8]; 7] = [
            b"strongroom",
            FORMAT,
            part.as_bytes(),
            self.purpose.name().as_bytes(),
            self.tenant.as_bytes(),
            self.record,
            &term.to_be_bytes(),
        ];
        let mut out = Vec::with_capacity(128);
        for field in fields {
            // A field is never longer than a limit of `wire` allows, far below 4 GiB.
            out.extend_from_slice(&u32::try_from(field.len()).unwrap_or(u32::MAX).to_be_bytes());
            out.extend_from_slice(field);
        }
        out
    }
}

const FORMAT: &[u8] = &[1];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_places_share_associated_data() {
        let place =
            |tenant, record, purpose, part, term| Context { tenant, record, purpose }.associated_data(part, term);
        let all = [
            place("a", b"b", Purpose::Card, Part::Record, 0),
            place("ab", b"", Purpose::Card, Part::Record, 0),
            place("", b"ab", Purpose::Card, Part::Record, 0),
            place("a", b"b", Purpose::Secret, Part::Record, 0),
            place("a", b"b", Purpose::Card, Part::Glance, 0),
            place("a", b"b", Purpose::Card, Part::Dek, 0),
            place("a", b"b", Purpose::Card, Part::Dek, 1),
        ];
        for (i, one) in all.iter().enumerate() {
            for other in &all[i + 1..] {
                assert_ne!(one, other);
            }
        }
    }
}
