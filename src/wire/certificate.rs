//! Certificates in use, as `GET /v1/certificates` lists them, and what the listeners are set up to speak. No path of the
//! machine is among them.

use serde::{Deserialize, Serialize};

/// `GET /v1/certificates`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CertificateList {
    /// Each certificate that vaultd shows, trusts or has seen, servers first.
    pub certificates: Vec<CertificateInfo>,
    /// The revocation lists of client certificates.
    pub revocation_lists: Vec<RevocationListInfo>,
    /// What each kind of listener speaks, as its TLS configuration has it.
    pub listeners: Vec<ListenerTls>,
}

/// What vaultd has a certificate for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CertificateRole {
    /// The intake listener shows it.
    IntakeServer,
    /// The release and admin listeners show it.
    InternalServer,
    /// It stands between a server certificate and its root.
    Intermediate,
    /// It may sign client certificates.
    ClientCa,
    /// It alone may sign the certificate of a destination.
    DestinationCa,
    /// A client showed it since vaultd started.
    Client,
}

impl CertificateRole {
    /// The word in JSON and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            CertificateRole::IntakeServer => "intake_server",
            CertificateRole::InternalServer => "internal_server",
            CertificateRole::Intermediate => "intermediate",
            CertificateRole::ClientCa => "client_ca",
            CertificateRole::DestinationCa => "destination_ca",
            CertificateRole::Client => "client",
        }
    }
}

/// One certificate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CertificateInfo {
    /// What for.
    pub role: CertificateRole,
    /// The destination, where the role is of one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub destination: Option<String>,
    /// Distinguished name.
    pub subject: String,
    /// Subject alternative names: `URI:...`, `DNS:...`, `IP:...`.
    pub names: Vec<String>,
    /// Who signed it, a distinguished name.
    pub issuer: String,
    /// Hexadecimal.
    pub serial: String,
    /// Such as `EC P-256` or `RSA`.
    pub key_algorithm: String,
    /// Length of its key, in bits; 0 where the algorithm is not known here.
    pub key_bits: u32,
    /// What its issuer signed it with.
    pub signature_algorithm: String,
    /// RFC 3339, UTC.
    pub not_before: String,
    /// RFC 3339, UTC.
    pub not_after: String,
    /// Whole days until then; negative once it is over.
    pub days_left: i64,
    /// SHA-256 of the whole certificate, hexadecimal.
    pub sha256: String,
    /// `sha256/` and the SHA-256 of its public key (SubjectPublicKeyInfo) in base64: what the policy may pin.
    pub pin: String,
    /// When a client showed it last. RFC 3339, UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_seen: Option<String>,
}

/// One revocation list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RevocationListInfo {
    /// Who signed it.
    pub issuer: String,
    /// Its number, decimal; null if it has none.
    pub number: Option<String>,
    /// RFC 3339, UTC.
    pub this_update: String,
    /// RFC 3339, UTC; from then on clients of this issuer are refused.
    pub next_update: Option<String>,
    /// Whole days until then.
    pub days_left: Option<i64>,
    /// How many certificates are on it.
    pub revoked: u64,
    /// SHA-256 of the list, hexadecimal.
    pub sha256: String,
}

/// What a listener speaks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListenerTls {
    /// `intake`, or `internal` for release and admin.
    pub listener: String,
    /// Protocol versions, newest first.
    pub versions: Vec<String>,
    /// Cipher suites, preferred first.
    pub cipher_suites: Vec<String>,
    /// Groups of the key exchange, preferred first.
    pub key_exchange: Vec<String>,
    /// Whether a client has to show a certificate.
    pub client_certificates: bool,
}
