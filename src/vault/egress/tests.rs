//! What a destination's network can do, over real TLS: nothing left the vault, or it may have arrived.

use std::sync::{Arc, Mutex};

use rustls::ServerConfig;
use rustls_pki_types::PrivatePkcs8KeyDer;
use serde_json::json;
use strongroom_wire::forward::{ForwardRequest, InDoubt, NotSent};
use strongroom_wire::limits;
use tempfile::NamedTempFile;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use zeroize::Zeroizing;

use super::{Egress, Misfit, Plan, Received};

/// A TLS peer on loopback that gives every request the same answer, and then does what `after` says.
struct Peer {
    port: u16,
    ca: NamedTempFile,
    heard: Arc<Mutex<Vec<String>>>,
}

#[derive(Clone, Copy)]
enum After {
    Close,
    Wait,
}

impl Peer {
    async fn start(answer: impl Into<String>, after: After) -> Self {
        let pair = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        let ca = NamedTempFile::new().unwrap();
        std::fs::write(ca.path(), pair.cert.pem()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![pair.cert.der().clone()],
                PrivatePkcs8KeyDer::from(pair.signing_key.serialize_der()).into(),
            )
            .unwrap();
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let heard = Arc::<Mutex<Vec<String>>>::default();
        let (noted, answer) = (Arc::clone(&heard), answer.into());
        let acceptor = TlsAcceptor::from(Arc::new(config));
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let Ok(mut stream) = acceptor.accept(socket).await else { continue };
                let mut request = Vec::new();
                while !is_whole(&request) {
                    if stream.read_buf(&mut request).await.unwrap_or(0) == 0 {
                        break;
                    }
                }
                if !request.is_empty() {
                    noted.lock().unwrap().push(String::from_utf8_lossy(&request).into_owned());
                }
                // A client that has read enough goes away before the end.
                let _gone = stream.write_all(answer.as_bytes()).await;
                let _gone = stream.flush().await;
                match after {
                    After::Close => drop(stream.shutdown().await),
                    After::Wait => drop(tokio::spawn(async move {
                        // Kept open until the client hangs up, without a word.
                        let _gone = stream.read_u8().await;
                    })),
                }
            }
        });
        Self { port, ca, heard }
    }

    fn plan(&self, more: &str) -> Plan {
        toml::from_str(&format!(
            "base_url = \"https://localhost:{}\"\nca = {:?}\npaths = [\"/v1/cards\", \"/v1/*/confirm\"]\n{more}",
            self.port,
            self.ca.path()
        ))
        .unwrap()
    }

    fn egress(&self, more: &str) -> Egress {
        egress(&self.plan(&format!("allow_private = true\n{more}")))
    }

    fn heard(&self) -> Vec<String> {
        self.heard.lock().unwrap().clone()
    }
}

fn is_whole(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request);
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
    body.len() >= length.unwrap_or(0)
}

fn egress(plan: &Plan) -> Egress {
    let name = "psp".parse().unwrap();
    let destination = super::plan::Destination::load(&name, plan).unwrap_or_else(|error| panic!("{error}"));
    Egress::of([(name, destination)].into())
}

fn request(more: serde_json::Value) -> ForwardRequest {
    let mut request = json!({
        "destination": "psp",
        "method": "POST",
        "path": "/v1/cards",
        "headers": [["Authorization", "Bearer sk_test_1"]],
        "body": {"form": [["number", "{{card.number}}"]]},
        "payment_method_id": "pm_0198f0c2a1b27c3d8e4f5a6b7c8d9e0f",
        "reference": "pay_1",
    });
    request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    serde_json::from_value(request).unwrap()
}

fn misfit(egress: &Egress, more: serde_json::Value) -> Option<&'static str> {
    egress.prepare(&request(more)).err().map(|Misfit { field, .. }| field)
}

