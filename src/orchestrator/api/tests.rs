//! The API over actix's test server: who may do what, the dialect's codes, both flows, duplicates.

use std::collections::BTreeSet;
use std::sync::Arc;

use actix_web::web::Data;
use actix_web::{App, HttpServer};
use reqwest::Method;
use serde_json::{Value, json};
use strongroom_wire::limits;

use super::{Api, OPENAPI, ROUTES, configure};
use crate::ids;
use crate::intent::rig::{DECLINED, GOOD, PLAIN, Rig};
use crate::telemetry::Metrics;

pub(super) const ADMIN: &str = "an-admin-key-of-a-test";

pub(super) struct Shop {
    pub(super) rig: Rig,
    pub(super) base: String,
    pub(super) key: String,
}

impl Shop {
    pub(super) async fn new() -> Self {
        Self::at(PLAIN).await
    }

    /// With an account at this connector of the rig.
    pub(super) async fn at(connector: &str) -> Self {
        let rig = Rig::at(connector).await;
        let intake = Some("https://vault.test".into());
        let api = Api::new(rig.engine.clone(), ids::key_hash(ADMIN), intake, Arc::new(Metrics::new()));
        // Tests share one process, so all but the first find the provider in place.
        let _already = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let api = Data::new(api);
        let server = HttpServer::new(move || App::new().configure(configure(api.clone())))
            .workers(1)
            .disable_signals()
            .bind(("127.0.0.1", 0))
            .unwrap();
        let base = format!("http://{}", server.addrs()[0]);
        actix_web::rt::spawn(server.run());
        let mut shop = Self { rig, base, key: String::new() };
        let body = json!({"name": "server", "expiration": "never"});
        let (status, made) = shop.call(Method::POST, "/api_keys/shop", ADMIN, body).await;
        assert_eq!(status, 200);
        shop.key = made["api_key"].as_str().unwrap().to_owned();
        shop
    }

    pub(super) async fn call(&self, method: Method, path: &str, key: &str, body: Value) -> (u16, Value) {
        self.call_once(method, path, key, body, None).await
    }

    pub(super) async fn call_once(
        &self,
        method: Method,
        path: &str,
        key: &str,
        body: Value,
        once: Option<&str>,
    ) -> (u16, Value) {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let mut request = client.request(method.clone(), format!("{}{path}", self.base)).header("api-key", key);
        if let Some(once) = once {
            request = request.header("Idempotency-Key", once);
        }
        if method != Method::GET {
            request = request.body(body.to_string());
        }
        let answer = request.send().await.unwrap();
        let status = answer.status().as_u16();
        (status, serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap_or(Value::Null))
    }

    /// As a browser that follows no redirect: the status and where it is sent.
    pub(super) async fn browse(&self, method: Method, path: &str, form: &str) -> (u16, Option<String>) {
        let client = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build().unwrap();
        let answer = client.request(method, format!("{}{path}", self.base)).body(form.to_owned()).send().await.unwrap();
        let location = answer.headers().get("location").map(|to| to.to_str().unwrap().to_owned());
        (answer.status().as_u16(), location)
    }

    pub(super) async fn post(&self, path: &str, body: Value) -> (u16, Value) {
        self.call(Method::POST, path, &self.key, body).await
    }

    pub(super) async fn get(&self, path: &str) -> (u16, Value) {
        self.call(Method::GET, path, &self.key, Value::Null).await
    }
}

pub(super) fn card(number: &str) -> Value {
    json!({"card": {"card_number": number, "card_exp_month": "03", "card_exp_year": "34", "card_cvc": "123"}})
}

pub(super) fn paying(number: &str) -> Value {
    json!({"amount": 1000, "currency": "USD", "confirm": true, "customer_id": "cus_1", "authentication_type": "no_three_ds",
           "setup_future_usage": "on_session", "payment_method": "card", "payment_method_data": card(number)})
}

pub(super) fn code(answer: &(u16, Value)) -> (u16, &str) {
    (answer.0, answer.1["error"]["code"].as_str().unwrap_or("-"))
}

