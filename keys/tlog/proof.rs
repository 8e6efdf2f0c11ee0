//! Inclusion and consistency proofs (RFC 9162 sections 2.1.3 and 2.1.4): made from stored hashes, checked without them.

use super::{Hash, empty_root, leaf_hash, node_hash};
use crate::Unauthentic;

/// Where the hashes of complete subtrees come from: a table, tiles, or the leaves alone.
pub trait Nodes {
    /// Why a node cannot be given.
    type Error;

    /// The root of the complete subtree over the entries `index << level .. (index + 1) << level`. Asked only for
    /// subtrees that lie within the tree.
    ///
    /// # Errors
    /// The source's own.
    fn node(&self, level: u32, index: u64) -> Result<Hash, Self::Error>;
}

/// A source that has the leaf hashes alone and computes every node anew.
#[derive(Debug, Clone, Copy)]
pub struct Leaves<'a>(pub &'a [Hash]);

/// Why there is no proof.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProofError<E> {
    /// The entry or the older tree lies outside of the tree.
    #[error("the tree does not reach that far")]
    OutOfRange,
    /// A stored hash could not be read.
    #[error("a stored hash could not be read")]
    Source(#[from] E),
}

/// The root of the first `size` entries.
///
/// # Errors
/// The source's own.
pub fn tree_root<N: Nodes + ?Sized>(nodes: &N, size: u64) -> Result<Hash, N::Error> {
    if size == 0 { Ok(empty_root()) } else { subtree_root(nodes, 0, size) }
}

/// `PATH(index, D_size)`: the siblings from the leaf up.
///
/// # Errors
/// [`ProofError`] if the entry is not below `size`, or a hash cannot be read.
pub fn inclusion_proof<N: Nodes + ?Sized>(nodes: &N, index: u64, size: u64) -> Result<Vec<Hash>, ProofError<N::Error>> {
    if index >= size {
        return Err(ProofError::OutOfRange);
    }
    let mut path = Vec::new();
    let (mut start, mut end) = (0, size);
    while end - start > 1 {
        let middle = start + split(end - start);
        if index < middle {
            path.push(subtree_root(nodes, middle, end)?);
            end = middle;
        } else {
            path.push(subtree_root(nodes, start, middle)?);
            start = middle;
        }
    }
    path.reverse();
    Ok(path)
}

/// `PROOF(older, D_newer)`: that the newer tree begins with the older one. Empty for an older tree of no entries or of
/// the same size.
///
/// # Errors
/// [`ProofError`] if `older` is larger than `newer`, or a hash cannot be read.
pub fn consistency_proof<N: Nodes + ?Sized>(
    nodes: &N,
    older: u64,
    newer: u64,
) -> Result<Vec<Hash>, ProofError<N::Error>> {
    if older > newer {
        return Err(ProofError::OutOfRange);
    }
    let mut proof = Vec::new();
    if older == 0 || older == newer {
        return Ok(proof);
    }
    let (mut start, mut end) = (0, newer);
    // The older tree's last subtree is left out where it is the older tree itself: its root is known to the reader.
    while older != end {
        let middle = start + split(end - start);
        if older <= middle {
            proof.push(subtree_root(nodes, middle, end)?);
            end = middle;
        } else {
            proof.push(subtree_root(nodes, start, middle)?);
            start = middle;
        }
    }
    if start != 0 {
        proof.push(subtree_root(nodes, start, end)?);
    }
    proof.reverse();
    Ok(proof)
}

/// Whether an entry with this leaf hash stands at `index` of the tree of `size` entries with this root.
///
/// # Errors
/// [`Unauthentic`] if the proof does not show it.
pub fn verify_inclusion(leaf: &Hash, index: u64, size: u64, proof: &[Hash], root: &Hash) -> Result<(), Unauthentic> {
    if index >= size {
        return Err(Unauthentic);
    }
    let (mut node, mut last) = (index, size - 1);
    let mut hash = *leaf;
    for sibling in proof {
        if last == 0 {
            return Err(Unauthentic);
        }
        if node & 1 == 1 || node == last {
            hash = node_hash(sibling, &hash);
            while node & 1 == 0 && node != 0 {
                node >>= 1;
                last >>= 1;
            }
        } else {
            hash = node_hash(&hash, sibling);
        }
        node >>= 1;
        last >>= 1;
    }
    if last == 0 && hash == *root { Ok(()) } else { Err(Unauthentic) }
}

