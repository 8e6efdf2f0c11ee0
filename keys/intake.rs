//! HPKE (RFC 9180) for cards, and for CVCs by themselves, that a client seals to the vault before it sends them. The only file
//! that names the `hpke` crate.
//!
//! # The recipe, for whoever writes a client
//!
//! 1. `GET /v1/intake-key` from the listener that the card will be posted to. It answers `vault_id`, `key_id`, `public_key`
//!    (32 bytes, base64url without padding) and `expires_at`. Keep it for as long as `Cache-Control` says and no longer.
//! 2. The suite is DHKEM(X25519, HKDF-SHA256) (0x0020), HKDF-SHA256 (0x0001), AES-256-GCM (0x0002), in base mode.
//! 3. `info` is UTF-8 text of four lines without a line feed at the end:
//!
//!    ```text
//!    strongroom intake v1
//!    <vault_id>
//!    <key_id>
//!    session <id>
//!    ```
//!
//!    On the intake `<id>` is the member `id` of the session's claims: the JSON that stands as base64url between `ss_` and
//!    the first dot of the `client_secret`. On the release listener the last line is `tenant <tenant>` instead.
//! 4. The plaintext is the JSON of what would stand in `card`: `{"number":"...","exp_month":12,"exp_year":2030,"cvc":"..."}`,
//!    as UTF-8. Fill it up with spaces to 512 bytes, so that the length of the ciphertext tells nothing.
//! 5. Seal it once, at sequence number 0, with empty associated data.
//! 6. Send `{"type":"card","encrypted_card":{"key_id":"...","enc":"...","ciphertext":"..."}}`, `enc` and `ciphertext` (tag at
//!    its end) as base64url without padding, and the other members as ever.
//!
//! Each sealing is accepted once. If the answer was lost, ask again with the same `Idempotency-Key`; without one, seal anew.
//! A refused `key_id` means that the key was exchanged: fetch it again and seal anew.
//!
//! # A CVC by itself
//!
//! The CVC of a card that is stored already is sealed the same way, as `{"cvc":"..."}` filled up to 512 bytes, with an `info` of
//! five lines that names the card by its token:
//!
//! ```text
//! strongroom intake cvc v1
//! <vault_id>
//! <key_id>
//! session <id>
//! payment_method <pm_...>
//! ```
//!
//! So it is good for this card alone, and neither a card nor a CVC opens where the other belongs. Send
//! `{"encrypted_cvc":{"key_id":"...","enc":"...","ciphertext":"..."}}` to `POST /v1/payment_methods/<pm_...>/cvc`. It is accepted
//! once, whatever `Idempotency-Key` stands beside it, because no answer with a CVC is kept: after a lost answer, seal anew.

use hpke::aead::AesGcm256;
use hpke::kdf::HkdfSha256;
use hpke::kem::{Kem as _, X25519HkdfSha256};
use hpke::{Deserializable as _, OpModeR, OpModeS, Serializable as _, single_shot_open, single_shot_seal};
use strongroom_wire::{TenantId, Token};
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::Unauthentic;
use crate::aead::{TAG, Unsealed};
use crate::key::{IntakeRole, Key};
use crate::stack::wiped;

/// An intake key, ready to open. Wiped on drop; on the heap, so that moving it leaves no copy behind.
pub struct IntakeKey {
    private: Box<Private>,
    public: [u8; PUBLIC_BYTES],
}

/// What is sealed.
#[derive(Debug, Clone, Copy)]
pub enum What<'a> {
    /// A card that is to be stored.
    Card,
    /// The CVC of a stored card.
    Cvc(&'a Token),
}

/// Who something sealed is meant to come from.
#[derive(Debug, Clone, Copy)]
pub enum Sender<'a> {
    /// A client session, by its id: a ciphertext that is stolen from one session is worth nothing in another.
    Session(Uuid),
    /// An identity of the release listener that acts for this tenant.
    Tenant(&'a TenantId),
}

impl IntakeKey {
    /// The key pair that 32 random bytes are.
    #[must_use]
    pub fn new(key: &Key<IntakeRole>) -> Self {
        wiped(|| {
            let private =
                Box::new(Private::from_bytes(key.bytes()).expect("a key has the 32 bytes of an X25519 scalar"));
            let public = X25519HkdfSha256::sk_to_pk(&private).to_bytes().into();
            Self { private, public }
        })
    }

