//! Custody on the admin listener: which Root is in force, which is to come, how far a change is, who acknowledged their
//! duty.

use crate::hex::hex;
use serde::{Deserialize, Serialize};

use crate::admin::RootKind;

/// What everybody may know of a `root.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RootInfo {
    /// SHA-256 of the file as `vaultctl` wrote it, 64 hexadecimal digits.
    pub sha256: String,
    /// Where the Root is kept.
    pub kind: RootKind,
    /// Shares needed; 0 where there are no custodians.
    pub threshold: u8,
    /// Shares dealt; 0 where there are no custodians.
    pub shares: u8,
    /// The key, where it is in an HSM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pkcs11: Option<RootHsm>,
    /// The key, where it is in AWS KMS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kms: Option<RootKms>,
}

/// Where in an HSM a Root is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RootHsm {
    /// Label of the token.
    pub token_label: String,
    /// Serial number of the token.
    pub token_serial: String,
    /// `CKA_LABEL` of the key.
    pub key_label: String,
    /// `CKA_ID` of the key, hexadecimal.
    pub key_id: String,
}

/// Which key of AWS KMS a Root is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RootKms {
    /// ARN of the key.
    pub arn: String,
    /// Region whose KMS is asked.
    pub region: String,
}

/// A Root that is to come, as `[root.next]` of the configuration names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NextRoot {
    /// Its root.json.
    #[serde(flatten)]
    pub root: RootInfo,
    /// Shares of it that were handed in for the ceremony that runs.
    pub shares_given: u8,
    /// Whether it is here: enough shares came in, or it was opened as the configuration says.
    pub held: bool,
}

/// `GET /v1/root`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RootStatus {
    /// The vault's id.
    pub vault_id: String,
    /// The one in force.
    pub in_force: RootInfo,
    /// Since when, where the vault knows it: since the newest change was done, or since the first unseal if there never was
    /// one. RFC 3339, UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub in_force_since: Option<String>,
    /// The one to come, where the configuration names a file and it is there.
    pub next: Option<NextRoot>,
    /// Why the file that is there is none to change to, where it is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_fault: Option<String>,
    /// The newest change, running or over.
    pub change: Option<RootChange>,
}

/// `POST /v1/root/change`: the act that two people agree on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChangeRootRequest {
    /// SHA-256 of the root.json to come, as the transcript of its ceremony has it: so that nobody agrees to another one.
    pub to: String,
    /// At most so many keys a second; no limit when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keys_per_second_max: Option<u32>,
}

/// A change of the Root or of its division.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RootChange {
    /// SHA-256 of the root.json before.
    pub from: String,
    /// SHA-256 of the root.json to come.
    pub to: String,
    /// Whether it is another Root: its keys are wrapped anew. Otherwise it is the same one in another division, and
    /// nothing is wrapped.
    pub rewraps: bool,
    /// How far it is.
    pub state: RootChangeState,
    /// Keys that are wrapped under the Root to come.
    pub done: u64,
    /// Keys that there are.
    pub total: u64,
    /// Keys a second as of late, while it runs.
    pub keys_per_second: Option<u64>,
    /// An estimate at that rate, while it runs.
    pub seconds_left: Option<u64>,
    /// RFC 3339, UTC.
    pub started_at: String,
    /// What stopped it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<String>,
    /// When done: a signed note that no key is left under the Root before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proof: Option<String>,
}

/// See [`RootChange`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum RootChangeState {
    /// Keys are being wrapped under the Root to come; the one before still opens the vault.
    Running = 1,
    /// The Root to come is in force.
    Done = 2,
    /// A fault stopped it, or the Root to come is not here yet; the one before still opens the vault.
    Stopped = 3,
    /// It was given up; the one before stays.
    Abandoned = 4,
}

impl RootChangeState {
    /// Every state.
    pub const ALL: [Self; 4] = [Self::Running, Self::Done, Self::Stopped, Self::Abandoned];

    /// Whether it may still go on.
    #[must_use]
    pub fn is_open(self) -> bool {
        matches!(self, Self::Running | Self::Stopped)
    }
}

/// `POST /v1/custodians/acknowledgement`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AcknowledgeRequest {
    /// The number of the text that was read.
    pub duty: u32,
    /// SHA-256 of the root.json whose share they hold; the one in force when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub root: Option<String>,
}

/// That a custodian acknowledged their duty (PCI DSS 3.7.8).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acknowledgement {
    /// Who: the URI of their certificate.
    pub who: String,
    /// SHA-256 of the root.json whose share they hold.
    pub root: String,
    /// The number of the text.
    pub duty: u32,
    /// RFC 3339, UTC.
    pub at: String,
}

/// `GET /v1/custodians`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acknowledgements {
    /// Oldest first; those about a Root before are among them.
    pub acknowledgements: Vec<Acknowledgement>,
}

/// A root.json by its SHA-256, as notes of the log name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RootSum(pub [u8; 32]);

impl std::fmt::Display for RootSum {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&hex(&self.0))
    }
}
