//! Clients that are slow on purpose: each is put off in its time, and costs nobody else any.

use std::time::{Duration, Instant};

use strongroom_tests::harness::{World, eventually};
use strongroom_wire::limits::BODY_TTL_S;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::gauge::Gauges;
use crate::line::{Door, Way};
use crate::{alone, get, post, preflight, reveal, stored, vault};

/// `head_seconds`, `keep_alive_seconds` and `answer_seconds` of the vault of these tests.
const SECONDS: u64 = 2;
const PAUSE: Duration = Duration::from_millis(150);
/// Far longer than any of them may stay, and far shorter than what they have to send in their pace.
const PUT_OFF_WITHIN: Duration = Duration::from_secs(10 * SECONDS + 3 * BODY_TTL_S);

async fn impatient() -> World {
    vault(&format!("head_seconds = {SECONDS}\nanswer_seconds = {SECONDS}")).await
}

/// So many bytes of a header line that they are not sent in [`PUT_OFF_WITHIN`].
fn endless_header() -> Vec<u8> {
    let mut head = b"GET /health/ready HTTP/1.1\r\nHost: localhost\r\nX-Slow: ".to_vec();
    head.resize(2000, b'x');
    head
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_heads_bodies_and_handshakes_are_put_off_and_nobody_waits_for_them() {
    let _turn = alone().await;
    let world = impatient().await;
    let (intake, release) = (Way::to(&world, Door::Intake), Way::to(&world, Door::Release));
    let began = Instant::now();
    let served = serving(&world);
    let all = async {
        tokio::join!(
            slow_head(&intake, None),
            slow_head(&release, None),
            // After an answer, where the library has no time limit of its own.
            slow_head(&intake, Some(preflight())),
            slow_head(&release, Some(get("/health/ready"))),
            slow_body(&release),
            half_closed(&release),
            silent_after_an_answer(&release),
            slow_handshake(&intake),
            slow_handshake(&release),
        )
    };
    tokio::select! {
        _ = all => {}
        fault = served => panic!("whoever asks as one should was not served: {fault}"),
    }
    println!("all were put off after {:?}", began.elapsed());
    let gauges = Gauges::of(&world.security().await.unwrap()).await;
    for listener in ["Intake", "Release"] {
        assert!(gauges.get(&format!("strongroom_connections_cut_total{{listener=\"{listener}\",why=\"head\"}}")) >= 1);
    }
}

/// Asks as one should, again and again; answers only when that fails.
async fn serving(world: &World) -> String {
    let release = world.release().await.unwrap();
    let token = stored(&release, "cus_ada").await;
    let (way, request) = (Way::to(world, Door::Release), reveal(&world.tenant, &token));
    loop {
        let mut line = match way.open().await {
            Ok(line) => line,
            Err(why) => return why.to_string(),
        };
        match line.ask(&request).await {
            Ok(answered) if answered.status == 200 => {}
            other => return format!("{other:?}"),
        }
        tokio::time::sleep(PAUSE).await;
    }
}

async fn slow_head(way: &Way, first: Option<Vec<u8>>) {
    let mut line = way.open().await.unwrap();
    if let Some(first) = &first {
        let answered = line.ask(first).await.unwrap();
        assert!(answered.status < 300 && answered.stays_open, "{answered:?}");
    }
    let dripping = tokio::time::timeout(PUT_OFF_WITHIN, line.drip(&endless_header(), PAUSE)).await;
    assert!(matches!(dripping, Ok(Err(_))), "a head that drips was not cut (first answered: {})", first.is_some());
}

async fn slow_body(way: &Way) {
    let mut line = way.open().await.unwrap();
    line.send(b"POST /v1/payment_methods HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 4000\r\n\r\n")
        .await
        .unwrap();
    let dripping = tokio::time::timeout(PUT_OFF_WITHIN, line.drip(&[b' '; 4000], PAUSE)).await;
    assert!(matches!(dripping, Ok(Err(_))), "a body that drips was not cut");
}

async fn half_closed(way: &Way) {
    let mut line = way.open().await.unwrap();
    line.send(b"GET /health/ready HTTP/1.1\r\nHost:").await.unwrap();
    line.close_half().await.unwrap();
    assert!(line.ended(PUT_OFF_WITHIN).await.is_some(), "a connection that is closed on one side stays");
}

async fn silent_after_an_answer(way: &Way) {
    let mut line = way.open().await.unwrap();
    assert_eq!(line.ask(&get("/health/ready")).await.unwrap().status, 200);
    assert!(line.ended(PUT_OFF_WITHIN).await.is_some(), "a connection on which nothing moves stays");
}

/// The first bytes of a handshake, and then one after the other without an end.
async fn slow_handshake(way: &Way) {
    let mut socket = way.bare().await.unwrap();
    let dripping = async {
        socket.write_all(&[22, 3, 1, 2, 0, 1, 0, 1, 252]).await?;
        loop {
            tokio::time::sleep(PAUSE).await;
            socket.write_all(&[3]).await?;
            let mut byte = [0];
            if let Ok(read) = tokio::time::timeout(Duration::from_millis(1), socket.read(&mut byte)).await {
                return read.map(|_| ());
            }
        }
    };
    let ended: Result<std::io::Result<()>, _> = tokio::time::timeout(PUT_OFF_WITHIN, dripping).await;
    assert!(ended.is_ok(), "a handshake that does not end was not cut");
}

/// They ask for far more than sockets hold and take a byte at a time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_does_not_take_answers_is_cut() {
    let _turn = alone().await;
    let world = impatient().await;
    let security = world.security().await.unwrap();
    let cut = "strongroom_connections_cut_total{listener=\"Release\",why=\"answer\"}";
    let way = Way::to(&world, Door::Release).narrow();
    let mut sipping = tokio::task::JoinSet::new();
    for _ in 0..SLOW_READERS {
        let mut line = way.open().await.unwrap();
        sipping.spawn(async move {
            // All at once, as nobody does who wants the answers.
            let _ = line.send(&get("/openapi.json").repeat(100)).await;
            while line.sip(1).await.is_ok_and(|read| read > 0) {
                tokio::time::sleep(PAUSE).await;
            }
        });
    }
    eventually("slow readers to be cut", PUT_OFF_WITHIN, || async {
        Ok((Gauges::of(&security).await.get(cut) >= SLOW_READERS).then_some(()))
    })
    .await
    .unwrap();
    let release = world.release().await.unwrap();
    release.get("/openapi.json").await.unwrap().must_be(200).unwrap();
    sipping.abort_all();
}

const SLOW_READERS: u64 = 8;

/// The orchestrator's listener has the same door.
pub(crate) async fn slow_clients_of_the_orchestrator_are_put_off(world: &World) {
    let way = Way::new(world, world.payments().unwrap().at(), None);
    let body = async {
        let mut line = way.open().await.unwrap();
        let head = String::from_utf8(post("/payments", "api-key: nobody\r\n", &" ".repeat(4000))).unwrap();
        let (head, _) = head.split_once("\r\n\r\n").unwrap();
        line.send(format!("{head}\r\n\r\n").as_bytes()).await.unwrap();
        let dripping = tokio::time::timeout(PUT_OFF_WITHIN, line.drip(&[b' '; 4000], PAUSE)).await;
        assert!(matches!(dripping, Ok(Err(_))), "a body that drips was not cut");
    };
    tokio::join!(slow_head(&way, None), slow_head(&way, Some(get("/health"))), body);
}
