//! How to reach the PostgreSQL server: one URL, checked so that nothing goes over a network without TLS.

use std::borrow::Cow;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr as _;

use tokio_postgres::Config;
use tokio_postgres::config::{ChannelBinding, Host, SslMode, TargetSessionAttrs};
use zeroize::Zeroizing;

use super::tls;

/// What a store in PostgreSQL is opened with.
pub struct PostgresOptions {
    /// User, database, limits: all but hosts and password.
    base: Config,
    hosts: Vec<Place>,
    password: Option<Password>,
    tls: Option<rustls::ClientConfig>,
    /// Most connections at a time.
    pub(super) connections: usize,
    /// Whether a server is used that confirms a commit before a standby has it.
    pub(super) needs_standby: bool,
    /// The vault's id. A new store is marked with it, a store with another mark is refused.
    pub(super) vault: String,
}

/// One server.
#[derive(Clone)]
struct Place {
    host: Host,
    address: Option<IpAddr>,
    port: u16,
}

/// Where a server is on the network.
pub(super) struct Network<'a> {
    /// As its certificate says.
    pub(super) name: &'a str,
    /// A name or an address.
    pub(super) at: Cow<'a, str>,
    pub(super) port: u16,
}

/// The password; wiped when it is dropped, and never shown.
struct Password(Zeroizing<Vec<u8>>);

/// What the configuration says about the server.
pub struct PostgresUrl<'a> {
    /// `postgresql://user@host1,host2/database?...`, without a password.
    pub url: &'a str,
    /// CA certificates (PEM) of which one signs the server's; none where the server is on this machine.
    pub ca: Option<&'a Path>,
    /// File with the password as its only line.
    pub password_file: Option<&'a Path>,
    /// Most connections at a time.
    pub connections: usize,
    /// Only a server is used that confirms a commit when a synchronous standby has it on its disk.
    pub needs_standby: bool,
}

/// Why a server cannot be used as the configuration says. The words name keys, never values.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{key}: {why}")]
pub struct BadSettings {
    /// Which key of the configuration.
    pub key: &'static str,
    /// What to change.
    pub why: &'static str,
}

impl PostgresOptions {
    /// Reads URL, password and CA certificates.
    ///
    /// # Errors
    /// [`BadSettings`] says what to change.
    pub fn new(at: &PostgresUrl<'_>, vault: &str) -> Result<Self, BadSettings> {
        let parsed = parse(at)?;
        let tls = at.ca.map(tls::client).transpose()?;
        let password = password(at.password_file, std::env::var(PASSWORD_VARIABLE).ok().map(Zeroizing::new))?;
        Ok(Self {
            hosts: places(&parsed)?,
            base: parsed,
            password,
            tls,
            connections: at.connections,
            needs_standby: at.needs_standby,
            vault: vault.to_owned(),
        })
    }

    /// TLS to the server, where it is used.
    pub(super) fn tls(&self) -> Option<rustls::ClientConfig> {
        self.tls.clone()
    }

    /// How many servers there are to choose from.
    pub(super) fn count(&self) -> usize {
        self.hosts.len()
    }

    /// Where one of the servers is on the network and the name in its certificate; none for a unix socket.
    pub(super) fn on_network(&self, nth: usize) -> Option<Network<'_>> {
        let place = &self.hosts[nth % self.hosts.len()];
        let Host::Tcp(name) = &place.host else { return None };
        let at = place.address.map_or_else(|| Cow::from(name), |address| address.to_string().into());
        Some(Network { name, at, port: place.port })
    }

    /// As whom one of the servers is asked for what. The answer holds the password: use it for one connection.
    pub(super) fn config(&self, nth: usize) -> Config {
        let mut config = Config::new();
        let place = &self.hosts[nth % self.hosts.len()];
        match &place.host {
            Host::Tcp(name) => config.host(name),
            Host::Unix(folder) => config.host_path(folder),
        };
        place.address.map(|address| config.hostaddr(address));
        config.port(place.port).ssl_mode(if self.tls.is_some() { SslMode::Require } else { SslMode::Disable });
        self.base.get_user().map(|user| config.user(user));
        self.base.get_dbname().map(|name| config.dbname(name));
        self.base.get_options().map(|options| config.options(options));
        config.application_name(self.base.get_application_name().unwrap_or("vaultd"));
        config.channel_binding(match self.base.get_channel_binding() {
            ChannelBinding::Disable => ChannelBinding::Disable,
            ChannelBinding::Require => ChannelBinding::Require,
            _ => ChannelBinding::Prefer,
        });
        if let Some(password) = &self.password {
            config.password(password.0.as_slice());
        }
        config
    }
}

