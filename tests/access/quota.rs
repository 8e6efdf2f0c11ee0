//! Refused for how much: a quota that is used up, also after a restart.

use reqwest::Method;
use serde_json::json;
use strongroom_tests::harness::{Rule, World, WorldPlan, standard_policy};
use strongroom_wire::Scope;

use crate::table::Named;

const DAY: u32 = 5;

#[tokio::test]
async fn a_quota_that_is_used_up_refuses_every_release() {
    let world = limited(2, DAY).await;
    let named = Named::stored(&world).await.unwrap();
    let who = world.credentials("orchestrator", "limited").unwrap();
    let client = world.vault.release(&world.pki, &who).unwrap().tenant(&world.tenant);
    let card = format!("/v1/payment_methods/{}/reveal", named.token);
    let secret = format!("/v1/secrets/{}/reveal", named.secret);
    let body = json!({ "purpose": "authorize", "reference": "pay_quota" });
    client.post(&card, &body).await.unwrap().must_be(200).unwrap();
    client.send(Method::POST, &secret, None, &[]).await.unwrap().must_be(200).unwrap();

    let refused = client.post(&card, &body).await.unwrap();
    assert_eq!((refused.status, refused.problem().as_str()), (429, "quota-exceeded"));
    assert!(!refused.text().contains("4242424242424242"));
    let refused = client.send(Method::POST, &secret, None, &[]).await.unwrap();
    assert_eq!((refused.status, refused.problem().as_str()), (429, "quota-exceeded"));
    // Only releases are counted.
    client.get(&format!("/v1/payment_methods/{}", named.token)).await.unwrap().must_be(200).unwrap();
    // And only one's own.
    world.release().await.unwrap().post(&card, &body).await.unwrap().must_be(200).unwrap();
}

#[tokio::test]
async fn a_restart_gives_no_quota_back() {
    let mut world = limited(DAY, DAY).await;
    let named = Named::stored(&world).await.unwrap();
    let who = world.credentials("orchestrator", "limited").unwrap();
    let path = format!("/v1/payment_methods/{}/reveal", named.token);
    let body = json!({ "purpose": "authorize", "reference": "pay_quota" });
    let client = world.vault.release(&world.pki, &who).unwrap().tenant(&world.tenant);
    for _ in 0..DAY {
        client.post(&path, &body).await.unwrap().must_be(200).unwrap();
    }
    world.vault.process().kill().unwrap();
    world.vault.restart().await.unwrap();
    let client = world.vault.release(&world.pki, &who).unwrap().tenant(&world.tenant);
    let refused = client.post(&path, &body).await.unwrap();
    assert_eq!((refused.status, refused.problem().as_str()), (429, "quota-exceeded"));
    let why = refused.json().unwrap()["detail"].as_str().unwrap().to_owned();
    assert!(!why.is_empty(), "a refusal that says nothing");
}

#[tokio::test]
async fn a_forward_counts_once_before_and_after_a_restart() {
    let mut world = limited(DAY, DAY).await;
    let named = Named::stored(&world).await.unwrap();
    let who = world.credentials("orchestrator", "limited").unwrap();
    let body = json!({
        "destination": "psp",
        "method": "POST",
        "path": "/v1/payment_methods",
        "body": { "form": [["card[number]", "{{card.number}}"]] },
        "payment_method_id": named.token,
        "reference": "pay_quota",
    });
    // Nobody listens there, so that each has an entry that allowed it and one that says how it ended.
    for count in [3, DAY - 3] {
        let client = world.vault.release(&world.pki, &who).unwrap().tenant(&world.tenant);
        for _ in 0..count {
            let answer = client.post("/v1/forward", &body).await.unwrap().expect(200).unwrap();
            assert_eq!(answer["outcome"], "not_sent");
        }
        world.vault.process().kill().unwrap();
        world.vault.restart().await.unwrap();
    }
    let client = world.vault.release(&world.pki, &who).unwrap().tenant(&world.tenant);
    assert_eq!(client.post("/v1/forward", &body).await.unwrap().problem(), "quota-exceeded");
}

async fn limited(per_minute: u32, per_day: u32) -> World {
    let scopes = [Scope::Reveal, Scope::SecretsReveal, Scope::Forward, Scope::ReadMasked];
    let rule = Rule::new("orchestrator", "limited", &["acme"], &scopes).reveals(per_minute, per_day);
    World::start(WorldPlan { policy: standard_policy().rule(rule), ..WorldPlan::default() }).await.unwrap()
}
