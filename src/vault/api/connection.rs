//! Who is at the other end of a connection: read from the TLS session once, checked again on each request.

use std::any::Any;
use std::cell::Cell;
use std::net::{IpAddr, SocketAddr};

use actix_http::Extensions;
use actix_tls::accept::rustls_0_23::TlsStream;
use actix_web::rt::net::TcpStream;
use rustls_pki_types::{CertificateDer, UnixTime};
use sha2::{Digest as _, Sha256};
use x509_parser::extensions::GeneralName;

use super::head::forget_kept_heads;
use super::tls::Clients;

/// What is known about the other end of a connection.
pub(super) struct Peer {
    address: SocketAddr,
    certificate: Option<Certificate>,
}

struct Certificate {
    chain: Vec<CertificateDer<'static>>,
    /// The one URI SAN; `None` if there is none or more than one, which names nobody.
    uri: Option<String>,
    /// SHA-256 of the SubjectPublicKeyInfo.
    key: [u8; 32],
    not_after_s: i64,
    /// Generation of the CA files, and when, in seconds since 1970.
    verified: Cell<(u64, u64)>,
}

impl Peer {
    /// Remembers the peer of a fresh connection for its requests.
    pub(super) fn remember(io: &dyn Any, into: &mut Extensions, generation: u64) {
        let Some(tls) = io.downcast_ref::<TlsStream<TcpStream>>() else { return };
        let (tcp, session) = tls.get_ref();
        let Ok(address) = tcp.peer_addr() else { return };
        let certificate = session.peer_certificates().and_then(|chain| Certificate::read(chain, generation));
        into.insert(Peer { address, certificate });
    }

    /// The other end's address.
    #[must_use]
    pub(super) fn ip(&self) -> IpAddr {
        self.address.ip()
    }

    /// SHA-256 of the public key of the client certificate: who has the same one is the same person.
    #[must_use]
    pub(super) fn key(&self) -> Option<[u8; 32]> {
        self.certificate.as_ref().map(|certificate| certificate.key)
    }

    /// The URI SAN of a certificate that is valid at this moment: in its time, and signed and not revoked as the CA
    /// files say that were read last.
    #[must_use]
    pub(super) fn identity(&self, clients: &Clients, now_ms: u64) -> Option<&str> {
        let certificate = self.certificate.as_ref()?;
        let now_s = now_ms / 1000;
        if i64::try_from(now_s).ok()? > certificate.not_after_s {
            return None;
        }
        let generation = clients.generation();
        let (under, at_s) = certificate.verified.get();
        // Again now and then, because a revocation list or a certificate of the chain may run out meanwhile.
        if under != generation || now_s.abs_diff(at_s) >= VERIFIED_S {
            let now = UnixTime::since_unix_epoch(std::time::Duration::from_secs(now_s));
            if !clients.still_trusted(&certificate.chain, now) {
                return None;
            }
            certificate.verified.set((generation, now_s));
        }
        certificate.uri.as_deref()
    }
}

/// The end of a connection, whatever ended it.
impl Drop for Peer {
    fn drop(&mut self) {
        forget_kept_heads();
    }
}

impl Certificate {
    fn read(chain: &[CertificateDer<'_>], generation: u64) -> Option<Self> {
        let leaf = chain.first()?;
        let (_, parsed) = x509_parser::parse_x509_certificate(leaf).ok()?;
        let names = parsed.subject_alternative_name().ok().flatten();
        let mut uris = names.iter().flat_map(|san| &san.value.general_names).filter_map(|name| match name {
            GeneralName::URI(uri) => Some(*uri),
            _ => None,
        });
        let uri = match (uris.next(), uris.next()) {
            (Some(one), None) => Some(one.to_owned()),
            _ => None,
        };
        Some(Self {
            uri,
            key: Sha256::digest(parsed.public_key().raw).into(),
            not_after_s: parsed.validity().not_after.timestamp(),
            chain: chain.iter().map(|der| der.clone().into_owned()).collect(),
            verified: Cell::new((generation, 0)),
        })
    }
}

/// How long a verified chain is taken for good, in seconds.
const VERIFIED_S: u64 = 60;
