//! Check: a sample of the stored cards is opened inside the barrier and forgotten. It shows that a restored store and the
//! keys that are in memory belong together; nothing of a card leaves.

use std::collections::HashSet;

use strongroom_wire::backup::{Verified, VerifyRequest};
use strongroom_wire::entry::{OwnAct, Subject};
use strongroom_wire::limits;

use super::{Asker, FlowError, Vault, row};
use crate::audit::{Own, Warrant};
use crate::policy::{Backup, Note};
use crate::store::CardRow;

/// Opens up to so many cards at random and says how many opened.
///
/// # Errors
/// [`FlowError::Field`] for a sample out of range, and the others.
pub async fn sample(vault: &Vault, asker: &Asker, request: VerifyRequest) -> Result<Verified, FlowError> {
    if !(1..=limits::VERIFY_SAMPLE_MAX).contains(&request.sample) {
        return Err(FlowError::Field { field: "sample", why: "sample is a whole number from 1 to 10000" });
    }
    let note = Note::words("open a sample of").and(&request.sample);
    let permit = vault.permit_unsealed::<Backup>(asker, (), note).await?;
    let warrant = vault.warrant(permit).await?;
    let mut seen = HashSet::new();
    let mut result = Verified { cards: 0, opened: 0, failed: 0 };
    for place in vault.store.sample(places(request.sample)?).await? {
        if !seen.insert(place.token) {
            continue;
        }
        result.cards += 1;
        if opens(vault, &warrant, &place).is_ok() {
            result.opened += 1;
        } else {
            result.failed += 1;
            vault.metrics.tampered.inc();
            let subject = Subject::Card(place.token);
            let about = Own { tenant: Some(place.tenant.clone()), subject, note: Note::words("found by a sample") };
            vault.audit.record_own(OwnAct::TamperFound, about).await?;
        }
        if result.cards.is_multiple_of(YIELD_EVERY) {
            tokio::task::yield_now().await;
        }
    }
    let note = Note::words("opened").and(&result.opened).and(&"failed").and(&result.failed);
    vault.audit.record_end(warrant.trace(), note).await?;
    Ok(result)
}

fn opens(vault: &Vault, warrant: &Warrant<Backup>, card: &CardRow) -> Result<(), FlowError> {
    row::check_binding(&vault.barrier, card)?;
    let envelope = row::envelope(card)?;
    Ok(vault.barrier.check_card(warrant, &card.tenant, &card.token, &envelope)?)
}

fn places(count: u32) -> Result<Vec<u64>, FlowError> {
    let mut places = vec![0; count as usize];
    for place in &mut places {
        *place = getrandom::u64().map_err(|_| FlowError::Crypto("the operating system gave no random numbers"))?;
    }
    Ok(places)
}

/// Cards after which others on this thread have their turn.
const YIELD_EVERY: u64 = 64;
