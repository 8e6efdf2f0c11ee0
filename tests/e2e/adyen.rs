//! A shop that pays at Adyen: real processes, the simulator's Adyen, and its webhooks, which alone tell what became of
//! captures, cancellations and refunds.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use strongroom_tests::harness::{API_KEY, LedgerLine, Shop, World, card, eventually, word};

/// A world whose merchant pays at Adyen, and the account's id.
struct Adyen {
    world: World,
    shop: Shop,
    account: String,
}

/// A key as Adyen shows it.
fn key() -> String {
    "4b".repeat(32)
}

impl Adyen {
    async fn start(merchant_account: &str) -> Self {
        let world = World::with_payments().await.unwrap();
        let shop = Shop::of(&world).unwrap();
        let orchestrator = world.payments().unwrap();
        let merchant = orchestrator.merchant.id.clone();
        let wanted = json!({
            "connector_type": "payment_processor",
            "connector_name": "adyen",
            "connector_account_details": { "auth_type": "BodyKey", "api_key": API_KEY, "key1": merchant_account },
            "connector_webhook_details": { "merchant_secret": key() },
        });
        let made = orchestrator.operator().post(&format!("/account/{merchant}/connectors"), &wanted).await.unwrap();
        let account = word(&made.expect(200).unwrap(), "merchant_connector_id").unwrap();
        let adyen = Self { world, shop, account };
        let target = json!({
            "provider": "adyen",
            "url": format!("https://localhost:{}{}", adyen.world.payments().unwrap().at().port(), adyen.webhook_path()),
            "secret": key(),
            "ca": fs::read_to_string(adyen.world.pki.ca()).unwrap(),
        });
        let psp = adyen.world.psp.as_ref().unwrap();
        psp.client().post("/webhooks", &target).await.unwrap().must_be(200).unwrap();
        adyen
    }

    fn webhook_path(&self) -> String {
        format!("/webhooks/{}/{}", self.world.payments().unwrap().merchant.id, self.account)
    }

    async fn pay(&self, number: &str, more: Value) -> Value {
        let mut wanted = json!({ "connector": ["adyen"] });
        wanted.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.shop.pay_new(4200, None, number, wanted).await.unwrap()
    }

    /// Asks the orchestrator for something and answers the payment or refund.
    async fn post(&self, path: &str, body: Value) -> Value {
        self.shop.server().post(path, &body).await.unwrap().expect(200).unwrap()
    }

    /// The payment, once it has this status.
    async fn payment(&self, id: &str, status: &str) -> Value {
        let what = format!("{id} to be {status}");
        let found = eventually(&what, PATIENCE, || async {
            let payment = self.shop.payment(id).await?;
            Ok((payment["status"] == status).then_some(payment))
        });
        found.await.unwrap()
    }

    /// The kinds and amounts of the payment's movements of money.
    async fn moved(&self, id: &str) -> Vec<(String, i64)> {
        let psp = self.world.psp.as_ref().unwrap();
        let lines: Vec<LedgerLine> = psp.ledger_of(id).await.unwrap();
        lines.into_iter().map(|line| (line.kind, line.amount)).collect()
    }
}

fn id(payment: &Value) -> String {
    word(payment, "payment_id").unwrap()
}

fn lines(moved: &[(&str, i64)]) -> Vec<(String, i64)> {
    moved.iter().map(|(kind, amount)| ((*kind).to_owned(), *amount)).collect()
}

#[tokio::test]
async fn customer_pays_at_adyen_and_comes_back_with_the_saved_card() {
    let adyen = Adyen::start("Shop").await;
    let wanted = json!({ "connector": ["adyen"] });
    let paid = adyen.shop.pay_new(4200, Some("cus_ada"), card::VISA, wanted.clone()).await.unwrap();
    assert_eq!((&paid["status"], &paid["connector"]), (&json!("succeeded"), &json!("adyen")), "{paid}");
    assert_eq!(adyen.moved(&id(&paid)).await, lines(&[("authorize", 4200), ("capture", 4200)]));
    let again = adyen.shop.begin(900, Some("cus_ada"), wanted).await.unwrap();
    let saved = adyen.shop.saved(&again).await.unwrap();
    let with = json!({ "payment_token": word(&saved[0], "payment_token").unwrap() });
    let paid = adyen.shop.confirm(&again, with).await.unwrap();
    assert_eq!(paid["status"], "succeeded", "{paid}");
    assert_eq!(adyen.moved(&id(&paid)).await, lines(&[("authorize", 900), ("capture", 900)]));
}

