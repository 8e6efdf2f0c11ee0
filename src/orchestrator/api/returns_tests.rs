//! The payer's browser at `/redirect/...`: where it is sent, what it may bring, and who it must be.

use reqwest::Method;
use serde_json::{Value, json};
use strongroom_wire::limits;

use super::tests::{Shop, code, paying};
use crate::intent::rig::{AUTHENTICATE, BLIND};

/// A payment whose payer is away, and the address that the payer comes back to.
async fn away() -> (Shop, String) {
    let shop = Shop::at(BLIND).await;
    let mut body = paying(AUTHENTICATE);
    body["payment_id"] = json!("pay_away");
    body["return_url"] = json!("https://shop.test/done?order=7");
    let (_, made) = shop.post("/payments", body).await;
    assert_eq!(made["status"], "requires_customer_action");
    assert_eq!(made["next_action"]["type"], "redirect_to_url");
    let (payment, _) = shop.rig.engine.payment(&shop.rig.merchant, "pay_away").await.unwrap();
    let url = shop.rig.engine.redirect_back_url(&payment);
    (shop, url.strip_prefix("https://pay.test").unwrap().to_owned())
}

#[actix_web::test]
async fn browser_is_sent_on_to_the_shop_with_the_state_that_counts() {
    for by_form in [false, true] {
        let (shop, path) = away().await;
        let location = if by_form {
            shop.browse(Method::POST, &path, "result=good").await
        } else {
            shop.browse(Method::GET, &format!("{path}?result=good"), "").await
        };
        let expected = "https://shop.test/done?order=7&payment_id=pay_away&status=succeeded";
        assert_eq!(location, (303, Some(expected.to_owned())));
        assert_eq!(shop.get("/payments/pay_away").await.1["next_action"], Value::Null);
    }
}

#[actix_web::test]
async fn return_that_is_too_large_or_not_this_payers_is_refused() {
    let (shop, path) = away().await;
    let long = format!("{path}?result={}", "x".repeat(limits::RETURN_BYTES_MAX));
    let many = format!("{path}?{}result=good", "a=1&".repeat(limits::RETURN_FIELDS_MAX));
    for path in [long, many] {
        assert_eq!(code(&shop.call(Method::GET, &path, "", Value::Null).await), (400, "IR_06"));
    }
    let other = format!("{}?result=good", path.replace("pay_away/", "pay_away/x"));
    assert_eq!(code(&shop.call(Method::GET, &other, "", Value::Null).await), (404, "HE_02"));
    assert_eq!(shop.get("/payments/pay_away").await.1["status"], "requires_customer_action");
}
