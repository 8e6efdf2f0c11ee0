//! Cards to another party: two people agree, one of them downloads, and the recipient alone reads it.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use age::secrecy::ExposeSecret as _;
use reqwest::Method;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use strongroom_tests::harness::{
    Binary, Client, Rule, TENANT, World, WorldPlan, binary_path, eventually, standard_policy,
};
use strongroom_wire::Scope;

const NUMBERS: [&str; 4] = ["4242424242424242", "5555555555554444", "378282246310005", "6200000000000005"];

#[tokio::test]
async fn the_recipient_reads_every_card_as_it_was_stored_and_nobody_else_reads_one() {
    let mut world = World::vault_only().await.unwrap();
    world.register("other").await.unwrap();
    let stored = store(&world, 1_200).await;
    let (identity, recipient) = somebody();
    let out = world.path().join("cards.age");
    let options = ["--tenant", &world.tenant.clone(), "--recipient", &recipient, "--json"];

    let asked = export(&world, "alice", &out, &options);
    assert_eq!(asked.status.code(), Some(3), "{}", said(&asked));
    let act = serde_json::from_slice::<Value>(&asked.stdout).unwrap()["act_id"].as_str().unwrap().to_owned();
    // Alone she gets nothing, neither by asking again nor past the tool.
    assert_eq!(export(&world, "alice", &out, &options).status.code(), Some(3));
    let path = format!("/v1/exports/{act}");
    officer(&world, "alice").get(&path).await.unwrap().must_be(409).unwrap();
    let same =
        officer(&world, "alice").send(Method::POST, &format!("/v1/acts/{act}/approve"), None, &[]).await.unwrap();
    assert_eq!(same.status, 403);
    assert_eq!(entries(&world, "export", "allowed", &act).await, 0, "no card has an entry yet");
    approve(&world, &act).await;

    let done = export(&world, "alice", &out, &options);
    assert!(done.status.success(), "{}", said(&done));
    let bytes = std::fs::read(&out).unwrap();
    let lines = decrypt(&bytes, &identity).unwrap();
    assert!(decrypt(&bytes, &somebody().0).is_none());
    let (note, cards) = lines.split_last().unwrap();
    let read: BTreeMap<String, Value> =
        cards.iter().map(|line| (word(line, "payment_method_id"), line.clone())).collect();
    assert_eq!((cards.len(), read.len()), (stored.len(), stored.len()));
    for (token, (body, answer)) in &stored {
        let line = &read[token];
        for field in ["number", "exp_month", "exp_year", "holder_name"] {
            assert_eq!(line[field], body["card"][field], "{field}");
        }
        for field in ["customer_id", "metadata", "storage", "created_at", "expires_at"] {
            let answered = answer.get(field).filter(|value| !value.is_null()).unwrap_or(&Value::Null);
            assert_eq!(line.get(field).unwrap_or(&Value::Null), answered, "{field}");
        }
        assert_eq!(line["tenant"], world.tenant.as_str());
        assert!(line.get("cvc").is_none());
    }
    verify(&world, note["note"].as_str().unwrap(), cards, &bytes, &identity).await;
    // One entry for each card, and one for the end.
    assert_eq!(entries(&world, "export", "allowed", &format!("export {act}")).await, stored.len());
    assert_eq!(entries(&world, "export", "ended", &act).await, 1);
    nothing_in_clear(&mut world).await;
}

/// The note is the vault's, and its count and digest are those of the lines before it.
async fn verify(world: &World, note: &str, cards: &[Value], bytes: &[u8], identity: &age::x25519::Identity) {
    let (key, _) = world.keep_checkpoint().await.unwrap();
    let file = world.path().join("export.note");
    std::fs::write(&file, note).unwrap();
    let verified = Command::new(binary_path(Binary::Vaultctl).unwrap())
        .args(["proof", "verify", file.to_str().unwrap(), "--public-key", key.trim()])
        .output()
        .unwrap();
    assert!(verified.status.success(), "{}", said(&verified));
    let verified = String::from_utf8_lossy(&verified.stdout).into_owned();
    assert!(verified.contains(&format!("{} cards exported", cards.len())), "{verified}");
    let plain = plaintext(bytes, identity).unwrap();
    let before_note = &plain[..plain[..plain.len() - 1].iter().rposition(|byte| *byte == b'\n').unwrap() + 1];
    let sha256: String = Sha256::digest(before_note).iter().map(|byte| format!("{byte:02x}")).collect();
    assert!(verified.contains(&sha256), "{verified}");
}

