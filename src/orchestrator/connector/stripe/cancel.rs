//! Cancel: releases a reservation, or abandons a payment that waits for its payer.

use super::answer::{Intent, Said, read};
use super::{Form, id_in_path, reason_of};
use crate::connector::{Cancel, Doubt, Outcome, PspAnswer, PspRequest, Step, Unsupported};

pub(super) fn request(cancel: &Cancel) -> Result<PspRequest, Unsupported> {
    let path = format!("/v1/payment_intents/{}/cancel", id_in_path(&cancel.psp_id)?);
    let form = Form::default().text_if_any("cancellation_reason", reason_of(cancel.reason.as_ref(), REASONS));
    Ok(form.post(path, Some(cancel.idempotency_key.clone())))
}

pub(super) fn outcome(answer: &PspAnswer) -> Step {
    match read::<Intent>(answer) {
        Said::Object(intent) => match intent.step() {
            Step::Done(Outcome::Cancelled { psp_id }) => Step::Done(Outcome::Cancelled { psp_id }),
            _ => Step::InDoubt(Doubt::Unreadable),
        },
        // It was cancelled before: by a request whose answer was lost, or by Stripe when the reservation ran out.
        Said::Problem(_, problem)
            if problem.payment_intent.as_ref().is_some_and(|it| it.status.as_deref() == Some("canceled")) =>
        {
            match problem.psp_id() {
                Some(psp_id) => Step::Done(Outcome::Cancelled { psp_id }),
                None => Step::InDoubt(Doubt::Unreadable),
            }
        }
        Said::Problem(status, problem) => Step::Done(Outcome::Refused(problem.refusal(status))),
        Said::Doubt(doubt) => Step::InDoubt(doubt),
    }
}

const REASONS: &[&str] = &["duplicate", "fraudulent", "requested_by_customer", "abandoned"];
