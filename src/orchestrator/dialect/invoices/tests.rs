//! The seed's story, step by step, over actix's test server: invoice, card token, authorize in the page, capture at the server,
//! events, customers' tokens, payments that the merchant begins.

#[path = "../../../../tests/specs/invoices/answers.rs"]
mod published;

use std::collections::BTreeSet;
use std::sync::Arc;

use actix_web::web::Data;
use actix_web::{App, HttpServer};
use reqwest::{Method, header};
use serde_json::{Value, json};

use super::{InvoicesConfig, OPENAPI, ROUTES, door, events};
use crate::api::{Api, configure};
use crate::clock::Clock as _;
use crate::ids;
use crate::intent::State;
use crate::intent::rig::{AUTHENTICATE, DECLINED, FULL, GOOD, Rig};
use crate::telemetry::Metrics;

pub(super) const PAGE_KEY: &str = "pk_rig_0123456789";
const ADMIN: &str = "an-admin-key-of-a-test";

/// A shop that speaks this dialect.
pub(super) struct Shop {
    pub(super) rig: Rig,
    base: String,
    pub(super) secret: String,
}

impl Shop {
    pub(super) async fn new() -> Self {
        // The clock stands still, so that no bucket refills.
        let (burst, page_requests_per_minute) = (1000, 600);
        Self::with(InvoicesConfig { burst, page_requests_per_minute, ..Default::default() }).await
    }

    pub(super) async fn with(config: InvoicesConfig) -> Self {
        let rig = Rig::at(FULL).await;
        let api = Api::new(rig.engine.clone(), ids::key_hash(ADMIN), None, Arc::new(Metrics::new()));
        // Tests share one process, so all but the first find the provider in place.
        let _already = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let api = Data::new(api.with_pages(door(config)));
        let server = HttpServer::new(move || App::new().configure(configure(api.clone())))
            .workers(1)
            .disable_signals()
            .bind(("127.0.0.1", 0))
            .unwrap();
        let base = format!("http://{}", server.addrs()[0]);
        actix_web::rt::spawn(server.run());
        let mut shop = Self { rig, base, secret: String::new() };
        let made = client()
            .post(format!("{}/api_keys/shop", shop.base))
            .header("api-key", ADMIN)
            .body(json!({"name": "server", "expiration": "never"}).to_string())
            .send()
            .await
            .unwrap();
        let made: Value = serde_json::from_slice(&made.bytes().await.unwrap()).unwrap();
        shop.secret = made["api_key"].as_str().unwrap().to_owned();
        shop
    }

    pub(super) fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        client().request(method, format!("{}/router{path}", self.base))
    }

    pub(super) async fn post(&self, path: &str, body: Value) -> (u16, Value) {
        let request = self.request(Method::POST, path).basic_auth("shop", Some(&self.secret));
        answer(request.body(body.to_string())).await
    }

    pub(super) async fn get(&self, path: &str) -> (u16, Value) {
        answer(self.request(Method::GET, path).basic_auth("shop", Some(&self.secret))).await
    }

    pub(super) async fn delete(&self, path: &str) -> (u16, Value) {
        answer(self.request(Method::DELETE, path).basic_auth("shop", Some(&self.secret))).await
    }

    /// As a page of the shop.
    pub(super) async fn page(&self, path: &str, body: Value) -> (u16, Value) {
        let request = self.request(Method::POST, path).basic_auth(PAGE_KEY, None::<&str>);
        answer(request.header(header::ORIGIN, "https://shop.test").body(body.to_string())).await
    }

    pub(super) async fn invoice(&self, more: Value) -> String {
        let mut body = json!({"name": "Order 7", "amount": "19.99", "currency": "USD"});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let (status, made) = self.post("/invoices", body).await;
        assert_eq!(status, 200, "{made}");
        made["invoice"]["id"].as_str().unwrap().to_owned()
    }

    pub(super) async fn card(&self, number: &str) -> String {
        let body = json!({"number": number, "exp_month": "12", "exp_year": "2034", "cvc2": "123"});
        let (status, made) = self.page("/cards", body).await;
        assert_eq!(status, 200, "{made}");
        made["card"]["id"].as_str().unwrap().to_owned()
    }

    pub(super) async fn customer(&self) -> String {
        let (status, made) = self.post("/customers", json!({"email": "ada@example.com", "first_name": "Ada"})).await;
        assert_eq!(status, 200, "{made}");
        made["customer"]["id"].as_str().unwrap().to_owned()
    }

    /// A customer with a kept card.
    pub(super) async fn regular(&self) -> (String, String) {
        let customer = self.customer().await;
        let (status, kept) =
            self.post(&format!("/customers/{customer}/tokens"), json!({"source": self.card(GOOD).await})).await;
        assert_eq!(status, 200, "{kept}");
        (customer, kept["token"]["id"].as_str().unwrap().to_owned())
    }
}

