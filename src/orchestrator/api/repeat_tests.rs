//! Requests that come again under an idempotency key after the first ended without an answer, and fields by which a caller
//! could be charged, matched or recorded wrongly.

use reqwest::Method;
use serde_json::{Value, json};
use strongroom_wire::limits;

use super::once::digest;
use super::tests::{Shop, card, code, paying};
use crate::intent::rig::{GOOD, Trouble, new_payment};
use crate::store::{Claim, Effects, Kept, KeptState};

/// A key whose first request ended without an answer.
pub(super) async fn unanswered(shop: &Shop, path: &str, key: &str, body: &Value, subject: &str) {
    let claim =
        Claim { merchant_id: shop.rig.merchant.clone(), key: format!("POST {path} {key}"), run: "run_gone".into() };
    let kept = Kept {
        claim,
        digest: digest(body.to_string().as_bytes()),
        subject: subject.into(),
        lease_ms: 0,
        expires_ms: i64::MAX,
    };
    assert_eq!(shop.rig.store.begin_kept(&kept, 0).await.unwrap(), KeptState::Fresh);
}

#[actix_web::test]
async fn payment_that_an_unanswered_request_left_is_the_answer_to_its_repetition() {
    let shop = Shop::new().await;
    let new = new_payment(|_| {});
    let method = crate::intent::rig::card(GOOD);
    shop.rig.engine.create(&shop.rig.merchant, new, method, true).await.unwrap();
    unanswered(&shop, "/payments", "k", &paying(GOOD), "payment pay_1").await;
    for _ in 0..2 {
        let again = shop.call_once(Method::POST, "/payments", &shop.key, paying(GOOD), Some("k")).await;
        assert_eq!((again.0, &again.1["payment_id"]), (200, &json!("pay_1")));
    }
    assert_eq!(shop.rig.charges(), 1);
}

#[actix_web::test]
async fn repetition_of_a_request_that_left_nothing_is_known_by_its_own_payment() {
    let shop = Shop::new().await;
    unanswered(&shop, "/payments", "k", &paying(GOOD), "payment pay_never_made").await;
    shop.rig.trouble("/pay", Trouble::Hang);
    let asking = shop.call_once(Method::POST, "/payments", &shop.key, paying(GOOD), Some("k"));
    tokio::select! {
        _ = asking => panic!("the provider hangs, so nothing can be answered"),
        () = shop.rig.met() => {}
    }
    // If the process ended now, the next repetition would find the payment that is being made.
    let claim =
        Claim { merchant_id: shop.rig.merchant.clone(), key: "POST /payments k".into(), run: "run_later".into() };
    let kept = Kept {
        claim,
        digest: digest(paying(GOOD).to_string().as_bytes()),
        subject: String::new(),
        lease_ms: 0,
        expires_ms: i64::MAX,
    };
    let state = shop.rig.store.begin_kept(&kept, 0).await.unwrap();
    let KeptState::Unanswered { subject, begun: true } = state else { panic!("{state:?}") };
    let id = subject.strip_prefix("payment ").unwrap();
    assert!(shop.rig.store.payment(&shop.rig.merchant, id).await.unwrap().is_some(), "{subject}");
}

#[actix_web::test]
async fn change_that_was_interrupted_before_it_began_is_done_by_its_repetition() {
    let shop = Shop::new().await;
    let mut held = paying(GOOD);
    held["payment_id"] = json!("pay_held");
    held["capture_method"] = json!("manual");
    assert_eq!(shop.post("/payments", held).await.1["status"], "requires_capture");
    let path = "/payments/pay_held/capture";
    unanswered(&shop, path, "k", &json!({}), "capture pay_held").await;
    for _ in 0..2 {
        let captured = shop.call_once(Method::POST, path, &shop.key, json!({}), Some("k")).await;
        assert_eq!((captured.0, &captured.1["status"]), (200, &json!("succeeded")));
    }
    assert_eq!(shop.rig.psp.state.lock().unwrap().captures, 1);
}

