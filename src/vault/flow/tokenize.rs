//! Tokenize: a card goes in, a token comes out.
//!
//! The order is what makes it safe: Permit, fingerprint, audit entry (durable), seal, store (durable), answer. A crash
//! in between leaves an entry without a card, never a card without an entry.

use std::time::Duration;

use strongroom_wire::payment_method::PaymentMethod;
use strongroom_wire::{TenantId, Token};
use zeroize::Zeroizing;

use super::idempotency::{Kept, Slot, tenant_of};
use super::intake::Sealing;
use super::{Asker, FlowError, IdempotencyKey, Vault, epochs, intake, row};
use crate::audit::Warrant;
use crate::barrier::Fingerprints;
use crate::card::{Card, Cvc, Glance, Incoming, Lifetime, TokenizeBody};
use crate::policy::{Fresh, Note, Permit, Principal, Tokenize};
use crate::store::{AnswerRow, CardContent, CardRow, Inserted, StoreError};

/// The answer to a tokenize request.
pub struct Tokenized {
    /// A [`PaymentMethod`] as JSON.
    pub json: Kept,
    /// The audit entry that it rests on.
    pub audit_index: u64,
    /// Whether a card was stored now (201) or the answer is about one that was there (200).
    pub is_new: bool,
    /// Whether the answer was kept from an earlier request with the same idempotency key.
    pub is_replay: bool,
    /// Whether the card was there with another expiry, holder name or other notes.
    pub is_changed: bool,
}

/// Stores a card, or finds the token that the same card of the same customer has already.
///
/// # Errors
/// Every [`FlowError`]; then nothing was stored, or asking again with the same idempotency key is safe.
pub async fn tokenize(
    vault: &Vault,
    asker: &Asker,
    key: Option<&IdempotencyKey>,
    incoming: Incoming,
) -> Result<Tokenized, FlowError> {
    tokenize_as(vault, asker, key, incoming, None).await
}

/// The same under a token that the caller had for this card before and deleted; a fresh one if it names none.
///
/// # Errors
/// As [`tokenize`]; [`FlowError::Conflict`] if a card lives under that token.
pub async fn tokenize_as(
    vault: &Vault,
    asker: &Asker,
    key: Option<&IdempotencyKey>,
    incoming: Incoming,
    wanted: Option<Token>,
) -> Result<Tokenized, FlowError> {
    let permit = vault.permit_unsealed::<Tokenize>(asker, Fresh, Note::none()).await?;
    let (permit, body, sealing) = match incoming {
        Incoming::Clear(body) => (permit, body, None),
        Incoming::Sealed(sealed) => {
            let (permit, body, sealing) = intake::open(vault, permit, sealed).await?;
            (permit, body, Some(sealing))
        }
    };
    opened(vault, asker, key, permit, Opened { body, sealing, wanted }).await
}

/// A request whose card is in clear.
pub(super) struct Opened {
    pub(super) body: TokenizeBody,
    /// What its card was sealed with, where it has to be used up.
    pub(super) sealing: Option<Sealing>,
    /// The token that it had before.
    pub(super) wanted: Option<Token>,
}

/// From the card on, however it came.
pub(super) async fn opened(
    vault: &Vault,
    asker: &Asker,
    key: Option<&IdempotencyKey>,
    mut permit: Permit<Tokenize>,
    Opened { mut body, sealing, wanted }: Opened,
) -> Result<Tokenized, FlowError> {
    let tenant = tenant_of(&permit)?;
    own_customer(asker, &mut body)?;
    if body.cvc.is_some() {
        epochs::ready(vault).await?;
    }
    let _round = vault.rounds.enter();
    let slot = key.map(|key| slot(vault, asker, &tenant, key, &body)).transpose()?;
    if let Some(slot) = &slot
        && let Some(kept) = slot.find(vault).await?
    {
        return Story::replayed(vault, permit, &kept, body.cvc.as_ref()).await;
    }
    if let Some(sealing) = &sealing {
        permit = intake::spend(vault, permit, sealing, slot.as_ref()).await?;
    }
    let prints = vault.barrier.fingerprints(&permit, &body.card.pan)?;
    Story { vault, tenant, prints, body, slot, wanted }.run(asker, permit).await
}

