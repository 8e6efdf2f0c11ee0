//! In forward mode the vault sends cards to the PSP itself: no card number is in the orchestrator's memory, log or store,
//! before, while or after it pays with them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};
use strongroom_tests::harness::{OrchestratorPlan, Shop, World, WorldPlan, card, with_card, word};

use crate::cards::Card;
use crate::files::look_at_files;
use crate::memory::search_process;
use crate::search::{Found, Search};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_card_is_ever_in_an_orchestrator_whose_vault_forwards() {
    let orchestrator = OrchestratorPlan { forwards: true, ..OrchestratorPlan::default() };
    let plan = WorldPlan { payments: true, orchestrator, ..WorldPlan::default() };
    let mut world = World::start(plan).await.unwrap();
    let cards: Vec<Card> = NUMBERS.map(|number| Card { number: number.to_owned(), cvc: "123".to_owned() }).to_vec();
    let process = world.orchestrator.as_mut().unwrap().process().id();

    // The search never stops while payments run, so that a card that is there for one call alone is found too.
    let over = Arc::new(AtomicBool::new(false));
    let (ended, looked_for) = (Arc::clone(&over), cards.clone());
    let watch = std::thread::spawn(move || {
        let mut rounds = 0;
        while !ended.load(Ordering::SeqCst) {
            let found = search_process(process, &looked_for);
            assert!(found.is_nothing(), "while it pays: {}:\n{}", found.summary(), found.places.join("\n"));
            rounds += 1;
        }
        rounds
    });
    let mut states = Vec::new();
    for round in 0..ROUNDS {
        for number in NUMBERS {
            if round == 1 {
                world.psp().unwrap().arm("decline", "authorize", 1, 0).await.unwrap();
            }
            states.push(word(&pay(&world, number, round).await, "status").unwrap());
        }
    }
    over.store(true, Ordering::SeqCst);
    let rounds = watch.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    assert!(rounds >= 3, "the memory was searched {rounds} times while payments ran");
    for expected in ["succeeded", "requires_capture", "failed", "requires_customer_action"] {
        assert!(states.iter().any(|state| state == expected), "no payment came to {expected}: {states:?}");
    }

    let after = search_process(process, &cards);
    assert!(after.is_nothing(), "afterwards: {}:\n{}", after.summary(), after.places.join("\n"));
    let (search, mut found) = (Search::new(&cards), Found::default());
    let files = look_at_files(world.path(), &search, &mut found);
    for end in ["orchestrator.db", "orchestrator.db-wal"] {
        assert!(files.iter().any(|path| path.ends_with(end)), "{end} was not searched");
    }
    assert!(found.is_nothing(), "{}:\n{}", found.summary(), found.places.join("\n"));
    println!("{} payments, memory searched {rounds} times meanwhile, {} files: no card", states.len(), files.len());
}

#[tokio::test]
async fn card_number_or_cvc_in_clear_is_refused_where_the_vault_forwards() {
    let orchestrator = OrchestratorPlan { forwards: true, ..OrchestratorPlan::default() };
    let world = World::start(WorldPlan { payments: true, orchestrator, ..WorldPlan::default() }).await.unwrap();
    let server = world.payments().unwrap().shop();
    let typed = json!({
        "card_number": card::VISA, "card_exp_month": "12", "card_exp_year": "2031", "card_cvc": "123"
    });
    for body in [
        json!({ "payment_method_data": { "card": typed } }),
        json!({ "payment_token": "token_x", "card_cvc": "123" }),
        json!({ "payment_token": "token_x", "payment_method_data": { "card_token": { "card_cvc": "123" } } }),
    ] {
        let mut whole = json!({ "amount": 1000, "currency": "EUR", "confirm": true, "payment_method": "card" });
        whole.as_object_mut().unwrap().extend(body.as_object().unwrap().clone());
        let answer = server.post("/payments", &whole).await.unwrap();
        assert_eq!(answer.status, 400, "{}", answer.text());
        let refused: Value = serde_json::from_str(&answer.text()).unwrap();
        assert_eq!(refused["error"]["code"], "IR_19");
        assert!(refused["error"]["message"].as_str().unwrap().contains("vault_session"), "{refused}");
    }
    assert!(world.psp().unwrap().ledger().await.unwrap().is_empty());
}

/// A new customer pays, and one whose card was kept pays again, with captures and refunds in between.
async fn pay(world: &World, number: &str, round: usize) -> Value {
    let shop = Shop::of(world).unwrap();
    let capture = if round.is_multiple_of(2) { "automatic" } else { "manual" };
    let more = json!({ "capture_method": capture });
    let customer = format!("cus_{}", &number[12..]);
    let paid = shop.pay_new(4200, Some(&customer), number, more).await.unwrap();
    let id = word(&paid, "payment_id").unwrap();
    match paid["status"].as_str().unwrap() {
        "requires_capture" if round > 1 => {
            shop.server().post(&format!("/payments/{id}/capture"), &json!({})).await.unwrap().must_be(200).unwrap();
        }
        "succeeded" => {
            let refund = json!({ "payment_id": id, "amount": 700 });
            shop.server().post("/refunds", &refund).await.unwrap().must_be(200).unwrap();
            again(&shop, &customer, &paid).await;
        }
        _ => {}
    }
    paid
}

/// By the kept card, without and with the payer.
async fn again(shop: &Shop, customer: &str, paid: &Value) {
    let Ok(kept) = word(paid, "payment_method_id") else { return };
    let body = json!({
        "amount": 900, "currency": "EUR", "confirm": true, "off_session": true, "customer_id": customer,
        "authentication_type": "no_three_ds", "recurring_details": { "type": "payment_method_id", "data": kept },
    });
    let alone = shop.server().post("/payments", &body).await.unwrap().expect(200).unwrap();
    assert_eq!(alone["status"], "succeeded", "{alone}");
    let checkout = shop.begin(800, Some(customer), json!({})).await.unwrap();
    let session = shop.vault_session(&checkout).await.unwrap();
    let stored = shop.post_card(&session, card::VISA, "123").await.unwrap();
    shop.confirm(&checkout, with_card(&stored).unwrap()).await.unwrap();
}

/// Published test numbers: two that are approved, one that asks for authentication, two more. None is mostly zeros, because
/// such a number, two digits to a byte, stands in any memory by chance.
const NUMBERS: [&str; 5] = [card::VISA, card::MASTERCARD, card::THREE_DS, "3566002020360505", "6011111111111117"];
const ROUNDS: usize = 4;
