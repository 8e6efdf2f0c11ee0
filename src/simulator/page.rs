//! The 3-D Secure page that every dialect shows: two buttons, and the way back to the merchant.

use actix_web::HttpResponse;
use actix_web::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, ContentType, HeaderName, LOCATION, REFERRER_POLICY,
};

/// What the cardholder clicked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Verdict {
    /// Authentication succeeded.
    Approve,
    /// Authentication failed.
    Fail,
}

impl Verdict {
    /// The verdict of a posted form (`outcome=approve` or `outcome=fail`).
    pub(crate) fn of(body: &[u8]) -> Option<Self> {
        let fields: Vec<(String, String)> = serde_urlencoded::from_bytes(body).ok()?;
        match fields.as_slice() {
            [(name, value)] if name == "outcome" && value == "approve" => Some(Self::Approve),
            [(name, value)] if name == "outcome" && value == "fail" => Some(Self::Fail),
            _ => None,
        }
    }
}

/// Asks the cardholder about a payment (minor units; a currency code of any case). The verdict is posted to the address
/// of the page itself.
pub(crate) fn ask(amount: i64, currency: &str) -> HttpResponse {
    html(&format!(
        "<h1>Simulated 3-D Secure</h1><p>Your bank asks: is this payment of <b>{amount} {}</b> (minor units) yours?</p>\
         <form method=\"post\"><button name=\"outcome\" value=\"approve\">Approve</button> \
         <button name=\"outcome\" value=\"fail\">Fail</button></form>",
        currency.to_ascii_uppercase()
    ))
}

/// The page of an authentication that has its verdict.
pub(crate) fn over() -> HttpResponse {
    html("<h1>Simulated 3-D Secure</h1><p>This authentication is over. You may close the page.</p>")
}

/// After the verdict: back to the merchant, or a page that says that it is done.
pub(crate) fn back(location: Option<String>) -> HttpResponse {
    match location {
        Some(location) => HttpResponse::SeeOther().insert_header((LOCATION, location)).insert_header(NO_STORE).finish(),
        None => html("<h1>Simulated 3-D Secure</h1><p>Done. You may close the page.</p>"),
    }
}

/// `url` with these pairs added to its query; names and values must need no encoding.
pub(crate) fn with_query(url: &str, pairs: &[(&str, &str)]) -> String {
    let (url, fragment) = url.split_once('#').map_or((url, String::new()), |(url, part)| (url, format!("#{part}")));
    let joint = if url.contains('?') { '&' } else { '?' };
    let query: Vec<String> = pairs.iter().map(|(name, value)| format!("{name}={value}")).collect();
    format!("{url}{joint}{}{fragment}", query.join("&"))
}

/// Whether a browser can be sent there: nothing but the web will do, and no character that could end a header or an
/// attribute.
pub(crate) fn is_web_address(url: &str) -> bool {
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
    rest.is_some_and(|rest| {
        !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(&byte))
    })
}

/// A whole page. Every text in it is ours or an amount, so nothing needs escaping, and the policy forbids scripts anyway.
fn html(body: &str) -> HttpResponse {
    HttpResponse::Ok()
        .content_type(ContentType::html())
        .insert_header((CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors *"))
        .insert_header((REFERRER_POLICY, "no-referrer"))
        .insert_header(NO_STORE)
        .body(format!(
            "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Simulated 3-D Secure</title>{body}</html>"
        ))
}

const NO_STORE: (HeaderName, &str) = (CACHE_CONTROL, "no-store");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verdict_is_one_of_two_words_and_nothing_beside_it() {
        assert_eq!(Verdict::of(b"outcome=approve"), Some(Verdict::Approve));
        assert_eq!(Verdict::of(b"outcome=fail"), Some(Verdict::Fail));
        for odd in ["", "outcome=", "outcome=yes", "outcome=approve&outcome=fail", "outcome=approve&x=1"] {
            assert_eq!(Verdict::of(odd.as_bytes()), None, "{odd}");
        }
    }

    #[test]
    fn query_is_added_before_the_fragment_and_behind_what_stands_there() {
        assert_eq!(with_query("https://a/b", &[("c", "d"), ("e", "f")]), "https://a/b?c=d&e=f");
        assert_eq!(with_query("https://a/b?x=1#top", &[("c", "d")]), "https://a/b?x=1&c=d#top");
    }
}
