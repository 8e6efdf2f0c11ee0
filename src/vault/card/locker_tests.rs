//! Bodies of the card-vault dialect, whole and with each fault.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

/// 2026-03-15T00:00:00Z.
const NOW: u64 = 1_773_532_800_000;

fn first() -> Value {
    json!({
        "merchant_id": "merchant_1",
        "merchant_customer_id": "cus_1",
        "card": {
            "card_number": "4242424242424242",
            "name_on_card": "Ada Lovelace",
            "card_exp_month": "03",
            "card_exp_year": "2031",
            "card_brand": "VISA",
            "card_isin": "424242",
            "nick_name": null,
        },
        "ttl": 220_752_000,
    })
}

fn second() -> Value {
    json!({
        "entity_id": "cus_1",
        "vault_id": "0190c2f3-0000-7000-8000-000000000001",
        "data": {"Card": {
            "card_number": "4242424242424242",
            "card_exp_month": "3",
            "card_exp_year": "31",
            "card_holder_name": "Ada \"Countess\" Lovelace",
            "nick_name": "mine",
            "card_issuing_country": null,
            "card_network": "Visa",
            "card_issuer": null,
            "card_type": null,
            "card_cvc": "123",
        }},
        "ttl": 60,
    })
}

fn add(version: Version, body: &Value) -> Result<Add, BodyError> {
    Add::parse(version, body.to_string().as_bytes(), NOW)
}

fn fault(body: &Value, path: &str, value: Value) -> Option<&'static str> {
    let mut body = body.clone();
    let (folder, name) = path.rsplit_once('/').unwrap();
    body.pointer_mut(folder).unwrap()[name] = value;
    let version = if body.get("entity_id").is_some() { Version::V2 } else { Version::V1 };
    add(version, &body).err().unwrap().field
}

#[test]
fn a_card_of_version_1_arrives_and_comes_back_as_it_was() {
    let read = add(Version::V1, &first()).ok().unwrap();
    assert_eq!(read.merchant.as_deref(), Some("merchant_1"));
    assert_eq!((read.reference, read.body.lifetime), (None, Lifetime::LongTerm));
    assert_eq!(read.body.customer.as_ref().unwrap().as_str(), "cus_1");
    let back: Value = serde_json::from_slice(&retrieved(Version::V1, &read.body.card, &read.body.metadata)).unwrap();
    assert_eq!(back, json!({"status": "Ok", "payload": {"card": first()["card"], "enc_card_data": null}}));
}

#[test]
fn a_card_of_version_2_arrives_without_its_cvc() {
    let read = add(Version::V2, &second()).ok().unwrap();
    assert!(read.merchant.is_none() && read.body.cvc.is_none());
    assert_eq!(read.body.lifetime, Lifetime::ShortTerm(60));
    let back: Value = serde_json::from_slice(&retrieved(Version::V2, &read.body.card, &read.body.metadata)).unwrap();
    assert_eq!(
        back,
        json!({"data": {"Card": {
            "card_number": "4242424242424242", "card_exp_month": "03", "card_exp_year": "2031",
            "card_holder_name": "Ada \"Countess\" Lovelace", "nick_name": "mine", "card_issuing_country": null,
            "card_issuing_country_code": null, "card_network": "Visa", "card_issuer": null, "card_type": null,
        }}})
    );
}

