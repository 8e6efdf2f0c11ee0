//! One request from its user name to its answer: authentication, media type, faults, and what is done between them.

use actix_web::http::StatusCode;
use actix_web::http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderName};
use actix_web::{HttpRequest, HttpResponse};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::book::{Book, Call};
use super::refusal::Refusal;
use super::{NAME, Worldpay};
use crate::exchange::{Work, ask, cut, perform};
use crate::fault::{Asked, Operation, Place};
use crate::replay::Answer;

/// Does a request that changes something; `good` is the status of success. `amount` is what an authorization is for.
pub(super) async fn change(
    worldpay: &Worldpay,
    request: &HttpRequest,
    operation: Operation,
    good: u16,
    amount: Option<i64>,
    act: impl FnOnce(&mut Book, &Call) -> Result<Value, Refusal>,
) -> HttpResponse {
    let mut call = match admit(worldpay, request, CARD_PAYMENTS) {
        Ok(call) => call,
        Err(refusal) => return reply(&answer(&refusal), CARD_PAYMENTS),
    };
    let place = Place { provider: NAME, account: &call.account, operation };
    let met = worldpay.house.fault(place, Asked { metadata: None, amount });
    let work = |declines| {
        call.declines = declines;
        let mut book = worldpay.book();
        let done = act(&mut book, &call);
        worldpay.tell(&mut book);
        let answer = match done {
            Ok(value) => Answer { status: good, body: value.to_string() },
            Err(refusal) => answer(&refusal),
        };
        Work { answer, began: true }
    };
    match perform(met, None, answer(&Refusal::internal()), work).await {
        Some(answer) => reply(&answer, CARD_PAYMENTS),
        None => cut(request),
    }
}

/// Answers a request that asks, in the media type of its API.
pub(super) async fn look(
    worldpay: &Worldpay,
    request: &HttpRequest,
    media_type: &'static str,
    act: impl FnOnce(&mut Book, &Call) -> Result<Value, Refusal>,
) -> HttpResponse {
    let call = match admit(worldpay, request, media_type) {
        Ok(call) => call,
        Err(refusal) => return reply(&answer(&refusal), media_type),
    };
    let place = Place { provider: NAME, account: &call.account, operation: Operation::Read };
    let met = worldpay.house.fault(place, Asked::default());
    let look = || {
        let mut book = worldpay.book();
        let seen = act(&mut book, &call);
        worldpay.tell(&mut book);
        match seen {
            Ok(value) => Answer { status: 200, body: value.to_string() },
            Err(refusal) => answer(&refusal),
        }
    };
    match ask(met, answer(&Refusal::internal()), look).await {
        Some(answer) => reply(&answer, media_type),
        None => cut(request),
    }
}

/// The account that asks, in the right media type.
fn admit(worldpay: &Worldpay, request: &HttpRequest, media_type: &str) -> Result<Call, Refusal> {
    let account = user(request).filter(|user| worldpay.users.contains(user)).ok_or_else(Refusal::denied)?;
    let is_right = |name: HeaderName| {
        let value = request.headers().get(name).and_then(|value| value.to_str().ok());
        value.is_some_and(|value| value.eq_ignore_ascii_case(media_type))
    };
    let speaks = is_right(ACCEPT) && (media_type != CARD_PAYMENTS || is_right(CONTENT_TYPE));
    if !speaks {
        return Err(Refusal::media_type());
    }
    Ok(Call { now: worldpay.house.now_s(), account, declines: false })
}

/// The user name of `Authorization: Basic`, if a password stands behind it.
fn user(request: &HttpRequest) -> Option<String> {
    let (scheme, pair) = request.headers().get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    let pair = STANDARD.decode(pair.trim()).ok().filter(|_| scheme.eq_ignore_ascii_case("basic"))?;
    let (user, password) = std::str::from_utf8(&pair).ok()?.split_once(':')?;
    (!password.is_empty()).then(|| user.to_owned())
}

fn answer(refusal: &Refusal) -> Answer {
    Answer { status: refusal.status, body: refusal.body().to_string() }
}

fn reply(answer: &Answer, media_type: &'static str) -> HttpResponse {
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    HttpResponse::build(status).content_type(media_type).body(answer.body.clone())
}

/// The media type of Card Payments.
pub(super) const CARD_PAYMENTS: &str = "application/vnd.worldpay.payments-v7+json";
/// The media type of Payment Queries.
pub(super) const PAYMENT_QUERIES: &str = "application/vnd.worldpay.payment-queries-v1.hal+json";

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::Inside;

    const QUERY: &str = "/payments/events?transactionRef=pay_1_1&entity=default";

    async fn asked(target: &str, pair: &str, media_type: &str) -> (u16, Value) {
        let provider = Inside::new("user-of-tests", "secret", || 1_794_700_800);
        let basic = format!("Basic {}", STANDARD.encode(pair));
        let headers = [("authorization", &*basic), ("accept", media_type), ("content-type", media_type)];
        let (status, body) = provider.handle("GET", target, &headers, &[]).await;
        (status, serde_json::from_slice(&body).expect("JSON"))
    }

    #[tokio::test]
    async fn stranger_is_denied_and_another_version_is_not_spoken() {
        let (status, body) = asked(QUERY, "user-of-tests:any", CARD_PAYMENTS).await;
        assert_eq!((status, &body["errorName"]), (404, &"endpointNotFound".into()));
        for pair in ["user-of-tests:", "user-of-tests", "nobody:any", ""] {
            let (status, body) = asked(QUERY, pair, CARD_PAYMENTS).await;
            assert_eq!((status, &body["errorName"]), (401, &"accessDenied".into()), "{pair}");
        }
        for media_type in ["application/json", "application/vnd.worldpay.payments-v6+json", PAYMENT_QUERIES] {
            let (status, body) = asked(QUERY, "user-of-tests:any", media_type).await;
            assert_eq!((status, &body["errorName"]), (415, &"headerHasInvalidValue".into()), "{media_type}");
        }
    }

    #[tokio::test]
    async fn question_without_its_parameters_is_refused_and_an_unknown_payment_is_not_found() {
        for (target, media_type, expected) in [
            ("/payments/events", CARD_PAYMENTS, 400),
            ("/payments/events?transactionReference=pay_1_1&entity=default", CARD_PAYMENTS, 400),
            ("/payments/events/linkData", CARD_PAYMENTS, 404),
            ("/paymentQueries/payments", PAYMENT_QUERIES, 400),
            ("/paymentQueries/payments/payNobodyKnows", PAYMENT_QUERIES, 404),
            ("/paymentQueries/payments?transactionReference=pay_1_1", PAYMENT_QUERIES, 200),
        ] {
            assert_eq!(asked(target, "user-of-tests:any", media_type).await.0, expected, "{target}");
        }
    }
}
