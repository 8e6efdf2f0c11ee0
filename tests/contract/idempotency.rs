//! `Idempotency-Key`: same key and request, same answer; another request under the key is refused.

use serde_json::{Value, json};
use strongroom_tests::harness::{Answer, Client, Result};

use crate::{MASTERCARD, VISA, card, id, vault};

async fn keyed(client: &Client, path: &str, key: &str, body: &Value) -> Result<Answer> {
    client.clone().with("Idempotency-Key", key).post(path, body).await
}

#[tokio::test]
async fn a_repeated_request_gets_the_same_answer_and_stores_one_card() -> Result<()> {
    let (_world, release) = vault().await?;
    let mut body = card(VISA, json!({}));
    body["card"]["cvc"] = "123".into();
    let first = keyed(&release, "/v1/payment_methods", "k1", &body).await?.expect(201)?;
    let again = keyed(&release, "/v1/payment_methods", "k1", &body).await?;
    assert_eq!(again.header("idempotent-replayed"), Some("true"));
    let mut again = again.expect(200)?;
    // Of a CVC nothing is kept, so that its token is another one each time; the rest of the answer is the same.
    assert_ne!(again["cvc_token"], first["cvc_token"]);
    again["cvc_token"] = first["cvc_token"].clone();
    assert_eq!(again, first);
    let listed = release.get("/v1/payment_methods").await?.expect(200)?;
    assert_eq!(listed["items"].as_array().unwrap().len(), 1);
    let other = keyed(&release, "/v1/payment_methods", "k1", &card(MASTERCARD, json!({}))).await?;
    assert_eq!((other.status, other.problem().as_str()), (409, "idempotency-conflict"));
    Ok(())
}

#[tokio::test]
async fn twenty_requests_with_one_key_at_once_store_one_card() -> Result<()> {
    let (_world, release) = vault().await?;
    let mut waiting = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let release = release.clone();
        waiting.spawn(async move { keyed(&release, "/v1/payment_methods", "k1", &card(VISA, json!({}))).await });
    }
    let mut tokens = std::collections::BTreeSet::new();
    while let Some(answer) = waiting.join_next().await {
        let answer = answer.unwrap()?;
        assert!(matches!(answer.status, 200 | 201), "{}", answer.status);
        tokens.insert(id(&answer.json()?));
    }
    assert_eq!(tokens.len(), 1);
    let listed = release.get("/v1/payment_methods").await?.expect(200)?;
    assert_eq!(listed["items"].as_array().unwrap().len(), 1);
    Ok(())
}

#[tokio::test]
async fn another_tenant_with_the_same_key_is_another_request() -> Result<()> {
    let (world, release) = vault().await?;
    world.register("other").await?;
    let other = world.release().await?.tenant("other");
    let mine = keyed(&release, "/v1/payment_methods", "k1", &card(VISA, json!({}))).await?.expect(201)?;
    let theirs = keyed(&other, "/v1/payment_methods", "k1", &card(VISA, json!({}))).await?.expect(201)?;
    assert_ne!(id(&mine), id(&theirs));
    Ok(())
}

#[tokio::test]
async fn sessions_secrets_and_releases_keep_to_their_key_too() -> Result<()> {
    let (_world, release) = vault().await?;
    let origins = |origin: &str| json!({"allowed_origins": [origin]});
    let first = keyed(&release, "/v1/sessions", "s", &origins("https://a.example")).await?.expect(201)?;
    let again = keyed(&release, "/v1/sessions", "s", &origins("https://a.example")).await?.expect(201)?;
    assert_eq!(first, again);
    keyed(&release, "/v1/sessions", "s", &origins("https://b.example")).await?.must_be(409)?;

    let secret = |value: &str| json!({"name": "stripe", "value": value});
    let first = keyed(&release, "/v1/secrets", "c", &secret("sk_test_one")).await?.expect(201)?;
    assert_eq!(first, keyed(&release, "/v1/secrets", "c", &secret("sk_test_one")).await?.expect(201)?);
    keyed(&release, "/v1/secrets", "c", &secret("sk_test_two")).await?.must_be(409)?;

    let token = id(&release.post("/v1/payment_methods", &card(VISA, json!({}))).await?.expect(201)?);
    let path = format!("/v1/payment_methods/{token}/reveal");
    let asked = |reference: &str| json!({"purpose": "authorize", "reference": reference});
    let one = keyed(&release, &path, "r", &asked("pay_1")).await?;
    let two = keyed(&release, &path, "r", &asked("pay_1")).await?;
    assert_ne!(one.header("audit-index"), two.header("audit-index"));
    assert_eq!(one.expect(200)?, two.expect(200)?);
    keyed(&release, &path, "r", &asked("pay_2")).await?.must_be(409)
}

#[tokio::test]
async fn a_key_of_another_form_is_refused() -> Result<()> {
    let (_world, release) = vault().await?;
    let long = "k".repeat(strongroom_wire::limits::IDEMPOTENCY_KEY_CHARS_MAX + 1);
    for key in [long.as_str(), "a b"] {
        let refused = keyed(&release, "/v1/payment_methods", key, &card(VISA, json!({}))).await?;
        assert_eq!(refused.status, 422);
        assert_eq!(refused.json()?["field"], "Idempotency-Key");
    }
    Ok(())
}
