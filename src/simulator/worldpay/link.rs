//! The opaque ends of links: which payment, and which of its amounts, as the answer that gave the link knew it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

/// What a link stands for.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Link {
    /// The payment's id.
    #[serde(rename = "k")]
    pub(super) payment: String,
    /// How often the amount had been raised. A link from before a raise knows nothing of it.
    #[serde(rename = "v")]
    pub(super) raises: usize,
}

impl Link {
    /// The link's end, as it stands in an address.
    pub(super) fn text(&self) -> String {
        // Two plain fields always become JSON.
        STANDARD.encode(serde_json::to_string(self).unwrap_or_default())
    }

    /// Reads a link's end.
    pub(super) fn parse(text: &str) -> Option<Self> {
        serde_json::from_slice(&STANDARD.decode(text).ok()?).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn link_leads_back_and_a_made_up_one_nowhere() {
        let link = Link { payment: "payExample-of_an_id01".into(), raises: 2 };
        assert_eq!(Link::parse(&link.text()), Some(link));
        for odd in ["", "linkData", "e30=", "eyJrIjoi"] {
            assert_eq!(Link::parse(odd), None, "{odd}");
        }
    }
}
