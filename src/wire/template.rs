//! What a template of [`crate::forward`] is made of: slots, JSON that keeps its order, and places that an error can name.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde::ser::{Serialize, SerializeMap as _, SerializeSeq as _, Serializer};
use serde_json::Number;

use crate::forward::SLOT_IN_TEXT;
use crate::limits;

macro_rules! slots {
    ($($(#[$doc:meta])* $slot:ident = $text:literal;)*) => {
        /// A place in a body where a part of the card stands.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Slot {
            $($(#[$doc])* $slot,)*
        }

        impl Slot {
            /// Every slot.
            pub const ALL: &'static [Slot] = &[$(Slot::$slot,)*];

            /// As it is spelled in a template.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Slot::$slot => $text,)* }
            }
        }
    };
}

slots! {
    /// The whole number.
    Number = "{{card.number}}";
    /// Two digits.
    ExpMonth = "{{card.exp_month}}";
    /// Four digits.
    ExpYear = "{{card.exp_year}}";
    /// The last two digits of the year.
    ExpYear2 = "{{card.exp_year_2}}";
    /// The month as a JSON number.
    ExpMonthNumber = "{{card.exp_month_number}}";
    /// The year as a JSON number.
    ExpYearNumber = "{{card.exp_year_number}}";
    /// The CVC; left out where there is none.
    Cvc = "{{card.cvc}}";
    /// The holder's name; left out where there is none.
    HolderName = "{{card.holder_name}}";
}

impl Slot {
    /// The slot that a value is, if it is exactly one.
    #[must_use]
    pub fn of(text: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|slot| slot.as_str() == text)
    }

    /// Whether a card may lack the part, so that its pair or member is left out.
    #[must_use]
    pub fn is_optional(self) -> bool {
        matches!(self, Slot::Cvc | Slot::HolderName)
    }

    /// Whether it stands for a JSON number and not for a string.
    #[must_use]
    pub fn is_number(self) -> bool {
        matches!(self, Slot::ExpMonthNumber | Slot::ExpYearNumber)
    }
}

/// A JSON value whose objects keep their order. An object with a repeated name, and a number that a double cannot hold
/// exactly, are refused when it is read.
pub enum Json {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number.
    Number(Number),
    /// A string, perhaps a slot.
    Text(String),
    /// A list.
    List(Vec<Json>),
    /// An object.
    Object(Vec<(String, Json)>),
}

impl Json {
    /// Answers how many slots there are.
    pub(crate) fn check(&self) -> Result<usize, BadTemplate> {
        let mut walk = Walk { slots: 0, bytes: 0, values: 0, pointer: String::new() };
        walk.visit(self, 0, false)?;
        Ok(walk.slots)
    }
}

impl From<serde_json::Value> for Json {
    fn from(value: serde_json::Value) -> Self {
        use serde_json::Value;
        match value {
            Value::Null => Json::Null,
            Value::Bool(truth) => Json::Bool(truth),
            Value::Number(number) => Json::Number(number),
            Value::String(text) => Json::Text(text),
            Value::Array(items) => Json::List(items.into_iter().map(Json::from).collect()),
            Value::Object(members) => {
                Json::Object(members.into_iter().map(|(name, value)| (name, Json::from(value))).collect())
            }
        }
    }
}

/// Where a template is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// The path.
    Path,
    /// A pair of the query, counted from 0.
    Query(usize),
    /// A header, counted from 0.
    Header(usize),
    /// The body as a whole.
    Body,
    /// A pair of the form, counted from 0.
    Form(usize),
    /// A value of the JSON body, by a pointer (RFC 6901) in which long or digit-laden names stand as `#` and their place.
    Json(String),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Path => f.write_str("path"),
            Place::Query(nth) => write!(f, "query[{nth}]"),
            Place::Header(nth) => write!(f, "headers[{nth}]"),
            Place::Body => f.write_str("body"),
            Place::Form(nth) => write!(f, "body.form[{nth}]"),
            Place::Json(pointer) => write!(f, "body.json{pointer}"),
        }
    }
}

/// Why a template is refused. It names a place and a rule and never repeats a value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {why}")]
pub struct BadTemplate {
    /// Where.
    pub place: Place,
    /// The rule.
    pub why: &'static str,
}

/// Goes through a JSON template once and keeps count.
struct Walk {
    slots: usize,
    bytes: usize,
    values: usize,
    pointer: String,
}

