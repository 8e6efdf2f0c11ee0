//! `Idempotency-Key`: the same key and request get the same answer, another request under the key is refused.
//!
//! A key belongs to whoever used it first: its name in the store is a MAC over tenant, caller, route and key, so nobody
//! gets another caller's answer by guessing keys. Kept answers are sealed; they hold masked cards only.

use std::collections::HashSet;
use std::str::FromStr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use strongroom_keys::Envelope;
use strongroom_wire::hex::hex;
use strongroom_wire::{BadId, TenantId, Token, limits};
use zeroize::Zeroizing;

use super::nodes::{self, Lease};
use super::rounds::Round;
use super::{Asker, FlowError, Vault};
use crate::barrier::SlotMark;
use crate::store::AnswerRow;

/// What the header of that name holds: 1 to 128 printable ASCII characters.
#[derive(Clone, PartialEq, Eq)]
pub struct IdempotencyKey(String);

/// The header is not such a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("Idempotency-Key is 1 to 128 printable ASCII characters without spaces")]
pub struct BadIdempotencyKey;

impl FromStr for IdempotencyKey {
    type Err = BadIdempotencyKey;

    fn from_str(text: &str) -> Result<Self, BadIdempotencyKey> {
        let fits = (1..=limits::IDEMPOTENCY_KEY_CHARS_MAX).contains(&text.len());
        if fits && text.bytes().all(|b| b.is_ascii_graphic()) {
            Ok(Self(text.to_owned()))
        } else {
            Err(BadIdempotencyKey)
        }
    }
}

/// A key in its place: who used it where, for which request. While the tenant's fingerprint key rotates it has a name under
/// each term that is known; an answer is kept under the active one and looked for under all.
pub(super) struct Slot {
    tenant: TenantId,
    mark: SlotMark,
    others: Vec<SlotMark>,
    _round: Round,
}

/// A kept answer: the JSON that was answered then.
pub(super) type Kept = Zeroizing<Vec<u8>>;

impl Slot {
    /// The place of a key. `request` is what must be the same again; only its MAC is kept.
    pub(super) fn of(
        vault: &Vault,
        asker: &Asker,
        tenant: &TenantId,
        route: &'static str,
        key: &IdempotencyKey,
        request: &[&[u8]],
    ) -> Result<Self, FlowError> {
        let who = asker.who.who();
        Self::named(vault, tenant, &[who.as_bytes(), route.as_bytes(), key.0.as_bytes()], route, request)
    }

