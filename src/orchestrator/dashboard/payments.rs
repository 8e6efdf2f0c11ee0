//! The list of a merchant's payments: filtered, page by page, newest first.

use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use maud::{Markup, html};
use strongroom_wire::{TenantId, limits};

use super::Dashboard;
use super::fields::{Fields, place};
use super::page::{Frame, Here, payment_link};
use super::trouble::{Trouble, see_other};
use super::words::{amount, card, plain, state, when};
use crate::api::{Api, PAYMENTS, cursor};
use crate::clock::rfc3339;
use crate::intent::{Payment, State};
use crate::store::PaymentFilter;

/// What somebody asked to see.
#[derive(Default)]
struct Asked {
    state: Option<State>,
    connector: Option<String>,
    from_ms: Option<i64>,
    until_ms: Option<i64>,
    id: Option<String>,
    cursor: Option<String>,
}

/// `GET /dashboard/payments`.
pub(super) async fn show(
    dashboard: Data<Dashboard>,
    api: Data<Api>,
    request: HttpRequest,
) -> Result<HttpResponse, Trouble> {
    let mut query = Fields::of_query(&request)?;
    let merchant = query.merchant()?;
    let asked = Asked {
        state: query.word("state", |word| State::ALL.into_iter().find(|state| state.word() == word))?,
        connector: query.word("connector", |name| api.engine.connector(name).map(|_| name.to_owned()))?,
        from_ms: query.time("from")?,
        until_ms: query.time("until")?,
        id: query.one("id")?,
        cursor: query.one("cursor")?,
    };
    query.end()?;
    let before = place(PAYMENTS, asked.cursor.as_deref())?;
    let frame = Frame::open(&dashboard, &api, &request, merchant).await?;
    let merchant = match frame.merchant(Here::Payments) {
        Ok(merchant) => merchant,
        Err(page) => return Ok(*page),
    };
    if let Some(id) = asked.id.as_deref().map(str::trim)
        && let Some(found) = find(&api, merchant, id).await?
    {
        return Ok(see_other(&format!("/dashboard/payments/{merchant}/{found}")));
    }
    let filter = PaymentFilter {
        status: asked.state.into_iter().collect(),
        connector: asked.connector.clone().into_iter().collect(),
        created_from_ms: asked.from_ms,
        // Whoever names a minute or second means all of it.
        created_until_ms: asked
            .until_ms
            .map(|until| until.saturating_add(if until % 60_000 == 0 { 59_999 } else { 999 })),
        before,
        ..PaymentFilter::default()
    };
    let mut found = match asked.id {
        Some(_) => Vec::new(),
        None => api.engine.store().payments(merchant, &filter, limits::PAGE_ITEMS_DEFAULT + 1).await?,
    };
    let most = usize::try_from(limits::PAGE_ITEMS_DEFAULT).unwrap_or(usize::MAX);
    let has_more = found.len() > most;
    found.truncate(most);
    let older = found.last().filter(|_| has_more).map(|last| cursor(PAYMENTS, last.created_ms, &last.payment_id));
    let connectors: Vec<&str> = api.engine.connectors.iter().map(|connector| connector.name()).collect();
    let body = html! {
        h1 { "Payments" }
        p.lead { "Newest first. Times are UTC." }
        (filters(merchant, &asked, &connectors))
        section.card aria-label="Payments" {
            @if let Some(id) = &asked.id {
                p.none id="not-found" { "This merchant has no payment and no refund with the id " code { (super::words::free(id)) } "." }
            } @else if found.is_empty() {
                p.none id="not-found" { "No payment is like that." }
            } @else {
                (table(merchant, &found))
            }
            div.pages {
                @if asked.cursor.is_some() { a.button href=(link(merchant, &asked, None)) id="newest" { "Newest" } }
                @if let Some(older) = &older { a.button href=(link(merchant, &asked, Some(older))) id="older" { "Older" } }
            }
        }
    };
    Ok(frame.show(Here::Payments, "Payments", &body))
}

