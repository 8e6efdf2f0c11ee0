//! Paths: what a request's path may look like at all, and which of them a destination takes.

/// A pattern of paths: whole segments, `*` for exactly one of any kind, `**` at the end for one or more.
pub(super) struct Pattern(Vec<Segment>);

enum Segment {
    Exactly(String),
    AnyOne,
    AnyMore,
}

impl Pattern {
    /// Reads `/v1/payment_methods`, `/v71/*` or `/v1/**`.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let segments: Vec<&str> = text.strip_prefix('/')?.split('/').collect();
        let last = segments.len() - 1;
        let parsed = segments.iter().enumerate().map(|(nth, segment)| match *segment {
            "**" if nth == last => Some(Segment::AnyMore),
            "*" => Some(Segment::AnyOne),
            word if !word.contains('*') && is_segment(word) => Some(Segment::Exactly(word.to_owned())),
            _ => None,
        });
        parsed.collect::<Option<_>>().map(Self)
    }

    /// Whether a path that [`is_path`] is one of them.
    pub(super) fn takes(&self, path: &str) -> bool {
        let Some(path) = path.strip_prefix('/') else { return false };
        let mut segments = path.split('/');
        for wanted in &self.0 {
            match (wanted, segments.next()) {
                (Segment::AnyMore, Some(_)) => return true,
                (Segment::AnyOne, Some(_)) => {}
                (Segment::Exactly(word), Some(segment)) if word == segment => {}
                _ => return false,
            }
        }
        segments.next().is_none()
    }
}

/// Whether a path means the same to everybody who reads it: segments of plain characters and percent-encoded bytes, none
/// of them empty, a dot or two, an encoded slash, backslash, dot, percent sign or control byte. A query is no part of it.
pub(super) fn is_path(text: &str) -> bool {
    text.strip_prefix('/').is_some_and(|rest| rest.split('/').all(is_segment))
}

fn is_segment(segment: &str) -> bool {
    if segment.is_empty() || matches!(segment, "." | "..") {
        return false;
    }
    let mut bytes = segment.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'%' => {
                let (Some(high), Some(low)) = (bytes.next().and_then(hex), bytes.next().and_then(hex)) else {
                    return false;
                };
                if matches!(high << 4 | low, 0..=0x1f | 0x7f | b'/' | b'\\' | b'.' | b'%') {
                    return false;
                }
            }
            // Unreserved characters and those of RFC 3986 section 3.3 that no server gives a meaning of its own, such as the
            // semicolon of path parameters.
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' => {}
            b'-' | b'_' | b'.' | b'~' | b'!' | b'$' | b'\'' | b'(' | b')' | b'*' | b'+' | b',' | b'=' | b':' | b'@' => {
            }
            _ => return false,
        }
    }
    true
}

fn hex(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_pattern_takes_whole_segments() {
        for (pattern, path, taken) in [
            ("/v1/payment_methods", "/v1/payment_methods", true),
            ("/v1/payment_methods", "/v1/payment_methods/pm_1", false),
            ("/v1/payment_methods", "/v1/payment_methods_x", false),
            ("/v1/payment_methods", "/v1", false),
            ("/v1/payment_methods", "/V1/payment_methods", false),
            ("/v71/*", "/v71/payments", true),
            ("/v71/*", "/v71/payments/details", false),
            ("/v71/*", "/v71", false),
            ("/v1/*/confirm", "/v1/pi_1/confirm", true),
            ("/v1/**", "/v1/a/b/c", true),
            ("/v1/**", "/v1", false),
            ("/**", "/anything", true),
        ] {
            assert!(is_path(path), "{path}");
            assert_eq!(Pattern::parse(pattern).unwrap().takes(path), taken, "{pattern} {path}");
        }
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        for text in ["", "v1", "/", "/v1/", "/a*", "/**/b", "/a/../b", "/a b", "/a?b", "//"] {
            assert!(Pattern::parse(text).is_none(), "{text}");
        }
    }

    #[test]
    fn a_path_that_two_servers_could_read_in_two_ways_is_refused() {
        for path in [
            "",
            "/",
            "v1",
            "//evil.example/v1",
            "/v1//x",
            "/v1/",
            "/v1/.",
            "/v1/../v2",
            "/v1/%2e%2e/v2",
            "/v1/%2E/v2",
            "/v1/..%2fv2",
            "/v1/%2f",
            "/v1/%5c",
            "/v1/\\v2",
            "/v1/%252e",
            "/v1/%00",
            "/v1/%0d%0aHost:x",
            "/v1/a%",
            "/v1/a%2",
            "/v1/a%zz",
            "/v1/a?b=c",
            "/v1/a#b",
            "/v1/a;b",
            "/v1/a b",
            "/v1/a\r\nX: y",
            "/v1/ä",
            "@evil.example/v1",
            "https://evil.example/v1",
        ] {
            assert!(!is_path(path), "{path}");
        }
        for path in ["/v1", "/v1/payment_methods", "/v1/a%20b", "/v1/pi_1:confirm", "/a.b/c~d"] {
            assert!(is_path(path), "{path}");
        }
    }

    proptest! {
        #[test]
        fn nothing_but_what_is_a_path_is_taken_by_the_widest_pattern(text in ".{0,30}") {
            let taken = is_path(&text) && Pattern::parse("/**").unwrap().takes(&text);
            prop_assert_eq!(taken, is_path(&text));
            if taken {
                prop_assert!(text.starts_with('/') && !text.contains("//") && !text.contains(['?', '#', '\\', ' ']));
            }
        }
    }
}
