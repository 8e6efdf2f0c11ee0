//! Cards and CVCs that are sealed by another implementation of HPKE, as a browser would, and taken by vaultd.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use strongroom_tests::harness::{Client, Result, World};
use strongroom_wire::limits;

const SHOP: &str = "https://shop.example";
const PATH: &str = "/v1/payment_methods";

#[tokio::test]
async fn a_card_that_a_browser_sealed_is_stored_and_its_cvc_works() -> Result<()> {
    let world = World::vault_only().await?;
    let release = world.release().await?;
    let session = Session::new(&world, &release).await?;
    let key = intake_key(&world.vault.intake(&world.pki)?).await?;
    let card = json!({"number": "4242424242424242", "exp_month": 12, "exp_year": 2031, "cvc": "123"});
    let body = seal(&key, &session.last_line(), &[card]).remove(0);
    let posted = session.client.post(PATH, &body).await?;
    assert!(!posted.text().contains("4242424242424242"));
    let stored = posted.expect(201)?;
    let asked = json!({"purpose": "authorize", "reference": "pay_1", "cvc_token": stored["cvc_token"]});
    let opened = release.post(&format!("{PATH}/{}/reveal", word(&stored)), &asked).await?.expect(200)?;
    assert_eq!((&opened["card"]["number"], &opened["card"]["cvc"]), (&json!("4242424242424242"), &json!("123")));
    // Once, and in no other session.
    let again = session.client.post(PATH, &body).await?;
    assert_eq!((again.status, again.problem().as_str()), (409, "sealed-card-used"));
    let other = Session::new(&world, &release).await?;
    let stolen =
        seal(&key, &session.last_line(), &[json!({"number": "378282246310005", "exp_month": 1, "exp_year": 2031})]);
    let refused = other.client.post(PATH, &stolen[0]).await?;
    assert_eq!((refused.status, refused.problem().as_str()), (422, "invalid-card"));
    refused_with_both(&session, &stolen[0]).await
}

async fn refused_with_both(session: &Session, sealed: &Value) -> Result<()> {
    let mut both = sealed.clone();
    both["card"] = json!({"number": "4242424242424242", "exp_month": 12, "exp_year": 2031});
    let refused = session.client.post(PATH, &both).await?;
    assert_eq!((refused.status, refused.json()?["field"].as_str()), (422, Some("encrypted_card")));
    let mut unknown = sealed.clone();
    unknown["encrypted_card"]["key_id"] = json!("ik_999");
    let gone = session.client.post(PATH, &unknown).await?;
    assert_eq!((gone.status, gone.problem().as_str()), (409, "intake-key-gone"));
    let mut long = sealed.clone();
    long["encrypted_card"]["ciphertext"] =
        BASE64_URL_SAFE_NO_PAD.encode(vec![0; limits::SEALED_CARD_BYTES_MAX + 1]).into();
    session.client.post(PATH, &long).await?.must_be(422)
}

#[tokio::test]
async fn a_cvc_that_a_browser_sealed_comes_out_with_its_card() -> Result<()> {
    let world = World::vault_only().await?;
    let release = world.release().await?;
    let key = intake_key(&release).await?;
    let card = json!({"number": "4242424242424242", "exp_month": 12, "exp_year": 2031});
    let stored = release.post(PATH, &json!({"type": "card", "card": card, "customer_id": "ada"})).await?.expect(201)?;
    let session = Session::of(&world, &release, Some("ada")).await?;
    let about = format!("{}\npayment_method {}", session.last_line(), word(&stored));
    let sealed = sealings(&key, "strongroom intake cvc v1", &about, &[json!({"cvc": "987"})]).remove(0);
    let path = format!("{PATH}/{}", word(&stored));
    let posted = session.client.post(&format!("{path}/cvc"), &json!({ "encrypted_cvc": sealed })).await?.expect(200)?;
    let asked = json!({"purpose": "authorize", "reference": "pay_1", "cvc_token": posted["cvc_token"]});
    let opened = release.post(&format!("{path}/reveal"), &asked).await?.expect(200)?;
    assert_eq!(opened["card"]["cvc"], "987");
    Ok(())
}