/// Whether a URL can be used, without a look at any file.
///
/// # Errors
/// [`BadSettings`] says what to change.
pub fn check_url(at: &PostgresUrl<'_>) -> Result<(), BadSettings> {
    parse(at).and_then(|parsed| places(&parsed)).map(drop)
}

fn parse(at: &PostgresUrl<'_>) -> Result<Config, BadSettings> {
    let refuse = |why| BadSettings { key: "store.postgres", why };
    let config = Config::from_str(at.url).map_err(|_| {
        refuse("give postgresql://user@host/database, with parameters that PostgreSQL's clients know after a ?")
    })?;
    if config.get_password().is_some() {
        return Err(refuse("no password here: put it into a file and name that in store.postgres_password_file"));
    }
    if config.get_user().is_none() || config.get_dbname().is_none() || config.get_hosts().is_empty() {
        return Err(refuse("name user, server and database: postgresql://user@host/database"));
    }
    if config.get_target_session_attrs() == TargetSessionAttrs::ReadOnly {
        return Err(refuse("target_session_attrs=read-only: the store is written to, say read-write or leave it away"));
    }
    let on_socket = config.get_hosts().iter().any(|host| matches!(host, Host::Unix(_)));
    match (at.ca, config.get_ssl_mode()) {
        (Some(_), SslMode::Disable) => {
            Err(refuse("sslmode=disable contradicts store.postgres_ca: leave one of them away"))
        }
        (Some(_), _) if on_socket => {
            Err(BadSettings { key: "store.postgres_ca", why: "a unix socket has no TLS: leave it away" })
        }
        (Some(_), _) => Ok(config),
        (None, SslMode::Disable | SslMode::Prefer) if is_local(&config) => Ok(config),
        (None, _) => Err(BadSettings {
            key: "store.postgres_ca",
            why: "name the CA certificates of the server (PEM): without TLS only 127.0.0.1, [::1] and a unix socket are \
                  reached",
        }),
    }
}

fn places(config: &Config) -> Result<Vec<Place>, BadSettings> {
    let refuse = |why| BadSettings { key: "store.postgres", why };
    let (hosts, addresses, ports) = (config.get_hosts(), config.get_hostaddrs(), config.get_ports());
    if hosts.len() > HOSTS_MAX {
        return Err(refuse("name at most 16 servers"));
    }
    if !addresses.is_empty() && addresses.len() != hosts.len() {
        return Err(refuse("give as many addresses in hostaddr as there are servers, or none"));
    }
    if ports.len() > 1 && ports.len() != hosts.len() {
        return Err(refuse("give one port for all servers or one for each"));
    }
    let port = |nth: usize| ports.get(nth).or(ports.first()).copied().unwrap_or(5432);
    Ok(hosts
        .iter()
        .enumerate()
        .map(|(nth, host)| Place { host: host.clone(), address: addresses.get(nth).copied(), port: port(nth) })
        .collect())
}

fn is_local(config: &Config) -> bool {
    let by_name = config.get_hosts().iter().all(|host| match host {
        Host::Unix(_) => true,
        Host::Tcp(name) => name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback()),
    });
    // An address beside the name is where the connection goes.
    by_name && config.get_hostaddrs().iter().all(|address| address.is_loopback())
}

