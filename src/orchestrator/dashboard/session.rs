//! Sessions of operators, and whether a form comes from a page of theirs.
//!
//! The browser holds 256 random bits in a cookie that no script and no other site gets to use; the store holds their SHA-256.
//! A session ends by logging out, by 15 minutes without a request, after 8 hours, when another password is configured, or
//! when its operator is no longer there. All nodes of a store see the same sessions.

use actix_web::HttpRequest;
use actix_web::dev::Payload;
use actix_web::http::header;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};
use strongroom_wire::limits;
use subtle::ConstantTimeEq as _;

use super::Dashboard;
use super::fields::Fields;
use super::operators::{Operator, Role};
use super::trouble::Trouble;
use crate::api::Api;
use crate::ids;
use crate::store::OperatorSession;

/// An operator who is logged in.
pub(super) struct Visitor {
    pub(super) name: String,
    pub(super) role: Role,
    /// Stands in every form of the session.
    pub(super) form_token: String,
    /// The session in the store.
    pub(super) session: String,
}

impl Visitor {
    /// # Errors
    /// [`Trouble::Viewer`].
    pub(super) fn may_edit(&self) -> Result<(), Trouble> {
        if self.role == Role::Editor { Ok(()) } else { Err(Trouble::Viewer) }
    }
}

/// Whoever is logged in.
///
/// # Errors
/// [`Trouble::Stranger`] for nobody, [`Trouble::Store`].
pub(super) async fn visitor(dashboard: &Dashboard, api: &Api, request: &HttpRequest) -> Result<Visitor, Trouble> {
    let next = if request.method() == actix_web::http::Method::GET {
        request.uri().path_and_query().map_or("/dashboard", |here| here.as_str()).to_owned()
    } else {
        "/dashboard".to_owned()
    };
    let stranger = Trouble::Stranger { next };
    let Some(id) = cookie(request) else { return Err(stranger) };
    let store = api.engine.store();
    let Some(session) = store.session(&name_of(id)).await? else { return Err(stranger) };
    let now_ms = api.engine.now_ms();
    let operator = dashboard.operators.find(&session.operator).filter(|one| one.credential == session.credential);
    let is_over = now_ms - session.seen_ms >= IDLE_MS || now_ms - session.created_ms >= SESSION_MS;
    let Some(operator) = operator.filter(|_| !is_over) else {
        store.end_session(&session.hash).await?;
        return Err(stranger);
    };
    if now_ms - session.seen_ms >= SEEN_MS {
        store.see_session(&session.hash, now_ms).await?;
    }
    Ok(Visitor { name: operator.name.clone(), role: operator.role, form_token: form_token(id), session: session.hash })
}

/// Begins a session; answers the `Set-Cookie` header. Whatever session the browser had before ends.
///
/// # Errors
/// [`Trouble::Store`], [`Trouble::Internal`] without random numbers.
pub(super) async fn begin(api: &Api, request: &HttpRequest, operator: &Operator) -> Result<String, Trouble> {
    end(api, request).await?;
    let id = ids::fresh_secret("").map_err(|_| Trouble::Internal)?;
    let now_ms = api.engine.now_ms();
    let session = OperatorSession {
        hash: name_of(&id),
        operator: operator.name.clone(),
        credential: operator.credential.clone(),
        created_ms: now_ms,
        seen_ms: now_ms,
    };
    let store = api.engine.store();
    store.add_session(&session, limits::OPERATOR_SESSIONS_MAX, now_ms.saturating_sub(SESSION_MS)).await?;
    Ok(format!("{COOKIE}={}; {ATTRIBUTES}", id.as_str()))
}

/// Ends the session that the browser has, if it has one.
pub(super) async fn end(api: &Api, request: &HttpRequest) -> Result<(), Trouble> {
    match cookie(request) {
        Some(id) => Ok(api.engine.store().end_session(&name_of(id)).await?),
        None => Ok(()),
    }
}

