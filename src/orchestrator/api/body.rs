//! Reads JSON bodies without ever repeating what was in them.

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use strongroom_wire::limits;

use super::answer::Refusal;
use crate::intent::Fault;

/// The body as `T`; an empty body is `{}`.
pub(crate) fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Refusal> {
    let body: &[u8] = if body.is_empty() { b"{}" } else { body };
    serde_json::from_slice(body).map_err(|error| explain(&error))
}

/// serde's messages quote the input, so only their beginnings, which are ours, are used.
fn explain(error: &serde_json::Error) -> Refusal {
    let text = error.to_string();
    if let Some(field) = text.strip_prefix("missing field `").and_then(|rest| rest.split('`').next()) {
        return Refusal::new(400, "IR_04", format!("Missing required param: {field}"));
    }
    let place = format!("line {} column {}", error.line(), error.column());
    let message = if text.starts_with("unknown field") {
        format!("The body has a field that this call does not take, before {place}")
    } else if text.starts_with("unknown variant") {
        format!("A field has a value that is not one of the allowed words, before {place}")
    } else if matches!(error.classify(), serde_json::error::Category::Data) {
        format!("A field has a value of the wrong type or form, before {place}")
    } else {
        format!("The body is not JSON, at {place}")
    };
    Refusal::new(400, "IR_06", message)
}

/// A text within its limit that holds no card number.
pub(crate) fn text(field: &'static str, text: Option<String>, bytes_max: usize) -> Result<Option<String>, Fault> {
    match &text {
        Some(t) if t.len() > bytes_max => Err(Fault::Invalid { field, reason: "too long" }),
        Some(t) if t.chars().any(char::is_control) => Err(Fault::Invalid { field, reason: "control characters" }),
        Some(t) if holds_card_number(t) => Err(Fault::Invalid { field, reason: HAS_CARD }),
        _ => Ok(text),
    }
}

/// Free-form JSON within its limit that holds no card number.
pub(crate) fn object(field: &'static str, value: &Value) -> Result<(), Fault> {
    let text = value.to_string();
    if text.len() > limits::PAYMENT_OBJECT_BYTES_MAX {
        return Err(Fault::Invalid { field, reason: "at most 8192 bytes of JSON" });
    }
    if holds_card_number(&text) {
        return Err(Fault::Invalid { field, reason: HAS_CARD });
    }
    Ok(())
}

/// Metadata within its limits.
pub(crate) fn metadata(map: Option<Map<String, Value>>) -> Result<Map<String, Value>, Fault> {
    let map = map.unwrap_or_default();
    let field = "metadata";
    if map.len() > limits::METADATA_ENTRIES_MAX {
        return Err(Fault::Invalid { field, reason: "at most 50 entries" });
    }
    for (key, value) in &map {
        if key.chars().count() > limits::METADATA_KEY_CHARS_MAX {
            return Err(Fault::Invalid { field, reason: "a key has at most 40 characters" });
        }
        if value.to_string().chars().count() > limits::METADATA_VALUE_CHARS_MAX {
            return Err(Fault::Invalid { field, reason: "a value has at most 500 characters" });
        }
    }
    object(field, &Value::Object(map.clone()))?;
    Ok(map)
}

/// Whether a text holds 13 to 19 digits in a row (blanks and hyphens between them do not count) that pass the Luhn check
/// and begin like a card of a payment scheme.
pub(crate) fn holds_card_number(text: &str) -> bool {
    let mut digits: Vec<u8> = Vec::new();
    for c in text.chars().chain(std::iter::once('\n')) {
        match c {
            '0'..='9' => digits.push(c as u8 - b'0'),
            ' ' | '-' => {}
            _ => {
                if (13..=19).contains(&digits.len()) && matches!(digits[0], 2..=6) && luhn(&digits) {
                    return true;
                }
                digits.clear();
            }
        }
    }
    false
}

fn luhn(digits: &[u8]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(place, digit)| {
            let doubled = u32::from(*digit) << (place % 2);
            if doubled > 9 { doubled - 9 } else { doubled }
        })
        .sum();
    sum.is_multiple_of(10)
}

const HAS_CARD: &str = "it contains a card number; card data belongs in payment_method_data.card only";

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Probe {
        #[expect(dead_code, reason = "only its type matters")]
        amount: u64,
    }

    #[test]
    fn errors_do_not_repeat_the_input() {
        for body in [
            r#"{"amount":"4242424242424242"}"#,
            r#"{"4242424242424242":1}"#,
            r#"{"amount":4242424242424242.5}"#,
            r#"4242424242424242"#,
            r#"{"amount":1"#,
        ] {
            let refusal = read::<Probe>(body.as_bytes()).unwrap_err();
            assert_eq!((refusal.status, refusal.code), (400, "IR_06"));
            assert!(!refusal.message.contains("4242"));
        }
        assert_eq!(read::<Probe>(b"").unwrap_err().code, "IR_04");
    }

    #[test]
    fn card_numbers_in_texts_are_found() {
        for bad in ["4242424242424242", "pay 5555 5555-5555 4444 now", "378282246310005"] {
            assert!(holds_card_number(bad));
            assert!(text("description", Some(bad.into()), 255).is_err());
        }
        for good in ["", "order 1234", "4242424242424241", "1700000000000"] {
            assert!(!holds_card_number(good));
        }
    }

    #[test]
    fn metadata_over_its_limits_is_refused() {
        let many = (0..=limits::METADATA_ENTRIES_MAX).map(|n| (n.to_string(), Value::Null)).collect();
        assert!(metadata(Some(many)).is_err());
        let long_key = Map::from_iter([("k".repeat(limits::METADATA_KEY_CHARS_MAX + 1), Value::Null)]);
        assert!(metadata(Some(long_key)).is_err());
        let long = Map::from_iter([("k".to_owned(), Value::from("v".repeat(limits::METADATA_VALUE_CHARS_MAX)))]);
        assert!(metadata(Some(long)).is_err());
        assert!(metadata(Some(Map::from_iter([("k".to_owned(), Value::from("v"))]))).is_ok());
    }
}
