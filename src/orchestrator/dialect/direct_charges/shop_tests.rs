//! A shop that speaks this dialect to an engine of the rig, over actix's server.

use std::sync::Arc;

use actix_web::web::Data;
use actix_web::{App, HttpServer};
use reqwest::Method;
use serde_json::{Value, json};

use super::{DirectChargesConfig, door};
use crate::api::{Api, configure};
use crate::ids;
use crate::intent::rig::{PLAIN, Rig, close_field};
use crate::telemetry::Metrics;

/// What a shop's call may have beside its body.
pub(super) type Headers<'a> = &'a [(&'a str, &'a str)];

pub(super) struct Shop {
    pub(super) rig: Rig,
    pub(super) base: String,
    /// The API key.
    pub(super) key: String,
    /// The key for card fields.
    pub(super) fields: String,
}

impl Shop {
    /// With scenarios.
    pub(super) async fn new() -> Self {
        Self::with(DirectChargesConfig { scenarios: true, ..DirectChargesConfig::default() }).await
    }

    pub(super) async fn with(config: DirectChargesConfig) -> Self {
        let rig = Rig::at(PLAIN).await;
        let api = Api::new(rig.engine.clone(), ids::key_hash(ADMIN), None, Arc::new(Metrics::new()));
        let api = Data::new(api.with_pages(door(config)));
        // Tests share one process, so all but the first find the provider in place.
        let _already = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let server = HttpServer::new(move || App::new().configure(configure(api.clone())))
            .workers(2)
            .disable_signals()
            .bind(("127.0.0.1", 0))
            .unwrap();
        let base = format!("http://{}", server.addrs()[0]);
        actix_web::rt::spawn(server.run());
        let mut shop = Self { rig, base, key: String::new(), fields: String::new() };
        shop.key = shop.api_key("shop").await;
        shop.fields = shop.new_fields_key(&shop.key, json!({})).await;
        shop
    }

    /// An API key of this merchant.
    pub(super) async fn api_key(&self, merchant: &str) -> String {
        let body = json!({"name": "server", "expiration": "never"}).to_string();
        let to = format!("{}/api_keys/{merchant}", self.base);
        let made = client().post(to).header("api-key", ADMIN).body(body).send().await.unwrap();
        let made: Value = serde_json::from_slice(&made.bytes().await.unwrap()).unwrap();
        made["api_key"].as_str().unwrap().to_owned()
    }

    /// Another merchant and its API key.
    pub(super) async fn neighbour(&self) -> String {
        let body = json!({"merchant_id": "other"}).to_string();
        let to = format!("{}/accounts", self.base);
        let made = client().post(to).header("api-key", ADMIN).body(body).send().await.unwrap();
        assert_eq!(made.status().as_u16(), 200);
        self.api_key("other").await
    }

    pub(super) async fn new_fields_key(&self, key: &str, body: Value) -> String {
        let (status, made) = self.call(Method::POST, "/encryption-keys/rotate", Some(key), body, &[]).await;
        assert_eq!(status, 201, "{made}");
        made["data"]["encryption_key"].as_str().unwrap().to_owned()
    }

    pub(super) async fn call(
        &self,
        method: Method,
        path: &str,
        key: Option<&str>,
        body: Value,
        headers: Headers<'_>,
    ) -> (u16, Value) {
        let mut request = client().request(method.clone(), format!("{}/direct{path}", self.base));
        if let Some(key) = key {
            request = request.header("Authorization", format!("Bearer {key}"));
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if method != Method::GET {
            request = request.body(body.to_string());
        }
        let answer = request.send().await.unwrap();
        let status = answer.status().as_u16();
        (status, serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap_or(Value::Null))
    }

    pub(super) async fn charge(&self, body: Value, headers: Headers<'_>) -> (u16, Value) {
        self.call(Method::POST, "/orchestration/direct-charges", Some(&self.key), body, headers).await
    }

    /// A charge that asks for something: its name.
    pub(super) async fn asking(&self, number: &str, scenario: &str) -> String {
        let (status, made) = self.charge(self.body(number), &[(SCENARIO, scenario)]).await;
        assert_eq!((status, &made["data"]["status"]), (201, &json!("pending")), "{made}");
        id(&made)
    }

    pub(super) async fn get(&self, id: &str) -> (u16, Value) {
        self.call(Method::GET, &format!("/charges/{id}"), Some(&self.key), Value::Null, &[]).await
    }

    pub(super) async fn put(&self, id: &str, authorization: Value, headers: Headers<'_>) -> (u16, Value) {
        let body = json!({ "authorization": authorization });
        self.call(Method::PUT, &format!("/charges/{id}"), Some(&self.key), body, headers).await
    }

    /// The body of the document that this dialect follows, with a card of its own.
    pub(super) fn body(&self, number: &str) -> Value {
        json!({
            "amount": "200",
            "currency": "USD",
            "reference": "YOUR_EXAMPLE_REFERENCE",
            "payment_method": {"type": "card", "card": self.card(&self.fields, number)},
            "redirect_url": "http://www.flutterwave.com",
            "customer": {
                "address": {"country": "US", "city": "San Francisco", "state": "California", "postal_code": "10001",
                            "line1": "123 Main Street"},
                "phone": {"country_code": "41", "number": "7069423351"},
                "name": {"middle": "Cornelius", "last": "Oluwole", "first": "Hassan"},
                "email": "hassan@example.com",
            },
        })
    }

    pub(super) fn card(&self, key: &str, number: &str) -> Value {
        let close = |text: &str| close_field(key, NONCE, text);
        json!({"nonce": NONCE, "encrypted_card_number": close(number), "encrypted_expiry_month": close("09"),
               "encrypted_expiry_year": close("32"), "encrypted_cvv": close("123")})
    }

    pub(super) fn pin(&self, text: &str) -> Value {
        let pin = close_field(&self.fields, "pin+n0nce+12", text);
        json!({"type": "pin", "pin": {"nonce": "pin+n0nce+12", "encrypted_pin": pin}})
    }
}

pub(super) fn id(answer: &Value) -> String {
    answer["data"]["id"].as_str().unwrap().to_owned()
}

/// The kind and code of an error.
pub(super) fn wrong(answer: &(u16, Value)) -> (u16, &str, &str) {
    let word = |field: &str| answer.1["error"][field].as_str().unwrap_or("-");
    assert_eq!(answer.1["status"], "failed", "{}", answer.1);
    (answer.0, word("type"), word("code"))
}

fn client() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().build().unwrap()
}

pub(super) const SCENARIO: &str = "X-Scenario-Key";
pub(super) const ONCE: &str = "X-Idempotency-Key";
const ADMIN: &str = "an-admin-key-of-a-test";
const NONCE: &str = "n0Ad6mOzVnLI";
