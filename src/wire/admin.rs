//! The admin listener's API: what `vaultctl` and vaultd say to each other. A share is a secret and is not among these
//! types; `strongroom-keys` has it.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::acts::PendingAct;
use crate::entry::{Entry, Outcome, Reason, Subject};
use crate::{NodeName, TenantId};

/// Whether the vault has its keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// No key in memory; only health, unseal and checkpoint answer.
    Sealed,
    /// Some shares are in, not enough yet.
    Unsealing,
    /// Keys are in memory.
    Unsealed,
}

/// Where the Root comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RootKind {
    /// Shares of custodians.
    Custodians,
    /// A file, for development on loopback only.
    Dev,
    /// A key in an HSM, through PKCS#11.
    Pkcs11,
    /// A key in AWS KMS.
    Kms,
}

impl RootKind {
    /// Whether the vault opens by itself when it starts, without custodians and beyond development.
    #[must_use]
    pub fn opens_by_itself(self) -> bool {
        match self {
            RootKind::Pkcs11 | RootKind::Kms => true,
            RootKind::Custodians | RootKind::Dev => false,
        }
    }
}

/// `GET /v1/status`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// The vault's id, as its `root.json` has it.
    pub vault_id: String,
    /// Sealed or not.
    pub phase: Phase,
    /// Where the Root comes from.
    pub root: RootKind,
    /// Shares needed (0 for a dev root).
    pub threshold: u8,
    /// Shares dealt (0 for a dev root).
    pub shares: u8,
    /// Shares handed in for the ceremony that runs.
    pub shares_given: u8,
    /// vaultd's version.
    pub version: String,
    /// Number of the store's newest migration.
    pub schema: u32,
    /// Entries in the audit log.
    pub audit_size: u64,
    /// Entries that the newest signed checkpoint covers.
    pub checkpoint_size: u64,
    /// Seconds since the process started.
    pub uptime_seconds: u64,
    /// What an operator should know now (a dev root, an expiring certificate, ...).
    pub warnings: Vec<String>,
    /// The nodes that share the store; none for a vault that is one process.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nodes: Option<NodesStatus>,
}

/// The nodes of a vault, as one of them knew them a moment ago.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NodesStatus {
    /// The one that answers.
    pub node: NodeName,
    /// The one that sweeps, rotates by itself and takes up what others left; none while that is being settled.
    pub leader: Option<NodeName>,
    /// All of them, by name.
    pub nodes: Vec<NodeStatus>,
}

/// One node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NodeStatus {
    /// Its name.
    pub node: NodeName,
    /// Whether it holds keys, or is about to.
    pub unsealed: bool,
    /// Milliseconds since it was seen, by the store's clock.
    pub seen_ms_ago: u64,
    /// Whether it has taken over every change of keys; always so for one that holds none.
    pub follows: bool,
}

/// The answer to `POST /v1/unseal` and `DELETE /v1/unseal`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnsealProgress {
    /// Sealed or not, after this share.
    pub phase: Phase,
    /// Shares handed in.
    pub shares_given: u8,
    /// Shares needed.
    pub threshold: u8,
}

/// What a key is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum KeyPurpose {
    /// Wraps the Deks of a tenant's cards, secrets and kept answers.
    Kek = 1,
    /// Fingerprints of a tenant's card numbers and digests of its requests.
    Fingerprint = 2,
    /// Client sessions of a tenant.
    Session = 3,
    /// Signs audit checkpoints and completion proofs; belongs to the vault, not to a tenant.
    Sign = 4,
    /// Opens cards that clients sealed before they sent them; the vault's own, a new term each day.
    Intake = 5,
}

impl KeyPurpose {
    const WORDS: [(KeyPurpose, &'static str); 5] = [
        (KeyPurpose::Kek, "kek"),
        (KeyPurpose::Fingerprint, "fingerprint"),
        (KeyPurpose::Session, "session"),
        (KeyPurpose::Sign, "sign"),
        (KeyPurpose::Intake, "intake"),
    ];

    /// The word in JSON, notes and commands.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        Self::WORDS.iter().find(|(purpose, _)| *purpose == self).map_or("", |(_, word)| word)
    }
}

