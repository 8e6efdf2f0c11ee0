//! Logging in and out.

use actix_web::dev::Payload;
use actix_web::http::StatusCode;
use actix_web::http::header::SET_COOKIE;
use actix_web::web::Data;
use actix_web::{FromRequest, HttpRequest, HttpResponse};
use maud::{Markup, html};
use strongroom_wire::limits;
use zeroize::Zeroizing;

use super::fields::Fields;
use super::session::{begin, form as form_of, no_cookie, same_origin, visitor};
use super::trouble::{Trouble, see_other};
use super::{Dashboard, page, password};
use crate::api::{Api, holds_card_number};

/// The body of a form before it is read.
pub(super) struct Body(pub(super) Payload);

impl FromRequest for Body {
    type Error = actix_web::Error;
    type Future = std::future::Ready<Result<Self, actix_web::Error>>;

    fn from_request(_: &HttpRequest, payload: &mut Payload) -> Self::Future {
        std::future::ready(Ok(Self(payload.take())))
    }
}

/// `GET /dashboard/login`.
pub(super) async fn show(
    dashboard: Data<Dashboard>,
    api: Data<Api>,
    request: HttpRequest,
) -> Result<HttpResponse, Trouble> {
    let mut query = Fields::of_query(&request)?;
    let next = next(query.raw("next")?);
    query.end()?;
    match visitor(&dashboard, &api, &request).await {
        Ok(_) => Ok(see_other(&next)),
        Err(Trouble::Stranger { .. }) => Ok(page::bare(StatusCode::OK, "Log in", &form(&next, false))),
        Err(other) => Err(other),
    }
}

/// `POST /dashboard/login`. One answer for every reason, after the same work.
pub(super) async fn log_in(
    dashboard: Data<Dashboard>,
    api: Data<Api>,
    request: HttpRequest,
    Body(body): Body,
) -> Result<HttpResponse, Trouble> {
    same_origin(&dashboard, &request)?;
    let address = request.peer_addr().map(|peer| peer.ip());
    let now_ms = api.engine.now_ms();
    if !dashboard.turnstile.may_try(address, now_ms) {
        tracing::warn!(event = "operator_login_flood", "too many tries to log in from one address");
        return Err(Trouble::TooMany);
    }
    let mut fields = Fields::of_form(body, limits::DASHBOARD_FORM_BYTES_MAX).await?;
    let name = fields.raw("name")?.unwrap_or_default();
    let password = Zeroizing::new(fields.raw("password")?.unwrap_or_default());
    let next = next(fields.raw("next")?);
    fields.end()?;

    let known = dashboard.operators.find(&name);
    let operator = known.or_else(|| dashboard.operators.stand_in(&name)).cloned().ok_or(Trouble::Internal)?;
    let Some(permit) = dashboard.turnstile.check().await else { return Err(Trouble::TooMany) };
    // Counted before it is judged. A name that nobody has is counted, too, under one that nobody can have.
    let counted = known.map_or("", |operator| operator.name.as_str());
    let locked_until_ms = now_ms.saturating_add(LOCK_MS);
    let store = api.engine.store();
    let is_open = store.count_try(counted, limits::LOGIN_TRIES_MAX, now_ms, locked_until_ms).await?;
    let hash = operator.hash.clone();
    let is_right = tokio::task::spawn_blocking(move || {
        // Given back when the check is over, also where the client has gone away: it goes on without anybody who waits.
        let _permit = permit;
        password.len() <= limits::PASSPHRASE_BYTES_MAX && password::is_password(&password, &hash)
    });
    let is_right = is_right.await.map_err(|_| Trouble::Internal)?;

    // What is no operator's name may be a password that was typed into the wrong field: it is not logged.
    let who = known.map_or("(no such name)", |operator| operator.name.as_str());
    if known.is_some() && is_open && is_right {
        store.forget_tries(counted).await?;
        let cookie = begin(&api, &request, &operator).await?;
        tracing::info!(event = "operator_login", operator = who, "an operator logged in");
        let mut answer = see_other(&next);
        let cookie = cookie.parse().map_err(|_| Trouble::Internal)?;
        answer.headers_mut().insert(SET_COOKIE, cookie);
        return Ok(answer);
    }
    let is_locked = known.is_some() && !is_open;
    tracing::warn!(event = "operator_login_refused", operator = who, is_locked, "a login was refused");
    Ok(page::bare(StatusCode::FORBIDDEN, "Log in", &form(&next, true)))
}

