//! `/PaymentGateway`: charge, authorize, capture, void, refund, and how a transaction stands.

use actix_web::HttpRequest;
use actix_web::HttpResponse;
use actix_web::web::{Data, Path, Query};
use serde::Deserialize;
use serde_json::{Value, json};
use strongroom_wire::{TenantId, header, limits};

use super::fail::{Fail, good};
use super::front::{Body, Caller};
use super::pay_body::{CaptureBody, PayBody, RefundBody, VoidBody};
use super::words::{self, payment_id_of};
use crate::api::answer::{Answer, Refusal};
use crate::api::once::{Named, Subject, digest, once_named};
use crate::api::payment_body::CaptureWord;
use crate::api::{Api, body, refunds};
use crate::ids;
use crate::intent::{CvcInput, DialectName, Fault, MethodInput, NewCapture, NewRefund, Payment};
use crate::view;

/// `POST /PaymentGateway/charge`.
pub(super) async fn charge(
    api: Data<Api>,
    request: HttpRequest,
    caller: Caller,
    Body(bytes): Body,
) -> Result<HttpResponse, Fail> {
    pay(&api, &request, caller.0, &bytes, CaptureWord::Automatic).await
}

/// `POST /PaymentGateway/authorize`.
pub(super) async fn authorize(
    api: Data<Api>,
    request: HttpRequest,
    caller: Caller,
    Body(bytes): Body,
) -> Result<HttpResponse, Fail> {
    pay(&api, &request, caller.0, &bytes, CaptureWord::Manual).await
}

async fn pay(
    api: &Api,
    request: &HttpRequest,
    merchant: TenantId,
    bytes: &[u8],
    capture: CaptureWord,
) -> Result<HttpResponse, Fail> {
    let mut asked: PayBody = body::read(bytes)?;
    let digest = asked.digest(request.path());
    let names = asked.names()?;
    let method = asked.take_method(api.engine.takes_cards())?;
    let asks_no_cvc = matches!(method, MethodInput::Stored(_, CvcInput::None));
    let payment_id = ids::fresh("pay_", api.engine.now_ms()).map_err(Fault::from)?;
    let mut new = asked.native(payment_id.clone(), capture, asks_no_cvc).into_new()?;
    let (engine, tenant) = (api.engine.clone(), merchant.clone());
    let work = async move {
        let (accounts, note) = names.find(&engine, &tenant).await?;
        new.terms.accounts = accounts;
        new.terms.door = Some(note);
        Ok(Answer::ok(&view::payment(&engine.create(&tenant, new, Some(method), true).await?)))
    };
    let named = named(request, digest);
    show(api, &merchant, once_named(api, named, &merchant, Subject::Payment(payment_id), work).await).await
}

/// `POST /PaymentGateway/capture`.
pub(super) async fn capture(
    api: Data<Api>,
    request: HttpRequest,
    caller: Caller,
    Body(bytes): Body,
) -> Result<HttpResponse, Fail> {
    let merchant = caller.0;
    let asked: CaptureBody = body::read(&bytes)?;
    let id = ours(&api, &merchant, &asked.transaction_id).await?.payment_id;
    let capture_id = ids::fresh("cap_", api.engine.now_ms()).map_err(Fault::from)?;
    let new = NewCapture { capture_id: Some(capture_id.clone()), amount_minor: asked.amount, release_rest: false };
    let (engine, tenant, name) = (api.engine.clone(), merchant.clone(), id.clone());
    let work = async move { Ok(Answer::ok(&view::payment(&engine.capture(&tenant, &name, new).await?))) };
    let named = named(&request, digest(&bytes));
    show(&api, &merchant, once_named(&api, named, &merchant, Subject::Capture(id, capture_id), work).await).await
}

