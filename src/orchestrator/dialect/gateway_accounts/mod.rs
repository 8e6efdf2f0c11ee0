//! Charges, authorizations, captures, voids and refunds at an account that the call names. `README.md` says what is translated how.

mod account_body;
mod accounts;
mod card_body;
mod fail;
mod front;
mod pay_body;
mod tokens;
mod transactions;
mod words;

use std::sync::Arc;

use actix_web::HttpResponse;
use actix_web::http::Method;
use actix_web::middleware::from_fn;
use actix_web::web::{self, Data, ServiceConfig};
use serde::Deserialize;

use super::pace::check_rates;
use crate::api::Pages;
use fail::Fail;
use front::Front;
pub(super) use words::speak;

/// `[dialects.gateway_accounts]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GatewayAccountsConfig {
    /// The path below which it lives: `/` and 1 to 32 of a-z 0-9 -. `/gateway` when absent.
    pub at: String,
    /// How many requests an API key may make in a minute, 1 to 60,000.
    pub requests_per_minute: u32,
    /// How many of them may come at once, 1 to 10,000.
    pub burst: u32,
    /// Whether a merchant's API key may make, change, rotate and delete accounts; otherwise the operator alone may, at the
    /// native API.
    pub manage_accounts: bool,
}

impl Default for GatewayAccountsConfig {
    fn default() -> Self {
        Self { at: "/gateway".to_owned(), requests_per_minute: 600, burst: 60, manage_accounts: true }
    }
}

impl GatewayAccountsConfig {
    /// Whether its numbers are within their limits.
    ///
    /// # Errors
    /// The key, and what it should be.
    pub(super) fn check(&self) -> Result<(), (String, &'static str)> {
        check_rates("gateway_accounts", &[("requests_per_minute", self.requests_per_minute)], self.burst)
    }
}

/// Its routes. All connections of the process share one count of requests.
pub(super) fn door(config: GatewayAccountsConfig) -> Pages {
    let front = Data::new(Front::new(&config));
    Arc::new(move |into| mount(&front, into))
}

type MakeRoute = fn() -> actix_web::Route;

/// Every address below [`GatewayAccountsConfig::at`], its verbs and handlers. The published document is held against it.
const ROUTES: &[(&str, &[(&str, MakeRoute)])] = &[
    ("/PaymentGateway/charge", &[("post", || web::post().to(transactions::charge))]),
    ("/PaymentGateway/authorize", &[("post", || web::post().to(transactions::authorize))]),
    ("/PaymentGateway/capture", &[("post", || web::post().to(transactions::capture))]),
    ("/PaymentGateway/void", &[("post", || web::post().to(transactions::void))]),
    ("/PaymentGateway/refund", &[("post", || web::post().to(transactions::refund))]),
    ("/PaymentGateway/transactions/{transactionId}", &[("get", || web::get().to(transactions::retrieve))]),
    (
        "/PaymentGatewayAccounts",
        &[("get", || web::get().to(accounts::list)), ("post", || web::post().to(accounts::create))],
    ),
    (
        "/PaymentGatewayAccounts/{name}",
        &[
            ("get", || web::get().to(accounts::retrieve)),
            ("put", || web::put().to(accounts::update)),
            ("delete", || web::delete().to(accounts::delete)),
        ],
    ),
    ("/PaymentGatewayAccounts/{name}/rotate", &[("post", || web::post().to(accounts::rotate))]),
    ("/Tokenization/tokenize", &[("post", || web::post().to(tokens::tokenize))]),
    (
        "/Tokenization/tokens/{cardToken}",
        &[("get", || web::get().to(tokens::retrieve)), ("delete", || web::delete().to(tokens::delete))],
    ),
    (OPENAPI_PATH, &[("get", || web::get().to(openapi))]),
];

fn mount(front: &Data<Front>, into: &mut ServiceConfig) {
    let queries = web::QueryConfig::default().error_handler(|_, _| Fail::query().into());
    let mut scope = web::scope(&front.at).app_data(front.clone()).app_data(queries).default_service(web::to(nowhere));
    for (path, verbs) in ROUTES {
        let mut resource = web::resource(*path).default_service(web::to(wrong_verb));
        for (_, make) in *verbs {
            resource = resource.route(make());
        }
        scope = scope.service(resource);
    }
    into.service(scope.wrap(from_fn(front::admit)));
}

async fn nowhere() -> Result<HttpResponse, Fail> {
    Err(Fail::new(404, "notFound", "There is nothing at this address"))
}

async fn wrong_verb(verb: Method) -> Result<HttpResponse, Fail> {
    let message = format!("This address does not take {}", verb.as_str().chars().take(16).collect::<String>());
    Err(Fail::new(405, "methodNotAllowed", message))
}

async fn openapi() -> HttpResponse {
    HttpResponse::Ok().content_type("application/json").body(OPENAPI)
}

const OPENAPI: &str = include_str!("openapi.json");
const OPENAPI_PATH: &str = "/openapi.json";

#[cfg(test)]
mod account_tests;

#[cfg(test)]
mod door_tests;

#[cfg(test)]
mod failover_tests;

#[cfg(test)]
mod pay_tests;
