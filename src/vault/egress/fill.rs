//! Filling: a template and the parts of a card become bytes, in one buffer that never moves and is wiped.

use strongroom_wire::forward::{ForwardBody, Json, Slot};
use strongroom_wire::limits;
use zeroize::Zeroizing;

use crate::card::{Card, Cvc, Glance};

/// What stands in a slot.
pub enum Part {
    /// A string.
    Text(Zeroizing<String>),
    /// A JSON number.
    Number(u16),
}

/// Where the parts come from.
pub trait Parts {
    /// What stands in this slot; none where the card lacks it, and its pair or member is left out.
    fn part(&self, slot: Slot) -> Option<Part>;
}

/// The parts of a card.
pub struct OfCard<'a> {
    /// The card.
    pub card: &'a Card,
    /// Its CVC.
    pub cvc: Option<&'a Cvc>,
}

/// Masks in the place of parts, for a dry run: a glance tells all that may be shown. Whether there is a holder's name it
/// does not tell; the mask stands for one.
pub struct Masked<'a> {
    /// What may be shown.
    pub glance: &'a Glance,
    /// Whether a CVC would be sent.
    pub has_cvc: bool,
}

impl Parts for OfCard<'_> {
    fn part(&self, slot: Slot) -> Option<Part> {
        let expiry = self.card.expiry;
        Some(match slot {
            Slot::Number => text(self.card.pan.digits().as_str()),
            Slot::Cvc => text(self.cvc?.digits().as_str()),
            Slot::HolderName => text(self.card.holder_name.as_ref()?.as_str()),
            _ => of_expiry(slot, expiry.month(), expiry.year()),
        })
    }
}

impl Parts for Masked<'_> {
    fn part(&self, slot: Slot) -> Option<Part> {
        let expiry = self.glance.expiry();
        Some(match slot {
            Slot::Number => text(&format!("{}******{}", self.glance.bin(), self.glance.last4())),
            Slot::Cvc if !self.has_cvc => return None,
            Slot::Cvc | Slot::HolderName => text("***"),
            _ => of_expiry(slot, expiry.month(), expiry.year()),
        })
    }
}

fn of_expiry(slot: Slot, month: u8, year: u16) -> Part {
    match slot {
        Slot::ExpMonth => text(&format!("{month:02}")),
        Slot::ExpYear => text(&format!("{year:04}")),
        Slot::ExpYear2 => text(&format!("{:02}", year % 100)),
        Slot::ExpMonthNumber => Part::Number(u16::from(month)),
        Slot::ExpYearNumber => Part::Number(year),
        Slot::Number | Slot::Cvc | Slot::HolderName => text(""),
    }
}

fn text(text: &str) -> Part {
    Part::Text(Zeroizing::new(text.to_owned()))
}

/// The body with every slot filled.
#[must_use]
pub fn fill(body: &ForwardBody, parts: &impl Parts) -> Zeroizing<Vec<u8>> {
    let mut out = Zeroizing::new(Vec::with_capacity(bytes_max(body)));
    match body {
        ForwardBody::Json(json) => write_json(&mut out, json, parts),
        ForwardBody::Form(pairs) => write_form(&mut out, pairs, parts),
    }
    out
}

/// Where slots stand: a JSON pointer (RFC 6901) or the name of a pair.
pub(super) fn places(body: &ForwardBody) -> Vec<String> {
    let mut found = Vec::new();
    match body {
        ForwardBody::Json(json) => pointers(json, &mut String::new(), &mut found),
        ForwardBody::Form(pairs) => {
            found.extend(pairs.iter().filter(|(_, value)| Slot::of(value).is_some()).map(|(name, _)| name.clone()));
        }
    }
    found
}

fn pointers(json: &Json, at: &mut String, found: &mut Vec<String>) {
    let mut within = |name: &str, value: &Json, at: &mut String| {
        let before = at.len();
        at.push('/');
        at.push_str(&name.replace('~', "~0").replace('/', "~1"));
        pointers(value, at, found);
        at.truncate(before);
    };
    match json {
        Json::Text(text) if Slot::of(text).is_some() => found.push(at.clone()),
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::Text(_) => {}
        Json::List(items) => items.iter().enumerate().for_each(|(nth, item)| within(&nth.to_string(), item, at)),
        Json::Object(members) => members.iter().for_each(|(name, value)| within(name, value, at)),
    }
}

