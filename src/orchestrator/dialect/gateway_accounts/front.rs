//! The gate in front of this door: which merchant's API key a request carries, and whether it comes too often.

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{Payload, ServiceRequest, ServiceResponse};
use actix_web::middleware::Next;
use actix_web::web::{Bytes, Data};
use actix_web::{Error, FromRequest, HttpMessage as _, HttpRequest, HttpResponse, ResponseError as _};
use futures_util::future::{LocalBoxFuture, Ready, ready};
use strongroom_wire::TenantId;
use subtle::ConstantTimeEq as _;

use super::fail::Fail;
use super::{GatewayAccountsConfig, OPENAPI_PATH};
use crate::api::body::Bounded;
use crate::api::{Api, who};
use crate::dialect::pace::Pace;
use crate::ids;

/// What all connections share.
pub(super) struct Front {
    pub(super) at: String,
    pub(super) manage_accounts: bool,
    pace: Pace,
}

impl Front {
    pub(super) fn new(config: &GatewayAccountsConfig) -> Self {
        Self {
            at: config.at.clone(),
            manage_accounts: config.manage_accounts,
            pace: Pace::new(config.requests_per_minute, config.burst),
        }
    }
}

/// The merchant whose server asks.
pub(super) struct Caller(pub(super) TenantId);

#[derive(Clone)]
struct Known(TenantId);

/// Lets a request in whose key is good and that does not come too often. Only keys that are good are counted, so that nobody
/// fills the table with others.
pub(super) async fn admit(
    api: Data<Api>,
    front: Data<Front>,
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    if request.path().strip_prefix(front.at.as_str()) == Some(OPENAPI_PATH) {
        return next.call(request).await.map(ServiceResponse::map_into_boxed_body);
    }
    let key = match key_of(request.request()) {
        Ok(key) => key,
        Err(fail) => return Ok(refuse(request, &fail)),
    };
    let merchant = match who::server_of(&api, &key).await {
        Ok(merchant) => merchant,
        Err(refusal) => return Ok(refuse(request, &refusal.into())),
    };
    let standing = front.pace.count(ids::key_hash(&key), api.engine.now_ms());
    drop(key);
    let mut answer = if standing.wait_s.is_some() {
        let message = "This API key makes more requests than it may: wait as long as Retry-After says";
        refuse(request, &Fail::new(429, "rateLimited", message))
    } else {
        request.extensions_mut().insert(Known(merchant));
        next.call(request).await?.map_into_boxed_body()
    };
    standing.tell(answer.headers_mut());
    Ok(answer)
}

/// The key under either name. The same name twice, or two names that say different things, are no key.
fn key_of(request: &HttpRequest) -> Result<zeroize::Zeroizing<String>, Fail> {
    // Only browsers name an origin, and everybody can read what stands in a page.
    if request.headers().contains_key("origin") {
        let message =
            "A server's API key does not work in a page, where everybody can read it: revoke it if it stands in one";
        return Err(Fail::new(403, "forbidden", message));
    }
    let mut found: Option<&[u8]> = None;
    for value in ["x-api-key", "api-key"].iter().flat_map(|name| request.headers().get_all(*name)) {
        match found {
            Some(first) if !bool::from(first.ct_eq(value.as_bytes())) => return Err(Fail::unauthorized()),
            _ => found = Some(value.as_bytes()),
        }
    }
    let key = found.and_then(|key| std::str::from_utf8(key).ok());
    let key = key.filter(|key| KEY_CHARS.contains(&key.len())).ok_or_else(Fail::unauthorized)?;
    Ok(zeroize::Zeroizing::new(key.to_owned()))
}

fn refuse(request: ServiceRequest, fail: &Fail) -> ServiceResponse<BoxBody> {
    request.into_response(fail.error_response())
}

impl FromRequest for Caller {
    type Error = Fail;
    type Future = Ready<Result<Self, Fail>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let known = request.extensions().get::<Known>().cloned();
        ready(known.map(|known| Self(known.0)).ok_or_else(Fail::unauthorized))
    }
}

/// The bytes of a body within the limit.
pub(super) struct Body(pub(super) Bytes);

impl FromRequest for Body {
    type Error = Fail;
    type Future = LocalBoxFuture<'static, Result<Self, Fail>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let bounded = Bounded::from_request(request, payload);
        Box::pin(async move { bounded.await.map(|Bounded(bytes)| Self(bytes)).map_err(Fail::from) })
    }
}

impl From<Fail> for HttpResponse {
    fn from(fail: Fail) -> Self {
        fail.error_response()
    }
}

/// How long an API key may be.
const KEY_CHARS: std::ops::RangeInclusive<usize> = 16..=256;
