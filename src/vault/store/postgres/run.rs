//! Transactions on pooled connections: what fails in passing is done again, and what may have happened is not.
//!
//! Statements are sent unnamed, with the types of their parameters, and a transaction is all the state that a connection has.
//! So a pooler that gives each transaction another connection (PgBouncer's `pool_mode = transaction`) may stand between. Where
//! none does, a few questions are prepared: see `session.rs`.
//!
//! Invariants:
//! - Nothing is written outside a transaction, and none ends under a time limit of the server's: a limit that strikes while a
//!   commit waits for the standby would have it confirmed although the standby does not have it.
//! - A connection whose work was broken off is closed, never given to somebody else.

use std::future::Future;
use std::ops::Deref;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use futures_util::future::join3;
use strongroom_wire::limits;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Error, Row};

use super::connect::{Connector, Refused};
use super::fault::{Failure, Remedy, note, remedy};
use super::session::Session;
use crate::store::StoreError;
use crate::telemetry::log;

/// Connections to the server, made when they are needed.
pub(in crate::store) struct Connections {
    connector: Arc<Connector>,
    permits: Arc<Semaphore>,
    waiting: AtomicUsize,
    idle: Arc<Mutex<Vec<Session>>>,
    /// How a transaction that writes begins.
    begin: RwLock<Arc<str>>,
}

/// A parameter and its type.
pub(in crate::store) type Param<'a> = (&'a (dyn ToSql + Sync), Type);

impl Connections {
    pub(super) fn new(connector: Connector, most: usize) -> Self {
        Self {
            connector: Arc::new(connector),
            permits: Arc::new(Semaphore::new(most)),
            waiting: AtomicUsize::new(0),
            idle: Arc::default(),
            begin: RwLock::new(BEGIN.into()),
        }
    }

    /// Makes the first connection, or says why there is none.
    pub(super) async fn try_one(&self) -> Result<(), Refused> {
        let session = self.connector.connect().await?;
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(session);
        Ok(())
    }

    /// From now on every transaction that writes holds the row of this run, and fails where that is gone. It stands in the
    /// statement that begins it, so that it costs no round trip.
    pub(super) fn fence(&self, run: uuid::Uuid) {
        // Without its row there is nothing to divide by.
        let begin =
            format!("{BEGIN}; SELECT 1 / count(*) FROM (SELECT 1 FROM nodes WHERE run = '{run}' FOR KEY SHARE) AS own");
        *self.begin.write().unwrap_or_else(PoisonError::into_inner) = begin.into();
    }

    /// How a transaction that writes begins.
    pub(super) fn begin(&self) -> Arc<str> {
        Arc::clone(&self.begin.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The turns of one transaction or question.
    pub(in crate::store) fn turns(&self) -> Turns<'_> {
        self.turns_within(OPERATION_TIMEOUT)
    }

    /// The same with a time of their own.
    pub(in crate::store) fn turns_within(&self, time: Duration) -> Turns<'_> {
        Turns { connections: self, begin: self.begin(), deadline: Instant::now() + time, turn: 0 }
    }

    /// Runs one statement in a transaction of its own, all in one round trip. It may run several times, and changed nothing
    /// unless it is answered with rows.
    pub(in crate::store) async fn once(&self, sql: &str, params: &[Param<'_>]) -> Result<Vec<Row>, StoreError> {
        let mut turns = self.turns();
        loop {
            let mut lease = turns.lease().await?;
            lease.begin_work();
            let sent =
                join3(lease.batch_execute(turns.begin()), lease.query_typed(sql, params), lease.batch_execute(COMMIT));
            let ended = turns
                .in_time(async {
                    let (begun, rows, committed) = sent.await;
                    ended_at_once(&lease, begun.and(rows), committed).await
                })
                .await;
            if let Some(ended) = turns.end(lease, ended) {
                return ended;
            }
        }
    }

    async fn lease(&self, deadline: Instant) -> Result<Option<Lease>, StoreError> {
        let waiting = self.waiting.fetch_add(1, Ordering::Relaxed);
        let permit = if waiting < limits::STORE_QUEUE_MAX {
            Some(timeout_at(deadline, Arc::clone(&self.permits).acquire_owned()).await)
        } else {
            None
        };
        self.waiting.fetch_sub(1, Ordering::Relaxed);
        let permit = match permit {
            None => return Err(StoreError::Busy),
            Some(Ok(Ok(permit))) => permit,
            Some(_) => return Err(StoreError::Unavailable),
        };
        loop {
            let known = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
            match known {
                Some(session) if session.is_closed() => {}
                Some(session) => return Ok(Some(self.lend(session, permit))),
                None => break,
            }
        }
        match timeout_at(deadline, self.connector.connect()).await {
            Ok(Ok(session)) => Ok(Some(self.lend(session, permit))),
            Ok(Err(refused)) => {
                log::warn("no connection to the database", &[("why", &refused.word())]);
                Ok(None)
            }
            Err(_) => Err(StoreError::Unavailable),
        }
    }

    /// Closes what nobody uses: where one connection broke or leads to a standby, the others do too, and the next ones are to be
    /// made to whichever server takes writes now.
    fn forget_idle(&self) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    fn lend(&self, session: Session, permit: OwnedSemaphorePermit) -> Lease {
        Lease { session: Some(session), is_sound: true, idle: Arc::clone(&self.idle), _permit: permit }
    }
}

/// A connection on loan. It goes back if it is sound, and is closed otherwise: the server rolls back what was open on it.
pub(in crate::store) struct Lease {
    session: Option<Session>,
    is_sound: bool,
    idle: Arc<Mutex<Vec<Session>>>,
    _permit: OwnedSemaphorePermit,
}

impl Lease {
    /// From here on it is of no more use if it is dropped before its end.
    pub(in crate::store) fn begin_work(&mut self) {
        self.is_sound = false;
    }
}

impl Deref for Lease {
    type Target = Session;

