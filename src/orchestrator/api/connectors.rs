//! Connector accounts: the operator makes, changes, rotates and deletes them, by the admin key.
//!
//! Credentials go into the vault; this store keeps the name of the secret. New credentials become another secret and the
//! account is switched to it in one write, so that every node takes them up with its next call, while calls that run
//! finish with what they have. The old secret stays readable for an overlap and is then deleted at the vault by a chore.

use actix_web::web::{Data, Path, Query};
use actix_web::{HttpRequest, HttpResponse};
use serde::Deserialize;
use serde_json::{Value, json};
use strongroom_wire::{TenantId, limits};

use super::accounts::known;
use super::answer::{Answer, Refusal};
use super::body::Bounded;
use super::connector_body::{ConnectorChangeBody, ConnectorTypeWord, NewConnectorBody};
use super::connector_body::{accepts, credentials, label, webhook_secret};
use super::once::without_key;
use super::{Api, body, who};
use crate::account::{Accepts, ConnectorAccount, RetiredSecret};
use crate::clock::rfc3339;
use crate::connector::Credentials;
use crate::ids;
use crate::intent::{Fault, Probed};
use crate::routing::word;

/// `POST /account/{merchant_id}/connectors`.
pub(crate) async fn create(
    api: Data<Api>,
    request: HttpRequest,
    id: Path<String>,
    Bounded(bytes): Bounded,
) -> Result<HttpResponse, Refusal> {
    who::admin(&api, &request)?;
    without_key(&request, "name the connector_label, which is taken once")?;
    let asked: NewConnectorBody = body::read(&bytes)?;
    let merchant = known(&api, &id).await?.merchant_id;
    let (account, probed) = open(&api, &merchant, asked, str::eq).await?;
    Ok(Answer::ok(&show_with(&account, Some(probed))).into())
}

/// Makes an account, after its provider was asked about its credentials. `same`: which labels may not stand beside each
/// other.
pub(crate) async fn open(
    api: &Api,
    merchant: &TenantId,
    asked: NewConnectorBody,
    same: Same,
) -> Result<(ConnectorAccount, Probed), Refusal> {
    let ConnectorTypeWord::PaymentProcessor = asked.connector_type;
    let connector = api
        .engine
        .connector(&asked.connector_name)
        .ok_or(Fault::Invalid { field: "connector_name", reason: "no such connector" })?;
    let now = api.engine.now_ms();
    let mut account = ConnectorAccount {
        account_id: ids::fresh("mca_", now).map_err(Fault::from)?,
        merchant_id: merchant.clone(),
        connector: connector.name().to_owned(),
        label: String::new(),
        secret_id: strongroom_wire::SecretId::fresh(),
        has_webhook_secret: asked.connector_webhook_details.is_some(),
        rotated_ms: None,
        retired: Vec::new(),
        accepts: accepts(asked.accepts)?,
        destination: asked.destination,
        test_mode: asked.test_mode.unwrap_or(false),
        disabled: asked.disabled.unwrap_or(false),
        deleted_ms: None,
        created_ms: now,
    };
    is_destination(api, &account)?;
    let credentials = credentials(asked.connector_account_details, asked.connector_webhook_details, None)?;
    let probed = judge(api, &account, &credentials, asked.verify).await?;
    // One at a time, so that labels stay unique and the number of accounts within its limit.
    let _turn = api.account_changes.lock().await;
    let accounts = api.engine.accounts(merchant).await?;
    if accounts.len() >= limits::CONNECTOR_ACCOUNTS_MAX {
        return Err(Fault::Precondition("The merchant has as many connector accounts as are allowed (20)").into());
    }
    account.label = match asked.connector_label {
        Some(text) => label(text)?,
        None => free_label(&accounts, connector.name()),
    };
    is_free(&accounts, &account, same)?;
    account.secret_id = api.engine.store_credentials(&account, &credentials).await?;
    api.engine.store().add_connector_account(&account).await?;
    Ok((account, probed))
}

/// Whether two labels are too much alike for one merchant.
pub(crate) type Same = fn(&str, &str) -> bool;

/// `GET /account/{merchant_id}/connectors`.
pub(crate) async fn list(api: Data<Api>, request: HttpRequest, id: Path<String>) -> Result<HttpResponse, Refusal> {
    who::admin(&api, &request)?;
    let merchant = known(&api, &id).await?.merchant_id;
    let accounts = api.engine.accounts(&merchant).await?;
    Ok(Answer::ok(&accounts.iter().map(|account| show_with(account, None)).collect()).into())
}

/// `GET /account/{merchant_id}/connectors/{merchant_connector_id}`.
pub(crate) async fn retrieve(
    api: Data<Api>,
    request: HttpRequest,
    path: Path<(String, String)>,
) -> Result<HttpResponse, Refusal> {
    who::admin(&api, &request)?;
    let merchant = known(&api, &path.0).await?.merchant_id;
    Ok(Answer::ok(&show_with(&find(&api, &merchant, &path.1).await?.0, None)).into())
}

