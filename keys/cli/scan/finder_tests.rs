//! What the finder finds and what it passes over: by example, and by numbers planted at random.

use proptest::prelude::*;

use super::*;

fn find(bytes: &[u8]) -> Vec<Found> {
    find_in_pieces(bytes, false, usize::MAX)
}

fn find_in_pieces(bytes: &[u8], within: bool, piece: usize) -> Vec<Found> {
    let mut found = Vec::new();
    let mut finder = Finder::new(within, |_| false);
    for piece in bytes.chunks(piece.clamp(1, bytes.len().max(1))) {
        finder.feed(piece, |one| found.push(one));
    }
    finder.finish(|one| found.push(one));
    found
}

#[test]
fn a_number_is_found_however_it_is_written() {
    for text in [
        "4242424242424242",
        "card=4242424242424242;",
        "\"4242 4242 4242 4242\"",
        "4242-4242-4242-4242",
        "4242.4242.4242.4242",
        "4242 - 4242 - 4242 - 4242",
        "4242\u{a0}4242\u{a0}4242\u{a0}4242",
        "4242\u{2013}4242\u{2013}4242\u{2013}4242",
        "pan4242424242424242x",
        "cc4242424242424242",
        "00004242424242424242",
        "x=0004242424242424242",
        "%B4242424242424242^LOVELACE/ADA^3112",
        ";4242424242424242=31121010000",
        "3782 822463 10005",
        "378282246310005",
        "30569309025904",
        "6205500000000000004",
        "4222222222222",
        "{\"number\":\"5555555555554444\"}",
        "31/12 4242424242424242",
        "see log.4242424242424242",
    ] {
        let found = find(text.as_bytes());
        assert_eq!(found.len(), 1, "{text}");
        assert_eq!(text.as_bytes()[usize::try_from(found[0].offset).unwrap()], found[0].bin.as_bytes()[0], "{text}");
    }
}

#[test]
fn what_is_no_number_is_passed_over() {
    for text in [
        "4242424242424241",
        "1234567890123452",
        "42424242424242424242424242",
        "24242424242424242 4",
        "a1b4242424242424242c9",
        "41234567-1234-4123-8123-123456789012",
        "0.4242424242424242",
        "4242,4242,4242,4242",
        "4242\n4242\n4242\n4242\n",
        "42 42 42 42 42 42 42 42",
        "4242    4242    4242    4242",
        "4242x4242x4242x4242",
    ] {
        assert_eq!(find(text.as_bytes()), [], "{text}");
    }
}

#[test]
fn every_number_of_a_text_is_found_with_its_line_and_masked() {
    let text = "one 4242424242424242\ntwo\nthree 378282246310005 and 5555 5555 5555 4444";
    let found = find(text.as_bytes());
    let seen: Vec<_> =
        found.iter().map(|one| (one.line, one.offset, one.brand, one.bin.as_str(), one.last4.as_str())).collect();
    assert_eq!(
        seen,
        [
            (1, 4, Brand::Visa, "424242", "4242"),
            (3, 31, Brand::Amex, "378282", "0005"),
            (3, 51, Brand::Mastercard, "555555", "4444"),
        ]
    );
    assert!(!serde_json::to_string(&found).unwrap().contains("4242424242"));
}

#[test]
fn utf_16_of_either_order_is_read_at_any_offset() {
    let little: Vec<u8> = "pan 4242 4242 4242 4242.".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let big: Vec<u8> = "pan 4242424242424242.".encode_utf16().flat_map(u16::to_be_bytes).collect();
    for (bytes, digit) in [(little, 8), (big, 9)] {
        for shift in 0..3 {
            let mut shifted = vec![b'#'; shift];
            shifted.extend_from_slice(&bytes);
            let found = find(&shifted);
            assert_eq!(found.len(), 1, "{shift}");
            assert_eq!((found[0].width, found[0].offset), (2, digit + shift as u64));
        }
    }
}

#[test]
fn columns_side_by_side_hide_a_number_only_where_that_is_not_looked_for() {
    for text in ["424242424242424212031", "9994242424242424242", "0001234242424242424242420311234567890123"] {
        assert_eq!(find(text.as_bytes()).len(), 0, "{text}");
        let found = find_in_pieces(text.as_bytes(), true, usize::MAX);
        assert!(found.iter().any(|one| one.bin == "424242" && one.last4 == "4242"), "{text}: {found:?}");
    }
}