#[actix_web::test]
async fn document_and_routes_say_the_same() {
    let document: Value = serde_json::from_str(OPENAPI).unwrap();
    let mut published = BTreeSet::new();
    for (path, verbs) in document["paths"].as_object().unwrap() {
        for verb in verbs.as_object().unwrap().keys() {
            published.insert((path.clone(), verb.clone()));
        }
    }
    let served: BTreeSet<_> = ROUTES
        .iter()
        .flat_map(|(path, verbs)| verbs.iter().map(|(verb, _)| ((*path).to_owned(), (*verb).to_owned())))
        .collect();
    assert_eq!(published, served);
}

#[actix_web::test]
async fn new_customer_pays_and_repeats_with_the_saved_card() {
    let shop = Shop::new().await;
    let (status, paid) = shop.post("/payments", paying(GOOD)).await;
    assert_eq!((status, &paid["status"]), (200, &json!("succeeded")));
    assert_eq!((&paid["amount_received"], &paid["amount_capturable"]), (&json!(1000), &json!(0)));
    assert!(paid["payment_method_id"].as_str().unwrap().starts_with("pm_"));
    assert_eq!(paid["payment_method_data"]["card"]["last4"], "4242");
    assert!(!paid.to_string().contains(GOOD));

    let (_, intent) = shop.post("/payments", json!({"amount": 500, "currency": "USD", "customer_id": "cus_1"})).await;
    assert_eq!(intent["status"], "requires_payment_method");
    let secret = intent["client_secret"].as_str().unwrap();
    let path = format!("/customers/payment_methods?client_secret={secret}");
    let (_, saved) = shop.call(Method::GET, &path, "pk_rig_0123456789", Value::Null).await;
    let token = saved["customer_payment_methods"][0]["payment_token"].clone();
    let path = format!("/payments/{}/confirm", intent["payment_id"].as_str().unwrap());
    let cvc = json!({"card_token": {"card_cvc": "123"}});
    let body = json!({"payment_token": token, "payment_method_data": cvc, "client_secret": secret});
    let (status, again) = shop.call(Method::POST, &path, "pk_rig_0123456789", body).await;
    assert_eq!((status, &again["status"]), (200, &json!("succeeded")));
    assert_eq!(again["payment_method_id"], paid["payment_method_id"]);
}

#[actix_web::test]
async fn decline_is_an_answer_and_no_error() {
    let shop = Shop::new().await;
    let (status, declined) = shop.post("/payments", paying(DECLINED)).await;
    assert_eq!((status, &declined["status"]), (200, &json!("failed")));
    assert_eq!(declined["error_code"], "card_declined");
    assert!(declined["error_message"].as_str().unwrap().contains("generic_decline"));
    assert_eq!(declined["payment_method_id"], Value::Null);
}

