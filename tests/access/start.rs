//! What vaultd refuses to start with, and that it says which file or key is at fault.

use rusqlite::Connection;
use strongroom_tests::harness::{Root, World, WorldPlan};

#[tokio::test]
async fn a_dev_root_refuses_a_listener_beyond_loopback() {
    for listener in ["intake", "release", "admin"] {
        let mut world = stopped(World::vault_only().await.unwrap()).await;
        let line = format!("{listener} = \"127.0.0.1:");
        world.vault.edit_configuration(|text| text.replacen(&line, &format!("{listener} = \"0.0.0.0:"), 1)).unwrap();
        let said = refuses(&mut world).await;
        assert!(said.contains("dev root") && said.contains("loopback"), "{said}");
    }
}

#[tokio::test]
async fn a_dev_key_beside_a_root_of_custodians_is_refused() {
    let plan = WorldPlan { root: Root::Custodians(3, 2), ..WorldPlan::default() };
    let mut world = stopped(World::start(plan).await.unwrap()).await;
    world.vault.edit_configuration(|text| text.replace("[root]\n", "[root]\ndev_key = \"root/dev.key\"\n")).unwrap();
    // On loopback it may start, and must then stay sealed: the key is not used.
    if world.vault.restart().await.is_ok() {
        let status = world.security().await.unwrap().get("/v1/status").await.unwrap().expect(200).unwrap();
        assert_eq!(status["phase"], "sealed");
    }
}

#[tokio::test]
async fn an_unknown_configuration_key_is_refused() {
    let mut world = stopped(World::vault_only().await.unwrap()).await;
    world.vault.edit_configuration(|text| text.replace("[store]\n", "[store]\nencrypt = false\n")).unwrap();
    let said = refuses(&mut world).await;
    assert!(said.contains("encrypt"), "the refusal does not name the key: {said}");
}

#[tokio::test]
async fn an_unknown_key_of_the_policy_is_refused() {
    let mut world = stopped(World::vault_only().await.unwrap()).await;
    let path = world.path().join("policy.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replacen("[[identity]]\n", "[[identity]]\nadmin = true\n", 1)).unwrap();
    let said = refuses(&mut world).await;
    assert!(said.contains("policy"), "the refusal does not name the policy: {said}");
}

#[tokio::test]
async fn a_destination_that_cannot_be_used_is_refused_by_its_name() {
    for (from, to, key) in [
        ("https://localhost:1", "http://localhost:1", "destination.psp.base_url"),
        ("paths = [\"/**\"]", "paths = []", "destination.psp.paths"),
        ("allow_private = true", "allow_private = true\nfollow_redirects = true", "follow_redirects"),
        ("allow_private = true", "allow_private = true\naddresses = [\"localhost\"]", "destination.psp.addresses"),
    ] {
        let mut world = stopped(World::vault_only().await.unwrap()).await;
        world.vault.edit_configuration(|text| text.replacen(from, to, 1)).unwrap();
        let said = refuses(&mut world).await;
        assert!(said.contains(key), "{said}");
    }
}

#[tokio::test]
async fn a_store_of_a_newer_schema_is_refused_and_left_alone() {
    let mut world = stopped(World::vault_only().await.unwrap()).await;
    let store = Connection::open(world.vault.store_file()).unwrap();
    let schema: u32 = store.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap();
    store.pragma_update(None, "user_version", schema + 1).unwrap();
    let said = refuses(&mut world).await;
    assert!(said.contains("store") && said.contains("newer"), "{said}");
    let left: u32 = store.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap();
    assert_eq!(left, schema + 1);
}

#[tokio::test]
async fn a_store_or_log_of_another_vault_is_refused() {
    for file in ["vault.db", "audit.db"] {
        let mut world = stopped(World::vault_only().await.unwrap()).await;
        let foreign = stopped(World::vault_only().await.unwrap()).await;
        std::fs::copy(foreign.path().join(file), world.path().join(file)).unwrap();
        for end in ["-wal", "-shm"] {
            let _ = std::fs::remove_file(world.path().join(format!("{file}{end}")));
        }
        let said = refuses(&mut world).await;
        assert!(said.contains(if file == "vault.db" { "store" } else { "audit" }), "{said}");
    }
}

#[tokio::test]
async fn a_root_of_another_vault_is_refused() {
    let mut world = stopped(World::vault_only().await.unwrap()).await;
    let foreign = stopped(World::vault_only().await.unwrap()).await;
    for file in ["root/root.json", "root/dev-root.key"] {
        std::fs::copy(foreign.path().join(file), world.path().join(file)).unwrap();
    }
    refuses(&mut world).await;
}

#[tokio::test]
async fn a_second_vaultd_on_the_same_files_is_refused() {
    let mut world = World::vault_only().await.unwrap();
    let config = world.path().join("vaultd.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    // On ports of its own, so that the files are what stops it.
    let ports = world.vault.addresses().map(|at| at.port().to_string());
    let text = ports.iter().fold(text, |text, port| text.replace(port.as_str(), "0"));
    std::fs::write(world.path().join("second.toml"), text.replace("vaultd-ready.json", "second-ready.json")).unwrap();
    let second = std::process::Command::new(
        strongroom_tests::harness::binary_path(strongroom_tests::harness::Binary::Vaultd).unwrap(),
    )
    .arg("--config")
    .arg(world.path().join("second.toml"))
    .output()
    .unwrap();
    assert!(!second.status.success(), "two vaultd share one store");
    let said = String::from_utf8_lossy(&second.stderr);
    assert!(said.contains("store") || said.contains("audit"), "{said}");
    assert!(world.vault.process().ended().unwrap().is_none());
    world.release().await.unwrap().get("/v1/payment_methods").await.unwrap().must_be(200).unwrap();
}

async fn stopped(mut world: World) -> World {
    world.vault.process().stop().await.unwrap();
    world
}

/// Starts vaultd, which must not become ready; answers what it said.
async fn refuses(world: &mut World) -> String {
    world.vault.restart().await.expect_err("vaultd starts").to_string()
}
