//! The list of what a merchant was told, and how the deliveries go.

use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use maud::{Markup, html};
use strongroom_wire::{TenantId, limits};

use super::Dashboard;
use super::fields::Fields;
use super::page::{Frame, Here, payment_link};
use super::trouble::Trouble;
use super::words::{Tone, badge, free, plain, span, when};
use crate::api::Api;
use crate::store::{OutboxEvent, OutboxState};

/// `GET /dashboard/webhooks`.
pub(super) async fn show(
    dashboard: Data<Dashboard>,
    api: Data<Api>,
    request: HttpRequest,
) -> Result<HttpResponse, Trouble> {
    let mut query = Fields::of_query(&request)?;
    let merchant = query.merchant()?;
    let payment = query.one("payment")?;
    let before: Option<i64> = query.word("cursor", |text| text.parse().ok())?;
    query.end()?;
    let frame = Frame::open(&dashboard, &api, &request, merchant).await?;
    let merchant = match frame.merchant(Here::Webhooks) {
        Ok(merchant) => merchant,
        Err(page) => return Ok(*page),
    };
    let store = api.engine.store();
    let receiver = store.merchant(merchant).await?.and_then(|merchant| merchant.webhooks.url);
    let payment = payment.as_deref().map(str::trim);
    let mut events = store.outbox_events(merchant, payment, before, limits::PAGE_ITEMS_DEFAULT + 1).await?;
    let most = usize::try_from(limits::PAGE_ITEMS_DEFAULT).unwrap_or(usize::MAX);
    let has_more = events.len() > most;
    events.truncate(most);
    let older = events.last().filter(|_| has_more).map(|last| last.seq.to_string());
    let link = |cursor: Option<&str>| {
        let fields = [("merchant", Some(merchant.as_str())), ("payment", payment), ("cursor", cursor)];
        let fields: Vec<_> = fields.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
        format!("/dashboard/webhooks?{}", serde_urlencoded::to_string(fields).unwrap_or_default())
    };
    let body = html! {
        h1 { "Webhooks to the merchant" }
        p.lead {
            @match &receiver { Some(url) => { "Sent to " code { (free(url)) } "." }, None => "The merchant has named no receiver, so nothing is sent." }
            " What was delivered or given up is listed for a while and then forgotten."
        }
        form.card method="get" action="/dashboard/webhooks" {
            input type="hidden" name="merchant" value=(merchant);
            div.filters {
                div {
                    label for="payment" { "Payment id" }
                    input type="search" name="payment" id="payment" maxlength=(limits::CURSOR_CHARS_MAX) spellcheck="false" value=[payment];
                }
                button.main type="submit" id="filter" { "Filter" }
                a.button href={ "/dashboard/webhooks?merchant=" (merchant) } { "Clear" }
            }
        }
        section.card aria-label="Deliveries" {
            @if events.is_empty() { p.none { "There is none." } } @else { (table(merchant, &events, api.engine.now_ms())) }
            div.pages {
                @if before.is_some() { a.button href=(link(None)) id="newest" { "Newest" } }
                @if let Some(older) = &older { a.button href=(link(Some(older))) id="older" { "Older" } }
            }
        }
    };
    Ok(frame.show(Here::Webhooks, "Webhooks", &body))
}

fn table(merchant: &TenantId, events: &[OutboxEvent], now_ms: i64) -> Markup {
    html! {
        div.scroll {
            table id="deliveries" {
                thead {
                    tr {
                        th scope="col" { "Made" } th scope="col" { "Event" } th scope="col" { "Type" } th scope="col" { "Payment" }
                        th scope="col" { "Delivery" } th.num scope="col" { "Failed tries" } th.num scope="col" { "Last answer" }
                    }
                }
                tbody {
                    @for event in events {
                        tr {
                            td.keep { (when(event.created_ms)) }
                            th scope="row" { a href={ "/dashboard/webhooks/" (merchant) "/" (event.event_id) } { (event.event_id) } }
                            td { (plain(&event.event_type)) }
                            td { (payment_link(merchant, &event.payment_id)) }
                            td { (delivery(event, now_ms)) }
                            td.num { (event.tries) }
                            td.num { (last_answer(event)) }
                        }
                    }
                }
            }
        }
    }
}

/// How a delivery stands.
pub(super) fn delivery(event: &OutboxEvent, now_ms: i64) -> Markup {
    match event.state {
        OutboxState::Waiting if event.due_ms > now_ms => {
            badge(Tone::Open, &format!("waits, next try in {}", span(event.due_ms - now_ms)))
        }
        OutboxState::Waiting => badge(Tone::Open, "waits, due"),
        OutboxState::Delivered => badge(Tone::Good, "delivered"),
        OutboxState::GivenUp => badge(Tone::Bad, "given up"),
    }
}

/// What the receiver answered last.
pub(super) fn last_answer(event: &OutboxEvent) -> String {
    match event.last_status {
        Some(status) => status.to_string(),
        None if event.tries > 0 => "none".to_owned(),
        None => "–".to_owned(),
    }
}