async fn connected(egress: &Egress) -> Result<(), NotSent> {
    let request = request(json!({}));
    egress.prepare(&request).unwrap_or_else(|misfit| panic!("{misfit}")).connect().await.map(drop)
}

async fn sent(egress: &Egress) -> Result<Received, InDoubt> {
    let request = request(json!({"idempotency_key": "k1", "query": [["a[]", "b c"], ["d", "e"]]}));
    let prepared = egress.prepare(&request).unwrap_or_else(|misfit| panic!("{misfit}"));
    let connection = prepared.connect().await.unwrap_or_else(|why| panic!("{}", why.as_str()));
    connection.send(Zeroizing::new(b"number=4242424242424242".to_vec())).await
}

fn answer(status: &str, headers: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n{headers}\r\n{body}", body.len())
}

#[tokio::test]
async fn a_request_arrives_as_it_was_asked_for_and_its_answer_comes_back() {
    let reply = answer("402 Payment Required", "Request-Id: req_1\r\nSet-Cookie: a=b\r\n", "{\"a\":1}");
    let peer = Peer::start(reply, After::Close).await;
    let received = sent(&peer.egress("")).await.unwrap_or_else(|why| panic!("{}", why.as_str()));
    assert_eq!((received.status, received.body.as_slice()), (402, &b"{\"a\":1}"[..]));
    assert_eq!(received.headers, [("request-id", "req_1".to_owned())]);
    let heard = peer.heard();
    assert_eq!(heard.len(), 1);
    let (head, body) = heard[0].split_once("\r\n\r\n").unwrap();
    assert_eq!(body, "number=4242424242424242");
    let mut lines = head.lines();
    assert_eq!(lines.next(), Some("POST /v1/cards?a%5B%5D=b%20c&d=e HTTP/1.1"));
    for wanted in [
        format!("host: localhost:{}", peer.port),
        "authorization: Bearer sk_test_1".to_owned(),
        "content-type: application/x-www-form-urlencoded".to_owned(),
        "content-length: 23".to_owned(),
        "connection: close".to_owned(),
        "accept-encoding: identity".to_owned(),
        "idempotency-key: k1".to_owned(),
    ] {
        assert_eq!(head.lines().filter(|line| **line == *wanted).count(), 1, "{wanted} in {head}");
    }
}

#[tokio::test]
async fn a_private_address_is_refused_whatever_name_it_has() {
    let peer = Peer::start("", After::Close).await;
    for host in ["localhost", "127.0.0.1", "[::1]", "[::ffff:127.0.0.1]", "10.255.255.1", "169.254.169.254"] {
        let plan = Plan { base_url: format!("https://{host}:{}", peer.port), ..peer.plan("") };
        assert_eq!(connected(&egress(&plan)).await, Err(NotSent::AddressRefused), "{host}");
    }
    let pinned = egress(&peer.plan("allow_private = true\naddresses = [\"127.0.0.2/32\", \"::2\"]"));
    assert_eq!(connected(&pinned).await, Err(NotSent::AddressRefused));
    let fits = egress(&peer.plan("allow_private = true\naddresses = [\"127.0.0.0/8\", \"::1\"]"));
    assert_eq!(connected(&fits).await, Ok(()));
    assert!(peer.heard().is_empty());
}

