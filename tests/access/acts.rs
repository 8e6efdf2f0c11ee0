//! Acts that need two people: one person alone gets nowhere, under whatever name.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use strongroom_tests::harness::{Client, Policy, Result, Rule, World, WorldPlan, eventually, standard_policy};
use strongroom_wire::Scope;

fn officer(world: &World, name: &str) -> Client {
    world.vault.admin(&world.pki, &world.credentials("security", name).unwrap()).unwrap()
}

/// A vault whose first Kek is retired and empty, and the act that asks for its end.
async fn asked(policy: Policy) -> (World, Value) {
    let world = World::start(WorldPlan { policy, ..WorldPlan::default() }).await.unwrap();
    rotated(&world).await.unwrap();
    let destroy = json!({ "purpose": "kek", "tenant": world.tenant, "term": 1 });
    let act = officer(&world, "alice").post("/v1/keys/destroy", &destroy).await.unwrap().expect(202).unwrap();
    (world, act)
}

async fn rotated(world: &World) -> Result<()> {
    let security = world.security().await?;
    security.post("/v1/rotations", &json!({ "tenant": world.tenant })).await?.expect(202)?;
    eventually("the rotation to end", Duration::from_secs(30), || async {
        let now = security.get(&format!("/v1/rotations/{}", world.tenant)).await?.expect(200)?;
        Ok((now["state"] == "done").then_some(()))
    })
    .await
}

async fn approve(who: &Client, act: &Value) -> (u16, String) {
    let path = format!("/v1/acts/{}/approve", act["act_id"].as_str().unwrap());
    let answer = who.send(Method::POST, &path, None, &[]).await.unwrap();
    (answer.status, answer.problem())
}

async fn terms(world: &World) -> Vec<u64> {
    let keys = world.security().await.unwrap().get("/v1/keys").await.unwrap().expect(200).unwrap();
    let keks = keys["keys"].as_array().unwrap().iter().filter(|key| key["purpose"] == "kek");
    keks.filter(|key| key["tenant"] == world.tenant).map(|key| key["term"].as_u64().unwrap()).collect()
}

async fn entries(world: &World) -> Vec<Value> {
    let page = world.security().await.unwrap().get("/v1/audit/entries?limit=1000").await.unwrap();
    page.expect(200).unwrap()["entries"].as_array().unwrap().clone()
}

#[tokio::test]
async fn the_person_who_asked_does_not_approve() {
    let (world, act) = asked(standard_policy()).await;
    let alice = officer(&world, "alice");
    assert_eq!(approve(&alice, &act).await, (403, "denied".to_owned()));
    // Asking again is no approval either: it answers the act that waits.
    let again = json!({ "purpose": "kek", "tenant": world.tenant, "term": 1 });
    let again = alice.post("/v1/keys/destroy", &again).await.unwrap().expect(202).unwrap();
    assert_eq!((&again["act_id"], again["state"].as_str()), (&act["act_id"], Some("pending")));
    assert_eq!(terms(&world).await, [1, 2]);
    let refusal = entries(&world).await.into_iter().find(|entry| entry["reason"] == "same_person").unwrap();
    assert_eq!((refusal["act"].as_str(), refusal["outcome"].as_str()), (Some("destroy"), Some("refused")));
    assert_eq!(refusal["who"], "spiffe://strongroom/security/alice");
}

#[tokio::test]
async fn two_names_with_one_key_are_one_person() {
    let (world, act) = asked(standard_policy()).await;
    let bob =
        world.pki.client_with_key_of("security", "bob", &world.credentials("security", "alice").unwrap()).unwrap();
    let bob = world.vault.admin(&world.pki, &bob).unwrap();
    assert_eq!(approve(&bob, &act).await, (403, "denied".to_owned()));
    assert_eq!(terms(&world).await, [1, 2]);
    assert_eq!(approve(&officer(&world, "bob"), &act).await.0, 200);
}

#[tokio::test]
async fn who_lacks_the_acts_scope_or_tenant_does_not_approve() {
    let policy = standard_policy()
        .rule(Rule::new("security", "carol", &["*"], &[Scope::Status, Scope::Rotate, Scope::Retention]))
        .rule(Rule::new("security", "dave", &["elsewhere"], &[Scope::Status, Scope::Destroy]));
    let (world, act) = asked(policy).await;
    for name in ["carol", "dave"] {
        assert_eq!(approve(&officer(&world, name), &act).await, (403, "denied".to_owned()), "{name}");
        let path = format!("/v1/acts/{}", act["act_id"].as_str().unwrap());
        let withdrawn = officer(&world, name).send(Method::DELETE, &path, None, &[]).await.unwrap();
        assert_eq!(withdrawn.status, 403, "{name}");
    }
    assert_eq!(terms(&world).await, [1, 2]);
}

