//! What a merchant was told: listed, shown, sent again. By the merchant's API key or the admin key.

use actix_web::web::{Data, Path, Query};
use actix_web::{HttpRequest, HttpResponse};
use serde::Deserialize;
use serde_json::{Value, json};
use strongroom_wire::{TenantId, limits};

use super::answer::{Answer, Refusal};
use super::once::{Subject, once};
use super::{Api, who};
use crate::clock::rfc3339;
use crate::intent::Fault;
use crate::store::{OutboxEvent, OutboxState};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListQuery {
    payment_id: Option<String>,
    #[serde(default = "default_limit")]
    limit: u32,
    cursor: Option<String>,
}

fn default_limit() -> u32 {
    limits::PAGE_ITEMS_DEFAULT
}

/// `GET /events/{merchant_id}`: newest first.
pub(crate) async fn list(
    api: Data<Api>,
    request: HttpRequest,
    id: Path<String>,
    query: Query<ListQuery>,
) -> Result<HttpResponse, Refusal> {
    let merchant = who::merchant_or_admin(&api, &request, &id).await?;
    if !(1..=limits::PAGE_ITEMS_MAX).contains(&query.limit) {
        return Err(Fault::Invalid { field: "limit", reason: "1 to 100" }.into());
    }
    let before = match &query.cursor {
        None => None,
        Some(cursor) => {
            Some(cursor.parse().map_err(|_| Fault::Invalid { field: "cursor", reason: "next_cursor of a list" })?)
        }
    };
    let payment_id = query.payment_id.as_deref();
    // One more than asked for says whether there is a next page.
    let mut events = api.engine.store().outbox_events(&merchant, payment_id, before, query.limit + 1).await?;
    let has_more = events.len() > usize::try_from(query.limit).unwrap_or(usize::MAX);
    if has_more {
        events.pop();
    }
    let next = events.last().filter(|_| has_more).map(|event| event.seq.to_string());
    Ok(Answer::ok(&json!({"items": events.iter().map(show).collect::<Vec<_>>(), "next_cursor": next})).into())
}

/// `GET /events/{merchant_id}/{event_id}`: with the body as it is sent.
pub(crate) async fn retrieve(
    api: Data<Api>,
    request: HttpRequest,
    path: Path<(String, String)>,
) -> Result<HttpResponse, Refusal> {
    let merchant = who::merchant_or_admin(&api, &request, &path.0).await?;
    Ok(Answer::ok(&show_whole(&find(&api, &merchant, &path.1).await?)).into())
}

/// `POST /events/{merchant_id}/{event_id}/retry`: sent again at once, whether it was taken or given up or still waits.
pub(crate) async fn retry(
    api: Data<Api>,
    request: HttpRequest,
    path: Path<(String, String)>,
) -> Result<HttpResponse, Refusal> {
    let merchant = who::merchant_or_admin(&api, &request, &path.0).await?;
    let (again, tenant, id) = (api.clone(), merchant.clone(), path.1.clone());
    let work = async move {
        if !again.engine.store().replay_event(&tenant, &id, again.engine.now_ms()).await? {
            return Err(Fault::NotFound("Event").into());
        }
        again.engine.news.notify_one();
        Ok(Answer::ok(&show_whole(&find(&again, &tenant, &id).await?)))
    };
    Ok(once(&api, &request, &merchant, b"", Subject::Setting, work).await?.into())
}

async fn find(api: &Api, merchant: &TenantId, event_id: &str) -> Result<OutboxEvent, Refusal> {
    Ok(api.engine.store().outbox_event(merchant, event_id).await?.ok_or(Fault::NotFound("Event"))?)
}

fn show(event: &OutboxEvent) -> Value {
    let waits = event.state == OutboxState::Waiting;
    json!({
        "event_id": event.event_id,
        "merchant_id": event.merchant_id,
        "event_type": event.event_type,
        "payment_id": event.payment_id,
        "created": rfc3339(event.created_ms),
        "delivery_state": event.state,
        "failed_attempts": event.tries,
        "last_status": event.last_status,
        "next_attempt_at": waits.then(|| rfc3339(event.due_ms)),
        "delivered_at": event.delivered_ms.map(rfc3339),
    })
}

fn show_whole(event: &OutboxEvent) -> Value {
    let mut shown = show(event);
    shown["request"] = json!({"body": event.body});
    shown
}
