//! Acts that need two people: asked for here, approved here by another one.

use actix_web::HttpRequest;
use actix_web::http::StatusCode;
use bytes::Bytes;
use strongroom_wire::acts::{ActKind, DestroyKey, SetRetention, ShredTenant};
use strongroom_wire::export::ExportOrder;
use strongroom_wire::retention::RetentionRequest;
use strongroom_wire::{ActId, TenantId};

use super::answer::{Answer, json, start};
use super::body::Body;
use super::call::Call;
use super::problem::Refusal;
use super::whole::whole;
use crate::flow::{acts, export, retention};

/// `GET /v1/acts`.
pub(super) async fn list(call: Call) -> Answer {
    json(StatusCode::OK, &acts::list(&call.state.vault, &call.asker).await?)
}

/// `POST /v1/acts/{act}/approve`: the second person; the answer comes when it is done.
pub(super) async fn approve(call: Call, request: HttpRequest) -> Answer {
    let id = act_id(&request)?;
    let done = async move { acts::approve(&call.state.vault, &call.asker, id).await };
    json(StatusCode::OK, &whole(done).await?)
}

/// `DELETE /v1/acts/{act}`: taken back, or refused by another.
pub(super) async fn withdraw(call: Call, request: HttpRequest) -> Answer {
    let id = act_id(&request)?;
    json(StatusCode::OK, &acts::withdraw(&call.state.vault, &call.asker, id).await?)
}

/// `POST /v1/keys/destroy`: a retired term of a key.
pub(super) async fn destroy_key(call: Call, body: Body) -> Answer {
    let asked: DestroyKey = body.json()?;
    ask(call, ActKind::DestroyKey(asked)).await
}

/// `DELETE /v1/tenants/{tenant}`: all of a tenant.
pub(super) async fn shred_tenant(call: Call, request: HttpRequest) -> Answer {
    let tenant = tenant(&request)?;
    ask(call, ActKind::ShredTenant(ShredTenant { tenant })).await
}

/// `PUT /v1/tenants/{tenant}/retention`: 200 where cards are kept longer, 202 with an act where they go sooner.
pub(super) async fn set_retention(call: Call, request: HttpRequest, body: Body) -> Answer {
    let tenant = tenant(&request)?;
    let RetentionRequest { days } = body.json()?;
    let asked = SetRetention { tenant, days };
    if !retention::keeps_longer(&call.state.vault, &asked).await? {
        return ask(call, ActKind::SetRetention(asked)).await;
    }
    json(StatusCode::OK, &retention::set(&call.state.vault, &call.asker, &asked).await?)
}

/// `GET /v1/retention`.
pub(super) async fn retention_rules(call: Call) -> Answer {
    json(StatusCode::OK, &retention::list(&call.state.vault, &call.asker).await?)
}

/// `GET /v1/retention/report`.
pub(super) async fn over_age(call: Call) -> Answer {
    json(StatusCode::OK, &retention::report(&call.state.vault, &call.asker).await?)
}

/// The tenant in a path.
pub(super) fn tenant(request: &HttpRequest) -> Result<TenantId, Refusal> {
    let text = request.match_info().get("tenant").unwrap_or_default();
    text.parse().map_err(|bad| Refusal::from(bad).at("tenant"))
}

/// `POST /v1/exports`: cards to another party.
pub(super) async fn order_export(call: Call, body: Body) -> Answer {
    let asked: ExportOrder = body.json()?;
    ask(call, ActKind::Export(asked)).await
}

/// `GET /v1/exports/{act}`: what two people agreed on, as a stream of ciphertext for one of the two. One that fails on the
/// way breaks off.
pub(super) async fn export(call: Call, request: HttpRequest) -> Answer {
    let id = act_id(&request)?;
    let pieces = export::download(&call.state.vault, &call.asker, id).await?;
    let stream = futures_util::stream::unfold(pieces, |mut pieces| async move {
        let piece = pieces.recv().await?;
        // The answer has begun, so there is no place left for a problem document: the connection breaks off.
        Some((piece.map(Bytes::from).map_err(|_| std::io::Error::other("the export failed")), pieces))
    });
    Ok(start(StatusCode::OK).content_type("application/octet-stream").streaming(stream))
}

pub(super) async fn ask(call: Call, what: ActKind) -> Answer {
    json(StatusCode::ACCEPTED, &acts::ask(&call.state.vault, &call.asker, what).await?)
}

fn act_id(request: &HttpRequest) -> Result<ActId, Refusal> {
    let text = request.match_info().get("act").unwrap_or_default();
    text.parse().map_err(|bad| Refusal::from(bad).at("act_id"))
}
