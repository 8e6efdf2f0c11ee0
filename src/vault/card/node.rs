//! JSON read without copies and without error texts: strings are borrowed from the body, and no message repeats input.
//!
//! The derived readers of serde put what they found into their errors ("invalid type: string \"4242...\""), which would
//! copy a misplaced card number into memory that nobody wipes. This reader takes every kind of value silently and leaves
//! the judgement to the caller, who knows which field it is.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use zeroize::Zeroizing;

/// A JSON value whose strings still stand in the body it was read from.
pub(super) enum Node<'a> {
    Null,
    Text(&'a str),
    /// A string with escapes, which could not be borrowed. It wipes itself.
    Unescaped(Zeroizing<String>),
    /// A whole number small enough not to be a card number.
    Small(u64),
    Object(Vec<(Node<'a>, Node<'a>)>),
    /// A list; of one that is longer than any may be, the first values and one more.
    List(Vec<Node<'a>>),
    /// Anything that no field takes: booleans, other numbers.
    Other,
}

/// Where a body stops being JSON (line and column from 1), or has an object with a repeated or one field too many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BadJson {
    Syntax,
    Repeated,
    TooMany,
}

impl<'a> Node<'a> {
    /// Reads a whole body.
    pub(super) fn parse(body: &'a [u8]) -> Result<Self, BadJson> {
        serde_json::from_slice(body).map_err(|error| match error.to_string() {
            // The only data errors are the two marks below; neither carries input.
            text if text.starts_with(REPEATED) => BadJson::Repeated,
            text if text.starts_with(TOO_MANY) => BadJson::TooMany,
            _ => BadJson::Syntax,
        })
    }

    /// The string, if it is one.
    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Node::Text(text) => Some(text),
            Node::Unescaped(text) => Some(text),
            _ => None,
        }
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Node<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyNode)
    }
}

struct AnyNode;

impl<'de> Visitor<'de> for AnyNode {
    type Value = Node<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E: Error>(self) -> Result<Node<'de>, E> {
        Ok(Node::Null)
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Node<'de>, E> {
        Ok(Node::Other)
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Node<'de>, E> {
        Ok(if number <= SMALL_MAX { Node::Small(number) } else { Node::Other })
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<Node<'de>, E> {
        Ok(Node::Other)
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Node<'de>, E> {
        Ok(Node::Other)
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Node<'de>, E> {
        Ok(Node::Text(text))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Node<'de>, E> {
        Ok(Node::Unescaped(Zeroizing::new(text.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Node<'de>, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element::<Node<'de>>()? {
            if list.len() <= LIST_MAX {
                list.push(item);
            }
        }
        Ok(Node::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Node<'de>, A::Error> {
        let mut object: Vec<(Node<'de>, Node<'de>)> = Vec::new();
        while let Some((name, value)) = members.next_entry::<Node<'de>, Node<'de>>()? {
            if object.iter().any(|(known, _)| known.text() == name.text()) {
                return Err(A::Error::custom(REPEATED));
            }
            if object.len() == MEMBERS_MAX {
                return Err(A::Error::custom(TOO_MANY));
            }
            object.push((name, value));
        }
        Ok(Node::Object(object))
    }
}

const REPEATED: &str = "repeated field";
const TOO_MANY: &str = "too many fields";
/// Most members of one object: metadata may have the most, and the limit for it is told apart by its own check.
const MEMBERS_MAX: usize = strongroom_wire::limits::METADATA_ENTRIES_MAX + 1;
/// Most values of any list of the API.
const LIST_MAX: usize = strongroom_wire::limits::BATCH_CARDS_MAX;
/// Every number of the API is below; every card number is above.
const SMALL_MAX: u64 = 999_999_999;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn strings_without_escapes_are_borrowed_from_the_body() {
        let body = br#"{"number":"4242424242424242"}"#;
        let Node::Object(members) = Node::parse(body).ok().unwrap() else { panic!("an object") };
        let Node::Text(number) = members[0].1 else { panic!("a borrowed string") };
        assert!(body.as_ptr_range().contains(&number.as_ptr()));
    }

    #[test]
    fn names_that_differ_only_in_escapes_are_repeated() {
        assert_eq!(Node::parse(br#"{"a":1,"\u0061":2}"#).err().unwrap(), BadJson::Repeated);
        assert_eq!(Node::parse(br#"{"x":{"a":1,"a":1}}"#).err().unwrap(), BadJson::Repeated);
    }

    #[test]
    fn objects_with_too_many_fields_are_refused_early() {
        let body: Vec<String> = (0..=MEMBERS_MAX).map(|i| format!("\"k{i}\":1")).collect();
        assert_eq!(Node::parse(format!("{{{}}}", body.join(",")).as_bytes()).err().unwrap(), BadJson::TooMany);
    }

    #[test]
    fn what_is_not_json_is_a_fault_of_syntax() {
        let deep = "[".repeat(5_000);
        for body in ["", "{", "{}{}", "{\"a\":}", "nul", "\"\u{1}\"", &deep] {
            assert_eq!(Node::parse(body.as_bytes()).err().unwrap(), BadJson::Syntax, "{body:.20}");
        }
        assert_eq!(Node::parse(b"\"\xff\"").err().unwrap(), BadJson::Syntax);
    }

    #[test]
    fn a_card_number_sent_as_a_number_is_not_kept() {
        assert!(matches!(Node::parse(b"4242424242424242").ok().unwrap(), Node::Other));
        assert!(matches!(Node::parse(b"4242424242424242424242").ok().unwrap(), Node::Other));
        assert!(matches!(Node::parse(b"2030").ok().unwrap(), Node::Small(2030)));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(body in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = Node::parse(&body);
        }
    }
}
