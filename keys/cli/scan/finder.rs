//! Card numbers in a stream of bytes of any form and length, seen once, in memory that does not grow with it.
//!
//! What counts: 13 to 19 digits of a known brand, of a length that the brand uses, with a right check digit; in one piece or
//! in groups with one to three bytes of blank, tab, hyphen, dot, slash, underline, no-break space or dash between them;
//! with zeros in front; as one byte for each digit or as UTF-16 of either order. What does not: digits of a hexadecimal
//! word, of a UUID, or behind a decimal point; a part of a longer run of digits, unless `within` says that runs of
//! digits may stand side by side, as the columns of a database page do.

use std::collections::VecDeque;

use serde::Serialize;
use strongroom_wire::payment_method::Brand;
use strongroom_wire::scheme::{Scheme, luhn};
use zeroize::Zeroize;

/// A card number, masked: where it stands and what of it may be shown (PCI DSS 3.4.1).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Found {
    /// Bytes before its first digit.
    pub(super) offset: u64,
    /// Its line, from 1: line feeds before it.
    pub(super) line: u64,
    /// Whose ranges it is in.
    pub(super) brand: Brand,
    /// How many digits.
    pub(super) digits: usize,
    /// The first six.
    pub(super) bin: String,
    /// The last four.
    pub(super) last4: String,
    /// Bytes for each digit: 1, or 2 for UTF-16.
    pub(super) width: u8,
}

/// Looks at a stream, byte after byte.
pub(super) struct Finder {
    lanes: [Lane; 3],
    offset: u64,
    line: u64,
    before: u8,
    /// Numbers that are passed over.
    allowed: fn(&[u8]) -> bool,
}

impl Finder {
    /// `within`: also inside of longer runs of digits. `allowed` says which numbers are meant to be there.
    pub(super) fn new(within: bool, allowed: fn(&[u8]) -> bool) -> Self {
        let lane = |width| Lane::new(width, within);
        // The second and third see every other byte: UTF-16, at an even and at an odd offset.
        Self { lanes: [lane(1), lane(2), lane(2)], offset: 0, line: 1, before: 1, allowed }
    }

    /// Takes the next bytes; `found` is told of each number once, a little after its end.
    pub(super) fn feed(&mut self, bytes: &[u8], mut found: impl FnMut(Found)) {
        let allowed = self.allowed;
        let mut tell = |number: Number| {
            if !allowed(number.digits()) {
                found(number.masked());
            }
        };
        for byte in bytes {
            let at = At { offset: self.offset, line: self.line };
            self.lanes[0].take(*byte, at, &mut tell);
            let wide = &mut self.lanes[if self.offset.is_multiple_of(2) { 1 } else { 2 }];
            if self.before != 0 {
                wide.end(&mut tell);
            }
            wide.take(*byte, at, &mut tell);
            self.line += u64::from(*byte == b'\n');
            self.before = *byte;
            self.offset += 1;
        }
    }

    /// The stream has ended.
    pub(super) fn finish(mut self, mut found: impl FnMut(Found)) {
        let allowed = self.allowed;
        for lane in &mut self.lanes {
            lane.end(&mut |number: Number| {
                if !allowed(number.digits()) {
                    found(number.masked());
                }
            });
        }
    }
}

#[derive(Debug, Clone, Copy)]
struct At {
    offset: u64,
    line: u64,
}

/// Digits that may be a card number; wiped.
struct Number {
    digits: [u8; DIGITS_MAX],
    length: usize,
    brand: Brand,
    at: At,
    width: u8,
    /// The word, counted from the stream's beginning, in which it begins.
    word: u64,
}

impl Number {
    fn digits(&self) -> &[u8] {
        &self.digits[..self.length]
    }

    fn masked(&self) -> Found {
        let text = |digits: &[u8]| digits.iter().copied().map(char::from).collect();
        Found {
            offset: self.at.offset,
            line: self.at.line,
            brand: self.brand,
            digits: self.length,
            bin: text(&self.digits()[..6]),
            last4: text(&self.digits()[self.length - 4..]),
            width: self.width,
        }
    }
}

impl Drop for Number {
    fn drop(&mut self) {
        self.digits.zeroize();
    }
}

/// One way to read the stream.
struct Lane {
    width: u8,
    within: bool,
    /// Groups of digits that may belong together, oldest first; none longer than a number.
    groups: VecDeque<Group>,
    /// The run of digits that is being read.
    run: Run,
    /// The word of letters and digits that is being read.
    word: Word,
    /// Bytes of separators since the last word.
    gap: u8,
    /// The gap is one dot behind a digit.
    gap_is_point: bool,
    gap_is_hyphen: bool,
    last_is_digit: bool,
    /// Words that are over: a UUID has five of known lengths with one hyphen between them.
    uuid: usize,
    /// Number of the word of the UUID that may be being read.
    uuid_word: u64,
    /// Found, and not told yet, because the word or the UUID around it may still show that it is none.
    held: Vec<Number>,
}

