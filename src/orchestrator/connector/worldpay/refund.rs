//! Refund: gives back all or a part of what was settled. Worldpay answers with a receipt; the payment's history tells the
//! rest.

use super::answer::{Ending, IN_PARTS, Payment, Said, read};
use super::{links, post, reference, value};
use crate::connector::{Doubt, Json, Outcome, PspAnswer, PspRequest, Refund, Step, Unsupported};

pub(super) fn request(refund: &Refund) -> Result<PspRequest, Unsupported> {
    if refund.amount.currency != refund.captured.currency || refund.amount.minor > refund.captured.minor {
        return Err(Unsupported("Worldpay gives back at most what was settled, in the same currency"));
    }
    let reference = ("reference", Json::text(reference::of(&refund.refund_id)));
    if refund.amount == refund.captured
        && !refund.handles.contains_key(IN_PARTS)
        && let Some(path) = links::path(&refund.handles, links::REFUND)
    {
        return Ok(post(path, Some(Json::object([reference]))));
    }
    let body = Json::object([reference, ("value", value(refund.amount)?)]);
    Ok(post(links::needed(&refund.handles, links::PARTIAL_REFUND)?, Some(body)))
}

pub(super) fn outcome(refund: &Refund, answer: &PspAnswer) -> Step {
    let psp_id = reference::of(&refund.refund_id);
    match read::<Payment>(answer, 202) {
        Said::Object(payment) => match payment.ending() {
            None => Step::Done(Outcome::Pending { psp_id, handles: payment.handles() }),
            Some(Some(Ending::SentForRefund)) => {
                Step::Done(Outcome::Refunded { psp_id, amount_minor: refund.amount.minor })
            }
            Some(_) => Step::InDoubt(Doubt::Unreadable),
        },
        Said::Problem(_, refusal) => Step::Done(Outcome::Refused(refusal)),
        Said::Doubt(doubt) => Step::InDoubt(doubt),
    }
}
