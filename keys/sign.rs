//! Ed25519 signatures (RFC 8032) of audit checkpoints and completion proofs, and public keys as text.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use sha2::{Digest, Sha256};
use strongroom_wire::limits;

use crate::Unauthentic;
use crate::key::{Key, SignRole};

/// A name and the signing key that speaks for it. Not `Clone` or `Debug`; the key is wiped on drop and lives on the heap
/// so that moving it leaves no copy behind.
pub struct Signer {
    key: Box<SigningKey>,
    public: PublicKey,
}

/// A name and the Ed25519 public key that speaks for it. As text it is a C2SP signed-note verifier key:
/// `name+8 hex digits of the key id+base64(0x01 || 32 bytes)`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey {
    name: String,
    key: VerifyingKey,
}

/// Why a text is not a name or a public key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadPublicKey {
    /// The name is empty, too long, or holds a space or `+`.
    #[error(
        "a signer's name has 1 to {} printable ASCII characters, none of them a space or +",
        limits::SIGNER_CHARS_MAX
    )]
    Name,
    /// The text is not a verifier key.
    #[error("a public key reads name+key id+base64, as GET /v1/audit/public-key answers it")]
    Form,
    /// The key id belongs to another name or key.
    #[error("the key id does not belong to this name and key; copy the whole line again")]
    KeyId,
}

impl Signer {
    /// The signer that a key seeds.
    ///
    /// # Errors
    /// [`BadPublicKey::Name`] if the name cannot stand in a signature line.
    pub fn new(name: &str, key: &Key<SignRole>) -> Result<Self, BadPublicKey> {
        let key = Box::new(SigningKey::from_bytes(key.bytes()));
        let public = PublicKey::new(name, key.verifying_key())?;
        Ok(Self { key, public })
    }

    /// The public half.
    #[must_use]
    pub fn public_key(&self) -> &PublicKey {
        &self.public
    }

    /// The signature over a message, 64 bytes.
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.key.sign(message).to_bytes()
    }
}

impl PublicKey {
    fn new(name: &str, key: VerifyingKey) -> Result<Self, BadPublicKey> {
        let fits = (1..=limits::SIGNER_CHARS_MAX).contains(&name.len())
            && name.bytes().all(|b| b.is_ascii_graphic() && b != b'+');
        if fits { Ok(Self { name: name.to_owned(), key }) } else { Err(BadPublicKey::Name) }
    }

    /// Who it speaks for.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// `SHA-256(name || 0x0A || 0x01 || public key)`, the first four bytes.
    #[must_use]
    pub fn key_id(&self) -> [u8; 4] {
        let digest =
            Sha256::new().chain_update(&self.name).chain_update([b'\n', ED25519]).chain_update(self.key.as_bytes());
        let digest: [u8; 32] = digest.finalize().into();
        [digest[0], digest[1], digest[2], digest[3]]
    }

    /// Checks a signature; weak keys and malleable signatures are refused.
    ///
    /// # Errors
    /// [`Unauthentic`] if it is not this key's over this message.
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), Unauthentic> {
        let signature = Signature::from_slice(signature).map_err(|_| Unauthentic)?;
        self.key.verify_strict(message, &signature).map_err(|_| Unauthentic)
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let id = u32::from_be_bytes(self.key_id());
        let mut key = [ED25519; 33];
        key[1..].copy_from_slice(self.key.as_bytes());
        write!(f, "{}+{id:08x}+{}", self.name, STANDARD.encode(key))
    }
}

impl FromStr for PublicKey {
    type Err = BadPublicKey;

    fn from_str(text: &str) -> Result<Self, BadPublicKey> {
        let text = text.strip_suffix('\n').unwrap_or(text);
        // Base64 may hold a `+` of its own, so the text is cut from the left.
        let mut parts = text.splitn(3, '+');
        let (Some(name), Some(id), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(BadPublicKey::Form);
        };
        let key: [u8; 33] =
            STANDARD.decode(key).ok().and_then(|bytes| bytes.try_into().ok()).ok_or(BadPublicKey::Form)?;
        let (&[algorithm], key) = key.split_first_chunk::<1>().ok_or(BadPublicKey::Form)?;
        let key = <&[u8; 32]>::try_from(key).map_err(|_| BadPublicKey::Form)?;
        if algorithm != ED25519 {
            return Err(BadPublicKey::Form);
        }
        let key = Self::new(name, VerifyingKey::from_bytes(key).map_err(|_| BadPublicKey::Form)?)?;
        if format!("{:08x}", u32::from_be_bytes(key.key_id())) == id { Ok(key) } else { Err(BadPublicKey::KeyId) }
    }
}

/// The algorithm byte of Ed25519 in C2SP signed notes.
const ED25519: u8 = 1;

#[cfg(test)]
mod tests {
    use super::*;

    fn signer(name: &str) -> Signer {
        Signer::new(name, &Key::generate().unwrap()).unwrap()
    }

    #[test]
    fn a_name_over_its_length_cannot_sign() {
        let key = Key::generate().unwrap();
        assert!(Signer::new(&"n".repeat(limits::SIGNER_CHARS_MAX), &key).is_ok());
        assert!(Signer::new(&"n".repeat(limits::SIGNER_CHARS_MAX + 1), &key).is_err());
    }

    #[test]
    fn the_first_test_vector_of_rfc_8032_holds() {
        let seed = [
            0x9d, 0x61, 0xb1, 0x9d, 0xef, 0xfd, 0x5a, 0x60, 0xba, 0x84, 0x4a, 0xf4, 0x92, 0xec, 0x2c, 0xc4, 0x44, 0x49,
            0xc5, 0x69, 0x7b, 0x32, 0x69, 0x19, 0x70, 0x3b, 0xac, 0x03, 0x1c, 0xae, 0x7f, 0x60,
        ];
        let signer = Signer::new("rfc8032", &Key::init_with(|bytes| *bytes = seed)).unwrap();
        let signature: String = signer.sign(b"").iter().map(|byte| format!("{byte:02x}")).collect();
        assert!(signature.starts_with("e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb88215"));
    }

    #[test]
    fn a_signature_of_another_key_or_message_is_refused() {
        let (one, two) = (signer("vault/one"), signer("vault/one"));
        let signature = one.sign(b"message");
        assert!(one.public_key().verify(b"message", &signature).is_ok());
        assert!(one.public_key().verify(b"messagE", &signature).is_err());
        assert!(two.public_key().verify(b"message", &signature).is_err());
        assert!(one.public_key().verify(b"message", &signature[..63]).is_err());
    }

    #[test]
    fn a_public_key_reads_what_it_writes() {
        let key = signer("strongroom/test").public_key().clone();
        assert_eq!(key.to_string().parse::<PublicKey>().unwrap(), key);
        assert_eq!(format!("{key}\n").parse::<PublicKey>().unwrap(), key);
    }

    #[test]
    fn a_public_key_under_another_name_is_refused() {
        let text = signer("strongroom/one").public_key().to_string();
        assert_eq!(text.replace("/one", "/two").parse::<PublicKey>(), Err(BadPublicKey::KeyId));
        assert_eq!("".parse::<PublicKey>(), Err(BadPublicKey::Form));
        assert_eq!("a+00000000+AAAA".parse::<PublicKey>(), Err(BadPublicKey::Form));
    }

    #[test]
    fn a_name_that_breaks_a_signature_line_is_refused() {
        let key = Key::generate().unwrap();
        for name in ["", "a b", "a+b", "a\nb", &"a".repeat(129)] {
            assert_eq!(Signer::new(name, &key).err(), Some(BadPublicKey::Name));
        }
    }
}
