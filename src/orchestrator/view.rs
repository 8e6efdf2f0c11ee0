//! Payments, refunds and saved cards as the API shows them.

use serde_json::{Value, json};
use strongroom_wire::TenantId;
use strongroom_wire::payment_method::{Brand, CardSummary};

use crate::account::{Customer, Merchant};
use crate::clock::rfc3339;
use crate::connector::DisputeStatus;
use crate::intent::{
    Attempt, AttemptStatus, CaptureRow, CaptureStatus, Dispute, FutureUsage, IncrementRow, KeptCard, Payment,
    PaymentKind, Refund, RefundStatus, SavedCard, State,
};

/// A payment.
pub(crate) fn payment(payment: &Payment) -> Value {
    let last = payment.last_attempt();
    let terms = &payment.terms;
    let paid = matches!(
        payment.state,
        State::Succeeded | State::RequiresCapture | State::PartiallyCaptured | State::PartiallyCapturedAndCapturable
    );
    let away = payment.redirect_url.as_ref().filter(|_| payment.state == State::RequiresCustomerAction);
    let kept = payment.method.as_ref().filter(|method| method.kept);
    let mut view = json!({
        "payment_id": payment.payment_id,
        "merchant_id": payment.merchant_id,
        "status": payment.state.word(),
        "amount": terms.amount_minor,
        "net_amount": terms.amount_minor,
        "amount_capturable": payment.capturable_minor(),
        "amount_received": (payment.captured_minor > 0).then_some(payment.captured_minor),
        "processor_merchant_id": payment.merchant_id,
        "currency": terms.currency,
        "client_secret": payment.client_secret,
        "created": rfc3339(payment.created_ms),
        "modified_at": rfc3339(payment.modified_ms),
        "expires_on": rfc3339(payment.expires_ms),
        "customer_id": terms.customer_id,
        "customer": terms.customer_id.as_ref().map(|id| json!({
            "id": id,
            "name": terms.extra.get("name"),
            "email": terms.extra.get("email"),
            "phone": terms.extra.get("phone"),
            "phone_country_code": terms.extra.get("phone_country_code"),
        })),
        "description": terms.description,
        "return_url": terms.return_url,
        "setup_future_usage": terms.setup_future_usage,
        "off_session": terms.off_session.then_some(true),
        "authentication_type": if terms.three_ds { "three_ds" } else { "no_three_ds" },
        "statement_descriptor_name": terms.statement_descriptor,
        "metadata": terms.metadata,
        "attempt_count": payment.attempts.len().max(1),
        "connector": last.map(|a| &a.connector),
        "merchant_connector_id": last.map(|a| &a.account_id),
        "connector_transaction_id": last.and_then(|a| a.psp_id.as_ref()),
        "reference_id": last.and_then(|a| a.psp_id.as_ref()),
        "network_transaction_id": last.and_then(|a| a.network_transaction_id.as_ref()),
        "payment_method": payment.method.as_ref().map(|_| "card"),
        "payment_method_data": payment.method.as_ref().map(|method| json!({"card": card(&method.card)})),
        "payment_method_id": kept.filter(|_| paid).map(|method| method.token),
        "payment_method_status": kept.map(|_| if paid { "active" } else { "inactive" }),
        "next_action": away.map(|url| json!({"type": "redirect_to_url", "redirect_to_url": url})),
        "cancellation_reason": payment.cancellation_reason,
        "error_code": last.and_then(|a| a.error_code.as_ref()),
        "error_message": last.and_then(|a| a.error_message.as_ref()),
        "unified_code": last.and_then(|a| a.error_code.as_ref()).map(|_| "UE_9000"),
        "unified_message": last.and_then(|a| a.error_code.as_ref()).map(|_| "Something went wrong"),
        "attempts": payment.attempts.iter().map(|a| attempt(payment, a)).collect::<Vec<_>>(),
        "refunds": payment.refunds.iter().map(|r| refund(payment, r)).collect::<Vec<_>>(),
    });
    view["disputes"] = payment.disputes.iter().map(|d| dispute(payment, d)).collect();
    if let (Value::Object(fields), Value::Object(held)) = (&mut view, held(payment)) {
        fields.extend(held);
        for (name, value) in &terms.extra {
            fields.entry(name.clone()).or_insert_with(|| value.clone());
        }
    }
    view
}