#[derive(Clone, Copy)]
struct Group {
    digits: [u8; DIGITS_MAX],
    length: usize,
    at: At,
    word: u64,
    after_point: bool,
}

/// A run of digits. Only its last nineteen are kept.
struct Run {
    digits: VecDeque<(u8, At)>,
    length: u64,
    after_point: bool,
    /// Digits from here on are part of a number that was found already.
    taken: u64,
}

#[derive(Default)]
struct Word {
    number: u64,
    length: u64,
    hexadecimal: bool,
    runs: u32,
}

impl Lane {
    fn new(width: u8, within: bool) -> Self {
        Self {
            width,
            within,
            groups: VecDeque::new(),
            run: Run { digits: VecDeque::with_capacity(DIGITS_MAX + 1), length: 0, after_point: false, taken: 0 },
            word: Word::default(),
            gap: 0,
            gap_is_point: false,
            gap_is_hyphen: false,
            last_is_digit: false,
            uuid: 0,
            uuid_word: 0,
            held: Vec::new(),
        }
    }

    fn take(&mut self, byte: u8, at: At, tell: &mut impl FnMut(Number)) {
        if byte.is_ascii_digit() {
            self.begin_word(tell);
            if self.run.length == 0 {
                self.word.runs += 1;
                self.run.after_point = self.gap_is_point;
            }
            self.word.length += 1;
            self.digit(byte, at);
        } else if byte.is_ascii_alphabetic() {
            // A letter between two groups means that they do not belong together.
            self.end_run();
            self.groups.clear();
            self.begin_word(tell);
            self.word.length += 1;
            self.word.hexadecimal &= byte.is_ascii_hexdigit();
            self.gap_is_point = false;
            self.last_is_digit = false;
        } else {
            self.end_word(tell);
            if is_separator(byte) && self.gap < GAP_MAX {
                self.gap += 1;
                self.gap_is_point = byte == b'.' && self.gap == 1 && self.last_is_digit;
                self.gap_is_hyphen = byte == b'-';
            } else {
                self.apart(tell);
            }
        }
    }

    /// Whatever was being read is over.
    fn end(&mut self, tell: &mut impl FnMut(Number)) {
        if self.word.length > 0 || self.gap > 0 {
            self.end_word(tell);
            self.apart(tell);
        }
    }

    fn apart(&mut self, tell: &mut impl FnMut(Number)) {
        self.groups.clear();
        self.gap = 0;
        self.gap_is_point = false;
        self.last_is_digit = false;
        self.uuid = 0;
        self.held.drain(..).for_each(tell);
    }

    fn begin_word(&mut self, tell: &mut impl FnMut(Number)) {
        if self.word.length > 0 {
            return;
        }
        if self.uuid > 0 && !(self.gap == 1 && self.gap_is_hyphen) {
            self.uuid = 0;
            self.held.drain(..).for_each(tell);
        }
        let number = self.word.number + 1;
        self.word = Word { number, length: 0, hexadecimal: true, runs: 0 };
        if self.uuid == 0 {
            self.uuid_word = number;
        }
    }

    fn digit(&mut self, byte: u8, at: At) {
        self.last_is_digit = true;
        self.run.length += 1;
        self.run.digits.push_back((byte, at));
        if self.run.digits.len() > DIGITS_MAX {
            let whole = self.run.length == self.run.digits.len() as u64;
            if whole && self.run.digits.front().is_some_and(|(digit, _)| *digit == b'0') {
                // Zeros in front are padding: no card number begins with one.
                self.run.digits.pop_front();
                self.run.length -= 1;
                return;
            }
            // A longer run is no group. Inside of it the place that is about to be forgotten is the last chance.
            self.groups.clear();
            if self.within {
                self.within(self.run.length - self.run.digits.len() as u64);
            }
            self.run.digits.pop_front();
        }
    }

    /// Whether a number begins at the oldest digit that is kept, which is the `place`th of its run.
    fn within(&mut self, place: u64) {
        if place < self.run.taken {
            return;
        }
        let mut digits = [0; DIGITS_MAX];
        for (to, (from, _)) in digits.iter_mut().zip(&self.run.digits) {
            *to = *from;
        }
        let kept = self.run.digits.len().min(DIGITS_MAX);
        for length in USUAL_LENGTHS.into_iter().filter(|length| *length <= kept) {
            if let (Some(brand), Some((_, at))) = (brand_of(&digits[..length]), self.run.digits.front().copied()) {
                self.run.taken = place + length as u64;
                self.hold(digits, length, brand, at, self.word.number);
                break;
            }
        }
        digits.zeroize();
    }

    fn end_run(&mut self) {
        if self.run.length == 0 {
            return;
        }
        let short = self.run.length <= DIGITS_MAX as u64;
        let held = self.held.len();
        if short {
            self.group();
        }
        if self.within && (!short || self.held.len() == held) {
            while !self.run.digits.is_empty() {
                self.within(self.run.length - self.run.digits.len() as u64);
                self.run.digits.pop_front();
            }
        }
        self.run.digits.clear();
        self.run.length = 0;
        self.run.taken = 0;
    }

