//! Acts that need two people: asked for here, approved here by another one.

use actix_web::HttpRequest;
use actix_web::http::StatusCode;
use strongroom_wire::ActId;
use strongroom_wire::acts::{ActKind, DestroyKey};

use super::answer::{Answer, json};
use super::body::Body;
use super::call::Call;
use super::problem::Refusal;
use super::whole::whole;
use crate::flow::acts;

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

async fn ask(call: Call, what: ActKind) -> Answer {
    json(StatusCode::ACCEPTED, &acts::ask(&call.state.vault, &call.asker, what).await?)
}

fn act_id(request: &HttpRequest) -> Result<ActId, Refusal> {
    let text = request.match_info().get("act").unwrap_or_default();
    text.parse().map_err(|bad| Refusal::from(bad).at("act_id"))
}
