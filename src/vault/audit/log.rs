//! `AuditLog`: what the other rooms see of the log.

use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use strongroom_keys::lineage::Lineage;
use strongroom_keys::note::Checkpoint;
use strongroom_wire::entry::{Act, Entry, Outcome, OwnAct, Reason, Subject};
use strongroom_wire::{RequestId, TenantId, limits};
use tokio::sync::oneshot;

use super::batch::{Queue, Recording};
use super::file::LogFile;
use super::read::Reader;
use super::tally::Tallier;
use super::writer::{Errand, Shared, Writer, lock};
use super::{AuditError, NotRecorded, Notary, Turn, Warrant, Watch};
use crate::clock::Clock;
use crate::policy::{Action, Denied, Note, Permit, Trace};
use crate::telemetry::load::Disk;

/// The audit log. Dropping it writes what waits and stores the root.
pub struct AuditLog {
    shared: Arc<Shared>,
    pub(super) reader: Arc<Mutex<Reader>>,
    path: PathBuf,
    origin: String,
    writer: Option<JoinHandle<()>>,
    tallier: Option<Tallier>,
}

/// What an act of the vault itself was about.
#[derive(Debug, Clone)]
pub struct Own {
    /// For which tenant.
    pub tenant: Option<TenantId>,
    /// On which record.
    pub subject: Subject,
    /// More about it.
    pub note: Note,
}

/// How far the disk and the checkpoints are behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lag {
    /// Entries that wait for the next commit.
    pub waiting: u64,
    /// How long the oldest of them has waited, in milliseconds.
    pub waiting_ms: u64,
    /// Durable entries that no signed checkpoint covers.
    pub uncovered: u64,
    /// For how long there have been such, in milliseconds.
    pub uncovered_ms: u64,
    /// The last commit failed.
    pub failing: bool,
}

impl AuditLog {
    /// Opens or makes the log of the vault that signs as `origin` (`strongroom_keys::note::origin`), checks its end and
    /// starts its writer.
    ///
    /// # Errors
    /// [`AuditError`]: the file cannot be opened, is another's, in use, of a newer version, or not what it was.
    pub fn open(path: &Path, clock: Arc<dyn Clock>, origin: &str) -> Result<Self, AuditError> {
        let (file, frontier) = LogFile::open(path, origin)?;
        let signed = file.newest(true)?.and_then(|head| head.note.map(|note| (head.checkpoint, note)));
        let reader = Arc::new(Mutex::new(Reader::open(path)?));
        let covered = signed.as_ref().map_or(0, |(checkpoint, _)| checkpoint.size);
        let since_ms = if covered < frontier.size() { clock.now_ms().max(1) } else { 0 };
        let shared = Arc::new(Shared {
            queue: Queue::new(),
            clock,
            size: frontier.size().into(),
            uncovered_since_ms: since_ms.into(),
            failing: false.into(),
            busy_since_ms: 0.into(),
            side: side_of(path),
            side_bytes_max: SIDE_BYTES_MAX.into(),
            signed: Mutex::new(signed),
            notary: Mutex::default(),
            watch: Mutex::default(),
            refusals: Mutex::default(),
        });
        let writer = Writer::new(file, frontier, Arc::clone(&shared))?;
        let writer = std::thread::Builder::new().name("audit-writer".to_owned()).spawn(move || writer.run())?;
        let tallier = Some(Tallier::start(LogFile::reader(path)?, Arc::clone(&shared))?);
        let writer = Some(writer);
        Ok(Self { shared, reader, path: path.to_owned(), origin: origin.to_owned(), writer, tallier })
    }

    /// Writes down that an allowed act is about to happen. The Warrant comes only after the entry is durable; this is the
    /// only way to one.
    ///
    /// # Errors
    /// [`NotRecorded`] if it could not be made durable: the act must not happen.
    pub async fn record<A: Action>(&self, permit: Permit<A>) -> Result<Warrant<A>, NotRecorded> {
        let (trace, note, at_ms) = permit.into_parts();
        let entry = entry(&trace, Outcome::Allowed, Reason::None, note, at_ms);
        let index = durable(self.shared.push(&entry)?).await?;
        Ok(Warrant::new(trace, at_ms, index))
    }

