//! Cards that the vault sent itself: none is in its memory, files or answers afterwards, however the sending ended.

use serde_json::{Value, json};
use strongroom_tests::harness::{DestinationPlan, Peer, Reply, World};

use crate::cards::{Card, cards};
use crate::files::look_at_files;
use crate::memory::{assert_gone, with_keep_alive};
use crate::search::{Found, Search};

#[tokio::test(flavor = "multi_thread")]
async fn no_card_that_was_sent_on_is_anywhere_in_the_vault() {
    let mut plan = with_keep_alive(1);
    plan.vault.destinations.clear();
    let mut world = World::start(plan).await.unwrap();
    let hurry = DestinationPlan::new("psp", "").with("connect_timeout_ms = 300\ntotal_timeout_ms = 300");
    // The worst destination there is: it hands everything back.
    let peer = Peer::beside(&mut world, hurry, |request| {
        let (head, body) = request.split_once("\r\n\r\n").unwrap_or_default();
        match head.lines().next().unwrap_or_default() {
            line if line.contains("/silence") => Reply::Silence,
            line if line.contains("/hang-up") => Reply::HangUp,
            line if line.contains("/large") => Reply::Answer(200, "", body.repeat(2_000)),
            line if line.contains("/declined") => {
                Reply::Answer(402, "Content-Type: application/json\r\n", body.to_owned())
            }
            _ => Reply::Answer(200, "", body.to_owned()),
        }
    })
    .await
    .unwrap();
    let cards = cards(60);
    let search = Search::new(&cards);
    let mut found = Found::default();
    for (nth, card) in cards.iter().enumerate() {
        let path = ["/paid", "/declined", "/silence", "/hang-up", "/large", "/dry"][nth % 6];
        let answer = send(&world, card, path, nth).await;
        search.look("an answer", answer.as_bytes(), &mut found);
    }
    assert_eq!(peer.heard().len(), 50);
    // Each that arrived held its card: there was something to leave behind.
    assert!(peer.heard().iter().all(|request| cards.iter().any(|card| request.contains(&card.number))));
    assert_gone(&mut world, &cards, "after cards were sent on").await;
    for path in ["/metrics", "/v1/audit/entries?limit=1000"] {
        let answer = world.security().await.unwrap().get(path).await.unwrap();
        search.look(path, &answer.body, &mut found);
    }
    look_at_files(world.path(), &search, &mut found);
    assert!(found.is_nothing(), "{}:\n{}", found.summary(), found.places.join("\n"));
}

/// Stores a card and has it sent, in a form or as JSON; answers what came back.
async fn send(world: &World, card: &Card, path: &str, nth: usize) -> String {
    let release = world.release().await.unwrap();
    let body = json!({
        "type": "card",
        "card": { "number": card.number, "exp_month": 12, "exp_year": 2031, "cvc": card.cvc, "holder_name": "Ada" },
    });
    let stored: Value = release.post("/v1/payment_methods", &body).await.unwrap().expect(201).unwrap();
    let body = if nth.is_multiple_of(2) {
        json!({ "form": [["number", "{{card.number}}"], ["cvc", "{{card.cvc}}"], ["name", "{{card.holder_name}}"]] })
    } else {
        json!({ "json": { "card": { "number": "{{card.number}}", "cvc": "{{card.cvc}}" }, "amount": 100 } })
    };
    let template = json!({
        "destination": "psp",
        "method": "POST",
        "path": path,
        "headers": [["Authorization", "Bearer sk_test_leaks"]],
        "body": body,
        "payment_method_id": stored["payment_method_id"],
        "cvc_token": stored["cvc_token"],
        "reference": "pay_leaks",
        "idempotency_key": format!("leaks-{nth}"),
        "dry_run": path == "/dry",
    });
    let answer = release.post("/v1/forward", &template).await.unwrap();
    answer.must_be(200).unwrap();
    answer.text()
}
