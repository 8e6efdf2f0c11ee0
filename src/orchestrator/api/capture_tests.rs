//! Captures and increments over the API: what is shown, which codes refuse, and repetitions that never capture twice.

use reqwest::Method;
use serde_json::{Value, json};

use super::repeat_tests::unanswered;
use super::tests::{Shop, code, paying};
use crate::intent::rig::{FULL, GOOD};

const CAPTURE: &str = "/payments/pay_held/capture";
const RAISE: &str = "/payments/pay_held/incremental_authorization";

/// A payment of 1000 that may have several captures.
async fn held(change: impl FnOnce(&mut Value)) -> Shop {
    let shop = Shop::at(FULL).await;
    let mut body = paying(GOOD);
    body["payment_id"] = json!("pay_held");
    body["capture_method"] = json!("manual_multiple");
    change(&mut body);
    let (status, made) = shop.post("/payments", body).await;
    assert_eq!((status, &made["status"]), (200, &json!("requires_capture")));
    assert_eq!((&made["amount_received"], &made["amount_capturable"]), (&Value::Null, &json!(1000)));
    shop
}

#[actix_web::test]
async fn captures_are_shown_with_what_is_received_and_left() {
    let shop = held(|_| {}).await;
    let (_, some) = shop.post(CAPTURE, json!({"amount_to_capture": 300})).await;
    assert_eq!(some["status"], "partially_captured_and_capturable");
    assert_eq!((&some["amount_received"], &some["amount_capturable"]), (&json!(300), &json!(700)));
    assert_eq!(some["payment_method_status"], "active");
    assert!(some["capture_before"].as_str().unwrap() > some["created"].as_str().unwrap());
    assert_eq!(code(&shop.post(CAPTURE, json!({"amount_to_capture": 701})).await), (422, "IR_06"));
    let body = json!({"amount_to_capture": 200, "refund_uncaptured_amount": true});
    let (_, last) = shop.post(CAPTURE, body).await;
    assert_eq!((&last["status"], &last["capture_before"]), (&json!("partially_captured"), &Value::Null));
    assert_eq!((&last["amount_received"], &last["amount_capturable"]), (&json!(500), &json!(0)));
    let rows: Vec<_> = last["captures"].as_array().unwrap().iter().map(|c| (&c["amount"], &c["status"])).collect();
    assert_eq!(rows, [(&json!(300), &json!("charged")), (&json!(200), &json!("charged"))]);
    assert_eq!(code(&shop.post(CAPTURE, json!({})).await), (400, "IR_14"));
    let refund = json!({"payment_id": "pay_held", "amount": 501});
    assert_eq!(code(&shop.post("/refunds", refund).await), (400, "IR_13"));
}

#[actix_web::test]
async fn capture_that_is_asked_for_again_under_its_key_is_made_once() {
    let shop = held(|_| {}).await;
    let capture = || shop.call_once(Method::POST, CAPTURE, &shop.key, json!({"amount_to_capture": 300}), Some("k"));
    let (first, second) = tokio::join!(capture(), capture());
    assert_eq!((&first.1["amount_received"], &first), (&json!(300), &second));
    assert_eq!(shop.rig.psp.state.lock().unwrap().captures, 1);
}

#[actix_web::test]
async fn capture_whose_answer_was_lost_in_a_crash_is_known_by_its_own_name() {
    let shop = held(|_| {}).await;
    let (_, some) = shop.post(CAPTURE, json!({"amount_to_capture": 300})).await;
    let made = some["captures"][0]["capture_id"].as_str().unwrap();
    let body = json!({"amount_to_capture": 300});
    unanswered(&shop, CAPTURE, "made", &body, &format!("capture pay_held {made}")).await;
    unanswered(&shop, CAPTURE, "not-made", &body, "capture pay_held cap_never_stored").await;
    for (key, captures) in [("made", 1), ("not-made", 2), ("not-made", 2)] {
        let again = shop.call_once(Method::POST, CAPTURE, &shop.key, body.clone(), Some(key)).await;
        assert_eq!((again.0, shop.rig.psp.state.lock().unwrap().captures), (200, captures), "{key}");
    }
}

#[actix_web::test]
async fn payment_with_one_capture_cannot_keep_its_rest() {
    let shop = held(|body| body["capture_method"] = json!("manual")).await;
    let keep = json!({"amount_to_capture": 300, "refund_uncaptured_amount": false});
    assert_eq!(code(&shop.post(CAPTURE, keep).await), (400, "IR_19"));
    assert_eq!(shop.post(CAPTURE, json!({"amount_to_capture": 300})).await.1["status"], "partially_captured");
}

#[actix_web::test]
async fn raise_is_shown_and_refused_with_the_codes_of_the_dialect() {
    let shop = held(|_| {}).await;
    assert_eq!(code(&shop.post(RAISE, json!({"amount": 1500})).await), (400, "IR_16"));
    let shop = held(|body| body["request_incremental_authorization"] = json!(true)).await;
    assert_eq!(code(&shop.post(RAISE, json!({"amount": 1000})).await), (400, "IR_06"));
    assert_eq!(code(&shop.post(RAISE, json!({"reason": "x"})).await), (400, "IR_04"));
    assert_eq!(code(&shop.post(RAISE, json!({"amount": 1500, "total": 1})).await), (400, "IR_06"));
    let (status, raised) = shop.post(RAISE, json!({"amount": 1500, "reason": "a day longer"})).await;
    assert_eq!((status, &raised["amount"], &raised["amount_capturable"]), (200, &json!(1500), &json!(1500)));
    let row = &raised["incremental_authorizations"][0];
    assert_eq!((&row["status"], &row["previously_authorized_amount"]), (&json!("success"), &json!(1000)));
    shop.post(CAPTURE, json!({})).await;
    assert_eq!(code(&shop.post(RAISE, json!({"amount": 1600})).await), (400, "IR_16"));
}

#[actix_web::test]
async fn scheduled_payment_takes_both_forms_of_its_time() {
    for at in [json!("2027-01-15T09:00:00Z"), json!(1_800_003_600)] {
        let shop = held(|body| {
            body["capture_method"] = json!("scheduled");
            body["capture_on"] = at;
        });
        let shop = shop.await;
        let (_, made) = shop.get("/payments/pay_held").await;
        assert_eq!(
            (&made["capture_method"], &made["capture_on"]),
            (&json!("scheduled"), &json!("2027-01-15T09:00:00.000Z"))
        );
        shop.rig.clock.advance(3_600_000);
        shop.rig.engine.round(false).await;
        assert_eq!(shop.get("/payments/pay_held").await.1["status"], "succeeded");
    }
}