fn write_json(out: &mut Vec<u8>, json: &Json, parts: &impl Parts) {
    match json {
        Json::Null => out.extend_from_slice(b"null"),
        Json::Bool(true) => out.extend_from_slice(b"true"),
        Json::Bool(false) => out.extend_from_slice(b"false"),
        Json::Number(number) => out.extend_from_slice(number.to_string().as_bytes()),
        Json::Text(text) => match Slot::of(text) {
            None => write_string(out, text),
            // A template whose optional slot is no member was refused when it was checked.
            Some(slot) => match parts.part(slot) {
                Some(part) => write_part(out, &part),
                None => out.extend_from_slice(b"null"),
            },
        },
        Json::List(items) => {
            out.push(b'[');
            for (nth, item) in items.iter().enumerate() {
                if nth > 0 {
                    out.push(b',');
                }
                write_json(out, item, parts);
            }
            out.push(b']');
        }
        Json::Object(members) => {
            out.push(b'{');
            let mut is_first = true;
            for (name, value) in members {
                let part = match value {
                    Json::Text(text) => Slot::of(text).map(|slot| parts.part(slot)),
                    _ => None,
                };
                if matches!(part, Some(None)) {
                    continue;
                }
                if !is_first {
                    out.push(b',');
                }
                is_first = false;
                write_string(out, name);
                out.push(b':');
                match part.flatten() {
                    Some(part) => write_part(out, &part),
                    None => write_json(out, value, parts),
                }
            }
            out.push(b'}');
        }
    }
}

fn write_part(out: &mut Vec<u8>, part: &Part) {
    match part {
        Part::Text(text) => write_string(out, text),
        Part::Number(number) => out.extend_from_slice(number.to_string().as_bytes()),
    }
}

/// A JSON string (RFC 8259 section 7).
fn write_string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    for byte in text.bytes() {
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            0..=0x1f => {
                out.extend_from_slice(b"\\u00");
                out.extend_from_slice(&[HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
            }
            _ => out.push(byte),
        }
    }
    out.push(b'"');
}

fn write_form(out: &mut Vec<u8>, pairs: &[(String, String)], parts: &impl Parts) {
    for (name, value) in pairs {
        match Slot::of(value) {
            None => write_pair(out, name, value),
            Some(slot) => {
                // A form with a number slot was refused when it was checked.
                if let Some(Part::Text(text)) = parts.part(slot) {
                    write_pair(out, name, &text);
                }
            }
        }
    }
}

fn write_pair(out: &mut Vec<u8>, name: &str, value: &str) {
    if !out.is_empty() {
        out.push(b'&');
    }
    encode(out, name);
    out.push(b'=');
    encode(out, value);
}

/// Percent-encodes everything but unreserved characters (RFC 3986 section 2.3).
pub(super) fn encode(out: &mut Vec<u8>, text: &str) {
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(byte),
            _ => out.extend_from_slice(&[b'%', HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]),
        }
    }
}

/// Room for a body whatever is in its slots: a byte of JSON text takes six at most, one of a form three.
fn bytes_max(body: &ForwardBody) -> usize {
    match body {
        ForwardBody::Json(json) => json_max(json),
        ForwardBody::Form(pairs) => pairs.iter().map(|(name, value)| 3 * (name.len() + value_max(value)) + 2).sum(),
    }
}

fn json_max(json: &Json) -> usize {
    match json {
        Json::Null | Json::Bool(_) => 5,
        Json::Number(_) => NUMBER_BYTES_MAX,
        Json::Text(text) => 6 * value_max(text) + 2,
        Json::List(items) => 2 + items.iter().map(|item| 1 + json_max(item)).sum::<usize>(),
        Json::Object(members) => {
            2 + members.iter().map(|(name, value)| 6 * name.len() + 4 + json_max(value)).sum::<usize>()
        }
    }
}

fn value_max(text: &str) -> usize {
    if Slot::of(text).is_some() { limits::HOLDER_NAME_BYTES_MAX } else { text.len() }
}

const HEX: &[u8; 16] = b"0123456789ABCDEF";
/// The longest double in decimal.
const NUMBER_BYTES_MAX: usize = 32;

#[cfg(test)]
#[path = "fill_tests.rs"]
mod tests;
