//! A merchant's connector accounts and how they do. What the vault keeps of them, it keeps: no credential is asked for here.

use std::collections::BTreeMap;

use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use maud::{Markup, html};
use strongroom_wire::limits;

use super::Dashboard;
use super::fields::Fields;
use super::page::{Frame, Here, payment_link};
use super::trouble::Trouble;
use super::words::{Tone, badge, free, span, when};
use crate::account::{Accepts, ConnectorAccount};
use crate::api::Api;
use crate::intent::{AttemptStatus, Payment};
use crate::routing::{Health, Pulse, word};
use crate::store::PaymentFilter;

/// What became of an account's recent attempts.
#[derive(Default)]
struct Record<'a> {
    went_well: u32,
    failed: u32,
    open: u32,
    last_failure: Option<(&'a Payment, &'a str)>,
}

/// `GET /dashboard/connectors`.
pub(super) async fn show(
    dashboard: Data<Dashboard>,
    api: Data<Api>,
    request: HttpRequest,
) -> Result<HttpResponse, Trouble> {
    let mut query = Fields::of_query(&request)?;
    let merchant = query.merchant()?;
    query.end()?;
    let frame = Frame::open(&dashboard, &api, &request, merchant).await?;
    let merchant = match frame.merchant(Here::Connectors) {
        Ok(merchant) => merchant,
        Err(page) => return Ok(*page),
    };
    let accounts = api.engine.accounts(merchant).await?;
    let recent = api.engine.store().payments(merchant, &PaymentFilter::default(), limits::PAGE_ITEMS_MAX).await?;
    let records = records(&recent);
    let now_ms = api.engine.now_ms();
    let none = Record::default();
    let body = html! {
        h1 { "Connectors" }
        p.lead {
            "Health is what this server has seen itself. Attempts are those of the merchant's newest " (recent.len()) " payments."
        }
        @if accounts.is_empty() { section.card { p.none { "The merchant has no connector account yet." } } }
        @for account in &accounts {
            @let health = api.engine.breakers.health(&account.account_id, now_ms);
            @let record = records.get(account.account_id.as_str()).unwrap_or(&none);
            section.card.account id={ "account-" (account.account_id) } aria-labelledby={ "label-" (account.account_id) } {
                div.head {
                    h2 id={ "label-" (account.account_id) } { (free(&account.label)) }
                    @if account.disabled { (badge(Tone::Quiet, "disabled")) } @else { (badge(Tone::Good, "enabled")) }
                    (pulse(&health, now_ms))
                    @if account.test_mode { (badge(Tone::Quiet, "test account")) }
                    code.push { (account.account_id) }
                }
                div.row {
                    (setup(account))
                    (outcomes(&health, record))
                }
            }
        }
    };
    Ok(frame.show(Here::Connectors, "Connectors", &body))
}

fn pulse(health: &Health, now_ms: i64) -> Markup {
    match health.pulse {
        Pulse::Works => badge(Tone::Good, "works"),
        Pulse::RestsUntil(until_ms) => badge(Tone::Bad, &format!("rests for {} after faults", span(until_ms - now_ms))),
        Pulse::Tried => badge(Tone::Open, "being tried again"),
    }
}

fn setup(account: &ConnectorAccount) -> Markup {
    let Accepts { currencies, countries, card_networks, minimum_amount, maximum_amount } = &account.accepts;
    let list = |words: Vec<&str>| if words.is_empty() { "all".to_owned() } else { words.join(", ") };
    html! {
        dl.facts {
            dt { "Connector" } dd { (account.connector) }
            dt { "Reached by" } dd { code { "[psp." (account.destination()) "]" } }
            dt { "Currencies" } dd { (list(currencies.iter().map(|one| one.as_str()).collect())) }
            dt { "Card networks" } dd { (list(card_networks.iter().filter_map(|one| word(*one)).collect())) }
            dt { "Countries" } dd { (list(countries.iter().map(String::as_str).collect())) }
            @if minimum_amount.is_some() || maximum_amount.is_some() {
                dt { "Amounts (minor units)" }
                dd { (minimum_amount.unwrap_or(0)) " to " @match maximum_amount { Some(most) => (most), None => "no end" } }
            }
            dt { "Credentials" }
            dd {
                "in the vault" @if account.has_webhook_secret { ", with a webhook secret" } @else { ", without a webhook secret" }
                @if let Some(at) = account.rotated_ms { ", rotated " (when(at)) }
            }
            dt { "Made" } dd { (when(account.created_ms)) }
        }
    }
}

fn outcomes(health: &Health, record: &Record<'_>) -> Markup {
    html! {
        dl.facts {
            dt { "Last 30 seconds" } dd { (health.good) " requests went well, " (health.faults) " met a fault of the provider" }
            dt { "Recent attempts" }
            dd { (record.went_well) " authorized, " (record.failed) " failed, " (record.open) " open" }
            @if let Some((payment, why)) = record.last_failure {
                dt { "Last failure" }
                dd { (payment_link(&payment.merchant_id, &payment.payment_id)) ", " (when(payment.created_ms)) ": " (free(why)) }
            }
        }
    }
}

fn records(recent: &[Payment]) -> BTreeMap<&str, Record<'_>> {
    let mut records: BTreeMap<&str, Record<'_>> = BTreeMap::new();
    // Newest first, so that the first failure that is met is the last that happened.
    for payment in recent {
        for attempt in payment.attempts.iter().rev() {
            let record = records.entry(&attempt.account_id).or_default();
            match attempt.status {
                AttemptStatus::Authorized | AttemptStatus::Charged | AttemptStatus::Voided => record.went_well += 1,
                AttemptStatus::Pending | AttemptStatus::AuthenticationPending => record.open += 1,
                AttemptStatus::Failure => {
                    record.failed += 1;
                    let why = attempt.error_message.as_deref().or(attempt.error_code.as_deref()).unwrap_or("no reason");
                    record.last_failure.get_or_insert((payment, why));
                }
            }
        }
    }
    records
}
