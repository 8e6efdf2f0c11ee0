//! A payer's own housekeeping of their saved cards, by the client secret of a payment that waits for them.

use actix_web::web::{Data, Path, Query};
use actix_web::{HttpRequest, HttpResponse};
use serde::Deserialize;
use serde_json::json;
use strongroom_wire::CustomerId;

use super::answer::{Answer, Refusal};
use super::body::Bounded;
use super::customers::SecretQuery;
use super::methods::payment_of_secret;
use super::once::{Subject, once};
use super::saved_cards::{make_default, token};
use super::{Api, body};
use crate::intent::{Event, Fault, Payment, State};
use crate::vault::SecretText;

/// `DELETE /customers/payment_methods/{payment_method_id}?client_secret=`: shredded at the vault when this is answered.
pub(crate) async fn delete(
    api: Data<Api>,
    request: HttpRequest,
    id: Path<String>,
    query: Query<SecretQuery>,
) -> Result<HttpResponse, Refusal> {
    let payment = payment_of_secret(&api, &request, query.client_secret.as_deref()).await?;
    let (customer, token) = (payer(&payment)?, token(&id)?);
    api.engine.delete_card(&payment.merchant_id, Some(customer), token).await?;
    Ok(Answer::ok(&json!({"payment_method_id": token, "deleted": true})).into())
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct DefaultBody {
    client_secret: Option<SecretText>,
}

/// `POST /customers/payment_methods/{payment_method_id}/default`.
pub(crate) async fn set_default(
    api: Data<Api>,
    request: HttpRequest,
    id: Path<String>,
    Bounded(bytes): Bounded,
) -> Result<HttpResponse, Refusal> {
    let asked: DefaultBody = body::read(&bytes)?;
    let secret = asked.client_secret.as_ref().map(SecretText::expose);
    let payment = payment_of_secret(&api, &request, secret).await?;
    let (customer, token) = (payer(&payment)?.clone(), token(&id)?);
    let (engine, tenant) = (api.engine.clone(), payment.merchant_id.clone());
    let work = async move { make_default(&engine, &tenant, customer, token).await };
    Ok(once(&api, &request, &payment.merchant_id, &bytes, Subject::Setting, work).await?.into())
}

/// Whether the payer is about to pay: the secret of a payment that is over lies in histories and mails, and is no key to a
/// wallet.
pub(super) fn opens_wallet(payment: &Payment) -> Result<(), Fault> {
    if payment.state.after(Event::Confirm).is_some() {
        return Ok(());
    }
    let expected = State::that_allow(Event::Confirm);
    Err(Fault::BadState { flow: "used for saved cards", state: payment.state, expected })
}

/// Whose cards these are.
fn payer(payment: &Payment) -> Result<&CustomerId, Fault> {
    opens_wallet(payment)?;
    // To a guest there is no card.
    payment.terms.customer_id.as_ref().ok_or(Fault::NotFound("Payment method"))
}
