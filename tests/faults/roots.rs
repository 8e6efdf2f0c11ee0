//! The HSM or KMS that holds the Root is away, refuses, or holds another key: at the start, and while the vault runs.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use strongroom_tests::harness::{Client, Kms, Mood, PIN, Result, Root, World, WorldPlan, card, eventually, word};

/// What takes the Root away and brings it back.
#[derive(Clone, Copy)]
struct Part {
    root: Root,
    away: fn(&World),
    back: fn(&World),
}

const HSM: Part = Part {
    root: Root::Hsm,
    away: |world| world.hsm.as_ref().unwrap().take_away().unwrap(),
    back: |world| world.hsm.as_ref().unwrap().bring_back().unwrap(),
};

const KMS: Part = Part {
    root: Root::Kms,
    away: |world| world.kms.as_ref().unwrap().proxy.set(Mood::HangUp),
    back: |world| world.kms.as_ref().unwrap().proxy.set(Mood::Pass),
};

async fn world(part: Part) -> World {
    World::start(WorldPlan { root: part.root, ..WorldPlan::default() }).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_hsm_that_goes_away_stops_nothing_but_new_keys() {
    goes_away(HSM).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kms_that_goes_away_stops_nothing_but_new_keys() {
    goes_away(KMS).await;
}

async fn goes_away(part: Part) {
    let mut world = world(part).await;
    let token = store(&world.release().await.unwrap()).await.unwrap();
    // A crash in between: the vault opens by itself again.
    world.vault.process().kill().unwrap();
    world.vault.restart().await.unwrap();
    world.opened().await.unwrap();
    reveal(&world, &token).await;

    (part.away)(&world);
    health(&world, 200, |root| root != "available").await;
    // Cards go on.
    reveal(&world, &token).await;
    let other = store(&world.release().await.unwrap()).await.unwrap();
    reveal(&world, &other).await;
    // New keys do not, and that is said.
    let security = world.security().await.unwrap();
    let refused = security.post("/v1/tenants", &json!({ "tenant": "late" })).await.unwrap();
    assert_eq!((refused.status, refused.problem().as_str()), (503, "unavailable"));
    let rotation = json!({ "tenant": world.tenant });
    assert_eq!(security.post("/v1/rotations", &rotation).await.unwrap().status, 503);
    assert_eq!(gauge(&security).await, "0");
    let status = security.get("/v1/status").await.unwrap().expect(200).unwrap();
    assert_eq!(status["phase"], "unsealed");
    assert!(status["warnings"].to_string().contains("the root cannot be used"), "{status}");

    (part.back)(&world);
    health(&world, 200, |root| root == "available").await;
    assert_eq!(gauge(&security).await, "1");
    world.register("late").await.unwrap();
    security.post("/v1/rotations", &rotation).await.unwrap().expect(202).unwrap();
    let said = acts(&security).await;
    let place = |act: &str| said.iter().rposition(|known| known == act).unwrap_or_else(|| panic!("no {act}: {said:?}"));
    assert!(place("root-lost") < place("root-back"));
    nothing_secret_in_the_log(&world);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_hsm_that_is_away_at_the_start_is_waited_for() {
    is_away_at_the_start(HSM).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kms_that_is_away_at_the_start_is_waited_for() {
    is_away_at_the_start(KMS).await;
}

async fn is_away_at_the_start(part: Part) {
    let mut world = world(part).await;
    let token = store(&world.release().await.unwrap()).await.unwrap();
    world.vault.process().stop().await.unwrap();
    (part.away)(&world);
    world.vault.restart().await.unwrap();
    let root = health(&world, 503, |root| root != "available").await;
    let security = world.security().await.unwrap();
    let status = security.get("/v1/status").await.unwrap().expect(200).unwrap();
    assert_eq!(status["phase"], "sealed");
    assert!(status["warnings"].to_string().contains("the root cannot be used"), "{root}: {status}");
    let refused = world.release().await.unwrap().get(&format!("/v1/payment_methods/{token}")).await.unwrap();
    assert_eq!((refused.status, refused.problem().as_str()), (503, "sealed"));
    // Asked for by a person it says why, at once.
    let custodian = world.credentials("custodian", "c1").unwrap();
    let said = world.vaultctl(&custodian, &["unseal", "--auto"]).expect_err("opened without its root").to_string();
    assert!(said.contains("HSM or KMS"), "{said}");
    (part.back)(&world);
    world.opened().await.unwrap();
    reveal(&world, &token).await;
    nothing_secret_in_the_log(&world);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kms_that_denies_throttles_or_disabled_the_key_is_named_and_tried_again() {
    let mut world = world(KMS).await;
    let token = store(&world.release().await.unwrap()).await.unwrap();
    for (mood, named) in [(Mood::Deny, "denied"), (Mood::Throttle(usize::MAX), "throttled"), (Mood::Disabled, "no-key")]
    {
        world.vault.process().kill().unwrap();
        world.kms.as_ref().unwrap().proxy.set(mood);
        world.vault.restart().await.unwrap();
        health(&world, 503, |root| root == named).await;
        world.kms.as_ref().unwrap().proxy.set(Mood::Pass);
        world.opened().await.unwrap();
        reveal(&world, &token).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hanging_kms_holds_up_neither_cards_nor_the_seal() {
    let mut world = world(KMS).await;
    let token = store(&world.release().await.unwrap()).await.unwrap();
    // Long enough that whoever waits for KMS is told from a machine that is slow.
    world.vault.process().stop().await.unwrap();
    world.vault.edit_configuration(|text| text.replace("timeout_ms = 3000", "timeout_ms = 20000")).unwrap();
    world.vault.restart().await.unwrap();
    world.opened().await.unwrap();
    let proxy = &world.kms.as_ref().unwrap().proxy;
    proxy.set(Mood::Delay(600_000));
    let (security, before) = (world.security().await.unwrap(), proxy.seen());
    let asked = json!({ "tenant": "late" });
    let waiting = tokio::spawn(async move { security.post("/v1/tenants", &asked).await.unwrap().status });
    // By the probe of every second, and for the tenant's keys.
    let asked = || async { Ok((proxy.seen() > before + 1).then_some(())) };
    eventually("KMS to be asked twice", Duration::from_secs(60), asked).await.unwrap();
    reveal(&world, &token).await;
    let security = world.security().await.unwrap();
    security.send(Method::POST, "/v1/seal", None, &[]).await.unwrap().must_be(200).unwrap();
    assert!(!waiting.is_finished(), "the seal waited for KMS");
    assert_eq!(waiting.await.unwrap(), 503);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_key_than_the_one_that_wrapped_opens_nothing() {
    for part in [HSM, KMS] {
        let mut world = world(part).await;
        let token = store(&world.release().await.unwrap()).await.unwrap();
        world.vault.process().stop().await.unwrap();
        let (right, kept) = (world.path().join("root/root.json"), world.path().join("kept.json"));
        std::fs::copy(&right, &kept).unwrap();
        // A root.json of the same vault that is whole in itself, of a key that wrapped none of this vault's.
        let other = world.path().join("other");
        let same = ["--for", right.to_str().unwrap()];
        match (&world.hsm, &world.kms) {
            (Some(hsm), _) => hsm.init(&other, &[&same[..], &["--key-label", "another"]].concat()).unwrap(),
            (_, Some(kms)) => kms.init(&kms.key().unwrap(), &other, &same).unwrap(),
            _ => unreachable!("a world of neither"),
        };
        std::fs::copy(other.join("root.json"), &right).unwrap();
        not_in_force(world.vault.restart().await);
        // One whose facts were changed by hand.
        let json = |path: &std::path::Path| -> Value { serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap() };
        let (mut forged, facts) = (json(&kept), if part.root == Root::Hsm { "pkcs11" } else { "kms" });
        forged[facts] = json(&other.join("root.json"))[facts].clone();
        std::fs::write(&right, serde_json::to_vec(&forged).unwrap()).unwrap();
        not_in_force(world.vault.restart().await);
        // With the right one back nothing was lost.
        std::fs::copy(&kept, &right).unwrap();
        world.vault.restart().await.unwrap();
        world.opened().await.unwrap();
        reveal(&world, &token).await;
    }
}

/// The vault did not start, because the store knows which root.json is in force.
fn not_in_force(started: Result<()>) {
    let refused = started.expect_err("a vault started with a root.json that is not in force").to_string();
    assert!(refused.contains("another root.json is in force"), "{refused}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_pin_is_not_tried_until_somebody_asks() {
    let mut world = world(HSM).await;
    world.vault.process().stop().await.unwrap();
    let pin = world.hsm.as_ref().unwrap().pin();
    std::fs::write(&pin, "11111111\n").unwrap();
    world.vault.restart().await.unwrap();
    health(&world, 503, |root| root == "pin-refused").await;
    std::fs::write(&pin, format!("{PIN}\n")).unwrap();
    tokio::time::sleep(Duration::from_secs(3)).await;
    health(&world, 503, |root| root == "pin-refused").await;
    let custodian = world.credentials("custodian", "c1").unwrap();
    assert!(world.vaultctl(&custodian, &["unseal", "--auto"]).unwrap().contains("unsealed"));
    world.opened().await.unwrap();
    nothing_secret_in_the_log(&world);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pin_that_changed_while_the_vault_runs_is_taken_up_when_somebody_asks() {
    let world = world(HSM).await;
    let token = store(&world.release().await.unwrap()).await.unwrap();
    let (hsm, pin) = (world.hsm.as_ref().unwrap(), world.hsm.as_ref().unwrap().pin());
    hsm.take_away().unwrap();
    health(&world, 200, |root| root != "available").await;
    std::fs::write(&pin, "11111111\n").unwrap();
    hsm.bring_back().unwrap();
    health(&world, 200, |root| root == "pin-refused").await;
    std::fs::write(&pin, format!("{PIN}\n")).unwrap();
    tokio::time::sleep(Duration::from_secs(3)).await;
    health(&world, 200, |root| root == "pin-refused").await;
    reveal(&world, &token).await;
    let custodian = world.credentials("custodian", "c1").unwrap();
    world.vaultctl(&custodian, &["unseal", "--auto"]).unwrap();
    health(&world, 200, |root| root == "available").await;
    world.register("late").await.unwrap();
    reveal(&world, &token).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_vault_that_an_operator_sealed_stays_so_over_a_restart() {
    let mut world = world(HSM).await;
    let token = store(&world.release().await.unwrap()).await.unwrap();
    let officer = world.credentials("security", "alice").unwrap();
    assert!(world.vaultctl(&officer, &["seal"]).unwrap().contains("--auto"));
    for _ in 0..2 {
        tokio::time::sleep(Duration::from_secs(3)).await;
        let status = world.security().await.unwrap().get("/v1/status").await.unwrap().expect(200).unwrap();
        assert_eq!(status["phase"], "sealed", "{status}");
        assert!(status["warnings"].to_string().contains("an operator sealed"), "{status}");
        world.vault.process().kill().unwrap();
        world.vault.restart().await.unwrap();
    }
    // Only who may unseal.
    world.vaultctl(&officer, &["unseal", "--auto"]).expect_err("an officer without the scope opened the vault");
    let custodian = world.vault.admin(&world.pki, &world.credentials("custodian", "c1").unwrap()).unwrap();
    custodian.send(Method::POST, "/v1/unseal", None, &[]).await.unwrap().must_be(200).unwrap();
    reveal(&world, &token).await;
    let again = custodian.post("/v1/unseal", &json!({ "auto": true })).await.unwrap();
    assert_eq!((again.status, again.problem().as_str()), (409, "conflict"));
    world.vault.process().kill().unwrap();
    world.vault.restart().await.unwrap();
    world.opened().await.unwrap();
    reveal(&world, &token).await;
}

#[tokio::test]
async fn a_root_elsewhere_without_its_settings_is_a_start_that_says_so() {
    let mut world = world(HSM).await;
    world.vault.process().stop().await.unwrap();
    world.vault.edit_configuration(|text| text.replace("[root.pkcs11]", "[root.kms]\n#")).unwrap();
    let cut = |text: &str| {
        let keep = |line: &&str| !line.starts_with("module =") && !line.starts_with("pin_file =");
        text.lines().filter(keep).collect::<Vec<_>>().join("\n")
    };
    world.vault.edit_configuration(cut).unwrap();
    let said = world.vault.restart().await.expect_err("started without [root.pkcs11]").to_string();
    assert!(said.contains("[root.pkcs11]"), "{said}");
}

async fn store(release: &Client) -> Result<String> {
    let body = json!({
        "type": "card", "storage": "long_term",
        "card": { "number": card::VISA, "exp_month": 12, "exp_year": 2031 },
    });
    let made = release.post("/v1/payment_methods", &body).await?;
    made.must_be(201)?;
    word(&made.json()?, "payment_method_id")
}

async fn reveal(world: &World, token: &str) {
    let body = json!({ "purpose": "authorize", "reference": "pay_roots" });
    let release = world.release().await.unwrap();
    let path = format!("/v1/payment_methods/{token}/reveal");
    let shown = release.post(&path, &body).await.unwrap().expect(200).unwrap();
    assert_eq!(shown["card"]["number"], card::VISA);
}

/// Waits until health answers this status and says this of the Root; what it says.
async fn health(world: &World, status: u16, says: impl Fn(&str) -> bool) -> String {
    let release = world.release().await.unwrap();
    let (release, says) = (&release, &says);
    let found = eventually("health to speak of the root", Duration::from_secs(60), || async move {
        let answer = release.get("/health/ready").await?;
        let root = answer.json()?["root"].as_str().unwrap_or_default().to_owned();
        Ok((answer.status == status && says(&root)).then_some(root))
    });
    found.await.unwrap()
}

async fn gauge(security: &Client) -> String {
    let text = security.get("/metrics").await.unwrap().text();
    let line = text.lines().find_map(|line| line.strip_prefix("strongroom_root_available "));
    line.unwrap_or_else(|| panic!("no gauge in {text}")).to_owned()
}

async fn acts(security: &Client) -> Vec<String> {
    let page = security.get("/v1/audit/entries?from=0&limit=1000").await.unwrap().expect(200).unwrap();
    page["entries"].as_array().unwrap().iter().map(|entry| entry["act"].as_str().unwrap().to_owned()).collect()
}

fn nothing_secret_in_the_log(world: &World) {
    let log = std::fs::read_to_string(world.vault.log()).unwrap();
    for secret in [PIN, Kms::SECRET, card::VISA] {
        assert!(!log.contains(secret), "a secret stands in vaultd's log");
    }
}
