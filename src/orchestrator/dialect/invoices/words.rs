//! Native answers in this dialect. Everything is made from the native JSON, so that a kept answer and a kept event read the same
//! as fresh ones; from the note comes what only this dialect knows.

use serde_json::{Map, Value, json};
use strongroom_wire::payment_method::PaymentMethod;

use super::amount::major;
use super::names::{card, kept, renamed};
use super::wrong::Wrong;
use crate::account::Customer;
use crate::clock::rfc3339;
use crate::intent::{Asker, Payment};
use crate::money::Currency;
use crate::view;

/// The native answer about a payment, and with it whether its last failure is a decline: the native one does not say, and a
/// kept answer has nothing else to read it from.
pub(super) fn native(payment: &Payment) -> Value {
    let mut native = view::payment(payment);
    native[DECLINED] = is_declined(payment).into();
    native
}

/// Whether an issuer or a provider said no to the payer's card at the last attempt.
pub(super) fn is_declined(payment: &Payment) -> bool {
    payment.last_attempt().is_some_and(|attempt| attempt.decline_kind.is_some())
}

/// An invoice, with its items and how far it is fulfilled.
pub(super) fn invoice(native: &Value, note: &Map<String, Value>) -> Value {
    let id = text(native, "payment_id");
    let mut shown = json!({
        "id": renamed(id, "pay_", "iv_"),
        "transaction_id": renamed(id, "pay_", "tr_"),
        "project_id": native["merchant_id"],
        "customer_id": native["customer_id"],
        "name": native["description"],
        "order_id": native["merchant_order_reference_id"],
        "amount": amount(native, "amount"),
        "currency": native["currency"],
        "metadata": native["metadata"],
        "statement_descriptor": native["statement_descriptor_name"],
        "return_url": native["return_url"],
        "auto_capture_at": native["capture_on"],
        "incremental": native["request_incremental_authorization"],
        "created_at": native["created"],
        "fulfillment": {"state": fulfilment(native), "captured_amount": amount(native, "amount_received"),
                        "refunded_amount": refunded(native)},
    });
    for name in ["initiation_type", "payment_intent", "webhook_url", "shipping", "billing", "tax", "device"] {
        shown[name] = note.get(name).cloned().unwrap_or_default();
    }
    let details = note.get("details").and_then(Value::as_array).cloned().unwrap_or_default();
    let numbered = details.into_iter().enumerate().map(|(place, mut detail)| {
        detail["id"] = format!("iv_det_{}_{}", id.trim_start_matches("pay_"), place + 1).into();
        detail
    });
    shown["details"] = numbered.collect();
    without_nulls(shown)
}

/// The transaction of an invoice.
pub(super) fn transaction(native: &Value) -> Value {
    let id = text(native, "payment_id");
    let state = text(native, "status");
    let reserved = reserved_minor(native);
    let currency = currency(native);
    let taken = native["amount_received"].as_u64().unwrap_or(0);
    let back = refunded_minor(native);
    let raised: u64 = items(native, "incremental_authorizations")
        .filter(|row| row["status"] == "success")
        .map(|row| number(row, "amount").saturating_sub(number(row, "previously_authorized_amount")))
        .sum();
    let token = native["payment_method_id"].as_str().map(|name| renamed(name, "pm_", "tok_"));
    let failed = native["error_code"].as_str().filter(|_| state == "failed");
    without_nulls(json!({
        "id": renamed(id, "pay_", "tr_"),
        "invoice_id": renamed(id, "pay_", "iv_"),
        "project_id": native["merchant_id"],
        "customer_id": native["customer_id"],
        "name": native["description"],
        "currency": currency,
        "metadata": native["metadata"],
        "created_at": native["created"],
        "status": status(native),
        "gateway_name": native["connector"],
        "gateway_configuration_id": native["merchant_connector_id"],
        "token_id": token,
        "payment_type": native["payment_method"],
        "error_code": failed.map(|_| failure(native).0),
        "error_message": failed.map(|_| failure(native).1),
        "amount": amount(native, "amount"),
        "authorized_amount": told(reserved, currency),
        "captured_amount": told(taken, currency),
        "available_amount": told(taken.saturating_sub(back), currency),
        "incremented_amount": told(raised, currency),
        "refunded_amount": told(back, currency),
        "authorized": reserved > 0,
        "captured": taken > 0,
        "refunded": back > 0,
        "voided": matches!(state, "cancelled" | "expired"),
        "chargedback": is_charged_back(native),
        "attempts_count": native["attempts"].as_array().map_or(0, Vec::len),
        "scheme_id": native["network_transaction_id"],
        "refunds": items(native, "refunds").map(refund).collect::<Vec<_>>(),
        "chargebacks": items(native, "disputes").map(chargeback).collect::<Vec<_>>(),
    }))
}

