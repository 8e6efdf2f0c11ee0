//! The links of an answer: what may follow, each with an opaque address. They become the payment's handles.
//!
//! A link is somebody else's text that a later request goes to with the account's credentials, so only its path is kept,
//! and only where the path is the one that Worldpay has for this action: a link can lead to no other host, and none that
//! says "cancel" can lead to a refund.

use serde_json::{Map, Value};

use crate::connector::{Handles, Unsupported};

/// Settles the whole authorization.
pub(super) const SETTLE: &str = "settle";
/// Settles a part of it.
pub(super) const PARTIAL_SETTLE: &str = "partialSettle";
/// Releases what is reserved.
pub(super) const CANCEL: &str = "cancel";
/// Gives the whole settled amount back.
pub(super) const REFUND: &str = "refund";
/// Gives a part of it back.
pub(super) const PARTIAL_REFUND: &str = "partialRefund";
/// Undoes a payment that was settled on its own: a cancellation at first, a refund later.
pub(super) const REVERSE: &str = "reverse";
/// Raises an estimated authorization.
pub(super) const INCREASE: &str = "increaseAuthorizedAmount";
/// Tells the last event of the payment.
pub(super) const EVENTS: &str = "events";

/// The handles that an answer's `_links` give. Links that are unknown, foreign or malformed give none.
pub(super) fn handles(links: &Map<String, Value>) -> Handles {
    let mut handles = Handles::new();
    for (relation, link) in links {
        let name = relation.strip_prefix("cardPayments:").or_else(|| relation.strip_prefix("payments:"));
        let href = link.as_str().or_else(|| link.get("href").and_then(Value::as_str));
        if let (Some(name), Some(href)) = (name, href)
            && let Some(path) = path_of(name, href)
        {
            handles.insert(name.to_owned(), path.to_owned());
        }
    }
    handles
}

/// The path of a handle, checked once more because it comes from a store.
pub(super) fn path<'a>(handles: &'a Handles, name: &str) -> Option<&'a str> {
    path_of(name, handles.get(name)?)
}

/// As [`path`], where the request cannot be made without it.
pub(super) fn needed<'a>(handles: &'a Handles, name: &str) -> Result<&'a str, Unsupported> {
    path(handles, name).ok_or(Unsupported("Worldpay offers no such action on this payment as it stands"))
}

fn path_of<'a>(name: &str, href: &'a str) -> Option<&'a str> {
    let path = match HOSTS.iter().find_map(|host| href.strip_prefix(host)) {
        Some(path) => path,
        None => href,
    };
    let (_, prefixes) = PREFIXES.iter().find(|(known, _)| *known == name)?;
    let rest = prefixes.iter().find_map(|prefix| path.strip_prefix(prefix))?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~:=+@!$&'()*,;%".contains(&byte);
    let sound = path.len() <= PATH_CHARS_MAX
        && !rest.starts_with("partials/")
        && rest.split('/').all(|piece| {
            // Encoded dots count as dots when an address is resolved, and would lead out of the prefix.
            !matches!(piece, "" | "." | "..") && !piece.to_ascii_lowercase().contains("%2e") && piece.bytes().all(plain)
        });
    sound.then_some(path)
}

/// Where Worldpay lives. The host itself is not kept: requests go where the configuration says.
const HOSTS: &[&str] = &["https://access.worldpay.com", "https://try.access.worldpay.com"];

const PREFIXES: &[(&str, &[&str])] = &[
    (SETTLE, &["/payments/settlements/full/"]),
    (PARTIAL_SETTLE, &["/payments/settlements/partials/"]),
    (CANCEL, &["/payments/authorizations/cancellations/"]),
    (REFUND, &["/payments/settlements/refunds/full/"]),
    (PARTIAL_REFUND, &["/payments/settlements/refunds/partials/"]),
    (REVERSE, &["/payments/sales/reversals/", "/payments/authorizations/reversals/"]),
    (INCREASE, &["/payments/authorizations/incrementalAuthorizations/"]),
    (EVENTS, &["/payments/events/"]),
];

/// Longest path of a link; Worldpay's have some hundreds of characters.
const PATH_CHARS_MAX: usize = 2048;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn link_is_kept_as_its_path_alone_in_every_form_that_worldpay_writes() {
        let links = json!({
            "cardPayments:settle": {"href": "https://try.access.worldpay.com/payments/settlements/full/eyJrIjoi.=="},
            "payments:cancel": {"href": "/payments/authorizations/cancellations/abc"},
            "cardPayments:events": "/payments/events/sN:g8wd64bwkbrp0md+bPx=",
            "cardPayments:unheardOf": {"href": "/payments/unheardOf/abc"},
            "curies": [{"name": "payments", "href": "/rels/payments/{rel}", "templated": true}]
        });
        let expected: Handles = [
            ("cancel", "/payments/authorizations/cancellations/abc"),
            ("events", "/payments/events/sN:g8wd64bwkbrp0md+bPx="),
            ("settle", "/payments/settlements/full/eyJrIjoi.=="),
        ]
        .into_iter()
        .map(|(name, path)| (name.to_owned(), path.to_owned()))
        .collect();
        assert_eq!(handles(links.as_object().unwrap()), expected);
    }

    #[test]
    fn link_to_another_host_or_out_of_its_own_path_is_refused() {
        for href in [
            "https://evil.example/payments/settlements/full/abc",
            "https://access.worldpay.com.evil.example/payments/settlements/full/abc",
            "https://access.worldpay.com@evil.example/payments/settlements/full/abc",
            "http://access.worldpay.com/payments/settlements/full/abc",
            "//evil.example/payments/settlements/full/abc",
            "payments/settlements/full/abc",
            "/payments/settlements/full/",
            "/payments/settlements/full/../refunds/full/abc",
            "/payments/settlements/full/%2e%2E/refunds/full/abc",
            "/payments/settlements/full//abc",
            "/payments/settlements/full/abc?x=y",
            "/payments/settlements/full/abc#x",
            "/payments/settlements/full/a bc",
            "/payments/settlements/full/a\\bc",
            "/payments/settlements/full/abc\r\nHost: evil.example",
            "/payments/settlements/refunds/full/abc",
            "/payments/settlements/partials/abc",
        ] {
            assert_eq!(path_of(SETTLE, href), None, "{href}");
        }
        assert_eq!(path_of(CANCEL, "/payments/authorizations/cancellations/partials/abc"), None);
        let long = format!("/payments/settlements/full/{}", "a".repeat(PATH_CHARS_MAX));
        assert_eq!(path_of(SETTLE, &long), None);
        assert!(path_of(SETTLE, &long[..PATH_CHARS_MAX]).is_some());
    }

    #[test]
    fn stored_handle_that_was_tampered_with_is_refused() {
        let handles: Handles = [(CANCEL.to_owned(), "/payments/settlements/full/abc".to_owned())].into();
        assert!(needed(&handles, CANCEL).is_err() && needed(&handles, SETTLE).is_err());
    }
}
