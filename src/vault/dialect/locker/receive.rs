//! Who sent a message: its caller by `x-tenant-id`, shown by the signature inside it and, where the listener asks for one, by
//! the client certificate around it. Everybody who is turned away here is an entry in the audit log first.

use actix_web::http::header::HeaderMap;
use actix_web::{HttpMessage as _, HttpRequest};
use strongroom_keys::jose::{self, KeyIds};
use strongroom_wire::{Kind, RequestId, TenantId};
use zeroize::Zeroizing;

use super::door::{Caller, Door, Speech};
use crate::api::problem::Refusal;
use crate::api::{Body, Peer, State};
use crate::flow::{Asker, FlowError};
use crate::policy::{Denied, Note, Principal};

/// A message whose sender is known.
pub(super) struct Came<'a> {
    pub(super) caller: &'a Caller,
    pub(super) plain: Zeroizing<Vec<u8>>,
    asker: Asker,
}

impl Door {
    /// Opens a request.
    ///
    /// # Errors
    /// A [`Refusal`] in plain, since nobody is known to seal it to.
    pub(super) async fn receive(&self, state: &State, request: &HttpRequest, body: &Body) -> Result<Came<'_>, Refusal> {
        let now_ms = state.vault.now_ms();
        let peer = request.conn_data::<Peer>();
        let request_id = request.extensions().get::<RequestId>().copied().unwrap_or_else(RequestId::fresh);
        let origin = peer.map(Peer::ip);
        let nobody = |words: &'static str| Denied::unidentified(request_id, origin, Note::words(words), now_ms);
        let Some(caller) = self.named(request.headers()) else {
            let detail = "send x-tenant-id once, as it stands in [locker.caller] of the vault's configuration";
            let refusal = Refusal::new(Kind::InvalidField, detail).at("x-tenant-id");
            return Err(recorded(state, nobody("no caller"), refusal).await);
        };
        let other_key = || Denied::other_key(caller.identity.clone(), request_id, origin, now_ms);
        let unknown = |detail| Refusal::new(Kind::Unauthenticated, detail);
        if self.client_certificates {
            let shown = peer.and_then(|peer| peer.identity(&state.clients, now_ms));
            let Some((_, key)) = shown.filter(|(uri, _)| *uri == caller.identity.as_str()) else {
                let detail = "the client certificate is not of the identity that this x-tenant-id stands for";
                return Err(recorded(state, nobody("certificate of another"), unknown(detail)).await);
            };
            if !state.vault.policy.admits(&caller.identity, key) {
                return Err(recorded(state, other_key(), unknown(PINNED)).await);
            }
        }
        let (plain, key) = match &caller.speech {
            Speech::Plain => (body.0.clone(), peer.and_then(Peer::key)),
            Speech::Jose { key, id, .. } => {
                let ids = KeyIds { own: self.own_id.as_deref(), other: id };
                let Ok(message) = jose::open(&self.own, key, ids, &body.0) else {
                    let refusal = Refusal::new(Kind::Malformed, UNOPENED);
                    return Err(recorded(state, nobody("message not opened"), refusal).await);
                };
                if !state.vault.policy.admits(&caller.identity, &key.pin()) {
                    return Err(recorded(state, other_key(), unknown(PINNED)).await);
                }
                if !self.seen.is_first(message.mark) {
                    let refusal = Refusal::new(Kind::Conflict, "this message came before; seal each one anew");
                    return Err(recorded(state, nobody("message came twice"), refusal).await);
                }
                (message.payload, Some(key.pin()))
            }
        };
        let who = Principal::Identity(caller.identity.clone());
        Ok(Came { caller, plain, asker: Asker { who, tenant: None, request: request_id, origin, key } })
    }

    fn named(&self, headers: &HeaderMap) -> Option<&Caller> {
        let mut values = headers.get_all(TENANT);
        match (values.next(), values.next()) {
            (Some(value), None) => self.callers.iter().find(|caller| value.as_bytes() == caller.tenant_id.as_bytes()),
            (None, _) if self.callers.len() == 1 => self.callers.first(),
            _ => None,
        }
    }
}

impl Came<'_> {
    /// Who asks, for the tenant of a merchant, or for the caller's own where the request names none.
    ///
    /// # Errors
    /// [`Kind::InvalidField`] if there is no tenant for it.
    pub(super) fn asker(&self, merchant: Option<&str>) -> Result<Asker, Refusal> {
        let tenant: TenantId = match merchant {
            Some(merchant) => match self.caller.merchants.get(merchant) {
                Some(tenant) => tenant.clone(),
                None => merchant.parse().map_err(|_| {
                    let detail =
                        "this merchant's name is no tenant's; name its tenant in [locker.caller.NAME.merchants]";
                    Refusal::new(Kind::InvalidField, detail).at("merchant_id")
                })?,
            },
            None => self.caller.tenant.clone().ok_or_else(|| {
                let detail = "the request names no merchant; say in locker.caller.NAME.tenant whose card it is";
                Refusal::new(Kind::InvalidField, detail).at("x-tenant-id")
            })?,
        };
        Ok(Asker { tenant: Some(tenant), ..self.asker.clone() })
    }

    /// Who asks, for no tenant.
    pub(super) fn asker_of_none(&self) -> Asker {
        self.asker.clone()
    }
}

/// The refusal, once it is an entry. If that cannot be recorded the answer says so instead.
async fn recorded(state: &State, denied: Denied, refusal: Refusal) -> Refusal {
    match state.vault.audit.record_refusal(denied).await {
        Ok(_) => refusal,
        Err(not_recorded) => FlowError::from(not_recorded).into(),
    }
}

const TENANT: &str = "x-tenant-id";
const PINNED: &str = "the policy pins this identity to another public key";
const UNOPENED: &str = "the message could not be opened: seal a JWS with RS256 and your kid inside a JWE with RSA-OAEP-256 and \
                        A256GCM to the vault's key";
