//! The route table: which listener answers what. The OpenAPI document is tested against it.

use actix_web::web::{self, ServiceConfig};
use actix_web::{HttpResponse, Resource, Route};
use strongroom_wire::Kind;

use super::head::RouteLabel;
use super::problem::Refusal;
use super::{acts, admin, batch, custody, fields, forward, health, intake, intake_key, release, reports, sdk};
use crate::telemetry::metrics::ListenerLabel::{self, Admin, Intake, Release};

/// The OpenAPI 3.1 document that the release and admin listeners serve at `/openapi.json`.
pub const OPENAPI: &str = include_str!("openapi.json");

/// One method of one path of one listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// Which listener.
    pub listener: ListenerLabel,
    /// The HTTP method.
    pub method: &'static str,
    /// The path, as OpenAPI writes it.
    pub path: &'static str,
}

type MakeRoute = fn() -> Route;

type Methods = &'static [(&'static str, MakeRoute)];

const TABLE: &[(ListenerLabel, &str, Methods)] = &[
    (
        Intake,
        "/v1/payment_methods",
        &[
            ("POST", || web::post().to(intake::tokenize)),
            ("OPTIONS", || web::route().method(actix_web::http::Method::OPTIONS).to(intake::preflight)),
        ],
    ),
    (
        Intake,
        "/v1/payment_methods/{id}/cvc",
        &[
            ("POST", || web::post().to(intake::seal_cvc)),
            ("OPTIONS", || web::route().method(actix_web::http::Method::OPTIONS).to(intake::preflight)),
        ],
    ),
    (Intake, "/v1/intake-key", &[("GET", || web::get().to(intake_key::of_intake))]),
    (Intake, "/sdk/inventory.json", &[("GET", || web::get().to(sdk::inventory))]),
    (Intake, "/sdk/reports", &[("POST", || web::post().to(reports::take))]),
    // Before `{file}`, which would take the word for a file.
    (Intake, "/sdk/{version}/fields", &[("GET", || web::get().to(sdk::fields))]),
    (Intake, "/sdk/{version}/{file}", &[("GET", || web::get().to(sdk::file))]),
    // Patterns are tried in this order, each at the price of a regular expression: first what is asked most.
    (
        Release,
        "/v1/payment_methods",
        &[("POST", || web::post().to(release::tokenize)), ("GET", || web::get().to(release::list))],
    ),
    (Release, "/v1/payment_methods/{id}/reveal", &[("POST", || web::post().to(release::reveal))]),
    // Before `{id}`, which would take the word for a token.
    (Release, "/v1/payment_methods/batch", &[("POST", || web::post().to(batch::tokenize))]),
    (Release, "/v1/payment_methods/encrypted_fields", &[("POST", || web::post().to(fields::tokenize))]),
    (
        Release,
        "/v1/payment_methods/{id}",
        &[
            ("GET", || web::get().to(release::get)),
            ("PATCH", || web::patch().to(release::update)),
            ("DELETE", || web::delete().to(release::delete)),
        ],
    ),
    (Release, "/v1/payment_methods/{id}/retain", &[("POST", || web::post().to(release::retain))]),
    (Release, "/v1/payment_methods/{id}/cvc", &[("POST", || web::post().to(forward::seal_cvc))]),
    (Release, "/v1/intake-key", &[("GET", || web::get().to(intake_key::of_release))]),
    (Release, "/v1/customers/{customer_id}", &[("DELETE", || web::delete().to(release::delete_customer))]),
    (Release, "/v1/forward", &[("POST", || web::post().to(forward::forward))]),
    (Release, "/v1/sessions", &[("POST", || web::post().to(release::session))]),
    (Release, "/v1/secrets", &[("POST", || web::post().to(release::write_secret))]),
    (Release, "/v1/secrets/{id}", &[("DELETE", || web::delete().to(release::delete_secret))]),
    (Release, "/v1/secrets/{id}/reveal", &[("POST", || web::post().to(release::reveal_secret))]),
    (Release, "/v1/pins/check", &[("POST", || web::post().to(fields::check_pin))]),
    (Release, "/v1/tenants", &[("POST", || web::post().to(release::provision))]),
    (Release, "/v1/audit/proofs/{index}", &[("GET", || web::get().to(release::proof))]),
    (Release, "/health/ready", &[("GET", || web::get().to(health::ready))]),
    (Release, "/openapi.json", &[("GET", || web::get().to(health::openapi))]),
    (Admin, "/health/live", &[("GET", || web::get().to(health::live))]),
    (Admin, "/health/ready", &[("GET", || web::get().to(health::ready))]),
    (Admin, "/metrics", &[("GET", || web::get().to(admin::metrics))]),
    (Admin, "/v1/status", &[("GET", || web::get().to(admin::status))]),
    (Admin, "/v1/certificates", &[("GET", || web::get().to(admin::certificates))]),
    (
        Admin,
        "/v1/unseal",
        &[("POST", || web::post().to(admin::unseal)), ("DELETE", || web::delete().to(admin::abandon))],
    ),
    (Admin, "/v1/seal", &[("POST", || web::post().to(admin::seal))]),
    (Admin, "/v1/keys", &[("GET", || web::get().to(admin::keys))]),
    (Admin, "/v1/keys/destroy", &[("POST", || web::post().to(acts::destroy_key))]),
    (Admin, "/v1/exports", &[("POST", || web::post().to(acts::order_export))]),
    (Admin, "/v1/exports/{act}", &[("GET", || web::get().to(acts::export))]),
    (Admin, "/v1/acts", &[("GET", || web::get().to(acts::list))]),
    (Admin, "/v1/acts/{act}", &[("DELETE", || web::delete().to(acts::withdraw))]),
    (Admin, "/v1/acts/{act}/approve", &[("POST", || web::post().to(acts::approve))]),
    (
        Admin,
        "/v1/rotations",
        &[("POST", || web::post().to(admin::rotate)), ("GET", || web::get().to(admin::rotations))],
    ),
    (Admin, "/v1/rotations/{tenant}", &[("GET", || web::get().to(admin::rotation))]),
    (
        Admin,
        "/v1/tenants",
        &[("GET", || web::get().to(admin::tenants)), ("POST", || web::post().to(admin::add_tenant))],
    ),
    (Admin, "/v1/tenants/{tenant}", &[("DELETE", || web::delete().to(acts::shred_tenant))]),
    (Admin, "/v1/tenants/{tenant}/retention", &[("PUT", || web::put().to(acts::set_retention))]),
    (Admin, "/v1/retention", &[("GET", || web::get().to(acts::retention_rules))]),
    (Admin, "/v1/retention/report", &[("GET", || web::get().to(acts::over_age))]),
    (Admin, "/v1/backups", &[("POST", || web::post().to(admin::make_backup))]),
    (
        Admin,
        "/v1/store/migration",
        &[
            ("POST", || web::post().to(admin::migrate)),
            ("GET", || web::get().to(admin::migration)),
            ("DELETE", || web::delete().to(admin::abandon_migration)),
        ],
    ),
    (Admin, "/v1/store/verify", &[("POST", || web::post().to(admin::verify_store))]),
    (Admin, "/v1/root", &[("GET", || web::get().to(custody::root))]),
    (
        Admin,
        "/v1/root/next/shares",
        &[("POST", || web::post().to(custody::share)), ("DELETE", || web::delete().to(custody::forget))],
    ),
    (
        Admin,
        "/v1/root/change",
        &[("POST", || web::post().to(custody::change)), ("DELETE", || web::delete().to(custody::abandon))],
    ),
    (Admin, "/v1/custodians", &[("GET", || web::get().to(custody::custodians))]),
    (Admin, "/v1/custodians/acknowledgement", &[("POST", || web::post().to(custody::acknowledge))]),
    (Admin, "/v1/reload", &[("POST", || web::post().to(admin::reload))]),
    (Admin, "/v1/audit/checkpoint", &[("GET", || web::get().to(admin::checkpoint))]),
    (Admin, "/v1/audit/tiles/{path}", &[("GET", || web::get().to(admin::tiles))]),
    (Admin, "/v1/audit/public-key", &[("GET", || web::get().to(admin::public_key))]),
    (Admin, "/v1/audit/handovers", &[("GET", || web::get().to(admin::handovers))]),
    (Admin, "/v1/audit/entries", &[("GET", || web::get().to(admin::entries))]),
    (Admin, "/v1/audit/proofs/{index}", &[("GET", || web::get().to(admin::proof))]),
    (Admin, "/openapi.json", &[("GET", || web::get().to(health::openapi))]),
];

