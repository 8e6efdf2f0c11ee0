//! The HTTP API in the native dialect: handlers read, call the engine and answer.

mod accounts;
pub(crate) mod answer;
pub(crate) mod body;
mod browser;
mod choice_body;
pub(crate) mod connector_body;
pub(crate) mod connectors;
mod customers;
mod events;
mod frame;
mod free_text;
mod health;
mod incoming;
mod lists;
pub(crate) mod method_body;
mod methods;
pub(crate) mod once;
pub(crate) mod payer_body;
mod payer_cards;
pub(crate) mod payment_body;
mod payments;
pub(crate) mod refunds;
mod returns;
mod routing;
mod saved_cards;
mod server;
mod tls;
mod vault_session;
mod webhooks;
pub(crate) mod who;

pub(crate) use browser::let_read;
pub(crate) use free_text::holds_card_number;
pub(crate) use lists::{PAYMENTS, cursor, place};
pub use server::{Listening, ServeError, ServerSettings, serve};
pub use tls::{TlsError, check_server_certificate, client_config};

use std::sync::Arc;

use actix_web::http::Method;
use actix_web::middleware::from_fn;
use actix_web::web::{self, Data, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use strongroom_gate::Gate;
use strongroom_wire::{TenantId, limits};

use crate::intent::{Engine, Event, Fault};
use crate::telemetry::Metrics;
use crate::view;
use crate::webhook::{Door, Reach};
use answer::{Answer, Refusal};

/// What handlers share.
pub struct Api {
    /// Runs payments.
    pub engine: Arc<Engine>,
    /// SHA-256 of the admin key.
    pub admin_hash: [u8; 32],
    /// Where browsers reach the vault's intake.
    pub intake_url: Option<String>,
    /// Counters.
    pub metrics: Arc<Metrics>,
    /// Which addresses merchants may name for their webhooks.
    pub webhook_reach: Reach,
    pub(crate) door: Arc<Door>,
    pub(crate) running: once::Running,
    pub(crate) readiness: health::Readiness,
    /// What the listener lets in.
    pub(crate) gate: Arc<Gate>,
    /// Held while a connector account or the rules about accounts change.
    pub(crate) account_changes: tokio::sync::Mutex<()>,
    /// Puts pages for people and other dialects beside the API.
    pages: Vec<Pages>,
}

/// Registers routes beside those of the API.
pub type Pages = Arc<dyn Fn(&mut ServiceConfig) + Send + Sync>;

impl Api {
    /// What handlers share; `admin_hash` is the SHA-256 of the admin key, `intake_url` where browsers reach the vault.
    #[must_use]
    pub fn new(engine: Arc<Engine>, admin_hash: [u8; 32], intake_url: Option<String>, metrics: Arc<Metrics>) -> Self {
        Self {
            engine,
            admin_hash,
            intake_url,
            metrics,
            webhook_reach: Reach::Public,
            door: Arc::default(),
            running: once::Running::default(),
            readiness: health::Readiness::default(),
            gate: Gate::new(limits::REQUESTS_AT_WORK_MAX),
            account_changes: tokio::sync::Mutex::default(),
            pages: Vec::new(),
        }
    }

    /// The same with more routes beside those of the API.
    #[must_use]
    pub fn with_pages(mut self, pages: Pages) -> Self {
        self.pages.push(pages);
        self
    }

    /// The same, with at most so many requests at work at a time.
    #[must_use]
    pub fn with_requests_max(mut self, most: usize) -> Self {
        self.gate = Gate::new(most);
        self
    }

    /// The same, with other addresses that merchants may name for their webhooks.
    #[must_use]
    pub fn with_webhook_reach(mut self, reach: Reach) -> Self {
        self.webhook_reach = reach;
        self
    }
}

impl actix_web::ResponseError for Refusal {
    fn error_response(&self) -> HttpResponse {
        self.clone().into()
    }

    fn status_code(&self) -> actix_web::http::StatusCode {
        actix_web::http::StatusCode::from_u16(self.status).unwrap_or_default()
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.code, self.message)
    }
}

type MakeRoute = fn() -> actix_web::Route;

