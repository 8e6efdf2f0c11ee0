//! Housekeeping of a customer's saved cards by the merchant's server: shown, made the default, deleted.

use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use serde_json::json;
use strongroom_wire::{CustomerId, TenantId, Token};

use super::answer::{Answer, Refusal};
use super::once::{Subject, once};
use super::{Api, who};
use crate::intent::{Engine, Fault};
use crate::view;

/// `GET /payment_methods/{payment_method_id}`.
pub(crate) async fn retrieve(api: Data<Api>, request: HttpRequest, id: Path<String>) -> Result<HttpResponse, Refusal> {
    let merchant = who::caller(&api, &request).await?.server()?;
    let card = api.engine.kept_card(&merchant, token(&id)?).await?;
    Ok(Answer::ok(&view::kept_card(&merchant, &card)).into())
}

/// `DELETE /payment_methods/{payment_method_id}`: shredded at the vault when this is answered.
pub(crate) async fn delete(api: Data<Api>, request: HttpRequest, id: Path<String>) -> Result<HttpResponse, Refusal> {
    let merchant = who::caller(&api, &request).await?.server()?;
    let token = token(&id)?;
    api.engine.delete_card(&merchant, None, token).await?;
    Ok(Answer::ok(&json!({"payment_method_id": token, "deleted": true})).into())
}

/// `DELETE /customers/{customer_id}/payment_methods/{payment_method_id}`.
pub(crate) async fn delete_of_customer(
    api: Data<Api>,
    request: HttpRequest,
    path: Path<(String, String)>,
) -> Result<HttpResponse, Refusal> {
    let merchant = who::caller(&api, &request).await?.server()?;
    let (customer, token) = (customer(&path.0)?, token(&path.1)?);
    api.engine.delete_card(&merchant, Some(&customer), token).await?;
    Ok(Answer::ok(&json!({"payment_method_id": token, "deleted": true})).into())
}

/// `POST /customers/{customer_id}/payment_methods/{payment_method_id}/default`.
pub(crate) async fn set_default(
    api: Data<Api>,
    request: HttpRequest,
    path: Path<(String, String)>,
) -> Result<HttpResponse, Refusal> {
    let merchant = who::caller(&api, &request).await?.server()?;
    let (customer, token) = (customer(&path.0)?, token(&path.1)?);
    let (engine, tenant) = (api.engine.clone(), merchant.clone());
    let work = async move { make_default(&engine, &tenant, customer, token).await };
    Ok(once(&api, &request, &merchant, b"", Subject::Setting, work).await?.into())
}

/// Makes a card its customer's default, and says so.
pub(super) async fn make_default(
    engine: &Engine,
    merchant: &TenantId,
    customer: CustomerId,
    token: Token,
) -> Result<Answer, Refusal> {
    engine.set_default_card(merchant, &customer, token).await?;
    Ok(Answer::ok(&json!({
        "default_payment_method_id": token,
        "customer_id": customer,
        "payment_method": "card",
        "payment_method_type": null,
    })))
}

/// Of a card that should exist: what can be no id is the id of none.
pub(super) fn token(text: &str) -> Result<Token, Fault> {
    text.parse().map_err(|_| Fault::NotFound("Payment method"))
}

fn customer(text: &str) -> Result<CustomerId, Fault> {
    text.parse().map_err(|_| Fault::NotFound("Customer"))
}
