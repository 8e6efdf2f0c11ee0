//! Who asks: an identity from the client certificate, or a client session from the browser.

use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;

use actix_web::dev::Payload;
use actix_web::http::header::{self, HeaderMap};
use actix_web::{FromRequest, HttpMessage as _, HttpRequest, web};
use strongroom_wire::{Kind, RequestId, TenantId, header as ours};

use super::connection::Peer;
use super::problem::Refusal;
use super::state::State;
use crate::flow::{Asker, IdempotencyKey};
use crate::policy::{Denied, Identity, Note, Principal, SessionClaims};

/// A request whose sender is known.
pub(super) struct Call {
    pub(super) state: web::Data<State>,
    pub(super) asker: Asker,
    pub(super) key: Option<IdempotencyKey>,
}

/// A request with a client session.
pub(super) struct SessionCall {
    pub(super) call: Call,
    /// The origin to name in `Access-Control-Allow-Origin`.
    pub(super) origin: Option<String>,
}

type Pending<T> = Pin<Box<dyn Future<Output = Result<T, Refusal>>>>;

impl FromRequest for Call {
    type Error = Refusal;
    type Future = Pending<Self>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let context = Context::of(request);
        let shown = request.conn_data::<Peer>().and_then(|peer| {
            let state = context.state.as_ref()?;
            let (uri, key) = peer.identity(&state.clients, state.vault.now_ms())?;
            let identity = Identity::parse(uri).ok()?;
            let is_pinned_elsewhere = !state.vault.policy.admits(&identity, key);
            Some((identity, is_pinned_elsewhere))
        });
        let headers = tenant_and_key(request.headers());
        Box::pin(async move {
            let Some((identity, is_pinned_elsewhere)) = shown else {
                let detail = "the client certificate names nobody, has expired or is revoked; \
                              present one with exactly one URI SAN like spiffe://strongroom/orchestrator/main";
                return Err(context.unidentified("no identity", Kind::Unauthenticated, detail).await);
            };
            if is_pinned_elsewhere {
                return Err(context.other_key(identity).await);
            }
            let (tenant, key) = headers?;
            context.call(Principal::Identity(identity), tenant, key)
        })
    }
}

impl FromRequest for SessionCall {
    type Error = Refusal;
    type Future = Pending<Self>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let context = Context::of(request);
        let headers = tenant_and_key(request.headers());
        let origin = text(request.headers(), &header::ORIGIN);
        let bearer = text(request.headers(), &header::AUTHORIZATION)
            .and_then(|text| text.strip_prefix("Bearer ").map(str::to_owned))
            .map(zeroize::Zeroizing::new);
        Box::pin(async move {
            let state = context.state.clone().ok_or_else(no_state)?;
            if let Some(ip) = context.origin
                && let Err(seconds) = state.intake_rate.count(ip, state.vault.now_ms())
            {
                let detail = "this address sent as many requests as it may in a minute";
                return Err(Refusal::new(Kind::RateLimited, detail).retry_after(seconds));
            }
            if !state.vault.barrier_is_unsealed() {
                return Err(crate::flow::FlowError::Sealed.into());
            }
            // A session that cannot be looked at is not one that is not valid.
            if state.vault.is_behind() {
                return Err(crate::flow::FlowError::Behind.into());
            }
            let Some(claims) = bearer.and_then(|text| state.vault.verify_session(&text)) else {
                let detail = "send Authorization: Bearer with the client_secret of a session that has not expired";
                return Err(context.unidentified("no session", Kind::SessionInvalid, detail).await);
            };
            if !allows(&claims, origin.as_deref(), state.public_origin.as_deref()) {
                let detail = "the session was not made for pages of this origin; name it in allowed_origins";
                return Err(context.unidentified("wrong origin", Kind::SessionInvalid, detail).await);
            }
            let (_, key) = headers?;
            let tenant = claims.tenant.clone();
            Ok(Self { call: context.call(claims.into(), Some(tenant), key)?, origin })
        })
    }
}

