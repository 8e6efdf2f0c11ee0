//! Cards in, masked views out, the same card of the same customer met again.

use serde_json::{Value, json};
use strongroom_tests::harness::Result;
use strongroom_wire::limits;

use crate::{AMEX, MASTERCARD, VISA, card, id, reveal, vault};

#[tokio::test]
async fn a_masked_view_shows_brand_bin_and_last_four_and_never_the_number() -> Result<()> {
    let (_world, release) = vault().await?;
    for (number, brand, bin, last4) in [
        (VISA, "visa", "42424242", "4242"),
        (MASTERCARD, "mastercard", "55555555", "4444"),
        ("2223003122003222", "mastercard", "22230031", "3222"),
        (AMEX, "amex", "378282", "0005"),
        ("6011111111111117", "discover", "60111111", "1117"),
        ("3056930009020004", "diners", "30569300", "0004"),
        ("3566002020360505", "jcb", "35660020", "0505"),
        ("6200000000000005", "unionpay", "62000000", "0005"),
    ] {
        let stored = release.post("/v1/payment_methods", &card(number, json!({}))).await?.expect(201)?;
        assert_eq!(
            (stored["card"]["brand"].as_str(), stored["card"]["bin"].as_str(), stored["card"]["last4"].as_str()),
            (Some(brand), Some(bin), Some(last4))
        );
        let shown = release.get(&format!("/v1/payment_methods/{}", id(&stored))).await?;
        assert!(!shown.text().contains(number));
        assert_eq!(shown.expect(200)?["card"], stored["card"]);
        assert_eq!(reveal(&release, &id(&stored)).await?["card"]["number"], number);
    }
    Ok(())
}

#[tokio::test]
async fn the_same_card_of_the_same_customer_keeps_its_token() -> Result<()> {
    let (_world, release) = vault().await?;
    let named = |customer: &str, more: Value| {
        let mut body = card(VISA, json!({"customer_id": customer}));
        if let (Value::Object(body), Value::Object(more)) = (&mut body, more) {
            body.extend(more);
        }
        body
    };
    let mut first = named("ada", json!({"metadata": {"color": "red"}}));
    first["card"]["holder_name"] = "Ada Lovelace".into();
    let first = release.post("/v1/payment_methods", &first).await?.expect(201)?;
    let mut later = named("ada", json!({}));
    later["card"]["exp_year"] = 2034.into();
    let again = release.post("/v1/payment_methods", &later).await?.expect(200)?;
    assert_eq!(id(&again), id(&first));
    assert_eq!(again["card"]["exp_year"], 2034);
    assert_eq!(again["metadata"], json!({"color": "red"}));
    let opened = reveal(&release, &id(&first)).await?;
    assert_eq!(opened["card"]["holder_name"], "Ada Lovelace");
    assert_eq!(opened["card"]["exp_year"], 2034);

    let of_ben = release.post("/v1/payment_methods", &named("ben", json!({}))).await?.expect(201)?;
    assert_ne!(id(&of_ben), id(&first));
    assert_eq!(of_ben["card"]["fingerprint"], first["card"]["fingerprint"]);
    let of_nobody = release.post("/v1/payment_methods", &card(VISA, json!({}))).await?.expect(201)?;
    assert_ne!(id(&of_nobody), id(&first));
    Ok(())
}

#[tokio::test]
async fn fifty_requests_for_one_card_of_one_customer_at_once_make_one_token() -> Result<()> {
    let (_world, release) = vault().await?;
    let mut waiting = tokio::task::JoinSet::new();
    for _ in 0..50 {
        let release = release.clone();
        waiting.spawn(
            async move { release.post("/v1/payment_methods", &card(VISA, json!({"customer_id": "ada"}))).await },
        );
    }
    let mut tokens = std::collections::BTreeSet::new();
    let mut made = 0;
    while let Some(answer) = waiting.join_next().await {
        let answer = answer.unwrap()?;
        made += u32::from(answer.status == 201);
        // Whoever loses every race is told so and may ask again; nobody gets a second token.
        if answer.status != 409 {
            tokens.insert(id(&answer.json()?));
        }
    }
    assert_eq!((tokens.len(), made), (1, 1));
    let listed = release.get("/v1/payment_methods?customer_id=ada").await?.expect(200)?;
    assert_eq!(listed["items"].as_array().unwrap().len(), 1);
    Ok(())
}

