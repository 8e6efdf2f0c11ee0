//! Laws that hold for every connector, tried on each request of its golden exchanges: what a request may carry, what an
//! answer may prove, and which ids may stand in a path.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::golden_tests::{exchanges, operation, shown};
use super::{Connector, Doubt, Method, Operation, Outcome, Progress, PspAnswer, PspRequest, Step};

/// One request of a golden exchange, and how far its operation has come.
struct Place<'a> {
    connector: &'a dyn Connector,
    name: String,
    operation: Operation,
    progress: Progress,
    request: PspRequest,
    answer: Value,
    /// Whether the answer of the golden exchange proves something.
    is_believed: bool,
}

impl Place<'_> {
    fn given(&self, status: u16, body: &[u8]) -> Step {
        self.connector.outcome(&self.operation, &self.progress, &PspAnswer { status, body: body.to_vec() })
    }
}

/// Every request of every connector's golden exchanges.
fn places() -> Vec<Place<'static>> {
    let mut found = Vec::new();
    for connector in super::all() {
        for (name, exchange) in exchanges(*connector) {
            let operation = operation(&name, &exchange["operation"]);
            let mut progress = Progress::default();
            for (number, step) in exchange["steps"].as_array().expect("steps").iter().enumerate() {
                let name = format!("{}: {name}, step {number}", connector.name());
                let request = connector.request(&operation, &progress).unwrap_or_else(|why| panic!("{name}: {why}"));
                let status = step["answer"]["status"].as_u64().and_then(|status| status.try_into().ok());
                let answer = PspAnswer {
                    status: status.expect("a status"),
                    body: step["answer"]["body"].to_string().into_bytes(),
                };
                let meaning = connector.outcome(&operation, &progress, &answer);
                found.push(Place {
                    connector: *connector,
                    name,
                    operation: operation.clone(),
                    progress: progress.clone(),
                    request,
                    answer: step["answer"].clone(),
                    is_believed: matches!(meaning, Step::Done(_)),
                });
                if let Step::Next(next) = meaning {
                    progress = next;
                }
            }
        }
    }
    assert!(found.len() > 200, "only {} requests were read", found.len());
    found
}

#[test]
fn request_is_made_of_its_arguments_alone() {
    for place in places() {
        let again = place.connector.request(&place.operation, &place.progress).expect("made before");
        assert_eq!(place.request, again, "{}", place.name);
    }
}

#[test]
fn card_is_wanted_by_slots_of_operations_that_bring_one_and_of_no_other() {
    for place in places() {
        let brings = matches!(place.operation, Operation::Authorize(_) | Operation::Verify(_));
        assert!(brings || !place.request.wants_card(), "{}", place.name);
        assert!(!place.request.wants_card() || place.request.method == Method::Post, "{}", place.name);
        let mut outside = place.request.path.clone();
        outside.extend(place.request.query.iter().flat_map(|(name, text)| [name.as_str(), text.as_str()]));
        outside.extend(place.request.headers.iter().map(|(_, text)| text.as_str()));
        assert!(!outside.contains("{{"), "{}: a slot outside of the body would never be filled", place.name);
    }
}

#[test]
fn request_that_moves_money_carries_a_key_unless_the_provider_promises_nothing_for_one() {
    for place in places().iter().filter(|place| place.request.moves_money) {
        let promised = place.connector.capabilities().idempotent_replay_s.is_some();
        let key = place.request.idempotency_key.as_deref();
        assert!(key.is_some() || !promised, "{}: no key, although the provider keeps them", place.name);
        assert!(key.is_none_or(|key| (1..=80).contains(&key.len())), "{}: {key:?}", place.name);
        assert_ne!(place.request.method, Method::Get, "{}", place.name);
    }
}

#[test]
fn questions_move_no_money() {
    for place in places() {
        if matches!(place.operation, Operation::Sync(_) | Operation::SyncRefund(_)) {
            assert!(!place.request.moves_money, "{}", place.name);
            assert_eq!(place.request.method, Method::Get, "{}", place.name);
        }
    }
}

#[test]
fn answer_that_proves_nothing_leaves_doubt() {
    for place in places() {
        let asks = matches!(place.operation, Operation::Sync(_) | Operation::SyncRefund(_));
        for status in [100, 199, 300, 301, 302, 304, 307, 500, 501, 502, 503, 504, 505, 520, 599, 999] {
            for body in [&b""[..], b"{}", b"[]", b"null", b"<html>"] {
                judged(&place, asks, status, body);
            }
        }
        for body in [&b""[..], b"{}", b"[]", b"null", b"<html>", b"\xff", b"{\"id\":"] {
            judged(&place, asks, 200, body);
        }
        for status in [400, 401, 402, 403, 404, 405, 409, 410, 418, 422, 429, 499] {
            let step = place.given(status, b"<html>");
            assert!(!moves(&step), "{}: {status} proves that money moved: {step:?}", place.name);
        }
    }
}

fn judged(place: &Place<'_>, asks: bool, status: u16, body: &[u8]) {
    let step = place.given(status, body);
    let shown = || format!("{}: {status} {:?}: {step:?}", place.name, String::from_utf8_lossy(body));
    if place.request.moves_money {
        assert!(matches!(step, Step::InDoubt(_)), "{}", shown());
    } else if asks {
        // Whoever asks may go on asking elsewhere, but neither money nor its absence is proven.
        assert!(matches!(step, Step::InDoubt(_) | Step::Next(_)), "{}", shown());
    } else {
        assert!(!moves(&step), "{}", shown());
    }
}

fn moves(step: &Step) -> bool {
    use Outcome::{Authorized, Captured, Refunded, Verified};
    matches!(step, Step::Done(Authorized { .. } | Captured { .. } | Refunded { .. } | Verified { .. }))
}

