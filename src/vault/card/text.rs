//! Card numbers where they should not be: in notes, names and other free text (PCI DSS 3.3.1, 12.10.7).

use std::ops::Range;

use strongroom_wire::payment_method::Brand;
use strongroom_wire::scheme::{Scheme, luhn};

/// Whether a text holds what looks like a card number: 13 to 19 digits of a known brand, of a length that the brand
/// uses, with a right check digit; in one piece, or in groups with one or two signs that are no letters between them;
/// with zeros in front; in the digits of any script that people type numbers in here (full-width and Arabic ones too).
/// Digits inside a hexadecimal word or a UUID are not meant, nor is a part of a longer run of digits.
///
/// It stops accidents, not people who hide a number on purpose.
#[must_use]
pub fn holds_card_number(text: &str) -> bool {
    if text.is_ascii() {
        return first_in(&groups(text)).is_some();
    }
    // Longer than the text never gets, so that it is written once and leaves no half of itself behind.
    let mut plain = zeroize::Zeroizing::new(String::with_capacity(text.len()));
    plain.extend(text.chars().map(ascii_digit));
    first_in(&groups(&plain)).is_some()
}

/// Where card numbers stand in a text whose digits are ASCII ones, by the rule of [`holds_card_number`], first one first.
/// Bytes of the text; signs between groups are part of a number.
#[must_use]
pub fn card_numbers(text: &str) -> Vec<Range<usize>> {
    let groups = groups(text);
    let mut found = Vec::new();
    let mut from = 0;
    while let Some((first, last)) = first_in(&groups[from..]) {
        let (first, last) = (&groups[from + first], from + last);
        found.push(first.at..groups[last].at + groups[last].digits.len());
        from = last + 1;
    }
    found
}

/// The ASCII digit that a digit of another script stands for; any other character as it is.
#[must_use]
pub fn ascii_digit(c: char) -> char {
    let zero = match c {
        '\u{ff10}'..='\u{ff19}' => '\u{ff10}',
        '\u{660}'..='\u{669}' => '\u{660}',
        '\u{6f0}'..='\u{6f9}' => '\u{6f0}',
        '\u{966}'..='\u{96f}' => '\u{966}',
        _ => return c,
    };
    char::from_digit(u32::from(c) - u32::from(zero), 10).unwrap_or(c)
}

/// The first and last group of the first card number.
fn first_in(groups: &[Group<'_>]) -> Option<(usize, usize)> {
    (0..groups.len()).find_map(|first| {
        let mut number = Candidate::default();
        for (place, group) in groups[first..].iter().enumerate() {
            // Zeros in front of a number are padding: no card number begins with one.
            let digits = if place == 0 { group.digits.trim_start_matches('0') } else { group.digits };
            if place > 0 && !group.joined || !number.append(digits) {
                return None;
            }
            if number.is_card() {
                return Some((first, first + place));
            }
            // Only the last group of a written card number may be that short.
            if group.digits.len() < GROUP_MIN {
                return None;
            }
        }
        None
    })
}

/// Digits that stand together.
struct Group<'a> {
    digits: &'a str,
    /// The first byte of them in the text.
    at: usize,
    /// Whether one or two signs that are no letters, and nothing else, stand between this group and the one before.
    joined: bool,
}

fn groups(text: &str) -> Vec<Group<'_>> {
    let mut groups: Vec<Group<'_>> = Vec::new();
    let mut end_of_last = None;
    let mut uuid_until = 0;
    let mut at = 0;
    while let Some(word) = next_word(text, at) {
        if text.get(word.0..word.0 + UUID_CHARS).is_some_and(is_uuid) {
            uuid_until = word.0 + UUID_CHARS;
        }
        let (start, end) = word;
        if start >= uuid_until && !is_hexadecimal(&text[start..end]) {
            let mut from = start;
            while let Some((first, last)) = next_digits(&text[..end], from) {
                let between = end_of_last.and_then(|end: usize| text.get(end..first));
                let joined = between.is_some_and(|between| {
                    (1..=2).contains(&between.chars().count()) && !between.chars().any(char::is_alphanumeric)
                });
                groups.push(Group { digits: &text[first..last], at: first, joined });
                end_of_last = Some(last);
                from = last;
            }
        }
        at = end;
    }
    groups
}

fn next_word(text: &str, from: usize) -> Option<(usize, usize)> {
    next_run(text, from, |byte| byte.is_ascii_alphanumeric())
}

fn next_digits(text: &str, from: usize) -> Option<(usize, usize)> {
    next_run(text, from, |byte| byte.is_ascii_digit())
}

fn next_run(text: &str, from: usize, inside: impl Fn(u8) -> bool) -> Option<(usize, usize)> {
    let bytes = text.as_bytes();
    let start = from + bytes[from..].iter().position(|byte| inside(*byte))?;
    let length = bytes[start..].iter().position(|byte| !inside(*byte)).unwrap_or(bytes.len() - start);
    Some((start, start + length))
}