    /// Writes down a refusal. Answers its index, or none if it was only counted for a summary: that is so for clients
    /// without an identity and for requests over an identity's rate, beyond 60 a minute.
    ///
    /// # Errors
    /// [`NotRecorded`] if it could not be made durable.
    pub async fn record_refusal(&self, denied: Denied) -> Result<Option<u64>, NotRecorded> {
        let refusal = denied.into_refusal();
        if !lock(&self.shared.refusals).admit(&refusal, self.shared.clock.now_ms()) {
            return Ok(None);
        }
        let entry = entry(&refusal.trace, Outcome::Refused, refusal.reason, refusal.note, refusal.at_ms);
        durable(self.shared.push(&entry)?).await.map(Some)
    }

    /// Writes down that an allowed act failed after all.
    ///
    /// # Errors
    /// [`NotRecorded`] if it could not be made durable.
    pub async fn record_failure(&self, trace: Trace, note: Note) -> Result<u64, NotRecorded> {
        let entry = entry(&trace, Outcome::Failed, Reason::None, note, self.shared.clock.now_ms());
        durable(self.shared.push(&entry)?).await
    }

    /// Writes down how an act ended whose end is not in the vault's hands.
    ///
    /// # Errors
    /// [`NotRecorded`] if it could not be made durable.
    pub async fn record_end(&self, trace: Trace, note: Note) -> Result<u64, NotRecorded> {
        let entry = entry(&trace, Outcome::Ended, Reason::None, note, self.shared.clock.now_ms());
        durable(self.shared.push(&entry)?).await
    }

    /// Writes down an act of the vault itself.
    ///
    /// # Errors
    /// [`NotRecorded`] if it could not be made durable.
    pub async fn record_own(&self, act: OwnAct, about: Own) -> Result<u64, NotRecorded> {
        let outcome = match act {
            OwnAct::TamperFound => Outcome::Failed,
            OwnAct::Unidentified => Outcome::Refused,
            _ => Outcome::Allowed,
        };
        let entry = Entry {
            at_ms: self.shared.clock.now_ms(),
            act: Act::Own(act),
            outcome,
            reason: Reason::None,
            request: RequestId::fresh(),
            subject: about.subject,
            origin: None,
            tenant: about.tenant,
            who: String::new(),
            note: about.note.into_text(),
        };
        durable(self.shared.push(&entry)?).await
    }

    /// Gives the log a way to have checkpoints signed, from now until the vault is sealed (then `notary` answers none).
    /// `keys` are the public keys of every term of the Sign key: the one that counts for the newest stored checkpoint must
    /// have signed it, or the log was replaced.
    ///
    /// # Errors
    /// [`AuditError::ForeignCheckpoint`]; then nothing is signed.
    pub fn attach(&self, keys: &Lineage, notary: Notary) -> Result<(), AuditError> {
        if let Some((checkpoint, note)) = &*lock(&self.shared.signed)
            && !keys.open(note).is_ok_and(|signed| signed == *checkpoint)
        {
            return Err(AuditError::ForeignCheckpoint);
        }
        *lock(&self.shared.notary) = Some(notary);
        Ok(())
    }

    /// Has `watch` told when the log begins to fail and when it is well again, so that somebody is told at once (PCI DSS
    /// 10.7). It is called on the writer's thread and must not block.
    pub fn watch(&self, watch: Watch) {
        *lock(&self.shared.watch) = Some(watch);
    }

    /// Takes the way to sign back.
    pub fn detach(&self) {
        *lock(&self.shared.notary) = None;
    }

    /// A signed checkpoint over everything that is durable by now.
    ///
    /// # Errors
    /// [`AuditError::NoNotary`] while the vault is sealed; others if it cannot be stored.
    pub async fn checkpoint(&self) -> Result<String, AuditError> {
        let (answer, answered) = oneshot::channel();
        self.shared.queue.send(Errand::Sign(answer)).map_err(|NotRecorded| AuditError::Stopped)?;
        answered.await.map_err(|_| AuditError::Stopped)?
    }

    /// The newest signed checkpoint, also while the vault is sealed; none before the first.
    #[must_use]
    pub fn newest_checkpoint(&self) -> Option<String> {
        lock(&self.shared.signed).as_ref().map(|(_, note)| note.clone())
    }

    /// Number of entries that the newest signed checkpoint covers.
    #[must_use]
    pub fn covered(&self) -> u64 {
        lock(&self.shared.signed).as_ref().map_or(0, |(checkpoint, _)| checkpoint.size)
    }

