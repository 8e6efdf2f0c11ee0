//! The same for the orchestrator: while a provider is slow, payments at work are bounded, and whoever asks how it is is told.

use std::time::Duration;

use serde_json::json;
use strongroom_tests::harness::{OrchestratorPlan, Shop, World, WorldPlan, card, eventually};
use tokio::task::JoinSet;

use crate::alone;
use crate::line::Way;
use crate::slow::slow_clients_of_the_orchestrator_are_put_off;

const PLACES: usize = 3;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn payments_beyond_what_may_be_at_work_are_turned_away_and_slow_clients_put_off() {
    let _turn = alone().await;
    let plan = WorldPlan { payments: true, orchestrator: OrchestratorPlan::default(), ..WorldPlan::default() };
    let mut world = World::start(plan).await.unwrap();
    limit(&mut world).await;
    let (shop, psp) = (Shop::of(&world).unwrap(), world.psp().unwrap());
    // The provider thinks about everything for longer than this test asks.
    psp.arm("slow", "any", 1_000, 4_000).await.unwrap();
    let mut paying = JoinSet::new();
    for nth in 0..10 * PLACES {
        let server = shop.server().clone();
        paying.spawn(async move {
            let body = json!({
                "amount": 1000 + nth, "currency": "EUR", "confirm": true, "payment_method": "card",
                "authentication_type": "no_three_ds",
                "payment_method_data": { "card": {
                    "card_number": card::VISA, "card_exp_month": "12", "card_exp_year": "2031", "card_cvc": "123",
                } },
            });
            let answer = server.post("/payments", &body).await.unwrap();
            (answer.status, answer.header("retry-after").is_some())
        });
    }
    let anyone = world.payments().unwrap().anyone();
    for _ in 0..3 {
        anyone.get("/health").await.unwrap().must_be(200).unwrap();
    }
    let answers = paying.join_all().await;
    let (turned_away, served): (Vec<_>, Vec<_>) = answers.iter().partition(|(status, _)| *status == 503);
    println!("{} were turned away, {} were served", turned_away.len(), served.len());
    assert!(turned_away.iter().all(|(_, retry_after)| *retry_after), "{answers:?}");
    assert!(turned_away.len() >= 5 * PLACES && served.len() >= PLACES, "{answers:?}");
    assert!(served.iter().all(|(status, _)| *status == 200), "{answers:?}");
    eventually("a payment to be taken again", Duration::from_secs(60), || async {
        Ok((shop.begin(500, None, json!({})).await.is_ok()).then_some(()))
    })
    .await
    .unwrap();
    slow_clients_of_the_orchestrator_are_put_off(&world).await;
    // What a payer's browser may bring back in a query is no head that is too large.
    let long = "x".repeat(20_000);
    let long = format!("GET /redirect/acme/pay_none/none?x={long} HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let mut line = Way::new(&world, world.payments().unwrap().at(), None).open().await.unwrap();
    let answered = line.ask(long.as_bytes()).await.unwrap();
    assert!((300..500).contains(&answered.status), "{answered:?}");
    let metrics = world.payments().unwrap().operator().get("/metrics").await.unwrap();
    metrics.must_be(200).unwrap();
    assert!(!metrics.text().contains("orchestrator_requests_shed_total 0\n"), "what was turned away was not counted");
}

/// Starts the orchestrator again with few places.
async fn limit(world: &mut World) {
    let file = world.path().join("orchestratord.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, format!("requests_max = {PLACES}\n{text}")).unwrap();
    let orchestrator = world.orchestrator.as_mut().unwrap();
    orchestrator.process().stop().await.unwrap();
    orchestrator.restart().await.unwrap();
}
