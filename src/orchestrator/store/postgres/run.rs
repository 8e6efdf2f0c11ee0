//! Transactions on pooled connections: what fails in passing is done again, and what may have happened is not.
//!
//! Statements are sent unnamed, with the types of their parameters, and a transaction is all the state that a connection
//! has. So a pooler that gives each transaction another connection (PgBouncer's `pool_mode = transaction`) may stand between.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use deadpool_postgres::{Connect, Manager, ManagerConfig, Object, Pool, RecyclingMethod, Timeouts};
use tokio::runtime::{Handle, Runtime};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};
use tokio_postgres::error::SqlState;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Config, IsolationLevel, NoTls, Transaction};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::super::StoreError;

/// Connections to the server and the thread that moves their bytes.
pub(super) struct Connections {
    pool: Pool,
    /// A connection must outlive the task (and the server thread) that first asked for it.
    runtime: Option<Runtime>,
}

/// A parameter and its type.
pub(super) type Param<'a> = (&'a (dyn ToSql + Sync), Type);

/// Why a transaction was not done.
pub(super) enum Failure {
    /// The store's own reason.
    Store(StoreError),
    /// The server's or the connection's; nothing changed.
    Database(tokio_postgres::Error),
    /// The commit was sent and not confirmed.
    Unconfirmed(tokio_postgres::Error),
}

impl Connections {
    pub(super) fn new(config: Config, tls: Option<rustls::ClientConfig>, most: usize) -> Result<Self, StoreError> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("postgres")
            .enable_all()
            .build()
            .map_err(|_| StoreError::Unavailable)?;
        let connect = OnRuntime { handle: runtime.handle().clone(), tls: tls.map(MakeRustlsConnect::new) };
        let maker = Manager::from_connect(config, connect, ManagerConfig { recycling_method: RecyclingMethod::Fast });
        let timeouts =
            Timeouts { wait: Some(CONNECT_TIMEOUT), create: Some(CONNECT_TIMEOUT), recycle: Some(CONNECT_TIMEOUT) };
        let pool = Pool::builder(maker)
            .max_size(most)
            .timeouts(timeouts)
            .runtime(deadpool_postgres::Runtime::Tokio1)
            .build()
            .map_err(|_| StoreError::Unavailable)?;
        Ok(Self { pool, runtime: Some(runtime) })
    }

    /// The turns of one transaction or question.
    pub(super) fn turns(&self) -> Turns<'_> {
        self.turns_within(OPERATION_TIMEOUT)
    }

    /// The same with a time of their own.
    pub(super) fn turns_within(&self, time: Duration) -> Turns<'_> {
        Turns { pool: &self.pool, deadline: Instant::now() + time, turn: 0 }
    }
}

/// The tries that a transaction or question has, and the time for all of them.
pub(super) struct Turns<'a> {
    pool: &'a Pool,
    deadline: Instant,
    turn: u32,
}

impl Turns<'_> {
    /// A connection for the next try; `None` when no try or no time is left.
    pub(super) async fn client(&mut self) -> Option<Object> {
        while self.turn < TURNS_MAX {
            if self.turn > 0 {
                tokio::time::sleep(PAUSE * 2u32.pow(self.turn - 1)).await;
            }
            self.turn += 1;
            match timeout_at(self.deadline, self.pool.get()).await.ok()? {
                Ok(client) => return Some(client),
                // What the server says at the door (no such role, wrong password) names no payment.
                Err(error) => tracing::warn!(%error, "no connection to the database"),
            }
        }
        None
    }

    /// `None`: the time is over.
    pub(super) async fn in_time<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        timeout_at(self.deadline, work).await.ok()
    }

    /// What a try came to; `None`: it may pass when it is done again. A connection of no more use is closed.
    pub(super) fn end<T>(&self, client: Object, ended: Option<Result<T, Failure>>) -> Option<Result<T, StoreError>> {
        let failure = match ended {
            Some(Ok(done)) => return Some(Ok(done)),
            Some(Err(failure)) => failure,
            None => {
                // The server rolls back what was open on it.
                drop(Object::take(client));
                tracing::error!("the database did not answer in time");
                return Some(Err(StoreError::Unavailable));
            }
        };
        match failure {
            Failure::Store(error) => Some(Err(error)),
            Failure::Database(error) if is_collision(&error) => None,
            Failure::Database(error) if is_lost(&error) => {
                drop(Object::take(client));
                None
            }
            Failure::Database(error) => Some(Err(refusal(&error))),
            Failure::Unconfirmed(error) => {
                note(&error, "a commit was not confirmed");
                drop(Object::take(client));
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
            let Some(mut client) = turns.client().await else { break Err(StoreError::Unavailable) };
            let ended = turns.in_time(async {
                let transaction = $crate::store::postgres::run::begin(&mut client).await?;
                let $tx = &transaction;
                let worked: Result<_, $crate::store::postgres::run::Failure> = async { $($work)* }.await;
                $crate::store::postgres::run::end(transaction, worked).await
            });
            let ended = ended.await;
            if let Some(ended) = turns.end(client, ended) {
                break ended;
            }
        }
    }};
}
pub(super) use transact;

