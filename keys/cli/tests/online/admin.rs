//! An admin listener in a thread: mutual TLS with certificates that vaultctl made, answers that a test scripts.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Arc, Mutex};

use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned, SupportedProtocolVersion};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tempfile::TempDir;

/// What came in.
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) body: Vec<u8>,
    /// The client's certificate, which stands for the person.
    pub(crate) person: Vec<u8>,
}

/// Status, further head lines, body.
pub(crate) type Answer = (u16, &'static str, String);

/// A folder with a certificate authority, a server and two people.
pub(crate) struct World {
    folder: TempDir,
}

impl World {
    pub(crate) fn new() -> Self {
        let world = Self { folder: tempfile::tempdir().unwrap() };
        world.done("pki init --out pki");
        world.done("pki issue --ca pki --out pki --server --dns localhost --ip 127.0.0.1");
        world.done("pki issue --ca pki --out pki --uri spiffe://strongroom/custodian/ada");
        world.done("pki issue --ca pki --out pki --uri spiffe://strongroom/custodian/ben");
        world
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Runs vaultctl in the folder.
    pub(crate) fn run(&self, arguments: &str) -> Output {
        Command::new(env!("CARGO_BIN_EXE_vaultctl"))
            .args(arguments.split(' '))
            .current_dir(self.folder.path())
            .env_remove("STRONGROOM_ADMIN_URL")
            .output()
            .unwrap()
    }

    /// Runs what has to succeed; its standard output.
    pub(crate) fn done(&self, arguments: &str) -> String {
        let output = self.run(arguments);
        assert!(output.status.success(), "{arguments}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// Runs what has to be refused; its standard error.
    pub(crate) fn refused(&self, arguments: &str) -> String {
        let output = self.run(arguments);
        assert_eq!(output.status.code(), Some(1), "{arguments}: {}", String::from_utf8_lossy(&output.stdout));
        String::from_utf8(output.stderr).unwrap()
    }

    /// Listens, and answers the flags that lead a person there.
    pub(crate) fn listen<F>(&self, answer: F) -> impl Fn(&str) -> String + use<F>
    where
        F: FnMut(Request) -> Answer + Send + 'static,
    {
        self.listen_with(&[&rustls::version::TLS13], answer)
    }

    /// As `listen`, with other versions of TLS.
    pub(crate) fn listen_with<F>(
        &self,
        versions: &[&'static SupportedProtocolVersion],
        answer: F,
    ) -> impl Fn(&str) -> String + use<F>
    where
        F: FnMut(Request) -> Answer + Send + 'static,
    {
        let config = Arc::new(config(&self.path("pki"), versions));
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let answer = Arc::new(Mutex::new(answer));
        std::thread::spawn(move || {
            while let Ok((socket, _)) = listener.accept() {
                let tls = StreamOwned::new(ServerConnection::new(Arc::clone(&config)).unwrap(), socket);
                let answer = Arc::clone(&answer);
                // A connection that ends early is a test's own doing.
                std::thread::spawn(move || drop(exchange(tls, &answer)));
            }
        });
        move |person| {
            format!("--url https://localhost:{port} --ca pki/ca.pem --cert pki/{person}.pem --key pki/{person}.key")
        }
    }
}

fn config(pki: &Path, versions: &[&'static SupportedProtocolVersion]) -> ServerConfig {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(pki.join("ca.pem")).unwrap()).unwrap();
    let clients = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider)).build().unwrap();
    ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .unwrap()
        .with_client_cert_verifier(clients)
        .with_single_cert(
            vec![CertificateDer::from_pem_file(pki.join("server.pem")).unwrap()],
            PrivateKeyDer::from_pem_file(pki.join("server.key")).unwrap(),
        )
        .unwrap()
}

/// One connection: requests with a Content-Length, one after the other.
fn exchange(
    tls: StreamOwned<ServerConnection, std::net::TcpStream>,
    answer: &Mutex<impl FnMut(Request) -> Answer>,
) -> std::io::Result<()> {
    let mut tls = BufReader::new(tls);
    loop {
        let mut line = String::new();
        if tls.read_line(&mut line)? == 0 {
            return Ok(());
        }
        let mut words = line.split_whitespace().map(str::to_owned);
        let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let mut length = 0;
        loop {
            let mut head = String::new();
            tls.read_line(&mut head)?;
            if head.trim().is_empty() {
                break;
            }
            if let Some(value) = head.to_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
        }
        let mut body = vec![0; length];
        tls.read_exact(&mut body)?;
        let person = tls.get_ref().conn.peer_certificates().unwrap()[0].to_vec();
        let mut answering = answer.lock().unwrap();
        let (status, head, body) = answering(Request { method, path, body, person });
        drop(answering);
        let tls = tls.get_mut();
        write!(tls, "HTTP/1.1 {status} x\r\nContent-Length: {}\r\n{head}\r\n{body}", body.len())?;
        tls.flush()?;
    }
}
