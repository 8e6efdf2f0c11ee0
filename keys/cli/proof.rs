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

use crate::audit::read_small;
use crate::audit::trust::{self, Followed, Named};
use crate::failure::Failure;
use crate::keys::purpose;
use crate::note_file;
use crate::say::Say;

#[derive(Subcommand)]
pub(crate) enum Proof {
    Verify(Verify),
}

/// Verify a note that the vault signed: a rotation that is complete, a key or a tenant that is gone, an export
///
/// Needs nothing but the file, a public key of the vault that was kept from an earlier day, and the handovers since. What a
/// screen showed before and behind the note may be in the file, another note may not. Says which term of the sign key
/// signed it, and whether that key has retired: somebody may have come to know it since and have written an earlier day.
#[derive(Args)]
#[command(after_help = "Example:\n  vaultctl proof verify rotation.note --public-key audit.pub --handovers handovers")]
pub(crate) struct Verify {
    /// The note, as `keys rotate` or `acts approve` answered it
    file: PathBuf,
    #[command(flatten)]
    named: Named,
}

/// What a note says.
#[derive(Serialize)]
struct Said {
    kind: String,
    says: String,
    /// Which term of the Sign key signed it, where the handovers or keys that were named tell.
    #[serde(skip_serializing_if = "Option::is_none")]
    term: Option<u32>,
    /// When that term handed over to the next.
    #[serde(skip_serializing_if = "Option::is_none")]
    retired_at: Option<String>,
    /// What there is to think of before relying on it.
    #[serde(skip_serializing_if = "Option::is_none")]
    caution: Option<String>,
}

/// What a kind of note has of its own.
struct Content {
    says: String,
    at_ms: u64,
    /// The next key and from where it counts, if this is a handover.
    hands_over: Option<(PublicKey, u64)>,
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
        let followed = self.named.read()?;
        let text = read_small(&self.file)?;
        let said = judge(&note_file::find(&text)?, &followed)?;
        let term = said.term.map_or_else(String::new, |term| format!(", by term {term} of its sign key"));
        let mut lines = vec![format!("the signature of {} is right{term}", followed.keys.newest().name())];
        lines.push(said.says.clone());
        lines.extend(said.caution.clone());
        say.result(&said, &lines.join("\n"));
        Ok(())
    }
}

/// Whose signature is on a note, and whether that key can have signed it then.
fn judge(note: &str, Followed { keys, steps, told }: &Followed) -> Result<Said, Failure> {
    let kind = note.lines().next().unwrap_or_default();
    // Any of the keys may have signed it: a note says when it was made and not beside which entry of the log.
    let mut found = Err(BadNote::Unsigned);
    for (place, (key, _)) in keys.keys().iter().enumerate() {
        if let Err(BadNote::Unsigned) = found {
            found = read(kind, note, key).map(|content| (place, content));
        }
    }
    let (place, content) = found.map_err(|bad| match bad {
        BadNote::Form => Failure::new(
            bad.to_string(),
            "name a file that holds one note of the vault, from its first line to its signature",
        ),
        BadNote::Unsigned => trust::unbelieved("the note", bad),
        BadNote::Signature => {
            Failure::new(bad.to_string(), "the note was changed after it was signed; do not rely on it")
        }
    })?;
    let by = &keys.keys()[place].0;
    let next = keys.keys().get(place + 1);
    let into = steps.iter().find(|step| step.key == *by);
    let out = steps.iter().find(|step| next.is_some_and(|(key, _)| step.key == *key));
    if let Some(out) = out.filter(|out| content.at_ms > out.at_ms.saturating_add(HANDING_OVER_MS)) {
        return Err(Failure::new(
            format!(
                "the note says it was made at {}, and the key that signed it had retired on {}: a retired key signs nothing",
                rfc3339_ms(content.at_ms),
                rfc3339_ms(out.at_ms)
            ),
            "do not rely on it: somebody who is not the vault has that key; find out who handed the note on",
        ));
    }
    if let (Some(other), Some(next)) = (&content.hands_over, next)
        && (&other.0, other.1) != (&next.0, next.1)
    {
        return Err(Failure::new(
            "this handover leads to another key than the one that took the signing key's place",
            "do not rely on it: somebody who is not the vault has the key that signed it",
        ));
    }
    // What the vault answers of its keys begins with the first; a single key may be any.
    let first_is_known = keys.keys().len() > steps.len() + 1;
    let term = into.map(|step| step.term).or_else(|| out.map(|step| step.term.saturating_sub(1)));
    let term = term.or_else(|| u32::try_from(place + 1).ok().filter(|_| first_is_known));
    let caution = match (out, next) {
        (Some(out), _) => Some(format!("signed by a key that retired on {}: {RELY}", rfc3339_ms(out.at_ms))),
        (None, Some((_, from))) => Some(format!(
            "signed by a key that retired at entry {from} of the log, on a day that --handovers would tell: {RELY}"
        )),
        (None, None) if !told => {
            Some("whether that key has retired since is not known here: --handovers would tell".to_owned())
        }
        (None, None) => None,
    };
    let retired_at = out.map(|out| rfc3339_ms(out.at_ms));
    Ok(Said { kind: kind.to_owned(), says: content.says, term, retired_at, caution })
}

