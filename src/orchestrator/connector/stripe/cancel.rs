//! Cancel: releases a reservation, or abandons a payment or a verification that waits for its payer.
//!
//! Where some of the money was taken, Stripe calls the payment neither cancelled nor open: the rest is released by a last
//! capture of nothing.

use super::answer::{Said, read};
use super::object::{Found, Intent, SetupIntent};
use super::{Form, id_in_path, is_setup, reason_of};
use crate::connector::{Cancel, Doubt, Outcome, PspAnswer, PspRequest, Step, Unsupported};

pub(super) fn request(cancel: &Cancel) -> Result<PspRequest, Unsupported> {
    let id = id_in_path(&cancel.psp_id)?;
    let key = Some(cancel.idempotency_key.clone());
    if cancel.taken.minor > 0 {
        let form = Form::default().text("amount_to_capture", "0").text("final_capture", "true");
        return Ok(form.post(format!("/v1/payment_intents/{id}/capture"), key));
    }
    let (kind, reasons) = if is_setup(id) { ("setup_intents", SETUP_REASONS) } else { ("payment_intents", REASONS) };
    let form = Form::default().text_if_any("cancellation_reason", reason_of(cancel.reason.as_ref(), reasons));
    Ok(form.post(format!("/v1/{kind}/{id}/cancel"), key))
}

pub(super) fn outcome(cancel: &Cancel, answer: &PspAnswer) -> Step {
    if cancel.taken.minor > 0 {
        return released(cancel, answer);
    }
    if is_setup(&cancel.psp_id) { cancelled::<SetupIntent>(answer) } else { cancelled::<Intent>(answer) }
}

fn cancelled<T: Found>(answer: &PspAnswer) -> Step {
    match read::<T>(answer) {
        Said::Object(intent) => match intent.step() {
            Step::Done(Outcome::Cancelled { psp_id }) => Step::Done(Outcome::Cancelled { psp_id }),
            _ => Step::InDoubt(Doubt::Unreadable),
        },
        // It was cancelled before: by a request whose answer was lost, or by Stripe when the reservation ran out.
        Said::Problem(_, problem) if problem.subject().is_some_and(|it| it.status.as_deref() == Some("canceled")) => {
            match problem.psp_id() {
                Some(psp_id) => Step::Done(Outcome::Cancelled { psp_id }),
                None => Step::InDoubt(Doubt::Unreadable),
            }
        }
        Said::Problem(status, problem) => Step::Done(Outcome::Refused(problem.refusal(status))),
        Said::Doubt(doubt) => Step::InDoubt(doubt),
    }
}

/// The rest is gone once the payment has ended with no more taken than before.
fn released(cancel: &Cancel, answer: &PspAnswer) -> Step {
    match read::<Intent>(answer) {
        Said::Object(intent) if intent.id == cancel.psp_id && intent.ended_with(cancel.taken) => {
            Step::Done(Outcome::Cancelled { psp_id: intent.id })
        }
        Said::Object(_) => Step::InDoubt(Doubt::Unreadable),
        Said::Problem(status, problem) => Step::Done(Outcome::Refused(problem.refusal(status))),
        Said::Doubt(doubt) => Step::InDoubt(doubt),
    }
}

const REASONS: &[&str] = &["duplicate", "fraudulent", "requested_by_customer", "abandoned"];
const SETUP_REASONS: &[&str] = &["duplicate", "requested_by_customer", "abandoned"];
