//! Batch: many cards in one request, each with a result of its own; what can go in together goes in together.
//!
//! Cards that are new share a commit of the log and one of the store. A card that its customer has already, or that stands
//! twice in the batch, is met again one by one. With an idempotency key each place of the batch has a slot of its own, so
//! that a batch that broke off in the middle goes on where it was when it is sent again.

use std::collections::{HashMap, HashSet};

use futures_util::future::join_all;
use strongroom_wire::{CustomerId, TenantId};

use super::idempotency::{Slot, tenant_of};
use super::intake::{self, Sealing};
use super::tokenize::{Prepared, Story, Tokenized, request_parts};
use super::{Asker, FlowError, IdempotencyKey, Vault};
use crate::card::{BodyError, Incoming, TokenizeBody, refuse_cvc};
use crate::policy::{Fresh, Note, Permit, Tokenize};
use crate::store::Inserted;

/// What became of one card.
pub type Stored = Result<Tokenized, FlowError>;

/// Stores each card of a batch, or says why not, in the order of the batch.
///
/// # Errors
/// [`FlowError`] for the batch as a whole: then nothing was stored, or asking again with the same idempotency key is safe.
pub async fn tokenize(
    vault: &Vault,
    asker: &Asker,
    key: Option<&IdempotencyKey>,
    raw: &[u8],
    items: Vec<Result<Incoming, BodyError>>,
) -> Result<Vec<Stored>, FlowError> {
    let permits = vault.permits_unsealed::<Tokenize>(asker, vec![Fresh; items.len()], Note::words("batch")).await?;
    let tenant = match permits.first() {
        Some(permit) => tenant_of(permit)?,
        None => return Ok(Vec::new()),
    };
    if let Some(key) = key {
        Slot::of(vault, asker, &tenant, ROUTE, key, &[raw])?.claim(vault).await?;
    }
    let _round = vault.rounds.enter();
    let batch = Batch { vault, asker, tenant, key };
    let mut results: Vec<Option<Stored>> = Vec::new();
    let mut ready = Vec::new();
    let prepared = items.into_iter().zip(permits).enumerate().map(|(place, (item, permit))| {
        let batch = &batch;
        async move { batch.prepare(place, permit, item?).await }
    });
    for (place, prepared) in join_all(prepared).await.into_iter().enumerate() {
        results.push(match prepared {
            Ok(Step::Done(done)) => Some(Ok(done)),
            Ok(Step::Ready(permit, story)) => {
                ready.push((place, permit, story));
                None
            }
            Err(error) => Some(Err(error)),
        });
    }
    for (place, result) in batch.store(ready).await? {
        results[place] = Some(result);
    }
    let lost = || Err(FlowError::Conflict("this card was not looked at; send it again"));
    Ok(results.into_iter().map(|result| result.unwrap_or_else(lost)).collect())
}

struct Batch<'a> {
    vault: &'a Vault,
    asker: &'a Asker,
    tenant: TenantId,
    key: Option<&'a IdempotencyKey>,
}

enum Step<'a> {
    Done(Tokenized),
    Ready(Permit<Tokenize>, Box<Story<'a>>),
}

type Results = Vec<(usize, Stored)>;
type Ready<'a> = Vec<(usize, Permit<Tokenize>, Box<Story<'a>>)>;

