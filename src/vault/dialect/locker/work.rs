//! What is asked for, translated into flows and back.

use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::{Value, json};
use strongroom_wire::payment_method::PaymentMethod;
use strongroom_wire::{Kind, TenantId};
use zeroize::Zeroizing;

use super::door::Door;
use super::receive::Came;
use crate::api::problem::Refusal;
use crate::api::{Body, State, whole};
use crate::card::Incoming;
use crate::card::locker::{Add, Asked, Named, Version, retrieved};
use crate::flow::reveal::Release;
use crate::flow::tokenize::Tokenized;
use crate::flow::{FlowError, StoreFault, delete, fingerprint, reveal, tenant, tokenize};
use crate::policy::Note;

/// What a route does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Work {
    Add(Version),
    Retrieve(Version),
    Delete(Version),
    Fingerprint,
}

type Written = Zeroizing<Vec<u8>>;

/// One request from its message to its answer.
pub(super) async fn answer(
    door: web::Data<Door>,
    state: web::Data<State>,
    request: HttpRequest,
    body: Body,
    work: Work,
) -> Result<HttpResponse, Refusal> {
    let came = door.receive(&state, &request, &body).await?;
    drop(body);
    let done = match work {
        Work::Add(version) => add(&state, &came, version).await,
        Work::Retrieve(version) => retrieve(&state, &came, version).await,
        Work::Delete(version) => remove(&state, &came, version).await,
        Work::Fingerprint => print(&state, &came).await,
    };
    door.answer(came.caller, done)
}

/// The same card of the same customer has one reference, however many ask for it at once.
async fn add(state: &State, came: &Came<'_>, version: Version) -> Result<Written, Refusal> {
    let mut turns = TURNS;
    let mut may_provision = came.caller.provision;
    loop {
        let Add { merchant, reference, body } = Add::parse(version, &came.plain, state.vault.now_ms())?;
        let asker = came.asker(merchant.as_deref())?;
        let customer = body.customer.clone();
        turns -= 1;
        match tokenize::tokenize_as(&state.vault, &asker, None, Incoming::Clear(body), reference).await {
            Ok(done) => {
                let known: PaymentMethod = serde_json::from_slice(&done.json).map_err(|_| unwritten())?;
                let token = known.payment_method_id.to_string();
                return written(&match version {
                    Version::V1 => json!({"status": "Ok", "payload": {
                        "card_reference": token, "duplication_check": duplication(&done), "dedup": null,
                    }}),
                    Version::V2 => json!({"entity_id": customer, "vault_id": token}),
                });
            }
            Err(FlowError::NotFound | FlowError::Store(StoreFault::NoTenant)) if may_provision => {
                may_provision = false;
                register(state, came, asker.tenant).await?;
            }
            // Others change the same card; each turn lets one of them through at least.
            Err(FlowError::Conflict(_)) if reference.is_none() && turns > 0 => {}
            Err(error) => return Err(error.into()),
        }
    }
}

fn duplication(done: &Tokenized) -> Option<&'static str> {
    match (done.is_new, done.is_changed) {
        (true, _) => None,
        (false, false) => Some("duplicated"),
        (false, true) => Some("meta_data_changed"),
    }
}

async fn register(state: &State, came: &Came<'_>, tenant: Option<TenantId>) -> Result<(), Refusal> {
    let (vault, asker) = (Arc::clone(&state.vault), came.asker_of_none());
    let Some(tenant) = tenant else { return Err(FlowError::NotFound.into()) };
    whole(async move { tenant::provision(&vault, &asker, tenant).await }).await.map(drop)
}

async fn retrieve(state: &State, came: &Came<'_>, version: Version) -> Result<Written, Refusal> {
    let named = Named::parse(version, &came.plain)?;
    let asker = came.asker(named.merchant.as_deref())?;
    let token = named.token.ok_or(FlowError::NotFound)?;
    let how = Release {
        note: Note::words("locker"),
        keyed: None,
        cvc_token: None,
        customer: Some(&named.customer),
        with_notes: true,
    };
    let write = |card: &crate::card::Card, _: Option<&crate::card::Cvc>, notes: &_| retrieved(version, card, notes);
    Ok(reveal::release(&state.vault, &asker, token, how, write).await?.json)
}

/// Deleting what is not there is the same as deleting it.
async fn remove(state: &State, came: &Came<'_>, version: Version) -> Result<Written, Refusal> {
    let named = Named::parse(version, &came.plain)?;
    let asker = came.asker(named.merchant.as_deref())?;
    if let Some(token) = named.token {
        match delete::delete_of(&state.vault, &asker, token, Some(&named.customer)).await {
            Ok(()) | Err(FlowError::NotFound) => {}
            Err(error) => return Err(error.into()),
        }
    }
    written(&match version {
        Version::V1 => json!({"status": "Ok"}),
        Version::V2 => json!({"entity_id": named.customer, "vault_id": named.text}),
    })
}

async fn print(state: &State, came: &Came<'_>) -> Result<Written, Refusal> {
    let Asked { what, key, is_older } = Asked::parse(&came.plain)?;
    let asker = came.asker(None)?;
    let made = fingerprint::of_caller(&state.vault, &asker, key.as_bytes(), what.as_bytes()).await?;
    let name = if is_older { "card_fingerprint" } else { "fingerprint_id" };
    written(&json!({ name: in_letters(&made) }))
}

/// Twenty letters and digits, as the dialect's fingerprints are: 119 bits of it.
fn in_letters(made: &[u8; 32]) -> String {
    let mut left = u128::from_be_bytes(std::array::from_fn(|place| made[place]));
    let mut out = String::with_capacity(FINGERPRINT_CHARS);
    for _ in 0..FINGERPRINT_CHARS {
        // A remainder of 62 fits a byte.
        out.push(char::from(match u8::try_from(left % 62).unwrap_or(0) {
            digit @ 0..10 => b'0' + digit,
            large @ 10..36 => b'A' + large - 10,
            small => b'a' + small - 36,
        }));
        left /= 62;
    }
    out
}

fn written(value: &Value) -> Result<Written, Refusal> {
    serde_json::to_vec(value).map(Zeroizing::new).map_err(|_| unwritten())
}

pub(super) fn unwritten() -> Refusal {
    Refusal::new(Kind::Internal, "the answer could not be written")
}

/// How the status of an answer without a fault is.
pub(super) const DONE: StatusCode = StatusCode::OK;

const FINGERPRINT_CHARS: usize = 20;
/// How often a card is looked at again that others change.
const TURNS: u32 = 4;

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_fingerprint_is_twenty_letters_and_digits_and_all_of_them_count() {
        let all: BTreeSet<String> = (0..=255_u8).map(|byte| in_letters(&[byte; 32])).collect();
        assert_eq!(all.len(), 256);
        for text in &all {
            assert!(text.len() == FINGERPRINT_CHARS && text.bytes().all(|byte| byte.is_ascii_alphanumeric()));
        }
        let mut one = [0; 32];
        one[0] = 1;
        assert_ne!(in_letters(&one), in_letters(&[0; 32]));
    }
}
