//! The configuration: one TOML file, every key documented here, unknown keys refused.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use strongroom_wire::limits;

use crate::dashboard::{BadOperators, DashboardConfig};
use crate::dialect::DialectsConfig;
use crate::store::{BadSettings, PostgresSettings};

/// The whole file. Paths are relative to the folder of the file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Address and port of the API; port 0 takes a free one. TLS always.
    pub listen: SocketAddr,
    /// PEM file: the listener's certificate chain. Read again on SIGHUP.
    pub certificate: PathBuf,
    /// PEM file: its private key.
    pub key: PathBuf,
    /// Where browsers reach this server (`https://pay.example`), for the way back from authentication.
    pub public_url: String,
    /// SHA-256 of the operator's admin key, 64 hexadecimal digits: `printf %s "$KEY" | sha256sum`.
    pub admin_key_sha256: String,
    /// Where payments live: the file of a SQLite store, made when missing, or `postgres://user@host:port/name` for a
    /// database that several orchestrators may share.
    pub database: Database,
    /// PEM file: the authority of the PostgreSQL server's certificate. Without it the server is on this machine.
    #[serde(default)]
    pub database_ca: Option<PathBuf>,
    /// File with the password for the PostgreSQL server, on one line.
    #[serde(default)]
    pub database_password_file: Option<PathBuf>,
    /// Most connections to the PostgreSQL server, 1 to 200; 16 when absent.
    #[serde(default)]
    pub database_connections: Option<usize>,
    /// The bound address is written here once the listener is open; for supervisors and tests.
    #[serde(default)]
    pub ready_file: Option<PathBuf>,
    /// Threads that answer; as many as cores when absent.
    #[serde(default)]
    pub workers: Option<usize>,
    /// Most requests at work at a time, 1 to 65536; 512 when absent. More are turned away with 503.
    #[serde(default)]
    pub requests_max: Option<usize>,
    /// What is logged: `error`, `warn`, `info` (default) or `debug`.
    #[serde(default)]
    pub log_level: LogLevel,
    /// The vault.
    pub vault: VaultConfig,
    /// Providers by connector name (`[psp.stripe]`). Where some accounts of a connector are reached elsewhere, a name and a
    /// hyphen follow (`[psp.adyen-live]`), and the account names it as its `destination`.
    #[serde(default)]
    pub psp: BTreeMap<String, PspConfig>,
    /// How merchants' webhooks are sent.
    #[serde(default)]
    pub webhooks: WebhooksConfig,
    /// Who may look at the dashboard; without an operator there is none.
    #[serde(default)]
    pub dashboard: DashboardConfig,
    /// Front doors beside the native API, each below a path of its own; none is open that has no table here.
    #[serde(default)]
    pub dialects: DialectsConfig,
}

/// How to reach the vault.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VaultConfig {
    /// Base URL of the release listener.
    pub url: String,
    /// PEM file: the authority of the vault's certificate.
    pub ca: PathBuf,
    /// PEM file: our client certificate, whose URI SAN is our identity to the vault.
    pub client_certificate: PathBuf,
    /// PEM file: its private key.
    pub client_key: PathBuf,
    /// Who fills cards into requests to providers: `release` (default: the vault releases the card to this process for one
    /// call) or `forward` (the vault fills and sends the request itself, and this process never holds a card).
    #[serde(default)]
    pub cards: CardsMode,
    /// Base URL of the vault's intake as browsers reach it; handed out with vault sessions.
    #[serde(default)]
    pub intake_url: Option<String>,
    /// Time limit for a connection, in milliseconds; 2000 when absent.
    #[serde(default = "vault_connect_ms")]
    pub connect_timeout_ms: u64,
    /// Time limit for a call, in milliseconds; 5000 when absent.
    #[serde(default = "vault_total_ms")]
    pub total_timeout_ms: u64,
}

/// See [`VaultConfig::cards`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CardsMode {
    /// The vault releases cards to this process.
    #[default]
    Release,
    /// The vault sends cards to providers.
    Forward,
}

/// How to reach a provider.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PspConfig {
    /// Base URL, such as `https://api.stripe.com`.
    pub base_url: String,
    /// PEM file: the authority of its certificate; the system's authorities when absent.
    #[serde(default)]
    pub ca: Option<PathBuf>,
    /// Time limit for a connection, in milliseconds; 3000 when absent.
    #[serde(default = "psp_connect_ms")]
    pub connect_timeout_ms: u64,
    /// Time limit for a request, in milliseconds; 25000 when absent.
    #[serde(default = "psp_total_ms")]
    pub total_timeout_ms: u64,
}

