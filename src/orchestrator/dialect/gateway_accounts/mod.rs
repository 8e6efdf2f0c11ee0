//! Charges, authorizations, captures, voids and refunds at an account that the call names. `README.md` says what is translated how.

use std::sync::Arc;

use actix_web::HttpResponse;
use actix_web::web::{self, ServiceConfig};
use serde::Deserialize;

use crate::api::Pages;
use crate::intent::Payment;
use crate::store::OutboxEvent;
use crate::webhook::Spoken;

/// `[dialects.gateway_accounts]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GatewayAccountsConfig {
    /// The path below which it lives: `/` and 1 to 32 of a-z 0-9 -. `/gateway` when absent.
    pub at: String,
}

impl Default for GatewayAccountsConfig {
    fn default() -> Self {
        Self { at: "/gateway".to_owned() }
    }
}

/// Its routes.
pub(super) fn door(config: GatewayAccountsConfig) -> Pages {
    Arc::new(move |into| mount(&config, into))
}

type MakeRoute = fn() -> actix_web::Route;

/// Every address below [`GatewayAccountsConfig::at`], its verbs and handlers.
const ROUTES: &[(&str, &[MakeRoute])] = &[];

fn mount(config: &GatewayAccountsConfig, into: &mut ServiceConfig) {
    let mut scope = web::scope(&config.at).default_service(web::to(nowhere));
    for (path, verbs) in ROUTES {
        let mut resource = web::resource(*path).default_service(web::to(nowhere));
        for make in *verbs {
            resource = resource.route(make());
        }
        scope = scope.service(resource);
    }
    into.service(scope);
}

async fn nowhere() -> HttpResponse {
    HttpResponse::NotFound().finish()
}

/// An event about a payment that came through this door, in its words.
pub(super) fn speak(_payment: &Payment, _event: &OutboxEvent) -> Option<Spoken> {
    None
}
