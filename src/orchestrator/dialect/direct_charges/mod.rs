//! One call sets up customer, payment method and charge. `README.md` says what is translated how.

mod amount;
mod answer;
mod body;
mod card;
mod charges;
mod hooks;
mod keys;
mod note;
mod onward;
mod scenario;
mod show;

use std::sync::Arc;

use actix_web::web::{self, Data, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use serde::Deserialize;

use crate::api::Pages;
use crate::api::answer::Refusal;
use answer::reply;
pub(super) use hooks::speak;

/// `[dialects.direct_charges]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DirectChargesConfig {
    /// The path below which it lives: `/` and 1 to 32 of a-z 0-9 -. `/direct` when absent.
    pub at: String,
    /// Whether `X-Scenario-Key` is taken. Only for use with the simulator: nobody checks a PIN or a code that it asks for.
    pub scenarios: bool,
    /// Whether 3-D Secure is asked for where a charge has a `redirect_url` and names no scenario. Without it the issuer alone
    /// decides.
    pub three_ds: bool,
}

impl Default for DirectChargesConfig {
    fn default() -> Self {
        Self { at: "/direct".to_owned(), scenarios: false, three_ds: false }
    }
}

/// Its routes.
pub(super) fn door(config: DirectChargesConfig) -> Pages {
    Arc::new(move |into| mount(&config, into))
}

type MakeRoute = fn() -> actix_web::Route;

/// Every address below [`DirectChargesConfig::at`], its verbs and handlers. The published document is held against it.
const ROUTES: &[(&str, &[(&str, MakeRoute)])] = &[
    ("/orchestration/direct-charges", &[("post", || web::post().to(charges::direct))]),
    ("/charges", &[("post", || web::post().to(charges::again))]),
    ("/charges/{id}", &[("get", || web::get().to(charges::retrieve)), ("put", || web::put().to(charges::proceed))]),
    ("/encryption-keys/rotate", &[("post", || web::post().to(keys::rotate))]),
    ("/openapi.json", &[("get", || web::get().to(openapi))]),
];

fn mount(config: &DirectChargesConfig, into: &mut ServiceConfig) {
    let mut scope = web::scope(&config.at).app_data(Data::new(config.clone())).default_service(web::to(nowhere));
    for (path, verbs) in ROUTES {
        let mut resource = web::resource(*path).default_service(web::to(wrong_verb));
        for (_, make) in *verbs {
            resource = resource.route(make());
        }
        scope = scope.service(resource);
    }
    into.service(scope);
}

async fn nowhere(request: HttpRequest) -> HttpResponse {
    reply(&request, Err(Refusal::new(404, "IR_02", "There is no such address here")))
}

async fn wrong_verb(request: HttpRequest) -> HttpResponse {
    reply(&request, Err(Refusal::new(405, "IR_03", "This address does not take this HTTP method")))
}

async fn openapi() -> HttpResponse {
    HttpResponse::Ok().content_type("application/json").body(OPENAPI)
}

const OPENAPI: &str = include_str!("openapi.json");

#[cfg(test)]
mod attack_tests;

#[cfg(test)]
mod charge_tests;

#[cfg(test)]
mod shop_tests;
