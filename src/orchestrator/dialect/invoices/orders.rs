//! Invoices and their transactions: made, shown, raised, released and paid back. A payment that came through another door is
//! not found here.

use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};
use strongroom_wire::{TenantId, header};

use super::order::{INVOICE, Metadata, OrderBody};
use super::wrong::{Body, Wrong, good, opened, read, ready};
use super::{amount, auth, names, words};
use crate::api::answer::{Answer, Refusal};
use crate::api::once::{Named, Subject, once_named};
use crate::api::who::to_hex;
use crate::api::{Api, body, holds_card_number, refunds};
use crate::ids;
use crate::intent::{DialectName, Fault, NewIncrement, NewRefund, Payment};
use crate::view;

/// `POST /invoices`.
pub(super) async fn create(api: Data<Api>, request: HttpRequest, Body(bytes): Body) -> Result<HttpResponse, Wrong> {
    let merchant = auth::server(&api, &request).await?;
    let asked: OrderBody = read(&bytes)?;
    if let Some(customer) = &asked.customer_id {
        super::customers::known(&api, &merchant, customer).await?;
    }
    let payment_id = ids::fresh("pay_", api.engine.now_ms()).map_err(Fault::from)?;
    let new = asked.into_new(payment_id.clone(), api.webhook_reach, api.engine.now_ms())?;
    let (engine, tenant) = (api.engine.clone(), merchant.clone());
    let work = async move { Ok(Answer::ok(&words::native(&engine.create(&tenant, new, None, false).await?))) };
    let subject = Subject::Payment(payment_id);
    let native = once(&api, &request, &merchant, digest(&bytes), subject, work).await?;
    let made = find(&api, &merchant, words::text(&native, "payment_id"), "invoice").await?;
    Ok(good("invoice", words::invoice(&native, &note(&made))))
}

/// `GET /invoices/{id}`.
pub(super) async fn retrieve(api: Data<Api>, request: HttpRequest, id: Path<String>) -> Result<HttpResponse, Wrong> {
    let merchant = auth::server(&api, &request).await?;
    let payment = find(&api, &merchant, &names::payment_of(&id, "iv_", "invoice")?, "invoice").await?;
    Ok(good("invoice", words::invoice(&words::native(&payment), &note(&payment))))
}

