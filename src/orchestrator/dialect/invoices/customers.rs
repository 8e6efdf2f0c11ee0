//! Customers and the cards that are kept for them. A card is kept after the issuer proved it without money, so that the
//! scheme knows the agreement on which the merchant's own payments rest.

use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use strongroom_wire::payment_method::Storage;
use strongroom_wire::{CustomerId, TenantId, Token, limits};

use super::names::{self, Source};
use super::order::{Metadata, TOKEN};
use super::orders::{digest, find, once};
use super::wrong::{Body, Wrong, good, read, ready};
use super::{auth, paying, words};
use crate::account::Customer;
use crate::api::Api;
use crate::api::answer::Answer;
use crate::api::body;
use crate::api::once::Subject;
use crate::api::payer_body::mail;
use crate::api::payment_body::PaymentBody;
use crate::ids;
use crate::intent::{
    CvcInput, DialectName, DoorNote, Engine, Fault, FutureUsage, MethodInput, NewPayment, PaymentKind,
};
use crate::store::StoreError;
use crate::vault::{SecretText, VaultError};
use crate::view;

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct CustomerBody {
    email: Option<String>,
    phone: Option<Phone>,
    metadata: Option<Metadata>,
    first_name: Option<String>,
    last_name: Option<String>,
    address1: Option<String>,
    address2: Option<String>,
    city: Option<String>,
    state: Option<String>,
    zip: Option<String>,
    country_code: Option<String>,
    is_business: Option<bool>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Phone {
    number: Option<String>,
    dialing_code: Option<String>,
}

#[derive(Serialize)]
struct Profile {
    first_name: Option<String>,
    last_name: Option<String>,
    address1: Option<String>,
    address2: Option<String>,
    city: Option<String>,
    state: Option<String>,
    zip: Option<String>,
    country_code: Option<String>,
    is_business: Option<bool>,
}

/// `POST /customers`.
pub(super) async fn create(api: Data<Api>, request: HttpRequest, Body(bytes): Body) -> Result<HttpResponse, Wrong> {
    let merchant_id = auth::server(&api, &request).await?;
    let asked: CustomerBody = read(&bytes)?;
    if let Some(email) = &asked.email {
        mail("email", email)?;
    }
    let text_max = limits::PAYMENT_TEXT_BYTES_MAX;
    let names = [asked.first_name.as_deref(), asked.last_name.as_deref()];
    let whole = names.into_iter().flatten().collect::<Vec<_>>().join(" ");
    let mut metadata = asked.metadata.map(Metadata::read).transpose()?.unwrap_or_default();
    if metadata.contains_key(words::PROFILE) {
        return Err(Wrong::invalid("metadata", "the name _profile is taken"));
    }
    let profile = json!(Profile {
        first_name: asked.first_name,
        last_name: asked.last_name,
        address1: asked.address1,
        address2: asked.address2,
        city: asked.city,
        state: asked.state,
        zip: asked.zip,
        country_code: asked.country_code,
        is_business: asked.is_business,
    });
    if let Value::Object(profile) = profile {
        let known: Map<_, _> = profile.into_iter().filter(|(_, value)| !value.is_null()).collect();
        if Value::from(known.clone()).to_string().chars().count() > limits::METADATA_VALUE_CHARS_MAX {
            return Err(Wrong::invalid("address1", "names and address have at most 500 characters together"));
        }
        metadata.insert(words::PROFILE.to_owned(), known.into());
    }
    let (phone, code) = asked.phone.map_or((None, None), |phone| (phone.number, phone.dialing_code));
    let now = api.engine.now_ms();
    let id = ids::fresh("cust_", now).map_err(Fault::from)?;
    let customer = Customer {
        customer_id: id.parse().map_err(|_| Fault::Internal)?,
        merchant_id,
        name: body::text("first_name", Some(whole).filter(|name| !name.is_empty()), text_max)?,
        email: body::text("email", asked.email, text_max)?,
        phone: body::text("phone.number", phone, text_max)?,
        phone_country_code: body::text("phone.dialing_code", code, text_max)?,
        description: None,
        metadata: body::metadata(Some(metadata))?,
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
    let native = once(&api, &request, &tenant, digest(&bytes), Subject::Customer(id), work).await?;
    let made = known(&api, &tenant, words::text(&native, "customer_id")).await?;
    Ok(good("customer", words::customer(&made)))
}

/// `GET /customers/{id}`.
pub(super) async fn retrieve(api: Data<Api>, request: HttpRequest, id: Path<String>) -> Result<HttpResponse, Wrong> {
    let merchant = auth::server(&api, &request).await?;
    Ok(good("customer", words::customer(&known(&api, &merchant, &id).await?)))
}

/// A customer that should exist.
pub(super) async fn known(api: &Api, merchant: &TenantId, id: &str) -> Result<Customer, Wrong> {
    let missing = || Wrong::not_found("customer");
    let id: CustomerId = id.parse().map_err(|_| missing())?;
    api.engine.store().customer(merchant, &id).await?.ok_or_else(missing)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct KeepBody {
    source: SecretText,
    /// In which currency the issuer is asked for nothing: that of this invoice.
    invoice_id: Option<String>,
    /// A card is always verified.
    verify: Option<bool>,
}

/// `POST /customers/{id}/tokens`: the card of a one-off token is kept, and the token is used up.
pub(super) async fn keep(
    api: Data<Api>,
    request: HttpRequest,
    id: Path<String>,
    Body(bytes): Body,
) -> Result<HttpResponse, Wrong> {
    let merchant = auth::server(&api, &request).await?;
    let asked: KeepBody = read(&bytes)?;
    let customer = known(&api, &merchant, &id).await?;
    if asked.verify == Some(false) {
        return Err(Wrong::invalid("verify", "a card that is kept is always verified, without money"));
    }
    let source = Source::read(asked.source.expose())?;
    let Source::Once(token, _) = &source else {
        return Err(Wrong::source());
    };
    let token = *token;
    let currency = match &asked.invoice_id {
        Some(id) => find(&api, &merchant, &names::payment_of(id, "iv_", "invoice")?, "invoice").await?.terms.currency,
        None => VERIFY_CURRENCY.parse().map_err(|_| Fault::Internal)?,
    };
    let digest =
        paying::digest(&["keep", &source.name(), id.as_str(), asked.invoice_id.as_deref().unwrap_or_default()]);
    let payment_id = ids::fresh("pay_", api.engine.now_ms()).map_err(Fault::from)?;
    let body = PaymentBody {
        amount: Some(0),
        currency: Some(currency.as_str().to_owned()),
        payment_id: Some(payment_id.clone()),
        customer_id: Some(customer.customer_id.as_str().to_owned()),
        setup_future_usage: Some(FutureUsage::OffSession),
        ..PaymentBody::default()
    };
    let mut new = body.into_new()?;
    new.terms.kind = PaymentKind::SetupMandate;
    new.terms.three_ds = false;
    new.terms.extra.insert("customer_acceptance".to_owned(), json!({"acceptance_type": "offline"}));
    let note = Map::from_iter([("kind".to_owned(), Value::from(TOKEN))]);
    new.terms.door = Some(DoorNote { dialect: DialectName::Invoices, note });
    let (engine, tenant) = (api.engine.clone(), merchant.clone());
    let owner = customer.customer_id.as_str().to_owned();
    let work = async move { Ok(Answer::ok(&words::native(&proven(&engine, &tenant, new, source, &owner).await?))) };
    let native = once(&api, &request, &merchant, digest, Subject::Payment(payment_id), work).await?;
    if let Some(failed) = words::failed(&native) {
        return Err(failed);
    }
    if native["status"] != "succeeded" {
        let message = "The issuer has not said yet whether the card is good: look at the customer's tokens later";
        return Err(Wrong::new(409, "request.conflict", message));
    }
    let method = api.engine.vault.get(&merchant, token).await.map_err(Fault::from)?;
    Ok(good("token", words::token_of(merchant.as_str(), customer.customer_id.as_str(), &method, false)))
}

async fn proven(
    engine: &Engine,
    tenant: &TenantId,
    new: NewPayment,
    source: Source,
    owner: &str,
) -> Result<crate::intent::Payment, Fault> {
    let Source::Once(token, sealed) = source else {
        return Err(Fault::NotFound("Payment method"));
    };
    paying::take(engine, tenant, &names::card(token), owner).await?;
    if engine.vault.get(tenant, token).await?.storage == Storage::LongTerm {
        return Err(Fault::NotFound("Payment method"));
    }
    let method = MethodInput::Stored(token, sealed.map_or(CvcInput::None, CvcInput::Sealed));
    engine.create(tenant, new, Some(method), true).await
}

/// `GET /customers/{id}/tokens`.
pub(super) async fn list(api: Data<Api>, request: HttpRequest, id: Path<String>) -> Result<HttpResponse, Wrong> {
    let merchant = auth::server(&api, &request).await?;
    let customer = known(&api, &merchant, &id).await?;
    let uses = api.engine.store().saved_uses(&merchant, &customer.customer_id).await?;
    let mut tokens = Vec::new();
    for used in uses.into_iter().take(limits::SAVED_CARDS_MAX) {
        if let Some(token) = shown(&api, &customer, used.token).await? {
            tokens.push(token);
        }
    }
    Ok(good("tokens", tokens.into()))
}

/// `GET /customers/{id}/tokens/{token}`.
pub(super) async fn kept(
    api: Data<Api>,
    request: HttpRequest,
    path: Path<(String, String)>,
) -> Result<HttpResponse, Wrong> {
    let merchant = auth::server(&api, &request).await?;
    let (customer, token) = theirs(&api, &merchant, &path).await?;
    let shown = shown(&api, &customer, token).await?.ok_or_else(|| Wrong::not_found("token"))?;
    Ok(good("token", shown))
}

/// `DELETE /customers/{id}/tokens/{token}`: shredded at the vault when this is answered.
pub(super) async fn delete(
    api: Data<Api>,
    request: HttpRequest,
    path: Path<(String, String)>,
) -> Result<HttpResponse, Wrong> {
    let merchant = auth::server(&api, &request).await?;
    let (customer, token) = theirs(&api, &merchant, &path).await?;
    match api.engine.delete_card(&merchant, None, token).await {
        // An earlier request may have come as far as shredding it.
        Ok(()) | Err(Fault::NotFound(_)) => {}
        Err(other) => return Err(other.into()),
    }
    api.engine.store().forget_saved_use(&merchant, &customer.customer_id, token).await?;
    Ok(ready(HttpResponse::Ok(), &json!({"success": true})))
}

/// A customer and the name of a card that is kept for them. A stranger's card and none look the same.
async fn theirs(api: &Api, merchant: &TenantId, path: &(String, String)) -> Result<(Customer, Token), Wrong> {
    let customer = known(api, merchant, &path.0).await?;
    let missing = || Wrong::not_found("token");
    let Ok(Source::Kept(token)) = Source::read(&path.1) else {
        return Err(missing());
    };
    let uses = api.engine.store().saved_uses(merchant, &customer.customer_id).await?;
    if uses.iter().any(|used| used.token == token) { Ok((customer, token)) } else { Err(missing()) }
}

async fn shown(api: &Api, customer: &Customer, token: Token) -> Result<Option<Value>, Wrong> {
    let project = customer.merchant_id.as_str();
    match api.engine.vault.get(&customer.merchant_id, token).await {
        Ok(method) if method.storage == Storage::LongTerm => {
            let is_default = customer.default_method == Some(token);
            Ok(Some(words::token_of(project, customer.customer_id.as_str(), &method, is_default)))
        }
        Ok(_) | Err(VaultError::NotFound) => Ok(None),
        Err(other) => Err(Fault::from(other).into()),
    }
}

/// The currency in which an issuer is asked for nothing, where no invoice names one.
const VERIFY_CURRENCY: &str = "EUR";
