//! Where a merchant wants its events: settings and secrets, by the admin key.

use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use strongroom_wire::{SecretId, limits};
use zeroize::Zeroizing;

use super::accounts::{known, origins};
use super::answer::{Answer, Refusal};
use super::body::Bounded;
use super::once::without_key;
use super::{Api, body, who};
use crate::account::{Merchant, TooManySecrets, WebhookSettings};
use crate::clock::rfc3339;
use crate::ids;
use crate::intent::Fault;
use crate::store::StoreError;
use crate::view;
use crate::webhook::{EventType, callable};

/// `webhook_details` of a merchant. A part that is absent stays as it is.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct WebhookDetails {
    #[serde(deserialize_with = "present")]
    webhook_url: Option<Option<String>>,
    events: Option<Vec<String>>,
}

/// Tells `null` from absent.
fn present<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Option<String>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

/// A secret that was made and that only one answer shows.
pub(super) struct NewSecret {
    id: SecretId,
    text: Zeroizing<String>,
}

/// Puts the details into the settings.
pub(super) fn change(api: &Api, settings: &mut WebhookSettings, details: WebhookDetails) -> Result<(), Fault> {
    if let Some(url) = details.webhook_url {
        let field = "webhook_details.webhook_url";
        let url = body::text(field, url, limits::URL_BYTES_MAX)?;
        if url.as_ref().is_some_and(|url| callable(url, api.webhook_reach).is_none()) {
            let reason = "a public https address without user name and fragment; null for none";
            return Err(Fault::Invalid { field, reason });
        }
        settings.url = url;
    }
    if let Some(events) = details.events {
        let known = events.iter().all(|word| EventType::of_word(word).is_some());
        let twice = events.iter().enumerate().any(|(place, word)| events[..place].contains(word));
        if !known || twice {
            let reason = "types of events, each once; an empty list means every type";
            return Err(Fault::Invalid { field: "webhook_details.events", reason });
        }
        settings.events = events;
    }
    Ok(())
}

/// A secret for settings that need one and have none, so that nothing is ever sent unsigned.
pub(super) async fn first_secret(api: &Api, merchant: &Merchant) -> Result<Option<NewSecret>, Fault> {
    if merchant.webhooks.url.is_none() || !merchant.webhooks.secrets.is_empty() {
        return Ok(None);
    }
    new_secret(api, merchant).await.map(Some)
}

/// Takes a first secret into the settings.
pub(super) fn adopt(settings: &mut WebhookSettings, secret: &NewSecret, now_ms: i64) {
    // There is no other one, so the limit is far.
    let _none_ended = settings.rotate(secret.id, now_ms, 0);
}

async fn new_secret(api: &Api, merchant: &Merchant) -> Result<NewSecret, Fault> {
    let text = ids::fresh_secret(SECRET_PREFIX)?;
    let id = api.engine.vault().store_secret(&merchant.merchant_id, SECRET_NAME, &text).await?;
    // Should the merchant not come to use it.
    api.engine.forget_webhook_secret(&merchant.merchant_id, id, api.engine.now_ms() + UNUSED_MS).await?;
    Ok(NewSecret { id, text })
}