fn client() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().build().unwrap()
}

/// The answer, which the published specification must know.
pub(super) async fn answer(request: reqwest::RequestBuilder) -> (u16, Value) {
    let asked = request.try_clone().unwrap().build().unwrap();
    let answer = request.send().await.unwrap();
    let status = answer.status().as_u16();
    let body = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap_or(Value::Null);
    let path = asked.url().path().trim_start_matches("/router");
    assert_eq!(published::complaint(asked.method().as_str(), path, status, &body), None, "{body}");
    (status, body)
}

/// Status and type of an error, whose shape is held here.
pub(super) fn error(answer: &(u16, Value)) -> (u16, &str) {
    assert_eq!(answer.1["success"], false, "{}", answer.1);
    assert!(answer.1["message"].is_string() && answer.1.as_object().unwrap().len() == 3, "{}", answer.1);
    (answer.0, answer.1["error_type"].as_str().unwrap())
}

#[actix_web::test]
async fn document_and_routes_say_the_same() {
    let document: Value = serde_json::from_str(OPENAPI).unwrap();
    let mut published = BTreeSet::new();
    for (path, verbs) in document["paths"].as_object().unwrap() {
        published.extend(verbs.as_object().unwrap().keys().map(|verb| (path.clone(), verb.clone())));
    }
    let served = ROUTES.iter().flat_map(|(path, verbs)| verbs.iter().map(|(verb, _)| ((*path).into(), (*verb).into())));
    assert_eq!(published, served.collect::<BTreeSet<(String, String)>>());
    let shop = Shop::new().await;
    assert_eq!(answer(shop.request(Method::GET, "/openapi.json")).await, (200, document));
}

#[test]
fn specification_would_notice_a_wrong_answer() {
    let wrong = json!({"success": true, "invoice": {"id": 7}});
    let complains = |status, body| published::complaint("POST", "/invoices", status, body).is_some();
    assert!(complains(200, &wrong) && complains(410, &json!({"error_type": 1})));
    let wrong = json!({"success": true, "transaction": {"captured": "true"}});
    assert!(published::complaint("POST", "/invoices/iv_1/capture", 200, &wrong).is_some());
    assert!(published::complaint("GET", "/transactions/tr_1", 200, &wrong).is_some());
}

#[actix_web::test]
async fn invoice_is_authorized_in_the_page_and_captured_at_the_server() {
    let shop = Shop::new().await;
    let details =
        json!([{"name": "Tea", "amount": "9.99", "quantity": 1}, {"name": "Cup", "amount": "10", "reference": "c-1"}]);
    let invoice = shop.invoice(json!({"details": details, "order_id": "o-7", "metadata": {"cart": "7"}})).await;
    let (_, seen) = shop.get(&format!("/invoices/{invoice}")).await;
    assert_eq!((&seen["invoice"]["amount"], &seen["invoice"]["order_id"]), (&json!("19.99"), &json!("o-7")));
    assert_eq!(seen["invoice"]["details"][1]["reference"], "c-1");
    assert_eq!(seen["invoice"]["metadata"], json!({"cart": "7"}));
    assert_eq!(seen["invoice"]["fulfillment"]["state"], "awaiting_payment");

    let card = shop.card(GOOD).await;
    let (status, paid) = shop.page(&format!("/invoices/{invoice}/authorize"), json!({"source": card})).await;
    assert_eq!((status, &paid["transaction"]["status"]), (200, &json!("authorized")), "{paid}");
    assert_eq!(paid["transaction"]["authorized_amount"], "19.99");
    assert!(!paid.to_string().contains(GOOD));
    let (status, taken) = shop.post(&format!("/invoices/{invoice}/capture"), json!({"capture_amount": "10"})).await;
    assert_eq!((status, &taken["transaction"]["captured_amount"]), (200, &json!("10.00")), "{taken}");
    let transaction = taken["transaction"]["id"].as_str().unwrap();
    assert_eq!(transaction.strip_prefix("tr_"), invoice.strip_prefix("iv_"));

    let (status, back) =
        shop.post(&format!("/invoices/{invoice}/refunds"), json!({"amount": "4", "reason": "customer_request"})).await;
    assert_eq!(
        (status, &back["refund"]["amount"], &back["refund"]["has_failed"]),
        (200, &json!("4.00"), &json!(false))
    );
    let (_, refunds) = shop.get(&format!("/transactions/{transaction}/refunds")).await;
    assert_eq!(refunds["refunds"][0]["id"], back["refund"]["id"]);
    let (_, whole) = shop.get(&format!("/transactions/{transaction}")).await;
    assert_eq!(
        (&whole["transaction"]["available_amount"], &whole["transaction"]["refunded"]),
        (&json!("6.00"), &json!(true))
    );
    let (_, seen) = shop.get(&format!("/invoices/{invoice}")).await;
    assert_eq!(seen["invoice"]["fulfillment"]["state"], "partially_refunded");
    let too_much = shop.post(&format!("/transactions/{transaction}/refunds"), json!({"amount": "6.01"})).await;
    assert_eq!(error(&too_much), (400, "request.validation.refund-amount-too-high"));
}

