//! `/Tokenization`: cards that are kept in the vault for later transactions.

use actix_web::HttpRequest;
use actix_web::HttpResponse;
use actix_web::web::{Data, Path};
use serde::Deserialize;
use serde_json::{Value, json};
use strongroom_wire::Token;
use strongroom_wire::header;
use strongroom_wire::payment_method::PaymentMethod;

use super::card_body::CardBody;
use super::fail::{Fail, good};
use super::front::{Body, Caller};
use crate::api::answer::Answer;
use crate::api::once::{Named, Subject, digest, once_named};
use crate::api::{Api, body};
use crate::view;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TokenizeBody {
    card: CardBody,
}

/// `POST /Tokenization/tokenize`. A CVV is taken and not kept.
pub(super) async fn tokenize(
    api: Data<Api>,
    request: HttpRequest,
    caller: Caller,
    Body(bytes): Body,
) -> Result<HttpResponse, Fail> {
    let merchant = caller.0;
    let TokenizeBody { card } = body::read(&bytes)?;
    if !api.engine.takes_cards() {
        let message = "This orchestrator takes no card numbers: post them to the vault's intake";
        return Err(Fail::new(400, "notSupported", message));
    }
    let digest = digest(json!(["tokenize", card.mark()]).to_string().as_bytes());
    let card = card.read()?;
    let (engine, tenant) = (api.engine.clone(), merchant.clone());
    let work = async move { Ok(Answer::ok(&show(&engine.keep_card(&tenant, card).await?))) };
    let named = Named { header: header::IDEMPOTENCY_KEY, request: &request, digest };
    Ok(Answer::ok(&good(once_named(&api, named, &merchant, Subject::Setting, work).await)?).into())
}

/// `GET /Tokenization/tokens/{cardToken}`: masked, always.
pub(super) async fn retrieve(api: Data<Api>, caller: Caller, name: Path<String>) -> Result<HttpResponse, Fail> {
    let kept = api.engine.kept_card(&caller.0, token(&name)?).await?;
    Ok(Answer::ok(&show(&kept.method)).into())
}

/// `DELETE /Tokenization/tokens/{cardToken}`: shredded at the vault when this is answered.
pub(super) async fn delete(api: Data<Api>, caller: Caller, name: Path<String>) -> Result<HttpResponse, Fail> {
    let token = token(&name)?;
    api.engine.delete_card(&caller.0, None, token).await?;
    Ok(Answer::ok(&json!({"cardToken": name_of(token), "deleted": true})).into())
}

fn show(method: &PaymentMethod) -> Value {
    let card = &method.card;
    json!({
        "cardToken": name_of(method.payment_method_id),
        "card": {
            "brand": view::brand(card.brand),
            "last4": card.last4,
            "expirationMonth": format!("{:02}", card.exp_month),
            "expirationYear": card.exp_year.to_string(),
        },
        "createdAt": method.created_at,
    })
}

/// The vault's name for a card token. What can be none names no card.
pub(super) fn token(name: &str) -> Result<Token, Fail> {
    let rest = name.strip_prefix(PREFIX).ok_or_else(Fail::no_token)?;
    format!("pm_{rest}").parse().map_err(|_| Fail::no_token())
}

fn name_of(token: Token) -> String {
    let text = token.to_string();
    format!("{PREFIX}{}", text.strip_prefix("pm_").unwrap_or(&text))
}

const PREFIX: &str = "tok_";