#[test]
fn each_wrong_field_is_named_and_nothing_is_repeated() {
    for (path, value, field) in [
        ("/merchant_id", json!("a b"), Some("merchant_id")),
        ("/merchant_id", Value::Null, Some("merchant_id")),
        ("/merchant_customer_id", json!("4242424242424242"), Some("merchant_customer_id")),
        ("/requestor_card_reference", json!("0190c2f3-0000"), Some("requestor_card_reference")),
        ("/card", Value::Null, Some("card")),
        ("/card", json!([]), Some("card")),
        ("/enc_card_data", json!("abc"), Some("enc_card_data")),
        ("/card/card_number", json!("4242424242424241"), Some("card.card_number")),
        ("/card/card_number", json!(4_242_424_242_424_242_u64), Some("card.card_number")),
        ("/card/card_exp_month", json!("13"), Some("card.card_exp_month")),
        ("/card/card_exp_month", json!(3), Some("card.card_exp_month")),
        ("/card/card_exp_month", Value::Null, Some("card.card_exp_month")),
        ("/card/card_exp_year", json!("020"), Some("card.card_exp_year")),
        ("/card/card_exp_year", json!("2020"), Some("card.card_exp_year")),
        ("/card/card_exp_year", json!("20"), Some("card.card_exp_year")),
        ("/card/name_on_card", json!("4242 4242 4242 4242"), Some("card.name_on_card")),
        ("/card/nick_name", json!("my 4242424242424242"), Some("card")),
        ("/card/nick_name", json!("n".repeat(limits::METADATA_VALUE_CHARS_MAX + 1)), Some("card")),
        ("/card/card_cvc", json!("123"), Some("card")),
        ("/ttl", json!("60"), Some("ttl")),
        ("/more", json!(1), None),
    ] {
        assert_eq!(fault(&first(), path, value), field, "{path}");
    }
    for (path, value, field) in [
        ("/data", json!({"CardNumber": "4242424242424242"}), Some("data")),
        ("/data", json!({"NetworkToken": {}}), Some("data")),
        ("/data", json!({"Card": {}, "More": {}}), Some("data")),
        ("/vault_id", json!(""), Some("vault_id")),
        ("/entity_id", json!(""), Some("entity_id")),
        ("/merchant_id", json!("merchant_1"), None),
    ] {
        assert_eq!(fault(&second(), path, value), field, "{path}");
    }
}

#[test]
fn what_is_noted_has_a_bound_in_all() {
    let of = |chars: usize| {
        let mut body = second();
        for field in ["nick_name", "card_network", "card_issuer", "card_type"] {
            body["data"]["Card"][field] = "\u{fc}".repeat(chars).into();
        }
        add(Version::V2, &body).is_ok()
    };
    assert!(of(limits::METADATA_VALUE_CHARS_MAX - 10));
    let mut all = second();
    for field in names_of(Version::V2) {
        all["data"]["Card"][*field] = "\u{fc}".repeat(limits::METADATA_VALUE_CHARS_MAX).into();
    }
    assert_eq!(add(Version::V2, &all).err().unwrap().field, Some("card"));
}

#[test]
fn a_life_has_its_bounds() {
    let of = |ttl: Value| {
        let mut body = first();
        body["ttl"] = ttl;
        add(Version::V1, &body).map(|read| read.body.lifetime).ok()
    };
    assert_eq!(of(Value::Null), Some(Lifetime::LongTerm));
    assert_eq!(of(limits::SHORT_TERM_TTL_MIN_S.into()), Some(Lifetime::ShortTerm(limits::SHORT_TERM_TTL_MIN_S)));
    assert_eq!(of((limits::SHORT_TERM_TTL_MIN_S - 1).into()), None);
    assert_eq!(of(limits::SHORT_TERM_TTL_MAX_S.into()), Some(Lifetime::ShortTerm(limits::SHORT_TERM_TTL_MAX_S)));
    assert_eq!(of((limits::SHORT_TERM_TTL_MAX_S + 1).into()), Some(Lifetime::LongTerm));
    assert_eq!(of(limits::LOCKER_TTL_MAX_S.into()), Some(Lifetime::LongTerm));
    assert_eq!(of((limits::LOCKER_TTL_MAX_S + 1).into()), None);
}

#[test]
fn a_reference_of_before_is_a_token_that_time_has_passed() {
    let of = |reference: &str| {
        let mut body = first();
        body["requestor_card_reference"] = reference.into();
        add(Version::V1, &body).map(|read| read.reference).ok().flatten()
    };
    let past = "pm_0190c2f3000070008000000000000001";
    assert_eq!(of(past).unwrap().to_string(), past);
    assert_eq!(of("pm_ffff00000000700080000000000000ff"), None);
    assert_eq!(of("0190c2f3-0000-7000-8000-000000000001"), None);
}

