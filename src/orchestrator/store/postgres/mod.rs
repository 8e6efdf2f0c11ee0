//! [`Store`] in a PostgreSQL database that several processes share: plain SQL, transactions of `READ COMMITTED`, and rows
//! that are changed only as they were seen.

mod accounts;
mod chores;
mod desk;
mod kept;
mod migrate;
mod outbox;
mod payments;
mod run;
mod saved;
mod settings;

pub use settings::{BadSettings, PostgresSettings};

use async_trait::async_trait;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio_postgres::Row;

use super::{Store, StoreError};
use run::{Connections, ask};

/// The store that several orchestrators share.
pub struct PostgresStore {
    connections: Connections,
}

impl PostgresStore {
    /// Connects and brings the database to the newest schema. `tls` belongs to the settings' authority.
    ///
    /// # Errors
    /// [`OpenError`].
    pub async fn open(settings: &PostgresSettings, tls: Option<rustls::ClientConfig>) -> Result<Self, OpenError> {
        if settings.ca.is_some() != tls.is_some() {
            return Err(BadSettings("database_ca cannot be read").into());
        }
        let connections = Connections::new(settings.with_password()?, tls, settings.connections)?;
        migrate::keeps_what_it_confirms(&connections).await?;
        migrate::migrate(&connections).await?;
        Ok(Self { connections })
    }
}

/// Why the database cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// The configuration.
    #[error(transparent)]
    Settings(#[from] BadSettings),
    /// The server.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The server confirms what it can still lose.
    #[error("the server confirms commits that it can still lose: set fsync and synchronous_commit to on")]
    Forgetful,
}

#[async_trait]
impl Store for PostgresStore {
    fn is_exclusive(&self) -> bool {
        false
    }

    async fn ping(&self) -> Result<(), StoreError> {
        ask!(self.connections, c => { Ok(c.query_typed("SELECT 1", &[]).await.map(drop)?) })
    }
}

/// The document in the first column of the first row.
fn one<T: DeserializeOwned>(rows: &[Row]) -> Result<Option<T>, StoreError> {
    rows.first().map(document).transpose()
}

/// The documents in the first column.
fn many<T: DeserializeOwned>(rows: &[Row]) -> Result<Vec<T>, StoreError> {
    rows.iter().map(document).collect()
}

fn document<T: DeserializeOwned>(row: &Row) -> Result<T, StoreError> {
    from_text(column(row, 0)?)
}

/// A column of a row.
fn column<'a, T: tokio_postgres::types::FromSql<'a>>(row: &'a Row, place: usize) -> Result<T, StoreError> {
    row.try_get(place).map_err(|_| StoreError::Unreadable)
}

fn to_text<T: Serialize>(value: &T) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|_| StoreError::Unreadable)
}

fn from_text<T: DeserializeOwned>(text: &str) -> Result<T, StoreError> {
    serde_json::from_str(text).map_err(|_| StoreError::Unreadable)
}

#[cfg(test)]
pub(crate) mod tests;
