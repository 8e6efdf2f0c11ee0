//! Where the payer's browser comes back to after authentication: `/redirect/{merchant_id}/{payment_id}/{ticket}`.
//!
//! What it brings is never logged, and of no account unless the provider needs it to go on.

use std::collections::BTreeMap;

use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use serde_json::json;
use strongroom_wire::limits;

use super::answer::{Answer, Refusal};
use super::body::Bounded;
use super::{Api, frame};
use crate::intent::{Fault, RETURNS_IN_FRAME};

type Place = Path<(String, String, String)>;

/// `GET`: what the browser brings stands in the query.
pub(crate) async fn come_back(api: Data<Api>, request: HttpRequest, place: Place) -> Result<HttpResponse, Refusal> {
    answer(&api, place, request.query_string().as_bytes()).await
}

/// `POST`: some providers send the browser back with a form.
pub(crate) async fn come_back_with_form(
    api: Data<Api>,
    place: Place,
    Bounded(bytes): Bounded,
) -> Result<HttpResponse, Refusal> {
    answer(&api, place, &bytes).await
}

async fn answer(api: &Api, place: Place, form: &[u8]) -> Result<HttpResponse, Refusal> {
    let (merchant, id, ticket) = place.into_inner();
    let merchant = merchant.parse().map_err(|_| Refusal::from(Fault::NotFound("Payment")))?;
    let returned = api.engine.come_back_with(&merchant, &id, &ticket, read(form)?).await?;
    if let Some(onward) = returned.onward {
        return Ok(to(&onward));
    }
    let payment = returned.payment;
    let home = payment.terms.return_url.as_deref().and_then(|url| reqwest::Url::parse(url).ok()).map(|mut url| {
        url.query_pairs_mut()
            .append_pair("payment_id", &payment.payment_id)
            .append_pair("status", payment.state.word());
        url.to_string()
    });
    if payment.terms.extra.get(RETURNS_IN_FRAME) == Some(&true.into()) {
        let account = api.engine.store().merchant(&merchant).await?;
        // Without pages there is nobody to tell.
        if let Some(account) = account.filter(|account| !account.allowed_origins.is_empty()) {
            return Ok(frame::done(&payment, &account.allowed_origins, home.as_deref().unwrap_or_default()));
        }
    }
    match home {
        Some(home) => Ok(to(&home)),
        None => Ok(Answer::ok(&json!({"payment_id": payment.payment_id, "status": payment.state.word()})).into()),
    }
}

fn to(url: &str) -> HttpResponse {
    HttpResponse::SeeOther().insert_header(("location", url)).insert_header(("referrer-policy", "no-referrer")).finish()
}

fn read(form: &[u8]) -> Result<BTreeMap<String, String>, Refusal> {
    let refused = || Refusal::new(400, "IR_06", "The return from authentication is no form, or larger than any is");
    if form.len() > limits::RETURN_BYTES_MAX {
        return Err(refused());
    }
    let pairs: Vec<(String, String)> = serde_urlencoded::from_bytes(form).map_err(|_| refused())?;
    if pairs.len() > limits::RETURN_FIELDS_MAX {
        return Err(refused());
    }
    Ok(pairs.into_iter().collect())
}
