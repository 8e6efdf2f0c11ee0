//! The requests that change something.

use actix_web::web::{Bytes, Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use serde_json::Value;

use super::Worldpay;
use super::body::{Authorization, Whole, read};
use super::exchange::change;
use super::refusal::Refusal;
use crate::fault::Operation;

/// `POST /cardPayments/customerInitiatedTransactions`
pub(super) async fn by_customer(worldpay: Data<Worldpay>, request: HttpRequest, body: Bytes) -> HttpResponse {
    authorize(&worldpay, &request, &body, true).await
}

/// `POST /cardPayments/merchantInitiatedTransactions`
pub(super) async fn by_merchant(worldpay: Data<Worldpay>, request: HttpRequest, body: Bytes) -> HttpResponse {
    authorize(&worldpay, &request, &body, false).await
}

/// `POST /payments/settlements/full/{link}`
pub(super) async fn settle(at: Data<Worldpay>, request: HttpRequest, link: Path<String>, body: Bytes) -> HttpResponse {
    change(&at, &request, Operation::Capture, ACCEPTED, None, |book, call| book.settle(&link, &whole(&body)?, call))
        .await
}

/// `POST /payments/settlements/partials/{link}`
pub(super) async fn settle_part(
    at: Data<Worldpay>,
    request: HttpRequest,
    link: Path<String>,
    body: Bytes,
) -> HttpResponse {
    change(&at, &request, Operation::Capture, ACCEPTED, None, |book, call| book.settle_part(&link, &read(&body)?, call))
        .await
}

/// `POST /payments/authorizations/cancellations/{link}`
pub(super) async fn cancel(at: Data<Worldpay>, request: HttpRequest, link: Path<String>, body: Bytes) -> HttpResponse {
    change(&at, &request, Operation::Cancel, ACCEPTED, None, |book, call| {
        whole(&body)?;
        book.cancel(&link, call)
    })
    .await
}

/// `POST /payments/sales/reversals/{link}`
pub(super) async fn reverse(at: Data<Worldpay>, request: HttpRequest, link: Path<String>, body: Bytes) -> HttpResponse {
    change(&at, &request, Operation::Cancel, ACCEPTED, None, |book, call| {
        if !body.is_empty() {
            return Err(Refusal::schema("$"));
        }
        book.reverse(&link, call)
    })
    .await
}

/// `POST /payments/settlements/refunds/full/{link}`
pub(super) async fn refund(at: Data<Worldpay>, request: HttpRequest, link: Path<String>, body: Bytes) -> HttpResponse {
    change(&at, &request, Operation::Refund, ACCEPTED, None, |book, call| book.refund(&link, &whole(&body)?, call))
        .await
}

/// `POST /payments/settlements/refunds/partials/{link}`
pub(super) async fn refund_part(
    at: Data<Worldpay>,
    request: HttpRequest,
    link: Path<String>,
    body: Bytes,
) -> HttpResponse {
    change(&at, &request, Operation::Refund, ACCEPTED, None, |book, call| book.refund_part(&link, &read(&body)?, call))
        .await
}

/// `POST /payments/authorizations/incrementalAuthorizations/{link}`
pub(super) async fn increase(
    at: Data<Worldpay>,
    request: HttpRequest,
    link: Path<String>,
    body: Bytes,
) -> HttpResponse {
    change(&at, &request, Operation::Increment, ACCEPTED, None, |book, call| book.increase(&link, &read(&body)?, call))
        .await
}

async fn authorize(worldpay: &Worldpay, request: &HttpRequest, body: &[u8], by_customer: bool) -> HttpResponse {
    let authorization = read::<Authorization>(body);
    let amount = authorization.as_ref().ok().map(|body| body.instruction.value.amount);
    let act = |book: &mut super::book::Book, call: &super::book::Call| -> Result<Value, Refusal> {
        book.authorize(&authorization?, by_customer, call)
    };
    change(worldpay, request, Operation::Authorize, 201, amount, act).await
}

/// A body that may be missing.
fn whole(body: &[u8]) -> Result<Whole, Refusal> {
    if body.is_empty() { Ok(Whole::default()) } else { read(body) }
}

/// The status of a receipt.
const ACCEPTED: u16 = 202;
