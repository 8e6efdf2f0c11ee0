//! Invoices at their own front door, as an integration with that API calls it: over TLS, with the vault behind, and with every
//! answer held against the published specification.

#[path = "../specs/invoices/answers.rs"]
mod published;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::Method;
use serde_json::{Value, json};
use strongroom_tests::harness::{
    Client, OrchestratorPlan, Receiver, Shop, World, WorldPlan, card, eventually, with_card, without_names, word,
};

use crate::ledger::{moved, moves};
use crate::provider_webhooks::{dispute, wired};

/// A shop that speaks this dialect; its merchant has a receiver, and its PSP tells what happens.
struct Integration {
    world: World,
    receiver: Receiver,
    server: Client,
    page: Client,
}

impl Integration {
    async fn start() -> Self {
        // Whoever waits here asks as often as the machine can.
        let rates = "requests_per_minute = 60000\npage_requests_per_minute = 60000\nburst = 10000\n";
        let more = format!("[dialects.invoices]\nat = \"/router\"\n{rates}");
        let plan = OrchestratorPlan { more, ..Default::default() };
        let world = World::start(WorldPlan { payments: true, orchestrator: plan, ..Default::default() }).await.unwrap();
        let receiver = Receiver::start(&world.pki.server("receiver").unwrap()).await.unwrap();
        receiver.subscribe(world.payments().unwrap()).await.unwrap();
        wired(&world).await;
        let orchestrator = world.payments().unwrap();
        let merchant = &orchestrator.merchant;
        let basic = |user: &str, secret: &str| format!("Basic {}", STANDARD.encode(format!("{user}:{secret}")));
        let server = orchestrator.anyone().with("authorization", basic(&merchant.id, &merchant.api_key));
        let page = orchestrator.anyone().with("authorization", basic(&merchant.publishable_key, ""));
        Self { world, receiver, server, page }
    }

    async fn ask(&self, who: &Client, method: Method, path: &str, body: Option<Value>) -> (u16, Value) {
        let verb = method.to_string();
        let answer = who.send(method, &format!("/router{path}"), body.as_ref(), &[]).await.unwrap();
        let (status, said) = (answer.status, answer.json().unwrap());
        assert_eq!(published::complaint(&verb, path, status, &said), None, "{said}");
        assert!(!said.to_string().contains(card::VISA), "a card number in an answer");
        (status, said)
    }

    async fn post(&self, path: &str, body: Value) -> Value {
        let (status, said) = self.ask(&self.server, Method::POST, path, Some(body)).await;
        assert_eq!(status, 200, "{path}: {said}");
        said
    }

    async fn get(&self, path: &str) -> Value {
        let (status, said) = self.ask(&self.server, Method::GET, path, None).await;
        assert_eq!(status, 200, "{path}: {said}");
        said
    }

    async fn pay(&self, path: &str, body: Value) -> (u16, Value) {
        self.ask(&self.page, Method::POST, path, Some(body)).await
    }

    async fn invoice(&self, more: Value) -> String {
        let mut body = json!({ "name": "Order", "amount": "50.00", "currency": "USD" });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        word(&self.post("/invoices", body).await["invoice"], "id").unwrap()
    }

    /// A card token, made in the payer's page.
    async fn card(&self, number: &str) -> String {
        let body = json!({ "number": number, "exp_month": "12", "exp_year": "2034", "cvc2": "123" });
        let (status, made) = self.pay("/cards", body).await;
        assert_eq!(status, 200, "{made}");
        word(&made["card"], "id").unwrap()
    }

