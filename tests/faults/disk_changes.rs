//! A disk that fills while keys change: a rotation or a change of the Root stops and says why, nothing is half done, every
//! card is released, and with room again it goes on to its end and its proof.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use strongroom_tests::harness::{Client, Root, VaultPlan, World, WorldPlan, eventually, word};

const NUMBER: &str = "4242424242424242";
const CARDS: usize = 60;
/// With three keys each.
const TENANTS: u64 = 30;

#[tokio::test]
async fn a_full_disk_stops_a_rotation_and_room_lets_it_come_to_its_end() {
    for key in ["kek", "fingerprint"] {
        let mut world = small().await;
        let release = world.release().await.unwrap();
        let mut tokens = Vec::new();
        for n in 0..CARDS {
            tokens.push(card(&release, n).await);
        }
        let ask = json!({ "key": key, "tenant": world.tenant, "records_per_second_max": 4 });
        world.security().await.unwrap().post("/v1/rotations", &ask).await.unwrap().must_be(202).unwrap();
        let path = format!("/v1/rotations/{}?key={key}", world.tenant);
        let before = moved(&world, &path).await;
        let stopped = fill_until_stopped(&mut world, &path, "").await;
        named(&stopped);
        let done = stopped["done"].as_u64().unwrap();
        assert!(before <= done && done < CARDS as u64, "{stopped}");
        // Some are on the new term, some on the old one, and each of them is whole.
        all_reveal(&world, &tokens).await;

        world.vault.process().kill().unwrap();
        world.vault.restart().await.unwrap();
        let security = world.security().await.unwrap();
        // It was resumed by itself; nothing is left to wait for.
        let ask = json!({ "key": key, "tenant": world.tenant, "records_per_second_max": 100_000 });
        security.post("/v1/rotations", &ask).await.unwrap().must_be(202).unwrap();
        let over = eventually("the rotation to end", Duration::from_secs(60), || async {
            let now = security.get(&path).await?.expect(200)?;
            Ok((now["state"] == "done").then_some(now))
        });
        let over = over.await.unwrap();
        assert_eq!(over["to_term"], 2, "another term was begun: {over}");
        assert!(over["proof"].as_str().is_some_and(|note| note.contains("\u{2014} ")), "{over}");
        all_reveal(&world, &tokens).await;
        left_behind_nothing(&mut world, key).await;
    }
}

#[tokio::test]
async fn a_full_disk_stops_a_change_of_the_root_and_room_lets_it_come_to_its_end() {
    let mut world = small().await;
    for n in 0..TENANTS {
        world.register(&format!("shop-{n}")).await.unwrap();
    }
    let release = world.release().await.unwrap();
    let mut tokens = Vec::new();
    for n in 0..10 {
        tokens.push(card(&release, n).await);
    }
    let before = status(&world).await["in_force"]["sha256"].clone();
    let next = world.next_root(Root::Dev).unwrap();
    world.agree_on_next(Some(6)).unwrap();
    eventually("the change to be under way", Duration::from_secs(30), || async {
        Ok(status(&world).await["change"]["done"].as_u64().filter(|done| *done > 0))
    })
    .await
    .unwrap();
    let stopped = fill_until_stopped(&mut world, "/v1/root", "/change").await;
    named(&stopped["change"]);
    assert_eq!(stopped["in_force"]["sha256"], before, "a root is in force under which not every key was wrapped");
    all_reveal(&world, &tokens).await;

    world.vault.process().kill().unwrap();
    world.vault.restart().await.unwrap();
    assert_eq!(status(&world).await["in_force"]["sha256"], before);
    let over = eventually("the change of the root to end", Duration::from_secs(120), || async {
        let now = status(&world).await["change"].clone();
        Ok((now["state"] == "done").then_some(now))
    });
    let over = over.await.unwrap();
    assert_eq!((over["state"].as_str(), over["to"].as_str()), (Some("done"), Some(next.as_str())), "{over}");
    assert!(over["proof"].as_str().is_some_and(|note| note.contains("\u{2014} ")), "{over}");
    all_reveal(&world, &tokens).await;
    world.keep_next().unwrap();
    world.vault.process().kill().unwrap();
    world.vault.restart().await.unwrap();
    all_reveal(&world, &tokens).await;
}

/// A vault to which a write beyond a limit is an error and no signal.
async fn small() -> World {
    let vault = VaultPlan { survives_file_size_limit: true, ..VaultPlan::default() };
    World::start(WorldPlan { vault, ..WorldPlan::default() }).await.unwrap()
}

/// Lets the disk be full and makes room again, until what runs has stopped for it. A full disk is also one that no answer
/// can be recorded on, so it is asked when there is room.
async fn fill_until_stopped(world: &mut World, path: &str, in_what: &str) -> Value {
    loop {
        world.vault.process().limit_file_size(Some(4096)).unwrap();
        tokio::time::sleep(Duration::from_millis(500)).await;
        world.vault.process().limit_file_size(None).unwrap();
        let security = world.security().await.unwrap();
        let now = eventually("room for an entry", Duration::from_secs(30), || async {
            let answer = security.get(path).await?;
            Ok(if answer.status == 503 { None } else { Some(answer.expect(200)?) })
        });
        let now = now.await.unwrap();
        let state = now.pointer(in_what).and_then(|what| what["state"].as_str()).unwrap_or_default();
        assert_ne!(state, "done", "it was over before the disk was full: {now}");
        if state == "stopped" {
            return now;
        }
    }
}

fn named(change: &Value) {
    let fault = change["fault"].as_str().unwrap_or_default();
    assert!(fault.contains("disk"), "the fault does not name what is full: {change}");
}

async fn moved(world: &World, path: &str) -> u64 {
    let security = world.security().await.unwrap();
    eventually("the rotation to be under way", Duration::from_secs(30), || async {
        let now = security.get(path).await?.expect(200)?;
        Ok(now["done"].as_u64().filter(|done| *done > 0))
    })
    .await
    .unwrap()
}

async fn status(world: &World) -> Value {
    world.security().await.unwrap().get("/v1/root").await.unwrap().expect(200).unwrap()
}

async fn card(release: &Client, n: usize) -> String {
    let card = json!({ "number": NUMBER, "exp_month": 12, "exp_year": 2031 });
    let body = json!({ "type": "card", "card": card, "customer_id": format!("cus_{n}") });
    let stored = release.send(Method::POST, "/v1/payment_methods", Some(&body), &[]).await.unwrap();
    word(&stored.expect(201).unwrap(), "payment_method_id").unwrap()
}

async fn all_reveal(world: &World, tokens: &[String]) {
    let release = world.release().await.unwrap();
    for token in tokens {
        let body = json!({ "purpose": "authorize", "reference": "pay_full" });
        let card = release.post(&format!("/v1/payment_methods/{token}/reveal"), &body).await.unwrap();
        assert_eq!(card.expect(200).unwrap()["card"]["number"], NUMBER);
    }
}

/// The proof says that no card is on an older term; so do the rows.
async fn left_behind_nothing(world: &mut World, key: &str) {
    world.vault.process().stop().await.unwrap();
    let open = rusqlite::Connection::open(world.vault.store_file()).unwrap();
    let old = if key == "kek" { "substr(envelope, 2, 4) = x'00000001'" } else { "mac_term = 1" };
    let left: u32 = open.query_row(&format!("SELECT count(*) FROM cards WHERE {old}"), [], |row| row.get(0)).unwrap();
    assert_eq!(left, 0, "{left} cards are on the old {key} term, and the proof says none is");
}
