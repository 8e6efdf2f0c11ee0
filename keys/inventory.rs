//! The cryptography that is compiled in (PCI DSS 12.3.3), with lengths taken from the code that uses them.

use strongroom_wire::limits;

use crate::aead::{NONCE, TAG};
use crate::key::KEY_BYTES;
use crate::share::Hardness;

/// One algorithm and what it is used for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Algorithm {
    /// Its name.
    pub name: &'static str,
    /// What kind it is.
    pub kind: AlgorithmKind,
    /// Length of its keys or of its output, in bits.
    pub bits: u32,
    /// Nonces, tags, costs.
    pub parameters: String,
    /// What it does here.
    pub purpose: &'static str,
    /// Where it is written down.
    pub standard: &'static str,
}

/// Kinds of algorithms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AlgorithmKind {
    /// Authenticated encryption with associated data.
    Aead,
    /// A message authentication code.
    Mac,
    /// A signature.
    Signature,
    /// Encryption to a public key.
    Kem,
    /// A hash.
    Hash,
    /// A key from a passphrase.
    PassphraseKdf,
    /// A secret divided among people.
    SecretSharing,
    /// Random numbers.
    Randomness,
}

/// Every algorithm that the vault and its tool use outside of TLS.
#[must_use]
pub fn algorithms() -> Vec<Algorithm> {
    let bits = |bytes: usize| u32::try_from(bytes * 8).unwrap_or(u32::MAX);
    let key = bits(KEY_BYTES);
    let floor = Hardness::FLOOR;
    let line = |name, kind, bits, parameters: String, purpose, standard| Algorithm {
        name,
        kind,
        bits,
        parameters,
        purpose,
        standard,
    };
    vec![
        line(
            "AES-256-GCM",
            AlgorithmKind::Aead,
            key,
            format!("nonce {} bits, tag {} bits, associated data never empty", bits(NONCE), bits(TAG)),
            "card records, secrets, kept answers, CVCs; Deks under Keks, Keks under the Root, shares under passphrases",
            "NIST SP 800-38D",
        ),
        line(
            "HMAC-SHA-256",
            AlgorithmKind::Mac,
            key,
            "fingerprints cut to 128 bits".to_owned(),
            "fingerprints of card numbers, client sessions, bindings of rows, digests of requests",
            "RFC 2104, FIPS 180-4",
        ),
        line(
            "Ed25519",
            AlgorithmKind::Signature,
            key,
            String::new(),
            "checkpoints of the audit log, completion proofs of rotations",
            "RFC 8032",
        ),
        line(
            "age X25519, HKDF-SHA-256, ChaCha20-Poly1305",
            AlgorithmKind::Kem,
            256,
            "one recipient, payload in pieces of 64 KiB".to_owned(),
            "exports to another party's public key",
            "age-encryption.org/v1",
        ),
        line(
            "HPKE DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, AES-256-GCM",
            AlgorithmKind::Kem,
            256,
            "base mode, single shot".to_owned(),
            "cards that a client seals to the intake key before it sends them",
            "RFC 9180",
        ),
        line(
            "RSA-OAEP with SHA-256, AES-256-GCM",
            AlgorithmKind::Kem,
            u32::try_from(limits::LOCKER_KEY_BITS_MIN).unwrap_or(u32::MAX),
            "up to 4096 bits; answers with SHA-1 in OAEP where the configuration of a caller says so".to_owned(),
            "messages of the card-vault dialect (JWE)",
            "RFC 7516, RFC 7518, RFC 8017",
        ),
        line(
            "RSASSA-PKCS1-v1_5 with SHA-256",
            AlgorithmKind::Signature,
            u32::try_from(limits::LOCKER_KEY_BITS_MIN).unwrap_or(u32::MAX),
            "up to 4096 bits".to_owned(),
            "messages of the card-vault dialect (JWS)",
            "RFC 7515, RFC 7518, RFC 8017",
        ),
        line(
            "SHA-256",
            AlgorithmKind::Hash,
            256,
            String::new(),
            "Merkle tree of the audit log",
            "RFC 6962, FIPS 180-4",
        ),
        line(
            "Argon2id",
            AlgorithmKind::PassphraseKdf,
            key,
            format!("at least {} KiB, {} passes, {} lane", floor.memory_kib, floor.passes, floor.lanes),
            "the key of a custodian's share from a passphrase",
            "RFC 9106",
        ),
        line(
            "Shamir over GF(256)",
            AlgorithmKind::SecretSharing,
            key,
            "k of n, at least 2 of 3".to_owned(),
            "the Root among custodians",
            "ISO/IEC 19592-2",
        ),
        line(
            "operating system's generator",
            AlgorithmKind::Randomness,
            0,
            "getrandom".to_owned(),
            "every key, nonce and token",
            "getrandom(2)",
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Cipher, Kek, Key};

    #[test]
    fn the_lengths_are_those_that_are_used() {
        let aead = algorithms().into_iter().find(|one| one.kind == AlgorithmKind::Aead).unwrap();
        assert_eq!(
            (aead.bits, aead.parameters.as_str()),
            (256, "nonce 96 bits, tag 128 bits, associated data never empty")
        );
        let context = crate::Context { tenant: "acme", record: b"x", purpose: crate::context::Purpose::Card };
        let sealed = Cipher::new(&Key::<Kek>::generate().unwrap()).seal(&context, b"").unwrap();
        assert_eq!(sealed.len(), NONCE + TAG);
    }
}