    /// The public half, as RFC 7748 writes it.
    #[must_use]
    pub fn public_key(&self) -> &[u8; PUBLIC_BYTES] {
        &self.public
    }

    /// Opens what a client sealed with this `info`.
    ///
    /// # Errors
    /// [`Unauthentic`] for anything else.
    pub fn open(&self, info: &str, enc: &[u8; PUBLIC_BYTES], ciphertext: &[u8]) -> Result<Unsealed, Unauthentic> {
        let enc = Encapped::from_bytes(enc).map_err(|_| Unauthentic)?;
        let opened = wiped(|| {
            single_shot_open::<AesGcm256, HkdfSha256, X25519HkdfSha256>(
                &OpModeR::Base,
                &self.private,
                &enc,
                info.as_bytes(),
                ciphertext,
                NO_AAD,
            )
        });
        opened.map(Zeroizing::new).map_err(|_| Unauthentic)
    }
}

/// What a client does, so that both sides are tried against each other: `enc` and the ciphertext.
///
/// # Errors
/// [`Unauthentic`] if the public key is not one that a secret can be agreed on with.
pub fn seal(
    public_key: &[u8; PUBLIC_BYTES],
    info: &str,
    plaintext: &[u8],
) -> Result<([u8; PUBLIC_BYTES], Vec<u8>), Unauthentic> {
    let to = Public::from_bytes(public_key).map_err(|_| Unauthentic)?;
    let sealed = single_shot_seal::<AesGcm256, HkdfSha256, X25519HkdfSha256>(
        &OpModeS::Base,
        &to,
        info.as_bytes(),
        plaintext,
        NO_AAD,
    );
    sealed.map(|(enc, ciphertext)| (enc.to_bytes().into(), ciphertext)).map_err(|_| Unauthentic)
}

/// The `info` of something sealed: what it is bound to. None of the parts can hold a line feed, so no two texts are the same.
#[must_use]
pub fn info(what: What<'_>, vault_id: Uuid, key_id: &str, from: Sender<'_>) -> String {
    let from = match from {
        Sender::Session(id) => format!("session {id}"),
        Sender::Tenant(tenant) => format!("tenant {tenant}"),
    };
    match what {
        What::Card => format!("{LABEL}\n{vault_id}\n{key_id}\n{from}"),
        What::Cvc(token) => format!("{CVC_LABEL}\n{vault_id}\n{key_id}\n{from}\npayment_method {token}"),
    }
}

type Private = <X25519HkdfSha256 as hpke::Kem>::PrivateKey;
type Public = <X25519HkdfSha256 as hpke::Kem>::PublicKey;
type Encapped = <X25519HkdfSha256 as hpke::Kem>::EncappedKey;

/// Length of a public key and of an encapsulated one, in bytes.
pub const PUBLIC_BYTES: usize = 32;
/// What a ciphertext is longer than its plaintext, in bytes.
pub const OVERHEAD_BYTES: usize = TAG;
/// The suite's numbers in RFC 9180 sections 7.1 to 7.3: KEM, KDF, AEAD.
pub const SUITE: (u16, u16, u16) = (0x0020, 0x0001, 0x0002);