/// `POST /PaymentGateway/void`.
pub(super) async fn void(
    api: Data<Api>,
    request: HttpRequest,
    caller: Caller,
    Body(bytes): Body,
) -> Result<HttpResponse, Fail> {
    let merchant = caller.0;
    let asked: VoidBody = body::read(&bytes)?;
    let reason = body::text("reason", asked.reason, limits::PAYMENT_TEXT_BYTES_MAX)?;
    let id = ours(&api, &merchant, &asked.transaction_id).await?.payment_id;
    let (engine, tenant, name) = (api.engine.clone(), merchant.clone(), id.clone());
    let work = async move { Ok(Answer::ok(&view::payment(&engine.cancel(&tenant, &name, reason).await?))) };
    let named = named(&request, digest(&bytes));
    show(&api, &merchant, once_named(&api, named, &merchant, Subject::Change("cancel", id), work).await).await
}

/// `POST /PaymentGateway/refund`.
pub(super) async fn refund(
    api: Data<Api>,
    request: HttpRequest,
    caller: Caller,
    Body(bytes): Body,
) -> Result<HttpResponse, Fail> {
    let merchant = caller.0;
    let asked: RefundBody = body::read(&bytes)?;
    let payment = ours(&api, &merchant, &asked.transaction_id).await?;
    let refund_id = ids::fresh("ref_", api.engine.now_ms()).map_err(Fault::from)?;
    let new = NewRefund {
        payment_id: payment.payment_id.clone(),
        refund_id: Some(refund_id.clone()),
        amount_minor: asked.amount,
        reason: body::text("reason", asked.reason, limits::PAYMENT_TEXT_BYTES_MAX)?,
        metadata: body::metadata(asked.metadata)?,
    };
    let (engine, tenant) = (api.engine.clone(), merchant.clone());
    let work = async move {
        let (payment, id) = engine.refund(&tenant, new).await?;
        refunds::show(&payment, &id)
    };
    let named = named(&request, digest(&bytes));
    let refund = good(once_named(&api, named, &merchant, Subject::Refund(refund_id), work).await)?;
    Ok(Answer::ok(&words::refund(&refund, &payment)).into())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RetrieveQuery {
    #[serde(default)]
    refresh: bool,
}

/// `GET /PaymentGateway/transactions/{transactionId}`; `?refresh=true` asks the provider about one that is not at its end.
pub(super) async fn retrieve(
    api: Data<Api>,
    caller: Caller,
    id: Path<String>,
    query: Query<RetrieveQuery>,
) -> Result<HttpResponse, Fail> {
    let mut payment = ours(&api, &caller.0, &id).await?;
    if query.refresh && payment.may_have_changed() {
        payment = api.engine.resolve(&caller.0, &payment.payment_id, true).await?;
    }
    let mut shown = words::transaction(&view::payment(&payment), &payment);
    let refunds = payment.refunds.iter().map(|refund| words::refund(&view::refund(&payment, refund), &payment));
    shown["refunds"] = refunds.map(short).collect();
    Ok(Answer::ok(&shown).into())
}

/// A refund beside the transaction that says the rest.
fn short(refund: Value) -> Value {
    json!({"refundId": refund["refundId"], "status": refund["status"], "amount": refund["amount"],
           "createdAt": refund["createdAt"]})
}

fn named(request: &HttpRequest, digest: String) -> Named<'_> {
    Named { header: header::IDEMPOTENCY_KEY, request, digest }
}

/// The kept native answer in the words of this door: what changes comes from it, so that a repetition is told the same.
async fn show(api: &Api, merchant: &TenantId, answered: Result<Answer, Refusal>) -> Result<HttpResponse, Fail> {
    let native = good(answered)?;
    let id = native["payment_id"].as_str().unwrap_or_default();
    let (payment, _) = api.engine.payment(merchant, id).await?;
    Ok(Answer::ok(&words::transaction(&native, &payment)).into())
}

/// A transaction that came through this door. To it there are no others.
async fn ours(api: &Api, merchant: &TenantId, transaction_id: &str) -> Result<Payment, Fail> {
    let id = payment_id_of(transaction_id).ok_or_else(Fail::no_transaction)?;
    let (payment, _) = api.engine.payment(merchant, &id).await?;
    let is_ours = payment.terms.door.as_ref().is_some_and(|door| door.dialect == DialectName::GatewayAccounts);
    if is_ours { Ok(payment) } else { Err(Fail::no_transaction()) }
}
