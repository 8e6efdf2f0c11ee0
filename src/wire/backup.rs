//! Backups of a store and its log, and the check of a store that may come from one.

use serde::{Deserialize, Serialize};

/// The answer to `POST /v1/backups`, and `manifest.json` in the folder of each backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackupMade {
    /// Its folder within the folder of all backups.
    pub name: String,
    /// RFC 3339, UTC.
    pub created_at: String,
    /// Of which vault.
    pub vault_id: String,
    /// vaultd's version.
    pub version: String,
    /// Number of the store's newest migration.
    pub schema: u32,
    /// What it consists of.
    pub files: Vec<BackupFile>,
    /// The newest signed checkpoint of the log's copy (C2SP tlog-checkpoint).
    pub checkpoint: String,
    /// Older backups that were removed because more were there than are kept.
    #[serde(default)]
    pub removed: Vec<String>,
}

/// One file of a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackupFile {
    /// `vault.db` or `audit.db`.
    pub name: String,
    /// Its length.
    pub bytes: u64,
    /// SHA-256, hexadecimal.
    pub sha256: String,
}

/// `POST /v1/store/verify`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VerifyRequest {
    /// How many records to try, at most.
    pub sample: u32,
}

/// The answer to it. Nothing of a record is in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verified {
    /// Cards that were tried, each once.
    pub cards: u64,
    /// Those of them whose columns, glance and record authenticated and could be read.
    pub opened: u64,
    /// Those that did not; each has an entry in the audit log.
    pub failed: u64,
}
