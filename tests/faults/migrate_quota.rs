//! A move of the store gives nobody a fresh allowance: what was used of the day, and of a client session, goes over.

use std::time::Duration;

use serde_json::json;
use strongroom_tests::harness::{Answer, Client, Rule, WorldPlan, eventually, standard_policy, word};
use strongroom_wire::Scope;
use strongroom_wire::limits::SESSION_CARDS_MAX;

use crate::moving::{Moving, NUMBERS, reveal, store};

#[tokio::test]
async fn a_move_of_the_store_gives_nobody_a_fresh_allowance() {
    // A day's, so that no turn of a minute comes in between.
    let limited = Rule::new("orchestrator", "limited", &["*"], &[Scope::Reveal]).reveals(ALLOWANCE, ALLOWANCE);
    let plan = WorldPlan { policy: standard_policy().rule(limited), ..WorldPlan::default() };
    let mut moving = Moving::planned(plan).await;
    let token = store(&moving.world.release().await.unwrap(), 1).await.remove(0);
    let client = limited_client(&moving);
    for _ in 0..USED {
        reveal(&client, &token).await.unwrap().must_be(200).unwrap();
    }
    let session = json!({ "allowed_origins": ["https://shop.example"] });
    let session = moving.world.release().await.unwrap().post("/v1/sessions", &session).await.unwrap();
    let bearer = format!("Bearer {}", word(&session.expect(201).unwrap(), "client_secret").unwrap());
    for _ in 0..USED {
        from_browser(&moving, &bearer).await.must_be(201).unwrap();
    }
    moving.migrate(None).await.must_be(202).unwrap();
    moving.until(&["moved"]).await;
    moving.start_on_database().await;

    let client = limited_client(&moving);
    let given = until_spent(async || reveal(&client, &token).await.unwrap()).await;
    assert_eq!(given, (ALLOWANCE - USED) as usize, "releases after the move");
    let given = until_spent(async || from_browser(&moving, &bearer).await).await;
    assert_eq!(given, (SESSION_CARDS_MAX - USED) as usize, "cards of the session after the move");
}

/// How many are given until the answer is that the allowance is used up, and not only for a moment.
async fn until_spent(ask: impl AsyncFn() -> Answer) -> usize {
    let given = std::cell::Cell::new(0);
    eventually("the allowance to be used up", Duration::from_secs(90), || async {
        let answer = ask().await;
        match answer.status {
            200 | 201 => given.set(given.get() + 1),
            503 => {}
            status => assert_eq!(status, 429, "{}", answer.text()),
        }
        let after: Option<u64> = answer.header("retry-after").and_then(|text| text.parse().ok());
        Ok((answer.status == 429 && after > Some(1)).then_some(()))
    })
    .await
    .unwrap();
    given.get()
}

fn limited_client(moving: &Moving) -> Client {
    let who = moving.world.credentials("orchestrator", "limited").unwrap();
    moving.world.vault.release(&moving.world.pki, &who).unwrap().tenant(&moving.world.tenant)
}

async fn from_browser(moving: &Moving, bearer: &str) -> Answer {
    let intake = moving.world.vault.intake(&moving.world.pki).unwrap();
    let intake = intake.with("Authorization", bearer).with("Origin", "https://shop.example");
    let body = json!({ "type": "card", "card": { "number": NUMBERS[0], "exp_month": 12, "exp_year": 2031 } });
    intake.post("/v1/payment_methods", &body).await.unwrap()
}

const ALLOWANCE: u32 = 30;
const USED: u32 = 12;