/// A session's cards belong to the session's customer.
fn own_customer(asker: &Asker, body: &mut TokenizeBody) -> Result<(), FlowError> {
    let Principal::Session(claims) = &asker.who else { return Ok(()) };
    if body.customer.is_some() && body.customer != claims.customer {
        let why = "the client session is not for this customer; leave customer_id out";
        return Err(FlowError::Field { field: "customer_id", why });
    }
    body.customer.clone_from(&claims.customer);
    Ok(())
}

/// What must be the same again under one key: everything but the CVC, of which nothing is kept, not even a MAC.
fn slot(
    vault: &Vault,
    asker: &Asker,
    tenant: &TenantId,
    key: &IdempotencyKey,
    body: &TokenizeBody,
) -> Result<Slot, FlowError> {
    let parts = request_parts(body)?;
    let parts: Vec<&[u8]> = parts.iter().map(|part| part.as_slice()).collect();
    Slot::of(vault, asker, tenant, ROUTE, key, &parts)
}

/// See [`slot`].
pub(super) fn request_parts(body: &TokenizeBody) -> Result<[Zeroizing<Vec<u8>>; 4], FlowError> {
    let lifetime = match body.lifetime {
        Lifetime::LongTerm => 0,
        Lifetime::ShortTerm(seconds) => seconds,
    };
    let metadata = serde_json::to_vec(&body.metadata).map_err(|_| FlowError::Crypto("metadata"))?;
    let customer = body.customer.as_ref().map_or("", |customer| customer.as_str());
    let plain = |bytes: &[u8]| Zeroizing::new(bytes.to_vec());
    Ok([body.card.encode(), plain(customer.as_bytes()), plain(&lifetime.to_be_bytes()), plain(&metadata)])
}

/// The answer with a token for the CVC, where there is one. Only this goes out; what is kept is made without it.
fn with_cvc(vault: &Vault, tenant: &TenantId, mut answer: PaymentMethod, cvc: Option<&Cvc>) -> Result<Kept, FlowError> {
    answer.cvc_token = match cvc {
        Some(cvc) => Some(vault.barrier.seal_cvc(tenant, &answer.payment_method_id, cvc)?),
        None => None,
    };
    written(&answer)
}

fn written(answer: &PaymentMethod) -> Result<Kept, FlowError> {
    Ok(Zeroizing::new(serde_json::to_vec(answer).map_err(|_| FlowError::Crypto("answer"))?))
}

/// One card on its way.
pub(super) struct Story<'a> {
    pub(super) vault: &'a Vault,
    pub(super) tenant: TenantId,
    pub(super) prints: Fingerprints,
    pub(super) body: TokenizeBody,
    pub(super) slot: Option<Slot>,
    /// The token that it had before.
    pub(super) wanted: Option<Token>,
}

/// A card that is sealed and recorded and not stored yet.
pub(super) struct Prepared {
    pub(super) row: CardRow,
    pub(super) answer: Option<AnswerRow>,
    pub(super) shown: PaymentMethod,
    pub(super) audit_index: u64,
}

