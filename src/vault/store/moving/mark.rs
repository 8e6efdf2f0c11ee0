//! The mark that stands in a database while it is filled: who fills it and how far that is. It stands in `settings`.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::tables::Cell;
use crate::store::StoreError;

/// How far a move is, as the database says. Each transaction of the move puts the next one in the place of exactly this.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mark {
    /// Which move.
    pub(super) run: Uuid,
    /// Which process of it, and which of its attempts: counts up.
    pub(super) turn: u64,
    /// Counts up with each transaction.
    pub(super) step: u64,
    /// The table that is copied.
    pub(super) table: usize,
    /// The last row of it that is; none before the first.
    pub(super) after: Option<Vec<Cell>>,
    /// Rows that are copied.
    pub(super) done: u64,
}

impl Mark {
    pub(super) fn new(run: Uuid) -> Self {
        Self { run, turn: 0, step: 0, table: 0, after: None, done: 0 }
    }

    pub(super) fn read(bytes: &[u8]) -> Result<Self, StoreError> {
        serde_json::from_slice(bytes).map_err(|_| StoreError::Corrupt)
    }

    pub(super) fn written(&self) -> Result<Vec<u8>, StoreError> {
        serde_json::to_vec(self).map_err(|_| StoreError::Corrupt)
    }

    /// The mark after one more transaction.
    pub(super) fn next(&self) -> Self {
        Self { step: self.step + 1, ..self.clone() }
    }

    /// Which table is copied; none once all are.
    #[must_use]
    pub fn table(&self) -> Option<usize> {
        (self.table < super::TABLES.len()).then_some(self.table)
    }

    /// Where in it the copying goes on.
    #[must_use]
    pub fn after(&self) -> Option<&[Cell]> {
        self.after.as_deref()
    }

    /// Rows that are copied.
    #[must_use]
    pub fn done(&self) -> u64 {
        self.done
    }
}
