//! `vaultctl audit checkpoint`, `public-key` and `proof`: what the vault answers, checked here.

use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::Args;
use serde::Serialize;
use strongroom_keys::note::Checkpoint;
use strongroom_keys::tlog::{Hash, leaf_hash, verify_inclusion};
use strongroom_wire::Entry;
use strongroom_wire::admin::{EntryView, InclusionProof};

use super::follow::Trouble;
use super::trust::{Trust, fetch_keys};
use crate::client::{Connection, converse};
use crate::failure::Failure;
use crate::file::{self, Mode};
use crate::say::Say;

/// Fetch the newest signed checkpoint and check its signature
///
/// Keep it away from the vault: `vaultctl audit verify --checkpoint` later shows that nothing before it was changed.
#[derive(Args)]
#[command(after_help = "\
Example:
  vaultctl audit checkpoint --out checkpoint-monday --public-key audit.pub \\
      --url https://vault:8402 --ca ca.pem --cert ada.pem --key ada.key")]
pub(crate) struct FetchCheckpoint {
    /// The log's public key, or a file that holds it; asked of the vault itself if none is named
    #[arg(long, value_name = "KEY|FILE")]
    public_key: Option<String>,
    /// Where to keep it; an older file is replaced
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    connection: Connection,
}

/// Fetch the key that the log's checkpoints are signed with, and those of before
#[derive(Args)]
#[command(
    after_help = "Example:\n  vaultctl audit public-key --url https://vault:8402 --ca ca.pem \\\n      --cert ada.pem --key ada.key > audit.pub"
)]
pub(crate) struct FetchPublicKey {
    #[command(flatten)]
    connection: Connection,
}

/// Fetch the proof that an entry is in the log, and check it
#[derive(Args)]
#[command(after_help = "\
Example:
  vaultctl audit proof 1234 --public-key audit.pub \\
      --url https://vault:8402 --ca ca.pem --cert ada.pem --key ada.key")]
pub(crate) struct FetchProof {
    /// The entry's index, as the Audit-Index header has it
    index: u64,
    /// The log's public key, or a file that holds it; asked of the vault itself if none is named
    #[arg(long, value_name = "KEY|FILE")]
    public_key: Option<String>,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Serialize)]
struct Signed {
    size: u64,
    root: String,
    public_key: String,
    checkpoint: String,
}

#[derive(Serialize)]
struct Proved {
    entry: EntryView,
    size: u64,
    root: String,
    public_key: String,
    checkpoint: String,
}

impl FetchCheckpoint {
    pub(super) fn run(self, say: &Say) -> Result<(), Failure> {
        let client = self.connection.open()?;
        let (key, note, checkpoint) = converse(async {
            let mut trust = Trust::new(&client, self.public_key.as_slice(), say).await?;
            let note = client.get_text("/v1/audit/checkpoint").await?;
            let checkpoint = trust.open(&note).await.map_err(Trouble::into_failure)?;
            Ok((trust.newest().to_string(), note, checkpoint))
        })?;
        if let Some(path) = &self.out {
            file::replace(path, Mode::Public, note.as_bytes())?;
        }
        let signed = Signed {
            size: checkpoint.size,
            root: STANDARD.encode(checkpoint.root),
            public_key: key,
            checkpoint: note.clone(),
        };
        say.result(&signed, note.trim_end());
        Ok(())
    }
}

impl FetchPublicKey {
    pub(super) fn run(self, say: &Say) -> Result<(), Failure> {
        let client = self.connection.open()?;
        let keys = converse(fetch_keys(&client))?;
        let all: Vec<_> = keys
            .keys()
            .iter()
            .map(|(key, from)| serde_json::json!({ "public_key": key.to_string(), "from_entry": from }))
            .collect();
        let json = serde_json::json!({ "public_key": keys.newest().to_string(), "public_keys": all });
        say.result(&json, keys.text().trim_end());
        Ok(())
    }
}

