//! `/customers` and the lists of their saved cards.

use actix_web::web::{Data, Path, Query};
use actix_web::{HttpRequest, HttpResponse};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use strongroom_wire::{CustomerId, limits};

use super::answer::{Answer, Refusal};
use super::body::Bounded;
use super::methods::payment_of_secret;
use super::once::{Subject, once};
use super::payer_cards::opens_wallet;
use super::{Api, body, who};
use crate::account::Customer;
use crate::ids;
use crate::intent::Fault;
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
    let (engine, tenant) = (api.engine.clone(), customer.merchant_id.clone());
    let work = async move {
        match engine.store().add_customer(&customer).await {
            Ok(()) => Ok(Answer::ok(&view::customer(&customer))),
            Err(StoreError::Duplicate) => Err(Fault::Duplicate("customer").into()),
            Err(other) => Err(other.into()),
        }
    };
    Ok(once(&api, &request, &tenant, &bytes, Subject::Customer(id), work).await?.into())
}

/// What is absent stays; `null` removes.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct ChangeBody {
    #[serde(deserialize_with = "body::given")]
    name: Option<Option<String>>,
    #[serde(deserialize_with = "body::given")]
    email: Option<Option<String>>,
    #[serde(deserialize_with = "body::given")]
    phone: Option<Option<String>>,
    #[serde(deserialize_with = "body::given")]
    phone_country_code: Option<Option<String>>,
    #[serde(deserialize_with = "body::given")]
    description: Option<Option<String>>,
    metadata: Option<Map<String, Value>>,
}

/// `POST /customers/{id}`.
pub(crate) async fn update(
    api: Data<Api>,
    request: HttpRequest,
    id: Path<String>,
    Bounded(bytes): Bounded,
) -> Result<HttpResponse, Refusal> {
    let merchant = who::caller(&api, &request).await?.server()?;
    let asked: ChangeBody = body::read(&bytes)?;
    let seen = api.engine.store().customer(&merchant, &known_id(&id)?).await?.ok_or(Fault::NotFound("Customer"))?;
    let mut changed = seen.clone();
    for (field, place, text) in [
        ("name", &mut changed.name, asked.name),
        ("email", &mut changed.email, asked.email),
        ("phone", &mut changed.phone, asked.phone),
        ("phone_country_code", &mut changed.phone_country_code, asked.phone_country_code),
        ("description", &mut changed.description, asked.description),
    ] {
        if let Some(text) = text {
            *place = body::text(field, text, limits::PAYMENT_TEXT_BYTES_MAX)?;
        }
    }
    if asked.metadata.is_some() {
        changed.metadata = body::metadata(asked.metadata)?;
    }
    let engine = api.engine.clone();
    let work = async move {
        engine.store().save_customer(&changed, &seen).await?;
        Ok(Answer::ok(&view::customer(&changed)))
    };
    Ok(once(&api, &request, &merchant, &bytes, Subject::Setting, work).await?.into())
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
    pub(super) client_secret: Option<String>,
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
    opens_wallet(&payment)?;
    let cards = api.engine.saved_cards(&payment.merchant_id, customer).await?;
    let cards: Vec<_> = cards.iter().map(|card| view::saved_card(card, view::asks_cvc(&payment))).collect();
    Ok(Answer::ok(&json!({"customer_payment_methods": cards, "is_guest_customer": false})).into())
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
