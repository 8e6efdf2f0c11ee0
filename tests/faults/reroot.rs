//! vaultd killed in the middle of a change of the Root: the vault opens afterwards, every time, with one Root or the other.

use std::time::Duration;

use reqwest::Method;
use serde_json::json;
use strongroom_tests::harness::{Client, Root, World, word};

const KILLS: u64 = 5;
const ROUNDS: u64 = 8;
/// With three keys each.
const TENANTS: u64 = 120;

async fn card(client: &Client) -> Option<String> {
    let body = json!({ "type": "card", "card": { "number": "4242424242424242", "exp_month": 12, "exp_year": 2031 } });
    let answer = client.send(Method::POST, "/v1/payment_methods", Some(&body), &[]).await.ok()?;
    word(&answer.expect(201).ok()?, "payment_method_id").ok()
}

/// Stores cards until the vault is gone.
async fn load(client: Client) -> Vec<String> {
    let mut tokens = Vec::new();
    while let Some(token) = card(&client).await {
        tokens.push(token);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    tokens
}

async fn all_reveal(world: &World, tokens: &[String]) {
    let release = world.release().await.unwrap();
    for token in tokens {
        let body = json!({ "purpose": "authorize", "reference": "pay_rerooted" });
        let card = release.post(&format!("/v1/payment_methods/{token}/reveal"), &body).await.unwrap();
        assert_eq!(card.expect(200).unwrap()["card"]["number"], "4242424242424242");
    }
}

async fn in_force(world: &World) -> String {
    let now = world.security().await.unwrap().get("/v1/root").await.unwrap().expect(200).unwrap();
    now["in_force"]["sha256"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_change_of_the_root_that_is_killed_again_and_again_comes_to_its_end() {
    let mut world = World::vault_only().await.unwrap();
    for n in 0..TENANTS {
        world.register(&format!("shop-{n}")).await.unwrap();
    }
    let next = world.next_root(Root::Dev).unwrap();
    world.agree_on_next(Some(40)).unwrap();
    let (mut tokens, mut kills) = (Vec::new(), 0);
    for kill in 0..KILLS {
        let release = world.release().await.unwrap();
        let workers: Vec<_> = (0..4).map(|_| tokio::spawn(load(release.clone()))).collect();
        tokio::time::sleep(Duration::from_millis(150 + 60 * kill)).await;
        let before = world.security().await.unwrap().get("/v1/root").await.unwrap().expect(200).unwrap();
        kills += u64::from(before["change"]["state"] == "running");
        world.vault.process().kill().unwrap();
        for worker in workers {
            tokens.extend(worker.await.unwrap());
        }
        world.vault.restart().await.unwrap();
        let after = world.security().await.unwrap().get("/v1/root").await.unwrap().expect(200).unwrap();
        // What was staged is not done again.
        assert!(after["change"]["done"].as_u64() >= before["change"]["done"].as_u64(), "{before} {after}");
        world.register(&format!("late-{kill}")).await.unwrap();
    }
    assert!(kills > 1, "it was over before it could be interrupted");
    let change = world.change_is_over().await.unwrap();
    assert_eq!((change["state"].as_str(), change["to"].as_str()), (Some("done"), Some(next.as_str())), "{change}");
    assert!(change["total"].as_u64().unwrap() >= 3 * TENANTS);
    all_reveal(&world, &tokens).await;
    world.keep_next().unwrap();
    world.vault.process().kill().unwrap();
    world.vault.restart().await.unwrap();
    assert_eq!(in_force(&world).await, next);
    all_reveal(&world, &tokens).await;
}

#[tokio::test]
async fn killed_around_the_swap_the_vault_opens_with_the_one_root_or_the_other() {
    let mut world = World::vault_only().await.unwrap();
    let mut tokens = Vec::new();
    let (mut before_it, mut after_it) = (0, 0);
    for round in 0..ROUNDS {
        let old = in_force(&world).await;
        let next = world.next_root(Root::Dev).unwrap();
        tokens.push(card(&world.release().await.unwrap()).await.unwrap());
        let release = world.release().await.unwrap();
        let worker = tokio::spawn(load(release));
        let to = json!({ "to": next });
        let act = world.security().await.unwrap().post("/v1/root/change", &to).await.unwrap().expect(202).unwrap();
        let bob = world.vault.admin(&world.pki, &world.credentials("security", "bob").unwrap()).unwrap();
        let path = format!("/v1/acts/{}/approve", act["act_id"].as_str().unwrap());
        let approving = tokio::spawn(async move { bob.send(Method::POST, &path, None, &[]).await });
        // From before the approval is recorded to after the note is signed.
        tokio::time::sleep(Duration::from_micros(1500 * round)).await;
        world.vault.process().kill().unwrap();
        let _unanswered = approving.await.unwrap();
        tokens.extend(worker.await.unwrap());
        world.vault.restart().await.unwrap();
        if in_force(&world).await == old {
            before_it += 1;
            // An act that was approved went on by itself, one that was not is approved now.
            if world.change_is_over().await.is_ok_and(|change| change["to"] != next.as_str()) {
                world.agree_on_next(None).unwrap();
            }
            let change = world.change_is_over().await.unwrap();
            assert_eq!(
                (change["state"].as_str(), change["to"].as_str()),
                (Some("done"), Some(next.as_str())),
                "{change}"
            );
        } else {
            after_it += 1;
        }
        assert_eq!(in_force(&world).await, next);
        all_reveal(&world, &tokens).await;
        world.keep_next().unwrap();
    }
    eprintln!("killed {before_it} times before the swap and {after_it} times after it");
    world.vault.process().kill().unwrap();
    world.vault.restart().await.unwrap();
    all_reveal(&world, &tokens).await;
    let (key, kept) = world.keep_checkpoint().await.unwrap();
    world.verify_audit(&key, Some(&kept)).unwrap();
}
