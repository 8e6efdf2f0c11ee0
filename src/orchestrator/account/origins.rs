//! The pages of a merchant: the origins whose scripts may act for it with its publishable key.

use strongroom_wire::limits;

/// A list of origins cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BadOrigins(
    /// What it should be.
    pub &'static str,
);

/// Checks a list of origins: few, each once, each as browsers send it (RFC 6454 section 6.2).
///
/// # Errors
/// [`BadOrigins`], which says what they should be.
pub fn check_origins(origins: &[String]) -> Result<(), BadOrigins> {
    let twice = origins.iter().enumerate().any(|(place, origin)| origins[..place].contains(origin));
    if origins.len() > limits::SESSION_ORIGINS_MAX || twice {
        return Err(BadOrigins("at most 8 origins, each once"));
    }
    if origins.iter().all(|origin| is_origin(origin)) {
        Ok(())
    } else {
        Err(BadOrigins("each is https://host[:port] in lower case and nothing behind it (http on this machine only)"))
    }
}

/// Whether an address leads to a page of one of these origins.
#[must_use]
pub fn is_page_of(origins: &[String], url: &str) -> bool {
    reqwest::Url::parse(url).is_ok_and(|url| origins.contains(&url.origin().ascii_serialization()))
}

/// The same rule as the vault's, because the vault's sessions are made for these origins.
fn is_origin(text: &str) -> bool {
    let (host, is_plain) = match (text.strip_prefix("https://"), text.strip_prefix("http://")) {
        (Some(host), _) => (host, false),
        (_, Some(host)) => (host, true),
        _ => return false,
    };
    let name = host.split(':').next().unwrap_or_default();
    let is_local = name == "localhost" || name == "127.0.0.1" || name.ends_with(".localhost");
    let plain = name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'-'));
    // What the URL standard would write in another way is nothing that a browser ever sends.
    let as_sent = reqwest::Url::parse(text).is_ok_and(|url| url.origin().ascii_serialization() == text);
    text.len() <= limits::ORIGIN_CHARS_MAX
        && plain
        && !name.starts_with(['.', '-'])
        && as_sent
        && (!is_plain || is_local)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origin_is_taken_only_as_browsers_send_it() {
        for good in ["https://shop.example", "https://shop.example:8443", "http://localhost:3000", "http://a.localhost"]
        {
            assert_eq!(check_origins(&[good.to_owned()]), Ok(()), "{good}");
        }
        for bad in [
            "",
            "*",
            "null",
            "shop.example",
            "https://",
            "https://shop.example/",
            "https://shop.example:443",
            "https://shop.example:080",
            "https://Shop.example",
            "https://u@shop.example",
            "https://*.shop.example",
            "https://shop.example\"; script-src *",
            "http://shop.example",
            "http://localhost.shop.example",
        ] {
            assert!(check_origins(&[bad.to_owned()]).is_err(), "{bad}");
        }
    }

    #[test]
    fn too_many_too_long_and_repeated_origins_are_refused() {
        let one = |number: usize| format!("https://shop-{number}.example");
        let most: Vec<_> = (0..limits::SESSION_ORIGINS_MAX).map(one).collect();
        assert_eq!(check_origins(&most), Ok(()));
        assert!(check_origins(&[most, vec![one(99)]].concat()).is_err());
        assert!(check_origins(&[one(1), one(1)]).is_err());
        assert!(check_origins(&[format!("https://{}", "a.".repeat(limits::ORIGIN_CHARS_MAX / 2))]).is_err());
    }

    #[test]
    fn address_of_another_host_scheme_or_port_is_no_page_of_the_merchant() {
        let origins = ["https://shop.example".to_owned()];
        assert!(is_page_of(&origins, "https://shop.example/done?order=7"));
        for other in [
            "https://shop.example.evil.test/done",
            "https://shop.example@evil.test/",
            "http://shop.example/done",
            "https://shop.example:8443/done",
            "/done",
        ] {
            assert!(!is_page_of(&origins, other), "{other}");
        }
    }
}
