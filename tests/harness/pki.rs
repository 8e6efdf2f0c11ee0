//! A development PKI made by the real `vaultctl pki`, and certificates that are wrong on purpose.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rcgen::{
    CertificateParams, CertificateRevocationListParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, Issuer,
    KeyIdMethod, KeyPair, SanType, SerialNumber, date_time_ymd,
};

use super::{Binary, Fault, Result, because, binary_path};

/// A CA and the certificates that it issued, in one folder.
pub struct Pki {
    folder: PathBuf,
}

/// A certificate and its key, as PEM files.
#[derive(Debug, Clone)]
pub struct Credentials {
    /// The chain, leaf first.
    pub certificate: PathBuf,
    /// The private key.
    pub key: PathBuf,
}

impl Pki {
    /// Makes a CA.
    ///
    /// # Errors
    /// When `vaultctl` refuses.
    pub fn new(folder: PathBuf) -> Result<Self> {
        vaultctl(&["pki", "init", "--name", "Strongroom tests", "--out", text(&folder)?])?;
        Ok(Self { folder })
    }

    /// The CA certificate.
    #[must_use]
    pub fn ca(&self) -> PathBuf {
        self.folder.join(CA_CERTIFICATE)
    }

    /// A server certificate for localhost, 127.0.0.1 and the name by which browsers call the vault.
    ///
    /// # Errors
    /// When `vaultctl` refuses.
    pub fn server(&self, name: &str) -> Result<Credentials> {
        self.issue(name, &["--server", "--dns", "localhost", "--dns", "vault.localhost", "--ip", "127.0.0.1"])
    }

    /// A client certificate whose identity is `spiffe://strongroom/<role>/<name>`.
    ///
    /// # Errors
    /// When `vaultctl` refuses.
    pub fn client(&self, role: &str, name: &str) -> Result<Credentials> {
        self.issue(&format!("{role}-{name}"), &["--uri", &identity(role, name)])
    }

    /// A client certificate of this CA that ended in the past.
    ///
    /// # Errors
    /// When the CA's key cannot be read.
    pub fn expired_client(&self, role: &str, name: &str) -> Result<Credentials> {
        let mut params = leaf(role, name)?;
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(2020, 12, 31);
        self.sign(&format!("expired-{role}-{name}"), params)
    }

    /// A client certificate of this CA that begins in the future.
    ///
    /// # Errors
    /// When the CA's key cannot be read.
    pub fn future_client(&self, role: &str, name: &str) -> Result<Credentials> {
        let mut params = leaf(role, name)?;
        params.not_before = date_time_ymd(2090, 1, 1);
        params.not_after = date_time_ymd(2091, 1, 1);
        self.sign(&format!("future-{role}-{name}"), params)
    }

    /// A client certificate of this CA without any URI, so without an identity.
    ///
    /// # Errors
    /// When the CA's key cannot be read.
    pub fn nameless_client(&self) -> Result<Credentials> {
        let mut params = leaf("orchestrator", "nameless")?;
        params.subject_alt_names.clear();
        self.sign("nameless", params)
    }

    /// A client certificate of this CA for the key of another one: two names in one hand.
    ///
    /// # Errors
    /// When a key cannot be read.
    pub fn client_with_key_of(&self, role: &str, name: &str, other: &Credentials) -> Result<Credentials> {
        let key = fs::read_to_string(&other.key).map_err(because(other.key.display()))?;
        let key = KeyPair::from_pem(&key).map_err(because("the other's key"))?;
        self.sign_for(&format!("shared-{role}-{name}"), leaf(role, name)?, &key)
    }

    /// A client certificate that is over after so many seconds.
    ///
    /// # Errors
    /// When `vaultctl` refuses.
    pub fn brief_client(&self, role: &str, name: &str, seconds: u32) -> Result<Credentials> {
        let seconds = seconds.to_string();
        self.issue(&format!("brief-{role}-{name}"), &["--uri", &identity(role, name), "--seconds", &seconds])
    }

    /// A second certificate of the same client, with a key of its own.
    ///
    /// # Errors
    /// When `vaultctl` refuses.
    pub fn other_client(&self, role: &str, name: &str) -> Result<Credentials> {
        self.issue(&format!("other-{role}-{name}"), &["--uri", &identity(role, name)])
    }

    /// The pin of a certificate's public key.
    ///
    /// # Errors
    /// When `vaultctl` refuses.
    pub fn pin(&self, who: &Credentials) -> Result<String> {
        Ok(vaultctl(&["pki", "pin", text(&who.certificate)?])?.trim().to_owned())
    }

