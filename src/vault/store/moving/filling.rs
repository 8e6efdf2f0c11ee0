//! Filling: one worker that copies pages and changes from the one side to the other, and compares both.

use super::digest::{Difference, Tally};
use super::mark::Mark;
use super::source::{Changes, Source};
use super::target::{Target, Trouble};
use crate::store::StoreError;

/// One attempt of a move. After any error it is dropped and another one takes the move up where the database says.
pub struct Filling {
    source: Source,
    target: Target,
    mark: Mark,
    /// Both sides as they were compared, kept true with each change that goes over.
    compared: Option<(Tally, Tally)>,
}

/// How comparing went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Both sides have the same rows.
    Same,
    /// They have not.
    Differs(Difference),
    /// An envelope is of a form that this version does not write.
    Strange(u64),
    /// The rows by which cards are found are not as many as they should be.
    Claims,
    /// They were not compared yet.
    NotCompared,
}

impl Filling {
    /// Takes the move up: from here on no earlier attempt can change the database.
    ///
    /// # Errors
    /// [`Trouble`].
    pub async fn take_up(source: Source, target: Target, run: uuid::Uuid) -> Result<Self, Trouble> {
        let mark = target.claim(run).await?;
        Ok(Self { source, target, mark, compared: None })
    }

    /// How far the copying is.
    #[must_use]
    pub fn mark(&self) -> &Mark {
        &self.mark
    }

    /// The file.
    #[must_use]
    pub fn source(&self) -> &Source {
        &self.source
    }

    /// Copies one page; says how many rows, none when there is no more page.
    ///
    /// # Errors
    /// [`Trouble`].
    pub async fn page(&mut self, limit: u32) -> Result<Option<u64>, Trouble> {
        let Some(table) = self.mark.table() else { return Ok(None) };
        let (records, next) = self.source.page(table, self.mark.after.clone(), limit).await?;
        let count = records.len() as u64;
        let mut mark = self.mark.next();
        mark.done += count;
        match next {
            Some(next) => mark.after = Some(next),
            None => (mark.table, mark.after) = (table + 1, None),
        }
        self.target.load(table, &records, &self.mark, &mark).await?;
        self.mark = mark;
        Ok(Some(count))
    }

    /// Copies the rows that the oldest changes are about; says how many changes, 0 when none waits.
    ///
    /// # Errors
    /// [`Trouble`].
    pub async fn follow(&mut self, limit: u32) -> Result<u64, Trouble> {
        let changes = self.source.changes(limit).await?;
        self.put(changes).await
    }

    async fn put(&mut self, changes: Changes) -> Result<u64, Trouble> {
        let Some(last) = changes.last else { return Ok(0) };
        let mark = self.mark.next();
        let put = self.target.replace(&changes.rows, &self.mark, &mark).await?;
        self.mark = mark;
        if let Some((ours, theirs)) = &mut self.compared {
            for (table, record) in &put.before {
                ours.take(*table, record);
                theirs.take(*table, record);
            }
            for (table, _, record) in &changes.rows {
                record.iter().for_each(|record| ours.add(*table, record));
            }
            // As the server gave them back.
            for (table, record) in &put.after {
                theirs.add(*table, record);
            }
        }
        self.source.forget(last).await?;
        Ok(changes.count)
    }

    /// Reads both sides as they are at one moment, each for itself, and compares them. Writes go on meanwhile; what they change
    /// goes over afterwards.
    ///
    /// # Errors
    /// [`Trouble`].
    pub async fn compare(&mut self) -> Result<Verdict, Trouble> {
        self.compared = None;
        let snapshot = self.source.snapshot().await?;
        let mut after = i64::MIN;
        loop {
            let changes = snapshot.changes(after, CHANGES).await?;
            if changes.is_empty() {
                break;
            }
            after = changes.last.unwrap_or(after);
            self.put(changes).await?;
        }
        // Nothing else writes to the database, so it stays as the snapshot is while both are read.
        let (ours, theirs) = tokio::join!(snapshot.tally(), self.target.tally());
        self.compared = Some((ours?, theirs?));
        match self.verdict() {
            Verdict::Same if !self.target.claims_are_whole().await? => Ok(Verdict::Claims),
            verdict => Ok(verdict),
        }
    }

    /// Whether both sides are the same, as far as they were compared and with what went over since.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        let Some((ours, theirs)) = &self.compared else { return Verdict::NotCompared };
        if let Some(difference) = ours.differs(theirs) {
            return Verdict::Differs(difference);
        }
        match theirs.strange() {
            0 => Verdict::Same,
            count => Verdict::Strange(count),
        }
    }

    /// What was compared: the number of rows, and the digest over all, as the database gave them back.
    #[must_use]
    pub fn result(&self) -> (u64, [u8; 32]) {
        self.compared.as_ref().map_or((0, [0; 32]), |(_, theirs)| (theirs.rows(), theirs.digest()))
    }

    /// Cards of the database, as a vault would read them.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn sample(&self, places: Vec<u64>) -> Result<Vec<crate::store::CardRow>, StoreError> {
        self.target.sample(places).await
    }
}

/// Changes that go over in one transaction.
pub const CHANGES: u32 = 500;

#[cfg(test)]
#[path = "filling_tests.rs"]
mod tests;