impl Story<'_> {
    /// From the Permit to the answer.
    pub(super) async fn run(mut self, asker: &Asker, mut permit: Permit<Tokenize>) -> Result<Tokenized, FlowError> {
        for turn in 0..ATTEMPTS {
            if let Some(token) = self.duplicate().await? {
                if let Some(done) = self.meet_again(permit, token).await? {
                    return Ok(done);
                }
            } else if let Some(done) = self.store_new(permit).await? {
                return Ok(done);
            }
            // Somebody stored or changed the same card in between: look again, under a Permit and an entry of its own, and at
            // another moment than the others who do.
            let apart_ms = getrandom::u32().map_or(1, |random| random % (2 << turn));
            actix_web::rt::time::sleep(Duration::from_millis(u64::from(apart_ms))).await;
            permit = self.vault.permit_unsealed::<Tokenize>(asker, Fresh, Note::words("again")).await?;
        }
        Err(FlowError::Conflict("the same card is being changed by others; ask again"))
    }

    /// The answer of then. Its CVC token was not kept; the CVC that came again is sealed again.
    pub(super) async fn replayed(
        vault: &Vault,
        permit: Permit<Tokenize>,
        kept: &Kept,
        cvc: Option<&Cvc>,
    ) -> Result<Tokenized, FlowError> {
        let answered: PaymentMethod = serde_json::from_slice(kept).map_err(|_| FlowError::Tampered)?;
        let tenant = tenant_of(&permit)?;
        let about = permit.about(answered.payment_method_id).noting(Note::words("replayed"));
        let warrant = vault.warrant(about).await?;
        let json = with_cvc(vault, &tenant, answered, cvc)?;
        Ok(Tokenized { json, audit_index: warrant.index(), is_new: false, is_replay: true, is_changed: false })
    }

    pub(super) async fn duplicate(&self) -> Result<Option<Token>, FlowError> {
        let Some(customer) = &self.body.customer else { return Ok(None) };
        let now = self.vault.now_ms();
        for print in std::iter::once(&self.prints.active).chain(&self.prints.others) {
            if let Some(token) = self.vault.store.find_duplicate(&self.tenant, customer, print, now).await? {
                return Ok(Some(token));
            }
        }
        Ok(None)
    }

    async fn store_new(&self, permit: Permit<Tokenize>) -> Result<Option<Tokenized>, FlowError> {
        let vault = self.vault;
        let now = vault.now_ms();
        let token = self.wanted.unwrap_or_else(|| vault.mint.token(now));
        let _leave = vault.wraps.reserve(vault, &self.tenant).await?;
        let warrant = vault.warrant(permit.about(token)).await?;
        let Prepared { row, answer, shown, audit_index } = self.prepared(warrant, token, now)?;
        let stored = vault.store.insert_card(row, answer).await;
        if self.wanted.is_some() && stored == Err(StoreError::Exists) {
            return Err(FlowError::Conflict("a card lives under this token; delete it before"));
        }
        match stored? {
            Inserted::Stored => self.stored(shown, audit_index).map(Some),
            Inserted::Duplicate(_) => Ok(None),
            Inserted::Replayed(earlier) => self.replay_of(&earlier, audit_index).map(Some),
        }
    }

    /// Seals the card and writes the answer that is kept. Hold leave to seal until it is stored.
    pub(super) fn prepared(&self, warrant: Warrant<Tokenize>, token: Token, now: u64) -> Result<Prepared, FlowError> {
        let vault = self.vault;
        let expires_ms = match self.body.lifetime {
            Lifetime::LongTerm => None,
            Lifetime::ShortTerm(seconds) => Some(now + seconds * 1000),
        };
        let audit_index = warrant.index();
        let row = self.sealed_row(warrant, token, now, expires_ms)?;
        let shown = row::masked(&vault.barrier, &row, &Glance::of(&self.body.card))?;
        let kept = written(&shown)?;
        let answer = self.slot.as_ref().map(|slot| slot.row(vault, &kept, Some(token))).transpose()?;
        Ok(Prepared { row, answer, shown, audit_index })
    }

    /// The answer to a card that was stored just now.
    pub(super) fn stored(&self, shown: PaymentMethod, audit_index: u64) -> Result<Tokenized, FlowError> {
        let json = with_cvc(self.vault, &self.tenant, shown, self.body.cvc.as_ref())?;
        Ok(Tokenized { json, audit_index, is_new: true, is_replay: false, is_changed: false })
    }

    /// The answer to a request that was answered before.
    pub(super) fn replay_of(&self, earlier: &AnswerRow, audit_index: u64) -> Result<Tokenized, FlowError> {
        let slot = self.slot.as_ref().ok_or(FlowError::Conflict("ask again"))?;
        self.answer_of_then(&slot.replay(self.vault, earlier)?, audit_index)
    }

    /// The customer has this card: the same token, with what is newer now (expiry, holder name, notes), and long-term if
    /// either of the two is.
    async fn meet_again(&mut self, permit: Permit<Tokenize>, token: Token) -> Result<Option<Tokenized>, FlowError> {
        let vault = self.vault;
        let _leave = vault.wraps.reserve(vault, &self.tenant).await?;
        let warrant = vault.warrant(permit.about(token).noting(Note::words("known card"))).await?;
        let audit_index = warrant.index();
        // Asked for only now: the entry may have waited long, and a card that ended meanwhile is not met again.
        let now = vault.now_ms();
        let Some(before) = vault.store.card(&self.tenant, &token, now).await? else { return Ok(None) };
        row::check_binding(&vault.barrier, &before)?;
        let expires_ms = match (before.content.expires_ms, self.body.lifetime) {
            (None, _) | (_, Lifetime::LongTerm) => None,
            (Some(end), Lifetime::ShortTerm(seconds)) => Some(end.max(now + seconds * 1000)),
        };
        // What the customer typed now is newer; a name that was left out this time stays.
        let body = &mut self.body;
        let mut is_changed = row::metadata(&vault.barrier, &before)? != body.metadata;
        let (envelope, glance) = vault.barrier.reseal(warrant, &row::envelope(&before)?, |mut card| {
            let name = |card: &Card| card.holder_name.as_ref().map(|name| Zeroizing::new(name.as_str().to_owned()));
            is_changed |= card.expiry != body.card.expiry || name(&card) != name(&body.card);
            card.expiry = body.card.expiry;
            card.holder_name = body.card.holder_name.take().or(card.holder_name);
            card
        })?;
        let mut after = before.clone();
        after.content.envelope = envelope.as_bytes().to_vec();
        after.content.expires_ms = expires_ms;
        if !self.body.metadata.is_empty() {
            after.content.metadata = self.sealed_metadata(&token)?;
        }
        after.content.binding = row::binding(&vault.barrier, &after)?;
        let shown = row::masked(&vault.barrier, &after, &glance)?;
        // What is the same in every part is not written again, so that many who say the same do not get into each other's way.
        let is_same = !is_changed && after.content.expires_ms == before.content.expires_ms;
        if !is_same && !vault.store.swap_card(&self.tenant, &token, before.content, after.content).await? {
            return Ok(None);
        }
        if let Some(slot) = &self.slot
            && let Some(earlier) = slot.keep_about(vault, &written(&shown)?, Some(token)).await?
        {
            return self.answer_of_then(&earlier, audit_index).map(Some);
        }
        let json = with_cvc(vault, &self.tenant, shown, self.body.cvc.as_ref())?;
        Ok(Some(Tokenized { json, audit_index, is_new: false, is_replay: false, is_changed }))
    }

    fn answer_of_then(&self, kept: &Kept, audit_index: u64) -> Result<Tokenized, FlowError> {
        let answered = serde_json::from_slice(kept).map_err(|_| FlowError::Tampered)?;
        let json = with_cvc(self.vault, &self.tenant, answered, self.body.cvc.as_ref())?;
        Ok(Tokenized { json, audit_index, is_new: false, is_replay: true, is_changed: false })
    }

    fn sealed_row(
        &self,
        warrant: Warrant<Tokenize>,
        token: Token,
        created_ms: u64,
        expires_ms: Option<u64>,
    ) -> Result<CardRow, FlowError> {
        let barrier = &self.vault.barrier;
        let metadata = self.sealed_metadata(&token)?;
        let envelope = barrier.seal(warrant, &self.body.card)?.as_bytes().to_vec();
        let mut row = CardRow {
            tenant: self.tenant.clone(),
            token,
            customer: self.body.customer.clone(),
            fingerprint: self.prints.active,
            mac_term: self.prints.term,
            other_fingerprints: self.prints.others.clone(),
            created_ms,
            content: CardContent { envelope, metadata, expires_ms, binding: [0; 16] },
        };
        row.content.binding = row::binding(barrier, &row)?;
        Ok(row)
    }

    fn sealed_metadata(&self, token: &Token) -> Result<Option<Vec<u8>>, FlowError> {
        if self.body.metadata.is_empty() {
            return Ok(None);
        }
        let json = serde_json::to_vec(&self.body.metadata).map_err(|_| FlowError::Crypto("metadata"))?;
        Ok(Some(self.vault.barrier.seal_metadata(&self.tenant, token, &json)?.as_bytes().to_vec()))
    }
}

const ROUTE: &str = "tokenize";
const ATTEMPTS: usize = 8;
