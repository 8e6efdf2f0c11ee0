//! The audit log as its readers and keepers meet it.

use std::fs;

use serde_json::json;
use strongroom_tests::harness::Result;

use crate::{VISA, card, vault};

#[tokio::test]
async fn a_log_that_was_removed_stops_the_start_until_somebody_says_that_it_is_lost() -> Result<()> {
    let (mut world, release) = vault().await?;
    release.post("/v1/payment_methods", &card(VISA, json!({}))).await?.must_be(201)?;
    world.vault.process().stop().await?;
    for end in ["", "-wal", "-shm"] {
        let mut name = world.vault.audit_file().into_os_string();
        name.push(end);
        let _ = fs::remove_file(name);
    }
    let said = world.vault.restart().await.expect_err("vaultd starts without its log").to_string();
    assert!(said.contains("audit.path") && said.contains("begin_anew"), "{said}");

    world.vault.edit_configuration(|text| text.replace("[audit]\n", "[audit]\nbegin_anew = true\n"))?;
    world.vault.restart().await?;
    let security = world.security().await?;
    let page = security.get("/v1/audit/entries?limit=1").await?.expect(200)?;
    assert_eq!(page["entries"][0]["note"], "begun anew: the log before this is lost");
    let status = security.get("/v1/status").await?.expect(200)?;
    let warned =
        status["warnings"].as_array().unwrap().iter().any(|said| said.as_str().unwrap().contains("begin_anew"));
    assert!(warned, "nobody is told to take the key out");
    Ok(())
}

#[tokio::test]
async fn an_index_that_is_none_is_refused_and_not_repeated() -> Result<()> {
    let (world, release) = vault().await?;
    for client in [release, world.security().await?] {
        for bad in ["4242424242424242x", "-1", "+1", "99999999999999999999", "1e3", "%20"] {
            let refused = client.get(&format!("/v1/audit/proofs/{bad}")).await?;
            assert_eq!((refused.status, refused.problem().as_str()), (422, "invalid-field"), "{bad}");
            assert!(!refused.said().contains("4242"), "the text of a path is repeated");
        }
    }
    Ok(())
}
