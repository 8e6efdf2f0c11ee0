//! Two orchestrators on one PostgreSQL database: what is begun at one goes on at the other, nothing is charged twice, and
//! nothing that was answered is lost, whichever of the three is killed.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use strongroom_tests::harness::{
    Answer, Client, Orchestrator, OrchestratorPlan, Postgres, SharedDatabase, World, WorldPlan, card, eventually, word,
};
use tokio::task::JoinHandle;

/// A world whose orchestrator keeps its payments in PostgreSQL, and a second orchestrator beside it.
struct Pair {
    // The processes end before their database.
    second: Orchestrator,
    world: World,
    postgres: Postgres,
}

impl Pair {
    async fn start() -> Self {
        let postgres = Postgres::start();
        postgres.add_database("payments");
        let shared = Some(SharedDatabase::of(&postgres, "payments"));
        // Short, so that a lease ends within the patience of a test.
        let plan = OrchestratorPlan { psp_total_ms: 1_000, shared, ..OrchestratorPlan::default() };
        let world = WorldPlan { payments: true, orchestrator: plan.clone(), ..WorldPlan::default() };
        let world = World::start(world).await.unwrap();
        let merchant = Some(world.payments().unwrap().merchant.clone());
        let second = world.add_node("second", OrchestratorPlan { merchant, ..plan }).await.unwrap();
        Self { second, world, postgres }
    }

    /// The shop's server at the first and at the second.
    fn shops(&self) -> [Client; 2] {
        [self.world.payments().unwrap().shop(), self.second.shop()]
    }

