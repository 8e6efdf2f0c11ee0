//! `Identity`: the URI SAN of a client certificate, parsed once.

use std::fmt;
use std::sync::Arc;

use strongroom_wire::limits;

/// Who a client certificate says its holder is: `spiffe://<trust-domain>/<role>/<name>`, at most 200 bytes.
///
/// The trust domain is of `a-z 0-9 . - _`, role and name are of `A-Z a-z 0-9 . - _`; there is no query, fragment, port,
/// empty part or further part (SPIFFE-ID section 2). The text is log-safe.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Identity {
    text: Arc<str>,
}

/// Why a text is not an identity. It never repeats the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an identity is spiffe://<trust-domain>/<role>/<name>, at most 200 bytes of A-Z a-z 0-9 . - _ in each part")]
pub struct BadIdentity;

impl Identity {
    /// Reads the URI SAN of a client certificate or the `uri` of the policy file.
    ///
    /// # Errors
    /// [`BadIdentity`] if the text has any other form.
    pub fn parse(text: &str) -> Result<Self, BadIdentity> {
        if text.len() > limits::IDENTITY_BYTES_MAX {
            return Err(BadIdentity);
        }
        let mut parts = text.strip_prefix(SCHEME).ok_or(BadIdentity)?.split('/');
        let (Some(domain), Some(role), Some(name), None) = (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(BadIdentity);
        };
        let upper = domain.bytes().any(|byte| byte.is_ascii_uppercase());
        if upper || ![domain, role, name].into_iter().all(is_part) {
            return Err(BadIdentity);
        }
        Ok(Self { text: text.into() })
    }

    /// The whole URI.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The part between trust domain and name: `orchestrator`, `security`, `custodian`, ...
    #[must_use]
    pub fn role(&self) -> &str {
        self.text.split('/').nth(3).unwrap_or_default()
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::borrow::Borrow<str> for Identity {
    fn borrow(&self) -> &str {
        &self.text
    }
}

/// A part may not be `.` or `..`, which some readers of URIs would resolve away.
fn is_part(part: &str) -> bool {
    !part.is_empty()
        && part != "."
        && part != ".."
        && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_'))
}

const SCHEME: &str = "spiffe://";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_of_three_parts_is_read() {
        let identity = Identity::parse("spiffe://strongroom/orchestrator/main-1").unwrap();
        assert_eq!(identity.role(), "orchestrator");
        assert_eq!(identity.as_str(), "spiffe://strongroom/orchestrator/main-1");
    }

    #[test]
    fn an_identity_of_another_form_is_refused() {
        for bad in [
            "",
            "spiffe://",
            "spiffe://strongroom",
            "spiffe://strongroom/orchestrator",
            "spiffe://strongroom/orchestrator/",
            "spiffe://strongroom//main",
            "spiffe:///orchestrator/main",
            "spiffe://strongroom/orchestrator/main/more",
            "spiffe://Strongroom/orchestrator/main",
            "SPIFFE://strongroom/orchestrator/main",
            "https://strongroom/orchestrator/main",
            "spiffe://strongroom/orchestrator/ma in",
            "spiffe://strongroom/orchestrator/main?x=1",
            "spiffe://strongroom/orchestrator/main#x",
            "spiffe://strongroom:1/orchestrator/main",
            "spiffe://strongroom/../main",
            "spiffe://strongroom/orchestrator/.",
            "spiffe://strongroom/orchestrator/m\u{e4}in",
            "spiffe://strongroom/orchestrator/main\n",
        ] {
            assert_eq!(Identity::parse(bad), Err(BadIdentity));
        }
    }

    #[test]
    fn an_identity_over_its_length_is_refused() {
        let head = "spiffe://strongroom/orchestrator/";
        let longest = format!("{head}{}", "a".repeat(limits::IDENTITY_BYTES_MAX - head.len()));
        assert!(Identity::parse(&longest).is_ok());
        assert_eq!(Identity::parse(&format!("{longest}a")), Err(BadIdentity));
    }
}