/// The `Set-Cookie` header that takes the cookie away.
pub(super) fn no_cookie() -> String {
    format!("{COOKIE}=; {ATTRIBUTES}; Max-Age=0")
}

/// Whether the browser says that a page of this server sends the form. Every browser says so with a POST.
///
/// # Errors
/// [`Trouble::Foreign`].
pub(super) fn same_origin(dashboard: &Dashboard, request: &HttpRequest) -> Result<(), Trouble> {
    let said = |name: &str| match request.headers().get_all(name).collect::<Vec<_>>()[..] {
        [] => Some(None),
        [one] => one.to_str().ok().map(Some),
        _ => None,
    };
    let here = said("host").flatten().map(|host| format!("https://{host}"));
    let origin = said("origin").flatten().ok_or(Trouble::Foreign)?;
    let is_ours = here.is_some_and(|here| here.eq_ignore_ascii_case(origin)) || dashboard.public_url == origin;
    let is_same_site = matches!(said("sec-fetch-site"), Some(None | Some("same-origin")));
    if is_ours && is_same_site { Ok(()) } else { Err(Trouble::Foreign) }
}

/// Where every act of an operator begins: who sends a form of theirs, from a page of this server, with its session's token, and
/// what else stands in it, which is at most so many bytes.
///
/// # Errors
/// [`Trouble::Foreign`], [`Trouble::Stranger`], [`Trouble::Stale`], those of a form, and of the store.
pub(super) async fn form(
    (dashboard, api): (&Dashboard, &Api),
    request: &HttpRequest,
    body: Payload,
    bytes_max: usize,
) -> Result<(Visitor, Fields), Trouble> {
    same_origin(dashboard, request)?;
    let visitor = visitor(dashboard, api, request).await?;
    let mut fields = Fields::of_form(body, bytes_max).await?;
    is_form_of(&visitor, fields.raw("form_token")?.as_deref())?;
    Ok((visitor, fields))
}

/// Whether the form carries the token of this session.
fn is_form_of(visitor: &Visitor, token: Option<&str>) -> Result<(), Trouble> {
    let given = token.unwrap_or_default().as_bytes();
    if bool::from(given.ct_eq(visitor.form_token.as_bytes())) { Ok(()) } else { Err(Trouble::Stale) }
}

/// Derived, so that nothing has to be kept; who knows it learns nothing of the cookie.
fn form_token(id: &str) -> String {
    let mut hash = Sha256::new();
    hash.update(b"strongroom dashboard form\0");
    hash.update(id.as_bytes());
    URL_SAFE_NO_PAD.encode(hash.finalize())
}

fn name_of(id: &str) -> String {
    ids::key_hash(id).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The cookie's value, where there is exactly one.
fn cookie(request: &HttpRequest) -> Option<&str> {
    let headers = request.headers().get_all(header::COOKIE).filter_map(|text| text.to_str().ok());
    let mut ours = headers.flat_map(|text| text.split(';')).filter_map(|pair| {
        let (name, value) = pair.trim().split_once('=')?;
        (name == COOKIE).then_some(value)
    });
    match (ours.next(), ours.next()) {
        (Some(id), None) if id.len() == ID_CHARS => Some(id),
        _ => None,
    }
}

/// The prefix has browsers take it over TLS alone, for this host alone and for the whole of it.
const COOKIE: &str = "__Host-strongroom-operator";
const ATTRIBUTES: &str = "Path=/; Secure; HttpOnly; SameSite=Strict";
/// 256 bits in base64.
const ID_CHARS: usize = 43;
const IDLE_MS: i64 = limits::OPERATOR_IDLE_S.cast_signed() * 1000;
const SESSION_MS: i64 = limits::OPERATOR_SESSION_S.cast_signed() * 1000;
/// Being seen is written down when it was not for so long, in milliseconds: not every page is a write.
const SEEN_MS: i64 = 30_000;
