//! `IncomingCvc`: the body of `POST /v1/payment_methods/{id}/cvc`, with the CVC in clear or sealed to the vault's intake key,
//! read as strictly as one with a card.

use strongroom_wire::Kind;
use strongroom_wire::payment_method::Brand;

use super::body::{BodyError, OBJECT, card_fault, invalid, members, optional, plain_text, root, unknown};
use super::node::Node;
use super::sealed::{Sealable, SealedPart, opened_root, sealed_part};
use super::{CardError, Cvc};

/// A CVC by itself, as it came.
pub enum IncomingCvc<'a> {
    /// `cvc`.
    Clear(CvcBody<'a>),
    /// `encrypted_cvc`.
    Sealed(SealedPart),
}

/// A CVC whose card is not known yet: `{"cvc"}`. It still stands in the bytes that it was read from.
pub struct CvcBody<'a>(Node<'a>);

impl<'a> IncomingCvc<'a> {
    /// Reads a body; the caller wipes `body`.
    ///
    /// # Errors
    /// [`BodyError`] for the first fault found.
    pub fn parse(body: &'a [u8]) -> Result<Self, BodyError> {
        let root = root(body)?;
        let (mut has_cvc, mut sealed) = (false, None);
        for (field, value) in members(&root, None, OBJECT)? {
            match field {
                "cvc" => {
                    has_cvc = true;
                    check(value)?;
                }
                "encrypted_cvc" => {
                    let part = optional(value).map(|value| sealed_part(value, Sealable::Cvc));
                    sealed = part.transpose()?;
                }
                _ => return Err(unknown(None, "allowed fields: cvc, encrypted_cvc")),
            }
        }
        match (has_cvc, sealed) {
            (true, None) => Ok(IncomingCvc::Clear(CvcBody(root))),
            (false, Some(sealed)) => Ok(IncomingCvc::Sealed(sealed)),
            (false, None) => Err(invalid("cvc", "cvc is required, or encrypted_cvc in its place")),
            (true, Some(_)) => Err(invalid("encrypted_cvc", "send cvc or encrypted_cvc, not both")),
        }
    }
}

impl<'a> CvcBody<'a> {
    /// Reads what a sealed CVC opened to; the caller wipes `plaintext`.
    ///
    /// # Errors
    /// [`BodyError`] for the first fault found.
    pub fn opened(plaintext: &'a [u8]) -> Result<Self, BodyError> {
        let root = opened_root(plaintext, Sealable::Cvc)?;
        let object = "what is sealed must be a JSON object";
        let mut has_cvc = false;
        for (field, value) in members(&root, Some(Sealable::Cvc.field()), object)? {
            if field != "cvc" {
                return Err(unknown(Some(Sealable::Cvc.field()), "the one field of what is sealed is cvc"));
            }
            has_cvc = true;
            check(value)?;
        }
        if has_cvc { Ok(Self(root)) } else { Err(invalid("cvc", "cvc is required in what is sealed")) }
    }

    /// The CVC, if it fits a card of this brand.
    ///
    /// # Errors
    /// [`BodyError`] if it has another number of digits.
    pub fn of_brand(&self, brand: Brand) -> Result<Cvc, BodyError> {
        let mut fields = members(&self.0, None, OBJECT)?;
        let text = fields.find_map(|(field, value)| if field == "cvc" { value.text() } else { None });
        let wrong = BodyError { kind: Kind::InvalidCard, field: Some("cvc"), why: CardError::Cvc.why() };
        Cvc::parse(text.ok_or(wrong)?, brand).map_err(|_| wrong)
    }
}

/// Whether it is the CVC of some brand.
fn check(value: &Node<'_>) -> Result<(), BodyError> {
    Cvc::of_any_brand(plain_text(value, "cvc", DIGITS)?).map(drop).map_err(|fault| card_fault("cvc", fault))
}

