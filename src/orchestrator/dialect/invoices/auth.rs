//! Who calls: `Authorization: Basic` with the project id and a secret (an API key) for the merchant's server, or with the
//! publishable key alone for a page.

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header;
use actix_web::middleware::Next;
use actix_web::web::Data;
use actix_web::{Error, HttpMessage as _, HttpRequest};
use base64::Engine as _;
use strongroom_wire::TenantId;
use zeroize::Zeroizing;

use super::InvoicesConfig;
use super::wrong::Wrong;
use crate::api::Api;
use crate::api::who::{PUBLISHABLE_PREFIX, Page, server_of};
use crate::dialect::pace::{Pace, Standing};
use crate::ids;
use crate::intent::{Asker, Fault};

/// How often keys may ask: a bucket for each API key, and a smaller one for each publishable key, which everybody can read.
pub(super) struct Rates {
    servers: Pace,
    pages: Pace,
}

impl Rates {
    pub(super) fn new(config: &InvoicesConfig) -> Self {
        let (all, page) = (config.requests_per_minute.max(1), config.page_requests_per_minute);
        let burst = u64::from(config.burst) * u64::from(page) / u64::from(all);
        let burst = u32::try_from(burst).unwrap_or(config.burst).min(config.burst);
        Self { servers: Pace::new(all, config.burst), pages: Pace::new(page, burst) }
    }
}

/// A caller whose key was found good.
pub(super) struct Caller {
    pub(super) merchant: TenantId,
    pub(super) asker: Asker,
}

/// The merchant's server, or a page of the merchant. Only keys that are good are counted, so that nobody fills the table with
/// others.
pub(super) async fn caller(api: &Api, request: &HttpRequest) -> Result<Caller, Wrong> {
    let pair = basic(request).ok_or_else(Wrong::unauthorized)?;
    let (project, secret) = pair.split_once(':').ok_or_else(Wrong::unauthorized)?;
    // Only browsers name an origin, with every request that goes from a page to another host.
    let origin = request.headers().get(header::ORIGIN);
    let store = api.engine.store();
    if secret.is_empty() {
        if !project.starts_with(PUBLISHABLE_PREFIX) {
            return Err(Wrong::unauthorized());
        }
        let merchant = store.merchant_of_publishable_key(project).await?.ok_or_else(Wrong::unauthorized)?;
        if let Some(origin) = origin {
            let page = merchant.allowed_origins.iter().find(|one| one.as_bytes() == origin.as_bytes());
            let page = page.cloned().ok_or_else(|| Wrong::new(403, FORBIDDEN, NOT_A_PAGE))?;
            request.extensions_mut().insert(Page(page));
        }
        count(api, request, Asker::Browser, project)?;
        return Ok(Caller { merchant: merchant.merchant_id, asker: Asker::Browser });
    }
    if origin.is_some() {
        return Err(Wrong::new(403, FORBIDDEN, NOT_IN_A_PAGE));
    }
    let merchant = server_of(api, secret).await?;
    let named = project == merchant.as_str() || {
        let known = store.merchant(&merchant).await?;
        known.is_some_and(|known| known.publishable_key == project)
    };
    if !named {
        return Err(Wrong::unauthorized());
    }
    count(api, request, Asker::Merchant, secret)?;
    Ok(Caller { merchant, asker: Asker::Merchant })
}

/// Counts a request of this key, and notes for [`tell`] how the key stands.
fn count(api: &Api, request: &HttpRequest, asker: Asker, key: &str) -> Result<(), Wrong> {
    let rates = request.app_data::<Data<Rates>>().ok_or(Fault::Internal)?;
    let pace = if asker == Asker::Browser { &rates.pages } else { &rates.servers };
    let standing = pace.count(ids::key_hash(key), api.engine.now_ms());
    request.extensions_mut().insert(standing);
    if standing.wait_s.is_none() {
        return Ok(());
    }
    let message = "More requests come with this key than may: wait as long as Retry-After says";
    Err(Wrong::new(429, "request.rate-limited", message))
}

/// Says in an answer how the key of its request stands, where one was counted.
pub(super) async fn tell(
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let mut answer = next.call(request).await?;
    let standing = answer.request().extensions().get::<Standing>().copied();
    if let Some(standing) = standing {
        standing.tell(answer.headers_mut());
    }
    Ok(answer)
}

/// Only the merchant's server.
pub(super) async fn server(api: &Api, request: &HttpRequest) -> Result<TenantId, Wrong> {
    let caller = caller(api, request).await?;
    if caller.asker == Asker::Merchant {
        Ok(caller.merchant)
    } else {
        Err(Wrong::new(403, FORBIDDEN, "Only the merchant's server may do that, with its project id and secret"))
    }
}

fn basic(request: &HttpRequest) -> Option<Zeroizing<String>> {
    let text = request.headers().get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, pair) = text.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") || pair.len() > BASIC_CHARS_MAX {
        return None;
    }
    let mut bytes = Zeroizing::new(Vec::with_capacity(BASIC_CHARS_MAX));
    base64::engine::general_purpose::STANDARD.decode_vec(pair, &mut bytes).ok()?;
    std::str::from_utf8(&bytes).ok().map(|text| Zeroizing::new(text.to_owned()))
}

/// Longest project id and secret in base64.
const BASIC_CHARS_MAX: usize = 512;
const FORBIDDEN: &str = "request.authorization.forbidden";
const NOT_A_PAGE: &str = "Pages of this origin may not act for the merchant: add it to allowed_origins of the account";
const NOT_IN_A_PAGE: &str = "A secret does not work in a page, where everybody can read it: revoke it if it stands in one, \
    and send the publishable key alone";
