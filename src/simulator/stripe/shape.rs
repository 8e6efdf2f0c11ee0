//! Stripe's JSON shapes of the simulator's objects, with the fields that a client of card payments reads.

use serde_json::{Value, json};

use super::book::{Book, Challenge, Charge, Intent, LastError, Method, Refund, Setup};
use crate::cards::Behaviour;

/// A `payment_method`.
pub(crate) fn method(method: &Method) -> Value {
    json!({
        "id": method.id,
        "object": "payment_method",
        "allow_redisplay": "unspecified",
        "billing_details": billing_details(method),
        "card": {
            "brand": method.card.brand,
            "checks": checks(method, Value::Null),
            "country": method.card.country,
            "display_brand": method.card.brand,
            "exp_month": method.exp_month,
            "exp_year": method.exp_year,
            "fingerprint": method.card.fingerprint(),
            "funding": method.card.funding,
            "generated_from": null,
            "last4": method.card.last4(),
            "networks": { "available": [method.card.brand], "preferred": null },
            "three_d_secure_usage": { "supported": method.card.supports_three_d_secure() },
            "wallet": null
        },
        "created": method.created,
        "customer": null,
        "livemode": false,
        "metadata": method.metadata,
        "type": "card"
    })
}

/// How a caller wants its payment intents.
#[derive(Clone, Copy, Default)]
pub(crate) struct View {
    /// `expand[]=latest_charge`: the charge itself instead of its id.
    pub(crate) whole_charge: bool,
    /// An API version before 2022-11-15: the charges are listed in the payment intent.
    pub(crate) charges: bool,
}

/// A `payment_intent`.
pub(crate) fn intent(book: &Book, intent: &Intent, view: View) -> Value {
    let charge_found = intent.charge.as_deref().and_then(|id| book.charge(id).ok());
    let latest_charge = match charge_found {
        Some(found) if view.whole_charge => charge(book, found),
        Some(found) => json!(found.id),
        None => Value::Null,
    };
    let mut shape = json!({
        "id": intent.id,
        "object": "payment_intent",
        "amount": intent.amount,
        "amount_capturable": intent.capturable,
        "amount_details": { "tip": {} },
        "amount_received": intent.received,
        "application": null,
        "application_fee_amount": null,
        "automatic_payment_methods": null,
        "canceled_at": intent.canceled_at,
        "cancellation_reason": intent.cancellation_reason,
        "capture_method": if intent.manual_capture { "manual" } else { "automatic" },
        "client_secret": intent.client_secret,
        "confirmation_method": "automatic",
        "created": intent.created,
        "currency": intent.currency,
        "customer": null,
        "description": intent.description,
        "last_payment_error": last_error(book, intent.last_error.as_ref(), "payment"),
        "latest_charge": latest_charge,
        "livemode": false,
        "metadata": intent.metadata,
        "next_action": next_action(intent.challenge.as_ref(), intent.return_url.as_deref()),
        "on_behalf_of": null,
        "payment_method": intent.method,
        "payment_method_options": { "card": {
            "installments": null,
            "mandate_options": null,
            "network": null,
            "request_three_d_secure": if intent.three_ds_wanted { "any" } else { "automatic" }
        } },
        "payment_method_types": ["card"],
        "processing": null,
        "receipt_email": null,
        "review": null,
        "setup_future_usage": intent.setup_future_usage,
        "shipping": null,
        "statement_descriptor": intent.statement_descriptor,
        "statement_descriptor_suffix": intent.statement_descriptor_suffix,
        "status": intent.status.name(),
        "transfer_data": null,
        "transfer_group": null
    });
    if view.charges {
        let charges = charge_found.map(|found| charge(book, found)).into_iter().collect();
        shape["charges"] = list(&format!("/v1/charges?payment_intent={}", intent.id), charges, false);
    }
    shape
}

