//! The store moves into PostgreSQL while the vault works: nothing that was acknowledged is lost, nothing comes back, and at every
//! moment one of the two is the store.

use std::time::Duration;

use reqwest::Method;
use rusqlite::Connection;
use serde_json::{Value, json};
use strongroom_tests::harness::{Postgres, eventually};

use crate::moving::{DATABASE, Load, Moving, NUMBERS, reveal, store};

#[tokio::test(flavor = "multi_thread")]
async fn a_move_under_load_with_kills_on_the_way_loses_nothing_and_brings_nothing_back() {
    let mut moving = Moving::new().await;
    let release = moving.world.release().await.unwrap();
    let before = store(&release, 120).await;
    let load = Load::begin(&release, 4);
    load.more(40).await;
    // Slow enough that kills come while it copies.
    moving.migrate(Some(10)).await.must_be(202).unwrap();
    for part in [20, 60] {
        eventually("a part to be copied", Duration::from_secs(120), || async {
            Ok((moving.status().await["done"].as_u64() >= Some(part)).then_some(()))
        })
        .await
        .unwrap();
        load.more(20).await;
        moving.kill_and_restart().await;
        load.more(20).await;
    }
    // The database too, and then as fast as it goes.
    moving.server.crash();
    moving.until(&["waiting"]).await;
    load.more(40).await;
    moving.server.start_again();
    moving.migrate(None).await.must_be(202).unwrap();
    moving.until(&["verifying", "switching", "moved"]).await;
    if moving.status().await["state"] != "moved" {
        // Wherever that is: before the mark it goes on, after it the file is refused.
        moving.world.vault.process().kill().unwrap();
        match moving.world.vault.restart().await {
            Ok(()) => drop(moving.until(&["moved"]).await),
            Err(fault) => assert!(fault.to_string().contains("moved out of this file"), "{fault}"),
        }
    }
    if moving.world.vault.process().ended().unwrap().is_none() {
        refuses_everything(&moving, &before[0]).await;
        told_in_the_log(&moving).await;
        moving.world.vault.process().kill().unwrap();
        let refused = moving.start_refused().await;
        assert!(refused.contains("moved out of this file") && refused.contains("[store] postgres"), "{refused}");
    }
    moving.start_on_database().await;
    let release = moving.world.release().await.unwrap();
    for (nth, token) in before.iter().enumerate() {
        let revealed = reveal(&release, token).await.unwrap().expect(200).unwrap();
        assert_eq!(revealed["card"]["number"], NUMBERS[nth % NUMBERS.len()]);
    }
    load.holds(async || release).await;
}

/// Until it is started anew the process answers for no store.
async fn refuses_everything(moving: &Moving, token: &str) {
    let release = moving.world.release().await.unwrap();
    let refused = reveal(&release, token).await.unwrap();
    assert_eq!((refused.status, refused.problem().as_str()), (503, "unavailable"));
    assert!(
        refused.header("retry-after").is_some() && refused.text().contains("[store] postgres"),
        "{}",
        refused.text()
    );
    let body = json!({ "type": "card", "card": { "number": NUMBERS[0], "exp_month": 12, "exp_year": 2031 } });
    assert_eq!(release.post("/v1/payment_methods", &body).await.unwrap().status, 503);
    let ready = release.get("/health/ready").await.unwrap();
    assert_eq!((ready.status, &ready.json().unwrap()["missing"]), (503, &json!("store moved")));
}

