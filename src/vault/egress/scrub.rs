//! `Scrub`: masks card numbers and the CVC in what a destination answers, before anybody sees it.
//!
//! It finds this card's number however its digits are grouped or escaped (JSON, percent and numeric character references),
//! whatever else passes for a card number (`card::text`), and this card's CVC where it is a whole value. It does not find
//! what is encrypted, hashed, encoded as a whole (base64), reversed or cut into far pieces: a destination that means to hand
//! a card back in disguise can, and is not to be registered.

use std::ops::Range;

use strongroom_wire::forward::Slot;
use zeroize::Zeroizing;

use super::fill::{OfCard, Part, Parts as _};
use crate::card::text::{ascii_digit, card_numbers};
use crate::card::{Card, Cvc};

/// What to look for; it wipes itself and cannot be shown.
pub struct Scrub {
    number: Zeroizing<String>,
    cvc: Option<Zeroizing<String>>,
}

impl Scrub {
    /// For the answers to a request with this card.
    #[must_use]
    pub fn of(card: &Card, cvc: Option<&Cvc>) -> Self {
        let parts = OfCard { card, cvc };
        let text = |slot| match parts.part(slot) {
            Some(Part::Text(text)) => Some(text),
            _ => None,
        };
        Self { number: text(Slot::Number).unwrap_or_default(), cvc: text(Slot::Cvc) }
    }

    /// A body with what must not be seen masked. Bytes that are not UTF-8 become question marks, and nothing else changes. A
    /// masked number that stood in JSON as a number stands there as a string.
    #[must_use]
    pub fn body(&self, bytes: &[u8], content_type: &str) -> Zeroizing<String> {
        let mut text = Zeroizing::new(String::with_capacity(bytes.len()));
        for chunk in bytes.utf8_chunks() {
            text.push_str(chunk.valid());
            chunk.invalid().iter().for_each(|_| text.push('?'));
        }
        let essence = content_type.split(';').next().unwrap_or_default().trim();
        let is_json = essence.ends_with("json") || text.trim_start().starts_with(['{', '[']);
        self.text(&text, is_json)
    }

    /// Any text, the same way. Each character that goes becomes a star.
    #[must_use]
    pub fn text(&self, text: &str, is_json: bool) -> Zeroizing<String> {
        let mut finds = self.own_numbers(text);
        // With escapes and without: what looks like one (`50%4242...`) may be none.
        for plain in [Plain::of(text, |_| None), Plain::of(text, escaped)] {
            finds.extend(card_numbers(&plain.text).iter().map(|found| plain.digits_of(found, SHOWN)));
            finds.extend(self.cvcs(&plain));
        }
        if finds.is_empty() {
            return Zeroizing::new(text.to_owned());
        }
        masked(text, &finds, is_json)
    }

    /// This card's number wherever it stands.
    fn own_numbers(&self, text: &str) -> Vec<Find> {
        let mut found = Vec::new();
        let mut at = 0;
        while let Some(first) = text[at..].chars().next() {
            let mut digits = Vec::with_capacity(self.number.len());
            at = if !self.number.is_empty() && follow(text, at, &self.number, 0, &mut digits) {
                let end = digits.last().map_or(at + 1, |digit: &Range<usize>| digit.end);
                found.push(Find::hiding(digits, SHOWN));
                end
            } else {
                at + first.len_utf8()
            };
        }
        found
    }

    /// The CVC where it is a whole value: a string that is no member's name, text between tags, the value of a pair, or a
    /// bare number whose member's name speaks of such a code. Other bare numbers (amounts, counts) stay what they are.
    fn cvcs<'a>(&'a self, plain: &'a Plain) -> impl Iterator<Item = Find> + 'a {
        let digits = self.cvc.as_ref().map_or("", |cvc| cvc.as_str());
        let text = if digits.is_empty() { "" } else { plain.text.as_str() };
        text.match_indices(if digits.is_empty() { "-" } else { digits })
            .map(|(at, found)| at..at + found.len())
            .filter(|place| is_value(&plain.text, place))
            .map(|place| plain.digits_of(&place, 0))
    }
}