#[actix_web::test]
async fn reserved_money_is_raised_and_released() {
    let shop = Shop::new().await;
    let invoice = shop.invoice(json!({})).await;
    let source = json!({"source": shop.card(GOOD).await, "incremental": true});
    let (status, paid) = shop.post(&format!("/invoices/{invoice}/authorize"), source).await;
    assert_eq!(status, 200, "{paid}");
    let (status, more) =
        shop.post(&format!("/invoices/{invoice}/increment_authorization"), json!({"amount": "0.01"})).await;
    assert_eq!((status, &more["transaction"]["authorized_amount"]), (200, &json!("20.00")), "{more}");
    assert_eq!(more["transaction"]["incremented_amount"], "0.01");
    let (status, gone) = shop.post(&format!("/invoices/{invoice}/void"), json!({})).await;
    assert_eq!((status, &gone["transaction"]["voided"]), (200, &json!(true)));
    let late = shop.post(&format!("/invoices/{invoice}/capture"), json!({})).await;
    assert_eq!(error(&late), (400, "transaction.invalid-state"));
    let unpaid = shop.invoice(json!({})).await;
    assert_eq!(shop.delete(&format!("/invoices/{unpaid}")).await, (200, json!({"success": true})));
    let source = json!({"source": shop.card(GOOD).await});
    assert_eq!(
        error(&shop.page(&format!("/invoices/{unpaid}/authorize"), source).await),
        (400, "transaction.invalid-state")
    );
}

#[actix_web::test]
async fn decline_is_an_error_that_names_the_reason() {
    let shop = Shop::new().await;
    let invoice = shop.invoice(json!({})).await;
    let source = json!({"source": shop.card(DECLINED).await});
    let no = shop.page(&format!("/invoices/{invoice}/authorize"), source).await;
    assert_eq!(error(&no), (410, "card.declined"));
    let (_, seen) = shop.get(&invoice.replace("iv_", "/transactions/tr_")).await;
    assert_eq!(
        (&seen["transaction"]["status"], &seen["transaction"]["error_code"]),
        (&json!("failed"), &json!("card.declined"))
    );
}

#[actix_web::test]
async fn payer_who_must_authenticate_is_sent_to_the_issuer() {
    let shop = Shop::new().await;
    let invoice = shop.invoice(json!({"return_url": "https://shop.test/thanks"})).await;
    let source = json!({"source": shop.card(AUTHENTICATE).await});
    let (status, sent) = shop.page(&format!("/invoices/{invoice}/authorize"), source).await;
    assert_eq!((status, &sent["customer_action"]["type"]), (200, &json!("url")), "{sent}");
    assert!(sent["customer_action"]["value"].as_str().unwrap().starts_with("https://"));
    assert_eq!(sent["transaction"]["status"], "pending");
}

