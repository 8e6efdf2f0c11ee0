//! A TLS peer whose answers a test decides: what a destination may do that no simulator does.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio_rustls::TlsAcceptor;

use super::{Credentials, DestinationPlan, Result, World, because};

/// What the peer does with a request that it has read to its end.
pub enum Reply {
    /// Answers with a status, header lines (each ended by CR LF) and a body.
    Answer(u16, &'static str, String),
    /// The same with a bare 200, once somebody says so.
    When(Arc<Notify>, String),
    /// Says nothing and hangs up.
    HangUp,
    /// Says nothing and keeps the connection.
    Silence,
}

/// A peer on a loopback port of its own; it ends with the runtime of its test.
pub struct Peer {
    /// Where it listens.
    pub at: SocketAddr,
    heard: Arc<Mutex<Vec<String>>>,
}

impl Peer {
    /// Starts a peer with this server certificate.
    ///
    /// # Errors
    /// When the certificate cannot be read or no port be bound.
    pub async fn start(server: &Credentials, act: impl Fn(&str) -> Reply + Send + Sync + 'static) -> Result<Self> {
        let chain: Vec<_> = CertificateDer::pem_file_iter(&server.certificate)
            .and_then(Iterator::collect)
            .map_err(because(server.certificate.display()))?;
        let key = PrivateKeyDer::from_pem_file(&server.key).map_err(because(server.key.display()))?;
        let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(because("TLS versions"))?
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .map_err(because("the peer's certificate"))?;
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.map_err(because("a port"))?;
        let at = listener.local_addr().map_err(because("the port"))?;
        let heard = Arc::<Mutex<Vec<String>>>::default();
        let (noted, act, acceptor) = (Arc::clone(&heard), Arc::new(act), TlsAcceptor::from(Arc::new(config)));
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                tokio::spawn(converse(acceptor.clone(), socket, Arc::clone(&noted), Arc::clone(&act)));
            }
        });
        Ok(Self { at, heard })
    }

    /// Starts a peer with the world's own certificate and makes it a destination of the world's vault, which restarts for
    /// it. The destination's URL is filled in.
    ///
    /// # Errors
    /// When the vault does not come back.
    pub async fn beside(
        world: &mut World,
        destination: DestinationPlan,
        act: impl Fn(&str) -> Reply + Send + Sync + 'static,
    ) -> Result<Self> {
        let peer = Self::start(&world.pki.server("server")?, act).await?;
        let table = DestinationPlan { base_url: peer.url(), ..destination }.text(&world.pki.ca());
        world.vault.edit_configuration(|text| format!("{text}{table}"))?;
        world.vault.process().stop().await?;
        world.vault.restart().await?;
        Ok(peer)
    }

    /// `https://localhost:port`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("https://localhost:{}", self.at.port())
    }

    /// Every request that arrived, head and body as they were sent.
    #[must_use]
    pub fn heard(&self) -> Vec<String> {
        self.heard.lock().map(|heard| heard.clone()).unwrap_or_default()
    }
}

async fn converse(
    acceptor: TlsAcceptor,
    socket: TcpStream,
    heard: Arc<Mutex<Vec<String>>>,
    act: Arc<impl Fn(&str) -> Reply>,
) {
    // Clients of the tests refuse this certificate on purpose.
    let Ok(mut stream) = acceptor.accept(socket).await else { return };
    let mut request = Vec::new();
    while !is_whole(&request) {
        if stream.read_buf(&mut request).await.unwrap_or(0) == 0 {
            return;
        }
    }
    let request = String::from_utf8_lossy(&request).into_owned();
    let reply = act(&request);
    if let Ok(mut heard) = heard.lock() {
        heard.push(request);
    }
    let answer = match reply {
        Reply::Answer(status, headers, body) => written(status, headers, &body),
        Reply::When(told, body) => {
            told.notified().await;
            written(200, "", &body)
        }
        Reply::HangUp => String::new(),
        Reply::Silence => std::future::pending().await,
    };
    // A client that has read enough goes away before the end.
    let _gone = stream.write_all(answer.as_bytes()).await;
    let _gone = stream.shutdown().await;
}

fn written(status: u16, headers: &str, body: &str) -> String {
    // Each connection ends after its answer. A client that is not told so would send its next request into the end.
    format!("HTTP/1.1 {status} X\r\nConnection: close\r\nContent-Length: {}\r\n{headers}\r\n{body}", body.len())
}

fn is_whole(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request);
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length = head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
    body.len() >= length.unwrap_or(0)
}
