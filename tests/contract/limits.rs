//! Sizes, counts and rates have limits, and what is over them changes nothing.

use serde_json::json;
use strongroom_tests::harness::{Result, World, WorldPlan};
use strongroom_wire::limits::{
    BODY_BYTES_MAX, EXPIRY_YEARS_AHEAD_MAX, HOLDER_NAME_BYTES_MAX, IDEMPOTENCY_TTL_S, METADATA_BYTES_MAX,
    METADATA_ENTRIES_MAX, METADATA_VALUE_CHARS_MAX, SECRET_NAME_CHARS_MAX, SESSION_TTL_DEFAULT_S,
    SHORT_TERM_TTL_DEFAULT_S, SHORT_TERM_TTL_MAX_S,
};

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
    let full: serde_json::Map<_, _> = (0..=METADATA_BYTES_MAX / METADATA_VALUE_CHARS_MAX)
        .map(|n| (format!("k{n}"), json!("v".repeat(METADATA_VALUE_CHARS_MAX))))
        .collect();
    let mut far = card(VISA, json!({}));
    far["card"]["exp_year"] = (jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).year() as u64
        + u64::from(EXPIRY_YEARS_AHEAD_MAX)
        + 1)
    .into();
    let lasting = json!({"storage": "short_term", "ttl_seconds": SHORT_TERM_TTL_MAX_S + 1});
    let bodies =
        [card(VISA, json!({"metadata": many})), card(VISA, json!({"metadata": full})), named, far, card(VISA, lasting)];
    for body in bodies {
        release.post("/v1/payment_methods", &body).await?.must_be(422)?;
    }
    let secret = json!({"name": "n".repeat(SECRET_NAME_CHARS_MAX + 1), "value": "v"});
    release.post("/v1/secrets", &secret).await?.must_be(422)
}

#[tokio::test]
async fn what_names_no_life_lives_as_long_as_the_table_says() -> Result<()> {
    let (world, release) = vault().await?;
    let seconds_left = |at: &serde_json::Value| {
        let at: jiff::Timestamp = at.as_str().unwrap().parse().unwrap();
        at.duration_since(jiff::Timestamp::now()).as_secs().unsigned_abs()
    };
    let short =
        release.post("/v1/payment_methods", &card(VISA, json!({"storage": "short_term"}))).await?.expect(201)?;
    assert!(seconds_left(&short["expires_at"]).abs_diff(SHORT_TERM_TTL_DEFAULT_S) < 10);
    let session = json!({"allowed_origins": ["https://shop.example"]});
    let session = release.clone().with("Idempotency-Key", "k").post("/v1/sessions", &session).await?.expect(201)?;
    assert!(seconds_left(&session["expires_at"]).abs_diff(SESSION_TTL_DEFAULT_S) < 10);
    let store =
        rusqlite::Connection::open_with_flags(world.vault.store_file(), rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY);
    let kept_until: i64 = store.unwrap().query_row("SELECT expires_ms FROM answers", [], |row| row.get(0)).unwrap();
    let left_ms = kept_until - jiff::Timestamp::now().as_millisecond();
    assert!((left_ms / 1000).unsigned_abs().abs_diff(IDEMPOTENCY_TTL_S) < 10);
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
