//! Charges as they should go: the steps of the document, what is told afterwards, and keys that change.

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::{Value, json};

use super::shop_tests::{SCENARIO, Shop, id};
use super::{DirectChargesConfig, OPENAPI, ROUTES, speak};
use crate::intent::rig::{AUTHENTICATE, DECLINED, GOOD, close_field};

#[actix_web::test]
async fn document_and_routes_say_the_same() {
    let document: Value = serde_json::from_str(OPENAPI).unwrap();
    let mut published = BTreeSet::new();
    for (path, verbs) in document["paths"].as_object().unwrap() {
        for verb in verbs.as_object().unwrap().keys().filter(|verb| *verb != "parameters") {
            published.insert((path.clone(), verb.clone()));
        }
    }
    let served: BTreeSet<_> = ROUTES
        .iter()
        .flat_map(|(path, verbs)| verbs.iter().map(|(verb, _)| ((*path).to_owned(), (*verb).to_owned())))
        .collect();
    assert_eq!(published, served);
    let shop = Shop::new().await;
    let (status, shown) = shop.call(Method::GET, "/openapi.json", None, Value::Null, &[]).await;
    assert_eq!((status, shown), (200, document));
}

#[actix_web::test]
async fn the_charge_of_the_document_asks_for_the_pin_and_is_made_by_it() {
    let shop = Shop::new().await;
    let headers =
        [(SCENARIO, "scenario:auth_pin&issuer:approved"), ("X-Trace-Id", "3f0e-1"), ("X-Idempotency-Key", "k1")];
    let (status, made) = shop.charge(shop.body(GOOD), &headers).await;
    assert_eq!((status, &made["status"], &made["message"]), (201, &json!("success"), &json!("Charge created")));
    let data = &made["data"];
    assert!(data["id"].as_str().unwrap().starts_with("chg_"));
    assert_eq!(data["next_action"], json!({"type": "requires_pin", "requires_pin": {}}));
    assert_eq!((&data["amount"], &data["currency"], &data["status"]), (&json!(200), &json!("USD"), &json!("pending")));
    assert_eq!(data["reference"], "YOUR_EXAMPLE_REFERENCE");
    assert_eq!(data["customer"]["name"], json!({"first": "Hassan", "middle": "Cornelius", "last": "Oluwole"}));
    assert_eq!(data["customer"]["id"], data["customer_id"]);
    let card = &data["payment_method_details"]["card"];
    assert_eq!(
        (&card["last4"], &card["expiry_month"], &card["expiry_year"]),
        (&json!("4242"), &json!(9), &json!(2032))
    );
    assert_eq!(card["first6"], "424242");
    assert_eq!(shop.rig.charges(), 0, "nothing is charged before the payer has answered");
    let id = id(&made);
    let (status, done) = shop.put(&id, shop.pin("1234"), &[]).await;
    assert_eq!(
        (status, &done["message"], &done["data"]["status"]),
        (200, &json!("Charge updated"), &json!("succeeded"))
    );
    assert_eq!(done["data"]["processor_response"], json!({"type": "approved", "code": "00"}));
    assert!(done["data"].get("next_action").is_none());
    let (status, seen) = shop.get(&id).await;
    assert_eq!((status, &seen["message"], &seen["data"]), (200, &json!("Charge fetched"), &done["data"]));
    assert_eq!((shop.rig.charges(), shop.rig.cards_in_vault()), (1, 0), "a card that nobody keeps is shredded");
    // The first answer, again: what was asked, and not what has become of it.
    assert_eq!(shop.charge(shop.body(GOOD), &headers).await, (201, made));
}

#[actix_web::test]
async fn a_charge_is_made_at_once_where_nobody_asks_for_anything() {
    for headers in [vec![], vec![(SCENARIO, "scenario:noauth")]] {
        let shop = Shop::new().await;
        let mut body = shop.body(GOOD);
        body["amount"] = json!(10.5);
        body["meta"] = json!({"order": 7});
        let (status, made) = shop.charge(body, &headers).await;
        assert_eq!((status, &made["data"]["status"]), (201, &json!("succeeded")), "{made}");
        assert_eq!((&made["data"]["amount"], &made["data"]["meta"]), (&json!(10.5), &json!({"order": 7})));
        assert_eq!(shop.rig.psp.state.lock().unwrap().cvcs, [Some("123".to_owned())]);
        assert_eq!((shop.rig.charges(), shop.rig.cards_in_vault()), (1, 0));
    }
}

