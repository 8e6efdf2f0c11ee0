//! A CVC by itself: typed again for a card that is kept, and good for that card once.

use serde_json::json;
use strongroom_tests::harness::{Client, Result, World};

use crate::{AMEX, VISA, card, id, vault};

const SHOP: &str = "https://shop.example";

async fn session(world: &World, release: &Client, customer: Option<&str>) -> Result<Client> {
    let asked = json!({"customer_id": customer, "allowed_origins": [SHOP]});
    let made = release.post("/v1/sessions", &asked).await?.expect(201)?;
    let bearer = format!("Bearer {}", made["client_secret"].as_str().unwrap_or_default());
    Ok(world.vault.intake(&world.pki)?.with("Authorization", bearer).with("Origin", SHOP))
}

#[tokio::test]
async fn a_browser_hands_in_the_cvc_of_its_customers_card() -> Result<()> {
    let (world, release) = vault().await?;
    let of = |number: &str, customer: &str| card(number, json!({ "customer_id": customer }));
    let ada = id(&release.post("/v1/payment_methods", &of(VISA, "ada")).await?.expect(201)?);
    let ben = id(&release.post("/v1/payment_methods", &of(VISA, "ben")).await?.expect(201)?);
    let nobody = id(&release.post("/v1/payment_methods", &card(VISA, json!({}))).await?.expect(201)?);
    let path = |token: &str| format!("/v1/payment_methods/{token}/cvc");
    let browser = session(&world, &release, Some("ada")).await?;
    let sealed = browser.post(&path(&ada), &json!({"cvc": "987"})).await?;
    assert_eq!(sealed.header("access-control-allow-origin"), Some(SHOP));
    assert!(!sealed.said().contains("987"));
    let sealed = sealed.expect(200)?;
    assert!(sealed["expires_at"].as_str().is_some_and(|at| at.ends_with('Z')));
    for token in [&ben, &nobody] {
        browser.post(&path(token), &json!({"cvc": "987"})).await?.must_be(404)?;
    }
    let without = session(&world, &release, None).await?;
    for token in [&ada, &nobody] {
        without.post(&path(token), &json!({"cvc": "987"})).await?.must_be(404)?;
    }
    // It comes out once, and for its own card alone.
    let reveal = json!({"purpose": "authorize", "reference": "pay_1", "cvc_token": sealed["cvc_token"]});
    let revealed = |token: &str| {
        let (release, path, reveal) = (release.clone(), format!("/v1/payment_methods/{token}/reveal"), reveal.clone());
        async move { release.post(&path, &reveal).await }
    };
    revealed(&ben).await?.must_be(409)?;
    assert_eq!(revealed(&ada).await?.expect(200)?["card"]["cvc"], "987");
    revealed(&ada).await?.must_be(409)?;
    let page = world.security().await?.get("/v1/audit/entries?limit=1000").await?.expect(200)?;
    let noted =
        page["entries"].as_array().unwrap().iter().filter(|entry| entry["note"] == "cvc" && entry["subject"] == ada);
    assert_eq!(noted.count(), 2);
    Ok(())
}

#[tokio::test]
async fn a_cvc_fits_its_cards_brand_and_is_never_repeated() -> Result<()> {
    let (_world, release) = vault().await?;
    let visa = id(&release.post("/v1/payment_methods", &card(VISA, json!({}))).await?.expect(201)?);
    let amex = id(&release.post("/v1/payment_methods", &card(AMEX, json!({}))).await?.expect(201)?);
    for (token, cvc, status) in [(&visa, "987", 200), (&amex, "9876", 200), (&visa, "9876", 422), (&amex, "987", 422)] {
        let answer = release.post(&format!("/v1/payment_methods/{token}/cvc"), &json!({ "cvc": cvc })).await?;
        assert!(!answer.said().contains("987"), "{}", answer.text());
        answer.must_be(status)?;
    }
    let path = format!("/v1/payment_methods/{visa}/cvc");
    for wrong in [json!({}), json!({"cvc": 987}), json!({"cvc": "98"}), json!({"cvc": "987", "more": 1}), json!([])] {
        let answer = release.post(&path, &wrong).await?;
        assert!(matches!(answer.status, 400 | 422) && !answer.said().contains("987"), "{}", answer.status);
    }
    Ok(())
}

#[tokio::test]
async fn a_session_hands_in_no_more_than_it_may() -> Result<()> {
    let (world, release) = vault().await?;
    let stored = release.post("/v1/payment_methods", &card(VISA, json!({"customer_id": "ada"}))).await?.expect(201)?;
    let path = format!("/v1/payment_methods/{}/cvc", id(&stored));
    let browser = session(&world, &release, Some("ada")).await?;
    for _ in 0..strongroom_wire::limits::SESSION_CARDS_MAX {
        browser.post(&path, &json!({"cvc": "987"})).await?.must_be(200)?;
    }
    browser.post(&path, &json!({"cvc": "987"})).await?.must_be(429)?;
    let elsewhere = session(&world, &release, Some("ada")).await?.with("Origin", "https://evil.example");
    elsewhere.post(&path, &json!({"cvc": "987"})).await?.must_be(401)
}
