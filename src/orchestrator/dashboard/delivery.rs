//! One event for a merchant: what is sent, how its delivery goes, and sending it again.

use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use maud::{Markup, html};
use serde_json::Value;
use strongroom_wire::{TenantId, limits};

use super::deliveries::{delivery, last_answer};
use super::fields::Fields;
use super::login::Body;
use super::operators::Role;
use super::page::{Frame, Here, payment_link};
use super::trouble::{Trouble, see_other};
use super::words::{free, plain, when};
use super::{Dashboard, session};
use crate::api::Api;
use crate::store::OutboxEvent;

/// `GET /dashboard/webhooks/{merchant_id}/{event_id}`.
pub(super) async fn show(
    dashboard: Data<Dashboard>,
    api: Data<Api>,
    request: HttpRequest,
    path: Path<(String, String)>,
) -> Result<HttpResponse, Trouble> {
    let mut query = Fields::of_query(&request)?;
    let is_replayed = query.one("replayed")?.is_some();
    query.end()?;
    let merchant = merchant(&path.0)?;
    let frame = Frame::open(&dashboard, &api, &request, Some(merchant.clone())).await?;
    let event = find(&api, &merchant, &path.1).await?;
    let body = html! {
        p { a href={ "/dashboard/webhooks?merchant=" (merchant) } { "← Webhooks" } }
        div.head { h1 id="event" { (event.event_id) } (delivery(&event, api.engine.now_ms())) }
        @if is_replayed { div.notice.good role="status" id="replayed" { p { "It is sent again now. Load this page again to see how it went." } } }
        section.card aria-label="Delivery" {
            dl.facts {
                dt { "Type" } dd { (plain(&event.event_type)) }
                dt { "Payment" } dd { (payment_link(&merchant, &event.payment_id)) }
                dt { "Made" } dd { (when(event.created_ms)) }
                dt { "Failed tries" } dd { (event.tries) }
                dt { "Last answer" } dd { (last_answer(&event)) }
                @if let Some(at) = event.delivered_ms { dt { "Delivered" } dd { (when(at)) } }
            }
        }
        (again(&frame, &merchant, &event))
        section.card aria-labelledby="body-title" {
            h2 id="body-title" { "What is sent" }
            p.fine { "Without the payment's client secret, which only the receiver gets." }
            pre tabindex="0" { (free(&shown(&event.body))) }
        }
    };
    Ok(frame.show(Here::Webhooks, &event.event_id, &body))
}

/// `POST /dashboard/webhooks/{merchant_id}/{event_id}`: sent again at once, whether it was taken or given up or still waits.
pub(super) async fn replay(
    dashboard: Data<Dashboard>,
    api: Data<Api>,
    request: HttpRequest,
    path: Path<(String, String)>,
    Body(body): Body,
) -> Result<HttpResponse, Trouble> {
    let (visitor, fields) = session::form((&dashboard, &api), &request, body, limits::DASHBOARD_FORM_BYTES_MAX).await?;
    visitor.may_edit()?;
    fields.end()?;
    let merchant = merchant(&path.0)?;
    let event = find(&api, &merchant, &path.1).await?;
    if !api.engine.store().replay_event(&merchant, &event.event_id, api.engine.now_ms()).await? {
        return Err(Trouble::NotFound("webhook"));
    }
    api.engine.news.notify_one();
    tracing::info!(
        event = "operator_replay",
        operator = visitor.name.as_str(),
        merchant_id = merchant.as_str(),
        event_id = event.event_id.as_str(),
        "an operator sent a webhook again"
    );
    Ok(see_other(&format!("/dashboard/webhooks/{merchant}/{}?replayed=1", event.event_id)))
}

fn merchant(text: &str) -> Result<TenantId, Trouble> {
    text.parse().map_err(|_| Trouble::NotFound("merchant"))
}

async fn find(api: &Api, merchant: &TenantId, event_id: &str) -> Result<OutboxEvent, Trouble> {
    api.engine.store().outbox_event(merchant, event_id).await?.ok_or(Trouble::NotFound("webhook"))
}

/// Asks once more before anything is sent: the merchant may act on what it gets twice.
fn again(frame: &Frame, merchant: &TenantId, event: &OutboxEvent) -> Markup {
    html! {
        section.card aria-labelledby="again-title" {
            h2 id="again-title" { "Send it again" }
            @if frame.visitor.role == Role::Editor {
                details id="replay" {
                    summary { "Send this event again…" }
                    form method="post" action={ "/dashboard/webhooks/" (merchant) "/" (event.event_id) } {
                        (frame.token())
                        p {
                            "The receiver gets the same body under the same event id, also if it took it before. Later events of "
                            "this payment wait until this one is taken or given up."
                        }
                        button.main type="submit" id="replay-confirm" { "Yes, send it again" }
                    }
                }
            } @else {
                p.none { "An editor may send this event again." }
            }
        }
    }
}

/// The body for people, without what lets a browser act on the payment.
fn shown(body: &str) -> String {
    let Ok(mut value) = serde_json::from_str::<Value>(body) else { return String::new() };
    without_secrets(&mut value);
    serde_json::to_string_pretty(&value).unwrap_or_default()
}

fn without_secrets(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.remove("client_secret");
            fields.values_mut().for_each(without_secrets);
        }
        Value::Array(items) => items.iter_mut().for_each(without_secrets),
        _ => {}
    }
}
