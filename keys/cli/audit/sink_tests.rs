//! What receivers get: forms, frames, and whom they are reached by.

use std::net::TcpListener;
use std::thread::JoinHandle;

use rcgen::{CertificateParams, KeyPair};
use rustls::{ServerConfig, ServerConnection};
use rustls_pki_types::PrivateKeyDer;
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
    for bad in ["", "log:601", "tcp:log:601", "tcp://log", "tcp://:601", "tls://log:0", "udp://log:514", "unix:log"] {
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
fn a_receiver_that_hung_up_while_nothing_came_gets_the_next_batch_over_a_new_connection() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let to = Target::Tcp(listener.local_addr().unwrap().to_string());
    let mut sink = Sink::new(Format::Jsonl, "o", Some(to), None).unwrap();
    for index in 0..3 {
        sink.write(&[entry(index, Outcome::Allowed)]).unwrap();
        let (mut socket, _) = listener.accept().unwrap();
        let mut bytes = [0; 4096];
        let count = socket.read(&mut bytes).unwrap();
        assert!(String::from_utf8_lossy(&bytes[..count]).contains(&format!("\"index\":{index}")));
        drop(socket);
        std::thread::sleep(Duration::from_millis(50));
    }
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

#[test]
fn a_receiver_that_stays_on_the_line_holds_nobody_for_long() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let to = Target::Tcp(listener.local_addr().unwrap().to_string());
    let mut sink = Sink::new(Format::Jsonl, "o", Some(to), None).unwrap();
    sink.write(&[entry(0, Outcome::Allowed)]).unwrap();
    let (mut socket, _) = listener.accept().unwrap();
    socket.write_all(b"a receiver that talks").unwrap();
    // It comes back though nobody hangs up, and what it wrote is there to its end.
    sink.end();
    let mut text = String::new();
    socket.read_to_string(&mut text).unwrap();
    assert!(text.contains("\"index\":0") && text.ends_with('\n'), "{text}");
}

/// A receiver on loopback and the file of its own certificate; the thread answers what it got over one connection.
fn tls_receiver(folder: &Path, name: &str) -> (Target, PathBuf, JoinHandle<io::Result<String>>) {
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec!["localhost".to_owned()]).unwrap().self_signed(&key).unwrap();
    let pem = folder.join(name);
    std::fs::write(&pem, certificate.pem()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], PrivateKeyDer::try_from(key.serialize_der()).unwrap())
        .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let to = Target::Tls(format!("localhost:{}", listener.local_addr().unwrap().port()));
    let got = std::thread::spawn(move || {
        let (socket, _) = listener.accept()?;
        let session = ServerConnection::new(Arc::new(config)).map_err(io::Error::other)?;
        let mut text = String::new();
        match StreamOwned::new(session, socket).read_to_string(&mut text) {
            // The sink goes away without a word, as a process that is killed does.
            Err(error) if error.kind() != io::ErrorKind::UnexpectedEof => Err(error),
            _ => Ok(text),
        }
    });
    (to, pem, got)
}

#[test]
fn over_tls_a_receiver_of_the_named_authority_gets_every_message() {
    let folder = tempfile::tempdir().unwrap();
    let (to, pem, got) = tls_receiver(folder.path(), "ca.pem");
    let mut sink = Sink::new(Format::Syslog, "o", Some(to), Some(&pem)).unwrap();
    // Between the two lie the server's session tickets, which are read and are no end.
    sink.write(&[entry(0, Outcome::Allowed)]).unwrap();
    std::thread::sleep(Duration::from_millis(50));
    sink.write(&[entry(1, Outcome::Allowed)]).unwrap();
    drop(sink);
    let text = got.join().unwrap().unwrap();
    assert!(text.contains("\"index\":0") && text.contains("\"index\":1"), "{text}");
}

#[test]
fn over_tls_a_receiver_of_another_authority_gets_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (to, _, got) = tls_receiver(folder.path(), "ca.pem");
    let (_, other, _) = tls_receiver(folder.path(), "other.pem");
    let mut sink = Sink::new(Format::Syslog, "o", Some(to), Some(&other)).unwrap();
    assert!(sink.write(&[entry(0, Outcome::Allowed)]).is_err());
    assert!(!got.join().unwrap().is_ok_and(|text| text.contains("index")));
}
