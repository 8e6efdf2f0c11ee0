//! Epochs of CVCs among several nodes: what one node sealed opens on any other, once in all of them, and nothing that was ever
//! written down opens it.
//!
//! Each node says with its beats to which mailbox its copies are sealed, signed, and which epochs it has. Before a node seals
//! anything under an epoch of its own, the epoch's key lies in the store, sealed to the mailbox of each node that it heard of;
//! whoever has the key of any epoch gives it to a node that comes later. So it outlives the node that made it.
//!
//! A vault alone has none of this: every function here does what it did before there were nodes, and asks the store nothing.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use strongroom_keys::epoch::{EpochGrant, MailboxKey};
use strongroom_keys::note::Statement as _;
use strongroom_wire::limits;
use tokio::sync::Notify;

use super::{FlowError, Vault};
use crate::audit::Warrant;
use crate::barrier::{Barrier, TakesCvc};
use crate::card::Cvc;
use crate::store::{CvcMark, EpochRow};
use crate::telemetry::log;

/// What this node heard from the others and told them.
#[derive(Default)]
pub struct Post {
    heard: Mutex<Heard>,
    /// Held while an epoch is made.
    making: tokio::sync::Mutex<()>,
    /// There is something to fetch or to give.
    wanted: Notify,
}

#[derive(Default)]
struct Heard {
    /// Signed mailboxes as they came, and what they say; none for what nobody of this vault signed.
    read: HashMap<Vec<u8>, Option<[u8; 32]>>,
    /// Mailboxes of the other nodes.
    mailboxes: HashSet<[u8; 32]>,
    /// Epochs that others have.
    epochs: HashSet<u32>,
    /// What this node put into the store for whom.
    given: HashSet<(u32, [u8; 32])>,
    /// The own mailbox, as it is said.
    own: Option<([u8; 32], Vec<u8>)>,
    /// When somebody came last.
    newcomer_ms: u64,
}

/// What this node says of itself with each beat: `length u16 | signed mailbox | epoch u32 ...`; nothing while it is sealed.
#[must_use]
pub fn say(vault: &Vault) -> Vec<u8> {
    let Ok((key, at_ms)) = vault.barrier.mailbox() else { return Vec::new() };
    let mut heard = vault.post.lock();
    if heard.own.as_ref().is_none_or(|(own, _)| *own != key) {
        let statement = MailboxKey { vault_id: vault.root.descriptor().vault_id(), key, at_ms };
        let Ok(note) = vault.barrier.sign(|signer| statement.sign(signer)) else { return Vec::new() };
        heard.own = Some((key, note.into_bytes()));
        heard.newcomer_ms = vault.now_ms();
    }
    let note = heard.own.as_ref().map_or(&[][..], |(_, note)| note);
    let Ok(length) = u16::try_from(note.len()) else { return Vec::new() };
    let mut said = [&length.to_be_bytes(), note].concat();
    for epoch in vault.barrier.epoch_ids().into_iter().take(limits::EPOCHS_MAX) {
        said.extend_from_slice(&epoch.to_be_bytes());
    }
    said
}

/// What the other nodes said last. It came through the store, so that anybody who writes there may have said it: only signed
/// mailboxes count, and a name of an epoch is no more than a reason to look.
pub fn hear(vault: &Vault, said: &[&[u8]]) {
    let Ok(voices) = vault.barrier.voices() else { return };
    let (vault_id, now_ms) = (vault.root.descriptor().vault_id(), vault.now_ms());
    let mut heard = vault.post.lock();
    let before = std::mem::take(&mut heard.read);
    let (mut mailboxes, mut epochs) = (HashSet::new(), HashSet::new());
    for said in said {
        let Some((note, ids)) = cut(said) else { continue };
        let mailbox = match before.get(note) {
            Some(Some(known)) => Some(*known),
            // What did not hold is looked at again: it may be signed under a term that came a moment ago.
            _ => std::str::from_utf8(note).ok().and_then(|note| {
                let key = MailboxKey::said(voices.open(note)?)?;
                let is_now = now_ms.abs_diff(key.at_ms) < MAILBOX_MS;
                (key.vault_id == vault_id && is_now).then_some(key.key)
            }),
        };
        heard.read.insert(note.to_vec(), mailbox);
        if let Some(mailbox) = mailbox {
            mailboxes.insert(mailbox);
            epochs.extend(ids.chunks_exact(4).filter_map(|id| Some(u32::from_be_bytes(*id.first_chunk()?))));
        }
    }
    if mailboxes.iter().any(|mailbox| !heard.mailboxes.contains(mailbox)) {
        heard.newcomer_ms = now_ms;
    }
    let is_new = heard.mailboxes != mailboxes || heard.epochs != epochs;
    heard.given.retain(|(_, to)| mailboxes.contains(to));
    (heard.mailboxes, heard.epochs) = (mailboxes, epochs);
    drop(heard);
    if is_new {
        vault.post.wanted.notify_one();
    }
}

