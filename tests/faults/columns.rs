//! Every column of every table of the store, changed one at a time in every row: it is found, or it shows nothing wrong.
//!
//! What a change leads to is told by asking the vault everything that it answers from the store, before and after.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use strongroom_tests::harness::{Answer, Client, World, eventually, word};

use crate::changes::{Change, Kept};

/// What a question was answered with.
#[derive(Debug, Clone, PartialEq)]
struct Told {
    status: u16,
    body: Value,
}

/// Questions by name. What differs from one time to the next by itself is taken out.
type Answers = BTreeMap<String, Told>;

#[tokio::test]
async fn a_changed_column_of_the_store_is_found_or_shows_no_other_card() {
    let mut world = World::vault_only().await.unwrap();
    let asked = Questions::store(&world).await;
    world.vault.process().stop().await.unwrap();
    let kept = Kept::of(&[world.vault.store_file(), world.vault.audit_file()]);
    let changes = Change::all_of(&world.vault.store_file(), u32::MAX);
    world.vault.restart().await.unwrap();
    let right = asked.ask(&world).await;
    assert!(right.values().all(|told| told.status < 300), "{right:#?}");
    let (mut tried, mut found, mut unfound) = (0, 0, BTreeSet::new());
    for change in &changes {
        world.vault.process().kill().unwrap();
        kept.put_back();
        if !change.make(&world.vault.store_file()) {
            continue;
        }
        tried += 1;
        if world.vault.restart().await.is_err() {
            found += 1;
            continue;
        }
        let now = asked.ask(&world).await;
        let different: Vec<_> = now.iter().filter(|(question, told)| **told != right[*question]).collect();
        if different.iter().any(|(_, told)| told.status >= 400) {
            found += 1;
        } else if !different.is_empty() {
            unfound.insert(change.place());
        }
        for (question, told) in different {
            // A list may lack what was made to look like another's; a card, a view or a secret may never differ.
            let of_one = ["reveal", "get", "secret"].iter().any(|kind| question.starts_with(kind));
            assert!(told.status >= 400 || !of_one, "{}: `{question}` shows something else", change.place());
        }
    }
    assert!(tried > 100, "only {tried} changes were made");
    println!("{found} of {tried} changed columns of the store were found");
    let known: BTreeSet<String> = UNBOUND.iter().map(|(place, _)| (*place).to_owned()).collect();
    assert_eq!(unfound, known, "columns whose change is seen and not found");
}

/// Columns whose change shows and is not found, and why no card is the worse for it.
const UNBOUND: [(&str, &str); 14] = [
    ("answers.name", "the kept answer of an idempotency key is not there, as if it had been deleted"),
    ("answers.tenant", "the same"),
    (
        "keys.created_ms",
        "the age and the end that follows from it; the key itself is bound to its tenant, purpose and term",
    ),
    ("keys.state", "a retired term that is called destroyed is not loaded, and opens nothing"),
    ("rotations.done", "progress that is shown; the proof is a signed note and says the number itself"),
    ("rotations.emergency", "a word that is shown; one that runs goes before others"),
    ("rotations.fault", "words that are shown"),
    ("rotations.proof", "a signed note, which does not verify when it was changed"),
    ("rotations.records_per_second_max", "a limit that is shown, and kept by one that runs"),
    ("rotations.started_ms", "a time that is shown"),
    ("rotations.state", "a rotation that is taken up again finds nothing to move and ends"),
    ("rotations.to_term", "a term that is shown; the proof names the right one"),
    ("rotations.total", "progress that is shown"),
    ("tenants.created_ms", "a time that is shown"),
];

/// Everything that was stored to be asked about.
struct Questions {
    cards: Vec<String>,
    secret: String,
    fingerprint: String,
}

impl Questions {
    async fn store(world: &World) -> Self {
        world.register("other").await.unwrap();
        let release = world.release().await.unwrap();
        let mut cards = Vec::new();
        for (number, more) in [
            ("4242424242424242", json!({ "customer_id": "cus_ada", "metadata": { "order": "8" } })),
            ("5555555555554444", json!({ "customer_id": "cus_ada", "storage": "short_term", "ttl_seconds": 600_000 })),
            ("378282246310005", json!({})),
        ] {
            let mut body = json!({ "type": "card", "card": { "number": number, "exp_month": 12, "exp_year": 2031 } });
            body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            let stored = release.post("/v1/payment_methods", &body).await.unwrap().expect(201).unwrap();
            cards.push(stored);
        }
        let keyed = keyed_card(&release).await.expect(201).unwrap();
        let fingerprint = word(&cards[0]["card"], "fingerprint").unwrap();
        cards.push(keyed);
        let secret = release.post("/v1/secrets", &json!({ "name": "psp", "value": "hush" })).await.unwrap();
        let secret = word(&secret.expect(201).unwrap(), "secret_id").unwrap();
        let security = world.security().await.unwrap();
        security.post("/v1/rotations", &json!({ "tenant": world.tenant })).await.unwrap().must_be(202).unwrap();
        eventually("the rotation to end", Duration::from_secs(30), || async {
            let now = security.get("/v1/rotations/acme").await?.expect(200)?;
            Ok((now["state"] == "done").then_some(()))
        })
        .await
        .unwrap();
        let cards = cards.iter().map(|card| word(card, "payment_method_id").unwrap()).collect();
        Self { cards, secret, fingerprint }
    }

    async fn ask(&self, world: &World) -> Answers {
        let (release, security) = (world.release().await.unwrap(), world.security().await.unwrap());
        let mut answers = Answers::new();
        let mut keep = |name: &str, answer: Answer| {
            let body = answer.json().unwrap_or(Value::Null);
            let body = if answer.status < 300 { steady(body) } else { Value::Null };
            answers.insert(name.to_owned(), Told { status: answer.status, body });
        };
        for (nth, card) in self.cards.iter().enumerate() {
            let path = format!("/v1/payment_methods/{card}");
            let purpose = json!({ "purpose": "authorize", "reference": "pay_columns" });
            keep(&format!("reveal {nth}"), release.post(&format!("{path}/reveal"), &purpose).await.unwrap());
            keep(&format!("get {nth}"), release.get(&path).await.unwrap());
        }
        keep(
            "secret",
            release.send(Method::POST, &format!("/v1/secrets/{}/reveal", self.secret), None, &[]).await.unwrap(),
        );
        keep("retry", keyed_card(&release).await);
        for (name, query) in [
            ("list", String::new()),
            ("list by customer", "?customer_id=cus_ada".to_owned()),
            ("list by fingerprint", format!("?fingerprint={}", self.fingerprint)),
        ] {
            keep(name, release.get(&format!("/v1/payment_methods{query}")).await.unwrap());
        }
        for (name, path) in [("keys", "/v1/keys"), ("rotation", "/v1/rotations/acme"), ("tenants", "/v1/tenants")] {
            keep(name, security.get(path).await.unwrap());
        }
        answers
    }
}

/// A card under an idempotency key, and the same again whenever it is asked.
async fn keyed_card(release: &Client) -> Answer {
    let body = json!({ "type": "card", "card": { "number": "5105105105105100", "exp_month": 12, "exp_year": 2031 } });
    release.send(Method::POST, "/v1/payment_methods", Some(&body), &[("Idempotency-Key", "order-1")]).await.unwrap()
}

/// Without what grows by itself.
fn steady(mut body: Value) -> Value {
    if let Some(keys) = body["keys"].as_array_mut() {
        keys.iter_mut().for_each(|key| key["wraps"] = Value::Null);
    }
    body
}
