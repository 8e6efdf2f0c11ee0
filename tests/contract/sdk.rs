//! The SDK's files and the document of the card fields, as browsers and shops rely on them.

use std::io::Read as _;

use reqwest::Method;
use serde_json::json;
use strongroom_tests::harness::{Answer, Client, Result, Vault, World, because};
use strongroom_wire::limits;

use crate::{VISA, card, vault};

const SHOP: &str = "https://shop.example";
const FIELDS: &str = "/sdk/1.0.0/fields";

#[tokio::test]
async fn browsers_keep_files_of_a_version_and_any_page_may_check_their_hash() -> Result<()> {
    let (world, _) = vault().await?;
    let intake = world.vault.intake(&world.pki)?;
    let newest = intake.get("/sdk/v1/strongroom.js").await?;
    let exact = intake.get("/sdk/1.0.0/strongroom.js").await?;
    assert_eq!(newest.body, exact.body);
    assert_eq!(newest.header("cache-control"), Some("public, max-age=300"));
    assert_eq!(exact.header("cache-control"), Some("public, max-age=31536000, immutable"));
    for answer in [&newest, &exact] {
        assert_eq!(answer.header("content-type"), Some("text/javascript; charset=utf-8"));
        assert_eq!(answer.header("access-control-allow-origin"), Some("*"));
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(answer.header("cross-origin-resource-policy"), Some("cross-origin"));
    }
    let packed = intake.send(Method::GET, "/sdk/1.0.0/strongroom.js", None, &[("Accept-Encoding", "br, gzip")]).await?;
    assert_eq!(packed.header("content-encoding"), Some("gzip"));
    let mut unpacked = Vec::new();
    flate2::read::GzDecoder::new(packed.body.as_slice()).read_to_end(&mut unpacked).map_err(because("gzip"))?;
    assert!(unpacked == exact.body && packed.body.len() < exact.body.len());
    for path in ["/sdk/v1/fields.js", "/sdk/9.9.9/strongroom.js", "/sdk/1.0.0/other.js"] {
        intake.get(path).await?.must_be(404)?;
    }
    Ok(())
}

#[tokio::test]
async fn files_are_served_while_sealed_and_the_document_is_not() -> Result<()> {
    let (world, release) = vault().await?;
    let intake = world.vault.intake(&world.pki)?;
    let ticket = ticket(&session(&release).await?);
    intake.get(&ticket).await?.must_be(200)?;
    world.security().await?.send(Method::POST, "/v1/seal", None, &[]).await?;
    intake.get("/sdk/1.0.0/fields.js").await?.must_be(200)?;
    intake.get("/sdk/inventory.json").await?.must_be(200)?;
    let sealed = intake.get(&ticket).await?;
    assert_eq!((sealed.status, sealed.problem().as_str()), (503, "sealed"));
    embeds_nobody(&sealed);
    Ok(())
}

#[tokio::test]
async fn the_document_is_for_the_pages_of_the_session_alone() -> Result<()> {
    let (world, release) = vault().await?;
    let intake = world.vault.intake(&world.pki)?;
    let answer = intake.get(&ticket(&session(&release).await?)).await?;
    let policy = answer.header("content-security-policy").unwrap_or_default().to_owned();
    assert!(policy.split("; ").any(|part| part == format!("frame-ancestors {SHOP}")), "{policy}");
    assert!(policy.starts_with("default-src 'none'; ") && !policy.contains("unsafe"), "{policy}");
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_eq!(answer.header("referrer-policy"), Some("no-referrer"));
    assert!(answer.header("permissions-policy").is_some_and(|rules| rules.contains("payment=()")));
    assert!(answer.text().contains(&format!("data-origins=\"{SHOP}\"")));
    Ok(())
}

#[tokio::test]
async fn the_longest_session_still_has_its_document() -> Result<()> {
    let (world, release) = vault().await?;
    let origin = |nth: usize| {
        let host = format!("https://s{nth}.");
        format!("{host}{}", "a".repeat(limits::ORIGIN_CHARS_MAX - host.len()))
    };
    let origins: Vec<String> = (0..limits::SESSION_ORIGINS_MAX).map(origin).collect();
    let asked = json!({"allowed_origins": origins, "customer_id": "c".repeat(limits::CUSTOMER_CHARS_MAX)});
    let made = release.post("/v1/sessions", &asked).await?.expect(201)?;
    let session = made["client_secret"].as_str().unwrap();
    let answer = world.vault.intake(&world.pki)?.get(&ticket(session)).await?;
    answer.must_be(200)?;
    let policy = answer.header("content-security-policy").unwrap_or_default();
    assert!(policy.contains(&format!("frame-ancestors {}", origins.join(" "))));
    bearer(&world, session)?
        .with("Origin", &origins[0])
        .post("/v1/payment_methods", &card(VISA, json!({})))
        .await?
        .must_be(201)
}