    /// The run is a group of its own; does a number end with it?
    fn group(&mut self) {
        let mut group = Group {
            digits: [0; DIGITS_MAX],
            length: 0,
            at: At { offset: 0, line: 0 },
            word: self.word.number,
            after_point: self.run.after_point,
        };
        for (digit, at) in &self.run.digits {
            if group.length == 0 {
                group.at = *at;
            }
            group.digits[group.length] = *digit;
            group.length += 1;
        }
        self.groups.push_back(group);
        // Longest first: what begins earlier holds what begins later.
        for first in 0..self.groups.len() {
            if let Some((digits, length, brand)) = self.joined(first) {
                let (at, word) = (self.start(first), self.groups[first].word);
                self.hold(digits, length, brand, at, word);
                self.groups.clear();
                return;
            }
        }
        // Only the last group of a written number may be so short, and no more than nineteen digits are one.
        if self.groups.back().is_some_and(|group| group.length < GROUP_MIN) {
            self.groups.clear();
        }
        while self.groups.iter().map(|group| group.length).sum::<usize>() > DIGITS_MAX {
            self.groups.pop_front();
        }
    }

    /// The number that the groups from `first` on make, zeros in front left out.
    fn joined(&self, first: usize) -> Option<([u8; DIGITS_MAX], usize, Brand)> {
        let (mut digits, mut length) = ([0; DIGITS_MAX], 0);
        for (place, group) in self.groups.iter().enumerate().skip(first) {
            let zeros = if place == first { zeros(group) } else { 0 };
            for digit in &group.digits[zeros..group.length] {
                *digits.get_mut(length)? = *digit;
                length += 1;
            }
        }
        // A fraction such as 0.4242... is not written as a number of a card is.
        let fraction = self.groups.len() - first == 1 && self.groups[first].after_point;
        let brand = if fraction { None } else { brand_of(&digits[..length]) };
        brand.map(|brand| (digits, length, brand))
    }

    fn start(&self, first: usize) -> At {
        let group = &self.groups[first];
        At { offset: group.at.offset + zeros(group) as u64 * u64::from(self.width), line: group.at.line }
    }

    fn hold(&mut self, digits: [u8; DIGITS_MAX], length: usize, brand: Brand, at: At, word: u64) {
        self.held.push(Number { digits, length, brand, at, width: self.width, word });
    }

    fn end_word(&mut self, tell: &mut impl FnMut(Number)) {
        if self.word.length == 0 {
            return;
        }
        self.end_run();
        self.gap = 0;
        let Word { number, length, hexadecimal, runs } = self.word;
        self.word.length = 0;
        // A word of letters a to f and digits in turn. With a single run of digits (`cc4242...`) it is hardly an identifier.
        if hexadecimal && runs > 1 {
            self.held.retain(|held| held.word != number);
        }
        if hexadecimal && length == UUID[self.uuid] {
            self.uuid += 1;
        } else {
            self.uuid = 0;
            self.held.drain(..).for_each(&mut *tell);
            if hexadecimal && length == UUID[0] {
                (self.uuid, self.uuid_word) = (1, number);
            }
        }
        if self.uuid == UUID.len() {
            self.uuid = 0;
            let from = self.uuid_word;
            self.held.retain(|held| held.word < from);
            self.groups.clear();
        }
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        self.groups.iter_mut().for_each(|group| group.digits.zeroize());
        self.run.digits.iter_mut().for_each(|(digit, _)| digit.zeroize());
    }
}

fn zeros(group: &Group) -> usize {
    group.digits[..group.length].iter().take_while(|digit| **digit == b'0').count()
}

/// The brand of what passes as a number of one.
fn brand_of(digits: &[u8]) -> Option<Brand> {
    if !(DIGITS_MIN..=DIGITS_MAX).contains(&digits.len()) || !luhn(digits) {
        return None;
    }
    let scheme = Scheme::of(digits);
    (scheme.brand != Brand::Unknown && scheme.takes_length(digits.len())).then_some(scheme.brand)
}

/// Blank, tab, hyphen, dot, slash, underline, and the bytes of U+00A0, U+2010 to U+2015 and U+202F.
fn is_separator(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'-' | b'.' | b'/' | b'_' | 0xc2 | 0xa0 | 0xe2 | 0x80 | 0x90..=0x95 | 0xaf)
}

const DIGITS_MIN: usize = 13;
const DIGITS_MAX: usize = 19;
/// Bytes between two groups: two characters, or one of three bytes.
const GAP_MAX: u8 = 3;
const GROUP_MIN: usize = 3;
/// What is tried inside of a longer run, in this order.
const USUAL_LENGTHS: [usize; 7] = [16, 15, 14, 19, 18, 17, 13];
/// Digits of the five words of a UUID.
const UUID: [u64; 5] = [8, 4, 4, 4, 12];

#[cfg(test)]
#[path = "finder_tests.rs"]
mod tests;
