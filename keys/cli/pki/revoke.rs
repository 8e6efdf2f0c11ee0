//! `vaultctl pki revoke`: the development authority's revocation list.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use rcgen::{
    CertificateRevocationListParams, Issuer, KeyIdMethod, KeyPair, RevocationReason, RevokedCertParams, SerialNumber,
};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, CertificateRevocationListDer};
use serde::Serialize;
use x509_parser::prelude::{CertificateRevocationList, FromDer, X509Certificate};

use super::subject::Validity;
use super::{PEM_BYTES_MAX, authority, unmade};
use crate::failure::Failure;
use crate::file::{self, Mode};
use crate::say::Say;

/// Put certificates on the revocation list, crl.pem, and sign it anew
///
/// vaultd reads it as `client_crl` at `vaultctl reload`. It refuses every client once the list is out of date, so sign it
/// anew in time: without --cert, nothing but its dates changes.
#[derive(Args)]
#[command(after_help = "Example:\n  vaultctl pki revoke --ca pki --cert pki/ada.pem")]
pub(crate) struct Revoke {
    /// Folder of the certificate authority
    #[arg(long, value_name = "DIR")]
    ca: PathBuf,
    /// A certificate that is to be refused from now on
    #[arg(long, value_name = "FILE")]
    cert: Vec<PathBuf>,
    /// How long the list is up to date, in days
    #[arg(long, value_name = "N", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=366))]
    days: u64,
}

#[derive(Serialize)]
struct Listed {
    list: PathBuf,
    revoked: usize,
    number: u64,
    next_update: String,
}

/// What a list says: its number, and serials with the time of their revocation in seconds since 1970.
#[derive(Debug, Default, PartialEq, Eq)]
struct List {
    number: u64,
    revoked: Vec<(Vec<u8>, u64)>,
}

impl Revoke {
    pub(super) fn run(self, say: &Say) -> Result<(), Failure> {
        let path = self.ca.join("crl.pem");
        let ca = read_der(&self.ca.join("ca.pem"))?;
        let validity = Validity::from_now(self.days * 24 * 3600)?;
        let mut list = if path.exists() { List::read(&path, &ca)? } else { List::default() };
        for cert in &self.cert {
            let serial = serial(cert, &ca)?;
            if !list.revoked.iter().any(|(known, _)| *known == serial) {
                list.revoked.push((serial, validity.start_s()));
            }
        }
        list.number += 1;
        let signed = list.sign(&authority(&self.ca)?, validity)?;
        file::replace(&path, Mode::Public, signed.as_bytes())?;
        let listed =
            Listed { list: path, revoked: list.revoked.len(), number: list.number, next_update: validity.not_after() };
        let text = format!(
            "{}\n{} revoked, list number {}, up to date until {}",
            listed.list.display(),
            listed.revoked,
            listed.number,
            listed.next_update
        );
        say.result(&listed, &text);
        Ok(())
    }
}

impl List {
    fn read(path: &Path, ca: &[u8]) -> Result<Self, Failure> {
        let odd = || {
            Failure::new(
                format!("{} is not a list of this authority", path.display()),
                "move it away, and revoke everything that was on it again",
            )
        };
        let der =
            CertificateRevocationListDer::from_pem_slice(&file::read(path, LIST_BYTES_MAX)?).map_err(|_| odd())?;
        let (_, list) = CertificateRevocationList::from_der(&der).map_err(|_| odd())?;
        let (_, ca) = X509Certificate::from_der(ca).map_err(|_| unmade())?;
        if list.issuer().as_raw() != ca.subject().as_raw() {
            return Err(odd());
        }
        let number = list.crl_number().and_then(|number| u64::try_from(number).ok()).ok_or_else(odd)?;
        let revoked = list
            .iter_revoked_certificates()
            .map(|one| {
                let at = u64::try_from(one.revocation_date.timestamp()).unwrap_or_default();
                (one.raw_serial().to_vec(), at)
            })
            .collect();
        Ok(Self { number, revoked })
    }

    fn sign(&self, issuer: &Issuer<'_, KeyPair>, validity: Validity) -> Result<String, Failure> {
        let epoch = rcgen::date_time_ymd(1970, 1, 1);
        let at = |seconds| epoch + Duration::from_secs(seconds);
        let revoked_certs = self.revoked.iter().map(|(serial, at_s)| RevokedCertParams {
            serial_number: SerialNumber::from_slice(serial),
            revocation_time: at(*at_s),
            reason_code: Some(RevocationReason::Unspecified),
            invalidity_date: None,
        });
        let params = CertificateRevocationListParams {
            this_update: at(validity.start_s()),
            next_update: at(validity.end_s()),
            crl_number: SerialNumber::from(self.number),
            issuing_distribution_point: None,
            revoked_certs: revoked_certs.collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        params.signed_by(issuer).and_then(|list| list.pem()).map_err(|_| unmade())
    }
}

/// The serial of a certificate that this authority issued.
fn serial(path: &Path, ca: &[u8]) -> Result<Vec<u8>, Failure> {
    let der = read_der(path)?;
    let parsed = X509Certificate::from_der(&der).ok().zip(X509Certificate::from_der(ca).ok());
    match parsed {
        Some(((_, leaf), (_, ca))) if leaf.issuer().as_raw() == ca.subject().as_raw() && !leaf.is_ca() => {
            Ok(leaf.raw_serial().to_vec())
        }
        _ => Err(Failure::new(
            format!("{} was not issued by this authority", path.display()),
            "name the folder of the authority that issued it, with --ca",
        )),
    }
}

fn read_der(path: &Path) -> Result<Vec<u8>, Failure> {
    let pem = file::read(path, PEM_BYTES_MAX)?;
    CertificateDer::from_pem_slice(&pem)
        .map(|der| der.to_vec())
        .map_err(|_| Failure::new(format!("{} is not a certificate", path.display()), "name a PEM file"))
}

/// About a hundred thousand revoked certificates.
const LIST_BYTES_MAX: usize = 8 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyUsagePurpose};

    use super::*;

    #[test]
    fn a_list_keeps_what_was_on_it_and_belongs_to_its_authority() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("crl.pem");
        let make = |name: &str| {
            let mut params = CertificateParams::default();
            params.distinguished_name = super::super::common_name(name).unwrap();
            params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
            params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
            let key = KeyPair::generate().unwrap();
            let certificate = params.self_signed(&key).unwrap().der().to_vec();
            (certificate, Issuer::new(params, key))
        };
        let ((ca, issuer), (other, _)) = (make("one"), make("two"));
        let list = List { number: 7, revoked: vec![(vec![1, 2, 3], 1_764_000_000), (vec![0x7f], 1_764_000_001)] };
        std::fs::write(&path, list.sign(&issuer, Validity::from_now(60).unwrap()).unwrap()).unwrap();
        assert_eq!(List::read(&path, &ca).unwrap(), list);
        assert!(List::read(&path, &other).is_err());
    }
}
