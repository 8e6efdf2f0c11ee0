//! Custody on the admin listener: the Root in force and the one to come, its shares, its change, acknowledgements.

use actix_web::http::StatusCode;
use strongroom_wire::acts::ActKind;
use strongroom_wire::custody::{AcknowledgeRequest, ChangeRootRequest};

use super::acts::ask;
use super::answer::{Answer, json, start};
use super::body::Body;
use super::call::Call;
use super::whole::whole;
use crate::flow::custody;

/// `GET /v1/root`. It answers while sealed.
pub(super) async fn root(call: Call) -> Answer {
    json(StatusCode::OK, &custody::status(&call.state.vault, &call.asker).await?)
}

/// `POST /v1/root/next/shares`: one custodian's share of the Root to come.
pub(super) async fn share(call: Call, mut body: Body) -> Answer {
    let given = async move { custody::give_next(&call.state.vault, &call.asker, &mut body.0).await };
    json(StatusCode::OK, &whole(given).await?)
}

/// `DELETE /v1/root/next/shares`: forget the shares that are in, and the Root that they brought.
pub(super) async fn forget(call: Call) -> Answer {
    custody::forget_next(&call.state.vault, &call.asker).await?;
    Ok(start(StatusCode::NO_CONTENT).finish())
}

/// `POST /v1/root/change`: an act of two people.
pub(super) async fn change(call: Call, body: Body) -> Answer {
    let asked: ChangeRootRequest = body.json()?;
    ask(call, ActKind::ChangeRoot(asked)).await
}

/// `DELETE /v1/root/change`: give the open change up.
pub(super) async fn abandon(call: Call) -> Answer {
    let abandoned = async move { custody::abandon(&call.state.vault, &call.asker).await };
    json(StatusCode::OK, &whole(abandoned).await?)
}

/// `POST /v1/custodians/acknowledgement`. It answers while sealed.
pub(super) async fn acknowledge(call: Call, body: Body) -> Answer {
    let asked: AcknowledgeRequest = body.json()?;
    let recorded = async move { custody::acknowledge(&call.state.vault, &call.asker, asked).await };
    json(StatusCode::OK, &whole(recorded).await?)
}

/// `GET /v1/custodians`. It answers while sealed.
pub(super) async fn custodians(call: Call) -> Answer {
    json(StatusCode::OK, &custody::acknowledgements(&call.state.vault, &call.asker).await?)
}
