//! Certificates, revocation lists and policy that are read again: by the API and by SIGHUP, without dropping a kept
//! connection, and binding on the connections that are open.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use reqwest::Method;
use rustix::process::Signal;
use serde_json::{Value, json};
use strongroom_tests::harness::{
    Binary, Client, Credentials, Handshake, Policy, Talk, World, WorldPlan, binary_path, eventually, standard_policy,
};

#[tokio::test]
async fn a_new_server_certificate_is_shown_and_kept_connections_stay() {
    for by_signal in [false, true] {
        let mut world = World::vault_only().await.unwrap();
        let who = world.credentials("orchestrator", "main").unwrap();
        let [_, release, _] = world.vault.addresses();
        let before = shown(&world, &who);
        let mut kept = Handshake { who: Some(&who), ..Handshake::default() }.connect(&world.pki, release).unwrap();
        assert_eq!(list(&mut kept), 200);
        replace_server_certificate(&world);
        reload(&mut world, by_signal).await;
        eventually("the new certificate", Duration::from_secs(10), || async {
            Ok((shown(&world, &who) != before).then_some(()))
        })
        .await
        .unwrap();
        assert_eq!(list(&mut kept), 200, "a kept connection did not live through a reload");
    }
}

#[tokio::test]
async fn a_certificate_that_cannot_be_used_changes_nothing() {
    let world = World::vault_only().await.unwrap();
    let who = world.credentials("orchestrator", "main").unwrap();
    let before = shown(&world, &who);
    let server = world.pki.server("server").unwrap();
    // The key of one certificate beside another one.
    let other = world.pki.server("other-server").unwrap();
    fs::copy(other.key, &server.key).unwrap();
    // And a policy that would lock everybody out, which must not be taken either.
    fs::write(world.path().join("policy.toml"), Policy::default().text()).unwrap();
    let refused = world.security().await.unwrap().send(Method::POST, "/v1/reload", None, &[]).await.unwrap();
    assert_eq!((refused.status, refused.problem().as_str()), (422, "invalid-field"));
    assert_eq!(shown(&world, &who), before);
    world.release().await.unwrap().get("/v1/payment_methods").await.unwrap().must_be(200).unwrap();
}

#[tokio::test]
async fn a_revoked_client_is_refused_also_on_its_open_connection() {
    for by_signal in [false, true] {
        let mut world = World::vault_only().await.unwrap();
        let gone = world.credentials("orchestrator", "main").unwrap();
        revoke(&world, &[]);
        world.vault.process().stop().await.unwrap();
        let crl = crl(&world).display().to_string();
        world
            .vault
            .edit_configuration(|text| text.replace(", client_ca =", &format!(", client_crl = \"{crl}\", client_ca =")))
            .unwrap();
        world.vault.restart().await.unwrap();
        let [_, release, _] = world.vault.addresses();
        let handshake = Handshake { who: Some(&gone), ..Handshake::default() };
        let mut open = handshake.connect(&world.pki, release).unwrap();
        assert_eq!(list(&mut open), 200);

        revoke(&world, &["--cert", gone.certificate.to_str().unwrap()]);
        assert_eq!(list(&mut open), 200, "a list counts before it was read again");
        reload(&mut world, by_signal).await;
        eventually("the revocation to count", Duration::from_secs(10), || {
            let status = list(&mut open);
            async move { Ok((status == 401).then_some(())) }
        })
        .await
        .unwrap();
        let again = handshake.ask(&world.pki, release, "GET", "/openapi.json");
        assert!(again.is_err(), "a revoked certificate was let in: {again:?}");
        // Who is not on the list still is.
        world.security().await.unwrap().get("/v1/status").await.unwrap().must_be(200).unwrap();
    }
}

#[tokio::test]
async fn a_changed_policy_binds_open_connections_once_two_people_agreed() {
    let mut world = World::vault_only().await.unwrap();
    let who = world.credentials("orchestrator", "main").unwrap();
    let [_, release, _] = world.vault.addresses();
    let mut open = Handshake { who: Some(&who), ..Handshake::default() }.connect(&world.pki, release).unwrap();
    assert_eq!(list(&mut open), 200);
    // Nobody's signal is two people: the file waits, and the status says so.
    world.vault.set_policy(&standard_policy().without("orchestrator", "main")).unwrap();
    eventually("the status to warn", Duration::from_secs(10), || async {
        let status = officer(&world, "alice").get("/v1/status").await?.expect(200)?;
        Ok(status["warnings"].to_string().contains("not the one in force").then_some(()))
    })
    .await
    .unwrap();
    assert_eq!(list(&mut open), 200);
    let act = asked(&world).await;
    assert_eq!(act["detail"]["changes"], json!(["removed spiffe://strongroom/orchestrator/main"]));
    assert_eq!(approve(&world, "alice", &act).await, 403);
    assert_eq!(list(&mut open), 200);
    // A restart is no way around the second person.
    world.vault.process().stop().await.unwrap();
    world.vault.restart().await.unwrap();
    let [_, release, _] = world.vault.addresses();
    let mut open = Handshake { who: Some(&who), ..Handshake::default() }.connect(&world.pki, release).unwrap();
    assert_eq!(list(&mut open), 200);
    assert_eq!(approve(&world, "bob", &act).await, 200);
    assert_eq!(list(&mut open), 403);
    world.vault.process().stop().await.unwrap();
    world.vault.restart().await.unwrap();
    world.release().await.unwrap().get("/v1/payment_methods").await.unwrap().must_be(403).unwrap();
    let status = officer(&world, "alice").get("/v1/status").await.unwrap().expect(200).unwrap();
    assert!(!status["warnings"].to_string().contains("not the one in force"));
    let page = officer(&world, "alice").get("/v1/audit/entries?limit=1000").await.unwrap().expect(200).unwrap();
    let digest = act["detail"]["sha256"].as_str().unwrap();
    let of_it = |entry: &&Value| entry["act"] == "reloaded" && entry["note"].as_str().unwrap().contains(digest);
    assert_eq!(page["entries"].as_array().unwrap().iter().filter(of_it).count(), 2, "announced, and in force");
}