    fn deref(&self) -> &Session {
        self.session.as_ref().unwrap_or_else(|| unreachable!("a lease has its connection until it is dropped"))
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(session) = self.session.take()
            && self.is_sound
            && !session.is_closed()
        {
            self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(session);
        }
    }
}

/// The tries that a transaction or question has, and the time for all of them.
pub(in crate::store) struct Turns<'a> {
    connections: &'a Connections,
    begin: Arc<str>,
    deadline: Instant,
    turn: u32,
}

impl Turns<'_> {
    /// The same for a transaction that holds no node's row.
    pub(in crate::store) fn unfenced(self) -> Self {
        Self { begin: BEGIN.into(), ..self }
    }

    /// How the transaction begins.
    pub(in crate::store) fn begin(&self) -> &str {
        &self.begin
    }

    /// A connection for the next try.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when no try or no time is left; [`StoreError::Busy`] when too many wait.
    pub(in crate::store) async fn lease(&mut self) -> Result<Lease, StoreError> {
        while self.turn < TURNS_MAX {
            if self.turn > 0 {
                tokio::time::sleep(PAUSE * 2u32.pow(self.turn - 1)).await;
            }
            self.turn += 1;
            if let Some(lease) = self.connections.lease(self.deadline).await? {
                return Ok(lease);
            }
        }
        Err(StoreError::Unavailable)
    }

    /// `None`: the time is over.
    pub(in crate::store) async fn in_time<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        timeout_at(self.deadline, work).await.ok()
    }

    /// What a try came to; `None`: it may pass when it is done again.
    pub(in crate::store) fn end<T: Default>(
        &self,
        mut lease: Lease,
        ended: Option<Result<T, Failure>>,
    ) -> Option<Result<T, StoreError>> {
        let failure = match ended {
            Some(Ok(done)) => {
                lease.is_sound = true;
                return Some(Ok(done));
            }
            Some(Err(failure)) => failure,
            None => {
                log::warn("the database did not answer in time", &[]);
                return Some(Err(StoreError::Unavailable));
            }
        };
        lease.is_sound = true;
        match failure {
            Failure::Store(error) => Some(Err(error)),
            Failure::Not => Some(Ok(T::default())),
            Failure::Again => None,
            Failure::Server(error) => match remedy(&error) {
                Remedy::Again => None,
                Remedy::Tell(error) => Some(Err(error)),
                Remedy::Leave => {
                    lease.is_sound = false;
                    self.connections.forget_idle();
                    None
                }
            },
            Failure::Unconfirmed(error) => {
                lease.is_sound = false;
                self.connections.forget_idle();
                note(&error, "a commit was not confirmed");
                Some(Err(StoreError::Unavailable))
            }
        }
    }
}

/// Runs a block in a transaction, which commits when the block succeeds. It may run several times. (A closure that borrows
/// cannot promise that its future may move between threads; this can.)
macro_rules! transact {
    ($connections:expr, $tx:ident => { $($work:tt)* }) => {
        $crate::store::postgres::run::transact!(in $connections.turns(), $tx => { $($work)* })
    };
    (in $turns:expr, $tx:ident => { $($work:tt)* }) => {{
        let mut turns = $turns;
        loop {
            let mut lease = match turns.lease().await {
                Ok(lease) => lease,
                Err(error) => break Err(error),
            };
            lease.begin_work();
            let ended = turns.in_time(async {
                let $tx: &tokio_postgres::Client = &lease;
                let worked: Result<_, $crate::store::postgres::fault::Failure> = async {
                    $tx.batch_execute(turns.begin()).await?;
                    $($work)*
                }
                .await;
                $crate::store::postgres::run::finish($tx, worked).await
            });
            let ended = ended.await;
            if let Some(ended) = turns.end(lease, ended) {
                break ended;
            }
        }
    }};
}
pub(in crate::store) use transact;