/// Runs a block that only asks, perhaps several times.
macro_rules! ask {
    ($connections:expr, $client:ident => { $($work:tt)* }) => {{
        let mut turns = $connections.turns();
        loop {
            let Some(client) = turns.client().await else { break Err(StoreError::Unavailable) };
            let ended = turns.in_time(async {
                let $client: &tokio_postgres::Client = &client;
                let worked: Result<_, $crate::store::postgres::run::Failure> = async { $($work)* }.await;
                worked.or_else($crate::store::postgres::run::nobody)
            });
            let ended = ended.await;
            if let Some(ended) = turns.end(client, ended) {
                break ended;
            }
        }
    }};
}
pub(super) use ask;

pub(super) async fn begin(client: &mut Client) -> Result<Transaction<'_>, Failure> {
    Ok(client.build_transaction().isolation_level(IsolationLevel::ReadCommitted).start().await?)
}

pub(super) async fn end<T>(transaction: Transaction<'_>, worked: Result<T, Failure>) -> Result<T, Failure> {
    match worked {
        Ok(done) => match transaction.commit().await {
            Ok(()) => Ok(done),
            Err(error) if is_collision(&error) => Err(error.into()),
            // The server may have done it and the word got lost.
            Err(error) => Err(Failure::Unconfirmed(error)),
        },
        Err(failure) => {
            // Said now, so that what a refused change has locked is free at once.
            transaction.rollback().await?;
            Err(failure)
        }
    }
}

/// An id that no text of the database can be is nobody's.
pub(super) fn nobody<T: Default>(failure: Failure) -> Result<T, Failure> {
    match failure {
        Failure::Database(error) if error.code() == Some(&SqlState::CHARACTER_NOT_IN_REPERTOIRE) => Ok(T::default()),
        other => Err(other),
    }
}

impl Drop for Connections {
    fn drop(&mut self) {
        self.pool.close();
        // Dropping it would block, which nothing may do on a thread that serves.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// Opens connections whose sockets and tasks belong to one runtime.
struct OnRuntime {
    handle: Handle,
    tls: Option<MakeRustlsConnect>,
}

type Connected = Result<(Client, JoinHandle<()>), tokio_postgres::Error>;

impl Connect for OnRuntime {
    fn connect(&self, config: &Config) -> Pin<Box<dyn Future<Output = Connected> + Send + '_>> {
        let (config, tls, handle) = (config.clone(), self.tls.clone(), self.handle.clone());
        Box::pin(async move {
            let driver = handle.clone();
            let opened = handle.spawn(async move {
                Ok(match tls {
                    Some(tls) => {
                        let (client, connection) = config.connect(tls).await?;
                        (client, driver.spawn(async move { drop(connection.await) }))
                    }
                    None => {
                        let (client, connection) = config.connect(NoTls).await?;
                        (client, driver.spawn(async move { drop(connection.await) }))
                    }
                })
            });
            match opened.await {
                Ok(opened) => opened,
                // The store is being closed; the pool ends the wait.
                Err(_) => std::future::pending().await,
            }
        })
    }
}

/// Two transactions stood in each other's way, and this one was rolled back: done again, it may pass.
fn is_collision(error: &tokio_postgres::Error) -> bool {
    matches!(error.code(), Some(code) if [SqlState::T_R_SERIALIZATION_FAILURE, SqlState::T_R_DEADLOCK_DETECTED].contains(code))
}

/// The connection is of no use any more: the server stops, restarts, or became a replica.
fn is_lost(error: &tokio_postgres::Error) -> bool {
    match error.code() {
        Some(code) => {
            let class = code.code().get(..2);
            matches!(class, Some("08" | "57" | "25")) && *code != SqlState::QUERY_CANCELED
        }
        None => true,
    }
}

fn refusal(error: &tokio_postgres::Error) -> StoreError {
    match error.code().map(SqlState::code) {
        Some(code) if code.starts_with("23") => StoreError::Duplicate,
        // Two that make the same table at once: the later one hears of it from the table or from the catalogue's index.
        Some("42P07" | "42710") => StoreError::Duplicate,
        Some("22021") => StoreError::Unreadable,
        _ => {
            note(error, "the store refused");
            StoreError::Unavailable
        }
    }
}

/// The code alone: the message could repeat what was stored.
fn note(error: &tokio_postgres::Error, what: &'static str) {
    let code = error.code().map_or("none", SqlState::code);
    tracing::error!(code, is_closed = error.is_closed(), "{what}");
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Failure::Store(error)
    }
}

impl From<tokio_postgres::Error> for Failure {
    fn from(error: tokio_postgres::Error) -> Self {
        Failure::Database(error)
    }
}

pub(super) fn text(value: &(dyn ToSql + Sync)) -> Param<'_> {
    (value, Type::TEXT)
}

pub(super) fn texts(value: &Vec<String>) -> Param<'_> {
    (value, Type::TEXT_ARRAY)
}

pub(super) fn int(value: &(dyn ToSql + Sync)) -> Param<'_> {
    (value, Type::INT8)
}

pub(super) fn ints(value: &Vec<i64>) -> Param<'_> {
    (value, Type::INT8_ARRAY)
}

pub(super) fn flag(value: &bool) -> Param<'_> {
    (value, Type::BOOL)
}

pub(super) fn bytes(value: &Vec<u8>) -> Param<'_> {
    (value, Type::BYTEA)
}

/// How long a connection may take, and the wait for one that is free.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(4);
/// How long a transaction may take with all its turns: less than what a lease allows for it.
pub(super) const OPERATION_TIMEOUT: Duration = Duration::from_secs(8);
/// How often a transaction is tried.
const TURNS_MAX: u32 = 5;
/// Before the second turn; before each later one twice the time.
const PAUSE: Duration = Duration::from_millis(20);
