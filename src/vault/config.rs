//! vaultd's configuration: one TOML file, unknown keys refused, every key documented in `vaultd.example.toml`.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use strongroom_keys::root::place::{HsmSite, KmsSite, Site};
use strongroom_wire::forward::DestinationName;
use strongroom_wire::limits;
use strongroom_wire::origin::is_origin;

use crate::egress::Plan;

#[path = "config_keys.rs"]
mod keys;
#[path = "config_listen.rs"]
mod listen;
#[path = "config_locker.rs"]
mod locker;
#[path = "config_store.rs"]
mod store;

pub use keys::{Keys, Period};
pub use listen::Listen;
pub use locker::{AnswerWrapping, Caller, Locker, Messages};
pub use store::{MoveTo, NodeAt, StoreAt, StorePlace};

/// The whole file. It holds paths and numbers, never a secret, and is still never logged.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Addresses and connection limits.
    pub listen: Listen,
    /// Certificates.
    pub tls: Tls,
    /// Where the Root comes from.
    pub root: Root,
    /// Where ciphertext is kept.
    pub store: StoreAt,
    /// Which of several this vaultd is.
    pub node: Option<NodeAt>,
    /// Where the audit log is kept.
    pub audit: AuditAt,
    /// Who may do what.
    pub policy: PolicyAt,
    /// How long keys live.
    #[serde(default)]
    pub keys: Keys,
    /// Limits of the browser-facing listener.
    #[serde(default)]
    pub intake: Intake,
    /// Where backups go; none can be made when absent.
    pub backup: Option<BackupTo>,
    /// Who speaks the card-vault dialect; nobody when absent.
    pub locker: Option<Locker>,
    /// Where the vault may send cards itself.
    #[serde(default)]
    pub destination: BTreeMap<DestinationName, Plan>,
}

/// `[tls]`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// Server certificate of the intake listener.
    pub intake: Pair,
    /// Server certificate and client CA of the release and admin listeners.
    pub internal: Mutual,
    /// Whether intake also speaks TLS 1.2; release and admin never do.
    #[serde(default = "yes")]
    pub intake_tls12: bool,
    /// How many days before the end of a certificate the status warns of it.
    #[serde(default = "warn_default")]
    pub warn_days: u32,
}

/// A certificate chain and its private key, PEM files.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pair {
    /// The chain, leaf first.
    pub certificate: PathBuf,
    /// The key, PKCS#8.
    pub key: PathBuf,
}

/// As [`Pair`], and who signs clients.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mutual {
    /// The chain, leaf first.
    pub certificate: PathBuf,
    /// The key, PKCS#8.
    pub key: PathBuf,
    /// CA certificates that may sign client certificates.
    pub client_ca: PathBuf,
    /// Revocation lists (PEM), read again on reload.
    pub client_crl: Option<PathBuf>,
}

/// `[root]`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Root {
    /// The public descriptor that `vaultctl init` wrote.
    pub file: PathBuf,
    /// The development Root; only beside a `root.json` of kind `dev`, only on loopback.
    pub dev_key: Option<PathBuf>,
    /// How this machine reaches an HSM; beside a `root.json` of kind `pkcs11`.
    pub pkcs11: Option<Pkcs11At>,
    /// How this machine reaches AWS KMS; beside a `root.json` of kind `kms`.
    pub kms: Option<KmsAt>,
    /// Seconds between two probes of an HSM or KMS.
    #[serde(default = "probe_default")]
    pub probe_seconds: u64,
    /// The Root to come, where there is one.
    pub next: Option<RootNext>,
}

/// `[root.next]`: as `[root]`, for a Root that shall take the place of the one in force. The file may be absent; it is read
/// when it is asked for.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RootNext {
    /// The public descriptor of the Root to come.
    pub file: PathBuf,
    /// Its development key; as in `[root]`.
    pub dev_key: Option<PathBuf>,
    /// How this machine reaches its HSM; as in `[root]`.
    pub pkcs11: Option<Pkcs11At>,
    /// How this machine reaches its KMS; as in `[root]`.
    pub kms: Option<KmsAt>,
}

/// `[root.pkcs11]`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pkcs11At {
    /// The HSM's PKCS#11 library.
    pub module: PathBuf,
    /// File with the user PIN as its only line, mode 0600.
    pub pin_file: PathBuf,
    /// The slot, where several hold tokens that look alike.
    pub slot: Option<u64>,
    /// Longest time for one call, in milliseconds.
    #[serde(default = "root_timeout_default")]
    pub timeout_ms: u64,
}

/// `[root.kms]`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KmsAt {
    /// Another endpoint than AWS's own.
    pub endpoint: Option<String>,
    /// Profile of the shared AWS configuration.
    pub profile: Option<String>,
    /// Longest time for one call with its repeats, in milliseconds.
    #[serde(default = "root_timeout_default")]
    pub timeout_ms: u64,
}

