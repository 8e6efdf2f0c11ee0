//! The 3-D Secure page: two buttons, and the way back to the merchant.

use actix_web::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, ContentType, LOCATION, REFERRER_POLICY};
use actix_web::web::{Bytes, Data, Path};
use actix_web::{HttpRequest, HttpResponse};

use super::Simulator;
use super::exchange::{call, refuse};
use crate::book::{Intent, Status, Verdict};
use crate::form::Form;
use crate::refusal::Refusal;

/// `GET /3ds/{id}`: the page that a cardholder sees. It needs no key: its id cannot be guessed.
pub(super) async fn page(simulator: Data<Simulator>, id: Path<String>) -> HttpResponse {
    let book = simulator.book();
    match book.challenged(&id) {
        Ok((intent, true)) => html(&format!(
            "<h1>Simulated 3-D Secure</h1><p>Your bank asks: is this payment of <b>{} {}</b> (minor units) yours?</p>\
             <form method=\"post\"><button name=\"outcome\" value=\"approve\">Approve</button> \
             <button name=\"outcome\" value=\"fail\">Fail</button></form>",
            intent.amount,
            intent.currency.to_ascii_uppercase()
        )),
        Ok((_, false)) => {
            html("<h1>Simulated 3-D Secure</h1><p>This authentication is over. You may close the page.</p>")
        }
        Err(refusal) => refuse(&refusal),
    }
}

/// `POST /3ds/{id}` with `outcome=approve` or `outcome=fail`: sends the browser back to `return_url`.
pub(super) async fn verdict(
    simulator: Data<Simulator>,
    request: HttpRequest,
    id: Path<String>,
    body: Bytes,
) -> HttpResponse {
    match decide(&simulator, &request, &id, &body) {
        Ok(Some(location)) => {
            HttpResponse::SeeOther().insert_header((LOCATION, location)).insert_header(NO_STORE).finish()
        }
        Ok(None) => html("<h1>Simulated 3-D Secure</h1><p>Done. You may close the page.</p>"),
        Err(refusal) => refuse(&refusal),
    }
}

fn decide(simulator: &Simulator, request: &HttpRequest, id: &str, body: &[u8]) -> Result<Option<String>, Refusal> {
    let mut form = Form::parse(body)?;
    let verdict = match form.choice("outcome", &["approve", "fail"])? {
        Some("approve") => Verdict::Approve,
        Some(_) => Verdict::Fail,
        None => return Err(Refusal::invalid("parameter_missing", "Missing required param: outcome.").param("outcome")),
    };
    form.finish()?;
    let mut book = simulator.book();
    book.authenticate(id, verdict, &call(request, None))?;
    let (intent, _) = book.challenged(id)?;
    Ok(way_back(intent))
}

/// `return_url` with what Stripe adds to it.
fn way_back(intent: &Intent) -> Option<String> {
    let url = intent.return_url.as_deref()?;
    let (url, fragment) = url.split_once('#').map_or((url, String::new()), |(url, part)| (url, format!("#{part}")));
    let joint = if url.contains('?') { '&' } else { '?' };
    let status = match intent.status {
        Status::Succeeded | Status::RequiresCapture => "succeeded",
        _ => "failed",
    };
    Some(format!(
        "{url}{joint}payment_intent={}&payment_intent_client_secret={}&redirect_status={status}{fragment}",
        intent.id, intent.client_secret
    ))
}

/// A whole page. Every text in it is ours or an amount, so nothing needs escaping, and the policy forbids scripts anyway.
fn html(body: &str) -> HttpResponse {
    HttpResponse::Ok()
        .content_type(ContentType::html())
        .insert_header((CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors *"))
        .insert_header((REFERRER_POLICY, "no-referrer"))
        .insert_header(NO_STORE)
        .body(format!(
            "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Simulated 3-D Secure</title>{body}</html>"
        ))
}

const NO_STORE: (actix_web::http::header::HeaderName, &str) = (CACHE_CONTROL, "no-store");
