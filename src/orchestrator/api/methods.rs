//! `GET /account/payment_methods`: what a payment can be paid with, for the page that asks the payer.

use actix_web::HttpRequest;
use actix_web::HttpResponse;
use actix_web::web::{Data, Query};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::answer::{Answer, Refusal};
use super::{Api, who};
use crate::intent::{Asker, Fault, FutureUsage, Payment, PaymentKind};
use crate::routing::is_country;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct EligibleQuery {
    client_secret: Option<String>,
    country: Option<String>,
}

/// `GET /account/payment_methods?client_secret=&country=`: the card networks that an enabled account of the merchant takes
/// for this payment, and the fields that the page has to ask for.
pub(crate) async fn eligible(
    api: Data<Api>,
    request: HttpRequest,
    query: Query<EligibleQuery>,
) -> Result<HttpResponse, Refusal> {
    let payment = payment_of_secret(&api, &request, query.client_secret.as_deref()).await?;
    if query.country.as_deref().is_some_and(|country| !is_country(country)) {
        return Err(Fault::Invalid { field: "country", reason: "two upper-case letters (ISO 3166-1 alpha-2)" }.into());
    }
    let payable = api.engine.payable(&payment, query.country.as_deref()).await?;
    let merchant = api.engine.store().merchant(&payment.merchant_id).await?;
    let networks: Vec<_> = payable
        .networks
        .iter()
        .map(|(network, connectors)| json!({"card_network": network, "eligible_connectors": connectors}))
        .collect();
    let fields = required_fields(&payment, payable.asks_country, query.country.as_deref());
    let types: Vec<_> = ["credit", "debit"]
        .iter()
        .map(|kind| json!({"payment_method_type": kind, "card_networks": networks, "required_fields": fields}))
        .collect();
    let methods = if networks.is_empty() {
        json!([])
    } else {
        json!([{"payment_method": "card", "payment_method_types": types}])
    };
    Ok(Answer::ok(&json!({
        "redirect_url": payment.terms.return_url,
        "currency": payment.terms.currency,
        "payment_methods": methods,
        "payment_type": payment_type(&payment),
        "mandate_payment": mandate_payment(&payment),
        "merchant_name": merchant.and_then(|merchant| merchant.merchant_name),
        "show_surcharge_breakup_screen": false,
        "request_external_three_ds_authentication": false,
        "is_tax_calculation_enabled": false,
    }))
    .into())
}

/// The payment behind a client secret that is right and in time.
pub(super) async fn payment_of_secret(
    api: &Api,
    request: &HttpRequest,
    secret: Option<&str>,
) -> Result<Payment, Refusal> {
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

fn payment_type(payment: &Payment) -> &'static str {
    match (payment.terms.kind, payment.terms.setup_future_usage) {
        (PaymentKind::SetupMandate, _) => "setup_mandate",
        (PaymentKind::Normal, Some(FutureUsage::OffSession)) => "new_mandate",
        (PaymentKind::Normal, _) => "normal",
    }
}

/// What the payer agrees to beyond this payment: further ones without them, of no fixed amount.
fn mandate_payment(payment: &Payment) -> Value {
    match payment.terms.setup_future_usage {
        Some(FutureUsage::OffSession) => json!({"multi_use": null}),
        _ => Value::Null,
    }
}

/// By path; `value` is what is known already.
fn required_fields(payment: &Payment, asks_country: bool, country: Option<&str>) -> Map<String, Value> {
    let field = |path: &str, name: &str, kind: &str, value: Option<&str>| {
        let shown = json!({"required_field": path, "display_name": name, "field_type": kind, "value": value});
        (path.to_owned(), shown)
    };
    let card = [
        ("card_number", "user_card_number"),
        ("card_exp_month", "user_card_expiry_month"),
        ("card_exp_year", "user_card_expiry_year"),
        ("card_cvc", "user_card_cvc"),
    ];
    let mut fields: Map<String, Value> =
        card.iter().map(|(name, kind)| field(&format!("payment_method_data.card.{name}"), name, kind, None)).collect();
    if asks_country {
        let known = crate::intent::billing_country(payment).or(country);
        fields.extend([field("billing.address.country", "country", "user_address_country", known)]);
    }
    fields
}