/// Whether the tree of `newer` entries begins with the tree of `older` entries.
///
/// # Errors
/// [`Unauthentic`] if the proof does not show it.
pub fn verify_consistency(
    older: u64,
    newer: u64,
    proof: &[Hash],
    older_root: &Hash,
    newer_root: &Hash,
) -> Result<(), Unauthentic> {
    if older == 0 || older == newer {
        let known = if older == 0 { empty_root() } else { *newer_root };
        return if older <= newer && proof.is_empty() && *older_root == known { Ok(()) } else { Err(Unauthentic) };
    }
    if older > newer {
        return Err(Unauthentic);
    }
    let (mut node, mut last) = (older - 1, newer - 1);
    while node & 1 == 1 {
        node >>= 1;
        last >>= 1;
    }
    // Where the older tree is one complete subtree, its root starts the walk and is not part of the proof.
    let (seed, rest) =
        if older.is_power_of_two() { (older_root, proof) } else { proof.split_first().ok_or(Unauthentic)? };
    let (mut old_hash, mut new_hash) = (*seed, *seed);
    for sibling in rest {
        if last == 0 {
            return Err(Unauthentic);
        }
        if node & 1 == 1 || node == last {
            old_hash = node_hash(sibling, &old_hash);
            new_hash = node_hash(sibling, &new_hash);
            while node & 1 == 0 && node != 0 {
                node >>= 1;
                last >>= 1;
            }
        } else {
            new_hash = node_hash(&new_hash, sibling);
        }
        node >>= 1;
        last >>= 1;
    }
    if last == 0 && old_hash == *older_root && new_hash == *newer_root { Ok(()) } else { Err(Unauthentic) }
}

/// The root over the entries `start..end`, where `start` is a multiple of the largest power of two that is not more than
/// the length: what every split of a tree yields.
///
/// # Errors
/// The source's own.
pub fn subtree_root<N: Nodes + ?Sized>(nodes: &N, start: u64, end: u64) -> Result<Hash, N::Error> {
    let length = end - start;
    if length.is_power_of_two() {
        let level = length.trailing_zeros();
        return nodes.node(level, start >> level);
    }
    let middle = start + split(length);
    Ok(node_hash(&subtree_root(nodes, start, middle)?, &subtree_root(nodes, middle, end)?))
}

impl Nodes for Leaves<'_> {
    type Error = OutOfLeaves;

    fn node(&self, level: u32, index: u64) -> Result<Hash, OutOfLeaves> {
        if level == 0 {
            let index = usize::try_from(index).map_err(|_| OutOfLeaves)?;
            return self.0.get(index).copied().ok_or(OutOfLeaves);
        }
        Ok(node_hash(&self.node(level - 1, index * 2)?, &self.node(level - 1, index * 2 + 1)?))
    }
}

/// There are not that many leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("there are not that many leaves")]
pub struct OutOfLeaves;

impl Leaves<'_> {
    /// Hashes entries, for a source over them.
    #[must_use]
    pub fn hash(entries: &[&[u8]]) -> Vec<Hash> {
        entries.iter().map(|entry| leaf_hash(entry)).collect()
    }
}

