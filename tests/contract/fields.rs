//! Encrypted fields: a card that a merchant's page encrypted under its own key is stored as any other, and a PIN is tried.

use reqwest::Method;
use serde_json::{Value, json};
use strongroom_tests::harness::fields::{KEY, NONCE, encrypted, of_card, of_pin, store_key};
use strongroom_tests::harness::{Client, Result, Rule, World, WorldPlan, standard_policy};
use strongroom_wire::limits::{BODY_BYTES_MAX, ENCRYPTED_FIELD_BYTES_MAX};
use strongroom_wire::{Scope, SecretId};

use crate::{VISA, card, id, reveal, vault};

const CARDS: &str = "/v1/payment_methods/encrypted_fields";
const PINS: &str = "/v1/pins/check";

#[tokio::test]
async fn a_card_in_encrypted_fields_is_stored_as_any_other() -> Result<()> {
    let (_world, release) = vault().await?;
    let key = store_key(&release).await?;
    let mut body = of_card(&key, VISA, "987");
    body["customer_id"] = json!("cus_1");
    let answer = release.post(CARDS, &body).await?;
    assert!(answer.header("audit-index").is_some() && !answer.said().contains("987"));
    let stored = answer.expect(201)?;
    assert_eq!((&stored["storage"], &stored["card"]["last4"]), (&json!("short_term"), &json!("4242")));
    assert_eq!((&stored["card"]["exp_month"], &stored["card"]["exp_year"]), (&json!(12), &json!(2031)));
    let asked = json!({"purpose": "authorize", "reference": "pay_1", "cvc_token": stored["cvc_token"]});
    let path = format!("/v1/payment_methods/{}/reveal", id(&stored));
    let revealed = release.post(&path, &asked).await?.expect(200)?;
    assert_eq!((&revealed["card"]["number"], &revealed["card"]["cvc"]), (&json!(VISA), &json!("987")));
    // Met again, however it comes, and under a key.
    body.as_object_mut().unwrap().remove("encrypted_cvv");
    let again = release.post(CARDS, &body).await?.expect(200)?;
    assert!(id(&again) == id(&stored) && again.get("cvc_token").is_none());
    let short = json!({"customer_id": "cus_1", "storage": "short_term"});
    assert_eq!(id(&release.post("/v1/payment_methods", &card(VISA, short)).await?.expect(200)?), id(&stored));
    let keyed = release.clone().with("Idempotency-Key", "order-1");
    keyed.post(CARDS, &body).await?.must_be(200)?;
    assert_eq!(keyed.post(CARDS, &body).await?.header("idempotent-replayed"), Some("true"));
    body["customer_id"] = json!("cus_2");
    keyed.post(CARDS, &body).await?.must_be(409)?;
    let numbered = of_card(&key, "4242 4242 4242 4242", "987");
    assert_eq!(
        reveal(&release, &id(&release.post(CARDS, &numbered).await?.expect(201)?)).await?["card"]["number"],
        VISA
    );
    Ok(())
}

#[tokio::test]
async fn the_right_to_tokenize_is_enough_and_the_key_does_not_leave() -> Result<()> {
    let policy = standard_policy().rule(Rule::new("orchestrator", "till", &["acme"], &[Scope::Tokenize]));
    let world = World::start(WorldPlan { policy, ..WorldPlan::default() }).await?;
    let key = store_key(&world.release().await?).await?;
    let till = world.vault.release(&world.pki, &world.credentials("orchestrator", "till")?)?.tenant(&world.tenant);
    till.post(CARDS, &of_card(&key, VISA, "987")).await?.must_be(201)?;
    till.post(PINS, &of_pin(&key, "1234")).await?.must_be(204)?;
    let path = format!("/v1/secrets/{key}/reveal");
    till.send(Method::POST, &path, None, &[]).await?.must_be(403)?;
    let page = world.security().await?.get("/v1/audit/entries?limit=1000").await?;
    assert!(!page.text().contains(KEY));
    let page = page.expect(200)?;
    let of_key = page["entries"].as_array().unwrap().iter().filter(|entry| entry["subject"] == key.as_str());
    let acts: Vec<&str> = of_key.map(|entry| entry["note"].as_str().unwrap()).collect();
    assert_eq!(acts, ["store", "encrypted fields", "PIN checked", ""], "the last one was refused");
    Ok(())
}