#[actix_web::test]
async fn merchant_charges_a_kept_card_without_authorization() {
    let shop = Shop::new().await;
    let (customer, token) = shop.regular().await;
    let asked = json!({"customer_id": customer, "initiation_type": "mit", "payment_intent": "recurring"});
    for _ in 0..2 {
        let invoice = shop.invoice(asked.clone()).await;
        let (status, paid) = shop.post(&format!("/invoices/{invoice}/capture"), json!({"source": token})).await;
        assert_eq!((status, &paid["transaction"]["captured_amount"]), (200, &json!("19.99")), "{paid}");
        assert_eq!(paid["transaction"]["token_id"], token.as_str());
    }
    let invoice = shop.invoice(asked).await;
    let (status, held) = shop.post(&format!("/invoices/{invoice}/authorize"), json!({"source": token})).await;
    assert_eq!((status, &held["transaction"]["status"]), (200, &json!("authorized")), "{held}");
    let listed = shop.get(&format!("/customers/{customer}/tokens")).await.1;
    assert_eq!((&listed["tokens"][0]["id"], listed["tokens"].as_array().unwrap().len()), (&json!(token), 1));
    let path = format!("/customers/{customer}/tokens/{token}");
    assert_eq!(shop.get(&path).await.1["token"]["card"]["last_4_digits"], "4242");
    assert_eq!(shop.delete(&path).await, (200, json!({"success": true})));
    assert_eq!(error(&shop.get(&path).await), (404, "resource.token.not-found"));
    assert_eq!(error(&shop.delete(&path).await), (404, "resource.token.not-found"));
}

#[actix_web::test]
async fn payer_who_is_there_pays_with_a_kept_card_in_the_page() {
    let shop = Shop::new().await;
    let (customer, token) = shop.regular().await;
    let invoice = shop.invoice(json!({"customer_id": customer})).await;
    let (status, paid) = shop.page(&format!("/invoices/{invoice}/authorize"), json!({"source": token})).await;
    assert_eq!((status, &paid["transaction"]["status"]), (200, &json!("authorized")), "{paid}");
}

#[actix_web::test]
async fn capture_that_was_set_for_a_time_happens_by_itself() {
    let shop = Shop::new().await;
    let at_ms = shop.rig.clock.now_ms() + 3 * 24 * 3_600_000;
    let invoice = shop.invoice(json!({"auto_capture_at": crate::clock::rfc3339(at_ms)})).await;
    let source = json!({"source": shop.card(GOOD).await});
    let (status, paid) = shop.page(&format!("/invoices/{invoice}/authorize"), source).await;
    assert_eq!((status, &paid["transaction"]["captured"]), (200, &json!(false)), "{paid}");
    shop.rig.clock.advance(3 * 24 * 3_600_000 + 1);
    shop.rig.engine.round(false).await;
    let (_, seen) = shop.get(&format!("/invoices/{invoice}")).await;
    assert_eq!(seen["invoice"]["fulfillment"]["state"], "paid");
}

#[actix_web::test]
async fn webhook_carries_the_id_alone_and_the_event_tells_the_rest() {
    let shop = Shop::new().await;
    let invoice = shop.invoice(json!({"webhook_url": "https://hooks.shop.test/in"})).await;
    let source = json!({"source": shop.card(GOOD).await});
    shop.page(&format!("/invoices/{invoice}/authorize"), source).await;
    shop.post(&format!("/invoices/{invoice}/capture"), json!({})).await;
    let payment_id = invoice.replace("iv_", "pay_");
    let (payment, _) = shop.rig.engine.payment(&shop.rig.merchant, &payment_id).await.unwrap();
    assert_eq!(payment.state, State::Succeeded);
    let mut told = shop.rig.store.outbox_events(&shop.rig.merchant, Some(&payment_id), None, 10).await.unwrap();
    told.reverse();
    let mut types = Vec::new();
    for event in &told {
        let letter = events::speak(&payment, event).unwrap();
        assert_eq!(letter.url.as_deref(), Some("https://hooks.shop.test/in"));
        let body: Value = serde_json::from_str(&letter.body).unwrap();
        assert_eq!(body.as_object().unwrap().keys().collect::<Vec<_>>(), ["event_id", "event_type"]);
        let (status, whole) = shop.get(&format!("/events/{}", body["event_id"].as_str().unwrap())).await;
        assert_eq!((status, &whole["event"]["name"]), (200, &body["event_type"]));
        assert_eq!(whole["event"]["data"]["transaction"]["invoice_id"], invoice.as_str());
        types.push((body["event_type"].clone(), whole["event"]["data"]["transaction"]["status"].clone()));
        assert_eq!((letter.sign)(&[], &letter.body, 0), Some(Vec::new()), "no secret is needed");
    }
    let expected = [("transaction.authorized", "authorized"), ("transaction.captured", "completed")];
    assert_eq!(types, expected.map(|(kind, status)| (json!(kind), json!(status))), "each as it was then");
    assert_eq!(error(&shop.get("/events/ev_nothing").await), (404, "resource.event.not-found"));
}