#[tokio::test]
async fn capture_and_refunds_are_done_when_adyens_webhook_says_so() {
    let adyen = Adyen::start("Shop").await;
    let held = adyen.pay(card::MASTERCARD, json!({ "capture_method": "manual" })).await;
    assert_eq!(held["status"], "requires_capture", "{held}");
    let id = id(&held);
    adyen.post(&format!("/payments/{id}/capture"), json!({})).await;
    let paid = adyen.payment(&id, "succeeded").await;
    assert_eq!(paid["amount_received"], 4200, "{paid}");
    let refund = adyen.post("/refunds", json!({ "payment_id": id, "amount": 1200 })).await;
    let refund_id = word(&refund, "refund_id").unwrap();
    let done = eventually("the refund", PATIENCE, || async {
        let refund = adyen.shop.server().get(&format!("/refunds/{refund_id}")).await?.expect(200)?;
        Ok((refund["status"] == "succeeded").then_some(()))
    });
    done.await.unwrap();
    assert_eq!(adyen.moved(&id).await, lines(&[("authorize", 4200), ("capture", 4200), ("refund", 1200)]));
}

#[tokio::test]
async fn cancellation_is_done_when_adyens_webhook_says_so() {
    let adyen = Adyen::start("Shop").await;
    let held = adyen.pay(card::VISA, json!({ "capture_method": "manual" })).await;
    let id = id(&held);
    adyen.post(&format!("/payments/{id}/cancel"), json!({})).await;
    adyen.payment(&id, "cancelled").await;
    assert_eq!(adyen.moved(&id).await, lines(&[("authorize", 4200), ("cancel", 4200)]));
}

#[tokio::test]
async fn payment_is_captured_in_several_parts_where_adyen_allows_it() {
    let adyen = Adyen::start("Shop_MultipleCaptures").await;
    let held = adyen.pay(card::VISA, json!({ "capture_method": "manual_multiple" })).await;
    let id = id(&held);
    adyen.post(&format!("/payments/{id}/capture"), json!({ "amount_to_capture": 1000 })).await;
    adyen.payment(&id, "partially_captured_and_capturable").await;
    adyen.post(&format!("/payments/{id}/capture"), json!({ "amount_to_capture": 3200 })).await;
    adyen.payment(&id, "succeeded").await;
    assert_eq!(adyen.moved(&id).await, lines(&[("authorize", 4200), ("capture", 1000), ("capture", 3200)]));
}

/// A payer who was sent to authenticate and has pressed a button; answers the payment's id, and the path that the browser
/// comes back on.
async fn back_from_the_page(adyen: &Adyen, button: &str) -> (String, String) {
    let asked = adyen.pay(card::THREE_DS, json!({ "authentication_type": "three_ds" })).await;
    assert_eq!(asked["status"], "requires_customer_action", "{asked}");
    let page = word(&asked["next_action"], "redirect_to_url").unwrap();
    let back = adyen.world.psp.as_ref().unwrap().click(&page, button).await.unwrap();
    assert_eq!(adyen.moved(&id(&asked)).await, lines(&[]), "money moved before the shop went on");
    let way = adyen.world.payments().unwrap().anyone().base().to_owned();
    (id(&asked), back.strip_prefix(&way).expect("the browser comes back to the orchestrator").to_owned())
}

#[tokio::test]
async fn payer_who_authenticates_at_adyen_is_charged_once_however_often_the_browser_comes_back() {
    let adyen = Adyen::start("Shop").await;
    let (id, path) = back_from_the_page(&adyen, "approve").await;
    let browser = adyen.world.payments().unwrap().anyone();
    for _ in 0..2 {
        let answer = browser.get(&path).await.unwrap();
        answer.must_be(303).unwrap();
        assert!(answer.header("location").is_some_and(|url| url.starts_with("https://shop.example/thanks")));
    }
    adyen.payment(&id, "succeeded").await;
    assert_eq!(adyen.moved(&id).await, lines(&[("authorize", 4200), ("capture", 4200)]));
}

#[tokio::test]
async fn payer_who_fails_to_authenticate_at_adyen_is_not_charged() {
    let adyen = Adyen::start("Shop").await;
    let (id, path) = back_from_the_page(&adyen, "fail").await;
    adyen.world.payments().unwrap().anyone().get(&path).await.unwrap().must_be(303).unwrap();
    let failed = adyen.payment(&id, "failed").await;
    assert_eq!(failed["error_code"], "11", "{failed}");
    assert_eq!(adyen.moved(&id).await, lines(&[]));
}

