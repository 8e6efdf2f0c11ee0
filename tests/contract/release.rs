//! Releases: each has its entry, which the caller can have proved; a CVC comes out once.

use serde_json::{Value, json};
use strongroom_tests::harness::Result;

use crate::{VISA, card, id, vault};

#[tokio::test]
async fn a_release_names_its_entry_and_the_entry_can_be_proved() -> Result<()> {
    let (world, release) = vault().await?;
    let token = id(&release.post("/v1/payment_methods", &card(VISA, json!({}))).await?.expect(201)?);
    let asked = json!({"purpose": "dispute", "reference": "pay_77"});
    let released = release.post(&format!("/v1/payment_methods/{token}/reveal"), &asked).await?;
    let index: u64 = released.header("audit-index").unwrap().parse().unwrap();
    released.must_be(200)?;

    let proof = release.get(&format!("/v1/audit/proofs/{index}")).await?.expect(200)?;
    assert_eq!(proof["index"], index);
    let security = world.security().await?;
    let page = security.get(&format!("/v1/audit/entries?from={index}&limit=1")).await?.expect(200)?;
    let entry = &page["entries"][0];
    assert_eq!(
        (entry["act"].as_str(), entry["outcome"].as_str(), entry["note"].as_str()),
        (Some("reveal"), Some("allowed"), Some("dispute pay_77"))
    );
    assert_eq!(entry["subject"], token);
    assert_eq!(entry["raw"], proof["entry"]);
    // The proof is verified by the tool, with the key that it was given.
    let alice = world.credentials("security", "alice")?;
    world.vaultctl(&alice, &["audit", "proof", &index.to_string()])?;
    // Entry 0 is the vault's own start: not the caller's to have proved.
    release.get("/v1/audit/proofs/0").await?.must_be(404)
}

#[tokio::test]
async fn a_cvc_comes_out_once_and_for_its_own_card_alone() -> Result<()> {
    let (_world, release) = vault().await?;
    let mut body = card(VISA, json!({}));
    body["card"]["cvc"] = "987".into();
    let one = release.post("/v1/payment_methods", &body).await?.expect(201)?;
    let two = release.post("/v1/payment_methods", &body).await?.expect(201)?;
    let ask = |of: &Value, cvc: &Value| {
        let path = format!("/v1/payment_methods/{}/reveal", id(of));
        let asked = json!({"purpose": "authorize", "reference": "pay_1", "cvc_token": cvc});
        let release = release.clone();
        async move { release.post(&path, &asked).await }
    };
    let swapped = ask(&one, &two["cvc_token"]).await?;
    assert_eq!((swapped.status, swapped.problem().as_str()), (409, "cvc-gone"));
    assert_eq!(ask(&one, &one["cvc_token"]).await?.expect(200)?["card"]["cvc"], "987");
    ask(&one, &one["cvc_token"]).await?.must_be(409)?;
    let without = ask(&one, &Value::Null).await?.expect(200)?;
    assert!(without["card"].get("cvc").is_none());
    let shown = release.get(&format!("/v1/payment_methods/{}", id(&one))).await?.expect(200)?;
    assert!(shown.get("cvc_token").is_none());
    Ok(())
}

#[tokio::test]
async fn a_restart_takes_every_cvc_with_it() -> Result<()> {
    let (mut world, release) = vault().await?;
    let mut body = card(VISA, json!({}));
    body["card"]["cvc"] = "987".into();
    let stored = release.post("/v1/payment_methods", &body).await?.expect(201)?;
    world.vault.process().stop().await?;
    world.vault.restart().await?;
    let release = world.release().await?;
    let asked = json!({"purpose": "authorize", "reference": "pay_1", "cvc_token": stored["cvc_token"]});
    release.post(&format!("/v1/payment_methods/{}/reveal", id(&stored)), &asked).await?.must_be(409)
}

#[tokio::test]
async fn a_release_says_why_and_what_for() -> Result<()> {
    let (_world, release) = vault().await?;
    let token = id(&release.post("/v1/payment_methods", &card(VISA, json!({}))).await?.expect(201)?);
    let path = format!("/v1/payment_methods/{token}/reveal");
    for wrong in [
        json!({}),
        json!({"purpose": "authorize"}),
        json!({"purpose": "curiosity", "reference": "pay_1"}),
        json!({"purpose": "authorize", "reference": ""}),
        json!({"purpose": "authorize", "reference": "4242424242424242"}),
        json!({"purpose": "authorize", "reference": "x4242424242424242"}),
        json!({"purpose": "authorize", "reference": "pay_1", "more": 1}),
    ] {
        let answer = release.post(&path, &wrong).await?;
        assert!(matches!(answer.status, 400 | 422), "{}", answer.status);
        assert!(!answer.text().contains("42424242"));
    }
    Ok(())
}
