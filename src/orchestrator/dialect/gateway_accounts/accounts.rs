//! `/PaymentGatewayAccounts`: a merchant's accounts at providers by name. Each is a connector account whose label is the name.

use actix_web::HttpRequest;
use actix_web::HttpResponse;
use actix_web::web::{Data, Path, Query};
use serde::Deserialize;
use serde_json::{Value, json};
use strongroom_wire::{TenantId, limits};

use super::account_body::{AccountChangeBody, NewAccountBody, RotateBody};
use super::fail::Fail;
use super::front::{Body, Caller, Front};
use crate::account::ConnectorAccount;
use crate::api::answer::Answer;
use crate::api::once::without_key;
use crate::api::{Api, body, connectors};
use crate::clock::rfc3339;
use crate::intent::{Fault, Probed};

/// `POST /PaymentGatewayAccounts`: the provider is asked about the credentials before anything is saved.
pub(super) async fn create(
    api: Data<Api>,
    front: Data<Front>,
    request: HttpRequest,
    caller: Caller,
    Body(bytes): Body,
) -> Result<HttpResponse, Fail> {
    may_manage(&front)?;
    without_key(&request, "the name is taken once")?;
    let asked = body::read::<NewAccountBody>(&bytes)?.native()?;
    let (account, probed) = connectors::open(&api, &caller.0, asked, str::eq_ignore_ascii_case).await?;
    Ok(Answer::ok(&show(&account, Some(probed))).into())
}

/// `GET /PaymentGatewayAccounts`.
pub(super) async fn list(api: Data<Api>, caller: Caller) -> Result<HttpResponse, Fail> {
    let accounts = api.engine.accounts(&caller.0).await?;
    let accounts: Vec<Value> = accounts.iter().map(|account| show(account, None)).collect();
    Ok(Answer::ok(&json!({ "accounts": accounts })).into())
}

/// `GET /PaymentGatewayAccounts/{name}`.
pub(super) async fn retrieve(api: Data<Api>, caller: Caller, name: Path<String>) -> Result<HttpResponse, Fail> {
    Ok(Answer::ok(&show(&find(&api, &caller.0, &name).await?, None)).into())
}

/// `PUT /PaymentGatewayAccounts/{name}`: what is absent stays.
pub(super) async fn update(
    api: Data<Api>,
    front: Data<Front>,
    request: HttpRequest,
    caller: Caller,
    name: Path<String>,
    Body(bytes): Body,
) -> Result<HttpResponse, Fail> {
    may_manage(&front)?;
    without_key(&request, "the change can be made again")?;
    let asked = body::read::<AccountChangeBody>(&bytes)?.native()?;
    let id = find(&api, &caller.0, &name).await?.account_id;
    let (account, _) = connectors::change(&api, &caller.0, &id, asked, str::eq_ignore_ascii_case).await?;
    Ok(Answer::ok(&show(&account, None)).into())
}

/// `POST /PaymentGatewayAccounts/{name}/rotate`: the next call uses the new credentials, calls that run finish with the old.
pub(super) async fn rotate(
    api: Data<Api>,
    front: Data<Front>,
    request: HttpRequest,
    caller: Caller,
    name: Path<String>,
    Body(bytes): Body,
) -> Result<HttpResponse, Fail> {
    may_manage(&front)?;
    without_key(&request, "the rotation can be made again")?;
    let asked = body::read::<RotateBody>(&bytes)?.native();
    let id = find(&api, &caller.0, &name).await?.account_id;
    let (account, probed) = connectors::change(&api, &caller.0, &id, asked, str::eq_ignore_ascii_case).await?;
    Ok(Answer::ok(&show(&account, probed)).into())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct DeleteQuery {
    overlap_seconds: Option<u64>,
}

/// `DELETE /PaymentGatewayAccounts/{name}`: no transaction begins there any more. What was authorized there can be captured,
/// voided and refunded for the overlap, which outlasts every authorization unless the caller wants it shorter.
pub(super) async fn delete(
    api: Data<Api>,
    front: Data<Front>,
    caller: Caller,
    name: Path<String>,
    query: Query<DeleteQuery>,
) -> Result<HttpResponse, Fail> {
    may_manage(&front)?;
    let id = find(&api, &caller.0, &name).await?.account_id;
    let overlap_s = query.overlap_seconds.unwrap_or(limits::CREDENTIAL_OVERLAP_MAX_S);
    let gone = connectors::close(&api, &caller.0, &id, overlap_s).await?;
    Ok(Answer::ok(&json!({"name": gone.label, "deleted": true, "overlapSeconds": overlap_s})).into())
}

fn may_manage(front: &Front) -> Result<(), Fail> {
    if front.manage_accounts {
        return Ok(());
    }
    Err(Fail::new(403, "forbidden", "Accounts are changed by the operator of this orchestrator alone"))
}

async fn find(api: &Api, merchant: &TenantId, name: &str) -> Result<ConnectorAccount, Fail> {
    let accounts = api.engine.accounts(merchant).await?;
    let found = accounts.into_iter().find(|account| account.label == name);
    Ok(found.ok_or(Fault::NotFound("Merchant connector account"))?)
}

fn show(account: &ConnectorAccount, probed: Option<Probed>) -> Value {
    let mut shown = json!({
        "name": account.label,
        "accountId": account.account_id,
        "provider": account.connector,
        "destination": account.destination(),
        "enabled": !account.disabled,
        "testMode": account.test_mode,
        "hasWebhookSecret": account.has_webhook_secret,
        "webhookPath": format!("/webhooks/{}/{}", account.merchant_id, account.account_id),
        "rotatedAt": account.rotated_ms.map(rfc3339),
        "createdAt": rfc3339(account.created_ms),
    });
    if let Some(probed) = probed {
        shown["verification"] = if probed == Probed::Accepted { "accepted" } else { "unknown" }.into();
    }
    shown
}
