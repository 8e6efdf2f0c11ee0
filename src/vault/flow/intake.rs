//! The intake key: clients seal cards and CVCs to it, it is exchanged by itself or on demand, and what was sealed is accepted once.

use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use strongroom_keys::destruction::Destruction;
use strongroom_keys::intake::{IntakeKey, SUITE};
use strongroom_keys::note::Statement as _;
use strongroom_keys::{IntakeRole, NoRandomness, Unsealed};
use strongroom_wire::admin::{KeyPurpose, KeyState, Rotation, RotationState, rfc3339_ms};
use strongroom_wire::entry::{OwnAct, Reason};
use strongroom_wire::intake::{IntakeKeyId, PublicIntakeKey};
use strongroom_wire::{Kind, Token, limits};

use super::idempotency::Slot;
use super::{FlowError, Vault, keyring, nodes};
use crate::audit::{Own, Warrant};
use crate::barrier::{KeyFacts, KeyringError, SealedCardError};
use crate::card::{BodyError, Sealable, SealedBody, SealedPart, TokenizeBody};
use crate::policy::{Note, Permit, Rotate, Tokenize};
use crate::store::{KeyChange, KeyName, KeyRow, SpentRow};
use crate::telemetry::log;

/// The public key, and for how many seconds it may be kept.
pub struct Public {
    /// What a client needs to seal a card.
    pub key: PublicIntakeKey,
    /// At most [`limits::INTAKE_KEY_CACHE_S`], and less where the key's end is nearer.
    pub max_age_s: u64,
}

/// The key to seal cards to now. It is public: nobody is asked who he is.
///
/// # Errors
/// [`FlowError::Sealed`], and [`FlowError::IntakeKeyGone`] if the key is over and the next could not be made.
pub fn public(vault: &Vault) -> Result<Public, FlowError> {
    let Some((facts, public)) = vault.barrier.intake_key() else {
        return Err(if vault.barrier.is_unsealed() {
            FlowError::IntakeKeyGone(Sealable::Card)
        } else {
            FlowError::Sealed
        });
    };
    let (now_ms, end_ms) = (vault.now_ms(), end_ms(vault, &facts));
    // Nobody seals to a key that is over, although it opens for a while yet.
    if now_ms >= end_ms {
        return Err(FlowError::IntakeKeyGone(Sealable::Card));
    }
    let (kem_id, kdf_id, aead_id) = SUITE;
    let key = PublicIntakeKey {
        vault_id: vault.root.descriptor().vault_id(),
        key_id: IntakeKeyId::of(facts.term),
        public_key: BASE64_URL_SAFE_NO_PAD.encode(public),
        kem_id,
        kdf_id,
        aead_id,
        expires_at: rfc3339_ms(end_ms),
    };
    Ok(Public { key, max_age_s: (end_ms.saturating_sub(now_ms) / 1000).min(limits::INTAKE_KEY_CACHE_S) })
}

/// A sealing that was opened and has not been used yet.
pub(super) struct Sealing {
    what: Sealable,
    term: u32,
    enc: [u8; 32],
}

/// Opens a sealed card for whoever the Permit is for. What opens for nobody is recorded: somebody may have taken it from
/// another session.
pub(super) async fn open(
    vault: &Vault,
    permit: Permit<Tokenize>,
    body: SealedBody,
) -> Result<(Permit<Tokenize>, TokenizeBody, Sealing), FlowError> {
    let sealing = Sealing::of(Sealable::Card, &body.sealed);
    let now_ms = vault.now_ms();
    let since_ms = opens_since_ms(vault, now_ms);
    let vault_id = vault.root.descriptor().vault_id();
    let opened = vault.barrier.open_sealed_card(&permit, vault_id, &body.sealed, since_ms);
    let (permit, plaintext) = opened_or_refused(vault, permit, opened, Sealable::Card).await?;
    // The plaintext wipes itself here; its digits went straight to where they are wiped.
    match body.opened(&plaintext, now_ms) {
        Ok(card) => Ok((permit, card, sealing)),
        Err(why) => {
            refuse(vault, permit, "sealed card is none").await?;
            Err(why.into())
        }
    }
}

/// Opens the sealed CVC of a stored card in the same way, to JSON that wipes itself.
pub(super) async fn open_cvc(
    vault: &Vault,
    permit: Permit<Tokenize>,
    token: &Token,
    sealed: &SealedPart,
) -> Result<(Permit<Tokenize>, Unsealed, Sealing), FlowError> {
    let since_ms = opens_since_ms(vault, vault.now_ms());
    let vault_id = vault.root.descriptor().vault_id();
    let opened = vault.barrier.open_sealed_cvc(&permit, vault_id, token, sealed, since_ms);
    let (permit, plaintext) = opened_or_refused(vault, permit, opened, Sealable::Cvc).await?;
    Ok((permit, plaintext, Sealing::of(Sealable::Cvc, sealed)))
}

