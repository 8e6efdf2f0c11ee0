//! A rotation of each key is killed in each of its steps, under load: it goes on, every card reveals, the same card has the
//! same token, and the log holds.

use std::time::Duration;

use serde_json::{Value, json};
use strongroom_tests::harness::{Client, World, eventually, word};

/// Cards of as many customers, more than two batches.
const CARDS: usize = 320;
/// Kills of each rotation. The first come while the new term is made, the next in the middle of the walk, the last near its
/// end.
const KILLS: u32 = 9;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fingerprint_rotation_killed_in_each_step_finds_every_card_before_during_and_after() {
    let mut world = World::vault_only().await.unwrap();
    let release = world.release().await.unwrap();
    let workers: Vec<_> = (0..8).map(|nth| tokio::spawn(store(release.clone(), nth))).collect();
    let mut cards = Vec::new();
    for worker in workers {
        cards.extend(worker.await.unwrap());
    }
    let secret = release.post("/v1/secrets", &json!({ "name": "psp", "value": "hush" })).await.unwrap();
    let secret = word(&secret.expect(201).unwrap(), "secret_id").unwrap();
    killed_in_each_step(&mut world, "fingerprint", &cards).await;
    let (release, security) = (world.release().await.unwrap(), world.security().await.unwrap());
    let done = finished(&security, "fingerprint").await;
    // One that was done before it was killed is followed by another.
    let term = done["to_term"].as_u64().unwrap();
    assert!(done["proof"].as_str().unwrap().contains(&format!("term {term}: 0 cards and 0 secrets on older terms")));
    proof_holds(&world, &security, done["proof"].as_str().unwrap()).await;
    for (customer, token) in &cards {
        assert_eq!(stored(&release, customer).await.as_deref(), Some(token.as_str()), "{customer} got another token");
        revealed(&release, token).await;
    }
    let path = format!("/v1/secrets/{secret}/reveal");
    let value = release.send(reqwest::Method::POST, &path, None, &[]).await.unwrap().expect(200).unwrap();
    assert_eq!(value["value"], "hush");
    world.vault.process().stop().await.unwrap();
    let open = rusqlite::Connection::open(world.vault.store_file()).unwrap();
    for table in ["cards", "secrets"] {
        let ask = format!("SELECT count(*) FROM {table} WHERE mac_term < {term}");
        let left: u32 = open.query_row(&ask, [], |row| row.get(0)).unwrap();
        assert_eq!(left, 0, "{left} {table} are left on the old term, and the proof says none is");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sign_rotation_killed_in_each_step_leaves_a_log_that_holds() {
    let mut world = World::vault_only().await.unwrap();
    let (first, _) = world.keep_checkpoint().await.unwrap();
    for kill in 0..KILLS {
        let security = world.security().await.unwrap();
        let asked = tokio::spawn(async move { security.post("/v1/rotations", &json!({ "key": "sign" })).await });
        tokio::time::sleep(Duration::from_millis(u64::from(kill) * 8)).await;
        world.vault.process().kill().unwrap();
        // Answered or not: the process is gone.
        let _ = asked.await.unwrap();
        // A log whose newest checkpoint is by a key that does not count for it is refused at the start.
        world.vault.restart().await.unwrap();
    }
    let security = world.security().await.unwrap();
    security.post("/v1/rotations", &json!({ "key": "sign" })).await.unwrap().must_be(202).unwrap();
    let done = finished(&security, "sign").await;
    proof_holds(&world, &security, done["proof"].as_str().unwrap()).await;
    let (keys, kept) = world.keep_checkpoint().await.unwrap();
    let file = world.path().join("keys.pub");
    std::fs::write(&file, format!("{keys}\n")).unwrap();
    let said = world.verify_audit(file.to_str().unwrap(), Some(&kept)).unwrap();
    assert!(said.contains("the log holds"), "{said}");
    assert!(keys.lines().count() > 1 && keys.starts_with(&first), "{keys}");
    // The first key alone does not speak for what came after it.
    assert!(world.verify_audit(&first, None).is_err(), "an old key speaks for the whole log");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_rotation_killed_in_each_step_keeps_old_sessions_and_ends_them_in_an_emergency() {
    let mut world = World::vault_only().await.unwrap();
    let ask = json!({ "allowed_origins": ["https://shop.example"], "expires_in": 3600 });
    let make = |release: Client| {
        let ask = ask.clone();
        async move { word(&release.post("/v1/sessions", &ask).await.unwrap().expect(201).unwrap(), "client_secret") }
    };
    let old = make(world.release().await.unwrap()).await.unwrap();
    for kill in 0..KILLS {
        let (security, tenant) = (world.security().await.unwrap(), world.tenant.clone());
        let rotate = json!({ "key": "session", "tenant": tenant });
        let asked = tokio::spawn(async move { security.post("/v1/rotations", &rotate).await });
        tokio::time::sleep(Duration::from_millis(u64::from(kill) * 2)).await;
        world.vault.process().kill().unwrap();
        let _ = asked.await.unwrap();
        world.vault.restart().await.unwrap();
        assert_eq!(by_session(&world, &old).await, 201, "a session of before is refused after kill {kill}");
    }
    let new = make(world.release().await.unwrap()).await.unwrap();
    let security = world.security().await.unwrap();
    let hurry = json!({ "key": "session", "tenant": world.tenant, "emergency": true });
    security.post("/v1/rotations", &hurry).await.unwrap().must_be(202).unwrap();
    let done = finished(&security, "session").await;
    assert_eq!(done["to_term"], 2);
    assert_eq!((by_session(&world, &old).await, by_session(&world, &new).await), (401, 201));
    world.vault.process().kill().unwrap();
    world.vault.restart().await.unwrap();
    assert_eq!((by_session(&world, &old).await, by_session(&world, &new).await), (401, 201));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_of_seconds_rotate_by_themselves_and_an_expired_one_takes_no_card() {
    let mut world = World::vault_only().await.unwrap();
    let release = world.release().await.unwrap();
    let token = stored(&release, "cus_1").await.unwrap();
    world.vault.process().stop().await.unwrap();
    let short = "[keys]\nkek = \"6s\"\nfingerprint = \"6s\"\nsession = \"6s\"\nsign = \"6s\"\nwarn = \"4s\"\n";
    let manual = format!("{short}rotate_automatically = false\n\n[store]");
    world.vault.edit_configuration(|text| text.replace("[store]", &manual)).unwrap();
    world.vault.restart().await.unwrap();
    let release = world.release().await.unwrap();
    eventually("the keys to expire", Duration::from_secs(30), || async {
        let refused = release.post("/v1/payment_methods", &card("cus_2")).await?;
        Ok((refused.status == 503 && refused.problem() == "key-expired").then_some(()))
    })
    .await
    .unwrap();
    revealed(&release, &token).await;
    let status = world.security().await.unwrap().get("/v1/status").await.unwrap().expect(200).unwrap();
    assert!(status["warnings"].to_string().contains("vaultctl keys rotate"), "{status}");
    world.vault.process().stop().await.unwrap();
    world.vault.edit_configuration(|text| text.replace("rotate_automatically = false", "")).unwrap();
    world.vault.restart().await.unwrap();
    let (release, security) = (world.release().await.unwrap(), world.security().await.unwrap());
    eventually("the next terms to come by themselves", Duration::from_secs(60), || async {
        let keys = security.get("/v1/keys").await?.expect(200)?;
        let newest = |purpose: &str| {
            let all = keys["keys"].as_array().unwrap().iter().filter(|key| key["purpose"] == purpose);
            all.filter_map(|key| key["term"].as_u64()).max().unwrap_or(0)
        };
        Ok(["kek", "fingerprint", "session", "sign"].into_iter().all(|purpose| newest(purpose) > 1).then_some(()))
    })
    .await
    .unwrap();
    eventually("a card to be taken again", Duration::from_secs(30), || async {
        Ok((release.post("/v1/payment_methods", &card("cus_3")).await?.status == 201).then_some(()))
    })
    .await
    .unwrap();
    // A key of seconds may have come to its end again in between, on a machine that is busy.
    eventually("a known card to be known again", Duration::from_secs(30), || async {
        let answer = release.post("/v1/payment_methods", &card("cus_1")).await?;
        Ok(if answer.status == 200 { Some(word(&answer.json()?, "payment_method_id")?) } else { None })
    })
    .await
    .map(|again| assert_eq!(again, token))
    .unwrap();
}

/// Starts a rotation of a tenant's key and kills the vault again and again while it runs and cards are stored and revealed.
async fn killed_in_each_step(world: &mut World, key: &str, cards: &[(String, String)]) {
    for kill in 0..KILLS {
        let (release, security) = (world.release().await.unwrap(), world.security().await.unwrap());
        let load = tokio::spawn(load(release, cards.to_vec(), kill as usize));
        // Slow at first, so that it is met half-way; fast at last, so that it is met at its end.
        let mut rotate = json!({ "key": key, "tenant": world.tenant, "records_per_second_max": 120 });
        if kill + 3 > KILLS {
            rotate["records_per_second_max"] = json!(1_000_000);
        }
        let asked = tokio::spawn(async move { security.post("/v1/rotations", &rotate).await });
        let wait_ms = if kill < 4 { u64::from(kill) * 3 } else { 350 };
        tokio::time::sleep(Duration::from_millis(wait_ms)).await;
        world.vault.process().kill().unwrap();
        // Answered or not: the process is gone.
        let _ = asked.await.unwrap();
        load.await.unwrap();
        world.vault.restart().await.unwrap();
    }
    let security = world.security().await.unwrap();
    let rotate = json!({ "key": key, "tenant": world.tenant, "records_per_second_max": 1_000_000 });
    security.post("/v1/rotations", &rotate).await.unwrap().must_be(202).unwrap();
}

/// Stores known cards again and reveals them until the vault is gone; each has to be the card that it was.
async fn load(release: Client, cards: Vec<(String, String)>, from: usize) {
    for (customer, token) in cards.iter().cycle().skip(from * 7) {
        match stored(&release, customer).await {
            Some(again) => assert_eq!(again, *token, "{customer} got another token"),
            None => return,
        }
        let body = json!({ "purpose": "authorize", "reference": "pay_rotating" });
        let Ok(answer) = release.post(&format!("/v1/payment_methods/{token}/reveal"), &body).await else { return };
        assert_eq!(answer.expect(200).unwrap()["card"]["number"], "4242424242424242");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn store(release: Client, nth: usize) -> Vec<(String, String)> {
    let mut cards = Vec::new();
    for turn in 0..CARDS / 8 {
        let customer = format!("cus_{nth}_{turn}");
        let token = stored(&release, &customer).await.unwrap();
        cards.push((customer, token));
    }
    cards
}

fn card(customer: &str) -> Value {
    json!({
        "type": "card",
        "card": { "number": "4242424242424242", "exp_month": 12, "exp_year": 2031 },
        "customer_id": customer,
    })
}

/// The token of a customer's card, stored now or known; none when the vault is gone.
async fn stored(release: &Client, customer: &str) -> Option<String> {
    let answer = release.post("/v1/payment_methods", &card(customer)).await.ok()?;
    assert!([200, 201].contains(&answer.status), "{} {}", answer.status, answer.problem());
    Some(word(&answer.json().unwrap(), "payment_method_id").unwrap())
}

async fn revealed(release: &Client, token: &str) {
    let body = json!({ "purpose": "authorize", "reference": "pay_rotated" });
    let card = release.post(&format!("/v1/payment_methods/{token}/reveal"), &body).await.unwrap();
    assert_eq!(card.expect(200).unwrap()["card"]["number"], "4242424242424242");
}

/// What a browser with a client session gets when it stores a card.
async fn by_session(world: &World, session: &str) -> u16 {
    let intake = world.vault.intake(&world.pki).unwrap();
    let bearer = format!("Bearer {session}");
    let headers = [("Authorization", bearer.as_str()), ("Origin", "https://shop.example")];
    let body = json!({ "type": "card", "card": { "number": "4242424242424242", "exp_month": 12, "exp_year": 2031 } });
    intake.send(reqwest::Method::POST, "/v1/payment_methods", Some(&body), &headers).await.unwrap().status
}

/// The newest rotation of a key, once it is done.
async fn finished(security: &Client, key: &str) -> Value {
    eventually("the rotation to end", Duration::from_secs(60), || async {
        let all = security.get("/v1/rotations").await?.expect(200)?;
        let mine = all["rotations"].as_array().unwrap().iter().rfind(|rotation| rotation["key"] == key).cloned();
        let mine = mine.unwrap_or(Value::Null);
        assert_ne!(mine["state"], "stopped", "a rotation stopped: {}", mine["fault"]);
        Ok((mine["state"] == "done").then_some(mine))
    })
    .await
    .unwrap()
}

/// The note verifies offline, by the keys that the vault names.
async fn proof_holds(world: &World, security: &Client, note: &str) {
    let (keys, file) = (world.path().join("proof.pub"), world.path().join("proof.note"));
    std::fs::write(&keys, security.get("/v1/audit/public-key").await.unwrap().text()).unwrap();
    std::fs::write(&file, note).unwrap();
    let said = world.verify_note(&file, &keys).unwrap();
    assert!(said.contains("is right"), "{said}");
    let changed = note.replacen("term ", "term 1", 1);
    assert_ne!(changed, note);
    std::fs::write(&file, changed).unwrap();
    assert!(world.verify_note(&file, &keys).is_err(), "a changed note verifies");
}