/// Every route there is.
pub fn all() -> impl Iterator<Item = Entry> {
    TABLE.iter().flat_map(|(listener, path, methods)| {
        methods.iter().map(|(method, _)| Entry { listener: *listener, method, path })
    })
}

/// Registers a listener's routes.
pub(super) fn of(listener: ListenerLabel, routes: &mut ServiceConfig) {
    for (_, path, methods) in TABLE.iter().filter(|(of, _, _)| *of == listener) {
        // A path of several segments, which OpenAPI has no word for.
        let pattern = path.replace("{path}", "{path:.+}");
        let mut resource: Resource = web::resource(pattern).app_data(RouteLabel(path));
        for (_, make) in *methods {
            resource = resource.route(make());
        }
        routes.service(resource.default_service(web::to(wrong_method)));
    }
    routes.default_service(web::to(no_route));
}

/// What a path gets that nothing answers.
pub(crate) async fn no_route() -> Result<HttpResponse, Refusal> {
    Err(Refusal::new(Kind::NoRoute, "see /openapi.json for what this listener answers"))
}

/// What a method gets that its path does not take.
pub(crate) async fn wrong_method() -> Result<HttpResponse, Refusal> {
    Err(Refusal::new(Kind::MethodNotAllowed, "see /openapi.json for the methods of this resource"))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_openapi_document_has_exactly_these_routes() {
        let document: serde_json::Value = serde_json::from_str(OPENAPI).unwrap();
        assert_eq!(document["openapi"], "3.1.0");
        let mut documented = BTreeSet::new();
        for (path, item) in document["paths"].as_object().unwrap() {
            for (method, operation) in item.as_object().unwrap().iter().filter(|(name, _)| *name != "parameters") {
                for listener in operation["x-listeners"].as_array().unwrap() {
                    documented.insert((listener.as_str().unwrap().to_owned(), method.to_uppercase(), path.clone()));
                }
            }
        }
        let served: BTreeSet<_> = all()
            .map(|entry| {
                (format!("{:?}", entry.listener).to_lowercase(), entry.method.to_owned(), entry.path.to_owned())
            })
            .collect();
        assert_eq!(served, documented);
    }
}
