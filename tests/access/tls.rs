//! The handshake itself: versions, key exchange, and no plain HTTP anywhere.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use rustls::version::{TLS12, TLS13};
use rustls::{ProtocolVersion, SupportedProtocolVersion};
use strongroom_tests::harness::{Handshake, World};

const OLD: &[&SupportedProtocolVersion] = &[&TLS12];
const NEW: &[&SupportedProtocolVersion] = &[&TLS13];

#[tokio::test]
async fn release_and_admin_speak_tls_13_alone() {
    let world = World::vault_only().await.unwrap();
    let [_, release, admin] = world.vault.addresses();
    for (at, role, name) in [(release, "orchestrator", "main"), (admin, "security", "alice")] {
        let who = world.credentials(role, name).unwrap();
        let old = Handshake { who: Some(&who), versions: OLD }.ask(&world.pki, at, "GET", "/openapi.json");
        assert!(old.is_err(), "TLS 1.2 was answered with {old:?}");
        let new = Handshake { who: Some(&who), versions: NEW }.ask(&world.pki, at, "GET", "/openapi.json");
        assert_eq!(new.unwrap(), 200);
    }
}

#[tokio::test]
async fn intake_speaks_tls_12_to_old_browsers() {
    let world = World::vault_only().await.unwrap();
    let [intake, _, _] = world.vault.addresses();
    let old = Handshake { who: None, versions: OLD }.connect(&world.pki, intake).unwrap();
    assert_eq!(old.version(), Some(ProtocolVersion::TLSv1_2));
    let new = Handshake::default().connect(&world.pki, intake).unwrap();
    assert_eq!(new.version(), Some(ProtocolVersion::TLSv1_3));
}

#[tokio::test]
async fn the_hybrid_key_exchange_comes_first() {
    let world = World::vault_only().await.unwrap();
    let who = world.credentials("orchestrator", "main").unwrap();
    for at in &world.vault.addresses()[..2] {
        let talk = Handshake { who: Some(&who), ..Handshake::default() }.connect(&world.pki, *at).unwrap();
        assert_eq!(talk.key_exchange(), "X25519MLKEM768");
    }
}

#[tokio::test]
async fn plain_http_is_answered_nowhere() {
    let world = World::vault_only().await.unwrap();
    for at in world.vault.addresses() {
        let mut socket = TcpStream::connect(at).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        socket.write_all(b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
        let mut said = Vec::new();
        // The server may answer with a TLS alert or close at once; either way no HTTP comes back.
        let _ = socket.read_to_end(&mut said);
        assert!(!said.windows(4).any(|four| four == b"HTTP"), "{at} answered plain HTTP");
    }
}
