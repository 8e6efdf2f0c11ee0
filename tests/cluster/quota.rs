//! Allowances belong to the vault and not to its nodes: three of them give no more than one.

use serde_json::json;
use strongroom_tests::harness::{Client, Rule, WorldPlan, card, eventually, standard_policy, word};
use strongroom_wire::Scope;
use strongroom_wire::limits::SESSION_CARDS_MAX;

use crate::{Site, is_busy, of, reveal, store};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_nodes_release_no_more_than_the_allowance_of_a_day() {
    // A day's, so that no turn of a minute comes in between.
    let limited = Rule::new("orchestrator", "limited", &["*"], &[Scope::Reveal]).reveals(ALLOWANCE, ALLOWANCE);
    let plan = WorldPlan { policy: standard_policy().rule(limited), ..WorldPlan::default() };
    let site = Site::planned(3, plan).await;
    let token = store(&site.cluster.release(0).unwrap(), &of("ada", card::VISA)).await.unwrap();
    let who = site.cluster.world.credentials("orchestrator", "limited").unwrap();
    let clients: Vec<Client> = (0..3)
        .map(|nth| {
            let client = site.cluster.node(nth).release(&site.cluster.world.pki, &who).unwrap();
            client.tenant(&site.cluster.world.tenant)
        })
        .collect();
    let asked: Vec<_> = (0..12)
        .map(|worker| {
            let (client, token) = (clients[worker % 3].clone(), token.clone());
            tokio::spawn(async move { released(&client, &token, 2 * ALLOWANCE / 12).await })
        })
        .collect();
    let mut given = 0;
    for one in asked {
        given += one.await.unwrap();
    }
    assert!(given <= ALLOWANCE, "{given} of {ALLOWANCE} were given");
    // Whoever has all of the traffic gets what is left.
    let began = std::time::Instant::now();
    while given < ALLOWANCE * 9 / 10 {
        assert!(began.elapsed().as_secs() < 90, "only {given} of {ALLOWANCE} were given");
        given += released(&clients[0], &token, 5).await;
    }
    given += released(&clients[1], &token, ALLOWANCE).await;
    assert!(given <= ALLOWANCE, "{given} of {ALLOWANCE} were given");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_session_stores_no_more_cards_at_three_nodes_than_at_one() {
    let site = Site::start(3).await;
    let session = json!({ "allowed_origins": ["https://shop.example"] });
    let session = site.cluster.release(0).unwrap().post("/v1/sessions", &session).await.unwrap().expect(201).unwrap();
    let bearer = format!("Bearer {}", word(&session, "client_secret").unwrap());
    let asked: Vec<_> = (0..3 * SESSION_CARDS_MAX)
        .map(|nth| {
            let intake = site.cluster.node(nth as usize % 3).intake(&site.cluster.world.pki).unwrap();
            let intake = intake.with("Authorization", &bearer).with("Origin", "https://shop.example");
            let body = json!({ "type": "card", "card": { "number": card::VISA, "exp_month": 12, "exp_year": 2031 } });
            tokio::spawn(async move { intake.post("/v1/payment_methods", &body).await.unwrap().status })
        })
        .collect();
    let mut stored = 0;
    for one in asked {
        stored += u32::from(one.await.unwrap() == 201);
    }
    assert!(stored > 0 && stored <= SESSION_CARDS_MAX, "{stored} of {SESSION_CARDS_MAX} were stored");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_session_that_stays_at_one_of_two_nodes_gets_its_cards_there() {
    let site = Site::start(2).await;
    let session = json!({ "allowed_origins": ["https://shop.example"] });
    let session = site.cluster.release(0).unwrap().post("/v1/sessions", &session).await.unwrap().expect(201).unwrap();
    let bearer = format!("Bearer {}", word(&session, "client_secret").unwrap());
    let body = json!({ "type": "card", "card": { "number": card::VISA, "exp_month": 12, "exp_year": 2031 } });
    let (mut stored, began) = (0, std::time::Instant::now());
    while stored < SESSION_CARDS_MAX {
        assert!(began.elapsed().as_secs() < 90, "only {stored} of {SESSION_CARDS_MAX} were stored");
        let intake = site.cluster.node(0).intake(&site.cluster.world.pki).unwrap();
        let intake = intake.with("Authorization", &bearer).with("Origin", "https://shop.example");
        let answer = intake.post("/v1/payment_methods", &body).await.unwrap();
        if answer.status == 201 {
            stored += 1;
        } else if !is_busy(&answer) {
            // Its part is used up for a moment: the others hear that it wants more, and leave it.
            assert_eq!((answer.status, answer.header("retry-after")), (429, Some("1")), "{}", answer.text());
        }
    }
    for node in [0, 1] {
        let intake = site.cluster.node(node).intake(&site.cluster.world.pki).unwrap();
        let intake = intake.with("Authorization", &bearer).with("Origin", "https://shop.example");
        let answer = eventually("an answer", std::time::Duration::from_secs(90), || async {
            let answer = intake.post("/v1/payment_methods", &body).await?;
            Ok((!is_busy(&answer)).then_some(answer))
        });
        assert_eq!(answer.await.unwrap().status, 429, "node {node} gave one more");
    }
}

/// How many of so many reveals were given; all others were refused because of the quota, or by a node that had not heard of
/// the others for a moment.
async fn released(client: &Client, token: &str, tries: u32) -> u32 {
    let mut given = 0;
    for _ in 0..tries {
        let answer = reveal(client, token, None).await.unwrap();
        if answer.status == 200 {
            given += 1;
        } else if !is_busy(&answer) {
            assert_eq!((answer.status, answer.problem().as_str()), (429, "quota-exceeded"));
        }
    }
    given
}

const ALLOWANCE: u32 = 120;
