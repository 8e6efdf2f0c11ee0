//! The orchestrator's disk takes nothing more while payments run: none is acknowledged that is not kept, none is made twice,
//! and when there is room again all that were under way come to their end by themselves.

use std::time::Duration;

use serde_json::{Value, json};
use strongroom_tests::harness::{
    Answer, Checkout, OrchestratorPlan, Result, Shop, World, WorldPlan, card, eventually, with_card, word,
};
use tokio::task::JoinHandle;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn payments_under_way_outlive_a_full_disk_and_nothing_is_paid_twice() {
    let plan = OrchestratorPlan::default();
    let orchestrator = OrchestratorPlan { survives_file_size_limit: true, psp_total_ms: 2 * SLOW_MS, ..plan };
    let mut world = World::start(WorldPlan { payments: true, orchestrator, ..WorldPlan::default() }).await.unwrap();
    let shop = Shop::of(&world).unwrap();
    let mut waiting = Vec::new();
    for turn in 0..PAYMENTS {
        waiting.push(ready(&shop, AMOUNT + turn).await);
    }
    let (later, late_card) = ready(&shop, AMOUNT + PAYMENTS).await;
    let psp = world.psp().unwrap();
    psp.arm("slow", "authorize", u32::try_from(PAYMENTS).unwrap(), SLOW_MS).await.unwrap();
    let asked: Vec<_> = waiting.iter().map(|(checkout, stored)| confirm(&shop, checkout, stored)).collect();
    // The provider has charged all of them and answers in a moment: the disk is full before it does.
    let charged = eventually("every charge", WITHIN, || async {
        let lines = world.psp()?.ledger().await?;
        Ok((lines.iter().filter(|line| line.kind == "authorize").count() >= waiting.len()).then_some(()))
    });
    charged.await.unwrap();
    limit(&mut world, Some(4096));
    for ended in asked {
        refused(&ended.await.unwrap().unwrap());
    }
    // What begins now charges nobody.
    refused(&confirm(&shop, &later, &late_card).await.unwrap().unwrap());
    assert_eq!(moved(&world, &later.payment_id).await, []);
    for (checkout, _) in &waiting {
        let told = shop.payment(&checkout.payment_id).await.unwrap();
        assert_eq!(told["status"], "processing", "what a full disk did not take is told as settled: {told}");
    }

    limit(&mut world, None);
    // By themselves: nobody restarts anything and nobody asks for them.
    for (turn, (checkout, _)) in (0i64..).zip(&waiting) {
        let status = eventually("a payment to be settled", WITHIN, || async {
            let status = word(&shop.payment(&checkout.payment_id).await?, "status")?;
            Ok((status != "processing").then_some(status))
        });
        assert_eq!(status.await.unwrap(), "succeeded");
        let once = [("authorize".to_owned(), AMOUNT + turn), ("capture".to_owned(), AMOUNT + turn)];
        assert_eq!(moved(&world, &checkout.payment_id).await, once);
    }
    let paid = shop.pay_new(AMOUNT, Some("cus_after"), card::VISA, json!({})).await.unwrap();
    assert_eq!(paid["status"], "succeeded", "{paid}");

    // What was acknowledged is on the disk.
    let orchestrator = world.orchestrator.as_mut().unwrap();
    orchestrator.process().kill().unwrap();
    orchestrator.restart().await.unwrap();
    for (checkout, _) in &waiting {
        assert_eq!(shop.payment(&checkout.payment_id).await.unwrap()["status"], "succeeded");
    }
}

async fn ready(shop: &Shop, amount: i64) -> (Checkout, Value) {
    let checkout = shop.begin(amount, Some(&format!("cus_{amount}")), json!({})).await.unwrap();
    let session = shop.vault_session(&checkout).await.unwrap();
    let stored = shop.post_card(&session, card::VISA, "123").await.unwrap();
    (checkout, stored)
}

fn confirm(shop: &Shop, checkout: &Checkout, stored: &Value) -> JoinHandle<Result<Answer>> {
    let path = format!("/payments/{}/confirm", checkout.payment_id);
    let mut body = with_card(stored).unwrap();
    body["client_secret"] = json!(checkout.client_secret);
    body["payment_method"] = json!("card");
    let page = shop.page().clone();
    tokio::spawn(async move { page.post(&path, &body).await })
}

fn refused(answer: &Answer) {
    assert_eq!(answer.status, 503, "{}", answer.text());
    assert!(answer.header("retry-after").is_some(), "{}", answer.text());
}

fn limit(world: &mut World, bytes: Option<u64>) {
    world.orchestrator.as_mut().unwrap().process().limit_file_size(bytes).unwrap();
}

async fn moved(world: &World, id: &str) -> Vec<(String, i64)> {
    let lines = world.psp().unwrap().ledger_of(id).await.unwrap();
    lines.into_iter().map(|line| (line.kind, line.amount)).collect()
}

const PAYMENTS: i64 = 4;
const AMOUNT: i64 = 4200;
/// How late the provider answers: long enough to fill the disk meanwhile, also on a busy machine, and before anybody gives up.
const SLOW_MS: u64 = 20_000;
const WITHIN: Duration = Duration::from_secs(90);
