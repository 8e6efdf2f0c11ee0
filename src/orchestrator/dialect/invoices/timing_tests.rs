//! When money is taken, and how much of it, where the merchant says so.

use reqwest::Method;
use serde_json::{Value, json};

use super::tests::{Shop, answer, error};
use crate::clock::{Clock as _, rfc3339};
use crate::intent::rig::GOOD;

const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;

#[actix_web::test]
async fn capture_is_set_for_a_time_with_the_authorization() {
    let shop = Shop::new().await;
    let now = shop.rig.clock.now_ms();
    let invoice = shop.invoice(json!({})).await;
    let path = format!("/invoices/{invoice}/authorize");
    let at = |ms: i64| rfc3339(now + ms);
    let card = shop.card(GOOD).await;
    let asked = |ms: i64| json!({"source": card, "auto_capture_at": at(ms)});
    assert_eq!(error(&shop.page(&path, asked(DAY_MS)).await), (403, "request.authorization.forbidden"));
    for bad in [-1000, 7 * DAY_MS + 1000] {
        let no = shop.post(&path, asked(bad)).await;
        assert_eq!(error(&no).0, 400);
        assert!(no.1["message"].as_str().unwrap().contains("auto_capture_at"), "{}", no.1);
    }
    let once = |body: Value| {
        let request = shop.request(Method::POST, &path).basic_auth("shop", Some(&shop.secret));
        answer(request.header("Idempotency-Key", "k1").body(body.to_string()))
    };
    let held = once(asked(HOUR_MS)).await;
    assert_eq!((held.0, &held.1["transaction"]["captured"]), (200, &json!(false)), "{}", held.1);
    assert_eq!(error(&once(asked(2 * HOUR_MS)).await).0, 400, "another time is another request");
    let (_, seen) = shop.get(&format!("/invoices/{invoice}")).await;
    assert_eq!(seen["invoice"]["auto_capture_at"], at(HOUR_MS));
    shop.rig.clock.advance(HOUR_MS + 1);
    assert_eq!(once(asked(HOUR_MS)).await, held, "also when the time is over");
    shop.rig.engine.round(false).await;
    let (_, seen) = shop.get(&format!("/invoices/{invoice}")).await;
    assert_eq!(seen["invoice"]["fulfillment"]["state"], "paid");
}

#[actix_web::test]
async fn payer_who_comes_after_the_time_of_the_capture_pays_at_once() {
    let shop = Shop::new().await;
    let at = rfc3339(shop.rig.clock.now_ms() + HOUR_MS);
    let invoice = shop.invoice(json!({"auto_capture_at": at})).await;
    shop.rig.clock.advance(2 * HOUR_MS);
    let source = json!({"source": shop.card(GOOD).await});
    let (status, paid) = shop.page(&format!("/invoices/{invoice}/authorize"), source).await;
    assert_eq!((status, &paid["transaction"]["captured_amount"]), (200, &json!("19.99")), "{paid}");
    assert_eq!(shop.rig.charges(), 1);
}

#[actix_web::test]
async fn part_of_what_was_not_authorized_is_not_taken_and_changes_no_invoice() {
    let shop = Shop::new().await;
    let (customer, token) = shop.regular().await;
    let invoice = shop.invoice(json!({"customer_id": customer, "initiation_type": "mit"})).await;
    let before = shop.rig.charges();
    let path = format!("/invoices/{invoice}/capture");
    let no = shop.post(&path, json!({"source": token, "capture_amount": "10"})).await;
    assert_eq!(error(&no), (400, "request.validation.invalid-capture-amount"));
    assert_eq!(shop.rig.charges(), before);
    let (status, paid) = shop.post(&path, json!({"source": token, "capture_amount": "19.99"})).await;
    assert_eq!((status, &paid["transaction"]["captured_amount"]), (200, &json!("19.99")), "{paid}");
    let (_, seen) = shop.get(&format!("/invoices/{invoice}")).await;
    assert_eq!(seen["invoice"]["amount"], "19.99");
}