impl Root {
    /// How an HSM or KMS is reached from this machine.
    #[must_use]
    pub fn site(&self) -> Site {
        site(self.pkcs11.as_ref(), self.kms.as_ref())
    }
}

impl RootNext {
    /// How the HSM or KMS of the Root to come is reached from this machine.
    #[must_use]
    pub fn site(&self) -> Site {
        site(self.pkcs11.as_ref(), self.kms.as_ref())
    }
}

fn site(hsm: Option<&Pkcs11At>, kms: Option<&KmsAt>) -> Site {
    let hsm = hsm.map(|at| HsmSite {
        module: at.module.clone(),
        pin_file: at.pin_file.clone(),
        slot: at.slot,
        timeout: Duration::from_millis(at.timeout_ms),
    });
    let kms = kms.map(|at| KmsSite {
        endpoint: at.endpoint.clone(),
        profile: at.profile.clone(),
        timeout: Duration::from_millis(at.timeout_ms),
    });
    Site { hsm, kms }
}

/// `[audit]`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuditAt {
    /// The log's SQLite file; made when absent.
    pub path: PathBuf,
    /// Whether a store that has keys may have an empty log: only where the log was lost for good.
    #[serde(default)]
    pub begin_anew: bool,
    /// While the log's write-ahead log (`-wal`) is longer than this, in bytes, because something that reads holds it back,
    /// no entry is taken.
    #[serde(default = "log_bytes_default")]
    pub log_bytes_max: u64,
}

/// `[policy]`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicyAt {
    /// The policy file.
    pub path: PathBuf,
    /// Whether a start takes the file without anybody's approval: only where nobody is left who could approve.
    #[serde(default)]
    pub begin_anew: bool,
}

/// `[backup]`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BackupTo {
    /// The folder that they are written into, one folder each; made when absent.
    pub folder: PathBuf,
    /// How many are kept; the oldest is removed when another one is made.
    #[serde(default = "keep_default")]
    pub keep: u32,
}

/// `[intake]`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Intake {
    /// Most tokenize requests a minute from one address.
    #[serde(default = "rate_default")]
    pub requests_per_minute_per_address: u32,
    /// For how many hours clients seal cards to a key; it is exchanged a quarter of that before its end, an hour at most.
    #[serde(default = "key_hours_default")]
    pub key_hours: u64,
    /// The origin under which browsers reach the intake, such as `https://vault.example`. The card fields that the vault
    /// serves post from it; when absent it serves none.
    pub public_origin: Option<String>,
}

impl Default for Intake {
    fn default() -> Self {
        Self { requests_per_minute_per_address: rate_default(), key_hours: key_hours_default(), public_origin: None }
    }
}

/// Why a configuration is refused.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read {path}: {why}")]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// The system's reason.
        why: std::io::Error,
    },
    /// It is larger than any configuration.
    #[error("{0} is larger than 256 KiB, which no configuration is")]
    TooLarge(PathBuf),
    /// It is not TOML of the right form. The reason names keys, never values.
    #[error("{path}: {why}")]
    Malformed {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// A value is out of its range.
    #[error("{key}: {why}")]
    Value {
        /// Which key.
        key: &'static str,
        /// What it should be.
        why: &'static str,
    },
}

