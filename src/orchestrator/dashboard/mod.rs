//! The operators' dashboard: pages of this server, behind a login, that show payments and connectors and change rules.
//!
//! Every page is made on the server and works without a script. It asks the store and the engine what the API asks them, and
//! changes something in two places alone: rules ([`rules`]) and deliveries ([`deliveries`]). It never asks the vault, so no
//! card can reach it; what merchants and providers wrote is looked through once more before it is shown ([`words::free`]).
//!
//! Without an operator in the configuration none of its addresses exists.

mod assets;
mod chart;
mod connectors;
mod deliveries;
mod delivery;
mod dry_run;
mod fields;
mod login;
mod operators;
mod overview;
mod page;
mod password;
mod payment;
mod payments;
mod place;
mod rules;
mod session;
mod timeline;
mod trouble;
mod turnstile;
mod words;

pub use operators::{BadOperators, DashboardConfig, OperatorConfig, Role};
pub use password::{BadPassword, hash as password_hash};

#[cfg(test)]
pub(crate) use password::fast_hash;

use std::sync::Arc;

use actix_web::HttpResponse;
use actix_web::web::{self, Data, ServiceConfig};

use crate::api::Pages;
use operators::Operators;
use trouble::Trouble;
use turnstile::Turnstile;

/// The dashboard's pages for [`Api::with_pages`](crate::api::Api::with_pages); `None` where no operator is configured.
///
/// # Errors
/// [`BadOperators`].
pub fn pages(config: &DashboardConfig, public_url: &str) -> Result<Option<Pages>, BadOperators> {
    let operators = config.operators()?;
    if operators.is_empty() {
        return Ok(None);
    }
    let dashboard =
        Data::new(Dashboard { operators, public_url: public_url.to_owned(), turnstile: Turnstile::default() });
    Ok(Some(Arc::new(move |config| mount(&dashboard, config))))
}

/// What the pages share.
struct Dashboard {
    operators: Operators,
    /// Where browsers reach this server, without a trailing slash.
    public_url: String,
    turnstile: Turnstile,
}

type MakeRoute = fn() -> actix_web::Route;

/// Every address below `/dashboard`, its verbs and handlers.
const ROUTES: &[(&str, &[MakeRoute])] = &[
    ("", &[|| web::get().to(overview::show)]),
    ("/login", &[|| web::get().to(login::show), || web::post().to(login::log_in)]),
    ("/logout", &[|| web::post().to(login::log_out)]),
    ("/payments", &[|| web::get().to(payments::show)]),
    ("/payments/{merchant_id}/{payment_id}", &[|| web::get().to(payment::show)]),
    ("/connectors", &[|| web::get().to(connectors::show)]),
    ("/routing", &[|| web::get().to(rules::show), || web::post().to(rules::act)]),
    ("/webhooks", &[|| web::get().to(deliveries::show)]),
    ("/webhooks/{merchant_id}/{event_id}", &[|| web::get().to(delivery::show), || web::post().to(delivery::replay)]),
    ("/style.css", &[|| web::get().to(assets::style)]),
    ("/script.js", &[|| web::get().to(assets::script)]),
    ("/icon.svg", &[|| web::get().to(assets::icon)]),
];

fn mount(dashboard: &Data<Dashboard>, config: &mut ServiceConfig) {
    let mut scope = web::scope("/dashboard")
        .app_data(dashboard.clone())
        .app_data(web::QueryConfig::default())
        .default_service(web::to(nowhere));
    for (path, verbs) in ROUTES {
        let mut resource = web::resource(*path).default_service(web::to(wrong_verb));
        for make in *verbs {
            resource = resource.route(make());
        }
        scope = scope.service(resource);
    }
    config.service(scope);
}

async fn nowhere() -> Result<HttpResponse, Trouble> {
    Err(Trouble::NotFound("page"))
}

async fn wrong_verb() -> Result<HttpResponse, Trouble> {
    Err(Trouble::WrongVerb)
}

#[cfg(test)]
mod desk_tests;

#[cfg(test)]
mod dry_run_tests;

#[cfg(test)]
mod login_tests;

#[cfg(test)]
mod rules_tests;

#[cfg(test)]
mod pages_tests;