/// Every route: path, verbs, handler. The published document is held against this table.
const ROUTES: &[(&str, &[(&str, MakeRoute)])] = &[
    ("/payments", &[("post", || web::post().to(payments::create))]),
    // Before the next, as further below: `list` is a word here and no payment's id.
    ("/payments/list", &[("get", || web::get().to(lists::payments))]),
    (
        "/payments/{payment_id}",
        &[("get", || web::get().to(payments::retrieve)), ("post", || web::post().to(payments::update))],
    ),
    ("/payments/{payment_id}/confirm", &[("post", || web::post().to(payments::confirm))]),
    ("/payments/{payment_id}/capture", &[("post", || web::post().to(payments::capture))]),
    ("/payments/{payment_id}/incremental_authorization", &[("post", || web::post().to(payments::increment))]),
    ("/payments/{payment_id}/cancel", &[("post", || web::post().to(payments::cancel))]),
    ("/payments/{payment_id}/vault_session", &[("post", || web::post().to(vault_session::open))]),
    (
        "/redirect/{merchant_id}/{payment_id}/{ticket}",
        &[("get", || web::get().to(returns::come_back)), ("post", || web::post().to(returns::come_back_with_form))],
    ),
    ("/refunds", &[("post", || web::post().to(refunds::create))]),
    ("/refunds/list", &[("get", || web::get().to(lists::refunds))]),
    ("/refunds/{refund_id}", &[("get", || web::get().to(refunds::retrieve))]),
    ("/customers", &[("get", || web::get().to(customers::list)), ("post", || web::post().to(customers::create))]),
    // Before the next: `payment_methods` is a word here, not a customer.
    ("/customers/payment_methods", &[("get", || web::get().to(customers::saved_for_payment))]),
    ("/customers/payment_methods/{payment_method_id}", &[("delete", || web::delete().to(payer_cards::delete))]),
    (
        "/customers/payment_methods/{payment_method_id}/default",
        &[("post", || web::post().to(payer_cards::set_default))],
    ),
    (
        "/customers/{customer_id}",
        &[("get", || web::get().to(customers::retrieve)), ("post", || web::post().to(customers::update))],
    ),
    ("/customers/{customer_id}/payment_methods", &[("get", || web::get().to(customers::saved))]),
    (
        "/customers/{customer_id}/payment_methods/{payment_method_id}",
        &[("delete", || web::delete().to(saved_cards::delete_of_customer))],
    ),
    (
        "/customers/{customer_id}/payment_methods/{payment_method_id}/default",
        &[("post", || web::post().to(saved_cards::set_default))],
    ),
    (
        "/payment_methods/{payment_method_id}",
        &[("get", || web::get().to(saved_cards::retrieve)), ("delete", || web::delete().to(saved_cards::delete))],
    ),
    ("/account/payment_methods", &[("get", || web::get().to(methods::eligible))]),
    ("/accounts", &[("post", || web::post().to(accounts::add_merchant))]),
    (
        "/accounts/{merchant_id}",
        &[("get", || web::get().to(accounts::merchant)), ("post", || web::post().to(webhooks::update_merchant))],
    ),
    ("/accounts/{merchant_id}/webhook_secret/rotate", &[("post", || web::post().to(webhooks::rotate_secret))]),
    ("/webhooks/{merchant_id}/{merchant_connector_id}", &[("post", || web::post().to(incoming::receive))]),
    ("/events/{merchant_id}", &[("get", || web::get().to(events::list))]),
    ("/events/{merchant_id}/{event_id}", &[("get", || web::get().to(events::retrieve))]),
    ("/events/{merchant_id}/{event_id}/retry", &[("post", || web::post().to(events::retry))]),
    (
        "/api_keys/{merchant_id}",
        &[("get", || web::get().to(accounts::keys)), ("post", || web::post().to(accounts::add_key))],
    ),
    ("/api_keys/{merchant_id}/{key_id}", &[("delete", || web::delete().to(accounts::revoke_key))]),
    (
        "/account/{merchant_id}/connectors",
        &[("get", || web::get().to(connectors::list)), ("post", || web::post().to(connectors::create))],
    ),
    (
        "/account/{merchant_id}/connectors/{merchant_connector_id}",
        &[
            ("get", || web::get().to(connectors::retrieve)),
            ("post", || web::post().to(connectors::update)),
            ("delete", || web::delete().to(connectors::delete)),
        ],
    ),
    (
        "/account/{merchant_id}/routing",
        &[
            ("get", || web::get().to(routing::retrieve)),
            ("put", || web::put().to(routing::replace)),
            ("delete", || web::delete().to(routing::remove)),
        ],
    ),
    ("/health", &[("get", || web::get().to(health::live))]),
    ("/health/ready", &[("get", || web::get().to(health::ready))]),
    ("/metrics", &[("get", || web::get().to(metrics))]),
    ("/openapi.json", &[("get", || web::get().to(openapi))]),
];