    /// Number of durable entries.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.shared.size.load(Ordering::Acquire)
    }

    /// The name in every checkpoint.
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// What waits for the disk.
    #[must_use]
    pub fn load(&self) -> Disk {
        let since_ms = self.shared.busy_since_ms.load(Ordering::Relaxed);
        Disk {
            waiting: self.shared.queue.waiting().0,
            busy_ms: if since_ms == 0 { 0 } else { self.shared.clock.now_ms().saturating_sub(since_ms) },
            log_bytes: self.shared.side_bytes(),
            log_bytes_max: self.shared.side_bytes_max.load(Ordering::Relaxed),
        }
    }

    /// From now on no entry is taken while the write-ahead log beside the file is longer than this, in bytes.
    pub fn bound_log(&self, bytes_max: u64) {
        self.shared.side_bytes_max.store(bytes_max, Ordering::Relaxed);
    }

    /// How far the disk and the checkpoints are behind.
    #[must_use]
    pub fn lag(&self) -> Lag {
        let now_ms = self.shared.clock.now_ms();
        let since = |since_ms: Option<u64>| since_ms.map_or(0, |since_ms| now_ms.saturating_sub(since_ms));
        let (waiting, waiting_since_ms) = self.shared.queue.waiting();
        let uncovered = self.size().saturating_sub(self.covered());
        let uncovered_since_ms = Some(self.shared.uncovered_since_ms.load(Ordering::Relaxed)).filter(|_| uncovered > 0);
        Lag {
            waiting,
            waiting_ms: since(waiting_since_ms),
            uncovered,
            uncovered_ms: since(uncovered_since_ms.filter(|since_ms| *since_ms > 0)),
            failing: self.shared.failing.load(Ordering::Relaxed),
        }
    }

    pub(super) fn newest_signed(&self) -> Option<(Checkpoint, String)> {
        lock(&self.shared.signed).clone()
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    #[cfg(test)]
    pub(crate) async fn limit_pages(&self, pages: Option<i64>) {
        let (done, limited) = oneshot::channel();
        self.shared.queue.send(Errand::LimitPages(pages, done)).unwrap();
        limited.await.unwrap();
    }
}

impl Own {
    /// About nothing in particular.
    #[must_use]
    pub fn noting(note: Note) -> Self {
        Self { tenant: None, subject: Subject::None, note }
    }
}

impl Drop for AuditLog {
    fn drop(&mut self) {
        drop(self.tallier.take());
        let now_ms = self.shared.clock.now_ms();
        lock(&self.shared.refusals).settle(now_ms, true, |entry| self.shared.push(entry));
        self.shared.queue.close();
        if let Some(writer) = self.writer.take()
            && writer.join().is_err()
        {
            self.shared.tell(Turn::WriterLost);
        }
    }
}

/// Waits until an entry is on disk, but not for ever: a disk that does not answer is as bad as one that refuses. Should the
/// entry come to it later, it is an entry without an effect.
async fn durable(recording: Recording) -> Result<u64, NotRecorded> {
    within(Duration::from_secs(limits::DISK_TTL_S), recording).await
}

async fn within(patience: Duration, recording: Recording) -> Result<u64, NotRecorded> {
    tokio::time::timeout(patience, recording).await.unwrap_or(Err(NotRecorded))
}

/// The write-ahead log that SQLite keeps beside a file.
fn side_of(path: &Path) -> PathBuf {
    let mut name = path.canonicalize().unwrap_or_else(|_| path.to_owned()).into_os_string();
    name.push("-wal");
    PathBuf::from(name)
}

/// Longest write-ahead log while nobody says otherwise, in bytes (1 GiB).
const SIDE_BYTES_MAX: u64 = 1 << 30;

fn entry(trace: &Trace, outcome: Outcome, reason: Reason, note: Note, at_ms: u64) -> Entry {
    Entry {
        at_ms,
        act: trace.act,
        outcome,
        reason,
        request: trace.request_id,
        subject: trace.subject,
        origin: trace.origin,
        tenant: trace.tenant.clone(),
        who: trace.who.who(),
        note: note.into_text(),
    }
}

#[cfg(test)]
#[path = "log_tests.rs"]
mod tests;