/// The largest power of two that is smaller than `length`; `length` is at least 2.
fn split(length: u64) -> u64 {
    1 << (u64::BITS - 1 - (length - 1).leading_zeros())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::tests::{ENTRIES, hex};
    use super::*;

    fn leaves(count: u64) -> Vec<Hash> {
        (0..count).map(|n| leaf_hash(&n.to_be_bytes())).collect()
    }

    fn hexes(hashes: &[Hash]) -> Vec<String> {
        hashes.iter().map(hex).collect()
    }

    #[test]
    fn proofs_are_those_of_the_reference_implementation() {
        let leaves = Leaves::hash(&ENTRIES);
        let nodes = Leaves(&leaves);
        let to_the_right = [
            "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
        ];
        assert_eq!(hexes(&inclusion_proof(&nodes, 0, 8).unwrap()), to_the_right);
        assert_eq!(hexes(&consistency_proof(&nodes, 1, 8).unwrap()), to_the_right);
        assert_eq!(
            hexes(&consistency_proof(&nodes, 6, 8).unwrap()),
            [
                "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
                "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
                "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
            ]
        );
        assert_eq!(
            hexes(&consistency_proof(&nodes, 2, 5).unwrap()),
            [
                "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
                "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
            ]
        );
    }

    #[test]
    fn every_entry_of_every_small_tree_is_proved_and_nothing_else() {
        let leaves = leaves(40);
        let nodes = Leaves(&leaves);
        for size in 1..=40u64 {
            let root = tree_root(&nodes, size).unwrap();
            for index in 0..size {
                let leaf = leaves[usize::try_from(index).unwrap()];
                let proof = inclusion_proof(&nodes, index, size).unwrap();
                assert_eq!(verify_inclusion(&leaf, index, size, &proof, &root), Ok(()));
                // The place is part of what is proved.
                for elsewhere in (0..size).filter(|other| *other != index) {
                    assert!(verify_inclusion(&leaf, elsewhere, size, &proof, &root).is_err());
                }
                assert!(verify_inclusion(&leaf, size, size, &proof, &root).is_err());
                let longer = [&proof[..], &[[7; 32]]].concat();
                assert!(verify_inclusion(&leaf, index, size, &longer, &root).is_err());
                assert!(proof.is_empty() || verify_inclusion(&leaf, index, size, &proof[1..], &root).is_err());
            }
            assert_eq!(inclusion_proof(&nodes, size, size), Err(ProofError::OutOfRange));
        }
    }

    #[test]
    fn every_small_tree_is_shown_to_begin_with_every_smaller_one() {
        let leaves = leaves(40);
        let nodes = Leaves(&leaves);
        for newer in 0..=40u64 {
            let new_root = tree_root(&nodes, newer).unwrap();
            for older in 0..=newer {
                let old_root = tree_root(&nodes, older).unwrap();
                let proof = consistency_proof(&nodes, older, newer).unwrap();
                assert_eq!(verify_consistency(older, newer, &proof, &old_root, &new_root), Ok(()));
                assert!(verify_consistency(older, newer, &proof, &[9; 32], &new_root).is_err());
                assert!(older == 0 || verify_consistency(older, newer, &proof, &old_root, &[9; 32]).is_err());
                let longer = [&proof[..], &[[7; 32]]].concat();
                assert!(verify_consistency(older, newer, &longer, &old_root, &new_root).is_err());
            }
            assert_eq!(consistency_proof(&nodes, newer + 1, newer), Err(ProofError::OutOfRange));
            assert!(verify_consistency(newer + 1, newer, &[], &new_root, &new_root).is_err());
        }
    }

    proptest! {
        #[test]
        fn a_rewritten_past_is_never_consistent(newer in 2u64..200, changed in any::<prop::sample::Index>()) {
            let honest = leaves(newer);
            let older = newer - 1;
            let changed = changed.index(usize::try_from(older).unwrap());
            let mut forged = honest.clone();
            forged[changed] = leaf_hash(b"forged");
            let old_root = tree_root(&Leaves(&honest), older).unwrap();
            let forged_root = tree_root(&Leaves(&forged), newer).unwrap();
            let proof = consistency_proof(&Leaves(&forged), older, newer).unwrap();
            prop_assert!(verify_consistency(older, newer, &proof, &old_root, &forged_root).is_err());
        }

        #[test]
        fn any_changed_hash_of_a_proof_is_noticed(
            size in 2u64..500,
            index in any::<prop::sample::Index>(),
            which in any::<prop::sample::Index>(),
            flip in 1u8..,
        ) {
            let leaves = leaves(size);
            let index = index.index(leaves.len());
            let root = tree_root(&Leaves(&leaves), size).unwrap();
            let mut proof = inclusion_proof(&Leaves(&leaves), index as u64, size).unwrap();
            let which = which.index(proof.len());
            proof[which][0] ^= flip;
            prop_assert!(verify_inclusion(&leaves[index], index as u64, size, &proof, &root).is_err());
        }
    }
}
