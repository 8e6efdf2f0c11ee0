//! Sizes, counts and rates have limits, and what is over them changes nothing.

use serde_json::json;
use strongroom_tests::harness::{Result, World, WorldPlan};
use strongroom_wire::limits::{BODY_BYTES_MAX, HOLDER_NAME_BYTES_MAX, METADATA_ENTRIES_MAX, SHORT_TERM_TTL_MAX_S};

use crate::{VISA, card, vault};

#[tokio::test]
async fn a_body_over_its_size_or_of_another_kind_is_refused() -> Result<()> {
    let (_world, release) = vault().await?;
    let path = "/v1/payment_methods";
    let mut padded = card(VISA, json!({})).to_string().into_bytes();
    padded.resize(BODY_BYTES_MAX + 1, b' ');
    release.post_raw(path, "application/json", padded.clone()).await?.must_be(413)?;
    padded.truncate(BODY_BYTES_MAX);
    release.post_raw(path, "application/json", padded).await?.must_be(201)?;
    let body = card(VISA, json!({})).to_string().into_bytes();
    release.post_raw(path, "text/plain", body.clone()).await?.must_be(415)?;
    release.post_raw(path, "application/json", body[..20].to_vec()).await?.must_be(400)?;
    Ok(())
}

#[tokio::test]
async fn metadata_names_and_lives_have_bounds() -> Result<()> {
    let (_world, release) = vault().await?;
    let many: serde_json::Map<_, _> = (0..=METADATA_ENTRIES_MAX).map(|n| (format!("k{n}"), json!("v"))).collect();
    let mut named = card(VISA, json!({}));
    named["card"]["holder_name"] = "n".repeat(HOLDER_NAME_BYTES_MAX + 1).into();
    let lasting = json!({"storage": "short_term", "ttl_seconds": SHORT_TERM_TTL_MAX_S + 1});
    for body in [card(VISA, json!({"metadata": many})), named, card(VISA, lasting)] {
        release.post("/v1/payment_methods", &body).await?.must_be(422)?;
    }
    Ok(())
}

#[tokio::test]
async fn one_address_may_not_flood_the_intake() -> Result<()> {
    let mut plan = WorldPlan { payments: false, ..WorldPlan::default() };
    plan.vault.intake_requests_per_minute = 5;
    let world = World::start(plan).await?;
    let intake = world.vault.intake(&world.pki)?;
    let mut last = 0;
    let mut retry_after = None;
    // A minute may turn in between, so that up to twice as many get through.
    for _ in 0..11 {
        let answer = intake.post("/v1/payment_methods", &card(VISA, json!({}))).await?;
        last = answer.status;
        retry_after = answer.header("retry-after").map(str::to_owned);
        if last == 429 {
            break;
        }
        assert_eq!(last, 401);
    }
    assert_eq!(last, 429);
    assert!(retry_after.unwrap().parse::<u64>().unwrap() <= 60);
    Ok(())
}
