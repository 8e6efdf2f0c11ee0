//! A merchant's routing rules: the operator writes, reads and removes the document, by the admin key.

use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use serde_json::{Value, json};

use super::accounts::known;
use super::answer::{Answer, Refusal};
use super::body::Bounded;
use super::free_text::holds_card_number;
use super::{Api, body, who};
use crate::intent::Fault;
use crate::routing::Rules;

/// `GET /account/{merchant_id}/routing`.
pub(crate) async fn retrieve(api: Data<Api>, request: HttpRequest, id: Path<String>) -> Result<HttpResponse, Refusal> {
    who::admin(&api, &request)?;
    let merchant = known(&api, &id).await?.merchant_id;
    let text = api.engine.store().routing(&merchant).await?.ok_or(Fault::NotFound("Routing"))?;
    let document: Value = serde_json::from_str(&text).map_err(|_| Fault::Internal)?;
    Ok(Answer::ok(&document).into())
}

/// `PUT /account/{merchant_id}/routing`: the whole document; it holds from the next confirmation on.
pub(crate) async fn replace(
    api: Data<Api>,
    request: HttpRequest,
    id: Path<String>,
    Bounded(bytes): Bounded,
) -> Result<HttpResponse, Refusal> {
    who::admin(&api, &request)?;
    let merchant = known(&api, &id).await?.merchant_id;
    let rules: Rules = body::read(&bytes)?;
    rules.check().map_err(|bad| Refusal::new(400, "IR_06", format!("Invalid value for {bad}")))?;
    let document: Value = body::read(&bytes)?;
    let text = document.to_string();
    if holds_card_number(&text) {
        return Err(Refusal::new(400, "IR_06", "The rules contain a card number; a BIN prefix has at most 8 digits"));
    }
    // No account may lose its name between this look and the write.
    let _turn = api.account_changes.lock().await;
    let accounts = api.engine.accounts(&merchant).await?;
    let unknown = |bad| Refusal::new(400, "IR_06", format!("Invalid value for {bad}"));
    rules.check_names(&accounts).map_err(unknown)?;
    api.engine.store().save_routing(&merchant, Some(&text)).await?;
    Ok(Answer::ok(&document).into())
}

/// `DELETE /account/{merchant_id}/routing`: from then on the oldest account comes first.
pub(crate) async fn remove(api: Data<Api>, request: HttpRequest, id: Path<String>) -> Result<HttpResponse, Refusal> {
    who::admin(&api, &request)?;
    let merchant = known(&api, &id).await?.merchant_id;
    api.engine.store().save_routing(&merchant, None).await?;
    Ok(Answer::ok(&json!({"merchant_id": merchant, "deleted": true})).into())
}
