//! Forward while something breaks in the middle: what was sent is never taken for what was not, and nothing is sent twice
//! without the same key.

use std::sync::Arc;
use std::time::Duration;

use rusqlite::{Connection, TransactionBehavior};
use serde_json::{Value, json};
use strongroom_tests::harness::{
    Answer, Client, DestinationPlan, Peer, Reply, Result, VaultPlan, World, WorldPlan, eventually,
};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

/// A world with a peer that answers when it is told to, and a template for a stored card.
struct Held {
    world: World,
    release: Client,
    peer: Peer,
    told: Arc<Notify>,
    template: Value,
}

impl Held {
    async fn begin() -> Self {
        let vault = VaultPlan { destinations: Vec::new(), ..VaultPlan::default() };
        let mut world = World::start(WorldPlan { vault, ..WorldPlan::default() }).await.unwrap();
        let told = Arc::new(Notify::new());
        let teller = Arc::clone(&told);
        let act = move |_: &str| Reply::When(Arc::clone(&teller), "{\"paid\":true}".into());
        let peer = Peer::beside(&mut world, DestinationPlan::new("psp", ""), act).await.unwrap();
        let release = world.release().await.unwrap();
        let card = json!({"type": "card", "card": {"number": "4242424242424242", "exp_month": 12, "exp_year": 2031}});
        let stored = release.post("/v1/payment_methods", &card).await.unwrap().expect(201).unwrap();
        let template = json!({
            "destination": "psp",
            "method": "POST",
            "path": "/v1/pay",
            "body": {"form": [["number", "{{card.number}}"]]},
            "payment_method_id": stored["payment_method_id"],
            "reference": "pay_1",
            "idempotency_key": "order-1",
        });
        Self { world, release, peer, told, template }
    }

    /// Has the request on its way: the peer has all of it and says nothing yet.
    async fn on_its_way(&self) -> JoinHandle<Result<Answer>> {
        let (release, template, before) = (self.release.clone(), self.template.clone(), self.peer.heard().len());
        let asked = tokio::spawn(async move { release.post("/v1/forward", &template).await });
        self.heard(before + 1).await;
        asked
    }

    async fn heard(&self, count: usize) {
        let heard = eventually("a request at the peer", PATIENCE, || async {
            Ok((self.peer.heard().len() == count).then_some(()))
        });
        heard.await.unwrap();
    }

    /// Outcomes and notes of forwards, oldest first.
    async fn entries(&self) -> Vec<String> {
        let security = self.world.security().await.unwrap();
        let page = security.get("/v1/audit/entries?limit=1000").await.unwrap().expect(200).unwrap();
        let entries = page["entries"].as_array().unwrap();
        let word = |entry: &Value, field: &str| entry[field].as_str().unwrap_or_default().to_owned();
        let ours = entries.iter().filter(|entry| entry["act"] == "forward");
        ours.map(|entry| format!("{}: {}", word(entry, "outcome"), word(entry, "note"))).collect()
    }
}

#[tokio::test]
async fn a_caller_who_goes_away_changes_nothing_about_what_was_sent() {
    let held = Held::begin().await;
    let asked = held.on_its_way().await;
    asked.abort();
    let _gone = asked.await;
    // Long enough for the vault to notice that nobody listens any more.
    tokio::time::sleep(Duration::from_millis(300)).await;
    held.told.notify_one();
    let ended =
        eventually("the second entry", PATIENCE, || async { Ok((held.entries().await.len() == 2).then_some(())) });
    ended.await.unwrap();
    assert_eq!(held.entries().await, ["allowed: psp pay_1", "ended: sent 2xx psp pay_1"]);
    // Asked again under its key it is answered, and not sent.
    let again = eventually("the kept answer", PATIENCE, || async {
        let answer = held.release.post("/v1/forward", &held.template).await?;
        Ok((answer.status == 200).then_some(answer))
    });
    let again = again.await.unwrap();
    assert_eq!(again.header("idempotent-replayed"), Some("true"));
    assert_eq!(again.json().unwrap()["body"], "{\"paid\":true}");
    assert_eq!(held.peer.heard().len(), 1);
}

#[tokio::test]
async fn a_vault_that_was_killed_while_it_sent_sends_again_under_the_same_key() {
    let mut held = Held::begin().await;
    let asked = held.on_its_way().await;
    held.world.vault.process().kill().unwrap();
    assert!(asked.await.unwrap().is_err(), "a vault that was killed answered");
    held.world.vault.restart().await.unwrap();
    held.release = held.world.release().await.unwrap();
    assert_eq!(held.entries().await, ["allowed: psp pay_1"], "the entry that says where the card went is lost");
    let mut other = held.template.clone();
    other["path"] = "/v1/pay_more".into();
    held.release.post("/v1/forward", &other).await.unwrap().must_be(409).unwrap();
    let asked = held.on_its_way().await;
    held.told.notify_waiters();
    asked.await.unwrap().unwrap().must_be(200).unwrap();
    let heard = held.peer.heard();
    assert_eq!(heard.len(), 2);
    assert!(heard.iter().all(|request| request.contains("idempotency-key: order-1\r\n")));
}

#[tokio::test]
async fn a_log_that_breaks_after_the_card_was_sent_does_not_make_it_unsent() {
    let held = Held::begin().await;
    let asked = held.on_its_way().await;
    // Somebody else holds the log's file: vaultd can read it and not write.
    let mut other = Connection::open(held.world.vault.audit_file()).unwrap();
    let taken = other.transaction_with_behavior(TransactionBehavior::Immediate).unwrap();
    held.told.notify_one();
    let answer = asked.await.unwrap().unwrap().expect(200).unwrap();
    assert_eq!((&answer["outcome"], &answer["status"]), (&json!("sent"), &json!(200)));
    // Nothing more leaves while it is so.
    let mut next = held.template.clone();
    next["idempotency_key"] = "order-2".into();
    let refused = held.release.post("/v1/forward", &next).await.unwrap();
    assert_eq!((refused.status, refused.problem().as_str()), (503, "not-recorded"));
    assert_eq!(held.peer.heard().len(), 1);
    drop(taken);
    let log = std::fs::read_to_string(held.world.vault.log()).unwrap();
    assert!(log.contains("the outcome of a forwarded request was not recorded"), "{log}");
    let entries = held.entries().await;
    assert_eq!(entries.first().map(String::as_str), Some("allowed: psp pay_1"));
}

const PATIENCE: Duration = Duration::from_secs(20);
