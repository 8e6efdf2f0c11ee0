//! A dashboard over the engine's rig, and people who use it: what the other tests of this room stand on.

use std::sync::{Arc, OnceLock};

use actix_web::http::StatusCode;
use actix_web::http::header::HeaderMap;
use actix_web::test::{TestRequest, call_service, init_service, read_body};
use actix_web::web::Data;
use actix_web::{App, http::Method};
use serde_json::{Value, json};

use super::password::fast_hash;
use super::{DashboardConfig, OperatorConfig, Role, pages};
use crate::api::{Api, configure};
use crate::ids;
use crate::intent::rig::Rig;
use crate::telemetry::Metrics;

/// A server with an editor and a viewer.
pub(super) struct Desk {
    pub(super) rig: Rig,
    api: Data<Api>,
    key: String,
}

/// A browser.
#[derive(Clone, Default)]
pub(super) struct Seat {
    pub(super) cookie: Option<String>,
    pub(super) form_token: String,
}

/// An answer.
pub(super) struct Seen {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) text: String,
}

impl Seen {
    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The value of the first field of this name in the page.
    pub(super) fn field(&self, name: &str) -> String {
        let rest = self.text.split(&format!("name=\"{name}\" value=\"")).nth(1).expect("the field is there");
        rest.split('"').next().unwrap().to_owned()
    }
}

pub(super) fn operators() -> DashboardConfig {
    let entry = |name: &str, role| OperatorConfig { name: name.into(), password_hash: hash().into(), role };
    DashboardConfig { operators: vec![entry("ada", Role::Editor), entry("vic", Role::Viewer)] }
}

fn hash() -> &'static str {
    static HASH: OnceLock<String> = OnceLock::new();
    HASH.get_or_init(|| fast_hash(PASSWORD))
}

impl Desk {
    pub(super) async fn new() -> Self {
        Self::on(Rig::new().await, &operators()).await
    }

    /// A node of its own over a rig.
    pub(super) async fn on(rig: Rig, config: &DashboardConfig) -> Self {
        let api = Self::node(&rig, config);
        let mut desk = Self { rig, api, key: String::new() };
        let key = json!({"name": "server", "expiration": "never"});
        desk.key = ADMIN.to_owned();
        let made = desk.call_api(Method::POST, "/api_keys/shop", key).await;
        desk.key = made["api_key"].as_str().unwrap().to_owned();
        desk
    }

    fn node(rig: &Rig, config: &DashboardConfig) -> Data<Api> {
        let api = Api::new(rig.engine.clone(), ids::key_hash(ADMIN), None, Arc::new(Metrics::new()));
        Data::new(match pages(config, "https://pay.test").unwrap() {
            Some(pages) => api.with_pages(pages),
            None => api,
        })
    }

    /// The server is started again with other operators, on the same store.
    pub(super) fn restart(&mut self, config: &DashboardConfig) {
        self.api = Self::node(&self.rig, config);
    }

    pub(super) fn api(&self) -> Data<Api> {
        self.api.clone()
    }

    pub(super) async fn send(&self, request: TestRequest) -> Seen {
        let app = init_service(App::new().configure(configure(self.api.clone()))).await;
        let answer = call_service(&app, request.to_request()).await;
        let (status, headers) = (answer.status(), answer.headers().clone());
        let text = String::from_utf8(read_body(answer).await.to_vec()).unwrap();
        Seen { status, headers, text }
    }

    pub(super) async fn get(&self, seat: &Seat, path: &str) -> Seen {
        self.send(with_cookie(TestRequest::get().uri(path), seat)).await
    }

    /// Posts a form from a page of the dashboard.
    pub(super) async fn post(&self, seat: &Seat, path: &str, fields: &[(&str, &str)]) -> Seen {
        let mut all = vec![("form_token", seat.form_token.as_str())];
        all.extend_from_slice(fields);
        self.send(with_cookie(form(path, &all), seat).insert_header(("origin", HERE))).await
    }