/// `GET /transactions/{id}`.
pub(super) async fn transaction(api: Data<Api>, request: HttpRequest, id: Path<String>) -> Result<HttpResponse, Wrong> {
    let merchant = auth::server(&api, &request).await?;
    let payment = find(&api, &merchant, &names::payment_of(&id, "tr_", "transaction")?, "transaction").await?;
    Ok(good("transaction", words::transaction(&words::native(&payment))))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RaiseBody {
    amount: String,
}

/// `POST /invoices/{id}/increment_authorization`: reserves so much more.
pub(super) async fn increment(
    api: Data<Api>,
    request: HttpRequest,
    id: Path<String>,
    Body(bytes): Body,
) -> Result<HttpResponse, Wrong> {
    let merchant = auth::server(&api, &request).await?;
    let asked: RaiseBody = read(&bytes)?;
    let payment = find(&api, &merchant, &names::payment_of(&id, "iv_", "invoice")?, "invoice").await?;
    let more = amount::minor("amount", &asked.amount, payment.terms.currency)?;
    let increment_id = ids::fresh("inc_", api.engine.now_ms()).map_err(Fault::from)?;
    let subject = Subject::Increment(payment.payment_id.clone(), increment_id.clone());
    let (engine, tenant) = (api.engine.clone(), merchant.clone());
    let work = async move {
        let (now, _) = engine.payment(&tenant, &payment.payment_id).await?;
        let from_minor = now.terms.amount_minor;
        let total_minor = from_minor.saturating_add(more);
        // Another raise may come between: then this one would be smaller than what was asked for.
        let new =
            NewIncrement { increment_id: Some(increment_id), total_minor, reason: None, from_minor: Some(from_minor) };
        Ok(Answer::ok(&words::native(&engine.increment(&tenant, &payment.payment_id, new).await?)))
    };
    let native = once(&api, &request, &merchant, digest(&bytes), subject, work).await?;
    Ok(good("transaction", words::transaction(&native)))
}

/// `POST /invoices/{id}/void`: releases what is reserved.
pub(super) async fn void(api: Data<Api>, request: HttpRequest, id: Path<String>) -> Result<HttpResponse, Wrong> {
    let native = released(&api, &request, &id).await?;
    Ok(good("transaction", words::transaction(&native)))
}

/// `DELETE /invoices/{id}`: nobody can pay it any more.
pub(super) async fn delete(api: Data<Api>, request: HttpRequest, id: Path<String>) -> Result<HttpResponse, Wrong> {
    released(&api, &request, &id).await?;
    Ok(ready(HttpResponse::Ok(), &json!({"success": true})))
}

async fn released(api: &Api, request: &HttpRequest, id: &str) -> Result<Value, Wrong> {
    let merchant = auth::server(api, request).await?;
    let payment = find(api, &merchant, &names::payment_of(id, "iv_", "invoice")?, "invoice").await?;
    let (engine, tenant, name) = (api.engine.clone(), merchant.clone(), payment.payment_id.clone());
    let work = async move { Ok(Answer::ok(&words::native(&engine.cancel(&tenant, &name, None).await?))) };
    once(api, request, &merchant, digest(b""), Subject::Change("cancel", payment.payment_id), work).await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RefundBody {
    amount: String,
    reason: Option<Reason>,
    metadata: Option<Metadata>,
}

#[derive(Clone, Copy, Deserialize, serde::Serialize)]
#[serde(rename_all = "snake_case")]
enum Reason {
    CustomerRequest,
    Duplicate,
    Fraud,
    Other,
}

/// `POST /invoices/{id}/refunds`.
pub(super) async fn refund_invoice(
    api: Data<Api>,
    request: HttpRequest,
    id: Path<String>,
    Body(bytes): Body,
) -> Result<HttpResponse, Wrong> {
    refund(&api, &request, names::payment_of(&id, "iv_", "invoice"), "invoice", &bytes).await
}

/// `POST /transactions/{id}/refunds`.
pub(super) async fn refund_transaction(
    api: Data<Api>,
    request: HttpRequest,
    id: Path<String>,
    Body(bytes): Body,
) -> Result<HttpResponse, Wrong> {
    refund(&api, &request, names::payment_of(&id, "tr_", "transaction"), "transaction", &bytes).await
}

async fn refund(
    api: &Api,
    request: &HttpRequest,
    id: Result<String, Wrong>,
    what: &'static str,
    bytes: &[u8],
) -> Result<HttpResponse, Wrong> {
    let merchant = auth::server(api, request).await?;
    let asked: RefundBody = read(bytes)?;
    let payment = find(api, &merchant, &id?, what).await?;
    let amount_minor = amount::minor("amount", &asked.amount, payment.terms.currency)?;
    if amount_minor == 0 {
        return Err(Wrong::invalid("amount", "more than zero"));
    }
    let refund_id = ids::fresh("ref_", api.engine.now_ms()).map_err(Fault::from)?;
    let new = NewRefund {
        payment_id: payment.payment_id,
        refund_id: Some(refund_id.clone()),
        amount_minor: Some(amount_minor),
        reason: asked.reason.and_then(|reason| json!(reason).as_str().map(str::to_owned)),
        metadata: body::metadata(asked.metadata.map(Metadata::read).transpose()?)?,
    };
    let (engine, tenant) = (api.engine.clone(), merchant.clone());
    let work = async move {
        let (payment, id) = engine.refund(&tenant, new).await?;
        refunds::show(&payment, &id)
    };
    let native = once(api, request, &merchant, digest(bytes), Subject::Refund(refund_id), work).await?;
    Ok(good("refund", words::refund(&native)))
}

/// `GET /transactions/{id}/refunds`.
pub(super) async fn list_refunds(
    api: Data<Api>,
    request: HttpRequest,
    id: Path<String>,
) -> Result<HttpResponse, Wrong> {
    let merchant = auth::server(&api, &request).await?;
    let payment = find(&api, &merchant, &names::payment_of(&id, "tr_", "transaction")?, "transaction").await?;
    let refunds = payment.refunds.iter().map(|one| words::refund(&view::refund(&payment, one))).collect();
    Ok(good("refunds", refunds))
}

/// An invoice's payment, if it came through this door.
pub(super) async fn find(api: &Api, merchant: &TenantId, payment_id: &str, what: &str) -> Result<Payment, Wrong> {
    let found = api.engine.payment(merchant, payment_id).await;
    match found {
        Ok((payment, _)) if is_invoice(&payment) => Ok(payment),
        Ok(_) | Err(Fault::NotFound(_)) => Err(Wrong::not_found(what)),
        Err(other) => Err(other.into()),
    }
}

/// Whether a payment is an invoice of this dialect.
pub(super) fn is_invoice(payment: &Payment) -> bool {
    let door = payment.terms.door.as_ref().filter(|door| door.dialect == DialectName::Invoices);
    door.is_some_and(|door| door.note.get("kind").is_some_and(|kind| kind == INVOICE))
}

/// What this dialect noted in the payment of an invoice.
pub(super) fn note(payment: &Payment) -> Map<String, Value> {
    payment.terms.door.as_ref().map(|door| door.note.clone()).unwrap_or_default()
}

/// The native answer of `work`, done once under an idempotency key.
pub(super) async fn once<F>(
    api: &Api,
    request: &HttpRequest,
    merchant: &TenantId,
    digest: String,
    subject: Subject,
    work: F,
) -> Result<Value, Wrong>
where
    F: Future<Output = Result<Answer, Refusal>> + Send + 'static,
{
    let named = Named { header: header::IDEMPOTENCY_KEY, request, digest };
    opened(&once_named(api, named, merchant, subject, work).await?)
}

/// SHA-256 of a body that holds no card; of one that does, where a text with a card number is about to be refused, of nothing.
pub(super) fn digest(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let asked: &[u8] = if holds_card_number(&text) { b"" } else { bytes };
    to_hex(&Sha256::digest(asked))
}