impl Config {
    /// Reads a file; relative paths inside it are relative to its folder.
    ///
    /// # Errors
    /// [`ConfigError`] says which key is wrong and what it should be.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let text = fs::read_to_string(path).map_err(|why| ConfigError::Unreadable { path: path.into(), why })?;
        if text.len() > limits::CONFIG_BYTES_MAX {
            return Err(ConfigError::TooLarge(path.into()));
        }
        let mut config = Self::parse(&text)
            .map_err(|why| ConfigError::Malformed { path: path.into(), why: why.message().to_owned() })?;
        config.rebase(path.parent().unwrap_or(Path::new(".")));
        config.check()?;
        Ok(config)
    }

    /// Reads TOML text without looking at any file.
    ///
    /// # Errors
    /// The TOML reader's own error.
    pub fn parse(text: &str) -> Result<Self, toml::de::Error> {
        toml::from_str(text)
    }

    fn rebase(&mut self, folder: &Path) {
        let (next_file, next_key, next_hsm) = match self.root.next.as_mut() {
            Some(next) => (Some(&mut next.file), next.dev_key.as_mut(), next.pkcs11.as_mut()),
            None => (None, None, None),
        };
        let (next_module, next_pin) =
            next_hsm.map_or((None, None), |at| (Some(&mut at.module), Some(&mut at.pin_file)));
        let paths = [
            Some(&mut self.tls.intake.certificate),
            Some(&mut self.tls.intake.key),
            Some(&mut self.tls.internal.certificate),
            Some(&mut self.tls.internal.key),
            Some(&mut self.tls.internal.client_ca),
            self.tls.internal.client_crl.as_mut(),
            Some(&mut self.root.file),
            self.root.dev_key.as_mut(),
            next_file,
            next_key,
            next_module,
            next_pin,
            Some(&mut self.audit.path),
            Some(&mut self.policy.path),
            self.listen.ready_file.as_mut(),
            self.backup.as_mut().map(|backup| &mut backup.folder),
        ];
        let hsm = self.root.pkcs11.as_mut().map(|at| [&mut at.module, &mut at.pin_file]);
        let authorities = self.destination.values_mut().map(|plan| plan.ca.as_mut());
        let of_locker = self.locker.iter_mut().flat_map(Locker::paths).map(Some);
        for path in paths
            .into_iter()
            .chain(self.store.paths())
            .chain(authorities)
            .chain(of_locker)
            .flatten()
            .chain(hsm.into_iter().flatten())
        {
            *path = folder.join(&*path);
        }
    }

    fn check(&self) -> Result<(), ConfigError> {
        let range = |key, value: u64, least: u64, most: u64, why| {
            if (least..=most).contains(&value) { Ok(()) } else { Err(ConfigError::Value { key, why }) }
        };
        self.listen.check()?;
        locker::check(&self.listen, self.locker.as_ref())?;
        let keep = u64::from(self.backup.as_ref().map_or(1, |backup| backup.keep));
        range("backup.keep", keep, 1, u64::from(limits::BACKUPS_KEPT_MAX), "give 1 to 1000")?;
        let most = u64::from(limits::CERTIFICATE_WARN_DAYS_MAX);
        range("tls.warn_days", u64::from(self.tls.warn_days), 1, most, "give 1 to 365 days")?;
        self.store.check(self.node.as_ref())?;
        range("store.sweep_seconds", self.store.sweep_seconds, 1, 3600, "give 1 to 3600 seconds")?;
        range("root.probe_seconds", self.root.probe_seconds, 1, 3600, "give 1 to 3600 seconds")?;
        let next = self.root.next.as_ref();
        let times = [
            ("root.pkcs11.timeout_ms", self.root.pkcs11.as_ref().map(|at| at.timeout_ms)),
            ("root.kms.timeout_ms", self.root.kms.as_ref().map(|at| at.timeout_ms)),
            ("root.next.pkcs11.timeout_ms", next.and_then(|next| next.pkcs11.as_ref()).map(|at| at.timeout_ms)),
            ("root.next.kms.timeout_ms", next.and_then(|next| next.kms.as_ref()).map(|at| at.timeout_ms)),
        ];
        for (key, ms) in times {
            range(key, ms.unwrap_or(1000), 100, 60_000, "give 100 to 60000 milliseconds")?;
        }
        let least = self.store.bytes_max.unwrap_or(STORE_BYTES_LEAST);
        range("store.bytes_max", least, STORE_BYTES_LEAST, u64::MAX, "give at least 16777216 bytes (16 MiB)")?;
        let of_store = self.store.log_bytes_max.unwrap_or(STORE_BYTES_LEAST);
        for (key, bytes) in [("store.log_bytes_max", of_store), ("audit.log_bytes_max", self.audit.log_bytes_max)] {
            range(key, bytes, STORE_BYTES_LEAST, u64::MAX, "give at least 16777216 bytes (16 MiB)")?;
        }
        let destinations = self.destination.len() as u64;
        range("destination", destinations, 0, limits::DESTINATIONS_MAX as u64, "give at most 100 destinations")?;
        self.keys.check()?;
        range(
            "intake.requests_per_minute_per_address",
            u64::from(self.intake.requests_per_minute_per_address),
            1,
            1_000_000,
            "give 1 to 1000000",
        )?;
        let (least, most) = (limits::INTAKE_KEY_HOURS_MIN, limits::INTAKE_KEY_HOURS_MAX);
        range("intake.key_hours", self.intake.key_hours, least, most, "give 1 to 720 hours")?;
        if self.intake.public_origin.as_deref().is_some_and(|at| !at.starts_with("https://") || !is_origin(at)) {
            let why =
                "give https://host or https://host:port as browsers name it: lower case, no path, no slash at the end";
            return Err(ConfigError::Value { key: "intake.public_origin", why });
        }
        Ok(())
    }

    /// Whether every listener is on loopback, which a dev Root demands.
    #[must_use]
    pub fn is_loopback_only(&self) -> bool {
        let all = [self.listen.intake, self.listen.release, self.listen.admin];
        all.iter().chain(&self.listen.locker).all(|at| at.ip().is_loopback())
    }
}

const STORE_BYTES_LEAST: u64 = 16 * 1024 * 1024;

fn log_bytes_default() -> u64 {
    1 << 30
}
fn warn_default() -> u32 {
    30
}
fn keep_default() -> u32 {
    7
}
fn probe_default() -> u64 {
    10
}
fn root_timeout_default() -> u64 {
    5000
}
fn rate_default() -> u32 {
    600
}
fn key_hours_default() -> u64 {
    24
}
fn yes() -> bool {
    true
}

#[cfg(test)]
#[path = "config_tests.rs"]
mod tests;
