//! Requests that bring cards where none belong, cards that are refused, and clients that hang up.

use serde_json::{Value, json};
use strongroom_tests::harness::{Answer, Handshake, World};

use crate::cards::Card;

/// Asks all of it; answers what came back.
pub(crate) async fn everything_wrong(world: &World, cards: &[Card]) -> Vec<Answer> {
    let release = world.release().await.unwrap();
    let mut answers = Vec::new();
    for (card, spoil) in cards.iter().zip(SPOILED.iter().cycle()).take(3 * SPOILED.len()) {
        let mut body = json!({ "type": "card", "card": { "number": card.number, "exp_month": 12, "exp_year": 2031, "cvc": card.cvc } });
        spoil(&mut body, card);
        answers.push(release.post("/v1/payment_methods", &body).await.unwrap());
    }
    let (number, cvc) = (&cards[0].number, &cards[0].cvc);
    let text = format!("{{\"type\":\"card\",\"card\":{{\"number\":\"{number}\",\"exp_month\":12,\"cvc\":\"{cvc}\"");
    for (kind, body) in
        [("application/json", text.clone()), ("text/plain", text.clone()), ("application/json", text.repeat(400))]
    {
        answers.push(release.post_raw("/v1/payment_methods", kind, body.into_bytes()).await.unwrap());
    }
    for path in [
        format!("/v1/payment_methods/{number}"),
        format!("/v1/payment_methods?customer_id={number}"),
        format!("/v1/payment_methods?number={number}&cvc={cvc}"),
        format!("/{number}"),
    ] {
        answers.push(release.get(&path).await.unwrap());
    }
    let named = release.clone().tenant(number).with("Idempotency-Key", number.as_str());
    answers.push(named.get("/v1/payment_methods").await.unwrap());
    let intake = world.vault.intake(&world.pki).unwrap().with("Authorization", format!("Bearer {number}"));
    answers.push(intake.post("/v1/payment_methods", &json!({ "card": { "number": number } })).await.unwrap());
    // With an idempotency key, and asked again with another card under the same key.
    let keyed = release.clone().with("Idempotency-Key", "order-1");
    for card in &cards[..2] {
        let body = json!({ "type": "card", "card": { "number": card.number, "exp_month": 12, "exp_year": 2031, "cvc": card.cvc } });
        answers.push(keyed.post("/v1/payment_methods", &body).await.unwrap());
    }
    for head in BROKEN_HEADS {
        hang_up(world, &head.replace("{number}", number), &text);
    }
    answers
}

/// A request that is sent by a client that hangs up without waiting for an answer.
fn hang_up(world: &World, head: &str, body: &str) {
    let who = world.credentials("orchestrator", "main").unwrap();
    let [_, release, _] = world.vault.addresses();
    let mut talk = Handshake { who: Some(&who), ..Handshake::default() }.connect(&world.pki, release).unwrap();
    talk.send(head, body.as_bytes()).unwrap();
}

/// Heads that are wrong, or that promise more body than comes.
const BROKEN_HEADS: [&str; 8] = [
    "POST /v1/payment_methods HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 4000\r\n\r\n",
    "POST /v1/payment_methods HTTP/1.1\r\nHost: localhost\r\nNumber: {number}\r\nContent-Length: many\r\n\r\n",
    "POST /v1/payment_methods HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\nTransfer-Encoding: chunked\r\n\r\n",
    "POST /v1/payment_methods HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    "POST /{number} HTTP/1.1\r\nHost: localhost\r\nBroken header {number}\r\n\r\n",
    "POST /{number} HTTP/9.1\r\nHost: localhost\r\n\r\n",
    "{number} /v1/payment_methods HTTP/1.1\r\nHost: {number}\r\n",
    "POST /v1/payment_methods HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
];

/// Ways in which a body with a card may be wrong.
const SPOILED: [fn(&mut Value, &Card); 12] = [
    |body, card| body["card"]["number"] = json!(format!("{}0", card.number)),
    |body, card| body["card"]["number"] = json!(format!("x{}", card.number)),
    |body, card| body["card"]["number"] = json!(card.number.parse::<u64>().unwrap()),
    |body, card| body["card"]["number"] = json!([card.number]),
    |body, card| body["card"][&card.number] = json!(1),
    |body, card| body[&card.number] = json!(card.number),
    |body, card| body["card"]["holder_name"] = json!(card.number),
    |body, card| body["customer_id"] = json!(card.number),
    |body, card| body["metadata"] = json!({ "note": card.number }),
    |body, card| body["metadata"] = json!({ card.number.clone(): "note" }),
    |body, card| body["storage"] = json!(card.number),
    |body, _| body["card"]["exp_year"] = json!(2001),
];
