//! `reveal_json`: the answer that carries a card, written once into a buffer that wipes itself.

use strongroom_wire::Token;
use zeroize::Zeroizing;

use super::{Card, Cvc};

/// `{"payment_method_id","type":"card","card":{"number","exp_month","exp_year","cvc"?,"holder_name"?}}`. The buffer has
/// its full size from the start, so that no half-written copy is left behind by growing.
#[must_use]
pub fn reveal_json(token: &Token, card: &Card, cvc: Option<&Cvc>) -> Zeroizing<Vec<u8>> {
    let name = card.holder_name.as_ref().map_or("", |name| name.as_str());
    // A quote or backslash takes two bytes; nothing in a name takes more, because names have no control characters.
    let mut out = Zeroizing::new(Vec::with_capacity(FIXED_BYTES_MAX + 2 * name.len()));
    out.extend_from_slice(b"{\"payment_method_id\":\"pm_");
    out.extend_from_slice(token.uuid().simple().encode_lower(&mut [0; 32]).as_bytes());
    out.extend_from_slice(b"\",\"type\":\"card\",\"card\":{");
    put_card(&mut out, card, cvc);
    out.extend_from_slice(b"}}");
    out
}

/// The members of a card's JSON object, without its braces: `"number","exp_month","exp_year","cvc"?,"holder_name"?`.
pub(super) fn put_card(out: &mut Vec<u8>, card: &Card, cvc: Option<&Cvc>) {
    out.extend_from_slice(b"\"number\":\"");
    out.extend_from_slice(card.pan.digits().as_bytes());
    out.extend_from_slice(b"\",\"exp_month\":");
    put_number(out, u32::from(card.expiry.month()));
    out.extend_from_slice(b",\"exp_year\":");
    put_number(out, u32::from(card.expiry.year()));
    if let Some(cvc) = cvc {
        out.extend_from_slice(b",\"cvc\":\"");
        out.extend_from_slice(cvc.digits().as_bytes());
        out.push(b'"');
    }
    if let Some(name) = card.holder_name.as_ref().filter(|name| !name.as_str().is_empty()) {
        out.extend_from_slice(b",\"holder_name\":\"");
        put_name(out, name.as_str());
        out.push(b'"');
    }
}

/// Names have no control characters, so nothing else needs an escape.
pub(super) fn put_name(out: &mut Vec<u8>, name: &str) {
    for byte in name.bytes() {
        if matches!(byte, b'"' | b'\\') {
            out.push(b'\\');
        }
        out.push(byte);
    }
}

fn put_number(out: &mut Vec<u8>, number: u32) {
    if number >= 10 {
        put_number(out, number / 10);
    }
    // A remainder of ten is one digit.
    out.push(b'0' + u8::try_from(number % 10).unwrap_or(0));
}

/// Everything but the holder name, at its longest: 32 hex digits of the token, 19 of the number, 5 of a year, 4 of a
/// CVC, and the names of the fields.
const FIXED_BYTES_MAX: usize = 224;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use strongroom_wire::limits;
    use strongroom_wire::payment_method::Brand;

    use super::*;
    use crate::card::{Expiry, HolderName, Pan};

    fn card(number: &str, name: Option<&str>) -> Card {
        Card {
            pan: Pan::parse(number).unwrap(),
            expiry: Expiry::new(7, 2031, 1_773_532_800_000).unwrap(),
            holder_name: name.map(|name| HolderName::parse(name).unwrap()),
        }
    }

    #[test]
    fn it_is_the_documented_json() {
        let token = Token::fresh();
        let cvc = Cvc::parse("123", Brand::Visa).unwrap();
        let json = reveal_json(&token, &card("4242424242424242", Some("Ada")), Some(&cvc));
        let read: serde_json::Value = serde_json::from_slice(&json).unwrap();
        assert_eq!(
            read,
            serde_json::json!({
                "payment_method_id": token.to_string(),
                "type": "card",
                "card": {
                    "number": "4242424242424242",
                    "exp_month": 7,
                    "exp_year": 2031,
                    "cvc": "123",
                    "holder_name": "Ada",
                },
            })
        );
        let bare = reveal_json(&token, &card("378282246310005", None), None);
        let read: serde_json::Value = serde_json::from_slice(&bare).unwrap();
        assert_eq!(read["card"].as_object().unwrap().len(), 3);
    }

    #[test]
    fn its_buffer_never_grows() {
        let longest = "\"".repeat(limits::HOLDER_NAME_BYTES_MAX);
        let cvc = Cvc::parse("123", Brand::Unionpay).unwrap();
        let json = reveal_json(&Token::fresh(), &card("6205500000000000004", Some(&longest)), Some(&cvc));
        assert!(json.len() <= FIXED_BYTES_MAX + 2 * longest.len());
        assert_eq!(json.capacity(), FIXED_BYTES_MAX + 2 * longest.len());
    }

    proptest! {
        #[test]
        fn any_name_survives_json(name in "\\PC{1,30}") {
            if let Ok(name) = HolderName::parse(&name) {
                let mut card = card("4242424242424242", None);
                card.holder_name = Some(HolderName::from_record(name.as_str()));
                let read: serde_json::Value =
                    serde_json::from_slice(&reveal_json(&Token::fresh(), &card, None)).unwrap();
                prop_assert_eq!(read["card"]["holder_name"].as_str(), Some(name.as_str()));
            }
        }
    }
}