/// A `setup_intent`.
pub(crate) fn setup(book: &Book, setup: &Setup) -> Value {
    json!({
        "id": setup.id,
        "object": "setup_intent",
        "application": null,
        "cancellation_reason": setup.cancellation_reason,
        "client_secret": setup.client_secret,
        "created": setup.created,
        "customer": null,
        "description": setup.description,
        "last_setup_error": last_error(book, setup.last_error.as_ref(), "setup"),
        "latest_attempt": null,
        "livemode": false,
        "mandate": null,
        "metadata": setup.metadata,
        "next_action": next_action(setup.challenge.as_ref(), setup.return_url.as_deref()),
        "on_behalf_of": null,
        "payment_method": setup.method,
        "payment_method_options": { "card": {
            "mandate_options": null,
            "request_three_d_secure": if setup.three_ds_wanted { "any" } else { "automatic" }
        } },
        "payment_method_types": ["card"],
        "single_use_mandate": null,
        "status": setup.status.name(),
        "usage": setup.usage
    })
}

/// A `charge`.
pub(crate) fn charge(book: &Book, charge: &Charge) -> Value {
    let method = book.method(&charge.method).ok();
    let approved = charge.decline.is_none();
    let intent = book.intent(&charge.intent).ok();
    let card = method.map(|method| {
        json!({
            "amount_authorized": if approved { charge.amount } else { 0 },
            "brand": method.card.brand,
            "checks": checks(method, json!(cvc_check(method))),
            "country": method.card.country,
            "exp_month": method.exp_month,
            "exp_year": method.exp_year,
            "fingerprint": method.card.fingerprint(),
            "funding": method.card.funding,
            "incremental_authorization": offered(intent.is_some_and(|intent| intent.incremental)),
            "last4": method.card.last4(),
            "multicapture": offered(intent.is_some_and(|intent| intent.multicapture)),
            "network": method.card.brand,
            "network_transaction_id": if approved { json!(charge.network_transaction_id) } else { Value::Null },
            "three_d_secure": if charge.authenticated {
                json!({ "authentication_flow": "challenge", "result": "authenticated", "version": "2.2.0" })
            } else {
                Value::Null
            },
            "wallet": null
        })
    });
    let outcome = match charge.decline {
        None => json!({
            "network_status": "approved_by_network", "reason": null, "risk_level": "normal",
            "seller_message": "Payment complete.", "type": "authorized"
        }),
        Some(decline) if decline.decline_code == "fraudulent" => json!({
            "network_status": "not_sent_to_network", "reason": "highest_risk_level", "risk_level": "highest",
            "seller_message": "Blocked this payment as too risky.", "type": "blocked"
        }),
        Some(decline) => json!({
            "network_status": "declined_by_network", "reason": decline.decline_code, "risk_level": "normal",
            "seller_message": "The bank declined the payment.", "type": "issuer_declined"
        }),
    };
    json!({
        "id": charge.id,
        "object": "charge",
        "amount": charge.amount,
        "amount_captured": charge.captured,
        "amount_refunded": charge.refunded,
        "billing_details": method.map(billing_details),
        "captured": charge.captured > 0,
        "created": charge.created,
        "currency": charge.currency,
        "disputed": intent.is_some_and(|intent| intent.dispute.is_some()),
        "failure_code": charge.decline.map(|decline| decline.code),
        "failure_message": charge.decline.map(|decline| decline.message),
        "livemode": false,
        "metadata": {},
        "outcome": outcome,
        "paid": approved,
        "payment_intent": charge.intent,
        "payment_method": charge.method,
        "payment_method_details": { "card": card, "type": "card" },
        "refunded": charge.captured > 0 && charge.refunded == charge.captured,
        "status": if approved { "succeeded" } else { "failed" }
    })
}