#[tokio::test]
async fn a_policy_that_was_changed_after_it_was_asked_for_is_not_taken() {
    let world = World::vault_only().await.unwrap();
    write_policy(&world, &standard_policy().without("monitor", "prometheus"));
    let act = asked(&world).await;
    write_policy(&world, &standard_policy().without("orchestrator", "main"));
    assert_eq!(approve(&world, "bob", &act).await, 409);
    world.release().await.unwrap().get("/v1/payment_methods").await.unwrap().must_be(200).unwrap();
    // The file that was agreed on is still good.
    write_policy(&world, &standard_policy().without("monitor", "prometheus"));
    assert_eq!(approve(&world, "bob", &act).await, 200);
}

#[tokio::test]
async fn where_nobody_can_approve_the_way_out_is_said_and_recorded() {
    let lone = standard_policy().without("security", "bob");
    let mut world = World::start(WorldPlan { policy: lone, ..WorldPlan::default() }).await.unwrap();
    write_policy(&world, &standard_policy());
    let refused = officer(&world, "alice").send(Method::POST, "/v1/reload", None, &[]).await.unwrap();
    assert_eq!((refused.status, refused.problem().as_str()), (409, "conflict"));
    let detail = refused.json().unwrap()["detail"].to_string();
    assert!(detail.contains("policy.begin_anew"), "{detail}");
    officer(&world, "bob").get("/v1/status").await.unwrap().must_be(403).unwrap();
    world.vault.process().stop().await.unwrap();
    let anew = |text: &str| text.replace("[policy]\n", "[policy]\nbegin_anew = true\n");
    world.vault.edit_configuration(anew).unwrap();
    world.vault.restart().await.unwrap();
    let status = officer(&world, "bob").get("/v1/status").await.unwrap().expect(200).unwrap();
    assert!(status["warnings"].to_string().contains("policy.begin_anew is set"));
    let page = officer(&world, "bob").get("/v1/audit/entries?limit=1000").await.unwrap().expect(200).unwrap();
    assert!(page["entries"].to_string().contains("comes into force, begun anew"));
    // Taken out again, the policy stays.
    world.vault.process().stop().await.unwrap();
    world.vault.edit_configuration(|text| text.replace("begin_anew = true\n", "")).unwrap();
    world.vault.restart().await.unwrap();
    officer(&world, "bob").get("/v1/status").await.unwrap().must_be(200).unwrap();
}

#[tokio::test]
async fn a_policy_of_before_a_new_beginning_that_is_put_back_seals_the_vault() {
    let mut world = World::vault_only().await.unwrap();
    // One that two people agreed on, which the log says is in force.
    write_policy(&world, &standard_policy().without("monitor", "prometheus"));
    assert_eq!(approve(&world, "bob", &asked(&world).await).await, 200);
    world.vault.process().stop().await.unwrap();
    let (value, note) = kept_policy(&world);
    write_policy(&world, &standard_policy().without("orchestrator", "main"));
    world.vault.edit_configuration(|text| text.replace("[policy]\n", "[policy]\nbegin_anew = true\n")).unwrap();
    world.vault.restart().await.unwrap();
    world.vault.process().stop().await.unwrap();
    world.vault.edit_configuration(|text| text.replace("begin_anew = true\n", "")).unwrap();
    world.vault.restart().await.unwrap();
    officer(&world, "alice").get("/v1/keys").await.unwrap().must_be(200).unwrap();
    put_policy_back(&mut world, value, note).await;
    seals_itself(&world).await;
}

