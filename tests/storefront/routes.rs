//! The addresses of the shop: pages for people, a few calls for the pages' scripts, pictures and styles.

use std::sync::{MutexGuard, PoisonError};
use std::time::Instant;

use actix_web::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, COOKIE as COOKIES, HeaderName, LOCATION, REFERRER_POLICY, SET_COOKIE,
    X_CONTENT_TYPE_OPTIONS,
};
use actix_web::web::{self, Data, Path, ServiceConfig};
use actix_web::{HttpMessage as _, HttpRequest, HttpResponse, HttpResponseBuilder};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Counter;
use super::cashier::paid_with;
use super::ears::Sent;
use super::visitors::{Order, Visitor, Visitors};
use super::{catalogue, pages};
use crate::harness::{Fault, Result, because};

/// Puts every route into the application.
pub(super) fn all(config: &mut ServiceConfig) {
    config
        .route("/", web::get().to(|counter, request| page(counter, request, "shop")))
        .route("/basket", web::get().to(|counter, request| page(counter, request, "basket")))
        .route("/basket", web::post().to(put_in_basket))
        .route("/checkout", web::get().to(|counter, request| page(counter, request, "checkout")))
        .route("/thanks", web::get().to(|counter, request| page(counter, request, "thanks")))
        .route("/account", web::get().to(|counter, request| page(counter, request, "account")))
        .route("/leave", web::post().to(leave))
        .route("/site/{file}", web::get().to(file))
        .route("/api/checkout", web::post().to(checkout))
        .route("/api/session", web::post().to(session))
        .route("/api/contact", web::post().to(contact))
        .route("/api/orders/{number}", web::get().to(order))
        .route("/api/orders/{number}/pay", web::post().to(pay))
        .route("/api/panel", web::get().to(panel));
}

/// One of the pages that people read, filled in by the server.
async fn page(counter: Data<Counter>, request: HttpRequest, name: &'static str) -> HttpResponse {
    match welcome(&counter, &request) {
        Ok((cookie, visitor)) => {
            let text = pages::page(name, &visitor, &counter.addresses, &counter.sdk);
            let mut answer = headed(HttpResponse::Ok(), &counter);
            answer.content_type("text/html; charset=utf-8").insert_header(visitor_cookie(&cookie)).body(text)
        }
        Err(fault) => broken(&fault),
    }
}

/// `POST /basket` from a form: works without a script.
async fn put_in_basket(counter: Data<Counter>, request: HttpRequest) -> HttpResponse {
    let sku = article_of_form(&sent(&request));
    let (cookie, _) = match welcome(&counter, &request) {
        Ok(known) => known,
        Err(fault) => return broken(&fault),
    };
    let Some(article) = sku.as_deref().and_then(catalogue::article) else {
        return HttpResponse::BadRequest().body("The shop sells no such article.");
    };
    if let Some(visitor) = visitors(&counter).of(&cookie) {
        visitor.take(article);
    }
    HttpResponse::SeeOther().insert_header(visitor_cookie(&cookie)).insert_header((LOCATION, "/basket")).finish()
}

/// `POST /leave`: the next page is for somebody new.
async fn leave(counter: Data<Counter>, request: HttpRequest) -> HttpResponse {
    if let Some(cookie) = cookie(&request) {
        visitors(&counter).leave(cookie);
    }
    HttpResponse::SeeOther().insert_header((LOCATION, "/")).finish()
}