    /// The same for one of many places that share a key.
    pub(super) fn at(
        vault: &Vault,
        asker: &Asker,
        tenant: &TenantId,
        (route, place): (&'static str, usize),
        key: &IdempotencyKey,
        request: &[&[u8]],
    ) -> Result<Self, FlowError> {
        let (who, place) = (asker.who.who(), (place as u64).to_be_bytes());
        Self::named(vault, tenant, &[who.as_bytes(), route.as_bytes(), key.0.as_bytes(), &place], route, request)
    }

    fn named(
        vault: &Vault,
        tenant: &TenantId,
        name: &[&[u8]],
        route: &'static str,
        request: &[&[u8]],
    ) -> Result<Self, FlowError> {
        // Entered before the terms are looked at: see `Rounds`.
        let round = vault.rounds.enter();
        let parts: Vec<&[u8]> = std::iter::once(route.as_bytes()).chain(request.iter().copied()).collect();
        let mut marks = vault.barrier.slot_marks(tenant, name, &parts)?;
        let others = marks.split_off(1);
        let mark = marks.pop().ok_or(FlowError::NotFound)?;
        Ok(Self { tenant: tenant.clone(), mark, others, _round: round })
    }

    /// Ties a key to its request where the answer itself may not be kept, because it is a card or a secret: the same
    /// request runs again, another one is refused.
    pub(super) async fn claim(&self, vault: &Vault) -> Result<(), FlowError> {
        if self.find(vault).await?.is_some() {
            return Ok(());
        }
        let claimed = async {
            let _leave = vault.wraps.reserve(vault, &self.tenant).await?;
            self.keep(vault, b"").await
        };
        match claimed.await {
            // What is stored opens under an expired key too, so a release goes on; it is only not tied to its key.
            Ok(_) | Err(FlowError::KeyExpired) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Its names in the store, the one that is used now first.
    pub(super) fn names(&self) -> impl Iterator<Item = [u8; 32]> {
        self.marks().map(|mark| mark.name)
    }

    /// Whose.
    pub(super) fn tenant(&self) -> &TenantId {
        &self.tenant
    }

    /// The key's turn: until it is dropped no other request takes it, here or at another node.
    ///
    /// # Errors
    /// [`FlowError::Running`] if somebody has it.
    pub(super) async fn turn<'a>(&self, vault: &'a Vault) -> Result<Turn<'a>, FlowError> {
        let names: Vec<[u8; 32]> = self.names().collect();
        {
            let mut running = lock(&vault.turns);
            if names.iter().any(|name| running.contains(name)) {
                return Err(FlowError::Running);
            }
            running.extend(&names);
        }
        let mut turn = Turn { turns: &vault.turns, names, leases: Vec::new() };
        if vault.nodes.are_several() {
            // Two nodes that are on either side of a new term have one name in common.
            for place in 0..turn.names.len() {
                let lease = nodes::take(vault, format!("turn/{}", hex(&turn.names[place]))).await?;
                turn.leases.push(lease.ok_or(FlowError::Running)?);
            }
        }
        Ok(turn)
    }

    /// The answer that was given before, if there was one.
    pub(super) async fn find(&self, vault: &Vault) -> Result<Option<Kept>, FlowError> {
        for mark in self.marks() {
            if let Some(row) = vault.store.answer(&self.tenant, &mark.name, vault.now_ms()).await? {
                return self.replay(vault, &row).map(Some);
            }
        }
        Ok(None)
    }

    /// The answer in a row, if the row is for the same request.
    pub(super) fn replay(&self, vault: &Vault, row: &AnswerRow) -> Result<Kept, FlowError> {
        let mark = self.marks().find(|mark| mark.name == row.name).ok_or(FlowError::Tampered)?;
        if row.digest != mark.digest {
            return Err(FlowError::OtherRequest);
        }
        let envelope = Envelope::parse(&row.envelope).map_err(|_| FlowError::Tampered)?;
        Ok(vault.barrier.open_answer(&self.tenant, &mark.name, &envelope)?)
    }

    /// The row that keeps an answer, which goes with the card that it shows.
    pub(super) fn row(&self, vault: &Vault, answer: &[u8], card: Option<Token>) -> Result<AnswerRow, FlowError> {
        let envelope = vault.barrier.seal_answer(&self.tenant, &self.mark.name, answer)?;
        Ok(AnswerRow {
            tenant: self.tenant.clone(),
            name: self.mark.name,
            digest: self.mark.digest,
            mac_term: self.mark.term,
            other_names: self.others.iter().map(|mark| mark.name).collect(),
            envelope: envelope.as_bytes().to_vec(),
            expires_ms: vault.now_ms() + limits::IDEMPOTENCY_TTL_S * 1000,
            card,
        })
    }

    /// Keeps an answer; if another request with the same key was faster, its answer counts.
    pub(super) async fn keep(&self, vault: &Vault, answer: &[u8]) -> Result<Option<Kept>, FlowError> {
        self.keep_about(vault, answer, None).await
    }

    /// The same for an answer that shows a card.
    pub(super) async fn keep_about(
        &self,
        vault: &Vault,
        answer: &[u8],
        card: Option<Token>,
    ) -> Result<Option<Kept>, FlowError> {
        let row = self.row(vault, answer, card)?;
        match vault.store.insert_answer(row, vault.now_ms()).await? {
            Some(earlier) => self.replay(vault, &earlier).map(Some),
            None => Ok(None),
        }
    }
}

impl Slot {
    fn marks(&self) -> impl Iterator<Item = &SlotMark> {
        std::iter::once(&self.mark).chain(&self.others)
    }
}

/// Keys whose requests run now.
pub(super) type Turns = Mutex<HashSet<[u8; 32]>>;

/// See [`Slot::turn`].
pub(super) struct Turn<'a> {
    turns: &'a Turns,
    names: Vec<[u8; 32]>,
    leases: Vec<Lease>,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        // Each lease stays this process's until the store has it back, so that no other request here is early.
        self.leases.clear();
        let mut running = lock(self.turns);
        for name in &self.names {
            running.remove(name);
        }
    }
}

fn lock(turns: &Turns) -> MutexGuard<'_, HashSet<[u8; 32]>> {
    // A thread that panicked between an insertion and a removal left a set of names all the same.
    turns.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The tenant that an asker's Permit is for; every release act has one.
pub(super) fn tenant_of<A: crate::policy::Action>(permit: &crate::policy::Permit<A>) -> Result<TenantId, FlowError> {
    permit.tenant().cloned().ok_or(FlowError::Field { field: "Strongroom-Tenant", why: "say for which tenant" })
}

impl From<BadId> for FlowError {
    fn from(_: BadId) -> Self {
        FlowError::NotFound
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_of_another_form_or_length_is_refused() {
        assert!("a-1".parse::<IdempotencyKey>().is_ok());
        assert!("a".repeat(limits::IDEMPOTENCY_KEY_CHARS_MAX).parse::<IdempotencyKey>().is_ok());
        for bad in [String::new(), "a b".into(), "\u{e4}".into(), "a".repeat(limits::IDEMPOTENCY_KEY_CHARS_MAX + 1)] {
            assert!(bad.parse::<IdempotencyKey>().is_err());
        }
    }
}
