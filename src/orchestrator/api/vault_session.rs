//! `POST /payments/{id}/vault_session`: a client session of the vault with which the payer's browser hands its card to the
//! vault's intake. Confirm then names `payment_method_id` and `payment_method_data.card_token.cvc_token`.

use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use serde::Deserialize;
use serde_json::json;
use strongroom_wire::limits;

use super::answer::{Answer, Refusal};
use super::body::Bounded;
use super::once::without_key;
use super::{Api, body, who};
use crate::intent::{Asker, Fault};
use crate::vault::SecretText;

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct SessionBody {
    allowed_origins: Option<Vec<String>>,
    client_secret: Option<SecretText>,
}

/// The merchant's server names the origins of its page; a page has the ones that are registered for the merchant.
pub(crate) async fn open(
    api: Data<Api>,
    request: HttpRequest,
    id: Path<String>,
    Bounded(bytes): Bounded,
) -> Result<HttpResponse, Refusal> {
    let caller = who::caller(&api, &request).await?;
    without_key(&request, "ask for another session")?;
    let asked: SessionBody = body::read(&bytes)?;
    let (payment, _) = api.engine.payment(&caller.merchant, &id).await?;
    caller.may_touch(&payment, asked.client_secret.as_ref().map(SecretText::expose), api.engine.now_ms())?;
    let session = match caller.asker {
        Asker::Merchant => {
            let origins = asked.allowed_origins.ok_or(Fault::Missing("allowed_origins"))?;
            let origins_fit = (1..=limits::SESSION_ORIGINS_MAX).contains(&origins.len());
            if !origins_fit || origins.iter().any(|origin| origin.len() > limits::ORIGIN_CHARS_MAX) {
                let reason = "1 to 8 origins of at most 255 characters";
                return Err(Fault::Invalid { field: "allowed_origins", reason }.into());
            }
            api.engine.vault_session(&payment, origins).await?
        }
        Asker::Browser if asked.allowed_origins.is_some() => {
            let reason = "only the merchant's server may name them; a page has those of the account";
            return Err(Fault::Invalid { field: "allowed_origins", reason }.into());
        }
        Asker::Browser => {
            api.engine.vault_session_for_page(&caller.merchant, &payment.payment_id, caller.origins).await?
        }
    };
    Ok(Answer::ok(&json!({
        "payment_id": payment.payment_id,
        "intake_url": api.intake_url,
        "client_secret": session.client_secret,
        "expires_at": session.expires_at,
    }))
    .into())
}
