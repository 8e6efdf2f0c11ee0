//! Another Root, or the same one in other hands, while cards lie in the vault: each is revealed after every change.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use strongroom_tests::harness::{Root, TENANT, World, WorldPlan, passphrase_of, word};

const NUMBER: &str = "4242424242424242";

/// An unsealed vault of custodians, three of five, with a card.
pub(crate) async fn with_custodians() -> (World, String) {
    let world = World::start(WorldPlan { root: Root::Custodians(5, 3), ..WorldPlan::default() }).await.unwrap();
    unseal(&world, &[1, 2, 3]);
    world.register(TENANT).await.unwrap();
    let token = store(&world).await;
    (world, token)
}

pub(crate) fn unseal(world: &World, numbers: &[u8]) {
    for number in numbers {
        world.hand_in(*number, &passphrase_of(*number)).unwrap();
    }
}

async fn store(world: &World) -> String {
    let body = json!({ "type": "card", "card": { "number": NUMBER, "exp_month": 12, "exp_year": 2031 } });
    let stored = world.release().await.unwrap().post("/v1/payment_methods", &body).await.unwrap();
    word(&stored.expect(201).unwrap(), "payment_method_id").unwrap()
}

async fn reveals(world: &World, token: &str) {
    let body = json!({ "purpose": "authorize", "reference": "pay_rerooted" });
    let path = format!("/v1/payment_methods/{token}/reveal");
    let card = world.release().await.unwrap().post(&path, &body).await.unwrap().expect(200).unwrap();
    assert_eq!(card["card"]["number"], NUMBER);
}

pub(crate) async fn restart(world: &mut World) {
    world.vault.process().stop().await.unwrap();
    world.vault.restart().await.unwrap();
}

pub(crate) async fn status(world: &World) -> Value {
    world.security().await.unwrap().get("/v1/status").await.unwrap().expect(200).unwrap()
}

async fn entries(world: &World, act: &str) -> Vec<Value> {
    let page = world.security().await.unwrap().get("/v1/audit/entries?limit=1000").await.unwrap().expect(200).unwrap();
    page["entries"].as_array().unwrap().iter().filter(|entry| entry["act"] == act).cloned().collect()
}

#[tokio::test]
async fn a_redeal_puts_other_people_in_charge_and_the_shares_before_open_nothing() {
    let (mut world, token) = with_custodians().await;
    let kept = world.path().join("kept");
    std::fs::create_dir(&kept).unwrap();
    for file in ["root.json", "share-4.json", "share-5.json"] {
        std::fs::copy(world.path().join("root").join(file), kept.join(file)).unwrap();
    }
    world.redeal(&[2, 3, 5], 3, 2).unwrap();
    // Nobody agrees to a division that its people have not proved.
    let refused = world.agree_on_next(None).unwrap_err().to_string();
    assert!(refused.contains("custodians hand in their shares"), "{refused}");
    let said = world.hand_in_next(1).unwrap();
    assert!(said.contains("1 of 2"), "{said}");
    world.hand_in_next(3).unwrap();
    world.agree_on_next(None).unwrap();
    let change = world.change_is_over().await.unwrap();
    assert_eq!((change["state"].as_str(), change["rewraps"].as_bool()), (Some("done"), Some(false)), "{change}");
    assert!(change["proof"].as_str().unwrap().contains("the same Root in another division"));
    assert_eq!(entries(&world, "root-changed").await.len(), 1);
    reveals(&world, &token).await;
    world.keep_next().unwrap();
    restart(&mut world).await;
    let now = status(&world).await;
    assert_eq!((now["threshold"].as_u64(), now["shares"].as_u64()), (Some(2), Some(3)));

    // A share of before, in the hands of the custodian whose number it has.
    std::fs::copy(kept.join("share-4.json"), world.path().join("root/share-4.json")).unwrap();
    let refused = world.hand_in(4, &passphrase_of(4)).unwrap_err().to_string();
    assert!(refused.contains("another vault"), "{refused}");
    unseal(&world, &[2, 3]);
    reveals(&world, &token).await;

    // The root.json of before, and enough of its shares: it does not even start.
    world.vault.process().stop().await.unwrap();
    std::fs::copy(kept.join("root.json"), world.path().join("root/root.json")).unwrap();
    assert!(world.vault.restart().await.is_err(), "a vault started with a root.json of before");
    let log = std::fs::read_to_string(world.path().join("vaultd.log")).unwrap();
    assert!(log.contains("another root.json is in force"), "{log}");
}

