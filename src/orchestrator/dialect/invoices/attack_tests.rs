//! What must not work: tokens used twice, callers who are not who they should be, card numbers where none belong.

use reqwest::{Method, header};
use serde_json::{Value, json};
use strongroom_wire::limits;

use super::tests::{PAGE_KEY, Shop, answer, error};
use crate::account::Merchant;
use crate::clock::{Clock as _, rfc3339};
use crate::intent::rig::{DECLINED, GOOD, card, new_payment};

#[actix_web::test]
async fn card_token_that_two_invoices_use_at_once_pays_one() {
    let shop = Shop::new().await;
    for with_cvc in [true, false] {
        let token = shop.card(GOOD).await;
        // Without the CVC nothing in the vault stands in the way of a second use.
        let token = if with_cvc { token } else { token.split('.').next().unwrap().to_owned() };
        let (one, two) = (shop.invoice(json!({})).await, shop.invoice(json!({})).await);
        let before = shop.rig.charges();
        let source = json!({"source": token});
        let (one, two) = (format!("/invoices/{one}/authorize"), format!("/invoices/{two}/authorize"));
        let (one, two) = tokio::join!(shop.page(&one, source.clone()), shop.page(&two, source));
        let (won, lost) = if one.0 == 200 { (one, two) } else { (two, one) };
        assert_eq!(won.0, 200, "{}", won.1);
        assert_eq!(error(&lost), (400, "request.source.invalid"));
        assert_eq!(shop.rig.charges() - before, 1);
    }
}

#[actix_web::test]
async fn card_token_is_of_no_use_after_it_was_used() {
    let shop = Shop::new().await;
    let customer = shop.customer().await;
    let keep = format!("/customers/{customer}/tokens");
    for (number, status) in [(GOOD, 200), (DECLINED, 410)] {
        let source = json!({"source": shop.card(number).await});
        let path = format!("/invoices/{}/authorize", shop.invoice(json!({})).await);
        assert_eq!(shop.page(&path, source.clone()).await.0, status);
        let again = format!("/invoices/{}/authorize", shop.invoice(json!({})).await);
        assert_eq!(error(&shop.page(&again, source.clone()).await), (400, "request.source.invalid"));
        assert_eq!(error(&shop.post(&keep, source).await), (400, "request.source.invalid"));
    }
    let source = json!({"source": shop.card(GOOD).await});
    let (status, kept) = shop.post(&keep, source.clone()).await;
    assert_eq!(status, 200, "{kept}");
    let path = format!("/invoices/{}/authorize", shop.invoice(json!({"customer_id": customer})).await);
    assert_eq!(
        error(&shop.page(&path, source.clone()).await),
        (400, "request.source.invalid"),
        "it is a customer's now"
    );
    let other = format!("/customers/{}/tokens", shop.customer().await);
    assert_eq!(error(&shop.post(&other, source).await), (400, "request.source.invalid"));
}

#[actix_web::test]
async fn source_that_is_none_of_this_customer_is_refused() {
    let shop = Shop::new().await;
    let (_, token) = shop.regular().await;
    let stranger = shop.customer().await;
    for customer in [json!({"customer_id": stranger}), json!({})] {
        let path = format!("/invoices/{}/authorize", shop.invoice(customer).await);
        assert_eq!(error(&shop.page(&path, json!({"source": token})).await), (400, "request.source.invalid"));
    }
    let path = format!("/customers/{stranger}/tokens/{token}");
    assert_eq!(error(&shop.get(&path).await), (404, "resource.token.not-found"));
    let path = format!("/invoices/{}/authorize", shop.invoice(json!({})).await);
    for bad in
        ["", "card_", "card_x", "tok_x", "pm_x", "card_x.", "gway_req_1", GOOD, "card_00000000000000000000000000"]
    {
        let no = shop.page(&path, json!({"source": bad})).await;
        assert_eq!(error(&no), (400, "request.source.invalid"), "{bad}");
        assert!(!no.1.to_string().contains(GOOD));
    }
}

