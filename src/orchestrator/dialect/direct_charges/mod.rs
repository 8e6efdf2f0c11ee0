//! One call sets up customer, payment method and charge. `README.md` says what is translated how.

use std::sync::Arc;

use actix_web::HttpResponse;
use actix_web::web::{self, ServiceConfig};
use serde::Deserialize;

use crate::api::Pages;
use crate::intent::Payment;
use crate::store::OutboxEvent;
use crate::webhook::Spoken;

/// `[dialects.direct_charges]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DirectChargesConfig {
    /// The path below which it lives: `/` and 1 to 32 of a-z 0-9 -. `/direct` when absent.
    pub at: String,
}

impl Default for DirectChargesConfig {
    fn default() -> Self {
        Self { at: "/direct".to_owned() }
    }
}

/// Its routes.
pub(super) fn door(config: DirectChargesConfig) -> Pages {
    Arc::new(move |into| mount(&config, into))
}

type MakeRoute = fn() -> actix_web::Route;

/// Every address below [`DirectChargesConfig::at`], its verbs and handlers.
const ROUTES: &[(&str, &[MakeRoute])] = &[];

fn mount(config: &DirectChargesConfig, into: &mut ServiceConfig) {
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
