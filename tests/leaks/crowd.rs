//! Many kept connections that store and reveal cards at the same time.

use serde_json::{Value, json};
use strongroom_tests::harness::{Handshake, Talk, World};
use strongroom_wire::limits::SESSION_CARDS_MAX;

use crate::cards::Card;

/// Open connections to the release listener.
pub(crate) struct Crowd {
    talks: Vec<Talk>,
    tenant: String,
}

impl Crowd {
    /// Opens `count` connections.
    pub(crate) fn connect(world: &World, count: usize) -> Self {
        let who = world.credentials("orchestrator", "main").unwrap();
        let handshake = Handshake { who: Some(&who), ..Handshake::default() };
        let [_, release, _] = world.vault.addresses();
        let talks = (0..count).map(|_| handshake.connect(&world.pki, release).unwrap()).collect();
        Self { talks, tenant: world.tenant.clone() }
    }

    /// Stores and reveals every card, shared out among the connections, and checks that each comes back as it was.
    pub(crate) fn store_and_reveal(&mut self, cards: &[Card]) {
        let (tenant, connections) = (&self.tenant, self.talks.len());
        std::thread::scope(|scope| {
            for (nth, talk) in self.talks.iter_mut().enumerate() {
                let share = cards.iter().skip(nth).step_by(connections);
                scope.spawn(move || share.for_each(|card| round_trip(talk, tenant, card)));
            }
        });
    }

    /// Waits until the server has closed each connection.
    pub(crate) fn wait_until_closed(&mut self) {
        for talk in &mut self.talks {
            talk.closed().unwrap();
        }
    }
}

/// Stores cards as browsers do: by client sessions, on a connection each.
pub(crate) async fn store_by_browsers(world: &World, cards: &[Card]) {
    let release = world.release().await.unwrap();
    for cards in cards.chunks(SESSION_CARDS_MAX as usize) {
        let made = release.post("/v1/sessions", &json!({ "allowed_origins": ["https://shop.example"] })).await.unwrap();
        let secret = made.expect(201).unwrap()["client_secret"].as_str().unwrap().to_owned();
        let intake = world.vault.intake(&world.pki).unwrap().with("Authorization", format!("Bearer {secret}"));
        for card in cards {
            let body = json!({ "type": "card", "card": { "number": card.number, "exp_month": 12, "exp_year": 2031, "cvc": card.cvc } });
            intake.post("/v1/payment_methods", &body).await.unwrap().must_be(201).unwrap();
        }
    }
}

fn round_trip(talk: &mut Talk, tenant: &str, card: &Card) {
    let body = json!({
        "type": "card",
        "card": { "number": card.number, "exp_month": 12, "exp_year": 2031, "cvc": card.cvc, "holder_name": "Ada Lovelace" },
    });
    let stored = post(talk, tenant, "/v1/payment_methods", &body, 201);
    let path = format!("/v1/payment_methods/{}/reveal", stored["payment_method_id"].as_str().unwrap());
    let body = json!({ "purpose": "authorize", "reference": "pay_leaks", "cvc_token": stored["cvc_token"] });
    let revealed = post(talk, tenant, &path, &body, 200);
    assert!(revealed["card"]["number"] == card.number.as_str(), "another card came out");
    assert!(revealed["card"]["cvc"] == card.cvc.as_str(), "another CVC came out");
}

fn post(talk: &mut Talk, tenant: &str, path: &str, body: &Value, status: u16) -> Value {
    let body = body.to_string();
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: localhost\r\nStrongroom-Tenant: {tenant}\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    talk.send(&head, body.as_bytes()).unwrap();
    let (answered, _, body) = talk.answer().unwrap();
    assert_eq!(answered, status, "POST {path}");
    serde_json::from_slice(&body).unwrap()
}