#[actix_web::test]
async fn page_does_only_what_a_payer_does() {
    let shop = Shop::new().await;
    let (customer, token) = shop.regular().await;
    let invoice = shop.invoice(json!({"customer_id": customer})).await;
    let forbidden = (403, "request.authorization.forbidden");
    for (path, body) in [
        (format!("/invoices/{invoice}/capture"), json!({"source": token})),
        (format!("/invoices/{invoice}/void"), json!({})),
        (format!("/invoices/{invoice}/refunds"), json!({"amount": "1"})),
        (format!("/invoices/{invoice}/increment_authorization"), json!({"amount": "1"})),
        (format!("/invoices/{invoice}/authorize"), json!({"source": token, "save_source": true})),
        ("/invoices".to_owned(), json!({"name": "a", "amount": "1", "currency": "USD"})),
        (format!("/customers/{customer}/tokens"), json!({"source": token})),
    ] {
        assert_eq!(error(&shop.page(&path, body).await), forbidden, "{path}");
    }
    let by_merchant = shop.invoice(json!({"customer_id": customer, "initiation_type": "MIT"})).await;
    let path = format!("/invoices/{by_merchant}/authorize");
    assert_eq!(error(&shop.page(&path, json!({"source": token})).await), forbidden, "no payer begins this one");
    assert_eq!(
        error(&shop.post(&path, json!({"source": shop.card(GOOD).await})).await),
        (400, "request.source.invalid")
    );
    let path = format!("/invoices/{invoice}/capture");
    let early = shop.post(&path, json!({"source": token})).await;
    assert_eq!(error(&early), (400, "transaction.invalid-state"), "the payer begins this one");
    shop.rig.clock.advance(25 * 3_600_000);
    let late = shop.page(&format!("/invoices/{invoice}/authorize"), json!({"source": token})).await;
    assert_eq!(error(&late), (400, "invoice.expired"));
}

#[actix_web::test]
async fn nobody_comes_in_with_half_a_key_or_from_a_foreign_page() {
    let shop = Shop::new().await;
    let path = format!("/invoices/{}/authorize", shop.invoice(json!({})).await);
    let body = json!({"source": shop.card(GOOD).await}).to_string();
    let ask = || shop.request(Method::POST, &path).body(body.clone());
    let secret = shop.secret.as_str();
    for (user, key) in
        [("shop", ""), ("shop", "wrong"), ("other", secret), (PAGE_KEY, "wrong"), ("pk_other", ""), ("", secret)]
    {
        let no = answer(ask().basic_auth(user, Some(key))).await;
        assert_eq!(error(&no), (401, "request.authentication.invalid"), "{user}");
    }
    for header in ["Basic", "Basic %", "Bearer x", &format!("Basic {}", "A".repeat(600))] {
        let no = answer(ask().header(header::AUTHORIZATION, header)).await;
        assert_eq!(error(&no), (401, "request.authentication.invalid"), "{header}");
    }
    let foreign = answer(ask().basic_auth(PAGE_KEY, None::<&str>).header(header::ORIGIN, "https://evil.test")).await;
    assert_eq!(error(&foreign), (403, "request.authorization.forbidden"));
    let leaked = answer(ask().basic_auth("shop", Some(secret)).header(header::ORIGIN, "https://shop.test")).await;
    assert_eq!(error(&leaked), (403, "request.authorization.forbidden"));
    assert_eq!(shop.rig.charges(), 0);

    let asked = shop.request(Method::OPTIONS, &path).header(header::ORIGIN, "https://shop.test");
    let asked = asked.header(header::ACCESS_CONTROL_REQUEST_METHOD, "POST").send().await.unwrap();
    assert_eq!(asked.status(), 204);
    assert!(asked.headers()[header::ACCESS_CONTROL_ALLOW_HEADERS].to_str().unwrap().contains("authorization"));
    let paid =
        ask().basic_auth(PAGE_KEY, None::<&str>).header(header::ORIGIN, "https://shop.test").send().await.unwrap();
    assert_eq!(paid.status(), 200);
    assert_eq!(paid.headers()[header::ACCESS_CONTROL_ALLOW_ORIGIN], "https://shop.test");
}