/// Whether a word is a hexadecimal number: letters a to f and digits in turn. A word with a single run of digits
/// (`cc4242...`) is not taken for one, because a random identifier of that form hardly ever holds 13 digits.
fn is_hexadecimal(word: &str) -> bool {
    let bytes = word.as_bytes();
    let turns = bytes.windows(2).filter(|pair| pair[0].is_ascii_digit() != pair[1].is_ascii_digit()).count();
    let runs_of_digits = turns.div_ceil(2) + usize::from(turns % 2 == 0 && bytes[0].is_ascii_digit());
    runs_of_digits > 1 && bytes.iter().all(u8::is_ascii_hexdigit)
}

/// Whether a text is a UUID in its usual form, 8-4-4-4-12.
fn is_uuid(text: &str) -> bool {
    text.bytes().enumerate().all(|(place, byte)| match place {
        8 | 13 | 18 | 23 => byte == b'-',
        _ => byte.is_ascii_hexdigit(),
    })
}

/// Digits gathered from groups; on the stack, wiped.
#[derive(Default)]
struct Candidate {
    digits: zeroize::Zeroizing<[u8; DIGITS_MAX]>,
    length: usize,
}

impl Candidate {
    /// Whether there was room.
    fn append(&mut self, digits: &str) -> bool {
        let Some(room) = self.digits.get_mut(self.length..self.length + digits.len()) else { return false };
        room.copy_from_slice(digits.as_bytes());
        self.length += digits.len();
        true
    }

    fn is_card(&self) -> bool {
        let digits = &self.digits[..self.length];
        let scheme = Scheme::of(digits);
        self.length >= DIGITS_MIN && scheme.brand != Brand::Unknown && scheme.takes_length(self.length) && luhn(digits)
    }
}

/// Shorter numbers (some of Maestro's) are left out: too many order numbers look like them.
const DIGITS_MIN: usize = 13;
const DIGITS_MAX: usize = 19;
const GROUP_MIN: usize = 3;
const UUID_CHARS: usize = 36;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn numbers_are_found_however_they_are_written() {
        for text in [
            "4242424242424242",
            "4242 4242 4242 4242",
            "4242_4242_4242_4242",
            "4242/4242/4242/4242",
            "4242  4242  4242  4242",
            "4242, 4242, 4242, 4242",
            "00004242424242424242",
            "\u{ff14}\u{ff12}\u{ff14}\u{ff12}\u{ff14}\u{ff12}\u{ff14}\u{ff12}\u{ff14}\u{ff12}\u{ff14}\u{ff12}\u{ff14}\u{ff12}\u{ff14}\u{ff12}",
            "4242-4242-4242-4242",
            "4242.4242.4242.4242",
            "4242\u{a0}4242\u{a0}4242\u{a0}4242",
            "3782 822463 10005",
            "6205 5000 0000 0000 004",
            "my card is 4242424242424242.",
            "card4242424242424242",
            "x4242 4242 4242 4242y",
            "cc4242424242424242",
            "order 1234567890 4242424242424242",
            "2026 4242424242424242 12",
            "{\"n\":\"5555555555554444\"}",
            "пан4242424242424242",
            "36227206271667",
        ] {
            assert!(holds_card_number(text), "{text}");
        }
    }

    #[test]
    fn other_digits_are_left_alone() {
        for text in [
            "",
            "4242424242424241",
            "1764000000123",
            "2025-11-24 16:00:00.123",
            "20251124160000123",
            "+49 170 1234567",
            "+55 11 91234-5678",
            "0198f0c2-a1b2-7c3d-8e4f-424242424242",
            "12345678-1234-7123-8424-424242424242",
            "pm_0198f0c2a1b27c3d4242424242424242",
            "00004242-4242-4242-4242-4242deadbeef",
            "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
            "42424242424242424242",
            "4 2 4 2 4 2 4 2 4 2 4 2 4 2 4 2",
            "9999999999999995",
        ] {
            assert!(!holds_card_number(text), "{text}");
        }
    }

    #[test]
    fn version_7_and_4_identifiers_are_not_taken_for_cards() {
        for _ in 0..5_000 {
            for id in [uuid::Uuid::now_v7(), uuid::Uuid::new_v4()] {
                assert!(!holds_card_number(&id.to_string()), "{id}");
                assert!(!holds_card_number(&id.simple().to_string()), "{id}");
            }
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in ".{0,80}") {
            let _ = holds_card_number(&text);
        }

        #[test]
        fn a_number_is_found_behind_and_before_any_words(
            before in "([a-z]{1,8} ){0,3}",
            after in "( [a-z]{1,8}){0,3}",
            number in prop::sample::select(vec!["4242424242424242", "378282246310005", "5555 5555 5555 4444"]),
        ) {
            let text = format!("{before}{number}{after}");
            prop_assert!(holds_card_number(&text));
        }
    }
}
