//! The one thread that appends: it commits whatever has arrived, answers, and lets the next batch form meanwhile.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use strongroom_keys::note::Checkpoint;
use strongroom_keys::tlog::Frontier;
use strongroom_wire::Entry;
use tokio::sync::oneshot;

use super::batch::{Queue, Recording, Work};
use super::file::{Head, LogFile};
use super::refusals::Refusals;
use super::tally::Tally;
use super::{AuditError, NotRecorded, Notary, Turn, Watch};
use crate::clock::Clock;

/// What the writer and the log's users share.
pub(super) struct Shared {
    pub(super) queue: Queue<Errand>,
    pub(super) clock: Arc<dyn Clock>,
    /// Entries that are durable.
    pub(super) size: AtomicU64,
    /// Since when entries exist that no signed checkpoint covers, in milliseconds since 1970; 0 if there are none.
    pub(super) uncovered_since_ms: AtomicU64,
    /// The last commit failed.
    pub(super) failing: AtomicBool,
    /// Since when the commit that runs has been running, in milliseconds since 1970; 0 if none runs.
    pub(super) busy_since_ms: AtomicU64,
    /// The write-ahead log beside the file, and from which length on no entry is taken, in bytes.
    pub(super) side: PathBuf,
    pub(super) side_bytes_max: AtomicU64,
    /// The newest signed checkpoint and its note.
    pub(super) signed: Mutex<Option<(Checkpoint, String)>>,
    pub(super) notary: Mutex<Option<Notary>>,
    pub(super) watch: Mutex<Option<Watch>>,
    pub(super) refusals: Mutex<Refusals>,
}

/// Work for the writer other than entries.
pub(super) enum Errand {
    /// Sign a checkpoint over everything that is durable by now.
    Sign(oneshot::Sender<Result<String, AuditError>>),
    /// Store what a stretch says of releases.
    Tally(u64, Tally),
    /// Let the disk be full after so many more pages, or have room again.
    #[cfg(test)]
    LimitPages(Option<i64>, oneshot::Sender<()>),
}

/// The thread's own state.
pub(super) struct Writer {
    file: LogFile,
    /// None after a failure that left in doubt what the file holds, until it has been read again.
    frontier: Option<Frontier>,
    shared: Arc<Shared>,
    /// Size and time of the newest stored root, signed or not.
    stored: (u64, u64),
    /// When a write-ahead log that is too long was last tried to be emptied.
    emptied: Option<Instant>,
}

impl Shared {
    /// Hands an entry to the writer.
    pub(super) fn push(&self, entry: &Entry) -> Result<Recording, NotRecorded> {
        self.queue.push(entry.encode(), self.clock.now_ms())
    }

    /// Length of the write-ahead log, in bytes.
    pub(super) fn side_bytes(&self) -> u64 {
        std::fs::metadata(&self.side).map_or(0, |file| file.len())
    }

    pub(super) fn tell(&self, turn: Turn) {
        let watch = lock(&self.watch).clone();
        if let Some(watch) = watch {
            watch(turn);
        }
    }

    fn signed_size(&self) -> Option<u64> {
        lock(&self.signed).as_ref().map(|(checkpoint, _)| checkpoint.size)
    }
}

impl Writer {
    pub(super) fn new(file: LogFile, frontier: Frontier, shared: Arc<Shared>) -> Result<Self, AuditError> {
        let stored = file.newest(false)?.map_or((0, 0), |head| (head.checkpoint.size, head.at_ms));
        Ok(Self { file, frontier: Some(frontier), shared, stored, emptied: None })
    }

    /// Runs until the queue is closed and empty.
    pub(super) fn run(mut self) {
        // However this thread ends, nobody may wait for it in vain.
        let _closing = Closing(Arc::clone(&self.shared));
        loop {
            let mut work = self.shared.queue.take(TICK);
            self.commit(&work);
            for errand in std::mem::take(&mut work.errands) {
                match errand {
                    // Whoever asked may have gone away; the checkpoint is stored all the same.
                    Errand::Sign(answer) => drop(answer.send(self.sign())),
                    // Where that fails it is counted again; the entries are safe without it.
                    Errand::Tally(number, tally) => drop(self.file.put_tally(number, &tally)),
                    #[cfg(test)]
                    Errand::LimitPages(pages, done) => {
                        self.file.limit_pages(pages);
                        done.send(()).unwrap();
                    }
                }
            }
            self.tick();
            if work.closed {
                // What was pushed between the last batch and the closing.
                let last = self.shared.queue.take(Duration::ZERO);
                self.commit(&last);
                self.store_root();
                self.file.fold();
                return;
            }
        }
    }

