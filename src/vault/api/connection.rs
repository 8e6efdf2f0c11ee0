//! Who is at the other end of a connection: read from the TLS session once, checked again on each request.

use std::cell::Cell;
use std::net::{IpAddr, SocketAddr};

use actix_http::Extensions;
use actix_tls::accept::rustls_0_23::TlsStream;
use actix_web::rt::net::TcpStream;
use rustls_pki_types::{CertificateDer, UnixTime};
use x509_parser::extensions::GeneralName;

use super::certificate::pin_of;
use super::clients::Clients;
use super::head::forget_kept_heads;

/// What is known about the other end of a connection.
pub(crate) struct Peer {
    address: SocketAddr,
    certificate: Option<Certificate>,
}

struct Certificate {
    chain: Vec<CertificateDer<'static>>,
    /// The one URI SAN; `None` if there is none or more than one, which names nobody.
    uri: Option<String>,
    /// SHA-256 of the SubjectPublicKeyInfo.
    key: [u8; 32],
    /// Under which generation of the CA files it was verified, and until when that is good, in seconds since 1970.
    verified: Cell<(u64, i64)>,
}

impl Peer {
    /// Remembers the peer of a fresh connection for its requests.
    pub(super) fn remember(tls: &TlsStream<TcpStream>, into: &mut Extensions, clients: &Clients) {
        let (tcp, session) = tls.get_ref();
        let Ok(address) = tcp.peer_addr() else { return };
        let certificate = session.peer_certificates().and_then(Certificate::read);
        if let Some(leaf) = certificate.as_ref().and_then(|certificate| certificate.chain.first()) {
            clients.saw(leaf, i64::try_from(UnixTime::now().as_secs()).unwrap_or(i64::MAX));
        }
        into.insert(Peer { address, certificate });
    }

    /// The other end's address.
    #[must_use]
    pub(crate) fn ip(&self) -> IpAddr {
        self.address.ip()
    }

    /// SHA-256 of the public key of the client certificate: who has the same one is the same person.
    #[must_use]
    pub(crate) fn key(&self) -> Option<[u8; 32]> {
        self.certificate.as_ref().map(|certificate| certificate.key)
    }

    /// The URI SAN of a certificate that is valid at this moment (in its time, and signed and not revoked as the CA files
    /// say that were read last), and the SHA-256 of its public key.
    #[must_use]
    pub(crate) fn identity(&self, clients: &Clients, now_ms: u64) -> Option<(&str, &[u8; 32])> {
        let certificate = self.certificate.as_ref()?;
        let now_s = i64::try_from(now_ms / 1000).ok()?;
        let generation = clients.generation();
        let (under, until_s) = certificate.verified.get();
        // Again after each reload, and when anything of what the verdict rests on has ended: the certificate, one of its
        // chain, its CA, a revocation list.
        if under != generation || now_s >= until_s {
            let until_s = clients.trusted_until(&certificate.chain, now_s)?;
            certificate.verified.set((generation, until_s));
        }
        Some((certificate.uri.as_deref()?, &certificate.key))
    }
}

/// The end of a connection, whatever ended it.
impl Drop for Peer {
    fn drop(&mut self) {
        forget_kept_heads();
    }
}

impl Certificate {
    fn read(chain: &[CertificateDer<'_>]) -> Option<Self> {
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
            key: pin_of(&parsed),
            chain: chain.iter().map(|der| der.clone().into_owned()).collect(),
            verified: Cell::new((0, 0)),
        })
    }
}