#[tokio::test]
async fn who_lost_the_scope_after_asking_counts_no_more() {
    let policy = standard_policy().rule(Rule::new("security", "carol", &["*"], &[Scope::Status, Scope::Destroy]));
    let (world, act) = asked(policy).await;
    std::fs::write(world.path().join("policy.toml"), standard_policy().without("security", "alice").text()).unwrap();
    let bob = officer(&world, "bob");
    let change = bob.send(Method::POST, "/v1/reload", None, &[]).await.unwrap().expect(202).unwrap();
    assert_eq!(approve(&officer(&world, "alice"), &change["act"]).await.0, 200);
    assert_eq!(approve(&bob, &act).await, (409, "conflict".to_owned()));
    let keys = bob.get("/v1/keys").await.unwrap().expect(200).unwrap();
    assert_eq!(keys["keys"].as_array().unwrap().iter().filter(|key| key["purpose"] == "kek").count(), 2);
}

#[tokio::test]
async fn a_second_person_approves_and_both_are_in_the_log() {
    let (world, act) = asked(standard_policy()).await;
    let bob = officer(&world, "bob");
    assert_eq!(approve(&bob, &act).await.0, 200);
    assert_eq!(terms(&world).await, [2]);
    let list = bob.get("/v1/acts").await.unwrap().expect(200).unwrap();
    let done = &list["acts"][0];
    assert_eq!((done["state"].as_str(), done["act_id"].clone()), (Some("done"), act["act_id"].clone()));
    assert!(done["result"].as_str().unwrap().starts_with("strongroom-destruction/1\n"));
    let (alice, bob_uri) = ("spiffe://strongroom/security/alice", "spiffe://strongroom/security/bob");
    let entries = entries(&world).await;
    let told: Vec<&Value> = entries.iter().filter(|entry| entry["act"] == "two-person-act").collect();
    assert_eq!(told.len(), 2);
    let approved = told[1]["note"].as_str().unwrap();
    assert!(approved.contains(alice) && approved.contains(bob_uri) && approved.contains("approved by"), "{approved}");
    let at = |act: &str, who: &str| {
        let found = entries.iter().find(|entry| entry["act"] == act && entry["who"] == who);
        found.unwrap_or_else(|| panic!("no entry of {act} by {who}"))["index"].as_u64().unwrap()
    };
    assert!(at("destroy", alice) < at("destroy", bob_uri) && at("destroy", bob_uri) < at("key-destroyed", ""));
    // What is done is done once.
    assert_eq!(approve(&bob, &act).await, (409, "conflict".to_owned()));
}

#[tokio::test]
async fn a_withdrawn_act_is_approved_by_nobody() {
    let (world, act) = asked(standard_policy()).await;
    let path = format!("/v1/acts/{}", act["act_id"].as_str().unwrap());
    let withdrawn = officer(&world, "bob").send(Method::DELETE, &path, None, &[]).await.unwrap().expect(200).unwrap();
    assert_eq!(withdrawn["state"], "withdrawn");
    assert_eq!(approve(&officer(&world, "bob"), &act).await, (409, "conflict".to_owned()));
    assert_eq!(terms(&world).await, [1, 2]);
}

#[tokio::test]
async fn an_act_that_was_changed_in_the_database_is_not_done() {
    let (mut world, act) = asked(standard_policy()).await;
    world.vault.process().stop().await.unwrap();
    let store = rusqlite::Connection::open(world.vault.store_file()).unwrap();
    let changed = store.execute("UPDATE acts SET note = replace(note, 'alice', 'mallo')", []).unwrap();
    assert_eq!(changed, 1);
    drop(store);
    world.vault.restart().await.unwrap();
    assert_eq!(approve(&officer(&world, "bob"), &act).await.0, 500);
    assert_eq!(terms(&world).await, [1, 2]);
}

#[tokio::test]
async fn a_key_in_use_or_with_records_is_not_destroyed() {
    let world = World::vault_only().await.unwrap();
    let alice = officer(&world, "alice");
    let destroy = |term: u32| json!({ "purpose": "kek", "tenant": world.tenant, "term": term });
    let refused = alice.post("/v1/keys/destroy", &destroy(1)).await.unwrap();
    assert_eq!((refused.status, refused.problem().as_str()), (409, "conflict"));
    let unknown = alice.post("/v1/keys/destroy", &destroy(9)).await.unwrap();
    assert_eq!((unknown.status, unknown.problem().as_str()), (404, "not-found"));
    let release = world.release().await.unwrap();
    for _ in 0..300 {
        release.post("/v1/payment_methods", &crate::table::card_body()).await.unwrap().expect(201).unwrap();
    }
    // A rotation moves 256 records and then waits for as many seconds.
    let slow = json!({ "tenant": world.tenant, "records_per_second_max": 1 });
    alice.post("/v1/rotations", &slow).await.unwrap().expect(202).unwrap();
    let early = alice.post("/v1/keys/destroy", &destroy(1)).await.unwrap();
    assert_eq!((early.status, early.problem().as_str()), (409, "conflict"));
    assert_eq!(terms(&world).await, [1, 2]);
}