#[tokio::test]
async fn fingerprints_of_two_tenants_have_nothing_in_common() -> Result<()> {
    let (world, release) = vault().await?;
    world.register("other").await?;
    let mine = release.post("/v1/payment_methods", &card(VISA, json!({}))).await?.expect(201)?;
    let other = world.release().await?.tenant("other");
    let theirs = other.post("/v1/payment_methods", &card(VISA, json!({}))).await?.expect(201)?;
    assert_ne!(mine["card"]["fingerprint"], theirs["card"]["fingerprint"]);
    other.get(&format!("/v1/payment_methods/{}", id(&mine))).await?.must_be(404)
}

#[tokio::test]
async fn lists_page_through_everything_once_in_order() -> Result<()> {
    let (_world, release) = vault().await?;
    let mut stored = Vec::new();
    for customer in 0..7 {
        let body = card(VISA, json!({"customer_id": format!("c{customer}")}));
        stored.push(id(&release.post("/v1/payment_methods", &body).await?.expect(201)?));
    }
    let elsewhere =
        release.post("/v1/payment_methods", &card(AMEX, json!({"customer_id": "c0"}))).await?.expect(201)?;
    let fingerprint = elsewhere["card"]["fingerprint"].as_str().unwrap().to_owned();
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = release.get(&format!("/v1/payment_methods?limit=3{cursor}")).await?.expect(200)?;
        seen.extend(page["items"].as_array().unwrap().iter().map(id));
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    stored.push(id(&elsewhere));
    assert_eq!(seen, stored);
    let of_customer = release.get("/v1/payment_methods?customer_id=c0").await?.expect(200)?;
    assert_eq!(of_customer["items"].as_array().unwrap().len(), 2);
    let by_print = release.get(&format!("/v1/payment_methods?fingerprint={fingerprint}")).await?.expect(200)?;
    assert_eq!(by_print["items"].as_array().unwrap().iter().map(id).collect::<Vec<_>>(), [id(&elsewhere)]);
    let (most, usual) = (limits::PAGE_ITEMS_MAX, limits::PAGE_ITEMS_DEFAULT as usize);
    for customer in 7..=usual {
        let body = card(VISA, json!({"customer_id": format!("c{customer}")}));
        release.post("/v1/payment_methods", &body).await?.must_be(201)?;
    }
    let unasked = release.get("/v1/payment_methods").await?.expect(200)?;
    assert_eq!(unasked["items"].as_array().unwrap().len(), usual);
    release.get(&format!("/v1/payment_methods?limit={most}")).await?.must_be(200)?;
    release.get(&format!("/v1/payment_methods?limit={}", most + 1)).await?.must_be(422)?;
    for wrong in ["limit=0", "limit=x", "cursor=pm_1", "fingerprint=short", "nope=1"] {
        release.get(&format!("/v1/payment_methods?{wrong}")).await?.must_be(422)?;
    }
    Ok(())
}

#[tokio::test]
async fn what_is_no_card_is_refused_by_field_and_never_repeated() -> Result<()> {
    let (_world, release) = vault().await?;
    let with = |change: &dyn Fn(&mut Value)| {
        let mut body = card(VISA, json!({}));
        change(&mut body);
        body
    };
    for (body, field) in [
        (with(&|b| b["card"]["number"] = "4242424242424241".into()), "card.number"),
        (with(&|b| b["card"]["number"] = "42424242".into()), "card.number"),
        (with(&|b| b["card"]["number"] = 4_242_424_242_424_242_u64.into()), "card.number"),
        (with(&|b| b["card"]["exp_month"] = 13.into()), "card.exp_month"),
        (with(&|b| b["card"]["exp_year"] = 2020.into()), "card.exp_year"),
        (with(&|b| b["card"]["cvc"] = "12".into()), "card.cvc"),
        (with(&|b| b["ttl_seconds"] = 60.into()), "ttl_seconds"),
        (with(&|b| b["metadata"] = json!({"note": "card 4242 4242 4242 4242"})), "metadata"),
        (with(&|b| b["customer_id"] = "4242424242424242".into()), "customer_id"),
    ] {
        let answer = release.post("/v1/payment_methods", &body).await?;
        assert_eq!(answer.status, 422, "{field}");
        assert!(!answer.text().contains("424242"), "{field}");
        let problem = answer.json()?;
        assert_eq!(problem["field"], field);
        assert!(problem["request_id"].as_str().unwrap().starts_with("req_"));
    }
    let unknown = with(&|b| b["pin"] = "1234".into());
    let refused = release.post("/v1/payment_methods", &unknown).await?;
    assert!(matches!(refused.status, 400 | 422));
    let listed = release.get("/v1/payment_methods").await?.expect(200)?;
    assert_eq!(listed["items"], json!([]));
    Ok(())
}
