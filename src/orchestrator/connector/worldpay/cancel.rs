//! Cancel: releases what is reserved, or undoes a payment that was settled on its own and is not captured for us yet.

use super::answer::{CANCELLING, Ending, Payment, Said, read};
use super::{links, post};
use crate::connector::{Cancel, Doubt, Outcome, PspAnswer, PspRequest, Step, Unsupported};

pub(super) fn request(cancel: &Cancel) -> Result<PspRequest, Unsupported> {
    let path = match links::path(&cancel.handles, links::CANCEL) {
        Some(path) => path,
        None => links::needed(&cancel.handles, links::REVERSE)?,
    };
    Ok(post(path, None))
}

pub(super) fn outcome(cancel: &Cancel, answer: &PspAnswer) -> Step {
    let psp_id = cancel.psp_id.clone();
    match read::<Payment>(answer, 202) {
        Said::Object(payment) => match payment.ending() {
            // "The request has not processed at this stage. You must query the payment."
            None => Step::Done(Outcome::Pending { psp_id, handles: payment.handles_while_it_runs(CANCELLING) }),
            Some(Some(Ending::SentForCancellation)) => Step::Done(Outcome::Cancelled { psp_id }),
            Some(_) => Step::InDoubt(Doubt::Unreadable),
        },
        Said::Problem(_, refusal) => Step::Done(Outcome::Refused(refusal)),
        Said::Doubt(doubt) => Step::InDoubt(doubt),
    }
}
