//! The first page: how a merchant's payments go.

use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use maud::{Markup, html};
use strongroom_wire::limits;

use super::chart::{self, Bar};
use super::fields::Fields;
use super::page::{Frame, Here};
use super::trouble::Trouble;
use super::words::{state, when};
use super::{Dashboard, payments};
use crate::api::Api;
use crate::intent::State;
use crate::store::{Tally, TallyRow};

/// How far the page looks back.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Window {
    Day,
    Week,
}

impl Window {
    const ALL: [Window; 2] = [Window::Day, Window::Week];

    fn word(self) -> &'static str {
        match self {
            Window::Day => "24h",
            Window::Week => "7d",
        }
    }

    fn title(self) -> &'static str {
        match self {
            Window::Day => "24 hours",
            Window::Week => "7 days",
        }
    }

    /// Length of one bar, in milliseconds, and how many there are.
    fn parts(self) -> (i64, u32) {
        match self {
            Window::Day => (HOUR_MS, 24),
            Window::Week => (6 * HOUR_MS, 28),
        }
    }
}

/// `GET /dashboard`.
pub(super) async fn show(
    dashboard: Data<Dashboard>,
    api: Data<Api>,
    request: HttpRequest,
) -> Result<HttpResponse, Trouble> {
    let mut query = Fields::of_query(&request)?;
    let merchant = query.merchant()?;
    let window = query.word("window", |word| Window::ALL.into_iter().find(|one| one.word() == word))?;
    let window = window.unwrap_or(Window::Day);
    query.end()?;
    let frame = Frame::open(&dashboard, &api, &request, merchant).await?;
    let merchant = match frame.merchant(Here::Overview) {
        Ok(merchant) => merchant,
        Err(page) => return Ok(*page),
    };
    let (part_ms, parts) = window.parts();
    let now_ms = api.engine.now_ms();
    // Bars begin on the hour, so that they do not change their meaning with each look.
    let end_ms = now_ms.div_euclid(part_ms) * part_ms + part_ms;
    let from_ms = end_ms - part_ms * i64::from(parts);
    let store = api.engine.store();
    let tally = store.tally(merchant, from_ms, part_ms, limits::DASHBOARD_COUNTED_MAX).await?;
    let waiting = store.waiting_events().await?;
    let body = html! {
        div.head {
            h1 { "Overview" }
            div.tabs.push role="group" aria-label="Time" {
                @for one in Window::ALL {
                    a href={ "/dashboard?merchant=" (merchant) "&window=" (one.word()) } id={ "window-" (one.word()) }
                        aria-current=[(one == window).then_some("true")] { (one.title()) }
                }
            }
        }
        (cut(&tally))
        (tiles(&tally, waiting, window))
        section.card aria-labelledby="chart-title" {
            h2 id="chart-title" { "Payments by when they were made" }
            (chart::bars(&bars(&tally, parts), from_ms, part_ms))
        }
        div.row {
            section.card aria-labelledby="by-connector" {
                h2 id="by-connector" { "Authorization rate by connector" }
                (connectors(&tally))
            }
            section.card aria-labelledby="by-state" { h2 id="by-state" { "Payments by state" } (states(&tally, merchant.as_str(), from_ms)) }
        }
    };
    Ok(frame.show(Here::Overview, "Overview", &body))
}

/// What became of payments: approved, declined, or neither yet (or ever).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) approved: u64,
    pub(super) declined: u64,
    pub(super) other: u64,
}

impl Counts {
    pub(super) fn of<'a>(rows: impl Iterator<Item = &'a TallyRow>) -> Self {
        rows.fold(Self::default(), |mut counts, row| {
            let counter = match row.state {
                State::RequiresCapture
                | State::Succeeded
                | State::PartiallyCaptured
                | State::PartiallyCapturedAndCapturable
                | State::Expired => &mut counts.approved,
                State::Failed => &mut counts.declined,
                State::RequiresPaymentMethod
                | State::RequiresConfirmation
                | State::Processing
                | State::RequiresCustomerAction
                | State::Cancelled => &mut counts.other,
            };
            *counter += row.payments;
            counts
        })
    }

    /// Approved of those that were decided, in tenths of a percent.
    pub(super) fn rate(self) -> Option<u64> {
        (1000 * self.approved).checked_div(self.approved + self.declined)
    }
}

fn rate_text(counts: Counts) -> String {
    counts.rate().map_or("–".to_owned(), |rate| format!("{}.{} %", rate / 10, rate % 10))
}

/// Says so where not every payment of the time was counted.
fn cut(tally: &Tally) -> Markup {
    html! {
        @if tally.payments() >= u64::from(limits::DASHBOARD_COUNTED_MAX) {
            div.notice.open {
                p {
                    "There were more payments than this page counts. It shows the newest "
                    (limits::DASHBOARD_COUNTED_MAX) ", since "
                    @if let Some(oldest) = tally.oldest_ms { (when(oldest)) } " UTC."
                }
            }
        }
    }
}

