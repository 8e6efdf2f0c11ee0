//! One TLS connection whose bytes and pauses a test decides.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::crypto::aws_lc_rs::{default_provider, kx_group};
use strongroom_tests::harness::{Credentials, World, client_tls};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// How to connect, and to where.
#[derive(Clone)]
pub(crate) struct Way {
    tls: TlsConnector,
    pub(crate) at: SocketAddr,
    /// Size of the socket's receive buffer, in bytes, where a test wants a small one.
    room: Option<u32>,
}

/// A connection.
pub(crate) struct Line {
    stream: TlsStream<TcpStream>,
    read: Vec<u8>,
}

/// What was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Answered {
    pub(crate) status: u16,
    /// In seconds.
    pub(crate) retry_after: Option<u64>,
    pub(crate) stays_open: bool,
}

/// The listeners that carry cards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Door {
    Intake,
    Release,
}

impl Way {
    /// To a listener of the world's vault, as one who may use it.
    pub(crate) fn to(world: &World, door: Door) -> Self {
        let [intake, release, _] = world.vault.addresses();
        match door {
            Door::Intake => Self::new(world, intake, None),
            Door::Release => Self::new(world, release, Some(world.credentials("orchestrator", "main").unwrap())),
        }
    }

    pub(crate) fn new(world: &World, at: SocketAddr, who: Option<Credentials>) -> Self {
        let tls = client_tls(&world.pki, who.as_ref()).unwrap();
        Self { tls: TlsConnector::from(Arc::new(tls)), at, room: None }
    }

    /// With the quickest key exchange alone, for tests that need very many connections.
    pub(crate) fn quick(world: &World, at: SocketAddr) -> Self {
        let mut provider = default_provider();
        provider.kx_groups = vec![kx_group::X25519];
        let mut roots = rustls::RootCertStore::empty();
        let ca =
            <rustls_pki_types::CertificateDer<'_> as rustls_pki_types::pem::PemObject>::from_pem_file(world.pki.ca());
        roots.add(ca.unwrap()).unwrap();
        let tls = rustls::ClientConfig::builder_with_provider(Arc::new(provider))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        Self { tls: TlsConnector::from(Arc::new(tls)), at, room: None }
    }

    /// With little room for answers.
    pub(crate) fn narrow(mut self) -> Self {
        self.room = Some(4096);
        self
    }

    /// A TCP connection without a word of TLS.
    pub(crate) async fn bare(&self) -> io::Result<TcpStream> {
        let socket = TcpSocket::new_v4()?;
        if let Some(bytes) = self.room {
            socket.set_recv_buffer_size(bytes)?;
        }
        let socket = socket.connect(self.at).await?;
        socket.set_nodelay(true)?;
        Ok(socket)
    }

    pub(crate) async fn open(&self) -> io::Result<Line> {
        let name = rustls_pki_types::ServerName::try_from("localhost").map_err(io::Error::other)?;
        let stream = self.tls.connect(name, self.bare().await?).await?;
        Ok(Line { stream, read: Vec::new() })
    }
}

impl Line {
    pub(crate) async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes).await?;
        self.stream.flush().await
    }

    /// Sends byte by byte with a pause after each, until the other end has had enough.
    pub(crate) async fn drip(&mut self, bytes: &[u8], pause: Duration) -> io::Result<()> {
        for byte in bytes {
            self.send(&[*byte]).await?;
            tokio::time::sleep(pause).await;
        }
        Ok(())
    }

    /// Says that nothing more will be sent.
    pub(crate) async fn close_half(&mut self) -> io::Result<()> {
        self.stream.shutdown().await
    }

    /// Reads at most so many bytes of whatever comes and forgets them; 0 at the end.
    pub(crate) async fn sip(&mut self, bytes: usize) -> io::Result<usize> {
        let mut buffer = vec![0; bytes];
        self.stream.read(&mut buffer).await
    }

    /// Reads one answer whole.
    pub(crate) async fn answer(&mut self) -> io::Result<Answered> {
        loop {
            if let Some((answered, length)) = whole(&self.read) {
                self.read.drain(..length);
                return Ok(answered);
            }
            if self.stream.read_buf(&mut self.read).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }

    pub(crate) async fn ask(&mut self, request: &[u8]) -> io::Result<Answered> {
        self.send(request).await?;
        self.answer().await
    }

    /// Waits for the other end to end the connection, whatever it says before; answers how long that took.
    pub(crate) async fn ended(&mut self, within: Duration) -> Option<Duration> {
        let began = Instant::now();
        let reading = async {
            let mut buffer = [0; 16 * 1024];
            while self.stream.read(&mut buffer).await.is_ok_and(|read| read > 0) {}
        };
        tokio::time::timeout(within, reading).await.ok().map(|()| began.elapsed())
    }
}

/// The first answer in `read`, where it is whole, and its length.
fn whole(read: &[u8]) -> Option<(Answered, usize)> {
    let end = read.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    let head = std::str::from_utf8(&read[..end]).ok()?.to_ascii_lowercase();
    let of = |name: &str| head.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
    let length: usize = of("content-length:").and_then(|length| length.parse().ok()).unwrap_or(0);
    let answered = Answered {
        status: head.split(' ').nth(1)?.parse().ok()?,
        retry_after: of("retry-after:").and_then(|seconds| seconds.parse().ok()),
        stays_open: of("connection:") != Some("close"),
    };
    (read.len() >= end + length).then_some((answered, end + length))
}

#[test]
fn an_answer_is_read_when_it_is_whole() {
    let text = b"HTTP/1.1 503 X\r\nContent-Length: 2\r\nRetry-After: 1\r\nConnection: close\r\n\r\n{}HTTP";
    assert_eq!(whole(&text[..text.len() - 5]), None);
    let (answered, length) = whole(text).unwrap();
    assert_eq!(answered, Answered { status: 503, retry_after: Some(1), stays_open: false });
    assert_eq!(&text[length..], b"HTTP");
}
