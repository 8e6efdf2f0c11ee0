//! What a provider's network can do, over real TLS: nothing left this process, or it may have arrived.

use std::collections::BTreeMap;
use std::time::Duration;

use strongroom_wire::limits;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use zeroize::Zeroizing;

use super::{CardPass, Destination, HttpTransport, NotSent, Sent, Transport};
use crate::connector::{Auth, Body, Credentials, Doubt, Field, Method, PspRequest, Slot};
use crate::tls_peer::{Act, TlsPeer};
use crate::vault::Card;

const NUMBER: &str = "4242424242424242";

fn request(path: &str) -> PspRequest {
    PspRequest {
        method: Method::Post,
        path: path.into(),
        query: Vec::new(),
        auth: Auth::Bearer,
        headers: Vec::new(),
        idempotency_key: Some("key_1".into()),
        body: Body::Form(vec![("amount".into(), Field::Text("1000".into()))]),
        moves_money: true,
    }
}

fn to(base_url: &str, tls: rustls::ClientConfig, total_timeout: Duration) -> HttpTransport {
    within(base_url, tls, PATIENCE, total_timeout)
}

fn within(base_url: &str, tls: rustls::ClientConfig, connect: Duration, total: Duration) -> HttpTransport {
    let destination =
        Destination { base_url: base_url.into(), tls: Some(tls), connect_timeout: connect, total_timeout: total };
    HttpTransport::new(BTreeMap::from([("psp".to_owned(), destination)])).unwrap()
}

async fn send(transport: &HttpTransport, request: &PspRequest, card: Option<&Card>) -> Sent {
    let api_key = Zeroizing::new("sk_test_transport".to_owned());
    let card = card.map_or(CardPass::None, CardPass::Released);
    transport
        .send("psp", request, &Credentials { api_key, key1: None, api_secret: None, webhook_secret: None }, card)
        .await
}

/// The end of one request to a peer that acts so.
async fn sent(act: fn() -> Act) -> (Sent, TlsPeer) {
    let peer = TlsPeer::start(move |_| act()).await;
    let ended = send(&to(&peer.url, peer.trusted(), PATIENCE), &request("/pay"), None).await;
    (ended, peer)
}

fn doubt(sent: &Sent) -> Option<Doubt> {
    match sent {
        Sent::InDoubt(doubt) => Some(*doubt),
        _ => None,
    }
}

fn not_sent(sent: &Sent) -> Option<NotSent> {
    match sent {
        Sent::NotSent(why) => Some(why.clone()),
        _ => None,
    }
}

#[tokio::test]
async fn refused_connection_sent_nothing() {
    let peer = TlsPeer::start(|_| Act::HangUp).await;
    let free = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("https://{}", free.local_addr().unwrap());
    drop(free);
    let ended = send(&to(&url, peer.trusted(), PATIENCE), &request("/pay"), None).await;
    assert_eq!(not_sent(&ended), Some(NotSent::Unreachable));
}

#[tokio::test]
async fn certificate_of_a_stranger_sent_nothing() {
    let (peer, stranger) = (TlsPeer::start(|_| Act::HangUp).await, TlsPeer::start(|_| Act::HangUp).await);
    let ended = send(&to(&peer.url, stranger.trusted(), PATIENCE), &request("/pay"), None).await;
    assert_eq!(not_sent(&ended), Some(NotSent::Unreachable));
    assert!(peer.requests().is_empty());
}

#[tokio::test]
async fn peer_without_tls_sent_nothing() {
    let peer = TlsPeer::start(|_| Act::HangUp).await;
    let plain = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("https://{}", plain.local_addr().unwrap());
    let heard = tokio::spawn(async move {
        let (mut socket, _) = plain.accept().await.unwrap();
        socket.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
        let mut heard = Vec::new();
        let _reset = socket.read_to_end(&mut heard).await;
        heard
    });
    let ended = send(&to(&url, peer.trusted(), PATIENCE), &request("/pay"), None).await;
    assert_eq!(not_sent(&ended), Some(NotSent::Unreachable));
    let heard = heard.await.unwrap();
    assert!(!heard.windows(4).any(|window| window == b"/pay"), "a request was sent without TLS");
}

#[tokio::test]
async fn connection_that_never_opens_tls_sent_nothing() {
    let peer = TlsPeer::start(|_| Act::HangUp).await;
    let mute = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("https://{}", mute.local_addr().unwrap());
    let ended = send(&within(&url, peer.trusted(), HURRY, PATIENCE), &request("/pay"), None).await;
    assert_eq!(not_sent(&ended), Some(NotSent::Unreachable));
    // When the time for all of it ends first, nothing says how far it came: doubt is the safe answer.
    let ended = send(&within(&url, peer.trusted(), PATIENCE, HURRY), &request("/pay"), None).await;
    assert_eq!(doubt(&ended), Some(Doubt::TimedOut));
}

