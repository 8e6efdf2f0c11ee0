//! Who sends the load: `oha`, or a client of our own where `oha` is not at hand.

use std::fmt::Write as _;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::load::Measured;
use super::oha::{Bodies, Oha, Shot};
use super::usage;
use crate::harness::{Binary, Credentials, Fault, Pki, Result, because, binary_path};

/// A kind of load generator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Generator {
    /// `oha`, which must be installed.
    Oha,
    /// The bench's own closed loop (`load`).
    Own,
}

/// Requests of one kind.
pub(super) struct Requests {
    /// Each takes one of these.
    pub(super) paths: Vec<String>,
    /// And one of these.
    pub(super) bodies: Vec<String>,
    /// The status that is right.
    pub(super) status: u16,
    /// The bodies, a line each.
    file: PathBuf,
}

impl Requests {
    /// Writes the bodies down for a generator.
    pub(super) fn new(file: PathBuf, paths: Vec<String>, bodies: Vec<String>, status: u16) -> Result<Self> {
        let text: String = bodies.iter().map(|body| format!("{body}\n")).collect();
        fs::write(&file, text).map_err(because(file.display()))?;
        Ok(Self { paths, bodies, status, file })
    }
}

/// A generator with its certificate.
pub(super) struct Client {
    oha: Option<Oha>,
    folder: PathBuf,
    ca: PathBuf,
    who: Credentials,
    header: String,
    seconds: u64,
}

/// What came of a load, and what it took.
pub(super) struct Seen {
    pub(super) measured: Measured,
    /// Processor time of the server, in microseconds a request.
    pub(super) server_us: f64,
    /// The same of the load generator.
    pub(super) client_us: f64,
}

impl Client {
    /// A client that sends for so many seconds at a time, with this header in every request.
    ///
    /// # Errors
    /// When `oha` is wanted and not there.
    pub(super) fn new(
        generator: Generator,
        pki: &Pki,
        (who, header): (Credentials, String),
        folder: &Path,
        seconds: u64,
    ) -> Result<Self> {
        let oha = match generator {
            Generator::Oha => Some(Oha::find(&pki.ca(), who.clone(), header.clone())?),
            Generator::Own => None,
        };
        Ok(Self { oha, folder: folder.to_owned(), ca: pki.ca(), who, header, seconds })
    }

    /// Loads a server and answers what was seen.
    ///
    /// # Errors
    /// When an answer was wrong.
    pub(super) fn fire(
        &self,
        (at, process): (SocketAddr, u32),
        requests: &Requests,
        connections: usize,
    ) -> Result<Seen> {
        let before = usage::cpu_of(process)?;
        let (measured, spent) = match &self.oha {
            Some(oha) => {
                let bodies = match requests.bodies.as_slice() {
                    [one] => Bodies::One(one),
                    _ => Bodies::Lines(&requests.file),
                };
                let (paths, status) = (&requests.paths, requests.status);
                let shot = Shot { at, paths, bodies, connections, seconds: self.seconds, status };
                oha.fire(&shot, &self.folder)?
            }
            None => self.own(at, requests, connections)?,
        };
        let server = usage::cpu_of(process)?.saturating_sub(before);
        let each = |time: Duration| time.as_secs_f64() * 1e6 / (measured.answered.max(1)) as f64;
        Ok(Seen { server_us: each(server), client_us: each(spent), measured })
    }

    /// Full handshakes, one after the other on so many lines, each with one small request.
    ///
    /// # Errors
    /// When a handshake failed.
    pub(super) fn handshakes(&self, (at, process): (SocketAddr, u32), lines: usize) -> Result<Seen> {
        let before = usage::cpu_of(process)?;
        let file = self.folder.join("handshakes.tsv");
        fs::write(&file, "GET\t/nothing-is-here\t\n").map_err(because(file.display()))?;
        let (measured, spent) = self.load(at, &file, lines, 404, &["--fresh"])?;
        let server = usage::cpu_of(process)?.saturating_sub(before);
        let each = |time: Duration| time.as_secs_f64() * 1e6 / (measured.answered.max(1)) as f64;
        Ok(Seen { server_us: each(server), client_us: each(spent), measured })
    }

    fn own(&self, at: SocketAddr, requests: &Requests, connections: usize) -> Result<(Measured, Duration)> {
        let file = self.folder.join("requests.tsv");
        let mut text = String::new();
        for turn in 0..requests.paths.len().max(requests.bodies.len()) {
            let path = &requests.paths[turn % requests.paths.len()];
            let _ = writeln!(text, "POST\t{path}\t{}", requests.bodies[turn % requests.bodies.len()]);
        }
        fs::write(&file, text).map_err(because(file.display()))?;
        self.load(at, &file, connections, requests.status, &[])
    }

    /// Runs our own generator as a process of its own.
    fn load(
        &self,
        at: SocketAddr,
        requests: &Path,
        connections: usize,
        status: u16,
        more: &[&str],
    ) -> Result<(Measured, Duration)> {
        let mut command = Command::new(binary_path(Binary::Load)?);
        command.args(["--at", &at.to_string(), "--header", &self.header, "--status", &status.to_string()]);
        command.args(["--connections", &connections.to_string(), "--seconds", &self.seconds.to_string()]).args(more);
        command.arg("--requests").arg(requests).arg("--ca").arg(&self.ca);
        command.arg("--certificate").arg(&self.who.certificate).arg("--key").arg(&self.who.key);
        let before = usage::cpu_of_ended_children()?;
        let done = command.output().map_err(because("the load generator"))?;
        let cpu = usage::cpu_of_ended_children()?.saturating_sub(before);
        if !done.status.success() {
            return Err(Fault::new(String::from_utf8_lossy(&done.stderr).into_owned()));
        }
        let measured: Measured =
            serde_json::from_slice(&done.stdout).map_err(because("the load generator's answer"))?;
        if measured.failed > 0 || measured.answered == 0 {
            return Err(Fault::new(format!(
                "{} requests failed, {} were answered",
                measured.failed, measured.answered
            )));
        }
        Ok((measured, cpu))
    }
}
