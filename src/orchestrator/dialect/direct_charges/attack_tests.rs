//! Charges as they should not go: each test is an attack, and says what must not happen.

use reqwest::Method;
use serde_json::{Value, json};
use strongroom_wire::limits;

use super::DirectChargesConfig;
use super::shop_tests::{ONCE, SCENARIO, Shop, id, wrong};
use crate::intent::rig::{GOOD, close_field};

const INVALID: (u16, &str, &str) = (400, "REQUEST_NOT_VALID", "10400");
const CLOSED: (u16, &str, &str) = (422, "CLIENT_ENCRYPTION_ERROR", "11100");
const NOT_FOUND: (u16, &str, &str) = (404, "RESOURCE_NOT_FOUND", "10404");
const CONFLICT: (u16, &str, &str) = (409, "RESOURCE_CONFLICT", "10409");

#[actix_web::test]
async fn one_key_is_one_charge_whatever_comes_under_it() {
    let shop = Shop::new().await;
    let body = shop.body(GOOD);
    let once = [(ONCE, "a-key")];
    let (first, second) = tokio::join!(shop.charge(body.clone(), &once), shop.charge(body.clone(), &once));
    assert_eq!((first.0, &first), (201, &second), "both are told of the same charge");
    assert_eq!(shop.rig.charges(), 1);
    for change in ["amount", "card", "scenario"] {
        let mut other = body.clone();
        let mut headers = once.to_vec();
        match change {
            "amount" => other["amount"] = json!("201"),
            "card" => other["payment_method"]["card"] = shop.card(&shop.fields, "5555555555554444"),
            _ => headers.push((SCENARIO, "scenario:auth_pin")),
        }
        let refused = shop.charge(other, &headers).await;
        assert_eq!(wrong(&refused), INVALID, "{change}");
    }
    assert_eq!(shop.rig.charges(), 1);
    let held = shop.charge(body, &[(ONCE, GOOD)]).await;
    assert_eq!(wrong(&held), INVALID, "a key that is a card number is not stored");
}

#[actix_web::test]
async fn nobody_sees_or_continues_a_charge_of_another_merchant_or_of_another_door() {
    let shop = Shop::new().await;
    let asking = shop.asking(GOOD, "scenario:auth_otp").await;
    let neighbour = shop.neighbour().await;
    let path = format!("/charges/{asking}");
    let code = json!({"authorization": {"type": "otp", "otp": {"code": "1234"}}});
    for (method, body) in [(Method::GET, Value::Null), (Method::PUT, code)] {
        let answer = shop.call(method, &path, Some(&neighbour), body, &[]).await;
        assert_eq!(wrong(&answer), NOT_FOUND);
    }
    let native = crate::intent::rig::new_payment(|_| ());
    shop.rig.engine.create(&shop.rig.merchant, native, None, false).await.unwrap();
    for id in ["chg_1", "pay_1", "chg_", "chg_..%2Fx", "1", &"chg_a".repeat(20), "chg_4242424242424242"] {
        assert_eq!(wrong(&shop.get(id).await), NOT_FOUND, "{id}");
    }
    assert_eq!(shop.rig.charges(), 0);
}

#[actix_web::test]
async fn a_charge_that_ended_takes_no_second_answer() {
    let shop = Shop::new().await;
    let asking = shop.asking(GOOD, "scenario:auth_pin").await;
    let (pin, other) = (shop.pin("1234"), shop.pin("4321"));
    let (first, second) = tokio::join!(shop.put(&asking, pin.clone(), &[]), shop.put(&asking, other, &[]));
    let mut statuses = [first.0, second.0];
    statuses.sort_unstable();
    assert_eq!((statuses, shop.rig.charges()), ([200, 409], 1), "{first:?} {second:?}");
    let asked = shop.rig.vault.state.lock().unwrap().pins;
    assert_eq!(wrong(&shop.put(&asking, pin.clone(), &[]).await), CONFLICT);
    assert_eq!(shop.rig.vault.state.lock().unwrap().pins, asked, "nobody tries PINs at a charge that is over");
    // Under one key both are told the same.
    let asking = shop.asking(GOOD, "scenario:auth_pin").await;
    let once = [(ONCE, "put-1")];
    let (first, second) = tokio::join!(shop.put(&asking, pin.clone(), &once), shop.put(&asking, pin, &once));
    assert_eq!((first.0, &first, shop.rig.charges()), (200, &second, 2));
    let other = shop.put(&asking, shop.pin("9999"), &once).await;
    assert_eq!(wrong(&other), INVALID, "another PIN under the same key");
    assert_eq!(shop.rig.charges(), 2);
}