/// A refund of a payment.
pub(crate) fn refund(payment: &Payment, refund: &Refund) -> Value {
    json!({
        "refund_id": refund.refund_id,
        "payment_id": payment.payment_id,
        "amount": refund.amount_minor,
        "currency": payment.terms.currency,
        "status": match refund.status {
            RefundStatus::Pending => "pending",
            RefundStatus::Succeeded => "succeeded",
            RefundStatus::Failed => "failed",
        },
        "reason": refund.reason,
        "metadata": refund.metadata,
        "error_code": refund.error_code,
        "error_message": refund.error_message,
        "connector": payment.last_attempt().map(|a| &a.connector),
        "created_at": rfc3339(refund.created_ms),
        "updated_at": rfc3339(refund.modified_ms),
    })
}

/// A dispute of a payment.
pub(crate) fn dispute(payment: &Payment, dispute: &Dispute) -> Value {
    let last = payment.last_attempt();
    json!({
        "dispute_id": dispute.dispute_id,
        "payment_id": payment.payment_id,
        "attempt_id": last.map(|a| &a.attempt_id),
        "amount": dispute.amount_minor,
        "currency": payment.terms.currency,
        "dispute_stage": dispute.stage,
        "dispute_status": dispute_status(dispute.status),
        "connector": last.map(|a| &a.connector),
        "connector_dispute_id": dispute.dispute_id,
        "connector_reason_code": dispute.reason,
        "challenge_required_by": dispute.evidence_due_ms.map(rfc3339),
        "created_at": rfc3339(dispute.created_ms),
        "updated_at": rfc3339(dispute.modified_ms),
    })
}

/// The word for a dispute's status, which is also the type of the event that tells it.
pub(crate) fn dispute_status(status: DisputeStatus) -> &'static str {
    match status {
        DisputeStatus::Opened => "dispute_opened",
        DisputeStatus::Challenged => "dispute_challenged",
        DisputeStatus::Accepted => "dispute_accepted",
        DisputeStatus::Expired => "dispute_expired",
        DisputeStatus::Cancelled => "dispute_cancelled",
        DisputeStatus::Won => "dispute_won",
        DisputeStatus::Lost => "dispute_lost",
    }
}

/// A saved card in a list. `on_session` says that the payer is there and may be asked for the CVC.
pub(crate) fn saved_card(saved: &SavedCard, on_session: bool) -> Value {
    let method = &saved.method;
    let off_session = saved.used.as_ref().is_some_and(|used| used.off_session);
    json!({
        "payment_token": saved.payment_token,
        "payment_method_id": method.payment_method_id,
        "customer_id": method.customer_id,
        "payment_method": "card",
        "payment_method_type": null,
        "recurring_enabled": off_session,
        "requires_cvv": on_session && saved.asks_cvc(),
        "default_payment_method_set": saved.is_default,
        "created": method.created_at,
        "last_used_at": saved.used.as_ref().map(|used| rfc3339(used.last_used_ms)),
        "card": saved_details(&method.card),
    })
}

/// A kept card alone, for the merchant's server.
pub(crate) fn kept_card(merchant: &TenantId, kept: &KeptCard) -> Value {
    let method = &kept.method;
    json!({
        "payment_method_id": method.payment_method_id,
        "merchant_id": merchant,
        "customer_id": method.customer_id,
        "payment_method": "card",
        "payment_method_type": null,
        "recurring_enabled": kept.used.as_ref().is_some_and(|used| used.off_session),
        "default_payment_method_set": kept.is_default,
        "created": method.created_at,
        "last_used_at": kept.used.as_ref().map(|used| rfc3339(used.last_used_ms)),
        "metadata": method.metadata,
        "card": saved_details(&method.card),
    })
}

fn saved_details(card: &CardSummary) -> Value {
    json!({
        "scheme": brand(card.brand),
        "card_network": brand(card.brand),
        "last4_digits": card.last4,
        "expiry_month": format!("{:02}", card.exp_month),
        "expiry_year": card.exp_year.to_string(),
        "card_isin": card.bin,
        "card_fingerprint": card.fingerprint,
        "saved_to_locker": true,
    })
}

/// A customer.
pub(crate) fn customer(customer: &Customer) -> Value {
    json!({
        "customer_id": customer.customer_id,
        "name": customer.name,
        "email": customer.email,
        "phone": customer.phone,
        "phone_country_code": customer.phone_country_code,
        "description": customer.description,
        "metadata": customer.metadata,
        "default_payment_method_id": customer.default_method,
        "created_at": rfc3339(customer.created_ms),
    })
}

