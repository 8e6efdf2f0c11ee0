//! A charge as this dialect shows it, from the native view of its payment and the note in it.

use serde_json::{Value, json};

use super::amount;
use super::note::{CHARGE, METHOD, Note, PAYMENT, TOKEN, renamed};
use super::scenario::Ask;
use crate::money::Currency;

/// The charge. `native` is the view of the payment at the moment that is told about.
pub(super) fn charge(native: &Value, note: &Note) -> Value {
    let text = |field: &str| native[field].as_str().unwrap_or_default();
    let status = status(text("status"));
    let currency = text("currency").parse::<Currency>().ok();
    let amount = currency.zip(native["amount"].as_u64()).map(|(currency, minor)| amount::shown(minor, currency));
    let refunds = native["refunds"].as_array().into_iter().flatten();
    let mut charge = json!({
        "id": renamed(text("payment_id"), PAYMENT, CHARGE),
        "amount": amount,
        "currency": native["currency"],
        "reference": native["merchant_order_reference_id"],
        "customer_id": native["customer_id"],
        "payment_method_details": method(native),
        "status": status,
        "redirect_url": native["return_url"],
        // What a provider takes for its work is nowhere told to us.
        "fees": [],
        "settled": false,
        "disputed": native["disputes"].as_array().is_some_and(|disputes| !disputes.is_empty()),
        "refunded": refunds.into_iter().any(|refund| refund["status"] == "succeeded"),
        "meta": native["metadata"],
        "created_datetime": native["created"],
    });
    if let Some(customer) = &note.customer {
        charge["customer"] = Value::Object(customer.clone());
        charge["customer"]["id"] = native["customer_id"].clone();
    }
    if let Some(next) = next_action(native, note) {
        charge["next_action"] = next;
    }
    match status {
        "succeeded" => charge["processor_response"] = json!({"type": "approved", "code": "00"}),
        "failed" => {
            let code = native["error_code"].as_str().unwrap_or("declined");
            let told = native["error_message"].as_str().unwrap_or(code);
            charge["processor_response"] = json!({"type": told, "code": code});
        }
        _ => {}
    }
    charge
}

/// The word for the status of a payment.
fn status(native: &str) -> &'static str {
    match native {
        "succeeded" | "partially_captured" => "succeeded",
        "failed" => "failed",
        "cancelled" | "expired" => "voided",
        _ => "pending",
    }
}

fn next_action(native: &Value, note: &Note) -> Option<Value> {
    if let Some(url) = native["next_action"]["redirect_to_url"].as_str() {
        return Some(json!({"type": "redirect_url", "redirect_url": {"url": url}}));
    }
    if !matches!(native["status"].as_str(), Some("requires_confirmation" | "requires_payment_method")) {
        return None;
    }
    Some(match note.asks? {
        Ask::Pin => json!({"type": "requires_pin", "requires_pin": {}}),
        Ask::Otp => json!({"type": "requires_otp", "requires_otp": {}}),
        Ask::Avs => {
            let fields = AVS_FIELDS.map(|field| format!("authorization.avs.address.{field}"));
            json!({"type": "requires_additional_fields", "requires_additional_fields": {"fields": fields}})
        }
    })
}

fn method(native: &Value) -> Value {
    let card = &native["payment_method_data"]["card"];
    if !card.is_object() {
        return json!({});
    }
    let number = |field: &str| card[field].as_str().and_then(|text| text.parse::<u16>().ok());
    let mut method = json!({
        "type": "card",
        "card": {
            "first6": card["card_isin"].as_str().and_then(|bin| bin.get(..6)),
            "last4": card["last4"],
            "expiry_month": number("card_exp_month"),
            "expiry_year": number("card_exp_year"),
            "network": card["card_network"].as_str().map(str::to_uppercase),
        },
    });
    // Only a card that was kept has a name that may be used again.
    if let Some(id) = native["payment_method_id"].as_str().and_then(|id| renamed(id, TOKEN, METHOD)) {
        method["id"] = id.into();
    }
    method
}

/// What an address of bills needs.
pub(super) const AVS_FIELDS: [&str; 4] = ["line1", "city", "postal_code", "country"];