    async fn moved(&self, payment_id: &str) -> Vec<(String, i64)> {
        let lines = self.world.psp().unwrap().ledger_of(payment_id).await.unwrap();
        lines.into_iter().map(|line| (line.kind, line.amount)).collect()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_payment_goes_on_at_the_other_node_and_both_list_it() {
    let pair = Pair::start().await;
    let [one, two] = pair.shops();
    let made = one.post("/payments", &paying("pay_nodes", 2500, "manual")).await.unwrap().expect(200).unwrap();
    assert_eq!(made["status"], "requires_capture");
    let captured = two.post("/payments/pay_nodes/capture", &json!({})).await.unwrap().expect(200).unwrap();
    assert_eq!(captured["status"], "succeeded");
    let refund = json!({ "payment_id": "pay_nodes", "refund_id": "ref_nodes", "amount": 500 });
    one.post("/refunds", &refund).await.unwrap().must_be(200).unwrap();
    for shop in [one, two] {
        let payments = shop.get("/payments/list?status=succeeded").await.unwrap().expect(200).unwrap();
        assert_eq!((&payments["count"], &payments["data"][0]["payment_id"]), (&json!(1), &json!("pay_nodes")));
        let refunds = shop.get("/refunds/list").await.unwrap().expect(200).unwrap();
        assert_eq!((&refunds["count"], &refunds["data"][0]["status"]), (&json!(1), &json!("succeeded")));
    }
    let moved = pair.moved("pay_nodes").await;
    assert_eq!(moved, moves(&[("authorize", 2500), ("capture", 2500), ("refund", 500)]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_duplicates_of_one_key_over_both_nodes_charge_once_and_are_answered_alike() {
    let pair = Pair::start().await;
    pair.world.psp().unwrap().arm("slow", "authorize", 1, 600).await.unwrap();
    let mut body = paying("", 1100, "automatic");
    body.as_object_mut().unwrap().remove("payment_id");
    let asked: Vec<_> = (0..40)
        .map(|number| {
            let shop = pair.shops()[number % 2].clone().with("Idempotency-Key", "order-17");
            let body = body.clone();
            tokio::spawn(async move { shop.post("/payments", &body).await.unwrap() })
        })
        .collect();
    let mut answers = BTreeSet::new();
    for one in asked {
        let answer = one.await.unwrap();
        // Every duplicate waits for the one that is under way, at whichever node that is.
        answer.must_be(200).unwrap();
        answers.insert(answer.text());
    }
    assert_eq!(answers.len(), 1, "duplicates were answered differently");
    let lines = pair.world.psp().unwrap().ledger().await.unwrap();
    assert_eq!(lines.len(), 2, "one authorization and one capture: {lines:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_killed_in_the_middle_of_a_call_is_taken_over_when_its_lease_ends() {
    let mut pair = Pair::start().await;
    let mut turn = 0;
    // A machine that was busy elsewhere may let the answer out before the kill; then it is tried with another payment.
    let (id, two) = loop {
        turn += 1;
        let key = format!("order-{turn}");
        let [one, two] = pair.shops().map(|shop| shop.with("Idempotency-Key", &key));
        pair.world.psp().unwrap().arm("slow", "authorize", 1, 700).await.unwrap();
        let id = format!("pay_taken_{turn}");
        let cut = call(&one, "/payments", paying(&id, 4200, "automatic"));
        let psp = pair.world.psp().unwrap();
        let charged = || async { Ok((!psp.ledger_of(&id).await?.is_empty()).then_some(())) };
        eventually("the charge", Duration::from_secs(60), charged).await.unwrap();
        pair.world.orchestrator.as_mut().unwrap().process().kill().unwrap();
        if cut.await.unwrap().is_none() {
            break (id, two);
        }
        assert!(turn < 10, "the node always died too late");
        pair.world.orchestrator.as_mut().unwrap().restart().await.unwrap();
    };
    let body = paying(&id, 4200, "automatic");
    // The duplicate waits until the node is known to be gone, and then learns what it left.
    let told = two.post("/payments", &body).await.unwrap().expect(200).unwrap();
    assert_eq!(told["payment_id"], id.as_str());
    assert_eq!(settled(&two, &id).await, "succeeded");
    assert_eq!(pair.moved(&id).await, moves(&[("authorize", 4200), ("capture", 4200)]));
    let again = two.post("/payments", &body).await.unwrap().expect(200).unwrap();
    assert_eq!(again["payment_id"], id.as_str());
    assert_eq!(pair.world.psp().unwrap().ledger().await.unwrap().len(), 2 * turn);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_that_die_in_turn_in_the_middle_of_calls_move_money_once() {
    let mut pair = Pair::start().await;
    for round in 0..KILLS {
        for operation in ["authorize", "capture"] {
            pair.world.psp().unwrap().arm("slow", operation, 1, HELD_MS).await.unwrap();
        }
        let shops = pair.shops();
        let (dying, living) = (&shops[round % 2], &shops[1 - round % 2]);
        let mut asked = vec![call(dying, "/payments", paying(&id(round), AMOUNT, "manual"))];
        if let Some(before) = round.checked_sub(1) {
            // Both nodes are asked for the same at once.
            for shop in [dying, living] {
                asked.push(call(shop, &format!("/payments/{}/capture", id(before)), json!({})));
            }
        }
        tokio::time::sleep(Duration::from_millis(10 + round as u64 * 53 % (HELD_MS + 100))).await;
        let node = if round % 2 == 0 { pair.world.orchestrator.as_mut().unwrap() } else { &mut pair.second };
        node.process().kill().unwrap();
        for task in asked {
            task.await.unwrap();
        }
        node.restart().await.unwrap();
    }
    let shop = pair.shops()[0].clone();
    let mut taken = 0;
    for round in 0..KILLS {
        if shop.get(&format!("/payments/{}", id(round))).await.unwrap().status == 404 {
            assert!(pair.moved(&id(round)).await.is_empty(), "money moved for a payment that was never stored");
            continue;
        }
        let state = settled(&shop, &id(round)).await;
        let expected = match state.as_str() {
            "succeeded" => moves(&[("authorize", AMOUNT), ("capture", AMOUNT)]),
            "requires_capture" => moves(&[("authorize", AMOUNT)]),
            "failed" => Vec::new(),
            other => panic!("{} says {other}", id(round)),
        };
        assert_eq!(pair.moved(&id(round)).await, expected, "{} says {state}", id(round));
        taken += usize::from(state != "failed");
    }
    assert!(taken > KILLS / 10, "only {taken} payments came through");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_crashes_under_load_loses_no_answer_and_charges_nobody_twice() {
    let pair = Pair::start().await;
    let tally = Arc::new(Tally::default());
    let load: Vec<_> = (0..WORKERS)
        .map(|worker| {
            let (shops, tally) = (pair.shops(), Arc::clone(&tally));
            tokio::spawn(async move {
                let mut answered = Vec::new();
                for number in 0.. {
                    if tally.over.load(Ordering::Relaxed) {
                        break;
                    }
                    let key = format!("order-{worker}-{number}");
                    let shop = shops[(worker + number) % 2].clone().with("Idempotency-Key", &key);
                    let body = paying(&format!("pay_load_{worker}_{number}"), AMOUNT, "automatic");
                    let answer = shop.post("/payments", &body).await.unwrap();
                    let count = if answer.status == 200 { &tally.taken } else { &tally.refused };
                    count.fetch_add(1, Ordering::Relaxed);
                    answered.push((key, body, answer));
                }
                answered
            })
        })
        .collect();
    // Moments counted in answers, so that slow machines test the same.
    for _ in 0..2 {
        more(&tally.taken, 20).await;
        pair.postgres.crash();
        more(&tally.refused, 6).await;
        pair.postgres.start_again();
    }
    more(&tally.taken, 20).await;
    tally.over.store(true, Ordering::Relaxed);
    let mut answered: Vec<(String, Value, Answer)> = Vec::new();
    for worker in load {
        answered.extend(worker.await.unwrap());
    }
    let [one, two] = pair.shops();
    for (key, body, answer) in &answered {
        let id = body["payment_id"].as_str().unwrap();
        if answer.status == 200 {
            let told = answer.json().unwrap();
            let found = one.get(&format!("/payments/{id}")).await.unwrap().expect(200).unwrap();
            // In doubt at the time of the answer, it may be known by now; an end is an end.
            if told["status"] != "processing" {
                assert_eq!(found["status"], told["status"], "{id} was answered and is no longer so");
            }
        } else {
            assert_eq!(answer.status, 503, "{}", answer.text());
            assert_eq!(answer.json().unwrap()["error"]["code"], "HE_00", "{}", answer.text());
            // The same request with the same key, at the other node: it is told what became of the first, or done now.
            let again = two.clone().with("Idempotency-Key", key).post("/payments", body).await.unwrap();
            assert_eq!(again.expect(200).unwrap()["payment_id"], id);
        }
    }
    for (_, body, _) in &answered {
        let id = body["payment_id"].as_str().unwrap();
        let expected = match settled(&two, id).await.as_str() {
            "succeeded" => moves(&[("authorize", AMOUNT), ("capture", AMOUNT)]),
            // Interrupted before the provider was asked to move money.
            "failed" => Vec::new(),
            other => panic!("{id} says {other}"),
        };
        assert_eq!(pair.moved(id).await, expected, "{id}");
    }
}

/// What was answered so far.
#[derive(Default)]
struct Tally {
    taken: AtomicUsize,
    refused: AtomicUsize,
    over: AtomicBool,
}

/// Waits until so many more were counted.
async fn more(count: &AtomicUsize, many: usize) {
    let before = count.load(Ordering::Relaxed);
    let counted = || async { Ok((count.load(Ordering::Relaxed) >= before + many).then_some(())) };
    eventually("more answers", Duration::from_secs(90), counted).await.unwrap();
}

fn paying(payment_id: &str, amount: i64, capture: &str) -> Value {
    json!({
        "payment_id": payment_id, "amount": amount, "currency": "EUR", "confirm": true, "capture_method": capture,
        "authentication_type": "no_three_ds", "payment_method": "card",
        "payment_method_data": { "card": {
            "card_number": card::VISA, "card_exp_month": "12", "card_exp_year": "2031", "card_cvc": "123"
        } },
    })
}

/// The status of the answer; `None` when the process died before there was one.
fn call(shop: &Client, path: &str, body: Value) -> JoinHandle<Option<u16>> {
    let (shop, path) = (shop.clone(), path.to_owned());
    tokio::spawn(async move { shop.post(&path, &body).await.ok().map(|answer| answer.status) })
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

fn moves(of: &[(&str, i64)]) -> Vec<(String, i64)> {
    of.iter().map(|(kind, amount)| ((*kind).to_owned(), *amount)).collect()
}

fn id(round: usize) -> String {
    format!("pay_turn_{round}")
}

const KILLS: usize = 20;
const AMOUNT: i64 = 4200;
/// How long the PSP holds its answer back, in milliseconds.
const HELD_MS: u64 = 300;
const WORKERS: usize = 6;