async fn opened_or_refused(
    vault: &Vault,
    permit: Permit<Tokenize>,
    opened: Result<Unsealed, SealedCardError>,
    what: Sealable,
) -> Result<(Permit<Tokenize>, Unsealed), FlowError> {
    match opened {
        Ok(plaintext) => Ok((permit, plaintext)),
        Err(SealedCardError::NoSuchKey) => Err(FlowError::IntakeKeyGone(what)),
        Err(SealedCardError::Barrier(why)) => Err(why.into()),
        Err(SealedCardError::Unauthentic) => {
            let (words, why) = match what {
                Sealable::Card => (
                    "sealed card does not open",
                    "the sealed card does not open; seal it as documented, for this vault, key and client session (on \
                     the release listener: tenant)",
                ),
                Sealable::Cvc => (
                    "sealed CVC does not open",
                    "the sealed CVC does not open; seal it as documented, for this vault, key, client session (on the \
                     release listener: tenant) and payment method",
                ),
            };
            refuse(vault, permit, words).await?;
            Err(FlowError::Body(BodyError { kind: Kind::InvalidCard, field: Some(what.field()), why }))
        }
    }
}

impl Sealing {
    fn of(what: Sealable, sealed: &SealedPart) -> Self {
        Self { what, term: sealed.key.term(), enc: sealed.enc }
    }
}

/// Uses a sealing up, durably, before anything is stored or answered of it. The same request may come with it again, as its
/// idempotency key says; any other is refused and recorded. Without a slot none may: so it is with a CVC, of which no answer
/// is kept.
pub(super) async fn spend(
    vault: &Vault,
    permit: Permit<Tokenize>,
    sealing: &Sealing,
    slot: Option<&Slot>,
) -> Result<Permit<Tokenize>, FlowError> {
    // Its request may have come under the term of the fingerprint key before this one.
    let requests: Vec<[u8; 32]> = match slot {
        Some(slot) => slot.names().collect(),
        None => vec![random()?],
    };
    for request in requests {
        let spent = SpentRow { term: sealing.term, enc: sealing.enc, request, at_ms: vault.now_ms() };
        if vault.store.spend(spent).await? {
            return Ok(permit);
        }
    }
    let words = match sealing.what {
        Sealable::Card => "sealed card used before",
        Sealable::Cvc => "sealed CVC used before",
    };
    refuse(vault, permit, words).await?;
    Err(FlowError::SealedTwice(sealing.what))
}

/// Records that what came sealed was not taken.
pub(super) async fn refuse(vault: &Vault, permit: Permit<Tokenize>, words: &'static str) -> Result<(), FlowError> {
    vault.audit.record_refusal(permit.noting(Note::words(words)).refuse(Reason::Credentials)).await?;
    Ok(())
}

fn random() -> Result<[u8; 32], NoRandomness> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|_| NoRandomness)?;
    Ok(bytes)
}

/// Tends the intake key until the process ends.
pub async fn keep_tending(vault: &Vault) {
    let mut ticks = tokio::time::interval(TENDED_EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if vault.nodes.leads() && tend(vault).await.is_err() {
            log::error("the intake key was not exchanged; once it is over none is handed out", &[]);
        }
    }
}

/// Makes the intake key where there is none, exchanges it some time before its end, and destroys what opens no more.
/// Nothing happens while the vault is sealed.
///
/// # Errors
/// [`FlowError`]; what was not done is done the next time, and a key that is over opens nothing in between.
pub async fn tend(vault: &Vault) -> Result<(), FlowError> {
    if !vault.barrier.is_unsealed() {
        return Ok(());
    }
    let exchanged = if is_ripe(vault) { exchange_in_time(vault).await } else { Ok(()) };
    // Destroying needs no Root, so it does not wait for one that is away.
    let now_ms = vault.now_ms();
    let gone = |facts: &&KeyFacts| facts.state == KeyState::Retiring && now_ms >= gone_ms(vault, facts);
    for facts in vault.barrier.intake_keys().iter().filter(gone) {
        destroy(vault, facts.term).await?;
    }
    let oldest = vault.barrier.intake_keys().iter().map(|facts| facts.term).min().unwrap_or(0);
    while vault.store.forget_spent(oldest, BATCH).await? == u64::from(BATCH) {}
    exchanged
}

