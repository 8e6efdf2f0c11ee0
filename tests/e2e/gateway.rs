//! Charges at named accounts, as the overview of that API tells the way of a charge: account, token, provider, answer; with
//! fallback accounts, and with credentials that are rotated while money is reserved.

use reqwest::Method;
use serde_json::{Value, json};
use strongroom_tests::harness::{
    API_KEY, Answer, Client, OrchestratorPlan, Receiver, World, WorldPlan, card, eventually, word,
};

/// A world whose orchestrator has the door open, and the client of a merchant's server.
struct Gateway {
    world: World,
    server: Client,
}

impl Gateway {
    async fn start() -> Self {
        let orchestrator = OrchestratorPlan {
            more: "[dialects.gateway_accounts]\nrequests_per_minute = 60000\nburst = 10000\n".into(),
            ..OrchestratorPlan::default()
        };
        let plan = WorldPlan { payments: true, orchestrator, ..WorldPlan::default() };
        let world = World::start(plan).await.unwrap();
        let server = as_merchant(&world, &world.payments().unwrap().merchant.api_key);
        Self { world, server }
    }

    async fn post(&self, path: &str, body: Value) -> Value {
        self.server.post(&format!("/gateway{path}"), &body).await.unwrap().expect(200).unwrap()
    }

    async fn account(&self, name: &str) -> Value {
        let body = json!({ "name": name, "provider": "stripe", "credentials": { "apiKey": API_KEY } });
        self.post("/PaymentGatewayAccounts", body).await
    }

    /// The kinds and amounts of what a transaction moved at the provider.
    async fn moved(&self, transaction: &Value) -> Vec<(String, i64)> {
        let id = word(transaction, "transactionId").unwrap().replace("txn_", "pay_");
        let lines = self.world.psp().unwrap().ledger_of(&id).await.unwrap();
        lines.into_iter().map(|line| (line.kind, line.amount)).collect()
    }
}

fn as_merchant(world: &World, key: &str) -> Client {
    world.payments().unwrap().anyone().with("x-api-key", key)
}

fn code(answer: &Answer) -> (u16, String) {
    (answer.status, word(&answer.json().unwrap()["error"], "code").unwrap())
}

fn visa() -> Value {
    json!({ "number": card::VISA, "expirationMonth": 12, "expirationYear": 2031, "cvv": "123", "holderName": "Ada Lovelace" })
}

fn charge(amount: u64, by: Value) -> Value {
    let mut body = json!({ "amount": amount, "currency": "EUR", "paymentGatewayAccountName": "stripe-primary" });
    body.as_object_mut().unwrap().extend(by.as_object().unwrap().clone());
    body
}

