//! The intake key: clients seal cards to it, it is exchanged by itself, and what was sealed is accepted once.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use strongroom_keys::intake::{IntakeKey, SUITE};
use strongroom_keys::{IntakeRole, NoRandomness};
use strongroom_wire::admin::{KeyPurpose, KeyState, rfc3339_ms};
use strongroom_wire::entry::{OwnAct, Reason};
use strongroom_wire::intake::{IntakeKeyId, PublicIntakeKey};
use strongroom_wire::{Kind, limits};

use super::idempotency::Slot;
use super::{FlowError, Vault, keyring};
use crate::audit::Own;
use crate::barrier::{KeyFacts, SealedCardError};
use crate::card::{BodyError, SealedBody, TokenizeBody};
use crate::policy::{Note, Permit, Tokenize};
use crate::store::{KeyChange, KeyName, SpentRow};

/// How long an intake key is sealed to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IntakeLife {
    /// After so many milliseconds the next one takes its place.
    pub key_ms: u64,
}

impl IntakeLife {
    /// The end of sealing to a key.
    fn end_ms(self, facts: &KeyFacts) -> u64 {
        facts.created_ms.saturating_add(self.key_ms)
    }

    /// The end of opening with it.
    fn gone_ms(self, facts: &KeyFacts) -> u64 {
        self.end_ms(facts).saturating_add(limits::INTAKE_OVERLAP_S * 1000)
    }

    /// When the oldest key was made that still opens.
    fn opens_since_ms(self, now_ms: u64) -> u64 {
        now_ms.saturating_sub(self.key_ms + limits::INTAKE_OVERLAP_S * 1000).saturating_add(1)
    }
}

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
        return Err(if vault.barrier.is_unsealed() { FlowError::IntakeKeyGone } else { FlowError::Sealed });
    };
    let (now_ms, end_ms) = (vault.now_ms(), vault.intake.end_ms(&facts));
    if now_ms >= vault.intake.gone_ms(&facts) {
        return Err(FlowError::IntakeKeyGone);
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
    let sealing = Sealing { term: body.sealed.key.term(), enc: body.sealed.enc };
    let now_ms = vault.now_ms();
    let since_ms = vault.intake.opens_since_ms(now_ms);
    let vault_id = vault.root.descriptor().vault_id();
    match vault.barrier.open_sealed_card(&permit, vault_id, &body.sealed, since_ms) {
        // The plaintext wipes itself here; its digits went straight to where they are wiped.
        Ok(plaintext) => Ok((permit, body.opened(&plaintext, now_ms)?, sealing)),
        Err(SealedCardError::NoSuchKey) => Err(FlowError::IntakeKeyGone),
        Err(SealedCardError::Barrier(why)) => Err(why.into()),
        Err(SealedCardError::Unauthentic) => {
            refuse(vault, permit, "sealed card does not open").await?;
            let why = "the sealed card does not open; seal it as documented, for this vault, key and client session \
                       (on the release listener: tenant)";
            let field = Some("encrypted_card");
            Err(FlowError::Body(BodyError { kind: Kind::InvalidCard, field, why }))
        }
    }
}

/// Uses a sealing up, durably, before anything is stored of it. The same request may come with it again, as its
/// idempotency key says; any other is refused and recorded.
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
    refuse(vault, permit, "sealed card used before").await?;
    Err(FlowError::SealedTwice)
}

async fn refuse(vault: &Vault, permit: Permit<Tokenize>, words: &'static str) -> Result<(), FlowError> {
    vault.audit.record_refusal(permit.noting(Note::words(words)).refuse(Reason::Credentials)).await?;
    Ok(())
}

fn random() -> Result<[u8; 32], NoRandomness> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|_| NoRandomness)?;
    Ok(bytes)
}

/// Makes the intake key where there is none, exchanges it when its time has come, and destroys what opens no more.
/// Nothing happens while the vault is sealed.
///
/// # Errors
/// [`FlowError`]; what was not done is done the next time, and a key that is over opens nothing in between.
pub async fn tend(vault: &Vault) -> Result<(), FlowError> {
    if !vault.barrier.is_unsealed() {
        return Ok(());
    }
    let now_ms = vault.now_ms();
    let known = vault.barrier.intake_keys();
    let active = known.iter().find(|facts| facts.state == KeyState::Active);
    let exchanged = match active {
        Some(facts) if now_ms < vault.intake.end_ms(facts) => Ok(()),
        _ => exchange(vault, active, now_ms).await,
    };
    // Destroying needs no Root, so it does not wait for one that is away.
    let gone = |facts: &&KeyFacts| facts.state == KeyState::Retiring && now_ms >= vault.intake.gone_ms(facts);
    for facts in known.iter().filter(gone) {
        destroy(vault, facts.term).await?;
    }
    let oldest = vault.barrier.intake_keys().iter().map(|facts| facts.term).min().unwrap_or(0);
    while vault.store.forget_spent(oldest, BATCH).await? == u64::from(BATCH) {}
    exchanged
}

async fn exchange(vault: &Vault, active: Option<&KeyFacts>, now_ms: u64) -> Result<(), FlowError> {
    let root = vault.root.get().await?;
    let rows = vault.store.keys().await?;
    let terms = rows.iter().filter(|row| row.name.purpose == KeyPurpose::Intake).map(|row| row.name.term);
    let term = terms.max().unwrap_or(0) + 1;
    let made = keyring::make::<IntakeRole>(&root, KeyPurpose::Intake, None, term, now_ms).await?;
    // Held to the end, so that the store and the keyring change in the same order.
    let _changing = vault.root.still(&root).await?;
    vault.audit.record_own(OwnAct::KeyMade, Own::noting(Note::words("intake: term").and(&term))).await?;
    let retires = active.map(|facts| (name(facts.term), KeyState::Active, KeyState::Retiring));
    let change =
        KeyChange { insert: vec![made.row.clone()], states: retires.into_iter().collect(), ..KeyChange::default() };
    if !vault.store.change_keys(change).await? {
        return Err(FlowError::Conflict("the intake key was exchanged by somebody else"));
    }
    vault.barrier.update(|ring| ring.add_intake(made.facts(), IntakeKey::new(&made.key)))?;
    Ok(())
}

async fn destroy(vault: &Vault, term: u32) -> Result<(), FlowError> {
    let _changing = vault.root.held.lock().await;
    vault.audit.record_own(OwnAct::KeyDestroyed, Own::noting(Note::words("intake: term").and(&term))).await?;
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

const BATCH: u32 = 1_000;

#[cfg(test)]
#[path = "intake_tests.rs"]
mod tests;