#[actix_web::test]
async fn a_charge_takes_only_what_it_asked_for() {
    let shop = Shop::new().await;
    let asking = shop.asking(GOOD, "scenario:auth_pin").await;
    let code = json!({"type": "otp", "otp": {"code": "1234"}});
    let address = json!({"line1": "1 High Street", "city": "Leeds", "postal_code": "LS1 1AA", "country": "GB"});
    let mut both = shop.pin("1234");
    both["otp"] = json!({"code": "1234"});
    for bad in [
        code.clone(),
        both,
        json!({"type": "avs", "avs": {"address": address}}),
        json!({"type": "pin"}),
        json!({"type": "external_3ds", "external_3ds": {}}),
        json!({"type": "pin", "pin": {"nonce": "short", "encrypted_pin": "MTIzNA=="}}),
        json!({"type": "pin", "pin": {"nonce": "pin+n0nce+12", "encrypted_pin": "1234"}}),
        json!({}),
    ] {
        assert_eq!(wrong(&shop.put(&asking, bad.clone(), &[]).await), INVALID, "{bad}");
    }
    for pin in ["123", "1234567", "12a4", ""] {
        let closed = close_field(&shop.fields, "pin+n0nce+12", pin);
        let bad = json!({"type": "pin", "pin": {"nonce": "pin+n0nce+12", "encrypted_pin": closed}});
        let answer = shop.put(&asking, bad, &[]).await;
        assert!([CLOSED, INVALID].contains(&wrong(&answer)), "{pin}");
    }
    assert_eq!(shop.rig.charges(), 0);
    assert_eq!(shop.put(&asking, shop.pin("123456"), &[]).await.0, 200, "the charge is as it was");
    for (scenario, bad) in [
        ("scenario:auth_otp", json!({"type": "otp", "otp": {"code": "123"}})),
        ("scenario:auth_otp", json!({"type": "otp", "otp": {"code": "123456789"}})),
        ("scenario:auth_otp", json!({"type": "otp", "otp": {"code": "١٢٣٤"}})),
        (
            "scenario:auth_avs",
            json!({"type": "avs", "avs": {"address": {"line1": "x", "city": "y", "postal_code": "z"}}}),
        ),
        (
            "scenario:auth_avs",
            json!({"type": "avs", "avs": {"address": {"line1": GOOD, "city": "y", "postal_code": "z",
            "country": "GB"}}}),
        ),
        (
            "scenario:auth_avs",
            json!({"type": "avs", "avs": {"address": {"line1": "x", "city": "y", "postal_code": "z",
            "country": "Leeds"}}}),
        ),
    ] {
        let asking = shop.asking(GOOD, scenario).await;
        assert_eq!(wrong(&shop.put(&asking, bad.clone(), &[]).await), INVALID, "{bad}");
    }
    let (_, made) = shop.charge(shop.body(GOOD), &[]).await;
    assert_eq!(wrong(&shop.put(&id(&made), code, &[]).await), INVALID, "it asked for nothing");
    assert_eq!(shop.rig.charges(), 2);
}