/// Nothing that the vault wrote, and nothing that left it, has a number in it.
async fn nothing_in_clear(world: &mut World) {
    world.vault.process().stop().await.unwrap();
    let mut looked = 0;
    for folder in [world.path().to_owned(), world.vault.audit_file().parent().unwrap().to_owned()] {
        for file in files(&folder) {
            let bytes = std::fs::read(&file).unwrap();
            looked += bytes.len();
            for number in NUMBERS {
                let there = bytes.windows(number.len()).any(|part| part == number.as_bytes());
                assert!(!there, "{} holds a card number", file.display());
            }
        }
    }
    assert!(looked > 500_000, "only {looked} bytes were looked at");
}

#[tokio::test]
async fn an_export_of_all_is_for_those_who_may_act_for_all() {
    let officer_of_one = Rule::new("security", "carol", &[TENANT], &[Scope::Export, Scope::Status]);
    let policy = standard_policy().rule(officer_of_one);
    let world = World::start(WorldPlan { policy, ..WorldPlan::default() }).await.unwrap();
    world.register("other").await.unwrap();
    store(&world, 8).await;
    let other = world.release().await.unwrap().tenant("other");
    let body = json!({"type": "card", "card": {"number": NUMBERS[2], "exp_month": 1, "exp_year": 2031}});
    other.post("/v1/payment_methods", &body).await.unwrap().must_be(201).unwrap();
    let (identity, recipient) = somebody();
    let order = json!({"recipient": recipient});
    // Whoever may act for one tenant can neither ask for all of them, nor be the second one for it.
    let carol = officer(&world, "carol");
    carol.post("/v1/exports", &order).await.unwrap().must_be(403).unwrap();
    let act = ask(&world, "bob", &order).await;
    carol.send(Method::POST, &format!("/v1/acts/{act}/approve"), None, &[]).await.unwrap().must_be(403).unwrap();
    officer(&world, "bob").get(&format!("/v1/exports/{act}")).await.unwrap().must_be(409).unwrap();
    approve(&world, &act).await;
    let lines =
        decrypt(&officer(&world, "bob").get(&format!("/v1/exports/{act}")).await.unwrap().body, &identity).unwrap();
    let of = |tenant: &str| lines.iter().filter(|line| line["tenant"] == tenant).count();
    assert_eq!((of(&world.tenant), of("other"), lines.len()), (8, 1, 10));
}

#[tokio::test]
async fn a_download_that_broke_off_begins_anew_and_others_have_no_part_in_it() {
    let stranger = Rule::new("security", "dave", &["*"], &[Scope::Export, Scope::Status]);
    let policy = standard_policy().rule(stranger);
    let world = World::start(WorldPlan { policy, ..WorldPlan::default() }).await.unwrap();
    store(&world, 400).await;
    let (identity, recipient) = somebody();
    let act = ask(&world, "alice", &json!({"tenant": world.tenant, "recipient": recipient})).await;
    approve(&world, &act).await;
    let path = format!("/v1/exports/{act}");
    let refused = officer(&world, "dave").get(&path).await.unwrap();
    assert_eq!((refused.status, refused.problem().as_str()), (403, "denied"), "neither asked nor approved");
    // Given up at once, again and again: each time the vault notices and is free for the next.
    for _ in 0..3 {
        let begun = tokio::time::timeout(Duration::from_millis(30), officer(&world, "alice").get(&path)).await;
        drop(begun);
    }
    let whole = eventually("the next download", Duration::from_secs(90), || async {
        let answer = officer(&world, "bob").get(&path).await?;
        Ok((answer.status == 200).then_some(answer.body))
    });
    assert_eq!(decrypt(&whole.await.unwrap(), &identity).unwrap().len(), 401);
    // A card that was deleted is in no later export, and a wrong recipient is refused at the asking.
    let listed = world.release().await.unwrap().get("/v1/payment_methods?limit=1").await.unwrap().expect(200).unwrap();
    let token = word(&listed["items"][0], "payment_method_id");
    let gone = world.release().await.unwrap();
    gone.send(Method::DELETE, &format!("/v1/payment_methods/{token}"), None, &[]).await.unwrap().must_be(204).unwrap();
    let again = officer(&world, "bob").get(&path).await.unwrap();
    let lines = decrypt(&again.body, &identity).unwrap();
    assert_eq!(lines.len(), 400);
    assert!(lines.iter().all(|line| line["payment_method_id"] != token.as_str()));
    let mut wrong = recipient;
    let last = if wrong.pop() == Some('q') { 'p' } else { 'q' };
    wrong.push(last);
    let refused = officer(&world, "alice").post("/v1/exports", &json!({"recipient": wrong})).await.unwrap();
    assert_eq!((refused.status, refused.json().unwrap()["field"].as_str()), (422, Some("recipient")));
}

