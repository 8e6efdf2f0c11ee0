//! What two people agreed to destroy is destroyed, whenever the vault is killed; and what that means for copies.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use strongroom_tests::harness::{
    Binary, Client, Result, VaultPlan, World, WorldPlan, because, binary_path, eventually, word,
};

const CARDS: usize = 800;
const KILLS: u64 = 10;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_act_that_is_killed_around_its_approval_is_done_or_waits_and_never_halves() {
    let mut world = World::vault_only().await.unwrap();
    for round in 0..KILLS {
        let tenant = format!("shop{round}");
        world.register(&tenant).await.unwrap();
        let card = store(&release_for(&world, &tenant), 1).await.unwrap().remove(0);
        let act = asked(&world, &tenant).await;
        let bob = officer(&world, "bob");
        let path = format!("/v1/acts/{act}/approve");
        let approving = {
            let (bob, path) = (bob.clone(), path.clone());
            tokio::spawn(async move { bob.send(Method::POST, &path, None, &[]).await.map(|answer| answer.status) })
        };
        tokio::time::sleep(Duration::from_millis(round * 2)).await;
        world.vault.process().kill().unwrap();
        let answered = approving.await.unwrap();
        world.vault.restart().await.unwrap();
        let state = state_of(&world, &act).await;
        assert!(["pending", "done"].contains(&state.as_str()), "after {round} the act is {state}");
        if answered.is_ok_and(|status| status == 200) {
            assert_eq!(state, "done", "an answer was given and the act is not done");
        }
        if state == "pending" {
            let again = officer(&world, "bob").send(Method::POST, &path, None, &[]).await.unwrap();
            again.must_be(200).unwrap();
        }
        assert_eq!(state_of(&world, &act).await, "done");
        assert!(reveal(&release_for(&world, &tenant), &card).await >= 400);
    }
    // Whoever was not named is as before.
    let stays = store(&world.release().await.unwrap(), 1).await.unwrap();
    assert_eq!(reveal(&world.release().await.unwrap(), &stays[0]).await, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tenant_whose_shredding_is_killed_opens_nothing_and_is_shredded_to_the_end() {
    // Rows are shredded by a sweep, and the only sweep is the one at the start.
    let vault = VaultPlan { sweep_seconds: 3_600, ..VaultPlan::default() };
    let mut world = World::start(WorldPlan { vault, ..WorldPlan::default() }).await.unwrap();
    world.register("gone").await.unwrap();
    let gone = release_for(&world, "gone");
    let tasks: Vec<_> = (0..8)
        .map(|_| {
            let gone = gone.clone();
            tokio::spawn(async move { store(&gone, CARDS / 8).await })
        })
        .collect();
    let mut tokens = Vec::new();
    for task in tasks {
        tokens.extend(task.await.unwrap().unwrap());
    }
    let stays = store(&world.release().await.unwrap(), 3).await.unwrap();
    let note = agreed(&world, "DELETE", "/v1/tenants/gone", None).await;
    assert!(verified(&world, &note).await.contains("gone: shredded, 3 keys destroyed"));
    for token in &tokens[..20] {
        assert!(reveal(&release_for(&world, "gone"), token).await >= 400);
    }
    assert_eq!(rows(&world.vault.store_file()), CARDS + stays.len(), "rows went before a sweep");
    for _ in 0..3 {
        world.vault.process().kill().unwrap();
        world.vault.restart().await.unwrap();
        assert!(reveal(&release_for(&world, "gone"), tokens.last().unwrap()).await >= 400);
    }
    let store_file = world.vault.store_file();
    eventually("the last row to go", Duration::from_secs(30), || async {
        Ok((rows(&store_file) == stays.len()).then_some(()))
    })
    .await
    .unwrap();
    for token in &stays {
        assert_eq!(reveal(&world.release().await.unwrap(), token).await, 200);
    }
    let again = officer(&world, "alice").post("/v1/tenants", &json!({ "tenant": "gone" })).await.unwrap();
    assert_eq!((again.status, again.problem().as_str()), (409, "conflict"));
}

#[tokio::test]
async fn a_destroyed_term_opens_nothing_with_the_root_and_the_database_and_only_an_older_copy_does() {
    let mut world = World::vault_only().await.unwrap();
    let card = store(&world.release().await.unwrap(), 1).await.unwrap().remove(0);
    world.vault.process().stop().await.unwrap();
    let before = world.path().join("before.db");
    std::fs::copy(world.vault.store_file(), &before).unwrap();
    let (envelope, wrapped) = {
        let copy = rusqlite::Connection::open(&before).unwrap();
        let envelope: Vec<u8> = copy.query_row("SELECT envelope FROM cards", [], |row| row.get(0)).unwrap();
        let key = "SELECT wrapped FROM keys WHERE purpose = 1 AND tenant <> 0 AND term = 1";
        let wrapped: Vec<u8> = copy.query_row(key, [], |row| row.get(0)).unwrap();
        (envelope, wrapped)
    };
    world.vault.restart().await.unwrap();
    let security = world.security().await.unwrap();
    security.post("/v1/rotations", &json!({ "tenant": world.tenant })).await.unwrap().must_be(202).unwrap();
    eventually("the rotation to end", Duration::from_secs(30), || async {
        let now = security.get("/v1/rotations/acme").await?.expect(200)?;
        Ok((now["state"] == "done").then_some(()))
    })
    .await
    .unwrap();
    let destroy = json!({ "purpose": "kek", "tenant": world.tenant, "term": 1 });
    let note = agreed(&world, "POST", "/v1/keys/destroy", Some(destroy)).await;
    assert!(verified(&world, &note).await.contains("acme: kek term 1 is destroyed, with 0 records on it"));
    assert_eq!(reveal(&world.release().await.unwrap(), &card).await, 200);

    // The wrapped key is nowhere in the files, not even in what SQLite has freed.
    world.vault.process().stop().await.unwrap();
    let file = std::fs::read(world.vault.store_file()).unwrap();
    assert!(!file.windows(wrapped.len()).any(|bytes| bytes == wrapped), "the wrapped key is still in the file");
    // A row of then, put back into the database of now, does not open: its key is gone, Root or not.
    let put = |sql: &str, bytes: &[u8]| {
        let store = rusqlite::Connection::open(world.vault.store_file()).unwrap();
        assert_eq!(store.execute(sql, [bytes]).unwrap(), 1);
    };
    put("UPDATE cards SET envelope = ?1", &envelope);
    world.vault.restart().await.unwrap();
    assert_eq!(reveal(&world.release().await.unwrap(), &card).await, 500);
    // With the wrapped key from a copy of before it does: shredding is done when the last such copy is gone.
    world.vault.process().stop().await.unwrap();
    let put = |sql: &str, bytes: &[u8]| {
        let store = rusqlite::Connection::open(world.vault.store_file()).unwrap();
        assert_eq!(store.execute(sql, [bytes]).unwrap(), 1);
    };
    put("UPDATE keys SET state = 3, wrapped = ?1 WHERE purpose = 1 AND tenant <> 0 AND term = 1", &wrapped);
    world.vault.restart().await.unwrap();
    assert_eq!(reveal(&world.release().await.unwrap(), &card).await, 200);
}

fn officer(world: &World, name: &str) -> Client {
    world.vault.admin(&world.pki, &world.credentials("security", name).unwrap()).unwrap()
}

fn release_for(world: &World, tenant: &str) -> Client {
    world.vault.release(&world.pki, &world.credentials("orchestrator", "main").unwrap()).unwrap().tenant(tenant)
}

async fn store(release: &Client, count: usize) -> Result<Vec<String>> {
    let body = json!({ "type": "card", "card": { "number": "4242424242424242", "exp_month": 12, "exp_year": 2031 } });
    let mut tokens = Vec::new();
    for _ in 0..count {
        tokens.push(word(&release.post("/v1/payment_methods", &body).await?.expect(201)?, "payment_method_id")?);
    }
    Ok(tokens)
}

async fn reveal(release: &Client, token: &str) -> u16 {
    let body = json!({ "purpose": "authorize", "reference": "pay_shred" });
    release.post(&format!("/v1/payment_methods/{token}/reveal"), &body).await.unwrap().status
}

async fn asked(world: &World, tenant: &str) -> String {
    let path = format!("/v1/tenants/{tenant}");
    let act = officer(world, "alice").send(Method::DELETE, &path, None, &[]).await.unwrap().expect(202).unwrap();
    word(&act, "act_id").unwrap()
}

/// Alice asks, Bob approves; the note that comes of it.
async fn agreed(world: &World, method: &str, path: &str, body: Option<Value>) -> String {
    let alice = officer(world, "alice");
    let act = alice.send(method.parse().unwrap(), path, body.as_ref(), &[]).await.unwrap().expect(202).unwrap();
    let path = format!("/v1/acts/{}/approve", word(&act, "act_id").unwrap());
    let done = officer(world, "bob").send(Method::POST, &path, None, &[]).await.unwrap().expect(200).unwrap();
    word(&done, "result").unwrap()
}

async fn state_of(world: &World, act: &str) -> String {
    let list = officer(world, "alice").get("/v1/acts").await.unwrap().expect(200).unwrap();
    let acts = list["acts"].as_array().unwrap();
    word(acts.iter().find(|known| known["act_id"] == act).unwrap(), "state").unwrap()
}

/// What `vaultctl proof verify` says of a note, without the vault; a changed note it refuses.
async fn verified(world: &World, note: &str) -> String {
    let key = world.security().await.unwrap().get("/v1/audit/public-key").await.unwrap();
    let key = String::from_utf8(key.body).unwrap();
    let run = |note: &str| -> Result<std::process::Output> {
        let file = world.path().join("note");
        std::fs::write(&file, note).map_err(because("note"))?;
        let mut command = Command::new(binary_path(Binary::Vaultctl)?);
        command.args(["proof", "verify"]).arg(file).args(["--public-key", key.trim()]).output().map_err(because("run"))
    };
    let forged = run(&note.replacen("term 1", "term 2", 1).replacen("gone", "acme", 1)).unwrap();
    assert_eq!(forged.status.code(), Some(1));
    let said = run(note).unwrap();
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    String::from_utf8(said.stdout).unwrap()
}

fn rows(file: &Path) -> usize {
    let store = rusqlite::Connection::open(file).unwrap();
    store.query_row("SELECT count(*) FROM cards", [], |row| row.get::<_, i64>(0)).unwrap() as usize
}