/// `POST /account/{merchant_id}/connectors/{merchant_connector_id}`.
pub(crate) async fn update(
    api: Data<Api>,
    request: HttpRequest,
    path: Path<(String, String)>,
    Bounded(bytes): Bounded,
) -> Result<HttpResponse, Refusal> {
    who::admin(&api, &request)?;
    without_key(&request, "the change can be made again")?;
    let asked: ConnectorChangeBody = body::read(&bytes)?;
    let merchant = known(&api, &path.0).await?.merchant_id;
    let (account, probed) = change(&api, &merchant, &path.1, asked, str::eq).await?;
    Ok(Answer::ok(&show_with(&account, probed)).into())
}

/// Changes an account, rotates its credentials or both; calls that run finish with what they have.
pub(crate) async fn change(
    api: &Api,
    merchant: &TenantId,
    account_id: &str,
    asked: ConnectorChangeBody,
    same: Same,
) -> Result<(ConnectorAccount, Option<Probed>), Refusal> {
    let overlap_ms = overlap_ms(asked.overlap_seconds, limits::CREDENTIAL_OVERLAP_S)?;
    let _turn = api.account_changes.lock().await;
    let (seen, others) = find(api, merchant, account_id).await?;
    let mut account = seen.clone();
    if let Some(text) = asked.connector_label {
        let text = label(text)?;
        if text != seen.label {
            is_in_no_rule(api, &seen).await?;
        }
        account.label = text;
        is_free(&others, &account, same)?;
    }
    if asked.accepts.is_some() {
        account.accepts = accepts(asked.accepts)?;
    }
    account.test_mode = asked.test_mode.unwrap_or(seen.test_mode);
    account.disabled = asked.disabled.unwrap_or(seen.disabled);
    let fresh = match (asked.connector_account_details, asked.connector_webhook_details) {
        (None, None) => None,
        (details, webhook) => {
            account.has_webhook_secret |= webhook.is_some();
            // A part that is not given is kept, so what there is must be read first.
            let before = match (&details, &webhook) {
                (Some(_), Some(_)) => None,
                _ => Some(api.engine.credentials_of(&seen).await?),
            };
            Some(match (details, webhook, before) {
                (Some(details), webhook, before) => credentials(details, webhook, before.as_deref())?,
                (None, Some(webhook), Some(before)) => before.with_webhook_secret(webhook_secret(webhook)?),
                (None, ..) => return Err(Fault::Internal.into()),
            })
        }
    };
    let mut probed = None;
    if let Some(credentials) = &fresh {
        let now = api.engine.now_ms();
        probed = Some(judge(api, &account, credentials, asked.verify).await?);
        account.retired.retain(|old| now < old.until_ms);
        if account.retired.len() >= limits::RETIRED_SECRETS_MAX {
            let reason =
                "Four older credentials of this account are still within their overlap: wait, or rotate less often";
            return Err(Fault::Precondition(reason).into());
        }
        account.secret_id = api.engine.store_credentials(&seen, credentials).await?;
        account.rotated_ms = Some(now);
        account.retired.push(RetiredSecret { secret_id: seen.secret_id, until_ms: now + overlap_ms });
        // Before the switch: should the process end in between, the chore finds the secret in use and leaves it.
        api.engine.retire_secret(&seen, seen.secret_id, overlap_ms).await?;
    }
    api.engine.store().save_connector_account(&account, &seen).await?;
    Ok((account, probed))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DeleteQuery {
    overlap_seconds: Option<u64>,
}

/// `DELETE /account/{merchant_id}/connectors/{merchant_connector_id}`: no payment begins there any more, and after the
/// overlap nothing can be captured, cancelled, refunded or asked about there either.
pub(crate) async fn delete(
    api: Data<Api>,
    request: HttpRequest,
    path: Path<(String, String)>,
    query: Query<DeleteQuery>,
) -> Result<HttpResponse, Refusal> {
    who::admin(&api, &request)?;
    let merchant = known(&api, &path.0).await?.merchant_id;
    let gone = close(&api, &merchant, &path.1, query.overlap_seconds.unwrap_or(limits::DELETED_OVERLAP_S)).await?;
    let told = json!({"merchant_id": merchant, "merchant_connector_id": gone.account_id, "deleted": true});
    Ok(Answer::ok(&told).into())
}

/// Deletes an account, and its credentials after an overlap in seconds.
pub(crate) async fn close(
    api: &Api,
    merchant: &TenantId,
    account_id: &str,
    overlap_s: u64,
) -> Result<ConnectorAccount, Refusal> {
    let overlap_ms = overlap_ms(Some(overlap_s), limits::DELETED_OVERLAP_S)?;
    let _turn = api.account_changes.lock().await;
    let (seen, _) = find(api, merchant, account_id).await?;
    is_in_no_rule(api, &seen).await?;
    let now = api.engine.now_ms();
    let mut gone = ConnectorAccount { deleted_ms: Some(now), ..seen.clone() };
    gone.retired.push(RetiredSecret { secret_id: seen.secret_id, until_ms: now + overlap_ms });
    api.engine.retire_secret(&seen, seen.secret_id, overlap_ms).await?;
    api.engine.store().save_connector_account(&gone, &seen).await?;
    Ok(gone)
}

/// Whether credentials can be this provider's, and are.
async fn judge(
    api: &Api,
    account: &ConnectorAccount,
    credentials: &Credentials,
    verify: bool,
) -> Result<Probed, Refusal> {
    let connector = api.engine.connector(&account.connector).ok_or(Fault::Internal)?;
    connector.check_credentials(credentials).map_err(|bad| {
        Refusal::new(400, "IR_06", format!("Invalid value for connector_account_details.{}: {}", bad.field, bad.reason))
    })?;
    if !verify {
        return Ok(Probed::Unknown);
    }
    match api.engine.probe(account, credentials).await {
        Probed::Refused => Err(Fault::Invalid {
            field: "connector_account_details",
            reason: "the provider refuses these credentials; nothing was saved (verify: false saves them nevertheless)",
        }
        .into()),
        probed => Ok(probed),
    }
}

fn is_destination(api: &Api, account: &ConnectorAccount) -> Result<(), Fault> {
    let field = "destination";
    let name = account.destination();
    let is_of_connector =
        name == account.connector || name.strip_prefix(&account.connector).is_some_and(|rest| rest.starts_with('-'));
    if !is_of_connector {
        return Err(Fault::Invalid { field, reason: "it is the connector's name, or begins with it and a hyphen" });
    }
    if !api.engine.knows(name) {
        return Err(Fault::Invalid { field, reason: "the configuration has no [psp.NAME] of this name" });
    }
    Ok(())
}

/// Names in rules are held against the accounts when the rules are saved, so no account may leave them behind.
async fn is_in_no_rule(api: &Api, account: &ConnectorAccount) -> Result<(), Fault> {
    let rules = api.engine.rules(&account.merchant_id).await?.unwrap_or_default();
    if rules.names().any(|(_, name)| name == account.account_id || name == account.label) {
        return Err(Fault::Precondition("The routing rules name this account: change the rules first"));
    }
    Ok(())
}

fn is_free(others: &[ConnectorAccount], account: &ConnectorAccount, same: Same) -> Result<(), Fault> {
    if others.iter().any(|other| same(&other.label, &account.label) && other.account_id != account.account_id) {
        return Err(Fault::Duplicate("connector account with this connector_label"));
    }
    Ok(())
}

/// `stripe_default`, `stripe_default_2` and so on.
fn free_label(accounts: &[ConnectorAccount], connector: &str) -> String {
    let first = format!("{connector}_default");
    let numbered = (2..).map(|number| format!("{first}_{number}"));
    let is_free = |label: &String| accounts.iter().all(|account| account.label != *label);
    std::iter::once(first.clone()).chain(numbered).find(is_free).unwrap_or(first)
}

fn overlap_ms(asked: Option<u64>, default_s: u64) -> Result<i64, Fault> {
    let seconds = asked.unwrap_or(default_s);
    if seconds > limits::CREDENTIAL_OVERLAP_MAX_S {
        return Err(Fault::Invalid { field: "overlap_seconds", reason: "0 to 2592000 (30 days)" });
    }
    Ok(i64::try_from(seconds).unwrap_or(0) * 1000)
}

/// The account and all accounts of its merchant.
async fn find(
    api: &Api,
    merchant: &TenantId,
    account_id: &str,
) -> Result<(ConnectorAccount, Vec<ConnectorAccount>), Fault> {
    let all = api.engine.accounts(merchant).await?;
    let found = all.iter().find(|account| account.account_id == account_id).cloned();
    Ok((found.ok_or(Fault::NotFound("Merchant connector account"))?, all))
}

fn show_with(account: &ConnectorAccount, probed: Option<Probed>) -> Value {
    let mut shown = show(account);
    if let Some(probed) = probed {
        let word = if probed == Probed::Accepted { "accepted" } else { "unknown" };
        shown["verification"] = word.into();
    }
    shown
}

fn show(account: &ConnectorAccount) -> Value {
    json!({
        "merchant_connector_id": account.account_id,
        "merchant_id": account.merchant_id,
        "connector_type": "payment_processor",
        "connector_name": account.connector,
        "connector_label": account.label,
        "connector_account_details": {"auth_type": "HeaderKey", "api_key": "********"},
        "connector_webhook_details": account.has_webhook_secret.then(|| json!({"merchant_secret": "********"})),
        "accepts": show_accepts(&account.accepts),
        "destination": account.destination(),
        "test_mode": account.test_mode,
        "disabled": account.disabled,
        "status": if account.disabled { "inactive" } else { "active" },
        "rotated_at": account.rotated_ms.map(rfc3339),
        "created_at": rfc3339(account.created_ms),
    })
}

fn show_accepts(accepts: &Accepts) -> Value {
    json!({
        "currencies": accepts.currencies,
        "countries": accepts.countries,
        "card_networks": accepts.card_networks.iter().filter_map(|brand| word(*brand)).collect::<Vec<_>>(),
        "minimum_amount": accepts.minimum_amount,
        "maximum_amount": accepts.maximum_amount,
    })
}
