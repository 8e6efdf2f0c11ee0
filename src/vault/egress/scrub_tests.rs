//! What a destination may answer and what is left of it.

use proptest::prelude::*;
use serde_json::{Value, json};
use strongroom_wire::payment_method::Brand;

use super::*;
use crate::card::{Expiry, Pan};

fn scrub(number: &str, cvc: Option<&str>) -> Scrub {
    let card = Card {
        pan: Pan::parse(number).unwrap(),
        expiry: Expiry::new(3, 2031, 1_773_532_800_000).unwrap(),
        holder_name: None,
    };
    let cvc = cvc.map(|text| Cvc::parse(text, Brand::Unknown).unwrap());
    Scrub::of(&card, cvc.as_ref())
}

fn visa() -> Scrub {
    scrub("4242424242424242", Some("987"))
}

fn json_of(scrub: &Scrub, text: &str) -> String {
    scrub.body(text.as_bytes(), "application/json; charset=utf-8").to_string()
}

#[test]
fn this_cards_number_is_masked_however_it_is_written() {
    for (text, masked) in [
        ("4242424242424242", "************4242"),
        ("4242 4242-4242.4242", "**** ****-****.4242"),
        ("n=4242%204242%204242%204242&", "n=****%20****%20****%204242&"),
        ("50%4242424242424242", "50%************4242"),
        ("x4242424242424242y", "x************4242y"),
        ("99994242424242424242", "9999************4242"),
        ("4 2 4 2 4 2 4 2 4 2 4 2 4 2 4 2", "* * * * * * * * * * * * 4 2 4 2"),
        (
            r#"["4","2","4","2","4","2","4","2","4","2","4","2","4","2","4","2"]"#,
            r#"["*","*","*","*","*","*","*","*","*","*","*","*","4","2","4","2"]"#,
        ),
        ("%34%3242424242%3424242", "******************4242"),
        ("&#52;2424242424242&#x34;2", "****************42&#x34;2"),
        ("４２４２４２４２４２４２４２４２", "************４２４２"),
        (
            "4\u{0}2\u{0}4\u{0}2\u{0}4\u{0}2\u{0}4\u{0}2\u{0}4\u{0}2\u{0}4\u{0}2\u{0}4\u{0}2\u{0}4\u{0}2\u{0}",
            "*\u{0}*\u{0}*\u{0}*\u{0}*\u{0}*\u{0}*\u{0}*\u{0}*\u{0}*\u{0}*\u{0}*\u{0}4\u{0}2\u{0}4\u{0}2\u{0}",
        ),
    ] {
        assert_eq!(visa().text(text, false).as_str(), masked, "{text}");
    }
    assert_eq!(json_of(&visa(), r#"{"n":"\u0034242424242424242"}"#), r#"{"n":"*****************4242"}"#);
    assert_eq!(json_of(&visa(), r#"{"n":"4242\n4242\t4242\/4242"}"#), r#"{"n":"****\n****\t****\/4242"}"#);
}

#[test]
fn a_number_that_no_rule_knows_is_masked_because_it_is_this_cards() {
    // Twelve digits, and no brand of which such numbers are looked for in texts.
    let short = scrub("630400000000", None);
    assert!(!crate::card::text::holds_card_number("630400000000"));
    assert_eq!(short.text("card 630400000000.", false).as_str(), "card ********0000.");
}

#[test]
fn other_card_numbers_are_masked_too() {
    let text = r#"{"a":"5555555555554444","b":"see 3782 822463 10005 too","c":"pm_0198f0c2a1b27c3d4242424242424241"}"#;
    let masked =
        r#"{"a":"************4444","b":"see **** ****** *0005 too","c":"pm_0198f0c2a1b27c3d4242424242424241"}"#;
    assert_eq!(json_of(&visa(), text), masked);
}

#[test]
fn json_stays_json_when_a_number_is_masked() {
    for text in [
        r#"{"n":4242424242424242,"m":1}"#,
        r#"{"n":4242424242424242}"#,
        "[4242424242424242,5555555555554444,1]",
        "4242424242424242",
        r#"{"n": 99994242424242424242 ,"m":1}"#,
        r#"{"n":4242424242424242.5e3}"#,
        "[4242,4242,4242,4242]",
        r#"{"q":"\"4242424242424242\"","n":4242424242424242}"#,
    ] {
        let masked = json_of(&visa(), text);
        assert!(serde_json::from_str::<Value>(&masked).is_ok(), "{text} became {masked}");
        assert!(!masked.contains("42424242"), "{masked}");
    }
    let read: Value = serde_json::from_str(&json_of(&visa(), r#"{"n":4242424242424242,"m":17}"#)).unwrap();
    assert_eq!(read, json!({"n": "************4242", "m": 17}));
}

#[test]
fn the_cvc_is_masked_where_it_is_a_value_and_nowhere_else() {
    for (text, masked) in [
        (r#"{"cvc":"987"}"#, r#"{"cvc":"***"}"#),
        (r#"{"any": "987" , "b":["987"]}"#, r#"{"any": "***" , "b":["***"]}"#),
        (r#"{"securityCode":987}"#, r#"{"securityCode":"***"}"#),
        (r#"{"cvc" : 987 }"#, r#"{"cvc" : "***" }"#),
        (r#"{"amount":987,"x":{"count": 987}}"#, r#"{"amount":987,"x":{"count": 987}}"#),
        (r#"{"987":"a"}"#, r#"{"987":"a"}"#),
        (r#"{"a":"9870","b":"1987","c":"no 987"}"#, r#"{"a":"9870","b":"1987","c":"no 987"}"#),
        (r#"{"cvc":"\u0039\u00387"}"#, r#"{"cvc":"*************"}"#),
    ] {
        assert_eq!(json_of(&visa(), text), masked, "{text}");
    }
    for (text, masked) in [
        ("cvc=987&amount=9870", "cvc=***&amount=9870"),
        ("a=1&cvc=987", "a=1&cvc=***"),
        ("<cvc>987</cvc>", "<cvc>***</cvc>"),
        ("<a b='987'/>", "<a b='***'/>"),
    ] {
        assert_eq!(visa().text(text, false).as_str(), masked, "{text}");
    }
    assert_eq!(json_of(&scrub("4242424242424242", None), r#"{"cvc":"987"}"#), r#"{"cvc":"987"}"#);
}

#[test]
fn everything_else_comes_back_byte_for_byte() {
    for text in [
        "",
        "{}",
        r#"{"id":"pi_3OabcDEF","amount":100,"created":1764000000,"note":"50% off, &amp; \"more\" \\ \u00e4 ä 漢字"}"#,
        "a%zzb%2",
        "\\",
        "\\u12",
        "&#;&#x;&#999999999;&#1",
        "%",
    ] {
        assert_eq!(visa().text(text, true).as_str(), text);
    }
    assert_eq!(visa().body(b"a\xffb\xc3", "text/plain").as_str(), "a?b?");
}

#[test]
fn what_is_encoded_as_a_whole_is_not_found() {
    // The limit of what masking can do, held here so that the documents say it truthfully.
    use base64::Engine as _;
    let disguised = base64::prelude::BASE64_STANDARD.encode("4242424242424242");
    assert_eq!(visa().text(&disguised, false).as_str(), disguised);
}

proptest! {
    #[test]
    fn no_answer_makes_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), kind in ".{0,20}") {
        let _ = visa().body(&bytes, &kind);
    }

    #[test]
    fn wherever_the_number_stands_twelve_digits_of_it_go(
        before in "[a-z{}\"\\\\%&#;: ,]{0,20}",
        after in "[a-z{}\"\\\\%&#;: ,]{0,20}",
        sign in "[ ./-]?",
    ) {
        let groups = ["4242"; 4].join(&sign);
        let text = format!("{before}{groups}{after}");
        for is_json in [false, true] {
            let masked = visa().text(&text, is_json);
            let digits: String = masked.chars().filter(char::is_ascii_digit).collect();
            prop_assert_eq!(digits, "4242", "{}", masked.as_str());
        }
    }

    #[test]
    fn json_stays_json(value in any::<u64>(), text in "\\PC{0,20}") {
        let whole = json!({"a": value, "b": [text.clone(), 4242424242424242u64, "4242424242424242"], text: 987});
        let masked = json_of(&visa(), &whole.to_string());
        prop_assert!(serde_json::from_str::<Value>(&masked).is_ok(), "{}", masked);
        prop_assert!(!masked.contains("4242424242424242"));
    }
}