#[actix_web::test]
async fn change_that_was_stored_is_not_made_again_by_its_repetition() {
    let shop = Shop::new().await;
    let (_, made) = shop.post("/payments", json!({"amount": 100, "currency": "USD", "payment_id": "pay_up"})).await;
    assert_eq!(made["amount"], 100);
    let (path, body) = ("/payments/pay_up", json!({"amount": 200}));
    for (begun, expected) in [(true, 100), (false, 200)] {
        let key = if begun { "stored" } else { "not stored" };
        unanswered(&shop, path, key, &body, "update pay_up").await;
        if begun {
            let claim = Claim {
                merchant_id: shop.rig.merchant.clone(),
                key: format!("POST {path} {key}"),
                run: "run_gone".into(),
            };
            let (payment, version) = shop.rig.store.payment(&shop.rig.merchant, "pay_up").await.unwrap().unwrap();
            let effects = Effects { claim: Some(claim), ..Effects::default() };
            shop.rig.store.save_payment(&payment, version, &effects).await.unwrap();
        }
        for _ in 0..2 {
            let again = shop.call_once(Method::POST, path, &shop.key, body.clone(), Some(key)).await;
            assert_eq!((again.0, &again.1["amount"]), (200, &json!(expected)));
        }
    }
}

#[actix_web::test]
async fn refusal_that_passes_is_not_the_answer_for_a_day() {
    let shop = Shop::new().await;
    let mut held = paying(GOOD);
    held["payment_id"] = json!("pay_held");
    held["capture_method"] = json!("manual");
    shop.post("/payments", held).await;
    shop.rig.trouble("/capture", Trouble::Unreachable);
    let path = "/payments/pay_held/capture";
    let capture = || shop.call_once(Method::POST, path, &shop.key, json!({}), Some("k"));
    assert_eq!(code(&capture().await), (503, "HE_00"));
    assert_eq!(capture().await.1["status"], "succeeded");
}

#[actix_web::test]
async fn key_or_path_with_a_card_number_is_refused_and_not_stored() {
    let shop = Shop::new().await;
    let body = json!({"amount": 1, "currency": "USD"});
    let refused = shop.call_once(Method::POST, "/payments", &shop.key, body, Some(GOOD)).await;
    assert_eq!(code(&refused), (400, "IR_06"));
    let path = format!("/payments/{GOOD}/capture");
    let refused = shop.call_once(Method::POST, &path, &shop.key, json!({}), Some("k")).await;
    assert_eq!(code(&refused), (404, "HE_02"));
    assert!(!refused.1.to_string().contains(GOOD));
}

#[actix_web::test]
async fn part_of_the_amount_is_never_answered_by_charging_the_whole() {
    let shop = Shop::new().await;
    let mut body = paying(GOOD);
    body["amount_to_capture"] = json!(400);
    assert_eq!(code(&shop.post("/payments", body.clone()).await), (400, "IR_16"));
    assert_eq!((shop.rig.charges(), shop.rig.cards_in_vault()), (0, 0));
    body["amount_to_capture"] = json!(1000);
    assert_eq!(shop.post("/payments", body).await.1["amount_received"], 1000);
}

#[actix_web::test]
async fn payer_cannot_point_a_payment_at_another_order() {
    let shop = Shop::new().await;
    let (_, made) = shop.post("/payments", json!({"amount": 1, "currency": "USD"})).await;
    let path = format!("/payments/{}", made["payment_id"].as_str().unwrap());
    for field in ["merchant_order_reference_id", "description", "order_details", "profile_id", "metadata"] {
        let value = if field == "metadata" { json!({"order": "x"}) } else { json!("x") };
        let body = json!({"client_secret": made["client_secret"], field: value});
        let refused = shop.call(Method::POST, &path, "pk_rig_0123456789", body).await;
        assert_eq!(code(&refused), (400, "IR_06"), "{field}");
    }
}

#[actix_web::test]
async fn connector_names_are_few_and_known() {
    let shop = Shop::new().await;
    let with = |names: Value| json!({"amount": 1, "currency": "USD", "connector": names});
    let many = vec!["stripe"; limits::CONNECTOR_ACCOUNTS_MAX + 1];
    for names in [json!(["4242424242424242"]), json!(["nobody"]), json!(many)] {
        assert_eq!(code(&shop.post("/payments", with(names)).await), (400, "IR_06"));
    }
    assert_eq!(shop.post("/payments", with(json!(["stripe"]))).await.0, 200);
}

#[actix_web::test]
async fn body_over_its_limit_is_refused_in_the_words_of_the_dialect() {
    let shop = Shop::new().await;
    let long = json!({"description": "x".repeat(limits::PAYMENT_BODY_BYTES_MAX)});
    assert_eq!(code(&shop.post("/payments", long).await), (413, "IR_06"));
    let raw = json!({"amount": 1, "currency": "USD", "confirm": true, "payment_method_data": card(GOOD)});
    assert_eq!(shop.post("/payments", raw).await.0, 200);
}
