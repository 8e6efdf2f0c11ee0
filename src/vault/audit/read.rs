//! Reading the log beside its writer: entries, proofs, the way back in time, and the full check.

use std::path::Path;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rusqlite::Connection;
use strongroom_keys::lineage::Lineage;
use strongroom_keys::note::Checkpoint;
use strongroom_keys::tlog::{Frontier, ProofError, inclusion_proof};
use strongroom_wire::admin::{EntryPage, EntryView, InclusionProof};
use strongroom_wire::{Entry, limits};

use super::file::{LogFile, int, read_head, uint};
use super::tally;
use super::tree::{self, StoredNodes};
use super::writer::lock;
use super::{AuditError, AuditLog};

/// A connection that can only read.
pub(super) struct Reader {
    conn: Connection,
}

impl AuditLog {
    /// Entries in their order, from an index; at most `limit`, and at most 1,000.
    ///
    /// # Errors
    /// [`AuditError`] if the file cannot be read or holds what is no entry.
    pub async fn entries(&self, from: u64, limit: u32) -> Result<EntryPage, AuditError> {
        let size = self.size();
        self.read(move |reader| reader.entries(from, limit, size)).await
    }

    /// The proof that an entry is in the tree of a signed checkpoint: the newest, or a fresh one where that is older than
    /// the entry.
    ///
    /// # Errors
    /// [`AuditError::NoEntry`]; [`AuditError::NoNotary`] if the vault is sealed and no checkpoint covers the entry yet.
    pub async fn proof(&self, index: u64) -> Result<InclusionProof, AuditError> {
        if index >= self.size() {
            return Err(AuditError::NoEntry);
        }
        let (checkpoint, note) = match self.newest_signed().filter(|(checkpoint, _)| checkpoint.size > index) {
            Some(signed) => signed,
            None => {
                self.checkpoint().await?;
                self.newest_signed().filter(|(checkpoint, _)| checkpoint.size > index).ok_or(AuditError::NoNotary)?
            }
        };
        self.read(move |reader| reader.proof(index, &checkpoint, note)).await
    }

    /// Hands entries to `each`, newest first, until they are older than `since_ms`. Entries lie in the order in which they
    /// were recorded, which is not exactly that of their times, so it goes five minutes further. It blocks: call it before
    /// serving, or on a thread for blocking work.
    ///
    /// # Errors
    /// [`AuditError`] if the file cannot be read or holds what is no entry.
    pub fn walk_back(&self, since_ms: u64, each: impl FnMut(u64, &Entry)) -> Result<(), AuditError> {
        lock(&self.reader).walk_back(self.size(), since_ms, each)
    }

    /// Hands the releases since `since_ms` to `each`: identity, time in milliseconds since 1970 (of the second's beginning
    /// where they were counted before), and how many. Entries lie in the order in which they were recorded, which is not
    /// exactly that of their times, so it looks five minutes further. It blocks: call it before serving.
    ///
    /// # Errors
    /// [`AuditError`] if the file cannot be read or holds what is no entry.
    pub fn releases(&self, since_ms: u64, each: impl FnMut(&str, u64, u32)) -> Result<(), AuditError> {
        tally::releases(lock(&self.reader).conn(), self.size(), (since_ms, OUT_OF_ORDER_MS), each)
    }

    /// Recomputes the whole tree, compares it with every stored root and checks the signature of every stored checkpoint
    /// by the term of the Sign key that counts for it. It reads the whole file on a connection of its own, beside the writer,
    /// and blocks: about a second for a million entries.
    ///
    /// # Errors
    /// [`AuditError::Broken`] or [`AuditError::ForeignCheckpoint`].
    pub fn check(&self, keys: &Lineage) -> Result<Frontier, AuditError> {
        let conn = LogFile::reader(self.path())?;
        let mut select = conn.prepare("SELECT size, root, at_ms, note FROM checkpoints WHERE note IS NOT NULL")?;
        for head in select.query_map([], read_head)? {
            let head = head?;
            let note = head.note.unwrap_or_default();
            if !keys.open(&note).is_ok_and(|signed| signed == head.checkpoint) {
                return Err(AuditError::ForeignCheckpoint);
            }
        }
        let frontier = tree::check_all(&conn)?;
        tally::check_all(&conn)?;
        Ok(frontier)
    }