async fn file(name: Path<String>) -> HttpResponse {
    let Some((kind, text)) = pages::file(&name) else { return HttpResponse::NotFound().finish() };
    HttpResponse::Ok()
        .content_type(kind)
        .insert_header((CACHE_CONTROL, "no-cache"))
        .insert_header((X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .body(text)
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Begin {
    /// How long the payment may be paid, for tests of its end.
    seconds: Option<u64>,
}

/// `POST /api/checkout`: what the page needs to pay the basket. An open payment of the same basket is gone on with.
async fn checkout(counter: Data<Counter>, request: HttpRequest) -> HttpResponse {
    answered(begin(&counter, &request).await)
}

async fn begin(counter: &Counter, request: &HttpRequest) -> Result<Value> {
    let asked: Begin = read(&sent(request))?;
    let (cookie, visitor) = known(counter, request)?;
    if visitor.basket.is_empty() {
        return Err(Fault::new("The basket is empty."));
    }
    let customer_id = match visitor.customer_id.clone() {
        Some(id) => id,
        None => counter.cashier.customer().await?,
    };
    let order = match usable(counter, &visitor).await? {
        Some(order) if asked.seconds.is_none() => order,
        _ => counter.cashier.begin(&visitor, &customer_id, asked.seconds).await?,
    };
    if let Some(visitor) = visitors(counter).of(&cookie) {
        visitor.customer_id = Some(customer_id);
        visitor.open = Some(order.clone());
    }
    Ok(json!({
        "order": order.number,
        "amount": order.amount,
        "currency": catalogue::CURRENCY,
        "payment_id": order.payment_id,
        "client_secret": order.client_secret,
        "publishable_key": counter.cashier.publishable_key(),
    }))
}

/// The open order, if its payment still takes a card for what is in the basket.
async fn usable(counter: &Counter, visitor: &Visitor) -> Result<Option<Order>> {
    let is_usable = |order: &Order| order.content == visitor.content() && Instant::now() < order.until;
    let Some(order) = visitor.open.clone().filter(is_usable) else { return Ok(None) };
    let payment = counter.cashier.payment(&order.payment_id, false).await?;
    let takes_a_card = payment["status"] == "requires_payment_method" || payment["status"] == "requires_confirmation";
    Ok(Some(order).filter(|_| takes_a_card))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Named {
    order: String,
}

/// `POST /api/session`: a session at the vault for the fields of the page.
async fn session(counter: Data<Counter>, request: HttpRequest) -> HttpResponse {
    let made = async {
        let asked: Named = read(&sent(&request))?;
        let order = open_order(&counter, &request, &asked.order)?;
        counter.cashier.vault_session(&order.payment_id).await
    };
    answered(made.await)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Contact {
    name: String,
    email: String,
}

/// `POST /api/contact`: who buys.
async fn contact(counter: Data<Counter>, request: HttpRequest) -> HttpResponse {
    let told = async {
        let Contact { name, email } = read(&sent(&request))?;
        if name.chars().count() > TEXT_CHARS_MAX || email.chars().count() > TEXT_CHARS_MAX {
            return Err(Fault::new("Name and e-mail address may have 100 characters each."));
        }
        let (cookie, visitor) = known(&counter, &request)?;
        if let Some(id) = &visitor.customer_id {
            counter.cashier.rename(id, &name, &email).await?;
        }
        if let Some(visitor) = visitors(&counter).of(&cookie) {
            (visitor.name, visitor.email) = (name, email);
        }
        Ok(json!({}))
    };
    answered(told.await)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Paying {
    payment_method_id: String,
    cvc_token: Option<String>,
}

/// `POST /api/orders/{number}/pay`: the page has a token from the vault's fields, and the shop's server confirms with it.
async fn pay(counter: Data<Counter>, request: HttpRequest, number: Path<String>) -> HttpResponse {
    let paid = async {
        let asked: Paying = read(&sent(&request))?;
        let order = open_order(&counter, &request, &number)?;
        let said =
            counter.cashier.confirm(&order.payment_id, &asked.payment_method_id, asked.cvc_token.as_deref()).await?;
        said.expect(200).map(|payment| json!({ "status": payment["status"], "next_action": payment["next_action"] }))
    };
    answered(paid.await)
}

/// `GET /api/orders/{number}`: what became of an order. The orchestrator is asked, whatever the page or its address says.
async fn order(counter: Data<Counter>, request: HttpRequest, number: Path<String>) -> HttpResponse {
    let found = async {
        let (cookie, visitor) = known(&counter, &request)?;
        let order = visitor.order(&number).ok_or_else(|| Fault::new("There is no such order."))?;
        let payment = counter.cashier.payment(&order.payment_id, true).await?;
        if payment["status"] == "succeeded"
            && let Some(visitor) = visitors(&counter).of(&cookie)
        {
            visitor.paid(&number, paid_with(&payment)?);
        }
        Ok(json!({
            "order": order.number,
            "content": order.content,
            "amount": catalogue::money(order.amount),
            "status": payment["status"],
            "card": if payment["status"] == "succeeded" { paid_with(&payment)?.into() } else { Value::Null },
            "message": payment["error_message"],
        }))
    };
    answered(found.await)
}

async fn panel(counter: Data<Counter>) -> HttpResponse {
    answered(counter.panel.look().await)
}

/// The visitor of a request: the one of its cookie, or somebody new.
fn welcome(counter: &Counter, request: &HttpRequest) -> Result<(String, Visitor)> {
    let mut visitors = visitors(counter);
    if let Some(cookie) = cookie(request)
        && let Some(visitor) = visitors.of(cookie)
    {
        return Ok((cookie.to_owned(), visitor.clone()));
    }
    Ok((visitors.enter()?, Visitor::default()))
}

fn known(counter: &Counter, request: &HttpRequest) -> Result<(String, Visitor)> {
    let cookie = cookie(request).unwrap_or_default().to_owned();
    let visitor = visitors(counter).of(&cookie).cloned();
    visitor
        .map(|visitor| (cookie, visitor))
        .ok_or_else(|| Fault::new("The shop does not know you: open its first page."))
}

fn open_order(counter: &Counter, request: &HttpRequest, number: &str) -> Result<Order> {
    let (_, visitor) = known(counter, request)?;
    visitor.open.filter(|order| order.number == number).ok_or_else(|| Fault::new("There is no such open order."))
}

fn visitors(counter: &Counter) -> MutexGuard<'_, Visitors> {
    counter.visitors.lock().unwrap_or_else(PoisonError::into_inner)
}

fn sent(request: &HttpRequest) -> web::Bytes {
    request.extensions().get::<Sent>().map(|sent| sent.0.clone()).unwrap_or_default()
}

fn read<T: for<'de> Deserialize<'de>>(body: &[u8]) -> Result<T> {
    serde_json::from_slice(body).map_err(because("The request is not what this call takes"))
}

/// The article of a form with one field: `sku=...`, whose names need no decoding.
fn article_of_form(body: &[u8]) -> Option<String> {
    std::str::from_utf8(body).ok()?.strip_prefix("sku=").map(str::to_owned)
}

fn answered(done: Result<Value>) -> HttpResponse {
    match done {
        Ok(value) => HttpResponse::Ok().insert_header((CACHE_CONTROL, "no-store")).json(value),
        Err(fault) => broken(&fault),
    }
}

fn broken(fault: &Fault) -> HttpResponse {
    HttpResponse::BadRequest().json(json!({ "error": { "message": fault.to_string() } }))
}

fn headed(mut answer: HttpResponseBuilder, counter: &Counter) -> HttpResponseBuilder {
    answer
        .insert_header((CONTENT_SECURITY_POLICY, counter.addresses.policy()))
        .insert_header((REFERRER_POLICY, "same-origin"))
        .insert_header((X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .insert_header((CACHE_CONTROL, "no-store"));
    answer
}

fn cookie(request: &HttpRequest) -> Option<&str> {
    let sent = request.headers().get(COOKIES)?.to_str().ok()?;
    sent.split("; ").find_map(|pair| pair.strip_prefix(COOKIE)?.strip_prefix('='))
}

fn visitor_cookie(value: &str) -> (HeaderName, String) {
    // Lax: it comes along when the bank sends the customer back.
    (SET_COOKIE, format!("{COOKIE}={value}; Path=/; HttpOnly; SameSite=Lax"))
}

const COOKIE: &str = "visitor";
const TEXT_CHARS_MAX: usize = 100;