    /// A revocation list of this CA, as PEM, that names nobody and is out of date after so many seconds.
    ///
    /// # Errors
    /// When the CA's key cannot be read.
    pub fn brief_list(&self, seconds: u64) -> Result<String> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_err(because("the clock"))?;
        let at = |since: Duration| date_time_ymd(1970, 1, 1) + since;
        let params = CertificateRevocationListParams {
            this_update: at(now - Duration::from_secs(60)),
            next_update: at(now + Duration::from_secs(seconds)),
            crl_number: SerialNumber::from(1u64),
            issuing_distribution_point: None,
            revoked_certs: Vec::new(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        params.signed_by(&self.issuer()?).and_then(|list| list.pem()).map_err(because("a revocation list"))
    }

    fn issuer(&self) -> Result<Issuer<'static, KeyPair>> {
        let read = |path: PathBuf| fs::read_to_string(&path).map_err(because(path.display()));
        let key = KeyPair::from_pem(&read(self.folder.join(CA_KEY))?).map_err(because("the CA's key"))?;
        Issuer::from_ca_cert_pem(&read(self.ca())?, key).map_err(because("the CA's certificate"))
    }

    fn issue(&self, name: &str, what: &[&str]) -> Result<Credentials> {
        let folder = self.folder.join("issued");
        let made = credentials(&folder, name);
        if made.certificate.exists() {
            return Ok(made);
        }
        fs::create_dir_all(&folder).map_err(because(folder.display()))?;
        let mut arguments = vec!["pki", "issue", "--ca", text(&self.folder)?, "--out", text(&folder)?, "--name", name];
        arguments.extend_from_slice(what);
        vaultctl(&arguments)?;
        Ok(made)
    }

    fn sign(&self, name: &str, params: CertificateParams) -> Result<Credentials> {
        self.sign_for(name, params, &KeyPair::generate().map_err(because("a key"))?)
    }

    fn sign_for(&self, name: &str, params: CertificateParams, leaf: &KeyPair) -> Result<Credentials> {
        let certificate = params.signed_by(leaf, &self.issuer()?).map_err(because("a certificate"))?;
        let made = credentials(&self.folder, name);
        fs::write(&made.certificate, certificate.pem()).map_err(because(made.certificate.display()))?;
        fs::write(&made.key, leaf.serialize_pem()).map_err(because(made.key.display()))?;
        Ok(made)
    }
}

/// The URI SAN of a role and a name.
pub(super) fn identity(role: &str, name: &str) -> String {
    format!("spiffe://strongroom/{role}/{name}")
}

/// Runs `vaultctl` and answers what it printed.
///
/// # Errors
/// When it fails; the fault shows what it said.
pub(super) fn vaultctl(arguments: &[&str]) -> Result<String> {
    vaultctl_in(&[], arguments)
}

/// The same with more variables in its environment.
///
/// # Errors
/// When it fails.
pub(super) fn vaultctl_in(environment: &[(&'static str, OsString)], arguments: &[&str]) -> Result<String> {
    let mut command = Command::new(binary_path(Binary::Vaultctl)?);
    let done = command.args(arguments).envs(environment.iter().cloned()).output().map_err(because("vaultctl"))?;
    if done.status.success() {
        return Ok(String::from_utf8_lossy(&done.stdout).into_owned());
    }
    // Findings stand on standard output, what they mean on standard error.
    let said = [done.stdout, done.stderr].map(|said| String::from_utf8_lossy(&said).into_owned()).concat();
    Err(Fault::new(format!("vaultctl {} ended with {}: {said}", arguments.join(" "), done.status)))
}

/// A path as an argument.
pub(super) fn text(path: &Path) -> Result<&str> {
    path.to_str().ok_or_else(|| Fault::new("a path that is not UTF-8"))
}

fn leaf(role: &str, name: &str) -> Result<CertificateParams> {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let uri = identity(role, name).try_into().map_err(because("a URI"))?;
    params.subject_alt_names = vec![SanType::URI(uri)];
    Ok(params)
}

fn credentials(folder: &Path, name: &str) -> Credentials {
    Credentials { certificate: folder.join(format!("{name}.pem")), key: folder.join(format!("{name}.key")) }
}

const CA_CERTIFICATE: &str = "ca.pem";
const CA_KEY: &str = "ca.key";