#[actix_web::test]
async fn what_is_no_amount_or_no_field_or_holds_a_card_number_is_refused_and_nothing_is_kept() {
    let shop = Shop::new().await;
    let long = "a".repeat(limits::PAYMENT_TEXT_BYTES_MAX + 1);
    for (path, bad) in [
        ("/amount", json!("1e3")),
        ("/amount", json!("0.001")),
        ("/amount", json!("-1")),
        ("/amount", json!(-1)),
        ("/amount", json!("١٢")),
        ("/amount", json!({})),
        ("/currency", json!("usd")),
        ("/currency", json!("ZZZ")),
        ("/reference", json!(GOOD)),
        ("/reference", json!(long)),
        ("/meta", json!({"note": GOOD})),
        ("/meta", json!({GOOD: 1})),
        ("/redirect_url", json!("javascript:alert(1)")),
        ("/redirect_url", json!(format!("https://shop.test/?card={GOOD}"))),
        ("/customer/email", json!("[email protected]")),
        ("/customer/email", json!(format!("{GOOD}@x.test"))),
        ("/customer/name", json!({"first": "4242 4242", "last": "4242 4242"})),
        ("/customer/name", json!({"first": GOOD})),
        ("/customer/phone", json!({"number": GOOD})),
        ("/customer/address", json!({"line1": GOOD})),
        ("/customer/address", json!({"country": "XX"})),
        ("/customer/meta", json!({"a": GOOD})),
        ("/customer/card", json!("x")),
        ("/more", json!(1)),
        ("/authorization", json!({"type": "pin"})),
        ("/merchant_vat_amount", json!(1)),
        ("/payment_method/type", json!("mobile_money")),
        ("/payment_method/bank_account", json!({})),
        ("/payment_method/card/number", json!(GOOD)),
        ("/payment_method/card/nonce", json!("n0Ad6mOzVnL")),
        ("/payment_method/card/nonce", json!("n0Ad6mOzVnLI1")),
        ("/payment_method/card/encrypted_card_number", json!(GOOD)),
        ("/payment_method/card/encrypted_cvv", json!("123")),
        ("/payment_method/card/encrypted_card_number", json!("A".repeat(limits::ENCRYPTED_FIELD_BYTES_MAX * 2))),
        ("/payment_method/card/cof", json!({"enabled": true, "agreement_id": GOOD})),
    ] {
        let mut body = shop.body(GOOD);
        let (parent, name) = path.rsplit_once('/').unwrap();
        body.pointer_mut(parent).unwrap()[name] = bad.clone();
        let answer = shop.charge(body, &[]).await;
        assert_eq!(wrong(&answer), INVALID, "{path} {bad}");
        assert!(!answer.1.to_string().contains("4242"), "{path}: the answer repeats it");
    }
    for missing in ["amount", "currency", "customer", "payment_method"] {
        let mut body = shop.body(GOOD);
        body.as_object_mut().unwrap().remove(missing);
        let (status, answer) = shop.charge(body, &[]).await;
        let named = &answer["error"]["validation_errors"][0]["field_name"];
        assert_eq!((status, named), (400, &json!(missing)));
    }
    assert_eq!((shop.rig.charges(), shop.rig.cards_in_vault()), (0, 0));
    assert!(shop.rig.store.claim_due_events(i64::MAX, 1, 10).await.unwrap().is_empty());
}

#[actix_web::test]
async fn a_field_that_does_not_open_says_its_name_and_nothing_else() {
    let shop = Shop::new().await;
    let good = shop.body(GOOD);
    let field = good["payment_method"]["card"]["encrypted_card_number"].as_str().unwrap().to_owned();
    let mut answers = Vec::new();
    for place in 0..field.len() - 2 {
        let mut bytes = field.clone().into_bytes();
        bytes[place] = if bytes[place] == b'A' { b'B' } else { b'A' };
        let mut body = good.clone();
        body["payment_method"]["card"]["encrypted_card_number"] = json!(String::from_utf8(bytes).unwrap());
        answers.push(shop.charge(body, &[]).await);
    }
    // It opens, and to no card number.
    let mut body = good.clone();
    body["payment_method"]["card"] = shop.card(&shop.fields, "4242");
    answers.push(shop.charge(body, &[]).await);
    assert_eq!(wrong(&answers[0]), CLOSED);
    assert_eq!(
        answers[0].1["error"]["validation_errors"][0]["field_name"],
        "payment_method.card.encrypted_card_number"
    );
    assert!(answers.iter().all(|answer| *answer == answers[0]), "which byte it was can be told from the answer");
    assert_eq!((shop.rig.charges(), shop.rig.cards_in_vault()), (0, 0));
}

