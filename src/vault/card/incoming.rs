//! `Incoming`: a request to store a card as it came, with the card in clear or sealed to the vault's intake key.

use strongroom_wire::payment_method::{Metadata, Storage};
use strongroom_wire::{CustomerId, limits};

use super::body::{
    BodyError, Lifetime, OBJECT, TokenizeBody, customer_id, invalid, members, optional, read_card, root, storage_word,
    ttl_seconds, unknown,
};
use super::metadata::read_metadata;
use super::node::Node;
use super::sealed::{Sealable, SealedPart, opened_root, sealed_part};

/// The body of `POST /v1/payment_methods`, on intake and release alike.
pub enum Incoming {
    /// `card`.
    Clear(TokenizeBody),
    /// `encrypted_card`.
    Sealed(SealedBody),
}

/// A request whose card is sealed.
pub struct SealedBody {
    /// The card.
    pub sealed: SealedPart,
    rest: Rest,
}

/// Everything but the card.
struct Rest {
    customer: Option<CustomerId>,
    lifetime: Lifetime,
    metadata: Metadata,
}

impl Incoming {
    /// Reads a body. `now_ms` (milliseconds since 1970-01-01 UTC) decides whether the card has expired. The digits of
    /// the card go from `body` straight to where they are wiped; the caller wipes `body`.
    ///
    /// # Errors
    /// [`BodyError`] for the first fault found.
    pub fn parse(body: &[u8], now_ms: u64) -> Result<Self, BodyError> {
        Self::of(&root(body)?, now_ms)
    }

    /// The same from JSON that was read already.
    pub(super) fn of(root: &Node<'_>, now_ms: u64) -> Result<Self, BodyError> {
        let (mut card, mut sealed, mut customer, mut storage, mut ttl) = (None, None, None, None, None);
        let (mut kind, mut metadata) = (None, Metadata::new());
        for (name, value) in members(root, None, OBJECT)? {
            match name {
                "type" => kind = value.text(),
                "card" => card = optional(value),
                "encrypted_card" => sealed = optional(value),
                "customer_id" => customer = optional(value).map(customer_id).transpose()?,
                "storage" => storage = optional(value).map(storage_word).transpose()?,
                "ttl_seconds" => ttl = optional(value).map(ttl_seconds).transpose()?,
                "metadata" => metadata = optional(value).map(read_metadata).transpose()?.unwrap_or_default(),
                _ => {
                    let why = "allowed fields: type, card, encrypted_card, customer_id, storage, ttl_seconds, metadata";
                    return Err(unknown(None, why));
                }
            }
        }
        if kind != Some("card") {
            return Err(invalid("type", "type is required and must be \"card\""));
        }
        let lifetime = lifetime(storage, ttl)?;
        let rest = Rest { customer, lifetime, metadata };
        match (card, sealed) {
            (Some(card), None) => Ok(Incoming::Clear(rest.with(card, now_ms)?)),
            (None, Some(sealed)) => {
                Ok(Incoming::Sealed(SealedBody { sealed: sealed_part(sealed, Sealable::Card)?, rest }))
            }
            (None, None) => Err(invalid("card", "card is required, or encrypted_card in its place")),
            (Some(_), Some(_)) => Err(invalid("encrypted_card", "send card or encrypted_card, not both")),
        }
    }
}

impl SealedBody {
    /// The request with its card, once that is opened. `plaintext` is the JSON of what `card` would have held; the caller
    /// wipes it.
    ///
    /// # Errors
    /// [`BodyError`] for the first fault found in the card.
    pub fn opened(self, plaintext: &[u8], now_ms: u64) -> Result<TokenizeBody, BodyError> {
        let card = opened_root(plaintext, Sealable::Card)?;
        self.rest.with(&card, now_ms)
    }
}

impl Rest {
    fn with(self, card: &Node<'_>, now_ms: u64) -> Result<TokenizeBody, BodyError> {
        let (card, cvc) = read_card(card, now_ms)?;
        let Self { customer, lifetime, metadata } = self;
        Ok(TokenizeBody { card, cvc, customer, lifetime, metadata })
    }
}