/// A `refund`.
pub(crate) fn refund(refund: &Refund) -> Value {
    let mut shape = json!({
        "id": refund.id,
        "object": "refund",
        "amount": refund.amount,
        "balance_transaction": null,
        "charge": refund.charge,
        "created": refund.created,
        "currency": refund.currency,
        "metadata": refund.metadata,
        "payment_intent": refund.intent,
        "reason": refund.reason,
        "receipt_number": null,
        "source_transfer_reversal": null,
        "status": refund.status,
        "transfer_reversal": null
    });
    if refund.status == "failed" {
        shape["failure_reason"] = json!("expired_or_canceled_card");
    }
    shape
}

/// The `dispute` of a payment intent, if it has one.
pub(crate) fn dispute(intent: &Intent) -> Option<Value> {
    let dispute = intent.dispute.as_ref()?;
    Some(json!({
        "id": dispute.id,
        "object": "dispute",
        "amount": dispute.amount,
        "balance_transactions": [],
        "charge": intent.charge,
        "created": dispute.created,
        "currency": intent.currency,
        "evidence": {},
        "evidence_details": {
            "due_by": dispute.created + EVIDENCE_S, "has_evidence": false, "past_due": false, "submission_count": 0
        },
        "is_charge_refundable": dispute.status == "warning_needs_response",
        "livemode": false,
        "metadata": {},
        "payment_intent": intent.id,
        "reason": dispute.reason,
        "status": dispute.status
    }))
}

/// A page of a list.
pub(crate) fn list(url: &str, items: Vec<Value>, has_more: bool) -> Value {
    json!({ "object": "list", "data": items, "has_more": has_more, "url": url })
}

fn next_action(challenge: Option<&Challenge>, return_url: Option<&str>) -> Value {
    let Some(challenge) = challenge else { return Value::Null };
    match return_url {
        Some(return_url) => json!({
            "type": "redirect_to_url",
            "redirect_to_url": { "return_url": return_url, "url": challenge.url }
        }),
        // Without a return_url Stripe leaves the page to its browser library; the address is here all the same, since
        // the simulator has no such library.
        None => json!({
            "type": "use_stripe_sdk",
            "use_stripe_sdk": { "type": "three_d_secure_redirect", "stripe_js": challenge.url }
        }),
    }
}

/// `kind` is `payment` or `setup`.
fn last_error(book: &Book, error: Option<&LastError>, kind: &str) -> Value {
    let shown = |id: &str| book.method(id).ok().map(method);
    match error {
        None => Value::Null,
        Some(LastError::Declined { decline, charge, method }) => {
            let mut error = json!({
                "type": "card_error",
                "code": decline.code,
                "decline_code": decline.decline_code,
                "message": decline.message,
                "payment_method": shown(method)
            });
            if let Some(charge) = charge {
                error["charge"] = json!(charge);
            }
            error
        }
        Some(LastError::NotAuthenticated { method }) => json!({
            "type": "invalid_request_error",
            "code": format!("{kind}_intent_authentication_failure"),
            "message": "The provided PaymentMethod has failed authentication. Provide a new PaymentMethod to attempt \
                        to fulfill this intent again.",
            "payment_method": shown(method)
        }),
    }
}

fn offered(is: bool) -> Value {
    json!({ "status": if is { "available" } else { "unavailable" } })
}

fn billing_details(method: &Method) -> Value {
    json!({
        "address": {
            "city": null, "country": null, "line1": null, "line2": null, "postal_code": null, "state": null
        },
        "email": null,
        "name": method.holder_name,
        "phone": null
    })
}

fn checks(method: &Method, cvc_check: Value) -> Value {
    let cvc_check = if method.cvc_given { cvc_check } else { Value::Null };
    json!({ "address_line1_check": null, "address_postal_code_check": null, "cvc_check": cvc_check })
}

fn cvc_check(method: &Method) -> &'static str {
    if method.card.behaviour == Behaviour::ApproveBadCvc { "fail" } else { "pass" }
}

/// How long evidence is taken: a week, in seconds.
const EVIDENCE_S: i64 = 7 * 24 * 3600;
