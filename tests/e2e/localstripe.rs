//! The same flows against `localstripe`, a stateful Stripe stand-in that this project did not write.
//!
//! Its gaps, and how these tests meet them:
//! - It ignores `Idempotency-Key`, so nothing here repeats a request on purpose; the simulator judges that.
//! - It refuses `payment_method_data`, `return_url`, `description`, `setup_future_usage` and `automatic_payment_methods`
//!   with 400. The connector sends none of them unless it has to; the shop here asks for nothing that makes it.
//! - It takes no card without a CVC, so a saved card is paid with together with its CVC.
//! - A partial capture shows as an automatic refund of the rest.
//! - It knows no Amex and no ledger; its own list of payment intents is asked for what was captured.
//! - Its command line binds every interface and pickles what it was sent; `localstripe_loopback.py` does neither.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;

use serde_json::{Value, json};
use strongroom_tests::harness::{Client, OrchestratorPlan, Process, Shop, World, WorldPlan, card, with_card, word};

#[tokio::test]
async fn a_new_customer_pays_and_comes_back() {
    let (stand_in, world) = started().await;
    let shop = Shop::of(&world).unwrap();
    let paid = pay(&shop, 4200, Some("cus_ada"), card::VISA, keep()).await;
    assert_eq!((paid["status"].as_str(), paid["amount_received"].as_i64()), (Some("succeeded"), Some(4200)), "{paid}");
    let mut wanted = plain();
    wanted["setup_future_usage"] = keep()["setup_future_usage"].clone();
    let again = shop.begin(999, Some("cus_ada"), wanted).await.unwrap();
    let saved = shop.saved(&again).await.unwrap();
    assert_eq!(saved[0]["payment_method_id"], paid["payment_method_id"]);
    // It takes no card without a CVC, so the customer types that again.
    let with = json!({
        "payment_token": word(&saved[0], "payment_token").unwrap(),
        "payment_method_data": { "card_token": { "card_cvc": "123" } },
    });
    let paid = shop.confirm(&again, with).await.unwrap();
    assert_eq!(paid["status"], "succeeded", "{paid}");
    assert_eq!(stand_in.captured().await, [999, 4200]);
}

#[tokio::test]
async fn a_decline_is_a_decline() {
    let (stand_in, world) = started().await;
    let shop = Shop::of(&world).unwrap();
    let refused = pay(&shop, 5000, None, DECLINED, json!({})).await;
    assert_eq!(
        (refused["status"].as_str(), refused["error_code"].as_str()),
        (Some("failed"), Some("card_declined")),
        "{refused}"
    );
    assert_eq!(stand_in.captured().await, Vec::<i64>::new());
}

#[tokio::test]
async fn an_authorization_is_captured_cancelled_and_refunded() {
    let (stand_in, world) = started().await;
    let shop = Shop::of(&world).unwrap();
    let manual = || json!({ "capture_method": "manual" });
    let held = pay(&shop, 2000, None, card::MASTERCARD, manual()).await;
    assert_eq!(held["status"], "requires_capture", "{held}");
    let id = word(&held, "payment_id").unwrap();
    let captured =
        shop.server().post(&format!("/payments/{id}/capture"), &json!({})).await.unwrap().expect(200).unwrap();
    assert_eq!(captured["status"], "succeeded", "{captured}");
    let refund = json!({ "payment_id": id, "amount": 500 });
    let refunded = shop.server().post("/refunds", &refund).await.unwrap().expect(200).unwrap();
    assert_eq!(refunded["status"], "succeeded", "{refunded}");

    let held = pay(&shop, 3000, None, card::VISA, manual()).await;
    let id = word(&held, "payment_id").unwrap();
    let cancelled =
        shop.server().post(&format!("/payments/{id}/cancel"), &json!({})).await.unwrap().expect(200).unwrap();
    assert_eq!(cancelled["status"], "cancelled", "{cancelled}");
    assert_eq!(stand_in.captured().await, [2000]);
}

/// A running localstripe.
struct StandIn {
    // The process ends before its folder is removed.
    _process: Process,
    client: Client,
    _folder: tempfile::TempDir,
}

impl StandIn {
    /// The amount of every payment intent that succeeded, smallest first: its list is in no order.
    async fn captured(&self) -> Vec<i64> {
        let list = self.client.get("/v1/payment_intents?limit=100").await.unwrap().expect(200).unwrap();
        let succeeded = list["data"].as_array().unwrap().iter().filter(|intent| intent["status"] == "succeeded");
        let mut captured: Vec<i64> = succeeded.map(|intent| intent["amount"].as_i64().unwrap()).collect();
        captured.sort_unstable();
        captured
    }
}

/// localstripe with the world's own certificates, and an orchestrator that takes it for its PSP.
async fn started() -> (StandIn, World) {
    let kept = tempfile::tempdir().unwrap();
    let folder = kept.path();
    let pki = strongroom_tests::harness::Pki::new(folder.join("psp-pki")).unwrap();
    let server = pki.server("localstripe").unwrap();
    let ready = folder.join("localstripe-ready");
    let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("e2e/localstripe_loopback.py");
    let mut command = Command::new(python());
    command.arg(script).arg(&server.certificate).arg(&server.key).arg(&ready);
    let mut process = Process::start("localstripe", &mut command, &folder.join("localstripe.log")).unwrap();
    let at: SocketAddr = process.ready(&ready).await.unwrap().trim().parse().unwrap();
    let client = Client::new(&pki, at, None)
        .unwrap()
        .with("Authorization", format!("Bearer {}", strongroom_tests::harness::API_KEY));
    let orchestrator = OrchestratorPlan {
        psp_base: Some(client.base().to_owned()),
        psp_ca: Some(pki.ca()),
        ..OrchestratorPlan::default()
    };
    let world = World::start(WorldPlan { payments: true, orchestrator, ..WorldPlan::default() }).await.unwrap();
    (StandIn { _process: process, client, _folder: kept }, world)
}

/// The Python of the environment that `cargo xtask test` makes.
pub(super) fn python() -> PathBuf {
    let made = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../target/python/bin/python");
    let python = std::env::var_os("STRONGROOM_PYTHON").map_or(made, PathBuf::from);
    assert!(fs::exists(&python).unwrap(), "the Python packages are not installed: `cargo xtask test` installs them");
    python
}

async fn pay(shop: &Shop, amount: i64, customer: Option<&str>, number: &str, more: Value) -> Value {
    let mut wanted = plain();
    if let (Value::Object(wanted), Value::Object(more)) = (&mut wanted, more) {
        wanted.extend(more);
    }
    let checkout = shop.begin(amount, customer, wanted).await.unwrap();
    let session = shop.vault_session(&checkout).await.unwrap();
    let stored = shop.post_card(&session, number, "123").await.unwrap();
    shop.confirm(&checkout, with_card(&stored).unwrap()).await.unwrap()
}

/// Keep the card for a customer who will be there again; the connector says `off_session` to the PSP and nothing for this.
fn keep() -> Value {
    json!({ "setup_future_usage": "on_session" })
}

/// Declined when it is charged. The usual `4000000000000002` is declined here only when it is attached to a customer of
/// the PSP, which nothing here does.
const DECLINED: &str = "4000000000000341";

/// Nothing that localstripe refuses.
fn plain() -> Value {
    json!({ "return_url": null })
}