/// Makes sure that a CVC can be sealed now, and opened by every node that this one heard of.
///
/// # Errors
/// Those of the store and the barrier.
pub(super) async fn ready(vault: &Vault) -> Result<(), FlowError> {
    if vault.node.is_none() || vault.barrier.sealing_epoch() == (true, false) {
        return Ok(());
    }
    let _making = vault.post.making.lock().await;
    match vault.barrier.sealing_epoch() {
        (true, false) => Ok(()),
        // One whose end is near still seals.
        (true, true) => {
            if make(vault).await.is_err() {
                log::warn("the next epoch of CVCs was not made yet; the one before still seals", &[]);
            }
            Ok(())
        }
        (false, _) => make(vault).await,
    }
}

/// Opens a CVC for the card of a Warrant, once in all nodes.
///
/// # Errors
/// [`FlowError::CvcGone`], and those of the store: then it may be asked for again.
pub(super) async fn open_cvc<A: TakesCvc>(vault: &Vault, warrant: &Warrant<A>, text: &str) -> Result<Cvc, FlowError> {
    if vault.node.is_none() {
        return Ok(vault.barrier.open_cvc(warrant, text)?);
    }
    let epoch = Barrier::epoch_of(text).ok_or(FlowError::CvcGone)?;
    find(vault, epoch).await?;
    let taken = vault.barrier.take_cvc(warrant, text)?;
    let (epoch, name) = taken.name();
    let mut attempt = [0; 16];
    getrandom::fill(&mut attempt).map_err(|_| FlowError::Crypto("the operating system gave no random numbers"))?;
    match vault.store.mark_cvc(CvcMark { epoch, name, attempt, ends_ms: taken.gone_ms() }).await {
        Ok(is_first) => Ok(taken.first(is_first)?),
        Err(error) => {
            taken.give_back();
            Err(error.into())
        }
    }
}

/// Fetches and gives keys of epochs whenever there are some to fetch or to give, until the process ends.
pub async fn keep_sharing(vault: &Vault) {
    if vault.node.is_none() {
        return;
    }
    loop {
        let _ = tokio::time::timeout(EVERY, vault.post.wanted.notified()).await;
        if tend(vault).await.is_err() {
            log::warn("keys of CVCs were not exchanged with the other nodes; it is tried again", &[]);
            tokio::time::sleep(AGAIN).await;
            vault.post.wanted.notify_one();
        }
    }
}

/// Fetches what others have, gives what others lack, and makes the next epoch before the one that seals is over.
///
/// # Errors
/// Those of the store; what was not done is done the next time.
pub(super) async fn tend(vault: &Vault) -> Result<(), FlowError> {
    if vault.node.is_none() || !vault.barrier.is_unsealed() {
        return Ok(());
    }
    vault.barrier.mailbox()?;
    let known: HashSet<u32> = vault.barrier.epoch_ids().into_iter().collect();
    if vault.post.lock().epochs.iter().any(|epoch| !known.contains(epoch)) {
        fetch(vault).await?;
    }
    give(vault).await?;
    if vault.barrier.sealing_epoch().1 {
        let _making = vault.post.making.lock().await;
        if vault.barrier.sealing_epoch().1 {
            make(vault).await?;
        }
    }
    while vault.store.purge_epochs(vault.now_ms(), BATCH).await? >= u64::from(BATCH) {}
    Ok(())
}

/// Makes an epoch, gives its key to every node that was heard of, and only then seals under it.
async fn make(vault: &Vault) -> Result<(), FlowError> {
    let vault_id = vault.root.descriptor().vault_id();
    let next = vault.barrier.next_epoch()?;
    let to: Vec<[u8; 32]> = vault.post.lock().mailboxes.iter().copied().collect();
    let grants: Vec<EpochGrant> = to.iter().filter_map(|to| next.grant(vault_id, to)).collect();
    put(vault, grants).await?;
    Ok(vault.barrier.begin_epoch(next)?)
}