fn tiles(tally: &Tally, waiting: u64, window: Window) -> Markup {
    let all = Counts::of(tally.rows.iter());
    let open: u64 = tally
        .rows
        .iter()
        .filter(|row| matches!(row.state, State::Processing | State::RequiresCustomerAction))
        .map(|row| row.payments)
        .sum();
    html! {
        dl.tiles {
            div.tile { dt { "Payments, " (window.title()) } dd id="tile-payments" { (tally.payments()) } }
            div.tile { dt { "Authorization rate" } dd id="tile-rate" { (rate_text(all)) } }
            div.tile { dt { "Processing, or at the payer" } dd id="tile-open" { (open) } }
            div.tile { dt { "Webhooks that wait, all merchants" } dd id="tile-waiting" { (waiting) } }
        }
    }
}

fn bars(tally: &Tally, parts: u32) -> Vec<Bar> {
    (0..parts).map(|part| Bar(Counts::of(tally.rows.iter().filter(|row| row.part == part)))).collect()
}

fn connectors(tally: &Tally) -> Markup {
    let mut names: Vec<&str> = tally.rows.iter().filter_map(|row| row.connector.as_deref()).collect();
    names.sort_unstable();
    names.dedup();
    html! {
        @if names.is_empty() {
            p.none { "No payment reached a provider in this time." }
        } @else {
            div.scroll tabindex="0" role="group" aria-label="Table" {
                table {
                    thead {
                        tr {
                            th scope="col" { "Connector" } th.num scope="col" { "Approved" } th.num scope="col" { "Declined" }
                            th.num scope="col" { "Open or given up" } th.num scope="col" { "Rate" }
                            th scope="col" aria-hidden="true" {}
                        }
                    }
                    tbody {
                        @for name in names {
                            @let counts = Counts::of(tally.rows.iter().filter(|row| row.connector.as_deref() == Some(name)));
                            tr {
                                th scope="row" { (name) }
                                td.num { (counts.approved) } td.num { (counts.declined) } td.num { (counts.other) }
                                td.num { (rate_text(counts)) }
                                td { @if let Some(rate) = counts.rate() { (chart::meter(rate)) } }
                            }
                        }
                    }
                }
            }
            p.fine {
                "Approved: money was reserved or taken. A payment counts for the connector of its last attempt; what is open "
                "or was given up counts neither way."
            }
        }
    }
}

fn states(tally: &Tally, merchant: &str, from_ms: i64) -> Markup {
    let count = |state: State| tally.rows.iter().filter(|row| row.state == state).map(|row| row.payments).sum::<u64>();
    html! {
        div.scroll tabindex="0" role="group" aria-label="Table" {
            table {
                thead { tr { th scope="col" { "State" } th.num scope="col" { "Payments" } th scope="col" { span.fine { "List" } } } }
                tbody {
                    @for one in State::ALL.into_iter().filter(|one| count(*one) > 0) {
                        tr {
                            td { (state(one)) }
                            td.num { (count(one)) }
                            td {
                                a href=(payments::address(merchant, one, from_ms)) aria-label={ "show " (one.word()) } { "show" }
                            }
                        }
                    }
                    @if tally.rows.is_empty() { tr { td colspan="3" { "No payment was made in this time." } } }
                }
            }
        }
    }
}

const HOUR_MS: i64 = 3_600_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rate_is_of_what_was_decided() {
        let row = |state, payments| TallyRow { part: 0, state, connector: None, payments };
        let rows =
            [row(State::Succeeded, 2), row(State::RequiresCapture, 1), row(State::Failed, 1), row(State::Cancelled, 9)];
        let counts = Counts::of(rows.iter());
        assert_eq!(counts, Counts { approved: 3, declined: 1, other: 9 });
        assert_eq!((counts.rate(), rate_text(counts).as_str()), (Some(750), "75.0 %"));
        assert_eq!(Counts::default().rate(), None);
        assert_eq!(Counts::of([row(State::Processing, 5)].iter()).rate(), None);
    }

    #[test]
    fn page_says_when_it_counted_no_further() {
        let most = u64::from(limits::DASHBOARD_COUNTED_MAX);
        let said = |payments| {
            let row = TallyRow { part: 0, state: State::Failed, connector: None, payments };
            cut(&Tally { rows: vec![row], oldest_ms: Some(0) }).into_string()
        };
        assert_eq!(said(most - 1), "");
        assert!(said(most).contains("since <time datetime=\"1970-01-01"));
    }

    #[test]
    fn every_payment_is_in_one_bar() {
        let row = |part, payments| TallyRow { part, state: State::Succeeded, connector: None, payments };
        let tally = Tally { rows: vec![row(0, 1), row(23, 2), row(23, 3)], oldest_ms: None };
        let bars = bars(&tally, 24);
        assert_eq!((bars.len(), bars[0].0.approved, bars[23].0.approved), (24, 1, 5));
    }
}
