//! The payer's browser at `/redirect/...`: where it is sent, what it may bring, and who it must be.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::Method;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use strongroom_wire::limits;

use super::tests::{ADMIN, Shop, code, paying};
use crate::intent::RETURNS_IN_FRAME;
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
async fn return_in_a_frame_tells_the_pages_of_the_merchant_and_leads_nowhere() {
    let (shop, path) = away().await;
    let (mut payment, version) = shop.rig.engine.payment(&shop.rig.merchant, "pay_away").await.unwrap();
    payment.terms.extra.insert(RETURNS_IN_FRAME.into(), true.into());
    shop.rig.engine.save(&mut payment, version, &Default::default()).await.unwrap();
    let client = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    let come_back = async || client.get(format!("{}{path}?result=good", shop.base)).send().await.unwrap();

    let page = come_back().await;
    assert_eq!(page.status().as_u16(), 200);
    let policy = page.headers()["content-security-policy"].to_str().unwrap().to_owned();
    assert!(policy.ends_with("frame-ancestors https://shop.test https://other.shop.test"), "{policy}");
    let text = page.text().await.unwrap();
    let script = text.split("<script>").nth(1).unwrap().split("</script>").next().unwrap();
    let hash = STANDARD.encode(Sha256::digest(script));
    assert!(policy.starts_with(&format!("default-src 'none'; script-src 'sha256-{hash}'; ")), "{policy}");
    for told in [
        "data-origins=\"https://shop.test https://other.shop.test\"",
        "data-payment=\"pay_away\" data-status=\"succeeded\"",
        "data-home=\"https://shop.test/done?order=7&amp;payment_id=pay_away&amp;status=succeeded\"",
    ] {
        assert!(text.contains(told), "{text}");
    }
    assert!(!text.contains("_secret_"), "the client secret is the payer's page's already");

    // There is no page to tell any more.
    shop.call(Method::POST, "/accounts/shop", ADMIN, json!({"allowed_origins": []})).await;
    assert_eq!(come_back().await.status().as_u16(), 303);
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
