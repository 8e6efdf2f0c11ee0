//! TLS to the server: its certificate must be signed by one of the configured CA certificates and be for its name.

use std::path::Path;
use std::sync::Arc;

use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;

use super::settings::BadSettings;

/// TLS that trusts these CA certificates alone.
pub(super) fn client(ca: &Path) -> Result<ClientConfig, BadSettings> {
    let refuse = |why| BadSettings { key: "store.postgres_ca", why };
    let unreadable = || refuse("the file cannot be read as CA certificates (PEM)");
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(ca).map_err(|_| unreadable())? {
        roots.add(certificate.map_err(|_| unreadable())?).map_err(|_| unreadable())?;
    }
    if roots.is_empty() {
        return Err(unreadable());
    }
    let builder = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|_| refuse("TLS cannot be set up"))?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}
