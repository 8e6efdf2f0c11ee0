//! Web origins: what a browser names as the place that a page came from.

use crate::limits;

/// Whether a text is an origin as browsers write it: scheme, host and perhaps port (RFC 6454 section 6.2), https alone but
/// for loopback, lower case, nothing behind it.
#[must_use]
pub fn is_origin(origin: &str) -> bool {
    let (host, is_plain) = match (origin.strip_prefix("https://"), origin.strip_prefix("http://")) {
        (Some(host), _) => (host, false),
        (_, Some(host)) => (host, true),
        _ => return false,
    };
    let (name, port) = host.split_once(':').map_or((host, None), |(name, port)| (name, Some(port)));
    let name_fits = !name.is_empty()
        && name.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'-'))
        && !name.starts_with(['.', '-']);
    let port_fits = port.is_none_or(|port| port.parse::<u16>().is_ok_and(|number| number.to_string() == port));
    let is_local = name == "localhost" || name == "127.0.0.1" || name.ends_with(".localhost");
    origin.len() <= limits::ORIGIN_CHARS_MAX && name_fits && port_fits && (!is_plain || is_local)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_scheme_host_and_port_alone() {
        for good in ["https://shop.example", "https://shop.example:8443", "http://localhost:3000", "http://127.0.0.1"] {
            assert!(is_origin(good), "{good}");
        }
        for bad in [
            "shop.example",
            "https://",
            "https://shop.example/",
            "https://Shop.example",
            "http://shop.example",
            "*",
            "https://shop.example:99999",
            "https://shop.example:080",
            "https://a b",
            "null",
            "https://u@shop.example",
        ] {
            assert!(!is_origin(bad), "{bad}");
        }
        assert!(!is_origin(&format!("https://{}", "a".repeat(limits::ORIGIN_CHARS_MAX))));
    }
}
