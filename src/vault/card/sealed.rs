//! `SealedPart`: what a client sealed to the vault's intake key with HPKE, as it stands in a request: a card, or a CVC by
//! itself. Both have one form; what they are sealed as (`strongroom_keys::intake`) keeps one from passing for the other.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use strongroom_wire::intake::IntakeKeyId;
use strongroom_wire::{Kind, limits};

use super::body::{BodyError, invalid, members, unknown};
use super::node::{BadJson, Node};

/// Something sealed: see `strongroom_keys::intake` for how.
pub struct SealedPart {
    /// To which key.
    pub key: IntakeKeyId,
    /// The encapsulated key.
    pub enc: [u8; 32],
    /// Ciphertext and tag, at most [`limits::SEALED_CARD_BYTES_MAX`] bytes.
    pub ciphertext: Vec<u8>,
}

/// What of a request may be sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sealable {
    /// A card that is to be stored.
    Card,
    /// The CVC of a card that is stored.
    Cvc,
}

impl Sealable {
    /// The field of a request that it stands in.
    #[must_use]
    pub fn field(self) -> &'static str {
        self.fields()[0]
    }

    /// The field that names the key that it is sealed to.
    #[must_use]
    pub fn key_field(self) -> &'static str {
        self.fields()[1]
    }

    fn fields(self) -> [&'static str; 4] {
        match self {
            Sealable::Card => {
                ["encrypted_card", "encrypted_card.key_id", "encrypted_card.enc", "encrypted_card.ciphertext"]
            }
            Sealable::Cvc => ["encrypted_cvc", "encrypted_cvc.key_id", "encrypted_cvc.enc", "encrypted_cvc.ciphertext"],
        }
    }
}

/// Reads the field of something sealed.
pub(super) fn sealed_part(value: &Node<'_>, what: Sealable) -> Result<SealedPart, BodyError> {
    let [field, key_field, enc_field, ciphertext_field] = what.fields();
    let (mut key, mut enc, mut ciphertext) = (None, None, None);
    for (name, value) in members(value, Some(field), "it must be an object with key_id, enc and ciphertext")? {
        match name {
            "key_id" => key = value.text(),
            "enc" => enc = value.text(),
            "ciphertext" => ciphertext = value.text(),
            _ => return Err(unknown(Some(field), "allowed fields: key_id, enc, ciphertext")),
        }
    }
    let key = key
        .and_then(|text| text.parse().ok())
        .ok_or(invalid(key_field, "key_id is the one that GET /v1/intake-key answered, like ik_7"))?;
    let enc = enc
        .and_then(decode)
        .and_then(|bytes| bytes.try_into().ok())
        .ok_or(invalid(enc_field, "enc is 32 bytes as base64url without padding"))?;
    let fits = |bytes: &Vec<u8>| (TAG_BYTES + 1..=limits::SEALED_CARD_BYTES_MAX).contains(&bytes.len());
    let ciphertext = ciphertext
        .and_then(decode)
        .filter(fits)
        .ok_or(invalid(ciphertext_field, "ciphertext is 17 to 1024 bytes as base64url without padding"))?;
    Ok(SealedPart { key, enc, ciphertext })
}

/// The JSON that something sealed opened to.
pub(super) fn opened_root(plaintext: &[u8], what: Sealable) -> Result<Node<'_>, BodyError> {
    let wrong = |why| BodyError { kind: Kind::InvalidCard, field: Some(what.field()), why };
    Node::parse(plaintext).map_err(|fault| match fault {
        BadJson::Syntax => wrong("what is sealed is not the JSON that is documented"),
        BadJson::Repeated => wrong("a field stands twice in what is sealed"),
        BadJson::TooMany => wrong("what is sealed has too many fields"),
    })
}

fn decode(text: &str) -> Option<Vec<u8>> {
    let longest = limits::SEALED_CARD_BYTES_MAX.div_ceil(3) * 4;
    if text.len() > longest { None } else { BASE64_URL_SAFE_NO_PAD.decode(text).ok() }
}

const TAG_BYTES: usize = 16;
