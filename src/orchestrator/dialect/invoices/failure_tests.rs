//! Payments that failed although nobody declined them: told as what they are.

use serde_json::{Value, json};

use super::tests::{Shop, error};
use super::words;
use crate::intent::rig::{DECLINED, GOOD, Trouble};

/// What a page and then the server are told of a payment that failed.
async fn told(shop: &Shop, source: &str) -> ((u16, Value), Value) {
    let invoice = shop.invoice(json!({})).await;
    let said = shop.page(&format!("/invoices/{invoice}/authorize"), json!({"source": source})).await;
    let (_, seen) = shop.get(&invoice.replace("iv_", "/transactions/tr_")).await;
    (said, seen["transaction"].clone())
}

#[actix_web::test]
async fn provider_that_nobody_reached_declined_no_card() {
    let shop = Shop::new().await;
    let card = shop.card(GOOD).await;
    shop.rig.trouble("/pay", Trouble::Unreachable);
    let (said, seen) = told(&shop, &card).await;
    assert_eq!(error(&said), (410, "gateway.unavailable"));
    assert!(said.1["message"].as_str().unwrap().contains("nothing was charged"), "{}", said.1);
    assert_eq!((&seen["status"], &seen["error_code"]), (&json!("failed"), &json!("gateway.unavailable")));
    assert_eq!(shop.rig.charges(), 0);
}

#[actix_web::test]
async fn decline_is_told_as_one_in_the_event_too() {
    let shop = Shop::new().await;
    let card = shop.card(DECLINED).await;
    let (said, seen) = told(&shop, &card).await;
    assert_eq!((error(&said), &seen["error_code"]), ((410, "card.declined"), &json!("card.declined")));
    let payment_id = seen["id"].as_str().unwrap().replace("tr_", "pay_");
    let events = shop.rig.store.outbox_events(&shop.rig.merchant, Some(&payment_id), None, 10).await.unwrap();
    let event = events.iter().find(|event| event.event_type == "payment_failed").unwrap();
    let (_, whole) = shop.get(&event.event_id.replace("evt_", "/events/ev_")).await;
    assert_eq!(whole["event"]["data"]["transaction"]["error_code"], "card.declined", "{whole}");
}

#[test]
fn failures_that_nobody_declined_have_words_of_their_own() {
    let word = |code: &str, message: &str, declined: Value| {
        let native = json!({"status": "failed", "error_code": code, "error_message": message, "declined": declined});
        words::failed(&native).map(|wrong| (wrong.status, wrong.error_type)).unwrap()
    };
    for (code, message, declined, expected) in [
        ("cvc_gone", "The CVC was used or expired", json!(false), (410, "card.failed-cvc")),
        ("payment_method_gone", "The card is no longer stored", json!(false), (400, "request.source.invalid")),
        ("credentials_gone", "no longer stored", json!(false), (410, "gateway.unavailable")),
        ("vault_refused", "The vault's policy refuses the release", json!(false), (410, "gateway.unavailable")),
        ("invalid_request", "The API key expired", json!(false), (410, "gateway.declined")),
        ("expired_card", "no", json!(true), (410, "card.expired")),
        ("not_supported", "no", json!(true), (410, "card.declined")),
        // Answers that were kept before they said whether it was a decline.
        ("cvc_gone", "The CVC was used or expired", Value::Null, (410, "card.failed-cvc")),
        ("expired_card", "no", Value::Null, (410, "card.expired")),
    ] {
        assert_eq!(word(code, message, declined), (expected.0, expected.1.to_owned()), "{code}");
    }
}