const LABEL: &str = "strongroom intake v1";
const CVC_LABEL: &str = "strongroom intake cvc v1";
/// All that is bound stands in `info`, which every message of a context shares; there is one message.
const NO_AAD: &[u8] = b"";

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    const TOKEN: &str = "pm_01997e5f3c4d7a1b8c2d3e4f5a6b7c8d";

    fn hex(value: &Value) -> Vec<u8> {
        let text = value.as_str().unwrap();
        (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
    }

    #[test]
    fn the_vector_of_the_rfc_opens() {
        let file: Value = serde_json::from_str(include_str!("vectors/rfc9180.json")).unwrap();
        let vector = &file["vector"];
        assert_eq!((&vector["mode"], &vector["kem_id"]), (&Value::from(0), &Value::from(SUITE.0)));
        assert_eq!((&vector["kdf_id"], &vector["aead_id"]), (&Value::from(SUITE.1), &Value::from(SUITE.2)));
        let key = IntakeKey::new(&Key::init_with(|bytes| bytes.copy_from_slice(&hex(&vector["skRm"]))));
        assert_eq!(key.public_key()[..], hex(&vector["pkRm"]));
        let enc = Encapped::from_bytes(&hex(&vector["enc"])).unwrap();
        let mut context = hpke::setup_receiver::<AesGcm256, HkdfSha256, X25519HkdfSha256>(
            &OpModeR::Base,
            &key.private,
            &enc,
            &hex(&vector["info"]),
        )
        .unwrap();
        let messages = vector["encryptions"].as_array().unwrap();
        assert_eq!(messages.len(), 6);
        for message in messages {
            let opened = context.open(&hex(&message["ct"]), &hex(&message["aad"])).unwrap();
            assert_eq!(opened, hex(&message["pt"]));
        }
        let mut forged = hex(&messages[0]["ct"]);
        forged[0] ^= 1;
        assert!(context.open(&forged, &hex(&messages[0]["aad"])).is_err());
    }

    #[test]
    fn what_is_sealed_opens_for_the_same_key_and_info_alone() {
        let (key, other) = (IntakeKey::new(&Key::generate().unwrap()), IntakeKey::new(&Key::generate().unwrap()));
        let tenant: TenantId = "acme".parse().unwrap();
        let (vault, session) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let token: Token = TOKEN.parse().unwrap();
        let right = info(What::Card, vault, "ik_1", Sender::Session(session));
        let (enc, ciphertext) = seal(key.public_key(), &right, b"card").unwrap();
        assert_eq!(ciphertext.len(), 4 + OVERHEAD_BYTES);
        assert_eq!(key.open(&right, &enc, &ciphertext).unwrap().as_slice(), b"card");
        assert!(other.open(&right, &enc, &ciphertext).is_err());
        for wrong in [
            info(What::Card, vault, "ik_1", Sender::Session(Uuid::from_u128(3))),
            info(What::Card, vault, "ik_2", Sender::Session(session)),
            info(What::Card, session, "ik_1", Sender::Session(session)),
            info(What::Card, vault, "ik_1", Sender::Tenant(&tenant)),
            info(What::Cvc(&token), vault, "ik_1", Sender::Session(session)),
            String::new(),
        ] {
            assert!(key.open(&wrong, &enc, &ciphertext).is_err(), "{wrong}");
        }
        for place in 0..ciphertext.len() {
            let mut changed = ciphertext.clone();
            changed[place] ^= 1;
            assert!(key.open(&right, &enc, &changed).is_err());
            assert!(key.open(&right, &enc, &ciphertext[..place]).is_err());
        }
    }

    #[test]
    fn a_sealed_cvc_opens_for_its_own_card_alone_and_never_as_a_card() {
        let key = IntakeKey::new(&Key::generate().unwrap());
        let (token, other) = (TOKEN.parse().unwrap(), Token::fresh());
        let (vault, from) = (Uuid::from_u128(1), Sender::Session(Uuid::from_u128(2)));
        let right = info(What::Cvc(&token), vault, "ik_1", from);
        let (enc, ciphertext) = seal(key.public_key(), &right, b"cvc").unwrap();
        assert_eq!(key.open(&right, &enc, &ciphertext).unwrap().as_slice(), b"cvc");
        for wrong in [What::Cvc(&other), What::Card] {
            assert!(key.open(&info(wrong, vault, "ik_1", from), &enc, &ciphertext).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn an_encapsulated_key_has_one_form() {
        let key = IntakeKey::new(&Key::generate().unwrap());
        let (enc, ciphertext) = seal(key.public_key(), "i", b"card").unwrap();
        // X25519 ignores the highest bit; the key schedule does not, so the same sealing has no second name.
        let mut same_point = enc;
        same_point[31] ^= 0x80;
        assert!(key.open("i", &same_point, &ciphertext).is_err());
        // A point of small order, which agrees on a secret of zeros with everybody.
        assert!(key.open("i", &[0; 32], &ciphertext).is_err());
        assert!(seal(&[0; 32], "i", b"card").is_err());
    }

    #[test]
    fn the_info_is_the_documented_text() {
        let text = info(What::Card, Uuid::nil(), "ik_7", Sender::Tenant(&"acme".parse().unwrap()));
        assert_eq!(text, "strongroom intake v1\n00000000-0000-0000-0000-000000000000\nik_7\ntenant acme");
        let session = Sender::Session(Uuid::nil());
        let text = info(What::Cvc(&TOKEN.parse().unwrap()), Uuid::nil(), "ik_7", session);
        let (first, rest) = text.split_once('\n').unwrap();
        assert_eq!(first, "strongroom intake cvc v1");
        let nil = Uuid::nil();
        assert_eq!(rest, format!("{nil}\nik_7\nsession {nil}\npayment_method {TOKEN}"));
    }
}
