//! `[store]` and `[node]`: a file for one vaultd alone, or a PostgreSQL database for as many as there are.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use strongroom_wire::NodeName;

use super::ConfigError;
use crate::store::postgres::{BadSettings, PostgresUrl, check_url};

/// `[store]`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StoreAt {
    /// The SQLite file; made when absent.
    pub path: Option<PathBuf>,
    /// The PostgreSQL database: `postgresql://user@host1,host2/database`.
    pub postgres: Option<String>,
    /// CA certificates (PEM) of which one signed the server's.
    pub postgres_ca: Option<PathBuf>,
    /// File with the password as its only line; `VAULTD_POSTGRES_PASSWORD` otherwise.
    pub postgres_password_file: Option<PathBuf>,
    /// Most connections to the server.
    pub postgres_connections: Option<usize>,
    /// Only a server is used whose commits wait for a synchronous standby, so that a failover loses nothing.
    #[serde(default)]
    pub require_synchronous_standby: bool,
    /// Seconds between two sweeps for records that reached their end.
    #[serde(default = "sweep_default")]
    pub sweep_seconds: u64,
    /// The store's file never grows beyond this, in bytes, so that the audit log on the same disk keeps its room. No
    /// limit when absent.
    pub bytes_max: Option<u64>,
    /// While the file's write-ahead log (`-wal`) is longer than this, in bytes, because something that reads holds it back,
    /// nothing is written. 1 GiB when absent.
    pub log_bytes_max: Option<u64>,
    /// The database that `vaultctl store migrate` moves the file into.
    pub move_to: Option<MoveTo>,
}

/// `[store.move_to]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MoveTo {
    /// As `store.postgres`.
    pub postgres: String,
    /// As `store.postgres_ca`.
    pub postgres_ca: Option<PathBuf>,
    /// As `store.postgres_password_file`.
    pub postgres_password_file: Option<PathBuf>,
    /// As `store.require_synchronous_standby`.
    #[serde(default)]
    pub require_synchronous_standby: bool,
}

impl MoveTo {
    /// How the database is reached.
    #[must_use]
    pub fn url(&self) -> PostgresUrl<'_> {
        PostgresUrl {
            url: &self.postgres,
            ca: self.postgres_ca.as_deref(),
            password_file: self.postgres_password_file.as_deref(),
            connections: CONNECTIONS_LEAST,
            needs_standby: self.require_synchronous_standby,
        }
    }
}

/// `[node]`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NodeAt {
    /// What tells this vaultd from the others on the same database.
    pub name: NodeName,
}

/// Where the store is.
pub enum StorePlace<'a> {
    /// In a file.
    File(&'a Path),
    /// In a database.
    Database(PostgresUrl<'a>),
}

impl StoreAt {
    /// Where the store is.
    ///
    /// # Errors
    /// [`ConfigError::Value`] unless it is in exactly one place.
    pub fn place(&self) -> Result<StorePlace<'_>, ConfigError> {
        match (&self.path, &self.postgres) {
            (Some(path), None) => Ok(StorePlace::File(path)),
            (None, Some(url)) => Ok(StorePlace::Database(PostgresUrl {
                url,
                ca: self.postgres_ca.as_deref(),
                password_file: self.postgres_password_file.as_deref(),
                connections: self.postgres_connections.unwrap_or(CONNECTIONS_DEFAULT),
                needs_standby: self.require_synchronous_standby,
            })),
            (Some(_), Some(_)) => {
                refuse("store.postgres", "store.path is there as well: a store is in one place, leave one of them away")
            }
            (None, None) => refuse("store.path", "say where the store is: path for a file, or postgres for a database"),
        }
    }

    /// The paths, to be made relative to the file.
    pub(super) fn paths(&mut self) -> [Option<&mut PathBuf>; 5] {
        let (ca, password) = match &mut self.move_to {
            Some(to) => (to.postgres_ca.as_mut(), to.postgres_password_file.as_mut()),
            None => (None, None),
        };
        [self.path.as_mut(), self.postgres_ca.as_mut(), self.postgres_password_file.as_mut(), ca, password]
    }

    /// Whether the values fit together.
    pub(super) fn check(&self, node: Option<&NodeAt>) -> Result<(), ConfigError> {
        match self.place()? {
            StorePlace::File(_) => {
                let of_databases = [
                    ("store.postgres_ca", self.postgres_ca.is_some()),
                    ("store.postgres_password_file", self.postgres_password_file.is_some()),
                    ("store.postgres_connections", self.postgres_connections.is_some()),
                    ("store.require_synchronous_standby", self.require_synchronous_standby),
                ];
                if let Some((key, _)) = of_databases.into_iter().find(|(_, is_set)| *is_set) {
                    return refuse(key, "it is about store.postgres, which is not set: leave it away");
                }
                if let Some(to) = &self.move_to {
                    check_url(&to.url()).map_err(|bad| ConfigError::Value {
                        key: match bad.key {
                            "store.postgres_ca" => "store.move_to.postgres_ca",
                            "store.postgres_password_file" => "store.move_to.postgres_password_file",
                            _ => "store.move_to.postgres",
                        },
                        why: bad.why,
                    })?;
                }
                if node.is_some() {
                    return refuse(
                        "node",
                        "a store in a file has one vaultd alone: leave [node] away, or use store.postgres",
                    );
                }
            }
            StorePlace::Database(url) => {
                if self.log_bytes_max.is_some() {
                    return refuse("store.log_bytes_max", "it limits the log of a file; a server keeps its own");
                }
                if self.move_to.is_some() {
                    return refuse(
                        "store.move_to",
                        "it moves a store out of a file, and store.postgres says that it is in a database: leave one away",
                    );
                }
                if self.bytes_max.is_some() {
                    return refuse("store.bytes_max", "it limits a file; with store.postgres limit the server's disk");
                }
                if !(CONNECTIONS_LEAST..=CONNECTIONS_MOST).contains(&url.connections) {
                    return refuse("store.postgres_connections", "give 8 to 500");
                }
                if node.is_none() {
                    return refuse(
                        "node.name",
                        "several vaultd may use the database: give each a name, 1 to 32 of a-z 0-9 -",
                    );
                }
                check_url(&url)?;
            }
        }
        Ok(())
    }
}

impl From<BadSettings> for ConfigError {
    fn from(bad: BadSettings) -> Self {
        ConfigError::Value { key: bad.key, why: bad.why }
    }
}

fn refuse<T>(key: &'static str, why: &'static str) -> Result<T, ConfigError> {
    Err(ConfigError::Value { key, why })
}

fn sweep_default() -> u64 {
    10
}

const CONNECTIONS_DEFAULT: usize = 16;
/// As many as work at the same time however quiet it is: the lanes of reads and writes.
const CONNECTIONS_LEAST: usize = 8;
const CONNECTIONS_MOST: usize = 500;

#[cfg(test)]
#[path = "config_store_tests.rs"]
mod tests;
