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

/// `GET /health/ready`: unsealed, the audit log takes entries, the store that several nodes share is reached, what the others
/// use of the quotas is known, and nobody asked the process to stop. 503 otherwise, with what is missing. `root` says how the
/// HSM or KMS is, where one holds the Root.
pub(super) async fn ready(state: web::Data<State>) -> Answer {
    let vault = &state.vault;
    let missing = missing(&state);
    let mut said = match missing {
        None => serde_json::json!({ "status": "ready" }),
        Some(missing) => serde_json::json!({ "status": "not ready", "missing": missing }),
    };
    // Said beside and not instead: keys in memory do not need the Root.
    if let Some(word) = vault.root_word() {
        said["root"] = word.into();
    }
    let status = StatusCode::from_u16(if missing.is_none() { 200 } else { 503 });
    json(status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), &said)
}

/// What this process lacks to do its work.
pub(crate) fn missing(state: &State) -> Option<&'static str> {
    let vault = &state.vault;
    if state.is_leaving() {
        Some("leaving")
    } else if vault.store_is_elsewhere() {
        Some("store moved")
    } else if !vault.barrier_is_unsealed() {
        Some("sealed")
    } else if vault.audit_is_failing() {
        Some("audit log not writable")
    } else if vault.audit_stalls() {
        Some("audit log stalled")
    } else if vault.is_behind() {
        Some("store")
    } else if vault.knows_no_quotas() {
        Some("quotas of the other nodes")
    } else {
        None
    }
}

/// The OpenAPI document of vaultd.
pub(super) async fn openapi() -> HttpResponse {
    HttpResponse::Ok().content_type("application/json").body(super::routes::OPENAPI)
}
