//! One line: from the words of a file to the JSON that a batch takes, or the reason why it is no card. A reason never
//! repeats a word of the line.

use std::collections::BTreeMap;

use serde::Serialize;
use strongroom_wire::{CustomerId, limits};
use zeroize::Zeroizing;

use crate::failure::Failure;

/// Which column of the file each field stands in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Columns(BTreeMap<String, String>);

/// A card as the batch takes it, wiped on drop.
pub(super) struct Item {
    /// Line in the file, from 1.
    pub(super) line: u64,
    /// What the card was called before.
    pub(super) id: Option<String>,
    /// One element of `payment_methods`.
    pub(super) json: Zeroizing<Vec<u8>>,
}

/// A line that is not stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refused {
    /// Line in the file, from 1.
    pub(super) line: u64,
    /// Why.
    pub(super) why: String,
}

/// Where a line's words are looked up by the name of their column.
pub(super) trait Words {
    /// The word in a column; none where there is no such column or nothing in it.
    fn word(&self, column: &str) -> Option<&str>;
    /// Notes that stand in the line under names of their own.
    fn notes(&self) -> Vec<(String, String)>;
}

impl Columns {
    /// From `--map`: a field that is not named stands in the column of its own name.
    pub(super) fn of(map: &[String]) -> Result<Self, Failure> {
        let mut columns: BTreeMap<String, String> =
            FIELDS.iter().map(|field| ((*field).to_owned(), (*field).to_owned())).collect();
        for pair in map {
            let Some((field, column)) = pair.split_once('=').filter(|(_, column)| !column.is_empty()) else {
                return Err(Failure::new(
                    "--map is not FIELD=COLUMN",
                    "write it like --map number=pan,exp_month=month",
                ));
            };
            let is_note = field.strip_prefix(NOTE).is_some_and(|key| !key.is_empty());
            if !is_note && !FIELDS.contains(&field) {
                return Err(Failure::new(
                    "--map names a field that there is not",
                    format!("the fields are {} and {NOTE}KEY; a CVC is never stored", FIELDS.join(", ")),
                ));
            }
            columns.insert(field.to_owned(), column.to_owned());
        }
        Ok(Self(columns))
    }

    /// The columns that must be there.
    pub(super) fn required(&self) -> impl Iterator<Item = &str> {
        ["number", "exp_month", "exp_year"].into_iter().filter_map(|field| self.column(field))
    }

    fn column(&self, field: &str) -> Option<&str> {
        self.0.get(field).map(String::as_str)
    }

    fn word<'w>(&self, words: &'w impl Words, field: &str) -> Option<&'w str> {
        words.word(self.column(field)?)
    }

    fn notes(&self, words: &impl Words) -> BTreeMap<String, String> {
        let mapped = self
            .0
            .iter()
            .filter_map(|(field, column)| Some((field.strip_prefix(NOTE)?.to_owned(), words.word(column)?.to_owned())));
        words.notes().into_iter().chain(mapped).collect()
    }

    /// Reads a line.
    pub(super) fn item(&self, line: u64, words: &impl Words, now_ms: u64) -> Result<Item, Refused> {
        let read = self.read(words, now_ms).and_then(|(id, json)| {
            if json.len() > ITEM_BYTES_MAX {
                return Err("the line is too long: its notes have at most 4096 bytes");
            }
            Ok((id, json))
        });
        read.map(|(id, json)| Item { line, id, json }).map_err(|why| Refused { line, why: why.to_owned() })
    }

    fn read(&self, words: &impl Words, now_ms: u64) -> Result<(Option<String>, Zeroizing<Vec<u8>>), &'static str> {
        let number = self.word(words, "number").ok_or("number: there is none")?;
        let number = digits(number)?;
        let month = self.word(words, "exp_month").and_then(|text| text.trim().parse::<u8>().ok());
        let month = month.filter(|month| (1..=12).contains(month)).ok_or("exp_month: it is 1 to 12")?;
        let year = self.word(words, "exp_year").and_then(year).ok_or("exp_year: it has two or four digits")?;
        expiry(month, year, now_ms)?;
        let id = self.word(words, "id").map(str::to_owned);
        if id.as_deref().is_some_and(|id| id.len() > ID_BYTES_MAX || id.chars().any(char::is_control)) {
            return Err("id: it has at most 200 bytes and no control characters");
        }
        if id.as_deref().is_some_and(|id| digits(id).is_ok()) {
            return Err("id: it looks like a card number, which may not be written beside a token");
        }
        let holder_name = self.word(words, "holder_name");
        if holder_name.is_some_and(|name| name.len() > limits::HOLDER_NAME_BYTES_MAX) {
            return Err("holder_name: it has at most 96 bytes");
        }
        let customer_id = self.word(words, "customer_id");
        if customer_id.is_some_and(|text| text.parse::<CustomerId>().is_err()) {
            return Err("customer_id: it is 1 to 64 of A-Z a-z 0-9 _ - . : @ and does not look like a card number");
        }
        let metadata = self.notes(words);
        let card = Card { number: &number, exp_month: month, exp_year: year, holder_name };
        let request = Request { kind: "card", card, customer_id, metadata };
        let json = serde_json::to_vec(&request).map_err(|_| "the line cannot be written as JSON")?;
        Ok((id, Zeroizing::new(json)))
    }
}

