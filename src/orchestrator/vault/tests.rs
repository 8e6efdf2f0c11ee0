//! The client against a peer that is slow, broken or too talkative, over real TLS.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use strongroom_wire::payment_method::Storage;
use strongroom_wire::{Kind, TenantId, Token, limits};

use super::{CardInput, SecretText, Vault, VaultClient, VaultError, VaultSettings};
use crate::tls_peer::{Act, TlsPeer};

fn client(peer: &TlsPeer, total_timeout: Duration) -> VaultClient {
    let settings =
        VaultSettings { url: peer.url.clone(), tls: peer.trusted(), connect_timeout: PATIENCE, total_timeout };
    VaultClient::new(settings).unwrap()
}

fn shop() -> TenantId {
    "shop".parse().unwrap()
}

fn stored(storage: &str) -> Value {
    json!({
        "payment_method_id": Token::fresh(), "type": "card", "storage": storage, "customer_id": "cus_1",
        "card": {"brand": "visa", "bin": "42424242", "last4": "4242", "exp_month": 3, "exp_year": 2034, "fingerprint": "f"},
        "created_at": "2026-01-01T00:00:00.000Z", "expires_at": null,
    })
}

/// Pages without an end: `long` long-term cards each, the rest of a hundred short-term.
async fn endless_pages(long: usize) -> TlsPeer {
    let turned = AtomicUsize::new(1);
    TlsPeer::start(move |_| {
        let next = format!("c{}", turned.fetch_add(1, Ordering::SeqCst));
        let storage = |n| if n < long { "long_term" } else { "short_term" };
        let items: Vec<_> = (0..100).map(|n| stored(storage(n))).collect();
        Act::Answer(200, json!({"items": items, "next_cursor": next}).to_string())
    })
    .await
}

#[tokio::test]
async fn saved_cards_are_found_on_later_pages_and_end_at_their_limit() {
    let peer = endless_pages(60).await;
    let found = client(&peer, PATIENCE).list(&shop(), &"cus_1".parse().unwrap()).await.unwrap();
    assert_eq!(found.len(), limits::SAVED_CARDS_MAX, "of 120 that were shown");
    assert!(found.iter().all(|method| method.storage == Storage::LongTerm));
    let requests = peer.requests();
    let first_lines: Vec<_> = requests.iter().map(|request| request.lines().next().unwrap()).collect();
    assert_eq!(
        first_lines,
        [
            "GET /v1/payment_methods?customer_id=cus_1&limit=100 HTTP/1.1",
            "GET /v1/payment_methods?customer_id=cus_1&limit=100&cursor=c1 HTTP/1.1"
        ]
    );
    assert!(requests[1].to_ascii_lowercase().contains("strongroom-tenant: shop\r\n"));
}

#[tokio::test]
async fn search_for_saved_cards_ends_though_the_pages_do_not() {
    let peer = endless_pages(1).await;
    let found = client(&peer, PATIENCE).list(&shop(), &"cus_1".parse().unwrap()).await.unwrap();
    assert_eq!((found.len(), peer.requests().len()), (limits::SAVED_CARD_PAGES_MAX, limits::SAVED_CARD_PAGES_MAX));
}

#[tokio::test]
async fn last_page_ends_the_search() {
    let peer =
        TlsPeer::start(|_| Act::Answer(200, json!({"items": [stored("long_term")], "next_cursor": null}).to_string()))
            .await;
    let found = client(&peer, PATIENCE).list(&shop(), &"cus_1".parse().unwrap()).await.unwrap();
    assert_eq!((found.len(), peer.requests().len()), (1, 1));
}

