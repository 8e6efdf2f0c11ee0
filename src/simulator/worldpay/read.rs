//! The requests that ask.

use actix_web::web::{Data, Path, Query};
use actix_web::{HttpRequest, HttpResponse};
use serde::Deserialize;

use super::exchange::{CARD_PAYMENTS, PAYMENT_QUERIES, look};
use super::refusal::Refusal;
use super::{Worldpay, shape};

/// `GET /payments/events/{link}`
pub(super) async fn last_event(at: Data<Worldpay>, request: HttpRequest, link: Path<String>) -> HttpResponse {
    look(&at, &request, CARD_PAYMENTS, |book, call| book.by_link(&link, call).map(shape::last_event)).await
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Recovery {
    transaction_ref: String,
    entity: String,
}

/// `GET /payments/events?transactionRef=&entity=`: the newest payment of that reference.
pub(super) async fn recovery(at: Data<Worldpay>, request: HttpRequest) -> HttpResponse {
    look(&at, &request, CARD_PAYMENTS, |book, call| {
        let Query(wanted) = Query::<Recovery>::from_query(request.query_string()).map_err(|_| Refusal::query())?;
        let mut ours = book.by_reference(&wanted.transaction_ref, call);
        let newest = ours.rfind(|payment| payment.entity == wanted.entity);
        newest.map(shape::last_event).ok_or_else(Refusal::unknown)
    })
    .await
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Search {
    transaction_reference: String,
}

/// `GET /paymentQueries/payments?transactionReference=`
pub(super) async fn search(at: Data<Worldpay>, request: HttpRequest) -> HttpResponse {
    look(&at, &request, PAYMENT_QUERIES, |book, call| {
        let Query(wanted) = Query::<Search>::from_query(request.query_string()).map_err(|_| Refusal::query())?;
        let reference = &wanted.transaction_reference;
        Ok(shape::found(reference, book.by_reference(reference, call)))
    })
    .await
}

/// `GET /paymentQueries/payments/{id}`
pub(super) async fn payment(at: Data<Worldpay>, request: HttpRequest, id: Path<String>) -> HttpResponse {
    look(&at, &request, PAYMENT_QUERIES, |book, call| book.by_id(&id, call).map(shape::told)).await
}
