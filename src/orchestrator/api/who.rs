//! Who calls: the operator by the admin key, a merchant's server by its API key, a browser by the publishable key and a
//! payment's client secret.

use actix_web::{HttpMessage as _, HttpRequest};
use strongroom_wire::TenantId;
use subtle::ConstantTimeEq;

use super::Api;
use super::answer::Refusal;
use crate::ids;
use crate::intent::{Asker, Event, Payment};

/// A caller whose key was found good.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    pub(crate) merchant: TenantId,
    pub(crate) asker: Asker,
    /// The merchant's pages, for a browser.
    pub(crate) origins: Vec<String>,
}

/// Stands in the request of a page that may act for the merchant: its origin, which may read the answer.
pub(crate) struct Page(pub(crate) String);

impl Caller {
    /// Only the merchant's server.
    pub(crate) fn server(self) -> Result<TenantId, Refusal> {
        if self.asker == Asker::Merchant { Ok(self.merchant) } else { Err(Refusal::unauthorized()) }
    }

    /// A browser must hold the client secret of the payment, and to act while it can still be confirmed be in time; how it
    /// stands afterwards it may see later, too, so that nobody who has paid is told to pay again. A server needs none but a
    /// wrong one is refused.
    pub(crate) fn may_touch(&self, payment: &Payment, secret: Option<&str>, now_ms: i64) -> Result<(), Refusal> {
        match secret {
            None if self.asker == Asker::Merchant => Ok(()),
            None => Err(Refusal::new(400, "IR_08", "client_secret was not provided")),
            Some(secret) if !bool::from(secret.as_bytes().ct_eq(payment.client_secret.as_bytes())) => {
                Err(Refusal::new(
                    400,
                    "IR_09",
                    "The client_secret provided does not match the client_secret associated with the Payment",
                ))
            }
            Some(_)
                if self.asker == Asker::Browser
                    && payment.expires_ms <= now_ms
                    && payment.state.after(Event::Confirm).is_some() =>
            {
                Err(Refusal::new(400, "IR_08", "The provided client_secret has expired"))
            }
            Some(_) => Ok(()),
        }
    }
}

/// The merchant or browser behind the `api-key` header.
pub(crate) async fn caller(api: &Api, request: &HttpRequest) -> Result<Caller, Refusal> {
    let key = key(request).ok_or_else(Refusal::unauthorized)?;
    let store = api.engine.store();
    // Only browsers name an origin, with every request that goes from a page to another host.
    let origin = request.headers().get("origin");
    if key.starts_with(PUBLISHABLE_PREFIX) {
        let merchant = store.merchant_of_publishable_key(key).await?.ok_or_else(Refusal::unauthorized)?;
        if let Some(origin) = origin {
            let registered = merchant.allowed_origins.iter().find(|one| one.as_bytes() == origin.as_bytes());
            let page = registered.cloned().ok_or_else(|| Refusal::new(403, "IR_22", NOT_A_PAGE))?;
            request.extensions_mut().insert(Page(page));
        }
        let origins = merchant.allowed_origins;
        return Ok(Caller { merchant: merchant.merchant_id, asker: Asker::Browser, origins });
    }
    if origin.is_some() {
        return Err(Refusal::new(403, "IR_22", NOT_IN_A_PAGE));
    }
    let merchant = server_of(api, key).await?;
    Ok(Caller { merchant, asker: Asker::Merchant, origins: Vec::new() })
}

/// The merchant whose server holds this API key, wherever in the request it stood.
pub(crate) async fn server_of(api: &Api, key: &str) -> Result<TenantId, Refusal> {
    let store = api.engine.store();
    let hash = to_hex(&ids::key_hash(key));
    let found = store.api_key_of_hash(&hash).await?.ok_or_else(Refusal::unauthorized)?;
    let now = api.engine.now_ms();
    let same = bool::from(found.hash.as_bytes().ct_eq(hash.as_bytes()));
    if !same || found.revoked_ms.is_some() || found.expires_ms.is_some_and(|at| at <= now) {
        return Err(Refusal::unauthorized());
    }
    Ok(found.merchant_id)
}

/// Refuses everybody but the operator.
pub(crate) fn admin(api: &Api, request: &HttpRequest) -> Result<(), Refusal> {
    let key = key(request).ok_or_else(Refusal::unauthorized)?;
    if bool::from(ids::key_hash(key).ct_eq(&api.admin_hash)) { Ok(()) } else { Err(Refusal::unauthorized()) }
}

/// The merchant in the path, if its own server or the operator asks. To everybody else there is no such merchant's key.
pub(crate) async fn merchant_or_admin(api: &Api, request: &HttpRequest, id: &str) -> Result<TenantId, Refusal> {
    if admin(api, request).is_ok() {
        return Ok(super::accounts::known(api, id).await?.merchant_id);
    }
    let merchant = caller(api, request).await?.server()?;
    if merchant.as_str() == id { Ok(merchant) } else { Err(Refusal::unauthorized()) }
}

fn key(request: &HttpRequest) -> Option<&str> {
    request.headers().get("api-key")?.to_str().ok().filter(|key| (16..=KEY_CHARS_MAX).contains(&key.len()))
}

/// Lower-case hexadecimal.
pub(crate) fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// How publishable keys begin.
pub(crate) const PUBLISHABLE_PREFIX: &str = "pk_";
const NOT_A_PAGE: &str = "Pages of this origin may not act for the merchant: add it to allowed_origins of the account";
const NOT_IN_A_PAGE: &str = "A server's API key does not work in a page, where everybody can read it: revoke it if it \
    stands in one, and use the publishable key there";
const KEY_CHARS_MAX: usize = 256;