#[test]
fn a_card_is_named_by_all_three_or_both() {
    let named = |version, body: Value| Named::parse(version, body.to_string().as_bytes());
    let one = json!({"merchant_id": "m", "merchant_customer_id": "c", "card_reference": "pm_0190c2f3000070008000000000000001"});
    assert!(named(Version::V1, one.clone()).ok().unwrap().token.is_some());
    for field in ["merchant_id", "merchant_customer_id", "card_reference"] {
        let mut less = one.clone();
        less.as_object_mut().unwrap().remove(field);
        assert!(named(Version::V1, less).is_err());
    }
    // Of another vault: there is no such card here, which is no fault of form.
    let foreign = json!({"entity_id": "c", "vault_id": "0190c2f3-0000-7000-8000-000000000001"});
    assert!(named(Version::V2, foreign.clone()).ok().unwrap().token.is_none());
    assert!(named(Version::V1, foreign).is_err());
    let long = |chars: usize| json!({"entity_id": "c", "vault_id": "v".repeat(chars)});
    assert!(named(Version::V2, long(limits::LOCKER_NAME_CHARS_MAX)).is_ok());
    assert!(named(Version::V2, long(limits::LOCKER_NAME_CHARS_MAX + 1)).is_err());
}

#[test]
fn a_fingerprint_is_asked_in_one_of_two_ways() {
    let asked = |body: Value| Asked::parse(body.to_string().as_bytes());
    let today = asked(json!({"data": "4242424242424242", "key": "fs_1"})).ok().unwrap();
    assert!(!today.is_older && &**today.what == "4242424242424242" && &**today.key == "fs_1");
    assert!(asked(json!({"card_number": "4242424242424242", "hash_key": "fs_1"})).ok().unwrap().is_older);
    for mixed in [
        json!({"data": "x", "hash_key": "k"}),
        json!({"card_number": "x", "key": "k"}),
        json!({"data": "x"}),
        json!({"data": "x", "key": "k", "more": 1}),
        json!({"data": 1, "key": "k"}),
        json!([]),
    ] {
        assert!(asked(mixed).is_err());
    }
    let long = |data: usize, key: usize| asked(json!({"data": "d".repeat(data), "key": "k".repeat(key)})).is_ok();
    assert!(long(limits::LOCKER_FINGERPRINT_BYTES_MAX, limits::LOCKER_FINGERPRINT_KEY_BYTES_MAX));
    assert!(
        !long(limits::LOCKER_FINGERPRINT_BYTES_MAX + 1, 1) && !long(1, limits::LOCKER_FINGERPRINT_KEY_BYTES_MAX + 1)
    );
    assert!(!long(0, 1) && !long(1, 0));
}

#[test]
fn the_buffer_of_an_answer_never_grows() {
    let card = Card {
        pan: Pan::parse("6205500000000000004").ok().unwrap(),
        expiry: Expiry::new(12, 2031, NOW).unwrap(),
        holder_name: HolderName::parse(&"\"".repeat(limits::HOLDER_NAME_BYTES_MAX)).ok(),
    };
    for version in [Version::V1, Version::V2] {
        let long = "\"".repeat(limits::METADATA_VALUE_CHARS_MAX);
        let notes: Metadata = names_of(version).iter().map(|name| ((*name).to_owned(), long.clone())).collect();
        for notes in [notes, Metadata::new()] {
            let json = retrieved(version, &card, &notes);
            serde_json::from_slice::<Value>(&json).unwrap();
            let values: usize = names_of(version)
                .iter()
                .map(|name| name.len() + 4 + serde_json::to_vec(&notes.get(*name)).unwrap().len())
                .sum();
            assert_eq!(json.capacity(), FIXED_BYTES_MAX + 2 * limits::HOLDER_NAME_BYTES_MAX + values);
        }
    }
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        for version in [Version::V1, Version::V2] {
            let _ = Add::parse(version, &bytes, NOW);
            let _ = Named::parse(version, &bytes);
        }
        let _ = Asked::parse(&bytes);
    }
}
