//! Huge, endless and lying requests, and more of them at once than anybody answers.

use std::time::Duration;

use strongroom_tests::harness::World;
use strongroom_wire::limits::{BODY_BYTES_MAX, HEAD_BYTES_MAX};

use crate::gauge::resident;
use crate::line::{Answered, Door, Line, Way};
use crate::{alone, get, preflight, reveal, stored, vault};

const ENDED_WITHIN: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn huge_endless_and_lying_requests_end_with_their_connection() {
    let _turn = alone().await;
    let world = vault("").await;
    let release = world.release().await.unwrap();
    let token = stored(&release, "cus_ada").await;
    for door in [Door::Intake, Door::Release] {
        let way = Way::to(&world, door);
        let head = |more: &str| {
            format!(
                "POST /v1/payment_methods HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n{more}\r\n"
            )
        };
        // Chunks without an end.
        let mut line = way.open().await.unwrap();
        line.send(head("Transfer-Encoding: chunked\r\n").as_bytes()).await.unwrap();
        pours(line, b"1000\r\n", 0x1000, b"\r\n").await;
        // More than was announced.
        let mut line = way.open().await.unwrap();
        line.send(head("Content-Length: 10\r\n").as_bytes()).await.unwrap();
        pours(line, b"", 4096, b"").await;
        // Announced, and more than anybody may send.
        let mut line = way.open().await.unwrap();
        line.send(head(&format!("Content-Length: {}\r\n", u64::MAX / 2)).as_bytes()).await.unwrap();
        assert_eq!(line.answer().await.unwrap().status, 413);
        pours(line, b"", 4096, b"").await;
        let mut line = way.open().await.unwrap();
        line.send(head("Content-Length: 99999999999999999999999\r\n").as_bytes()).await.unwrap();
        assert!(line.ended(ENDED_WITHIN).await.is_some());
        // Less than was announced.
        let mut line = way.open().await.unwrap();
        line.send((head("Content-Length: 100\r\n") + "{").as_bytes()).await.unwrap();
        line.close_half().await.unwrap();
        assert!(line.ended(ENDED_WITHIN).await.is_some());
        // More headers than anybody has, and a head that is larger than any.
        let mut line = way.open().await.unwrap();
        let many: String = (0..200).map(|nth| format!("X-{nth}: y\r\n")).collect();
        let refused = line.ask(format!("GET /health/ready HTTP/1.1\r\nHost: localhost\r\n{many}\r\n").as_bytes()).await;
        assert!(refused.is_err() || refused.is_ok_and(|answered| answered.status >= 400));
        let mut line = way.open().await.unwrap();
        // The other end may be gone before all of it is sent.
        let _ = line.send(b"GET /health/ready HTTP/1.1\r\nHost: localhost\r\nX-Large: ").await;
        let _ = line.send(&vec![b'x'; 2 * HEAD_BYTES_MAX]).await;
        assert!(line.ended(ENDED_WITHIN).await.is_some());
    }
    // A body far larger than a head, sent in one piece with it, is read to its end.
    let mut line = Way::to(&world, Door::Release).open().await.unwrap();
    let cards: Vec<_> = (0..400).map(|nth| crate::card(&format!("cus_{nth}"))).collect();
    let batch = serde_json::json!({ "payment_methods": cards }).to_string();
    assert!(batch.len() > 3 * HEAD_BYTES_MAX);
    let tenant = format!("Strongroom-Tenant: {}\r\n", world.tenant);
    let answered = line.ask(&crate::post("/v1/payment_methods/batch", &tenant, &batch)).await.unwrap();
    assert_eq!(answered.status, 200);
    // A head as large as it may be is read; whoever comes after all of this is served.
    let mut line = Way::to(&world, Door::Release).open().await.unwrap();
    let mut large = String::from_utf8(reveal(&world.tenant, &token)).unwrap();
    let padding = "x".repeat(HEAD_BYTES_MAX - 1024);
    large = large.replacen("Host: localhost\r\n", &format!("Host: localhost\r\nX-Large: {padding}\r\n"), 1);
    assert_eq!(line.ask(large.as_bytes()).await.unwrap().status, 200);
}

/// Sends pieces until the other end has had enough, and sees that it soon has.
async fn pours(mut line: Line, before: &[u8], piece: usize, after: &[u8]) {
    let piece = [before, &vec![b' '; piece], after].concat();
    let pouring = async { while line.send(&piece).await.is_ok() {} };
    assert!(tokio::time::timeout(ENDED_WITHIN, pouring).await.is_ok(), "a body without an end was read without an end");
}

/// Small requests, as many as fit, by clients that read no answer: the vault reads no further than it answers.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_that_are_sent_ahead_without_end_take_little_memory_and_nobody_s_turn() {
    let _turn = alone().await;
    let mut world = vault("answer_seconds = 300").await;
    let release = world.release().await.unwrap();
    let token = stored(&release, "cus_ada").await;
    let before = resident(&mut world);
    let mut flooding = tokio::task::JoinSet::new();
    for (door, request) in [(Door::Intake, preflight()), (Door::Release, get("/health/ready"))] {
        for _ in 0..FLOODING {
            let (way, many) = (Way::to(&world, door).narrow(), request.repeat(100));
            flooding.spawn(async move {
                let mut line = way.open().await.unwrap();
                // Until nothing moves any more, and then it stays as it is.
                while tokio::time::timeout(Duration::from_secs(2), line.send(&many))
                    .await
                    .is_ok_and(|sent| sent.is_ok())
                {}
                line
            });
        }
    }
    let stuck: Vec<Line> = flooding.join_all().await;
    let grown = resident(&mut world).saturating_sub(before) / stuck.len() as u64;
    println!("{} connections that send ahead take {} KiB each", stuck.len(), grown / 1024);
    assert!(grown < FLOOD_BYTES_MAX, "each connection that sends ahead takes {grown} bytes");
    serves(&world, &token).await;
    drop(stuck);
}

async fn serves(world: &World, token: &str) {
    let mut line = Way::to(world, Door::Release).open().await.unwrap();
    let answered = line.ask(&reveal(&world.tenant, token)).await.unwrap();
    assert!(matches!(answered, Answered { status: 200, .. }), "{answered:?}");
    let mut line = Way::to(world, Door::Intake).open().await.unwrap();
    assert_eq!(line.ask(&preflight()).await.unwrap().status, 204);
}

/// Connections of each listener that flood.
const FLOODING: usize = 50;
/// A head, a body, what waits to be sent and what the library keeps of requests that came in one read.
const FLOOD_BYTES_MAX: u64 = 1024 * 1024 + BODY_BYTES_MAX as u64;
