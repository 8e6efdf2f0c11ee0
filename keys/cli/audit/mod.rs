//! `vaultctl audit`: the log as people read it, and what shows that nobody rewrote it.

mod cursor;
mod entries;
mod follow;
mod handovers;
pub(crate) mod log;
mod proof;
mod sink;
mod stream;
mod tiles;
mod verify;

use std::path::{Path, PathBuf};

use clap::Subcommand;
use strongroom_keys::lineage::Lineage;
use strongroom_wire::limits;

use crate::failure::Failure;
use crate::file;
use crate::say::Say;

#[derive(Subcommand)]
pub(crate) enum Audit {
    Show(entries::Show),
    Checkpoint(proof::FetchCheckpoint),
    PublicKey(proof::FetchPublicKey),
    Handovers(handovers::Fetch),
    Proof(proof::FetchProof),
    Verify(verify::Verify),
    Stream(stream::Stream),
    Export(stream::Export),
    Tiles(tiles::Tiles),
}

impl Audit {
    pub(crate) fn run(self, say: &Say) -> Result<(), Failure> {
        match self {
            Audit::Show(show) => show.run(say),
            Audit::Checkpoint(checkpoint) => checkpoint.run(say),
            Audit::PublicKey(key) => key.run(say),
            Audit::Handovers(handovers) => handovers.run(say),
            Audit::Proof(proof) => proof.run(say),
            Audit::Verify(verify) => verify.run(say),
            Audit::Stream(stream) => stream.run(say),
            Audit::Export(export) => export.run(say),
            Audit::Tiles(tiles) => tiles.run(say),
        }
    }
}

/// The keys that a flag names: one as text, or a file that holds one, or what `vaultctl audit public-key` said later.
pub(crate) fn public_keys(text: &str) -> Result<Lineage, Failure> {
    // A key has two plus signs, and a path hardly any.
    if let Ok(key) = text.parse() {
        return Ok(Lineage::of(key));
    }
    let path = PathBuf::from(text);
    if !path.exists() {
        return Err(Failure::new(
            "the public key is neither a key nor a file that is there",
            "name what `vaultctl audit public-key` answers, or a file that holds it",
        ));
    }
    let lines = read_small(&path)?;
    if lines.lines().count() == 1 {
        return lines.parse().map(Lineage::of).map_err(Failure::of);
    }
    Lineage::parse(&lines).ok_or_else(|| {
        Failure::new(
            format!("{} holds no public key", path.display()),
            "name a file that holds what `vaultctl audit public-key` answered, and nothing else",
        )
    })
}

/// A note or key in a file.
pub(crate) fn read_small(path: &Path) -> Result<String, Failure> {
    Ok(file::read_text(path, limits::NOTE_BYTES_MAX)?.to_string())
}
