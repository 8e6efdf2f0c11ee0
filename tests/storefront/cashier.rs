//! The part of the shop's server that speaks to the orchestrator, with the merchant's API key.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::Addresses;
use super::catalogue::CURRENCY;
use super::visitors::{Order, Visitor, random_hex};
use crate::harness::{Answer, Client, Fault, Result, World, word};

/// Makes customers and payments, and asks what became of them.
pub(super) struct Cashier {
    orchestrator: Client,
    publishable_key: String,
    shop: String,
}

impl Cashier {
    /// The cashier of a world's merchant. Its connections are its own, because others may stop reading theirs.
    pub(super) fn of(world: &World, addresses: &Addresses) -> Result<Self> {
        let orchestrator = world.payments()?;
        let client = Client::new(&world.pki, orchestrator.at(), None)?.with("api-key", &orchestrator.merchant.api_key);
        Ok(Self {
            orchestrator: client,
            publishable_key: orchestrator.merchant.publishable_key.clone(),
            shop: addresses.shop.clone(),
        })
    }

    /// What the merchant's pages may show to the orchestrator.
    pub(super) fn publishable_key(&self) -> &str {
        &self.publishable_key
    }

    /// A new customer; answers the name that the orchestrator knows them by.
    pub(super) async fn customer(&self) -> Result<String> {
        let made = self.orchestrator.post("/customers", &json!({ "name": "A visitor" })).await?.expect(200)?;
        word(&made, "customer_id")
    }

    /// Tells the orchestrator what a customer calls themselves.
    pub(super) async fn rename(&self, customer_id: &str, name: &str, email: &str) -> Result<()> {
        let body = json!({ "name": name, "email": email });
        self.orchestrator.post(&format!("/customers/{customer_id}"), &body).await?.expect(200).map(drop)
    }

    /// A payment for what is in somebody's basket, good for so many seconds if that is said.
    pub(super) async fn begin(&self, visitor: &Visitor, customer_id: &str, seconds: Option<u64>) -> Result<Order> {
        let seconds = seconds.unwrap_or(PAYMENT_SECONDS);
        let until = Instant::now() + Duration::from_secs(seconds);
        let number = format!("T-{}", random_hex::<4>()?.to_uppercase());
        let body = json!({
            "amount": visitor.total(),
            "currency": CURRENCY,
            "customer_id": customer_id,
            "authentication_type": "no_three_ds",
            "description": visitor.content(),
            "merchant_order_reference_id": number,
            "return_url": format!("{}/thanks?order={number}", self.shop),
            "session_expiry": seconds,
        });
        let made = self.orchestrator.post("/payments", &body).await?.expect(200)?;
        Ok(Order {
            number,
            amount: visitor.total(),
            content: visitor.content(),
            payment_id: word(&made, "payment_id")?,
            client_secret: word(&made, "client_secret")?,
            until,
            paid_with: None,
        })
    }

    /// A session at the vault, for the page of this shop alone.
    pub(super) async fn vault_session(&self, payment_id: &str) -> Result<Value> {
        let path = format!("/payments/{payment_id}/vault_session");
        self.orchestrator.post(&path, &json!({ "allowed_origins": [self.shop] })).await?.expect(200)
    }

    /// Confirms with a card that the vault holds, from the shop's server.
    pub(super) async fn confirm(&self, payment_id: &str, token: &str, cvc_token: Option<&str>) -> Result<Answer> {
        let mut body = json!({ "payment_method": "card", "payment_method_id": token });
        if let Some(cvc) = cvc_token {
            body["payment_method_data"] = json!({ "card_token": { "cvc_token": cvc } });
        }
        self.orchestrator.post(&format!("/payments/{payment_id}/confirm"), &body).await
    }

    /// A payment as the orchestrator shows it; `force_sync` has it ask the provider, too.
    pub(super) async fn payment(&self, payment_id: &str, force_sync: bool) -> Result<Value> {
        let query = if force_sync { "?force_sync=true" } else { "" };
        self.orchestrator.get(&format!("/payments/{payment_id}{query}")).await?.expect(200)
    }
}

/// How a payment was paid, in words without a number: `visa, ending in 4242`.
pub(super) fn paid_with(payment: &Value) -> Result<String> {
    let card = &payment["payment_method_data"]["card"];
    let last4 = card["last4"].as_str().ok_or_else(|| Fault::new("a paid payment without a card's last four digits"))?;
    Ok(format!("{}, ending in {last4}", card["card_network"].as_str().unwrap_or("card").to_lowercase()))
}

/// How long a page may pay, unless something else is said.
const PAYMENT_SECONDS: u64 = 900;