/// A refund.
pub(super) fn refund(native: &Value) -> Value {
    without_nulls(json!({
        "id": renamed(text(native, "refund_id"), "ref_", "refd_"),
        "transaction_id": renamed(text(native, "payment_id"), "pay_", "tr_"),
        "amount": amount(native, "amount"),
        "reason": native["reason"],
        "metadata": native["metadata"],
        "status": native["status"],
        "has_failed": native["status"] == "failed",
        "created_at": native["created_at"],
    }))
}

/// A dispute that a payer opened at the bank.
pub(super) fn chargeback(native: &Value) -> Value {
    without_nulls(json!({
        "id": native["dispute_id"],
        "transaction_id": renamed(text(native, "payment_id"), "pay_", "tr_"),
        "amount": amount(native, "amount"),
        "status": text(native, "dispute_status").trim_start_matches("dispute_"),
        "reason": native["connector_reason_code"],
        "answer_before": native["challenge_required_by"],
        "created_at": native["created_at"],
    }))
}

/// A card in the vault. The card's own text is all that is shown of it: number and CVC never leave the vault this way. A page
/// does not see the fingerprint: with it, whoever has the publishable key could find out which number another card has, by
/// making tokens of numbers until one is alike.
pub(super) fn card_of(
    project: &str,
    method: &PaymentMethod,
    id: Option<String>,
    name: Option<&str>,
    asker: Asker,
) -> Value {
    let shown = &method.card;
    without_nulls(json!({
        "id": id.unwrap_or_else(|| card(method.payment_method_id)),
        "project_id": project,
        "scheme": view::brand(shown.brand).map(str::to_lowercase),
        "iin": shown.bin,
        "last_4_digits": shown.last4,
        "exp_month": shown.exp_month,
        "exp_year": shown.exp_year,
        "fingerprint": (asker == Asker::Merchant).then_some(&shown.fingerprint),
        "cvc_tokenized": method.cvc_token.is_some(),
        "name": name,
        "created_at": method.created_at,
        "expires_at": method.expires_at,
    }))
}

/// A card that is kept for a customer.
pub(super) fn token_of(project: &str, customer: &str, method: &PaymentMethod, is_default: bool) -> Value {
    let card_id = card(method.payment_method_id);
    without_nulls(json!({
        "id": kept(method.payment_method_id),
        "customer_id": customer,
        "card": card_of(project, method, Some(card_id.clone()), None, Asker::Merchant),
        "card_id": card_id,
        "type": "card",
        "is_default": is_default,
        "is_chargeable": true,
        "is_subscription_only": false,
        "metadata": {},
        "verification_status": "success",
        "created_at": method.created_at,
        "summary": format!("**** {}", method.card.last4),
    }))
}

/// A customer. What the native one has no field for stands among its notes, under a name that callers cannot use.
pub(super) fn customer(one: &Customer) -> Value {
    let mut metadata = one.metadata.clone();
    let profile = metadata.remove(PROFILE).unwrap_or_default();
    let mut shown = json!({
        "id": one.customer_id,
        "project_id": one.merchant_id,
        "email": one.email,
        "phone": one.phone.as_ref().map(|number| json!({"number": number, "dialing_code": one.phone_country_code})),
        "metadata": metadata,
        "created_at": rfc3339(one.created_ms),
    });
    if let (Value::Object(shown), Value::Object(profile)) = (&mut shown, profile) {
        shown.extend(profile);
    }
    without_nulls(shown)
}