/// The address of the list of payments in a state, made from then on.
pub(super) fn address(merchant: &str, state: State, from_ms: i64) -> String {
    format!("/dashboard/payments?merchant={merchant}&state={}&from={}", state.word(), local(from_ms))
}

/// The payment that has this id, or a refund of it.
async fn find(api: &Api, merchant: &TenantId, id: &str) -> Result<Option<String>, Trouble> {
    let store = api.engine.store();
    if let Some((payment, _)) = store.payment(merchant, id).await? {
        return Ok(Some(payment.payment_id));
    }
    Ok(store.payment_of_refund(merchant, id).await?.map(|(payment, _)| payment.payment_id))
}

fn table(merchant: &TenantId, found: &[Payment]) -> Markup {
    html! {
        div.scroll {
            table id="payments" {
                thead {
                    tr {
                        th scope="col" { "Made" } th scope="col" { "Payment" } th scope="col" { "State" }
                        th.num scope="col" { "Amount" } th scope="col" { "Card" } th scope="col" { "Connector" }
                        th.num scope="col" { "Attempts" } th scope="col" { "Customer" }
                    }
                }
                tbody {
                    @for payment in found {
                        tr {
                            td.keep { (when(payment.created_ms)) }
                            th scope="row" { (payment_link(merchant, &payment.payment_id)) }
                            td { (state(payment.state)) }
                            td.num { (amount(payment.terms.amount_minor, payment.terms.currency)) }
                            td.keep { @if let Some(method) = &payment.method { (card(&method.card)) } }
                            td { (payment.last_attempt().map_or("–", |last| last.connector.as_str())) }
                            td.num { (payment.attempts.len()) }
                            td { @if let Some(customer) = &payment.terms.customer_id { (super::words::free(customer.as_str())) } }
                        }
                    }
                }
            }
        }
    }
}

fn filters(merchant: &TenantId, asked: &Asked, connectors: &[&str]) -> Markup {
    html! {
        form.card method="get" action="/dashboard/payments" id="filters" {
            input type="hidden" name="merchant" value=(merchant);
            div.filters {
                div {
                    label for="state" { "State" }
                    select name="state" id="state" {
                        option value="" { "all" }
                        @for one in State::ALL {
                            option value=(one.word()) selected[asked.state == Some(one)] { (plain(one.word())) }
                        }
                    }
                }
                div {
                    label for="connector" { "Connector" }
                    select name="connector" id="connector" {
                        option value="" { "all" }
                        @for one in connectors {
                            option value=(one) selected[asked.connector.as_deref() == Some(*one)] { (one) }
                        }
                    }
                }
                div { label for="from" { "Made from (UTC)" } input type="datetime-local" name="from" id="from" value=[asked.from_ms.map(local)]; }
                div { label for="until" { "until" } input type="datetime-local" name="until" id="until" value=[asked.until_ms.map(local)]; }
                div {
                    label for="id" { "Payment or refund id" }
                    input type="search" name="id" id="id" maxlength=(limits::CURSOR_CHARS_MAX) spellcheck="false" value=[asked.id.as_deref()];
                }
                button.main type="submit" id="filter" { "Filter" }
                a.button href={ "/dashboard/payments?merchant=" (merchant) } { "Clear" }
            }
        }
    }
}

fn link(merchant: &TenantId, asked: &Asked, cursor: Option<&str>) -> String {
    let fields = [
        ("merchant", Some(merchant.to_string())),
        ("state", asked.state.map(|state| state.word().to_owned())),
        ("connector", asked.connector.clone()),
        ("from", asked.from_ms.map(local)),
        ("until", asked.until_ms.map(local)),
        ("cursor", cursor.map(str::to_owned)),
    ];
    let fields: Vec<_> = fields.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
    format!("/dashboard/payments?{}", serde_urlencoded::to_string(fields).unwrap_or_default())
}

/// A time as `datetime-local` fields take it, in UTC.
fn local(ms: i64) -> String {
    let full = rfc3339(ms);
    full.get(..if ms % 60_000 == 0 { 16 } else { 19 }).unwrap_or_default().to_owned()
}
