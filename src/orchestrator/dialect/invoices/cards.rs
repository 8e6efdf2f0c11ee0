//! `/cards`: a card becomes a token that pays once. The CVC, sealed by the vault for one payment within 15 minutes, is a part of
//! the token, because this door keeps no CVC, sealed or not. That a token was used stands among the kept answers.

use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use serde::Deserialize;

use super::auth;
use super::names;
use super::words;
use super::wrong::{Body, Wrong, good, read};
use crate::api::Api;
use crate::intent::Fault;
use crate::vault::{CardInput, SecretText};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CardBody {
    number: SecretText,
    exp_month: NumberText,
    exp_year: NumberText,
    cvc2: Option<SecretText>,
    name: Option<SecretText>,
}

/// Digits as text, or as a number.
#[derive(Deserialize)]
#[serde(untagged)]
enum NumberText {
    Number(u16),
    Text(SecretText),
}

impl NumberText {
    fn read(&self) -> Option<u16> {
        match self {
            Self::Number(number) => Some(*number),
            Self::Text(text) => text.expose().trim().parse().ok(),
        }
    }
}

/// `POST /cards`: by a page or by a server that may touch cards. An Idempotency-Key changes nothing: each answer is another
/// token, and one that nobody uses is shredded by itself.
pub(super) async fn create(api: Data<Api>, request: HttpRequest, Body(bytes): Body) -> Result<HttpResponse, Wrong> {
    let caller = auth::caller(&api, &request).await?;
    if !api.engine.takes_cards() {
        let message = "This server takes no card numbers: post them to the vault's intake";
        return Err(Wrong::new(400, "request.cards.not-taken-here", message));
    }
    let asked: CardBody = read(&bytes)?;
    let year = asked.exp_year.read().map(|year| if year < 100 { 2000 + year } else { year });
    let month = asked.exp_month.read().and_then(|month| u8::try_from(month).ok());
    if asked.cvc2.as_ref().is_some_and(|cvc| {
        !matches!(cvc.expose().len(), 3 | 4) || !cvc.expose().bytes().all(|byte| byte.is_ascii_digit())
    }) {
        return Err(Fault::BadCardDetail("card_cvc").into());
    }
    let input = CardInput {
        number: asked.number,
        exp_month: month.ok_or(Fault::BadCardDetail("card_exp_month"))?,
        exp_year: year.ok_or(Fault::BadCardDetail("card_exp_year"))?,
        cvc: asked.cvc2,
        holder_name: asked.name.filter(|name| !name.expose().is_empty()),
    };
    let method = api.engine.vault.tokenize(&caller.merchant, &input, None).await.map_err(Fault::from)?;
    let plain = names::card(method.payment_method_id);
    let id = method.cvc_token.as_ref().map_or(plain.clone(), |sealed| format!("{plain}.{sealed}"));
    let name = input.holder_name.as_ref().map(SecretText::expose);
    Ok(good("card", words::card_of(caller.merchant.as_str(), &method, Some(id), name, caller.asker)))
}
