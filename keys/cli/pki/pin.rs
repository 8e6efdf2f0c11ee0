//! `vaultctl pki pin`: what the policy pins an identity to.

use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::Args;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use x509_parser::prelude::{FromDer, X509Certificate};

use super::PEM_BYTES_MAX;
use crate::failure::Failure;
use crate::file;
use crate::say::Say;

/// Print the pin of a certificate's public key, for `pins` in the policy
///
/// A pinned identity is taken only with that key, whoever signed the certificate. A renewal with a fresh key needs a new
/// pin: put it beside the old one first, then renew, then take the old one out.
#[derive(Args)]
#[command(after_help = "Example:\n  vaultctl pki pin pki/ada.pem")]
pub(crate) struct Print {
    /// The certificate (PEM)
    cert: PathBuf,
}

#[derive(Serialize)]
struct Pinned {
    certificate: PathBuf,
    pin: String,
}

impl Print {
    pub(super) fn run(self, say: &Say) -> Result<(), Failure> {
        let odd =
            || Failure::new(format!("{} is not a certificate", self.cert.display()), "name a PEM file of a client");
        let der = CertificateDer::from_pem_slice(&file::read(&self.cert, PEM_BYTES_MAX)?).map_err(|_| odd())?;
        let (_, certificate) = X509Certificate::from_der(&der).map_err(|_| odd())?;
        let pin = format!("sha256/{}", STANDARD.encode(Sha256::digest(certificate.public_key().raw)));
        let text = pin.clone();
        say.result(&Pinned { certificate: self.cert, pin }, &text);
        Ok(())
    }
}
