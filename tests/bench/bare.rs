//! What the servers are compared with, as processes.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use crate::harness::{API_KEY, Binary, Credentials, Pki, Process, Result, because, binary_path};

/// A running bare endpoint.
pub(super) struct Bare {
    // Dropping it ends the process.
    process: Process,
    pub(super) at: SocketAddr,
}

impl Bare {
    /// Starts one with the vault's own server certificate and client CA.
    pub(super) async fn start(folder: &Path, pki: &Pki, server: &Credentials) -> Result<Self> {
        let ready = folder.join("bare-ready");
        let _ = fs::remove_file(&ready);
        let mut command = Command::new(binary_path(Binary::BareEndpoint)?);
        command.args(["--listen", "127.0.0.1:0", "--certificate"]).arg(&server.certificate);
        command.arg("--key").arg(&server.key).arg("--client-ca").arg(pki.ca()).arg("--ready-file").arg(&ready);
        let mut process = Process::start("bare-endpoint", &mut command, &folder.join("bare.log"))?;
        let at = process.ready(&ready).await?.trim().parse().map_err(because("the bare endpoint's address"))?;
        Ok(Self { process, at })
    }

    /// Its process id.
    pub(super) fn process(&self) -> u32 {
        self.process.id()
    }

    /// Starts a proxy to a provider.
    pub(super) async fn proxy(folder: &Path, pki: &Pki, server: &Credentials, psp: &str) -> Result<Self> {
        let ready = folder.join("proxy-ready");
        let _ = fs::remove_file(&ready);
        let mut command = Command::new(binary_path(Binary::BareProxy)?);
        command.args(["--listen", "127.0.0.1:0", "--psp", psp, "--api-key", API_KEY]).arg("--ready-file").arg(&ready);
        command.arg("--certificate").arg(&server.certificate).arg("--key").arg(&server.key).arg("--ca").arg(pki.ca());
        let mut process = Process::start("bare-proxy", &mut command, &folder.join("proxy.log"))?;
        let at = process.ready(&ready).await?.trim().parse().map_err(because("the proxy's address"))?;
        Ok(Self { process, at })
    }
}