fn password(file: Option<&Path>, variable: Option<Zeroizing<String>>) -> Result<Option<Password>, BadSettings> {
    let refuse = |why| BadSettings { key: "store.postgres_password_file", why };
    let text = match (file, variable) {
        (Some(_), Some(_)) => return Err(refuse("VAULTD_POSTGRES_PASSWORD is set as well: leave one of them away")),
        (None, None) => return Ok(None),
        (None, Some(text)) => text,
        (Some(path), None) => {
            let unreadable = || refuse("the file cannot be read");
            if std::fs::metadata(path).map_err(|_| unreadable())?.len() > PASSWORD_FILE_BYTES_MAX {
                return Err(refuse("the file is larger than 4 KiB"));
            }
            Zeroizing::new(std::fs::read_to_string(PathBuf::from(path)).map_err(|_| unreadable())?)
        }
    };
    let line = text.trim_end_matches(['\r', '\n']);
    if line.is_empty() || line.contains(['\r', '\n', '\0']) {
        return Err(refuse("give the password as one line"));
    }
    Ok(Some(Password(Zeroizing::new(line.as_bytes().to_vec()))))
}

/// Where the password may stand instead of in a file.
const PASSWORD_VARIABLE: &str = "VAULTD_POSTGRES_PASSWORD";
const PASSWORD_FILE_BYTES_MAX: u64 = 4096;
const HOSTS_MAX: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    fn said(url: &str, ca: Option<&str>) -> Result<(), String> {
        let at = PostgresUrl { url, ca: ca.map(Path::new), password_file: None, connections: 4, needs_standby: false };
        check_url(&at).map_err(|error| error.to_string())
    }

    #[test]
    fn a_url_that_cannot_be_used_says_what_to_change() {
        for (url, ca, part) in [
            ("postgresql://u:secret@127.0.0.1/db", None, "store.postgres_password_file"),
            ("postgresql://127.0.0.1/db", None, "name user"),
            ("postgresql://u@127.0.0.1", None, "name user"),
            ("postgresql://u@/db", None, "name user"),
            ("postgresql://u@db.example/db", None, "store.postgres_ca"),
            ("postgresql://u@localhost/db", None, "store.postgres_ca"),
            ("postgresql://u@127.0.0.1,db.example/db", None, "store.postgres_ca"),
            ("postgresql://u@127.0.0.1/db?hostaddr=10.0.0.1", None, "store.postgres_ca"),
            ("postgresql://u@127.0.0.1/db?sslmode=require", None, "store.postgres_ca"),
            ("postgresql://u@db.example/db?sslmode=disable", Some("ca.pem"), "contradicts"),
            ("postgresql://u@%2Frun%2Fpostgresql/db", Some("ca.pem"), "unix socket"),
            ("postgresql://u@127.0.0.1/db?target_session_attrs=read-only", None, "read-write"),
            ("postgresql://u@127.0.0.1/db?unknown=1", None, "parameters"),
            ("mysql://u@127.0.0.1/db", None, "postgresql://"),
        ] {
            let refused = said(url, ca).unwrap_err();
            assert!(refused.contains(part) && !refused.contains("secret"), "{url}: {refused}");
        }
        let many = format!("postgresql://u@{}/db", ["db.example"; HOSTS_MAX + 1].join(","));
        assert!(said(&many, Some("ca.pem")).unwrap_err().contains("at most 16"));
        for (url, ca) in [
            ("postgresql://u@db.example:6432/db", Some("ca.pem")),
            ("postgres://u@a.example,b.example:5433/db?target_session_attrs=read-write", Some("ca.pem")),
            ("postgresql://u@[::1]/db", None),
            ("postgresql://u@%2Frun%2Fpostgresql/db", None),
        ] {
            assert_eq!(said(url, ca), Ok(()), "{url}");
        }
    }

    #[test]
    fn a_password_is_one_line_from_one_place() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("password");
        let variable = || Some(Zeroizing::new("from-outside".to_owned()));
        std::fs::write(&file, "word\n").unwrap();
        assert_eq!(*password(Some(&file), None).ok().unwrap().unwrap().0, b"word");
        assert_eq!(*password(None, variable()).ok().unwrap().unwrap().0, b"from-outside");
        assert!(password(None, None).ok().unwrap().is_none());
        assert!(password(Some(&file), variable()).is_err());
        for text in ["", "\n", "two\nlines\n", &"x".repeat(PASSWORD_FILE_BYTES_MAX as usize + 1)] {
            std::fs::write(&file, text).unwrap();
            assert!(password(Some(&file), None).is_err());
        }
        assert!(password(Some(&folder.path().join("absent")), None).is_err());
    }
}
