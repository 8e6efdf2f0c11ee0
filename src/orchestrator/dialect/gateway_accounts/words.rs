//! Transactions, refunds and events in the words of this door, made from the native ones.

use serde_json::{Map, Value, json};

use crate::intent::Payment;
use crate::store::OutboxEvent;
use crate::webhook::{Native, Spoken, Voice as _};

/// A transaction. What changes is taken from `native`, which may be older than `payment`.
pub(super) fn transaction(native: &Value, payment: &Payment) -> Value {
    let card = &native["payment_method_data"]["card"];
    let captured = native["amount_received"].as_u64().unwrap_or(0);
    let refunded = refunded(native);
    let mut shown = json!({
        "transactionId": transaction_id_of(&payment.payment_id),
        "type": if native["capture_method"] == "automatic" { "charge" } else { "authorization" },
        "status": status(native, payment, captured, refunded),
        "paymentGatewayAccountName": account_name(payment, native["merchant_connector_id"].as_str()),
        "amount": native["amount"],
        "currency": native["currency"],
        "card": {"brand": card["card_network"], "last4": card["last4"]},
        "capturedAmount": captured,
        "refundedAmount": refunded,
        "description": native["description"],
        "reference": native["merchant_order_reference_id"],
        "metadata": native["metadata"],
        "createdAt": native["created"],
        "attempts": attempts(native, payment),
    });
    if let Some(url) = native["next_action"]["redirect_to_url"].as_str() {
        shown["redirectUrl"] = url.into();
    }
    if native["status"] == "failed" {
        let declined = payment.last_attempt().is_some_and(|attempt| attempt.decline_kind.is_some());
        shown["error"] = error(declined, &native["error_code"], &native["error_message"]);
    }
    shown
}

/// A refund.
pub(super) fn refund(native: &Value, payment: &Payment) -> Value {
    let method = payment.method.as_ref().map(|method| &method.card);
    let mut shown = json!({
        "refundId": native["refund_id"],
        "transactionId": transaction_id_of(&payment.payment_id),
        "status": match native["status"].as_str() {
            Some("succeeded") => "refunded",
            Some("failed") => "failed",
            _ => "pending",
        },
        "paymentGatewayAccountName": account_name(payment, payment.last_attempt().map(|last| last.account_id.as_str())),
        "amount": native["amount"],
        "currency": native["currency"],
        "card": {"brand": method.and_then(|card| crate::view::brand(card.brand)), "last4": method.map(|card| &card.last4)},
        "reason": native["reason"],
        "createdAt": native["created_at"],
    });
    if native["status"] == "failed" {
        shown["error"] = error(false, &native["error_code"], &native["error_message"]);
    }
    shown
}

/// An event about a payment that came through this door: the object that it is about, with `eventId` and `type` in front, and
/// signed as the native ones are.
pub(in super::super) fn speak(payment: &Payment, event: &OutboxEvent) -> Option<Spoken> {
    let told: Value = serde_json::from_str(&event.body).ok()?;
    let object = &told["content"]["object"];
    let (kind, shown) = match told["content"]["type"].as_str()? {
        "payment_details" => {
            let shown = transaction(object, payment);
            (format!("transaction.{}", shown["status"].as_str()?), shown)
        }
        "refund_details" => {
            let shown = refund(object, payment);
            (format!("refund.{}", shown["status"].as_str()?), shown)
        }
        "dispute_details" => {
            let status = object["dispute_status"].as_str()?.strip_prefix("dispute_")?;
            (format!("dispute.{status}"), dispute(object, payment, status))
        }
        _ => return None,
    };
    let mut letter = Map::new();
    letter.insert("eventId".to_owned(), told["event_id"].clone());
    letter.insert("type".to_owned(), kind.into());
    letter.insert("timestamp".to_owned(), told["timestamp"].clone());
    letter.extend(
        shown
            .as_object()?
            .iter()
            .filter(|(name, _)| *name != "type")
            .map(|(name, value)| (name.clone(), value.clone())),
    );
    Some(Spoken { body: Value::Object(letter).to_string(), ..Native.speak(payment, event)? })
}

/// The payment's id behind a transaction's, where it can be one.
pub(super) fn payment_id_of(transaction_id: &str) -> Option<String> {
    let rest = transaction_id.strip_prefix(PREFIX)?;
    let id = format!("pay_{rest}");
    crate::ids::is_allowed(&id).then_some(id)
}

fn transaction_id_of(payment_id: &str) -> String {
    format!("{PREFIX}{}", payment_id.strip_prefix("pay_").unwrap_or(payment_id))
}

fn status(native: &Value, payment: &Payment, captured: u64, refunded: u64) -> &'static str {
    match native["status"].as_str() {
        Some("succeeded" | "partially_captured" | "partially_captured_and_capturable") if refunded > 0 => {
            if refunded >= captured { "refunded" } else { "partiallyRefunded" }
        }
        Some("succeeded") => "captured",
        Some("partially_captured" | "partially_captured_and_capturable") => "partiallyCaptured",
        Some("requires_capture") => "authorized",
        Some("requires_customer_action") => "requiresAction",
        Some("cancelled") => "voided",
        Some("expired") => "expired",
        Some("failed") if payment.last_attempt().is_some_and(|last| last.decline_kind.is_some()) => "declined",
        Some("failed") => "failed",
        _ => "pending",
    }
}

fn refunded(native: &Value) -> u64 {
    let rows = native["refunds"].as_array().into_iter().flatten();
    rows.filter(|row| row["status"] == "succeeded").filter_map(|row| row["amount"].as_u64()).sum()
}

/// Every account that was tried, in order.
fn attempts(native: &Value, payment: &Payment) -> Value {
    let rows = native["attempts"].as_array().into_iter().flatten();
    let shown = rows.enumerate().map(|(place, row)| {
        let declined = payment.attempts.get(place).is_some_and(|attempt| attempt.decline_kind.is_some());
        let failed = row["status"] == "failure";
        let mut shown = json!({
            "paymentGatewayAccountName": account_name(payment, row["merchant_connector_id"].as_str()),
            "status": match row["status"].as_str() {
                Some("charged") => "captured",
                Some("authorized") => "authorized",
                Some("voided") => "voided",
                Some("authentication_pending") => "requiresAction",
                Some("failure") if declined => "declined",
                Some("failure") => "failed",
                _ => "pending",
            },
        });
        if failed {
            shown["error"] = error(declined, &row["error_code"], &row["error_message"]);
        }
        shown
    });
    shown.collect()
}

fn error(declined: bool, code: &Value, message: &Value) -> Value {
    let kind = if declined { "declined" } else { "notProcessed" };
    json!({"code": kind, "message": message, "providerCode": code})
}

fn dispute(native: &Value, payment: &Payment, status: &str) -> Value {
    json!({
        "disputeId": native["dispute_id"],
        "transactionId": transaction_id_of(&payment.payment_id),
        "status": status,
        "paymentGatewayAccountName": account_name(payment, payment.last_attempt().map(|last| last.account_id.as_str())),
        "amount": native["amount"],
        "currency": native["currency"],
        "reason": native["connector_reason_code"],
        "respondBy": native["challenge_required_by"],
    })
}

/// The name that the account had when the transaction was asked for.
fn account_name<'a>(payment: &'a Payment, account_id: Option<&str>) -> Option<&'a str> {
    payment.terms.door.as_ref()?.note.get("accounts")?.get(account_id?)?.as_str()
}

const PREFIX: &str = "txn_";
