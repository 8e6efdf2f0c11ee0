//! The Merkle tree as the file holds it: bodies, and the roots of full subtrees of 256, 65,536 and 16,777,216 entries.
//!
//! The stored roots make opening, proofs and roots cheap at any size: no more than a few hundred rows are read. They
//! prove nothing by themselves; [`check_all`] recomputes every one of them from the bodies.

use rusqlite::{Connection, OptionalExtension as _};
use strongroom_keys::tlog::{Frontier, Hash, Nodes, leaf_hash, node_hash, tree_root};

use super::AuditError;
use super::file::{int, newest, read_head, uint};

/// Whether the roots of this level are stored.
pub(super) fn is_stored(level: u32) -> bool {
    STORED.contains(&level)
}

/// The tree's nodes, read from the file or computed from what it holds.
pub(super) struct StoredNodes<'a>(pub(super) &'a Connection);

impl Nodes for StoredNodes<'_> {
    type Error = AuditError;

    fn node(&self, level: u32, index: u64) -> Result<Hash, AuditError> {
        let base = STORED.into_iter().rev().find(|stored| *stored <= level).unwrap_or(0);
        let width = 1u64 << (level - base);
        let below =
            if base == 0 { leaves(self.0, index * width, width)? } else { stored(self.0, base, index * width, width)? };
        Ok(root_of_full(below))
    }
}

/// Number of entries in the file.
pub(super) fn size(conn: &Connection) -> Result<u64, AuditError> {
    Ok(conn.query_row("SELECT coalesce(max(idx) + 1, 0) FROM entries", [], |row| uint(row, 0))?)
}

/// What start-up checks, in a time that hardly grows with the log: that the stored roots are complete and fit each
/// other, that the newest [`CHECKED_AT_OPEN`] entries are those that were hashed, and that the tree still has the root
/// it had when it was last stored. An older entry is checked by [`check_all`].
pub(super) fn check_end(conn: &Connection) -> Result<(), AuditError> {
    let size = size(conn)?;
    let first: i64 = conn.query_row("SELECT coalesce(min(idx), 0) FROM entries", [], |row| row.get(0))?;
    if first != 0 {
        return Err(AuditError::Broken { near: 0 });
    }
    for level in STORED {
        let whole = size >> level;
        let (count, end): (u64, u64) =
            conn.query_row("SELECT count(*), coalesce(max(idx) + 1, 0) FROM nodes WHERE level = ?1", [level], |row| {
                Ok((uint(row, 0)?, uint(row, 1)?))
            })?;
        if count != whole || end != whole {
            return Err(AuditError::Broken { near: whole << level });
        }
        if level > STORED[0] {
            for index in 0..whole {
                let below = stored(conn, level - TILE, index << TILE, 1 << TILE)?;
                if stored(conn, level, index, 1)? != [root_of_full(below)] {
                    return Err(AuditError::Broken { near: index << level });
                }
            }
        }
    }
    let from = size.saturating_sub(CHECKED_AT_OPEN) >> TILE;
    for block in from..size >> TILE {
        let root = root_of_full(leaves(conn, block << TILE, 1 << TILE)?);
        if stored(conn, TILE, block, 1)? != [root] {
            return Err(AuditError::Broken { near: block << TILE });
        }
    }
    // The entries after the last full block; reading them shows a gap.
    let tail = size >> TILE << TILE;
    leaves(conn, tail, size - tail)?;
    match newest(conn, false)? {
        Some(head) if head.checkpoint.size > size => Err(AuditError::Broken { near: size }),
        Some(head) if tree_root(&StoredNodes(conn), head.checkpoint.size)? != head.checkpoint.root => {
            Err(AuditError::Broken { near: head.checkpoint.size.saturating_sub(1) })
        }
        _ => Ok(()),
    }
}