#[actix_web::test]
async fn a_decline_is_a_charge_that_failed_and_leaves_no_card() {
    let shop = Shop::new().await;
    let (status, made) = shop.charge(shop.body(DECLINED), &[]).await;
    assert_eq!((status, &made["data"]["status"]), (201, &json!("failed")), "{made}");
    assert!(made["data"]["processor_response"]["code"].as_str().is_some_and(|code| code != "00"));
    assert_eq!((shop.rig.charges(), shop.rig.cards_in_vault()), (0, 0));
    // The same with a question in between.
    let asking = shop.asking(DECLINED, "scenario:auth_pin").await;
    let (status, made) = shop.put(&asking, shop.pin("1234"), &[]).await;
    assert_eq!((status, &made["data"]["status"]), (200, &json!("failed")));
    assert_eq!((shop.rig.charges(), shop.rig.cards_in_vault()), (0, 0));
}

#[actix_web::test]
async fn a_code_is_taken_and_an_address_becomes_the_bills() {
    let shop = Shop::new().await;
    let (_, made) = shop.charge(shop.body(GOOD), &[(SCENARIO, "scenario:auth_otp")]).await;
    assert_eq!(made["data"]["next_action"]["type"], "requires_otp");
    let (_, done) = shop.put(&id(&made), json!({"type": "otp", "otp": {"code": "123456"}}), &[]).await;
    assert_eq!(done["data"]["status"], "succeeded");
    let (_, made) = shop.charge(shop.body(GOOD), &[(SCENARIO, "scenario:auth_avs")]).await;
    let next = &made["data"]["next_action"];
    assert_eq!(next["type"], "requires_additional_fields");
    let fields = next["requires_additional_fields"]["fields"].as_array().unwrap();
    assert!(fields.contains(&json!("authorization.avs.address.postal_code")));
    let address = json!({"line1": "1 High Street", "city": "Leeds", "postal_code": "LS1 1AA", "country": "GB"});
    let (_, done) = shop.put(&id(&made), json!({"type": "avs", "avs": {"address": address}}), &[]).await;
    assert_eq!(done["data"]["status"], "succeeded");
    let name = id(&made).replacen("chg_", "pay_", 1);
    let (payment, _) = shop.rig.engine.payment(&shop.rig.merchant, &name).await.unwrap();
    assert_eq!(payment.terms.extra["billing"]["address"]["zip"], "LS1 1AA");
    assert_eq!(shop.rig.charges(), 2);
}

#[actix_web::test]
async fn three_d_secure_sends_the_payer_away() {
    let shop = Shop::new().await;
    let (status, made) = shop.charge(shop.body(AUTHENTICATE), &[(SCENARIO, "scenario:auth_3ds")]).await;
    assert_eq!((status, &made["data"]["status"]), (201, &json!("pending")), "{made}");
    let next = &made["data"]["next_action"];
    assert_eq!(next["type"], "redirect_url");
    assert!(next["redirect_url"]["url"].as_str().is_some_and(|url| url.starts_with("http")));
    let mut body = shop.body(AUTHENTICATE);
    body.as_object_mut().unwrap().remove("redirect_url");
    let (status, refused) = shop.charge(body, &[(SCENARIO, "scenario:auth_3ds")]).await;
    assert_eq!((status, &refused["error"]["validation_errors"][0]["field_name"]), (400, &json!("redirect_url")));
}

#[actix_web::test]
async fn a_card_on_file_is_charged_again_without_the_payer() {
    let shop = Shop::new().await;
    let mut body = shop.body(GOOD);
    body["payment_method"]["card"]["cof"] = json!({"enabled": true, "agreement_id": "agreed-1"});
    let (_, made) = shop.charge(body, &[]).await;
    let kept = made["data"]["payment_method_details"]["id"].as_str().unwrap();
    assert!(kept.starts_with("pmd_"));
    let again = json!({"amount": "12.34", "currency": "USD", "reference": "second", "customer_id": made["data"]["customer_id"],
                       "payment_method_id": kept, "recurring": true});
    let (status, charged) = shop.call(Method::POST, "/charges", Some(&shop.key), again.clone(), &[]).await;
    assert_eq!((status, &charged["data"]["status"]), (201, &json!("succeeded")), "{charged}");
    assert_eq!((&charged["data"]["amount"], shop.rig.charges()), (&json!(12.34), 2));
    for (change, field) in [(json!({"recurring": false}), "recurring"), (json!({"recurring": null}), "recurring")] {
        let mut bad = again.clone();
        bad.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        let (status, refused) = shop.call(Method::POST, "/charges", Some(&shop.key), bad, &[]).await;
        assert_eq!((status, &refused["error"]["validation_errors"][0]["field_name"]), (400, &json!(field)));
    }
    let mut stranger = again;
    stranger["customer_id"] = json!("cus_somebody_else");
    assert_eq!(shop.call(Method::POST, "/charges", Some(&shop.key), stranger, &[]).await.0, 404);
    assert_eq!(shop.rig.charges(), 2);
}

