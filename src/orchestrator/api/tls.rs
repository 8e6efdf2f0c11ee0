//! TLS of the listener (its certificate can be read again while it runs) and of the connections that this process makes.

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

/// Why certificates or keys cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The file is missing or holds no PEM of the right kind.
    #[error("{0}: not readable as PEM of the right kind")]
    File(PathBuf),
    /// The certificate and key do not work together.
    #[error("{0}: certificate and key cannot be used together")]
    Pair(PathBuf),
    /// rustls refuses the settings.
    #[error("TLS cannot be set up")]
    Settings,
}

/// The certificates of a PEM file; at least one.
///
/// # Errors
/// [`TlsError::File`].
fn read_certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let bad = || TlsError::File(path.to_owned());
    let certificates: Vec<_> =
        CertificateDer::pem_file_iter(path).map_err(|_| bad())?.collect::<Result<_, _>>().map_err(|_| bad())?;
    if certificates.is_empty() { Err(bad()) } else { Ok(certificates) }
}

/// TLS for a peer whose certificate comes from the authorities in `ca`, with our own certificate where the peer wants one.
///
/// # Errors
/// [`TlsError`].
pub fn client_config(ca: &Path, own: Option<(&Path, &Path)>) -> Result<ClientConfig, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in read_certificates(ca)? {
        roots.add(certificate).map_err(|_| TlsError::File(ca.to_owned()))?;
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|_| TlsError::Settings)?
        .with_root_certificates(roots);
    match own {
        None => Ok(builder.with_no_client_auth()),
        Some((certificate, key)) => {
            let chain = read_certificates(certificate)?;
            let key = PrivateKeyDer::from_pem_file(key).map_err(|_| TlsError::File(key.to_owned()))?;
            builder.with_client_auth_cert(chain, key).map_err(|_| TlsError::Pair(certificate.to_owned()))
        }
    }
}

/// The listener's certificate, which can be exchanged without dropping a connection.
#[derive(Debug)]
pub(crate) struct ServerCertificate {
    certificate: PathBuf,
    key: PathBuf,
    current: RwLock<Arc<CertifiedKey>>,
}

impl ServerCertificate {
    pub(crate) fn read(certificate: PathBuf, key: PathBuf) -> Result<Arc<Self>, TlsError> {
        let current = RwLock::new(Arc::new(read_pair(&certificate, &key)?));
        Ok(Arc::new(Self { certificate, key, current }))
    }

    /// Reads the files again. On an error the certificate in use stays.
    pub(crate) fn read_again(&self) -> Result<(), TlsError> {
        let fresh = Arc::new(read_pair(&self.certificate, &self.key)?);
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = fresh;
        Ok(())
    }

    pub(crate) fn config(self: &Arc<Self>) -> Result<ServerConfig, TlsError> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut server = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|_| TlsError::Settings)?
            .with_no_client_auth()
            .with_cert_resolver(self.clone());
        // One request at a time on a connection is what the limits of the listener are made for.
        server.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(server)
    }
}

impl ResolvesServerCert for ServerCertificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current.read().unwrap_or_else(PoisonError::into_inner).clone())
    }
}

fn read_pair(certificate: &Path, key: &Path) -> Result<CertifiedKey, TlsError> {
    let chain = read_certificates(certificate)?;
    let key_der = PrivateKeyDer::from_pem_file(key).map_err(|_| TlsError::File(key.to_owned()))?;
    CertifiedKey::from_der(chain, key_der, &rustls::crypto::aws_lc_rs::default_provider())
        .map_err(|_| TlsError::Pair(certificate.to_owned()))
}

/// Whether a listener could use these files.
///
/// # Errors
/// [`TlsError`].
pub fn check_server_certificate(certificate: &Path, key: &Path) -> Result<(), TlsError> {
    read_pair(certificate, key).map(drop)
}
