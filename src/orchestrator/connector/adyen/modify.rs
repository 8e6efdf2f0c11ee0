//! Capture, cancel, refund and increment: Adyen says `received`, and later, by a webhook, what became of it.

use super::amount;
use super::answer::{Modification, Said, read};
use super::reference::Reference;
use super::{account, is_psp_reference, post};
use crate::connector::{
    Cancel, Capture, Doubt, Handles, Increment, Json, Outcome, PspAnswer, PspRequest, Refund, Step, Unsupported,
};
use crate::money::Money;

/// `POST /payments/{pspReference}/captures`.
pub(super) fn capture_request(capture: &Capture) -> Result<PspRequest, Unsupported> {
    let left = capture.authorized.minor.saturating_sub(capture.taken.minor);
    if capture.amount.currency != capture.authorized.currency || capture.amount.minor > left {
        return Err(Unsupported("Adyen captures at most what was authorized, in the same currency"));
    }
    let reference = Reference::Capture { payment_id: &capture.payment_id, capture_id: &capture.capture_id };
    let body = body(&reference).with("amount", amount::json(capture.amount)?);
    Ok(post(path(&capture.psp_id, "captures")?, &capture.idempotency_key, body))
}

/// What the answer to it means.
pub(super) fn capture_outcome(capture: &Capture, answer: &PspAnswer) -> Step {
    received(&capture.psp_id, Some(capture.amount), answer)
}

/// `POST /payments/{pspReference}/cancels`, or, while Adyen has given no reference of its own, `POST /cancels`.
pub(super) fn cancel_request(cancel: &Cancel) -> Result<PspRequest, Unsupported> {
    let body = body(&Reference::Cancel { payment_id: &cancel.payment_id });
    if let Some(Reference::Payment { .. }) = Reference::parse(&cancel.psp_id).filter(|_| is_ours(&cancel.psp_id)) {
        let body = body.with("paymentReference", Json::text(cancel.psp_id.as_str()));
        return Ok(post("/v71/cancels".to_owned(), &cancel.idempotency_key, body));
    }
    Ok(post(path(&cancel.psp_id, "cancels")?, &cancel.idempotency_key, body))
}

/// What the answer to it means.
pub(super) fn cancel_outcome(cancel: &Cancel, answer: &PspAnswer) -> Step {
    received(&cancel.psp_id, None, answer)
}

/// `POST /payments/{pspReference}/amountUpdates` with the whole new amount.
pub(super) fn increment_request(increment: &Increment) -> Result<PspRequest, Unsupported> {
    let body = body(&Reference::Increment { payment_id: &increment.payment_id });
    let body = body.with("amount", amount::json(increment.total)?);
    Ok(post(path(&increment.psp_id, "amountUpdates")?, &increment.idempotency_key, body))
}

/// What the answer to it means.
pub(super) fn increment_outcome(increment: &Increment, answer: &PspAnswer) -> Step {
    received(&increment.psp_id, Some(increment.total), answer)
}

/// `POST /payments/{pspReference}/refunds`.
pub(super) fn refund_request(refund: &Refund) -> Result<PspRequest, Unsupported> {
    let reference = Reference::Refund { payment_id: &refund.payment_id, refund_id: &refund.refund_id };
    let body = body(&reference)
        .with("amount", amount::json(refund.amount)?)
        .with_some("merchantRefundReason", refund.reason.as_deref().and_then(reason).map(Json::text));
    Ok(post(path(&refund.psp_id, "refunds")?, &refund.idempotency_key, body))
}

/// What the answer to it means. A refund has a reference of its own at Adyen.
pub(super) fn refund_outcome(refund: &Refund, answer: &PspAnswer) -> Step {
    modified(&refund.psp_id, Some(refund.amount), answer, |modification| modification.psp_reference)
}

/// The payment keeps its own reference: that of the modification is of no use to what follows.
fn received(psp_id: &str, amount: Option<Money>, answer: &PspAnswer) -> Step {
    modified(psp_id, amount, answer, |_| psp_id.to_owned())
}

fn modified(psp_id: &str, amount: Option<Money>, answer: &PspAnswer, id: impl FnOnce(Modification) -> String) -> Step {
    match read::<Modification>(answer) {
        Said::Object(it) if it.is_received(psp_id, amount) => {
            Step::Done(Outcome::Pending { psp_id: id(it), handles: Handles::new() })
        }
        Said::Object(_) => Step::InDoubt(Doubt::Unreadable),
        Said::Problem(status, problem) => Step::Done(Outcome::Refused(problem.refusal(status))),
        Said::Doubt(doubt) => Step::InDoubt(doubt),
    }
}

fn body(reference: &Reference<'_>) -> Json {
    Json::object([("merchantAccount", account()), ("reference", Json::text(reference.to_string()))])
}

/// Ids come from answers and from what was stored, so they are checked like any input.
fn path(psp_id: &str, what: &str) -> Result<String, Unsupported> {
    if is_psp_reference(psp_id) {
        Ok(format!("/v71/payments/{psp_id}/{what}"))
    } else {
        Err(Unsupported("the stored id of the payment is none of Adyen's"))
    }
}

/// Whether the id is a reference of ours: those have characters that none of Adyen's has.
fn is_ours(psp_id: &str) -> bool {
    !is_psp_reference(psp_id)
}

/// The merchant's reason, where it is one that Adyen takes; any other text stays with us.
fn reason(text: &str) -> Option<&'static str> {
    Some(match text {
        "duplicate" => "DUPLICATE",
        "fraudulent" => "FRAUD",
        "requested_by_customer" | "customer_request" => "CUSTOMER REQUEST",
        "return" => "RETURN",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cancel(psp_id: &str) -> Result<String, Unsupported> {
        let money = Money { minor: 5, currency: "EUR".parse().unwrap() };
        let cancel = Cancel {
            payment_id: "pay_1".into(),
            psp_id: psp_id.into(),
            handles: Handles::new(),
            authorized: money,
            taken: money,
            idempotency_key: "key1".into(),
            reason: None,
        };
        cancel_request(&cancel).map(|request| request.path)
    }

    #[test]
    fn id_that_would_leave_its_path_is_refused() {
        for bad in ["", "A/../../v71/payments", "A?x", "A B", "A%2f", "pay_1.refund.r"] {
            assert!(cancel(bad).is_err(), "{bad}");
        }
        assert_eq!(cancel("993617895215577D").unwrap(), "/v71/payments/993617895215577D/cancels");
    }

    #[test]
    fn payment_that_adyen_has_not_named_yet_is_cancelled_by_our_reference() {
        assert_eq!(cancel("pay_1_1").unwrap(), "/v71/cancels");
        assert_eq!(cancel("pay_1_1.sale").unwrap(), "/v71/cancels");
    }
}
