//! Capture: takes all or a part of a reservation; Stripe releases the rest.

use super::amount::to_stripe;
use super::answer::{Intent, Said, read};
use super::{Form, id_in_path};
use crate::connector::{Capture, Doubt, Outcome, PspAnswer, PspRequest, Step, Unsupported};

pub(super) fn request(capture: &Capture) -> Result<PspRequest, Unsupported> {
    if capture.amount.currency != capture.authorized.currency || capture.amount.minor > capture.authorized.minor {
        return Err(Unsupported("Stripe captures at most what was authorized, in the same currency"));
    }
    let path = format!("/v1/payment_intents/{}/capture", id_in_path(&capture.psp_id)?);
    let form = Form::default().text("amount_to_capture", to_stripe(capture.amount)?.to_string());
    Ok(form.post(path, Some(capture.idempotency_key.clone())))
}

pub(super) fn outcome(capture: &Capture, answer: &PspAnswer) -> Step {
    match read::<Intent>(answer) {
        Said::Object(intent) if intent.id != capture.psp_id || !intent.is_for(capture.authorized) => {
            Step::InDoubt(Doubt::Unreadable)
        }
        Said::Object(intent) if intent.took().is_some_and(|taken| taken != Some(capture.amount)) => {
            Step::InDoubt(Doubt::Unreadable)
        }
        Said::Object(intent) => match intent.step() {
            // Where the answer names no amount, it is the one of the request: Stripe captures that or nothing.
            Step::Done(Outcome::Captured { psp_id, network_transaction_id, handles, .. }) => {
                let amount_minor = capture.amount.minor;
                Step::Done(Outcome::Captured { psp_id, amount_minor, network_transaction_id, handles })
            }
            Step::Done(pending @ Outcome::Pending { .. }) => Step::Done(pending),
            _ => Step::InDoubt(Doubt::Unreadable),
        },
        Said::Problem(402, problem) => Step::Done(Outcome::Declined(problem.decline(Some(capture.psp_id.clone())))),
        Said::Problem(status, problem) => Step::Done(Outcome::Refused(problem.refusal(status))),
        Said::Doubt(doubt) => Step::InDoubt(doubt),
    }
}
