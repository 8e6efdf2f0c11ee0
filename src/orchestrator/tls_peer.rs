//! A TLS peer for tests, which answers, floods, stays silent or hangs up as it is told.

use std::sync::{Arc, Mutex};

use rustls::{ClientConfig, RootCertStore, ServerConfig};
use rustls_pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

/// What the peer does with a request that it has read to its end.
pub(crate) enum Act {
    /// Answers with this status and body.
    Answer(u16, String),
    /// Answers 200 with a body of this many blanks whose length it announces.
    Announced(usize),
    /// The same, but the length shows only as the body arrives.
    Chunked(usize),
    /// Announces a body and hangs up in the middle of it.
    Cut,
    /// Says nothing and hangs up.
    HangUp,
    /// Says nothing and keeps the connection.
    Silence,
}

/// A peer on a loopback port of its own; it ends with the runtime of its test.
pub(crate) struct TlsPeer {
    pub(crate) url: String,
    certificate: CertificateDer<'static>,
    requests: Arc<Mutex<Vec<String>>>,
}

impl TlsPeer {
    pub(crate) async fn start(act: impl Fn(&str) -> Act + Send + Sync + 'static) -> Self {
        let pair = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
        let certificate = pair.cert.der().clone();
        let key = PrivatePkcs8KeyDer::from(pair.signing_key.serialize_der());
        let config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.clone()], key.into())
            .unwrap();
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let url = format!("https://{}", listener.local_addr().unwrap());
        let requests = Arc::<Mutex<Vec<String>>>::default();
        let (heard, act) = (requests.clone(), Arc::new(act));
        let acceptor = TlsAcceptor::from(Arc::new(config));
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                tokio::spawn(converse(acceptor.clone(), socket, heard.clone(), act.clone()));
            }
        });
        Self { url, certificate, requests }
    }

    /// TLS settings of a client that trusts this peer.
    pub(crate) fn trusted(&self) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.clone()).unwrap();
        ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth()
    }

    /// Every request that arrived: head and body as they were sent.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

async fn converse(
    acceptor: TlsAcceptor,
    socket: TcpStream,
    heard: Arc<Mutex<Vec<String>>>,
    act: Arc<impl Fn(&str) -> Act>,
) {
    // Clients of the tests refuse this certificate on purpose.
    let Ok(mut stream) = acceptor.accept(socket).await else { return };
    let Some(request) = read_request(&mut stream).await else { return };
    heard.lock().unwrap().push(request.clone());
    let answer = match act(&request) {
        Act::Answer(status, body) => {
            format!("{}Content-Length: {}\r\n\r\n{body}", head(status), body.len())
        }
        Act::Announced(bytes) => format!("{}Content-Length: {bytes}\r\n\r\n{}", head(200), " ".repeat(bytes)),
        Act::Chunked(bytes) => {
            format!("{}Transfer-Encoding: chunked\r\n\r\n{bytes:x}\r\n{}\r\n0\r\n\r\n", head(200), " ".repeat(bytes))
        }
        Act::Cut => format!("{}Content-Length: 1000\r\n\r\nhalf", head(200)),
        Act::HangUp => String::new(),
        Act::Silence => std::future::pending().await,
    };
    // A client that has read enough goes away before the end.
    let _gone = stream.write_all(answer.as_bytes()).await;
    let _gone = stream.shutdown().await;
}

fn head(status: u16) -> String {
    format!("HTTP/1.1 {status} X\r\nConnection: close\r\nLocation: /elsewhere\r\n")
}

async fn read_request(stream: &mut (impl AsyncRead + Unpin)) -> Option<String> {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length =
                head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
            if body.len() >= length.unwrap_or(0) {
                return Some(text);
            }
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
}

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}