/// Cards with everything that a card can have; what was sent and what was answered, by token.
async fn store(world: &World, count: usize) -> BTreeMap<String, (Value, Value)> {
    let release = world.release().await.unwrap();
    let mut stored = BTreeMap::new();
    for first in (0..count).step_by(400) {
        let bodies: Vec<Value> = (first..count.min(first + 400)).map(body).collect();
        let batch = json!({"payment_methods": bodies});
        let answer = release.post("/v1/payment_methods/batch", &batch).await.unwrap().expect(200).unwrap();
        for (body, result) in bodies.into_iter().zip(answer["results"].as_array().unwrap()) {
            assert_eq!(result["status"], 201);
            let method = result["payment_method"].clone();
            stored.insert(word(&method, "payment_method_id"), (body, method));
        }
    }
    assert_eq!(stored.len(), count);
    stored
}

fn body(nth: usize) -> Value {
    let mut body = json!({
        "type": "card",
        "card": {"number": NUMBERS[nth % 4], "exp_month": 1 + nth % 12, "exp_year": 2030 + nth % 9},
    });
    if nth.is_multiple_of(2) {
        body["card"]["holder_name"] = format!("Ada \"{nth}\" \\ Løvelace").into();
        body["customer_id"] = format!("cus_{nth}").into();
    }
    if nth.is_multiple_of(3) {
        body["metadata"] = json!({"order": format!("no. {nth} \u{1f4b3}"), "a\"b": "\\"});
    }
    if nth.is_multiple_of(5) {
        body["storage"] = "short_term".into();
    }
    body
}

fn somebody() -> (age::x25519::Identity, String) {
    let identity = age::x25519::Identity::generate();
    assert!(identity.to_string().expose_secret().starts_with("AGE-SECRET-KEY-1"));
    let recipient = identity.to_public().to_string();
    (identity, recipient)
}

fn plaintext(bytes: &[u8], identity: &age::x25519::Identity) -> Option<Vec<u8>> {
    let mut plain = Vec::new();
    let decryptor = age::Decryptor::new(bytes).ok()?;
    let mut reader = decryptor.decrypt(std::iter::once(identity as &dyn age::Identity)).ok()?;
    reader.read_to_end(&mut plain).ok().map(|_| plain)
}

fn decrypt(bytes: &[u8], identity: &age::x25519::Identity) -> Option<Vec<Value>> {
    let plain = plaintext(bytes, identity)?;
    Some(
        plain
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty())
            .map(|line| serde_json::from_slice(line).unwrap())
            .collect(),
    )
}

async fn ask(world: &World, who: &str, order: &Value) -> String {
    let asked = officer(world, who).post("/v1/exports", order).await.unwrap().expect(202).unwrap();
    word(&asked, "act_id")
}

/// The other officer approves.
async fn approve(world: &World, act: &str) {
    let acts = officer(world, "alice").get("/v1/acts").await.unwrap().expect(200).unwrap();
    let asked = acts["acts"].as_array().unwrap().iter().find(|one| one["act_id"] == act).unwrap().clone();
    let other = if asked["requested_by"].as_str().unwrap().ends_with("alice") { "bob" } else { "alice" };
    let path = format!("/v1/acts/{act}/approve");
    let done = officer(world, other).send(Method::POST, &path, None, &[]).await.unwrap().expect(200).unwrap();
    assert_eq!(done["state"], "done");
}

fn officer(world: &World, name: &str) -> Client {
    world.vault.admin(&world.pki, &world.credentials("security", name).unwrap()).unwrap()
}

fn export(world: &World, who: &str, out: &Path, options: &[&str]) -> Output {
    let who = world.credentials("security", who).unwrap();
    let [_, _, admin] = world.vault.addresses();
    let mut command = Command::new(binary_path(Binary::Vaultctl).unwrap());
    command.arg("export").args(options).arg("--out").arg(out);
    command.arg("--url").arg(format!("https://localhost:{}", admin.port())).arg("--ca").arg(world.pki.ca());
    command.arg("--cert").arg(&who.certificate).arg("--key").arg(&who.key).output().unwrap()
}

/// Entries of an act with an outcome whose note has these words.
async fn entries(world: &World, act: &str, outcome: &str, words: &str) -> usize {
    let (security, mut from, mut count) = (officer(world, "alice"), 0, 0);
    loop {
        let path = format!("/v1/audit/entries?from={from}&limit=1000");
        let page = security.get(&path).await.unwrap().expect(200).unwrap();
        let entries = page["entries"].as_array().unwrap().clone();
        count += entries
            .iter()
            .filter(|entry| {
                let is_card = outcome != "allowed" || entry["subject"].to_string().contains("pm_");
                entry["act"] == act
                    && entry["outcome"] == outcome
                    && is_card
                    && entry["note"].as_str().unwrap_or_default().contains(words)
            })
            .count();
        if entries.len() < 1000 {
            return count;
        }
        from += entries.len();
    }
}

fn files(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all.extend(files(&path));
        } else if path.is_file() {
            all.push(path);
        }
    }
    all
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn word(value: &Value, field: &str) -> String {
    value[field].as_str().unwrap_or_default().to_owned()
}