#[actix_web::test]
async fn what_came_through_another_door_or_is_anothers_is_not_found() {
    let shop = Shop::new().await;
    let native = shop.rig.engine.create(&shop.rig.merchant, new_payment(|_| ()), card(GOOD), true).await.unwrap();
    let name = native.payment_id.trim_start_matches("pay_");
    let missing = (404, "resource.invoice.not-found");
    assert_eq!(error(&shop.get(&format!("/invoices/iv_{name}")).await), missing);
    assert_eq!(error(&shop.post(&format!("/invoices/iv_{name}/refunds"), json!({"amount": "1"})).await), missing);
    assert_eq!(error(&shop.get(&format!("/transactions/tr_{name}")).await), (404, "resource.transaction.not-found"));
    let told = shop.rig.store.outbox_events(&shop.rig.merchant, Some(&native.payment_id), None, 1).await.unwrap();
    let event = told[0].event_id.replace("evt_", "ev_");
    assert_eq!(error(&shop.get(&format!("/events/{event}")).await), (404, "resource.event.not-found"));

    let other = Merchant {
        merchant_id: "other".parse().unwrap(),
        publishable_key: "pk_other_0123456789".into(),
        ..shop.rig.store.merchant(&shop.rig.merchant).await.unwrap().unwrap()
    };
    shop.rig.store.add_merchant(&other).await.unwrap();
    let path = format!("/invoices/{}/authorize", shop.invoice(json!({})).await);
    let body = json!({"source": shop.card(GOOD).await}).to_string();
    let foreign = shop.request(Method::POST, &path).basic_auth("pk_other_0123456789", None::<&str>).body(body);
    assert_eq!(error(&answer(foreign).await), missing);
}