impl fmt::Display for KeyPurpose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// No key is called that.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a key that rotates is kek, fingerprint, session or sign")]
pub struct BadKeyPurpose;

impl FromStr for KeyPurpose {
    type Err = BadKeyPurpose;

    fn from_str(text: &str) -> Result<Self, BadKeyPurpose> {
        Self::WORDS.iter().find(|(_, word)| *word == text).map(|(purpose, _)| *purpose).ok_or(BadKeyPurpose)
    }
}

/// Where a term of a key is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum KeyState {
    /// Made, not in use yet.
    Pending = 1,
    /// Encrypts and decrypts.
    Active = 2,
    /// Decrypts only; records are being rewrapped to the active term.
    Retiring = 3,
    /// Gone.
    Destroyed = 4,
}

/// One term of one key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyInfo {
    /// What for.
    pub purpose: KeyPurpose,
    /// Whose; null for the vault's own.
    pub tenant: Option<TenantId>,
    /// Which version, from 1.
    pub term: u32,
    /// Where in its life.
    pub state: KeyState,
    /// Algorithm and length.
    pub algorithm: String,
    /// RFC 3339, UTC.
    pub created_at: String,
    /// Age in days.
    pub age_days: u64,
    /// Wraps done under it since it was made, as far as is known (counted in blocks, so never too low).
    pub wraps: u64,
    /// When it stops making anything new (nobody seals to an intake key any more), RFC 3339, UTC; null for a term that makes
    /// nothing.
    pub expires_at: Option<String>,
    /// Whether its end or its use limit is near or past.
    pub due: bool,
}

/// `GET /v1/keys`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyList {
    /// Every term of every key that is not destroyed.
    pub keys: Vec<KeyInfo>,
}

/// `POST /v1/rotations`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RotateRequest {
    /// Which key.
    #[serde(default = "kek", skip_serializing_if = "is_kek")]
    pub key: KeyPurpose,
    /// Whose; none for the Sign and the intake key, which are the vault's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<TenantId>,
    /// At most so many records a second. When absent there is no limit, and one that is in force stays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub records_per_second_max: Option<u32>,
    /// The key may be known to somebody: without a limit, before all other rotations, and at once where it can be.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub emergency: bool,
}

fn kek() -> KeyPurpose {
    KeyPurpose::Kek
}

fn is_kek(key: &KeyPurpose) -> bool {
    *key == KeyPurpose::Kek
}

/// A rotation, running or done. One key has at most one that runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rotation {
    /// Which key.
    pub key: KeyPurpose,
    /// Whose; null for the vault's own.
    pub tenant: Option<TenantId>,
    /// The term that takes the place of the older ones.
    pub to_term: u32,
    /// Running, done, or stopped by the fault in `fault` (it resumes by itself or when asked again).
    pub state: RotationState,
    /// Records moved so far.
    pub done: u64,
    /// Records that were there to move.
    pub total: u64,
    /// Records a second, as of late; null when it does not run.
    pub records_per_second: Option<u64>,
    /// Seconds that it will take yet at this rate; null when it does not run or has no rate yet.
    pub seconds_left: Option<u64>,
    /// At most so many records a second; null for no limit.
    pub records_per_second_max: Option<u32>,
    /// Whether it goes before all others.
    pub emergency: bool,
    /// RFC 3339, UTC.
    pub started_at: String,
    /// What stopped it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<String>,
    /// When done: a signed note that says that nothing is left on the older terms; of the Sign key, the handover.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proof: Option<String>,
}

/// `GET /v1/rotations`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RotationList {
    /// The newest of each key, oldest first.
    pub rotations: Vec<Rotation>,
}

/// `GET /v1/audit/handovers`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HandoverList {
    /// Signed notes, one for each change of the Sign key, in their order.
    pub handovers: Vec<String>,
}

