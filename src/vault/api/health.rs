//! Health: whether the process lives, and whether it can do its work. They answer while sealed, and need a certificate
//! of the listener's CA but no scope. An orchestrator asks `/health/ready` on the release listener.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};

use super::answer::{Answer, json};
use super::state::State;

/// `GET /health/live`: the process answers.
pub(super) async fn live() -> Answer {
    json(StatusCode::OK, &serde_json::json!({ "status": "live" }))
}

/// `GET /health/ready`: unsealed, and the audit log takes entries. 503 otherwise, with what is missing.
pub(super) async fn ready(state: web::Data<State>) -> Answer {
    let vault = &state.vault;
    let missing = if !vault.barrier_is_unsealed() {
        Some("sealed")
    } else if vault.audit_is_failing() {
        Some("audit log not writable")
    } else {
        None
    };
    match missing {
        None => json(StatusCode::OK, &serde_json::json!({ "status": "ready" })),
        Some(missing) => {
            let status = StatusCode::from_u16(503).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            json(status, &serde_json::json!({ "status": "not ready", "missing": missing }))
        }
    }
}

/// The OpenAPI document of vaultd.
pub(super) async fn openapi() -> HttpResponse {
    HttpResponse::Ok().content_type("application/json").body(super::routes::OPENAPI)
}