/// Whether the digits follow from here, each as itself or escaped, with up to [`APART`] signs that are no letters between
/// two; `found` gets where they stand. Every way to read what may be an escape is tried.
fn follow(text: &str, at: usize, digits: &str, apart: usize, found: &mut Vec<Range<usize>>) -> bool {
    let Some(wanted) = digits.chars().next() else { return true };
    let rest = &text[at..];
    let Some(first) = rest.chars().next() else { return false };
    let readings = [escaped(rest), Some((first, first.len_utf8()))];
    readings.into_iter().flatten().any(|(read, length)| {
        if ascii_digit(read) == wanted {
            found.push(at..at + length);
            if follow(text, at + length, &digits[1..], APART, found) {
                return true;
            }
            found.pop();
            return false;
        }
        apart > 0 && !read.is_alphanumeric() && follow(text, at + length, digits, apart - 1, found)
    })
}

/// Something that must not be seen, in bytes of the original text.
struct Find {
    /// All of it.
    place: Range<usize>,
    /// The characters that go.
    hidden: Vec<Range<usize>>,
}

impl Find {
    /// Digits of which the last few stay.
    fn hiding(mut digits: Vec<Range<usize>>, shown: usize) -> Self {
        let place = digits.first().map_or(0, |first| first.start)..digits.last().map_or(0, |last| last.end);
        digits.truncate(digits.len().saturating_sub(shown));
        Self { place, hidden: digits }
    }
}

/// A text read in one way, and where each character of it stands in the original.
struct Plain {
    text: Zeroizing<String>,
    /// The first byte of each character here, and its bytes there.
    units: Vec<(usize, Range<usize>)>,
}

impl Plain {
    fn of(original: &str, escaped: fn(&str) -> Option<(char, usize)>) -> Self {
        // Undoing escapes never lengthens a text, so it is written once and leaves no half of itself behind.
        let mut text = Zeroizing::new(String::with_capacity(original.len()));
        let mut units = Vec::with_capacity(original.len());
        let mut at = 0;
        while let Some(first) = original[at..].chars().next() {
            let (found, length) = escaped(&original[at..]).unwrap_or((first, first.len_utf8()));
            units.push((text.len(), at..at + length));
            text.push(ascii_digit(found));
            at += length;
        }
        Self { text, units }
    }

    /// The digits in a stretch of the text.
    fn digits_of(&self, place: &Range<usize>, shown: usize) -> Find {
        let nth = |byte: usize| self.units.partition_point(|(at, _)| *at < byte);
        let is_digit = |at: usize| self.text.as_bytes()[at].is_ascii_digit();
        let units = self.units[nth(place.start)..nth(place.end)].iter();
        Find::hiding(units.filter(|(at, _)| is_digit(*at)).map(|(_, original)| original.clone()).collect(), shown)
    }
}

fn is_value(text: &str, place: &Range<usize>) -> bool {
    let before = text[..place.start].chars().next_back();
    let mut rest = text[place.end..].chars();
    match (before, rest.next()) {
        (Some('"'), Some('"')) | (Some('\''), Some('\'')) => rest.find(|found| !found.is_whitespace()) != Some(':'),
        (Some('>'), Some('<')) => true,
        (Some('='), None | Some('&' | ' ' | ';' | '\r' | '\n')) => true,
        (Some(':' | ' ' | '\t' | '\n'), None | Some(',' | '}' | ']' | ' ' | '\r' | '\n')) => {
            speaks_of_a_code(&text[..place.start])
        }
        _ => false,
    }
}

/// Whether the member's name before a bare value is that of a verification code.
fn speaks_of_a_code(before: &str) -> bool {
    let name = before.trim_end().strip_suffix(':').and_then(|name| name.trim_end().strip_suffix('"'));
    let name = name.and_then(|name| name.rsplit('"').next()).unwrap_or_default().to_ascii_lowercase();
    CODE_NAMES.iter().any(|word| name.contains(word))
}