#[tokio::test]
async fn custodians_give_way_to_a_development_root_and_come_back() {
    let (mut world, token) = with_custodians().await;
    world.next_root(Root::Dev).unwrap();
    world.agree_on_next(None).unwrap();
    let change = world.change_is_over().await.unwrap();
    assert_eq!((change["state"].as_str(), change["rewraps"].as_bool()), (Some("done"), Some(true)), "{change}");
    reveals(&world, &token).await;
    // It opens by itself from the place of the one to come, and says where its files belong.
    restart(&mut world).await;
    let now = status(&world).await;
    assert_eq!((now["phase"].as_str(), now["root"].as_str()), (Some("unsealed"), Some("dev")));
    assert!(now["warnings"].to_string().contains("root.next"), "{now}");
    reveals(&world, &token).await;
    world.keep_next().unwrap();
    world
        .vault
        .edit_configuration(|text| {
            text.replace("file = \"root/root.json\"\n", "file = \"root/root.json\"\ndev_key = \"root/dev-root.key\"\n")
        })
        .unwrap();
    restart(&mut world).await;
    let another = store(&world).await;

    world.next_root(Root::Custodians(3, 2)).unwrap();
    for number in [1, 2] {
        world.hand_in_next(number).unwrap();
    }
    world.agree_on_next(None).unwrap();
    assert_eq!(world.change_is_over().await.unwrap()["state"], "done");
    // A tenant of now is made under the Root of now.
    world.register("late").await.unwrap();
    world.keep_next().unwrap();
    restart(&mut world).await;
    assert_eq!(status(&world).await["phase"], "sealed");
    unseal(&world, &[3, 1]);
    for token in [&token, &another] {
        reveals(&world, token).await;
    }
    assert_eq!(entries(&world, "root-changed").await.len(), 2);
    let (key, kept) = world.keep_checkpoint().await.unwrap();
    world.verify_audit(&key, Some(&kept)).unwrap();
}

#[tokio::test]
async fn a_root_json_of_another_vault_or_one_persons_word_changes_nothing() {
    let (world, token) = with_custodians().await;
    let foreign = World::start(WorldPlan { root: Root::Custodians(3, 2), ..WorldPlan::default() }).await.unwrap();
    std::fs::create_dir(world.path().join("next")).unwrap();
    for file in ["root.json", "share-1.json"] {
        std::fs::copy(foreign.path().join("root").join(file), world.path().join("next").join(file)).unwrap();
    }
    let refused = world.agree_on_next(None).unwrap_err().to_string();
    assert!(refused.contains("another vault"), "{refused}");
    let refused = world.hand_in_next(1).unwrap_err().to_string();
    assert!(refused.contains("another vault"), "{refused}");
    let to = world.next_root(Root::Dev).unwrap();
    let (alice, custodian) = (world.security().await.unwrap(), world.credentials("custodian", "c1").unwrap());
    let act = alice.post("/v1/root/change", &json!({ "to": to })).await.unwrap().expect(202).unwrap();
    let approve = format!("/v1/acts/{}/approve", act["act_id"].as_str().unwrap());
    assert_eq!(alice.send(Method::POST, &approve, None, &[]).await.unwrap().status, 403);
    let custodian = world.vault.admin(&world.pki, &custodian).unwrap();
    assert_eq!(custodian.send(Method::POST, &approve, None, &[]).await.unwrap().status, 403);
    tokio::time::sleep(Duration::from_millis(300)).await;
    let now = alice.get("/v1/root").await.unwrap().expect(200).unwrap();
    assert!(now["change"].is_null() && now["in_force"]["kind"] == "custodians", "{now}");
    reveals(&world, &token).await;
}

#[tokio::test]
async fn a_share_of_somebody_who_did_not_acknowledge_their_duty_is_not_taken() {
    let world = World::start(WorldPlan { root: Root::Custodians(3, 2), ..WorldPlan::default() }).await.unwrap();
    let who = world.credentials("custodian", "c1").unwrap();
    let (share, words) = (world.path().join("root/share-1.json"), world.path().join("root.passphrase-1"));
    let arguments = ["unseal", "--share", share.to_str().unwrap(), "--passphrase-file", words.to_str().unwrap()];
    let refused = world.vaultctl(&who, &arguments).unwrap_err().to_string();
    assert!(refused.contains("not acknowledged"), "{refused}");
    assert_eq!(status(&world).await["shares_given"], 0);
    world.vaultctl(&who, &["custodian", "acknowledge", "--acknowledge"]).unwrap();
    // From now on it is known; the other one brings it along with the share.
    world.vaultctl(&who, &arguments).unwrap();
    world.hand_in(2, &passphrase_of(2)).unwrap();
    let known = world.security().await.unwrap().get("/v1/custodians").await.unwrap().expect(200).unwrap();
    let names: Vec<&str> =
        known["acknowledgements"].as_array().unwrap().iter().map(|one| one["who"].as_str().unwrap()).collect();
    assert_eq!(names, ["spiffe://strongroom/custodian/c1", "spiffe://strongroom/custodian/c2"]);
    let recorded = entries(&world, "unseal").await;
    let noted = |word: &str| recorded.iter().filter(|entry| entry["note"].as_str().unwrap().contains(word)).count();
    assert_eq!((noted("acknowledged duty 1 of root"), noted("duty not acknowledged")), (2, 1));
}