#[tokio::test]
async fn sealed_cards_go_into_a_batch_and_repeat_with_their_idempotency_key() -> Result<()> {
    let world = World::vault_only().await?;
    let release = world.release().await?;
    let key = intake_key(&release).await?;
    let numbers = ["4242424242424242", "5555555555554444", "4242424242424241"];
    let cards: Vec<Value> =
        numbers.iter().map(|number| json!({"number": number, "exp_month": 12, "exp_year": 2031})).collect();
    let of = format!("tenant {}", world.tenant);
    let batch = json!({"payment_methods": seal(&key, &of, &cards)});
    let keyed = release.clone().with("Idempotency-Key", "batch-1");
    let first = keyed.post(&format!("{PATH}/batch"), &batch).await?.expect(200)?;
    let statuses: Vec<u64> =
        first["results"].as_array().unwrap().iter().filter_map(|result| result["status"].as_u64()).collect();
    assert_eq!(statuses, [201, 201, 422]);
    assert_eq!(first["results"][2]["problem"]["field"], "card.number");
    let again = keyed.post(&format!("{PATH}/batch"), &batch).await?.expect(200)?;
    for place in 0..2 {
        assert_eq!(again["results"][place]["payment_method"], first["results"][place]["payment_method"]);
    }
    let without = release.post(&format!("{PATH}/batch"), &batch).await?.expect(200)?;
    assert_eq!(without["results"][0]["status"], 409);
    assert_eq!(release.get(PATH).await?.expect(200)?["items"].as_array().unwrap().len(), 2);
    // A CVC is refused in a batch, sealed or not.
    let card = json!({"number": "4242424242424242", "exp_month": 12, "exp_year": 2031, "cvc": "123"});
    let with_cvc = json!({"payment_methods": seal(&key, &of, &[card])});
    let refused = release.post(&format!("{PATH}/batch"), &with_cvc).await?.expect(200)?;
    assert_eq!(refused["results"][0]["problem"]["field"], "card.cvc");
    Ok(())
}

struct Session {
    client: Client,
    id: String,
}

impl Session {
    async fn new(world: &World, release: &Client) -> Result<Self> {
        Self::of(world, release, None).await
    }

    async fn of(world: &World, release: &Client, customer: Option<&str>) -> Result<Self> {
        let asked = json!({"customer_id": customer, "allowed_origins": [SHOP]});
        let session = release.post("/v1/sessions", &asked).await?.expect(201)?;
        let secret = session["client_secret"].as_str().unwrap();
        let claims = secret.strip_prefix("ss_").unwrap().split_once('.').unwrap().0;
        let claims: Value = serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(claims).unwrap()).unwrap();
        let client = world.vault.intake(&world.pki)?.with("Authorization", format!("Bearer {secret}"));
        Ok(Self { client, id: claims["id"].as_str().unwrap().to_owned() })
    }

    fn last_line(&self) -> String {
        format!("session {}", self.id)
    }
}

/// The key as a client gets it: it may be cached, and any page may read it.
async fn intake_key(client: &Client) -> Result<Value> {
    let answer = client.get("/v1/intake-key").await?;
    let cached = answer.header("cache-control").unwrap_or_default().to_owned();
    let age: u64 = cached.strip_prefix("public, max-age=").and_then(|age| age.parse().ok()).unwrap_or(u64::MAX);
    assert!(age <= limits::INTAKE_KEY_CACHE_S, "{cached}");
    answer.expect(200)
}

/// Request bodies with cards that Node sealed.
fn seal(key: &Value, last_line: &str, cards: &[Value]) -> Vec<Value> {
    let body = |sealed: Value| json!({"type": "card", "encrypted_card": sealed});
    sealings(key, "strongroom intake v1", last_line, cards).into_iter().map(body).collect()
}

/// What Node sealed: the members of each sealing.
fn sealings(key: &Value, label: &str, last_lines: &str, plaintexts: &[Value]) -> Vec<Value> {
    let here = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let packages = here.join("../target/node");
    assert!(
        packages.join("node_modules/@hpke/core").exists(),
        "the packages are not there: `cargo xtask test` installs them"
    );
    let word = |field: &str| key[field].as_str().unwrap().to_owned();
    let info = format!("{label}\n{}\n{}\n{last_lines}", word("vault_id"), word("key_id"));
    let asked: Vec<Value> = plaintexts
        .iter()
        .map(|plain| json!({"public_key": word("public_key"), "info": info, "plaintext": plain.to_string()}))
        .collect();
    let mut node = Command::new("node")
        .arg(here.join("specs/seal_card.mjs"))
        .arg(packages.canonicalize().unwrap())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    node.stdin.take().unwrap().write_all(Value::from(asked).to_string().as_bytes()).unwrap();
    let output = node.wait_with_output().unwrap();
    assert!(output.status.success());
    let sealed: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(sealed.len(), plaintexts.len());
    let members =
        |sealed: Value| json!({"key_id": word("key_id"), "enc": sealed["enc"], "ciphertext": sealed["ciphertext"]});
    sealed.into_iter().map(members).collect()
}

fn word(stored: &Value) -> &str {
    stored["payment_method_id"].as_str().unwrap()
}