    pub(super) async fn read<T: Send + 'static>(
        &self,
        what: impl FnOnce(&Reader) -> Result<T, AuditError> + Send + 'static,
    ) -> Result<T, AuditError> {
        let reader = Arc::clone(&self.reader);
        tokio::task::spawn_blocking(move || what(&lock(&reader))).await.map_err(|_| AuditError::Stopped)?
    }
}

impl Reader {
    pub(super) fn open(path: &Path) -> Result<Self, AuditError> {
        Ok(Self { conn: LogFile::reader(path)? })
    }

    pub(super) fn conn(&self) -> &Connection {
        &self.conn
    }

    fn entries(&self, from: u64, limit: u32, size: u64) -> Result<EntryPage, AuditError> {
        let limit = u64::from(limit.clamp(1, limits::ENTRIES_PAGE_MAX));
        let until = from.saturating_add(limit).min(size);
        let mut entries = Vec::new();
        self.each(
            "SELECT idx, body FROM entries WHERE idx >= ?1 AND idx < ?2 ORDER BY idx",
            from,
            until,
            |index, body| {
                let entry = Entry::decode(body).map_err(|_| AuditError::Broken { near: index })?;
                entries.push(EntryView::of(index, &entry, STANDARD.encode(body)));
                Ok(true)
            },
        )?;
        Ok(EntryPage { entries, next: (until < size).then_some(until) })
    }

    fn proof(&self, index: u64, checkpoint: &Checkpoint, note: String) -> Result<InclusionProof, AuditError> {
        let body = tree::body(&self.conn, index)?.ok_or(AuditError::Broken { near: index })?;
        let hashes =
            inclusion_proof(&StoredNodes(&self.conn), index, checkpoint.size).map_err(|error| match error {
                ProofError::OutOfRange => AuditError::NoEntry,
                ProofError::Source(error) => error,
            })?;
        Ok(InclusionProof {
            index,
            entry: STANDARD.encode(body),
            hashes: hashes.iter().map(|hash| STANDARD.encode(hash)).collect(),
            checkpoint: note,
        })
    }

    fn walk_back(&self, size: u64, since_ms: u64, mut each: impl FnMut(u64, &Entry)) -> Result<(), AuditError> {
        let stop_ms = since_ms.saturating_sub(OUT_OF_ORDER_MS);
        let sql = "SELECT idx, body FROM entries WHERE idx >= ?1 AND idx < ?2 ORDER BY idx DESC";
        self.each(sql, 0, size, |index, body| {
            let entry = Entry::decode(body).map_err(|_| AuditError::Broken { near: index })?;
            if entry.at_ms >= since_ms {
                each(index, &entry);
            }
            Ok(entry.at_ms >= stop_ms)
        })
    }

    /// Runs a query for entries and hands over each until `with` answers false.
    fn each(
        &self,
        sql: &str,
        from: u64,
        until: u64,
        mut with: impl FnMut(u64, &[u8]) -> Result<bool, AuditError>,
    ) -> Result<(), AuditError> {
        let mut select = self.conn.prepare_cached(sql)?;
        let mut rows = select.query((int(from), int(until.max(from))))?;
        while let Some(row) = rows.next()? {
            let index = uint(row, 0)?;
            let body = row.get_ref(1)?.as_blob().map_err(|_| AuditError::Broken { near: index })?;
            if !with(index, body)? {
                break;
            }
        }
        Ok(())
    }
}

/// How far an entry's time may lie before that of the entry recorded before it.
const OUT_OF_ORDER_MS: u64 = 5 * 60 * 1_000;
