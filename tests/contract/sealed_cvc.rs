//! A CVC by itself that the browser sealed to the intake key: good for one card, from one sender, once, and never in place of
//! a sealed card.
#![allow(clippy::unwrap_used, reason = "a step of a test that fails shall end the test there")]

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use hpke::aead::AesGcm256;
use hpke::kdf::HkdfSha256;
use hpke::kem::{Kem, X25519HkdfSha256};
use hpke::{Deserializable as _, OpModeS, Serializable as _, single_shot_seal};
use serde_json::{Value, json};
use strongroom_tests::harness::{Answer, Client, Result, World};
use strongroom_wire::limits;

use crate::{AMEX, VISA, card, id, vault};

const CARDS: &str = "/v1/payment_methods";

/// A browser with a session of its own for the customer ada.
struct Browser {
    client: Client,
    key: Value,
    /// What is sealed from here says so.
    from: String,
}

impl Browser {
    async fn new(world: &World, release: &Client) -> Result<Self> {
        let asked = json!({"customer_id": "ada", "allowed_origins": ["https://shop.example"]});
        let made = release.post("/v1/sessions", &asked).await?.expect(201)?;
        let secret = made["client_secret"].as_str().unwrap();
        let claims = secret.strip_prefix("ss_").unwrap().split_once('.').unwrap().0;
        let claims: Value = serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(claims).unwrap()).unwrap();
        let from = format!("session {}", claims["id"].as_str().unwrap());
        let client = world.vault.intake(&world.pki)?.with("Authorization", format!("Bearer {secret}"));
        let key = client.get("/v1/intake-key").await?.expect(200)?;
        Ok(Self { client, key, from })
    }

    /// A CVC for this card.
    fn cvc(&self, token: &str, cvc: &str) -> Value {
        self.sealed_as_cvc(token, &padded(&json!({ "cvc": cvc })))
    }

    fn sealed_as_cvc(&self, token: &str, plaintext: &[u8]) -> Value {
        json!({ "encrypted_cvc": seal(&self.key, "strongroom intake cvc v1", &self.last_lines(token), plaintext) })
    }

    fn last_lines(&self, token: &str) -> String {
        format!("{}\npayment_method {token}", self.from)
    }

    async fn hand_in(&self, token: &str, body: &Value) -> Result<Answer> {
        self.client.post(&path(token), body).await
    }
}

#[tokio::test]
async fn a_cvc_that_a_browser_sealed_is_good_for_its_card_once() -> Result<()> {
    let (world, release) = vault().await?;
    let [ada, other] = stored(&release).await?;
    let browser = Browser::new(&world, &release).await?;
    let body = browser.cvc(&ada, "987");
    let sealed = browser.hand_in(&ada, &body).await?.expect(200)?;
    let asked = json!({"purpose": "authorize", "reference": "pay_1", "cvc_token": sealed["cvc_token"]});
    let opened = release.post(&format!("{CARDS}/{ada}/reveal"), &asked).await?.expect(200)?;
    assert_eq!(opened["card"]["cvc"], "987");
    // Once, whatever idempotency key stands beside it; refused and recorded.
    for client in [browser.client.clone(), browser.client.clone().with("Idempotency-Key", "again")] {
        let again = client.post(&path(&ada), &body).await?;
        assert_eq!((again.status, again.problem().as_str()), (409, "sealed-card-used"));
        assert_eq!(again.json()?["field"], "encrypted_cvc");
    }
    let keyed = browser.client.clone().with("Idempotency-Key", "one");
    let body = browser.cvc(&other, "9876");
    keyed.post(&path(&other), &body).await?.must_be(200)?;
    keyed.post(&path(&other), &body).await?.must_be(409)?;
    assert_eq!(noted(&world, "sealed CVC used before").await?, 3);
    Ok(())
}

#[tokio::test]
async fn a_sealed_cvc_is_worth_nothing_for_another_card_session_or_purpose() -> Result<()> {
    let (world, release) = vault().await?;
    let [ada, other] = stored(&release).await?;
    let (browser, thief) = (Browser::new(&world, &release).await?, Browser::new(&world, &release).await?);
    let refused = |answer: &Answer, field: &str| {
        assert_eq!((answer.status, answer.problem().as_str()), (422, "invalid-card"), "{}", answer.text());
        assert_eq!(answer.json().unwrap()["field"], field);
    };
    let body = browser.cvc(&ada, "987");
    refused(&browser.hand_in(&other, &body).await?, "encrypted_cvc");
    refused(&thief.hand_in(&ada, &body).await?, "encrypted_cvc");
    refused(&release.post(&path(&ada), &body).await?, "encrypted_cvc");
    // In place of a card, and a card in its place, sealed as a card is and as a CVC is.
    let as_card = json!({"type": "card", "encrypted_card": body["encrypted_cvc"]});
    refused(&browser.client.post(CARDS, &as_card).await?, "encrypted_card");
    let whole = padded(&json!({"number": VISA, "exp_month": 12, "exp_year": 2031, "cvc": "987"}));
    let sealed_card = seal(&browser.key, "strongroom intake v1", &browser.from, &whole);
    refused(&browser.hand_in(&ada, &json!({ "encrypted_cvc": sealed_card })).await?, "encrypted_cvc");
    let opened = browser.hand_in(&ada, &browser.sealed_as_cvc(&ada, &whole)).await?;
    assert_eq!((opened.status, opened.json()?["field"].as_str()), (422, Some("encrypted_cvc")), "{}", opened.text());
    assert_eq!(noted(&world, "sealed CVC does not open").await?, 4);
    // None of this used it up.
    browser.hand_in(&ada, &body).await?.must_be(200)
}

