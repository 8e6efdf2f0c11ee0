//! The requests, each with what it does to the books.

use actix_web::web::{Bytes, Data, Path};
use actix_web::{HttpRequest, HttpResponse};

use super::Adyen;
use super::exchange::change;
use super::request::{Peek, read};
use crate::fault::Operation;

/// `POST /v71/payments`
pub(super) async fn pay(adyen: Data<Adyen>, request: HttpRequest, body: Bytes) -> HttpResponse {
    let peek: Peek = read(&body).unwrap_or_default();
    let verifies = peek.amount.is_some_and(|amount| amount.value == 0);
    let operation = if verifies { Operation::Verify } else { Operation::Authorize };
    change(&adyen, &request, &body, (operation, 200), None, |book, body, call| book.pay(&read(body)?, call)).await
}

/// `POST /v71/payments/details`
pub(super) async fn details(adyen: Data<Adyen>, request: HttpRequest, body: Bytes) -> HttpResponse {
    change(&adyen, &request, &body, (Operation::Complete, 200), None, |book, body, call| {
        let details: super::request::Details = read(body)?;
        book.details(&details.details.redirect_result, call)
    })
    .await
}

/// `POST /v71/payments/{id}/captures`
pub(super) async fn capture(adyen: Data<Adyen>, request: HttpRequest, id: Path<String>, body: Bytes) -> HttpResponse {
    change(&adyen, &request, &body, (Operation::Capture, 201), Some(&id), |book, body, call| {
        book.capture(&id, &read(body)?, call)
    })
    .await
}

/// `POST /v71/payments/{id}/cancels`
pub(super) async fn cancel(adyen: Data<Adyen>, request: HttpRequest, id: Path<String>, body: Bytes) -> HttpResponse {
    change(&adyen, &request, &body, (Operation::Cancel, 201), Some(&id), |book, body, call| {
        book.cancel(&id, &read(body)?, call)
    })
    .await
}

/// `POST /v71/cancels`
pub(super) async fn cancel_by_reference(adyen: Data<Adyen>, request: HttpRequest, body: Bytes) -> HttpResponse {
    change(&adyen, &request, &body, (Operation::Cancel, 201), None, |book, body, call| {
        book.cancel_by_reference(&read(body)?, call)
    })
    .await
}

/// `POST /v71/payments/{id}/refunds`
pub(super) async fn refund(adyen: Data<Adyen>, request: HttpRequest, id: Path<String>, body: Bytes) -> HttpResponse {
    change(&adyen, &request, &body, (Operation::Refund, 201), Some(&id), |book, body, call| {
        book.refund(&id, &read(body)?, call)
    })
    .await
}

/// `POST /v71/payments/{id}/amountUpdates`
pub(super) async fn update(adyen: Data<Adyen>, request: HttpRequest, id: Path<String>, body: Bytes) -> HttpResponse {
    change(&adyen, &request, &body, (Operation::Increment, 201), Some(&id), |book, body, call| {
        book.update(&id, &read(body)?, call)
    })
    .await
}
