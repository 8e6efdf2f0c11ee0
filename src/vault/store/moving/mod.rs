//! Moving: every row of the SQLite store goes into a PostgreSQL database while the vault works on.
//!
//! - [`tables`] says which tables there are and how a row of either store becomes the same [`Record`].
//! - [`Source`] is the SQLite file: while a move runs, triggers write the key of each row that changes into a table, in the
//!   transaction of the change itself. No change is missed, whoever makes it, and none outlives `kill -9` alone.
//! - [`Target`] is the database: it is marked as half full, so that no vault opens it, and each of its transactions moves the mark
//!   on by compare-and-swap. What an earlier process sent late finds another mark and changes nothing.
//! - [`Tally`] is what both sides are compared by: counts and digests of all rows, each side's from what that side gives back.
//!
//! Invariants:
//! - One worker copies: a page, or the rows that changed, one after the other. So what is copied later is never older.
//! - The SQLite file is marked as moved only after everything in it was found in the database, while nothing could be written; the
//!   mark and what keeps everybody from writing are one transaction. The database is opened for vaults only after that mark.
//! - At every moment at most one of the two takes writes.

pub(in crate::store) mod capture;
mod claims;
mod digest;
mod filling;
mod mark;
mod pages;
pub(in crate::store) mod source;
mod tables;
mod target;
mod upsert;

pub use digest::{Difference, Tally};
pub use filling::{CHANGES, Filling, Verdict};
pub use mark::Mark;
pub use source::{Moved, Source, Started};
pub use tables::TABLES;
pub use target::{Left, Refusal, Target, Trouble};