/// A browser names its page's origin; what is not a browser names none and is bound by the session alone. The vault's own
/// card fields post from the vault's own origin: browsers show that document on pages of a session's origins alone, and it
/// takes no session that was made for other pages than the one around it.
fn allows(claims: &SessionClaims, origin: Option<&str>, own: Option<&str>) -> bool {
    origin.is_none_or(|origin| own == Some(origin) || claims.origins.iter().any(|allowed| allowed == origin))
}

struct Context {
    state: Option<web::Data<State>>,
    request: RequestId,
    origin: Option<IpAddr>,
    /// SHA-256 of the public key of the client certificate.
    key: Option<[u8; 32]>,
}

impl Context {
    fn of(request: &HttpRequest) -> Self {
        Self {
            state: request.app_data::<web::Data<State>>().cloned(),
            request: request.extensions().get::<RequestId>().copied().unwrap_or_else(RequestId::fresh),
            origin: request.conn_data::<Peer>().map(Peer::ip),
            key: request.conn_data::<Peer>().and_then(Peer::key),
        }
    }

    fn call(self, who: Principal, tenant: Option<TenantId>, key: Option<IdempotencyKey>) -> Result<Call, Refusal> {
        let state = self.state.ok_or_else(no_state)?;
        Ok(Call { state, asker: Asker { who, tenant, request: self.request, origin: self.origin, key: self.key }, key })
    }

    /// Records that somebody without a name was turned away. If that cannot be recorded the answer says so instead.
    async fn unidentified(&self, words: &'static str, kind: Kind, detail: &'static str) -> Refusal {
        let Some(state) = &self.state else { return no_state() };
        let denied = Denied::unidentified(self.request, self.origin, Note::words(words), state.vault.now_ms());
        Self::refused(state, denied, kind, detail).await
    }

    /// Records that somebody came under a name that is pinned to another key.
    async fn other_key(&self, identity: Identity) -> Refusal {
        let Some(state) = &self.state else { return no_state() };
        let denied = Denied::other_key(identity, self.request, self.origin, state.vault.now_ms());
        let detail = "the policy pins this identity to another public key; if its key was replaced, add what `vaultctl pki \
                      pin` prints to its pins";
        Self::refused(state, denied, Kind::Unauthenticated, detail).await
    }

    async fn refused(state: &State, denied: Denied, kind: Kind, detail: &'static str) -> Refusal {
        match state.vault.audit.record_refusal(denied).await {
            Ok(_) => Refusal::new(kind, detail),
            Err(not_recorded) => crate::flow::FlowError::from(not_recorded).into(),
        }
    }
}

fn tenant_and_key(headers: &HeaderMap) -> Result<(Option<TenantId>, Option<IdempotencyKey>), Refusal> {
    // Which of two counts would be a matter of taste, and a proxy in between may have another one.
    for name in [ours::TENANT, ours::IDEMPOTENCY_KEY] {
        if headers.get_all(name).count() > 1 {
            return Err(Refusal::new(Kind::InvalidField, "the header stands twice; send it once").at(name));
        }
    }
    let tenant = match text(headers, ours::TENANT) {
        None => None,
        Some(text) => Some(text.parse().map_err(|bad: strongroom_wire::BadId| Refusal::from(bad).at(ours::TENANT))?),
    };
    let key = match text(headers, ours::IDEMPOTENCY_KEY) {
        None => None,
        Some(text) => {
            let key = text.parse::<IdempotencyKey>();
            Some(key.map_err(|bad| Refusal::new(Kind::InvalidField, bad.to_string()).at(ours::IDEMPOTENCY_KEY))?)
        }
    };
    Ok((tenant, key))
}

/// A header's text. One that is not text, or stands twice, becomes a text that nothing accepts.
fn text(headers: &HeaderMap, name: impl header::AsHeaderName) -> Option<String> {
    let mut values = headers.get_all(name);
    let first = values.next()?;
    let only = if values.next().is_none() { first.to_str().ok() } else { None };
    Some(only.unwrap_or("\u{0}").to_owned())
}

fn no_state() -> Refusal {
    Refusal::new(Kind::Internal, "the listener was set up without its state")
}