#[tokio::test]
async fn without_a_right_ticket_there_is_no_document_and_nobody_embeds_the_refusal() -> Result<()> {
    let (world, release) = vault().await?;
    let intake = world.vault.intake(&world.pki)?;
    let session = session(&release).await?;
    let right = ticket(&session);
    let last = if right.ends_with('A') { "B" } else { "A" };
    let forged = format!("{}{last}", &right[..right.len() - 1]);
    for path in [FIELDS.to_owned(), format!("{FIELDS}?ticket="), format!("{FIELDS}?ticket={session}"), forged] {
        let refused = intake.get(&path).await?;
        assert_eq!((refused.status, refused.problem().as_str()), (401, "session-invalid"));
        embeds_nobody(&refused);
    }
    let unknown = intake.get(&right.replace("1.0.0", "0.9.0")).await?;
    assert_eq!(unknown.status, 404);
    embeds_nobody(&unknown);
    Ok(())
}

#[tokio::test]
async fn a_ticket_stores_no_card() -> Result<()> {
    let (world, release) = vault().await?;
    let session = session(&release).await?;
    let (_, ticket) = ticket(&session).split_once('=').map(|(path, text)| (path.to_owned(), text.to_owned())).unwrap();
    for bearer in [ticket.clone(), format!("ss_{ticket}")] {
        let client = world.vault.intake(&world.pki)?.with("Authorization", format!("Bearer {bearer}"));
        let refused = client.post("/v1/payment_methods", &card(VISA, json!({}))).await?;
        assert_eq!((refused.status, refused.problem().as_str()), (401, "session-invalid"));
    }
    Ok(())
}

#[tokio::test]
async fn the_vault_s_own_fields_may_post_and_other_pages_may_not() -> Result<()> {
    let (mut world, release) = vault().await?;
    let body = card(VISA, json!({}));
    let post = |client: Client, from: String| {
        let body = body.clone();
        async move { client.with("Origin", from).post("/v1/payment_methods", &body).await }
    };
    let client = bearer(&world, &session(&release).await?)?;
    post(client.clone(), Vault::UNKNOWN_ORIGIN.to_owned()).await?.must_be(201)?;
    post(client.clone(), world.vault.origin()).await?.must_be(401)?;
    world.vault.serve_fields().await?;
    let client = bearer(&world, &session(&world.release().await?).await?)?;
    post(client.clone(), world.vault.origin()).await?.must_be(201)?;
    for other in [Vault::UNKNOWN_ORIGIN.to_owned(), "null".to_owned(), format!("{}0", world.vault.origin())] {
        post(client.clone(), other).await?.must_be(401)?;
    }
    post(client, SHOP.to_owned()).await?.must_be(201)
}

#[tokio::test]
async fn without_a_public_origin_no_fields_are_served_and_only_shops_may_post() -> Result<()> {
    let (mut world, _) = vault().await?;
    world.vault.edit_configuration(|text| {
        text.lines().filter(|line| !line.starts_with("public_origin")).collect::<Vec<_>>().join("\n")
    })?;
    world.vault.serve_fields().await?;
    let session = session(&world.release().await?).await?;
    let refused = world.vault.intake(&world.pki)?.get(&ticket(&session)).await?;
    assert_eq!((refused.status, refused.problem().as_str()), (404, "no-route"));
    embeds_nobody(&refused);
    let own = bearer(&world, &session)?.with("Origin", world.vault.origin());
    own.post("/v1/payment_methods", &card(VISA, json!({}))).await?.must_be(401)?;
    bearer(&world, &session)?
        .with("Origin", SHOP)
        .post("/v1/payment_methods", &card(VISA, json!({})))
        .await?
        .must_be(201)
}

#[tokio::test]
async fn reports_are_counted_and_bounded_and_their_text_is_not_logged() -> Result<()> {
    let (world, _) = vault().await?;
    let intake = world.vault.intake(&world.pki)?;
    let report =
        json!({"csp-report": {"effective-directive": "script-src", "blocked-uri": format!("https://x/{VISA}")}});
    let send = |body: Vec<u8>| intake.post_raw("/sdk/reports", "application/csp-report", body);
    send(report.to_string().into_bytes()).await?.must_be(204)?;
    send(vec![b' '; limits::SDK_REPORT_BYTES_MAX + 1]).await?.must_be(413)?;
    send(b"no JSON".to_vec()).await?.must_be(400)?;
    let metrics = world.security().await?.get("/metrics").await?.text();
    assert!(metrics.contains("strongroom_sdk_reports_total{what=\"csp-violation\"}"));
    let log = std::fs::read_to_string(world.vault.log()).unwrap();
    assert!(log.contains("\"event\":\"sdk_report\"") && log.contains("\"directive\":\"script-src\""));
    assert!(!log.contains(VISA));
    Ok(())
}

fn embeds_nobody(answer: &Answer) {
    let policy = answer.header("content-security-policy").unwrap_or_default();
    assert!(policy.contains("frame-ancestors 'none'"), "{policy}");
}

async fn session(release: &Client) -> Result<String> {
    let made = release.post("/v1/sessions", &json!({"allowed_origins": [SHOP]})).await?.expect(201)?;
    Ok(made["client_secret"].as_str().expect("a client secret").to_owned())
}

/// Where the loader finds the document: the first two parts of the session are the ticket.
fn ticket(session: &str) -> String {
    let parts: Vec<&str> = session.strip_prefix("ss_").expect("a session").split('.').collect();
    format!("{FIELDS}?ticket={}.{}", parts[0], parts[1])
}

fn bearer(world: &World, session: &str) -> Result<Client> {
    Ok(world.vault.intake(&world.pki)?.with("Authorization", format!("Bearer {session}")))
}