async fn told_in_the_log(moving: &Moving) {
    let digest = moving.status().await["digest"].as_str().unwrap().to_owned();
    let entries = moving.world.security().await.unwrap();
    let mut from = 0;
    let mut notes: Vec<Value> = Vec::new();
    loop {
        let page =
            entries.get(&format!("/v1/audit/entries?from={from}&limit=1000")).await.unwrap().expect(200).unwrap();
        let page = page["entries"].as_array().unwrap().clone();
        // Reading is an entry as well, so that there is always one more.
        let is_last = page.len() < 1000;
        from += page.len();
        notes.extend(page.into_iter().filter(|entry| entry["act"] == "store-moved" || entry["act"] == "migrate"));
        if is_last {
            break;
        }
    }
    let with_digest = notes.iter().filter(|entry| entry["note"].as_str().is_some_and(|note| note.contains(&digest)));
    let acts: Vec<&str> = with_digest.map(|entry| entry["act"].as_str().unwrap()).collect();
    assert_eq!(acts, ["store-moved", "migrate"], "the digest stands before the mark and after it: {notes:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotation_that_runs_beside_the_move_ends_on_either_side() {
    let mut moving = Moving::new().await;
    let release = moving.world.release().await.unwrap();
    let tokens = store(&release, 150).await;
    let security = moving.world.security().await.unwrap();
    let rotate = json!({ "tenant": moving.world.tenant, "records_per_second_max": 40 });
    security.post("/v1/rotations", &rotate).await.unwrap().must_be(202).unwrap();
    moving.migrate(None).await.must_be(202).unwrap();
    moving.until(&["moved"]).await;
    moving.start_on_database().await;
    let security = moving.world.security().await.unwrap();
    let path = format!("/v1/rotations/{}", moving.world.tenant);
    eventually("the rotation to end", Duration::from_secs(120), || async {
        Ok((security.get(&path).await?.expect(200)?["state"] == "done").then_some(()))
    })
    .await
    .unwrap();
    let release = moving.world.release().await.unwrap();
    for (nth, token) in tokens.iter().enumerate() {
        let revealed = reveal(&release, token).await.unwrap().expect(200).unwrap();
        assert_eq!(revealed["card"]["number"], NUMBERS[nth % NUMBERS.len()]);
    }
    let old = "SELECT count(*) FROM cards WHERE get_byte(envelope, 4) < 2";
    assert_eq!(moving.server.sql(DATABASE, old), "0", "a card is on the old term");
}

#[tokio::test]
async fn whoever_is_killed_between_the_mark_and_the_database_is_told_at_the_next_start() {
    let mut moving = Moving::new().await;
    let release = moving.world.release().await.unwrap();
    let tokens = store(&release, 5).await;
    // The move waits while the vault is sealed, so that its mark can be read.
    moving.migrate(Some(1)).await.must_be(202).unwrap();
    let mark = "SELECT encode(value, 'hex') FROM settings WHERE name = 'moving'";
    let mark = eventually("the mark", Duration::from_secs(60), || async {
        let tables = "SELECT count(*) FROM pg_tables WHERE tablename = 'settings'";
        if moving.server.sql(DATABASE, tables) == "0" {
            return Ok(None);
        }
        let found = moving.server.sql(DATABASE, mark);
        Ok((!found.is_empty()).then_some(found))
    })
    .await
    .unwrap();
    moving.migrate(None).await.must_be(202).unwrap();
    moving.until(&["moved"]).await;
    moving.world.vault.process().stop().await.unwrap();
    // As if it had been killed after the file was marked.
    let file = Connection::open(moving.world.vault.store_file()).unwrap();
    file.execute("UPDATE moving SET released = 0", []).unwrap();
    drop(file);
    moving.server.sql(DATABASE, "DELETE FROM settings WHERE name = 'moved'");
    moving.server.sql(DATABASE, &format!("INSERT INTO settings VALUES ('moving', decode('{mark}', 'hex'))"));
    moving.server.crash();
    let refused = moving.start_refused().await;
    assert!(refused.contains("could not be told"), "{refused}");
    moving.server.start_again();
    let refused = moving.start_refused().await;
    assert!(refused.contains("moved out of this file"), "{refused}");
    assert_eq!(moving.server.sql(DATABASE, "SELECT count(*) FROM settings WHERE name = 'moving'"), "0");
    moving.start_on_database().await;
    let release = moving.world.release().await.unwrap();
    reveal(&release, &tokens[0]).await.unwrap().must_be(200).unwrap();
}

#[tokio::test]
async fn a_database_that_is_not_the_one_to_move_into_is_refused_and_nothing_begins() {
    let moving = Moving::new().await;
    let refused = |answer: strongroom_tests::harness::Answer, words: &str| {
        assert_eq!((answer.status, answer.problem().as_str()), (409, "conflict"), "{}", answer.text());
        assert!(answer.text().contains(words), "{}", answer.text());
    };
    assert_eq!(moving.status().await["state"], "none");
    // Tables come with the first look, and nothing in them.
    moving.migrate(Some(1)).await.must_be(202).unwrap();
    moving.ask(Method::DELETE, None).await.must_be(200).unwrap();
    let sql = |text: &str| moving.server.sql(DATABASE, text);
    sql("INSERT INTO kept VALUES ('theirs', '\\x01', '')");
    refused(moving.migrate(None).await, "rows already");
    assert_eq!(sql("SELECT count(*) FROM kept"), "1", "what was there was touched");
    sql("DELETE FROM kept");
    sql(
        "INSERT INTO settings VALUES ('moving', convert_to('{\"run\":\"00000000-0000-4000-8000-000000000000\",\"turn\":1,\
         \"step\":1,\"table\":0,\"after\":null,\"done\":0}', 'UTF8'))",
    );
    refused(moving.migrate(None).await, "another move");
    sql("DELETE FROM settings WHERE name = 'moving'");
    sql("UPDATE settings SET value = 'x' WHERE name = 'vault'");
    refused(moving.migrate(None).await, "another vault");
    sql("UPDATE vault_schema SET version = 99");
    refused(moving.migrate(None).await, "newer version");
    moving.server.crash();
    let away = moving.migrate(None).await;
    assert_eq!((away.status, away.problem().as_str()), (503, "unavailable"));
    assert_eq!(moving.status().await["state"], "none");
    let release = moving.world.release().await.unwrap();
    store(&release, 1).await;
}

#[tokio::test]
async fn a_move_that_is_given_up_leaves_the_vault_as_it_was_and_can_begin_anew() {
    let mut moving = Moving::new().await;
    let release = moving.world.release().await.unwrap();
    let tokens = store(&release, 30).await;
    moving.migrate(Some(5)).await.must_be(202).unwrap();
    eventually("something to be copied", Duration::from_secs(60), || async {
        Ok((moving.status().await["done"].as_u64() > Some(0)).then_some(()))
    })
    .await
    .unwrap();
    // A vault that is started on half of a store says so and does not serve it.
    let half = half_started(&moving.server, &moving).await;
    assert!(half.contains("is not whole yet"), "{half}");
    let given_up = moving.ask(Method::DELETE, None).await.expect(200).unwrap();
    assert_eq!((&given_up["state"], &given_up["fault"]), (&json!("none"), &Value::Null));
    assert_eq!(moving.server.sql(DATABASE, "SELECT count(*) FROM cards"), "0");
    moving.ask(Method::DELETE, None).await.must_be(409).unwrap();
    moving.kill_and_restart().await;
    assert_eq!(moving.status().await["state"], "none");
    store(&moving.world.release().await.unwrap(), 3).await;
    // Given up while the database is away: said, and not done in silence.
    moving.migrate(Some(1)).await.must_be(202).unwrap();
    eventually("something to be copied again", Duration::from_secs(60), || async {
        Ok((moving.status().await["done"].as_u64() > Some(0)).then_some(()))
    })
    .await
    .unwrap();
    moving.server.crash();
    let given_up = moving.ask(Method::DELETE, None).await.expect(200).unwrap();
    assert!(given_up["fault"].as_str().is_some_and(|fault| fault.contains("was not emptied")), "{given_up}");
    moving.server.start_again();
    assert_eq!(moving.migrate(None).await.status, 409, "what another move left is not mixed with this one");
    moving.server.sql("postgres", &format!("DROP DATABASE {DATABASE} WITH (FORCE)"));
    moving.server.add_database(DATABASE);
    moving.migrate(None).await.must_be(202).unwrap();
    moving.until(&["moved"]).await;
    moving.start_on_database().await;
    let release = moving.world.release().await.unwrap();
    for token in &tokens {
        reveal(&release, token).await.unwrap().must_be(200).unwrap();
    }
}

/// What vaultd says that is started on the database while it is filled.
async fn half_started(server: &Postgres, moving: &Moving) -> String {
    use strongroom_tests::harness::SharedDatabase;
    let started = moving.world.add_vault_at("b", SharedDatabase::of(server, DATABASE)).await;
    started.err().map_or_else(String::new, |fault| fault.to_string())
}
