//! Tiles of the log (C2SP tlog-tiles): 256 hashes of one level, or 256 entries, under a path that never changes once it is
//! whole, so that any web server, cache or disk can hold a log that others verify.

use std::fmt;
use std::str::FromStr;

use super::Hash;

/// Which tile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum TileKind {
    /// Hashes of the tree's level `8 * L`.
    Hashes(u8),
    /// Entries.
    Entries,
}

/// One tile: its place among those of its kind, and how much of it is there. As text it is its path:
/// `tile/<L>/<N>[.p/<W>]` or `tile/entries/<N>[.p/<W>]`, where N is written in groups of three digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Tile {
    /// What of.
    pub kind: TileKind,
    /// Its number.
    pub index: u64,
    /// 1 to 256 hashes or entries; 256 for a whole tile.
    pub width: u16,
}

/// A text is not a tile's path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a tile is tile/<L>/<N> or tile/entries/<N>, with .p/<W> behind it where it is not whole (C2SP tlog-tiles)")]
pub struct BadTile;

impl Tile {
    /// The first node of the tree that the tile holds, as level and index on it; for entries the first entry's.
    #[must_use]
    pub fn first(&self) -> (u32, u64) {
        let level = match self.kind {
            TileKind::Hashes(level) => u32::from(level) * LEVELS,
            TileKind::Entries => 0,
        };
        (level, self.index << LEVELS)
    }

    /// Whether a tree of so many entries has all of the tile.
    #[must_use]
    pub fn is_within(&self, size: u64) -> bool {
        let (level, first) = self.first();
        let nodes = size.checked_shr(level).unwrap_or(0);
        first.checked_add(u64::from(self.width)).is_some_and(|end| end <= nodes)
    }

    /// Every tile of a tree of so many entries, the whole ones first on each level, lowest level first.
    pub fn all(size: u64) -> impl Iterator<Item = Tile> {
        let levels = (0u8..=7).map(move |level| (TileKind::Hashes(level), size >> (u32::from(level) * LEVELS)));
        std::iter::once((TileKind::Entries, size)).chain(levels).flat_map(|(kind, nodes)| {
            let whole = (0..nodes >> LEVELS).map(move |index| Tile { kind, index, width: WIDTH });
            let rest = u16::try_from(nodes & u64::from(WIDTH - 1)).unwrap_or(0);
            whole.chain((rest > 0).then_some(Tile { kind, index: nodes >> LEVELS, width: rest }))
        })
    }

    /// Hashes, one after the other.
    #[must_use]
    pub fn of_hashes(hashes: &[Hash]) -> Vec<u8> {
        hashes.concat()
    }

    /// Entries, each behind its length as u16, big-endian. `None` if one is longer than that can say.
    #[must_use]
    pub fn of_entries<'a>(entries: impl IntoIterator<Item = &'a [u8]>) -> Option<Vec<u8>> {
        let mut bytes = Vec::new();
        for entry in entries {
            bytes.extend_from_slice(&u16::try_from(entry.len()).ok()?.to_be_bytes());
            bytes.extend_from_slice(entry);
        }
        Some(bytes)
    }
}

impl fmt::Display for Tile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            TileKind::Hashes(level) => write!(f, "tile/{level}/")?,
            TileKind::Entries => f.write_str("tile/entries/")?,
        }
        let mut groups = Vec::new();
        let mut left = self.index;
        while groups.is_empty() || left > 0 {
            groups.push(left % 1000);
            left /= 1000;
        }
        for (place, group) in groups.iter().enumerate().rev() {
            if place > 0 {
                write!(f, "x{group:03}/")?;
            } else {
                write!(f, "{group:03}")?;
            }
        }
        if self.width < WIDTH { write!(f, ".p/{}", self.width) } else { Ok(()) }
    }
}

impl FromStr for Tile {
    type Err = BadTile;