fn lifetime(storage: Option<Storage>, ttl: Option<u64>) -> Result<Lifetime, BodyError> {
    match (storage, ttl) {
        (None | Some(Storage::LongTerm), None) => Ok(Lifetime::LongTerm),
        (None | Some(Storage::LongTerm), Some(_)) => {
            Err(invalid("ttl_seconds", "ttl_seconds goes with storage \"short_term\" only"))
        }
        (Some(Storage::ShortTerm), ttl) => Ok(Lifetime::ShortTerm(ttl.unwrap_or(limits::SHORT_TERM_TTL_DEFAULT_S))),
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::prelude::BASE64_URL_SAFE_NO_PAD;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    const NOW: u64 = 1_773_532_800_000;

    fn sealed() -> Value {
        json!({
            "type": "card",
            "encrypted_card": {"key_id": "ik_7", "enc": "A".repeat(43), "ciphertext": "A".repeat(700)},
            "customer_id": "cus_1",
            "metadata": {"order": "17"},
        })
    }

    fn read(body: &Value) -> Result<SealedBody, BodyError> {
        match Incoming::parse(body.to_string().as_bytes(), NOW)? {
            Incoming::Sealed(body) => Ok(body),
            Incoming::Clear(_) => panic!("nothing here is in clear"),
        }
    }

    #[test]
    fn a_sealed_card_arrives_with_everything_beside_it() {
        let body = read(&sealed()).ok().unwrap();
        assert_eq!((body.sealed.key.term(), body.sealed.enc, body.sealed.ciphertext.len()), (7, [0; 32], 525));
        let card = br#"{"number":"4242424242424242","exp_month":12,"exp_year":2030,"cvc":"123"}      "#;
        let body = body.opened(card, NOW).ok().unwrap();
        assert_eq!(body.card.pan.digits().as_str(), "4242424242424242");
        assert_eq!(body.cvc.unwrap().digits().as_str(), "123");
        assert_eq!((body.customer.unwrap().as_str(), body.metadata["order"].as_str()), ("cus_1", "17"));
        assert_eq!(body.lifetime, Lifetime::LongTerm);
    }

    #[test]
    fn what_opens_to_no_card_is_refused_and_not_repeated() {
        for (plaintext, field) in [
            (&b"4242424242424242 is the number"[..], "encrypted_card"),
            (br#"{"number":"4242424242424242","number":"4242424242424242"}"#, "encrypted_card"),
            (br#"{"number":"4242424242424241","exp_month":12,"exp_year":2030}"#, "card.number"),
            (br#"{"number":"4242424242424242","exp_month":12,"exp_year":2020}"#, "card.exp_year"),
            (br#"["4242424242424242"]"#, "card"),
            (b"", "encrypted_card"),
        ] {
            let fault = read(&sealed()).ok().unwrap().opened(plaintext, NOW).err().unwrap();
            assert_eq!(fault.field, Some(field));
            assert!(!format!("{fault} {fault:?}").contains("4242"));
        }
    }

    #[test]
    fn each_wrong_part_of_a_sealed_card_is_named() {
        for (path, value, field) in [
            ("/encrypted_card", json!("sealed"), "encrypted_card"),
            ("/encrypted_card/more", json!("x"), "encrypted_card"),
            ("/encrypted_card/key_id", json!("7"), "encrypted_card.key_id"),
            ("/encrypted_card/key_id", json!(7), "encrypted_card.key_id"),
            ("/encrypted_card/enc", json!("A".repeat(42)), "encrypted_card.enc"),
            ("/encrypted_card/enc", json!("A".repeat(44)), "encrypted_card.enc"),
            ("/encrypted_card/enc", json!(format!("{}=", "A".repeat(43))), "encrypted_card.enc"),
            ("/encrypted_card/ciphertext", json!("+/+/".repeat(10)), "encrypted_card.ciphertext"),
            ("/encrypted_card/ciphertext", json!("A".repeat(22)), "encrypted_card.ciphertext"),
            ("/card", json!({"number": "4242424242424242", "exp_month": 12, "exp_year": 2030}), "encrypted_card"),
        ] {
            let (folder, name) = path.rsplit_once('/').unwrap();
            let mut body = sealed();
            body.pointer_mut(folder).unwrap()[name] = value;
            assert_eq!(read(&body).err().unwrap().field, Some(field), "{path}");
        }
        let mut none = sealed();
        none["encrypted_card"] = Value::Null;
        assert_eq!(read(&none).err().unwrap().field, Some("card"));
    }

    #[test]
    fn a_ciphertext_has_a_longest_length() {
        let of = |bytes: usize| {
            let mut body = sealed();
            body["encrypted_card"]["ciphertext"] = BASE64_URL_SAFE_NO_PAD.encode(vec![0; bytes]).into();
            read(&body).map(|body| body.sealed.ciphertext.len()).ok()
        };
        assert_eq!(of(limits::SEALED_CARD_BYTES_MAX), Some(limits::SEALED_CARD_BYTES_MAX));
        assert_eq!(of(limits::SEALED_CARD_BYTES_MAX + 1), None);
        // Longer before it is decoded, too.
        assert_eq!(of(2 * limits::SEALED_CARD_BYTES_MAX), None);
    }

    proptest! {
        #[test]
        fn no_plaintext_makes_it_panic(plaintext in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = read(&sealed()).ok().unwrap().opened(&plaintext, NOW);
        }
    }
}
