//! What operators look at: counts of payments, and their own sessions.

use crate::intent::State;

/// How many payments there were in a time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    /// Counts by part, state and connector; what did not happen has no row.
    pub rows: Vec<TallyRow>,
    /// When the oldest payment that was counted was made, milliseconds since 1970.
    pub oldest_ms: Option<i64>,
}

/// Payments that have all of this in common.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TallyRow {
    /// In which part of the time they were made, from 0.
    pub part: u32,
    /// Where they are.
    pub state: State,
    /// The connector of their last attempt.
    pub connector: Option<String>,
    /// How many.
    pub payments: u64,
}

impl Tally {
    /// All payments that were counted.
    #[must_use]
    pub fn payments(&self) -> u64 {
        self.rows.iter().map(|row| row.payments).sum()
    }
}

/// An operator who logged in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OperatorSession {
    /// SHA-256 of what the operator's browser holds, as 64 hexadecimal digits.
    pub hash: String,
    /// Who.
    pub operator: String,
    /// Which password they logged in with: a digest of its hash, so that another password ends the session.
    pub credential: String,
    /// Milliseconds since 1970.
    pub created_ms: i64,
    /// When they were last seen, milliseconds since 1970; may lag behind by half a minute.
    pub seen_ms: i64,
}
