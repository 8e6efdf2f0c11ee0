//! `vaultctl proof`: signed notes of the vault, checked without the vault.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde::Serialize;
use strongroom_keys::completion::Completion;
use strongroom_keys::destruction::{Destruction, Shredding};
use strongroom_keys::export::ExportNote;
use strongroom_keys::lineage::Handover;
use strongroom_keys::note::{BadNote, Statement as _};
use strongroom_keys::reroot::Reroot;
use strongroom_keys::sign::PublicKey;
use strongroom_wire::admin::{KeyPurpose, rfc3339_ms};
use strongroom_wire::hex::hex;

use crate::audit::{public_keys, read_small};
use crate::failure::Failure;
use crate::keys::purpose;
use crate::say::Say;

#[derive(Subcommand)]
pub(crate) enum Proof {
    Verify(Verify),
}

/// Verify a note that the vault signed: a rotation that is complete, a key or a tenant that is gone, an export
///
/// Needs nothing but the file and the vault's public key, which is best kept from an earlier day.
#[derive(Args)]
#[command(after_help = "Example:\n  vaultctl proof verify rotation.note --public-key vault.pub")]
pub(crate) struct Verify {
    /// The note, as `keys rotate` or `acts approve` answered it
    file: PathBuf,
    /// The vault's public key, or a file that holds it
    #[arg(long, value_name = "KEY")]
    public_key: String,
}

/// What a note says.
#[derive(Serialize)]
struct Said {
    kind: String,
    says: String,
}

impl Proof {
    pub(crate) fn run(self, say: &Say) -> Result<(), Failure> {
        match self {
            Proof::Verify(verify) => verify.run(say),
        }
    }
}

impl Verify {
    fn run(self, say: &Say) -> Result<(), Failure> {
        let keys = public_keys(&self.public_key)?;
        let note = read_small(&self.file)?;
        let kind = note.lines().next().unwrap_or_default();
        // Any of the keys may have signed it: a note says when it was made and not beside which entry of the log.
        let mut says = Err(BadNote::Unsigned);
        for (key, _) in keys.keys() {
            if says == Err(BadNote::Unsigned) {
                says = read(kind, &note, key);
            }
        }
        let says = says.map_err(|bad| {
            Failure::new(
                format!("{}: {bad}", self.file.display()),
                match bad {
                    BadNote::Form => {
                        "name a file that holds one note of the vault, from its first line to its signature"
                    }
                    BadNote::Unsigned => "check that the public key is this vault's and of the time of the note",
                    BadNote::Signature => "the note was changed after it was signed; do not rely on it",
                },
            )
        })?;
        let said = Said { kind: kind.to_owned(), says };
        say.result(&said, &format!("the signature of {} is right\n{}", keys.newest().name(), said.says));
        Ok(())
    }
}

/// Each kind of note is known by its first line.
fn read(kind: &str, note: &str, key: &PublicKey) -> Result<String, BadNote> {
    match kind {
        Completion::HEAD => {
            let done = Completion::open(note, key)?;
            let what = match done.key {
                KeyPurpose::Fingerprint => "card and secret",
                KeyPurpose::Session => "session",
                _ => "record",
            };
            Ok(format!(
                "{}: every {what} is on term {} of the {} key, 0 on older terms, at {}",
                done.tenant,
                done.term,
                done.key,
                rfc3339_ms(done.at_ms)
            ))
        }
        Handover::HEAD => {
            let next = Handover::open(note, key)?;
            Ok(format!(
                "term {} of the sign key is {}, and signs checkpoints over more than {} entries, at {}",
                next.term,
                next.key,
                next.from_entry,
                rfc3339_ms(next.at_ms)
            ))
        }
        Destruction::HEAD => {
            let gone = Destruction::open(note, key)?;
            Ok(format!(
                "{}: {} term {} is destroyed, with 0 records on it or on older terms, at {}",
                gone.tenant.as_ref().map_or_else(|| "the vault".to_owned(), ToString::to_string),
                purpose(gone.purpose),
                gone.term,
                rfc3339_ms(gone.at_ms)
            ))
        }
        Shredding::HEAD => {
            let gone = Shredding::open(note, key)?;
            Ok(format!("{}: shredded, {} keys destroyed, at {}", gone.tenant, gone.keys, rfc3339_ms(gone.at_ms)))
        }
        ExportNote::HEAD => {
            let done = ExportNote::open(note, key)?;
            Ok(format!(
                "{}: {} cards exported to {}, {} could not be opened, at {}; SHA-256 of their lines {}",
                done.tenant.as_ref().map_or_else(|| "every tenant".to_owned(), ToString::to_string),
                done.cards,
                done.recipient,
                done.failed,
                rfc3339_ms(done.at_ms),
                hex(&done.sha256)
            ))
        }
        Reroot::HEAD => {
            let done = Reroot::open(note, key)?;
            let what = match done.rewrapped {
                Some(keys) => format!("{keys} keys rewrapped, 0 left under the root before"),
                None => "the same root in another division".to_owned(),
            };
            let (to, at) = (hex(&done.to), rfc3339_ms(done.at_ms));
            Ok(format!("vault {}: the root.json with SHA-256 {to} is in force, {what}, at {at}", done.vault_id))
        }
        _ => Err(BadNote::Form),
    }
}
