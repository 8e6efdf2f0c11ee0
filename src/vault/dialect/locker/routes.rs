//! The routes of the dialect. Its OpenAPI document is tested against them.

use actix_web::http::StatusCode;
use actix_web::web::{self, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};

use super::door::Door;
use super::work::{Work, answer};
use crate::api::routes::{no_route, wrong_method};
use crate::api::{Body, RouteLabel, State, missing};
use crate::card::locker::Version::{V1, V2};

/// The OpenAPI 3.1 document that the listener serves at `/openapi-locker.json`.
const OPENAPI: &str = include_str!("openapi.json");

/// Today's paths, those of version 2, and `/cards`, which is what switches call that did not follow a change of name.
const TABLE: &[(&str, Work)] = &[
    ("/data/retrieve", Work::Retrieve(V1)),
    ("/cards/retrieve", Work::Retrieve(V1)),
    ("/api/v2/vault/retrieve", Work::Retrieve(V2)),
    ("/data/add", Work::Add(V1)),
    ("/cards/add", Work::Add(V1)),
    ("/api/v2/vault/add", Work::Add(V2)),
    ("/data/fingerprint", Work::Fingerprint),
    ("/cards/fingerprint", Work::Fingerprint),
    ("/api/v2/vault/fingerprint", Work::Fingerprint),
    ("/data/delete", Work::Delete(V1)),
    ("/cards/delete", Work::Delete(V1)),
    ("/api/v2/vault/delete", Work::Delete(V2)),
];

const HEALTH: &str = "/health";
const DOCUMENT: &str = "/openapi-locker.json";

/// Registers them, and what their handlers share.
pub(super) fn register(door: &web::Data<Door>, routes: &mut ServiceConfig) {
    routes.app_data(door.clone());
    for (path, work) in TABLE {
        let handler = move |door: web::Data<Door>, state: web::Data<State>, request: HttpRequest, body: Body| {
            answer(door, state, request, body, *work)
        };
        let resource = web::resource(*path).app_data(RouteLabel(path)).route(web::post().to(handler));
        routes.service(resource.default_service(web::to(wrong_method)));
    }
    for (path, get) in [(HEALTH, web::get().to(health)), (DOCUMENT, web::get().to(document))] {
        let resource = web::resource(path).app_data(RouteLabel(path)).route(get);
        routes.service(resource.default_service(web::to(wrong_method)));
    }
    routes.default_service(web::to(no_route));
}

/// Whether the vault can do its work, in the words of the dialect.
async fn health(state: web::Data<State>) -> HttpResponse {
    let (status, said) = match missing(&state) {
        None => (200, "health is good"),
        Some(missing) => (503, missing),
    };
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    HttpResponse::build(status).content_type("text/plain").body(said)
}

async fn document() -> HttpResponse {
    HttpResponse::Ok().content_type("application/json").body(OPENAPI)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_openapi_document_has_exactly_these_routes() {
        let document: serde_json::Value = serde_json::from_str(OPENAPI).unwrap();
        assert_eq!(document["openapi"], "3.1.0");
        let documented: BTreeSet<(String, String)> = document["paths"]
            .as_object()
            .unwrap()
            .iter()
            .flat_map(|(path, item)| {
                item.as_object().unwrap().keys().map(|method| (method.to_uppercase(), path.clone()))
            })
            .collect();
        let posts = TABLE.iter().map(|(path, _)| ("POST".to_owned(), (*path).to_owned()));
        let gets = [HEALTH, DOCUMENT].map(|path| ("GET".to_owned(), path.to_owned()));
        assert_eq!(documented, posts.chain(gets).collect());
    }

    #[test]
    fn every_reference_in_the_document_leads_somewhere() {
        let document: serde_json::Value = serde_json::from_str(OPENAPI).unwrap();
        let mut left = vec![&document];
        let mut found = 0;
        while let Some(value) = left.pop() {
            if let Some(reference) = value.get("$ref").and_then(|reference| reference.as_str()) {
                let pointer = reference.strip_prefix('#').unwrap();
                assert!(document.pointer(pointer).is_some(), "{reference}");
                found += 1;
            }
            match value {
                serde_json::Value::Object(members) => left.extend(members.values()),
                serde_json::Value::Array(items) => left.extend(items),
                _ => {}
            }
        }
        assert!(found > 20);
    }
}