/// Whether there is no key to seal to, or one whose end is near.
fn is_ripe(vault: &Vault) -> bool {
    let ahead_ms = vault.barrier.periods().intake_ahead_ms();
    let active = vault.barrier.intake_key();
    let is_pending = vault.barrier.intake_keys().iter().any(|facts| facts.state == KeyState::Pending);
    is_pending || active.is_none_or(|(facts, _)| vault.now_ms().saturating_add(ahead_ms) >= end_ms(vault, &facts))
}

async fn exchange_in_time(vault: &Vault) -> Result<(), FlowError> {
    let _one_at_a_time = vault.rotations.beginning.lock().await;
    // Somebody may have asked for it meanwhile.
    if is_ripe(vault) { exchange(vault, Before::OpensOn).await.map(drop) } else { Ok(()) }
}

/// Exchanges the key because somebody asks for it. In an emergency no key of before opens anything from then on: what was
/// sealed to one has to be sealed anew. It is one change of the store and done when it is answered; there is nothing to
/// resume.
///
/// # Errors
/// Those of the Root, the audit log and the store. Asking again is right after each: it makes one more key.
pub(super) async fn exchange_now(
    vault: &Vault,
    _warrant: Warrant<Rotate>,
    emergency: bool,
) -> Result<Rotation, FlowError> {
    let started_ms = vault.now_ms();
    let _one_at_a_time = vault.rotations.beginning.lock().await;
    let to_term = exchange(vault, if emergency { Before::IsGone } else { Before::OpensOn }).await?;
    let proof = if emergency { Some(gone(vault, to_term).await?) } else { None };
    Ok(Rotation {
        key: KeyPurpose::Intake,
        tenant: None,
        to_term,
        state: RotationState::Done,
        done: 0,
        total: 0,
        records_per_second: None,
        seconds_left: None,
        records_per_second_max: None,
        emergency,
        started_at: rfc3339_ms(started_ms),
        fault: None,
        proof,
    })
}

/// The signed note that the term before this one, and with it every older one, is destroyed.
async fn gone(vault: &Vault, to_term: u32) -> Result<String, FlowError> {
    // A quiet moment would do it too; whoever fears for the old keys may rely on it now.
    vault.store.settle().await?;
    let (purpose, term) = (KeyPurpose::Intake, to_term.saturating_sub(1));
    let done = Destruction { purpose, tenant: None, term, at_ms: vault.now_ms() };
    Ok(vault.barrier.sign(|signer| done.sign(signer))?)
}

/// What becomes of the keys before.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Before {
    /// They open until their time is over.
    OpensOn,
    /// They are destroyed.
    IsGone,
}

/// Makes the next key and answers its term. The rows say what there is, and not the keyring: it may lack a key that the
/// store took without being able to say so. The caller holds the lock of those who begin rotations.
async fn exchange(vault: &Vault, before: Before) -> Result<u32, FlowError> {
    let Some(_lease) = nodes::take(vault, LEASE.to_owned()).await? else {
        return Err(vault.nodes.holder(LEASE).map_or(CHANGED, FlowError::Elsewhere));
    };
    let made = made(vault, before).await?;
    if vault.nodes.are_several() {
        // A card that is sealed to it may come to any node: each has to know it before a client does.
        vault.known().await?;
        use_known(vault, made, before).await?;
    }
    Ok(made)
}

/// Makes the next key, in use at once in a vault alone. Of several nodes one may have been interrupted on its way: then the
/// key that it made is used.
async fn made(vault: &Vault, before: Before) -> Result<u32, FlowError> {
    let root = vault.root.get().await?;
    let rows = intake_rows(vault).await?;
    let several = vault.nodes.are_several();
    if let Some(known) = rows.iter().find(|row| several && row.state == KeyState::Pending) {
        return Ok(known.name.term);
    }
    let term = rows.iter().map(|row| row.name.term).max().unwrap_or(0) + 1;
    let mut made = keyring::make::<IntakeRole>(&root, KeyPurpose::Intake, None, term, vault.now_ms()).await?;
    let states = if several { Vec::new() } else { ended(&rows, before) };
    if several {
        made.row.state = KeyState::Pending;
    }
    // Held to the end, so that the store and the keyring change in the same order.
    let _changing = vault.root.still(&root).await?;
    record(vault, OwnAct::KeyMade, term).await?;
    let under = Some(root.descriptor().sum());
    change(vault, KeyChange { insert: vec![made.row.clone()], states, under, ..KeyChange::default() }).await?;
    let known = vault.barrier.intake_keys();
    vault.barrier.update(|ring| {
        let ring = ring.add_intake(made.facts(), IntakeKey::new(&made.key))?;
        let gone = known.iter().filter(|_| before == Before::IsGone && !several);
        gone.map(|facts| facts.term).try_fold(ring, |ring, term| ring.remove_intake(term))
    })?;
    Ok(term)
}