/// Runs a block that only asks, perhaps several times.
macro_rules! ask {
    ($connections:expr, $client:ident => { $($work:tt)* }) => {{
        let mut turns = $connections.turns();
        loop {
            let mut lease = match turns.lease().await {
                Ok(lease) => lease,
                Err(error) => break Err(error),
            };
            lease.begin_work();
            let ended = turns.in_time(async {
                let $client: &$crate::store::postgres::session::Session = &lease;
                let worked: Result<_, $crate::store::postgres::fault::Failure> = async { $($work)* }.await;
                worked
            });
            let ended = ended.await;
            if let Some(ended) = turns.end(lease, ended) {
                break ended;
            }
        }
    }};
}
pub(in crate::store) use ask;

/// The outcome of a transaction whose end was sent along with its work. After work that was refused the server takes no end but
/// a rollback, so that nothing of it is committed.
pub(super) async fn ended_at_once<T>(
    tx: &Client,
    worked: Result<T, Error>,
    committed: Result<(), Error>,
) -> Result<T, Failure> {
    match (worked, committed) {
        (Ok(done), Ok(())) => Ok(done),
        (Ok(_), Err(error)) if matches!(remedy(&error), Remedy::Again) => Err(Failure::Again),
        (Ok(_), Err(error)) => Err(Failure::Unconfirmed(error)),
        (Err(error), _) if matches!(remedy(&error), Remedy::Leave) => Err(Failure::Unconfirmed(error)),
        (Err(error), _) => {
            tx.batch_execute("ROLLBACK").await?;
            Err(Failure::Server(error))
        }
    }
}

/// Commits what succeeded and rolls back the rest.
pub(in crate::store) async fn finish<T>(tx: &Client, worked: Result<T, Failure>) -> Result<T, Failure> {
    match worked {
        Ok(done) => match tx.batch_execute(COMMIT).await {
            Ok(()) => Ok(done),
            Err(error) if matches!(remedy(&error), Remedy::Again) => Err(Failure::Again),
            // The server may have done it and the word got lost.
            Err(error) => Err(Failure::Unconfirmed(error)),
        },
        Err(Failure::Server(error)) if matches!(remedy(&error), Remedy::Leave) => Err(Failure::Server(error)),
        Err(failure) => {
            // Said now, so that what a refused change has locked is free at once.
            tx.batch_execute("ROLLBACK").await?;
            Err(failure)
        }
    }
}

pub(in crate::store) fn text(value: &(dyn ToSql + Sync)) -> Param<'_> {
    (value, Type::TEXT)
}

pub(in crate::store) fn small(value: &i16) -> Param<'_> {
    (value, Type::INT2)
}

pub(in crate::store) fn int(value: &i32) -> Param<'_> {
    (value, Type::INT4)
}

pub(in crate::store) fn big(value: &(dyn ToSql + Sync)) -> Param<'_> {
    (value, Type::INT8)
}

pub(in crate::store) fn flag(value: &bool) -> Param<'_> {
    (value, Type::BOOL)
}

pub(in crate::store) fn uuid(value: &(dyn ToSql + Sync)) -> Param<'_> {
    (value, Type::UUID)
}

pub(in crate::store) fn bytes(value: &(dyn ToSql + Sync)) -> Param<'_> {
    (value, Type::BYTEA)
}

pub(in crate::store) fn array(value: &(dyn ToSql + Sync), of: Type) -> Param<'_> {
    (value, of)
}

/// How long a transaction or question may take with all its turns and the wait for a connection.
pub(in crate::store) const OPERATION_TIMEOUT: Duration = Duration::from_secs(5);
/// How often a transaction is tried.
const TURNS_MAX: u32 = 6;
/// Before the second turn; before each later one twice the time.
const PAUSE: Duration = Duration::from_millis(15);
/// The limits end what we gave up waiting for, so that a node that stands still in a transaction keeps nobody from a row.
const BEGIN: &str = "BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL statement_timeout = 5000; \
    SET LOCAL idle_in_transaction_session_timeout = 5000";
/// Without a limit: see above.
pub(in crate::store) const COMMIT: &str = "SET LOCAL statement_timeout = 0; COMMIT";