    fn from_str(text: &str) -> Result<Self, BadTile> {
        let (kind, rest) = text.strip_prefix("tile/").and_then(|rest| rest.split_once('/')).ok_or(BadTile)?;
        let kind = match kind {
            "entries" => TileKind::Entries,
            level => TileKind::Hashes(level.parse().ok().filter(|level| *level < 64).ok_or(BadTile)?),
        };
        let (number, width) = match rest.split_once(".p/") {
            Some((number, width)) => (number, width.parse().ok().filter(|width| (1..WIDTH).contains(width))),
            None => (rest, Some(WIDTH)),
        };
        let mut index = 0u64;
        for group in number.split('/') {
            let group: u64 = group.strip_prefix('x').unwrap_or(group).parse().map_err(|_| BadTile)?;
            index = index.checked_mul(1000).and_then(|index| index.checked_add(group)).ok_or(BadTile)?;
        }
        if index > u64::MAX >> LEVELS {
            return Err(BadTile);
        }
        let tile = Self { kind, index, width: width.ok_or(BadTile)? };
        // Written again it has one form: no sign, missing zero or group of another length slips through.
        if tile.to_string() == text { Ok(tile) } else { Err(BadTile) }
    }
}

/// Levels of the tree in one tile.
const LEVELS: u32 = 8;
/// Hashes or entries of a whole tile.
const WIDTH: u16 = 256;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_those_of_the_specification() {
        let tile = |kind, index, width| Tile { kind, index, width };
        for (path, tile) in [
            ("tile/0/000", tile(TileKind::Hashes(0), 0, 256)),
            ("tile/0/x001/x234/067", tile(TileKind::Hashes(0), 1_234_067, 256)),
            ("tile/1/000.p/5", tile(TileKind::Hashes(1), 0, 5)),
            ("tile/entries/x001/067.p/255", tile(TileKind::Entries, 1_067, 255)),
        ] {
            assert_eq!(tile.to_string(), path);
            assert_eq!(path.parse(), Ok(tile));
        }
    }

    #[test]
    fn what_is_no_path_of_a_tile_is_refused() {
        for text in [
            "",
            "checkpoint",
            "tile/0/0",
            "tile/0/1234",
            "tile/00/000",
            "tile/64/000",
            "tile/x/000",
            "tile/0/001/000",
            "tile/0/x000/001",
            "tile/0/000.p/0",
            "tile/0/000.p/256",
            "tile/0/000.p/",
            "tile/0/+01",
            "tile/0/../000",
            "tile/0/x999/x999/x999/x999/x999/x999/999",
            "tile/entries/000/",
            "/tile/0/000",
        ] {
            assert_eq!(text.parse::<Tile>(), Err(BadTile), "{text}");
        }
    }

    #[test]
    fn a_tree_has_the_tiles_that_lie_within_it() {
        let paths = |size: u64| Tile::all(size).map(|tile| tile.to_string()).collect::<Vec<_>>();
        assert_eq!(paths(0), Vec::<String>::new());
        assert_eq!(paths(1), ["tile/entries/000.p/1", "tile/0/000.p/1"]);
        assert_eq!(paths(256), ["tile/entries/000", "tile/0/000", "tile/1/000.p/1"]);
        assert_eq!(
            paths(70_000).iter().filter(|path| path.contains(".p/")).collect::<Vec<_>>(),
            ["tile/entries/273.p/112", "tile/0/273.p/112", "tile/1/001.p/17", "tile/2/000.p/1"]
        );
        for size in [1, 255, 256, 257, 65_536, 70_000] {
            assert!(Tile::all(size).all(|tile| tile.is_within(size)));
            assert!(Tile::all(size + 1).any(|tile| !tile.is_within(size)));
        }
    }

    #[test]
    fn entries_stand_behind_their_lengths() {
        assert_eq!(Tile::of_entries([b"ab".as_slice(), b""]).unwrap(), [0, 2, b'a', b'b', 0, 0]);
        assert_eq!(Tile::of_entries([vec![0; 65_536].as_slice()]), None);
    }
}