#[tokio::test]
async fn hang_up_after_the_request_is_in_doubt() {
    let (ended, peer) = sent(|| Act::HangUp).await;
    assert_eq!(doubt(&ended), Some(Doubt::ConnectionLost));
    assert_eq!(peer.requests().len(), 1, "a request that may have arrived is not sent again from here");
}

#[tokio::test]
async fn answer_that_breaks_off_is_in_doubt() {
    let (ended, peer) = sent(|| Act::Cut).await;
    assert_eq!((doubt(&ended), peer.requests().len()), (Some(Doubt::ConnectionLost), 1));
}

#[tokio::test]
async fn silence_after_the_request_is_in_doubt() {
    let peer = TlsPeer::start(|_| Act::Silence).await;
    let ended = send(&to(&peer.url, peer.trusted(), HURRY), &request("/pay"), None).await;
    assert_eq!((doubt(&ended), peer.requests().len()), (Some(Doubt::TimedOut), 1));
}

#[tokio::test]
async fn answer_over_its_limit_is_in_doubt() {
    for act in [|| Act::Announced(limits::PSP_ANSWER_BYTES_MAX), || Act::Chunked(limits::PSP_ANSWER_BYTES_MAX)] {
        let (ended, _peer) = sent(act).await;
        assert!(matches!(ended, Sent::Answer(a) if a.body.len() == limits::PSP_ANSWER_BYTES_MAX));
    }
    for act in [|| Act::Announced(limits::PSP_ANSWER_BYTES_MAX + 1), || Act::Chunked(limits::PSP_ANSWER_BYTES_MAX + 1)]
    {
        let (ended, _peer) = sent(act).await;
        assert_eq!(doubt(&ended), Some(Doubt::Unreadable));
    }
}

#[tokio::test]
async fn redirection_is_not_followed() {
    let (ended, peer) = sent(|| Act::Answer(307, String::new())).await;
    assert!(matches!(ended, Sent::Answer(answer) if answer.status == 307));
    assert_eq!(peer.requests().len(), 1);
}

#[tokio::test]
async fn request_that_cannot_be_built_is_not_sent() {
    let peer = TlsPeer::start(|_| Act::HangUp).await;
    let transport = to(&peer.url, peer.trusted(), PATIENCE);
    let mut slotted = request("/card");
    slotted.body = Body::Form(vec![("number".into(), Field::Slot(Slot::Number))]);
    assert_eq!(not_sent(&send(&transport, &slotted, None).await), Some(NotSent::Unbuildable));
    let credentials =
        Credentials { api_key: Zeroizing::new("sk\n".into()), key1: None, api_secret: None, webhook_secret: None };
    let ended = transport.send("psp", &request("/pay"), &credentials, CardPass::None).await;
    assert_eq!(not_sent(&ended), Some(NotSent::Unbuildable));
    let ended = transport.send("nowhere", &request("/pay"), &credentials, CardPass::None).await;
    assert_eq!(not_sent(&ended), Some(NotSent::NoDestination));
    assert!(peer.requests().is_empty());
}

#[tokio::test]
async fn card_and_credential_arrive_where_the_request_wants_them() {
    let peer = TlsPeer::start(|_| Act::Answer(200, "{}".into())).await;
    let card = Card {
        number: Zeroizing::new(NUMBER.into()),
        exp_month: 3,
        exp_year: 2034,
        cvc: Some(Zeroizing::new("123".into())),
        holder_name: None,
    };
    let mut slotted = request("/card");
    slotted.body = Body::Form(vec![("number".into(), Field::Slot(Slot::Number))]);
    let ended = send(&to(&peer.url, peer.trusted(), PATIENCE), &slotted, Some(&card)).await;
    assert!(matches!(ended, Sent::Answer(answer) if answer.status == 200));
    let heard = peer.requests().remove(0);
    assert!(heard.starts_with("POST /card HTTP/1.1\r\n") && heard.ends_with(&format!("\r\n\r\nnumber={NUMBER}")));
    let head = heard.to_ascii_lowercase();
    assert!(
        head.contains("authorization: bearer sk_test_transport\r\n") && head.contains("idempotency-key: key_1\r\n")
    );
}

/// Long enough for every answer of a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);
/// For peers that never answer.
const HURRY: Duration = Duration::from_millis(400);
