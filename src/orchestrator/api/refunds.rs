//! Refunds: made and shown under `/refunds`.

use actix_web::web::{Data, Path, Query};
use actix_web::{HttpRequest, HttpResponse};
use serde::Deserialize;
use serde_json::{Map, Value};
use strongroom_wire::limits;

use super::answer::{Answer, Refusal};
use super::body::Bounded;
use super::once::{Subject, once};
use super::{Api, body, who};
use crate::ids;
use crate::intent::{Fault, NewRefund, Payment};
use crate::view;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RefundBody {
    payment_id: String,
    refund_id: Option<String>,
    amount: Option<u64>,
    reason: Option<String>,
    refund_type: Option<RefundTypeWord>,
    metadata: Option<Map<String, Value>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum RefundTypeWord {
    Instant,
    Scheduled,
}

/// `POST /refunds`.
pub(crate) async fn create(
    api: Data<Api>,
    request: HttpRequest,
    Bounded(bytes): Bounded,
) -> Result<HttpResponse, Refusal> {
    let merchant = who::caller(&api, &request).await?.server()?;
    let asked: RefundBody = body::read(&bytes)?;
    if matches!(asked.refund_type, Some(RefundTypeWord::Scheduled)) {
        return Err(Fault::NotSupported("refund_type: instant is offered").into());
    }
    let refund_id = match asked.refund_id {
        Some(id) if ids::is_allowed(&id) => id,
        Some(_) => return Err(Fault::Invalid { field: "refund_id", reason: "1 to 30 of A-Z a-z 0-9 _ -" }.into()),
        None => ids::fresh("ref_", api.engine.now_ms()).map_err(Fault::from)?,
    };
    let new = NewRefund {
        payment_id: asked.payment_id,
        refund_id: Some(refund_id.clone()),
        amount_minor: asked.amount,
        reason: body::text("reason", asked.reason, limits::PAYMENT_TEXT_BYTES_MAX)?,
        metadata: body::metadata(asked.metadata)?,
    };
    let (engine, tenant) = (api.engine.clone(), merchant.clone());
    let work = async move {
        let (payment, id) = engine.refund(&tenant, new).await?;
        show(&payment, &id)
    };
    Ok(once(&api, &request, &merchant, &bytes, Subject::Refund(refund_id), work).await?.into())
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RetrieveQuery {
    force_sync: bool,
}

/// `GET /refunds/{id}`.
pub(crate) async fn retrieve(
    api: Data<Api>,
    request: HttpRequest,
    id: Path<String>,
    query: Query<RetrieveQuery>,
) -> Result<HttpResponse, Refusal> {
    let merchant = who::caller(&api, &request).await?.server()?;
    let (mut payment, _) = api.engine.payment_of_refund(&merchant, &id).await?;
    if query.force_sync {
        payment = api.engine.resolve(&merchant, &payment.payment_id, true).await?;
    }
    Ok(show(&payment, &id)?.into())
}

/// The refund of a payment as an answer.
pub(crate) fn show(payment: &Payment, id: &str) -> Result<Answer, Refusal> {
    let refund = payment.refunds.iter().find(|r| r.refund_id == id).ok_or(Fault::NotFound("Refund"))?;
    Ok(Answer::ok(&view::refund(payment, refund)))
}
