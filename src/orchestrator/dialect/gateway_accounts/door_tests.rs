//! The door itself: keys, rates, addresses, bodies, its document. Also what the other tests of this door share.

use std::collections::BTreeSet;
use std::sync::Arc;

use actix_web::web::Data;
use actix_web::{App, HttpServer};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use strongroom_wire::limits;

use super::{GatewayAccountsConfig, OPENAPI, ROUTES};
use crate::api::{Api, configure};
use crate::dialect::{DialectsConfig, doors, voice};
use crate::ids;
use crate::intent::rig::{GOOD, Rig};
use crate::store::OutboxEvent;
use crate::telemetry::Metrics;

pub(super) const ADMIN: &str = "an-admin-key-of-a-test";

/// A shop whose orchestrator has this door open.
pub(super) struct Till {
    pub(super) rig: Rig,
    pub(super) base: String,
    pub(super) key: String,
    pub(super) client: reqwest::Client,
}

impl Till {
    pub(super) async fn new() -> Self {
        Self::with(GatewayAccountsConfig { burst: 1000, ..Default::default() }).await
    }

    pub(super) async fn with(config: GatewayAccountsConfig) -> Self {
        let rig = Rig::new().await;
        let config = DialectsConfig { gateway_accounts: Some(config), ..Default::default() };
        let api = Api::new(rig.engine.clone(), ids::key_hash(ADMIN), None, Arc::new(Metrics::new()));
        let api = doors(&config).into_iter().fold(api, Api::with_pages);
        // Tests share one process, so all but the first find the provider in place.
        let _already = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let api = Data::new(api);
        let server = HttpServer::new(move || App::new().configure(configure(api.clone())))
            .workers(2)
            .disable_signals()
            .bind(("127.0.0.1", 0))
            .unwrap();
        let base = format!("http://{}", server.addrs()[0]);
        actix_web::rt::spawn(server.run());
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let mut till = Self { rig, base, key: String::new(), client };
        till.key = till.another_key().await;
        till
    }

    pub(super) async fn another_key(&self) -> String {
        let body = json!({"name": "server", "expiration": "never"}).to_string();
        let asked = self.client.post(format!("{}/api_keys/shop", self.base)).header("api-key", ADMIN).body(body);
        answered(asked).await.1["api_key"].as_str().unwrap().to_owned()
    }

    pub(super) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}/gateway{path}", self.base)).header("x-api-key", &self.key)
    }

    pub(super) async fn post(&self, path: &str, body: Value) -> (u16, Value) {
        answered(self.request(Method::POST, path).body(body.to_string())).await
    }

    pub(super) async fn once(&self, path: &str, body: &Value, key: &str) -> (u16, Value) {
        answered(self.request(Method::POST, path).header("Idempotency-Key", key).body(body.to_string())).await
    }

    pub(super) async fn get(&self, path: &str) -> (u16, Value) {
        answered(self.request(Method::GET, path)).await
    }

    pub(super) async fn send(&self, method: Method, path: &str, body: Value) -> (u16, Value) {
        answered(self.request(method, path).body(body.to_string())).await
    }

    /// What the merchant is told, in the order in which it is sent.
    pub(super) async fn told(&self) -> Vec<Value> {
        let config = DialectsConfig { gateway_accounts: Some(Default::default()), ..Default::default() };
        let voice = voice(&config).unwrap();
        let mut told = Vec::new();
        for event in self.events().await {
            let (payment, _) = self.rig.engine.payment(&self.rig.merchant, &event.payment_id).await.unwrap();
            let Some(spoken) = voice.speak(&payment, &event) else { continue };
            assert!((spoken.sign)(&["whsec_1"], &spoken.body, 0).is_some() && spoken.url.is_none());
            told.push(serde_json::from_str(&spoken.body).unwrap());
        }
        told
    }

    async fn events(&self) -> Vec<OutboxEvent> {
        let mut events = self.rig.store.outbox_events(&self.rig.merchant, None, None, 100).await.unwrap();
        events.reverse();
        events
    }
}

pub(super) async fn answered(asked: RequestBuilder) -> (u16, Value) {
    let answer = asked.send().await.unwrap();
    let status = answer.status().as_u16();
    (status, serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap_or(Value::Null))
}

pub(super) fn card(number: &str) -> Value {
    json!({"number": number, "expirationMonth": 12, "expirationYear": "2034", "cvv": "123", "holderName": "Ada Lovelace"})
}

pub(super) fn paying(number: &str) -> Value {
    json!({"amount": 1000, "currency": "USD", "paymentGatewayAccountName": "rig 1", "card": card(number)})
}

/// `paying` with one field more, or another.
pub(super) fn with(field: &str, value: Value) -> Value {
    let mut body = paying(GOOD);
    body[field] = value;
    body
}

pub(super) fn code(answer: &(u16, Value)) -> (u16, &str) {
    (answer.0, answer.1["error"]["code"].as_str().unwrap_or("-"))
}

pub(super) const CHARGE: &str = "/PaymentGateway/charge";

