//! A load generator over mutual TLS and HTTP/1.1: so many connections, each sending its next request when the last was
//! answered (a closed loop), every answer's status checked.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use rustls::client::Resumption;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::harness::{Credentials, Fault, Result, because};

/// What to send.
pub struct Load {
    /// Where to.
    pub at: SocketAddr,
    /// Whole requests, head and body; connections take them in turn and begin again at the end.
    pub requests: Vec<Vec<u8>>,
    /// How many connections.
    pub connections: usize,
    /// For how long.
    pub lasting: Duration,
    /// The status that every answer must have.
    pub status: u16,
    /// Whether each request comes on a connection of its own, after a full handshake.
    pub fresh: bool,
}

/// What came of it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Measured {
    /// Answers with the wanted status.
    pub answered: u64,
    /// Answers with another status, and connections that broke.
    pub failed: u64,
    /// Connections that the server closed after an answer and that were made again.
    pub reconnected: u64,
    /// Wanted answers a second.
    pub per_second: f64,
    /// Half of the answers took at most so many milliseconds.
    pub p50_ms: f64,
    /// 99 of 100.
    pub p99_ms: f64,
    /// 999 of 1,000.
    pub p999_ms: f64,
    /// The slowest.
    pub max_ms: f64,
}

/// A request with a JSON body, as bytes.
#[must_use]
pub fn request(method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Vec<u8> {
    let mut text = format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\n");
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    if !body.is_empty() {
        text.push_str(&format!("Content-Type: application/json\r\nContent-Length: {}\r\n", body.len()));
    }
    text.push_str("\r\n");
    text.push_str(body);
    text.into_bytes()
}

/// The TLS side of every connection.
///
/// # Errors
/// When a certificate cannot be read.
pub fn connector(ca: &Path, who: &Credentials) -> Result<TlsConnector> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(ca).map_err(because(ca.display()))?).map_err(because("the CA"))?;
    let chain: Vec<_> = CertificateDer::pem_file_iter(&who.certificate)
        .and_then(Iterator::collect)
        .map_err(because(who.certificate.display()))?;
    let key = PrivateKeyDer::from_pem_file(&who.key).map_err(because(who.key.display()))?;
    let mut config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(because("TLS versions"))?
        .with_root_certificates(roots)
        .with_client_auth_cert(chain, key)
        .map_err(because("the client certificate"))?;
    // So that a new connection always means a full handshake.
    config.resumption = Resumption::disabled();
    Ok(TlsConnector::from(Arc::new(config)))
}

impl Load {
    /// Sends the load; connections are made before the clock starts.
    ///
    /// # Errors
    /// When a connection cannot be made at all.
    pub async fn run(self, tls: &TlsConnector) -> Result<Measured> {
        let mut lines = Vec::with_capacity(self.connections);
        for _ in 0..self.connections {
            lines.push(Line::open(tls.clone(), self.at).await?);
        }
        let shared = Arc::new((self.requests, AtomicUsize::new(0)));
        let began = Instant::now();
        let deadline = began + self.lasting;
        let tasks: Vec<_> = lines
            .into_iter()
            .map(|line| tokio::spawn(line.repeat(Arc::clone(&shared), (self.status, self.fresh), deadline)))
            .collect();
        let mut sum = Tally::new()?;
        for task in tasks {
            sum.add(&task.await.map_err(because("a connection's task"))??)?;
        }
        Ok(sum.measured(began.elapsed()))
    }
}

struct Tally {
    times_us: Histogram<u64>,
    failed: u64,
    reconnected: u64,
}

impl Tally {
    fn new() -> Result<Self> {
        let times_us = Histogram::new_with_max(60_000_000, 3).map_err(because("a histogram"))?;
        Ok(Self { times_us, failed: 0, reconnected: 0 })
    }

    fn add(&mut self, other: &Tally) -> Result<()> {
        self.failed += other.failed;
        self.reconnected += other.reconnected;
        self.times_us.add(&other.times_us).map_err(because("a histogram"))
    }

    #[expect(clippy::cast_precision_loss, reason = "counts and microseconds of one run are far below 2^52")]
    fn measured(&self, took: Duration) -> Measured {
        let ms = |quantile: f64| self.times_us.value_at_quantile(quantile) as f64 / 1000.0;
        Measured {
            answered: self.times_us.len(),
            failed: self.failed,
            reconnected: self.reconnected,
            per_second: self.times_us.len() as f64 / took.as_secs_f64(),
            p50_ms: ms(0.5),
            p99_ms: ms(0.99),
            p999_ms: ms(0.999),
            max_ms: self.times_us.max() as f64 / 1000.0,
        }
    }
}

