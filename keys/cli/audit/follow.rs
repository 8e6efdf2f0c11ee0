//! A vault's log read over its API, entry by entry, and checked as it is read: nothing is handed on before it is shown that
//! it is in a signed checkpoint, after everything that was handed on before.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use strongroom_keys::note::Checkpoint;
use strongroom_keys::tlog::{Frontier, Hash, leaf_hash, verify_inclusion};
use strongroom_wire::Kind;
use strongroom_wire::admin::{EntryPage, EntryView, InclusionProof};
use strongroom_wire::limits;

use super::trust::Trust;
use crate::client::Client;
use crate::failure::Failure;

/// Reads one log from an entry on.
pub(super) struct Follower<'a> {
    client: &'a Client,
    trust: Trust<'a>,
    /// The tree over everything that was handed on.
    tree: Frontier,
    /// Read, and not shown to be in a checkpoint yet.
    ahead: Vec<EntryView>,
}

/// Why there is no next batch.
#[derive(Debug)]
pub(super) enum Trouble {
    /// Asking again may help.
    Later(Failure),
    /// The vault refuses, or its log is not the one that was read so far.
    Final(Failure),
}

impl Trouble {
    pub(super) fn into_failure(self) -> Failure {
        match self {
            Trouble::Later(failure) | Trouble::Final(failure) => failure,
        }
    }
}

impl From<Failure> for Trouble {
    fn from(failure: Failure) -> Self {
        if failure.is(Kind::Denied) || failure.is(Kind::Unauthenticated) {
            Trouble::Final(failure)
        } else {
            Trouble::Later(failure)
        }
    }
}

impl<'a> Follower<'a> {
    /// Goes on after the entries of this tree.
    pub(super) fn new(client: &'a Client, trust: Trust<'a>, tree: Frontier) -> Self {
        Self { client, trust, tree, ahead: Vec::new() }
    }

    /// The tree over everything that was handed on.
    pub(super) fn tree(&self) -> &Frontier {
        &self.tree
    }

    /// The vault's newest checkpoint and its note. A log that is shorter than what was handed on is another one.
    pub(super) async fn checkpoint(&mut self) -> Result<(Checkpoint, String), Trouble> {
        let note = self.client.get_text("/v1/audit/checkpoint").await?;
        let checkpoint = self.trust.open(&note).await?;
        if checkpoint.size < self.tree.size()
            || checkpoint.size == self.tree.size() && checkpoint.root != self.tree.root()
        {
            return Err(forked(self.tree.size()));
        }
        Ok((checkpoint, note))
    }

    /// The next entries up to a checkpoint, at most [`BATCH`]; none when all of it was handed on.
    pub(super) async fn next(&mut self, until: &Checkpoint) -> Result<Vec<EntryView>, Trouble> {
        let from = self.tree.size();
        let count = until.size.saturating_sub(from).min(BATCH);
        while (self.ahead.len() as u64) < count {
            let at = from + self.ahead.len() as u64;
            // Up to the end, so that the entry of this very question is among the answer and makes no further one.
            let path = format!("/v1/audit/entries?from={at}&limit={}", limits::ENTRIES_PAGE_MAX);
            let page: EntryPage = self.client.get(&path).await?;
            let fits = page.entries.iter().zip(at..).all(|(entry, index)| entry.index == index);
            if page.entries.is_empty() || !fits {
                return Err(forked(at));
            }
            self.ahead.extend(page.entries);
        }
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        let mut tree = self.tree.clone();
        let mut before_last = tree.clone();
        let mut last = None;
        for entry in &self.ahead[..count] {
            let body = STANDARD.decode(&entry.raw).map_err(|_| forked(entry.index))?;
            // What is handed on is what these bytes say, not what stands beside them.
            let view = strongroom_wire::Entry::decode(&body)
                .map(|decoded| EntryView::of(entry.index, &decoded, entry.raw.clone()));
            if view.as_ref() != Ok(entry) {
                return Err(forked(entry.index));
            }
            let leaf = leaf_hash(&body);
            before_last = tree.clone();
            tree.push(leaf);
            last = Some(leaf);
        }
        match last {
            None => return Ok(Vec::new()),
            Some(_) if tree.size() == until.size => {
                if tree.root() != until.root {
                    return Err(forked(from));
                }
            }
            Some(leaf) => self.prove(&before_last, leaf).await?,
        }
        self.tree = tree;
        Ok(self.ahead.drain(..count).collect())
    }

    /// Has the vault prove the entry after `before`, and with it everything before: the left siblings in a proof of
    /// inclusion are the roots of the subtrees in front of the entry, which are known here.
    async fn prove(&mut self, before: &Frontier, leaf: Hash) -> Result<(), Trouble> {
        let index = before.size();
        let proof: InclusionProof = self.client.get(&format!("/v1/audit/proofs/{index}")).await?;
        let checkpoint = self.trust.open(&proof.checkpoint).await?;
        let hashes = proof.hashes.iter().map(|hash| STANDARD.decode(hash).ok()?.try_into().ok());
        let hashes: Vec<Hash> = hashes.collect::<Option<_>>().ok_or_else(|| forked(index))?;
        let shown = verify_inclusion(&leaf, index, checkpoint.size, &hashes, &checkpoint.root).is_ok();
        let peaks: Vec<Hash> = before.peaks().iter().rev().copied().collect();
        if shown && left_siblings(index, checkpoint.size, &hashes) == peaks { Ok(()) } else { Err(forked(index)) }
    }
}

/// The siblings of a proof of inclusion that stand to the left of the entry's path, from the leaf up (RFC 9162 section
/// 2.1.3.2 tells them apart so).
fn left_siblings(index: u64, size: u64, proof: &[Hash]) -> Vec<Hash> {
    let (mut node, mut last) = (index, size - 1);
    let mut left = Vec::new();
    for sibling in proof {
        if node & 1 == 1 || node == last {
            left.push(*sibling);
            while node & 1 == 0 && node != 0 {
                node >>= 1;
                last >>= 1;
            }
        }
        node >>= 1;
        last >>= 1;
    }
    left
}

fn forked(near: u64) -> Trouble {
    Trouble::Final(Failure::new(
        format!(
            "the vault's log is not the one that was read so far: near entry {near} it does not fit what was signed"
        ),
        "keep the cursor file and what was received, take a copy of audit.db, and treat it as an incident: entries were \
         changed or removed, or the vault was restored from a backup",
    ))
}

/// Entries that are held in memory at a time.
pub(super) const BATCH: u64 = 10_000;

#[cfg(test)]
mod tests {
    use strongroom_keys::tlog::{Leaves, inclusion_proof, tree_root};

    use super::*;

    #[test]
    fn the_left_siblings_of_a_proof_are_the_tree_before_the_entry() {
        let leaves: Vec<Hash> = (0..70u32).map(|n| leaf_hash(&n.to_be_bytes())).collect();
        for size in 1..=70u64 {
            assert!(tree_root(&Leaves(&leaves), size).is_ok());
            let mut before = Frontier::new();
            for index in 0..size {
                let proof = inclusion_proof(&Leaves(&leaves), index, size).unwrap();
                let peaks: Vec<Hash> = before.peaks().iter().rev().copied().collect();
                assert_eq!(left_siblings(index, size, &proof), peaks, "{index} of {size}");
                before.push(leaves[usize::try_from(index).unwrap()]);
            }
        }
    }
}
