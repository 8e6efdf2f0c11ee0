//! `vaultctl pki`: a certificate authority for development and tests. A bank's own PKI takes its place in production.

mod issue;
mod pin;
mod revoke;
mod subject;

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    PKCS_ECDSA_P256_SHA256,
};
use serde::Serialize;

use crate::failure::Failure;
use crate::file::{self, Mode};
use crate::say::Say;

#[derive(Subcommand)]
pub(crate) enum Pki {
    Init(InitCa),
    Issue(issue::Issue),
    Renew(issue::Renew),
    Revoke(revoke::Revoke),
    Pin(pin::Print),
}

/// Make a certificate authority: ca.pem and ca.key
#[derive(Args)]
#[command(after_help = "Example:\n  vaultctl pki init --out pki --name \"Acme development\"")]
pub(crate) struct InitCa {
    /// Folder to write into; made if it is not there
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Its common name
    #[arg(long, default_value = "Strongroom development CA")]
    name: String,
    /// How long it is valid, in days
    #[arg(long, value_name = "N", default_value_t = 3650, value_parser = clap::value_parser!(u64).range(1..=7300))]
    days: u64,
}

/// What was written.
#[derive(Serialize)]
struct Pair {
    certificate: PathBuf,
    key: PathBuf,
    not_after: String,
}

impl Pki {
    pub(crate) fn run(self, say: &Say) -> Result<(), Failure> {
        match self {
            Pki::Init(init) => init.run(say),
            Pki::Issue(issue) => issue.run(say),
            Pki::Renew(renew) => renew.run(say),
            Pki::Revoke(revoke) => revoke.run(say),
            Pki::Pin(pin) => pin.run(say),
        }
    }
}

impl InitCa {
    fn run(self, say: &Say) -> Result<(), Failure> {
        let mut params = CertificateParams::default();
        params.distinguished_name = common_name(&self.name)?;
        // It signs leaves and nothing that signs in turn.
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let validity = subject::Validity::from_now(self.days * 24 * 3600)?;
        validity.write(&mut params);
        let key = fresh_key()?;
        let certificate = params.self_signed(&key).map_err(|_| unmade())?;
        let pair = Pair {
            certificate: self.out.join("ca.pem"),
            key: self.out.join("ca.key"),
            not_after: validity.not_after(),
        };
        file::refuse_existing([&pair.certificate, &pair.key])?;
        file::folder(&self.out)?;
        file::create(&pair.key, Mode::Secret, key.serialize_pem().as_bytes())?;
        file::create(&pair.certificate, Mode::Public, certificate.pem().as_bytes())?;
        pair.say(say);
        Ok(())
    }
}

impl Pair {
    fn say(&self, say: &Say) {
        let Self { certificate, key, not_after } = self;
        say.result(self, &format!("{}\n{}\nvalid until {not_after}", certificate.display(), key.display()));
    }
}

/// The authority in a folder, ready to sign.
fn authority(folder: &Path) -> Result<Issuer<'static, KeyPair>, Failure> {
    let (certificate, key) = (folder.join("ca.pem"), folder.join("ca.key"));
    file::owner_only(&key)?;
    let key = KeyPair::from_pem(&file::read_text(&key, PEM_BYTES_MAX)?).map_err(|_| unmade())?;
    Issuer::from_ca_cert_pem(&file::read_text(&certificate, PEM_BYTES_MAX)?, key).map_err(|_| unmade())
}

fn fresh_key() -> Result<KeyPair, Failure> {
    KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(|_| Failure::of("the system gave no random numbers"))
}

fn common_name(name: &str) -> Result<DistinguishedName, Failure> {
    if !(1..=64).contains(&name.chars().count()) || name.chars().any(char::is_control) {
        return Err(Failure::new("the common name is empty or too long", "take 1 to 64 characters"));
    }
    let mut distinguished = DistinguishedName::new();
    distinguished.push(DnType::CommonName, name);
    Ok(distinguished)
}

fn unmade() -> Failure {
    Failure::new("the certificate could not be made", "check that the CA's certificate and key belong together")
}

const PEM_BYTES_MAX: usize = 64 * 1024;
