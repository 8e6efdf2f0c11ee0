//! Where a stream of entries goes: standard output, TCP, TLS, a unix socket; as JSON Lines or as syslog (RFC 5424).

use std::io::{self, Write};
use std::net::TcpStream;
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

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
    Bytes(Box<dyn Write>),
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

    fn try_write(&mut self, entries: &[EntryView]) -> io::Result<()> {
        let mut open = match self.open.take() {
            Some(open) => open,
            None => self.connect()?,
        };
        match &mut open {
            Open::Datagrams(socket) => {
                for entry in entries {
                    socket.send(self.message(entry).as_bytes())?;
                }
            }
            Open::Bytes(to) => {
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
                to.flush()?;
            }
        }
        self.open = Some(open);
        Ok(())
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
            None => Open::Bytes(Box::new(io::stdout())),
            Some(Target::Tcp(to)) => Open::Bytes(Box::new(tcp(to)?)),
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
                Open::Bytes(Box::new(tls))
            }
            Some(Target::Unix(path)) => {
                let socket = UnixDatagram::unbound()?;
                match socket.connect(path) {
                    Ok(()) => Open::Datagrams(socket),
                    // A socket of the other kind.
                    Err(_) => Open::Bytes(Box::new(UnixStream::connect(path)?)),
                }
            }
        })
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

#[cfg(test)]
mod tests {
    use std::io::Read as _;
    use std::net::TcpListener;

    use strongroom_wire::entry::{Act, Entry, OwnAct, Reason, Subject};
    use strongroom_wire::{RequestId, Scope};

    use super::*;

    fn entry(index: u64, outcome: Outcome) -> EntryView {
        let entry = Entry {
            at_ms: 1_764_000_000_123,
            act: if outcome == Outcome::Allowed { Act::Own(OwnAct::Started) } else { Act::Asked(Scope::Reveal) },
            outcome,
            reason: Reason::None,
            request: RequestId::fresh(),
            subject: Subject::None,
            origin: None,
            tenant: None,
            who: "spiffe://strongroom/orchestrator/main".to_owned(),
            note: "a \"quoted\"\nnote".to_owned(),
        };
        EntryView::of(index, &entry, "AA==".to_owned())
    }

    #[test]
    fn a_message_has_the_fields_of_rfc_5424_and_one_line() {
        let message = syslog("strongroom/v1", &entry(41, Outcome::Allowed));
        let head = "<110>1 2025-11-24T16:00:00.123Z strongroom/v1 vaultd - started [meta sequenceId=\"42\"] {";
        assert!(message.starts_with(head), "{message}");
        assert!(!message.contains('\n'));
        let json: EntryView = serde_json::from_str(&message[head.len() - 1..]).unwrap();
        assert_eq!(json.index, 41);
        assert!(syslog("o", &entry(0, Outcome::Refused)).starts_with("<108>1 "));
        assert!(syslog("o", &entry(0, Outcome::Failed)).starts_with("<107>1 "));
        assert!(syslog("o", &entry(0x7fff_ffff, Outcome::Ended)).contains("sequenceId=\"1\""));
    }

    #[test]
    fn an_address_of_another_form_is_refused() {
        assert_eq!("tcp://log:601".parse(), Ok(Target::Tcp("log:601".to_owned())));
        assert_eq!("tls://[::1]:6514".parse(), Ok(Target::Tls("[::1]:6514".to_owned())));
        assert_eq!("unix:/dev/log".parse(), Ok(Target::Unix("/dev/log".into())));
        for bad in ["", "log:601", "tcp:log:601", "tcp://log", "tcp://:601", "tls://log:0", "udp://log:514", "unix:log"]
        {
            assert!(bad.parse::<Target>().is_err(), "{bad}");
        }
        assert!(Sink::new(Format::Jsonl, "o", Some(Target::Tls("log:1".to_owned())), None).is_err());
    }

    #[test]
    fn over_tcp_each_message_stands_behind_its_length() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let to = Target::Tcp(listener.local_addr().unwrap().to_string());
        let mut sink = Sink::new(Format::Syslog, "o", Some(to), None).unwrap();
        sink.write(&[entry(0, Outcome::Allowed), entry(1, Outcome::Refused)]).unwrap();
        drop(sink);
        let mut text = String::new();
        listener.accept().unwrap().0.read_to_string(&mut text).unwrap();
        for index in [0, 1] {
            let (length, rest) = text.split_once(' ').unwrap();
            let (message, rest) = rest.split_at(length.parse().unwrap());
            assert!(message.ends_with('}') && message.contains(&format!("\"index\":{index}")), "{message}");
            text = rest.to_owned();
        }
        assert_eq!(text, "");
    }

    #[test]
    fn a_unix_socket_gets_a_datagram_for_each() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let socket = UnixDatagram::bind(&path).unwrap();
        let mut sink = Sink::new(Format::Syslog, "o", Some(Target::Unix(path)), None).unwrap();
        sink.write(&[entry(0, Outcome::Allowed), entry(1, Outcome::Allowed)]).unwrap();
        for index in [0, 1] {
            let mut bytes = [0; 4096];
            let count = socket.recv(&mut bytes).unwrap();
            assert!(String::from_utf8_lossy(&bytes[..count]).contains(&format!("sequenceId=\"{}\"", index + 1)));
        }
    }
}
