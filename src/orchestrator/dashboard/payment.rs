//! One payment: what was agreed, what happened, and what was tried where.

use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use maud::{Markup, html};
use serde_json::Value;
use strongroom_wire::{TenantId, limits};

use super::Dashboard;
use super::page::{Frame, Here};
use super::timeline::{Moment, moments};
use super::trouble::Trouble;
use super::words::{self, Tone, amount, free, moment, span, state, when};
use crate::account::ConnectorAccount;
use crate::api::Api;
use crate::intent::Payment;

/// `GET /dashboard/payments/{merchant_id}/{payment_id}`.
pub(super) async fn show(
    dashboard: Data<Dashboard>,
    api: Data<Api>,
    request: HttpRequest,
    path: Path<(String, String)>,
) -> Result<HttpResponse, Trouble> {
    let merchant: TenantId = path.0.parse().map_err(|_| Trouble::NotFound("merchant"))?;
    let frame = Frame::open(&dashboard, &api, &request, Some(merchant.clone())).await?;
    let (payment, _) = api.engine.payment(&merchant, &path.1).await?;
    let store = api.engine.store();
    let told = store.outbox_events(&merchant, Some(&payment.payment_id), None, limits::PAGE_ITEMS_MAX).await?;
    let heard = store.seen_events(&merchant, &payment.payment_id, limits::PAGE_ITEMS_MAX).await?;
    // Deleted ones, too: an older payment may have been made there.
    let accounts = store.connector_accounts(&merchant).await?;
    let moments = moments(&payment, &told, &heard, api.engine.now_ms());
    let body = html! {
        p { a href={ "/dashboard/payments?merchant=" (merchant) } { "← Payments" } }
        div.head { h1 id="payment" { (payment.payment_id) } (state(payment.state)) }
        dl.tiles {
            div.tile { dt { "Amount" } dd { (amount(payment.terms.amount_minor, payment.terms.currency)) } }
            div.tile { dt { "Taken" } dd { (amount(payment.captured_minor, payment.terms.currency)) } }
            div.tile { dt { "Refunded" } dd { (amount(payment.refunded_minor(), payment.terms.currency)) } }
            div.tile { dt { "Attempts" } dd { (payment.attempts.len()) } }
        }
        div.row {
            section.card aria-labelledby="timeline-title" {
                h2 id="timeline-title" { "Timeline" }
                p.fine { (when(payment.created_ms)) " UTC and after" }
                (timeline(&moments))
            }
            div {
                section.card aria-labelledby="facts-title" { h2 id="facts-title" { "What was agreed" } (facts(&payment)) }
                (notes(&payment))
            }
        }
        (attempts(&payment, &accounts))
        (parts(&payment))
    };
    Ok(frame.show(Here::Payments, &payment.payment_id, &body))
}

fn timeline(moments: &[Moment]) -> Markup {
    html! {
        ol.timeline id="timeline" {
            @for one in moments {
                @let tone = match one.tone { Tone::Good => "good", Tone::Held => "held", Tone::Open => "open", Tone::Bad => "bad", Tone::Quiet => "quiet" };
                li class=(tone) {
                    span.what { (one.what) }
                    span.at { (moment(one.at_ms)) }
                    p { (one.more) @if let Some(theirs) = &one.theirs { ". " (free(theirs)) } }
                }
            }
        }
    }
}

fn facts(payment: &Payment) -> Markup {
    let terms = &payment.terms;
    let extra = |name: &str| terms.extra.get(name).and_then(Value::as_str);
    html! {
        dl.facts {
            dt { "Merchant" } dd { (payment.merchant_id) }
            dt { "Card" }
            dd {
                @match &payment.method {
                    Some(method) => {
                        (words::card(&method.card)) ", " (format!("{:02}/{}", method.card.exp_month, method.card.exp_year))
                        @if method.kept { " · kept for the customer" }
                    },
                    None => "none yet",
                }
            }
            dt { "Customer" }
            dd {
                @match &terms.customer_id { Some(id) => (free(id.as_str())), None => "none" }
                @for text in ["name", "email"].into_iter().filter_map(extra) { " · " (free(text)) }
            }
            @if let Some(text) = &terms.description { dt { "Description" } dd { (free(text)) } }
            @if let Some(text) = &terms.statement_descriptor { dt { "On the statement" } dd { (free(text)) } }
            dt { "Capture" } dd { (words::plain(terms.capture.word())) @if let Some(at) = terms.capture_on_ms { ", on " (when(at)) } }
            dt { "Payer" } dd { @if terms.off_session { "away" } @else { "there" } @if terms.three_ds { " · authentication wished" } }
            @if let Some(text) = &payment.cancellation_reason { dt { "Cancelled because" } dd { (free(text)) } }
            @if let Some(at) = payment.authorized_until_ms.filter(|_| payment.is_reserved()) { dt { "Reserved until" } dd { (when(at)) } }
            dt { "Made" } dd { (when(payment.created_ms)) }
            dt { "Changed" } dd { (when(payment.modified_ms)) " (" (span(payment.modified_ms - payment.created_ms)) " later)" }
        }
    }
}

