//! `FieldKey`: opens card fields and PINs that a merchant's page encrypted under a key of the merchant's own.
//!
//! The scheme is others': AES-256-GCM, the nonce's twelve characters as IV, nothing associated, and one nonce for all
//! fields of a card. GCM allows a nonce once under a key. Twice, the XOR of two ciphertexts is the XOR of the texts in
//! them, so that an expiry that is known opens as many digits of the number beside it; and two tags give away the key
//! that authenticates under that nonce, so that fields can be forged. It is opened here because shops have it in their
//! pages already, and protects nothing beyond the TLS around it. Nothing of ours is ever sealed in this way: this type
//! has no way to seal, and no other type takes its role.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use zeroize::Zeroizing;

use crate::Unauthentic;
use crate::aead::{Cipher, NONCE, Unsealed};
use crate::key::{FieldRole, KEY_BYTES, Key};
use crate::stack::wiped;

/// A key that opens fields and seals nothing. Not `Clone`, `Debug` or `Serialize`; wiped on drop.
pub struct FieldKey(Cipher<FieldRole>);

impl FieldKey {
    /// Reads a key: 32 bytes as base64 in the standard alphabet with padding, 44 characters and no whitespace. None for
    /// anything else.
    #[must_use]
    pub fn from_base64(text: &[u8]) -> Option<Self> {
        if text.len() != TEXT_BYTES {
            return None;
        }
        wiped(|| {
            let mut decoded = Zeroizing::new([0; TEXT_BYTES]);
            let length = BASE64_STANDARD.decode_slice(text, &mut decoded[..]).ok()?;
            let bytes: &[u8; KEY_BYTES] = decoded[..length].try_into().ok()?;
            Some(Self(Cipher::new(&Key::init_with(|key| key.copy_from_slice(bytes)))))
        })
    }

    /// What was encrypted under this key and nonce: ciphertext and tag in, plaintext out.
    ///
    /// # Errors
    /// [`Unauthentic`] for anything else.
    pub fn open(&self, nonce: &[u8; NONCE], ciphertext_and_tag: &[u8]) -> Result<Unsealed, Unauthentic> {
        wiped(|| self.0.open_with(nonce, &[], ciphertext_and_tag))
    }
}

/// 32 bytes as base64.
const TEXT_BYTES: usize = 44;

#[cfg(test)]
mod tests {
    use super::*;

    /// The bytes 0 to 31.
    const KEY: &[u8] = b"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
    const IV: &[u8; NONCE] = b"a1B2c3D4e5F6";
    /// Made by OpenSSL under that key and nonce.
    const FIELDS: [(&str, &[u8]); 5] = [
        ("2BUyUdgomb2Ow+xzyikkh8KGvK/d59d+yH6FsX68jvc=", b"4242424242424242"),
        ("3B5x4K3wi8UyDeRbf67hUQOI", b"09"),
        ("3xVz/XCtn7AYJbbYr8ukwJ36", b"32"),
        ("3RU1IAFgnq0N86ifDQIZWooGlg==", b"123"),
        ("JOv3VKrghby0Jl8SBtNbZw==", b""),
    ];

    fn bytes(text: &str) -> Vec<u8> {
        BASE64_STANDARD.decode(text).unwrap()
    }

    #[test]
    fn fields_of_another_implementation_open() {
        let key = FieldKey::from_base64(KEY).unwrap();
        for (field, text) in FIELDS {
            assert_eq!(key.open(IV, &bytes(field)).unwrap().as_slice(), text);
        }
    }

    #[test]
    fn a_changed_field_nonce_or_key_opens_nothing() {
        let key = FieldKey::from_base64(KEY).unwrap();
        let field = bytes(FIELDS[0].0);
        for place in 0..field.len() {
            let mut changed = field.clone();
            changed[place] ^= 1;
            assert_eq!(key.open(IV, &changed).err(), Some(Unauthentic));
            assert_eq!(key.open(IV, &field[..place]).err(), Some(Unauthentic));
        }
        assert_eq!(key.open(b"a1B2c3D4e5F7", &field).err(), Some(Unauthentic));
        let other = FieldKey::from_base64(&[b"B", &KEY[1..]].concat()).unwrap();
        assert_eq!(other.open(IV, &field).err(), Some(Unauthentic));
    }

    #[test]
    fn only_32_bytes_of_plain_base64_are_a_key() {
        let (long, short) = (BASE64_STANDARD.encode([7; 33]), BASE64_STANDARD.encode([7; 31]));
        let (spaced, lined) = ([b" ", KEY].concat(), [KEY, b"\n"].concat());
        let url_safe = BASE64_STANDARD.encode([0xff; 32]).replace('/', "_");
        let twice_spelled = [&KEY[..42], b"9="].concat();
        for text in [
            b"",
            &KEY[..43],
            b"sk_test_4eC39HqLyjWDarjtT1zdp7dc",
            long.as_bytes(),
            short.as_bytes(),
            &spaced,
            &lined,
            url_safe.as_bytes(),
            &twice_spelled,
            &[0xff; 44],
        ] {
            assert!(FieldKey::from_base64(text).is_none(), "{:?}", String::from_utf8_lossy(text));
        }
    }

    /// What this scheme costs, and why it is not ours: see the module's text.
    #[test]
    fn one_nonce_over_two_fields_gives_away_what_is_in_them() {
        let (number, month) = (bytes(FIELDS[0].0), bytes(FIELDS[1].0));
        let opened: Vec<u8> = (0..2).map(|place| number[place] ^ month[place] ^ b"09"[place]).collect();
        assert_eq!(opened, b"42", "whoever knows the month has two digits of the number, without any key");
    }
}
