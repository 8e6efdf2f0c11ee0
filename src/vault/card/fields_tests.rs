//! What opens is the text itself in these tests, after a tag of zeros: ciphers have tests of their own.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

/// 2026-03-15T00:00:00Z.
const NOW: u64 = 1_773_532_800_000;

fn sealed(text: &str) -> String {
    BASE64_STANDARD.encode([&[0; 16], text.as_bytes()].concat())
}

fn open(_: &[u8; 12], sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    sealed.strip_prefix(&[0; 16]).map(|text| Zeroizing::new(text.to_vec()))
}

fn whole() -> Value {
    json!({
        "secret_id": SecretId::fresh(), "nonce": "a1B2c3D4e5F6", NUMBER: sealed("4242424242424242"),
        MONTH: sealed("09"), YEAR: sealed("32"), CVV: sealed("123"), "customer_id": "cus_1",
    })
}

fn with(name: &str, value: Value) -> Value {
    let mut body = whole();
    body[name] = value;
    body
}

fn parse(body: &Value) -> Result<FieldsBody, BodyError> {
    FieldsBody::parse(body.to_string().as_bytes())
}

fn tokenize(body: &Value) -> Result<TokenizeBody, BodyError> {
    parse(body)?.opened(open, NOW)
}

#[test]
fn every_field_arrives_and_the_card_is_short_term() {
    let body = tokenize(&whole()).ok().unwrap();
    assert_eq!(body.card.pan.digits().as_str(), "4242424242424242");
    assert_eq!((body.card.expiry.month(), body.card.expiry.year()), (9, 2032));
    assert!(body.card.holder_name.is_none() && body.metadata.is_empty());
    assert_eq!(body.cvc.unwrap().digits().as_str(), "123");
    assert_eq!(body.customer.unwrap().as_str(), "cus_1");
    assert_eq!(body.lifetime, Lifetime::ShortTerm(limits::SHORT_TERM_TTL_DEFAULT_S));
    for (month, year) in [("9", "2032"), ("09", "2032"), ("9", "32")] {
        let mut body = with(MONTH, sealed(month).into());
        body[YEAR] = sealed(year).into();
        let expiry = tokenize(&body).ok().unwrap().card.expiry;
        assert_eq!((expiry.month(), expiry.year()), (9, 2032));
    }
}

#[test]
fn a_field_that_opens_to_something_else_is_refused_as_one_that_does_not_open() {
    for (name, texts) in [
        (NUMBER, &["4242424242424241", "09", "4242", "\u{ff14}242424242424242", "number"][..]),
        (MONTH, &["0", "00", "13", "009", "4242424242424242", " 9", "+9", "9.", "IX"]),
        (YEAR, &["09", "2", "032", "02032", "20", "2020", "2099", "77", "-2", "+32"]),
        (CVV, &["12", "1234", "12a", "4242424242424242", "1 3"]),
    ] {
        let not_opened = tokenize(&with(name, BASE64_STANDARD.encode([1; 32]).into())).err().unwrap();
        assert_eq!((not_opened.kind, not_opened.field), (Kind::InvalidCard, Some(name)));
        for text in texts {
            assert_eq!(tokenize(&with(name, sealed(text).into())).err(), Some(not_opened), "{name} opened to {text}");
        }
    }
}

#[test]
fn fields_that_change_places_are_refused() {
    let names = [NUMBER, MONTH, YEAR, CVV];
    for one in names {
        for other in names.into_iter().filter(|other| *other != one) {
            let mut body = whole();
            (body[one], body[other]) = (body[other].take(), body[one].take());
            assert!(tokenize(&body).is_err(), "{one} and {other}");
            assert!(tokenize(&with(one, whole()[other].take())).is_err(), "{other} as {one}");
        }
    }
}

#[test]
fn each_wrong_part_is_named() {
    for (name, value) in [
        ("secret_id", json!("sec_1")),
        ("secret_id", json!(null)),
        ("nonce", json!("a1B2c3D4e5F")),
        ("nonce", json!("a1B2c3D4e5F67")),
        ("nonce", json!("a1B2c3D4e5\u{e9}")),
        ("nonce", json!("a1B2c3D4e5F\u{e9}")),
        ("nonce", json!(null)),
        (NUMBER, json!(format!(" {}", sealed("4242424242424242")))),
        (NUMBER, json!(sealed("4242424242424242").trim_end_matches('='))),
        (NUMBER, json!("A".repeat(10_000))),
        (NUMBER, json!(4242)),
        (MONTH, json!(sealed(""))),
        (YEAR, json!(sealed("32").replace('A', "-"))),
        (CVV, json!("")),
        ("customer_id", json!("4242424242424242")),
    ] {
        assert_eq!(parse(&with(name, value)).err().unwrap().field, Some(name));
    }
    for name in ["secret_id", "nonce", NUMBER, MONTH, YEAR] {
        let mut body = whole();
        body.as_object_mut().unwrap().remove(name);
        assert_eq!(parse(&body).err().unwrap().field, Some(name));
    }
    for name in [CVV, "customer_id"] {
        assert!(tokenize(&with(name, Value::Null)).is_ok());
    }
    let fault = parse(&with("4242424242424242", json!(1))).err().unwrap();
    assert!(fault.field.is_none() && !format!("{fault:?}").contains("4242"));
    assert_eq!(FieldsBody::parse(&vec![b' '; limits::BODY_BYTES_MAX + 1]).err().unwrap().kind, Kind::TooLarge);
}

#[test]
fn a_pin_is_4_to_6_digits() {
    let check = |text: &str| {
        let body = json!({"secret_id": SecretId::fresh(), "nonce": "a1B2c3D4e5F6", PIN: sealed(text)});
        PinBody::parse(body.to_string().as_bytes()).ok().unwrap().check(open)
    };
    for digits in limits::PIN_DIGITS_MIN..=limits::PIN_DIGITS_MAX {
        assert!(check(&"7".repeat(digits)).is_ok());
    }
    let shorter = "7".repeat(limits::PIN_DIGITS_MIN - 1);
    let longer = "7".repeat(limits::PIN_DIGITS_MAX + 1);
    for text in [&shorter, &longer, "12a4", "1234 ", "\u{ff11}234", "-1234"] {
        assert_eq!(check(text), Err(NO_PIN), "{text}");
    }
    for body in [json!({}), json!([]), json!({"secret_id": SecretId::fresh(), "nonce": "a1B2c3D4e5F6", "pin": "1234"})]
    {
        assert!(PinBody::parse(body.to_string().as_bytes()).is_err());
    }
}

#[test]
fn the_words_of_the_errors_say_the_limits() {
    assert!(NO_PIN.why.contains(&format!("{} to {} digits", limits::PIN_DIGITS_MIN, limits::PIN_DIGITS_MAX)));
}

proptest! {
    #[test]
    fn no_plaintext_makes_it_panic(text in prop::collection::vec(any::<u8>(), 0..40)) {
        let opens = |_: &[u8; 12], _: &[u8]| Some(Zeroizing::new(text.clone()));
        let _ = parse(&whole()).ok().unwrap().opened(opens, NOW);
    }

    #[test]
    fn no_bytes_make_it_panic(body in prop::collection::vec(any::<u8>(), 0..100)) {
        let _ = (FieldsBody::parse(&body), PinBody::parse(&body));
    }
}
