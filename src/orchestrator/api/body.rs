//! Reads JSON bodies without ever repeating what was in them.

use actix_web::dev::Payload;
use actix_web::http::StatusCode;
use actix_web::web::Bytes;
use actix_web::{FromRequest, HttpRequest};
use futures_util::future::LocalBoxFuture;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};
use strongroom_wire::limits;

use super::answer::Refusal;
use super::free_text::holds_card_number;
use crate::intent::Fault;

/// The bytes of a body within the limit, or a refusal in the dialect's envelope.
pub(crate) struct Bounded(pub(crate) Bytes);

impl FromRequest for Bounded {
    type Error = Refusal;
    type Future = LocalBoxFuture<'static, Result<Self, Refusal>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let bytes = Bytes::from_request(request, payload);
        Box::pin(async move {
            bytes.await.map(Self).map_err(|error| match error.as_response_error().status_code() {
                StatusCode::PAYLOAD_TOO_LARGE => Refusal::new(413, "IR_06", "The body is larger than 65536 bytes"),
                _ => Refusal::new(400, "IR_06", "The body did not arrive in full"),
            })
        })
    }
}

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

/// Tells a field that is `null` from one that is absent.
pub(crate) fn given<'de, T: Deserialize<'de>, D: Deserializer<'de>>(from: D) -> Result<Option<T>, D::Error> {
    T::deserialize(from).map(Some)
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

/// A time: RFC 3339 text or whole seconds since 1970.
#[derive(Clone, serde::Deserialize)]
#[serde(untagged)]
pub(crate) enum TimeBody {
    /// Seconds since 1970.
    Seconds(i64),
    /// RFC 3339.
    Text(String),
}

impl TimeBody {
    /// Milliseconds since 1970.
    pub(crate) fn read(&self, field: &'static str) -> Result<i64, Fault> {
        let at = match self {
            TimeBody::Seconds(seconds) => jiff::Timestamp::from_second(*seconds).ok(),
            TimeBody::Text(text) => text.parse().ok(),
        };
        at.map(jiff::Timestamp::as_millisecond).ok_or(Fault::Invalid {
            field,
            reason: "a time in RFC 3339 form, such as 2031-05-17T12:00:00Z, or seconds since 1970",
        })
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

const HAS_CARD: &str = "it contains a card number; card data belongs in payment_method_data.card only";

#[cfg(test)]
mod tests {
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
    fn card_number_is_refused_wherever_text_is_taken() {
        for bad in ["4242424242424242", "4242424242424242 12/31"] {
            assert!(text("description", Some(bad.into()), 255).is_err());
            assert!(object("billing", &serde_json::json!({"address": {"line1": bad}})).is_err());
            assert!(metadata(Some(Map::from_iter([("k".to_owned(), Value::from(bad))]))).is_err());
            assert!(metadata(Some(Map::from_iter([(bad.to_owned(), Value::Null)]))).is_err());
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
