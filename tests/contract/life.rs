//! A card's life: short-term, retained, changed, deleted, expired and swept.

use std::time::{Duration, Instant};

use reqwest::Method;
use rusqlite::{Connection, OpenFlags};
use serde_json::json;
use strongroom_tests::harness::{Result, World, WorldPlan};

use crate::{AMEX, MASTERCARD, VISA, card, id, reveal, vault};

#[tokio::test]
async fn a_retained_card_outlives_its_end_and_another_does_not() -> Result<()> {
    let mut plan = WorldPlan { payments: false, ..WorldPlan::default() };
    plan.vault.sweep_seconds = 1;
    let world = World::start(plan).await?;
    let release = world.release().await?;
    let short = json!({"storage": "short_term", "ttl_seconds": strongroom_wire::limits::SHORT_TERM_TTL_MIN_S});
    let kept = release.post("/v1/payment_methods", &card(VISA, short.clone())).await?.expect(201)?;
    let left = release.post("/v1/payment_methods", &card(VISA, short)).await?.expect(201)?;
    assert_eq!(left["storage"], "short_term");
    assert!(left["expires_at"].is_string());
    let retained = release.post(&format!("/v1/payment_methods/{}/retain", id(&kept)), &json!({})).await?.expect(200)?;
    assert_eq!((retained["storage"].as_str(), retained["expires_at"].is_null()), (Some("long_term"), true));

    let path = format!("/v1/payment_methods/{}", id(&left));
    let began = Instant::now();
    while release.get(&path).await?.status == 200 {
        assert!(began.elapsed() < Duration::from_secs(90), "the card outlived its end");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    release.post(&format!("{path}/retain"), &json!({})).await?.must_be(404)?;
    assert_eq!(reveal(&release, &id(&kept)).await?["card"]["number"], VISA);
    // Gone for readers at its end; shredded by the sweeper a moment later.
    let store = Connection::open_with_flags(world.vault.store_file(), OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
    loop {
        let rows: i64 = store.query_row("SELECT count(*) FROM cards", [], |row| row.get(0)).unwrap();
        if rows == 1 {
            break;
        }
        assert!(began.elapsed() < Duration::from_secs(120), "{rows} rows are left");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let scrape = world.security().await?.get("/metrics").await?.text();
    assert!(scrape.contains("strongroom_swept_records_total 1"), "the sweep is not counted");
    Ok(())
}

#[tokio::test]
async fn an_update_changes_what_it_names_and_never_the_number() -> Result<()> {
    let (_world, release) = vault().await?;
    let mut body = card(VISA, json!({"metadata": {"a": "1"}}));
    body["card"]["holder_name"] = "Ada".into();
    let stored = release.post("/v1/payment_methods", &body).await?.expect(201)?;
    let path = format!("/v1/payment_methods/{}", id(&stored));
    let patch = |body| {
        let (release, path) = (release.clone(), path.clone());
        async move { release.send(Method::PATCH, &path, Some(&body), &[]).await }
    };
    let changed = patch(json!({"card": {"exp_month": 1, "exp_year": 2033}})).await?.expect(200)?;
    assert_eq!((changed["card"]["exp_month"].as_u64(), changed["card"]["exp_year"].as_u64()), (Some(1), Some(2033)));
    assert_eq!(changed["metadata"], json!({"a": "1"}));
    patch(json!({"metadata": {"b": "2"}})).await?.must_be(200)?;
    patch(json!({"card": {"number": "5555555555554444"}})).await?.must_be(422)?;
    patch(json!({})).await?.must_be(422)?;
    let opened = reveal(&release, &id(&stored)).await?;
    assert_eq!(opened["card"], json!({"number": VISA, "exp_month": 1, "exp_year": 2033, "holder_name": "Ada"}));
    let shown = release.get(&path).await?.expect(200)?;
    assert_eq!(shown["metadata"], json!({"b": "2"}));
    Ok(())
}

#[tokio::test]
async fn a_deleted_card_is_gone_for_every_request() -> Result<()> {
    let (_world, release) = vault().await?;
    let token = id(&release.post("/v1/payment_methods", &card(VISA, json!({}))).await?.expect(201)?);
    let path = format!("/v1/payment_methods/{token}");
    release.send(Method::DELETE, &path, None, &[]).await?.must_be(204)?;
    release.send(Method::DELETE, &path, None, &[]).await?.must_be(404)?;
    release.get(&path).await?.must_be(404)?;
    let asked = json!({"purpose": "authorize", "reference": "pay_1"});
    release.post(&format!("{path}/reveal"), &asked).await?.must_be(404)?;
    release.post(&format!("{path}/retain"), &json!({})).await?.must_be(404)
}

#[tokio::test]
async fn a_deleted_customer_leaves_no_card_and_no_kept_answer() -> Result<()> {
    let (_world, release) = vault().await?;
    let of_ada = |number| card(number, json!({ "customer_id": "cus_ada", "metadata": { "order": "8" } }));
    let keyed = release.clone().with("Idempotency-Key", "order-1");
    let first = keyed.post("/v1/payment_methods", &of_ada(VISA)).await?.expect(201)?;
    for number in [MASTERCARD, AMEX] {
        release.post("/v1/payment_methods", &of_ada(number)).await?.must_be(201)?;
    }
    let other =
        release.post("/v1/payment_methods", &card(VISA, json!({ "customer_id": "cus_ben" }))).await?.expect(201)?;
    let delete = || async { release.send(Method::DELETE, "/v1/customers/cus_ada", None, &[]).await?.expect(200) };
    assert_eq!(delete().await?, json!({ "deleted": 3, "is_complete": true }));
    assert_eq!(delete().await?, json!({ "deleted": 0, "is_complete": true }));
    let list = release.get("/v1/payment_methods?customer_id=cus_ada").await?.expect(200)?;
    assert_eq!(list["items"], json!([]));
    // The kept answer showed the card and went with it: the same key stores the card anew.
    let again = keyed.post("/v1/payment_methods", &of_ada(VISA)).await?;
    assert!(again.header("idempotent-replayed").is_none());
    assert_ne!(id(&again.expect(201)?), id(&first));
    assert_eq!(reveal(&release, &id(&other)).await?["card"]["number"], VISA);
    release.send(Method::DELETE, "/v1/customers/4242424242424242", None, &[]).await?.must_be(422)?;
    Ok(())
}
