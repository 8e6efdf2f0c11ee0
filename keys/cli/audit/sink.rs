//! Where a stream of entries goes: standard output, TCP, TLS, a unix socket; as JSON Lines or as syslog (RFC 5424).

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::ValueEnum;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use rustls_pki_types::ServerName;
use strongroom_wire::admin::EntryView;
use strongroom_wire::entry::Outcome;

use crate::client::certificates;
use crate::failure::Failure;

/// How an entry is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// One JSON document a line
    Jsonl,
    /// RFC 5424, the same JSON as message; over TCP and TLS with the length in front (RFC 6587, RFC 5425)
    Syslog,
}

/// An address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Target {
    Tcp(String),
    Tls(String),
    Unix(PathBuf),
}

/// Takes entries to one place. A connection is made when it is needed, and again after a fault.
pub(super) struct Sink {
    format: Format,
    origin: String,
    target: Option<Target>,
    tls: Option<Arc<ClientConfig>>,
    open: Option<Open>,
}

enum Open {
    Stdout(io::Stdout),
    Tcp(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
    Unix(UnixStream),
    Datagrams(UnixDatagram),
}

impl FromStr for Target {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let host = |rest: &str| {
            let (host, port) = rest.rsplit_once(':')?;
            (!host.is_empty() && port.parse::<u16>().is_ok_and(|port| port > 0)).then(|| rest.to_owned())
        };
        let target = match text.split_once(':') {
            Some(("tcp", rest)) => rest.strip_prefix("//").and_then(host).map(Target::Tcp),
            Some(("tls", rest)) => rest.strip_prefix("//").and_then(host).map(Target::Tls),
            Some(("unix", path)) if path.starts_with('/') => Some(Target::Unix(path.into())),
            _ => None,
        };
        target.ok_or("an address is tls://HOST:PORT, tcp://HOST:PORT or unix:/PATH")
    }
}

impl Sink {
    /// Entries of the log `origin`, to an address or to standard output.
    pub(super) fn new(
        format: Format,
        origin: &str,
        target: Option<Target>,
        ca: Option<&Path>,
    ) -> Result<Self, Failure> {
        let tls = match (&target, ca) {
            (Some(Target::Tls(_)), Some(ca)) => Some(trusting(ca)?),
            (Some(Target::Tls(_)), None) => {
                return Err(Failure::new("no certificate authority is named for the receiver", "name it with --to-ca"));
            }
            _ => None,
        };
        Ok(Self { format, origin: origin.to_owned(), target, tls, open: None })
    }

    /// Hands a batch over. After an error the whole batch has to be handed over again.
    pub(super) fn write(&mut self, entries: &[EntryView]) -> io::Result<()> {
        let done = self.try_write(entries);
        if done.is_err() {
            self.open = None;
        }
        done
    }

    /// Ends the connection as its protocol has it, and waits a moment for the receiver to do so, too: to go away with
    /// something unread would have the system cut off what is still on its way.
    pub(super) fn end(mut self) {
        let part = |socket: &mut TcpStream| {
            let until = Instant::now() + PART_MAX;
            let parting = socket.set_read_timeout(Some(PART_MAX)).and_then(|()| socket.shutdown(Shutdown::Write));
            let mut bytes = [0; 1024];
            while parting.is_ok() && Instant::now() < until && matches!(socket.read(&mut bytes), Ok(1..)) {}
        };
        match self.open.take() {
            Some(Open::Tls(mut tls)) => {
                tls.conn.send_close_notify();
                if tls.flush().is_ok() {
                    part(&mut tls.sock);
                }
            }
            Some(Open::Tcp(mut socket)) => part(&mut socket),
            // Within one machine nothing is on its way.
            Some(Open::Stdout(_) | Open::Unix(_) | Open::Datagrams(_)) | None => {}
        }
    }

    fn try_write(&mut self, entries: &[EntryView]) -> io::Result<()> {
        // What is written to a receiver that hung up is lost without an error, so it is asked first.
        let mut open = match self.open.take().and_then(|mut open| (!open.is_over()).then_some(open)) {
            Some(open) => open,
            None => self.connect()?,
        };
        match &mut open {
            Open::Datagrams(socket) => {
                for entry in entries {
                    socket.send(self.message(entry).as_bytes())?;
                }
            }
            Open::Stdout(to) => self.hand_over(to, entries)?,
            Open::Tcp(to) => self.hand_over(to, entries)?,
            Open::Tls(to) => self.hand_over(to, entries)?,
            Open::Unix(to) => self.hand_over(to, entries)?,
        }
        self.open = Some(open);
        Ok(())
    }

    fn hand_over(&self, to: &mut impl Write, entries: &[EntryView]) -> io::Result<()> {
        let mut bytes = Vec::new();
        for entry in entries {
            let message = self.message(entry);
            // Standard output has lines; a syslog receiver is told how long each message is.
            if self.format == Format::Syslog && self.target.is_some() {
                write!(bytes, "{} {message}", message.len())?;
            } else {
                writeln!(bytes, "{message}")?;
            }
        }
        to.write_all(&bytes)?;
        to.flush()
    }