impl FetchProof {
    pub(super) fn run(self, say: &Say) -> Result<(), Failure> {
        let client = self.connection.open()?;
        let (key, proof, checkpoint) = converse(async {
            let mut trust = Trust::new(&client, self.public_key.as_slice(), say).await?;
            let proof: InclusionProof = client.get(&format!("/v1/audit/proofs/{}", self.index)).await?;
            let checkpoint = trust.open(&proof.checkpoint).await.map_err(Trouble::into_failure)?;
            Ok((trust.newest().to_string(), proof, checkpoint))
        })?;
        let proved = check(self.index, proof, &checkpoint, key)?;
        let text = format!(
            "entry {} is in the log of {} entries with root {}\n{}",
            self.index,
            proved.size,
            proved.root,
            serde_json::to_string_pretty(&proved.entry).unwrap_or_default()
        );
        say.result(&proved, &text);
        Ok(())
    }
}

/// Every step from the entry's bytes up to the root that is signed, trusting nothing of the answer.
fn check(index: u64, proof: InclusionProof, checkpoint: &Checkpoint, public_key: String) -> Result<Proved, Failure> {
    let broken = || {
        Failure::new(
            format!("the proof does not show that entry {index} is in the log"),
            "keep the answer (--json) and the newest checkpoint, and have the vault's audit.db verified offline",
        )
    };
    let body = STANDARD.decode(&proof.entry).map_err(|_| broken())?;
    let hashes: Vec<Hash> = proof
        .hashes
        .iter()
        .map(|hash| STANDARD.decode(hash).ok().and_then(|bytes| bytes.try_into().ok()))
        .collect::<Option<_>>()
        .ok_or_else(broken)?;
    if proof.index != index {
        return Err(broken());
    }
    verify_inclusion(&leaf_hash(&body), index, checkpoint.size, &hashes, &checkpoint.root).map_err(|_| broken())?;
    let entry = Entry::decode(&body).map_err(|_| broken())?;
    Ok(Proved {
        entry: EntryView::of(index, &entry, proof.entry),
        size: checkpoint.size,
        root: STANDARD.encode(checkpoint.root),
        public_key,
        checkpoint: proof.checkpoint,
    })
}

#[cfg(test)]
mod tests {
    use strongroom_keys::Key;
    use strongroom_keys::sign::Signer;
    use strongroom_keys::tlog::{Leaves, inclusion_proof, tree_root};
    use strongroom_wire::RequestId;
    use strongroom_wire::entry::{Act, Outcome, OwnAct, Reason, Subject};

    use super::*;

    fn body(at_ms: u64) -> Vec<u8> {
        Entry {
            at_ms,
            act: Act::Own(OwnAct::Started),
            outcome: Outcome::Allowed,
            reason: Reason::None,
            request: RequestId::fresh(),
            subject: Subject::None,
            origin: None,
            tenant: None,
            who: String::new(),
            note: String::new(),
        }
        .encode()
    }

    #[test]
    fn a_proof_holds_for_its_entry_and_its_root_alone() {
        let signer = Signer::new("strongroom/test", &Key::generate().unwrap()).unwrap();
        let bodies: Vec<Vec<u8>> = (0..9).map(body).collect();
        let leaves: Vec<Hash> = bodies.iter().map(|body| leaf_hash(body)).collect();
        let checkpoint = Checkpoint { size: 9, root: tree_root(&Leaves(&leaves), 9).unwrap() };
        let note = checkpoint.sign(&signer);
        let answer = |index: usize, body: &[u8]| InclusionProof {
            index: index as u64,
            entry: STANDARD.encode(body),
            hashes: inclusion_proof(&Leaves(&leaves), index as u64, 9)
                .unwrap()
                .iter()
                .map(|h| STANDARD.encode(h))
                .collect(),
            checkpoint: note.clone(),
        };
        let check = |answer, checkpoint| check(4, answer, checkpoint, signer.public_key().to_string());
        assert_eq!(check(answer(4, &bodies[4]), &checkpoint).unwrap().entry.index, 4);
        assert!(check(answer(4, &bodies[5]), &checkpoint).is_err());
        assert!(check(answer(5, &bodies[5]), &checkpoint).is_err());
        assert!(check(answer(4, &bodies[4]), &Checkpoint { root: [0; 32], ..checkpoint.clone() }).is_err());
    }
}
