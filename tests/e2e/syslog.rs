//! The log at a receiver of syslog: a real stream over TLS, read as RFC 5425 and RFC 5424 say, against the exported log.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::net::TcpListener;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustls::crypto::aws_lc_rs::default_provider;
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::Value;
use strongroom_tests::harness::{Credentials, World, eventually};

use super::log::{entries, succeed, vaultctl};

/// What came over each connection.
type Got = Arc<Mutex<Vec<Came>>>;

#[derive(Default)]
struct Came {
    bytes: Vec<u8>,
    /// It ended as TLS says, and not in the middle.
    ended: bool,
}

#[tokio::test]
async fn a_receiver_of_syslog_over_tls_has_every_entry_of_the_log_and_goes_on_with_the_next_stream() {
    let world = World::vault_only().await.unwrap();
    let who = world.credentials("security", "alice").unwrap();
    let (key, _) = world.keep_checkpoint().await.unwrap();
    let (port, got) = receiver(&world.pki.server("siem").unwrap());
    let (to, ca, cursor) = (format!("tls://localhost:{port}"), world.pki.ca(), world.path().join("cursor"));
    let stream = |follow: &[&str]| {
        let mut command = vaultctl(&world, &who, &["audit", "stream", "--format", "syslog", "--to", &to]);
        command.args(["--public-key", &key]).args(follow);
        command.arg("--to-ca").arg(&ca).arg("--cursor").arg(&cursor);
        command
    };

    let mut following = stream(&["--follow"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    entries(&world, 20).await;
    has_come(&got, covered(&world).await).await;
    following.kill().unwrap();
    following.wait().unwrap();

    // What was logged while nobody streamed comes with the next stream, over another connection.
    entries(&world, 20).await;
    let until = covered(&world).await;
    assert_eq!(succeed(&mut stream(&[])), "");
    has_come(&got, until).await;
    // The one that was killed cannot say that it ends; the one that was done does (RFC 5425 section 4.4).
    let ends = || got.lock().unwrap().iter().map(|came| came.ended).collect::<Vec<_>>();
    eventually("the second to end", Duration::from_secs(20), || async {
        Ok(matches!(ends()[..], [false, .., true]).then_some(()))
    })
    .await
    .unwrap();

    let exported = world.path().join("audit.jsonl");
    succeed(vaultctl(&world, &who, &["audit", "export", "--public-key", &key]).arg("--out").arg(&exported));
    let exported = fs::read_to_string(exported).unwrap();
    let origin = key.split_once('+').unwrap().0;
    let mut seen: BTreeMap<usize, String> = BTreeMap::new();
    for message in messages(&got) {
        let (head, json) = message.split_once(" {").unwrap();
        let json = format!("{{{json}");
        let entry: Value = serde_json::from_str(&json).unwrap();
        let text = |name: &str| entry[name].as_str().unwrap();
        let index = entry["index"].as_u64().unwrap();
        let priority = match text("outcome") {
            "allowed" | "ended" => 110,
            "refused" => 108,
            "failed" => 107,
            other => panic!("there is no outcome {other}"),
        };
        let (at, act, sequence) = (text("at"), text("act"), index + 1);
        assert_eq!(head, format!("<{priority}>1 {at} {origin} vaultd - {act} [meta sequenceId=\"{sequence}\"]"));
        // The last batch before the kill may come twice, and is then the same.
        let before = seen.insert(usize::try_from(index).unwrap(), json.clone());
        assert!(before.is_none_or(|before| before == json), "entry {index} came in two forms");
    }
    let whole: BTreeMap<usize, String> = exported.lines().map(str::to_owned).enumerate().take(seen.len()).collect();
    assert!(seen.len() >= until);
    assert_eq!(seen, whole, "what the receiver has is not the log");
}

#[tokio::test]
async fn a_receiver_of_another_authority_gets_no_entry_and_the_cursor_stays() {
    let world = World::vault_only().await.unwrap();
    let who = world.credentials("security", "alice").unwrap();
    let (key, _) = world.keep_checkpoint().await.unwrap();
    let (port, got) = receiver(&world.pki.server("siem").unwrap());
    let other = world.path().join("other");
    let other = strongroom_tests::harness::Pki::new(other).unwrap();
    let cursor = world.path().join("cursor");
    let to = format!("tls://localhost:{port}");
    let arguments = ["audit", "stream", "--format", "syslog", "--to", &to, "--public-key", &key];
    let mut stream = vaultctl(&world, &who, &arguments);
    let done = stream.arg("--to-ca").arg(other.ca()).arg("--cursor").arg(&cursor).output().unwrap();
    assert_eq!(done.status.code(), Some(1), "{}", String::from_utf8_lossy(&done.stdout));
    let why = String::from_utf8_lossy(&done.stderr).into_owned();
    assert!(why.contains("the receiver does not take entries"), "{why}");
    assert!(!cursor.exists() && messages(&got).is_empty());
}

/// The number of entries that the vault has signed for.
async fn covered(world: &World) -> usize {
    let (_, checkpoint) = world.keep_checkpoint().await.unwrap();
    fs::read_to_string(checkpoint).unwrap().lines().nth(1).unwrap().parse().unwrap()
}

/// Waits until the receiver has the entries before `until`.
async fn has_come(got: &Got, until: usize) {
    let last = format!("[meta sequenceId=\"{until}\"]");
    eventually("the receiver to have it all", Duration::from_secs(60), || async {
        Ok(messages(got).iter().any(|message| message.contains(&last)).then_some(()))
    })
    .await
    .unwrap();
}

/// The messages behind their lengths; one that a kill cut off is none.
fn messages(got: &Got) -> Vec<String> {
    let mut messages = Vec::new();
    for came in got.lock().unwrap().iter() {
        let mut rest = &came.bytes[..];
        while let Some(space) = rest.iter().position(|byte| *byte == b' ') {
            let length: usize = std::str::from_utf8(&rest[..space]).unwrap().parse().unwrap();
            let Some(message) = rest[space + 1..].get(..length) else { break };
            messages.push(String::from_utf8(message.to_vec()).unwrap());
            rest = &rest[space + 1 + length..];
        }
    }
    messages
}

/// A receiver with this certificate, which takes whatever comes; its port.
fn receiver(server: &Credentials) -> (u16, Got) {
    let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            CertificateDer::pem_file_iter(&server.certificate).unwrap().map(Result::unwrap).collect(),
            PrivateKeyDer::from_pem_file(&server.key).unwrap(),
        )
        .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (config, got) = (Arc::new(config), Got::default());
    let all = Arc::clone(&got);
    std::thread::spawn(move || {
        while let Ok((socket, _)) = listener.accept() {
            let mut tls = StreamOwned::new(ServerConnection::new(Arc::clone(&config)).unwrap(), socket);
            let got = Arc::clone(&all);
            let place = {
                let mut all = got.lock().unwrap();
                all.push(Came::default());
                all.len() - 1
            };
            std::thread::spawn(move || {
                let mut bytes = [0; 16 * 1024];
                loop {
                    match tls.read(&mut bytes) {
                        Ok(0) => return got.lock().unwrap()[place].ended = true,
                        Ok(count) => got.lock().unwrap()[place].bytes.extend_from_slice(&bytes[..count]),
                        Err(_) => return,
                    }
                }
            });
        }
    });
    (port, got)
}