/// The merchant as an answer; with a secret that is new.
pub(super) fn show(merchant: &Merchant, secret: Option<&NewSecret>) -> Answer {
    let mut shown = view::merchant(merchant);
    if let Some(secret) = secret {
        shown["webhook_details"]["webhook_secret"] = Value::from(secret.text.as_str());
    }
    Answer::ok(&shown)
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct UpdateBody {
    merchant_name: Option<String>,
    metadata: Option<Map<String, Value>>,
    webhook_details: Option<WebhookDetails>,
    allowed_origins: Option<Vec<String>>,
}

/// `POST /accounts/{merchant_id}`.
pub(crate) async fn update_merchant(
    api: Data<Api>,
    request: HttpRequest,
    id: Path<String>,
    Bounded(bytes): Bounded,
) -> Result<HttpResponse, Refusal> {
    who::admin(&api, &request)?;
    without_key(&request, "the change can be made again, and a secret that you did not receive rotated")?;
    let asked: UpdateBody = body::read(&bytes)?;
    let seen = known(&api, &id).await?;
    let mut merchant = seen.clone();
    if asked.merchant_name.is_some() {
        merchant.merchant_name = body::text("merchant_name", asked.merchant_name, limits::PAYMENT_TEXT_BYTES_MAX)?;
    }
    if asked.metadata.is_some() {
        merchant.metadata = body::metadata(asked.metadata)?;
    }
    if let Some(asked) = asked.allowed_origins {
        merchant.allowed_origins = origins(asked)?;
    }
    if let Some(details) = asked.webhook_details {
        change(&api, &mut merchant.webhooks, details)?;
    }
    let secret = first_secret(&api, &merchant).await?;
    if let Some(secret) = &secret {
        adopt(&mut merchant.webhooks, secret, api.engine.now_ms());
    }
    api.engine.store().save_merchant(&merchant, &seen).await?;
    Ok(show(&merchant, secret.as_ref()).into())
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RotateBody {
    overlap_seconds: Option<u64>,
}

/// `POST /accounts/{merchant_id}/webhook_secret/rotate`. The new secret is in this one answer and nowhere else; those
/// before it sign beside it until the overlap ends.
pub(crate) async fn rotate_secret(
    api: Data<Api>,
    request: HttpRequest,
    id: Path<String>,
    Bounded(bytes): Bounded,
) -> Result<HttpResponse, Refusal> {
    who::admin(&api, &request)?;
    without_key(&request, "rotate again for a secret that you did not receive")?;
    let asked: RotateBody = body::read(&bytes)?;
    let overlap_s = asked.overlap_seconds.unwrap_or(limits::WEBHOOK_OVERLAP_S);
    if overlap_s > limits::WEBHOOK_OVERLAP_MAX_S {
        return Err(Fault::Invalid { field: "overlap_seconds", reason: "at most 604800 (seven days)" }.into());
    }
    let overlap_ms = i64::try_from(overlap_s).unwrap_or(0) * 1000;
    let mut seen = known(&api, &id).await?;
    let secret = new_secret(&api, &seen).await?;
    for _ in 0..SAVES_MAX {
        let now = api.engine.now_ms();
        let mut merchant = seen.clone();
        let ended = merchant.webhooks.rotate(secret.id, now, overlap_ms).map_err(|TooManySecrets| {
            Fault::Precondition(
                "As many webhook secrets are valid as are allowed (3): wait for one to end or set overlap_seconds to 0",
            )
        })?;
        // Before the change: afterwards nothing may keep the answer, which alone has the new secret, from its caller. What
        // still signs when its time has come is not deleted.
        let secrets = merchant.webhooks.secrets.iter();
        let ending = secrets.filter_map(|secret| Some((secret.secret_id, secret.ends_ms?)));
        for (id, at_ms) in ending.chain(ended.into_iter().map(|id| (id, now))) {
            api.engine.forget_webhook_secret(&merchant.merchant_id, id, at_ms).await?;
        }
        match api.engine.store().save_merchant(&merchant, &seen).await {
            Ok(()) => {
                let mut shown = json!({
                    "merchant_id": merchant.merchant_id,
                    "webhook_secret": secret.text.as_str(),
                    "created_at": rfc3339(now),
                });
                let ends = merchant.webhooks.secrets.iter().filter_map(|secret| secret.ends_ms).max();
                shown["former_secrets_end_at"] = ends.map(rfc3339).into();
                return Ok(Answer::ok(&shown).into());
            }
            Err(StoreError::Conflict) => seen = known(&api, &id).await?,
            Err(other) => return Err(other.into()),
        }
    }
    Err(Fault::Busy.into())
}

/// How webhook secrets begin.
const SECRET_PREFIX: &str = "whsec_";
/// Their name in the vault.
const SECRET_NAME: &str = "webhook";
/// How long a new secret waits for its merchant to use it, in milliseconds.
const UNUSED_MS: i64 = 600_000;
/// How often a rotation is stored again because somebody else changed the merchant meanwhile.
const SAVES_MAX: usize = 5;
