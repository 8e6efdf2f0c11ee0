//! The merchant's key for card fields: made here, kept in the vault, shown once.

use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use base64::Engine as _;
use serde::Deserialize;
use serde_json::{Value, json};
use strongroom_wire::limits;
use zeroize::Zeroizing;

use super::answer::{Said, reply};
use super::charges::{KEY, server};
use crate::account::TooManySecrets;
use crate::api::Api;
use crate::api::answer::Refusal;
use crate::api::body::{self, Bounded};
use crate::clock::rfc3339;
use crate::ids::NoRandomness;
use crate::intent::Fault;
use crate::store::StoreError;

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RotateBody {
    overlap_seconds: Option<u64>,
}

/// `POST /encryption-keys/rotate`. The new key is in this one answer and nowhere else; those before it open fields beside it
/// until the overlap ends.
pub(super) async fn rotate(api: Data<Api>, request: HttpRequest, body: Result<Bounded, Refusal>) -> HttpResponse {
    reply(&request, make(&api, &request, body).await)
}

async fn make(api: &Api, request: &HttpRequest, body: Result<Bounded, Refusal>) -> Result<Said, Refusal> {
    let merchant_id = server(api, request).await?;
    if request.headers().contains_key(KEY) {
        let message = format!("{KEY} is not taken here, because no secret is kept for it: rotate again");
        return Err(Refusal::new(400, "IR_19", message));
    }
    let asked: RotateBody = body::read(&body?.0)?;
    let overlap_s = asked.overlap_seconds.unwrap_or(limits::WEBHOOK_OVERLAP_S);
    if overlap_s > limits::WEBHOOK_OVERLAP_MAX_S {
        return Err(Fault::Invalid { field: "overlap_seconds", reason: "at most 604800 (seven days)" }.into());
    }
    let overlap_ms = i64::try_from(overlap_s).unwrap_or(0) * 1000;
    let (engine, store) = (&api.engine, api.engine.store());
    let key = fresh_key().map_err(Fault::from)?;
    let id = engine.vault().store_secret(&merchant_id, NAME, &key).await.map_err(Fault::from)?;
    // Should it not come to be used.
    engine.forget_webhook_secret(&merchant_id, id, engine.now_ms() + UNUSED_MS).await?;
    for _ in 0..SAVES_MAX {
        let now = engine.now_ms();
        let seen = store.merchant(&merchant_id).await?.ok_or(Fault::Internal)?;
        let mut merchant = seen.clone();
        let ended = merchant.encryption.rotate(id, now, overlap_ms).map_err(|TooManySecrets| {
            Fault::Precondition(
                "As many encryption keys are valid as are allowed (3): wait for one to end or set overlap_seconds to 0",
            )
        })?;
        let keys = merchant.encryption.keys.iter();
        let ends: Vec<_> = keys.filter_map(|key| Some((key.secret_id, key.ends_ms?))).collect();
        // Before the change: afterwards nothing may keep the answer, which alone has the new key, from its caller. What is
        // still valid when its time has come is not deleted.
        for (id, at_ms) in ends.iter().copied().chain(ended.into_iter().map(|id| (id, now))) {
            engine.forget_webhook_secret(&merchant_id, id, at_ms).await?;
        }
        match store.save_merchant(&merchant, &seen).await {
            Ok(()) => {
                let data = json!({
                    "encryption_key": key.as_str(),
                    "created_datetime": rfc3339(now),
                    "former_keys_end_at": ends.iter().map(|(_, end)| *end).max().map_or(Value::Null, |end| rfc3339(end).into()),
                });
                return Ok(Said { status: 201, message: "Encryption key created", data });
            }
            Err(StoreError::Conflict) => {}
            Err(other) => return Err(other.into()),
        }
    }
    Err(Fault::Busy.into())
}

/// 256 random bits as base64 in the standard alphabet, which is how the dialect gives a key.
fn fresh_key() -> Result<Zeroizing<String>, NoRandomness> {
    let mut random = Zeroizing::new([0u8; 32]);
    getrandom::fill(random.as_mut()).map_err(|_| NoRandomness)?;
    let mut text = Zeroizing::new(String::with_capacity(KEY_TEXT_CHARS));
    base64::engine::general_purpose::STANDARD.encode_string(random.as_ref(), &mut text);
    Ok(text)
}

/// Its name in the vault.
const NAME: &str = "encryption";
const KEY_TEXT_CHARS: usize = 44;
/// How long a new key waits for its merchant's record to name it, in milliseconds.
const UNUSED_MS: i64 = 600_000;
/// How often a rotation is stored again because somebody else changed the merchant meanwhile.
const SAVES_MAX: usize = 5;
