//! Client sessions: a browser may tokenize for one customer of one tenant, and CORS lets it.

use serde_json::json;
use strongroom_tests::harness::Result;

use crate::{AMEX, VISA, card, reveal, vault};

const SHOP: &str = "https://shop.example";

#[tokio::test]
async fn a_browser_with_a_session_gets_a_token_for_the_sessions_customer() -> Result<()> {
    let (world, release) = vault().await?;
    let session = json!({"customer_id": "ada", "allowed_origins": [SHOP]});
    let session = release.post("/v1/sessions", &session).await?.expect(201)?;
    let secret = session["client_secret"].as_str().unwrap().to_owned();
    let intake = world.vault.intake(&world.pki)?.with("Authorization", format!("Bearer {secret}"));

    let preflight = intake.send(reqwest::Method::OPTIONS, "/v1/payment_methods", None, &[("Origin", SHOP)]).await?;
    assert_eq!(preflight.header("access-control-allow-origin"), Some(SHOP));
    preflight.must_be(204)?;

    let path = "/v1/payment_methods";
    let posted = intake.send(reqwest::Method::POST, path, Some(&card(VISA, json!({}))), &[("Origin", SHOP)]).await?;
    assert_eq!(posted.header("access-control-allow-origin"), Some(SHOP));
    assert_eq!(posted.header("connection"), Some("close"));
    let stored = posted.expect(201)?;
    assert_eq!(stored["customer_id"], "ada");
    assert_eq!(reveal(&release, stored["payment_method_id"].as_str().unwrap()).await?["card"]["number"], VISA);

    let for_ben = card(AMEX, json!({"customer_id": "ben"}));
    intake.post(path, &for_ben).await?.must_be(422)?;
    let elsewhere = [("Origin", "https://evil.example")];
    intake.send(reqwest::Method::POST, path, Some(&card(AMEX, json!({}))), &elsewhere).await?.must_be(401)?;
    intake.get(path).await?.must_be(405)
}

#[tokio::test]
async fn a_session_ends_and_stores_no_more_cards_than_it_may() -> Result<()> {
    let (world, release) = vault().await?;
    let brief = json!({"allowed_origins": [SHOP], "expires_in": strongroom_wire::limits::SESSION_TTL_MIN_S});
    let secret =
        |session: serde_json::Value| format!("Bearer {}", session["client_secret"].as_str().unwrap_or_default());
    let ending = secret(release.post("/v1/sessions", &brief).await?.expect(201)?);
    let began = std::time::Instant::now();
    let long = secret(release.post("/v1/sessions", &json!({"allowed_origins": [SHOP]})).await?.expect(201)?);
    let brief = world.vault.intake(&world.pki)?.with("Authorization", ending);
    brief.post("/v1/payment_methods", &card(VISA, json!({}))).await?.must_be(201)?;
    let intake = world.vault.intake(&world.pki)?.with("Authorization", long);
    for _ in 0..strongroom_wire::limits::SESSION_CARDS_MAX {
        intake.post("/v1/payment_methods", &card(VISA, json!({}))).await?.must_be(201)?;
    }
    intake.post("/v1/payment_methods", &card(VISA, json!({}))).await?.must_be(429)?;

    let life = std::time::Duration::from_secs(strongroom_wire::limits::SESSION_TTL_MIN_S);
    tokio::time::sleep(life.saturating_sub(began.elapsed()) + std::time::Duration::from_millis(200)).await;
    brief.post("/v1/payment_methods", &card(VISA, json!({}))).await?.must_be(401)?;

    for wrong in [
        json!({"allowed_origins": []}),
        json!({"allowed_origins": ["shop.example"]}),
        json!({"allowed_origins": [SHOP], "expires_in": strongroom_wire::limits::SESSION_TTL_MAX_S + 1}),
        json!({"allowed_origins": [SHOP], "more": 1}),
        json!({"allowed_origins": vec![SHOP; strongroom_wire::limits::SESSION_ORIGINS_MAX + 1]}),
    ] {
        let answer = release.post("/v1/sessions", &wrong).await?;
        assert!(matches!(answer.status, 400 | 422), "{}", answer.status);
    }
    Ok(())
}