const DIGITS: &str = "cvc is a string of digits, without JSON escapes";

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use strongroom_wire::limits;

    use super::*;

    fn clear(text: &str) -> Result<CvcBody<'_>, BodyError> {
        match IncomingCvc::parse(text.as_bytes())? {
            IncomingCvc::Clear(body) => Ok(body),
            IncomingCvc::Sealed(_) => panic!("nothing here is sealed"),
        }
    }

    fn fault(text: &str) -> BodyError {
        IncomingCvc::parse(text.as_bytes()).err().unwrap()
    }

    fn sealed(part: &str) -> String {
        format!(r#"{{"encrypted_cvc":{part}}}"#)
    }

    #[test]
    fn a_cvc_has_the_length_of_its_cards_brand() {
        let read = |text: &str, brand| clear(text)?.of_brand(brand).map(|cvc| cvc.digits().as_str().to_owned());
        assert_eq!(read(r#"{"cvc":"012"}"#, Brand::Visa).unwrap(), "012");
        assert_eq!(read(r#"{"cvc":"0123"}"#, Brand::Amex).unwrap(), "0123");
        for (text, brand) in [(r#"{"cvc":"0123"}"#, Brand::Visa), (r#"{"cvc":"012"}"#, Brand::Amex)] {
            let refused = read(text, brand).unwrap_err();
            assert_eq!((refused.kind, refused.field), (Kind::InvalidCard, Some("cvc")));
        }
    }

    #[test]
    fn each_fault_is_named_and_repeats_nothing() {
        for (text, field) in [
            (r#"{}"#, Some("cvc")),
            (r#"{"cvc":null}"#, Some("cvc")),
            (r#"{"cvc":123}"#, Some("cvc")),
            (r#"{"cvc":"12"}"#, Some("cvc")),
            (r#"{"cvc":"12a"}"#, Some("cvc")),
            (r#"{"cvc":"\u0031\u0032\u0033"}"#, Some("cvc")),
            (r#"{"cvc":"123","cvc":"123"}"#, None),
            (r#"{"cvc":"123","987":1}"#, None),
            (r#"["123"]"#, None),
            ("", None),
        ] {
            let refused = fault(text);
            assert_eq!(refused.field, field, "{text}");
            assert!(!refused.why.contains("987") && !refused.why.contains("12a"));
        }
        let large = " ".repeat(limits::BODY_BYTES_MAX + 1);
        assert_eq!(fault(&large).kind, Kind::TooLarge);
    }

    #[test]
    fn a_sealed_cvc_is_read_as_a_sealed_card_is() {
        let (enc, ciphertext) = ("A".repeat(43), "A".repeat(700));
        let of = |key: &str, enc: &str, ciphertext: &str| {
            sealed(&format!(r#"{{"key_id":"{key}","enc":"{enc}","ciphertext":"{ciphertext}"}}"#))
        };
        let Ok(IncomingCvc::Sealed(part)) = IncomingCvc::parse(of("ik_7", &enc, &ciphertext).as_bytes()) else {
            panic!()
        };
        assert_eq!((part.key.term(), part.enc, part.ciphertext.len()), (7, [0; 32], 525));
        let both = of("ik_7", &enc, &ciphertext).replacen('{', r#"{"cvc":"123","#, 1);
        let longest = "A".repeat((limits::SEALED_CARD_BYTES_MAX + 1).div_ceil(3) * 4);
        for (text, field) in [
            (of("7", &enc, &ciphertext), "encrypted_cvc.key_id"),
            (of("ik_7", &enc[1..], &ciphertext), "encrypted_cvc.enc"),
            (of("ik_7", &enc, "AAAA"), "encrypted_cvc.ciphertext"),
            (of("ik_7", &enc, &longest), "encrypted_cvc.ciphertext"),
            (of("ik_7", &enc, "+/+/").replace("}}", r#","more":1}}"#), "encrypted_cvc"),
            (sealed(r#""123""#), "encrypted_cvc"),
            (sealed("null"), "cvc"),
            (both, "encrypted_cvc"),
        ] {
            assert_eq!(fault(&text).field, Some(field), "{text}");
        }
    }

    #[test]
    fn what_opens_to_no_cvc_is_refused_and_not_repeated() {
        let body = CvcBody::opened(b"{\"cvc\":\"0123\"}      ").ok().unwrap();
        assert_eq!(body.of_brand(Brand::Amex).ok().unwrap().digits().as_str(), "0123");
        for (plaintext, field) in [
            (&b"987"[..], "encrypted_cvc"),
            (b"987 is the cvc", "encrypted_cvc"),
            (br#"{"cvc":"987","cvc":"987"}"#, "encrypted_cvc"),
            (br#"{"cvc":"987","987":1}"#, "encrypted_cvc"),
            (br#"{"number":"4242424242424242","exp_month":12,"exp_year":2030,"cvc":"987"}"#, "encrypted_cvc"),
            (br#"{"cvc":987}"#, "cvc"),
            (br#"{"cvc":"98"}"#, "cvc"),
            (b"{}", "cvc"),
            (b"", "encrypted_cvc"),
        ] {
            let fault = CvcBody::opened(plaintext).err().unwrap();
            assert_eq!(fault.field, Some(field));
            assert!(!format!("{fault} {fault:?}").contains("98"));
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(body in prop::collection::vec(any::<u8>(), 0..100)) {
            let _ = IncomingCvc::parse(&body);
            let _ = CvcBody::opened(&body);
        }
    }
}
