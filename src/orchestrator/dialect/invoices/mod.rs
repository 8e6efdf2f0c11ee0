//! Invoices with card tokens and customer tokens. `README.md` says what is translated how.

mod amount;
mod auth;
mod cards;
mod customers;
mod events;
mod names;
mod order;
mod orders;
mod paying;
mod words;
mod wrong;

use std::sync::Arc;

use actix_web::http::{Method, header};
use actix_web::middleware::from_fn;
use actix_web::web::{self, Data, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse, ResponseError as _};
use serde::Deserialize;

use super::pace::check_rates;
use crate::api::{Pages, let_read};
use auth::Rates;
pub(super) use events::speak;
use wrong::Wrong;

/// `[dialects.invoices]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct InvoicesConfig {
    /// The path below which it lives: `/` and 1 to 32 of a-z 0-9 -. `/router` when absent.
    pub at: String,
    /// How many requests an API key may make in a minute, 1 to 60,000.
    pub requests_per_minute: u32,
    /// How many requests may be made with a publishable key in a minute, by all pages and payers together, 1 to 60,000.
    pub page_requests_per_minute: u32,
    /// How many of an API key's may come at once, 1 to 10,000; of a publishable key's as many less as its rate is smaller.
    pub burst: u32,
}

impl Default for InvoicesConfig {
    fn default() -> Self {
        Self { at: "/router".to_owned(), requests_per_minute: 600, page_requests_per_minute: 300, burst: 60 }
    }
}

impl InvoicesConfig {
    /// Whether its numbers are within their limits.
    ///
    /// # Errors
    /// The key, and what it should be.
    pub(super) fn check(&self) -> Result<(), (String, &'static str)> {
        let rates = [
            ("requests_per_minute", self.requests_per_minute),
            ("page_requests_per_minute", self.page_requests_per_minute),
        ];
        check_rates("invoices", &rates, self.burst)
    }
}

/// Its routes. All connections of the process share one count of requests.
pub(super) fn door(config: InvoicesConfig) -> Pages {
    let rates = Data::new(Rates::new(&config));
    Arc::new(move |into| mount(&config, &rates, into))
}

type MakeRoute = fn() -> actix_web::Route;

/// Every address below [`InvoicesConfig::at`], its verbs and handlers. The published document is held against this table.
const ROUTES: &[(&str, &[(&str, MakeRoute)])] = &[
    ("/invoices", &[("post", || web::post().to(orders::create))]),
    (
        "/invoices/{invoice_id}",
        &[("get", || web::get().to(orders::retrieve)), ("delete", || web::delete().to(orders::delete))],
    ),
    ("/invoices/{invoice_id}/authorize", &[("post", || web::post().to(paying::authorize))]),
    ("/invoices/{invoice_id}/capture", &[("post", || web::post().to(paying::capture))]),
    ("/invoices/{invoice_id}/increment_authorization", &[("post", || web::post().to(orders::increment))]),
    ("/invoices/{invoice_id}/void", &[("post", || web::post().to(orders::void))]),
    ("/invoices/{invoice_id}/refunds", &[("post", || web::post().to(orders::refund_invoice))]),
    ("/transactions/{transaction_id}", &[("get", || web::get().to(orders::transaction))]),
    (
        "/transactions/{transaction_id}/refunds",
        &[("get", || web::get().to(orders::list_refunds)), ("post", || web::post().to(orders::refund_transaction))],
    ),
    ("/cards", &[("post", || web::post().to(cards::create))]),
    ("/customers", &[("post", || web::post().to(customers::create))]),
    ("/customers/{customer_id}", &[("get", || web::get().to(customers::retrieve))]),
    (
        "/customers/{customer_id}/tokens",
        &[("get", || web::get().to(customers::list)), ("post", || web::post().to(customers::keep))],
    ),
    (
        "/customers/{customer_id}/tokens/{token_id}",
        &[("get", || web::get().to(customers::kept)), ("delete", || web::delete().to(customers::delete))],
    ),
    ("/events/{event_id}", &[("get", || web::get().to(events::retrieve))]),
    ("/openapi.json", &[("get", || web::get().to(openapi))]),
];

/// The routes that the scripts of a merchant's pages may call.
const OPEN: [&str; 2] = ["/invoices/{invoice_id}/authorize", "/cards"];

fn mount(config: &InvoicesConfig, rates: &Data<Rates>, into: &mut ServiceConfig) {
    let mut scope = web::scope(&config.at).app_data(rates.clone()).default_service(web::to(nowhere));
    for (path, verbs) in ROUTES {
        let mut resource = web::resource(*path).default_service(web::to(wrong_verb));
        for (_, make) in *verbs {
            resource = resource.route(make());
        }
        scope = if OPEN.contains(path) {
            let open = resource.route(web::route().method(Method::OPTIONS).to(preflight));
            scope.service(open.wrap(from_fn(let_read)))
        } else {
            scope.service(resource)
        };
    }
    into.service(scope.wrap(from_fn(auth::tell)));
}

async fn nowhere() -> HttpResponse {
    Wrong::new(404, "request.route-not-found", "There is no such address in this API").error_response()
}

async fn wrong_verb() -> HttpResponse {
    Wrong::new(405, "request.method-not-allowed", "This address does not take this HTTP method").error_response()
}

/// `OPTIONS`: what a page may send. Whether it may act for the merchant is known only with its request.
async fn preflight(request: HttpRequest) -> HttpResponse {
    let asks = |name| request.headers().contains_key(name);
    if !asks(header::ORIGIN) || !asks(header::ACCESS_CONTROL_REQUEST_METHOD) {
        return wrong_verb().await;
    }
    HttpResponse::NoContent()
        .insert_header((header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"))
        .insert_header((header::ACCESS_CONTROL_ALLOW_METHODS, "POST"))
        .insert_header((header::ACCESS_CONTROL_ALLOW_HEADERS, "authorization, content-type, idempotency-key"))
        .insert_header((header::ACCESS_CONTROL_MAX_AGE, PREFLIGHT_S))
        .finish()
}

async fn openapi() -> HttpResponse {
    HttpResponse::Ok().content_type("application/json").body(OPENAPI)
}

const OPENAPI: &str = include_str!("openapi.json");
/// How long a browser may remember what a page may send, in seconds.
const PREFLIGHT_S: &str = "600";

#[cfg(test)]
mod attack_tests;

#[cfg(test)]
mod failure_tests;

#[cfg(test)]
mod rate_tests;

#[cfg(test)]
mod tests;

#[cfg(test)]
mod timing_tests;
