//! `SecretBody`: the body of `POST /v1/secrets`, read as strictly as one with a card.

use strongroom_wire::limits;
use zeroize::Zeroizing;

use super::body::{BodyError, OBJECT, invalid, members, root, unknown};
use super::text::holds_card_number;

/// A secret to keep: `{"name","value"}`.
pub struct SecretBody {
    /// 1 to [`limits::SECRET_NAME_CHARS_MAX`] of `A-Z a-z 0-9 _ - . : /`. Not secret.
    pub name: String,
    /// 1 to [`limits::SECRET_BYTES_MAX`] bytes of text; wiped on drop.
    pub value: Zeroizing<Box<str>>,
}

impl SecretBody {
    /// Reads a body; the caller wipes `body`.
    ///
    /// # Errors
    /// [`BodyError`] for the first fault found.
    pub fn parse(body: &[u8]) -> Result<Self, BodyError> {
        let root = root(body)?;
        let (mut name, mut value) = (None, None);
        for (field, node) in members(&root, None, OBJECT)? {
            match field {
                "name" => name = Some(node.text().filter(|text| is_name(text)).ok_or(BAD_NAME)?.to_owned()),
                "value" => value = Some(node.text().filter(|text| is_value(text)).ok_or(BAD_VALUE)?),
                _ => return Err(unknown(None, "allowed fields: name, value")),
            }
        }
        let name = name.ok_or(invalid("name", "name is required"))?;
        let value = value.ok_or(invalid("value", "value is required"))?;
        Ok(Self { name, value: Zeroizing::new(value.into()) })
    }
}

fn is_name(text: &str) -> bool {
    (1..=limits::SECRET_NAME_CHARS_MAX).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.' | b':' | b'/'))
        && !holds_card_number(text)
}

/// A card is to be tokenized, where quotas and masking apply to it, and not to be hidden among credentials.
fn is_value(text: &str) -> bool {
    (1..=limits::SECRET_BYTES_MAX).contains(&text.len()) && !holds_card_number(text)
}

const BAD_NAME: BodyError =
    invalid("name", "a name is 1 to 64 of A-Z a-z 0-9 _ - . : / and does not look like a card number");
const BAD_VALUE: BodyError =
    invalid("value", "a value is a string of 1 to 8192 bytes without a card number; cards go to payment_methods");

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn parse(body: &serde_json::Value) -> Result<SecretBody, BodyError> {
        SecretBody::parse(body.to_string().as_bytes())
    }

    #[test]
    fn name_and_value_arrive() {
        let value = "{\"api_key\":\"sk_test_\\u0041\"}\n";
        let body = parse(&json!({"name": "connector/stripe-1", "value": value})).ok().unwrap();
        assert_eq!((body.name.as_str(), &*body.value as &str), ("connector/stripe-1", value));
    }

    #[test]
    fn each_fault_is_named() {
        for (body, field) in [
            (json!({"value": "v"}), Some("name")),
            (json!({"name": "n"}), Some("value")),
            (json!({"name": "", "value": "v"}), Some("name")),
            (json!({"name": "a b", "value": "v"}), Some("name")),
            (json!({"name": "4242424242424242", "value": "v"}), Some("name")),
            (json!({"name": "n".repeat(65), "value": "v"}), Some("name")),
            (json!({"name": "n", "value": ""}), Some("value")),
            (json!({"name": "n", "value": 1}), Some("value")),
            (json!({"name": "n", "value": "x".repeat(8193)}), Some("value")),
            (json!({"name": "n", "value": "4242 4242 4242 4242"}), Some("value")),
            (json!({"name": "n", "value": "v", "more": 1}), None),
            (json!([]), None),
        ] {
            assert_eq!(parse(&body).err().unwrap().field, field);
        }
        assert!(parse(&json!({"name": "n".repeat(64), "value": "x".repeat(8192)})).is_ok());
    }
}