/// How merchants' webhooks are sent: over HTTPS, always.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct WebhooksConfig {
    /// Whether receivers may have private and loopback addresses; only where every merchant is trusted like the operator,
    /// because the server then calls its own neighbours if a merchant says so. `false` when absent.
    pub allow_private: bool,
    /// PEM file: the authority of the receivers' certificates; the system's authorities when absent.
    pub ca: Option<PathBuf>,
    /// Time limit for a connection, in milliseconds; 3000 when absent.
    pub connect_timeout_ms: u64,
    /// Time limit for a request, in milliseconds; 10000 when absent.
    pub total_timeout_ms: u64,
}

impl Default for WebhooksConfig {
    fn default() -> Self {
        Self { allow_private: false, ca: None, connect_timeout_ms: 3_000, total_timeout_ms: 10_000 }
    }
}

/// See [`Config::database`].
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(from = "String")]
pub enum Database {
    /// A file.
    File(PathBuf),
    /// The URL of a PostgreSQL database.
    Server(String),
}

impl From<String> for Database {
    fn from(text: String) -> Self {
        // A file with a colon and two slashes in its name is a URL that somebody mistyped.
        if text.contains("://") { Database::Server(text) } else { Database::File(text.into()) }
    }
}

/// See [`Config::log_level`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogLevel {
    /// Faults only.
    Error,
    /// And what may become one.
    Warn,
    /// And what happens.
    #[default]
    Info,
    /// And details.
    Debug,
}

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("{0}: cannot be read")]
    File(PathBuf),
    /// The file is too large.
    #[error("{0}: larger than 256 KiB")]
    TooLarge(PathBuf),
    /// A key is missing, unknown or of the wrong type.
    #[error("line {line}: {message}")]
    Toml {
        /// Where.
        line: usize,
        /// What; names keys, never values.
        message: String,
    },
    /// A value cannot be used.
    #[error("{key}: {reason}")]
    Value {
        /// Which key.
        key: String,
        /// What it should be.
        reason: &'static str,
    },
}

