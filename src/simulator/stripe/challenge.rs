//! The 3-D Secure page of a payment intent, and the way back to the merchant.

use actix_web::web::{Bytes, Data, Path};
use actix_web::{HttpRequest, HttpResponse};

use super::Stripe;
use super::book::{Intent, Status};
use super::exchange::{call, refuse};
use super::refusal::Refusal;
use crate::page::{self, Verdict};

/// `GET /3ds/{id}`: the page that a cardholder sees. It needs no key: its id cannot be guessed.
pub(super) async fn page(stripe: Data<Stripe>, id: Path<String>) -> HttpResponse {
    match stripe.book().challenged(&id) {
        Ok((intent, true)) => page::ask(intent.amount, &intent.currency),
        Ok((_, false)) => page::over(),
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
    let mut book = stripe.book();
    book.authenticate(id, verdict, &call(stripe, request, String::new(), None))?;
    let (intent, _) = book.challenged(id)?;
    Ok(way_back(intent))
}

/// `return_url` with what Stripe adds to it.
fn way_back(intent: &Intent) -> Option<String> {
    let url = intent.return_url.as_deref()?;
    let status = match intent.status {
        Status::Succeeded | Status::RequiresCapture => "succeeded",
        _ => "failed",
    };
    let pairs = [
        ("payment_intent", intent.id.as_str()),
        ("payment_intent_client_secret", intent.client_secret.as_str()),
        ("redirect_status", status),
    ];
    Some(page::with_query(url, &pairs))
}
