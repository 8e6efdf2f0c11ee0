//! What stands on the wire: one connection, one meaning, and nobody who is slow or greedy keeps others out.

use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use strongroom_tests::harness::{Handshake, Result, Talk, World};
use strongroom_wire::limits::BODY_TTL_S;

use crate::{VISA, card, id, vault};

/// A connection to intake (0) or release (1).
fn talk(world: &World, listener: usize) -> Result<Talk> {
    let who = world.credentials("orchestrator", "main")?;
    let who = (listener == 1).then_some(&who);
    Handshake { who, ..Handshake::default() }.connect(&world.pki, world.vault.addresses()[listener])
}

fn post(path: &str, more: &str) -> String {
    format!("POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n{more}\r\n")
}

#[tokio::test]
async fn a_header_that_stands_twice_is_refused_and_not_chosen_from() -> Result<()> {
    let (world, release) = vault().await?;
    world.register("other").await?;
    let token = id(&release.post("/v1/payment_methods", &card(VISA, json!({}))).await?.expect(201)?);
    for (one, two) in [(world.tenant.as_str(), "other"), ("other", world.tenant.as_str())] {
        let mut talk = talk(&world, 1)?;
        let head = format!(
            "GET /v1/payment_methods/{token} HTTP/1.1\r\nHost: localhost\r\nStrongroom-Tenant: {one}\r\n\
             Strongroom-Tenant: {two}\r\n\r\n"
        );
        talk.send(&head, b"")?;
        let (status, _, body) = talk.answer()?;
        let problem: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!((status, problem["field"].as_str()), (422, Some("Strongroom-Tenant")));
    }
    let session = release.post("/v1/sessions", &json!({"allowed_origins": ["https://shop.example"]})).await?;
    let secret = session.expect(201)?["client_secret"].as_str().unwrap().to_owned();
    let body = card(VISA, json!({})).to_string();
    for (more, wanted) in [
        (format!("Authorization: Bearer {secret}\r\n"), 201),
        (format!("Authorization: Bearer {secret}\r\nAuthorization: Bearer {secret}\r\n"), 401),
        (
            format!(
                "Authorization: Bearer {secret}\r\nOrigin: https://shop.example\r\nOrigin: https://evil.example\r\n"
            ),
            401,
        ),
        (format!("Authorization: Bearer {secret}\r\nIdempotency-Key: a\r\nIdempotency-Key: b\r\n"), 422),
    ] {
        let mut talk = talk(&world, 0)?;
        let head = post("/v1/payment_methods", &format!("{more}Content-Length: {}\r\n", body.len()));
        talk.send(&head, body.as_bytes())?;
        assert_eq!(talk.answer()?.0, wanted);
        // Whatever the answer: a card was sent over this connection.
        talk.closed()?;
    }
    Ok(())
}

#[tokio::test]
async fn a_body_without_a_length_is_refused_and_the_connection_closed() -> Result<()> {
    let (world, _release) = vault().await?;
    for (listener, path) in [(0, "/v1/payment_methods"), (0, "/nowhere"), (1, "/v1/payment_methods"), (1, "/nowhere")] {
        let mut talk = talk(&world, listener)?;
        talk.send(&post(path, "Transfer-Encoding: chunked\r\n"), b"4\r\n{")?;
        let (status, _, body) = talk.answer()?;
        let problem: Value = serde_json::from_slice(&body).unwrap();
        // Refused for what it is, and not when its time was over.
        assert_eq!(status, 400);
        assert!(!problem["detail"].as_str().unwrap().contains("within"), "{path}: {problem}");
        talk.closed()?;
    }
    Ok(())
}

#[tokio::test]
async fn a_body_that_never_ends_is_given_up() -> Result<()> {
    let (world, _release) = vault().await?;
    let mut waiting = Vec::new();
    for more in ["Content-Length: 40\r\n", "Upgrade: websocket\r\nConnection: Upgrade\r\n"] {
        let mut talk = talk(&world, 1)?;
        talk.send(&post("/v1/payment_methods", more), b"{")?;
        waiting.push(talk);
    }
    let began = Instant::now();
    for talk in &mut waiting {
        assert_eq!(talk.answer()?.0, 400);
        talk.closed()?;
    }
    assert!(began.elapsed() < Duration::from_secs(6 * BODY_TTL_S));
    Ok(())
}

/// More clients that connect and say nothing than a thread takes handshakes of by default.
#[tokio::test]
async fn silent_clients_of_the_intake_keep_nobody_out() -> Result<()> {
    let (world, release) = vault().await?;
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let session = release.post("/v1/sessions", &json!({"allowed_origins": ["https://shop.example"]})).await?;
    let secret = session.expect(201)?["client_secret"].as_str().unwrap().to_owned();
    // A silent client is put off after three seconds. Whoever waited for that finds them gone; on a machine that was busy
    // with other things they are gone as well, so one round of several is enough.
    for _ in 0..8 {
        let silent = (0..300 * threads).map(|_| TcpStream::connect(world.vault.addresses()[0]));
        let silent = silent.collect::<std::io::Result<Vec<_>>>().unwrap();
        world.release().await?.get("/v1/payment_methods").await?.must_be(200)?;
        let intake = world.vault.intake(&world.pki)?.with("Authorization", format!("Bearer {secret}"));
        intake.post("/v1/payment_methods", &card(VISA, json!({}))).await?.must_be(201)?;
        if silent.iter().all(is_open) {
            return Ok(());
        }
    }
    panic!("a client of the intake waits until those who say nothing are put off");
}

/// Whether the other end has not closed the connection yet.
fn is_open(socket: &TcpStream) -> bool {
    socket.set_nonblocking(true).expect("a socket that is asked and not waited for");
    socket.peek(&mut [0]).is_err_and(|why| why.kind() == std::io::ErrorKind::WouldBlock)
}