#[actix_web::test]
async fn refusals_carry_the_codes_of_the_dialect() {
    let shop = Shop::new().await;
    let ok = json!({"amount": 1000, "currency": "USD"});
    let with = |name: &str, value: Value| {
        let mut body = ok.clone();
        body[name] = value;
        body
    };
    for (body, expected) in [
        (json!({"currency": "USD"}), (400, "IR_04")),
        (json!({"amount": 1000}), (400, "IR_04")),
        (with("currency", json!("XXX")), (400, "IR_06")),
        (with("amount", json!(0)), (400, "IR_06")),
        (with("amount", json!(limits::AMOUNT_MINOR_MAX + 1)), (400, "IR_06")),
        (with("amount", json!(-5)), (400, "IR_06")),
        (with("capture_method", json!("sometimes")), (400, "IR_06")),
        (with("capture_method", json!("sequential_automatic")), (400, "IR_19")),
        (with("capture_method", json!("scheduled")), (400, "IR_04")),
        (with("capture_on", json!("2031-05-17T12:00:00Z")), (400, "IR_06")),
        (with("capture_on", json!("tomorrow")), (400, "IR_06")),
        (with("amount_to_capture", json!(1001)), (422, "IR_05")),
        (with("surprise", json!(1)), (400, "IR_06")),
        (with("description", json!("card 4242424242424242")), (400, "IR_06")),
        (with("description", json!("x".repeat(limits::PAYMENT_TEXT_BYTES_MAX + 1))), (400, "IR_06")),
        (with("return_url", json!(format!("https://a.test/{}", "x".repeat(limits::URL_BYTES_MAX)))), (400, "IR_06")),
        (with("statement_descriptor_name", json!("x".repeat(limits::STATEMENT_CHARS_MAX + 1))), (400, "IR_06")),
        (with("session_expiry", json!(limits::CLIENT_SECRET_TTL_MAX_S + 1)), (400, "IR_06")),
        (with("payment_id", json!("x".repeat(limits::PAYMENT_ID_CHARS_MAX + 1))), (400, "IR_06")),
        (with("shipping", json!({"a": "x".repeat(limits::PAYMENT_OBJECT_BYTES_MAX)})), (400, "IR_06")),
        (with("confirm", json!(true)), (422, "IR_06")),
        (with("payment_method_data", card(GOOD)), (400, "IR_06")),
    ] {
        let answer = shop.post("/payments", body.clone()).await;
        assert_eq!(code(&answer), expected, "{}", answer.1);
        assert!(!answer.1.to_string().contains("4242"));
    }
    for (field, value, expected) in [
        ("card_number", "4242", (400, "IR_06")),
        ("card_exp_month", "123", (400, "IR_16")),
        ("card_exp_year", "203", (400, "IR_16")),
    ] {
        let mut body = paying(GOOD);
        body["payment_method_data"]["card"][field] = json!(value);
        assert_eq!(code(&shop.post("/payments", body).await), expected);
    }
    assert_eq!(code(&shop.get("/payments/pay_none").await), (404, "HE_02"));
    assert_eq!(code(&shop.get("/nowhere").await), (404, "IR_02"));
    assert_eq!(code(&shop.call(Method::DELETE, "/payments", &shop.key, Value::Null).await), (405, "IR_03"));
}

#[actix_web::test]
async fn states_refuse_what_does_not_fit_them() {
    let shop = Shop::new().await;
    let (_, paid) = shop.post("/payments", paying(GOOD)).await;
    let id = paid["payment_id"].as_str().unwrap();
    for (path, expected) in [("confirm", (400, "IR_16")), ("cancel", (400, "IR_16")), ("capture", (400, "IR_14"))] {
        let answer = shop.post(&format!("/payments/{id}/{path}"), json!({})).await;
        assert_eq!(code(&answer), expected);
        assert!(answer.1["error"]["message"].as_str().unwrap().contains("succeeded"));
    }
    let refund = |amount: u64, name: &str| json!({"payment_id": id, "amount": amount, "refund_id": name});
    assert_eq!(code(&shop.post("/refunds", refund(1001, "ref_a")).await), (400, "IR_13"));
    for n in 0..limits::REFUNDS_MAX {
        assert_eq!(shop.post("/refunds", refund(1, &format!("ref_{n}"))).await.1["status"], "succeeded");
    }
    assert_eq!(code(&shop.post("/refunds", refund(1, "ref_10")).await), (400, "IR_12"));
    assert_eq!(code(&shop.post("/refunds", refund(1, "ref_0")).await), (400, "HE_01"));
    assert_eq!(shop.get("/refunds/ref_3").await.1["amount"], 1);
}

