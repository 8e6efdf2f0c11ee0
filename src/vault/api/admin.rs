//! The admin listener: what the security team asks for, over mutual TLS.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse};
use serde::Deserialize;
use strongroom_wire::admin::{KeyPurpose, Reloaded, RotateRequest};
use strongroom_wire::backup::VerifyRequest;
use strongroom_wire::migration::MigrateRequest;
use strongroom_wire::payment_method::TenantRequest;
use strongroom_wire::{Kind, TenantId};

use super::answer::{Answer, json, start};
use super::body::Body;
use super::call::Call;
use super::problem::Refusal;
use super::release::entry_index;
use super::whole::whole;
use crate::flow::{acts, admin, audit, backup, check, migrate, policy_change, rotate, tenant, unseal};
use crate::telemetry::log;

/// `GET /v1/status`.
pub(super) async fn status(call: Call) -> Answer {
    let mut status = admin::status(&call.state.vault, &call.asker).await?;
    status.warnings.extend(call.state.certificates.warnings(call.state.vault.now_ms()));
    json(StatusCode::OK, &status)
}

/// `GET /v1/certificates`. It answers while sealed.
pub(super) async fn certificates(call: Call) -> Answer {
    admin::permit_certificates(&call.state.vault, &call.asker).await?;
    json(StatusCode::OK, &call.state.certificates.list(call.state.vault.now_ms()))
}

/// `POST /v1/unseal`: one custodian's share.
pub(super) async fn unseal(call: Call, mut body: Body) -> Answer {
    let given = async move { unseal::give(&call.state.vault, &call.asker, &mut body.0).await };
    json(StatusCode::OK, &whole(given).await?)
}

/// `DELETE /v1/unseal`: forget the shares that are in.
pub(super) async fn abandon(call: Call) -> Answer {
    json(StatusCode::OK, &unseal::abandon(&call.state.vault, &call.asker).await?)
}

/// `POST /v1/seal`: forget every key.
pub(super) async fn seal(call: Call) -> Answer {
    json(StatusCode::OK, &whole(async move { unseal::seal(&call.state.vault, &call.asker).await }).await?)
}

/// `GET /v1/keys`.
pub(super) async fn keys(call: Call) -> Answer {
    json(StatusCode::OK, &admin::keys(&call.state.vault, &call.asker).await?)
}

/// `POST /v1/rotations`: start the rotation of a key, or join the one that runs.
pub(super) async fn rotate(call: Call, body: Body) -> Answer {
    let asked: RotateRequest = body.json()?;
    let started = async move { rotate::start(&call.state.vault, &call.asker, asked).await };
    json(StatusCode::ACCEPTED, &whole(started).await?)
}

