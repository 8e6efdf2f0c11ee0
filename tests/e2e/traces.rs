//! What payments leave behind: no card number, CVC, API key or provider's key in any file, log, metric or error.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use strongroom_tests::harness::{API_KEY, Shop, World, card};

/// A holder that nothing else in these files names.
const HOLDER: &str = "Wilhelmina Quixwood";

/// How every CVC here begins.
const CVC: &str = "739";

#[tokio::test]
async fn payments_leave_no_secret_in_any_file_metric_or_error() {
    let mut world = World::with_payments().await.unwrap();
    let shop = Shop::of(&world).unwrap();
    let mut said = String::new();
    // By intake, inside confirm, declined, with 3-D Secure, and refused for each thing that can be wrong with a card.
    for number in NUMBERS {
        shop.pay_new(1000, Some("cus_ada"), number, json!({})).await.unwrap();
        let cvc = if number == card::AMEX { "7391" } else { CVC };
        let right = shop.server().post("/payments", &raw(number, "12", cvc)).await.unwrap();
        right.must_be(200).unwrap();
        said += &right.text();
        said += &shop.server().post("/payments", &raw(number, "13", cvc)).await.unwrap().text();
        said += &shop.server().post("/payments", &raw(number, "12", "73915")).await.unwrap().text();
        let mut wrong = raw(number, "12", cvc);
        wrong["metadata"] = json!({ "note": number });
        said += &shop.server().post("/payments", &wrong).await.unwrap().text();
        let mut unknown = raw(number, "12", cvc);
        unknown[number] = json!(number);
        said += &shop.server().post("/payments", &unknown).await.unwrap().text();
        let body = format!("{{\"amount\": {number} \"{number}\"");
        said += &shop.server().post_raw("/payments", "application/json", body.into_bytes()).await.unwrap().text();
        said += &shop.server().get(&format!("/payments/{number}")).await.unwrap().text();
    }
    said += &world.payments().unwrap().operator().get("/metrics").await.unwrap().text();
    said += &world.security().await.unwrap().get("/metrics").await.unwrap().text();
    said += &world.security().await.unwrap().get("/v1/audit/entries?limit=1000").await.unwrap().text();
    let secrets = secrets(&world);
    for secret in secrets.iter().filter(|secret| **secret != HOLDER) {
        assert!(!said.contains(secret.as_str()), "an answer, metric or entry holds a secret ending in {}", end(secret));
    }
    let mut searched = search(world.path(), &secrets);
    world.orchestrator.as_mut().unwrap().process().stop().await.unwrap();
    world.vault.process().stop().await.unwrap();
    searched += search(world.path(), &secrets);
    assert!(searched > 20, "only {searched} files were searched");
}

#[test]
fn the_search_finds_what_is_there() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("inner")).unwrap();
    fs::write(folder.path().join("inner/file"), format!("\0\0{}\0", card::VISA)).unwrap();
    let found = std::panic::catch_unwind(|| search(folder.path(), &[card::VISA.to_owned()]));
    assert!(found.is_err(), "a card number in a file was not found");
}

const NUMBERS: [&str; 5] = [card::VISA, card::MASTERCARD, card::AMEX, card::DECLINED, card::THREE_DS];

fn secrets(world: &World) -> Vec<String> {
    let mut secrets: Vec<String> = NUMBERS.iter().map(|number| (*number).to_owned()).collect();
    // As JSON and forms write it; four digits alone stand in every time and id.
    secrets.push(format!("cvc\":\"{CVC}"));
    secrets.push(format!("cvc={CVC}"));
    secrets.push(format!("cvc]={CVC}"));
    secrets.push(HOLDER.to_owned());
    secrets.push(API_KEY.to_owned());
    secrets.push(world.payments().unwrap().merchant.api_key.clone());
    secrets
}

fn raw(number: &str, month: &str, cvc: &str) -> Value {
    json!({
        "amount": 1000, "currency": "EUR", "confirm": true, "payment_method": "card",
        "payment_method_data": { "card": {
            "card_number": number, "card_exp_month": month, "card_exp_year": "2031", "card_cvc": cvc,
            "card_holder_name": HOLDER,
        } },
    })
}

/// Searches every file under a folder; answers how many there are.
fn search(folder: &Path, secrets: &[String]) -> usize {
    let mut open: Vec<PathBuf> = vec![folder.to_owned()];
    let mut files = 0;
    while let Some(path) = open.pop() {
        if path.is_dir() {
            open.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
            continue;
        }
        // A temporary file of SQLite may go away between listing and reading.
        let Ok(bytes) = fs::read(&path) else { continue };
        files += 1;
        for secret in secrets {
            let found = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
            assert!(!found, "{} holds a secret ending in {}", path.display(), end(secret));
        }
    }
    files
}

fn end(secret: &str) -> &str {
    &secret[secret.len() - 4..]
}