#[tokio::test]
async fn each_wrong_field_is_named_and_nothing_of_it_repeated() -> Result<()> {
    let (_world, release) = vault().await?;
    let key = store_key(&release).await?;
    let right = of_card(&key, VISA, "987");
    let of = |text: &str| json!(encrypted(NONCE, text));
    let number = right["encrypted_card_number"].as_str().unwrap();
    let cases: Vec<(&str, Value)> = vec![
        ("nonce", json!("a1B2c3D4e5F")),
        ("nonce", json!("a1B2c3D4e5F67")),
        ("nonce", json!("a1B2c3D4e5\u{e9}")),
        ("encrypted_card_number", json!(format!("{number}\n"))),
        ("encrypted_card_number", json!(number.replace('+', "-").replace('/', "_"))),
        ("encrypted_card_number", json!(number.trim_end_matches('='))),
        ("encrypted_card_number", of(&"4".repeat(ENCRYPTED_FIELD_BYTES_MAX - 16 + 1))),
        ("encrypted_card_number", json!("A".repeat(BODY_BYTES_MAX / 2))),
        ("encrypted_card_number", json!(encrypted("a1B2c3D4e5F7", VISA))),
        ("encrypted_card_number", of("4242424242424241")),
        ("encrypted_card_number", right["encrypted_cvv"].clone()),
        ("encrypted_expiry_month", of("13")),
        ("encrypted_expiry_month", right["encrypted_expiry_year"].clone()),
        ("encrypted_expiry_year", right["encrypted_expiry_month"].clone()),
        ("encrypted_expiry_year", of("20")),
        ("encrypted_cvv", right["encrypted_card_number"].clone()),
        ("encrypted_cvv", of("9876")),
        ("secret_id", json!("sec_0")),
    ];
    for (field, value) in cases {
        let mut body = right.clone();
        body[field] = value;
        let answer = release.post(CARDS, &body).await?;
        assert!(["4242", "987"].iter().all(|digits| !answer.said().contains(digits)), "{field}");
        assert!([VISA, NONCE, &number[..12]].iter().all(|text| !answer.text().contains(text)), "{field}");
        assert_eq!(answer.expect(422)?["field"], field, "{}", body[field]);
    }
    let mut more = right.clone();
    more["card_number"] = json!(VISA);
    release.post(CARDS, &more).await?.must_be(422)?;
    let huge = vec![b' '; BODY_BYTES_MAX + 1];
    release.post_raw(CARDS, "application/json", huge).await?.must_be(413)?;
    assert_eq!(items(&release).await?, 0, "something was stored of them");
    release.post(CARDS, &right).await?.must_be(201)
}

#[tokio::test]
async fn what_does_not_open_is_answered_as_what_opens_to_nonsense() -> Result<()> {
    let (_world, release) = vault().await?;
    let key = store_key(&release).await?;
    for field in ["encrypted_card_number", "encrypted_expiry_month", "encrypted_expiry_year", "encrypted_cvv"] {
        let mut said = Vec::new();
        for value in [encrypted("a1B2c3D4e5F7", "12"), encrypted(NONCE, "nonsense")] {
            let mut body = of_card(&key, VISA, "987");
            body[field] = json!(value);
            let mut answer = release.post(CARDS, &body).await?.expect(422)?;
            answer.as_object_mut().unwrap().remove("request_id");
            said.push(answer);
        }
        assert_eq!(said[0], said[1]);
    }
    Ok(())
}

#[tokio::test]
async fn a_secret_that_is_not_there_or_no_key_opens_nothing() -> Result<()> {
    let (world, release) = vault().await?;
    world.register("other").await?;
    let key = store_key(&release).await?;
    let other = world.release().await?.tenant("other");
    let hush = release.post("/v1/secrets", &json!({"name": "psp", "value": "hush"})).await?.expect(201)?;
    let hush = hush["secret_id"].as_str().unwrap();
    let nobody = SecretId::fresh().to_string();
    for (client, key, status, field) in [
        (&other, key.as_str(), 404, Value::Null),
        (&release, nobody.as_str(), 404, Value::Null),
        (&release, hush, 422, json!("secret_id")),
    ] {
        for (path, body) in [(CARDS, of_card(key, VISA, "987")), (PINS, of_pin(key, "1234"))] {
            assert_eq!(client.post(path, &body).await?.expect(status)?["field"], field, "{path}");
        }
    }
    release.send(Method::DELETE, &format!("/v1/secrets/{key}"), None, &[]).await?.must_be(204)?;
    release.post(CARDS, &of_card(&key, VISA, "987")).await?.must_be(404)?;
    assert_eq!(items(&release).await?, 0);
    Ok(())
}

#[tokio::test]
async fn a_pin_is_checked_and_the_log_does_not_say_what_it_was() -> Result<()> {
    let (world, release) = vault().await?;
    let key = store_key(&release).await?;
    for (pin, status) in [("1234", 204), ("123456", 204), ("123", 422), ("1234567", 422), ("12a4", 422)] {
        let answer = release.post(PINS, &of_pin(&key, pin)).await?;
        assert!(!answer.said().contains(pin));
        answer.must_be(status)?;
    }
    let mut forged = of_pin(&key, "1234");
    forged["nonce"] = json!("a1B2c3D4e5F7");
    assert_eq!(release.post(PINS, &forged).await?.expect(422)?["field"], "encrypted_pin");
    let page = world.security().await?.get("/v1/audit/entries?limit=1000").await?.expect(200)?;
    let of_key = page["entries"].as_array().unwrap().iter().filter(|entry| entry["subject"] == key.as_str());
    let said: Vec<_> = of_key.skip(1).map(|entry| (&entry["act"], &entry["outcome"], &entry["note"])).collect();
    assert_eq!(said, [(&json!("tokenize"), &json!("allowed"), &json!("PIN checked")); 6]);
    Ok(())
}

/// How many cards the tenant has.
async fn items(release: &Client) -> Result<usize> {
    let page = release.get("/v1/payment_methods").await?.expect(200)?;
    // An answer without a list is not one of an empty list.
    Ok(page["items"].as_array().map_or(usize::MAX, Vec::len))
}