/// The type of an event in this dialect, for a native type; `None`: it has no word for it.
pub(super) fn event_type(native: &str) -> Option<&'static str> {
    Some(match native {
        "payment_authorized" => "transaction.authorized",
        "payment_captured" | "payment_succeeded" => "transaction.captured",
        "payment_failed" => "transaction.failed",
        "payment_cancelled" | "payment_expired" => "transaction.voided",
        "payment_processing" => "invoice.pending",
        "refund_succeeded" => "transaction.refunded",
        "refund_failed" => "transaction.operation.refund.failed",
        "dispute_opened" => "transaction.chargeback.initiated",
        "dispute_challenged" => "transaction.chargeback.challenged",
        "dispute_accepted" => "transaction.chargeback.accepted",
        "dispute_cancelled" => "transaction.chargeback.canceled",
        "dispute_expired" => "transaction.chargeback.expired",
        "dispute_won" => "transaction.chargeback.won",
        "dispute_lost" => "transaction.chargeback.lost",
        _ => return None,
    })
}

/// The error that a payment which failed is answered with.
pub(super) fn failed(native: &Value) -> Option<Wrong> {
    (native["status"] == "failed").then(|| {
        let (code, message) = failure(native);
        // The same as for a source that is found to be unusable before the payment begins.
        Wrong::new(if code == SOURCE { 400 } else { 410 }, code, message)
    })
}

/// The reason of a failure: this dialect's word, and a sentence. Words of a decline are for declines alone.
fn failure(native: &Value) -> (&'static str, &'static str) {
    if native[DECLINED] != true {
        let code = text(native, "error_code");
        if let Some((_, word, message)) = NOT_DONE.iter().find(|(codes, ..)| codes.contains(&code)) {
            return (word, message);
        }
        // A kept answer that is older than this word does not say what it was.
        if native[DECLINED] == false {
            return ("gateway.declined", "The gateway refused the request, but nobody declined the card.");
        }
    }
    let said = format!("{} {}", text(native, "error_code"), text(native, "error_message")).to_lowercase();
    let said = said.replace([' ', '-'], "_");
    let known = DECLINES.iter().find(|(words, ..)| words.iter().any(|word| said.contains(word)));
    known.map_or(("card.declined", "The card was declined."), |(_, code, message)| (*code, *message))
}

fn status(native: &Value) -> &'static str {
    match text(native, "status") {
        "requires_payment_method" | "requires_confirmation" => "waiting",
        "processing" | "requires_customer_action" => "pending",
        "requires_capture" => "authorized",
        "failed" => "failed",
        "cancelled" | "expired" => "voided",
        _ if is_charged_back(native) => "chargeback-initiated",
        _ if refunded_minor(native) > 0 && refunded_minor(native) == number(native, "amount_received") => "refunded",
        _ => "completed",
    }
}

/// How far an order is: what a shop goes by when it ships or calls back.
fn fulfilment(native: &Value) -> &'static str {
    match text(native, "status") {
        "requires_payment_method" | "requires_confirmation" => "awaiting_payment",
        "requires_customer_action" => "awaiting_customer",
        "processing" => "processing",
        "requires_capture" => "authorized",
        "failed" => "payment_failed",
        "cancelled" => "cancelled",
        "expired" => "expired",
        _ if is_charged_back(native) => "charged_back",
        _ if refunded_minor(native) > 0 && refunded_minor(native) == number(native, "amount_received") => "refunded",
        _ if refunded_minor(native) > 0 => "partially_refunded",
        "succeeded" => "paid",
        _ => "partially_paid",
    }
}

