//! What the last event of a payment proves. It says nothing of amounts, so it is asked only where no history is to be had.

use serde::Deserialize;
use serde_json::{Map, Value};

use super::answer::{PAYMENT_ID, Said, broken, declined, letters, read};
use super::links;
use crate::connector::{Doubt, Handles, Outcome, PspAnswer, Step, Sync};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Last {
    last_event: String,
    #[serde(rename = "_links", default)]
    links: Map<String, Value>,
}

/// `searched`: a search for the payment was answered and found nothing.
pub(super) fn outcome(sync: &Sync, searched: bool, answer: &PspAnswer) -> Step {
    let last = match read::<Last>(answer, 200) {
        Said::Object(last) => last,
        // One answer alone could come from a wrong address; a payment that Worldpay has named to us is not absent.
        Said::Problem(404, _) if searched && !sync.handles.contains_key(PAYMENT_ID) => return Step::Absent,
        Said::Problem(..) => return Step::InDoubt(Doubt::QuestionRefused),
        Said::Doubt(doubt) => return Step::InDoubt(doubt),
    };
    let (psp_id, handles) = (sync.attempt_id.clone(), links::handles(&last.links));
    let can_settle =
        |handles: &Handles| handles.contains_key(links::SETTLE) || handles.contains_key(links::PARTIAL_SETTLE);
    let all_settled = handles.contains_key(links::REFUND) && !can_settle(&handles);
    let network_transaction_id = None;
    match letters(&last.last_event).as_str() {
        // How much is reserved is what it does not say.
        "authorized" if sync.raised_to.is_some() => Step::InDoubt(Doubt::Unreadable),
        "authorized" if can_settle(&handles) => {
            Step::Done(Outcome::Authorized { psp_id, network_transaction_id, handles })
        }
        "authorized" => Step::Done(Outcome::Pending { psp_id, handles }),
        "refused" => Step::Done(Outcome::Declined(declined(&psp_id, None, None, None))),
        "error" => Step::Done(Outcome::Declined(broken(&psp_id))),
        // One of the two is spelled so in Worldpay's own specification.
        "sentforcancellation" | "sendforcancellation" | "cancelled" | "expired" => {
            Step::Done(Outcome::Cancelled { psp_id })
        }
        // A payment that never offered a settlement and has nothing left to settle was settled on its own, in full. Of any
        // other, the amount is not told.
        "sentforsettlement" | "settled" if all_settled && !can_settle(&sync.handles) => {
            Step::Done(Outcome::Captured { psp_id, amount_minor: sync.amount.minor, network_transaction_id, handles })
        }
        _ => Step::InDoubt(Doubt::Unreadable),
    }
}
