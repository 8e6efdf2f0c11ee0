//! Capture: settles all or a part of an authorization. Worldpay answers with a receipt; the payment's history tells the
//! rest.

use super::answer::{Ending, IN_PARTS, Payment, SETTLING, Said, read};
use super::{links, post, reference, value};
use crate::connector::{Capture, Doubt, Handles, Json, Outcome, PspAnswer, PspRequest, Step, Unsupported};

pub(super) fn request(capture: &Capture) -> Result<PspRequest, Unsupported> {
    let left = capture.authorized.minor.saturating_sub(capture.taken.minor);
    if capture.amount.currency != capture.authorized.currency || capture.amount.minor > left {
        return Err(Unsupported("Worldpay settles at most what was authorized, in the same currency"));
    }
    let reference = ("reference", Json::text(reference::of(&capture.capture_id)));
    if is_whole(capture) {
        return Ok(post(links::needed(&capture.handles, links::SETTLE)?, Some(Json::object([reference]))));
    }
    let mut body = Json::object([reference, ("value", value(capture.amount)?)]);
    if capture.is_final && capture.taken.minor == 0 {
        let once = Json::object([("number", Json::Number(1)), ("total", Json::Number(1))]);
        body = body.with("sequence", once);
    }
    Ok(post(links::needed(&capture.handles, links::PARTIAL_SETTLE)?, Some(body)))
}

pub(super) fn outcome(capture: &Capture, answer: &PspAnswer) -> Step {
    let psp_id = capture.psp_id.clone();
    let noted = |mut handles: Handles| {
        if !is_whole(capture) {
            handles.insert(IN_PARTS.to_owned(), "yes".to_owned());
        }
        handles
    };
    match read::<Payment>(answer, 202) {
        Said::Object(payment) => match payment.ending() {
            // "The request has not processed at this stage."
            None => {
                let handles = noted(payment.handles_while_it_runs(SETTLING));
                Step::Done(Outcome::Pending { psp_id, handles })
            }
            Some(Some(Ending::SentForSettlement)) => Step::Done(Outcome::Captured {
                psp_id,
                amount_minor: capture.taken.minor.saturating_add(capture.amount.minor),
                network_transaction_id: None,
                handles: noted(payment.handles()),
            }),
            Some(_) => Step::InDoubt(Doubt::Unreadable),
        },
        Said::Problem(_, refusal) => Step::Done(Outcome::Refused(refusal)),
        Said::Doubt(doubt) => Step::InDoubt(doubt),
    }
}

/// Whether the link that settles "the full amount" is used. It names no amount, and of an estimate more may be reserved than
/// we know (the answer to a raise can be lost): of one, the amount is always named.
fn is_whole(capture: &Capture) -> bool {
    capture.amount == capture.authorized && !capture.handles.contains_key(links::INCREASE)
}