fn is_charged_back(native: &Value) -> bool {
    items(native, "disputes").any(|row| !matches!(text(row, "dispute_status"), "dispute_won" | "dispute_cancelled"))
}

/// What was reserved, whether it was taken since or not.
fn reserved_minor(native: &Value) -> u64 {
    match text(native, "status") {
        "requires_capture" | "succeeded" | "partially_captured" | "partially_captured_and_capturable" => {
            number(native, "amount")
        }
        _ => 0,
    }
}

fn refunded_minor(native: &Value) -> u64 {
    items(native, "refunds").filter(|row| row["status"] == "succeeded").map(|row| number(row, "amount")).sum()
}

fn refunded(native: &Value) -> Option<String> {
    told(refunded_minor(native), currency(native))
}

fn items<'a>(native: &'a Value, name: &str) -> impl Iterator<Item = &'a Value> {
    native[name].as_array().into_iter().flatten()
}

fn number(native: &Value, name: &str) -> u64 {
    native[name].as_u64().unwrap_or(0)
}

fn amount(native: &Value, name: &str) -> Option<String> {
    told(number(native, name), currency(native))
}

fn told(minor: u64, currency: Option<Currency>) -> Option<String> {
    currency.map(|currency| major(minor, currency))
}

/// Every native answer about money names its currency.
fn currency(native: &Value) -> Option<Currency> {
    text(native, "currency").parse().ok()
}

pub(super) fn text<'a>(native: &'a Value, name: &str) -> &'a str {
    native[name].as_str().unwrap_or_default()
}

/// The specification types most fields, so that one which has no value is left out rather than null.
fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(fields) => fields
            .into_iter()
            .filter(|(_, value)| !value.is_null())
            .map(|(name, value)| (name, without_nulls(value)))
            .collect(),
        Value::Array(items) => items.into_iter().map(without_nulls).collect(),
        other => other,
    }
}

type Decline = (&'static [&'static str], &'static str, &'static str);

/// What providers say, and the words of this dialect; the first that fits counts.
const DECLINES: &[Decline] = &[
    (&["insufficient"], "card.no-money", "The card has not enough money."),
    (&["do_not_honor", "do_not_honour"], "card.do-not-honor", "The bank has returned a do-not-honor error."),
    (&["expired"], "card.expired", "The card has expired."),
    (&["cvc", "cvv", "security_code"], "card.failed-cvc", "The CVC is wrong or missing."),
    (&["lost"], "card.lost", "The card was reported lost."),
    (&["stolen"], "card.stolen", "The card was reported stolen."),
    (&["pickup", "pick_up"], "card.needs-pick-up", "The bank wants the card back."),
    (&["authentication", "3ds", "three_d"], "card.failed-three-d-secure", "The payer did not authenticate."),
    (&["fraud"], "card.suspected-fraud", "The payment is suspected to be fraud."),
    (&["invalid_number", "incorrect_number"], "card.invalid-number", "The number of the card is not valid."),
];

/// Our own codes, of payments about which no issuer said anything.
const NOT_DONE: &[Decline] = &[
    (&["cvc_gone"], "card.failed-cvc", "The CVC was used before or has expired; nothing was charged."),
    (&["payment_method_gone", "no_card"], SOURCE, "The card is no longer stored; nothing was charged."),
    (
        &[
            "connector_unreachable",
            "connector_no_answer",
            "vault_unavailable",
            "vault_refused",
            "credentials_gone",
            "no_connector",
            "not_supported",
            "interrupted",
            "not_processed",
        ],
        "gateway.unavailable",
        "The gateway was not asked or gave no answer, and nothing was charged: begin again with a new invoice or card token.",
    ),
];

/// The type of an error about what should have paid.
const SOURCE: &str = "request.source.invalid";

/// The name beside the native ones under which [`native`] says whether a payment was declined.
pub(super) const DECLINED: &str = "declined";

/// Where the parts of a customer stand that the native one has no field for.
pub(super) const PROFILE: &str = "_profile";