#[tokio::test]
async fn what_is_no_sealed_cvc_is_refused_by_name_and_repeats_nothing() -> Result<()> {
    let (world, release) = vault().await?;
    let [ada, amex] = stored(&release).await?;
    let browser = Browser::new(&world, &release).await?;
    let right = browser.cvc(&ada, "987");
    let with = |member: &str, value: Value| {
        let mut body = right.clone();
        body["encrypted_cvc"][member] = value;
        body
    };
    let ciphertext = right["encrypted_cvc"]["ciphertext"].as_str().unwrap();
    let oversized = BASE64_URL_SAFE_NO_PAD.encode(vec![0; limits::SEALED_CARD_BYTES_MAX + 1]);
    let longest = vec![b' '; limits::SEALED_CARD_BYTES_MAX - 16];
    let mut both = right.clone();
    both["cvc"] = json!("987");
    let mut unknown = right.clone();
    unknown["more"] = json!(1);
    for (body, status, field) in [
        (both, 422, Some("encrypted_cvc")),
        (unknown, 422, None),
        (with("more", json!(1)), 422, Some("encrypted_cvc")),
        (with("key_id", json!("ik_999")), 409, Some("encrypted_cvc.key_id")),
        (with("ciphertext", json!(oversized)), 422, Some("encrypted_cvc.ciphertext")),
        (with("ciphertext", json!(&ciphertext[..20])), 422, Some("encrypted_cvc.ciphertext")),
        (with("ciphertext", json!(&ciphertext[..200])), 422, Some("encrypted_cvc")),
        (browser.sealed_as_cvc(&ada, &longest), 422, Some("encrypted_cvc")),
        (browser.sealed_as_cvc(&ada, br#"{"cvc":"987","number":"1"}"#), 422, Some("encrypted_cvc")),
        (browser.cvc(&ada, "9876"), 422, Some("cvc")),
        (browser.cvc(&ada, "98"), 422, Some("cvc")),
    ] {
        let answer = browser.hand_in(&ada, &body).await?;
        assert!(!answer.said().contains("987"), "{}", answer.text());
        assert_eq!((answer.status, answer.json()?["field"].as_str()), (status, field), "{}", answer.text());
    }
    browser.hand_in(&ada, &right).await?.must_be(200)?;
    // On the release listener it is sealed for the tenant.
    let house = Browser { client: release.clone(), key: browser.key, from: format!("tenant {}", world.tenant) };
    house.hand_in(&amex, &house.cvc(&amex, "9876")).await?.must_be(200)
}

/// A Visa and an American Express card of ada.
async fn stored(release: &Client) -> Result<[String; 2]> {
    let of = json!({"customer_id": "ada"});
    let visa = id(&release.post(CARDS, &card(VISA, of.clone())).await?.expect(201)?);
    Ok([visa, id(&release.post(CARDS, &card(AMEX, of)).await?.expect(201)?)])
}

fn path(token: &str) -> String {
    format!("{CARDS}/{token}/cvc")
}

/// Refusals in the log with these words.
async fn noted(world: &World, words: &str) -> Result<usize> {
    let page = world.security().await?.get("/v1/audit/entries?limit=1000").await?.expect(200)?;
    let is_it = |entry: &&Value| {
        entry["note"].as_str().is_some_and(|note| note.contains(words)) && entry["outcome"] == "refused"
    };
    Ok(page["entries"].as_array().unwrap().iter().filter(is_it).count())
}

/// As a browser fills it up.
fn padded(plaintext: &Value) -> Vec<u8> {
    let mut bytes = plaintext.to_string().into_bytes();
    bytes.resize(512, b' ');
    bytes
}

fn seal(key: &Value, label: &str, last_lines: &str, plaintext: &[u8]) -> Value {
    let word = |field: &str| key[field].as_str().unwrap();
    let public = BASE64_URL_SAFE_NO_PAD.decode(word("public_key")).unwrap();
    let public = <X25519HkdfSha256 as Kem>::PublicKey::from_bytes(&public).unwrap();
    let info = format!("{label}\n{}\n{}\n{last_lines}", word("vault_id"), word("key_id"));
    let (enc, ciphertext) = single_shot_seal::<AesGcm256, HkdfSha256, X25519HkdfSha256>(
        &OpModeS::Base,
        &public,
        info.as_bytes(),
        plaintext,
        &[],
    )
    .unwrap();
    json!({
        "key_id": word("key_id"),
        "enc": BASE64_URL_SAFE_NO_PAD.encode(enc.to_bytes()),
        "ciphertext": BASE64_URL_SAFE_NO_PAD.encode(ciphertext),
    })
}
