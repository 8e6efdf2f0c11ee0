//! The keys that somebody trusts and those that handovers lead to from them: the one place where a checkpoint is believed.

use std::path::{Path, PathBuf};

use clap::Args;
use strongroom_keys::lineage::{Handover, Lineage};
use strongroom_keys::note::{BadNote, Checkpoint, Statement as _};
use strongroom_keys::sign::PublicKey;
use strongroom_wire::admin::HandoverList;
use strongroom_wire::limits;

use super::follow::Trouble;
use super::read_small;
use crate::client::Client;
use crate::failure::Failure;
use crate::file;
use crate::say::Say;

/// Whose signatures a command believes that works without the vault.
#[derive(Args)]
pub(crate) struct Named {
    /// A public key of the log that was kept, or a file that holds it or several, as `vaultctl audit public-key` answers
    #[arg(long, value_name = "KEY|FILE")]
    public_key: String,
    /// Handovers that lead from that key to those of later sign keys, as `vaultctl audit handovers --out` wrote them
    #[arg(long, value_name = "FILE")]
    handovers: Option<PathBuf>,
}

/// Keys, and the handovers that were seen between them.
#[derive(Debug)]
pub(crate) struct Followed {
    pub(crate) keys: Lineage,
    /// In their order; one for each step that a note was seen of.
    pub(crate) steps: Vec<Handover>,
    /// Whether handovers were there to follow, so that the newest key is as new as they are.
    pub(crate) told: bool,
}

/// Whose signatures a command believes that talks to the vault. It asks for handovers where it meets a checkpoint that no
/// key it knows has signed.
pub(super) struct Trust<'a> {
    client: &'a Client,
    keys: Vec<Lineage>,
}

impl Named {
    /// The keys that are named, and those that the handovers lead to.
    pub(crate) fn read(&self) -> Result<Followed, Failure> {
        let keys = public_keys(&self.public_key)?;
        match &self.handovers {
            None => Ok(Followed { keys, steps: Vec::new(), told: false }),
            Some(path) => follow_file(keys, path),
        }
    }
}

impl<'a> Trust<'a> {
    /// In the keys that are named, or in what the vault says of itself.
    pub(super) async fn new(client: &'a Client, named: &[String], say: &Say) -> Result<Self, Failure> {
        if named.is_empty() {
            say.note(
                "no --public-key: the key is the vault's own word; compare it with the one that was kept when the vault \
                 began",
            );
            return Ok(Self { client, keys: vec![fetch_keys(client).await?] });
        }
        let keys = named.iter().map(|text| public_keys(text)).collect::<Result<_, _>>()?;
        Ok(Self { client, keys })
    }

    /// The newest key that is known so far.
    pub(super) fn newest(&self) -> &PublicKey {
        self.keys[0].newest()
    }

    /// Reads and checks a signed checkpoint, by a key that handovers lead to if need be. What does not lead to the key that
    /// signed is forgotten again.
    pub(super) async fn open(&mut self, note: &str) -> Result<Checkpoint, Trouble> {
        match self.keys.iter().map(|keys| keys.open(note)).reduce(better) {
            Some(Ok(checkpoint)) => return Ok(checkpoint),
            Some(Err(bad)) if bad != BadNote::Unsigned => return Err(Trouble::Final(forged(&bad.to_string()))),
            _ => {}
        }
        let list: HandoverList = self.client.get("/v1/audit/handovers").await?;
        let mut why =
            "no key that was named has signed it, and no handover leads from one to the key that has".to_owned();
        for keys in &mut self.keys {
            match follow(keys.clone(), &list.handovers) {
                Ok(Followed { keys: later, .. }) => {
                    if let Ok(checkpoint) = later.open(note) {
                        *keys = later;
                        return Ok(checkpoint);
                    }
                }
                Err(astray) => why = astray,
            }
        }
        Err(Trouble::Final(forged(&why)))
    }
}

/// What one of several keys says, rather than that it says nothing.
fn better(one: Result<Checkpoint, BadNote>, other: Result<Checkpoint, BadNote>) -> Result<Checkpoint, BadNote> {
    match (&one, &other) {
        (Ok(_), _) | (_, Err(BadNote::Unsigned)) => one,
        _ => other,
    }
}

