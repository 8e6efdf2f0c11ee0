//! A disk that is full while the store moves into PostgreSQL, the file's or the database's: nothing that was acknowledged is lost,
//! and with room again the move goes on by itself, or can be given up.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use strongroom_tests::harness::{VaultPlan, WorldPlan, eventually};

use crate::moving::{DATABASE, Load, Moving, NUMBERS, reveal, store};

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_below_the_file_stops_a_move_and_room_lets_it_go_on() {
    let vault = VaultPlan { survives_file_size_limit: true, ..VaultPlan::default() };
    let mut moving = Moving::planned(WorldPlan { vault, ..WorldPlan::default() }).await;
    let release = moving.world.release().await.unwrap();
    let before = store(&release, CARDS).await;
    let load = Load::begin(&release, 3);
    load.more(20).await;
    // So slow that most of it is left when the disk is full.
    moving.migrate(Some(10)).await.must_be(202).unwrap();
    copied(&moving, 5).await;
    moving.world.vault.process().limit_file_size(Some(4096)).unwrap();
    // At the latest when it wants to hold writes, which is a write as well.
    moving.until(&["waiting"]).await;
    let given_up = moving.ask(Method::DELETE, None).await;
    assert_eq!(given_up.status, 503, "what cannot be recorded was done: {}", given_up.text());
    assert!(given_up.header("retry-after").is_some(), "{}", given_up.text());

    moving.world.vault.process().limit_file_size(None).unwrap();
    // By itself, and vaultd takes writes again meanwhile.
    moving.until(&["copying", "verifying"]).await;
    load.more(20).await;
    // Faster than cards come.
    moving.migrate(None).await.must_be(202).unwrap();
    moving.until(&["moved"]).await;
    moving.start_on_database().await;
    let release = moving.world.release().await.unwrap();
    all_reveal(&moving, &before).await;
    load.holds(async || release).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_without_room_stops_a_move_and_the_vault_goes_on_with_its_file() {
    let mut moving = Moving::new().await;
    let release = moving.world.release().await.unwrap();
    let before = store(&release, CARDS).await;
    let load = Load::begin(&release, 3);
    moving.migrate(Some(10)).await.must_be(202).unwrap();
    copied(&moving, 5).await;
    fill(&moving);
    let waiting = moving.until(&["waiting"]).await;
    assert!(waiting["fault"].as_str().is_some_and(|fault| fault.contains("disk")), "{waiting}");
    // Cards are taken as before, also by the next process, in which the move goes on to wait.
    load.more(30).await;
    moving.kill_and_restart().await;
    load.more(30).await;
    moving.until(&["waiting"]).await;
    moving.server.sql(DATABASE, "DROP TRIGGER full_disk ON cards");
    moving.migrate(None).await.must_be(202).unwrap();
    moving.until(&["moved"]).await;
    moving.start_on_database().await;
    let release = moving.world.release().await.unwrap();
    all_reveal(&moving, &before).await;
    load.holds(async || release).await;
}

#[tokio::test]
async fn a_move_that_a_database_without_room_stopped_can_be_given_up() {
    let mut moving = Moving::new().await;
    let release = moving.world.release().await.unwrap();
    let before = store(&release, CARDS).await;
    moving.migrate(Some(10)).await.must_be(202).unwrap();
    copied(&moving, 5).await;
    fill(&moving);
    moving.until(&["waiting"]).await;
    let given_up = moving.ask(Method::DELETE, None).await.expect(200).unwrap();
    assert_eq!((&given_up["state"], &given_up["fault"]), (&json!("none"), &Value::Null));
    store(&release, 3).await;
    all_reveal(&moving, &before).await;
    moving.server.sql(DATABASE, "DROP TRIGGER full_disk ON cards");
    moving.migrate(None).await.must_be(202).unwrap();
    moving.until(&["moved"]).await;
    moving.start_on_database().await;
    all_reveal(&moving, &before).await;
}

/// From now on the database says to each card what it says when its disk is full.
fn fill(moving: &Moving) {
    moving.server.sql(
        DATABASE,
        "CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS \
         $$ BEGIN RAISE EXCEPTION 'could not extend file' USING ERRCODE = 'disk_full'; END $$",
    );
    let sql = "CREATE TRIGGER full_disk BEFORE INSERT ON cards FOR EACH STATEMENT EXECUTE FUNCTION full_disk()";
    moving.server.sql(DATABASE, sql);
}

async fn copied(moving: &Moving, rows: u64) {
    eventually("a part to be copied", Duration::from_secs(120), || async {
        Ok((moving.status().await["done"].as_u64() >= Some(rows)).then_some(()))
    })
    .await
    .unwrap();
}

async fn all_reveal(moving: &Moving, tokens: &[String]) {
    let release = moving.world.release().await.unwrap();
    for (nth, token) in tokens.iter().enumerate() {
        let revealed = eventually("a card", Duration::from_secs(60), || async {
            let revealed = reveal(&release, token).await?;
            Ok((revealed.status != 503).then_some(revealed))
        });
        let revealed = revealed.await.unwrap().expect(200).unwrap();
        assert_eq!(revealed["card"]["number"], NUMBERS[nth % NUMBERS.len()]);
    }
}

const CARDS: usize = 120;
