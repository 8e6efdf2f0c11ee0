//! A tenant's fingerprint key: every card and secret gets its fingerprint and binding anew. A card is opened inside the
//! barrier alone, and only its new fingerprint comes out.
//!
//! Invariants: the new term is known to every request before one of them uses it, and used by every request before the walk
//! begins (see `Rounds`), so that a card is recognised and an answer found at any moment; each row moves by
//! compare-and-swap, together with whatever finds it; it is done only when a count finds no card and no secret on an older
//! term. Kept answers stay under the name that they have, because that cannot be made again without the caller: they are
//! found under the old term until their day is over, and a term is not destroyed before.

use std::sync::Arc;
use std::time::Instant;

use strongroom_keys::Mac;
use strongroom_wire::admin::{KeyPurpose, KeyState};
use strongroom_wire::entry::{OwnAct, Subject};

use super::kek::{BATCH, WRITTEN_EVERY};
use super::running::Run;
use super::{CHANGED, New, completion, ends, made, put_in_use, taken};
use crate::audit::{Own, Warrant};
use crate::barrier::MacTerm;
use crate::flow::{FlowError, Vault, keyring, row, secret};
use crate::policy::{Note, Rotate};
use crate::store::{CardRow, KeyChange, MarkPage, MarkSwap, Marks, RotationRow, SecretRow};

/// Makes the new term, pending: first in the store, then in the keyring, where every request learns of it.
pub(super) async fn prepare(vault: &Vault, row: &mut RotationRow) -> Result<(), FlowError> {
    let tenant = row.tenant.clone().ok_or(FlowError::NotFound)?;
    let (known, active) = ends(vault, row).await?;
    if let Some(mut new) = New::<Mac>::of(vault, row, known).await? {
        let changing = vault.root.still(&new.root).await?;
        if new.is_fresh {
            new.row.state = KeyState::Pending;
            made(vault, row).await?;
            // The term that is active must still be: a tenant that was shredded while the Root was asked gets no key.
            let states = vec![(active, KeyState::Active, KeyState::Active)];
            let change =
                KeyChange { insert: vec![new.row.clone()], states, under: new.under(), ..KeyChange::default() };
            if !vault.store.change_keys(change).await? {
                return Err(CHANGED);
            }
        }
        let term = MacTerm::new(keyring::facts(&new.row), new.key);
        taken(vault.barrier.update(|ring| ring.add_mac_term(&tenant, PURPOSE, term)))?;
        drop(changing);
    }
    let left = vault.store.count_stale_marks(&tenant, row.to_term).await?;
    row.total = row.done + left.cards + left.secrets;
    Ok(())
}

/// Uses the new term and moves rows to it until none is left; answers the signed completion.
pub(super) async fn walk(
    vault: &Arc<Vault>,
    warrant: &Arc<Warrant<Rotate>>,
    run: &Arc<Run>,
) -> Result<String, FlowError> {
    let (tenant, term) = (run.which().tenant.ok_or(FlowError::NotFound)?, run.row().to_term);
    if ends(vault, &run.row()).await?.0.ok_or(FlowError::NotFound)?.state == KeyState::Pending {
        // Every request, here and at every other node, knows the term before one uses it.
        vault.rounds.settled().await;
        vault.settled_elsewhere().await?;
    }
    put_in_use(vault, &run.row()).await?;
    // From here on nothing under an older term is on its way to the store, so that a count of none stays true.
    vault.rounds.settled().await;
    vault.settled_elsewhere().await?;
    let mut written = Instant::now();
    loop {
        let mut from = None;
        loop {
            let page = vault.store.stale_marks(&tenant, term, from, run.pace.batch(BATCH)).await?;
            from = page.next;
            if !page.cards.is_empty() || !page.secrets.is_empty() {
                let swaps = moved(vault, warrant, page, term).await?;
                let swapped = vault.store.swap_marks(&tenant, swaps).await?;
                run.change(|row| row.done += swapped);
                vault.rotations.keep_pace(run, swapped, vault.audit.size()).await;
                run.is_ours(vault)?;
            }
            if written.elapsed() >= WRITTEN_EVERY {
                vault.store.put_rotation(run.row()).await?;
                written = Instant::now();
            }
            if from.is_none() {
                break;
            }
        }
        // What a walk missed because it was changed under its hands is found by the next one.
        let left = vault.store.count_stale_marks(&tenant, term).await?;
        if left.cards + left.secrets == 0 {
            return completion(vault, run);
        }
    }
}

/// The page's marks under the new term, made on a thread for blocking work. A row that was tampered with is recorded and
/// stops the rotation: a new mark over it would make it good.
async fn moved(
    vault: &Arc<Vault>,
    warrant: &Arc<Warrant<Rotate>>,
    page: MarkPage,
    term: u32,
) -> Result<Vec<MarkSwap>, FlowError> {
    let (own, by) = (Arc::clone(vault), Arc::clone(warrant));
    let make = move || {
        let mut swaps = Vec::with_capacity(page.cards.len() + page.secrets.len());
        for card in page.cards {
            let (tenant, subject) = (card.tenant.clone(), Subject::Card(card.token));
            swaps.push(of_card(&own, &by, card, term).map_err(|error| (error, tenant, subject))?);
        }
        for secret in page.secrets {
            let (tenant, subject) = (secret.tenant.clone(), Subject::Secret(secret.id));
            swaps.push(of_secret(&own, secret, term).map_err(|error| (error, tenant, subject))?);
        }
        Ok(swaps)
    };
    let ended = tokio::task::spawn_blocking(make).await;
    match ended.map_err(|_| FlowError::Crypto("the rotation's thread ended"))? {
        Ok(swaps) => Ok(swaps),
        Err((error, tenant, subject)) => {
            if error == FlowError::Tampered {
                vault.metrics.tampered.inc();
                let note = Note::words("fingerprint rotation");
                vault.audit.record_own(OwnAct::TamperFound, Own { tenant: Some(tenant), subject, note }).await?;
            }
            Err(error)
        }
    }
}

fn of_card(vault: &Vault, warrant: &Warrant<Rotate>, card: CardRow, term: u32) -> Result<MarkSwap, FlowError> {
    row::check_binding(&vault.barrier, &card)?;
    let old = Marks { fingerprint: card.fingerprint, mac_term: card.mac_term, binding: card.content.binding };
    let known = (&card.fingerprint, card.mac_term);
    let fingerprint = vault.barrier.new_fingerprint(warrant, &card.token, &row::envelope(&card)?, known)?;
    let after = CardRow { fingerprint, mac_term: term, ..card };
    let new = Marks { fingerprint, mac_term: term, binding: row::binding(&vault.barrier, &after)? };
    Ok(MarkSwap::Card(after.token, old, new))
}

fn of_secret(vault: &Vault, secret: SecretRow, term: u32) -> Result<MarkSwap, FlowError> {
    if secret::binding(vault, &secret)? != secret.binding {
        return Err(FlowError::Tampered);
    }
    let marks = |row: &SecretRow| Marks { fingerprint: [0; 16], mac_term: row.mac_term, binding: row.binding };
    let old = marks(&secret);
    let mut after = SecretRow { mac_term: term, ..secret };
    after.binding = secret::binding(vault, &after)?;
    Ok(MarkSwap::Secret(after.id, old, marks(&after)))
}

const PURPOSE: KeyPurpose = KeyPurpose::Fingerprint;