fn notes(payment: &Payment) -> Markup {
    let terms = &payment.terms;
    html! {
        @if !terms.metadata.is_empty() {
            section.card aria-labelledby="metadata-title" {
                h2 id="metadata-title" { "Metadata" }
                dl.facts id="metadata" {
                    @for (name, value) in &terms.metadata {
                        dt { (free(name)) }
                        dd { (free(value.as_str().map(str::to_owned).unwrap_or_else(|| value.to_string()).as_str())) }
                    }
                }
            }
        }
    }
}

fn attempts(payment: &Payment, accounts: &[ConnectorAccount]) -> Markup {
    let label =
        |id: &str| accounts.iter().find(|account| account.account_id == id).map_or("", |one| one.label.as_str());
    html! {
        section.card aria-labelledby="attempts-title" {
            h2 id="attempts-title" { "Attempts" }
            @if payment.attempts.is_empty() {
                p.none { "No provider was asked." }
            } @else {
                div.scroll tabindex="0" role="group" aria-label="Table" {
                    table id="attempts" {
                        thead {
                            tr {
                                th scope="col" { "Attempt" } th scope="col" { "Account" } th scope="col" { "Status" }
                                th scope="col" { "Began" } th.num scope="col" { "Took" } th scope="col" { "Id at the provider" }
                                th scope="col" { "Its words" }
                            }
                        }
                        tbody {
                            @for one in &payment.attempts {
                                tr {
                                    th scope="row" { code { (one.attempt_id) } }
                                    td { (one.connector) " · " (free(label(&one.account_id))) br; code { (one.account_id) } }
                                    td { (words::attempt(one.status)) }
                                    td.keep { (moment(one.created_ms)) }
                                    td.num { @match one.ended_ms { Some(ended) => (span(ended - one.created_ms)), None => "–" } }
                                    td { code { (free(one.psp_id.as_deref().unwrap_or("–"))) } }
                                    td {
                                        @if let Some(code) = &one.error_code { code { (free(code)) } " " }
                                        @if let Some(text) = &one.error_message { (free(text)) }
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// Captures, increments and refunds; each table only where there is something.
fn parts(payment: &Payment) -> Markup {
    let money = |minor: u64| amount(minor, payment.terms.currency);
    html! {
        @if !payment.captures.is_empty() {
            (part("Captures", payment.captures.iter().map(|row| html! {
                th scope="row" { code { (row.capture_id) } }
                td.num { (money(row.amount_minor)) } td { (words::capture(row.status)) } td.keep { (when(row.created_ms)) }
                td { @if let Some(text) = &row.error_message { (free(text)) } }
            })))
        }
        @if !payment.increments.is_empty() {
            (part("Raises of what is reserved", payment.increments.iter().map(|row| html! {
                th scope="row" { code { (row.increment_id) } }
                td.num { (money(row.before_minor)) " → " (money(row.total_minor)) } td { (words::capture(row.status)) }
                td.keep { (when(row.created_ms)) }
                td { @if let Some(text) = row.error_message.as_ref().or(row.reason.as_ref()) { (free(text)) } }
            })))
        }
        @if !payment.refunds.is_empty() {
            (part("Refunds", payment.refunds.iter().map(|row| html! {
                th scope="row" { code { (row.refund_id) } }
                td.num { (money(row.amount_minor)) } td { (words::refund(row.status)) } td.keep { (when(row.created_ms)) }
                td { @if let Some(text) = row.error_message.as_ref().or(row.reason.as_ref()) { (free(text)) } }
            })))
        }
    }
}

fn part(title: &str, rows: impl Iterator<Item = Markup>) -> Markup {
    html! {
        section.card {
            h2 { (title) }
            div.scroll tabindex="0" role="group" aria-label="Table" {
                table {
                    thead {
                        tr {
                            th scope="col" { "Id" } th.num scope="col" { "Amount" } th scope="col" { "Status" } th scope="col" { "Asked for" }
                            th scope="col" { "Words" }
                        }
                    }
                    tbody { @for row in rows { tr { (row) } } }
                }
            }
        }
    }
}
