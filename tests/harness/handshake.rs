//! TLS by hand: which handshakes are refused, and single kept connections whose bytes and life a test decides.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use rustls::crypto::aws_lc_rs::default_provider;
use rustls::{ClientConfig, ClientConnection, ProtocolVersion, RootCertStore, StreamOwned, SupportedProtocolVersion};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};

use super::{Credentials, Fault, Pki, Result, because};

/// What a client offers in its handshake.
pub struct Handshake<'a> {
    /// Whose certificate it shows, if any.
    pub who: Option<&'a Credentials>,
    /// Which versions it offers.
    pub versions: &'static [&'static SupportedProtocolVersion],
}

impl Default for Handshake<'_> {
    fn default() -> Self {
        Self { who: None, versions: rustls::ALL_VERSIONS }
    }
}

/// One connection, kept until it is dropped.
pub struct Talk {
    stream: BufReader<StreamOwned<ClientConnection, TcpStream>>,
}

impl Handshake<'_> {
    /// Connects and asks once without a body; answers the HTTP status.
    ///
    /// # Errors
    /// When the handshake is refused. In TLS 1.3 a server judges the client's certificate after the client thinks that
    /// it is connected, so only an answer proves that a certificate was taken.
    pub fn ask(&self, pki: &Pki, at: SocketAddr, method: &str, path: &str) -> Result<u16> {
        let mut talk = self.connect(pki, at)?;
        talk.send(&format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n"), b"")?;
        Ok(talk.answer()?.0)
    }

    /// Connects and finishes the client's side of the handshake.
    ///
    /// # Errors
    /// When the server refuses in the handshake.
    pub fn connect(&self, pki: &Pki, at: SocketAddr) -> Result<Talk> {
        let mut roots = RootCertStore::empty();
        let ca = CertificateDer::from_pem_file(pki.ca()).map_err(because(pki.ca().display()))?;
        roots.add(ca).map_err(because("the CA certificate"))?;
        let builder = ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_protocol_versions(self.versions)
            .map_err(because("TLS versions"))?
            .with_root_certificates(roots);
        let config = match self.who {
            None => builder.with_no_client_auth(),
            Some(who) => {
                let chain: Vec<_> = CertificateDer::pem_file_iter(&who.certificate)
                    .and_then(Iterator::collect)
                    .map_err(because(who.certificate.display()))?;
                let key = PrivateKeyDer::from_pem_file(&who.key).map_err(because(who.key.display()))?;
                builder.with_client_auth_cert(chain, key).map_err(because("the client certificate"))?
            }
        };
        let name = ServerName::try_from("localhost").map_err(because("the server's name"))?;
        let session = ClientConnection::new(Arc::new(config), name).map_err(because("TLS"))?;
        let socket = TcpStream::connect(at).map_err(because("connecting"))?;
        socket.set_read_timeout(Some(ANSWER_WITHIN)).map_err(because("a time limit"))?;
        socket.set_nodelay(true).map_err(because("no delay"))?;
        let mut stream = StreamOwned::new(session, socket);
        while stream.conn.is_handshaking() {
            stream.conn.complete_io(&mut stream.sock).map_err(because("the handshake was refused"))?;
        }
        Ok(Talk { stream: BufReader::new(stream) })
    }
}

impl Talk {
    /// The protocol version that both agreed on.
    #[must_use]
    pub fn version(&self) -> Option<ProtocolVersion> {
        self.stream.get_ref().conn.protocol_version()
    }

    /// The key exchange that both agreed on, by its IANA name.
    #[must_use]
    pub fn key_exchange(&self) -> String {
        let group = self.stream.get_ref().conn.negotiated_key_exchange_group();
        group.map(|group| format!("{:?}", group.name())).unwrap_or_default()
    }

    /// The server's own certificate, DER.
    #[must_use]
    pub fn server_certificate(&self) -> Vec<u8> {
        let chain = self.stream.get_ref().conn.peer_certificates().unwrap_or_default();
        chain.first().map(|leaf| leaf.to_vec()).unwrap_or_default()
    }

    /// Sends a request head, which ends in an empty line, and a body.
    ///
    /// # Errors
    /// When the connection is gone.
    pub fn send(&mut self, head: &str, body: &[u8]) -> Result<()> {
        let stream = self.stream.get_mut();
        let mut whole = head.as_bytes().to_vec();
        whole.extend_from_slice(body);
        stream.write_all(&whole).and_then(|()| stream.flush()).map_err(because("sending"))
    }

    /// Reads one answer: its status, headers in lower case and body, by its `Content-Length`.
    ///
    /// # Errors
    /// When the connection ends before, or the answer is not HTTP/1.1.
    pub fn answer(&mut self) -> Result<(u16, Vec<String>, Vec<u8>)> {
        let mut lines = Vec::new();
        loop {
            let mut line = String::new();
            let read = self.stream.read_line(&mut line).map_err(because("reading the answer"))?;
            if read == 0 {
                return Err(Fault::new("the connection ended before an answer"));
            }
            let line = line.trim_end();
            if line.is_empty() {
                break;
            }
            lines.push(line.to_ascii_lowercase());
        }
        let status = lines.first().and_then(|line| line.split(' ').nth(1)).and_then(|status| status.parse().ok());
        let status = status.ok_or_else(|| Fault::new("the answer has no status"))?;
        let length = lines.iter().find_map(|line| line.strip_prefix("content-length:")).map_or("0", str::trim);
        let length: usize = length.parse().map_err(because("the answer's length"))?;
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body).map_err(because("reading the answer's body"))?;
        Ok((status, lines, body))
    }

    /// Waits until the server closes the connection.
    ///
    /// # Errors
    /// When it does not within the time limit of a read.
    pub fn closed(&mut self) -> Result<()> {
        let mut byte = [0];
        match self.stream.read(&mut byte) {
            Ok(0) => Ok(()),
            Ok(_) => Err(Fault::new("the server sent something nobody asked for")),
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => Ok(()),
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => Ok(()),
            Err(error) => Err(because("the connection was not closed")(error)),
        }
    }
}

const ANSWER_WITHIN: Duration = Duration::from_secs(30);