impl Config {
    /// Reads and checks a file.
    ///
    /// # Errors
    /// [`ConfigError`].
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let size = std::fs::metadata(path).map_err(|_| ConfigError::File(path.to_owned()))?.len();
        if size > limits::CONFIG_BYTES_MAX as u64 {
            return Err(ConfigError::TooLarge(path.to_owned()));
        }
        let text = std::fs::read_to_string(path).map_err(|_| ConfigError::File(path.to_owned()))?;
        let mut config = Self::parse(&text)?;
        let folder = path.parent().unwrap_or(Path::new("."));
        let vault = &mut config.vault;
        let cas = config.psp.values_mut().filter_map(|psp| psp.ca.as_mut()).chain(config.webhooks.ca.as_mut());
        let own = [
            &mut config.certificate,
            &mut config.key,
            &mut vault.ca,
            &mut vault.client_certificate,
            &mut vault.client_key,
        ];
        let database = match &mut config.database {
            Database::File(file) => Some(file),
            Database::Server(_) => None,
        };
        let database = [database, config.database_ca.as_mut(), config.database_password_file.as_mut()];
        let others = database.into_iter().flatten().chain(config.ready_file.as_mut());
        for path in own.into_iter().chain(cas).chain(others) {
            *path = folder.join(&*path);
        }
        Ok(config)
    }

    /// Parses and checks a text.
    ///
    /// # Errors
    /// [`ConfigError`].
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        let mut config: Self = toml::from_str(text).map_err(|error| {
            let at = error.span().map_or(0, |span| span.start);
            let line = text.get(..at).map_or(1, |before| before.matches('\n').count() + 1);
            ConfigError::Toml { line, message: error.message().to_owned() }
        })?;
        let key_hash = |text: &str| text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit());
        if !key_hash(&config.admin_key_sha256) {
            return Err(value("admin_key_sha256", "64 hexadecimal digits"));
        }
        if config.workers.is_some_and(|workers| !(1..=256).contains(&workers)) {
            return Err(value("workers", "1 to 256"));
        }
        if config.requests_max.is_some_and(|most| !(1..=limits::REQUESTS_AT_WORK_MAX).contains(&most)) {
            return Err(value("requests_max", "1 to 65536"));
        }
        config.postgres()?;
        config.dashboard.operators().map_err(|BadOperators { key, reason }| ConfigError::Value { key, reason })?;
        config.dialects.check().map_err(|(key, reason)| ConfigError::Value { key, reason })?;
        base_url("public_url", &mut config.public_url)?;
        base_url("vault.url", &mut config.vault.url)?;
        if let Some(url) = &mut config.vault.intake_url {
            base_url("vault.intake_url", url)?;
        }
        time_limit("vault.connect_timeout_ms", config.vault.connect_timeout_ms)?;
        time_limit("vault.total_timeout_ms", config.vault.total_timeout_ms)?;
        time_limit("webhooks.connect_timeout_ms", config.webhooks.connect_timeout_ms)?;
        time_limit("webhooks.total_timeout_ms", config.webhooks.total_timeout_ms)?;
        for (name, psp) in &mut config.psp {
            // `stripe`, or `stripe-eu` for accounts that are reached elsewhere.
            let connector = name.split_once('-').map_or(name.as_str(), |(connector, _)| connector);
            if crate::connector::find(connector).is_none() || name.len() > limits::DESTINATION_CHARS_MAX {
                return Err(value(&format!("psp.{name}"), "no such connector, or more than 32 characters"));
            }
            base_url(&format!("psp.{name}.base_url"), &mut psp.base_url)?;
            time_limit(&format!("psp.{name}.connect_timeout_ms"), psp.connect_timeout_ms)?;
            time_limit(&format!("psp.{name}.total_timeout_ms"), psp.total_timeout_ms)?;
        }
        Ok(config)
    }

    /// How to reach the PostgreSQL server; `None` where the store is a file.
    ///
    /// # Errors
    /// [`ConfigError::Value`] where the URL cannot be used, or a key is there that only such a URL needs.
    pub fn postgres(&self) -> Result<Option<PostgresSettings>, ConfigError> {
        let (ca, password) = (self.database_ca.clone(), self.database_password_file.clone());
        match &self.database {
            Database::File(_) => {
                let idle = [
                    ("database_ca", ca.is_some()),
                    ("database_password_file", password.is_some()),
                    ("database_connections", self.database_connections.is_some()),
                ];
                match idle.iter().find(|(_, is_there)| *is_there) {
                    Some((key, _)) => Err(value(key, "only with a database = \"postgres://...\"")),
                    None => Ok(None),
                }
            }
            Database::Server(url) => {
                let connections = self.database_connections.unwrap_or(limits::DATABASE_CONNECTIONS_DEFAULT);
                if !(1..=limits::DATABASE_CONNECTIONS_MAX).contains(&connections) {
                    return Err(value("database_connections", "1 to 200"));
                }
                let settings = PostgresSettings::new(url, ca, password, connections);
                settings.map(Some).map_err(|BadSettings(reason)| value("database", reason))
            }
        }
    }

    /// The admin key's hash as bytes.
    #[must_use]
    pub fn admin_hash(&self) -> [u8; 32] {
        let mut hash = [0u8; 32];
        for (place, byte) in hash.iter_mut().enumerate() {
            let digits = self.admin_key_sha256.get(place * 2..place * 2 + 2).unwrap_or("");
            *byte = u8::from_str_radix(digits, 16).unwrap_or(0);
        }
        hash
    }
}

fn base_url(key: &str, url: &mut String) -> Result<(), ConfigError> {
    let parsed = reqwest::Url::parse(url).map_err(|_| value(key, "an absolute https address"))?;
    if parsed.scheme() != "https" || parsed.query().is_some() || parsed.password().is_some() {
        return Err(value(key, "an https address without query or password; plain HTTP does not exist here"));
    }
    while url.ends_with('/') {
        url.pop();
    }
    Ok(())
}

fn time_limit(key: &str, ms: u64) -> Result<(), ConfigError> {
    if (10..=120_000).contains(&ms) { Ok(()) } else { Err(value(key, "10 to 120000 milliseconds")) }
}

fn value(key: &str, reason: &'static str) -> ConfigError {
    ConfigError::Value { key: key.to_owned(), reason }
}

fn vault_connect_ms() -> u64 {
    2_000
}

fn vault_total_ms() -> u64 {
    5_000
}

fn psp_connect_ms() -> u64 {
    3_000
}

