//! `vaultctl audit handovers`: the notes in which each Sign key names the next, and following them.

use std::path::{Path, PathBuf};

use clap::Args;
use strongroom_keys::lineage::{Handover, Lineage};
use strongroom_keys::note::Statement as _;
use strongroom_wire::admin::HandoverList;
use strongroom_wire::limits;

use crate::client::{Connection, converse};
use crate::failure::Failure;
use crate::file::{self, Mode};
use crate::say::Say;

/// Fetch the notes in which each sign key names the next
///
/// `vaultctl audit verify --handovers` follows them from a public key that was kept to the newest, so that no key has to be
/// taken from the vault's own word.
#[derive(Args)]
#[command(after_help = "\
Example:
  vaultctl audit handovers --out handovers --url https://vault:8402 --ca ca.pem \\
      --cert ada.pem --key ada.key")]
pub(crate) struct Fetch {
    /// Where to keep them; an older file is replaced
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    connection: Connection,
}

impl Fetch {
    pub(super) fn run(self, say: &Say) -> Result<(), Failure> {
        let client = self.connection.open()?;
        let list: HandoverList = converse(client.get("/v1/audit/handovers"))?;
        let text = list.handovers.concat();
        if let Some(path) = &self.out {
            file::replace(path, Mode::Public, text.as_bytes())?;
        }
        let said = if text.is_empty() { "the sign key was never rotated" } else { text.trim_end() };
        say.result(&list, said);
        Ok(())
    }
}

/// The keys that the notes of a file lead to from those that are trusted.
pub(super) fn follow(mut keys: Lineage, path: &Path) -> Result<Lineage, Failure> {
    let text = file::read_text(path, limits::NOTE_BYTES_MAX)?.to_string();
    let notes = notes(&text);
    if notes.is_empty() {
        return Err(Failure::new(
            format!("{} holds no handover", path.display()),
            "name a file that `vaultctl audit handovers --out` wrote",
        ));
    }
    for (place, note) in notes.iter().enumerate() {
        keys = keys.follow(note).map_err(|bad| {
            Failure::new(
                format!("handover {} of {} does not follow from the key before it: {bad}", place + 1, notes.len()),
                "name the public key of the time before the first handover, and all handovers since",
            )
        })?;
    }
    Ok(keys)
}

/// The file cut where each note begins.
fn notes(text: &str) -> Vec<String> {
    let mut notes: Vec<String> = Vec::new();
    for line in text.lines() {
        if line == Handover::HEAD {
            notes.push(String::new());
        }
        if let Some(note) = notes.last_mut() {
            note.push_str(line);
            note.push('\n');
        }
    }
    notes
}

#[cfg(test)]
mod tests {
    use strongroom_keys::Key;
    use strongroom_keys::sign::Signer;

    use super::*;

    #[test]
    fn a_file_of_handovers_leads_from_the_first_key_to_the_newest_and_nowhere_else() {
        let signers: Vec<Signer> =
            (0..3).map(|_| Signer::new("strongroom/test", &Key::generate().unwrap()).unwrap()).collect();
        let step = |from: usize, to: usize| {
            let key = signers[to].public_key().clone();
            Handover { term: to as u32 + 1, key, from_entry: 10 * to as u64, at_ms: 0 }.sign(&signers[from])
        };
        let file = tempfile::NamedTempFile::new().unwrap();
        let first = || Lineage::of(signers[0].public_key().clone());
        let write = |text: String| std::fs::write(file.path(), text).unwrap();
        write(step(0, 1) + &step(1, 2));
        assert_eq!(follow(first(), file.path()).unwrap().newest(), signers[2].public_key());
        for wrong in [step(1, 2), step(1, 2) + &step(0, 1), step(0, 1) + &step(0, 2), String::new(), "x\n".to_owned()] {
            write(wrong.clone());
            assert!(follow(first(), file.path()).is_err(), "{wrong}");
        }
    }
}