#[actix_web::test]
async fn document_and_routes_say_the_same() {
    let document: Value = serde_json::from_str(OPENAPI).unwrap();
    let mut published = BTreeSet::new();
    for (path, verbs) in document["paths"].as_object().unwrap() {
        for verb in verbs.as_object().unwrap().keys().filter(|word| *word != "parameters") {
            published.insert((path.clone(), verb.clone()));
        }
    }
    let served: BTreeSet<_> = ROUTES
        .iter()
        .flat_map(|(path, verbs)| verbs.iter().map(|(verb, _)| ((*path).to_owned(), (*verb).to_owned())))
        .collect();
    assert_eq!(published, served);
    let till = Till::new().await;
    let asked = till.client.get(format!("{}/gateway/openapi.json", till.base));
    assert_eq!(answered(asked).await, (200, document), "it is served without a key");
}

#[actix_web::test]
async fn only_a_key_of_a_server_opens_the_door_and_every_refusal_has_its_shape() {
    let till = Till::new().await;
    let url = format!("{}/gateway/PaymentGatewayAccounts", till.base);
    let keyed = |name: &str, key: &str| till.client.get(&url).header(name, key);
    assert_eq!(answered(keyed("x-api-key", &till.key)).await.0, 200);
    assert_eq!(answered(keyed("api-key", &till.key)).await.0, 200);
    assert_eq!(answered(keyed("api-key", &till.key).header("x-api-key", &till.key)).await.0, 200);
    for asked in [
        till.client.get(&url),
        keyed("x-api-key", "a-key-that-is-nobody's"),
        keyed("x-api-key", "short"),
        keyed("x-api-key", "pk_rig_0123456789"),
        keyed("x-api-key", ADMIN),
        keyed("x-api-key", &till.key).header("api-key", "a-key-that-is-nobody's"),
    ] {
        let refused = answered(asked).await;
        assert_eq!(code(&refused), (401, "unauthorized"));
        assert!(refused.1["error"]["message"].is_string());
    }
    let in_a_page = answered(keyed("x-api-key", &till.key).header("origin", "https://shop.test")).await;
    assert_eq!(code(&in_a_page), (403, "forbidden"));
    assert_eq!(code(&till.get("/PaymentGateway/nothing").await), (404, "notFound"));
    assert_eq!(code(&till.get(CHARGE).await), (405, "methodNotAllowed"));
    assert_eq!(code(&till.get("/PaymentGateway/transactions/txn_0?what=1").await), (400, "invalidRequest"));
    assert_eq!(code(&till.post(CHARGE, json!([])).await), (400, "invalidRequest"));
    let large = till.request(Method::POST, CHARGE).body(" ".repeat(limits::PAYMENT_BODY_BYTES_MAX + 1));
    assert_eq!(code(&answered(large).await), (413, "bodyTooLarge"));
    till.rig.vault.state.lock().unwrap().down = true;
    let down = till.request(Method::POST, CHARGE).body(paying(GOOD).to_string()).send().await.unwrap();
    assert_eq!((down.status().as_u16(), down.headers().contains_key("retry-after")), (503, true));
    let body: Value = serde_json::from_slice(&down.bytes().await.unwrap()).unwrap();
    assert_eq!(body["error"]["code"], "unavailable");
}

#[actix_web::test]
async fn rate_is_of_the_key_whatever_connection_it_comes_by() {
    let till = Till::with(GatewayAccountsConfig { requests_per_minute: 60, burst: 4, ..Default::default() }).await;
    let url = format!("{}/gateway/PaymentGatewayAccounts", till.base);
    let ask = |name: &'static str, key: String| {
        let url = url.clone();
        async move {
            // A client of its own has a connection of its own.
            let client = reqwest::Client::builder().no_proxy().build().unwrap();
            client.get(url).header(name, key).send().await.unwrap()
        }
    };
    let asked = (0..9).map(|turn| ask(if turn % 2 == 0 { "x-api-key" } else { "api-key" }, till.key.clone()));
    let answers = futures_util::future::join_all(asked).await;
    assert_eq!(answers.iter().filter(|answer| answer.status() == 200).count(), 4, "the clock stands still");
    let refused = answers.into_iter().find(|answer| answer.status() == 429).unwrap();
    let header = |name: &str| refused.headers()[name].to_str().unwrap().to_owned();
    assert_eq!([header("retry-after"), header("x-ratelimit-limit"), header("x-ratelimit-remaining")], ["1", "4", "0"]);
    assert_eq!(header("x-ratelimit-reset"), "4");
    let body: Value = serde_json::from_slice(&refused.bytes().await.unwrap()).unwrap();
    assert_eq!(body["error"]["code"], "rateLimited");
    assert_eq!(ask("x-api-key", till.another_key().await).await.status(), 200, "another key has a bucket of its own");
    assert_eq!(ask("x-api-key", "a-key-that-is-nobody's".into()).await.status(), 401);
    till.rig.clock.advance(1000);
    assert_eq!(ask("x-api-key", till.key.clone()).await.status(), 200);
    assert_eq!(ask("x-api-key", till.key.clone()).await.status(), 429);
}