#[derive(Serialize)]
struct Request<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    card: Card<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    customer_id: Option<&'a str>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    metadata: BTreeMap<String, String>,
}

#[derive(Serialize)]
struct Card<'a> {
    number: &'a str,
    exp_month: u8,
    exp_year: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    holder_name: Option<&'a str>,
}

/// The digits of a card number: 12 to 19 with the right check digit (ISO/IEC 7812-1 annex B), single spaces or hyphens
/// between them left out.
fn digits(text: &str) -> Result<Zeroizing<String>, &'static str> {
    let mut digits = Zeroizing::new(String::with_capacity(text.len()));
    for character in text.trim().chars() {
        match character {
            '0'..='9' => digits.push(character),
            ' ' | '-' => {}
            _ => return Err("number: it has digits alone"),
        }
    }
    if !(12..=19).contains(&digits.len()) {
        return Err("number: it has 12 to 19 digits");
    }
    let sum: u32 = digits.bytes().rev().enumerate().map(|(place, byte)| weighed(place, u32::from(byte - b'0'))).sum();
    if sum.is_multiple_of(10) { Ok(digits) } else { Err("number: its check digit is wrong") }
}

fn weighed(place: usize, digit: u32) -> u32 {
    let doubled = if place % 2 == 1 { 2 * digit } else { digit };
    doubled / 10 + doubled % 10
}

/// Two digits are of this century.
fn year(text: &str) -> Option<u16> {
    let text = text.trim();
    let year: u16 = text.parse().ok()?;
    match text.len() {
        2 => Some(2000 + year),
        4 => Some(year),
        _ => None,
    }
}

/// A card is good until its month is over; the vault itself decides about the hours around midnight.
fn expiry(month: u8, year: u16, now_ms: u64) -> Result<(), &'static str> {
    let now = i64::try_from(now_ms).ok().and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
    let now = now.unwrap_or(jiff::Timestamp::MAX).to_zoned(jiff::tz::TimeZone::UTC).date();
    let this = (now.year(), now.month());
    let last = (i16::try_from(year).unwrap_or(i16::MAX), i8::try_from(month).unwrap_or(12));
    if last < this {
        return Err("exp_year: the card has expired");
    }
    let most = this.0.saturating_add(i16::try_from(limits::EXPIRY_YEARS_AHEAD_MAX).unwrap_or(i16::MAX));
    if last.0 > most { Err("exp_year: it is too far ahead") } else { Ok(()) }
}