#[actix_web::test]
async fn what_is_told_afterwards_is_in_the_words_of_the_dialect() {
    let shop = Shop::new().await;
    let (_, good) = shop.charge(shop.body(GOOD), &[]).await;
    let (_, bad) = shop.charge(shop.body(DECLINED), &[]).await;
    let (_, away) = shop.charge(shop.body(AUTHENTICATE), &[(SCENARIO, "scenario:auth_3ds")]).await;
    let now = shop.rig.engine.now_ms();
    let mut told = Vec::new();
    // Of one payment the events come one after the other.
    for event in shop.rig.store.claim_due_events(now, 1000, 10).await.unwrap() {
        let (payment, _) = shop.rig.engine.payment(&shop.rig.merchant, &event.payment_id).await.unwrap();
        let spoken = speak(&payment, &event);
        assert_eq!(spoken.is_none(), event.payment_id == id(&away).replacen("chg_", "pay_", 1), "{}", event.event_type);
        told.extend(spoken.map(|spoken| serde_json::from_str::<Value>(&spoken.body).unwrap()));
    }
    for charge in [&good, &bad] {
        let letter = told.iter().find(|letter| letter["data"]["id"] == charge["data"]["id"]).unwrap();
        assert_eq!((&letter["type"], &letter["data"]), (&json!("charge.completed"), &charge["data"]));
        assert!(letter["webhook_id"].as_str().unwrap().starts_with("wbk_") && letter["timestamp"].is_i64());
    }
    assert_eq!(told.len(), 2);
}

#[actix_web::test]
async fn a_replaced_key_opens_fields_until_its_overlap_ends_and_is_then_forgotten() {
    let mut shop = Shop::new().await;
    let old = shop.fields.clone();
    shop.fields = shop.new_fields_key(&shop.key, json!({"overlap_seconds": 60})).await;
    assert_ne!(old, shop.fields);
    let under = |key: &str, shop: &Shop| {
        let mut body = shop.body(GOOD);
        body["payment_method"]["card"] = shop.card(key, GOOD);
        body
    };
    for key in [&old, &shop.fields] {
        assert_eq!(shop.charge(under(key, &shop), &[]).await.0, 201);
    }
    let asking = shop.asking(GOOD, "scenario:auth_pin").await;
    let pin = json!({"nonce": "pin+n0nce+12", "encrypted_pin": close_field(&old, "pin+n0nce+12", "1234")});
    assert_eq!(shop.put(&asking, json!({"type": "pin", "pin": pin}), &[]).await.0, 200);
    shop.rig.clock.advance(60_000);
    assert_eq!(shop.charge(under(&old, &shop), &[]).await.0, 422);
    assert_eq!(shop.charge(under(&shop.fields, &shop), &[]).await.0, 201);
    let of = |key: &str| shop.rig.vault.state.lock().unwrap().secrets.values().any(|kept| kept == key);
    assert!(of(&old));
    shop.rig.clock.advance(700_000);
    shop.rig.engine.round(false).await;
    assert!(!of(&old) && of(&shop.fields), "the one that is valid stays");
}

#[actix_web::test]
async fn keys_over_their_limit_are_refused_and_the_valid_ones_stay() {
    let shop = Shop::new().await;
    for _ in 0..2 {
        shop.new_fields_key(&shop.key, json!({})).await;
    }
    let path = "/encryption-keys/rotate";
    let (status, refused) = shop.call(Method::POST, path, Some(&shop.key), json!({}), &[]).await;
    assert_eq!((status, &refused["error"]["type"]), (400, &json!("REQUEST_NOT_VALID")), "{refused}");
    let long = json!({"overlap_seconds": 604_801});
    assert_eq!(shop.call(Method::POST, path, Some(&shop.key), long, &[]).await.0, 400);
    let kept = [("X-Idempotency-Key", "k")];
    assert_eq!(shop.call(Method::POST, path, Some(&shop.key), json!({}), &kept).await.0, 400);
    assert_eq!(shop.charge(shop.body(GOOD), &[]).await.0, 201, "the first key is still valid");
}

#[actix_web::test]
async fn three_d_secure_may_be_asked_for_with_every_charge_that_can_come_back() {
    let shop = Shop::with(DirectChargesConfig { three_ds: true, ..DirectChargesConfig::default() }).await;
    let wishes = async |body: Value| {
        let (_, made) = shop.charge(body, &[]).await;
        let name = id(&made).replacen("chg_", "pay_", 1);
        shop.rig.engine.payment(&shop.rig.merchant, &name).await.unwrap().0.terms.three_ds
    };
    assert!(wishes(shop.body(GOOD)).await);
    let mut body = shop.body(GOOD);
    body.as_object_mut().unwrap().remove("redirect_url");
    assert!(!wishes(body).await, "nobody could send the payer back");
}