    /// What the receiver was told about this invoice: each letter names an event, and the event is fetched.
    async fn told(&self, invoice: &str, kind: &str) -> Value {
        let told = eventually("a webhook about the invoice", Duration::from_secs(90), || async {
            for letter in self.receiver.taken() {
                assert_eq!(
                    letter.as_object().unwrap().len(),
                    2,
                    "a letter carries the id and the type alone: {letter}"
                );
                if letter["event_type"] == kind {
                    let event = self.get(&format!("/events/{}", word(&letter, "event_id")?)).await;
                    if event["event"]["data"]["transaction"]["invoice_id"] == invoice {
                        return Ok(Some(event["event"].clone()));
                    }
                }
            }
            Ok(None)
        });
        told.await.unwrap()
    }

    async fn state(&self, invoice: &str) -> Value {
        self.get(&format!("/invoices/{invoice}")).await["invoice"]["fulfillment"]["state"].clone()
    }
}

fn payment_of(invoice: &str) -> String {
    invoice.replace("iv_", "pay_")
}

#[tokio::test]
async fn an_order_goes_from_its_invoice_to_a_chargeback_as_the_dialect_says() {
    let shop = Integration::start().await;
    // 1. The server makes an invoice with what is bought.
    let details = json!([{ "name": "Tea", "amount": "10.00", "quantity": 4 }, { "name": "Cup", "amount": "10.00" }]);
    let customer = shop.post("/customers", json!({ "email": "ada@example.com", "first_name": "Ada" })).await;
    let customer = word(&customer["customer"], "id").unwrap();
    let invoice = shop.invoice(json!({ "details": details, "customer_id": customer, "order_id": "o-1" })).await;
    assert_eq!(shop.get(&format!("/invoices/{invoice}")).await["invoice"]["details"][0]["quantity"], 4);
    // 2. The page gets a card token, 3. and authorizes with it; it may not capture.
    let source = json!({ "source": shop.card(card::VISA).await });
    let (status, held) = shop.pay(&format!("/invoices/{invoice}/authorize"), source.clone()).await;
    assert_eq!((status, &held["transaction"]["status"]), (200, &json!("authorized")), "{held}");
    assert_eq!(shop.state(&invoice).await, "authorized");
    let capture = format!("/invoices/{invoice}/capture");
    assert_eq!(shop.pay(&capture, json!({})).await.0, 403);
    let other = shop.invoice(json!({})).await;
    let (status, used) = shop.pay(&format!("/invoices/{other}/authorize"), source).await;
    assert_eq!((status, &used["error_type"]), (400, &json!("request.source.invalid")), "a card token pays once");
    // 4. The server captures.
    let taken = shop.post(&capture, json!({})).await;
    assert_eq!((&taken["transaction"]["captured"], shop.state(&invoice).await), (&json!(true), json!("paid")));
    assert_eq!(moved(&shop.world, &payment_of(&invoice)).await, moves(&[("authorize", 5000), ("capture", 5000)]));
    // 5. It listens: refunds and chargebacks come by themselves.
    assert_eq!(shop.told(&invoice, "transaction.authorized").await["data"]["transaction"]["captured"], false);
    assert_eq!(shop.told(&invoice, "transaction.captured").await["data"]["transaction"]["captured"], true);
    let refund = json!({ "amount": "5", "reason": "customer_request" });
    let back = shop.post(&format!("/invoices/{invoice}/refunds"), refund).await;
    assert_eq!(back["refund"]["amount"], "5.00");
    assert_eq!(shop.told(&invoice, "transaction.refunded").await["data"]["refund"]["id"], back["refund"]["id"]);
    dispute(&shop.world, &payment_of(&invoice), "opened").await;
    let opened = shop.told(&invoice, "transaction.chargeback.initiated").await;
    assert_eq!(opened["data"]["chargeback"]["status"], "opened");
    let transaction = shop.get(&format!("/transactions/{}", invoice.replace("iv_", "tr_"))).await;
    assert_eq!(transaction["transaction"]["chargedback"], true);
    assert_eq!(shop.state(&invoice).await, "charged_back");
    let heard = shop.receiver.heard().concat();
    assert!(!heard.contains(card::VISA) && !without_names(&heard).contains("4242"));
    // A payment of the native API is told in its own words still, and is none of this door.
    let native = Shop::of(&shop.world).unwrap();
    let checkout = native.begin(2100, None, json!({})).await.unwrap();
    let session = native.vault_session(&checkout).await.unwrap();
    let stored = native.post_card(&session, card::VISA, "123").await.unwrap();
    native.confirm(&checkout, with_card(&stored).unwrap()).await.unwrap();
    let path = format!("/invoices/{}", checkout.payment_id.replace("pay_", "iv_"));
    let (status, none) = shop.ask(&shop.server, Method::GET, &path, None).await;
    assert_eq!((status, &none["error_type"]), (404, &json!("resource.invoice.not-found")));
}