impl Walk {
    fn visit(&mut self, json: &Json, depth: usize, is_member: bool) -> Result<(), BadTemplate> {
        self.values += 1;
        if depth > limits::FORWARD_DEPTH_MAX {
            return Err(self.bad("the JSON is nested too deeply"));
        }
        if self.values > limits::FORWARD_FIELDS_MAX {
            return Err(self.bad("the JSON has too many values"));
        }
        match json {
            Json::Null | Json::Bool(_) | Json::Number(_) => Ok(()),
            Json::Text(text) => match Slot::of(text) {
                None => self.text(text),
                Some(slot) if slot.is_optional() && !is_member => {
                    Err(self.bad("a slot that may be left out is the value of an object's member"))
                }
                Some(_) => {
                    self.slots += 1;
                    Ok(())
                }
            },
            Json::List(items) => items
                .iter()
                .enumerate()
                .try_for_each(|(nth, item)| self.within(&nth.to_string(), |walk| walk.visit(item, depth + 1, false))),
            Json::Object(members) => members.iter().enumerate().try_for_each(|(nth, (name, value))| {
                self.within(&shown(name, nth), |walk| {
                    if name.len() > limits::FORWARD_NAME_BYTES_MAX {
                        return Err(walk.bad("the name is too long"));
                    }
                    walk.text(name)?;
                    walk.visit(value, depth + 1, true)
                })
            }),
        }
    }

    fn text(&mut self, text: &str) -> Result<(), BadTemplate> {
        self.bytes += text.len();
        if self.bytes > limits::FORWARD_BODY_BYTES_MAX {
            return Err(BadTemplate { place: Place::Body, why: "the body is too large" });
        }
        if text.contains("{{") { Err(self.bad(SLOT_IN_TEXT)) } else { Ok(()) }
    }

    fn within(
        &mut self,
        name: &str,
        visit: impl FnOnce(&mut Self) -> Result<(), BadTemplate>,
    ) -> Result<(), BadTemplate> {
        let before = self.pointer.len();
        self.pointer.push('/');
        self.pointer.push_str(name);
        visit(self)?;
        self.pointer.truncate(before);
        Ok(())
    }

    fn bad(&self, why: &'static str) -> BadTemplate {
        BadTemplate { place: Place::Json(self.pointer.clone()), why }
    }
}

/// A member's name where it is a plain word, or else its place, so that no error repeats what does not belong there.
fn shown(name: &str, nth: usize) -> String {
    let plain = (1..=40).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'))
        && name.bytes().filter(u8::is_ascii_digit).count() < 6;
    if plain { name.to_owned() } else { format!("#{nth}") }
}

impl Serialize for Json {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        match self {
            Json::Null => s.serialize_unit(),
            Json::Bool(truth) => s.serialize_bool(*truth),
            Json::Number(number) => number.serialize(s),
            Json::Text(text) => s.serialize_str(text),
            Json::List(items) => {
                let mut list = s.serialize_seq(Some(items.len()))?;
                items.iter().try_for_each(|item| list.serialize_element(item))?;
                list.end()
            }
            Json::Object(members) => {
                let mut object = s.serialize_map(Some(members.len()))?;
                members.iter().try_for_each(|(name, value)| object.serialize_entry(name, value))?;
                object.end()
            }
        }
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        d.deserialize_any(AnyJson)
    }
}

struct AnyJson;

impl<'de> Visitor<'de> for AnyJson {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E: Error>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E: Error>(self, truth: bool) -> Result<Json, E> {
        Ok(Json::Bool(truth))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Json, E> {
        Ok(Json::Number(number.into()))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Json, E> {
        Ok(Json::Number(number.into()))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Json, E> {
        // A whole number beyond 64 bits arrives here rounded; it would be sent as another one than was asked for.
        // One with many digits may have been rounded as well.
        let digits =
            format!("{number:e}").split('e').next().unwrap_or_default().matches(|c: char| c.is_ascii_digit()).count();
        if number.abs() >= WHOLE_MAX || digits > DIGITS_MAX {
            return Err(E::custom("a number has too many digits to be sent as it is; write it as a string"));
        }
        Number::from_f64(number).map(Json::Number).ok_or_else(|| E::custom("a number is not finite"))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Json, E> {
        Ok(Json::Text(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Json, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Json::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Json, A::Error> {
        let mut object: Vec<(String, Json)> = Vec::new();
        while let Some(name) = members.next_key::<String>()? {
            if object.len() == limits::FORWARD_FIELDS_MAX {
                return Err(A::Error::custom("an object has too many members"));
            }
            if object.iter().any(|(known, _)| *known == name) {
                return Err(A::Error::custom("a name stands twice in one object; send it once"));
            }
            object.push((name, members.next_value()?));
        }
        Ok(Json::Object(object))
    }
}

/// From here on neighbouring whole numbers cannot be told apart as doubles (2^53).
const WHOLE_MAX: f64 = 9_007_199_254_740_992.0;
/// Decimal numbers with so many significant digits are told apart as doubles, and read exactly.
const DIGITS_MAX: usize = 15;
