//! The one thread that writes. It takes all that waits, does it in one transaction, commits once, and only then answers.
//!
//! Invariants:
//! - An answer leaves only after the commit that it rests on, refusals too: they were decided on rows of the same group.
//! - Each job stands in a savepoint of its own, so that one that is refused leaves nothing behind and undoes nobody else.
//! - After a write-back that failed nothing is written any more until the process is started anew: the system may call
//!   pages clean that never reached the disk, so a later success would prove nothing.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

use rusqlite::Connection;
use tokio::sync::oneshot;

use super::super::StoreError;
use super::{execute, leaves_disk_unknown};

/// Hands jobs to the thread. Dropping it waits until all of them are done.
pub(super) struct Writer {
    queue: Option<Sender<Job>>,
    thread: Option<JoinHandle<()>>,
}

/// Does its work on the connection, and comes back with what tells its result once it is known whether the group was
/// committed.
type Job = Box<dyn FnOnce(&Connection) -> Done + Send>;

struct Done {
    is_good: bool,
    tell: Box<dyn FnOnce(bool) + Send>,
}

impl Writer {
    pub(super) fn start(connection: Connection) -> Result<Self, StoreError> {
        let (queue, jobs) = channel();
        let thread = std::thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || Loop { connection, failed: false }.run(&jobs))
            .map_err(|_| StoreError::Unavailable)?;
        Ok(Self { queue: Some(queue), thread: Some(thread) })
    }

    /// Has a job done and waits until it is durable. If nobody waits any more it is done all the same.
    pub(super) async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (reply, answer) = oneshot::channel();
        let job: Job = Box::new(move |connection| {
            // A panic is this job's own fault: its savepoint is rolled back and the others go on.
            let result = catch_unwind(AssertUnwindSafe(|| work(connection))).unwrap_or(Err(StoreError::Unavailable));
            let is_good = result.is_ok();
            let tell = Box::new(move |committed| {
                let _ = reply.send(if committed { result } else { Err(StoreError::Unavailable) });
            });
            Done { is_good, tell }
        });
        let queue = self.queue.as_ref().ok_or(StoreError::Unavailable)?;
        queue.send(job).map_err(|_| StoreError::Unavailable)?;
        answer.await.unwrap_or(Err(StoreError::Unavailable))
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        // Without a sender the thread finishes what waits and ends.
        drop(self.queue.take());
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the store's writer ended by a panic");
        }
    }
}

struct Loop {
    connection: Connection,
    failed: bool,
}

impl Loop {
    fn run(mut self, jobs: &Receiver<Job>) {
        let mut group = Vec::new();
        while let Ok(first) = jobs.recv() {
            group.push(first);
            // What waits already, and no lingering for more.
            while group.len() < GROUP_MAX
                && let Ok(next) = jobs.try_recv()
            {
                group.push(next);
            }
            self.commit(&mut group);
        }
    }

    fn commit(&mut self, group: &mut Vec<Job>) {
        if self.failed || self.step("BEGIN IMMEDIATE").is_err() {
            // A job that is dropped tells its asker that it was not done.
            group.clear();
            return;
        }
        let mut told = Vec::with_capacity(group.len());
        let committed = self.work(group, &mut told) && self.step("COMMIT").is_ok();
        if !committed && !self.connection.is_autocommit() && self.step("ROLLBACK").is_err() {
            self.failed = true;
        }
        if self.failed {
            tracing::error!("the store stopped writing: restart orchestratord once the disk is sound");
        }
        group.clear();
        for tell in told {
            tell(committed);
        }
    }

    /// Whether the transaction still stands after every job.
    fn work(&mut self, group: &mut Vec<Job>, told: &mut Vec<Box<dyn FnOnce(bool) + Send>>) -> bool {
        for job in group.drain(..) {
            if self.step("SAVEPOINT job").is_err() {
                return false;
            }
            let done = job(&self.connection);
            told.push(done.tell);
            // Some faults, a full disk among them, make SQLite undo the whole transaction: then nobody's job is done.
            let stands = !self.connection.is_autocommit()
                && (done.is_good || self.step("ROLLBACK TO job").is_ok())
                && self.step("RELEASE job").is_ok();
            if !stands {
                return false;
            }
        }
        true
    }

    fn step(&mut self, sql: &str) -> Result<(), StoreError> {
        execute(&self.connection, sql, []).map(drop).map_err(|error| {
            self.failed |= leaves_disk_unknown(&error);
            error.into()
        })
    }
}

/// Jobs in one transaction: few enough that the first does not wait long for the last.
const GROUP_MAX: usize = 64;
