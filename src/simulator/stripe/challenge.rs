//! The 3-D Secure page of a payment intent or a setup intent, and the way back to the merchant.

use actix_web::web::{Bytes, Data, Path};
use actix_web::{HttpRequest, HttpResponse};

use super::Stripe;
use super::exchange::{call, refuse};
use super::refusal::Refusal;
use crate::page::{self, Verdict};

/// `GET /3ds/{id}`: the page that a cardholder sees. It needs no key: its id cannot be guessed.
pub(super) async fn page(stripe: Data<Stripe>, id: Path<String>) -> HttpResponse {
    match stripe.book().challenged(&id) {
        Ok(challenged) if challenged.waits(&id) => {
            let (amount, currency) = challenged.money();
            page::ask(amount, currency)
        }
        Ok(_) => page::over(),
        Err(refusal) => refuse(&refusal),
    }
}

/// `POST /3ds/{id}` with `outcome=approve` or `outcome=fail`: sends the browser back to `return_url`.
pub(super) async fn verdict(stripe: Data<Stripe>, request: HttpRequest, id: Path<String>, body: Bytes) -> HttpResponse {
    match decide(&stripe, &request, &id, &body) {
        Ok(location) => page::back(location),
        Err(refusal) => refuse(&refusal),
    }
}

fn decide(stripe: &Stripe, request: &HttpRequest, id: &str, body: &[u8]) -> Result<Option<String>, Refusal> {
    let verdict = Verdict::of(body).ok_or_else(|| {
        Refusal::invalid("parameter_missing", "Send outcome=approve or outcome=fail.").param("outcome")
    })?;
    stripe.with_book(|book| {
        book.authenticate(id, verdict, &call(stripe, request, String::new(), None))?;
        Ok(book.challenged(id)?.way_back())
    })
}