#[tokio::test]
async fn what_fails_before_the_request_is_not_sent() {
    let peer = Peer::start("", After::Close).await;
    let free = TcpListener::bind(("127.0.0.1", 0)).await.unwrap().local_addr().unwrap().port();
    let nobody = Plan { base_url: format!("https://localhost:{free}"), ..peer.plan("allow_private = true") };
    assert_eq!(connected(&egress(&nobody)).await, Err(NotSent::Unreachable));
    let nameless = Plan { base_url: "https://nowhere.invalid".to_owned(), ..peer.plan("") };
    assert_eq!(connected(&egress(&nameless)).await, Err(NotSent::Unresolved));
    // Another certificate than the one that is trusted, and the right one under another name.
    let stranger = Peer::start("", After::Close).await;
    let strange =
        Plan { base_url: format!("https://localhost:{}", stranger.port), ..peer.plan("allow_private = true") };
    assert_eq!(connected(&egress(&strange)).await, Err(NotSent::TlsFailed));
    let other_name = Plan { base_url: format!("https://127.0.0.1:{}", peer.port), ..peer.plan("allow_private = true") };
    assert_eq!(connected(&egress(&other_name)).await, Err(NotSent::TlsFailed));
    assert!(peer.heard().is_empty() && stranger.heard().is_empty());
    // Somebody who listens and never speaks TLS.
    let mute = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let silent = Plan {
        base_url: format!("https://localhost:{}", mute.local_addr().unwrap().port()),
        ..peer.plan("allow_private = true\nconnect_timeout_ms = 200\ntotal_timeout_ms = 200")
    };
    assert_eq!(connected(&egress(&silent)).await, Err(NotSent::Unreachable));
}

#[tokio::test]
async fn what_fails_after_the_request_is_in_doubt() {
    let half = "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhalf".to_owned();
    let squeezed = answer("200 OK", "Content-Encoding: gzip\r\n", "x");
    for (reply, after, doubt) in [
        (String::new(), After::Close, InDoubt::ConnectionLost),
        (half.clone(), After::Close, InDoubt::ConnectionLost),
        (String::new(), After::Wait, InDoubt::TimedOut),
        (half, After::Wait, InDoubt::TimedOut),
        ("SSH-2.0-x\r\n\r\n".to_owned(), After::Close, InDoubt::Unreadable),
        (squeezed, After::Close, InDoubt::Unreadable),
    ] {
        let peer = Peer::start(reply.clone(), after).await;
        let ended = sent(&peer.egress("connect_timeout_ms = 400\ntotal_timeout_ms = 400")).await;
        assert_eq!(ended.err(), Some(doubt), "{reply}");
        assert_eq!(peer.heard().len(), 1, "a request that may have arrived is not sent again from here");
    }
}

#[tokio::test]
async fn an_answer_over_a_limit_is_in_doubt() {
    let chunked = |bytes: usize| {
        let body = " ".repeat(bytes);
        format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{bytes:x}\r\n{body}\r\n0\r\n\r\n")
    };
    let plain = |bytes: usize| answer("200 OK", "", &" ".repeat(bytes));
    let headed = |bytes: usize| answer("200 OK", &format!("X: {}\r\n", "x".repeat(bytes)), "");
    let (body, head) = (limits::FORWARD_ANSWER_BYTES_MAX, limits::FORWARD_ANSWER_HEAD_BYTES_MAX);
    for (fits, too_large) in
        [(plain(body), plain(body + 1)), (chunked(body), chunked(body + 1)), (headed(head / 2), headed(head + 1))]
    {
        let received = sent(&Peer::start(fits, After::Close).await.egress("")).await;
        assert!(received.is_ok_and(|received| received.body.len() <= body));
        let refused = sent(&Peer::start(too_large, After::Close).await.egress("")).await;
        assert_eq!(refused.err(), Some(InDoubt::Unreadable));
    }
}

#[tokio::test]
async fn a_redirection_is_an_answer_and_nothing_more() {
    let elsewhere = Peer::start(answer("200 OK", "", ""), After::Close).await;
    let to = format!("Location: https://localhost:{}/v1/cards\r\n", elsewhere.port);
    let peer = Peer::start(answer("307 Temporary Redirect", &to, ""), After::Close).await;
    let received = sent(&peer.egress("")).await.unwrap_or_else(|why| panic!("{}", why.as_str()));
    assert_eq!((received.status, received.headers.len()), (307, 0));
    assert_eq!((peer.heard().len(), elsewhere.heard().len()), (1, 0));
}

