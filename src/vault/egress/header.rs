//! Headers: which of the caller's go out, and which of the destination's come back.

use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use strongroom_wire::forward::HeaderText;
use strongroom_wire::limits;

/// The caller's headers as they go out. Every value counts as a credential and is never shown.
///
/// # Errors
/// What is wrong with one of them; the text repeats neither name nor value.
pub(super) fn outgoing(headers: &[(String, HeaderText)]) -> Result<HeaderMap, &'static str> {
    let mut out = HeaderMap::with_capacity(headers.len() + 8);
    for (name, value) in headers {
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| "a header's name is no HTTP token")?;
        if is_ours(name.as_str()) {
            return Err(
                "a header that frames, routes or encodes a message, or names another host, path or method, is \
                        the vault's own; an idempotency key goes into idempotency_key",
            );
        }
        if !is_value(value.as_str()) {
            return Err("a header's value is printable ASCII without spaces at its ends");
        }
        let mut value = HeaderValue::from_str(value.as_str()).map_err(|_| "a header's value cannot be sent")?;
        value.set_sensitive(true);
        if out.insert(name, value).is_some() {
            return Err("a header stands twice; send it once");
        }
    }
    Ok(out)
}

/// The headers of an answer that are passed on, in lower case; a value that is not printable ASCII or is too long is left
/// out. They still have to be scrubbed.
pub(super) fn incoming(headers: &HeaderMap) -> Vec<(&'static str, String)> {
    let value = |name: &str| headers.get(name)?.to_str().ok();
    PASSED_ON
        .into_iter()
        .filter_map(|name| Some((name, value(name)?)))
        .filter(|(_, value)| value.len() <= limits::FORWARD_ANSWER_VALUE_BYTES_MAX && is_value(value))
        .map(|(name, value)| (name, value.to_owned()))
        .collect()
}

/// Whether a header is known to hold a caller's credential, so that it may change between two requests that are the same.
#[must_use]
pub(super) fn is_credential(name: &str) -> bool {
    CREDENTIALS.iter().any(|known| name.eq_ignore_ascii_case(known))
}

fn is_value(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| (0x20..0x7f).contains(&byte)) && text.trim() == text
}

/// Names are in lower case.
fn is_ours(name: &str) -> bool {
    OURS.contains(&name) || OURS_BEGIN.iter().any(|begin| name.starts_with(begin))
}

/// What frames a message, is between two hops, changes how an answer is encoded (and would hide it from being masked), or
/// makes a server see another host, path or method than the one that was allowed.
const OURS: [&str; 26] = [
    "accept-encoding",
    "connection",
    "content-encoding",
    "content-length",
    "content-range",
    "cookie",
    "expect",
    "forwarded",
    "host",
    "http2-settings",
    "idempotency-key",
    "keep-alive",
    "max-forwards",
    "range",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "via",
    "x-http-method",
    "x-http-method-override",
    "x-method-override",
    "x-host",
    "x-original-host",
    "x-original-url",
    "x-rewrite-url",
];

const OURS_BEGIN: [&str; 3] = ["proxy-", "x-forwarded-", "sec-"];

const CREDENTIALS: [&str; 4] = ["authorization", "x-api-key", "api-key", "apikey"];

/// What a connector needs to read an answer, to ask again and to talk to the destination's support.
const PASSED_ON: [&str; 10] = [
    "content-type",
    "idempotent-replayed",
    "pspreference",
    "request-id",
    "retry-after",
    "stripe-should-retry",
    "wp-correlationid",
    "x-correlation-id",
    "x-request-id",
    "date",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn out(headers: &[(&str, &str)]) -> Result<HeaderMap, &'static str> {
        let headers: Vec<_> =
            headers.iter().map(|(name, value)| ((*name).to_owned(), HeaderText::new((*value).to_owned()))).collect();
        outgoing(&headers)
    }

    #[test]
    fn the_callers_own_headers_go_out_and_are_never_shown() {
        let headers = out(&[("Authorization", "Bearer sk_test_1"), ("Stripe-Version", "2022-08-01")]).unwrap();
        assert_eq!(headers["authorization"], "Bearer sk_test_1");
        assert!(headers.values().all(HeaderValue::is_sensitive));
        assert!(!format!("{headers:?}").contains("sk_test_1"));
    }

    #[test]
    fn headers_that_change_where_or_how_a_message_goes_are_refused() {
        for name in
            OURS.into_iter().chain(["Host", "HOST", "Proxy-Authorization", "X-Forwarded-Host", "Sec-Fetch-Site"])
        {
            assert!(out(&[(name, "x")]).is_err(), "{name}");
        }
    }

    #[test]
    fn headers_that_break_a_message_are_refused() {
        for (name, value) in [
            ("", "x"),
            ("a b", "x"),
            ("a:", "x"),
            ("a\r\nHost", "x"),
            ("ä", "x"),
            ("a", ""),
            ("a", " x"),
            ("a", "x "),
            ("a", "x\r\nHost: evil.example"),
            ("a", "x\ny"),
            ("a", "x\0"),
            ("a", "x\ty"),
            ("a", "ä"),
            ("a", "\u{7f}"),
        ] {
            assert!(out(&[(name, value)]).is_err(), "{name:?} {value:?}");
        }
        assert!(out(&[("X-A", "1"), ("x-a", "2")]).is_err());
    }

    #[test]
    fn only_harmless_headers_come_back() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("content-type", "application/json"),
            ("request-id", "req_1"),
            ("set-cookie", "a=b"),
            ("location", "https://evil.example"),
            ("x-request-id", "\u{e4}"),
            ("retry-after", &"9".repeat(limits::FORWARD_ANSWER_VALUE_BYTES_MAX + 1)),
        ] {
            headers.insert(HeaderName::from_static(name), HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        let names: Vec<&str> = incoming(&headers).into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["content-type", "request-id"]);
    }
}
