//! The vault's API as its callers rely on it, against a real vaultd over mutual TLS.

mod batch;
mod cards;
mod cvc;
mod fields;
mod forward;
mod forward_faults;
mod idempotency;
mod leaving;
mod life;
mod limits;
mod log;
mod release;
mod sdk;
mod sealed_cvc;
mod secrets;
mod sessions;
mod wire;

use serde_json::{Value, json};
use strongroom_tests::harness::{Client, Result, World};

/// Published test numbers.
pub(crate) const VISA: &str = "4242424242424242";
pub(crate) const MASTERCARD: &str = "5555555555554444";
pub(crate) const AMEX: &str = "378282246310005";

/// A world and an orchestrator's client in it.
pub(crate) async fn vault() -> Result<(World, Client)> {
    let world = World::vault_only().await?;
    let release = world.release().await?;
    Ok((world, release))
}

/// The body that tokenizes a card.
pub(crate) fn card(number: &str, more: Value) -> Value {
    let mut body = json!({"type": "card", "card": {"number": number, "exp_month": 12, "exp_year": 2031}});
    if let (Value::Object(body), Value::Object(more)) = (&mut body, more) {
        body.extend(more);
    }
    body
}

/// The token in an answer.
pub(crate) fn id(method: &Value) -> String {
    method["payment_method_id"].as_str().unwrap_or_default().to_owned()
}

/// Releases a card.
pub(crate) async fn reveal(release: &Client, token: &str) -> Result<Value> {
    let asked = json!({"purpose": "authorize", "reference": "pay_contract"});
    release.post(&format!("/v1/payment_methods/{token}/reveal"), &asked).await?.expect(200)
}
