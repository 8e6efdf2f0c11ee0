//! What every page has around its content: head, navigation, the choice of a merchant, and headers that let the browser load
//! nothing but this server's own style and script.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder};
use maud::{DOCTYPE, Markup, html};
use strongroom_wire::{TenantId, limits};

use super::operators::Role;
use super::session::{Visitor, visitor};
use super::trouble::Trouble;
use super::{Dashboard, assets};
use crate::api::Api;

/// Who looks at which merchant.
pub(super) struct Frame {
    pub(super) visitor: Visitor,
    /// Those that are offered for choice.
    merchants: Vec<String>,
    /// There are more.
    has_more: bool,
    /// The one that the page is about; `None` where there is none at all.
    pub(super) merchant: Option<TenantId>,
}

/// The pages of the navigation.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Here {
    Overview,
    Payments,
    Connectors,
    Routing,
    Webhooks,
}

impl Frame {
    /// For whoever is logged in, about the merchant that they want, or the first.
    ///
    /// # Errors
    /// [`Trouble::Stranger`], [`Trouble::NotFound`], [`Trouble::Store`].
    pub(super) async fn open(
        dashboard: &Dashboard,
        api: &Api,
        request: &HttpRequest,
        wanted: Option<TenantId>,
    ) -> Result<Self, Trouble> {
        let visitor = visitor(dashboard, api, request).await?;
        Self::of(visitor, api, wanted).await
    }

    /// The same for a visitor who was let in already.
    pub(super) async fn of(visitor: Visitor, api: &Api, wanted: Option<TenantId>) -> Result<Self, Trouble> {
        let store = api.engine.store();
        let mut merchants = store.merchants(None, limits::DASHBOARD_MERCHANTS_MAX + 1).await?;
        let most = usize::try_from(limits::DASHBOARD_MERCHANTS_MAX).unwrap_or(usize::MAX);
        let has_more = merchants.len() > most;
        merchants.truncate(most);
        let merchant = match wanted {
            Some(id) => Some(store.merchant(&id).await?.ok_or(Trouble::NotFound("merchant"))?.merchant_id),
            None => merchants.first().map(|first| first.merchant_id.clone()),
        };
        let merchants = merchants.into_iter().map(|merchant| merchant.merchant_id.to_string()).collect();
        Ok(Self { visitor, merchants, has_more, merchant })
    }

    /// The merchant's name, or the page that says that there is none.
    pub(super) fn merchant(&self, here: Here) -> Result<&TenantId, Box<HttpResponse>> {
        self.merchant.as_ref().ok_or_else(|| {
            let body = html! {
                h1 { "No merchant yet" }
                p { "The operator's key makes one: " code { "POST /accounts" } "." }
            };
            Box::new(self.show(here, "No merchant yet", &body))
        })
    }

    pub(super) fn show(&self, here: Here, title: &str, body: &Markup) -> HttpResponse {
        self.show_with(StatusCode::OK, here, title, body)
    }

    pub(super) fn show_with(&self, status: StatusCode, here: Here, title: &str, body: &Markup) -> HttpResponse {
        answer(status, title, &html! { (self.header(here)) main id="main" { (body) } })
    }

    fn header(&self, here: Here) -> Markup {
        let query = self.merchant.as_ref().map(|id| format!("?merchant={id}")).unwrap_or_default();
        html! {
            header.top {
                a.brand href={ "/dashboard" (query) } { (assets::mark()) "Strongroom" }
                nav aria-label="Pages" {
                    ul {
                        @for (page, title, path) in PAGES {
                            li {
                                a href={ (path) (query) } aria-current=[(page == here).then_some("page")]
                                    id={ "to-" (title.to_lowercase()) } { (title) }
                            }
                        }
                    }
                }
                @if self.merchant.is_some() { (self.choice(here)) }
                div.who {
                    span id="visitor" { (self.visitor.name) " " span.role { (role_word(self.visitor.role)) } }
                    form method="post" action="/dashboard/logout" {
                        (self.token())
                        button.quiet type="submit" id="log-out" { "Log out" }
                    }
                }
            }
        }
    }

    /// The field that every form of this session carries.
    pub(super) fn token(&self) -> Markup {
        html! { input type="hidden" name="form_token" value=(self.visitor.form_token); }
    }

    fn choice(&self, here: Here) -> Markup {
        let current = self.merchant.as_ref().map(TenantId::as_str).unwrap_or_default();
        let path = PAGES.iter().find(|(page, ..)| *page == here).map_or("/dashboard", |(.., path)| path);
        html! {
            form.choice method="get" action=(path) {
                label for="merchant" { "Merchant" }
                @if self.has_more {
                    input type="text" name="merchant" id="merchant" list="merchants" value=(current) spellcheck="false";
                    datalist id="merchants" { @for name in &self.merchants { option value=(name); } }
                } @else {
                    select name="merchant" id="merchant" data-send="" {
                        @for name in &self.merchants { option value=(name) selected[name == current] { (name) } }
                    }
                }
                button.quiet type="submit" id="choose-merchant" { "Show" }
            }
        }
    }
}

/// A page without navigation: before the login, and where something went wrong.
pub(super) fn bare(status: StatusCode, title: &str, body: &Markup) -> HttpResponse {
    answer(
        status,
        title,
        &html! {
            header.top { a.brand href="/dashboard" { (assets::mark()) "Strongroom" } }
            main id="main" { (body) }
        },
    )
}

/// A link to the page about a payment.
pub(super) fn payment_link(merchant: &TenantId, payment_id: &str) -> Markup {
    html! { a href={ "/dashboard/payments/" (merchant) "/" (payment_id) } { (payment_id) } }
}

fn answer(status: StatusCode, title: &str, body: &Markup) -> HttpResponse {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) " · Strongroom" }
                link rel="icon" type="image/svg+xml" href="/dashboard/icon.svg";
                link rel="stylesheet" href="/dashboard/style.css";
                script src="/dashboard/script.js" defer {}
            }
            body {
                a.skip href="#main" { "Skip to the content" }
                (body)
            }
        }
    };
    let mut answer = HttpResponse::build(status);
    harden(&mut answer);
    answer.content_type("text/html; charset=utf-8").body(page.into_string())
}

/// The headers of every page.
pub(super) fn harden(answer: &mut HttpResponseBuilder) {
    for (name, value) in HEADERS {
        answer.insert_header((name, value));
    }
}

pub(super) fn role_word(role: Role) -> &'static str {
    match role {
        Role::Viewer => "viewer",
        Role::Editor => "editor",
    }
}

const PAGES: [(Here, &str, &str); 5] = [
    (Here::Overview, "Overview", "/dashboard"),
    (Here::Payments, "Payments", "/dashboard/payments"),
    (Here::Connectors, "Connectors", "/dashboard/connectors"),
    (Here::Routing, "Routing", "/dashboard/routing"),
    (Here::Webhooks, "Webhooks", "/dashboard/webhooks"),
];

/// A referrer goes to this server alone: with none at all, browsers would not name the origin of a form either.
pub(super) const HEADERS: [(&str, &str); 8] = [
    (
        "content-security-policy",
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; form-action 'self'; \
         frame-ancestors 'none'; base-uri 'none'",
    ),
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
    ("referrer-policy", "same-origin"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
    ("permissions-policy", "camera=(), geolocation=(), microphone=(), payment=()"),
    ("cache-control", "no-store"),
];