fn psp_total_ms() -> u64 {
    25_000
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example() -> String {
        format!(
            r#"listen = "127.0.0.1:0"
certificate = "server.pem"
key = "server.key"
public_url = "https://localhost:8443/"
admin_key_sha256 = "{}"
database = "orchestrator.db"

[vault]
url = "https://localhost:8444"
ca = "ca.pem"
client_certificate = "client.pem"
client_key = "client.key"

[psp.stripe]
base_url = "https://localhost:8445"
ca = "ca.pem"
"#,
            "ab".repeat(32)
        )
    }

    #[test]
    fn documented_example_is_a_configuration() {
        let text = include_str!("orchestratord.example.toml");
        Config::parse(text).unwrap();
        // The keys that are optional stand there behind a mark, and are keys too.
        let all: String = text
            .lines()
            .map(|line| {
                let is_key = |text: &&str| text.contains(" = ") || text.starts_with('[');
                line.strip_prefix("# ").filter(is_key).unwrap_or(line).to_owned() + "\n"
            })
            .collect();
        let all = all.replace("\"...\"", &format!("{:?}", crate::dashboard::fast_hash("correct horse 1")));
        let all = all.replace("\"orchestrator.db\"", "\"postgres://orchestrator@db.internal:5432/payments\"");
        let config = Config::parse(&all).unwrap();
        assert!(config.vault.intake_url.is_some() && config.postgres().unwrap().is_some());
        assert_eq!(config.dashboard.operators.len(), 1);
        assert_eq!(config.dialects.check(), Ok(()));
        assert!(config.dialects.direct_charges.is_some() && config.dialects.invoices.is_some());
    }

    #[test]
    fn example_is_read_and_addresses_lose_their_slash() {
        let config = Config::parse(&example()).unwrap();
        assert_eq!(config.public_url, "https://localhost:8443");
        assert_eq!(config.admin_hash(), [0xab; 32]);
        assert_eq!(config.psp["stripe"].total_timeout_ms, 25_000);
        let other = Config::parse(&example().replace("[psp.stripe]", "[psp.stripe-eu]")).unwrap();
        assert!(other.psp.contains_key("stripe-eu"));
    }

    #[test]
    fn unknown_keys_plain_http_and_wild_values_are_refused() {
        for (from, to) in [
            ("public_url", "publik_url"),
            ("[psp.stripe]", "[psp.nobody]"),
            ("[psp.stripe]", "[psp.nobody-eu]"),
            ("[psp.stripe]", "[psp.stripe-with-a-name-that-is-too-long]"),
            ("https://localhost:8445", "http://localhost:8445"),
            ("https://localhost:8444", "not an address"),
            ("abab", "zz"),
            ("[vault]", "[vault]\ntotal_timeout_ms = 0"),
            ("[vault]", "[vault]\ncards = \"keep\""),
            ("[vault]", "workers = 0\n[vault]"),
            ("[vault]", "requests_max = 0\n[vault]"),
            ("[vault]", "requests_max = 65537\n[vault]"),
            ("[vault]", "[webhooks]\ntotal_timeout_ms = 1\n[vault]"),
            ("[vault]", "[webhooks]\nallow_http = true\n[vault]"),
            ("[vault]", "[dashboard]\nopen = true\n[vault]"),
            ("[vault]", "[[dashboard.operators]]\nname = \"ada\"\nrole = \"editor\"\n[vault]"),
            (
                "[vault]",
                "[[dashboard.operators]]\nname = \"ada\"\nrole = \"editor\"\npassword_hash = \"plain\"\n[vault]",
            ),
        ] {
            assert!(Config::parse(&example().replace(from, to)).is_err(), "{to}");
        }
    }

    #[test]
    fn database_is_a_file_or_a_server_and_keys_that_mean_nothing_are_refused() {
        let with = |database: &str| Config::parse(&example().replace("database = \"orchestrator.db\"", database));
        let config = with("database = \"orchestrator.db\"").unwrap();
        assert_eq!(config.database, Database::File("orchestrator.db".into()));
        assert!(config.postgres().unwrap().is_none());
        let served = "database = \"postgres://shop@db.example/payments\"\ndatabase_ca = \"ca.pem\"";
        assert!(with(served).unwrap().postgres().unwrap().is_some());
        let (usual, most) = (limits::DATABASE_CONNECTIONS_DEFAULT, limits::DATABASE_CONNECTIONS_MAX);
        assert!((1..=most).contains(&usual));
        assert!(with(&format!("{served}\ndatabase_connections = {most}")).is_ok());
        for (database, key) in [
            ("database = \"o.db\"\ndatabase_ca = \"ca.pem\"".to_owned(), "database_ca"),
            ("database = \"o.db\"\ndatabase_password_file = \"p\"".to_owned(), "database_password_file"),
            ("database = \"o.db\"\ndatabase_connections = 3".to_owned(), "database_connections"),
            (format!("{served}\ndatabase_connections = 0"), "database_connections"),
            (format!("{served}\ndatabase_connections = {}", most + 1), "database_connections"),
            ("database = \"postgres://shop@db.example/payments\"".to_owned(), "database"),
            ("database = \"mysql://shop@db.example/payments\"".to_owned(), "database"),
        ] {
            let refused = with(&database).err().unwrap().to_string();
            assert!(refused.starts_with(&format!("{key}: ")), "{database}: {refused}");
        }
    }
}
