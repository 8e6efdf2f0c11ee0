//! TLS of the three listeners: certificates, client CAs and revocation lists that can be read again without dropping a
//! connection.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{ClientHello, NoServerSessionStorage, ResolvesServerCert, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls::{DigitallySignedStruct, DistinguishedName, RootCertStore, ServerConfig, SignatureScheme};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer, UnixTime};

use crate::config;

/// The certificates in use, and how to read them again.
pub struct Certificates {
    provider: Arc<CryptoProvider>,
    intake: Arc<Swappable>,
    internal: Arc<Swappable>,
    clients: Arc<Clients>,
    paths: Paths,
    intake_tls12: bool,
}

struct Paths {
    intake: (PathBuf, PathBuf),
    internal: (PathBuf, PathBuf),
    client_ca: PathBuf,
    client_crl: Option<PathBuf>,
}

/// Why certificates cannot be used. What was in use before stays in use.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The file cannot be read or is not PEM of the right kind.
    #[error("{path}: {why}")]
    File {
        /// Which file.
        path: PathBuf,
        /// What is wrong, without the file's content.
        why: String,
    },
    /// The private key does not belong to the certificate, or is of an unusable kind.
    #[error("{path}: the private key does not fit the certificate beside it ({why})")]
    Key {
        /// Which key file.
        path: PathBuf,
        /// rustls' reason.
        why: rustls::Error,
    },
    /// The client CA cannot be used.
    #[error("{path}: not usable as a client CA or revocation list ({why})")]
    ClientCa {
        /// Which file.
        path: PathBuf,
        /// The verifier's reason.
        why: String,
    },
    /// rustls refused the configuration.
    #[error("TLS configuration: {0}")]
    Config(#[from] rustls::Error),
}

impl Certificates {
    /// Reads every file that the configuration names.
    ///
    /// # Errors
    /// [`TlsError`] names the file at fault.
    pub fn load(tls: &config::Tls) -> Result<Self, TlsError> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let paths = Paths {
            intake: (tls.intake.certificate.clone(), tls.intake.key.clone()),
            internal: (tls.internal.certificate.clone(), tls.internal.key.clone()),
            client_ca: tls.internal.client_ca.clone(),
            client_crl: tls.internal.client_crl.clone(),
        };
        let intake = Arc::new(Swappable::new(certified_key(&provider, &paths.intake)?));
        let internal = Arc::new(Swappable::new(certified_key(&provider, &paths.internal)?));
        let verifier = client_verifier(&provider, &paths)?;
        let clients = Arc::new(Clients { current: ArcSwap::from_pointee(verifier), generation: AtomicU64::new(1) });
        Ok(Self { provider, intake, internal, clients, paths, intake_tls12: tls.intake_tls12 })
    }

    /// Reads every file again. Either all of them are taken or, on an error, none.
    ///
    /// # Errors
    /// [`TlsError`] names the file at fault.
    pub fn reload(&self) -> Result<(), TlsError> {
        let intake = certified_key(&self.provider, &self.paths.intake)?;
        let internal = certified_key(&self.provider, &self.paths.internal)?;
        let verifier = client_verifier(&self.provider, &self.paths)?;
        self.intake.key.store(Arc::new(intake));
        self.internal.key.store(Arc::new(internal));
        self.clients.current.store(Arc::new(verifier));
        self.clients.generation.fetch_add(1, Ordering::Release);
        Ok(())
    }

    /// TLS 1.3, and 1.2 if the configuration says so; no client certificate.
    ///
    /// # Errors
    /// [`TlsError::Config`] if rustls refuses.
    pub fn intake(&self) -> Result<ServerConfig, TlsError> {
        let versions: &[&rustls::SupportedProtocolVersion] = if self.intake_tls12 {
            &[&rustls::version::TLS13, &rustls::version::TLS12]
        } else {
            &[&rustls::version::TLS13]
        };
        let mut server = ServerConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_protocol_versions(versions)?
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(&self.intake) as Arc<dyn ResolvesServerCert>);
        server.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(server)
    }

    /// TLS 1.3 with a client certificate, always. No session is ever resumed, so that each connection shows its
    /// certificate to the verifier of the day.
    ///
    /// # Errors
    /// [`TlsError::Config`] if rustls refuses.
    pub fn internal(&self) -> Result<ServerConfig, TlsError> {
        let mut server = ServerConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_client_cert_verifier(Arc::clone(&self.clients) as Arc<dyn ClientCertVerifier>)
            .with_cert_resolver(Arc::clone(&self.internal) as Arc<dyn ResolvesServerCert>);
        server.alpn_protocols = vec![b"http/1.1".to_vec()];
        server.session_storage = Arc::new(NoServerSessionStorage {});
        server.send_tls13_tickets = 0;
        Ok(server)
    }

    /// What signs and revokes clients.
    #[must_use]
    pub fn clients(&self) -> Arc<Clients> {
        Arc::clone(&self.clients)
    }

    /// The end of each server certificate's validity, in seconds since 1970.
    #[must_use]
    pub fn expiries(&self) -> Vec<(&'static str, i64)> {
        [("intake", &self.intake), ("internal", &self.internal)]
            .into_iter()
            .filter_map(|(name, held)| {
                let key = held.key.load();
                let leaf = key.cert.first()?;
                let (_, parsed) = x509_parser::parse_x509_certificate(leaf).ok()?;
                Some((name, parsed.validity().not_after.timestamp()))
            })
            .collect()
    }
}