#[tokio::test]
async fn a_merchant_charges_a_customers_token_alone_and_a_capture_that_was_set_happens_by_itself() {
    let shop = Integration::start().await;
    // Begun first, so that its time comes while the rest happens; late enough for a slow machine to authorize before.
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let later = shop.invoice(json!({ "auto_capture_at": now + 45 })).await;
    let source = json!({ "source": shop.card(card::VISA).await });
    let (status, held) = shop.pay(&format!("/invoices/{later}/authorize"), source).await;
    assert_eq!((status, &held["transaction"]["captured"]), (200, &json!(false)), "{held}");

    let customer = shop.post("/customers", json!({ "last_name": "Lovelace" })).await;
    let customer = word(&customer["customer"], "id").unwrap();
    let tokens = format!("/customers/{customer}/tokens");
    let source = json!({ "source": shop.card(card::VISA).await });
    let kept = shop.post(&tokens, source.clone()).await;
    let token = word(&kept["token"], "id").unwrap();
    let (status, again) = shop.ask(&shop.server, Method::POST, &tokens, Some(source)).await;
    assert_eq!((status, &again["error_type"]), (400, &json!("request.source.invalid")), "it is used up");
    let asked = json!({ "customer_id": customer, "initiation_type": "mit", "payment_intent": "recurring" });
    for amount in ["50.00", "20.00"] {
        let mut asked = asked.clone();
        asked["amount"] = json!(amount);
        let invoice = shop.invoice(asked).await;
        let body = json!({ "source": token, "capture_amount": amount });
        let paid = shop.post(&format!("/invoices/{invoice}/capture"), body).await;
        assert_eq!(
            (&paid["transaction"]["captured_amount"], &paid["transaction"]["token_id"]),
            (&json!(amount), &json!(token))
        );
        shop.told(&invoice, "transaction.captured").await;
    }
    let path = format!("{tokens}/{token}");
    assert_eq!(shop.get(&path).await["token"]["card"]["last_4_digits"], "4242");
    let (status, _) = shop.ask(&shop.server, Method::DELETE, &path, None).await;
    assert_eq!(status, 200);
    assert_eq!(shop.ask(&shop.server, Method::GET, &path, None).await.0, 404);
    let invoice = shop.invoice(asked).await;
    let capture = (format!("/invoices/{invoice}/capture"), json!({ "source": token }));
    assert_eq!(shop.ask(&shop.server, Method::POST, &capture.0, Some(capture.1)).await.0, 400, "the card is gone");

    let declined = json!({ "source": shop.card(card::DECLINED).await });
    let invoice = shop.invoice(json!({})).await;
    let (status, no) = shop.pay(&format!("/invoices/{invoice}/authorize"), declined).await;
    assert_eq!(status, 410, "{no}");
    assert!(word(&no, "error_type").unwrap().starts_with("card."));
    shop.told(&invoice, "transaction.failed").await;

    let taken = eventually("the capture of its own", Duration::from_secs(180), || async {
        Ok((shop.state(&later).await == "paid").then_some(()))
    });
    taken.await.unwrap();
    assert_eq!(moved(&shop.world, &payment_of(&later)).await, moves(&[("authorize", 5000), ("capture", 5000)]));
}