/// Each kind of note is known by its first line.
fn read(kind: &str, note: &str, key: &PublicKey) -> Result<Content, BadNote> {
    let plain = |says, at_ms| Ok(Content { says, at_ms, hands_over: None });
    match kind {
        Completion::HEAD => {
            let done = Completion::open(note, key)?;
            let what = match done.key {
                KeyPurpose::Fingerprint => "card and secret",
                KeyPurpose::Session => "session",
                _ => "record",
            };
            let says = format!(
                "{}: every {what} is on term {} of the {} key, 0 on older terms, at {}",
                done.tenant,
                done.term,
                done.key,
                rfc3339_ms(done.at_ms)
            );
            plain(says, done.at_ms)
        }
        Handover::HEAD => {
            let next = Handover::open(note, key)?;
            let says = format!(
                "term {} of the sign key is {}, and signs checkpoints over more than {} entries, at {}",
                next.term,
                next.key,
                next.from_entry,
                rfc3339_ms(next.at_ms)
            );
            Ok(Content { says, at_ms: next.at_ms, hands_over: Some((next.key, next.from_entry)) })
        }
        Destruction::HEAD => {
            let gone = Destruction::open(note, key)?;
            let says = format!(
                "{}: {} term {} is destroyed, with 0 records on it or on older terms, at {}",
                gone.tenant.as_ref().map_or_else(|| "the vault".to_owned(), ToString::to_string),
                purpose(gone.purpose),
                gone.term,
                rfc3339_ms(gone.at_ms)
            );
            plain(says, gone.at_ms)
        }
        Shredding::HEAD => {
            let gone = Shredding::open(note, key)?;
            let says =
                format!("{}: shredded, {} keys destroyed, at {}", gone.tenant, gone.keys, rfc3339_ms(gone.at_ms));
            plain(says, gone.at_ms)
        }
        ExportNote::HEAD => {
            let done = ExportNote::open(note, key)?;
            let says = format!(
                "{}: {} cards exported to {}, {} could not be opened, at {}; SHA-256 of their lines {}",
                done.tenant.as_ref().map_or_else(|| "every tenant".to_owned(), ToString::to_string),
                done.cards,
                done.recipient,
                done.failed,
                rfc3339_ms(done.at_ms),
                hex(&done.sha256)
            );
            plain(says, done.at_ms)
        }
        Reroot::HEAD => {
            let done = Reroot::open(note, key)?;
            let what = match done.rewrapped {
                Some(keys) => format!("{keys} keys rewrapped, 0 left under the root before"),
                None => "the same root in another division".to_owned(),
            };
            let (to, at) = (hex(&done.to), rfc3339_ms(done.at_ms));
            let says = format!("vault {}: the root.json with SHA-256 {to} is in force, {what}, at {at}", done.vault_id);
            plain(says, done.at_ms)
        }
        _ => Err(BadNote::Form),
    }
}

const RELY: &str = "rely on it only if you have had it since before";
/// Between the old key's last statement, which names the next, and the next one's first, what the vault does meanwhile is
/// still signed by the old one.
const HANDING_OVER_MS: u64 = 60_000;

#[cfg(test)]
#[path = "proof_tests.rs"]
mod tests;
