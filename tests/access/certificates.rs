//! Certificates in their life: they end, are pinned, are exchanged under load, their CA is followed by another, and all of
//! them are in the inventory.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use reqwest::Method;
use strongroom_tests::harness::{Credentials, Handshake, Pki, Policy, Rule, Talk, World, eventually, standard_policy};
use strongroom_wire::Scope;

#[tokio::test]
async fn a_client_whose_certificate_ends_is_refused_on_its_open_connection() {
    let world = World::vault_only().await.unwrap();
    let brief = world.pki.brief_client("orchestrator", "main", 5).unwrap();
    let [_, release, _] = world.vault.addresses();
    let handshake = Handshake { who: Some(&brief), ..Handshake::default() };
    let mut open = handshake.connect(&world.pki, release).unwrap();
    assert_eq!(list(&mut open), 200);
    eventually("the end of the certificate", Duration::from_secs(20), || {
        let status = list(&mut open);
        async move { Ok((status == 401).then_some(())) }
    })
    .await
    .unwrap();
    assert!(handshake.ask(&world.pki, release, "GET", "/openapi.json").is_err(), "it still opens connections");
}

#[tokio::test]
async fn a_list_that_runs_out_refuses_everybody_also_on_open_connections() {
    let mut world = World::vault_only().await.unwrap();
    let list_file = world.path().join("crl.pem");
    fs::write(&list_file, world.pki.brief_list(8).unwrap()).unwrap();
    restart_with(&mut world, ", client_ca =", ", client_crl = \"crl.pem\", client_ca =").await;
    let who = world.credentials("orchestrator", "main").unwrap();
    let [_, release, _] = world.vault.addresses();
    let handshake = Handshake { who: Some(&who), ..Handshake::default() };
    let mut open = handshake.connect(&world.pki, release).unwrap();
    assert_eq!(list(&mut open), 200);
    eventually("the end of the list", Duration::from_secs(20), || {
        let status = list(&mut open);
        async move { Ok((status == 401).then_some(())) }
    })
    .await
    .unwrap();
    assert!(handshake.ask(&world.pki, release, "GET", "/openapi.json").is_err(), "a list out of date lets somebody in");
    // A list of today opens the same connection again; nobody can ask for a reload, but the signal needs no certificate.
    fs::write(&list_file, world.pki.brief_list(600).unwrap()).unwrap();
    world.vault.process().signal(rustix::process::Signal::HUP).unwrap();
    eventually("the new list", Duration::from_secs(10), || {
        let status = list(&mut open);
        async move { Ok((status == 200).then_some(())) }
    })
    .await
    .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn one_ca_follows_another_and_no_request_is_lost() {
    let mut world = World::vault_only().await.unwrap();
    let new_ca = Pki::new(world.path().join("new-pki")).unwrap();
    let (old_pem, new_pem) = (fs::read_to_string(world.pki.ca()).unwrap(), fs::read_to_string(new_ca.ca()).unwrap());
    let clients = world.path().join("clients.pem");
    fs::write(&clients, &old_pem).unwrap();
    let old_line = format!("client_ca = \"{}\"", world.pki.ca().display());
    restart_with(&mut world, &old_line, "client_ca = \"clients.pem\"").await;
    let old = world.credentials("orchestrator", "main").unwrap();
    let new = new_ca.client("orchestrator", "main").unwrap();
    let [_, release, _] = world.vault.addresses();
    let new_handshake = Handshake { who: Some(&new), ..Handshake::default() };
    assert!(new_handshake.ask(&world.pki, release, "GET", "/openapi.json").is_err(), "the new CA counts too early");

    let by_old = Load::start(&world, &old);
    fs::write(&clients, format!("{old_pem}{new_pem}")).unwrap();
    reload(&world, "security").await;
    let by_new = Load::start(&world, &new);
    by_new.answered(50).await;
    by_old.answered(50).await;
    by_old.ends_well().await;
    let mut kept = Handshake { who: Some(&old), ..Handshake::default() }.connect(&world.pki, release).unwrap();
    assert_eq!(list(&mut kept), 200);
    fs::write(&clients, &new_pem).unwrap();
    // The officer who asks for it is certified by the old CA, and this is the last that is taken from it.
    reload(&world, "security").await;
    assert_eq!(list(&mut kept), 401, "a client of the CA that was taken out is still served");
    let before = by_new.count();
    by_new.answered(before + 50).await;
    by_new.ends_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn server_certificates_are_exchanged_under_load_and_no_request_is_lost() {
    let world = World::vault_only().await.unwrap();
    let load = Load::start(&world, &world.credentials("orchestrator", "main").unwrap());
    let shown = world.pki.server("server").unwrap();
    for turn in 0..5 {
        let next = world.pki.server(&format!("next-{turn}")).unwrap();
        fs::copy(next.key, &shown.key).unwrap();
        fs::copy(next.certificate, &shown.certificate).unwrap();
        reload(&world, "security").await;
        let before = load.count();
        load.answered(before + 20).await;
    }
    load.ends_well().await;
}

#[tokio::test]
async fn another_key_under_a_pinned_name_is_refused_and_recorded() {
    let world = World::vault_only().await.unwrap();
    let (right, wrong) =
        (world.pki.client("shop", "pinned").unwrap(), world.pki.other_client("shop", "pinned").unwrap());
    let mut rule = Rule::new("shop", "pinned", &["acme"], &[Scope::ReadMasked]);
    rule.pins = vec![world.pki.pin(&right).unwrap()];
    set_policy(&world, standard_policy().rule(rule.clone())).await;
    let ask = |who: &Credentials| {
        let client = world.vault.release(&world.pki, who).unwrap().tenant("acme");
        async move { client.get("/v1/payment_methods").await.unwrap() }
    };
    ask(&right).await.must_be(200).unwrap();
    let refused = ask(&wrong).await;
    assert_eq!((refused.status, refused.problem().as_str()), (401, "unauthenticated"));
    let page = world.security().await.unwrap().get("/v1/audit/entries?limit=1000").await.unwrap().expect(200).unwrap();
    let entries = page["entries"].as_array().unwrap();
    let noted = entries.iter().filter(|entry| entry["note"] == "not the pinned key").count();
    assert_eq!(noted, 1);
    let of_it = entries.iter().find(|entry| entry["note"] == "not the pinned key").unwrap();
    assert_eq!(
        (of_it["who"].as_str(), of_it["outcome"].as_str()),
        (Some("spiffe://strongroom/shop/pinned"), Some("refused"))
    );
    // Both keys while one is replaced.
    rule.pins.push(world.pki.pin(&wrong).unwrap());
    set_policy(&world, standard_policy().rule(rule)).await;
    ask(&right).await.must_be(200).unwrap();
    ask(&wrong).await.must_be(200).unwrap();
}

#[tokio::test]
async fn the_inventory_has_every_certificate_and_no_path() {
    let mut world = World::vault_only().await.unwrap();
    fs::write(world.path().join("crl.pem"), world.pki.brief_list(600).unwrap()).unwrap();
    restart_with(&mut world, ", client_ca =", ", client_crl = \"crl.pem\", client_ca =").await;
    let security = world.security().await.unwrap();
    world.release().await.unwrap().get("/v1/payment_methods").await.unwrap().must_be(200).unwrap();
    let list = security.get("/v1/certificates").await.unwrap();
    let text = list.text();
    assert!(!text.contains(&world.path().display().to_string()) && !text.contains(".pem"), "it tells of files");
    let list = list.expect(200).unwrap();
    let of = |role: &str| {
        let all = list["certificates"].as_array().unwrap();
        all.iter().filter(|one| one["role"] == role).cloned().collect::<Vec<_>>()
    };
    assert_eq!((of("intake_server").len(), of("internal_server").len(), of("client_ca").len()), (1, 1, 1));
    assert_eq!(of("destination_ca")[0]["destination"], "psp");
    let seen: Vec<String> = of("client").iter().map(|one| one["names"][0].as_str().unwrap().to_owned()).collect();
    assert!(seen.contains(&"URI:spiffe://strongroom/orchestrator/main".to_owned()), "{seen:?}");
    let server = &of("internal_server")[0];
    assert_eq!((server["key_algorithm"].as_str(), server["key_bits"].as_u64()), (Some("EC P-256"), Some(256)));
    assert!(server["days_left"].as_i64().is_some_and(|days| (80..=90).contains(&days)), "{server}");
    assert_eq!(list["revocation_lists"][0]["days_left"], 0);
    let internal = &list["listeners"][1];
    assert_eq!(internal["versions"], serde_json::json!(["TLSv1_3"]));
    assert_eq!(internal["key_exchange"][0], "X25519MLKEM768");

    let status = security.get("/v1/status").await.unwrap().expect(200).unwrap();
    assert!(status["warnings"].to_string().contains("the revocation list of"), "{status}");
    let metrics = world.vault.admin(&world.pki, &world.credentials("monitor", "prometheus").unwrap()).unwrap();
    let metrics = metrics.get("/metrics").await.unwrap().text();
    for role in ["intake_server", "internal_server", "client_ca", "client_crl"] {
        assert!(metrics.contains(&format!("strongroom_certificate_not_after{{role=\"{role}\"")), "{role}");
    }
    let alice = world.credentials("security", "alice").unwrap();
    let table = world.vaultctl(&alice, &["certs"]).unwrap();
    assert!(table.contains("client_crl") && table.contains("internal_server"), "{table}");
    let inventory = world.vaultctl(&alice, &["inventory"]).unwrap();
    for word in ["AES-256-GCM", "Argon2id", "X25519MLKEM768", "TLSv1_3", "fingerprint", "Root (dev)"] {
        assert!(inventory.contains(word), "{word} is missing from the inventory:\n{inventory}");
    }
    let bom = world.vaultctl(&alice, &["inventory", "--format", "cyclonedx"]).unwrap();
    let bom: serde_json::Value = serde_json::from_str(&bom).unwrap();
    assert_eq!((bom["bomFormat"].as_str(), bom["specVersion"].as_str()), (Some("CycloneDX"), Some("1.6")));
    let refs: Vec<&str> =
        bom["components"].as_array().unwrap().iter().map(|one| one["bom-ref"].as_str().unwrap()).collect();
    let unique: std::collections::BTreeSet<&str> = refs.iter().copied().collect();
    assert_eq!(unique.len(), refs.len(), "{refs:?}");
    assert!(unique.contains("key/acme/kek/1"), "{refs:?}");
    let soon = world.vaultctl(&alice, &["certs", "--within", "30"]).unwrap_err().to_string();
    assert!(soon.contains("1 of them ends within 30 days"), "{soon}");
}

/// Requests without a pause, over a kept connection and over fresh ones in turn.
struct Load {
    stop: Arc<AtomicBool>,
    answered: Arc<AtomicU64>,
    task: tokio::task::JoinHandle<Vec<String>>,
}

impl Load {
    fn start(world: &World, who: &Credentials) -> Self {
        let (stop, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let fresh = || world.vault.release(&world.pki, who).unwrap().tenant("acme");
        let kept = fresh();
        let fresh: Vec<_> = (0..200).map(|_| fresh()).collect();
        let (stopping, counting) = (Arc::clone(&stop), Arc::clone(&answered));
        let task = tokio::spawn(async move {
            let mut lost = Vec::new();
            let mut fresh = fresh.into_iter();
            while !stopping.load(Ordering::Relaxed) {
                let client = if counting.load(Ordering::Relaxed) % 4 == 0 { fresh.next() } else { None };
                match client.as_ref().unwrap_or(&kept).get("/v1/payment_methods").await {
                    Ok(answer) if answer.status == 200 => {}
                    Ok(answer) => lost.push(format!("{}: {}", answer.status, answer.problem())),
                    Err(fault) => lost.push(fault.to_string()),
                }
                counting.fetch_add(1, Ordering::Relaxed);
            }
            lost
        });
        Self { stop, answered, task }
    }

    fn count(&self) -> u64 {
        self.answered.load(Ordering::Relaxed)
    }

    async fn answered(&self, at_least: u64) {
        eventually("answers", Duration::from_secs(60), || async { Ok((self.count() >= at_least).then_some(())) })
            .await
            .unwrap();
    }

    async fn ends_well(self) {
        self.stop.store(true, Ordering::Relaxed);
        assert_eq!(self.task.await.unwrap(), Vec::<String>::new(), "requests were lost");
    }
}

async fn restart_with(world: &mut World, what: &str, with: &str) {
    world.vault.process().stop().await.unwrap();
    world
        .vault
        .edit_configuration(|text| {
            assert!(text.contains(what), "the configuration has no `{what}`");
            text.replace(what, with)
        })
        .unwrap();
    world.vault.restart().await.unwrap();
}

async fn reload(world: &World, role: &str) {
    let officer = world.vault.admin(&world.pki, &world.credentials(role, "alice").unwrap()).unwrap();
    officer.send(Method::POST, "/v1/reload", None, &[]).await.unwrap().must_be(200).unwrap();
}

async fn set_policy(world: &World, policy: Policy) {
    fs::write(Path::new(world.path()).join("policy.toml"), policy.text()).unwrap();
    let officer = |name: &str| world.vault.admin(&world.pki, &world.credentials("security", name).unwrap()).unwrap();
    let asked = officer("alice").send(Method::POST, "/v1/reload", None, &[]).await.unwrap().expect(202).unwrap();
    let approve = format!("/v1/acts/{}/approve", asked["act"]["act_id"].as_str().unwrap());
    officer("bob").send(Method::POST, &approve, None, &[]).await.unwrap().must_be(200).unwrap();
}

fn list(talk: &mut Talk) -> u16 {
    let head = "GET /v1/payment_methods HTTP/1.1\r\nHost: localhost\r\nStrongroom-Tenant: acme\r\n\r\n";
    talk.send(head, b"").unwrap();
    talk.answer().unwrap().0
}
