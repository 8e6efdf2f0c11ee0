//! The policy among several nodes. Each kept text has a number that the signature covers and that only grows, so that a node tells
//! a policy that was approved elsewhere from one of an earlier day that somebody put back.
//!
//! Invariants:
//! - A node never goes from a number to a smaller one, and its log says each that it came to. A crash in between leaves an
//!   entry too few, never a policy too old: the next unseal reads the store and writes the entry.
//! - A row that is not signed, or is of an earlier day, changes nothing at a node that runs. A node that starts with it seals.

use std::sync::PoisonError;
use std::sync::atomic::Ordering;

use strongroom_wire::admin::KeyPurpose;
use strongroom_wire::entry::{Act, OwnAct};

use super::policy_change::{InForce, NAME, NOT_A_POLICY, find, tampered, was_unsealed};
use super::{FlowError, Vault, kept};
use crate::audit::Own;
use crate::barrier::Keyring;
use crate::policy::{Digest, Note, Rules};
use crate::store::KeptRow;

/// Takes what came into force at another node. Call it when something changed, and after the keys are those of the store.
///
/// # Errors
/// Those of the store and the log; [`FlowError::Conflict`] for a policy that this version cannot read. The one in force
/// stays.
pub async fn follow(vault: &Vault) -> Result<(), FlowError> {
    let source = &vault.policy_source;
    let _changing = source.changing.lock().await;
    let (row, now) = (find(vault).await?, source.now());
    let voices = vault.barrier.voices()?;
    let number = row.as_ref().and_then(|row| kept::number(&voices, row));
    match (row, number) {
        (Some(row), Some(number)) if (row.value.as_slice(), number) == (now.text.as_bytes(), now.number) => Ok(()),
        (Some(row), Some(number)) if number > now.number => take(vault, row, number).await,
        (row, _) => refuse(vault, row).await,
    }
}

/// Before the keys are put in force: takes what the store keeps, if the vault or one of its nodes signed it. What this start took
/// from the file is signed now.
///
/// # Errors
/// [`FlowError::Tampered`]; [`FlowError::Conflict`] if another node did the same in this moment.
pub(super) async fn verify(vault: &Vault, ring: &Keyring) -> Result<(), FlowError> {
    let source = &vault.policy_source;
    let _changing = source.changing.lock().await;
    let (row, now, voices) = (find(vault).await?, source.now(), ring.voices());
    let number = row.as_ref().and_then(|row| kept::number(&voices, row));
    let is_same = row.as_ref().is_some_and(|row| row.value == now.text.as_bytes());
    let is_anew = source.begun_anew.load(Ordering::SeqCst) && !is_same;
    // A vault that was killed on its way through its first unseal has signed nothing yet.
    let is_unsigned = || row.as_ref().is_some_and(|row| row.note.is_empty()) && is_same;
    let is_first =
        number.is_none() && (source.is_fresh.load(Ordering::SeqCst) || (is_unsigned() && !was_unsealed(vault)?));
    if is_anew || is_first {
        let next = number.map_or_else(|| newest_in_log(vault), Ok)?.saturating_add(1);
        let new = kept::row(ring.signer(), NAME, now.text.clone().into_bytes(), next);
        if !vault.store.swap_kept(row, new.clone()).await? {
            return Err(MEANWHILE);
        }
        take(vault, new, next).await?;
    } else if let (Some(row), Some(number)) = (row, number) {
        take(vault, row, number).await?;
    } else {
        return Err(tampered(vault).await?);
    }
    // From here on what the store keeps is newer than what this start took.
    source.is_fresh.store(false, Ordering::SeqCst);
    source.begun_anew.store(false, Ordering::SeqCst);
    Ok(())
}

/// Keeps the policy that comes into force here, in the place of the one that is; its number.
///
/// # Errors
/// [`FlowError::Conflict`] if another one came into force elsewhere.
pub(super) async fn put_next(vault: &Vault, text: &str) -> Result<u64, FlowError> {
    let now = vault.policy_source.now();
    let voices = vault.barrier.voices()?;
    let is_now = |row: &KeptRow| row.value == now.text.as_bytes() && kept::number(&voices, row) == Some(now.number);
    let row = find(vault).await?.filter(is_now).ok_or(MEANWHILE)?;
    let number = now.number.saturating_add(1);
    let next = vault.barrier.sign(|signer| kept::row(signer, NAME, text.as_bytes().to_vec(), number))?;
    if vault.store.swap_kept(Some(row), next).await? { Ok(number) } else { Err(MEANWHILE) }
}

/// Whether the log says of no number above the one in force. It reads the log and takes its time.
///
/// # Errors
/// The log cannot be read.
pub(super) fn is_newest(vault: &Vault) -> Result<bool, FlowError> {
    let newest = newest_in_log(vault)?;
    // Looked at afterwards: what came into force while the log was read was just approved.
    Ok(newest <= vault.policy_source.now().number)
}

/// What the log says when a number is in force.
pub(super) fn in_force(digest: &Digest, number: u64) -> Note {
    Note::words("policy").and(digest).and(&NUMBERED).and(&number)
}

async fn take(vault: &Vault, row: KeptRow, number: u64) -> Result<(), FlowError> {
    let source = &vault.policy_source;
    let digest = Digest::of(&row.value);
    let text = String::from_utf8(row.value).map_err(|_| NOT_A_POLICY)?;
    if text != source.now().text {
        let rules = Rules::parse(&text).map_err(|_| NOT_A_POLICY)?;
        let note = Note::words("policy").and(&digest).and(&"comes into force, approved at another node");
        vault.audit.record_own(OwnAct::Reloaded, Own::noting(note)).await?;
        vault.policy.replace(rules, vault.now_ms());
    }
    source.turn(InForce { text, number });
    vault.audit.record_own(OwnAct::Reloaded, Own::noting(in_force(&digest, number))).await?;
    // The file is looked at again, because it may hold just what is in force now.
    let _ = source.read();
    Ok(())
}

/// Says once of a row that it changes nothing.
async fn refuse(vault: &Vault, row: Option<KeptRow>) -> Result<(), FlowError> {
    // Signed under a term of the Sign key that this node has not taken over yet: then it is asked again.
    let known = vault.barrier.sign_term();
    let is_newer = |term: u32| known.is_some_and(|known| term > known);
    let rows = vault.store.keys().await?;
    if rows.iter().any(|row| row.name.purpose == KeyPurpose::Sign && is_newer(row.name.term)) {
        return Ok(());
    }
    let what = Digest::of(&row.map_or_else(Vec::new, |row| [row.note.as_bytes(), b"\n", &row.value].concat()));
    let last = &vault.policy_source.refused;
    if last.lock().unwrap_or_else(PoisonError::into_inner).replace(what) != Some(what) {
        let _tampered = tampered(vault).await?;
    }
    Ok(())
}

/// The largest number of which the log says that it was in force.
fn newest_in_log(vault: &Vault) -> Result<u64, FlowError> {
    let mut newest = 0;
    vault.audit.walk_back(0, |_, entry| {
        let words = entry.note.strip_prefix("policy ").filter(|_| entry.act == Act::Own(OwnAct::Reloaded));
        let number = words.and_then(|words| words.split_once(' ')?.1.strip_prefix(NUMBERED)?.trim_start().parse().ok());
        newest = newest.max(number.unwrap_or(0));
    })?;
    Ok(newest)
}

const NUMBERED: &str = "is in force as number";
const MEANWHILE: FlowError = FlowError::Conflict("another policy came into force at another node; ask again");

#[cfg(test)]
#[path = "policy_nodes_tests.rs"]
mod tests;