/// Verifies client certificates against the CA and revocation lists that were read last.
pub struct Clients {
    current: ArcSwap<Arc<dyn ClientCertVerifier>>,
    generation: AtomicU64,
}

impl Clients {
    /// Grows with each reload; a connection that was verified under an older one is verified again.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// Whether a chain would be let in now.
    #[must_use]
    pub fn still_trusted(&self, chain: &[CertificateDer<'_>], now: UnixTime) -> bool {
        chain.split_first().is_some_and(|(leaf, rest)| self.current.load().verify_client_cert(leaf, rest, now).is_ok())
    }
}

impl std::fmt::Debug for Clients {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Clients")
    }
}

impl ClientCertVerifier for Clients {
    fn offer_client_auth(&self) -> bool {
        true
    }

    fn client_auth_mandatory(&self) -> bool {
        true
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        // No hint: the list would outlive a reload, and our clients hold one certificate.
        &[]
    }

    fn verify_client_cert(
        &self,
        leaf: &CertificateDer<'_>,
        rest: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        self.current.load().verify_client_cert(leaf, rest, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.current.load().verify_tls12_signature(message, leaf, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.current.load().verify_tls13_signature(message, leaf, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.current.load().supported_verify_schemes()
    }
}

struct Swappable {
    key: ArcSwap<CertifiedKey>,
}

impl Swappable {
    fn new(key: CertifiedKey) -> Self {
        Self { key: ArcSwap::from_pointee(key) }
    }
}

impl std::fmt::Debug for Swappable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Swappable")
    }
}

impl ResolvesServerCert for Swappable {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.key.load_full())
    }
}

fn certified_key(provider: &CryptoProvider, (chain, key): &(PathBuf, PathBuf)) -> Result<CertifiedKey, TlsError> {
    let chain = certificates(chain)?;
    let der = PrivateKeyDer::from_pem_file(key)
        .map_err(|why| TlsError::File { path: key.clone(), why: format!("no private key in PEM ({why})") })?;
    CertifiedKey::from_der(chain, der, provider).map_err(|why| TlsError::Key { path: key.clone(), why })
}

fn client_verifier(provider: &Arc<CryptoProvider>, paths: &Paths) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(&paths.client_ca)? {
        roots
            .add(certificate)
            .map_err(|why| TlsError::ClientCa { path: paths.client_ca.clone(), why: why.to_string() })?;
    }
    let mut builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider));
    if let Some(path) = &paths.client_crl {
        let pem = read(path)?;
        let lists = CertificateRevocationListDer::pem_slice_iter(&pem)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|why| TlsError::File { path: path.clone(), why: why.to_string() })?;
        // A list that is out of date refuses everybody rather than nobody.
        builder = builder.with_crls(lists).enforce_revocation_expiration();
    }
    builder.build().map_err(|why| TlsError::ClientCa { path: paths.client_ca.clone(), why: why.to_string() })
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let pem = read(path)?;
    let chain = CertificateDer::pem_slice_iter(&pem)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|why| TlsError::File { path: path.into(), why: why.to_string() })?;
    if chain.is_empty() {
        return Err(TlsError::File { path: path.into(), why: "there is no certificate in it".into() });
    }
    Ok(chain)
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    fs::read(path).map_err(|why| TlsError::File { path: path.into(), why: why.to_string() })
}
