//! The search: card numbers as text, as packed digits and as integers, and CVCs as JSON has them.

use std::collections::{BTreeSet, HashMap};

use crate::cards::Card;

/// What to look for.
pub(crate) struct Search {
    text: HashMap<[u8; TAIL], usize>,
    packed: HashMap<[u8; 8], usize>,
    whole: HashMap<u64, usize>,
}

/// What was found.
#[derive(Default)]
pub(crate) struct Found {
    /// Which cards' numbers, in any form.
    pub(crate) cards: BTreeSet<usize>,
    /// Numbers as text.
    pub(crate) text: usize,
    /// Numbers as two digits in each byte.
    pub(crate) packed: usize,
    /// Numbers as integers.
    pub(crate) whole: usize,
    /// CVCs behind their JSON name.
    pub(crate) cvcs: usize,
    /// The first finds: where, and what stands around them with its digits hidden.
    pub(crate) places: Vec<String>,
}

impl Search {
    /// A search for these cards.
    pub(crate) fn new(cards: &[Card]) -> Self {
        let mut search = Self { text: HashMap::new(), packed: HashMap::new(), whole: HashMap::new() };
        for (nth, card) in cards.iter().enumerate() {
            let digits = card.number.as_bytes();
            // The end of a number is enough: it finds those, too, whose beginning was written over.
            search.text.insert(std::array::from_fn(|place| digits[digits.len() - TAIL + place]), nth);
            let nibble = |place: usize| digits[place] - b'0';
            search.packed.insert(std::array::from_fn(|byte| nibble(2 * byte) << 4 | nibble(2 * byte + 1)), nth);
            search.whole.insert(card.number.parse().unwrap(), nth);
        }
        search
    }

    /// Looks through `bytes`; `name` says where they are from.
    pub(crate) fn look(&self, name: &str, bytes: &[u8], found: &mut Found) {
        for at in 0..bytes.len() {
            match bytes[at] {
                b'0'..=b'9' => {
                    if let Some(tail) = bytes[at..].first_chunk::<TAIL>()
                        && let Some(nth) = self.text.get(tail)
                    {
                        found.text += 1;
                        found.note(*nth, name, "text", bytes, at);
                    }
                }
                // Every number begins with 40 00 00.
                0x40 => {
                    if let Some(packed) = bytes[at..].first_chunk()
                        && let Some(nth) = self.packed.get(packed)
                    {
                        found.packed += 1;
                        found.note(*nth, name, "packed", bytes, at);
                    }
                }
                // Every number is between 0x000E35... and 0x000E36... as an integer.
                0x0E => {
                    if let Some(nth) = self.integer(bytes, at) {
                        found.whole += 1;
                        found.note(nth, name, "integer", bytes, at);
                    }
                }
                b'"' => {
                    let behind = CVC_NAMES.iter().find_map(|cvc| bytes[at..].strip_prefix(*cvc));
                    if behind.and_then(|behind| behind.first()).is_some_and(u8::is_ascii_digit) {
                        found.cvcs += 1;
                        found.show(name, "CVC", bytes, at);
                    }
                }
                _ => {}
            }
        }
    }

    /// Looks for numbers in words whose bytes were turned around, as SHA-256 loads its message.
    pub(crate) fn look_turned(&self, name: &str, bytes: &[u8], found: &mut Found) {
        let mut turned = bytes.to_vec();
        turned.chunks_exact_mut(4).for_each(<[u8]>::reverse);
        // Whatever repeats when it is turned around was found before, and once is enough.
        let mut again = Found::default();
        self.look(name, &turned, &mut again);
        found.text += again.text;
        found.cards.extend(again.cards);
        found.places.extend(
            again.places.into_iter().filter(|place| place.starts_with("text")).map(|place| format!("turned {place}")),
        );
    }

    /// In either order of bytes: the 0E stands second from the end or second from the beginning.
    fn integer(&self, bytes: &[u8], at: usize) -> Option<usize> {
        let little =
            at.checked_sub(6).and_then(|from| bytes[from..].first_chunk()).map(|eight| u64::from_le_bytes(*eight));
        let big =
            at.checked_sub(1).and_then(|from| bytes[from..].first_chunk()).map(|eight| u64::from_be_bytes(*eight));
        [little, big].into_iter().flatten().find_map(|number| self.whole.get(&number).copied())
    }
}

impl Found {
    /// Whether there was nothing.
    pub(crate) fn is_nothing(&self) -> bool {
        self.cards.is_empty() && self.cvcs == 0
    }

    /// One line for a person.
    pub(crate) fn summary(&self) -> String {
        format!(
            "{} card numbers ({} as text, {} packed, {} as integers), {} CVCs",
            self.cards.len(),
            self.text,
            self.packed,
            self.whole,
            self.cvcs
        )
    }

    fn note(&mut self, nth: usize, name: &str, form: &str, bytes: &[u8], at: usize) {
        self.cards.insert(nth);
        self.show(name, form, bytes, at);
    }

    fn show(&mut self, name: &str, form: &str, bytes: &[u8], at: usize) {
        if self.places.len() >= PLACES_SHOWN {
            return;
        }
        let around = &bytes[at.saturating_sub(160)..(at + 96).min(bytes.len())];
        let around: String = around
            .iter()
            .map(|byte| match byte {
                b'0'..=b'9' => '#',
                0x20..=0x7e => char::from(*byte),
                _ => '.',
            })
            .collect();
        self.places.push(format!("{form} in {name} at offset {at:#x}: {around}"));
    }
}

/// The last digits of a number that are told apart: all but the prefix.
const TAIL: usize = 10;
const PLACES_SHOWN: usize = 12;
const CVC_NAMES: [&[u8]; 2] = [b"\"cvc\":\"", b"\"cvc\": \""];

#[test]
fn every_form_is_found_at_every_place() {
    let cards = crate::cards::cards(3);
    let search = Search::new(&cards);
    let number: u64 = cards[1].number.parse().unwrap();
    let packed: Vec<u8> =
        (0..8).map(|byte| u8::from_str_radix(&cards[1].number[2 * byte..2 * byte + 2], 16).unwrap()).collect();
    let forms: [&[u8]; 5] = [
        cards[1].number.as_bytes(),
        &cards[1].number.as_bytes()[6..],
        &packed,
        &number.to_le_bytes(),
        &number.to_be_bytes(),
    ];
    for form in forms {
        for around in [&b""[..], b"\0", b"0", b"x4", b"@\0\0"] {
            let mut found = Found::default();
            search.look("here", &[around, form, around].concat(), &mut found);
            assert_eq!(found.cards.iter().collect::<Vec<_>>(), [&1], "{}", found.summary());
        }
    }
    let mut found = Found::default();
    let mut words = [b"strongroom__", cards[2].number.as_bytes()].concat();
    words.chunks_exact_mut(4).for_each(<[u8]>::reverse);
    search.look_turned("here", &words, &mut found);
    assert_eq!(found.cards.iter().collect::<Vec<_>>(), [&2]);
    let mut found = Found::default();
    search.look("here", br#"{"cvc":"123"} {"cvc": "9"} {"cvc":""} {"cvc":null}"#, &mut found);
    assert_eq!((found.cvcs, found.is_nothing()), (2, false));
    assert!(!found.places.iter().any(|place| place.contains("123")));
    search.look("here", &cards[0].number.as_bytes()[..9], &mut found);
    assert!(found.cards.is_empty());
}
