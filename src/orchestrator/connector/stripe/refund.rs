//! Refund: gives back all or a part of what was taken.

use super::amount::{from_stripe, to_stripe};
use super::answer::{Said, read};
use super::object;
use super::{Form, id_in_path, reason_of};
use crate::connector::{Doubt, Outcome, PspAnswer, PspRequest, Refund, Step, Unsupported};

pub(super) fn request(refund: &Refund) -> Result<PspRequest, Unsupported> {
    let form = Form::default()
        .text("payment_intent", id_in_path(&refund.psp_id)?)
        .text("amount", to_stripe(refund.amount)?.to_string())
        .text("metadata[payment_id]", refund.payment_id.as_str())
        .text("metadata[refund_id]", refund.refund_id.as_str())
        .text_if_any("reason", reason_of(refund.reason.as_ref(), REASONS));
    Ok(form.post("/v1/refunds", Some(refund.idempotency_key.clone())))
}

pub(super) fn outcome(refund: &Refund, answer: &PspAnswer) -> Step {
    match read::<object::Refund>(answer) {
        Said::Object(made) if from_stripe(made.amount, &made.currency) == Some(refund.amount) => made.step(),
        Said::Object(_) => Step::InDoubt(Doubt::Unreadable),
        Said::Problem(status, problem) => Step::Done(Outcome::Refused(problem.refusal(status))),
        Said::Doubt(doubt) => Step::InDoubt(doubt),
    }
}

const REASONS: &[&str] = &["duplicate", "fraudulent", "requested_by_customer"];
