//! `CvcBody`: the body of `POST /v1/payment_methods/{id}/cvc`, read as strictly as one with a card.

use strongroom_wire::Kind;
use strongroom_wire::payment_method::Brand;

use super::body::{BodyError, OBJECT, card_fault, invalid, members, plain_text, root, unknown};
use super::node::Node;
use super::{CardError, Cvc};

/// A CVC whose card is not known yet: `{"cvc"}`. It still stands in the body that it was read from.
pub struct CvcBody<'a>(Node<'a>);

impl<'a> CvcBody<'a> {
    /// Reads a body; the caller wipes `body`.
    ///
    /// # Errors
    /// [`BodyError`] for the first fault found.
    pub fn parse(body: &'a [u8]) -> Result<Self, BodyError> {
        let root = root(body)?;
        let mut has_cvc = false;
        for (field, value) in members(&root, None, OBJECT)? {
            match field {
                "cvc" => {
                    has_cvc = true;
                    Cvc::of_any_brand(plain_text(value, "cvc", DIGITS)?).map_err(|fault| card_fault("cvc", fault))?;
                }
                _ => return Err(unknown(None, "allowed fields: cvc")),
            }
        }
        if has_cvc { Ok(Self(root)) } else { Err(invalid("cvc", "cvc is required")) }
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

const DIGITS: &str = "cvc is a string of digits, without JSON escapes";

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use strongroom_wire::limits;

    use super::*;

    #[test]
    fn a_cvc_has_the_length_of_its_cards_brand() {
        let read = |text: &str, brand| {
            let body = CvcBody::parse(text.as_bytes())?;
            body.of_brand(brand).map(|cvc| cvc.digits().as_str().to_owned())
        };
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
            let refused = CvcBody::parse(text.as_bytes()).err().unwrap();
            assert_eq!(refused.field, field, "{text}");
            assert!(!refused.why.contains("987") && !refused.why.contains("12a"));
        }
        let large = " ".repeat(limits::BODY_BYTES_MAX + 1);
        assert_eq!(CvcBody::parse(large.as_bytes()).err().unwrap().kind, Kind::TooLarge);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(body in prop::collection::vec(any::<u8>(), 0..100)) {
            let _ = CvcBody::parse(&body);
        }
    }
}
