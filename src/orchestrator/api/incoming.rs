//! Where providers tell what happened. No API key: the provider's signature is the authentication.

use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::web::{Bytes, Data, Path, Payload};
use actix_web::{HttpRequest, HttpResponse};
use futures_util::StreamExt as _;
use strongroom_wire::limits;

use super::Api;
use super::answer::Refusal;
use crate::connector::WebhookCall;
use crate::webhook::Receipt;

/// `POST /webhooks/{merchant_id}/{merchant_connector_id}`.
pub(crate) async fn receive(
    api: Data<Api>,
    request: HttpRequest,
    path: Path<(String, String)>,
    payload: Payload,
) -> Result<HttpResponse, Refusal> {
    let late = |_| Refusal::new(408, "IR_06", "The body did not arrive in time");
    let body = tokio::time::timeout(PATIENCE, read(payload)).await.map_err(late)??;
    let headers: Vec<(String, String)> = request
        .headers()
        .iter()
        .filter_map(|(name, value)| Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned())))
        .collect();
    let engine = api.engine.clone();
    let door = api.door.clone();
    // What was begun is ended also when the provider hangs up.
    let judged = tokio::spawn(async move {
        let call = WebhookCall { headers: &headers, body: &body, now_ms: engine.now_ms() };
        door.receive(&engine, &path.0, &path.1, &call).await
    });
    match judged.await.unwrap_or(Receipt::Later) {
        Receipt::Taken(receipt) => Ok(HttpResponse::Ok().content_type("text/plain").body(receipt)),
        // The same for a merchant or account that does not exist: nobody learns here which there are.
        Receipt::Refused => Err(Refusal::new(401, "IR_01", "The webhook is not signed by a provider of this account")),
        Receipt::Unreadable => Err(Refusal::new(400, "IR_06", "The webhook is signed but of no form that is known")),
        Receipt::Later => Err(Refusal::new(503, "HE_00", "The webhook cannot be judged yet: send it again")),
        Receipt::TooMany => Err(Refusal::new(429, "HE_00", "Too many webhooks at a time: send it again")),
    }
}

async fn read(mut payload: Payload) -> Result<Bytes, Refusal> {
    let mut body = Vec::new();
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|_| Refusal::new(400, "IR_06", "The body did not arrive in full"))?;
        if body.len() + chunk.len() > limits::WEBHOOK_BODY_BYTES_MAX {
            let status = StatusCode::PAYLOAD_TOO_LARGE.as_u16();
            return Err(Refusal::new(status, "IR_06", "The body is larger than 262144 bytes"));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.into())
}

/// How long a body may take.
const PATIENCE: Duration = Duration::from_secs(10);