#[tokio::test]
async fn answer_over_its_limit_is_not_read() {
    let padded = |bytes: usize| {
        let text = stored("short_term").to_string();
        format!("{text}{}", " ".repeat(bytes - text.len()))
    };
    let peer = TlsPeer::start(move |_| Act::Answer(200, padded(limits::VAULT_ANSWER_BYTES_MAX))).await;
    assert!(client(&peer, PATIENCE).get(&shop(), Token::fresh()).await.is_ok());
    let peer = TlsPeer::start(move |_| Act::Answer(200, padded(limits::VAULT_ANSWER_BYTES_MAX + 1))).await;
    let refused = client(&peer, PATIENCE).get(&shop(), Token::fresh()).await;
    assert_eq!(refused.unwrap_err(), VaultError::Unavailable);
    let peer = TlsPeer::start(|_| Act::Chunked(limits::VAULT_ANSWER_BYTES_MAX + 1)).await;
    let refused = client(&peer, PATIENCE).retain(&shop(), Token::fresh()).await;
    assert_eq!(refused.unwrap_err(), VaultError::Unavailable, "also when its length is not announced");
    let peer = TlsPeer::start(|_| Act::Chunked(limits::VAULT_ANSWER_BYTES_MAX)).await;
    assert_eq!(client(&peer, PATIENCE).retain(&shop(), Token::fresh()).await, Ok(()));
}

#[tokio::test]
async fn vault_that_breaks_off_or_stays_silent_is_unavailable() {
    for act in [|| Act::HangUp, || Act::Cut, || Act::Answer(200, "not JSON".into()), || Act::Announced(3)] {
        let peer = TlsPeer::start(move |_| act()).await;
        let refused = client(&peer, PATIENCE).get(&shop(), Token::fresh()).await;
        assert_eq!(refused.unwrap_err(), VaultError::Unavailable);
        assert_eq!(peer.requests().len(), 1, "nothing is asked twice behind the engine's back");
    }
    let peer = TlsPeer::start(|_| Act::Silence).await;
    let refused = client(&peer, HURRY).get(&shop(), Token::fresh()).await;
    assert_eq!(refused.unwrap_err(), VaultError::Unavailable);
}

#[tokio::test]
async fn strange_vault_gets_no_card() {
    let (peer, stranger) = (TlsPeer::start(|_| Act::HangUp).await, TlsPeer::start(|_| Act::HangUp).await);
    let settings = VaultSettings {
        url: peer.url.clone(),
        tls: stranger.trusted(),
        connect_timeout: PATIENCE,
        total_timeout: PATIENCE,
    };
    let card = CardInput {
        number: SecretText::new("4242424242424242".into()),
        exp_month: 3,
        exp_year: 2034,
        cvc: None,
        holder_name: None,
    };
    let refused = VaultClient::new(settings).unwrap().tokenize(&shop(), &card, None).await;
    assert_eq!(refused.unwrap_err(), VaultError::Unavailable);
    assert!(peer.requests().is_empty());
}

#[tokio::test]
async fn ping_tells_a_vault_that_works_from_one_that_does_not() {
    let ready = || Act::Answer(200, r#"{"status":"ready"}"#.into());
    let elsewhere = || Act::Answer(404, serde_json::to_string(&Kind::NoRoute.problem("x")).unwrap());
    for (act, good) in [
        (ready as fn() -> Act, true),
        (elsewhere, true),
        (|| Act::Answer(503, r#"{"status":"not ready","missing":"sealed"}"#.into()), false),
        (|| Act::Answer(404, "<html>".into()), false),
        (|| Act::Answer(401, "{}".into()), false),
        (|| Act::HangUp, false),
    ] {
        let peer = TlsPeer::start(move |_| act()).await;
        assert_eq!(client(&peer, PATIENCE).ping(PATIENCE).await.is_ok(), good);
        assert!(!peer.requests()[0].to_ascii_lowercase().contains("strongroom-tenant"));
    }
    let peer = TlsPeer::start(|_| Act::Silence).await;
    assert_eq!(client(&peer, PATIENCE).ping(HURRY).await, Err(VaultError::Unavailable));
}

/// Long enough for every answer of a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);
/// For peers that never answer.
const HURRY: Duration = Duration::from_millis(400);