fn masked(text: &str, finds: &[Find], is_json: bool) -> Zeroizing<String> {
    let mut hidden = vec![false; text.len()];
    finds.iter().flat_map(|find| &find.hidden).for_each(|bytes| hidden[bytes.clone()].fill(true));
    let edges = if is_json { edges_of_bare(text, finds) } else { Vec::new() };
    let mut edges = edges.iter().peekable();
    let mut out = Zeroizing::new(String::with_capacity(text.len() + edges.len()));
    for (at, found) in text.char_indices() {
        while edges.next_if_eq(&&at).is_some() {
            out.push('"');
        }
        out.push(if hidden[at] { '*' } else { found });
    }
    edges.for_each(|_| out.push('"'));
    out
}

/// Where quotes are needed, so that JSON stays JSON: around each bare number that something is hidden in.
fn edges_of_bare(text: &str, finds: &[Find]) -> Vec<usize> {
    let inside = inside_strings(text);
    let bytes = text.as_bytes();
    let is_part = |at: &usize| bytes[*at].is_ascii_digit() || matches!(bytes[*at], b'.' | b'-' | b'+' | b'e' | b'E');
    let mut bare: Vec<Range<usize>> = finds
        .iter()
        .map(|find| &find.place)
        .filter(|place| !inside[place.start])
        .map(|place| {
            let start = (0..place.start).rev().take_while(is_part).last().unwrap_or(place.start);
            let end = (place.end..bytes.len()).take_while(is_part).last().map_or(place.end, |at| at + 1);
            start..end
        })
        .collect();
    bare.sort_by_key(|range| range.start);
    let mut merged: Vec<Range<usize>> = Vec::with_capacity(bare.len());
    for range in bare {
        match merged.last_mut() {
            Some(last) if last.end >= range.start => last.end = last.end.max(range.end),
            _ => merged.push(range),
        }
    }
    merged.into_iter().flat_map(|range| [range.start, range.end]).collect()
}

/// For each byte whether it is part of a JSON string.
fn inside_strings(text: &str) -> Vec<bool> {
    let (mut is_inside, mut is_escaped) = (false, false);
    text.bytes()
        .map(|byte| {
            let is_quote = byte == b'"' && !is_escaped;
            is_escaped = is_inside && byte == b'\\' && !is_escaped;
            is_inside ^= is_quote;
            is_inside || is_quote
        })
        .collect()
}

/// The character that an escape at the beginning of a text stands for, and the escape's length in bytes.
fn escaped(text: &str) -> Option<(char, usize)> {
    let bytes = text.as_bytes();
    match bytes {
        [b'\\', b'u', digits @ ..] => {
            let code = u32::from_str_radix(text.get(2..6).filter(|_| digits.len() >= 4)?, 16).ok()?;
            Some((char::from_u32(code).unwrap_or('?'), 6))
        }
        [b'\\', b'n' | b'r' | b't' | b'b' | b'f', ..] => Some((' ', 2)),
        [b'\\', sign @ (b'"' | b'\\' | b'/'), ..] => Some((char::from(*sign), 2)),
        [b'%', ..] => {
            let code = u8::from_str_radix(text.get(1..3)?, 16).ok()?;
            code.is_ascii().then_some((char::from(code), 3))
        }
        [b'&', b'#', ..] => {
            let length = text.get(..ENTITY_BYTES_MAX.min(text.len())).and_then(|head| head.find(';'))?;
            let body = &text[2..length];
            let code = match body.strip_prefix(['x', 'X']) {
                Some(hex) => u32::from_str_radix(hex, 16),
                None => body.parse(),
            };
            Some((char::from_u32(code.ok()?)?, length + 1))
        }
        _ => None,
    }
}

/// Digits of a masked number that stay (PCI DSS 3.4.1).
const SHOWN: usize = 4;
/// Most signs between two digits of one number: a closing quote, a comma and an opening quote of a list.
const APART: usize = 3;
/// `&#x00039;` and the like.
const ENTITY_BYTES_MAX: usize = 10;
const CODE_NAMES: [&str; 8] = ["cvc", "cvv", "cvn", "csc", "cid", "cav", "security", "verification"];

#[cfg(test)]
#[path = "scrub_tests.rs"]
mod tests;
