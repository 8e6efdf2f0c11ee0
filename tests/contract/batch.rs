//! Many cards in one request: each has its own result, and none is stored twice.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use strongroom_tests::harness::{Client, Result};
use strongroom_wire::limits;

use crate::{AMEX, MASTERCARD, VISA, card, id, reveal, vault};

const PATH: &str = "/v1/payment_methods/batch";

#[tokio::test]
async fn a_thousand_cards_go_in_with_one_entry_each() -> Result<()> {
    let (world, release) = vault().await?;
    let security = world.security().await?;
    let before = security.get("/v1/status").await?.expect(200)?["audit_size"].as_u64().unwrap();
    let cards: Vec<Value> = (0..limits::BATCH_CARDS_MAX)
        .map(|nth| card([VISA, MASTERCARD, AMEX][nth % 3], json!({"customer_id": format!("c{nth}")})))
        .collect();
    let results = post(&release, &cards).await?;
    assert_eq!(results.len(), limits::BATCH_CARDS_MAX);
    let tokens: BTreeSet<String> = results.iter().map(|result| id(&result["payment_method"])).collect();
    assert_eq!(tokens.len(), limits::BATCH_CARDS_MAX);
    for (nth, result) in results.iter().enumerate() {
        assert_eq!(result["status"], 201);
        assert_eq!(result["payment_method"]["customer_id"], format!("c{nth}"));
    }
    assert_eq!(reveal(&release, &id(&results[500]["payment_method"])).await?["card"]["number"], AMEX);
    let after = security.get("/v1/status").await?.expect(200)?["audit_size"].as_u64().unwrap();
    assert!(after - before >= limits::BATCH_CARDS_MAX as u64, "{before} to {after}");
    Ok(())
}

#[tokio::test]
async fn a_bad_card_keeps_no_other_out_and_is_not_repeated() -> Result<()> {
    let (_world, release) = vault().await?;
    let mut with_cvc = card(VISA, json!({}));
    with_cvc["card"]["cvc"] = "123".into();
    let cards =
        [card(VISA, json!({})), card("4242424242424241", json!({})), json!("no card"), with_cvc, card(AMEX, json!({}))];
    let results = post(&release, &cards).await?;
    let statuses: Vec<_> = results.iter().map(|result| result["status"].as_u64().unwrap_or(0)).collect();
    assert_eq!(statuses[0..2], [201, 422]);
    assert!(matches!(statuses[2], 400 | 422));
    assert_eq!(statuses[3..], [422, 201]);
    assert_eq!(results[1]["problem"]["field"], "card.number");
    assert_eq!(results[3]["problem"]["field"], "card.cvc");
    assert!(!results[1].to_string().contains("42424242"));
    assert_eq!(release.get("/v1/payment_methods").await?.expect(200)?["items"].as_array().unwrap().len(), 2);
    Ok(())
}

#[tokio::test]
async fn the_same_card_of_one_customer_has_one_token_within_a_batch_and_between_batches() -> Result<()> {
    let (_world, release) = vault().await?;
    let of = |customer: &str, number: &str| card(number, json!({"customer_id": customer}));
    let cards = [of("ada", VISA), of("ben", VISA), of("ada", VISA), of("ada", AMEX), of("ada", VISA)];
    let first = post(&release, &cards).await?;
    let statuses = |results: &[Value]| results.iter().map(|r| r["status"].as_u64().unwrap()).collect::<Vec<_>>();
    assert_eq!(statuses(&first), [201, 201, 200, 201, 200]);
    let tokens: Vec<String> = first.iter().map(|result| id(&result["payment_method"])).collect();
    assert!(tokens[0] == tokens[2] && tokens[0] == tokens[4]);
    assert!(tokens[0] != tokens[1] && tokens[0] != tokens[3]);
    let again = post(&release, &cards).await?;
    assert_eq!(statuses(&again), [200; 5]);
    assert_eq!(again.iter().map(|result| id(&result["payment_method"])).collect::<Vec<_>>(), tokens);
    Ok(())
}

#[tokio::test]
async fn a_batch_with_an_idempotency_key_is_stored_once() -> Result<()> {
    let (_world, release) = vault().await?;
    let keyed = release.clone().with("Idempotency-Key", "import-1");
    // Without customers, so that nothing but the key tells the cards from new ones.
    let cards: Vec<Value> = (0..30).map(|_| card(VISA, json!({}))).collect();
    let first = post(&keyed, &cards).await?;
    let body = json!({"payment_methods": cards});
    let again = keyed.post(PATH, &body).await?;
    assert_eq!(again.header("idempotent-replayed"), Some("true"));
    let again = again.expect(200)?["results"].as_array().unwrap().clone();
    let tokens = |results: &[Value]| results.iter().map(|r| id(&r["payment_method"])).collect::<BTreeSet<_>>();
    assert_eq!(tokens(&again), tokens(&first));
    assert_eq!(tokens(&first).len(), 30);
    let other = keyed.post(PATH, &json!({"payment_methods": [card(AMEX, json!({}))]})).await?;
    assert_eq!((other.status, other.problem().as_str()), (409, "idempotency-conflict"));
    // Two of the same at once.
    let racing = release.clone().with("Idempotency-Key", "import-2");
    let (one, two) = tokio::join!(post(&racing, &cards), post(&racing, &cards));
    assert_eq!(tokens(&one?), tokens(&two?));
    let listed = release.get("/v1/payment_methods?limit=100").await?.expect(200)?;
    assert_eq!(listed["items"].as_array().unwrap().len(), 60);
    Ok(())
}

#[tokio::test]
async fn a_batch_over_its_limits_stores_nothing() -> Result<()> {
    let (_world, release) = vault().await?;
    let many = vec![card(VISA, json!({})); limits::BATCH_CARDS_MAX + 1];
    release.post(PATH, &json!({"payment_methods": many})).await?.must_be(422)?;
    release.post(PATH, &json!({"payment_methods": []})).await?.must_be(422)?;
    let large = vec![b' '; limits::BATCH_BYTES_MAX + 1];
    release.post_raw(PATH, "application/json", large).await?.must_be(413)?;
    let mut just = json!({"payment_methods": [card(VISA, json!({}))]}).to_string().into_bytes();
    just.resize(limits::BATCH_BYTES_MAX, b' ');
    release.post_raw(PATH, "application/json", just).await?.must_be(200)?;
    assert_eq!(release.get("/v1/payment_methods").await?.expect(200)?["items"].as_array().unwrap().len(), 1);
    Ok(())
}

async fn post(client: &Client, cards: &[Value]) -> Result<Vec<Value>> {
    let answer = client.post(PATH, &json!({"payment_methods": cards})).await?.expect(200)?;
    Ok(answer["results"].as_array().cloned().unwrap_or_default())
}