/// Recomputes the whole tree from the bodies and compares it with every stored root. It reads the whole file, a block at
/// a time, and may run beside the writer.
pub(super) fn check_all(conn: &Connection) -> Result<Frontier, AuditError> {
    let end = size(conn)?;
    let mut heads = {
        let mut select = conn.prepare("SELECT size, root, at_ms, note FROM checkpoints ORDER BY size")?;
        let heads = select.query_map([], read_head)?;
        heads.collect::<Result<Vec<_>, _>>()?.into_iter().peekable()
    };
    let mut tree = Frontier::new();
    let mut nodes = Vec::new();
    loop {
        while let Some(head) = heads.next_if(|head| head.checkpoint.size == tree.size()) {
            if head.checkpoint.root != tree.root() {
                return Err(AuditError::Broken { near: tree.size().saturating_sub(1) });
            }
        }
        if tree.size() >= end {
            break;
        }
        let until = (tree.size() + (1 << TILE)).min(end);
        let until = heads.peek().map_or(until, |head| until.min(head.checkpoint.size));
        for leaf in leaves(conn, tree.size(), until - tree.size())? {
            tree.push_with(leaf, |level, index, hash| {
                if is_stored(level) {
                    nodes.push((level, index, hash));
                }
            });
        }
        for (level, index, hash) in nodes.drain(..) {
            if stored(conn, level, index, 1)? != [hash] {
                return Err(AuditError::Broken { near: index << level });
            }
        }
    }
    // A root of a size that the log has not: entries are missing at the end. The log may have grown meanwhile.
    match heads.next() {
        Some(head) if head.checkpoint.size > size(conn)? => Err(AuditError::Broken { near: end }),
        _ => Ok(tree),
    }
}

/// The body of one entry.
pub(super) fn body(conn: &Connection, index: u64) -> Result<Option<Vec<u8>>, AuditError> {
    let mut select = conn.prepare_cached("SELECT body FROM entries WHERE idx = ?1")?;
    Ok(select.query_row([int(index)], |row| row.get(0)).optional()?)
}

pub(super) fn leaves(conn: &Connection, from: u64, count: u64) -> Result<Vec<Hash>, AuditError> {
    let mut select = conn.prepare_cached("SELECT idx, body FROM entries WHERE idx >= ?1 AND idx < ?2 ORDER BY idx")?;
    let mut rows = select.query((int(from), int(from + count)))?;
    let mut hashes = Vec::with_capacity(usize::try_from(count).unwrap_or(0));
    for expected in from..from + count {
        match rows.next()? {
            Some(row) if uint(row, 0)? == expected => {
                // A body of another type than bytes did not come from us.
                let body = row.get_ref(1)?.as_blob().map_err(|_| AuditError::Broken { near: expected })?;
                hashes.push(leaf_hash(body));
            }
            _ => return Err(AuditError::Broken { near: expected }),
        }
    }
    Ok(hashes)
}

fn stored(conn: &Connection, level: u32, from: u64, count: u64) -> Result<Vec<Hash>, AuditError> {
    let broken = || AuditError::Broken { near: from << level };
    let mut select =
        conn.prepare_cached("SELECT hash FROM nodes WHERE level = ?1 AND idx >= ?2 AND idx < ?3 ORDER BY idx")?;
    let mut rows = select.query((level, int(from), int(from + count)))?;
    let mut hashes = Vec::with_capacity(usize::try_from(count).unwrap_or(0));
    while let Some(row) = rows.next()? {
        hashes.push(row.get(0).map_err(|_| broken())?);
    }
    if hashes.len() as u64 == count { Ok(hashes) } else { Err(broken()) }
}

/// The root over hashes whose number is a power of two.
fn root_of_full(mut hashes: Vec<Hash>) -> Hash {
    while hashes.len() > 1 {
        hashes = hashes.chunks(2).map(|pair| node_hash(&pair[0], &pair[1])).collect();
    }
    hashes[0]
}

/// Levels per stored root, so 256 below each.
const TILE: u32 = 8;
const STORED: [u32; 3] = [TILE, 2 * TILE, 3 * TILE];
/// Entries whose bodies are hashed again at every start; about a tenth of a second.
const CHECKED_AT_OPEN: u64 = 1 << 16;

#[cfg(test)]
#[path = "tree_tests.rs"]
mod tests;
