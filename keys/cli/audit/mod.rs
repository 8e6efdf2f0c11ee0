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
pub(crate) mod trust;
mod verify;

use std::path::Path;

use clap::Subcommand;
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

/// A note or key in a file.
pub(crate) fn read_small(path: &Path) -> Result<String, Failure> {
    Ok(file::read_text(path, limits::NOTE_BYTES_MAX)?.to_string())
}