const FIELDS: [&str; 6] = ["number", "exp_month", "exp_year", "holder_name", "customer_id", "id"];
/// Fields of this kind are notes about the card.
pub(super) const NOTE: &str = "metadata.";
const ID_BYTES_MAX: usize = 200;
/// Longest element of a batch, in bytes: a number, an expiry, a name with every byte escaped, 4 KiB of notes.
pub(super) const ITEM_BYTES_MAX: usize = 5 * 1024;

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    struct Pairs(Vec<(&'static str, &'static str)>);

    impl Words for Pairs {
        fn word(&self, column: &str) -> Option<&str> {
            self.0.iter().find(|(name, word)| *name == column && !word.is_empty()).map(|(_, word)| *word)
        }

        fn notes(&self) -> Vec<(String, String)> {
            vec![("color".to_owned(), "red".to_owned())]
        }
    }

    /// 2026-03-15T00:00:00Z.
    const NOW: u64 = 1_773_532_800_000;

    fn read(map: &[&str], pairs: &[(&'static str, &'static str)]) -> Result<Item, String> {
        let map: Vec<String> = map.iter().map(|pair| (*pair).to_owned()).collect();
        let columns = Columns::of(&map).map_err(|failure| failure.lines().join(" "))?;
        columns.item(7, &Pairs(pairs.to_vec()), NOW).map_err(|refused| refused.why)
    }

    #[test]
    fn a_line_becomes_what_a_batch_takes() {
        let map = ["number=pan", "exp_month=m", "exp_year=y", "id=old", "metadata.order=o"];
        let pairs = [("pan", "4242 4242-4242 4242"), ("m", "03"), ("y", "26"), ("old", "tok_1"), ("o", "17")];
        let item = read(&map, &pairs).unwrap();
        assert_eq!((item.line, item.id.as_deref()), (7, Some("tok_1")));
        let json: Value = serde_json::from_slice(&item.json).unwrap();
        let card = json!({"number": "4242424242424242", "exp_month": 3, "exp_year": 2026});
        assert_eq!(json, json!({"type": "card", "card": card, "metadata": {"order": "17", "color": "red"}}));
    }

    #[test]
    fn each_fault_names_its_field_and_repeats_nothing() {
        let with = |field: &'static str, word: &'static str| {
            let mut pairs = vec![("number", "4242424242424242"), ("exp_month", "12"), ("exp_year", "2030")];
            pairs.retain(|(name, _)| *name != field);
            pairs.push((field, word));
            read(&[], &pairs).err().unwrap_or_default()
        };
        for (field, word) in [
            ("number", ""),
            ("number", "4242424242424241"),
            ("number", "42424242424"),
            ("number", "4242x424242424242"),
            ("exp_month", "13"),
            ("exp_month", "1.5"),
            ("exp_year", "2026x"),
            ("exp_year", "2025"),
            ("exp_year", "2077"),
            ("id", "4242424242424242"),
            ("customer_id", "4242424242424242"),
        ] {
            let why = with(field, word);
            assert!(why.starts_with(field), "{field} {word}: {why}");
            assert!(!why.contains("4242"));
        }
    }

    #[test]
    fn a_line_over_its_limits_is_refused() {
        let long: &'static str = Box::leak("n".repeat(limits::HOLDER_NAME_BYTES_MAX + 1).into_boxed_str());
        let notes: &'static str = Box::leak("n".repeat(ITEM_BYTES_MAX).into_boxed_str());
        let pairs =
            |field, word| [("number", "4242424242424242"), ("exp_month", "12"), ("exp_year", "30"), (field, word)];
        assert!(read(&[], &pairs("holder_name", &long[1..])).is_ok());
        assert!(read(&[], &pairs("holder_name", long)).is_err());
        assert!(read(&["metadata.a=notes"], &pairs("notes", notes)).is_err());
    }

    #[test]
    fn a_map_names_fields_that_there_are() {
        for wrong in ["number", "number=", "cvc=cvc", "metadata.=x", "pan=number"] {
            assert!(Columns::of(&[wrong.to_owned()]).is_err(), "{wrong}");
        }
    }
}