#[tokio::test]
async fn a_template_that_does_not_fit_its_destination_names_the_field() {
    let peer = Peer::start("", After::Close).await;
    let egress = peer.egress("slots = [\"number\", \"/card/number\"]");
    assert_eq!(misfit(&egress, json!({})), None);
    assert_eq!(misfit(&egress, json!({"path": "/v1/pi_1/confirm"})), None);
    assert_eq!(misfit(&egress, json!({"body": {"json": {"card": {"number": "{{card.number}}"}}}})), None);
    for (more, field) in [
        (json!({"destination": "other"}), "destination"),
        (json!({"method": "PUT"}), "method"),
        (json!({"path": "/v1/refunds"}), "path"),
        (json!({"path": "/v1/cards/"}), "path"),
        (json!({"path": "/v1/cards?x=y"}), "path"),
        (json!({"path": "/v1/x/../cards"}), "path"),
        (json!({"path": "//evil.example/v1/cards"}), "path"),
        (json!({"path": "@evil.example/v1/cards"}), "path"),
        (json!({"headers": [["Host", "evil.example"]]}), "headers"),
        (json!({"headers": [["Content-Type", "text/plain"]]}), "headers"),
        (json!({"headers": [["Content-Type", "application/json"]]}), "headers"),
        (json!({"headers": [["Idempotency-Key", "k"]]}), "headers"),
        (json!({"idempotency_key": "a\nb"}), "idempotency_key"),
        (json!({"body": {"form": [["number", "{{card.number}}"], ["metadata[note]", "{{card.number}}"]]}}), "body"),
        (json!({"body": {"json": {"number": "{{card.number}}"}}}), "body"),
    ] {
        assert_eq!(misfit(&egress, more.clone()), Some(field), "{more}");
    }
    let json = json!({
        "headers": [["Content-Type", "application/vnd.psp.v7+json"]],
        "body": {"json": {"card": {"number": "{{card.number}}"}}},
    });
    assert_eq!(misfit(&egress, json), None);
}

#[test]
fn so_many_requests_are_on_their_way_at_a_time_and_no_more() {
    let egress = Egress::of(std::collections::BTreeMap::new());
    let mut held: Vec<_> = (0..limits::FORWARDS_AT_ONCE_MAX).map(|_| egress.leave().unwrap()).collect();
    assert!(egress.leave().is_none());
    held.pop();
    assert!(egress.leave().is_some());
}

#[tokio::test]
async fn a_dry_run_shows_no_credential() {
    let peer = Peer::start("", After::Close).await;
    let egress = peer.egress("");
    let request = request(json!({"query": [["a", "b"]]}));
    let prepared = egress.prepare(&request).unwrap_or_else(|misfit| panic!("{misfit}"));
    assert_eq!(prepared.url(), format!("https://localhost:{}/v1/cards?a=b", peer.port));
    let shown = prepared.shown_headers();
    assert_eq!((shown["authorization"].as_str(), shown["connection"].as_str()), ("***", "close"));
}

#[test]
fn sameness_is_all_of_a_template_but_credentials_and_the_cvc() {
    let same = |more| super::sameness(&request(more)).unwrap();
    let first = same(json!({}));
    assert_eq!(same(json!({"headers": [["authorization", "Bearer sk_test_2"]], "cvc_token": "cvc_1"})), first);
    for more in [
        json!({"destination": "other"}),
        json!({"method": "PUT"}),
        json!({"path": "/v1/card"}),
        json!({"query": [["a", "b"]]}),
        json!({"headers": [["Authorization", "Bearer sk_test_1"], ["Stripe-Account", "acct_1"]]}),
        json!({"body": {"form": [["n", "{{card.number}}"]]}}),
        json!({"body": {"json": {"number": "{{card.number}}"}}}),
        json!({"payment_method_id": "pm_0198f0c2a1b27c3d8e4f5a6b7c8d9e0e"}),
        json!({"reference": "pay_2"}),
    ] {
        assert_ne!(same(more.clone()), first, "{more}");
    }
}
