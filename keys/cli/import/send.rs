//! Batches on their way: several under way at a time, each repeated with its own key until the vault has answered for all
//! of it.

use std::time::Duration;

use indicatif::ProgressBar;
use serde::Deserialize;
use strongroom_wire::payment_method::PaymentMethod;
use strongroom_wire::{Problem, TenantId, header, limits};
use tokio::task::JoinSet;
use zeroize::Zeroizing;

use super::journal::{Journal, Outcome};
use super::line::Refused;
use super::read::{Batch, Lines};
use super::{Tally, now_ms};
use crate::client::Client;
use crate::failure::Failure;

/// Sends what is read.
pub(super) struct Sender {
    pub(super) client: Client,
    pub(super) tenant: Option<TenantId>,
    pub(super) in_flight: usize,
}

/// A batch that the vault has answered for.
struct Answered {
    batch: Batch,
    results: Vec<Stored>,
}

/// The answer to a batch.
#[derive(Deserialize)]
struct Results {
    results: Vec<Stored>,
}

/// What became of one card.
#[derive(Deserialize)]
struct Stored {
    status: u16,
    payment_method: Option<PaymentMethod>,
    problem: Option<Problem>,
}

impl Sender {
    /// Sends all that is not done yet; what was done before counts too.
    pub(super) async fn run(
        self,
        mut lines: Lines<'_>,
        mut journal: Journal,
        size: usize,
        bar: &ProgressBar,
    ) -> Result<Tally, Failure> {
        let mut total = std::mem::take(&mut journal.before);
        let mut under_way: JoinSet<Result<Answered, Failure>> = JoinSet::new();
        let mut stopped = None;
        loop {
            while stopped.is_none() && under_way.len() < self.in_flight {
                let Some(batch) = lines.next_batch(size)? else { break };
                bar.set_position(lines.position());
                if journal.is_done(batch.number) {
                    continue;
                }
                let now_ms = now_ms();
                if let Some(sent_ms) = journal.was_sent(batch.number)
                    && now_ms >= sent_ms + SAFE_MS
                {
                    settle(&mut journal, &mut total, &batch, lost(&batch))?;
                    continue;
                }
                if batch.cards.is_empty() {
                    settle(&mut journal, &mut total, &batch, Outcome::default())?;
                    continue;
                }
                journal.sending(batch.number, now_ms)?;
                let (client, tenant, key) = (self.client.clone(), self.tenant.clone(), journal.key(batch.number));
                under_way.spawn(async move { send(&client, tenant.as_ref(), &key, batch).await });
            }
            match under_way.join_next().await {
                None => break,
                Some(Ok(Ok(answered))) => {
                    let outcome = read(&answered)?;
                    settle(&mut journal, &mut total, &answered.batch, outcome)?;
                    bar.set_message((total.stored + total.known).to_string());
                }
                // What is under way is waited for, so that it is in the journal when the import goes on.
                Some(Ok(Err(failure))) => stopped = stopped.or(Some(failure)),
                Some(Err(_)) => stopped = stopped.or(Some(Failure::of("a request ended by a fault of vaultctl"))),
            }
        }
        stopped
            .map_or(Ok(total), |failure| Err(failure.and("then run the same command again: it goes on where it was")))
    }
}

/// Until every card of it has its answer.
async fn send(client: &Client, tenant: Option<&TenantId>, key: &str, batch: Batch) -> Result<Answered, Failure> {
    let mut wait = FIRST_WAIT;
    let mut tried = 0;
    loop {
        tried += 1;
        let mut headers = vec![(header::IDEMPOTENCY_KEY, key)];
        if let Some(tenant) = tenant {
            headers.push((header::TENANT, tenant.as_str()));
        }
        let answer: Result<Results, Failure> =
            client.post_with("/v1/payment_methods/batch", &headers, &body(&batch)).await;
        match answer {
            Ok(Results { results }) if results.len() != batch.cards.len() => {
                return Err(Failure::of("the vault answered for another number of cards than were sent"));
            }
            // A card that the vault could not store just now: the others answer again as they did.
            Ok(Results { results }) if tried < TRIES && results.iter().any(|one| is_passing(one.status)) => {}
            Ok(Results { results }) => match results.iter().find(|one| is_passing(one.status)) {
                None => return Ok(Answered { batch, results }),
                Some(one) => {
                    return Err(one.problem.clone().map_or_else(|| Failure::of("no problem"), Failure::problem));
                }
            },
            Err(failure) if tried < TRIES && failure.may_pass() => {}
            Err(failure) => return Err(failure),
        }
        tokio::time::sleep(wait).await;
        wait = (2 * wait).min(LONGEST_WAIT);
    }
}

fn is_passing(status: u16) -> bool {
    status == 409 || status == 429 || status >= 500
}

fn body(batch: &Batch) -> Zeroizing<Vec<u8>> {
    let length: usize = batch.cards.iter().map(|card| card.json.len() + 1).sum();
    let mut body = Zeroizing::new(Vec::with_capacity(length + 32));
    body.extend_from_slice(b"{\"payment_methods\":[");
    for (place, card) in batch.cards.iter().enumerate() {
        if place > 0 {
            body.push(b',');
        }
        body.extend_from_slice(&card.json);
    }
    body.extend_from_slice(b"]}");
    body
}

fn read(answered: &Answered) -> Result<Outcome, Failure> {
    let mut outcome = Outcome::default();
    for (card, stored) in answered.batch.cards.iter().zip(&answered.results) {
        match (&stored.payment_method, &stored.problem) {
            (Some(method), _) => {
                // A card that was stored by an earlier try of this import answers 200 as well; nobody can tell the two.
                if stored.status == CREATED {
                    outcome.stored += 1;
                } else {
                    outcome.known += 1;
                }
                outcome.ids.extend(card.id.iter().map(|id| (id.clone(), method.payment_method_id.to_string())));
            }
            (None, Some(problem)) => {
                let field = problem.field.as_deref().map(|field| format!("{field}: ")).unwrap_or_default();
                outcome.refused.push(Refused { line: card.line, why: format!("{field}{}", problem.detail) });
            }
            (None, None) => return Err(Failure::of("the vault's answer says nothing about a card")),
        }
    }
    Ok(outcome)
}

/// A batch that was sent so long ago that the vault may have forgotten its key: sent again, it might be stored twice.
fn lost(batch: &Batch) -> Outcome {
    let why =
        "was under way when an earlier run of this import ended over a day ago; look whether the vault has the card";
    let refused = batch.cards.iter().map(|card| Refused { line: card.line, why: why.to_owned() }).collect();
    Outcome { refused, ..Outcome::default() }
}

fn settle(journal: &mut Journal, total: &mut Tally, batch: &Batch, mut outcome: Outcome) -> Result<(), Failure> {
    let (stored, known) = (outcome.stored, outcome.known);
    outcome.refused.extend(batch.refused.iter().cloned());
    outcome.refused.sort_by_key(|refused| refused.line);
    let tally = Tally { lines: batch.lines, stored, known, refused: outcome.refused.len() as u64 };
    journal.finish(batch.number, &tally, &outcome)?;
    total.lines += tally.lines;
    total.stored += tally.stored;
    total.known += tally.known;
    total.refused += tally.refused;
    Ok(())
}

/// The vault keeps answers for a day; an hour less leaves room for clocks that differ.
const SAFE_MS: u64 = (limits::IDEMPOTENCY_TTL_S - 3600) * 1000;
const CREATED: u16 = 201;
const TRIES: u32 = 8;
const FIRST_WAIT: Duration = Duration::from_millis(200);
const LONGEST_WAIT: Duration = Duration::from_secs(10);