/// The keys that a flag names: one as text, or a file that holds one, or what `vaultctl audit public-key` said later.
fn public_keys(text: &str) -> Result<Lineage, Failure> {
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

/// The keys that the vault names by itself.
pub(super) async fn fetch_keys(client: &Client) -> Result<Lineage, Failure> {
    Lineage::parse(&client.get_text("/v1/audit/public-key").await?)
        .ok_or_else(|| Failure::of("the vault answered no public key"))
}

/// The keys that the notes of a file lead to from those that are trusted.
fn follow_file(keys: Lineage, path: &Path) -> Result<Followed, Failure> {
    let text = file::read_text(path, limits::NOTE_BYTES_MAX)?.to_string();
    let notes = notes(&text);
    // An empty file is what a vault answers whose sign key was never rotated.
    if notes.is_empty() && !text.is_empty() {
        return Err(Failure::new(
            format!("{} holds no handover", path.display()),
            "name a file that `vaultctl audit handovers --out` wrote",
        ));
    }
    follow(keys, &notes).map_err(|why| {
        Failure::new(
            why,
            "name a public key that was kept, and all handovers since: `vaultctl audit handovers --out FILE`",
        )
    })
}

/// The keys that notes lead to, in their order; those that lead up to the first of the keys are passed over, and any other
/// has to be the next step.
fn follow(mut keys: Lineage, notes: &[String]) -> Result<Followed, String> {
    // What an earlier key said is of no weight to whoever trusts a later one.
    let names_first = |note: &String| Handover::read(note).is_some_and(|step| step.key == keys.keys()[0].0);
    let earlier = notes.iter().rposition(names_first).map_or(0, |place| place + 1);
    let mut steps = Vec::new();
    for (place, note) in notes.iter().enumerate().skip(earlier) {
        keys = keys.follow(note).map_err(|bad| {
            format!("handover {} of {} does not follow from the key before it: {bad}", place + 1, notes.len())
        })?;
        steps.extend(keys.keys().windows(2).find_map(|pair| {
            Handover::open(note, &pair[0].0).ok().filter(|step| (&step.key, step.from_entry) == (&pair[1].0, pair[1].1))
        }));
    }
    Ok(Followed { keys, steps, told: true })
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

fn forged(why: &str) -> Failure {
    Failure::new(
        format!("the checkpoint is not this log's: {why}"),
        "compare the public key with the one that was kept, and `vaultctl audit handovers` with the rotations of the sign \
         key that you know of; if both are right, the vault is not",
    )
}

/// A checkpoint that a command without the vault does not believe.
pub(crate) fn unbelieved(what: &str, bad: BadNote) -> Failure {
    match bad {
        BadNote::Unsigned => {
            Failure::new(format!("{what} is not signed by a key that was named"), format!("{FETCH}; {ELSE}"))
        }
        bad => Failure::new(
            format!("{what} cannot be used: {bad}"),
            "name a file that `vaultctl audit checkpoint --out` wrote, and the public key of the same log",
        ),
    }
}

/// What to do where a signature is by no key that is known.
pub(crate) const FETCH: &str = "if the sign key was rotated after the public key was kept, fetch `vaultctl audit handovers \
                                --out FILE` and name it with --handovers";
const ELSE: &str = "if it was not, this is another log, or not the vault's";

#[cfg(test)]
mod tests {
    use strongroom_keys::Key;
    use strongroom_keys::sign::Signer;

    use super::*;

    fn signers() -> Vec<Signer> {
        (0..3).map(|_| Signer::new("strongroom/test", &Key::generate().unwrap()).unwrap()).collect()
    }

    fn step(signers: &[Signer], from: usize, to: usize) -> String {
        let key = signers[to].public_key().clone();
        Handover { term: to as u32 + 1, key, from_entry: 10 * to as u64, at_ms: 0 }.sign(&signers[from])
    }

    #[test]
    fn a_file_of_handovers_leads_from_the_first_key_to_the_newest_and_nowhere_else() {
        let signers = signers();
        let step = |from, to| step(&signers, from, to);
        let file = tempfile::NamedTempFile::new().unwrap();
        let first = || Lineage::of(signers[0].public_key().clone());
        let write = |text: String| std::fs::write(file.path(), text).unwrap();
        write(step(0, 1) + &step(1, 2));
        let followed = follow_file(first(), file.path()).unwrap();
        assert_eq!(followed.keys.newest(), signers[2].public_key());
        assert_eq!(followed.steps.iter().map(|step| step.term).collect::<Vec<_>>(), [2, 3]);
        for wrong in [step(1, 2), step(1, 2) + &step(0, 1), step(0, 1) + &step(0, 2), "x\n".to_owned()] {
            write(wrong.clone());
            assert!(follow_file(first(), file.path()).is_err(), "{wrong}");
        }
        // That of a vault whose key was never rotated leads nowhere.
        write(String::new());
        let followed = follow_file(first(), file.path()).unwrap();
        assert_eq!((followed.keys, followed.steps.len(), followed.told), (first(), 0, true));
    }

    #[test]
    fn whoever_trusts_a_later_key_follows_from_there() {
        let signers = signers();
        let all = [step(&signers, 0, 1), step(&signers, 1, 2)];
        for (trusted, steps) in [(1, 1), (2, 0)] {
            let keys = Lineage::of(signers[trusted].public_key().clone());
            let followed = follow(keys, &all).unwrap();
            assert_eq!((followed.keys.newest(), followed.steps.len()), (signers[2].public_key(), steps));
        }
        // A step that the trusted key did not take is none, though the notes speak of that key.
        let forger = Signer::new("strongroom/test", &Key::generate().unwrap()).unwrap();
        let forged = Handover { term: 3, key: forger.public_key().clone(), from_entry: 20, at_ms: 0 }.sign(&forger);
        let keys = Lineage::of(signers[1].public_key().clone());
        assert!(follow(keys, &[all[0].clone(), forged]).is_err());
    }
}