impl<'a> Batch<'a> {
    /// Everything before the entry: a sealed card is opened and used up, a kept answer is found.
    async fn prepare(&self, place: usize, permit: Permit<Tokenize>, item: Incoming) -> Result<Step<'a>, FlowError> {
        let vault = self.vault;
        let (permit, body, sealing) = match item {
            Incoming::Clear(body) => (permit, body, None),
            Incoming::Sealed(sealed) => {
                let (permit, body, sealing) = intake::open(vault, permit, sealed).await?;
                (permit, body, Some(sealing))
            }
        };
        refuse_cvc(body.cvc.as_ref()).map_err(FlowError::Body)?;
        let slot = self.slot(place, &body)?;
        if let Some(slot) = &slot
            && let Some(kept) = slot.find(vault).await?
        {
            return Ok(Step::Done(Story::replayed(vault, permit, &kept, None).await?));
        }
        let permit = self.spend(permit, sealing.as_ref(), slot.as_ref()).await?;
        let prints = vault.barrier.fingerprints(&permit, &body.card.pan)?;
        let story = Story { vault, tenant: self.tenant.clone(), prints, body, slot, wanted: None };
        Ok(Step::Ready(permit, Box::new(story)))
    }

    async fn spend(
        &self,
        permit: Permit<Tokenize>,
        sealing: Option<&Sealing>,
        slot: Option<&Slot>,
    ) -> Result<Permit<Tokenize>, FlowError> {
        match sealing {
            Some(sealing) => intake::spend(self.vault, permit, sealing, slot).await,
            None => Ok(permit),
        }
    }

    fn slot(&self, place: usize, body: &TokenizeBody) -> Result<Option<Slot>, FlowError> {
        let Some(key) = self.key else { return Ok(None) };
        let parts = request_parts(body)?;
        let parts: Vec<&[u8]> = parts.iter().map(|part| part.as_slice()).collect();
        Slot::at(self.vault, self.asker, &self.tenant, (ITEM, place), key, &parts).map(Some)
    }

    /// Stores what is new in few transactions, and then meets the others again.
    async fn store(&self, ready: Ready<'a>) -> Result<Results, FlowError> {
        let mut results = Vec::with_capacity(ready.len());
        let (mut fresh, mut known): (Ready<'a>, Ready<'a>) = (Vec::new(), Vec::new());
        let mut seen: HashSet<(CustomerId, [u8; 16])> = HashSet::new();
        for (place, permit, story) in ready {
            let is_first = story.body.customer.as_ref().is_none_or(|c| seen.insert((c.clone(), story.prints.active)));
            match if is_first { story.duplicate().await } else { Ok(None) } {
                Ok(None) if is_first => fresh.push((place, permit, story)),
                Ok(_) => known.push((place, permit, story)),
                Err(error) => results.push((place, Err(error))),
            }
        }
        while !fresh.is_empty() {
            let rest = fresh.split_off(fresh.len().min(TOGETHER));
            let (done, met) = self.insert(std::mem::replace(&mut fresh, rest)).await?;
            results.extend(done);
            known.extend(met);
        }
        results.extend(self.meet(known).await);
        Ok(results)
    }

    /// One commit of the log and one of the store for all of them. Whose card was stored by somebody else in between
    /// comes back.
    async fn insert(&self, fresh: Ready<'a>) -> Result<(Results, Ready<'a>), FlowError> {
        let vault = self.vault;
        let (mut results, mut met, mut rows, mut waiting) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        // A card takes a wrap, its notes one and its kept answer one.
        let _leave = vault.wraps.reserve_at_least(vault, &self.tenant, 4 * TOGETHER as u64).await?;
        let now_ms = vault.now_ms();
        let named = fresh.into_iter().map(|(place, permit, story)| {
            let token = vault.mint.token(now_ms);
            async move { (place, story, token, vault.warrant(permit.about(token)).await) }
        });
        for (place, story, token, warrant) in join_all(named.collect::<Vec<_>>()).await {
            match warrant.and_then(|warrant| story.prepared(warrant, token, now_ms)) {
                Ok(Prepared { row, answer, shown, audit_index }) => {
                    rows.push((row, answer));
                    waiting.push((place, story, shown, audit_index));
                }
                Err(error) => results.push((place, Err(error))),
            }
        }
        if rows.is_empty() {
            return Ok((results, met));
        }
        let inserted = match vault.store.insert_cards(rows).await {
            Ok(inserted) => inserted,
            Err(error) => {
                let places = waiting.into_iter().map(|(place, ..)| (place, Err(FlowError::from(error))));
                results.extend(places);
                return Ok((results, met));
            }
        };
        for ((place, story, shown, audit_index), inserted) in waiting.into_iter().zip(inserted) {
            match inserted {
                Inserted::Stored => results.push((place, story.stored(shown, audit_index))),
                Inserted::Replayed(earlier) => results.push((place, story.replay_of(&earlier, audit_index))),
                Inserted::Duplicate(_) => {
                    match vault.permit_unsealed::<Tokenize>(self.asker, Fresh, Note::words("again")).await {
                        Ok(permit) => met.push((place, permit, story)),
                        Err(error) => results.push((place, Err(error))),
                    }
                }
            }
        }
        Ok((results, met))
    }

    /// Different cards at the same time, the same card one after the other.
    async fn meet(&self, known: Ready<'a>) -> Results {
        let mut lines: HashMap<(Option<CustomerId>, [u8; 16]), Ready<'a>> = HashMap::new();
        for one in known {
            lines.entry((one.2.body.customer.clone(), one.2.prints.active)).or_default().push(one);
        }
        let lines = lines.into_values().map(|line| async move {
            let mut results = Vec::with_capacity(line.len());
            for (place, permit, story) in line {
                results.push((place, story.run(self.asker, permit).await));
            }
            results
        });
        join_all(lines).await.into_iter().flatten().collect()
    }
}

const ROUTE: &str = "batch";
const ITEM: &str = "batch item";
/// Cards of one transaction: a request that comes in between waits for so many at most.
const TOGETHER: usize = 250;
