//! Payments: made, changed, confirmed, captured, cancelled and shown under `/payments`.

use actix_web::web::{Data, Path, Query};
use actix_web::{HttpRequest, HttpResponse};
use serde::Deserialize;
use strongroom_wire::limits;

use super::answer::{Answer, Refusal};
use super::body::Bounded;
use super::once::{Subject, once};
use super::payment_body::PaymentBody;
use super::{Api, body, who};
use crate::account::is_page_of;
use crate::ids;
use crate::intent::{Asker, CapturePlan, Event, Fault, NewCapture, NewIncrement, State};
use crate::view;

/// `POST /payments`.
pub(crate) async fn create(
    api: Data<Api>,
    request: HttpRequest,
    Bounded(bytes): Bounded,
) -> Result<HttpResponse, Refusal> {
    let merchant = who::caller(&api, &request).await?.server()?;
    let mut asked: PaymentBody = body::read(&bytes)?;
    let confirm = asked.confirm.unwrap_or(false);
    let method = asked.take_method(api.engine.takes_cards())?;
    let mut new = asked.into_new()?;
    let payment_id = match new.payment_id.take() {
        Some(id) => id,
        None => ids::fresh("pay_", api.engine.now_ms()).map_err(Fault::from)?,
    };
    new.payment_id = Some(payment_id.clone());
    let engine = api.engine.clone();
    let tenant = merchant.clone();
    let work = async move { Ok(Answer::ok(&view::payment(&engine.create(&tenant, new, method, confirm).await?))) };
    Ok(once(&api, &request, &merchant, &bytes, Subject::Payment(payment_id), work).await?.into())
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RetrieveQuery {
    force_sync: bool,
    client_secret: Option<String>,
    expand_captures: bool,
    expand_attempts: bool,
    all_keys_required: bool,
}

/// `GET /payments/{id}`.
pub(crate) async fn retrieve(
    api: Data<Api>,
    request: HttpRequest,
    id: Path<String>,
    query: Query<RetrieveQuery>,
) -> Result<HttpResponse, Refusal> {
    let caller = who::caller(&api, &request).await?;
    let (mut payment, _) = api.engine.payment(&caller.merchant, &id).await?;
    caller.may_touch(&payment, query.client_secret.as_deref(), api.engine.now_ms())?;
    let _everything_is_expanded_always = (query.expand_captures, query.expand_attempts, query.all_keys_required);
    if query.force_sync && payment.may_have_changed() {
        // A browser may not have the provider asked as often as it likes.
        payment = match caller.asker {
            Asker::Browser => api.engine.come_back(&caller.merchant, &id).await?,
            Asker::Merchant => api.engine.resolve(&caller.merchant, &id, true).await?,
        };
    }
    Ok(Answer::ok(&view::payment(&payment)).into())
}

/// `POST /payments/{id}`.
pub(crate) async fn update(
    api: Data<Api>,
    request: HttpRequest,
    id: Path<String>,
    Bounded(bytes): Bounded,
) -> Result<HttpResponse, Refusal> {
    change(&api, &request, &id, &bytes, false).await
}

/// `POST /payments/{id}/confirm`.
pub(crate) async fn confirm(
    api: Data<Api>,
    request: HttpRequest,
    id: Path<String>,
    Bounded(bytes): Bounded,
) -> Result<HttpResponse, Refusal> {
    change(&api, &request, &id, &bytes, true).await
}

async fn change(
    api: &Api,
    request: &HttpRequest,
    id: &str,
    bytes: &[u8],
    confirm: bool,
) -> Result<HttpResponse, Refusal> {
    let caller = who::caller(api, request).await?;
    let mut asked: PaymentBody = body::read(bytes)?;
    let (payment, _) = api.engine.payment(&caller.merchant, id).await?;
    let secret = asked.client_secret.take();
    caller.may_touch(&payment, secret.as_ref().map(|s| s.expose()), api.engine.now_ms())?;
    if asked.payment_id.as_deref().is_some_and(|other| other != id) {
        return Err(Fault::Invalid { field: "payment_id", reason: "it must be the one in the path" }.into());
    }
    if caller.asker == Asker::Browser
        && asked.return_url.as_deref().is_some_and(|url| !is_page_of(&caller.origins, url))
    {
        let reason = "an address of a page whose origin is among allowed_origins of the account";
        return Err(Fault::Invalid { field: "return_url", reason }.into());
    }
    let confirm = confirm || asked.confirm.unwrap_or(false);
    let method = asked.take_method(api.engine.takes_cards())?;
    let (engine, merchant, asker, name) = (api.engine.clone(), caller.merchant.clone(), caller.asker, id.to_owned());
    let work = async move {
        let changed =
            engine.update(&merchant, &name, asker, move |terms| asked.apply(terms, asker), method, confirm).await;
        match changed {
            Ok(payment) => Ok(Answer::ok(&view::payment(&payment))),
            // Somebody else confirmed first: the state says so better than "busy". If it still allows the confirmation,
            // something else changed, and the caller may try again.
            Err(Fault::Busy) if confirm => {
                let (payment, _) = engine.payment(&merchant, &name).await?;
                if payment.state.after(Event::Confirm).is_some() {
                    return Err(Fault::Busy.into());
                }
                let expected = State::that_allow(Event::Confirm);
                Err(Fault::BadState { flow: "confirmed", state: payment.state, expected }.into())
            }
            Err(fault) => Err(fault.into()),
        }
    };
    let what = if confirm { "confirm" } else { "update" };
    Ok(once(api, request, &caller.merchant, bytes, Subject::Change(what, id.to_owned()), work).await?.into())
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct CaptureBody {
    amount_to_capture: Option<u64>,
    refund_uncaptured_amount: Option<bool>,
    statement_descriptor_prefix: Option<String>,
    statement_descriptor_suffix: Option<String>,
}

/// `POST /payments/{id}/capture`.
pub(crate) async fn capture(
    api: Data<Api>,
    request: HttpRequest,
    id: Path<String>,
    Bounded(bytes): Bounded,
) -> Result<HttpResponse, Refusal> {
    let merchant = who::caller(&api, &request).await?.server()?;
    let asked: CaptureBody = body::read(&bytes)?;
    if asked.statement_descriptor_prefix.is_some() || asked.statement_descriptor_suffix.is_some() {
        return Err(Fault::NotSupported("statement descriptors are set when the payment is made").into());
    }
    let (payment, _) = api.engine.payment(&merchant, &id).await?;
    let several = payment.terms.capture == CapturePlan::ManualMultiple;
    if asked.refund_uncaptured_amount == Some(false) && !several {
        return Err(Fault::NotSupported("refund_uncaptured_amount: the rest is released with the only capture").into());
    }
    // Chosen here and stored beside the idempotency key: a payment may have several captures, and a repetition must know
    // its own from the others.
    let capture_id = ids::fresh("cap_", api.engine.now_ms()).map_err(Fault::from)?;
    let new = NewCapture {
        capture_id: Some(capture_id.clone()),
        amount_minor: asked.amount_to_capture,
        release_rest: asked.refund_uncaptured_amount.unwrap_or(false),
    };
    let (engine, tenant, name) = (api.engine.clone(), merchant.clone(), id.to_string());
    let work = async move { Ok(Answer::ok(&view::payment(&engine.capture(&tenant, &name, new).await?))) };
    Ok(once(&api, &request, &merchant, &bytes, Subject::Capture(id.to_string(), capture_id), work).await?.into())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct IncrementBody {
    amount: u64,
    reason: Option<String>,
}

/// `POST /payments/{id}/incremental_authorization`: `amount` is the new total.
pub(crate) async fn increment(
    api: Data<Api>,
    request: HttpRequest,
    id: Path<String>,
    Bounded(bytes): Bounded,
) -> Result<HttpResponse, Refusal> {
    let merchant = who::caller(&api, &request).await?.server()?;
    let asked: IncrementBody = body::read(&bytes)?;
    let increment_id = ids::fresh("inc_", api.engine.now_ms()).map_err(Fault::from)?;
    let new = NewIncrement {
        increment_id: Some(increment_id.clone()),
        total_minor: asked.amount,
        from_minor: None,
        reason: body::text("reason", asked.reason, limits::PAYMENT_TEXT_BYTES_MAX)?,
    };
    let (engine, tenant, name) = (api.engine.clone(), merchant.clone(), id.to_string());
    let work = async move { Ok(Answer::ok(&view::payment(&engine.increment(&tenant, &name, new).await?))) };
    Ok(once(&api, &request, &merchant, &bytes, Subject::Increment(id.to_string(), increment_id), work).await?.into())
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct CancelBody {
    cancellation_reason: Option<String>,
}

/// `POST /payments/{id}/cancel`.
pub(crate) async fn cancel(
    api: Data<Api>,
    request: HttpRequest,
    id: Path<String>,
    Bounded(bytes): Bounded,
) -> Result<HttpResponse, Refusal> {
    let merchant = who::caller(&api, &request).await?.server()?;
    let asked: CancelBody = body::read(&bytes)?;
    let reason = body::text("cancellation_reason", asked.cancellation_reason, limits::PAYMENT_TEXT_BYTES_MAX)?;
    let (engine, tenant, name) = (api.engine.clone(), merchant.clone(), id.to_string());
    let work = async move { Ok(Answer::ok(&view::payment(&engine.cancel(&tenant, &name, reason).await?))) };
    Ok(once(&api, &request, &merchant, &bytes, Subject::Change("cancel", id.to_string()), work).await?.into())
}
