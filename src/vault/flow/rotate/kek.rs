//! A tenant's Kek: wrapped Deks move to the new term; no card is opened.
//!
//! Invariants: the new term is in the store before it seals anything, and known to every node; each record moves by compare-and-swap; it is done
//! only when a count finds no record on an older term.

use std::sync::Arc;

use strongroom_keys::context::Purpose;
use strongroom_keys::{Envelope, Kek};
use strongroom_wire::admin::KeyState;

use super::running::Run;
use super::{CHANGED, New, completion, ends, first_state, made, next_state, taken, use_when_known};
use crate::audit::Warrant;
use crate::barrier::{KekTerm, KeyFacts};
use crate::flow::{FlowError, Vault, keyring};
use crate::policy::Rotate;
use crate::store::{EnvelopeSwap, KeyChange, Place, RotationRow, StalePage};

/// Makes the new term: first in the store, then in the keyring, where it begins to seal.
pub(super) async fn prepare(vault: &Vault, row: &mut RotationRow) -> Result<(), FlowError> {
    let tenant = row.tenant.clone().ok_or(FlowError::NotFound)?;
    let (known, active) = ends(vault, row).await?;
    if let Some(mut new) = New::<Kek>::of(vault, row, known).await? {
        let changing = vault.root.still(&new.root).await?;
        if new.is_fresh {
            new.row.state = first_state(vault);
            made(vault, row).await?;
            let states = vec![(active, KeyState::Active, next_state(new.row.state))];
            let change =
                KeyChange { insert: vec![new.row.clone()], states, under: new.under(), ..KeyChange::default() };
            if !vault.store.change_keys(change).await? {
                return Err(CHANGED);
            }
        }
        let facts = keyring::facts(&new.row);
        let pending = KeyFacts { state: KeyState::Pending, ..facts };
        taken(vault.barrier.update(|ring| ring.add_term(&tenant, KekTerm::new(pending, &new.key))))?;
        // Without it requests that are about to seal are refused for a moment, and that is all.
        let _ = vault.wraps.begin_term(vault, &tenant, facts.term).await;
        if facts.state == KeyState::Active {
            taken(vault.barrier.update(|ring| ring.activate_term(&tenant, facts.term)))?;
        }
        drop(changing);
    }
    use_when_known(vault, row).await?;
    row.total = row.done + vault.store.count_stale(&tenant, row.to_term).await?;
    Ok(())
}

/// Rewraps until nothing is left; answers the signed completion.
pub(super) async fn walk(
    vault: &Arc<Vault>,
    warrant: &Arc<Warrant<Rotate>>,
    run: &Arc<Run>,
) -> Result<String, FlowError> {
    let (tenant, term) = (run.which().tenant.ok_or(FlowError::NotFound)?, run.row().to_term);
    // From here on nothing under an older term is on its way to the store, so that a count of none stays true.
    vault.wraps.settled().await;
    vault.settled_elsewhere().await?;
    let mut written = std::time::Instant::now();
    loop {
        let mut page = vault.store.stale_records(&tenant, term, None, run.pace.batch(BATCH)).await?;
        loop {
            let next = page.next;
            let count = page.records.len() as u64;
            let swapped = if page.records.is_empty() {
                0
            } else {
                let leave = vault.wraps.reserve_at_least(vault, &tenant, count).await?;
                let swaps = rewrapped(vault, warrant, page).await?;
                let swapped = vault.store.swap_envelopes(&tenant, swaps).await?;
                drop(leave);
                swapped
            };
            run.change(|row| row.done += swapped);
            vault.rotations.keep_pace(run, swapped, vault.audit.size()).await;
            run.is_ours(vault)?;
            if written.elapsed() >= WRITTEN_EVERY {
                vault.store.put_rotation(run.row()).await?;
                written = std::time::Instant::now();
            }
            match next {
                Some(next) => {
                    page = vault.store.stale_records(&tenant, term, Some(next), run.pace.batch(BATCH)).await?;
                }
                None => break,
            }
        }
        // What a walk missed because it was changed under its hands is found by the next one.
        if vault.store.count_stale(&tenant, term).await? == 0 {
            return completion(vault, run);
        }
    }
}

/// The page under the new term, made on a thread for blocking work, so that requests on this one do not wait for it.
async fn rewrapped(
    vault: &Arc<Vault>,
    warrant: &Arc<Warrant<Rotate>>,
    page: StalePage,
) -> Result<Vec<EnvelopeSwap>, FlowError> {
    let (vault, warrant) = (Arc::clone(vault), Arc::clone(warrant));
    let rewrap = move || {
        let one = |record: crate::store::StaleRecord| {
            let old = Envelope::parse(&record.envelope).map_err(|_| FlowError::Tampered)?;
            let new = moved(&vault, &warrant, &record.place, &old)?;
            Ok(EnvelopeSwap { place: record.place, old: record.envelope, new: new.as_bytes().to_vec() })
        };
        page.records.into_iter().map(one).collect()
    };
    tokio::task::spawn_blocking(rewrap).await.map_err(|_| FlowError::Crypto("the rotation's thread ended"))?
}

fn moved(vault: &Vault, warrant: &Warrant<Rotate>, place: &Place, old: &Envelope) -> Result<Envelope, FlowError> {
    let rewrap = |record: &[u8], purpose| vault.barrier.rewrap(warrant, record, purpose, old);
    Ok(match place {
        Place::Card(token) => rewrap(token.uuid().as_bytes(), Purpose::Card),
        Place::Metadata(token) => rewrap(token.uuid().as_bytes(), Purpose::Metadata),
        Place::Secret(id) => rewrap(id.uuid().as_bytes(), Purpose::Secret),
        Place::Answer(name) => rewrap(name, Purpose::Answer),
    }?)
}

/// Records in one transaction: short enough that a reveal beside it does not wait long for the writer.
pub(super) const BATCH: u32 = 256;
/// How often it is written down how far it is. It is for people; what is done stands in the records themselves.
pub(super) const WRITTEN_EVERY: std::time::Duration = std::time::Duration::from_millis(250);
