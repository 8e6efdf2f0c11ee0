//! `/customers`, their saved cards, and what a payer may pay with.

use actix_web::web::{Data, Path, Query};
use actix_web::{HttpRequest, HttpResponse};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use strongroom_wire::{CustomerId, limits};

use super::answer::{Answer, Refusal};
use super::body::Bounded;
use super::{Api, body, who};
use crate::account::Customer;
use crate::ids;
use crate::intent::{Asker, Fault};
use crate::store::StoreError;
use crate::view;

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct CustomerBody {
    customer_id: Option<String>,
    name: Option<String>,
    email: Option<String>,
    phone: Option<String>,
    phone_country_code: Option<String>,
    description: Option<String>,
    metadata: Option<Map<String, Value>>,
}

/// `POST /customers`.
pub(crate) async fn create(
    api: Data<Api>,
    request: HttpRequest,
    Bounded(bytes): Bounded,
) -> Result<HttpResponse, Refusal> {
    let merchant_id = who::caller(&api, &request).await?.server()?;
    let asked: CustomerBody = body::read(&bytes)?;
    let now = api.engine.now_ms();
    let id = match asked.customer_id {
        Some(id) => id,
        None => ids::fresh("cus_", now).map_err(Fault::from)?,
    };
    let text_max = limits::PAYMENT_TEXT_BYTES_MAX;
    let customer = Customer {
        customer_id: customer_id(&id)?,
        merchant_id,
        name: body::text("name", asked.name, text_max)?,
        email: body::text("email", asked.email, text_max)?,
        phone: body::text("phone", asked.phone, text_max)?,
        phone_country_code: body::text("phone_country_code", asked.phone_country_code, text_max)?,
        description: body::text("description", asked.description, text_max)?,
        metadata: body::metadata(asked.metadata)?,
        default_method: None,
        created_ms: now,
    };
    match api.engine.store().add_customer(&customer).await {
        Ok(()) => Ok(Answer::ok(&view::customer(&customer)).into()),
        Err(StoreError::Duplicate) => Err(Fault::Duplicate("customer").into()),
        Err(other) => Err(other.into()),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListQuery {
    #[serde(default = "default_limit")]
    limit: u32,
    #[serde(default)]
    offset: u32,
}

fn default_limit() -> u32 {
    limits::PAGE_ITEMS_DEFAULT
}

/// `GET /customers`.
pub(crate) async fn list(
    api: Data<Api>,
    request: HttpRequest,
    query: Query<ListQuery>,
) -> Result<HttpResponse, Refusal> {
    let merchant = who::caller(&api, &request).await?.server()?;
    if !(1..=limits::PAGE_ITEMS_MAX).contains(&query.limit) {
        return Err(Fault::Invalid { field: "limit", reason: "1 to 100" }.into());
    }
    let customers = api.engine.store().customers(&merchant, query.limit, query.offset).await?;
    Ok(Answer::ok(&customers.iter().map(view::customer).collect()).into())
}

/// `GET /customers/{id}`.
pub(crate) async fn retrieve(api: Data<Api>, request: HttpRequest, id: Path<String>) -> Result<HttpResponse, Refusal> {
    let merchant = who::caller(&api, &request).await?.server()?;
    let found = api.engine.store().customer(&merchant, &known_id(&id)?).await?;
    Ok(Answer::ok(&view::customer(&found.ok_or(Fault::NotFound("Customer"))?)).into())
}

/// `GET /customers/{id}/payment_methods`: for the merchant's server.
pub(crate) async fn saved(api: Data<Api>, request: HttpRequest, id: Path<String>) -> Result<HttpResponse, Refusal> {
    let merchant = who::caller(&api, &request).await?.server()?;
    let cards = api.engine.saved_cards(&merchant, &known_id(&id)?).await?;
    let cards: Vec<_> = cards.iter().map(|card| view::saved_card(card, true)).collect();
    Ok(Answer::ok(&json!({"customer_payment_methods": cards, "is_guest_customer": false})).into())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SecretQuery {
    client_secret: Option<String>,
}

/// `GET /customers/payment_methods?client_secret=`: for the payer's browser.
pub(crate) async fn saved_for_payment(
    api: Data<Api>,
    request: HttpRequest,
    query: Query<SecretQuery>,
) -> Result<HttpResponse, Refusal> {
    let payment = payment_of_secret(&api, &request, query.client_secret.as_deref()).await?;
    let Some(customer) = &payment.terms.customer_id else {
        return Ok(Answer::ok(&json!({"customer_payment_methods": [], "is_guest_customer": true})).into());
    };
    let cards = api.engine.saved_cards(&payment.merchant_id, customer).await?;
    let cards: Vec<_> = cards.iter().map(|card| view::saved_card(card, view::asks_cvc(&payment))).collect();
    Ok(Answer::ok(&json!({"customer_payment_methods": cards, "is_guest_customer": false})).into())
}

/// `GET /account/payment_methods?client_secret=`: what the payment can be paid with.
pub(crate) async fn eligible(
    api: Data<Api>,
    request: HttpRequest,
    query: Query<SecretQuery>,
) -> Result<HttpResponse, Refusal> {
    let payment = payment_of_secret(&api, &request, query.client_secret.as_deref()).await?;
    let accounts = api.engine.store().connector_accounts(&payment.merchant_id).await?;
    let connectors: Vec<_> = accounts.iter().filter(|a| !a.disabled).map(|a| a.connector.as_str()).collect();
    let fields: Map<String, Value> = ["card_number", "card_exp_month", "card_exp_year", "card_cvc"]
        .iter()
        .map(|name| {
            let path = format!("payment_method_data.card.{name}");
            let field = json!({"required_field": path, "display_name": name, "field_type": format!("user_{name}")});
            (path, field)
        })
        .collect();
    let types: Vec<_> = ["credit", "debit"]
        .iter()
        .map(|kind| json!({"payment_method_type": kind, "eligible_connectors": connectors, "required_fields": fields}))
        .collect();
    let methods = if connectors.is_empty() {
        json!([])
    } else {
        json!([{"payment_method": "card", "payment_method_types": types}])
    };
    Ok(Answer::ok(&json!({
        "redirect_url": payment.terms.return_url,
        "currency": payment.terms.currency,
        "payment_methods": methods,
        "payment_type": "normal",
    }))
    .into())
}

async fn payment_of_secret(
    api: &Api,
    request: &HttpRequest,
    secret: Option<&str>,
) -> Result<crate::intent::Payment, Refusal> {
    let caller = who::caller(api, request).await?;
    let missing = || Refusal::new(400, "IR_08", "client_secret was not provided");
    let secret = secret.ok_or_else(missing)?;
    let wrong = || Refusal::new(400, "IR_09", "The client_secret provided belongs to no payment");
    let (payment_id, _) = secret.split_once("_secret_").ok_or_else(wrong)?;
    let (payment, _) = api.engine.payment(&caller.merchant, payment_id).await.map_err(|fault| match fault {
        Fault::NotFound(_) => wrong(),
        other => other.into(),
    })?;
    // A secret is what counts here, so a server is held to its lifetime too.
    let held = who::Caller { asker: Asker::Browser, ..caller };
    held.may_touch(&payment, Some(secret), api.engine.now_ms())?;
    Ok(payment)
}

/// Of a customer that should exist: what can be no id is the id of nobody.
fn known_id(text: &str) -> Result<CustomerId, Fault> {
    text.parse().map_err(|_| Fault::NotFound("Customer"))
}

fn customer_id(text: &str) -> Result<CustomerId, Fault> {
    text.parse().map_err(|_| Fault::Invalid {
        field: "customer_id",
        reason: "1 to 64 of A-Z a-z 0-9 _ - . : @ that do not look like a card number",
    })
}
