//! The intake: a client session, for its tenant, from its pages, for its time, and nothing else.

use reqwest::Method;
use serde_json::{Value, json};
use strongroom_tests::harness::{Client, World};
use strongroom_wire::limits;

use crate::table::card_body;

const PAGE: &str = "https://shop.example";

#[tokio::test]
async fn no_session_or_a_forged_one_is_refused() {
    let world = World::vault_only().await.unwrap();
    let intake = world.vault.intake(&world.pki).unwrap();
    let good = session(&world, json!({})).await;
    let mut forged = good.clone();
    let last = if forged.pop() == Some('A') { 'B' } else { 'A' };
    forged.push(last);
    for secret in ["", "Bearer ", "Bearer ss_x", &format!("Basic {good}"), &format!("Bearer {forged}")] {
        let client = intake.clone().with("Authorization", secret);
        let refused = client.post("/v1/payment_methods", &card_body()).await.unwrap();
        assert_eq!((refused.status, refused.problem().as_str()), (401, "session-invalid"));
        assert!(!refused.text().contains("4242424242424242"));
    }
    with(&intake, &good).post("/v1/payment_methods", &card_body()).await.unwrap().must_be(201).unwrap();
}

#[tokio::test]
async fn a_page_that_the_session_does_not_name_is_refused() {
    let world = World::vault_only().await.unwrap();
    let intake = world.vault.intake(&world.pki).unwrap();
    let secret = session(&world, json!({})).await;
    let foreign = with(&intake, &secret).with("Origin", "https://evil.example");
    let refused = foreign.post("/v1/payment_methods", &card_body()).await.unwrap();
    assert_eq!((refused.status, refused.problem().as_str()), (401, "session-invalid"));
    let own = with(&intake, &secret).with("Origin", PAGE);
    let stored = own.post("/v1/payment_methods", &card_body()).await.unwrap();
    assert_eq!(stored.header("access-control-allow-origin"), Some(PAGE));
    stored.must_be(201).unwrap();
}

#[tokio::test]
async fn a_session_stores_for_its_own_tenant_and_customer() {
    let world = World::vault_only().await.unwrap();
    world.register("other").await.unwrap();
    let secret = session(&world, json!({ "customer_id": "cus_ada" })).await;
    // A header that names another tenant changes nothing.
    let intake = with(&world.vault.intake(&world.pki).unwrap(), &secret).tenant("other");
    let stored = intake.post("/v1/payment_methods", &card_body()).await.unwrap().expect(201).unwrap();
    assert_eq!(stored["customer_id"], "cus_ada");
    let path = format!("/v1/payment_methods/{}", stored["payment_method_id"].as_str().unwrap());
    world.release().await.unwrap().get(&path).await.unwrap().must_be(200).unwrap();
    world.release().await.unwrap().tenant("other").get(&path).await.unwrap().must_be(404).unwrap();
    let mut another = card_body();
    another["customer_id"] = json!("cus_eve");
    let refused = intake.post("/v1/payment_methods", &another).await.unwrap();
    assert!((400..500).contains(&refused.status), "a session of one customer stored for another");
}

#[tokio::test]
async fn a_session_opens_no_other_route_and_no_other_listener() {
    let world = World::vault_only().await.unwrap();
    let secret = session(&world, json!({})).await;
    let intake = with(&world.vault.intake(&world.pki).unwrap(), &secret);
    for path in ["/v1/payment_methods/x", "/v1/sessions", "/v1/status", "/metrics", "/openapi.json"] {
        let answer = intake.get(path).await.unwrap();
        assert_eq!(answer.status, 404, "{path}");
    }
    assert_eq!(intake.get("/v1/payment_methods").await.unwrap().status, 405);
    let stranger = world.credentials("orchestrator", "stranger").unwrap();
    let release = with(&world.vault.release(&world.pki, &stranger).unwrap().tenant(&world.tenant), &secret);
    release.post("/v1/payment_methods", &card_body()).await.unwrap().must_be(403).unwrap();
}

#[tokio::test]
async fn a_session_stores_no_more_than_its_cards() {
    let world = World::vault_only().await.unwrap();
    let secret = session(&world, json!({})).await;
    let intake = with(&world.vault.intake(&world.pki).unwrap(), &secret);
    for _ in 0..limits::SESSION_CARDS_MAX {
        intake.post("/v1/payment_methods", &card_body()).await.unwrap().must_be(201).unwrap();
    }
    let refused = intake.post("/v1/payment_methods", &card_body()).await.unwrap();
    assert!(matches!(refused.status, 401 | 429), "card {} was stored", limits::SESSION_CARDS_MAX + 1);
}

#[tokio::test]
async fn the_life_of_a_session_has_limits_and_an_end() {
    let world = World::vault_only().await.unwrap();
    let release = world.release().await.unwrap();
    for wrong in [limits::SESSION_TTL_MIN_S - 1, limits::SESSION_TTL_MAX_S + 1] {
        let refused =
            release.post("/v1/sessions", &json!({ "allowed_origins": [PAGE], "expires_in": wrong })).await.unwrap();
        assert_eq!((refused.status, refused.json().unwrap()["field"].as_str()), (422, Some("expires_in")));
    }
    let shortest = session(&world, json!({ "expires_in": limits::SESSION_TTL_MIN_S })).await;
    let intake = with(&world.vault.intake(&world.pki).unwrap(), &shortest);
    intake.post("/v1/payment_methods", &card_body()).await.unwrap().must_be(201).unwrap();
    let within = std::time::Duration::from_secs(limits::SESSION_TTL_MIN_S + 5);
    let refused = strongroom_tests::harness::eventually("the session to end", within, || async {
        let answer = intake.post("/v1/payment_methods", &json!({})).await?;
        Ok((answer.status == 401).then_some(answer))
    });
    assert_eq!(refused.await.unwrap().problem(), "session-invalid");
}

#[tokio::test]
async fn a_preflight_says_what_a_page_may_send() {
    let world = World::vault_only().await.unwrap();
    let intake = world.vault.intake(&world.pki).unwrap().with("Origin", PAGE);
    let answer = intake.send(Method::OPTIONS, "/v1/payment_methods", None, &[]).await.unwrap();
    assert_eq!((answer.status, answer.header("access-control-allow-methods")), (204, Some("POST")));
    assert!(answer.header("access-control-allow-headers").is_some_and(|names| names.contains("authorization")));
}

fn with(client: &Client, secret: &str) -> Client {
    client.clone().with("Authorization", format!("Bearer {secret}"))
}

async fn session(world: &World, more: Value) -> String {
    let mut body = json!({ "allowed_origins": [PAGE] });
    if let (Value::Object(body), Value::Object(more)) = (&mut body, more) {
        body.extend(more);
    }
    let made = world.release().await.unwrap().post("/v1/sessions", &body).await.unwrap().expect(201).unwrap();
    made["client_secret"].as_str().unwrap().to_owned()
}
