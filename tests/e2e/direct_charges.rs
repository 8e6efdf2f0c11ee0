//! The direct-charges dialect, step by step as its document tells it: over TLS, with fields that a real cipher closed and the
//! vault alone opens, and the PSP's ledger as the judge.

use std::fs;
use std::time::Duration;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use reqwest::Method;
use serde_json::{Value, json};
use sha2::Sha256;
use strongroom_tests::harness::{Client, OrchestratorPlan, Peer, Reply, World, WorldPlan, card, eventually, word};

/// A shop that was written for the dialect.
struct Till {
    world: World,
    client: Client,
    fields: Vec<u8>,
}

impl Till {
    async fn open(forwards: bool) -> Self {
        let more = "[dialects.direct_charges]\nscenarios = true\n".to_owned();
        let orchestrator = OrchestratorPlan { more, forwards, ..OrchestratorPlan::default() };
        let world = World::start(WorldPlan { payments: true, orchestrator, ..WorldPlan::default() }).await.unwrap();
        let orchestrator = world.payments().unwrap();
        let bearer = format!("Bearer {}", orchestrator.merchant.api_key);
        let client = orchestrator.anyone().with("Authorization", bearer);
        let made = client.post("/direct/encryption-keys/rotate", &json!({})).await.unwrap().expect(201).unwrap();
        let fields = BASE64_STANDARD.decode(word(&made["data"], "encryption_key").unwrap()).unwrap();
        Self { world, client, fields }
    }

    /// As the document says: AES-256-GCM, the twelve characters are the nonce of every field.
    fn close(&self, nonce: &str, text: &str) -> String {
        let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &self.fields).unwrap());
        let nonce = Nonce::assume_unique_for_key(nonce.as_bytes().try_into().unwrap());
        let mut bytes = text.as_bytes().to_vec();
        key.seal_in_place_append_tag(nonce, Aad::empty(), &mut bytes).unwrap();
        BASE64_STANDARD.encode(bytes)
    }

    fn body(&self, number: &str) -> Value {
        let nonce = "n0Ad6mOzVnLI";
        json!({
            "amount": "200", "currency": "USD", "reference": "YOUR_EXAMPLE_REFERENCE",
            "payment_method": {"type": "card", "card": {
                "nonce": nonce,
                "encrypted_expiry_month": self.close(nonce, "09"),
                "encrypted_expiry_year": self.close(nonce, "32"),
                "encrypted_card_number": self.close(nonce, number),
                "encrypted_cvv": self.close(nonce, "564"),
            }},
            "redirect_url": "http://www.flutterwave.com",
            "customer": {
                "address": {"country": "US", "city": "San Francisco", "state": "California", "postal_code": "10001",
                            "line1": "123 Main Street"},
                "phone": {"country_code": "41", "number": "7069423351"},
                "name": {"middle": "Cornelius", "last": "Oluwole", "first": "Hassan"},
                "email": "hassan@example.com",
            },
        })
    }

    async fn charge(&self, body: &Value, scenario: &str) -> Value {
        let path = "/direct/orchestration/direct-charges";
        let more = [("X-Trace-Id", "9d1c-trace"), ("X-Idempotency-Key", scenario), ("X-Scenario-Key", scenario)];
        let answer = self.client.send(Method::POST, path, Some(body), &more).await.unwrap();
        assert_eq!(answer.header("x-trace-id"), Some("9d1c-trace"));
        answer.expect(201).unwrap()
    }

    async fn put(&self, id: &str, authorization: Value) -> (u16, Value) {
        let path = format!("/direct/charges/{id}");
        let body = json!({ "authorization": authorization });
        let answer = self.client.send(Method::PUT, &path, Some(&body), &[]).await.unwrap();
        (answer.status, answer.json().unwrap())
    }

    async fn verify(&self, id: &str) -> Value {
        let path = format!("/direct/charges/{id}");
        self.client.get(&path).await.unwrap().expect(200).unwrap()["data"].clone()
    }

    /// What the provider's ledger says was taken by a charge.
    async fn taken(&self, id: &str) -> Vec<i64> {
        let id = id.replacen("chg_", "pay_", 1);
        let lines = self.world.psp().unwrap().ledger_of(&id).await.unwrap();
        lines.iter().filter(|line| line.kind == "capture").map(|line| line.amount).collect()
    }
}

