//! The one thread that writes. It takes all that waits, does it in one transaction, commits once, and only then answers.
//!
//! Invariants:
//! - An answer leaves only after the commit that it rests on, refusals too: they were decided on rows of the same group.
//! - A job that is refused leaves nothing behind and undoes nobody else. Since hardly any is, a group is first tried as a
//!   whole; where one is refused, all of it is undone and done again with a savepoint around each job.
//! - After a write-back that failed nothing is written any more until the process is started anew: see
//!   [`leaves_disk_unknown`].

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rusqlite::Connection;
use strongroom_wire::limits;
use tokio::sync::oneshot;

use super::copy::Copies;
use super::fault::{fault, leaves_disk_unknown};
use super::open;
use super::queue::{Queue, Taken};
use super::segments::Segments;
use crate::store::StoreError;
use crate::telemetry::load::Disk;
use crate::telemetry::log;

/// Hands jobs to the thread.
pub(super) struct Writer {
    queue: Arc<Queue<Order>>,
    /// Why nothing is written now; 0: it is.
    refuses: AtomicU8,
    thread: Option<JoinHandle<()>>,
    gauge: Arc<Gauge>,
}

/// What others may see of the thread's work.
struct Gauge {
    begun: Instant,
    wal: PathBuf,
    /// When the group that runs began, in milliseconds since `begun`, and one more; 0 if none runs.
    busy_since_ms: AtomicU64,
    log_bytes_max: AtomicU64,
}

impl Gauge {
    fn now_ms(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX - 1) + 1
    }

    /// Length of the log, in bytes.
    fn log_bytes(&self) -> u64 {
        std::fs::metadata(&self.wal).map_or(0, |file| file.len())
    }
}

/// What a job works on.
pub(super) struct Desk<'a> {
    /// The connection, inside the group's transaction.
    pub(super) conn: &'a Connection,
    /// What is known of the segments.
    pub(super) segments: &'a mut Segments,
    /// Set by a job that frees bytes which have to leave the files soon.
    pub(super) shreds: bool,
}

