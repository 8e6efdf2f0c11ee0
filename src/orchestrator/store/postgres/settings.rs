//! How to reach the PostgreSQL server: one URL, checked so that nothing goes over a network without TLS.

use std::path::PathBuf;
use std::str::FromStr as _;

use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode};
use zeroize::Zeroizing;

/// What the configuration says about the server.
pub struct PostgresSettings {
    /// Hosts, user, name of the database; without the password.
    pub(super) config: Config,
    /// PEM file: the authority of the server's certificate. Without it the server is on this machine.
    pub(super) ca: Option<PathBuf>,
    /// File with the password.
    pub(super) password_file: Option<PathBuf>,
    /// Most connections at a time.
    pub(super) connections: usize,
}

/// Why a server cannot be used as the configuration says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadSettings(pub &'static str);

impl PostgresSettings {
    /// Reads `postgres://user@host:port/name?...`.
    ///
    /// # Errors
    /// [`BadSettings`] says what to change.
    pub fn new(
        url: &str,
        ca: Option<PathBuf>,
        password_file: Option<PathBuf>,
        connections: usize,
    ) -> Result<Self, BadSettings> {
        let mut config = Config::from_str(url).map_err(|_| {
            BadSettings("postgres://user@host:port/name, with parameters that PostgreSQL's clients know after a ?")
        })?;
        if config.get_password().is_some() {
            return Err(BadSettings("no password here: put it into a file and name that in database_password_file"));
        }
        if config.get_user().is_none() || config.get_dbname().is_none() {
            return Err(BadSettings("name the user and the database: postgres://user@host:port/name"));
        }
        if config.get_hosts().is_empty() {
            return Err(BadSettings("name the server: postgres://user@host:port/name"));
        }
        let on_socket = config.get_hosts().iter().any(|host| matches!(host, Host::Unix(_)));
        match (&ca, config.get_ssl_mode()) {
            (Some(_), SslMode::Disable) => {
                return Err(BadSettings("sslmode=disable contradicts database_ca: leave one of them away"));
            }
            (Some(_), _) if on_socket => {
                return Err(BadSettings("a unix socket has no TLS: leave database_ca away"));
            }
            (Some(_), _) => config.ssl_mode(SslMode::Require),
            (None, SslMode::Require) => {
                return Err(BadSettings("TLS needs the authority of the server's certificate: set database_ca"));
            }
            (None, _) if is_local(&config) => config.ssl_mode(SslMode::Disable),
            (None, _) => {
                return Err(BadSettings(
                    "without TLS only to 127.0.0.1, [::1] or a unix socket: set database_ca to the authority of the server's certificate",
                ));
            }
        };
        if config.get_application_name().is_none() {
            config.application_name("orchestratord");
        }
        config.connect_timeout(super::run::CONNECT_TIMEOUT);
        config.tcp_user_timeout(super::run::OPERATION_TIMEOUT);
        Ok(Self { config, ca, password_file, connections })
    }

    /// Whether the password can be read.
    ///
    /// # Errors
    /// [`BadSettings`].
    pub fn check_password(&self) -> Result<(), BadSettings> {
        self.with_password().map(drop)
    }

    /// The same with the password, if there is one.
    pub(super) fn with_password(&self) -> Result<Config, BadSettings> {
        let mut config = self.config.clone();
        if let Some(path) = &self.password_file {
            let unreadable = BadSettings("database_password_file cannot be read");
            let size = std::fs::metadata(path).map_err(|_| unreadable)?.len();
            if size > PASSWORD_FILE_BYTES_MAX {
                return Err(BadSettings("database_password_file is larger than 4 KiB"));
            }
            let text = Zeroizing::new(std::fs::read_to_string(path).map_err(|_| unreadable)?);
            let password = text.trim_end_matches(['\r', '\n']);
            if password.is_empty() || password.contains(['\r', '\n', '\0']) {
                return Err(BadSettings("database_password_file: one line, the password"));
            }
            config.password(password);
        }
        Ok(config)
    }
}

fn is_local(config: &Config) -> bool {
    let by_name = config.get_hosts().iter().all(|host| match host {
        Host::Unix(_) => true,
        Host::Tcp(name) => name.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback()),
    });
    // An address beside the name is where the connection goes.
    by_name && config.get_hostaddrs().iter().all(|address| address.is_loopback())
}

const PASSWORD_FILE_BYTES_MAX: u64 = 4096;
