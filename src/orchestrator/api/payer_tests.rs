//! What a body may say about the payer and about payments without them: forms, codes and both ways of a set-up.

use reqwest::Method;
use serde_json::{Value, json};
use strongroom_wire::limits;

use super::tests::{Shop, card, code, paying};
use crate::intent::rig::{FULL, GOOD};

fn browser() -> Value {
    json!({"user_agent": "Mozilla/5.0", "accept_header": "text/html", "language": "de-DE", "color_depth": 24,
           "screen_height": 900, "screen_width": 1440, "time_zone": -60, "java_enabled": false,
           "java_script_enabled": true, "ip_address": "2001:db8::7"})
}

fn billing() -> Value {
    json!({"address": {"line1": "1 Road", "line2": "Back", "city": "Town", "state": "BE", "zip": "10115", "country": "DE",
                       "first_name": "Ada", "last_name": "L"},
           "phone": {"number": "301234", "country_code": "+49"}, "email": "ada@shop.test"})
}

#[actix_web::test]
async fn forms_of_the_payer_are_checked_and_given_back() {
    let shop = Shop::new().await;
    let made = json!({"amount": 1, "currency": "EUR", "billing": billing(), "shipping": billing(),
        "browser_info": browser(), "email": "a@shop.test", "customer_acceptance": {"acceptance_type": "online",
        "accepted_at": 1_800_000_000, "online": {"ip_address": "203.0.113.9", "user_agent": "Mozilla/5.0"}}});
    let (status, shown) = shop.post("/payments", made.clone()).await;
    assert_eq!(status, 200, "{shown}");
    for part in ["billing", "shipping", "browser_info"] {
        assert_eq!(shown[part], made[part], "{part}");
    }
    assert_eq!(shown["customer_acceptance"]["accepted_at"], "2027-01-15T08:00:00.000Z");
}

#[actix_web::test]
async fn forms_that_are_none_are_refused() {
    let shop = Shop::new().await;
    let long = "x".repeat(limits::BROWSER_TEXT_BYTES_MAX + 1);
    for (part, path, value, expected) in [
        ("billing", "address/country", json!("Germany"), "IR_06"),
        ("billing", "address/country", json!("UK"), "IR_06"),
        ("billing", "address/planet", json!("Earth"), "IR_06"),
        ("billing", "address/line1", json!("x".repeat(limits::PAYMENT_TEXT_BYTES_MAX + 1)), "IR_06"),
        ("billing", "address/line1", json!(GOOD), "IR_06"),
        ("billing", "email", json!("nobody"), "IR_06"),
        ("shipping", "phone/number", json!(7), "IR_06"),
        ("browser_info", "color_depth", json!(7), "IR_06"),
        ("browser_info", "time_zone", json!(900), "IR_06"),
        ("browser_info", "screen_width", json!(1_000_000), "IR_06"),
        ("browser_info", "ip_address", json!("somewhere"), "IR_06"),
        ("browser_info", "user_agent", json!(long), "IR_06"),
        ("browser_info", "battery", json!(1), "IR_06"),
        ("customer_acceptance", "acceptance_type", json!("maybe"), "IR_06"),
        ("customer_acceptance", "accepted_at", json!("yesterday"), "IR_06"),
        ("customer_acceptance", "online", json!({"ip_address": "x", "user_agent": "y"}), "IR_06"),
        ("customer_acceptance", "online", json!({"ip_address": "203.0.113.9"}), "IR_04"),
    ] {
        let form = match part {
            "browser_info" => browser(),
            "customer_acceptance" => json!({"acceptance_type": "online"}),
            _ => billing(),
        };
        let mut body = json!({"amount": 1, "currency": "EUR", part: form});
        let mut place = &mut body[part];
        for step in path.split('/') {
            place = &mut place[step];
        }
        *place = value;
        let answer = shop.post("/payments", body).await;
        assert_eq!(code(&answer), (400, expected), "{part} {path}: {}", answer.1);
        assert!(!answer.1.to_string().contains(GOOD));
    }
}