/// Puts every route into an actix application.
pub fn configure(api: Data<Api>) -> impl FnOnce(&mut ServiceConfig) {
    move |config| {
        let pages = api.pages.clone();
        config.app_data(api).app_data(web::PayloadConfig::new(limits::PAYMENT_BODY_BYTES_MAX)).app_data(
            web::QueryConfig::default().error_handler(|_, _| {
                Refusal::new(400, "IR_06", "The query has a field or value that this call does not take").into()
            }),
        );
        for (path, verbs) in ROUTES {
            let mut resource = web::resource(*path).default_service(web::to(wrong_verb));
            for (_, make) in *verbs {
                resource = resource.route(make());
            }
            if browser::OPEN.contains(path) {
                let open = resource.route(web::route().method(Method::OPTIONS).to(browser::preflight));
                config.service(open.wrap(from_fn(let_read)));
            } else {
                config.service(resource);
            }
        }
        for pages in pages {
            pages(config);
        }
        config.default_service(web::to(no_route));
    }
}

async fn wrong_verb() -> Result<HttpResponse, Refusal> {
    Err(Refusal::new(405, "IR_03", "The HTTP method is not applicable for this API"))
}

async fn no_route() -> Result<HttpResponse, Refusal> {
    Err(Refusal::new(404, "IR_02", "Unrecognized request URL"))
}

async fn metrics(api: Data<Api>, request: HttpRequest) -> Result<HttpResponse, Refusal> {
    who::admin(&api, &request)?;
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    api.metrics.listener(&api.gate.counts());
    Ok(HttpResponse::Ok().content_type(kind).body(api.metrics.text()))
}

async fn openapi() -> HttpResponse {
    HttpResponse::Ok().content_type("application/json").body(OPENAPI)
}

/// The answer to a request that ended without one, if it left what it was about. A change that the payment still allows
/// was not begun (or was refused), so nothing answers it; an update, which is always allowed once more, was made if the
/// request stored anything (`begun`).
async fn found(api: &Api, merchant: &TenantId, subject: &str, begun: bool) -> Result<Option<Answer>, Refusal> {
    let mut words = subject.split(' ');
    let (Some(what), Some(id), part) = (words.next(), words.next(), words.next()) else {
        return Err(Fault::Internal.into());
    };
    if what == "refund" {
        return match api.engine.payment_of_refund(merchant, id).await {
            Ok((payment, _)) => refunds::show(&payment, id).map(Some),
            Err(Fault::NotFound(_)) => Ok(None),
            Err(fault) => Err(fault.into()),
        };
    }
    if what == "setting" {
        return Ok(None);
    }
    if what == "customer" {
        let id = id.parse().map_err(|_| Fault::Internal)?;
        let customer = api.engine.store().customer(merchant, &id).await?;
        return Ok(customer.map(|customer| Answer::ok(&view::customer(&customer))));
    }
    let looked_up = api.engine.payment(merchant, id).await.map(|(payment, _)| {
        let can = |events: &[Event]| events.iter().any(|event| payment.state.after(*event).is_some());
        let is_done = match (what, part) {
            ("payment", _) => true,
            ("confirm", _) => !can(&[Event::Confirm]),
            // Before payments had several captures, a capture had no name.
            ("capture", None) => !can(&[Event::Capture]),
            ("capture", Some(part)) => payment.captures.iter().any(|row| row.capture_id == part),
            ("increment", Some(part)) => payment.increments.iter().any(|row| row.increment_id == part),
            ("cancel", _) => !can(&[Event::Abandon, Event::Cancel]),
            _ => begun || !can(&[Event::Update]),
        };
        is_done.then(|| Answer::ok(&view::payment(&payment)))
    });
    match looked_up {
        Ok(answer) => Ok(answer),
        Err(Fault::NotFound(_)) => Ok(None),
        Err(fault) => Err(fault.into()),
    }
}

const OPENAPI: &str = include_str!("../openapi.json");

#[cfg(test)]
mod browser_tests;

#[cfg(test)]
mod capture_tests;

#[cfg(test)]
mod card_tests;

#[cfg(test)]
mod connector_tests;

#[cfg(test)]
mod incoming_tests;

#[cfg(test)]
mod lists_tests;

#[cfg(test)]
mod key_tests;

#[cfg(test)]
mod payer_tests;

#[cfg(test)]
mod repeat_tests;

#[cfg(test)]
mod returns_tests;

#[cfg(test)]
mod tests;

#[cfg(test)]
mod webhook_tests;