    /// Tries to log in from an address.
    pub(super) async fn try_login(&self, name: &str, password: &str, from: &str) -> Seen {
        let request = form("/dashboard/login", &[("name", name), ("password", password)]);
        let from = format!("{from}:5000").parse().unwrap();
        self.send(request.insert_header(("origin", HERE)).peer_addr(from)).await
    }

    /// Logs in and opens the first page.
    pub(super) async fn log_in(&self, name: &str) -> Seat {
        let seen = self.try_login(name, PASSWORD, "10.0.0.1").await;
        assert_eq!((seen.status, seen.header("location")), (StatusCode::SEE_OTHER, "/dashboard"), "{}", seen.text);
        let cookie = seen.header("set-cookie").split(';').next().unwrap().to_owned();
        let mut seat = Seat { cookie: Some(cookie), form_token: String::new() };
        seat.form_token = self.get(&seat, "/dashboard").await.field("form_token");
        seat
    }

    pub(super) async fn is_in(&self, seat: &Seat) -> bool {
        let seen = self.get(seat, "/dashboard").await;
        assert!(matches!(seen.status, StatusCode::OK | StatusCode::SEE_OTHER), "{}", seen.text);
        seen.status == StatusCode::OK
    }

    pub(super) async fn call_api(&self, method: Method, path: &str, body: Value) -> Value {
        let request = TestRequest::with_uri(path).method(method).insert_header(("api-key", self.key.as_str()));
        let seen = self.send(request.set_payload(body.to_string())).await;
        assert_eq!(seen.status, StatusCode::OK, "{}", seen.text);
        serde_json::from_str(&seen.text).unwrap()
    }

    /// A payment with a card that is confirmed at once, changed before it is sent; answers its id.
    pub(super) async fn pay(&self, number: &str, change: impl FnOnce(&mut Value)) -> String {
        let card = json!({"card_number": number, "card_exp_month": "03", "card_exp_year": "34", "card_cvc": "123"});
        let mut body = json!({"amount": 1000, "currency": "USD", "confirm": true, "authentication_type": "no_three_ds",
                              "payment_method": "card", "payment_method_data": {"card": card}});
        change(&mut body);
        self.call_api(Method::POST, "/payments", body).await["payment_id"].as_str().unwrap().to_owned()
    }
}

pub(super) fn with_cookie(request: TestRequest, seat: &Seat) -> TestRequest {
    let request = request.insert_header(("host", "ops.test"));
    match &seat.cookie {
        Some(cookie) => request.insert_header(("cookie", cookie.as_str())),
        None => request,
    }
}

/// A form as a browser would send it, but for its origin.
pub(super) fn form(path: &str, fields: &[(&str, &str)]) -> TestRequest {
    TestRequest::post()
        .uri(path)
        .insert_header(("host", "ops.test"))
        .insert_header(("content-type", "application/x-www-form-urlencoded"))
        .set_payload(serde_urlencoded::to_string(fields).unwrap())
}

/// The log of everything that happens while it is there, on this thread.
pub(super) struct Log {
    lines: Arc<std::sync::Mutex<Vec<u8>>>,
    _guard: tracing::subscriber::DefaultGuard,
}

impl Log {
    pub(super) fn begin() -> Self {
        let lines = Arc::<std::sync::Mutex<Vec<u8>>>::default();
        let into = lines.clone();
        let writer = move || Into(into.clone());
        let subscriber = tracing_subscriber::fmt().json().with_writer(writer).finish();
        Self { lines, _guard: tracing::subscriber::set_default(subscriber) }
    }

    pub(super) fn text(&self) -> String {
        String::from_utf8(self.lines.lock().unwrap().clone()).unwrap()
    }

    /// Whether there is a line of this event about this operator.
    pub(super) fn tells(&self, event: &str, operator: &str) -> bool {
        let lines: Vec<Value> = self.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        lines.iter().any(|line| line["fields"]["event"] == event && line["fields"]["operator"] == operator)
    }
}

struct Into(Arc<std::sync::Mutex<Vec<u8>>>);

impl std::io::Write for Into {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

pub(super) const ADMIN: &str = "an-admin-key-of-a-test";
pub(super) const PASSWORD: &str = "correct horse battery 1";
pub(super) const HERE: &str = "https://ops.test";
