//! The one thread that writes. It takes all that waits, does it in one transaction, commits once, and only then answers.
//!
//! Invariants:
//! - An answer leaves only after the commit that it rests on, refusals too: they were decided on rows of the same group.
//! - Each job stands in a savepoint of its own, so that one that is refused leaves nothing behind and undoes nobody else.
//! - After a write-back that failed nothing is written any more until the process is started anew: see
//!   [`leaves_disk_unknown`].

use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rusqlite::Connection;
use strongroom_wire::limits;
use tokio::sync::oneshot;

use super::copy::Copies;
use super::fault::{fault, leaves_disk_unknown};
use super::segments::Segments;
use crate::store::StoreError;
use crate::telemetry::log;

/// Hands jobs to the thread.
pub(super) struct Writer {
    queue: Option<SyncSender<Order>>,
    thread: Option<JoinHandle<()>>,
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
        let (queue, jobs) = sync_channel(limits::STORE_QUEUE_MAX);
        let segments = Segments::load(&conn)?;
        let thread = std::thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || {
                Loop { conn, wal, copies, segments, failed: false, dirty: false, shreds_since: None }.run(&jobs);
            })
            .map_err(|_| StoreError::Unavailable)?;
        Ok(Self { queue: Some(queue), thread: Some(thread) })
    }

    /// Has a job done and waits until it is durable.
    pub(super) async fn write<T, F>(&self, job: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&mut Desk<'_>) -> Result<T, StoreError> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        self.order(Order::Job(Box::new(Write { job: Some(job), result: None, reply })), answer).await
    }

    /// Empties the log after everything that was handed in before.
    pub(super) async fn settle(&self) -> Result<(), StoreError> {
        let (reply, answer) = oneshot::channel();
        self.order(Order::Settle(reply), answer).await
    }

    async fn order<T>(&self, order: Order, answer: oneshot::Receiver<Result<T, StoreError>>) -> Result<T, StoreError> {
        match self.queue.as_ref().map(|queue| queue.try_send(order)) {
            Some(Ok(())) => answer.await.unwrap_or(Err(StoreError::Unavailable)),
            Some(Err(TrySendError::Full(_))) => Err(StoreError::Busy),
            Some(Err(TrySendError::Disconnected(_))) | None => Err(StoreError::Unavailable),
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        // Without the sender the thread finishes what waits, empties the log and ends.
        drop(self.queue.take());
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            log::error("the store's writer ended by a panic", &[]);
        }
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
    job: Option<F>,
    result: Option<Result<T, StoreError>>,
    reply: oneshot::Sender<Result<T, StoreError>>,
}

impl<F, T> Job for Write<F, T>
where
    T: Send,
    F: FnOnce(&mut Desk<'_>) -> Result<T, StoreError> + Send,
{
    fn run(&mut self, desk: &mut Desk<'_>) -> Result<(), StoreError> {
        let result = self.job.take().map_or(Err(StoreError::Unavailable), |job| job(desk));
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
    wal: PathBuf,
    /// A copy that is being made reads from the log, which cannot be emptied until it is done.
    copies: Copies,
    segments: Segments,
    /// No write is taken any more.
    failed: bool,
    /// The log holds frames that the main file does not.
    dirty: bool,
    /// Since when the log may hold bytes of rows that are deleted or replaced.
    shreds_since: Option<Instant>,
}

impl Loop {
    fn run(mut self, orders: &Receiver<Order>) {
        let mut group = Vec::new();
        let mut settles = Vec::new();
        loop {
            let restless = self.dirty || self.shreds_since.is_some();
            match orders.recv_timeout(if restless { IDLE } else { QUIET }) {
                Ok(order) => {
                    let mut next = Some(order);
                    while let Some(order) = next {
                        match order {
                            Order::Job(job) => group.push(job),
                            Order::Settle(reply) => settles.push(reply),
                        }
                        let more = group.len() < limits::STORE_GROUP_MAX && settles.is_empty();
                        next = if more { orders.try_recv().ok() } else { None };
                    }
                    self.commit(&mut group);
                    for reply in settles.drain(..) {
                        let _ = reply.send(self.empty_log());
                    }
                    self.keep_log_short();
                }
                Err(RecvTimeoutError::Timeout) => self.rest(),
                Err(RecvTimeoutError::Disconnected) => break,
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
        let mut verdict = if self.failed { Err(StoreError::Unavailable) } else { Ok(()) };
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
        let mut shreds = false;
        self.step("BEGIN IMMEDIATE")?;
        for job in group {
            self.step("SAVEPOINT job")?;
            let mut desk = Desk { conn: &self.conn, segments: &mut self.segments, shreds: false };
            let done = job.run(&mut desk);
            shreds |= desk.shreds;
            // Some faults, a full disk among them, make SQLite undo the whole transaction: then nobody's job is done.
            if self.conn.is_autocommit() {
                return Err(StoreError::Unavailable);
            }
            if done.is_err() {
                self.step("ROLLBACK TO job")?;
                self.segments = Segments::load(&self.conn)?;
            }
            self.step("RELEASE job")?;
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
        Ok(())
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
        } else if self.shreds_since.is_some() {
            // A reader in the way is no fault: the next quiet moment comes.
            let _ = self.empty_log();
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
        if !self.failed && (overdue || std::fs::metadata(&self.wal).is_ok_and(|file| file.len() > LOG_BYTES)) {
            let _ = self.empty_log();
        }
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
