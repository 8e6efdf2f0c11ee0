//! The orchestrator's payments through the loss of its database's primary: what was answered holds, and money moves once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use strongroom_tests::harness::{
    Answer, Client, Orchestrator, OrchestratorPlan, Pair, World, WorldPlan, card, eventually, word,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn payments_outlive_the_database_that_took_them_and_nothing_is_paid_twice() {
    let pair = Pair::start();
    let shared = Some(pair.database("payments"));
    // Short, so that a lease ends within the patience of a test.
    let plan = OrchestratorPlan { psp_total_ms: 2_000, shared, ..OrchestratorPlan::default() };
    let world = WorldPlan { payments: true, orchestrator: plan.clone(), ..WorldPlan::default() };
    let world = World::start(world).await.unwrap();
    let merchant = Some(world.payments().unwrap().merchant.clone());
    let second = world.add_node("second", OrchestratorPlan { merchant, ..plan }).await.unwrap();
    let shops = [world.payments().unwrap().shop(), second.shop()];

    let load = Load::begin(&shops);
    load.more(&load.tally.taken, 15).await;
    pair.kill_primary();
    load.more(&load.tally.refused, 5).await;
    pair.promote();
    // By themselves: nobody restarts anything.
    load.more(&load.tally.taken, 15).await;
    for (key, body, answer) in load.end().await {
        let id = body["payment_id"].as_str().unwrap();
        if answer.status == 200 {
            let told = answer.json().unwrap();
            let found = shops[0].get(&format!("/payments/{id}")).await.unwrap().expect(200).unwrap();
            // In doubt at the time of the answer, it may be known by now; an end is an end.
            if told["status"] != "processing" {
                assert_eq!(found["status"], told["status"], "{id} was answered and is no longer so");
            }
        } else {
            assert_eq!(answer.status, 503, "{}", answer.text());
            // The same request with the same key, at the other node: it is told what became of the first, or done now.
            let again = shops[1].clone().with("Idempotency-Key", &key).post("/payments", &body).await.unwrap();
            assert_eq!(again.expect(200).unwrap()["payment_id"], id);
        }
        let expected: &[(&str, i64)] = match settled(&shops[1], id).await.as_str() {
            "succeeded" => &[("authorize", AMOUNT), ("capture", AMOUNT)],
            // Interrupted before the provider was asked to move money.
            "failed" => &[],
            other => panic!("{id} says {other}"),
        };
        let moved = world.psp().unwrap().ledger_of(id).await.unwrap();
        let moved: Vec<(&str, i64)> = moved.iter().map(|line| (line.kind.as_str(), line.amount)).collect();
        assert_eq!(moved, expected, "{id}");
    }
    stop(second).await;
}

/// Shops that pay at both orchestrators, each with a key of its own.
struct Load {
    workers: Vec<tokio::task::JoinHandle<Vec<(String, Value, Answer)>>>,
    tally: Arc<Tally>,
}

/// What was answered so far.
#[derive(Default)]
struct Tally {
    taken: AtomicUsize,
    refused: AtomicUsize,
    is_over: AtomicBool,
}

impl Load {
    fn begin(shops: &[Client; 2]) -> Self {
        let tally = Arc::<Tally>::default();
        let workers = (0..WORKERS).map(|worker| tokio::spawn(pay(worker, shops.clone(), Arc::clone(&tally)))).collect();
        Self { workers, tally }
    }

    /// Waits until so many more were counted.
    async fn more(&self, count: &AtomicUsize, many: usize) {
        let before = count.load(Ordering::Relaxed);
        let counted = || async { Ok((count.load(Ordering::Relaxed) >= before + many).then_some(())) };
        eventually("more answers", Duration::from_secs(120), counted).await.unwrap();
    }

    async fn end(self) -> Vec<(String, Value, Answer)> {
        self.tally.is_over.store(true, Ordering::Relaxed);
        let mut answered = Vec::new();
        for worker in self.workers {
            answered.extend(worker.await.unwrap());
        }
        answered
    }
}

async fn pay(worker: usize, shops: [Client; 2], tally: Arc<Tally>) -> Vec<(String, Value, Answer)> {
    let mut answered = Vec::new();
    for number in 0.. {
        if tally.is_over.load(Ordering::Relaxed) {
            break;
        }
        let key = format!("order-{worker}-{number}");
        let body = json!({
            "payment_id": format!("pay_ha_{worker}_{number}"), "amount": AMOUNT, "currency": "EUR", "confirm": true,
            "capture_method": "automatic", "authentication_type": "no_three_ds", "payment_method": "card",
            "payment_method_data": { "card": {
                "card_number": card::VISA, "card_exp_month": "12", "card_exp_year": "2031", "card_cvc": "123"
            } },
        });
        let shop = shops[(worker + number) % 2].clone().with("Idempotency-Key", &key);
        let answer = shop.post("/payments", &body).await.unwrap();
        let count = if answer.status == 200 { &tally.taken } else { &tally.refused };
        count.fetch_add(1, Ordering::Relaxed);
        answered.push((key, body, answer));
    }
    answered
}

/// The state of a payment, once nothing is under way any more.
async fn settled(shop: &Client, payment_id: &str) -> String {
    let path = format!("/payments/{payment_id}");
    let settled = eventually("the payment to settle", Duration::from_secs(90), || async {
        let payment = shop.get(&path).await?.expect(200)?;
        let status = word(&payment, "status")?;
        Ok((status != "processing").then_some(status))
    });
    settled.await.unwrap()
}

async fn stop(mut node: Orchestrator) {
    node.process().stop().await.unwrap();
}

const WORKERS: usize = 6;
const AMOUNT: i64 = 4200;