    fn commit(&mut self, work: &Work<Errand>) {
        if work.bodies.is_empty() {
            return;
        }
        self.shared.busy_since_ms.store(self.shared.clock.now_ms().max(1), Ordering::Relaxed);
        let recorded = self.make_room().and_then(|()| self.append(&work.bodies));
        self.shared.busy_since_ms.store(0, Ordering::Relaxed);
        match &recorded {
            Ok(first) => {
                let size = first + work.bodies.len() as u64;
                self.shared.size.store(size, Ordering::Release);
                let now_ms = self.shared.clock.now_ms().max(1);
                let since = &self.shared.uncovered_since_ms;
                let _ = since.compare_exchange(0, now_ms, Ordering::Relaxed, Ordering::Relaxed);
                if self.shared.failing.swap(false, Ordering::Relaxed) {
                    self.shared.tell(Turn::Healed);
                }
            }
            Err(error) => {
                if !self.shared.failing.swap(true, Ordering::Relaxed) {
                    self.shared.tell(Turn::Failing { code: error.code() });
                }
            }
        }
        work.finish(recorded.map_err(|_| NotRecorded));
    }

    /// Keeps the write-ahead log short. SQLite folds it in by itself; a reader that stays can keep it from that, and then
    /// it grows until nothing more is taken.
    fn make_room(&mut self) -> Result<(), AuditError> {
        let most = self.shared.side_bytes_max.load(Ordering::Relaxed);
        if self.shared.side_bytes() <= most / 4 {
            return Ok(());
        }
        if self.emptied.is_none_or(|last| last.elapsed() >= EMPTY_EVERY) {
            self.file.try_fold();
            self.emptied = Some(Instant::now());
        }
        if self.shared.side_bytes() > most { Err(AuditError::HeldBack) } else { Ok(()) }
    }

    fn append(&mut self, bodies: &[Vec<u8>]) -> Result<u64, AuditError> {
        let mut frontier = match self.frontier.take() {
            Some(frontier) => frontier,
            None => self.file.reload()?,
        };
        let appended = self.file.append(&mut frontier, bodies);
        // After an error of any kind it is the file that says what it holds: a commit that reported an error may still
        // have reached the disk.
        self.frontier = match &appended {
            Ok(_) => Some(frontier),
            Err(_) if self.file.is_clean() => self.file.frontier().ok(),
            Err(_) => None,
        };
        appended
    }

    fn tick(&mut self) {
        let now_ms = self.shared.clock.now_ms();
        lock(&self.shared.refusals).settle(now_ms, false, |entry| self.shared.push(entry));
        let size = self.shared.size.load(Ordering::Relaxed);
        let (stored_size, stored_ms) = self.stored;
        let signable = self.shared.signed_size() != Some(size) && lock(&self.shared.notary).is_some();
        let late = now_ms.abs_diff(stored_ms) >= ROOT_EVERY_MS;
        if size >= stored_size + ROOT_EVERY_ENTRIES || (late && (size > stored_size || signable)) {
            self.store_root();
        }
    }

    fn sign(&mut self) -> Result<String, AuditError> {
        let size = self.shared.size.load(Ordering::Relaxed);
        if let Some((checkpoint, note)) = &*lock(&self.shared.signed)
            && checkpoint.size == size
        {
            return Ok(note.clone());
        }
        self.try_store_root()?.ok_or(AuditError::NoNotary)
    }

    /// A root that cannot be stored is stored with a later one; the entries are safe without it.
    fn store_root(&mut self) {
        if let Err(error) = self.try_store_root() {
            self.shared.tell(Turn::RootNotStored { code: error.code() });
            self.stored.1 = self.shared.clock.now_ms();
        }
    }

    /// Stores the tree's root, signed if there is a key, and answers the note.
    fn try_store_root(&mut self) -> Result<Option<String>, AuditError> {
        if self.frontier.is_none() {
            self.frontier = Some(self.file.reload()?);
        }
        let Some(frontier) = &self.frontier else { return Err(AuditError::Stopped) };
        let checkpoint = Checkpoint { size: frontier.size(), root: frontier.root() };
        let at_ms = self.shared.clock.now_ms();
        let notary = lock(&self.shared.notary).clone();
        let note = notary.and_then(|notary| notary(&checkpoint));
        let head = Head { checkpoint, at_ms, note };
        // An unsigned root over the same entries as a signed one would only take its place.
        if head.note.is_some() || self.shared.signed_size() != Some(head.checkpoint.size) {
            self.file.put_head(&head)?;
        }
        self.stored = (head.checkpoint.size, at_ms);
        if let Some(note) = &head.note {
            *lock(&self.shared.signed) = Some((head.checkpoint, note.clone()));
            self.shared.uncovered_since_ms.store(0, Ordering::Relaxed);
        }
        Ok(head.note)
    }
}

/// Closes the queue when the writer ends, also by a panic, and tells everybody who waits.
struct Closing(Arc<Shared>);

impl Drop for Closing {
    fn drop(&mut self) {
        self.0.queue.close();
        drop(self.0.queue.take(Duration::ZERO));
    }
}

/// Nothing is left half done under these locks, so a poisoned one is as good as any.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How long the writer sleeps when there is nothing to do.
const TICK: Duration = Duration::from_millis(500);
/// How often a write-ahead log that is too long is tried to be emptied.
const EMPTY_EVERY: Duration = Duration::from_secs(1);
/// A root is stored, and signed if there is a key, at least this often while entries come.
const ROOT_EVERY_MS: u64 = 10_000;
const ROOT_EVERY_ENTRIES: u64 = 4_096;