#[tokio::test]
async fn charge_goes_by_its_account_its_token_and_its_fallbacks_and_survives_a_rotation() {
    let gateway = Gateway::start().await;
    let world = &gateway.world;
    let receiver = Receiver::start(&world.pki.server("receiver").unwrap()).await.unwrap();
    receiver.subscribe(world.payments().unwrap()).await.unwrap();

    // Provider connections: validated when saved, and without their credentials ever after.
    let wrong =
        json!({ "name": "stripe-primary", "provider": "stripe", "credentials": { "apiKey": "sk_test_not_this_one" } });
    let refused = gateway.server.post("/gateway/PaymentGatewayAccounts", &wrong).await.unwrap();
    assert_eq!(code(&refused), (400, "credentialsRefused".into()));
    for name in ["stripe-primary", "stripe-backup"] {
        let made = gateway.account(name).await;
        assert_eq!((&made["name"], &made["verification"]), (&json!(name), &json!("accepted")));
    }
    let listed = gateway.server.get("/gateway/PaymentGatewayAccounts").await.unwrap().text();
    assert!(listed.contains("stripe-backup") && !listed.contains(API_KEY));

    // Request received, account resolved, provider called, answer normalized.
    let paid = gateway.post("/PaymentGateway/charge", charge(1000, json!({ "card": visa() }))).await;
    assert_eq!((&paid["status"], &paid["paymentGatewayAccountName"]), (&json!("captured"), &json!("stripe-primary")));
    assert_eq!(paid["card"], json!({ "brand": "Visa", "last4": "4242" }));
    assert_eq!(gateway.moved(&paid).await, [("authorize".into(), 1000), ("capture".into(), 1000)]);

    // Token resolved: the card stays in the vault, and is nobody else's.
    let kept = gateway.post("/Tokenization/tokenize", json!({ "card": visa() })).await;
    let token = json!({ "cardToken": kept["cardToken"] });
    for amount in [1100, 1200] {
        let paid = gateway.post("/PaymentGateway/charge", charge(amount, token.clone())).await;
        assert_eq!((&paid["status"], &paid["card"]["last4"]), (&json!("captured"), &json!("4242")), "{paid}");
    }
    let other = world.payments().unwrap().set_up("other").await.unwrap();
    let stranger = as_merchant(world, &other.api_key);
    let account = json!({ "name": "stripe-primary", "provider": "stripe", "credentials": { "apiKey": API_KEY } });
    stranger.post("/gateway/PaymentGatewayAccounts", &account).await.unwrap().expect(200).unwrap();
    let before = world.psp().unwrap().ledger().await.unwrap().len();
    let stolen = stranger.post("/gateway/PaymentGateway/charge", &charge(1300, token.clone())).await.unwrap();
    assert_eq!(code(&stolen), (404, "cardTokenNotFound".into()));
    let seen = format!("/gateway/PaymentGateway/transactions/{}", word(&paid, "transactionId").unwrap());
    assert_eq!(code(&stranger.get(&seen).await.unwrap()), (404, "transactionNotFound".into()));
    assert_eq!(world.psp().unwrap().ledger().await.unwrap().len(), before, "nothing moved");

    // Failover: the first account fails, the second one succeeds, and one charge is made. A repetition makes none.
    world.psp().unwrap().arm("decline", "authorize", 1, 0).await.unwrap();
    let falling = charge(1400, json!({ "card": visa(), "fallbackAccounts": ["stripe-backup"] }));
    let keyed = gateway.server.clone().with("Idempotency-Key", "order-1400");
    let ask = async || {
        let answer = keyed.post("/gateway/PaymentGateway/charge", &falling).await.unwrap();
        answer.expect(200).unwrap()
    };
    let (fallen, again) = tokio::join!(ask(), ask());
    assert_eq!(
        (&fallen["status"], &fallen["paymentGatewayAccountName"]),
        (&json!("captured"), &json!("stripe-backup"))
    );
    assert_eq!(fallen["attempts"][0]["status"], "declined");
    assert_eq!(fallen, again);
    assert_eq!(gateway.moved(&fallen).await, [("authorize".into(), 1400), ("capture".into(), 1400)]);
    world.psp().unwrap().arm("decline", "authorize", 2, 0).await.unwrap();
    let lost = charge(1500, json!({ "card": visa(), "fallbackAccounts": ["stripe-backup"] }));
    let lost = gateway.post("/PaymentGateway/charge", lost).await;
    assert_eq!((&lost["status"], lost["attempts"].as_array().unwrap().len()), (&json!("declined"), 2), "all fail");

    // Credentials are rotated while money is reserved: captured, and given back in part.
    let held = gateway.post("/PaymentGateway/authorize", charge(1600, token)).await;
    let gone = gateway.post("/PaymentGateway/authorize", charge(1700, json!({ "card": visa() }))).await;
    assert_eq!((&held["status"], &gone["status"]), (&json!("authorized"), &json!("authorized")));
    let rotation = json!({ "credentials": { "apiKey": API_KEY }, "overlapSeconds": 0 });
    let rotated = gateway.post("/PaymentGatewayAccounts/stripe-primary/rotate", rotation).await;
    assert!(rotated["rotatedAt"].is_string());
    let id = |transaction: &Value| json!({ "transactionId": transaction["transactionId"] });
    assert_eq!(gateway.post("/PaymentGateway/capture", id(&held)).await["status"], "captured");
    assert_eq!(gateway.post("/PaymentGateway/void", id(&gone)).await["status"], "voided");
    let mut part = id(&held);
    part["amount"] = json!(600);
    assert_eq!(gateway.post("/PaymentGateway/refund", part.clone()).await["status"], "refunded");
    part["amount"] = json!(1001);
    let above = gateway.server.post("/gateway/PaymentGateway/refund", &part).await.unwrap();
    assert_eq!(code(&above), (400, "invalidAmount".into()));
    let moved = [("authorize".into(), 1600), ("capture".into(), 1600), ("refund".into(), 600)];
    assert_eq!(gateway.moved(&held).await, moved);

    // The merchant is told in the words of this door, signed as ever.
    eventually("the refund to be told", std::time::Duration::from_secs(90), || async {
        let told = receiver.taken();
        let refund = told.iter().any(|event| event["type"] == "refund.refunded" && event["amount"] == 600);
        let fallback = told
            .iter()
            .any(|event| event["type"] == "transaction.captured" && event["transactionId"] == fallen["transactionId"]);
        Ok((refund && fallback).then_some(()))
    })
    .await
    .unwrap();
    assert_eq!(receiver.forged(), 0);

    // A token that is deleted pays no more.
    let path = format!("/gateway/Tokenization/tokens/{}", word(&kept, "cardToken").unwrap());
    gateway.server.send(Method::DELETE, &path, None, &[]).await.unwrap().expect(200).unwrap();
    assert_eq!(code(&gateway.server.get(&path).await.unwrap()), (404, "cardTokenNotFound".into()));
}
