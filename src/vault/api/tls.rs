//! TLS of the listeners: certificates, client CAs and revocation lists that can be read again without dropping a
//! connection.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use arc_swap::ArcSwap;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{ClientHello, NoServerSessionStorage, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{ServerConfig, SupportedProtocolVersion};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer};

use super::clients::{Clients, Trust};
use crate::config;

/// The certificates in use, and how to read them again.
pub struct Certificates {
    pub(super) provider: Arc<CryptoProvider>,
    pub(super) intake: Arc<Swappable>,
    pub(super) internal: Arc<Swappable>,
    pub(super) clients: Arc<Clients>,
    /// Those that alone may sign a destination's certificate, by the destination's name.
    pub(super) destinations: BTreeMap<String, Vec<CertificateDer<'static>>>,
    paths: Paths,
    pub(super) intake_tls12: bool,
    pub(super) warn_days: u32,
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
    pub fn load(config: &config::Config) -> Result<Self, TlsError> {
        let tls = &config.tls;
        let provider = Arc::new(aws_lc_rs::default_provider());
        let paths = Paths {
            intake: (tls.intake.certificate.clone(), tls.intake.key.clone()),
            internal: (tls.internal.certificate.clone(), tls.internal.key.clone()),
            client_ca: tls.internal.client_ca.clone(),
            client_crl: tls.internal.client_crl.clone(),
        };
        let intake = Arc::new(Swappable::new(certified_key(&provider, &paths.intake)?));
        let internal = Arc::new(Swappable::new(certified_key(&provider, &paths.internal)?));
        let clients = Arc::new(Clients::new(Arc::clone(&provider), trust(&provider, &paths)?));
        let mut destinations = BTreeMap::new();
        for (name, plan) in &config.destination {
            if let Some(path) = &plan.ca {
                destinations.insert(name.to_string(), certificates(path)?);
            }
        }
        let (intake_tls12, warn_days) = (tls.intake_tls12, tls.warn_days);
        Ok(Self { provider, intake, internal, clients, destinations, paths, intake_tls12, warn_days })
    }

    /// Reads every file again. Either all of them are taken or, on an error, none.
    ///
    /// # Errors
    /// [`TlsError`] names the file at fault.
    pub fn reload(&self) -> Result<(), TlsError> {
        let intake = certified_key(&self.provider, &self.paths.intake)?;
        let internal = certified_key(&self.provider, &self.paths.internal)?;
        let trust = trust(&self.provider, &self.paths)?;
        self.intake.key.store(Arc::new(intake));
        self.internal.key.store(Arc::new(internal));
        self.clients.replace(trust);
        Ok(())
    }

    /// TLS 1.3, and 1.2 if the configuration says so; no client certificate.
    ///
    /// # Errors
    /// [`TlsError::Config`] if rustls refuses.
    pub fn intake(&self) -> Result<ServerConfig, TlsError> {
        let mut server = ServerConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_protocol_versions(&versions(self.intake_tls12))?
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
            .with_protocol_versions(&versions(false))?
            .with_client_cert_verifier(Arc::clone(&self.clients) as Arc<dyn ClientCertVerifier>)
            .with_cert_resolver(Arc::clone(&self.internal) as Arc<dyn ResolvesServerCert>);
        server.alpn_protocols = vec![b"http/1.1".to_vec()];
        server.session_storage = Arc::new(NoServerSessionStorage {});
        server.send_tls13_tickets = 0;
        Ok(server)
    }

    /// TLS 1.3 with the internal certificate and no client certificate: who calls, each message shows by itself.
    ///
    /// # Errors
    /// [`TlsError::Config`] if rustls refuses.
    pub fn locker(&self) -> Result<ServerConfig, TlsError> {
        let mut server = ServerConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_protocol_versions(&versions(false))?
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(&self.internal) as Arc<dyn ResolvesServerCert>);
        server.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(server)
    }

    /// What signs and revokes clients.
    #[must_use]
    pub fn clients(&self) -> Arc<Clients> {
        Arc::clone(&self.clients)
    }
}

/// What a listener speaks, newest first.
pub(super) fn versions(with_tls12: bool) -> Vec<&'static SupportedProtocolVersion> {
    let mut versions = vec![&rustls::version::TLS13];
    if with_tls12 {
        versions.push(&rustls::version::TLS12);
    }
    versions
}

/// A certificate that can be exchanged while it is in use.
pub(super) struct Swappable {
    pub(super) key: ArcSwap<CertifiedKey>,
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

fn trust(provider: &Arc<CryptoProvider>, paths: &Paths) -> Result<Trust, TlsError> {
    let authorities = certificates(&paths.client_ca)?;
    let mut lists = Vec::new();
    if let Some(path) = &paths.client_crl {
        lists = CertificateRevocationListDer::pem_slice_iter(&read(path)?)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|why| TlsError::File { path: path.clone(), why: why.to_string() })?;
        if lists.is_empty() {
            return Err(TlsError::File { path: path.clone(), why: "there is no revocation list in it".into() });
        }
    }
    let refuse = |why: String| TlsError::ClientCa { path: paths.client_ca.clone(), why };
    let now_s = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let now_s = i64::try_from(now_s).unwrap_or(i64::MAX);
    let trust = Trust::new(provider, authorities, lists, now_s).map_err(refuse)?;
    if trust.trusts_anybody() { Ok(trust) } else { Err(refuse("no CA in it is in its time of validity".into())) }
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
