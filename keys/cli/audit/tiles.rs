//! `vaultctl audit tiles`: the log as a folder of tiles (C2SP tlog-tiles), which tools of others read and verify.

use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;
use rusqlite::{Connection, params};
use serde::Serialize;
use strongroom_keys::lineage::Lineage;
use strongroom_keys::note::Checkpoint;
use strongroom_keys::tlog::{Frontier, Hash, Tile, TileKind, leaf_hash};

use super::log::{self, FaultKind};
use super::trust::{self, Named};
use crate::failure::Failure;
use crate::file::{self, Mode};
use crate::progress;
use crate::say::Say;

/// Write the audit log as tiles that any web server can serve and tools of others verify
///
/// The log is verified first. Tiles that are there and whole are left as they are, so that repeating the command adds what
/// is new. The checkpoint is written last: whoever follows the folder never sees one without its tiles.
#[derive(Args)]
#[command(after_help = "\
Example:
  vaultctl audit tiles --log audit.db --public-key audit.pub --out /srv/log")]
pub(crate) struct Tiles {
    /// The vault's audit.db or a copy of it; it is only read
    #[arg(long, value_name = "FILE")]
    log: PathBuf,
    #[command(flatten)]
    named: Named,
    /// The folder; made if it is not there
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

#[derive(Serialize)]
struct Written {
    folder: PathBuf,
    entries: u64,
    tiles_written: u64,
    tiles_kept: u64,
}

impl Tiles {
    pub(super) fn run(self, say: &Say) -> Result<(), Failure> {
        let key = self.named.read()?.keys;
        let db = log::open(&self.log)?;
        let findings = log::read(&db, &key, None)?;
        if let Some(fault) = findings.faults.first() {
            let next = match fault.kind {
                FaultKind::UnknownKey => format!("{}; no tile was written", trust::FETCH),
                _ => "run `vaultctl audit verify`; no tile was written".to_owned(),
            };
            return Err(Failure::new(format!("the log does not hold: {}", fault.what), next));
        }
        let (checkpoint, note) = newest(&db, &key)?;
        let mut work = Work { db: &db, out: &self.out, levels: Vec::new(), written: 0, kept: 0 };
        work.all(&checkpoint)?;
        file::folder(&self.out)?;
        put(&self.out.join("checkpoint"), note.as_bytes())?;
        let (tiles_written, tiles_kept) = (work.written, work.kept);
        let text = format!(
            "{}\n{} entries, {tiles_written} tiles written, {tiles_kept} there already",
            self.out.display(),
            checkpoint.size
        );
        say.result(&Written { folder: self.out, entries: checkpoint.size, tiles_written, tiles_kept }, &text);
        Ok(())
    }
}

struct Work<'a> {
    db: &'a Connection,
    out: &'a Path,
    /// Hashes of the levels 8, 16, ... as the level below gives them.
    levels: Vec<Vec<Hash>>,
    written: u64,
    kept: u64,
}

impl Work<'_> {
    fn all(&mut self, checkpoint: &Checkpoint) -> Result<(), Failure> {
        let tiles = checkpoint.size / 128;
        let bar = progress::bar(Some(tiles), "{bar:40} {human_pos}/{human_len} tiles, {per_sec}, {eta} left");
        for tile in Tile::all(checkpoint.size) {
            let bytes = match tile.kind {
                TileKind::Entries => self.entries(&tile)?,
                TileKind::Hashes(0) => self.leaves(&tile)?,
                TileKind::Hashes(level) => self.above(level, &tile)?,
            };
            self.put(&tile, &bytes)?;
            bar.inc(1);
        }
        bar.finish_and_clear();
        Ok(())
    }

    fn bodies(&self, tile: &Tile) -> Result<Vec<Vec<u8>>, Failure> {
        let (_, first) = tile.first();
        let sql = "SELECT body FROM entries WHERE idx >= ?1 AND idx < ?2 ORDER BY idx";
        let span = params![first.cast_signed(), (first + u64::from(tile.width)).cast_signed()];
        let rows = self.db.prepare_cached(sql).and_then(|mut select| {
            let bodies = select.query_map(span, |row| row.get(0))?;
            bodies.collect::<Result<Vec<Vec<u8>>, _>>()
        });
        rows.ok().filter(|bodies| bodies.len() == usize::from(tile.width)).ok_or_else(unreadable)
    }

    fn entries(&self, tile: &Tile) -> Result<Vec<u8>, Failure> {
        Tile::of_entries(self.bodies(tile)?.iter().map(Vec::as_slice)).ok_or_else(unreadable)
    }

    fn leaves(&mut self, tile: &Tile) -> Result<Vec<u8>, Failure> {
        let hashes: Vec<Hash> = self.bodies(tile)?.iter().map(|body| leaf_hash(body)).collect();
        self.carry(0, tile, &hashes);
        Ok(Tile::of_hashes(&hashes))
    }

    fn above(&mut self, level: u8, tile: &Tile) -> Result<Vec<u8>, Failure> {
        let (_, first) = tile.first();
        let span = usize::try_from(first).ok().and_then(|first| Some(first..first.checked_add(tile.width.into())?));
        let known = self.levels.get(usize::from(level) - 1);
        let hashes = span.zip(known).and_then(|(span, known)| known.get(span)).ok_or_else(unreadable)?.to_vec();
        self.carry(level, tile, &hashes);
        Ok(Tile::of_hashes(&hashes))
    }

    /// A whole tile's root is a hash of the level above.
    fn carry(&mut self, level: u8, tile: &Tile, hashes: &[Hash]) {
        if usize::from(tile.width) != WHOLE {
            return;
        }
        let mut tree = Frontier::new();
        hashes.iter().for_each(|hash| tree.push(*hash));
        if self.levels.len() <= usize::from(level) {
            self.levels.push(Vec::new());
        }
        self.levels[usize::from(level)].push(tree.root());
    }

    fn put(&mut self, tile: &Tile, bytes: &[u8]) -> Result<(), Failure> {
        let path = self.out.join(tile.to_string());
        if path.exists() {
            self.kept += 1;
            return Ok(());
        }
        file::folder(path.parent().unwrap_or(self.out))?;
        put(&path, bytes)?;
        self.written += 1;
        Ok(())
    }
}

fn newest(db: &Connection, keys: &Lineage) -> Result<(Checkpoint, String), Failure> {
    let sql = "SELECT note FROM checkpoints WHERE note IS NOT NULL ORDER BY size DESC LIMIT 1";
    let note: String = db.query_row(sql, [], |row| row.get(0)).map_err(|_| unreadable())?;
    keys.open(&note).map(|checkpoint| (checkpoint, note)).map_err(Failure::of)
}

fn put(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    // A half-written one of a process that was killed.
    let _gone = fs::remove_file(path.with_added_extension("new"));
    file::replace(path, Mode::Public, bytes)
}

fn unreadable() -> Failure {
    Failure::new("the log cannot be read to its end", "copy audit.db again, with its -wal file, and try that")
}

/// Hashes or entries of a whole tile.
const WHOLE: usize = 256;
