//! The arithmetic of the transparency log: Merkle tree hashes (RFC 6962 section 2.1), grown one entry at a time.

mod proof;
mod tile;

pub use proof::{
    Leaves, Nodes, ProofError, consistency_proof, inclusion_proof, subtree_root, tree_root, verify_consistency,
    verify_inclusion,
};

pub use tile::{BadTile, Tile, TileKind};

use sha2::{Digest, Sha256};

/// A SHA-256 hash of the tree.
pub type Hash = [u8; 32];

/// `SHA-256(0x00 || entry)`.
#[must_use]
pub fn leaf_hash(entry: &[u8]) -> Hash {
    Sha256::new().chain_update([0]).chain_update(entry).finalize().into()
}

/// `SHA-256(0x01 || left || right)`.
#[must_use]
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    Sha256::new().chain_update([1]).chain_update(left).chain_update(right).finalize().into()
}

/// `SHA-256()`: the root of a tree without entries.
#[must_use]
pub fn empty_root() -> Hash {
    Sha256::digest([]).into()
}

/// The right edge of a growing tree: the roots of its complete subtrees, largest first, one for each bit of the size.
/// It is all that appending and computing the root need: at most 64 hashes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Frontier {
    size: u64,
    peaks: Vec<Hash>,
}

/// The number of subtree roots does not fit the size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a tree's frontier has one hash for each bit that is set in its size")]
pub struct BadFrontier;

impl Frontier {
    /// The frontier of a tree without entries.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A frontier that was stored: the roots of the complete subtrees, largest first.
    ///
    /// # Errors
    /// [`BadFrontier`] if there is not one for each set bit of `size`.
    pub fn from_peaks(size: u64, peaks: Vec<Hash>) -> Result<Self, BadFrontier> {
        if peaks.len() == size.count_ones() as usize { Ok(Self { size, peaks }) } else { Err(BadFrontier) }
    }

    /// The frontier of the first `size` entries of a stored tree.
    ///
    /// # Errors
    /// What the source answers for a node that it cannot give.
    pub fn load<N: Nodes + ?Sized>(nodes: &N, size: u64) -> Result<Self, N::Error> {
        let mut peaks = Vec::with_capacity(size.count_ones() as usize);
        let mut start = 0u64;
        for level in (0..u64::BITS).rev().filter(|level| size >> level & 1 == 1) {
            peaks.push(nodes.node(level, start >> level)?);
            start += 1 << level;
        }
        Ok(Self { size, peaks })
    }

    /// Appends an entry's leaf hash.
    pub fn push(&mut self, leaf: Hash) {
        self.push_with(leaf, |_, _, _| {});
    }

    /// Appends an entry's leaf hash and hands every node that it completes to `completed` as level, index on that
    /// level, hash: first the leaf itself (level 0), then its ancestors that are now full.
    pub fn push_with(&mut self, leaf: Hash, mut completed: impl FnMut(u32, u64, Hash)) {
        let mut hash = leaf;
        let mut index = self.size;
        completed(0, index, hash);
        // A set bit of the size is a full subtree of that level waiting for its right sibling, as in binary addition.
        for level in 1..=self.size.trailing_ones() {
            if let Some(left) = self.peaks.pop() {
                hash = node_hash(&left, &hash);
            }
            index >>= 1;
            completed(level, index, hash);
        }
        self.peaks.push(hash);
        self.size += 1;
    }

    /// The tree's root hash.
    #[must_use]
    pub fn root(&self) -> Hash {
        let mut right_to_left = self.peaks.iter().rev();
        let Some(last) = right_to_left.next() else { return empty_root() };
        right_to_left.fold(*last, |right, left| node_hash(left, &right))
    }

    /// Number of entries.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The roots of the complete subtrees, largest first.
    #[must_use]
    pub fn peaks(&self) -> &[Hash] {
        &self.peaks
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// The eight entries and roots of the reference implementation of RFC 6962.
    pub(crate) const ENTRIES: [&[u8]; 8] = [
        b"",
        b"\x00",
        b"\x10",
        b"\x20\x21",
        b"\x30\x31",
        b"\x40\x41\x42\x43",
        b"\x50\x51\x52\x53\x54\x55\x56\x57",
        b"\x60\x61\x62\x63\x64\x65\x66\x67\x68\x69\x6a\x6b\x6c\x6d\x6e\x6f",
    ];
    const ROOTS: [&str; 9] = [
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
        "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
        "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    ];

    pub(crate) fn hex(hash: &Hash) -> String {
        hash.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    #[test]
    fn roots_are_those_of_rfc_6962() {
        let mut tree = Frontier::new();
        assert_eq!(hex(&tree.root()), ROOTS[0]);
        for (entry, root) in ENTRIES.iter().zip(&ROOTS[1..]) {
            tree.push(leaf_hash(entry));
            assert_eq!(hex(&tree.root()), *root);
        }
    }

    #[test]
    fn completed_nodes_are_those_of_the_whole_tree() {
        let leaves: Vec<Hash> = (0..100u32).map(|n| leaf_hash(&n.to_be_bytes())).collect();
        let mut tree = Frontier::new();
        let mut seen = 0u64;
        for leaf in &leaves {
            tree.push_with(*leaf, |level, index, hash| {
                assert_eq!(Leaves(&leaves).node(level, index).unwrap(), hash);
                seen += 1;
            });
        }
        // A tree of n leaves has, on level l, n / 2^l complete nodes.
        assert_eq!(seen, (0..7).map(|level| 100u64 >> level).sum::<u64>());
    }

    #[test]
    fn a_stored_frontier_goes_on_where_it_was() {
        let leaves: Vec<Hash> = (0..70u32).map(|n| leaf_hash(&n.to_be_bytes())).collect();
        let mut tree = Frontier::new();
        for (size, leaf) in leaves.iter().enumerate() {
            assert_eq!(Frontier::load(&Leaves(&leaves), size as u64).unwrap(), tree);
            assert_eq!(Frontier::from_peaks(tree.size(), tree.peaks().to_vec()).unwrap(), tree);
            tree.push(*leaf);
        }
        assert!(Frontier::from_peaks(3, vec![[0; 32]]).is_err());
        assert!(Frontier::from_peaks(0, vec![[0; 32]]).is_err());
    }
}