#[actix_web::test]
async fn fields_and_pins_under_the_key_of_another_merchant_do_not_open() {
    let shop = Shop::new().await;
    let neighbour = shop.neighbour().await;
    let body = shop.body(GOOD);
    let answer = shop.call(Method::POST, "/orchestration/direct-charges", Some(&neighbour), body.clone(), &[]).await;
    assert_eq!(wrong(&answer), INVALID, "it has no key yet: {}", answer.1);
    let theirs = shop.new_fields_key(&neighbour, json!({})).await;
    let answer = shop.call(Method::POST, "/orchestration/direct-charges", Some(&neighbour), body.clone(), &[]).await;
    assert_eq!(wrong(&answer), CLOSED);
    let mut stolen = body;
    stolen["payment_method"]["card"] = shop.card(&theirs, GOOD);
    assert_eq!(wrong(&shop.charge(stolen, &[]).await), CLOSED);
    let asking = shop.asking(GOOD, "scenario:auth_pin").await;
    let pin = json!({"nonce": "pin+n0nce+12", "encrypted_pin": close_field(&theirs, "pin+n0nce+12", "1234")});
    assert_eq!(wrong(&shop.put(&asking, json!({"type": "pin", "pin": pin}), &[]).await), CLOSED);
    assert_eq!(shop.rig.charges(), 0);
}

#[actix_web::test]
async fn scenarios_are_refused_where_they_are_switched_off_and_no_bank_is_played() {
    let shop = Shop::with(DirectChargesConfig::default()).await;
    let answer = shop.charge(shop.body(GOOD), &[(SCENARIO, "scenario:auth_pin&issuer:approved")]).await;
    assert_eq!(wrong(&answer), INVALID);
    assert_eq!(answer.1["error"]["validation_errors"][0]["field_name"], SCENARIO);
    let shop = Shop::new().await;
    for issuer in ["incorrect_pin", "insufficient_funds", "declined", ""] {
        let scenario = format!("scenario:auth_pin&issuer:{issuer}");
        assert_eq!(wrong(&shop.charge(shop.body(GOOD), &[(SCENARIO, &scenario)]).await), INVALID, "{issuer}");
    }
    assert_eq!((shop.rig.charges(), shop.rig.cards_in_vault()), (0, 0));
}

#[actix_web::test]
async fn whoever_has_no_key_or_no_address_is_told_so_in_the_words_of_the_dialect() {
    let shop = Shop::new().await;
    let nobody = (401, "UNAUTHORIZATION", "10401");
    let direct = "/orchestration/direct-charges";
    for key in [None, Some("short"), Some("snd_0123456789012345678901234567"), Some("pk_rig_0123456789")] {
        let answer = shop.call(Method::POST, direct, key, shop.body(GOOD), &[]).await;
        assert_eq!(wrong(&answer), nobody, "{key:?}");
        let answer = shop.call(Method::POST, "/encryption-keys/rotate", key, json!({}), &[]).await;
        assert_eq!(wrong(&answer), nobody, "{key:?}");
    }
    let native = shop.call(Method::POST, direct, None, shop.body(GOOD), &[("api-key", &shop.key)]).await;
    assert_eq!(wrong(&native), nobody, "the native header has no meaning here");
    let page = shop.charge(shop.body(GOOD), &[("Origin", "https://shop.test")]).await;
    assert_eq!(wrong(&page), (403, "FORBIDDEN", "10403"));
    let key = Some(shop.key.as_str());
    assert_eq!(wrong(&shop.call(Method::POST, "/nowhere", key, json!({}), &[]).await), NOT_FOUND);
    assert_eq!(wrong(&shop.call(Method::DELETE, "/charges", key, json!({}), &[]).await).0, 405);
    assert_eq!(wrong(&shop.call(Method::POST, direct, key, json!([1]), &[]).await), INVALID);
    let long = json!({"meta": "a".repeat(limits::PAYMENT_BODY_BYTES_MAX)});
    assert_eq!(wrong(&shop.call(Method::POST, direct, key, long, &[]).await).0, 413);
    assert_eq!(shop.rig.charges(), 0);
}

#[actix_web::test]
async fn a_vault_that_is_down_makes_no_charge_and_the_same_key_works_afterwards() {
    let shop = Shop::new().await;
    let (body, once) = (shop.body(GOOD), [(ONCE, "later")]);
    shop.rig.vault.state.lock().unwrap().down = true;
    assert_eq!(wrong(&shop.charge(body.clone(), &once).await), (503, "SERVICE_UNAVAILABLE", "10503"));
    shop.rig.vault.state.lock().unwrap().down = false;
    let (status, made) = shop.charge(body, &once).await;
    assert_eq!((status, &made["data"]["status"], shop.rig.charges()), (201, &json!("succeeded"), 1));
}