#[actix_web::test]
async fn keys_open_only_their_own_doors() {
    let shop = Shop::new().await;
    let (_, intent) = shop.post("/payments", json!({"amount": 500, "currency": "USD"})).await;
    let path = format!("/payments/{}", intent["payment_id"].as_str().unwrap());
    let pk = "pk_rig_0123456789";
    for (method, path, key, expected) in [
        (Method::GET, path.clone(), "sk_wrong-key-0123456789", (401, "IR_01")),
        (Method::GET, path.clone(), "pk_wrong-key-0123456789", (401, "IR_01")),
        (Method::GET, path.clone(), "", (401, "IR_01")),
        (Method::GET, path.clone(), pk, (400, "IR_08")),
        (Method::GET, format!("{path}?client_secret=pay_x_secret_y"), pk, (400, "IR_09")),
        (Method::POST, format!("{path}/capture"), pk, (401, "IR_01")),
        (Method::POST, "/payments".to_owned(), pk, (401, "IR_01")),
        (Method::GET, "/metrics".to_owned(), shop.key.as_str(), (401, "IR_01")),
        (Method::POST, "/accounts".to_owned(), shop.key.as_str(), (401, "IR_01")),
    ] {
        let answer = shop.call(method, &path, key, json!({})).await;
        assert_eq!(code(&answer), expected, "{path}");
    }
    let body = json!({"client_secret": intent["client_secret"], "amount": 1});
    assert_eq!(code(&shop.call(Method::POST, &path, pk, body).await), (400, "IR_06"), "a browser sets no amount");
    shop.rig.clock.advance(i64::try_from(limits::CLIENT_SECRET_TTL_S).unwrap() * 1000 + 1);
    let path = format!("{path}?client_secret={}", intent["client_secret"].as_str().unwrap());
    assert_eq!(code(&shop.call(Method::GET, &path, pk, Value::Null).await), (400, "IR_08"), "the secret has expired");
}

#[actix_web::test]
async fn revoked_and_expired_keys_are_refused() {
    let shop = Shop::new().await;
    let (_, keys) = shop.call(Method::GET, "/api_keys/shop", ADMIN, Value::Null).await;
    let id = keys[0]["key_id"].as_str().unwrap();
    let body = json!({"name": "short", "expiration": crate::clock::rfc3339(1_800_000_001_000)});
    let (_, short) = shop.call(Method::POST, "/api_keys/shop", ADMIN, body).await;
    let short = short["api_key"].as_str().unwrap();
    assert_eq!(shop.call(Method::GET, "/customers", short, Value::Null).await.0, 200);
    shop.rig.clock.advance(1_000);
    assert_eq!(shop.call(Method::GET, "/customers", short, Value::Null).await.0, 401);
    let path = format!("/api_keys/shop/{id}");
    assert_eq!(shop.call(Method::DELETE, &path, ADMIN, Value::Null).await.0, 200);
    assert_eq!(shop.get("/customers").await.0, 401);
}

#[actix_web::test]
async fn same_idempotency_key_pays_once_also_at_the_same_time() {
    let shop = Shop::new().await;
    let call = || shop.call_once(Method::POST, "/payments", &shop.key, paying(GOOD), Some("order-1"));
    let (first, second, third) = tokio::join!(call(), call(), call());
    assert_eq!(first.0, 200);
    assert!(first == second && second == third);
    assert_eq!(shop.rig.charges(), 1);
    let mut other = paying(GOOD);
    other["amount"] = json!(2000);
    let refused = shop.call_once(Method::POST, "/payments", &shop.key, other, Some("order-1")).await;
    assert_eq!(code(&refused), (400, "IR_06"));
    let long = "k".repeat(129);
    let refused = shop.call_once(Method::POST, "/payments", &shop.key, paying(GOOD), Some(&long)).await;
    assert_eq!(code(&refused), (400, "IR_06"));
}