#[tokio::test]
async fn a_shop_goes_through_the_document_of_direct_charges() {
    let till = Till::open(false).await;
    let orchestrator = till.world.payments().unwrap();
    let certificate = till.world.pki.server("receiver").unwrap();
    let receiver = Peer::start(&certificate, |_| Reply::Answer(200, "", String::new()));
    let receiver = receiver.await.unwrap();
    let hook = json!({"webhook_details": {"webhook_url": format!("{}/hook", receiver.url())}});
    let path = format!("/accounts/{}", orchestrator.merchant.id);
    let account = orchestrator.operator().post(&path, &hook).await.unwrap().expect(200).unwrap();
    let secret = word(&account["webhook_details"], "webhook_secret").unwrap();

    // Initiating a charge: it asks for the PIN, and nothing is taken yet. The same call again is the same charge.
    let body = till.body(card::VISA);
    let asking = "scenario:auth_pin&issuer:approved";
    let made = till.charge(&body, asking).await;
    assert_eq!((&made["status"], &made["message"]), (&json!("success"), &json!("Charge created")));
    assert_eq!(made["data"]["next_action"], json!({"type": "requires_pin", "requires_pin": {}}));
    assert_eq!(till.charge(&body, asking).await, made);
    let id = word(&made["data"], "id").unwrap();
    assert_eq!((&made["data"]["status"], till.taken(&id).await), (&json!("pending"), vec![]));

    // Completing it. A PIN of letters leaves it as it was.
    let pin = |text: &str| json!({"type": "pin", "pin": {"nonce": "Xn0Ad6mOzVn1", "encrypted_pin": till.close("Xn0Ad6mOzVn1", text)}});
    let (status, refused) = till.put(&id, pin("12ab")).await;
    assert_eq!((status, &refused["error"]["type"]), (422, &json!("CLIENT_ENCRYPTION_ERROR")));
    let (status, done) = till.put(&id, pin("12345")).await;
    assert_eq!((status, &done["data"]["status"]), (200, &json!("succeeded")), "{done}");
    assert_eq!(till.taken(&id).await, [20_000]);
    assert_eq!(till.verify(&id).await, done["data"]);
    assert_eq!(till.put(&id, pin("12345")).await.0, 409);

    // The webhook says the same, under the signature that the dialect makes.
    let told = eventually("the letter about the charge", Duration::from_secs(90), || async {
        Ok(receiver.heard().into_iter().find(|request| request.contains(&id)))
    });
    let told = told.await.unwrap();
    let (head, letter) = told.split_once("\r\n\r\n").unwrap();
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(letter.as_bytes());
    let signature = format!("flutterwave-signature: {}", BASE64_STANDARD.encode(mac.finalize().into_bytes()));
    assert!(head.lines().any(|line| line == signature), "{head}");
    let letter: Value = serde_json::from_str(letter).unwrap();
    assert_eq!((&letter["type"], &letter["data"]), (&json!("charge.completed"), &done["data"]));

    // Redirects: 3-D Secure, to the end.
    let made = till.charge(&till.body(card::THREE_DS), "scenario:auth_3ds&issuer:approved").await;
    let away = word(&made["data"], "id").unwrap();
    assert_eq!(
        (&made["data"]["status"], &made["data"]["next_action"]["type"]),
        (&json!("pending"), &json!("redirect_url"))
    );
    let page = word(&made["data"]["next_action"]["redirect_url"], "url").unwrap();
    till.world.psp().unwrap().click(&page, "approve").await.unwrap();
    assert_eq!(till.verify(&away).await["status"], "succeeded");
    assert_eq!(till.taken(&away).await, [20_000]);

    // A decline is the simulator's, and a charge that failed.
    let made = till.charge(&till.body(card::DECLINED), "scenario:noauth").await;
    assert_eq!(made["data"]["status"], "failed");
    assert_eq!(made["data"]["processor_response"]["code"], "card_declined", "{made}");

    // Nothing of a card is left where the orchestrator writes.
    let orchestrator = till.world.payments().unwrap();
    let mut ahead = orchestrator.database().into_os_string();
    ahead.push("-wal");
    let places = [orchestrator.database(), ahead.into(), orchestrator.log().to_owned()];
    let written = places.map(|place| fs::read(place).unwrap()).concat();
    let holds = |text: &str| written.windows(text.len()).any(|window| window == text.as_bytes());
    assert!(holds(&away.replace("chg_", "pay_")), "the search sees what the orchestrator stored last");
    for secret in [card::VISA, card::THREE_DS, card::DECLINED] {
        assert!(!written.windows(secret.len()).any(|window| window == secret.as_bytes()), "a card number lies about");
    }
    let key = BASE64_STANDARD.encode(&till.fields);
    assert!(!written.windows(key.len()).any(|window| window == key.as_bytes()), "the key of the fields lies about");
}

#[tokio::test]
async fn a_card_on_file_is_charged_again_by_an_orchestrator_that_never_holds_one() {
    let till = Till::open(true).await;
    let mut body = till.body(card::MASTERCARD);
    body["payment_method"]["card"]["cof"] = json!({"enabled": true});
    let made = till.charge(&body, "scenario:noauth").await;
    assert_eq!(made["data"]["status"], "succeeded", "{made}");
    let kept = word(&made["data"]["payment_method_details"], "id").unwrap();
    let again = json!({"amount": 12.34, "currency": "USD", "reference": "second", "recurring": true,
                       "customer_id": made["data"]["customer_id"], "payment_method_id": kept});
    let charged = till.client.post("/direct/charges", &again).await.unwrap().expect(201).unwrap();
    let id = word(&charged["data"], "id").unwrap();
    assert_eq!((&charged["data"]["status"], till.taken(&id).await), (&json!("succeeded"), vec![1234]));
}
