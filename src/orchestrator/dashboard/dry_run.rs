//! What other rules would change: where past payments would begin, under the rules that are stored and under the new ones.

use std::collections::BTreeMap;

use maud::{Markup, html};
use strongroom_wire::TenantId;

use super::page::payment_link;
use super::trouble::Trouble;
use super::words::{Tone, amount, badge, card, free, when};
use crate::account::ConnectorAccount;
use crate::api::Api;
use crate::intent::{Payment, Trial, billing_country};
use crate::routing::Rules;
use crate::store::PaymentFilter;

/// A past payment and where it would begin.
pub(super) struct Tried {
    pub(super) payment: Payment,
    pub(super) trial: Trial,
}

/// Tries rules (`None`: no rules) on the newest payments that got as far as a card. Changes nothing, and asks no provider.
///
/// # Errors
/// [`Trouble::Store`].
pub(super) async fn run(
    api: &Api,
    merchant: &TenantId,
    rules: Option<&Rules>,
    payments: u32,
) -> Result<Vec<Tried>, Trouble> {
    let mut found = api.engine.store().payments(merchant, &PaymentFilter::default(), payments).await?;
    // Without a card nobody decided anything, and rules about cards would say nothing.
    found.retain(|payment| payment.method.is_some());
    let trials = api.engine.try_rules(merchant, rules, &found).await?;
    Ok(found.into_iter().zip(trials).map(|(payment, trial)| Tried { payment, trial }).collect())
}

/// A summary, then each payment, those that would begin elsewhere first.
pub(super) fn show(tried: &[Tried], looked_at: u32, accounts: &[ConnectorAccount]) -> Markup {
    let (changed, same): (Vec<_>, Vec<_>) = tried.iter().partition(|one| one.trial.now != one.trial.then);
    html! {
        section.card aria-labelledby="dry-run-title" id="dry-run" {
            h2 id="dry-run-title" { "Dry run" }
            @if tried.is_empty() {
                p.none { "Among the newest " (looked_at) " payments none has a card, so there is nothing to try." }
            } @else {
                p id="dry-run-summary" {
                    "Of " strong { (tried.len()) } " past payments, " strong { (changed.len()) }
                    " would begin at another account than under the rules that are stored."
                }
                p.fine {
                    "Each is decided as it was at its first attempt, with the accounts as they are now and as if all of them "
                    "worked. A split draws for each what it drew then. Nothing was sent to anybody."
                }
                (totals(tried, accounts))
                @if !changed.is_empty() { h3 { "Would begin elsewhere" } (table(&changed, accounts)) }
                @if !same.is_empty() {
                    details { summary { "Would begin where they begin now (" (same.len()) ")" } (table(&same, accounts)) }
                }
            }
        }
    }
}

fn totals(tried: &[Tried], accounts: &[ConnectorAccount]) -> Markup {
    let mut counts: BTreeMap<Option<&str>, (u32, u32)> = BTreeMap::new();
    for one in tried {
        counts.entry(one.trial.now.as_deref()).or_default().0 += 1;
        counts.entry(one.trial.then.as_deref()).or_default().1 += 1;
    }
    html! {
        div.scroll tabindex="0" role="group" aria-label="Table" {
            table id="dry-run-totals" {
                thead {
                    tr { th scope="col" { "First account" } th.num scope="col" { "Stored rules" } th.num scope="col" { "These rules" } }
                }
                tbody {
                    @for (id, (now, then)) in counts {
                        tr { th scope="row" { (account(id, accounts)) } td.num { (now) } td.num { (then) } }
                    }
                }
            }
        }
    }
}

fn table(tried: &[&Tried], accounts: &[ConnectorAccount]) -> Markup {
    html! {
        div.scroll tabindex="0" role="group" aria-label="Table" {
            table {
                thead {
                    tr {
                        th scope="col" { "Made" } th scope="col" { "Payment" } th.num scope="col" { "Amount" } th scope="col" { "Card" }
                        th scope="col" { "Country" } th scope="col" { "Really began at" } th scope="col" { "Stored rules" }
                        th scope="col" { "These rules" }
                    }
                }
                tbody {
                    @for Tried { payment, trial } in tried {
                        @let really = payment.attempts.first().map(|first| first.account_id.as_str());
                        tr {
                            td.keep { (when(payment.created_ms)) }
                            th scope="row" { (payment_link(&payment.merchant_id, &payment.payment_id)) }
                            td.num { (amount(payment.terms.amount_minor, payment.terms.currency)) }
                            td.keep { @if let Some(method) = &payment.method { (card(&method.card)) } }
                            td { (billing_country(payment).unwrap_or("–")) }
                            td { @if really.is_some() { (account(really, accounts)) } @else { "–" } }
                            td { (account(trial.now.as_deref(), accounts)) }
                            td { (account(trial.then.as_deref(), accounts)) }
                        }
                    }
                }
            }
        }
    }
}

fn account(id: Option<&str>, accounts: &[ConnectorAccount]) -> Markup {
    let Some(id) = id else { return badge(Tone::Bad, "no account") };
    html! {
        @match accounts.iter().find(|account| account.account_id == id) {
            Some(account) => { (free(&account.label)) " " span.fine { (account.connector) } },
            None => { code { (id) } " " span.fine { "deleted" } },
        }
    }
}
