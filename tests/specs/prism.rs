//! Prism (github.com/stoplightio/prism) as a process that holds requests against a specification.

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use rustls::crypto::aws_lc_rs::default_provider;
use rustls::{ClientConfig, RootCertStore};
use serde_json::Value;
use strongroom_tests::harness::{Process, eventually};

/// A running Prism. Its answers are made up; only whether it accepts a request counts.
pub(crate) struct Prism {
    _process: Process,
    http: reqwest::Client,
    base: String,
    _folder: tempfile::TempDir,
}

impl Prism {
    /// Starts it with a specification of this folder.
    pub(crate) async fn start(specification: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let at = free();
        let here = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
        let mut command = Command::new("node");
        command
            .arg(program(&here))
            .args(["mock", "--host", "127.0.0.1", "--errors", "--port", &at.port().to_string()])
            .arg(here.join("specs").join(specification))
            .env("SCARF_ANALYTICS", "false");
        let mut process = Process::start("prism", &mut command, &folder.path().join("prism.log")).unwrap();
        let listens = eventually("Prism to listen", Duration::from_secs(60), || async move {
            Ok(tokio::net::TcpStream::connect(at).await.ok().map(drop))
        });
        listens.await.unwrap_or_else(|fault| panic!("{fault}:\n{}", process.log_tail()));
        assert!(process.ended().unwrap().is_none(), "{}", process.log_tail());
        Self { _process: process, http: plain_http(), base: format!("http://{at}"), _folder: folder }
    }

    /// Why the request is not one that the specification allows; `None` if it is. The path is below the server's base.
    pub(crate) async fn complaint(&self, path: &str, headers: &[(&str, &str)], body: &Value) -> Option<String> {
        let mut request = self.http.post(format!("{}{path}", self.base)).header("Content-Type", "application/json");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = request.body(body.to_string()).send().await.unwrap();
        let violations = answer.headers().get("sl-violations").map(|text| text.to_str().unwrap().to_owned());
        let status = answer.status();
        match (status.is_success(), violations) {
            // Prism complains of its own made-up answers, too; those are no fault of the request.
            (true, _) => None,
            (false, Some(violations)) => Some(violations),
            (false, None) => Some(format!("{status} {}", answer.text().await.unwrap())),
        }
    }
}

/// The program in the folder that `cargo xtask test` installs it into.
fn program(here: &Path) -> PathBuf {
    let program = here.join("../target/node/node_modules/@stoplight/prism-cli/dist/index.js");
    assert!(program.exists(), "Prism is not installed: `cargo xtask test` installs it");
    program
}

/// A client of this machine alone. It trusts nobody, because it speaks no TLS.
fn plain_http() -> reqwest::Client {
    let tls = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth();
    reqwest::Client::builder().tls_backend_preconfigured(tls).no_proxy().build().unwrap()
}

/// A port that is free now. Prism takes a number and no socket.
fn free() -> SocketAddr {
    TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap()
}
