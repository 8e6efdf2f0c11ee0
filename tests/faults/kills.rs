//! orchestratord is killed a hundred times in the middle of calls to the PSP: authorizations, captures and refunds. Each
//! happens once, and what a payment says agrees with the PSP's ledger.

use std::time::Duration;

use serde_json::{Value, json};
use strongroom_tests::harness::{Client, World, card, eventually, word};
use tokio::task::JoinHandle;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_kills_in_the_middle_of_calls_move_money_once() {
    let mut world = World::with_payments().await.unwrap();
    let mut interrupted = 0;
    for round in 0..KILLS {
        let server = world.payments().unwrap().shop();
        // The PSP has done its work and holds the answer back; now and then it fails or hangs up as well.
        for operation in ["authorize", "capture", "refund"] {
            let fault = if round % 5 == 4 { "drop_after" } else { "slow" };
            world.psp().unwrap().arm(fault, operation, 1, HELD_MS).await.unwrap();
        }
        let mut asked = vec![pay(&server, round)];
        if let Some(before) = round.checked_sub(1) {
            asked.push(call(&server, &format!("/payments/{}/capture", id(before)), json!({})));
        }
        if let Some(before) = round.checked_sub(2) {
            let refund =
                json!({ "payment_id": id(before), "refund_id": format!("ref_kill_{before}"), "amount": REFUND });
            asked.push(call(&server, "/refunds", refund));
        }
        // Before, during and after the PSP's work, in a different place each time.
        tokio::time::sleep(Duration::from_millis(10 + round * 37 % (HELD_MS + 100))).await;
        let orchestrator = world.orchestrator.as_mut().unwrap();
        orchestrator.process().kill().unwrap();
        for task in asked {
            interrupted += u64::from(task.await.unwrap().is_none());
        }
        orchestrator.restart().await.unwrap();
    }
    assert!(interrupted >= KILLS, "only {interrupted} calls were interrupted: the kills came too late or too early");
    let mut states = std::collections::BTreeMap::<String, u32>::new();
    for round in 0..KILLS {
        if let Some(state) = agrees(&world, round).await {
            *states.entry(state).or_default() += 1;
        }
    }
    let succeeded = states.get("succeeded").copied().unwrap_or(0);
    assert!(succeeded > 5, "too few payments went through to say anything: {states:?}");
}

/// Begins a payment; every other one is captured by a later call.
fn pay(server: &Client, round: u64) -> JoinHandle<Option<u16>> {
    let capture = if round.is_multiple_of(2) { "manual" } else { "automatic" };
    let body = json!({
        "payment_id": id(round), "amount": AMOUNT, "currency": "EUR", "confirm": true, "capture_method": capture,
        "authentication_type": "no_three_ds", "payment_method": "card",
        "payment_method_data": { "card": {
            "card_number": card::VISA, "card_exp_month": "12", "card_exp_year": "2031", "card_cvc": "123"
        } },
    });
    call(server, "/payments", body)
}

/// The status of the answer; `None` when the process died before there was one.
fn call(server: &Client, path: &str, body: Value) -> JoinHandle<Option<u16>> {
    let (server, path) = (server.clone(), path.to_owned());
    tokio::spawn(async move { server.post(&path, &body).await.ok().map(|answer| answer.status) })
}

/// Holds one payment against the ledger, once nothing is under way any more; answers its state. `None`: the process died
/// before the payment was stored.
async fn agrees(world: &World, round: u64) -> Option<String> {
    let server = world.payments().unwrap().shop();
    let path = format!("/payments/{}", id(round));
    let last = std::sync::Mutex::new(Value::Null);
    let settled = eventually("the payment to settle", Duration::from_secs(60), || async {
        let answer = server.get(&path).await?;
        if answer.status == 404 {
            return Ok(Some(None));
        }
        let payment = answer.expect(200)?;
        let refunds = payment["refunds"].as_array().cloned().unwrap_or_default();
        let open = payment["status"] == "processing" || refunds.iter().any(|refund| refund["status"] == "pending");
        *last.lock().unwrap() = payment.clone();
        Ok((!open).then_some(Some(payment)))
    });
    let lines = world.psp().unwrap().ledger_of(&id(round)).await.unwrap();
    let settled = settled.await.unwrap_or_else(|why| panic!("{why}: {}", last.lock().unwrap()));
    let Some(payment) = settled else {
        assert!(lines.is_empty(), "{}: money moved for a payment that was never stored", id(round));
        return None;
    };
    // What was under way when the ledger was read first is in it now.
    let lines = world.psp().unwrap().ledger_of(&id(round)).await.unwrap();
    let of = |kind: &str| lines.iter().filter(|line| line.kind == kind).map(|line| line.amount).collect::<Vec<_>>();
    let state = word(&payment, "status").unwrap();
    let (authorized, captured): (&[i64], &[i64]) = match state.as_str() {
        "succeeded" => (&[AMOUNT], &[AMOUNT]),
        "requires_capture" => (&[AMOUNT], &[]),
        "failed" | "requires_payment_method" => (&[], &[]),
        other => panic!("{} says {other}", id(round)),
    };
    assert_eq!((&*of("authorize"), &*of("capture")), (authorized, captured), "{} says {state}", id(round));
    let refunds =
        payment["refunds"].as_array().unwrap().iter().filter(|refund| refund["status"] == "succeeded").count();
    assert_eq!(of("refund"), vec![REFUND; refunds], "{}: refunds", id(round));
    Some(state)
}

fn id(round: u64) -> String {
    format!("pay_kill_{round}")
}

const KILLS: u64 = 100;
const AMOUNT: i64 = 4200;
const REFUND: i64 = 700;
/// How long the PSP holds its answer back, in milliseconds.
const HELD_MS: u64 = 300;