    fn message(&self, entry: &EntryView) -> String {
        match self.format {
            Format::Jsonl => json(entry),
            Format::Syslog => syslog(&self.origin, entry),
        }
    }

    fn connect(&self) -> io::Result<Open> {
        let tcp = |to: &str| {
            let socket = TcpStream::connect(to)?;
            socket.set_write_timeout(Some(WRITE_MAX))?;
            io::Result::Ok(socket)
        };
        Ok(match &self.target {
            None => Open::Stdout(io::stdout()),
            Some(Target::Tcp(to)) => Open::Tcp(tcp(to)?),
            Some(Target::Tls(to)) => {
                let host = to.rsplit_once(':').map_or(to.as_str(), |(host, _)| host).to_owned();
                let host = host.trim_matches(['[', ']']).to_owned();
                let name = ServerName::try_from(host).map_err(io::Error::other)?;
                let config = self.tls.clone().ok_or(io::ErrorKind::InvalidInput)?;
                let session = ClientConnection::new(config, name).map_err(io::Error::other)?;
                let mut tls = StreamOwned::new(session, tcp(to)?);
                // The handshake now, so that a receiver of another authority is an error before anything is sent.
                while tls.conn.is_handshaking() {
                    tls.conn.complete_io(&mut tls.sock)?;
                }
                Open::Tls(Box::new(tls))
            }
            Some(Target::Unix(path)) => {
                let socket = UnixDatagram::unbound()?;
                match socket.connect(path) {
                    Ok(()) => Open::Datagrams(socket),
                    // A socket of the other kind.
                    Err(_) => Open::Unix(UnixStream::connect(path)?),
                }
            }
        })
    }
}

impl Open {
    /// Whether the other end hung up. Receivers of a log say nothing; whatever they say is read and passed over.
    fn is_over(&mut self) -> bool {
        match self {
            Open::Stdout(_) | Open::Datagrams(_) => false,
            Open::Tcp(socket) => {
                let over = socket.set_nonblocking(true).is_err() || ended(socket);
                over || socket.set_nonblocking(false).is_err()
            }
            Open::Unix(socket) => {
                let over = socket.set_nonblocking(true).is_err() || ended(socket);
                over || socket.set_nonblocking(false).is_err()
            }
            Open::Tls(tls) => {
                let over = tls.sock.set_nonblocking(true).is_err() || ended(tls);
                over || tls.sock.set_nonblocking(false).is_err()
            }
        }
    }
}

/// Reads what there is without waiting for more.
fn ended(from: &mut impl Read) -> bool {
    let mut bytes = [0; 1024];
    loop {
        match from.read(&mut bytes) {
            Ok(0) => return true,
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return error.kind() != io::ErrorKind::WouldBlock,
        }
    }
}

fn trusting(ca: &Path) -> Result<Arc<ClientConfig>, Failure> {
    let unusable = || Failure::new(format!("{} cannot be used", ca.display()), "name a PEM file with --to-ca");
    let mut roots = RootCertStore::empty();
    for certificate in certificates(ca, "--to-ca")? {
        roots.add(certificate).map_err(|_| unusable())?;
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let versions = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = versions.map_err(|_| unusable())?.with_root_certificates(roots).with_no_client_auth();
    Ok(Arc::new(config))
}

/// One line of JSON.
pub(super) fn json(entry: &EntryView) -> String {
    // A struct of texts and numbers always has a JSON form.
    serde_json::to_string(entry).unwrap_or_default()
}

/// `<PRI>1 TIME ORIGIN vaultd - ACT [meta sequenceId="N"] JSON` (RFC 5424 section 6; facility 13, log audit).
fn syslog(origin: &str, entry: &EntryView) -> String {
    let severity = match entry.outcome {
        Outcome::Allowed | Outcome::Ended => 6,
        Outcome::Refused => 4,
        Outcome::Failed => 3,
    };
    // From 1 to 2147483647, and then from 1 again (section 7.3.1).
    let sequence = entry.index % 0x7fff_ffff + 1;
    let priority = FACILITY * 8 + severity;
    let EntryView { at, act, .. } = entry;
    format!("<{priority}>1 {at} {origin} vaultd - {act} [meta sequenceId=\"{sequence}\"] {}", json(entry))
}

/// Log audit.
const FACILITY: u32 = 13;
/// A receiver that takes nothing for so long is as good as gone.
const WRITE_MAX: Duration = Duration::from_secs(30);
/// A receiver that does not hang up in so long may do so later.
const PART_MAX: Duration = Duration::from_secs(5);

#[cfg(test)]
#[path = "sink_tests.rs"]
mod tests;
