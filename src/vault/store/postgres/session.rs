//! A connection and the questions that were prepared on it: the server parses and plans a prepared question once, not each time
//! that it is asked, which for sixteen tables is most of its work.
//!
//! Invariants:
//! - A statement has a name only on a connection that leads to the server itself. Behind a pooler the next transaction may meet
//!   another connection, where the name stands for nothing, or for what another node prepared.
//! - Only questions are prepared: asked once more they change nothing.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::ops::Deref;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Error, Row, Statement};

use super::fault::{Remedy, remedy};
use super::run::Param;

/// A connection.
pub(in crate::store) struct Session {
    client: Client,
    /// What was prepared, by its text; none where nothing may be.
    prepared: Option<Mutex<HashMap<String, Prepared>>>,
}

struct Prepared {
    statement: Statement,
    until: Instant,
}

impl Session {
    /// A connection that may be shared on its way.
    pub(super) fn unknown(client: Client) -> Self {
        Self { client, prepared: None }
    }

    /// A connection whose two ends are known here: the server is asked whether it sees the same.
    pub(super) async fn between(client: Client, here: SocketAddr, there: SocketAddr) -> Self {
        // An engine that cannot tell has statements without names.
        let is_direct = seen(&client).await.is_some_and(|seen| seen == [plain(here), plain(there)]);
        Self { client, prepared: is_direct.then(Mutex::default) }
    }

    /// Whether questions are prepared here.
    pub(super) fn prepares(&self) -> bool {
        self.prepared.is_some()
    }

    /// Asks a question that was asked before and will be again. It is prepared where that is safe; a server that does not take
    /// what it prepared, as after a change of the tables, is asked anew in the same breath.
    pub(super) async fn query_again(&self, sql: &str, params: &[Param<'_>]) -> Result<Vec<Row>, Error> {
        if let Some(statement) = self.statement(sql, params).await? {
            let values: Vec<&(dyn ToSql + Sync)> = params.iter().map(|(value, _)| *value).collect();
            match self.client.query(&statement, &values).await {
                Err(error) if is_outdated(&error) => self.forget(sql),
                other => return other,
            }
        }
        self.client.query_typed(sql, params).await
    }

    async fn statement(&self, sql: &str, params: &[Param<'_>]) -> Result<Option<Statement>, Error> {
        let Some(prepared) = &self.prepared else { return Ok(None) };
        let now = Instant::now();
        let known = {
            let prepared = prepared.lock().unwrap_or_else(PoisonError::into_inner);
            prepared.get(sql).filter(|known| known.until > now).map(|known| known.statement.clone())
        };
        if known.is_some() {
            return Ok(known);
        }
        let types: Vec<Type> = params.iter().map(|(_, of)| of.clone()).collect();
        match self.client.prepare_typed(sql, &types).await {
            Ok(statement) => {
                let known = Prepared { statement: statement.clone(), until: now + RENEWED_AFTER };
                prepared.lock().unwrap_or_else(PoisonError::into_inner).insert(sql.to_owned(), known);
                Ok(Some(statement))
            }
            Err(error) if matches!(remedy(&error), Remedy::Leave) => Err(error),
            // What is wrong with it is told to whoever asks it without a name.
            Err(_) => Ok(None),
        }
    }

    fn forget(&self, sql: &str) {
        if let Some(prepared) = &self.prepared {
            prepared.lock().unwrap_or_else(PoisonError::into_inner).remove(sql);
        }
    }
}

impl Deref for Session {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}

/// Whether the server has a prepared statement no more, has another one, or one from before the tables changed.
fn is_outdated(error: &Error) -> bool {
    let codes = [SqlState::INVALID_SQL_STATEMENT_NAME, SqlState::DUPLICATE_PSTATEMENT, SqlState::FEATURE_NOT_SUPPORTED];
    error.code().is_some_and(|code| codes.contains(code))
}

/// The client's and the server's end of the connection as the server sees them. A pooler, a proxy or a translation of addresses
/// in between makes another connection of it; no two connections at a server have all four in common.
async fn seen(client: &Client) -> Option<[(IpAddr, u16); 2]> {
    let sql = "SELECT host(inet_client_addr()), inet_client_port(), host(inet_server_addr()), inet_server_port()";
    let rows = client.query_typed(sql, &[]).await.ok()?;
    let row = rows.first()?;
    let end = |address: usize, port: usize| {
        let address: IpAddr = row.try_get::<_, Option<&str>>(address).ok()??.parse().ok()?;
        let port = row.try_get::<_, Option<i32>>(port).ok()??;
        Some(plain((address, u16::try_from(port).ok()?).into()))
    };
    Some([end(0, 1)?, end(2, 3)?])
}

/// The same whichever family the socket is of.
fn plain(end: SocketAddr) -> (IpAddr, u16) {
    (end.ip().to_canonical(), end.port())
}

/// A plan is made for what the tables hold at the time: for a few rows it reads a table from end to end, and that must not
/// outlast a load of new ones.
const RENEWED_AFTER: Duration = Duration::from_secs(10);
