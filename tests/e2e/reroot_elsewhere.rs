//! A vault whose Root moves between homes: from custodians into an HSM, from there into a KMS, and back to custodians, online.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};
use strongroom_tests::harness::{Fault, Mood, PIN, Root, TENANT, World, WorldPlan, eventually, word};

use crate::reroot::{restart, status, unseal, with_custodians};

const NUMBER: &str = "4242424242424242";
/// With three keys each, beside those of the first tenant.
const TENANTS: usize = 200;
/// The tenants that have cards.
const SHOPS: [&str; 3] = [TENANT, "shop-0", "shop-199"];

/// What outlives every step.
#[derive(Default)]
struct Kept {
    /// Tenant and token.
    cards: Vec<(String, String)>,
    /// Signed notes, and what each has to say.
    proofs: Vec<(PathBuf, String)>,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_vault_goes_from_custodians_to_an_hsm_to_a_kms_and_back_with_every_card() {
    let (mut world, token) = with_custodians().await;
    let mut kept = Kept { cards: vec![(TENANT.to_owned(), token)], ..Kept::default() };
    for n in 0..TENANTS {
        world.register(&format!("shop-{n}")).await.unwrap();
    }
    kept.store(&world, &SHOPS).await;
    world.reach(Root::Custodians(5, 3), Root::Hsm).await.unwrap();
    restart(&mut world).await;
    unseal(&world, &[1, 2, 3]);

    moves(&mut world, &mut kept, Root::Custodians(5, 3), Root::Hsm).await;
    settles(&mut world, &kept, Root::Hsm, Root::Kms).await;
    moves(&mut world, &mut kept, Root::Hsm, Root::Kms).await;
    settles(&mut world, &kept, Root::Kms, Root::Custodians(3, 2)).await;
    moves(&mut world, &mut kept, Root::Kms, Root::Custodians(3, 2)).await;
    // With no settings of an HSM or KMS left, and neither of them there.
    settles(&mut world, &kept, Root::Custodians(3, 2), Root::Dev).await;
    world.hsm.as_ref().unwrap().take_away().unwrap();
    world.kms = None;
    restart(&mut world).await;
    opens(&world, Root::Custodians(3, 2)).await;
    kept.reveal(&world).await;

    assert_eq!(changes(&world).await, 3);
    let (key, checkpoint) = world.keep_checkpoint().await.unwrap();
    world.verify_audit(&key, Some(&checkpoint)).unwrap();
    world.vault.process().stop().await.unwrap();
    assert_eq!(kept.proofs.len(), 3);
    for (note, says) in &kept.proofs {
        let said = world.verify_note(note, &public_key(&world)).unwrap();
        assert!(said.contains(says), "{said}");
        // A note of which one digit was changed proves nothing.
        let forged = world.path().join("forged.note");
        fs::write(&forged, fs::read_to_string(note).unwrap().replacen("rewrapped ", "rewrapped 1", 1)).unwrap();
        let refused = world.verify_note(&forged, &public_key(&world)).unwrap_err().to_string();
        assert!(refused.contains("changed after it was signed"), "{refused}");
    }
    let log = fs::read_to_string(world.vault.log()).unwrap();
    for secret in [PIN, NUMBER] {
        assert!(!log.contains(secret), "a secret stands in vaultd's log");
    }
}

/// One change, agreed on by two people, while the vault works.
async fn moves(world: &mut World, kept: &mut Kept, from: Root, to: Root) {
    let sum = world.next_root(to).unwrap();
    if let Root::Custodians(_, threshold) = to {
        (1..=threshold).for_each(|number| drop(world.hand_in_next(number).unwrap()));
    }
    world.agree_on_next(None).unwrap();
    let change = world.change_is_over().await.unwrap();
    assert_eq!((change["state"].as_str(), change["rewraps"].as_bool()), (Some("done"), Some(true)), "{change}");
    assert_eq!((change["to"].as_str(), &change["done"]), (Some(sum.as_str()), &change["total"]), "{change}");
    let keys = change["total"].as_u64().unwrap();
    assert!(keys > 3 * TENANTS as u64, "{change}");
    let seconds = seconds_of(&change);
    eprintln!(
        "measured: {from:?} to {to:?}: {keys} keys rewrapped in {seconds:.2} s, {:.0} a second",
        keys as f64 / seconds
    );
    assert_eq!(status(world).await["root"], kind(to));
    assert_eq!(status(world).await["phase"], "unsealed");
    kept.reveal(world).await;
    // Of a tenant whose keys were wrapped by the Root of now alone.
    let late = format!("late-{}", kept.proofs.len());
    world.register(&late).await.unwrap();
    kept.store(world, &[TENANT, &late]).await;

    let note = world.path().join(format!("{late}.note"));
    fs::write(&note, change["proof"].as_str().unwrap()).unwrap();
    let key = world.security().await.unwrap().get("/v1/audit/public-key").await.unwrap();
    fs::write(public_key(world), key.text()).unwrap();
    let says =
        format!("the root.json with SHA-256 {sum} is in force, {keys} keys rewrapped, 0 left under the root before");
    kept.proofs.push((note, says));
}

/// A restart with the files of the change where they are, then with those of before, then with those of now in their place
/// and nothing left in the configuration of how the Root before was reached.
async fn settles(world: &mut World, kept: &Kept, now: Root, next: Root) {
    let before = fs::read(world.path().join("root/root.json")).unwrap();
    restart(world).await;
    if let Root::Custodians(_, threshold) = now {
        // The shares of the Root in force lie beside its root.json, in the place of the one to come.
        assert_eq!(status(world).await["phase"], "sealed");
        (1..=threshold).for_each(|number| drop(hand_in_from_next(world, number)));
    } else {
        opens(world, now).await;
    }
    assert!(status(world).await["warnings"].to_string().contains("root.next"));
    kept.reveal(world).await;

    world.vault.process().stop().await.unwrap();
    world.keep_next().unwrap();
    let place = world.path().join("root/root.json");
    let in_force = fs::read(&place).unwrap();
    fs::write(&place, before).unwrap();
    let refused = world.vault.restart().await.expect_err("a vault started with the root.json of before").to_string();
    assert!(refused.contains("another root.json is in force"), "{refused}");

    fs::write(&place, in_force).unwrap();
    world.reach(now, next).await.unwrap();
    world.vault.restart().await.unwrap();
    opens(world, now).await;
    kept.reveal(world).await;
}

fn hand_in_from_next(world: &World, number: u8) -> String {
    let who = world.credentials("custodian", &format!("c{number}")).unwrap();
    let share = world.path().join(format!("next/share-{number}.json"));
    let words = world.path().join(format!("next.passphrase-{number}"));
    let files = ["--share", share.to_str().unwrap(), "--passphrase-file", words.to_str().unwrap()];
    world.vaultctl(&who, &[&["unseal", "--acknowledge"], &files[..]].concat()).unwrap()
}

/// By itself where the Root is in an HSM or KMS, by custodians otherwise.
async fn opens(world: &World, root: Root) {
    match root {
        Root::Custodians(_, threshold) => {
            assert_eq!(status(world).await["phase"], "sealed");
            unseal(world, &(2..2 + threshold).collect::<Vec<u8>>());
        }
        Root::Hsm | Root::Kms | Root::Dev => drop(world.opened().await.unwrap()),
    }
    let now = status(world).await;
    assert_eq!((now["phase"].as_str(), now["root"].as_str()), (Some("unsealed"), Some(kind(root))));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_goes_on_when_the_roots_that_it_lost_are_back_and_asks_nobody_again() {
    let mut world = World::start(WorldPlan { root: Root::Hsm, ..WorldPlan::default() }).await.unwrap();
    let mut kept = Kept::default();
    for n in 0..40 {
        world.register(&format!("shop-{n}")).await.unwrap();
    }
    kept.store(&world, &[TENANT, "shop-0"]).await;
    world.reach(Root::Hsm, Root::Kms).await.unwrap();
    restart(&mut world).await;
    world.opened().await.unwrap();
    let sum = world.next_root(Root::Kms).unwrap();
    world.agree_on_next(Some(20)).unwrap();

    // A crash, after which the KMS of the Root to come is away.
    change_is(&world, |change| change["state"] == "running" && change["done"] != 0).await;
    world.vault.process().kill().unwrap();
    world.kms.as_ref().unwrap().proxy.set(Mood::HangUp);
    world.vault.restart().await.unwrap();
    world.opened().await.unwrap();
    change_is(&world, |change| change["state"] == "stopped" && says(change, "does not answer")).await;
    kept.reveal(&world).await;
    world.kms.as_ref().unwrap().proxy.set(Mood::Pass);
    change_is(&world, |change| change["state"] == "running").await;

    // The HSM of the Root in force goes, and comes back with another PIN.
    let (hsm, pin) = (world.hsm.as_ref().unwrap(), world.hsm.as_ref().unwrap().pin());
    hsm.take_away().unwrap();
    fs::write(&pin, "11111111\n").unwrap();
    change_is(&world, |change| change["state"] == "stopped").await;
    hsm.bring_back().unwrap();
    change_is(&world, |change| change["state"] == "stopped" && says(change, "PIN")).await;
    kept.reveal(&world).await;
    let now = world.security().await.unwrap().get("/v1/root").await.unwrap().expect(200).unwrap();
    assert_eq!(now["in_force"]["kind"], kind(Root::Hsm), "{now}");
    fs::write(&pin, format!("{PIN}\n")).unwrap();
    let custodian = world.credentials("custodian", "c1").unwrap();
    world.vaultctl(&custodian, &["unseal", "--auto"]).unwrap();
    let change = change_is(&world, |change| change["state"] == "done").await;
    assert_eq!(change["to"].as_str(), Some(sum.as_str()), "{change}");
    assert_eq!(changes(&world).await, 1);

    settles(&mut world, &kept, Root::Kms, Root::Hsm).await;
    world.register("late").await.unwrap();
    kept.store(&world, &["late"]).await;
    kept.reveal(&world).await;
}

/// How many entries of the whole log say that another Root came into force.
async fn changes(world: &World) -> usize {
    let security = world.security().await.unwrap();
    let (mut from, mut found) = (0, 0);
    loop {
        let path = format!("/v1/audit/entries?from={from}&limit=1000");
        let page = security.get(&path).await.unwrap().expect(200).unwrap();
        let entries = page["entries"].as_array().unwrap();
        from += entries.len();
        found += entries.iter().filter(|entry| entry["act"] == "root-changed").count();
        // Each of these reads is an entry too, so there is always one more.
        if entries.len() < 1000 {
            return found;
        }
    }
}

async fn change_is(world: &World, wanted: impl Fn(&Value) -> bool) -> Value {
    let security = world.security().await.unwrap();
    let (security, wanted) = (&security, &wanted);
    let found = eventually("the change of the root to come so far", Duration::from_secs(60), || async move {
        let change = security.get("/v1/root").await?.expect(200)?["change"].clone();
        if wanted(&change) { Ok(Some(change)) } else { Err(Fault::new(change.to_string())) }
    });
    found.await.unwrap()
}

fn says(change: &Value, words: &str) -> bool {
    change["fault"].as_str().is_some_and(|fault| fault.contains(words))
}

impl Kept {
    async fn store(&mut self, world: &World, tenants: &[&str]) {
        let body = json!({ "type": "card", "card": { "number": NUMBER, "exp_month": 12, "exp_year": 2031 } });
        for tenant in tenants {
            let release = world.release().await.unwrap().tenant(tenant);
            let stored = release.post("/v1/payment_methods", &body).await.unwrap().expect(201).unwrap();
            self.cards.push(((*tenant).to_owned(), word(&stored, "payment_method_id").unwrap()));
        }
    }

    async fn reveal(&self, world: &World) {
        let body = json!({ "purpose": "authorize", "reference": "pay_moved" });
        for (tenant, token) in &self.cards {
            let path = format!("/v1/payment_methods/{token}/reveal");
            let release = world.release().await.unwrap().tenant(tenant);
            let card = release.post(&path, &body).await.unwrap().expect(200).unwrap();
            assert_eq!(card["card"]["number"], NUMBER, "a card of {tenant}");
        }
    }
}

fn kind(root: Root) -> &'static str {
    match root {
        Root::Dev => "dev",
        Root::Hsm => "pkcs11",
        Root::Kms => "kms",
        Root::Custodians(..) => "custodians",
    }
}

fn public_key(world: &World) -> PathBuf {
    world.path().join("vault.pub")
}

/// From the moment the change began to the moment of its note, by the vault's own clock.
fn seconds_of(change: &Value) -> f64 {
    let begun = of_day(change["started_at"].as_str().unwrap());
    let proof = change["proof"].as_str().unwrap();
    let ended = of_day(proof.lines().find_map(|line| line.strip_prefix("at ")).unwrap());
    (ended - begun).rem_euclid(86_400.0)
}

/// Seconds since midnight of an RFC 3339 time.
fn of_day(time: &str) -> f64 {
    let clock = time.split_once('T').unwrap().1.split_once('Z').unwrap().0;
    clock.split(':').fold(0.0, |sum, part| sum * 60.0 + part.parse::<f64>().unwrap())
}