impl Writer {
    /// Starts the thread on a connection; `wal` is the path of its write-ahead log.
    pub(super) fn start(conn: Connection, wal: PathBuf, copies: Copies) -> Result<Self, StoreError> {
        let queue = Arc::new(Queue::new());
        let orders = Ending(Arc::clone(&queue));
        let segments = Segments::load(&conn)?;
        let gauge = Arc::new(Gauge {
            begun: Instant::now(),
            wal,
            busy_since_ms: AtomicU64::new(0),
            log_bytes_max: AtomicU64::new(LOG_BYTES_MAX),
        });
        let seen = Arc::clone(&gauge);
        let thread = std::thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || {
                let (failed, dirty, shreds_since, tried, is_held) = (false, false, None, None, false);
                Loop { conn, gauge: seen, copies, segments, failed, dirty, shreds_since, tried, is_held }
                    .run(&orders.0);
            })
            .map_err(|_| StoreError::Unavailable)?;
        Ok(Self { queue, refuses: AtomicU8::new(0), thread: Some(thread), gauge })
    }

    /// Refuses what comes from here on, so that it need not be begun to be refused.
    pub(super) fn refuse(&self, why: Option<StoreError>) {
        let number = match why {
            None => 0,
            Some(StoreError::Moved) => 2,
            Some(_) => 1,
        };
        self.refuses.store(number, Ordering::Release);
    }

    /// Has a job done and waits until it is durable. It may be done twice, the first time in a transaction that is undone.
    pub(super) async fn write<T, F>(&self, job: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnMut(&mut Desk<'_>) -> Result<T, StoreError> + Send + 'static,
    {
        match self.refuses.load(Ordering::Acquire) {
            0 => self.write_always(job).await,
            1 => Err(StoreError::Held),
            _ => Err(StoreError::Moved),
        }
    }

    /// The same while writes are refused.
    pub(super) async fn write_always<T, F>(&self, job: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnMut(&mut Desk<'_>) -> Result<T, StoreError> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let done = self.order(Order::Job(Box::new(Write { job, result: None, reply })), answer);
        // A disk that does not answer is as bad as one that refuses: whoever asked is told that nobody knows.
        let patience = Duration::from_secs(limits::DISK_TTL_S);
        tokio::time::timeout(patience, done).await.unwrap_or(Err(StoreError::Unavailable))
    }

    /// Empties the log after everything that was handed in before.
    pub(super) async fn settle(&self) -> Result<(), StoreError> {
        let (reply, answer) = oneshot::channel();
        self.order(Order::Settle(reply), answer).await
    }

    /// From now on nothing is written while the log is longer than this, in bytes.
    pub(super) fn bound_log(&self, bytes_max: u64) {
        self.gauge.log_bytes_max.store(bytes_max, Ordering::Relaxed);
    }

    /// What waits, since when the running group runs, how long the log is.
    pub(super) fn load(&self) -> Disk {
        let since_ms = self.gauge.busy_since_ms.load(Ordering::Relaxed);
        Disk {
            waiting: self.queue.len(),
            busy_ms: if since_ms == 0 { 0 } else { self.gauge.now_ms().saturating_sub(since_ms) },
            log_bytes: self.gauge.log_bytes(),
            log_bytes_max: self.gauge.log_bytes_max.load(Ordering::Relaxed),
        }
    }

    async fn order<T>(&self, order: Order, answer: oneshot::Receiver<Result<T, StoreError>>) -> Result<T, StoreError> {
        self.queue.put(order).await?;
        answer.await.unwrap_or(Err(StoreError::Unavailable))
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        // The thread finishes what waits, empties the log and ends.
        self.queue.close();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            log::error("the store's writer ended by a panic", &[]);
        }
    }
}

/// However the thread ends, nobody may wait for it in vain.
struct Ending(Arc<Queue<Order>>);

impl Drop for Ending {
    fn drop(&mut self) {
        self.0.abandon();
    }
}

enum Order {
    Job(Box<dyn Job>),
    Settle(oneshot::Sender<Result<(), StoreError>>),
}

trait Job: Send {
    fn run(&mut self, desk: &mut Desk<'_>) -> Result<(), StoreError>;
    fn answer(self: Box<Self>, verdict: Result<(), StoreError>);
}

struct Write<F, T> {
    job: F,
    result: Option<Result<T, StoreError>>,
    reply: oneshot::Sender<Result<T, StoreError>>,
}

impl<F, T> Job for Write<F, T>
where
    T: Send,
    F: FnMut(&mut Desk<'_>) -> Result<T, StoreError> + Send,
{
    fn run(&mut self, desk: &mut Desk<'_>) -> Result<(), StoreError> {
        let result = (self.job)(desk);
        let verdict = result.as_ref().map(|_| ()).map_err(|error| *error);
        self.result = Some(result);
        verdict
    }

    fn answer(self: Box<Self>, verdict: Result<(), StoreError>) {
        let Self { result, reply, .. } = *self;
        // Whoever asked may be gone by now; the row is durable all the same.
        let _ = reply.send(verdict.and(result.unwrap_or(Err(StoreError::Unavailable))));
    }
}

struct Loop {
    conn: Connection,
    gauge: Arc<Gauge>,
    /// A copy that is being made reads from the log, which cannot be emptied until it is done.
    copies: Copies,
    segments: Segments,
    /// No write is taken any more.
    failed: bool,
    /// The log holds frames that the main file does not.
    dirty: bool,
    /// Since when the log may hold bytes of rows that are deleted or replaced.
    shreds_since: Option<Instant>,
    /// When emptying the log was last tried in vain.
    tried: Option<Instant>,
    /// The log is as long as it may be, and that was said.
    is_held: bool,
}

impl Loop {
    fn run(mut self, orders: &Queue<Order>) {
        let mut group = Vec::new();
        loop {
            let restless = self.dirty || self.shreds_since.is_some() || self.is_held;
            match orders.take(if restless { IDLE } else { QUIET }, |order| matches!(order, Order::Settle(_))) {
                Taken::Orders(orders) => {
                    let mut settles = None;
                    for order in orders {
                        match order {
                            Order::Job(job) => group.push(job),
                            Order::Settle(reply) => settles = Some(reply),
                        }
                    }
                    self.gauge.busy_since_ms.store(self.gauge.now_ms(), Ordering::Relaxed);
                    self.commit(&mut group);
                    self.gauge.busy_since_ms.store(0, Ordering::Relaxed);
                    if let Some(reply) = settles {
                        let _ = reply.send(self.empty_log());
                    }
                    self.keep_log_short();
                }
                Taken::Nothing => self.rest(),
                Taken::Over => break,
            }
        }
        if !self.failed && self.empty_log().is_err() {
            log::warn("the store's log could not be emptied at the end; the next start folds it in", &[]);
        }
    }

    fn commit(&mut self, group: &mut Vec<Box<dyn Job>>) {
        if group.is_empty() {
            return;
        }
        let mut verdict = if self.failed || !self.has_room() { Err(StoreError::Unavailable) } else { Ok(()) };
        if verdict.is_ok() {
            verdict = self.transact(group);
            if verdict.is_err() {
                self.undo();
            }
        }
        for job in group.drain(..) {
            job.answer(verdict);
        }
    }

    fn transact(&mut self, group: &mut [Box<dyn Job>]) -> Result<(), StoreError> {
        if !self.attempt(group, false)? {
            if group.len() == 1 {
                // Refused, and alone: there is nothing to commit.
                return Ok(());
            }
            self.attempt(group, true)?;
        }
        Ok(())
    }

    /// Does a group in one transaction. `false` means that one was refused and all of them were undone; with `savepoints`
    /// that one alone is.
    fn attempt(&mut self, group: &mut [Box<dyn Job>], savepoints: bool) -> Result<bool, StoreError> {
        let mut shreds = false;
        self.step("BEGIN IMMEDIATE")?;
        for job in group {
            if savepoints {
                self.step("SAVEPOINT job")?;
            }
            let mut desk = Desk { conn: &self.conn, segments: &mut self.segments, shreds: false };
            let done = job.run(&mut desk);
            shreds |= desk.shreds;
            // Some faults, a full disk among them, make SQLite undo the whole transaction: then nobody's job is done.
            if self.conn.is_autocommit() {
                return Err(StoreError::Unavailable);
            }
            if done.is_err() {
                self.step(if savepoints { "ROLLBACK TO job" } else { "ROLLBACK" })?;
                self.segments = Segments::load(&self.conn)?;
                if !savepoints {
                    return Ok(false);
                }
            }
            if savepoints {
                self.step("RELEASE job")?;
            }
        }
        self.segments.extend(&self.conn)?;
        self.conn.prepare_cached("COMMIT").and_then(|mut statement| statement.execute([])).map_err(|error| {
            self.failed |= leaves_disk_unknown(&error);
            fault(error);
            StoreError::Unavailable
        })?;
        self.dirty = true;
        if shreds {
            self.shreds_since.get_or_insert_with(Instant::now);
        }
        Ok(true)
    }

    fn undo(&mut self) {
        if !self.conn.is_autocommit() && self.step("ROLLBACK").is_err() {
            self.failed = true;
        }
        match Segments::load(&self.conn) {
            Ok(segments) => self.segments = segments,
            Err(_) => self.failed = true,
        }
        if self.failed {
            log::error("the store stopped writing: a write-back failed, restart vaultd once the disk is sound", &[]);
        }
    }

    fn step(&self, sql: &str) -> Result<(), StoreError> {
        let done = self.conn.prepare_cached(sql).and_then(|mut statement| statement.execute([]));
        done.map(|_| ()).map_err(|error| {
            fault(error);
            StoreError::Unavailable
        })
    }

    /// In a quiet moment: empties the log if it holds what was shredded, and otherwise folds it into the main file but
    /// leaves it as long as it is, because writing into a file that does not grow is quicker to make durable.
    fn rest(&mut self) {
        if self.failed {
            self.dirty = false;
            self.shreds_since = None;
        } else if self.shreds_since.is_some() || self.is_held {
            // A reader in the way is no fault: the next quiet moment comes.
            self.empty_log_in_passing();
            self.has_room();
        } else if self.dirty {
            self.dirty = false;
            if let Err(error) = self.conn.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(())) {
                fault(error);
            }
        }
    }

    /// Under writes that never pause: empties a log that readers never let start over, or that has held shredded bytes for
    /// too long.
    fn keep_log_short(&mut self) {
        let overdue = self.shreds_since.is_some_and(|since| since.elapsed() > SHRED_WITHIN);
        let most = LOG_BYTES.min(self.gauge.log_bytes_max.load(Ordering::Relaxed) / 4);
        if !self.failed && (overdue || self.gauge.log_bytes() > most) {
            self.empty_log_in_passing();
        }
    }

    /// Whether the log may grow. A reader that stays keeps it from being emptied, and then it would fill the disk.
    fn has_room(&mut self) -> bool {
        let most = self.gauge.log_bytes_max.load(Ordering::Relaxed);
        if self.gauge.log_bytes() > most {
            self.empty_log_in_passing();
        }
        let bytes = self.gauge.log_bytes();
        if (bytes > most) != self.is_held {
            self.is_held = !self.is_held;
            if self.is_held {
                let say =
                    "the store's log is as long as it may be, nothing is written: end what reads the file for so long";
                log::error(say, &[("bytes", &bytes)]);
            } else {
                log::info("the store's log was emptied, writing goes on", &[]);
            }
        }
        !self.is_held
    }

    /// Empties the log without making anybody's write wait for a reader that stays; one in the way of the last try is given
    /// a while.
    fn empty_log_in_passing(&mut self) {
        if self.tried.is_some_and(|tried| tried.elapsed() < TRY_AGAIN) {
            return;
        }
        let _ = self.conn.busy_timeout(IN_PASSING);
        self.tried = if self.empty_log().is_err() { Some(Instant::now()) } else { None };
        let _ = self.conn.busy_timeout(open::BUSY);
    }

    fn empty_log(&mut self) -> Result<(), StoreError> {
        if self.failed {
            return Err(StoreError::Unavailable);
        }
        if self.copies.hold_the_log() {
            // Nobody's write may wait for a copy.
            return Err(StoreError::Busy);
        }
        let busy: i64 = self.conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0)).map_err(fault)?;
        if busy != 0 {
            return Err(StoreError::Busy);
        }
        self.dirty = false;
        self.shreds_since = None;
        Ok(())
    }
}

/// So long without a write is a quiet moment.
const IDLE: Duration = Duration::from_millis(250);
/// With nothing left to do there is nothing to wake up for.
const QUIET: Duration = Duration::from_secs(3600);
/// What was deleted leaves the log after this time even if writes go on without a pause.
const SHRED_WITHIN: Duration = Duration::from_secs(30);
/// A log longer than this is emptied at once (it is folded in at 40 MB, so it has been held up).
const LOG_BYTES: u64 = 256 << 20;
/// The longest log while nobody says otherwise, in bytes (1 GiB).
const LOG_BYTES_MAX: u64 = 1 << 30;
/// How long emptying the log in passing waits for readers: as long as one that reads a page of rows.
const IN_PASSING: Duration = Duration::from_millis(100);
/// How long after a try in vain the next one comes.
const TRY_AGAIN: Duration = Duration::from_secs(1);
