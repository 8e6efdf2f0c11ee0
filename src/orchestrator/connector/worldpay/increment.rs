//! Increment: raises an authorization that was an estimate. The answer's links stand for the raised amount.

use super::answer::{Ending, Payment, Said, read};
use super::{links, post, value};
use crate::connector::{Doubt, Increment, Json, Outcome, PspAnswer, PspRequest, Step, Unsupported};
use crate::money::Money;

/// Worldpay is told by how much to raise, not to what.
pub(super) fn request(increment: &Increment) -> Result<PspRequest, Unsupported> {
    let (before, total) = (increment.before, increment.total);
    let more = total.minor.checked_sub(before.minor).filter(|more| *more > 0 && total.currency == before.currency);
    let more = more.ok_or(Unsupported("Worldpay raises an amount in its own currency, and never lowers it"))?;
    let body = Json::object([("value", value(Money { minor: more, currency: total.currency })?)]);
    Ok(post(links::needed(&increment.handles, links::INCREASE)?, Some(body)))
}

pub(super) fn outcome(increment: &Increment, answer: &PspAnswer) -> Step {
    let psp_id = increment.psp_id.clone();
    match read::<Payment>(answer, 202) {
        Said::Object(payment) => match payment.ending().flatten() {
            Some(Ending::Authorized) if payment.reserved() == Some(Some(increment.total)) => {
                let network_transaction_id = payment.network_transaction_id();
                Step::Done(Outcome::Authorized { psp_id, network_transaction_id, handles: payment.handles() })
            }
            Some(Ending::Refused) => Step::Done(Outcome::Declined(payment.decline(&psp_id))),
            _ => Step::InDoubt(Doubt::Unreadable),
        },
        Said::Problem(_, refusal) => Step::Done(Outcome::Refused(refusal)),
        Said::Doubt(doubt) => Step::InDoubt(doubt),
    }
}