#[test]
fn state_that_nobody_knows_leaves_doubt() {
    let words = [("stripe", &["status"][..]), ("adyen", &["resultCode", "status"]), ("worldpay", &["outcome"])];
    let words: BTreeMap<&str, &[&str]> = words.into();
    let mut tried = BTreeMap::<&str, u32>::new();
    for place in places().iter().filter(|place| place.request.moves_money && place.is_believed) {
        let status = place.answer["status"].as_u64().and_then(|status| u16::try_from(status).ok()).expect("a status");
        let fields = words.get(place.connector.name()).unwrap_or_else(|| panic!("{}", place.connector.name()));
        for field in fields.iter().filter(|field| place.answer["body"][**field].is_string() && status < 300) {
            let mut body = place.answer["body"].clone();
            body[*field] = json!("a_new_word");
            let step = place.given(status, body.to_string().as_bytes());
            assert!(matches!(step, Step::InDoubt(Doubt::Unreadable)), "{}: {field}: {step:?}", place.name);
            *tried.entry(place.connector.name()).or_default() += 1;
        }
    }
    for connector in super::all() {
        assert!(tried.get(connector.name()).is_some_and(|count| *count >= 5), "{}: {tried:?}", connector.name());
    }
}

#[test]
fn every_decline_code_is_of_one_kind() {
    let mut kinds = BTreeMap::new();
    for place in places() {
        let status = place.answer["status"].as_u64().and_then(|status| u16::try_from(status).ok()).expect("a status");
        if let Step::Done(Outcome::Declined(decline)) = place.given(status, place.answer["body"].to_string().as_bytes())
        {
            // Where a network gives advice of its own, that decides; the code says less then.
            let advised = place.answer.to_string().to_ascii_lowercase().contains("advice");
            let code = (place.connector.name(), decline.code, decline.decline_code, advised);
            let kind = kinds.entry(code.clone()).or_insert(decline.kind);
            assert!(advised || *kind == decline.kind, "{}: {code:?} is {kind:?} and {:?}", place.name, decline.kind);
        }
    }
    assert!(kinds.len() >= 30, "only {} codes were read", kinds.len());
}

#[test]
fn id_that_would_leave_its_path_is_refused_or_stays_in_its_segment() {
    let mut tried = BTreeMap::<&str, u32>::new();
    for connector in super::all() {
        for (name, exchange) in exchanges(*connector) {
            let good = connector.request(&operation(&name, &exchange["operation"]), &Progress::default());
            let Ok(good) = good else { continue };
            for bad in BAD_IDS {
                for changed in with_ids(&exchange["operation"], bad) {
                    let made = connector.request(&operation(&name, &changed), &Progress::default());
                    *tried.entry(connector.name()).or_default() += 1;
                    let Ok(made) = made else { continue };
                    let place = format!("{}: {name}: {bad:?} makes {}", connector.name(), made.path);
                    assert!(is_plain(&made.path), "{place}");
                    // Fewer: without the id it is searched for by our own reference.
                    assert!(segments(&made.path) <= segments(&good.path), "{place}");
                }
            }
        }
    }
    for connector in super::all() {
        assert!(tried.get(connector.name()).is_some_and(|count| *count >= 100), "{}: {tried:?}", connector.name());
    }
}

/// The operation with one of the texts that a provider gave replaced by another, for each of them.
fn with_ids(operation: &Value, id: &str) -> Vec<Value> {
    let (kind, fields) = operation.as_object().and_then(|only| only.iter().next()).expect("an operation");
    let mut changed = Vec::new();
    for name in ["psp_id", "psp_refund_id"].into_iter().filter(|name| fields[*name].is_string()) {
        let mut fields = fields.clone();
        fields[name] = json!(id);
        changed.push(json!({ kind: fields }));
    }
    for name in fields["handles"].as_object().into_iter().flat_map(|handles| handles.keys()) {
        let mut fields = fields.clone();
        fields["handles"][name] = json!(id);
        changed.push(json!({ kind: fields }));
    }
    changed
}

fn segments(path: &str) -> usize {
    path.split('/').count()
}

/// Whether a path names a place below the provider's base address and nothing else.
fn is_plain(path: &str) -> bool {
    path.starts_with('/')
        && !path.starts_with("//")
        && path.bytes().all(|byte| byte.is_ascii_graphic() && !b"?#\\\"<>".contains(&byte))
        && path.split('/').all(|segment| !matches!(segment, "." | ".."))
}

#[test]
fn golden_requests_are_told_apart_by_everything_that_is_sent() {
    // A part of a request that `shown` leaves out could change without any golden file noticing.
    for place in places() {
        let base = shown(&place.request);
        let method = if place.request.method == Method::Get { Method::Post } else { Method::Get };
        let mut query = place.request.query.clone();
        query.push(("x".to_owned(), "y".to_owned()));
        for other in [
            PspRequest { method, ..place.request.clone() },
            PspRequest { query, ..place.request.clone() },
            PspRequest { path: format!("{}x", place.request.path), ..place.request.clone() },
            PspRequest { idempotency_key: Some("another".to_owned()), ..place.request.clone() },
            PspRequest { moves_money: !place.request.moves_money, ..place.request.clone() },
        ] {
            assert_ne!(shown(&other), base, "{}", place.name);
        }
    }
}

const BAD_IDS: [&str; 11] = [
    "",
    "..",
    "x/../../v1/refunds",
    "../x",
    "x?expand=y",
    "x#y",
    "x y",
    "x\ny",
    "//evil.example/x",
    "https://evil.example/x",
    "\u{fc}",
];