/// One connection.
pub(super) struct Line {
    tls: TlsConnector,
    at: SocketAddr,
    stream: TlsStream<TcpStream>,
    read: Vec<u8>,
}

impl Line {
    pub(super) async fn open(tls: TlsConnector, at: SocketAddr) -> Result<Self> {
        let stream = dial(&tls, at).await?;
        Ok(Self { tls, at, stream, read: Vec::with_capacity(16 * 1024) })
    }

    /// The last answer, head and body.
    pub(super) fn answer(&self) -> &[u8] {
        &self.read
    }

    async fn repeat(
        mut self,
        shared: Arc<(Vec<Vec<u8>>, AtomicUsize)>,
        (status, fresh): (u16, bool),
        deadline: Instant,
    ) -> Result<Tally> {
        let mut tally = Tally::new()?;
        while Instant::now() < deadline {
            let turn = shared.1.fetch_add(1, Ordering::Relaxed) % shared.0.len();
            let began = Instant::now();
            if fresh {
                self.stream = dial(&self.tls, self.at).await?;
            }
            match self.exchange(&shared.0[turn]).await {
                Ok((found, kept)) => {
                    if found == status {
                        let took = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
                        tally.times_us.saturating_record(took);
                    } else {
                        tally.failed += 1;
                    }
                    if !kept {
                        tally.reconnected += 1;
                        self.stream = dial(&self.tls, self.at).await?;
                    }
                }
                Err(_) => {
                    tally.failed += 1;
                    self.stream = dial(&self.tls, self.at).await?;
                }
            }
        }
        Ok(tally)
    }

    /// The status, and whether the connection stays open.
    pub(super) async fn exchange(&mut self, request: &[u8]) -> Result<(u16, bool)> {
        self.stream.write_all(request).await.map_err(because("sending"))?;
        self.stream.flush().await.map_err(because("sending"))?;
        self.read.clear();
        loop {
            let read = self.stream.read_buf(&mut self.read).await.map_err(because("receiving"))?;
            if read == 0 {
                return Err(Fault::new("the connection ended before an answer"));
            }
            let Some(end) = self.read.windows(4).position(|four| four == b"\r\n\r\n") else { continue };
            let head = std::str::from_utf8(&self.read[..end]).map_err(because("the answer's head"))?;
            let answer = Head::parse(head)?;
            if self.read.len() >= end + 4 + answer.length {
                return Ok((answer.status, answer.kept));
            }
        }
    }
}

struct Head {
    status: u16,
    length: usize,
    kept: bool,
}

impl Head {
    fn parse(head: &str) -> Result<Self> {
        let mut lines = head.split("\r\n");
        let status = lines.next().and_then(|line| line.split(' ').nth(1)).and_then(|word| word.parse().ok());
        let mut parsed = Self { status: status.ok_or_else(|| Fault::new("no status"))?, length: 0, kept: true };
        for line in lines {
            let Some((name, value)) = line.split_once(':') else { continue };
            if name.eq_ignore_ascii_case("content-length") {
                parsed.length = value.trim().parse().map_err(because("the answer's length"))?;
            } else if name.eq_ignore_ascii_case("connection") {
                parsed.kept = !value.trim().eq_ignore_ascii_case("close");
            }
        }
        Ok(parsed)
    }
}

async fn dial(tls: &TlsConnector, at: SocketAddr) -> Result<TlsStream<TcpStream>> {
    let socket = TcpStream::connect(at).await.map_err(because("connecting"))?;
    socket.set_nodelay(true).map_err(because("no delay"))?;
    let name = ServerName::try_from("localhost").map_err(because("the server's name"))?;
    tls.connect(name, socket).await.map_err(because("the handshake"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_says_status_length_and_whether_it_stays() {
        let head = Head::parse("HTTP/1.1 201 Created\r\ncontent-LENGTH: 12\r\nConnection: close").unwrap();
        assert_eq!((head.status, head.length, head.kept), (201, 12, false));
        assert!(Head::parse("nonsense").is_err());
    }

    #[test]
    fn a_request_is_whole() {
        let bytes = request("POST", "/x", &[("A", "b")], "{}");
        assert_eq!(
            String::from_utf8(bytes).unwrap(),
            "POST /x HTTP/1.1\r\nHost: localhost\r\nA: b\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
        );
    }
}
