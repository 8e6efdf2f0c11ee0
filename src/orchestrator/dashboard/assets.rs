//! The style, the script and the icon: public, and the same for everybody.

use actix_web::HttpResponse;
use maud::{Markup, PreEscaped};

use super::page::HEADERS;

/// `GET /dashboard/style.css`.
pub(super) async fn style() -> HttpResponse {
    asset("text/css; charset=utf-8", include_str!("assets/dashboard.css"))
}

/// `GET /dashboard/script.js`.
pub(super) async fn script() -> HttpResponse {
    asset("text/javascript; charset=utf-8", include_str!("assets/dashboard.js"))
}

/// `GET /dashboard/icon.svg`.
pub(super) async fn icon() -> HttpResponse {
    asset("image/svg+xml", ICON)
}

/// The icon in a page.
pub(super) fn mark() -> Markup {
    PreEscaped(ICON.to_owned())
}

fn asset(kind: &'static str, text: &'static str) -> HttpResponse {
    let mut answer = HttpResponse::Ok();
    for (name, value) in HEADERS.into_iter().filter(|(name, _)| *name != "cache-control") {
        answer.insert_header((name, value));
    }
    answer.insert_header(("cache-control", "public, max-age=300")).content_type(kind).body(text)
}

const ICON: &str = include_str!("assets/icon.svg");
