//! Metadata: the caller's own notes about a card, small, and free of what may not be kept.

use strongroom_wire::payment_method::Metadata;
use strongroom_wire::{Kind, limits};

use super::body::{BodyError, members};
use super::node::Node;
use super::text;

/// Reads the value of `metadata`.
///
/// # Errors
/// [`BodyError`] for a count or length over its limit, for anything but strings, for a card number in a key or value, and
/// for a key that names data which may not be kept.
pub(super) fn read_metadata(value: &Node<'_>) -> Result<Metadata, BodyError> {
    let wrong = |why| Err(BodyError { kind: Kind::InvalidField, field: Some("metadata"), why });
    let mut metadata = Metadata::new();
    let mut bytes = 2;
    for (key, value) in members(value, Some("metadata"), "metadata must be an object of strings")? {
        let Some(note) = value.text() else { return wrong("each value of metadata is a string") };
        if key.is_empty() || key.chars().count() > limits::METADATA_KEY_CHARS_MAX {
            return wrong("each key of metadata has 1 to 40 characters");
        }
        if note.chars().count() > limits::METADATA_VALUE_CHARS_MAX {
            return wrong("each value of metadata has at most 500 characters");
        }
        if text::holds_card_number(key) || text::holds_card_number(note) {
            return Err(BodyError {
                kind: Kind::CardInText,
                field: Some("metadata"),
                why: "metadata contains what looks like a card number; card numbers belong in card.number alone",
            });
        }
        if names_sensitive_authentication(key) {
            return Err(BodyError {
                kind: Kind::CardInText,
                field: Some("metadata"),
                why: "a key of metadata names a CVC, track or PIN block, which may not be kept; send a CVC in card.cvc",
            });
        }
        bytes += key.len() + note.len() + JSON_BYTES_PER_ENTRY;
        metadata.insert(key.to_owned(), note.to_owned());
    }
    if metadata.len() > limits::METADATA_ENTRIES_MAX {
        return wrong("metadata has at most 50 entries");
    }
    if bytes > limits::METADATA_BYTES_MAX {
        return wrong("metadata has at most 4096 bytes in all");
    }
    Ok(metadata)
}

/// Whether a key of metadata announces data that may not be kept after authorization (PCI DSS 3.3.1): three digits alone
/// cannot be told from any other three digits, but the name beside them can.
fn names_sensitive_authentication(key: &str) -> bool {
    let word: String = key.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect();
    SENSITIVE_PARTS.iter().any(|part| word.contains(part)) || SENSITIVE_WORDS.contains(&word.as_str())
}

/// Two pairs of quotes, a colon and a comma.
const JSON_BYTES_PER_ENTRY: usize = 6;
const SENSITIVE_PARTS: &[&str] =
    &["cvc", "cvv", "securitycode", "cardverification", "pinblock", "trackdata", "magstripe"];
const SENSITIVE_WORDS: &[&str] = &["track1", "track2", "track3", "cardpin"];

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &serde_json::Value) -> Result<Metadata, BodyError> {
        read_metadata(&Node::parse(json.to_string().as_bytes()).ok().unwrap())
    }

    #[test]
    fn notes_are_kept_as_they_are() {
        let notes = serde_json::json!({"order": "A-17", "note": "\"quoted\" ü", "empty": ""});
        assert_eq!(serde_json::to_value(read(&notes).unwrap()).unwrap(), notes);
    }

    #[test]
    fn a_card_number_in_a_key_or_value_is_refused() {
        for notes in [
            serde_json::json!({"note": "card 4242 4242 4242 4242"}),
            serde_json::json!({"4242424242424242": "x"}),
            serde_json::json!({"a": "fine", "b": "5555-5555-5555-4444"}),
        ] {
            assert_eq!(read(&notes).unwrap_err().kind, Kind::CardInText);
        }
        // Escapes do not hide it.
        let escaped = Node::parse(br#"{"a":"\u0034242424242424242"}"#).ok().unwrap();
        assert_eq!(read_metadata(&escaped).unwrap_err().kind, Kind::CardInText);
    }

    #[test]
    fn keys_that_name_sensitive_authentication_are_refused() {
        for key in ["cvc", "CVV2", "card_cvc", "security-code", "Card Verification Value", "track2", "pin_block"] {
            assert_eq!(read(&serde_json::json!({ key: "123" })).unwrap_err().kind, Kind::CardInText, "{key}");
        }
        for key in ["tracking", "soundtrack", "pin_code", "track_10"] {
            assert!(read(&serde_json::json!({ key: "123" })).is_ok(), "{key}");
        }
    }

    #[test]
    fn only_an_object_of_strings_is_taken() {
        for notes in [
            serde_json::json!([]),
            serde_json::json!("a"),
            serde_json::json!({"a": 1}),
            serde_json::json!({"a": {"b": "c"}}),
            serde_json::json!({"a": null}),
        ] {
            assert_eq!(read(&notes).unwrap_err().field, Some("metadata"));
        }
    }

    #[test]
    fn each_limit_holds_at_its_edge() {
        let one = |key: usize, value: usize| read(&serde_json::json!({ "k".repeat(key): "ü".repeat(value) })).is_ok();
        assert!(one(limits::METADATA_KEY_CHARS_MAX, limits::METADATA_VALUE_CHARS_MAX));
        assert!(!one(limits::METADATA_KEY_CHARS_MAX + 1, 1));
        assert!(!one(0, 1));
        assert!(!one(1, limits::METADATA_VALUE_CHARS_MAX + 1));
        let many = |entries: usize, value: usize| {
            let notes: serde_json::Map<_, _> =
                (0..entries).map(|i| (format!("k{i}"), "v".repeat(value).into())).collect();
            read(&notes.into()).is_ok()
        };
        assert!(many(limits::METADATA_ENTRIES_MAX, 1));
        assert!(!many(limits::METADATA_ENTRIES_MAX + 1, 1));
        assert!(many(8, 490));
        assert!(!many(9, 490));
    }
}
