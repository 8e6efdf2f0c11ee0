//! What a shop does: the steps of both flows of an external vault, one function each.

use serde_json::{Map, Value, json};

use super::{Client, Fault, Result, World};

/// A shop's server, its page in the customer's browser, and the vault's intake as that page sees it.
pub struct Shop {
    server: Client,
    page: Client,
    intake: Client,
}

/// A payment that was begun.
#[derive(Debug, Clone)]
pub struct Checkout {
    /// Its id at the orchestrator.
    pub payment_id: String,
    /// What the page may act on it with.
    pub client_secret: String,
}

/// Published test numbers, by what the PSP simulator does with them.
pub mod card {
    /// Approves.
    pub const VISA: &str = "4242424242424242";
    /// Approves.
    pub const MASTERCARD: &str = "5555555555554444";
    /// Approves; its CVC has four digits.
    pub const AMEX: &str = "378282246310005";
    /// Declined by the issuer.
    pub const DECLINED: &str = "4000000000000002";
    /// Wants 3-D Secure and approves after it.
    pub const THREE_DS: &str = "4000002760003184";
}

impl Shop {
    /// The shop of a world's merchant.
    ///
    /// # Errors
    /// When the world has no orchestrator.
    pub fn of(world: &World) -> Result<Self> {
        let orchestrator = world.payments()?;
        Ok(Self { server: orchestrator.shop(), page: orchestrator.page(), intake: world.vault.intake(&world.pki)? })
    }

    /// The shop's server begins a payment.
    ///
    /// # Errors
    /// When the orchestrator refuses.
    pub async fn begin(&self, amount: i64, customer: Option<&str>, more: Value) -> Result<Checkout> {
        let mut body = json!({ "amount": amount, "currency": "EUR", "return_url": "https://shop.example/thanks" });
        merge(&mut body, json!({ "authentication_type": "no_three_ds" }));
        if let Some(customer) = customer {
            merge(&mut body, json!({ "customer_id": customer, "setup_future_usage": "off_session" }));
        }
        merge(&mut body, more);
        let made = self.server.post("/payments", &body).await?.expect(200)?;
        Ok(Checkout { payment_id: word(&made, "payment_id")?, client_secret: word(&made, "client_secret")? })
    }

    /// The shop's server asks for a session at the vault for its page, so that the card goes there and nowhere else.
    ///
    /// # Errors
    /// When the orchestrator refuses.
    pub async fn vault_session(&self, checkout: &Checkout) -> Result<String> {
        let path = format!("/payments/{}/vault_session", checkout.payment_id);
        let body = json!({ "allowed_origins": [PAGE] });
        word(&self.server.post(&path, &body).await?.expect(200)?, "client_secret")
    }

    /// The page posts the card to the vault's intake.
    ///
    /// # Errors
    /// When the vault refuses.
    pub async fn post_card(&self, session: &str, number: &str, cvc: &str) -> Result<Value> {
        let body = json!({
            "type": "card",
            "storage": "short_term",
            "card": { "number": number, "exp_month": 12, "exp_year": 2031, "cvc": cvc, "holder_name": "Ada Lovelace" },
        });
        let intake = self.intake.clone().with("Authorization", format!("Bearer {session}")).with("Origin", PAGE);
        let answer = intake.post("/v1/payment_methods", &body).await?;
        let status = if answer.status == 200 { 200 } else { 201 };
        answer.expect(status)
    }

    /// The page confirms with a card that the vault holds.
    ///
    /// # Errors
    /// When the orchestrator refuses.
    pub async fn confirm(&self, checkout: &Checkout, with: Value) -> Result<Value> {
        let path = format!("/payments/{}/confirm", checkout.payment_id);
        let mut body = json!({ "client_secret": checkout.client_secret, "payment_method": "card" });
        merge(&mut body, with);
        self.page.post(&path, &body).await?.expect(200)
    }

    /// The whole flow of a new customer: begin, session, card to the vault, confirm.
    ///
    /// # Errors
    /// When any step is refused.
    pub async fn pay_new(&self, amount: i64, customer: Option<&str>, number: &str, more: Value) -> Result<Value> {
        let checkout = self.begin(amount, customer, more).await?;
        let session = self.vault_session(&checkout).await?;
        let cvc = if number == card::AMEX { "1234" } else { "123" };
        let stored = self.post_card(&session, number, cvc).await?;
        self.confirm(&checkout, with_card(&stored)?).await
    }

    /// The customer's saved cards, as the page sees them.
    ///
    /// # Errors
    /// When the orchestrator refuses.
    pub async fn saved(&self, checkout: &Checkout) -> Result<Vec<Value>> {
        let path = format!("/customers/payment_methods?client_secret={}", checkout.client_secret);
        let list = self.page.get(&path).await?.expect(200)?;
        list["customer_payment_methods"]
            .as_array()
            .cloned()
            .ok_or_else(|| Fault::new("a list without customer_payment_methods"))
    }

    /// The payment as the shop's server sees it.
    ///
    /// # Errors
    /// When the orchestrator refuses.
    pub async fn payment(&self, payment_id: &str) -> Result<Value> {
        self.server.get(&format!("/payments/{payment_id}")).await?.expect(200)
    }

    /// The client of the shop's server.
    #[must_use]
    pub fn server(&self) -> &Client {
        &self.server
    }

    /// The client of the shop's page.
    #[must_use]
    pub fn page(&self) -> &Client {
        &self.page
    }
}

/// What a confirmation says about a card that intake answered for.
///
/// # Errors
/// When the answer has no id.
pub fn with_card(stored: &Value) -> Result<Value> {
    let mut with = json!({ "payment_method_id": word(stored, "payment_method_id")? });
    if let Some(cvc) = stored["cvc_token"].as_str() {
        merge(&mut with, json!({ "payment_method_data": { "card_token": { "cvc_token": cvc } } }));
    }
    Ok(with)
}

/// A field that must be text.
///
/// # Errors
/// When it is not.
pub fn word(value: &Value, field: &str) -> Result<String> {
    value[field].as_str().map(str::to_owned).ok_or_else(|| Fault::new(format!("an answer without `{field}`")))
}

/// Where the shop's page comes from.
const PAGE: &str = "https://shop.example";

fn merge(into: &mut Value, more: Value) {
    let (Value::Object(into), Value::Object(more)) = (into, more) else { return };
    into.extend::<Map<String, Value>>(more);
}