#[actix_web::test]
async fn invoice_that_makes_no_sense_is_refused() {
    let shop = Shop::new().await;
    let now = shop.rig.clock.now_ms();
    let day = 24 * 3_600_000;
    let item = |name: &str| json!({"name": name, "amount": "1"});
    for (field, bad) in [
        ("amount", json!("1e3")),
        ("amount", json!("0.00001")),
        ("amount", json!("-1")),
        ("amount", json!("0")),
        ("amount", json!(5)),
        ("currency", json!("usd")),
        ("auto_capture_at", json!(rfc3339(now + 8 * day))),
        ("auto_capture_at", json!(rfc3339(now - 1000))),
        ("auto_capture_at", json!("tomorrow")),
        ("webhook_url", json!("https://10.0.0.1/hook")),
        ("webhook_url", json!("https://[::1]/hook")),
        ("webhook_url", json!("http://shop.test/hook")),
        ("return_url", json!("javascript:alert(1)")),
        ("initiation_type", json!("mit")),
        ("metadata", json!({"a": 1})),
        ("metadata", json!("[]")),
        ("name", json!(GOOD)),
        ("metadata", json!({"card": GOOD})),
        ("shipping", json!({"address1": GOOD})),
        ("details", json!([item(GOOD)])),
        ("details", json!([{"name": "a", "amount": "-1"}])),
        ("details", json!([{"name": "a", "amount": "1", "number": "1"}])),
        ("details", json!(vec![item("a"); limits::INVOICE_DETAILS_MAX + 1])),
        ("details", json!([item(&"a".repeat(limits::INVOICE_NAME_BYTES_MAX + 1))])),
        ("gateway_data", json!({})),
    ] {
        let mut body = json!({"name": "a", "amount": "1", "currency": "USD"});
        body[field] = bad;
        let no = shop.post("/invoices", body).await;
        assert_eq!(error(&no).0, 400, "{field}: {}", no.1);
        assert!(!no.1.to_string().contains("4242"), "{}", no.1);
    }
    let most = json!({"details": vec![item("a"); limits::INVOICE_DETAILS_MAX]});
    shop.invoice(most).await;
    shop.invoice(json!({"details": item(&"a".repeat(limits::INVOICE_NAME_BYTES_MAX)), "metadata": r#"{"a":"b"}"#}))
        .await;
    shop.invoice(json!({"auto_capture_at": rfc3339(now + 7 * day)})).await;
    let unknown = json!({"name": "a", "amount": "1", "currency": "USD", "customer_id": "cust_nobody"});
    assert_eq!(error(&shop.post("/invoices", unknown).await), (404, "resource.customer.not-found"));
    let big = json!({"name": "a".repeat(limits::PAYMENT_BODY_BYTES_MAX)});
    assert_eq!(error(&shop.post("/invoices", big).await), (413, "request.too-large"));
    assert_eq!(error(&shop.get("/nowhere").await), (404, "request.route-not-found"));
    assert_eq!(error(&shop.get("/invoices").await), (405, "request.method-not-allowed"));
}

#[actix_web::test]
async fn more_than_was_authorized_is_not_captured() {
    let shop = Shop::new().await;
    let invoice = shop.invoice(json!({})).await;
    shop.page(&format!("/invoices/{invoice}/authorize"), json!({"source": shop.card(GOOD).await})).await;
    for bad in [json!({"capture_amount": "20"}), json!({"capture_amount": "0"}), json!({"capture_type": "non-final"})] {
        let no = shop.post(&format!("/invoices/{invoice}/capture"), bad).await;
        assert_eq!(error(&no).0, 400, "{}", no.1);
    }
    let (_, seen) = shop.get(&format!("/invoices/{invoice}")).await;
    assert_eq!(seen["invoice"]["fulfillment"]["state"], "authorized");
}

#[actix_web::test]
async fn bad_card_becomes_no_token() {
    let shop = Shop::new().await;
    let before = shop.rig.cards_in_vault();
    for (field, bad, kind) in [
        ("number", json!("42"), "card.invalid-number"),
        ("exp_month", json!("x"), "card.invalid-month"),
        ("exp_year", json!(""), "card.invalid-year"),
        ("cvc2", json!("12a"), "card.invalid-cvc"),
    ] {
        let mut body = json!({"number": GOOD, "exp_month": 12, "exp_year": 2034});
        body[field] = bad;
        let no = shop.page("/cards", body).await;
        assert_eq!(error(&no), (400, kind));
        assert!(!no.1.to_string().contains("4242"));
    }
    assert_eq!(shop.rig.cards_in_vault(), before);
}

#[actix_web::test]
async fn request_that_comes_twice_at_once_is_done_once() {
    let shop = Shop::new().await;
    let once = |path: String, body: Value, key: &'static str| {
        let request = shop.request(Method::POST, &path).basic_auth("shop", Some(&shop.secret));
        answer(request.header("Idempotency-Key", key).body(body.to_string()))
    };
    let order = json!({"name": "a", "amount": "5", "currency": "USD"});
    let (one, two) = tokio::join!(once("/invoices".into(), order.clone(), "k1"), once("/invoices".into(), order, "k1"));
    assert_eq!(one, two);
    let invoice = one.1["invoice"]["id"].as_str().unwrap().to_owned();
    let other = once("/invoices".into(), json!({"name": "b", "amount": "5", "currency": "USD"}), "k1").await;
    assert_eq!(error(&other).0, 400);

    let path = format!("/invoices/{invoice}/authorize");
    let source = json!({"source": shop.card(GOOD).await});
    let (one, two) = tokio::join!(once(path.clone(), source.clone(), "k2"), once(path.clone(), source.clone(), "k2"));
    assert_eq!((one.0, &one), (200, &two));
    assert_eq!(once(path, source, "k2").await, one, "also when the card is gone");
    assert_eq!(shop.rig.charges(), 1);
    let refused = format!("/invoices/{}/authorize", shop.invoice(json!({})).await);
    let source = json!({"source": shop.card(DECLINED).await});
    let first = once(refused.clone(), source.clone(), "k3").await;
    assert_eq!(error(&first), (410, "card.declined"));
    assert_eq!(once(refused, source, "k3").await, first);
}