#[actix_web::test]
async fn connector_credentials_reach_the_vault_and_nothing_else() {
    let shop = Shop::new().await;
    let (status, made) = shop.call(Method::POST, "/accounts", ADMIN, json!({"merchant_id": "two"})).await;
    assert_eq!((status, &made["merchant_id"]), (200, &json!("two")));
    let again = shop.call(Method::POST, "/accounts", ADMIN, json!({"merchant_id": "two"})).await;
    assert_eq!(code(&again), (400, "HE_01"));
    let body = |key: &str| {
        json!({"connector_type": "payment_processor", "connector_name": "rig",
               "connector_account_details": {"auth_type": "HeaderKey", "api_key": key}})
    };
    let path = "/account/two/connectors";
    assert_eq!(code(&shop.call(Method::POST, path, ADMIN, body("wrong")).await), (400, "IR_06"));
    let (status, account) = shop.call(Method::POST, path, ADMIN, body("sk_test_secret")).await;
    assert_eq!(status, 200);
    assert!(!account.to_string().contains("sk_test_secret"));
    let stored = shop.rig.store.connector_accounts(&"two".parse().unwrap()).await.unwrap();
    assert!(!serde_json::to_string(&stored).unwrap().contains("sk_test_secret"));
    let vault = shop.rig.vault.state.lock().unwrap();
    assert!(vault.secrets[&stored[0].secret_id].contains("sk_test_secret"));
}

#[actix_web::test]
async fn browser_gets_a_vault_session_through_its_merchant() {
    let shop = Shop::new().await;
    let (_, intent) = shop.post("/payments", json!({"amount": 500, "currency": "USD"})).await;
    let path = format!("/payments/{}/vault_session", intent["payment_id"].as_str().unwrap());
    let (status, session) = shop.post(&path, json!({"allowed_origins": ["https://shop.test"]})).await;
    assert_eq!((status, &session["client_secret"]), (200, &json!("cs_rig")));
    assert_eq!(session["intake_url"], "https://vault.test");
    assert_eq!(code(&shop.post(&path, json!({"allowed_origins": []})).await), (400, "IR_06"));
}

#[actix_web::test]
async fn body_over_its_limit_is_refused() {
    let shop = Shop::new().await;
    let (status, _) = shop.post("/customers", json!({"name": "x".repeat(limits::PAYMENT_BODY_BYTES_MAX)})).await;
    assert_eq!(status, 413);
}

#[actix_web::test]
async fn keys_and_connector_accounts_over_their_limit_are_refused() {
    let shop = Shop::new().await;
    let key = json!({"name": "n", "expiration": "never"});
    for _ in 1..limits::API_KEYS_MAX {
        assert_eq!(shop.call(Method::POST, "/api_keys/shop", ADMIN, key.clone()).await.0, 200);
    }
    assert_eq!(code(&shop.call(Method::POST, "/api_keys/shop", ADMIN, key).await), (400, "IR_16"));
    let account = json!({"connector_type": "payment_processor", "connector_name": "rig",
                         "connector_account_details": {"auth_type": "HeaderKey", "api_key": "sk_x"}});
    for _ in 1..limits::CONNECTOR_ACCOUNTS_MAX {
        assert_eq!(shop.call(Method::POST, "/account/shop/connectors", ADMIN, account.clone()).await.0, 200);
    }
    assert_eq!(code(&shop.call(Method::POST, "/account/shop/connectors", ADMIN, account).await), (400, "IR_16"));
}

#[actix_web::test]
async fn readiness_says_that_the_vault_is_missing_and_does_not_ask_it_each_time() {
    let shop = Shop::new().await;
    let ready = || shop.call(Method::GET, "/health/ready", "", Value::Null);
    assert_eq!(ready().await, (200, json!({"status": "ready"})));
    shop.rig.vault.state.lock().unwrap().down = true;
    assert_eq!(ready().await.0, 200, "the answer stands for two seconds");
    shop.rig.clock.advance(2_000);
    let missing = (503, json!({"status": "not ready", "missing": ["vault"]}));
    assert!(tokio::join!(ready(), ready(), ready()) == (missing.clone(), missing.clone(), missing));
    assert_eq!(shop.rig.vault.state.lock().unwrap().pings, 2);
    assert_eq!(shop.call(Method::GET, "/health", "", Value::Null).await, (200, json!({"status": "live"})));
    shop.rig.vault.state.lock().unwrap().down = false;
    shop.rig.clock.advance(2_000);
    assert_eq!(ready().await.0, 200);
}
