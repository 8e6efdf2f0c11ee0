//! The page that ends an authentication in a frame or a window of its own: it tells the merchant's page that the payer is
//! back, and does nothing else.
//!
//! It may stand only in pages of the merchant's origins, runs the one script whose hash its policy names, loads nothing,
//! and tells the merchant's origins alone which payment it was and how that stands.

use std::sync::LazyLock;

use actix_web::HttpResponse;
use actix_web::http::header::ContentType;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

use crate::intent::Payment;

/// The page for a payment. `origins`: the merchant's, checked when they were registered. `home`: where a payer goes on whose
/// browser has this page alone; empty for nowhere.
pub(super) fn done(payment: &Payment, origins: &[String], home: &str) -> HttpResponse {
    let policy = format!(
        "default-src 'none'; script-src 'sha256-{}'; base-uri 'none'; form-action 'none'; frame-ancestors {}",
        *SCRIPT_HASH,
        origins.join(" ")
    );
    let page = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Done</title><body data-origins=\"{}\" \
         data-payment=\"{}\" data-status=\"{}\" data-home=\"{}\"><p>Done. You can close this window.</p><script>{SCRIPT}</script></html>",
        escape(&origins.join(" ")),
        escape(&payment.payment_id),
        payment.state.word(),
        escape(home)
    );
    HttpResponse::Ok()
        .content_type(ContentType::html())
        .insert_header(("content-security-policy", policy))
        .insert_header(("permissions-policy", "payment=(), publickey-credentials-get=()"))
        .insert_header(("referrer-policy", "no-referrer"))
        .insert_header(("x-content-type-options", "nosniff"))
        .insert_header(("cache-control", "no-store"))
        .body(page)
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

static SCRIPT_HASH: LazyLock<String> = LazyLock::new(|| STANDARD.encode(Sha256::digest(SCRIPT)));

/// A message goes out only if the page there is of the origin that it names.
const SCRIPT: &str = "(function(){var d=document.body.dataset,m={source:'strongroom',type:'authentication',\
    payment_id:d.payment,status:d.status},t=[window.parent,window.opener];d.origins.split(' ').forEach(function(o){\
    t.forEach(function(w){if(w&&w!==window)w.postMessage(m,o)})});if(t[0]===window&&!t[1]&&d.home)location.replace(d.home)})()";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_ends_an_attribute() {
        assert_eq!(escape("a\"><script>&"), "a&quot;&gt;&lt;script&gt;&amp;");
        assert!(!SCRIPT.contains("</"), "the script would end early");
    }
}
