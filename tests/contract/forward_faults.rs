//! Forward where something is wrong: what was not sent is said so and recorded, what may have arrived is in doubt.

use serde_json::{Value, json};
use strongroom_tests::harness::{Client, DestinationPlan, Reply, Result, VaultPlan, World, WorldPlan};
use strongroom_wire::limits;

use crate::forward::{entries, forward, psp, stored, template, world_with};
use crate::{VISA, vault};

fn fine(_: &str) -> Reply {
    Reply::Answer(200, "", "{}".into())
}

/// The outcome of one request, with its reason.
async fn outcome(release: &Client, template: &Value) -> Result<(String, String)> {
    let answer = forward(release, template).await?.expect(200)?;
    let word = |field: &str| answer[field].as_str().unwrap_or_default().to_owned();
    Ok((word("outcome"), word("reason")))
}

fn words(outcome: &str, reason: &str) -> (String, String) {
    (outcome.to_owned(), reason.to_owned())
}

#[tokio::test]
async fn nobody_at_the_destination_means_not_sent_and_no_cvc_used_up() -> Result<()> {
    let destinations = vec![
        DestinationPlan::new("psp", "https://localhost:1"),
        // A name of this machine, and addresses of it, where the destination does not allow them.
        DestinationPlan { allow_private: false, ..DestinationPlan::new("stripe", "https://localhost:1") },
        DestinationPlan { allow_private: false, ..DestinationPlan::new("adyen", "https://127.0.0.1:1") },
        DestinationPlan { allow_private: false, ..DestinationPlan::new("worldpay", "https://nowhere.invalid") },
    ];
    let plan = VaultPlan { destinations, ..VaultPlan::default() };
    let world = World::start(WorldPlan { vault: plan, ..WorldPlan::default() }).await?;
    let release = world.release().await?;
    let (token, cvc) = stored(&release).await?;
    for (destination, reason) in [
        ("psp", "unreachable"),
        ("stripe", "address_refused"),
        ("adyen", "address_refused"),
        ("worldpay", "unresolved"),
    ] {
        let asked =
            template(&token, json!({"destination": destination, "cvc_token": cvc, "idempotency_key": destination}));
        assert_eq!(outcome(&release, &asked).await?, words("not_sent", reason), "{destination}");
    }
    let found = entries(&world).await?;
    assert_eq!(found.len(), 8);
    assert_eq!(found[0], words("allowed", "psp pay_forward"));
    assert_eq!(found[1], words("failed", "not sent unreachable psp pay_forward"));
    assert_eq!(found[3], words("failed", "not sent address-refused stripe pay_forward"));
    // The CVC is still good.
    let reveal = json!({"purpose": "authorize", "reference": "pay_1", "cvc_token": cvc});
    let revealed = release.post(&format!("/v1/payment_methods/{token}/reveal"), &reveal).await?.expect(200)?;
    assert_eq!(revealed["card"]["cvc"], "987");
    Ok(())
}

#[tokio::test]
async fn what_may_have_arrived_is_in_doubt() -> Result<()> {
    let times = "connect_timeout_ms = 500\ntotal_timeout_ms = 500";
    let (world, release, peer) = world_with(psp().with(times), |request| {
        let large = limits::FORWARD_ANSWER_BYTES_MAX + 1;
        match request.lines().next().unwrap_or_default() {
            line if line.contains("/silence") => Reply::Silence,
            line if line.contains("/hang-up") => Reply::HangUp,
            line if line.contains("/large") => Reply::Answer(200, "", " ".repeat(large)),
            _ => Reply::Answer(200, "Content-Encoding: gzip\r\n", "x".into()),
        }
    })
    .await?;
    let (token, _) = stored(&release).await?;
    for (path, reason) in [
        ("/silence", "timed_out"),
        ("/hang-up", "connection_lost"),
        ("/large", "unreadable"),
        ("/squeezed", "unreadable"),
    ] {
        assert_eq!(outcome(&release, &template(&token, json!({"path": path}))).await?, words("in_doubt", reason));
    }
    assert_eq!(peer.heard().len(), 4);
    let found = entries(&world).await?;
    assert_eq!(found[1], words("ended", "in doubt timed-out psp pay_forward"));
    assert_eq!(found[7], words("ended", "in doubt unreadable psp pay_forward"));
    Ok(())
}

#[tokio::test]
async fn a_redirection_is_not_followed() -> Result<()> {
    let (_world, release, peer) =
        world_with(psp(), |_| Reply::Answer(308, "Location: /elsewhere\r\n", String::new())).await?;
    let (token, _) = stored(&release).await?;
    let answer = forward(&release, &template(&token, json!({}))).await?.expect(200)?;
    assert_eq!((&answer["status"], &answer["headers"]), (&json!(308), &json!({})));
    assert_eq!(peer.heard().len(), 1);
    Ok(())
}

