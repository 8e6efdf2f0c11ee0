//! Increment: raises what is reserved, before it is captured.

use super::amount::to_stripe;
use super::answer::{Said, read};
use super::object::{Found as _, INCREMENT, Intent, UNAVAILABLE};
use super::{Form, id_in_path};
use crate::connector::{Doubt, Increment, Outcome, PspAnswer, PspRequest, Step, Unsupported};

pub(super) fn request(increment: &Increment) -> Result<PspRequest, Unsupported> {
    if increment.total.currency != increment.before.currency || increment.total.minor <= increment.before.minor {
        return Err(Unsupported("Stripe raises a reservation and never lowers it, in the same currency"));
    }
    if increment.handles.get(INCREMENT).is_some_and(|status| status == UNAVAILABLE) {
        return Err(Unsupported("Stripe or the card's network does not let this reservation be raised"));
    }
    let path = format!("/v1/payment_intents/{}/increment_authorization", id_in_path(&increment.psp_id)?);
    let form = Form::default()
        .text("amount", to_stripe(increment.total)?.to_string())
        .text_if_any("description", increment.reason.as_ref())
        .expanded("latest_charge");
    Ok(form.post(path, Some(increment.idempotency_key.clone())))
}

pub(super) fn outcome(increment: &Increment, answer: &PspAnswer) -> Step {
    match read::<Intent>(answer) {
        Said::Object(intent) if intent.id == increment.psp_id && intent.is_for(increment.total) => {
            match intent.step() {
                Step::Done(outcome @ (Outcome::Authorized { .. } | Outcome::Pending { .. })) => Step::Done(outcome),
                _ => Step::InDoubt(Doubt::Unreadable),
            }
        }
        Said::Object(_) => Step::InDoubt(Doubt::Unreadable),
        // What was reserved before stays reserved.
        Said::Problem(402, problem) => Step::Done(Outcome::Declined(problem.decline(Some(increment.psp_id.clone())))),
        Said::Problem(status, problem) => Step::Done(Outcome::Refused(problem.refusal(status))),
        Said::Doubt(doubt) => Step::InDoubt(doubt),
    }
}
