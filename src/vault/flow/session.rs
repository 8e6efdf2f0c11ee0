//! Sessions: a browser may tokenize for one tenant, for a while, from named origins, and nothing else.

use strongroom_wire::admin::rfc3339_ms;
use strongroom_wire::limits;
use strongroom_wire::origin::is_origin;
use strongroom_wire::payment_method::{Session, SessionRequest};
use uuid::Uuid;
use zeroize::Zeroizing;

use super::idempotency::{Slot, tenant_of};
use super::{Asker, FlowError, IdempotencyKey, Vault};
use crate::policy::{CreateSession, Note, SessionClaims};

/// A client session as JSON ([`Session`]), and whether it was kept from an earlier request.
pub struct Made {
    /// The answer.
    pub json: Zeroizing<Vec<u8>>,
    /// See [`IdempotencyKey`].
    pub is_replay: bool,
}

/// Makes a session. It is a signed value, not a row: nothing is stored, and it ends by itself.
///
/// # Errors
/// [`FlowError::Field`] for an origin or a life out of range, and the others.
pub async fn create(
    vault: &Vault,
    asker: &Asker,
    key: Option<&IdempotencyKey>,
    raw: &[u8],
    request: SessionRequest,
) -> Result<Made, FlowError> {
    check_origins(&request.allowed_origins)?;
    let life_s = request.expires_in.unwrap_or(limits::SESSION_TTL_DEFAULT_S);
    if !(limits::SESSION_TTL_MIN_S..=limits::SESSION_TTL_MAX_S).contains(&life_s) {
        return Err(FlowError::Field { field: "expires_in", why: "expires_in is 10 to 3600 seconds" });
    }
    let permit = vault.permit_unsealed::<CreateSession>(asker, (), Note::none()).await?;
    let tenant = tenant_of(&permit)?;
    let slot = key.map(|key| Slot::of(vault, asker, &tenant, ROUTE, key, &[raw])).transpose()?;
    let _leave = match &slot {
        Some(_) => Some(vault.wraps.reserve(vault, &tenant).await?),
        None => None,
    };
    let warrant = vault.warrant(permit).await?;
    if let Some(slot) = &slot
        && let Some(json) = slot.find(vault).await?
    {
        return Ok(Made { json, is_replay: true });
    }
    let expires_ms = vault.now_ms() + life_s * 1000;
    let claims = SessionClaims {
        id: Uuid::new_v4(),
        tenant,
        customer: request.customer_id,
        origins: request.allowed_origins,
        expires_ms,
    };
    let client_secret = vault.barrier.make_session(&warrant, claims)?;
    let session = Session { client_secret, expires_at: rfc3339_ms(expires_ms) };
    let json = Zeroizing::new(serde_json::to_vec(&session).map_err(|_| FlowError::Crypto("answer"))?);
    let earlier = match &slot {
        Some(slot) => slot.keep(vault, &json).await?,
        None => None,
    };
    let is_replay = earlier.is_some();
    Ok(Made { json: earlier.unwrap_or(json), is_replay })
}

fn check_origins(origins: &[String]) -> Result<(), FlowError> {
    if origins.is_empty() || origins.len() > limits::SESSION_ORIGINS_MAX {
        return Err(FlowError::Field { field: "allowed_origins", why: "name 1 to 8 origins" });
    }
    if origins.iter().all(|origin| is_origin(origin)) {
        Ok(())
    } else {
        let why = "an origin is https://host or https://host:port, lower case, without path (http on localhost only)";
        Err(FlowError::Field { field: "allowed_origins", why })
    }
}

const ROUTE: &str = "sessions";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_many_or_no_origins_are_refused() {
        let one = "https://shop.example".to_owned();
        assert!(check_origins(&[]).is_err());
        assert!(check_origins(&vec![one.clone(); limits::SESSION_ORIGINS_MAX]).is_ok());
        assert!(check_origins(&vec![one; limits::SESSION_ORIGINS_MAX + 1]).is_err());
    }
}