#[tokio::test]
async fn a_card_goes_nowhere_that_the_destination_does_not_name() -> Result<()> {
    let lines = "paths = [\"/v1/payment_methods\", \"/v71/*\"]\nslots = [\"card[number]\", \"/card/number\"]";
    let (world, release, peer) = world_with(psp().with(lines), fine).await?;
    let (token, _) = stored(&release).await?;
    let form = |name: &str| json!({"form": [[name, "{{card.number}}"]]});
    let right = json!({"body": form("card[number]")});
    for (more, field) in [
        (json!({"destination": "stripe"}), "destination"),
        (json!({"path": "/v1/customers"}), "path"),
        (json!({"path": "/v1/payment_methods/../customers"}), "path"),
        (json!({"path": "/v71/payments/extra"}), "path"),
        (json!({"path": "/v1/payment_methods?x=y"}), "path"),
        (json!({"path": "@evil.example/v1/payment_methods"}), "path"),
        (json!({"method": "PUT"}), "method"),
        (json!({"headers": [["Host", "evil.example"]]}), "headers"),
        (json!({"headers": [["Transfer-Encoding", "chunked"]]}), "headers"),
        (json!({"headers": [["X-A", "a\r\nHost: evil.example"]]}), "headers"),
        (json!({"headers": [["X-Original-URL", "/v1/customers"]]}), "headers"),
        (json!({"body": form("description")}), "body"),
        (json!({"body": {"json": {"description": "{{card.number}}"}}}), "body"),
        (json!({"path": "/v1/{{card.number}}"}), "path"),
        (json!({"query": [["number", "{{card.number}}"]]}), "query[0]"),
        (json!({"headers": [["X-Number", "{{card.number}}"]]}), "headers[0]"),
        (
            json!({"body": {"form": [["card[number]", "{{card.number}}"], ["note", "x {{card.number}}"]]}}),
            "body.form[1]",
        ),
        (json!({"body": {"form": [["a", "b"]]}}), "body"),
        (json!({"body": null}), "body"),
        (json!({"idempotency_key": "a b"}), "idempotency_key"),
    ] {
        let mut asked = template(&token, right.clone());
        asked.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let refused = forward(&release, &asked).await?;
        assert_eq!((refused.status, refused.json()?["field"].as_str()), (422, Some(field)), "{more}");
    }
    forward(&release, &template(&token, json!({"more": 1}))).await?.must_be(400)?;
    forward(&release, &template(&token, json!({"reference": VISA}))).await?.must_be(400)?;
    assert!(peer.heard().is_empty());
    forward(&release, &template(&token, right)).await?.must_be(200)?;
    assert_eq!(peer.heard().len(), 1);
    // What a destination does not take is a refusal in the log; what is no template at all never got so far.
    let refused = entries(&world).await?.iter().filter(|(outcome, _)| outcome == "refused").count();
    assert_eq!(refused, 13);
    Ok(())
}

#[tokio::test]
async fn a_card_that_is_not_there_is_not_sent() -> Result<()> {
    let (world, release, peer) = world_with(psp(), fine).await?;
    let (token, _) = stored(&release).await?;
    release.send(reqwest::Method::DELETE, &format!("/v1/payment_methods/{token}"), None, &[]).await?.must_be(204)?;
    forward(&release, &template(&token, json!({}))).await?.must_be(404)?;
    world.register("other").await?;
    let (others, _) = stored(&release.clone().tenant("other")).await?;
    forward(&release, &template(&others, json!({}))).await?.must_be(404)?;
    forward(&release, &template(&others, json!({"dry_run": true}))).await?.must_be(404)?;
    assert!(peer.heard().is_empty());
    let failed = entries(&world).await?.iter().filter(|(outcome, _)| outcome == "failed").count();
    assert_eq!(failed, 3);
    Ok(())
}

#[tokio::test]
async fn a_body_over_its_limit_is_refused() -> Result<()> {
    let (_world, release) = vault().await?;
    let (token, _) = stored(&release).await?;
    let sized = |bytes: usize| {
        let bare = template(&token, json!({"dry_run": true})).to_string();
        format!("{bare}{}", " ".repeat(bytes - bare.len())).into_bytes()
    };
    let post = |body| release.post_raw("/v1/forward", "application/json", body);
    post(sized(limits::FORWARD_BYTES_MAX)).await?.must_be(200)?;
    post(sized(limits::FORWARD_BYTES_MAX + 1)).await?.must_be(413)
}