/// Of several nodes: the pending key takes the place of the one that is sealed to.
async fn use_known(vault: &Vault, term: u32, before: Before) -> Result<(), FlowError> {
    let changing = vault.root.held.lock().await;
    let mut rows = intake_rows(vault).await?;
    rows.retain(|row| row.name.term != term);
    let mut states = ended(&rows, before);
    states.push((name(term), KeyState::Pending, KeyState::Active));
    change(vault, KeyChange { states, ..KeyChange::default() }).await?;
    let known = vault.barrier.intake_keys();
    let done = vault.barrier.update(|ring| {
        let ring = ring.activate_intake(term)?;
        let gone = known.iter().filter(|facts| before == Before::IsGone && facts.term != term);
        gone.map(|facts| facts.term).try_fold(ring, |ring, term| ring.remove_intake(term))
    });
    match done {
        // It was made by another node and is on its way here: following brings it, in the state that it has by then.
        Ok(()) | Err(KeyringError::Missing) => {}
        Err(error) => return Err(error.into()),
    }
    drop(changing);
    // In an emergency it is said that no old key opens anything: at no node.
    if before == Before::IsGone { vault.known().await } else { Ok(()) }
}

async fn intake_rows(vault: &Vault) -> Result<Vec<KeyRow>, FlowError> {
    let mut rows = vault.store.keys().await?;
    rows.retain(|row| row.name.purpose == KeyPurpose::Intake);
    Ok(rows)
}

/// What becomes of these keys when another one takes the place of the active one.
fn ended(rows: &[KeyRow], before: Before) -> Vec<(KeyName, KeyState, KeyState)> {
    let end = |row: &KeyRow| match (row.state, before) {
        (KeyState::Destroyed, _) => None,
        (state, Before::IsGone) => Some((row.name.clone(), state, KeyState::Destroyed)),
        (KeyState::Active, Before::OpensOn) => Some((row.name.clone(), KeyState::Active, KeyState::Retiring)),
        (KeyState::Pending | KeyState::Retiring, Before::OpensOn) => None,
    };
    rows.iter().filter_map(end).collect()
}

/// Keys that are destroyed are recorded before.
async fn change(vault: &Vault, change: KeyChange) -> Result<(), FlowError> {
    for (name, ..) in change.states.iter().filter(|(_, _, to)| *to == KeyState::Destroyed) {
        record(vault, OwnAct::KeyDestroyed, name.term).await?;
    }
    if vault.store.change_keys(change).await? {
        return Ok(());
    }
    Err(CHANGED)
}

async fn destroy(vault: &Vault, term: u32) -> Result<(), FlowError> {
    let _changing = vault.root.held.lock().await;
    record(vault, OwnAct::KeyDestroyed, term).await?;
    let states = vec![(name(term), KeyState::Retiring, KeyState::Destroyed)];
    if !vault.store.change_keys(KeyChange { states, ..KeyChange::default() }).await? {
        return Err(FlowError::Conflict("the intake key was destroyed by somebody else"));
    }
    vault.barrier.update(|ring| ring.remove_intake(term))?;
    Ok(())
}

fn name(term: u32) -> KeyName {
    KeyName { purpose: KeyPurpose::Intake, tenant: None, term }
}

async fn record(vault: &Vault, act: OwnAct, term: u32) -> Result<(), FlowError> {
    vault.audit.record_own(act, Own::noting(Note::words("intake: term").and(&term))).await?;
    Ok(())
}

/// The end of sealing to a key, in milliseconds since 1970.
fn end_ms(vault: &Vault, facts: &KeyFacts) -> u64 {
    facts.created_ms.saturating_add(vault.barrier.periods().intake_ms)
}

/// The end of opening with it.
fn gone_ms(vault: &Vault, facts: &KeyFacts) -> u64 {
    end_ms(vault, facts).saturating_add(OVERLAP_MS)
}

/// When the oldest key was made that still opens.
fn opens_since_ms(vault: &Vault, now_ms: u64) -> u64 {
    now_ms.saturating_sub(vault.barrier.periods().intake_ms + OVERLAP_MS).saturating_add(1)
}

/// How often it is looked at: far more often than the shortest time by which a key is exchanged before its end.
/// Held by the node that exchanges the key.
const LEASE: &str = "rotate/intake/";
const CHANGED: FlowError = FlowError::Conflict("the intake key is being changed by another request; ask again");
const TENDED_EVERY: Duration = Duration::from_secs(10);
const OVERLAP_MS: u64 = limits::INTAKE_OVERLAP_S * 1000;
const BATCH: u32 = 1_000;

#[cfg(test)]
#[path = "intake_tests.rs"]
mod tests;