#[tokio::test]
async fn completion_whose_answer_is_lost_charges_once() {
    let adyen = Adyen::start("Shop").await;
    let (id, path) = back_from_the_page(&adyen, "approve").await;
    let psp = adyen.world.psp.as_ref().unwrap();
    psp.arm("webhook_lost", "webhook", 1, 0).await.unwrap();
    psp.arm("drop_after", "complete", 1, 0).await.unwrap();
    adyen.world.payments().unwrap().anyone().get(&path).await.unwrap();
    adyen.payment(&id, "succeeded").await;
    assert_eq!(adyen.moved(&id).await, lines(&[("authorize", 4200), ("capture", 4200)]));
}

#[tokio::test]
async fn decline_of_adyen_is_a_decline_with_its_code() {
    let adyen = Adyen::start("Shop").await;
    let refused = adyen.pay("4000000000009995", json!({})).await;
    assert_eq!((&refused["status"], &refused["error_code"]), (&json!("failed"), &json!("12")), "{refused}");
    assert_eq!(adyen.moved(&id(&refused)).await, lines(&[]));
}

#[tokio::test]
async fn answer_of_adyen_that_is_lost_charges_once_and_is_found_out() {
    let adyen = Adyen::start("Shop").await;
    let psp = adyen.world.psp.as_ref().unwrap();
    for fault in ["drop_after", "error_after"] {
        // The webhook is lost as well, so that the repetition of the call alone can tell.
        psp.arm("webhook_lost", "webhook", 1, 0).await.unwrap();
        psp.arm(fault, "authorize", 1, 0).await.unwrap();
        let asked = adyen.pay(card::VISA, json!({})).await;
        assert_eq!(asked["status"], "processing", "{asked}");
        adyen.payment(&id(&asked), "succeeded").await;
        assert_eq!(adyen.moved(&id(&asked)).await, lines(&[("authorize", 4200), ("capture", 4200)]), "{fault}");
    }
}

#[tokio::test]
async fn webhook_that_overtakes_its_answer_settles_the_payment_once() {
    let adyen = Adyen::start("Shop").await;
    adyen.world.psp.as_ref().unwrap().arm("slow", "authorize", 1, 3_000).await.unwrap();
    let asked = adyen.pay(card::VISA, json!({})).await;
    adyen.payment(&id(&asked), "succeeded").await;
    assert_eq!(adyen.moved(&id(&asked)).await, lines(&[("authorize", 4200), ("capture", 4200)]));
}

#[tokio::test]
async fn notification_that_adyens_own_package_signed_is_taken_and_a_forged_one_refused() {
    let adyen = Adyen::start("Shop").await;
    let paid = adyen.pay(card::VISA, json!({})).await;
    let id = id(&paid);
    let notification = json!({ "live": "false", "notificationItems": [{ "NotificationRequestItem": {
        "amount": { "currency": "EUR", "value": 4200 }, "eventCode": "CHARGEBACK",
        "eventDate": "2026-11-25T10:00:00+01:00", "merchantAccountCode": "Shop",
        "merchantReference": format!("{id}_1.sale"), "originalReference": paid["connector_transaction_id"],
        "paymentMethod": "visa", "pspReference": "DISPUTED99999999", "reason": "", "success": "true",
    } }] });
    let signed = signed(adyen.world.path(), &notification);
    let anyone = adyen.world.payments().unwrap().anyone();
    let mut forged = signed.clone();
    forged["notificationItems"][0]["NotificationRequestItem"]["amount"]["value"] = json!(1);
    for bad in [&notification, &forged] {
        anyone.post(&adyen.webhook_path(), bad).await.unwrap().must_be(401).unwrap();
    }
    assert!(adyen.shop.payment(&id).await.unwrap()["disputes"].as_array().is_none_or(Vec::is_empty));
    let answer = anyone.post(&adyen.webhook_path(), &signed).await.unwrap();
    assert_eq!((answer.status, answer.text().as_str()), (200, "[accepted]"));
    let disputes = adyen.shop.payment(&id).await.unwrap()["disputes"].clone();
    assert_eq!(disputes.as_array().map(Vec::len), Some(1), "{disputes}");
}

/// The notification, signed by Adyen's package.
fn signed(folder: &std::path::Path, notification: &Value) -> Value {
    let file = folder.join("notification.json");
    fs::write(&file, notification.to_string()).unwrap();
    let here = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let mut command = Command::new(super::localstripe::python());
    let said = command.arg(here.join("specs/adyen/sign.py")).arg(&file).arg(key()).output().unwrap();
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    serde_json::from_slice(&said.stdout).unwrap()
}

/// Long enough for every answer of a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);
