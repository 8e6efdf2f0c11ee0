//! What became of a payment or a refund.
//!
//! Payment Queries tells a payment's whole history, by Worldpay's id of the payment or by our reference of it; it may be a
//! minute behind. Where it does not show the payment, the recovery query of Card Payments tells its last event, which says
//! nothing of amounts. `Absent` is said only after a search that was answered found nothing and the recovery query knows
//! nothing either.

use super::answer::{PAYMENT_ID, Said, is_id, read};
use super::history::{Found, Told};
use super::{CARD_PAYMENTS, PAYMENT_QUERIES, get, judge, links, recovered, reference};
use crate::connector::{
    AccountPart, Auth, Doubt, Handles, Progress, PspAnswer, PspRequest, Step, Sync, SyncRefund, Unsupported,
};

pub(super) fn payment_request(sync: &Sync, progress: &Progress) -> Result<PspRequest, Unsupported> {
    Ok(match place(progress, &sync.handles) {
        Place::Payment(id) => by_id(id),
        Place::Search => search(&sync.attempt_id),
        Place::Recovery => match links::path(&sync.handles, links::EVENTS) {
            Some(path) => get(path, Vec::new(), CARD_PAYMENTS, Auth::Basic),
            None => {
                let query = vec![("transactionRef".to_owned(), sync.attempt_id.clone())];
                let auth = Auth::BasicWithQuery("entity", AccountPart::ApiSecret);
                get("/payments/events", query, CARD_PAYMENTS, auth)
            }
        },
    })
}

pub(super) fn payment_outcome(sync: &Sync, progress: &Progress, answer: &PspAnswer) -> Step {
    match place(progress, &sync.handles) {
        Place::Payment(_) => match told(answer) {
            History::Told(told) if told.transaction_reference == sync.attempt_id => judge::payment(sync, &told),
            History::Told(_) => Step::InDoubt(Doubt::Unreadable),
            History::Unknown => on(progress, RECOVERY, "yes"),
            History::Doubt(doubt) => Step::InDoubt(doubt),
        },
        Place::Search => match found(answer) {
            Search::Found(id) => match id.one(&sync.attempt_id) {
                Ok(Some(id)) => on(progress, PAYMENT_ID, id),
                Ok(None) => on(progress, RECOVERY, SEARCHED),
                Err(()) => Step::InDoubt(Doubt::Unreadable),
            },
            Search::NotOffered => on(progress, RECOVERY, "yes"),
            Search::Doubt(doubt) => Step::InDoubt(doubt),
        },
        Place::Recovery => recovered::outcome(sync, searched(progress), answer),
    }
}

pub(super) fn refund_request(sync: &SyncRefund, progress: &Progress) -> Result<PspRequest, Unsupported> {
    Ok(match place(progress, &sync.handles) {
        Place::Payment(id) => by_id(id),
        Place::Search | Place::Recovery => search(&sync.psp_id),
    })
}

pub(super) fn refund_outcome(sync: &SyncRefund, progress: &Progress, answer: &PspAnswer) -> Step {
    match place(progress, &sync.handles) {
        Place::Payment(_) => match told(answer) {
            History::Told(told) if told.transaction_reference == sync.psp_id => {
                judge::refund(sync, &reference::of(&sync.refund_id), &told)
            }
            History::Told(_) => Step::InDoubt(Doubt::Unreadable),
            // The payment is there, or it could not be refunded.
            History::Unknown => Step::InDoubt(Doubt::QuestionRefused),
            History::Doubt(doubt) => Step::InDoubt(doubt),
        },
        Place::Search | Place::Recovery => match found(answer) {
            Search::Found(id) => match id.one(&sync.psp_id) {
                Ok(Some(id)) => on(progress, PAYMENT_ID, id),
                Ok(None) => Step::InDoubt(Doubt::QuestionRefused),
                Err(()) => Step::InDoubt(Doubt::Unreadable),
            },
            Search::NotOffered => Step::InDoubt(Doubt::QuestionRefused),
            Search::Doubt(doubt) => Step::InDoubt(doubt),
        },
    }
}

/// Where the question stands.
enum Place<'a> {
    /// The payment with this id is looked at.
    Payment(&'a str),
    /// The payment is searched by our reference.
    Search,
    /// The last event is asked for.
    Recovery,
}

fn place<'a>(progress: &'a Progress, handles: &'a Handles) -> Place<'a> {
    if progress.values.contains_key(RECOVERY) {
        return Place::Recovery;
    }
    let id = progress.values.get(PAYMENT_ID).or_else(|| handles.get(PAYMENT_ID));
    id.filter(|id| is_id(id)).map_or(Place::Search, |id| Place::Payment(id))
}

enum History {
    Told(Box<Told>),
    Unknown,
    Doubt(Doubt),
}

/// An id that Payment Queries does not know is answered with 404 or with nothing; an account without it, with 403.
fn told(answer: &PspAnswer) -> History {
    if answer.status == 200 && matches!(answer.body.trim_ascii(), b"" | b"{}") {
        return History::Unknown;
    }
    match read::<Told>(answer, 200) {
        Said::Object(told) => History::Told(Box::new(told)),
        Said::Problem(403 | 404, _) => History::Unknown,
        Said::Problem(..) => History::Doubt(Doubt::QuestionRefused),
        Said::Doubt(doubt) => History::Doubt(doubt),
    }
}

enum Search {
    Found(Found),
    NotOffered,
    Doubt(Doubt),
}

fn found(answer: &PspAnswer) -> Search {
    match read::<Found>(answer, 200) {
        Said::Object(found) => Search::Found(found),
        Said::Problem(403 | 404, _) => Search::NotOffered,
        Said::Problem(..) => Search::Doubt(Doubt::QuestionRefused),
        Said::Doubt(doubt) => Search::Doubt(doubt),
    }
}

fn on(progress: &Progress, name: &str, value: &str) -> Step {
    let mut values = progress.values.clone();
    values.insert(name.to_owned(), value.to_owned());
    Step::Next(Progress { step: progress.step.saturating_add(1), values })
}

fn searched(progress: &Progress) -> bool {
    progress.values.get(RECOVERY).is_some_and(|how| how == SEARCHED)
}

fn by_id(id: &str) -> PspRequest {
    get(format!("/paymentQueries/payments/{id}"), Vec::new(), PAYMENT_QUERIES, Auth::Basic)
}

fn search(reference: &str) -> PspRequest {
    let query = vec![("transactionReference".to_owned(), reference.to_owned())];
    get("/paymentQueries/payments", query, PAYMENT_QUERIES, Auth::Basic)
}

/// In the progress: the last event is asked for, because the history was not to be had.
const RECOVERY: &str = "recovery";
/// Its value where a search was answered and found nothing.
const SEARCHED: &str = "searched";