/// See [`Rotation`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RotationState {
    /// Records are being moved, or old sessions are running out.
    Running,
    /// None is left on an older term.
    Done,
    /// A fault stopped it.
    Stopped,
}

/// An audit entry as people read it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EntryView {
    /// Place in the log, from 0.
    pub index: u64,
    /// RFC 3339, UTC, milliseconds.
    pub at: String,
    /// Scope word, or the word of an act of the vault itself.
    pub act: String,
    /// Allowed, refused, failed.
    pub outcome: Outcome,
    /// Why refused.
    pub reason: Reason,
    /// URI SAN, `session:...`, or empty.
    pub who: String,
    /// For which tenant.
    pub tenant: Option<TenantId>,
    /// Which record.
    pub subject: Option<String>,
    /// From which address.
    pub origin: Option<String>,
    /// Which request.
    pub request: String,
    /// What for.
    pub note: String,
    /// The very bytes that the Merkle tree hashes, base64 (standard alphabet, padded).
    pub raw: String,
}

impl EntryView {
    /// The view of an entry; `raw` is its bytes in base64, made by the caller.
    #[must_use]
    pub fn of(index: u64, entry: &Entry, raw: String) -> Self {
        Self {
            index,
            at: rfc3339_ms(entry.at_ms),
            act: entry.act.as_str().to_owned(),
            outcome: entry.outcome,
            reason: entry.reason,
            who: entry.who.clone(),
            tenant: entry.tenant.clone(),
            subject: match entry.subject {
                Subject::None => None,
                Subject::Card(token) => Some(token.to_string()),
                Subject::Secret(id) => Some(id.to_string()),
            },
            origin: entry.origin.map(|ip| ip.to_string()),
            request: entry.request.to_string(),
            note: entry.note.clone(),
            raw,
        }
    }
}

/// `GET /v1/audit/entries?from=&limit=`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EntryPage {
    /// In the log's order.
    pub entries: Vec<EntryView>,
    /// Index to ask from next; null at the end.
    pub next: Option<u64>,
}

/// `GET /v1/audit/proofs/{index}`: that an entry is in the tree of a checkpoint (RFC 9162 section 2.1.3).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InclusionProof {
    /// The entry's place.
    pub index: u64,
    /// The entry's bytes, base64.
    pub entry: String,
    /// Sibling hashes from the leaf up, base64.
    pub hashes: Vec<String>,
    /// The signed checkpoint that the proof leads to (C2SP tlog-checkpoint, a signed note).
    pub checkpoint: String,
}

/// The answer to `POST /v1/reload`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reloaded {
    /// What was read again and is in force.
    pub reloaded: Vec<String>,
    /// Where the policy file is not the one in force: the act that waits for a second person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub act: Option<PendingAct>,
}

/// Milliseconds since 1970 as RFC 3339 in UTC, with milliseconds.
#[must_use]
pub fn rfc3339_ms(at_ms: u64) -> String {
    i64::try_from(at_ms)
        .ok()
        .and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok())
        .map_or_else(|| "out-of-range".to_owned(), |at| format!("{at:.3}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_that_names_no_key_is_about_the_kek() {
        let request: RotateRequest = serde_json::from_str(r#"{"tenant":"acme"}"#).unwrap();
        assert_eq!((request.key, request.emergency), (KeyPurpose::Kek, false));
        assert_eq!(serde_json::to_string(&request).unwrap(), r#"{"tenant":"acme"}"#);
        for (purpose, word) in KeyPurpose::WORDS {
            assert_eq!(serde_json::to_value(purpose).unwrap(), word);
            assert_eq!((word.parse(), purpose.to_string()), (Ok(purpose), word.to_owned()));
        }
        assert_eq!("root".parse::<KeyPurpose>(), Err(BadKeyPurpose));
    }

    #[test]
    fn times_are_rfc_3339_in_utc() {
        assert_eq!(rfc3339_ms(1_764_000_000_123), "2025-11-24T16:00:00.123Z");
        assert_eq!(rfc3339_ms(u64::MAX), "out-of-range");
    }
}
