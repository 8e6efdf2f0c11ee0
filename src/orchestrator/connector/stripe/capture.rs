//! Capture: takes all or a part of a reservation; Stripe releases the rest, unless more captures follow.

use super::amount::to_stripe;
use super::answer::{Said, read};
use super::object::{Found as _, Intent, MULTICAPTURE, UNAVAILABLE};
use super::{Form, id_in_path};
use crate::connector::{Capture, Doubt, Outcome, PspAnswer, PspRequest, Step, Unsupported};
use crate::money::Money;

pub(super) fn request(capture: &Capture) -> Result<PspRequest, Unsupported> {
    let same = capture.amount.currency == capture.authorized.currency;
    if !same || total(capture).is_none_or(|total| total.minor > capture.authorized.minor) {
        return Err(Unsupported("Stripe captures at most what was authorized, in the same currency"));
    }
    if !capture.is_final && capture.handles.get(MULTICAPTURE).is_some_and(|status| status == UNAVAILABLE) {
        return Err(Unsupported(
            "Stripe or the card's network allows one capture of this payment: make it the last one",
        ));
    }
    let path = format!("/v1/payment_intents/{}/capture", id_in_path(&capture.psp_id)?);
    let mut form = Form::default().text("amount_to_capture", to_stripe(capture.amount)?.to_string());
    if !capture.is_final {
        form = form.text("final_capture", "false");
    }
    Ok(form.expanded("latest_charge").post(path, Some(capture.idempotency_key.clone())))
}

pub(super) fn outcome(capture: &Capture, answer: &PspAnswer) -> Step {
    match read::<Intent>(answer) {
        Said::Object(intent) => captured(capture, &intent).unwrap_or(Step::InDoubt(Doubt::Unreadable)),
        Said::Problem(402, problem) => Step::Done(Outcome::Declined(problem.decline(Some(capture.psp_id.clone())))),
        Said::Problem(status, problem) => Step::Done(Outcome::Refused(problem.refusal(status))),
        Said::Doubt(doubt) => Step::InDoubt(doubt),
    }
}

/// `None` where the payment intent does not prove this capture.
fn captured(capture: &Capture, intent: &Intent) -> Option<Step> {
    let total = total(capture)?;
    let took = intent.took();
    if intent.id != capture.psp_id
        || !intent.is_for(capture.authorized)
        || took.is_some_and(|taken| taken != Some(total))
    {
        return None;
    }
    match intent.step() {
        // Where the answer names no amount, it is the one of the request: Stripe captures that or nothing.
        Step::Done(Outcome::Captured { psp_id, network_transaction_id, handles, .. })
            if intent.status == "succeeded" || !capture.is_final =>
        {
            let amount_minor = total.minor;
            Some(Step::Done(Outcome::Captured { psp_id, amount_minor, network_transaction_id, handles }))
        }
        Step::Done(pending @ Outcome::Pending { .. }) => Some(Step::Done(pending)),
        _ => None,
    }
}

/// What is taken once this capture is done.
fn total(capture: &Capture) -> Option<Money> {
    let minor = capture.taken.minor.checked_add(capture.amount.minor)?;
    Some(Money { minor, currency: capture.amount.currency })
}
