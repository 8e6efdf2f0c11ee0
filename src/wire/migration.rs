//! The move of a store from its SQLite file into a PostgreSQL database: what is asked for, and how far it is.

use serde::{Deserialize, Serialize};

/// `POST /v1/store/migration`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MigrateRequest {
    /// At most so many records a second, from 1; no limit when absent. Asked for again, it is another limit from then on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub records_per_second_max: Option<u32>,
}

/// How far a move is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MigrationState {
    /// None was begun, or it was abandoned.
    None,
    /// Rows are copied, and those that change meanwhile are copied again.
    Copying,
    /// Both sides are read as they are at one moment, and compared.
    Verifying,
    /// Everything is copied and the same; it waits until the vault is unsealed, to open a sample of the cards.
    WaitsForKeys,
    /// Writes are held while the last changes go over.
    Switching,
    /// It cannot go on now and is tried again by itself; `fault` says why.
    Waiting,
    /// It does not go on by itself; `fault` says why, and what to do.
    Stopped,
    /// The store is in PostgreSQL. This process answers nothing any more until it is started with the new configuration.
    Moved,
}

impl MigrationState {
    /// Whether it goes on by itself.
    #[must_use]
    pub fn is_under_way(self) -> bool {
        !matches!(self, Self::None | Self::Stopped | Self::Moved)
    }
}

/// The answer to `POST` and `GET /v1/store/migration`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Migration {
    /// How far.
    pub state: MigrationState,
    /// The database that the configuration names: server and name, never a password. None when it names none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// Rows that are copied, each once.
    pub done: u64,
    /// Rows that there were when they were counted.
    pub total: u64,
    /// Changes of rows that were copied again.
    pub changed: u64,
    /// Changes that wait for that.
    pub waiting: u64,
    /// How many rows went over in a second, lately.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub records_per_second: Option<u64>,
    /// How long the copying still takes at this rate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seconds_left: Option<u64>,
    /// The limit, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub records_per_second_max: Option<u32>,
    /// When it began, RFC 3339, UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<String>,
    /// Why it waits or stopped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<String>,
    /// Once it is over: the digest over all rows, the same on both sides; 64 hexadecimal digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// Once it is over: for how many milliseconds writes were held.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held_ms: Option<u64>,
}
