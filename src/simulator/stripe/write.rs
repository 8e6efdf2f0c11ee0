//! The requests that change something.

use actix_web::web::{Bytes, Data, Path};
use actix_web::{HttpRequest, HttpResponse};

use super::exchange::change;
use super::form::Form;
use super::read::view;
use super::{Stripe, shape};
use crate::fault::Operation;

/// `POST /v1/payment_methods`
pub(super) async fn create_method(stripe: Data<Stripe>, request: HttpRequest, body: Bytes) -> HttpResponse {
    change(&stripe, &request, &body, Operation::Method, None, |book, form, call| {
        let id = book.create_method(form, call)?;
        Ok(shape::method(book.method(&id)?))
    })
    .await
}

/// `POST /v1/payment_intents`
pub(super) async fn create_intent(stripe: Data<Stripe>, request: HttpRequest, body: Bytes) -> HttpResponse {
    let confirms = Form::parse(&body).is_ok_and(|form| form.peek("confirm") == Some("true"));
    let operation = if confirms { Operation::Authorize } else { Operation::Prepare };
    change(&stripe, &request, &body, operation, None, |book, mut form, call| {
        let view = view(&request, &mut form)?;
        let id = book.create_intent(form, call)?;
        Ok(shape::intent(book, book.intent(&id)?, view))
    })
    .await
}

/// `POST /v1/payment_intents/{id}/confirm`
pub(super) async fn confirm_intent(
    stripe: Data<Stripe>,
    request: HttpRequest,
    id: Path<String>,
    body: Bytes,
) -> HttpResponse {
    change(&stripe, &request, &body, Operation::Authorize, Some(&id), |book, mut form, call| {
        let view = view(&request, &mut form)?;
        book.confirm_intent(&id, form, call)?;
        Ok(shape::intent(book, book.intent(&id)?, view))
    })
    .await
}

/// `POST /v1/payment_intents/{id}/increment_authorization`
pub(super) async fn increment_intent(
    stripe: Data<Stripe>,
    request: HttpRequest,
    id: Path<String>,
    body: Bytes,
) -> HttpResponse {
    change(&stripe, &request, &body, Operation::Increment, Some(&id), |book, mut form, call| {
        let view = view(&request, &mut form)?;
        book.increment_intent(&id, form, call)?;
        Ok(shape::intent(book, book.intent(&id)?, view))
    })
    .await
}

/// `POST /v1/payment_intents/{id}/capture`
pub(super) async fn capture_intent(
    stripe: Data<Stripe>,
    request: HttpRequest,
    id: Path<String>,
    body: Bytes,
) -> HttpResponse {
    change(&stripe, &request, &body, Operation::Capture, Some(&id), |book, mut form, call| {
        let view = view(&request, &mut form)?;
        book.capture_intent(&id, form, call)?;
        Ok(shape::intent(book, book.intent(&id)?, view))
    })
    .await
}

/// `POST /v1/payment_intents/{id}/cancel`
pub(super) async fn cancel_intent(
    stripe: Data<Stripe>,
    request: HttpRequest,
    id: Path<String>,
    body: Bytes,
) -> HttpResponse {
    change(&stripe, &request, &body, Operation::Cancel, Some(&id), |book, mut form, call| {
        let view = view(&request, &mut form)?;
        book.cancel_intent(&id, form, call)?;
        Ok(shape::intent(book, book.intent(&id)?, view))
    })
    .await
}

/// `POST /v1/setup_intents`
pub(super) async fn create_setup(stripe: Data<Stripe>, request: HttpRequest, body: Bytes) -> HttpResponse {
    change(&stripe, &request, &body, Operation::Verify, None, |book, form, call| {
        let id = book.create_setup(form, call)?;
        Ok(shape::setup(book, book.setup(&id)?))
    })
    .await
}

/// `POST /v1/setup_intents/{id}/cancel`
pub(super) async fn cancel_setup(
    stripe: Data<Stripe>,
    request: HttpRequest,
    id: Path<String>,
    body: Bytes,
) -> HttpResponse {
    change(&stripe, &request, &body, Operation::Cancel, None, |book, form, _| {
        book.cancel_setup(&id, form)?;
        Ok(shape::setup(book, book.setup(&id)?))
    })
    .await
}

/// `POST /v1/refunds`
pub(super) async fn create_refund(stripe: Data<Stripe>, request: HttpRequest, body: Bytes) -> HttpResponse {
    let subject = Form::parse(&body).ok().and_then(|form| form.peek("payment_intent").map(str::to_owned));
    change(&stripe, &request, &body, Operation::Refund, subject.as_deref(), |book, form, call| {
        let id = book.create_refund(form, call)?;
        Ok(shape::refund(book.refund(&id)?))
    })
    .await
}
