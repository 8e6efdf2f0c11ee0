//! `vaultctl pki issue` and `renew`: leaf certificates of the development authority.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use clap::{ArgGroup, Args};
use jiff::Timestamp;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

use super::subject::{Subject, Validity};
use super::{PEM_BYTES_MAX, Pair, authority, fresh_key, unmade};
use crate::failure::Failure;
use crate::file::{self, Mode};
use crate::say::Say;

/// Issue a certificate and its key, for one client or one server
///
/// A client's certificate carries one identity, spiffe://TRUST-DOMAIN/ROLE/NAME, to which the vault's policy binds scopes.
/// Roles are orchestrator, security, custodian and monitor.
#[derive(Args)]
#[command(
    group = ArgGroup::new("subject").required(true).args(["uri", "server"]),
    after_help = "\
Examples:
  vaultctl pki issue --ca pki --out pki --uri spiffe://strongroom/security/ada
  vaultctl pki issue --ca pki --out pki --server --dns localhost --ip 127.0.0.1 --name vaultd"
)]
pub(crate) struct Issue {
    /// Folder of the certificate authority
    #[arg(long, value_name = "DIR")]
    ca: PathBuf,
    /// Folder to write into; made if it is not there
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Name of the files without their endings; the client's name, or "server"
    #[arg(long)]
    name: Option<String>,
    /// A client with this identity
    #[arg(long, conflicts_with_all = ["dns", "ip"])]
    uri: Option<String>,
    /// A server
    #[arg(long)]
    server: bool,
    /// A name of the server
    #[arg(long, value_name = "NAME")]
    dns: Vec<String>,
    /// An address of the server
    #[arg(long, value_name = "ADDRESS")]
    ip: Vec<IpAddr>,
    #[command(flatten)]
    validity: ValidityFlags,
}

/// Replace a certificate and its key by fresh ones for the same subject
///
/// Both files are replaced, each in one step; vaultd takes the new pair at `vaultctl reload`.
#[derive(Args)]
#[command(after_help = "Example:\n  vaultctl pki renew --ca pki --cert pki/ada.pem")]
pub(crate) struct Renew {
    /// Folder of the certificate authority
    #[arg(long, value_name = "DIR")]
    ca: PathBuf,
    /// The certificate; its key is the file beside it that ends in .key
    #[arg(long, value_name = "FILE")]
    cert: PathBuf,
    #[command(flatten)]
    validity: ValidityFlags,
}

#[derive(Args)]
struct ValidityFlags {
    /// How long it is valid, in days
    #[arg(long, value_name = "N", default_value_t = 90, value_parser = clap::value_parser!(u64).range(1..=825))]
    days: u64,
    /// How long it is valid, in seconds instead of days
    #[arg(long, value_name = "N", conflicts_with = "days")]
    seconds: Option<u64>,
    /// From when it is valid (RFC 3339); a minute ago if not named
    #[arg(long, value_name = "TIME")]
    not_before: Option<Timestamp>,
}

impl Issue {
    pub(super) fn run(self, say: &Say) -> Result<(), Failure> {
        let subject = match &self.uri {
            Some(uri) => Subject::client(uri)?,
            None => Subject::server(&self.dns, &self.ip)?,
        };
        let name = self.name.as_deref().unwrap_or(subject.file_name());
        if name.is_empty() || name.contains(['/', '\0']) || name == "ca" {
            return Err(Failure::new("the files cannot be called that", "take another --name, without a slash"));
        }
        let made = Made::new(&self.ca, &subject, self.validity.read()?)?;
        let pair = Pair {
            certificate: self.out.join(format!("{name}.pem")),
            key: self.out.join(format!("{name}.key")),
            not_after: made.not_after,
        };
        file::refuse_existing([&pair.certificate, &pair.key])?;
        file::folder(&self.out)?;
        file::create(&pair.key, Mode::Secret, made.key.as_bytes())?;
        file::create(&pair.certificate, Mode::Public, made.certificate.as_bytes())?;
        pair.say(say);
        Ok(())
    }
}

impl Renew {
    pub(super) fn run(self, say: &Say) -> Result<(), Failure> {
        let old = file::read(&self.cert, PEM_BYTES_MAX)?;
        let old = CertificateDer::from_pem_slice(&old).map_err(|_| {
            Failure::new(format!("{} is not a certificate", self.cert.display()), "name a PEM file with --cert")
        })?;
        let made = Made::new(&self.ca, &Subject::of(&old)?, self.validity.read()?)?;
        let pair = Pair { key: self.cert.with_extension("key"), certificate: self.cert, not_after: made.not_after };
        file::replace(&pair.key, Mode::Secret, made.key.as_bytes())?;
        file::replace(&pair.certificate, Mode::Public, made.certificate.as_bytes())?;
        pair.say(say);
        Ok(())
    }
}

impl ValidityFlags {
    fn read(&self) -> Result<Validity, Failure> {
        let seconds = self.seconds.unwrap_or(self.days * 24 * 3600);
        // About a century: more than any certificate, and far from where times overflow.
        if !(1..=100 * 366 * 24 * 3600).contains(&seconds) {
            return Err(Failure::new("a certificate is valid for at least a second", "take another --seconds"));
        }
        match self.not_before {
            Some(start) => Validity::from(start, seconds),
            None => Validity::from_now(seconds),
        }
    }
}

/// A signed certificate and its key, as PEM.
struct Made {
    certificate: String,
    key: zeroize::Zeroizing<String>,
    not_after: String,
}

impl Made {
    fn new(ca: &Path, subject: &Subject, validity: Validity) -> Result<Self, Failure> {
        let issuer = authority(ca)?;
        let leaf_key = fresh_key()?;
        let leaf = subject.params(validity)?.signed_by(&leaf_key, &issuer).map_err(|_| unmade())?;
        Ok(Self {
            certificate: leaf.pem(),
            key: zeroize::Zeroizing::new(leaf_key.serialize_pem()),
            not_after: validity.not_after(),
        })
    }
}