/// `GET /v1/rotations`: the newest rotation of every key that the asker may rotate.
pub(super) async fn rotations(call: Call) -> Answer {
    json(StatusCode::OK, &rotate::list(&call.state.vault, &call.asker).await?)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RotationQuery {
    key: Option<KeyPurpose>,
}

/// `GET /v1/rotations/{tenant}?key=`: the newest rotation of a tenant's key.
pub(super) async fn rotation(call: Call, request: HttpRequest) -> Answer {
    let text = request.match_info().get("tenant").unwrap_or_default();
    let tenant: TenantId = text.parse().map_err(|bad| Refusal::from(bad).at("tenant"))?;
    let query: RotationQuery = serde_urlencoded::from_str(request.query_string())
        .map_err(|_| Refusal::new(Kind::InvalidField, "the query takes key: kek, fingerprint or session").at("key"))?;
    json(StatusCode::OK, &rotate::show(&call.state.vault, &call.asker, tenant, query.key).await?)
}

/// `GET /v1/tenants`.
pub(super) async fn tenants(call: Call) -> Answer {
    json(StatusCode::OK, &tenant::list(&call.state.vault, &call.asker).await?)
}

/// `POST /v1/tenants`.
pub(super) async fn add_tenant(call: Call, body: Body) -> Answer {
    let asked: TenantRequest = body.json()?;
    let made = async move { tenant::add(&call.state.vault, &call.asker, asked.tenant).await };
    json(StatusCode::OK, &whole(made).await?)
}

/// `POST /v1/backups`: a consistent copy of store and log, into the folder of the configuration.
pub(super) async fn make_backup(call: Call) -> Answer {
    let made = async move { backup::make(&call.state.vault, &call.asker).await };
    json(StatusCode::CREATED, &whole(made).await?)
}

/// `POST /v1/store/migration`: move the store into the database of the configuration, or give the move another limit.
pub(super) async fn migrate(call: Call, body: Body) -> Answer {
    let asked: MigrateRequest = body.json()?;
    let started = async move { migrate::start(&call.state.vault, &call.asker, asked).await };
    json(StatusCode::ACCEPTED, &whole(started).await?)
}

/// `GET /v1/store/migration`: how far the move is. It answers while sealed, and after the move.
pub(super) async fn migration(call: Call) -> Answer {
    json(StatusCode::OK, &migrate::status(&call.state.vault, &call.asker).await?)
}

/// `DELETE /v1/store/migration`: give the move up.
pub(super) async fn abandon_migration(call: Call) -> Answer {
    let abandoned = async move { migrate::abandon(&call.state.vault, &call.asker).await };
    json(StatusCode::OK, &whole(abandoned).await?)
}

/// `POST /v1/store/verify`: open a sample inside the barrier and count.
pub(super) async fn verify_store(call: Call, body: Body) -> Answer {
    let asked: VerifyRequest = body.json()?;
    json(StatusCode::OK, &check::sample(&call.state.vault, &call.asker, asked).await?)
}

/// `POST /v1/reload`: read certificates and policy again; all of it or nothing. A policy file that is not the one in force
/// waits for a second person (202).
pub(super) async fn reload(call: Call) -> Answer {
    let state = &call.state;
    admin::permit_reload(&state.vault, &call.asker).await?;
    let other = state.reload().map_err(|why| {
        log::warn("reload refused", &[("request", &call.asker.request)]);
        Refusal::new(Kind::InvalidField, format!("nothing was changed: {why}"))
    })?;
    let Some(text) = other else {
        let reloaded = vec!["certificates".to_owned(), "policy".to_owned()];
        return json(StatusCode::OK, &Reloaded { reloaded, act: None });
    };
    let what = policy_change::proposal(&state.vault, &text)?;
    let act = Some(acts::ask(&state.vault, &call.asker, what).await?);
    json(StatusCode::ACCEPTED, &Reloaded { reloaded: vec!["certificates".to_owned()], act })
}

/// `GET /v1/audit/checkpoint`: the newest signed checkpoint. It answers while sealed.
pub(super) async fn checkpoint(call: Call) -> Answer {
    let note = audit::checkpoint(&call.state.vault).await?;
    Ok(start(StatusCode::OK).content_type("text/plain; charset=utf-8").body(note))
}

/// `GET /v1/audit/tiles/{path}`: the log as tiles (C2SP tlog-tiles); this address is its prefix.
pub(super) async fn tiles(call: Call, request: HttpRequest) -> Answer {
    let path = request.match_info().get("path").unwrap_or_default();
    Ok(match audit::tiled(&call.state.vault, &call.asker, path).await? {
        audit::Tiled::Checkpoint(note) => start(StatusCode::OK).content_type("text/plain; charset=utf-8").body(note),
        audit::Tiled::Tile(bytes) => start(StatusCode::OK).content_type("application/octet-stream").body(bytes),
    })
}

/// `GET /v1/audit/public-key`: a line for each Sign key.
pub(super) async fn public_key(call: Call) -> Answer {
    let keys = audit::public_keys(&call.state.vault, &call.asker).await?;
    Ok(start(StatusCode::OK).content_type("text/plain; charset=utf-8").body(keys))
}

/// `GET /v1/audit/handovers`: the notes in which each Sign key names the next.
pub(super) async fn handovers(call: Call) -> Answer {
    json(StatusCode::OK, &audit::handovers(&call.state.vault, &call.asker).await?)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EntriesQuery {
    from: Option<u64>,
    limit: Option<u32>,
}

/// `GET /v1/audit/entries`.
pub(super) async fn entries(call: Call, request: HttpRequest) -> Answer {
    let query: EntriesQuery = serde_urlencoded::from_str(request.query_string())
        .map_err(|_| Refusal::new(Kind::InvalidField, "the query takes from and limit, whole numbers"))?;
    let page = audit::entries(&call.state.vault, &call.asker, query.from.unwrap_or(0), query.limit).await?;
    json(StatusCode::OK, &page)
}

/// `GET /v1/audit/proofs/{index}`.
pub(super) async fn proof(call: Call, request: HttpRequest) -> Answer {
    let index = entry_index(&request)?;
    json(StatusCode::OK, &audit::proof(&call.state.vault, &call.asker, index).await?)
}

/// `GET /metrics`: OpenMetrics text.
pub(super) async fn metrics(call: Call) -> Result<HttpResponse, Refusal> {
    let ends = call.state.certificates.ends(call.state.vault.now_ms());
    let ends = ends.into_iter().map(|end| (end.role, end.id, end.at_s)).collect();
    let text = admin::metrics(&call.state.vault, &call.asker, call.state.gates.counts(), ends).await?;
    Ok(start(StatusCode::OK).content_type("application/openmetrics-text; version=1.0.0; charset=utf-8").body(text))
}