/// A merchant.
pub(crate) fn merchant(merchant: &Merchant) -> Value {
    json!({
        "merchant_id": merchant.merchant_id,
        "merchant_name": merchant.merchant_name,
        "publishable_key": merchant.publishable_key,
        "default_profile": merchant.profile_id,
        "webhook_details": {
            "webhook_url": merchant.webhooks.url,
            "events": merchant.webhooks.events,
            "secrets": merchant.webhooks.secrets.iter().map(|secret| json!({
                "created_at": rfc3339(secret.created_ms),
                "ends_at": secret.ends_ms.map(rfc3339),
            })).collect::<Vec<_>>(),
        },
        "allowed_origins": merchant.allowed_origins,
        "metadata": merchant.metadata,
        "created_at": rfc3339(merchant.created_ms),
    })
}

/// What is reserved, for how long, and what was taken of it.
fn held(payment: &Payment) -> Value {
    let terms = &payment.terms;
    json!({
        "payment_type": match terms.kind {
            PaymentKind::Normal => "normal",
            PaymentKind::SetupMandate => "setup_mandate",
        },
        "mit_category": terms.off_session.then_some(terms.mit_category),
        "capture_method": terms.capture.word(),
        "capture_on": terms.capture_on_ms.map(rfc3339),
        "capture_before": payment.authorized_until_ms.filter(|_| payment.is_reserved()).map(rfc3339),
        "amount_to_capture": terms.to_capture_minor(),
        "captures": payment.captures.iter().map(|row| capture(payment, row)).collect::<Vec<_>>(),
        "request_incremental_authorization": terms.incremental,
        "incremental_authorization_allowed": payment.state == State::RequiresCapture && terms.incremental,
        "incremental_authorizations": payment.increments.iter().map(increment).collect::<Vec<_>>(),
    })
}

fn capture(payment: &Payment, row: &CaptureRow) -> Value {
    json!({
        "capture_id": row.capture_id,
        "payment_id": payment.payment_id,
        "status": match row.status {
            CaptureStatus::Pending => "pending",
            CaptureStatus::Charged => "charged",
            CaptureStatus::Failed => "failed",
        },
        "amount": row.amount_minor,
        "currency": payment.terms.currency,
        "connector": payment.last_attempt().map(|a| &a.connector),
        "error_code": row.error_code,
        "error_message": row.error_message,
        "created_at": rfc3339(row.created_ms),
    })
}

fn increment(row: &IncrementRow) -> Value {
    json!({
        "authorization_id": row.increment_id,
        "amount": row.total_minor,
        "previously_authorized_amount": row.before_minor,
        "status": match row.status {
            CaptureStatus::Pending => "processing",
            CaptureStatus::Charged => "success",
            CaptureStatus::Failed => "failure",
        },
        "reason": row.reason,
        "error_code": row.error_code,
        "error_message": row.error_message,
        "created_at": rfc3339(row.created_ms),
    })
}

fn attempt(payment: &Payment, attempt: &Attempt) -> Value {
    json!({
        "attempt_id": attempt.attempt_id,
        "status": match attempt.status {
            AttemptStatus::Pending => "pending",
            AttemptStatus::AuthenticationPending => "authentication_pending",
            AttemptStatus::Authorized => "authorized",
            AttemptStatus::Charged => "charged",
            AttemptStatus::Voided => "voided",
            AttemptStatus::Failure => "failure",
        },
        "amount": payment.terms.amount_minor,
        "currency": payment.terms.currency,
        "connector": attempt.connector,
        "merchant_connector_id": attempt.account_id,
        "connector_transaction_id": attempt.psp_id,
        "error_code": attempt.error_code,
        "error_message": attempt.error_message,
        "created_at": rfc3339(attempt.created_ms),
    })
}

fn card(card: &CardSummary) -> Value {
    json!({
        "last4": card.last4,
        "card_network": brand(card.brand),
        "card_isin": card.bin,
        "card_exp_month": format!("{:02}", card.exp_month),
        "card_exp_year": card.exp_year.to_string(),
    })
}

pub(crate) fn brand(brand: Brand) -> Option<&'static str> {
    crate::routing::word(brand)
}

/// Whether a browser that pays this payment will be asked for the CVC of a saved card.
pub(crate) fn asks_cvc(payment: &Payment) -> bool {
    payment.terms.setup_future_usage != Some(FutureUsage::OffSession)
}
