//! What became of a payment or a refund: retrieved by its id, or, where the answer that named it was lost, found by our
//! own reference in the metadata of Stripe's list.
//!
//! `Absent` is said only after a list was read to its end. A refused question (revoked key, too many requests) or an id
//! that Stripe does not know any more answers nothing about money, and leaves doubt.

use strongroom_wire::limits;

use super::answer::{Said, is_id, read};
use super::object::{Found, Intent, List, Refund, SetupIntent};
use super::{get, id_in_path, is_setup};
use crate::connector::{Doubt, Outcome, Progress, PspAnswer, PspRequest, Step, Sync, SyncRefund, Unsupported};

pub(super) fn payment_request(sync: &Sync, progress: &Progress) -> Result<PspRequest, Unsupported> {
    // A setup intent has no charge to look into.
    let (kind, expand) =
        if verifies(sync) { ("setup_intents", None) } else { ("payment_intents", Some("latest_charge")) };
    let (path, mut query, below) = match &sync.psp_id {
        Some(id) => (format!("/v1/{kind}/{}", id_in_path(id)?), Vec::new(), ""),
        None => (format!("/v1/{kind}"), page(progress), "data."),
    };
    query.extend(expand.map(|name| ("expand[0]".to_owned(), format!("{below}{name}"))));
    Ok(get(path, query))
}

pub(super) fn payment_outcome(sync: &Sync, progress: &Progress, answer: &PspAnswer) -> Step {
    if verifies(sync) { found::<SetupIntent>(sync, progress, answer) } else { found::<Intent>(sync, progress, answer) }
}

/// Whether it asks about a verification: by the id, or, where that was lost, because there was no money in it.
fn verifies(sync: &Sync) -> bool {
    sync.psp_id.as_deref().map_or(sync.amount.minor == 0, is_setup)
}

fn found<T: Found>(sync: &Sync, progress: &Progress, answer: &PspAnswer) -> Step {
    let Some(id) = &sync.psp_id else { return search::<T>(sync, progress, answer) };
    match read::<T>(answer) {
        Said::Object(intent) if intent.id() == id => proven(sync, &intent),
        Said::Object(_) => Step::InDoubt(Doubt::Unreadable),
        Said::Problem(..) => Step::InDoubt(Doubt::QuestionRefused),
        Said::Doubt(doubt) => Step::InDoubt(doubt),
    }
}

/// What the object proves, where it is asked whether the rest was released or the amount was raised, too.
fn proven<T: Found>(sync: &Sync, found: &T) -> Step {
    match (sync.released_after, found.step()) {
        (_, Step::Done(Outcome::Authorized { .. })) if sync.raised_to.is_some_and(|total| !found.is_about(total)) => {
            Step::Absent
        }
        (Some(taken), _) if found.ended_with(taken) => Step::Done(Outcome::Cancelled { psp_id: found.id().to_owned() }),
        (_, step) => step,
    }
}

fn search<T: Found>(sync: &Sync, progress: &Progress, answer: &PspAnswer) -> Step {
    match read::<List<T>>(answer) {
        Said::Object(list) => {
            if let Some(found) = list.data.iter().find(|intent| intent.noted("attempt_id") == Some(&sync.attempt_id)) {
                return proven(sync, found);
            }
            // The list comes newest first: once a page ends before the attempt began, the rest is older still. The
            // request does not ask Stripe for that bound, so that a clock running apart costs a page and no money.
            let since = sync.since_unix_s.saturating_sub(SKEW_S);
            let older = list.data.last().is_none_or(|last| last.created() < since);
            let more = list.has_more && !older;
            turn(progress, more, list.data.last().map(Found::id))
        }
        Said::Problem(..) => Step::InDoubt(Doubt::QuestionRefused),
        Said::Doubt(doubt) => Step::InDoubt(doubt),
    }
}

pub(super) fn refund_request(sync: &SyncRefund, progress: &Progress) -> Result<PspRequest, Unsupported> {
    match &sync.psp_refund_id {
        Some(id) => Ok(get(format!("/v1/refunds/{}", id_in_path(id)?), Vec::new())),
        None => {
            let mut query = vec![("payment_intent".to_owned(), id_in_path(&sync.psp_id)?.to_owned())];
            query.extend(page(progress));
            Ok(get("/v1/refunds", query))
        }
    }
}

pub(super) fn refund_outcome(sync: &SyncRefund, progress: &Progress, answer: &PspAnswer) -> Step {
    if let Some(id) = &sync.psp_refund_id {
        return match read::<Refund>(answer) {
            Said::Object(refund) if refund.id == *id => refund.step(),
            Said::Object(_) => Step::InDoubt(Doubt::Unreadable),
            Said::Problem(..) => Step::InDoubt(Doubt::QuestionRefused),
            Said::Doubt(doubt) => Step::InDoubt(doubt),
        };
    }
    match read::<List<Refund>>(answer) {
        Said::Object(list) => {
            let found = list.data.iter().find(|refund| refund.noted("refund_id") == Some(&sync.refund_id));
            found.map_or_else(
                || turn(progress, list.has_more, list.data.last().map(|last| last.id.as_str())),
                Refund::step,
            )
        }
        Said::Problem(..) => Step::InDoubt(Doubt::QuestionRefused),
        Said::Doubt(doubt) => Step::InDoubt(doubt),
    }
}

/// The query for the page that the progress stands at.
fn page(progress: &Progress) -> Vec<(String, String)> {
    let mut query = vec![("limit".to_owned(), "100".to_owned())];
    query.extend(progress.values.get(AFTER).map(|id| (AFTER.to_owned(), id.clone())));
    query
}

/// On to the next page, or the end of the list.
fn turn(progress: &Progress, more: bool, last: Option<&str>) -> Step {
    match last.filter(|_| more) {
        None => Step::Absent,
        Some(_) if progress.step >= limits::STRIPE_PAGES_MAX => Step::InDoubt(Doubt::Unreadable),
        Some(id) if is_id(id) => {
            let values = [(AFTER.to_owned(), id.to_owned())].into();
            Step::Next(Progress { step: progress.step + 1, values })
        }
        Some(_) => Step::InDoubt(Doubt::Unreadable),
    }
}

/// In the progress and in the query: the last id of the page before.
const AFTER: &str = "starting_after";

/// How far our clock may run ahead of Stripe's, in seconds.
const SKEW_S: i64 = 3600;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn search_that_has_no_end_leaves_doubt_instead_of_an_absence() {
        let at = |step| turn(&Progress { step, ..Progress::default() }, true, Some("pi_1"));
        assert!(matches!(at(limits::STRIPE_PAGES_MAX - 1), Step::Next(next) if next.step == limits::STRIPE_PAGES_MAX));
        assert_eq!(at(limits::STRIPE_PAGES_MAX), Step::InDoubt(Doubt::Unreadable));
    }
}
