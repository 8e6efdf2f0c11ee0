//! What filled bodies look like.

use proptest::prelude::*;
use serde_json::{Value, json};
use strongroom_wire::payment_method::Brand;

use super::*;
use crate::card::{Expiry, HolderName, Pan};

fn card(number: &str, name: Option<&str>) -> Card {
    Card {
        pan: Pan::parse(number).unwrap(),
        expiry: Expiry::new(3, 2031, 1_773_532_800_000).unwrap(),
        holder_name: name.map(|name| HolderName::parse(name).unwrap()),
    }
}

fn cvc() -> Cvc {
    Cvc::parse("012", Brand::Visa).unwrap()
}

fn form(pairs: &[(&str, &str)]) -> ForwardBody {
    ForwardBody::Form(pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
}

fn text_of(body: &ForwardBody, parts: &impl Parts) -> String {
    let filled = fill(body, parts);
    assert!(filled.len() <= bytes_max(body) && filled.capacity() == bytes_max(body), "the buffer moved");
    std::str::from_utf8(&filled).unwrap().to_owned()
}

fn every_slot() -> Value {
    json!({
        "number": "{{card.number}}",
        "month": "{{card.exp_month}}",
        "year": "{{card.exp_year}}",
        "short": "{{card.exp_year_2}}",
        "m": "{{card.exp_month_number}}",
        "y": "{{card.exp_year_number}}",
        "cvc": "{{card.cvc}}",
        "name": "{{card.holder_name}}",
        "deep": [{"n": "{{card.number}}"}, "{{card.number}}"],
        "other": "text",
    })
}

#[test]
fn every_slot_of_json_is_filled_with_its_part() {
    let (card, cvc) = (card("4242424242424242", Some("Ada \"A\" \\ Lovelace")), cvc());
    let filled = text_of(&ForwardBody::Json(every_slot().into()), &OfCard { card: &card, cvc: Some(&cvc) });
    let read: Value = serde_json::from_str(&filled).unwrap();
    assert_eq!(
        read,
        json!({
            "number": "4242424242424242",
            "month": "03",
            "year": "2031",
            "short": "31",
            "m": 3,
            "y": 2031,
            "cvc": "012",
            "name": "Ada \"A\" \\ Lovelace",
            "deep": [{"n": "4242424242424242"}, "4242424242424242"],
            "other": "text",
        })
    );
}

#[test]
fn parts_that_the_card_lacks_are_left_out_with_their_names() {
    let card = card("4242424242424242", None);
    let bare = OfCard { card: &card, cvc: None };
    let read: Value = serde_json::from_str(&text_of(&ForwardBody::Json(every_slot().into()), &bare)).unwrap();
    assert!(read.get("cvc").is_none() && read.get("name").is_none());
    for (json, filled) in [
        (json!({"a": "{{card.cvc}}"}), "{}"),
        (json!({"a": "{{card.cvc}}", "b": 1}), r#"{"b":1}"#),
        (json!({"a": 1, "b": "{{card.cvc}}", "c": "{{card.holder_name}}"}), r#"{"a":1}"#),
    ] {
        assert_eq!(text_of(&ForwardBody::Json(json.into()), &bare), filled);
    }
    let pairs = form(&[("cvc", "{{card.cvc}}"), ("number", "{{card.number}}"), ("name", "{{card.holder_name}}")]);
    assert_eq!(text_of(&pairs, &bare), "number=4242424242424242");
}

#[test]
fn a_form_keeps_its_order_and_is_encoded() {
    let (card, cvc) = (card("378282246310005", Some("Æ & Co")), cvc());
    let pairs = form(&[
        ("type", "card"),
        ("card[number]", "{{card.number}}"),
        ("card[exp_year]", "{{card.exp_year_2}}"),
        ("card[cvc]", "{{card.cvc}}"),
        ("name", "{{card.holder_name}}"),
        ("note", "a=b&c d+e%"),
    ]);
    assert_eq!(
        text_of(&pairs, &OfCard { card: &card, cvc: Some(&cvc) }),
        "type=card&card%5Bnumber%5D=378282246310005&card%5Bexp_year%5D=31&card%5Bcvc%5D=012\
         &name=%C3%86%20%26%20Co&note=a%3Db%26c%20d%2Be%25"
    );
}

#[test]
fn a_dry_run_shows_what_may_be_shown_and_no_more() {
    let card = card("4242424242424242", Some("Ada"));
    let glance = Glance::of(&card);
    let shown = |has_cvc| text_of(&ForwardBody::Json(every_slot().into()), &Masked { glance: &glance, has_cvc });
    assert!(!shown(true).contains("4242424242424242") && !shown(true).contains("Ada"));
    let read: Value = serde_json::from_str(&shown(true)).unwrap();
    assert_eq!(
        (&read["number"], &read["cvc"], &read["y"]),
        (&json!("42424242******4242"), &json!("***"), &json!(2031))
    );
    let read: Value = serde_json::from_str(&shown(false)).unwrap();
    assert!(read.get("cvc").is_none());
}

#[test]
fn places_are_pointers_and_names() {
    let body = ForwardBody::Json(json!({"a/b": {"~": ["x", "{{card.number}}"]}, "c": "{{card.cvc}}", "d": "e"}).into());
    assert_eq!(places(&body), ["/a~1b/~0/1", "/c"]);
    assert_eq!(places(&form(&[("a", "b"), ("card[number]", "{{card.number}}")])), ["card[number]"]);
}

proptest! {
    #[test]
    fn whatever_stands_beside_a_slot_arrives_as_it_was(
        name in "\\PC{0,12}|[\\x00-\\x1f\"\\\\]{1,4}",
        value in "\\PC{0,12}|[\\x00-\\x1f\"\\\\]{1,4}",
        number in any::<i64>(),
        cents in -999_999_999_999i64..999_999_999_999i64,
    ) {
        let double = cents as f64 / 100.0;
        prop_assume!(!name.contains("{{") && !value.contains("{{") && name != "n");
        let card = card("4242424242424242", None);
        let parts = OfCard { card: &card, cvc: None };
        let json = json!({"n": "{{card.number}}", name.clone(): [value.clone(), number, double]});
        let read: Value = serde_json::from_str(&text_of(&ForwardBody::Json(json.into()), &parts)).unwrap();
        prop_assert_eq!(read, json!({"n": "4242424242424242", name.clone(): [value.clone(), number, double]}));
        let pairs = form(&[(&name, &value), ("n", "{{card.number}}")]);
        let read: Vec<(String, String)> = serde_urlencoded::from_str(&text_of(&pairs, &parts)).unwrap();
        prop_assert_eq!(read, [(name, value), ("n".to_owned(), "4242424242424242".to_owned())]);
    }
}