/// First digits of each brand, in which no range of another one lies, and a length that it uses.
const BEGINNINGS: [(&str, usize); 16] = [
    ("42", 16),
    ("42", 13),
    ("42", 19),
    ("51", 16),
    ("2221", 16),
    ("34", 15),
    ("37", 15),
    ("6011", 16),
    ("645", 19),
    ("36", 14),
    ("3528", 16),
    ("621", 17),
    ("5018", 13),
    ("6304", 18),
    ("2200", 16),
    ("6363680", 16),
];

/// Digits with their check digit.
fn number((beginning, length): (&str, usize), random: &[u8]) -> String {
    let mut digits: String = beginning.to_owned();
    digits.extend(random.iter().take(length - 1 - beginning.len()).map(|digit| char::from(b'0' + digit % 10)));
    (b'0'..=b'9').map(|check| format!("{digits}{}", char::from(check))).find(|number| luhn(number.as_bytes())).unwrap()
}

fn written(number: &str, way: u8) -> String {
    let groups = |sizes: &[usize], between: &str| {
        let (mut at, mut parts) = (0, Vec::new());
        for size in sizes.iter().copied().chain(std::iter::repeat(4)) {
            if at == number.len() {
                break;
            }
            let end = (at + size).min(number.len());
            parts.push(&number[at..end]);
            at = end;
        }
        parts.join(between)
    };
    match way % 5 {
        0 => number.to_owned(),
        1 => groups(&[], " "),
        2 => groups(&[], "-"),
        3 => groups(&[4, 6], " "),
        _ => groups(&[6, 6], "\u{a0}"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    /// Between letters, signs and lines, in pieces of any size, in one byte or two a digit.
    #[test]
    fn every_planted_number_is_found(
        which in 0..BEGINNINGS.len(), random in prop::array::uniform20(0u8..10), way in 0u8..5, wide in 0u8..3,
        before in "[ -~]{0,40}[ =:\"'<,;|]", after in "[\"',;|<\n][ -~]{0,40}", piece in 1usize..40,
    ) {
        let number = number(BEGINNINGS[which], &random);
        let text = format!("{before}{}{after}", written(&number, way));
        let bytes: Vec<u8> = match wide {
            0 => text.into_bytes(),
            1 => text.encode_utf16().flat_map(u16::to_le_bytes).collect(),
            _ => text.encode_utf16().flat_map(u16::to_be_bytes).collect(),
        };
        let found = find_in_pieces(&bytes, false, piece);
        // A part of a written number may be one too; what counts is that the place is named.
        let start = before.chars().count() as u64 * if wide > 0 { 2 } else { 1 } + u64::from(wide == 2);
        let end = bytes.len() as u64 - if wide > 0 { 2 } else { 1 } * after.chars().count() as u64;
        let seen = found.iter().any(|one| (start..end).contains(&one.offset));
        // Where digits stand just before it, another number may begin earlier and take some of these digits with it.
        let crowded = before.trim_end_matches([' ', '-', '.', '/', '_']).ends_with(|c: char| c.is_ascii_digit());
        prop_assert!(seen || crowded, "{found:?}");
        prop_assert_eq!(found, find_in_pieces(&bytes, false, usize::MAX));
    }
}

/// Random digits in words of any length hold few numbers, and a stream of digits holds none.
#[test]
fn random_digits_give_few_false_alarms() {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let stream: Vec<u8> = (0..1 << 20).map(|_| b'0' + u8::try_from(next() % 10).unwrap()).collect();
    assert_eq!(find(&stream), []);
    let mut words = Vec::new();
    let mut count = 0;
    while words.len() < 1 << 20 {
        let length = 1 + next() % 24;
        words.extend((0..length).map(|_| b'0' + u8::try_from(next() % 10).unwrap()));
        words.push(b'\n');
        count += 1;
    }
    let alarms = find(&words).len();
    // Random numbers of 1 to 24 digits: about 2 of 100 of those that are as long as a card number, which one in four is.
    assert!(alarms * 70 < count, "{alarms} of {count}");
    let ids: Vec<u8> = (0..1 << 16).flat_map(|_| format!("{:016x}{:016x}\n", next(), next()).into_bytes()).collect();
    assert_eq!(find(&ids).len(), 0, "of 65,536 random identifiers of 32 hexadecimal digits");
    let halves: Vec<u8> = (0..1 << 16).flat_map(|_| format!("{:016x}\n", next()).into_bytes()).collect();
    assert!(find(&halves).len() <= 20, "{} of 65,536 of 16 hexadecimal digits", find(&halves).len());
}