#[actix_web::test]
async fn card_is_set_up_without_money_and_charged_later() {
    let shop = Shop::at(FULL).await;
    let body = json!({"amount": 0, "currency": "USD", "customer_id": "cus_1", "setup_future_usage": "off_session"});
    let (_, intent) = shop.post("/payments", body).await;
    assert_eq!((&intent["status"], &intent["amount_capturable"]), (&json!("requires_payment_method"), &json!(0)));
    let path = format!("/payments/{}/confirm", intent["payment_id"].as_str().unwrap());
    let mut confirm =
        json!({"payment_type": "setup_mandate", "payment_method": "card", "payment_method_data": card(GOOD)});
    assert_eq!(code(&shop.post(&path, confirm.clone()).await), (400, "IR_04"), "the payer has agreed to nothing");
    confirm["customer_acceptance"] = json!({"acceptance_type": "offline"});
    let (status, done) = shop.post(&path, confirm).await;
    assert_eq!((status, &done["status"], &done["payment_type"]), (200, &json!("succeeded"), &json!("setup_mandate")));
    assert_eq!((&done["amount_received"], &done["payment_method_status"]), (&Value::Null, &json!("active")));
    let alone = json!({"amount": 700, "currency": "USD", "customer_id": "cus_1", "confirm": true, "off_session": true,
        "mit_category": "recurring",
        "recurring_details": {"type": "payment_method_id", "data": done["payment_method_id"]}});
    let (status, paid) = shop.post("/payments", alone).await;
    assert_eq!((status, &paid["status"], &paid["mit_category"]), (200, &json!("succeeded"), &json!("recurring")));
    let listed = shop.get("/customers/cus_1/payment_methods").await.1["customer_payment_methods"][0].clone();
    assert_eq!((&listed["recurring_enabled"], &listed["requires_cvv"]), (&json!(true), &json!(false)));
}

#[actix_web::test]
async fn agreement_from_elsewhere_is_taken_with_its_card_and_other_forms_are_refused() {
    let shop = Shop::at(FULL).await;
    let with = |details: Value| json!({"amount": 700, "currency": "USD", "confirm": true, "off_session": true, "recurring_details": details});
    let of = |id: &str| {
        with(json!({"data": {"card_number": GOOD, "card_exp_month": "03", "card_exp_year": "34",
            "card_holder_name": "Ada", "network_transaction_id": id}, "type": "network_transaction_id_and_card_details"}))
    };
    let (status, paid) = shop.post("/payments", of("MCC1234560101")).await;
    assert_eq!((status, &paid["status"]), (200, &json!("succeeded")));
    assert!(!paid.to_string().contains(GOOD));
    assert_eq!(shop.post("/payments", of("512560415387748")).await.0, 200);
    let long = "1".repeat(limits::NETWORK_ID_CHARS_MAX + 1);
    for (body, expected) in [
        (of("x y"), (400, "IR_06")),
        (of(&long), (400, "IR_06")),
        (of(GOOD), (400, "IR_06")),
        (of("378282246310005"), (400, "IR_06")),
        (with(json!({"type": "network_transaction_id_and_card_details", "data": "x"})), (400, "IR_06")),
        (with(json!({"type": "payment_method_id", "data": {"card_number": GOOD}})), (400, "IR_04")),
        (with(json!({"type": "mandate_id", "data": "man_1"})), (400, "IR_19")),
        (with(json!({"type": "payment_method_id", "data": 7})), (400, "IR_06")),
        (json!({"amount": 1, "currency": "USD", "mandate_data": {}}), (400, "IR_19")),
        (json!({"amount": 1, "currency": "USD", "mandate_id": "man_1"}), (400, "IR_19")),
        (json!({"amount": 1, "currency": "USD", "mit_category": "recurring"}), (400, "IR_06")),
        (json!({"amount": 1, "currency": "USD", "off_session": true, "mit_category": "weekly"}), (400, "IR_06")),
    ] {
        let answer = shop.post("/payments", body).await;
        assert_eq!(code(&answer), expected, "{}", answer.1);
        assert!(!answer.1.to_string().contains("4242"));
    }
}

#[actix_web::test]
async fn payer_is_asked_for_the_cvc_of_a_card_that_was_kept_for_their_presence() {
    let shop = Shop::new().await;
    shop.post("/payments", paying(GOOD)).await;
    let (_, intent) = shop.post("/payments", json!({"amount": 500, "currency": "USD", "customer_id": "cus_1"})).await;
    let secret = intent["client_secret"].as_str().unwrap();
    let path = format!("/customers/payment_methods?client_secret={secret}");
    let (_, saved) = shop.call(Method::GET, &path, "pk_rig_0123456789", Value::Null).await;
    let saved = &saved["customer_payment_methods"][0];
    assert_eq!(saved["requires_cvv"], true);
    let path = format!("/payments/{}/confirm", intent["payment_id"].as_str().unwrap());
    let mut body = json!({"payment_token": saved["payment_token"], "client_secret": secret});
    let confirm = |body: Value| shop.call(Method::POST, &path, "pk_rig_0123456789", body);
    assert_eq!(code(&confirm(body.clone()).await), (400, "IR_04"));
    body["payment_method_data"] = json!({"card_token": {"card_cvc": "12"}});
    assert_eq!(code(&confirm(body.clone()).await), (400, "IR_16"));
    body["payment_method_data"] = json!({"card_token": {"card_cvc": "123"}});
    assert_eq!(confirm(body).await.1["status"], "succeeded");
}
