//! Tiles of the log (C2SP tlog-tiles), read from the stored tree.

use rusqlite::Connection;
use strongroom_keys::tlog::{Hash, Nodes as _, Tile, TileKind};

use super::file::int;
use super::tree::{self, StoredNodes};
use super::{AuditError, AuditLog};

impl AuditLog {
    /// The bytes of a tile.
    ///
    /// # Errors
    /// [`AuditError::NoEntry`] if the log does not reach to its end yet.
    pub async fn tile(&self, tile: Tile) -> Result<Vec<u8>, AuditError> {
        if !tile.is_within(self.size()) {
            return Err(AuditError::NoEntry);
        }
        self.read(move |reader| read(reader.conn(), &tile)).await
    }
}

fn read(conn: &Connection, tile: &Tile) -> Result<Vec<u8>, AuditError> {
    let (level, first) = tile.first();
    let width = u64::from(tile.width);
    match tile.kind {
        TileKind::Hashes(0) => Ok(Tile::of_hashes(&tree::leaves(conn, first, width)?)),
        TileKind::Hashes(_) => {
            let nodes = StoredNodes(conn);
            let hashes: Result<Vec<Hash>, _> = (first..first + width).map(|index| nodes.node(level, index)).collect();
            Ok(Tile::of_hashes(&hashes?))
        }
        TileKind::Entries => {
            let sql = "SELECT body FROM entries WHERE idx >= ?1 AND idx < ?2 ORDER BY idx";
            let mut select = conn.prepare_cached(sql)?;
            let rows = select.query_map((int(first), int(first + width)), |row| row.get::<_, Vec<u8>>(0))?;
            let bodies = rows.collect::<Result<Vec<_>, _>>()?;
            let whole = bodies.len() as u64 == width;
            let bytes = Tile::of_entries(bodies.iter().map(Vec::as_slice)).filter(|_| whole);
            bytes.ok_or(AuditError::Broken { near: first })
        }
    }
}
