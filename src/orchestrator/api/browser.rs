//! Which routes the scripts of a merchant's pages may call, and which of their answers they may read (CORS).
//!
//! A page is let in by `who::caller`: its publishable key names the merchant, and the merchant's account names the origins.
//! Until a request has that key nothing is known about it, so the question that a browser asks beforehand is answered
//! alike to every page and promises no answer: a page of a foreign origin is refused with its request, before anything is
//! done, and cannot even read that. Keys of servers and of the operator never get these headers.

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_METHOD, HeaderValue, ORIGIN, VARY,
};
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage as _, HttpRequest, HttpResponse};

use super::answer::Refusal;
use super::who::Page;

/// The routes that pages call, as they stand in the table of routes.
pub(super) const OPEN: [&str; 7] = [
    "/payments/{payment_id}",
    "/payments/{payment_id}/confirm",
    "/payments/{payment_id}/vault_session",
    "/customers/payment_methods",
    "/customers/payment_methods/{payment_method_id}",
    "/customers/payment_methods/{payment_method_id}/default",
    "/account/payment_methods",
];

/// Lets a page that was let in read the answer.
pub(crate) async fn let_read(
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let mut answer = next.call(request).await?;
    let page = answer.request().extensions().get::<Page>().and_then(|page| HeaderValue::from_str(&page.0).ok());
    let headers = answer.headers_mut();
    headers.append(VARY, HeaderValue::from_static("origin"));
    if let Some(page) = page {
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, page);
        headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static("retry-after, x-request-id"));
    }
    Ok(answer)
}

/// `OPTIONS`: what a page may send.
pub(super) async fn preflight(request: HttpRequest) -> Result<HttpResponse, Refusal> {
    let asks = |name| request.headers().contains_key(name);
    if !asks(ORIGIN) || !asks(ACCESS_CONTROL_REQUEST_METHOD) {
        return super::wrong_verb().await;
    }
    Ok(HttpResponse::NoContent()
        .insert_header((ACCESS_CONTROL_ALLOW_ORIGIN, "*"))
        .insert_header((ACCESS_CONTROL_ALLOW_METHODS, "GET, POST, DELETE"))
        .insert_header((ACCESS_CONTROL_ALLOW_HEADERS, "api-key, content-type, idempotency-key"))
        .insert_header((ACCESS_CONTROL_MAX_AGE, PREFLIGHT_S))
        .finish())
}

/// How long a browser may remember it, in seconds.
const PREFLIGHT_S: &str = "600";