/// Gives the keys of all epochs that are here to nodes that did not get them from this one.
async fn give(vault: &Vault) -> Result<(), FlowError> {
    let vault_id = vault.root.descriptor().vault_id();
    let epochs = vault.barrier.epoch_ids();
    let missing: Vec<(u32, [u8; 32])> = {
        let heard = vault.post.lock();
        let pairs = heard.mailboxes.iter().flat_map(|to| epochs.iter().map(move |epoch| (*epoch, *to)));
        pairs.filter(|pair| !heard.given.contains(pair)).collect()
    };
    let grants = missing.iter().filter_map(|(epoch, to)| vault.barrier.grant_epoch(vault_id, *epoch, to)).collect();
    put(vault, grants).await
}

async fn put(vault: &Vault, grants: Vec<EpochGrant>) -> Result<(), FlowError> {
    let signed = |grant: &EpochGrant| {
        let note = vault.barrier.sign(|signer| grant.sign(signer))?;
        let ends_ms = grant.at_ms.saturating_add(2 * limits::CVC_TTL_S * 1000);
        Ok::<_, FlowError>(EpochRow { epoch: grant.epoch, to: grant.to, ends_ms, note })
    };
    for part in grants.chunks(limits::STORE_PAGE_MAX as usize) {
        vault.store.put_epochs(part.iter().map(signed).collect::<Result<_, _>>()?).await?;
        vault.post.lock().given.extend(part.iter().map(|grant| (grant.epoch, grant.to)));
    }
    Ok(())
}

/// Takes the keys that lie in the store for this node's mailboxes and that a node of this vault signed.
async fn fetch(vault: &Vault) -> Result<(), FlowError> {
    let rows = vault.store.epochs_to(vault.barrier.mailboxes(), vault.now_ms()).await?;
    let (voices, vault_id) = (vault.barrier.voices()?, vault.root.descriptor().vault_id());
    let known: HashSet<u32> = vault.barrier.epoch_ids().into_iter().collect();
    let mut refused = 0u64;
    for row in rows.iter().filter(|row| !known.contains(&row.epoch)) {
        let grant = voices.open(&row.note).and_then(EpochGrant::said);
        // A row that was moved is one that nobody made.
        let is_ours = grant
            .as_ref()
            .is_some_and(|grant| grant.vault_id == vault_id && (grant.epoch, grant.to) == (row.epoch, row.to));
        refused += u64::from(!is_ours || !grant.is_some_and(|grant| vault.barrier.accept_epoch(&grant)));
    }
    if refused > 0 {
        log::warn("keys of CVCs in the store were not taken: nobody of this vault made them", &[("keys", &refused)]);
    }
    Ok(())
}

/// Fetches the key of an epoch that is not here. Where a node came a moment ago, what it lacks may be on its way to it.
async fn find(vault: &Vault, epoch: u32) -> Result<(), FlowError> {
    for _ in 0..TRIES {
        if vault.barrier.epoch_ids().contains(&epoch) {
            return Ok(());
        }
        fetch(vault).await?;
        let is_here = vault.barrier.epoch_ids().contains(&epoch);
        let age_ms = vault.now_ms().saturating_sub(vault.post.lock().newcomer_ms);
        if is_here || age_ms >= YOUNG_MS {
            break;
        }
        tokio::time::sleep(PAUSE).await;
    }
    Ok(())
}

fn cut(said: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = said.split_first_chunk::<2>()?;
    rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))
}

impl Post {
    fn lock(&self) -> MutexGuard<'_, Heard> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A mailbox is exchanged after half an hour. What is older by a good deal was put back by somebody.
const MAILBOX_MS: u64 = 3 * limits::CVC_TTL_S * 1000;
const YOUNG_MS: u64 = 5_000;
const TRIES: usize = 10;
const PAUSE: Duration = Duration::from_millis(100);
const EVERY: Duration = Duration::from_secs(20);
const AGAIN: Duration = Duration::from_millis(500);
const BATCH: u32 = 1_000;

#[cfg(test)]
#[path = "epochs_tests.rs"]
mod tests;
