//! Exports: what two people ask for, and to whom the cards go.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{BadId, TenantId};

/// Another party's public key in the form of age: `age1` and 58 characters of Bech32, lower case. It is not a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExportRecipient(String);

/// `POST /v1/exports`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExportOrder {
    /// Whose cards; absent for those of every tenant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<TenantId>,
    /// To whom.
    pub recipient: ExportRecipient,
}

impl ExportRecipient {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ExportRecipient {
    type Err = BadId;

    fn from_str(text: &str) -> Result<Self, BadId> {
        let letters = text.strip_prefix("age1").filter(|letters| letters.len() == 58);
        let is_bech32 = |byte: u8| matches!(byte, b'0' | b'2'..=b'9' | b'a' | b'c'..=b'h' | b'j'..=b'n' | b'p'..=b'z');
        match letters {
            Some(letters) if letters.bytes().all(is_bech32) => Ok(Self(text.to_owned())),
            _ => Err(BadId("a recipient is an age public key: age1 and 58 more characters, as age-keygen prints it")),
        }
    }
}

impl fmt::Display for ExportRecipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for ExportRecipient {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ExportRecipient {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recipient_is_a_public_key_in_form() {
        let good = format!("age1{}", "q".repeat(58));
        assert_eq!(good.parse::<ExportRecipient>().unwrap().as_str(), good);
        for bad in [
            String::new(),
            "age1".to_owned(),
            good.to_uppercase(),
            format!("{good}q"),
            good.replace('q', "b"),
            good.replacen("age1", "age2", 1),
            format!("AGE-SECRET-KEY-1{}", "Q".repeat(58)),
        ] {
            assert!(bad.parse::<ExportRecipient>().is_err(), "{bad}");
        }
    }

    #[test]
    fn an_order_takes_nothing_it_does_not_know() {
        let order = serde_json::json!({"recipient": format!("age1{}", "q".repeat(58))});
        assert!(serde_json::from_value::<ExportOrder>(order.clone()).unwrap().tenant.is_none());
        let mut more = order;
        more["format"] = "csv".into();
        assert!(serde_json::from_value::<ExportOrder>(more).is_err());
    }
}