/// `POST /dashboard/logout`.
pub(super) async fn log_out(
    dashboard: Data<Dashboard>,
    api: Data<Api>,
    request: HttpRequest,
    Body(body): Body,
) -> Result<HttpResponse, Trouble> {
    let (visitor, fields) = form_of((&dashboard, &api), &request, body, limits::DASHBOARD_FORM_BYTES_MAX).await?;
    fields.end()?;
    api.engine.store().end_session(&visitor.session).await?;
    tracing::info!(event = "operator_logout", operator = visitor.name.as_str(), "an operator logged out");
    let mut answer = see_other("/dashboard/login");
    answer.headers_mut().insert(SET_COOKIE, no_cookie().parse().map_err(|_| Trouble::Internal)?);
    Ok(answer)
}

/// An address of the dashboard to go on at, and no other.
fn next(wanted: Option<String>) -> String {
    let is_plain = |text: &str| text.bytes().all(|b| b.is_ascii_graphic() && b != b'\\');
    let is_here =
        |text: &str| text == "/dashboard" || text.starts_with("/dashboard/") || text.starts_with("/dashboard?");
    let is_page = |text: &str| !["/dashboard/login", "/dashboard/logout"].iter().any(|one| text.starts_with(one));
    wanted
        .filter(|text| text.len() <= limits::URL_BYTES_MAX && is_plain(text) && is_here(text) && is_page(text))
        .filter(|text| !holds_card_number(text))
        .unwrap_or_else(|| "/dashboard".to_owned())
}

fn form(next: &str, is_refused: bool) -> Markup {
    html! {
        div.login {
            h1 { "Operators' dashboard" }
            @if is_refused {
                div.notice.bad role="alert" id="login-refused" {
                    p {
                        strong { "Name or password is wrong, or the name is locked." }
                        " After " (limits::LOGIN_TRIES_MAX) " wrong passwords in a row a name is locked for "
                        (limits::LOGIN_LOCK_S / 60) " minutes."
                    }
                }
            }
            form.card method="post" action="/dashboard/login" id="login" {
                input type="hidden" name="next" value=(next);
                label for="name" { "Name" }
                input type="text" name="name" id="name" autocomplete="username" autocapitalize="none" spellcheck="false"
                    maxlength=(limits::OPERATOR_NAME_CHARS_MAX) required autofocus;
                label for="password" { "Password" }
                input type="password" name="password" id="password" autocomplete="current-password"
                    maxlength=(limits::PASSPHRASE_BYTES_MAX) required;
                button.main type="submit" id="log-in" { "Log in" }
            }
            p.fine { "Every login, every change and every delivery that is sent again is noted in the server's log with your name." }
        }
    }
}

const LOCK_MS: i64 = limits::LOGIN_LOCK_S.cast_signed() * 1000;

#[cfg(test)]
mod tests {
    use super::next;

    #[test]
    fn after_the_login_nobody_is_sent_away_from_the_dashboard() {
        let to = |text: &str| next(Some(text.to_owned()));
        for good in
            ["/dashboard", "/dashboard?merchant=a", "/dashboard/payments/shop/pay_1", "/dashboard/routing?merchant=b"]
        {
            assert_eq!(to(good), good);
        }
        for bad in [
            "",
            "https://evil.example/dashboard",
            "//evil.example/dashboard",
            "/\\evil.example",
            "/dashboard\\@evil.example",
            "/dashboardx",
            "/payments",
            "/dashboard/x\r\nSet-Cookie: a=b",
            "/dashboard/login?next=/dashboard",
            "/dashboard/logout",
            "/dashboard/payments?id=4242424242424242",
        ] {
            assert_eq!(to(bad), "/dashboard", "{bad}");
        }
        assert_eq!(next(None), "/dashboard");
    }
}