#[tokio::test]
async fn a_policy_that_was_changed_or_removed_in_the_database_opens_nothing() {
    let mut world = World::vault_only().await.unwrap();
    for change in [
        "UPDATE kept SET value = CAST(value || '\n# mine' AS BLOB) WHERE name = 'policy'",
        "UPDATE kept SET note = '' WHERE name = 'policy'",
        "DELETE FROM kept WHERE name = 'policy'",
    ] {
        world.vault.process().stop().await.unwrap();
        let store = world.vault.store_file();
        let copy = world.path().join("good.db");
        fs::copy(&store, &copy).unwrap();
        let conn = rusqlite::Connection::open(&store).unwrap();
        assert_eq!(conn.execute(change, []).unwrap(), 1);
        drop(conn);
        assert!(world.vault.restart().await.is_err(), "the vault opened after: {change}");
        for more in ["-wal", "-shm"] {
            let _ = fs::remove_file(format!("{}{more}", store.display()));
        }
        fs::copy(&copy, &store).unwrap();
        world.vault.restart().await.unwrap();
    }
}

#[tokio::test]
async fn a_signed_policy_of_an_earlier_day_that_is_put_back_seals_the_vault() {
    let mut world = World::vault_only().await.unwrap();
    world.vault.process().stop().await.unwrap();
    let (value, note) = kept_policy(&world);
    world.vault.restart().await.unwrap();
    write_policy(&world, &standard_policy().without("orchestrator", "main"));
    assert_eq!(approve(&world, "bob", &asked(&world).await).await, 200);
    put_policy_back(&mut world, value, note).await;
    seals_itself(&world).await;
}

/// The row of the policy in force, of a vault that is stopped.
fn kept_policy(world: &World) -> (Vec<u8>, String) {
    let conn = rusqlite::Connection::open(world.vault.store_file()).unwrap();
    let read = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?));
    conn.query_row("SELECT value, note FROM kept WHERE name = 'policy'", [], read).unwrap()
}

async fn put_policy_back(world: &mut World, value: Vec<u8>, note: String) {
    world.vault.process().stop().await.unwrap();
    let conn = rusqlite::Connection::open(world.vault.store_file()).unwrap();
    let put = "UPDATE kept SET value = ?1, note = ?2 WHERE name = 'policy'";
    assert_eq!(conn.execute(put, rusqlite::params![value, note]).unwrap(), 1);
    drop(conn);
    world.vault.restart().await.unwrap();
}

async fn seals_itself(world: &World) {
    eventually("the vault to seal itself", Duration::from_secs(10), || async {
        let status = officer(world, "alice").get("/v1/status").await?.expect(200)?;
        Ok((status["phase"] == "sealed").then_some(()))
    })
    .await
    .unwrap();
}

fn officer(world: &World, name: &str) -> Client {
    world.vault.admin(&world.pki, &world.credentials("security", name).unwrap()).unwrap()
}

/// Alice asks for the policy file; the act.
async fn asked(world: &World) -> Value {
    let answer = officer(world, "alice").send(Method::POST, "/v1/reload", None, &[]).await.unwrap();
    answer.expect(202).unwrap()["act"].clone()
}

async fn approve(world: &World, name: &str, act: &Value) -> u16 {
    let path = format!("/v1/acts/{}/approve", act["act_id"].as_str().unwrap());
    officer(world, name).send(Method::POST, &path, None, &[]).await.unwrap().status
}

fn write_policy(world: &World, policy: &Policy) {
    fs::write(world.path().join("policy.toml"), policy.text()).unwrap();
}

/// One masked list over a connection that stays; its status.
fn list(talk: &mut Talk) -> u16 {
    let head = "GET /v1/payment_methods HTTP/1.1\r\nHost: localhost\r\nStrongroom-Tenant: acme\r\n\r\n";
    talk.send(head, b"").unwrap();
    talk.answer().unwrap().0
}

/// The server certificate that the release listener shows now.
fn shown(world: &World, who: &Credentials) -> Vec<u8> {
    let [_, release, _] = world.vault.addresses();
    let talk = Handshake { who: Some(who), ..Handshake::default() }.connect(&world.pki, release).unwrap();
    talk.server_certificate()
}

fn replace_server_certificate(world: &World) {
    let old = world.pki.server("server").unwrap();
    let new = world.pki.server("next-server").unwrap();
    fs::copy(new.certificate, old.certificate).unwrap();
    fs::copy(new.key, old.key).unwrap();
}

async fn reload(world: &mut World, by_signal: bool) {
    if by_signal {
        world.vault.process().signal(Signal::HUP).unwrap();
    } else {
        let done = world.security().await.unwrap().send(Method::POST, "/v1/reload", None, &[]).await.unwrap();
        assert_eq!(done.expect(200).unwrap()["reloaded"], serde_json::json!(["certificates", "policy"]));
    }
}

fn crl(world: &World) -> PathBuf {
    world.path().join("pki/crl.pem")
}

fn revoke(world: &World, what: &[&str]) {
    let done = Command::new(binary_path(Binary::Vaultctl).unwrap())
        .args(["pki", "revoke", "--ca"])
        .arg(world.path().join("pki"))
        .args(what)
        .output()
        .unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    assert!(crl(world).exists());
}
