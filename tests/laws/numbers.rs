//! No card number in the repository but those that schemes and providers publish for tests.

use strongroom_wire::published::is_published;

use crate::source::{self, Offences};

#[test]
fn no_card_number_but_published_ones() {
    let mut offences = Offences::default();
    let mut seen = 0;
    for path in source::files().into_iter().filter(|path| !path.ends_with("Cargo.lock")) {
        let bytes = std::fs::read(source::root().join(&path)).expect("listed files are there");
        let text = String::from_utf8_lossy(&bytes);
        for (line, text) in text.lines().enumerate() {
            for number in card_numbers(text) {
                seen += 1;
                let published = is_published(number.as_bytes());
                offences.unless(published, || {
                    let last4 = &number[number.len() - 4..];
                    format!(
                        "{path}:{}: ...{last4} could be somebody's card: take a published number or name its publisher",
                        line + 1
                    )
                });
            }
        }
    }
    assert!(seen > 50, "only {seen} test numbers were found: the scan sees nothing");
    offences.none();
}

/// Every run of 13 to 19 digits, alone or grouped by single spaces or hyphens, that passes Luhn and begins as a scheme's
/// numbers do. Digits within a longer word (a hexadecimal id) are not meant, nor 4242... cut to another length.
fn card_numbers(text: &str) -> Vec<String> {
    let chars: Vec<char> = text.chars().collect();
    let word = |at: usize| chars.get(at).is_some_and(|c| c.is_alphanumeric());
    let mut out = Vec::new();
    let mut at = 0;
    while at < chars.len() {
        if !chars[at].is_ascii_digit() || (at > 0 && word(at - 1)) {
            at += 1;
            continue;
        }
        let mut run = String::new();
        let mut end = at;
        while end < chars.len() {
            match chars[end] {
                c if c.is_ascii_digit() => run.push(c),
                ' ' | '-' if chars.get(end + 1).is_some_and(char::is_ascii_digit) => {}
                _ => break,
            }
            end += 1;
        }
        let invented = run.len() != 16 && run.bytes().all(|b| matches!(b, b'4' | b'2'));
        if !word(end) && (13..=19).contains(&run.len()) && luhn(&run) && begins_like_a_card(&run) && !invented {
            out.push(run);
        }
        at = end.max(at + 1);
    }
    out
}

fn luhn(digits: &str) -> bool {
    let sum: u32 = digits
        .bytes()
        .rev()
        .enumerate()
        .map(|(place, digit)| {
            let digit = u32::from(digit - b'0');
            if place % 2 == 0 { digit } else { digit * 2 / 10 + digit * 2 % 10 }
        })
        .sum();
    sum.is_multiple_of(10)
}

fn begins_like_a_card(digits: &str) -> bool {
    let head: u32 = digits[..4].parse().unwrap_or(0);
    let lengths = match head {
        4000..=4999 => 13..=19,
        5100..=5599 | 2221..=2720 => 16..=16,
        3400..=3499 | 3700..=3799 => 15..=15,
        3528..=3589 => 16..=19,
        3000..=3059 | 3600..=3699 | 3800..=3999 => 14..=19,
        6011 | 6200..=6299 | 6440..=6599 | 8100..=8199 => 16..=19,
        2200..=2204 => 16..=19,
        5000..=5099 | 5600..=5899 | 6000..=6999 => 13..=19,
        _ => return false,
    };
    lengths.contains(&digits.len())
}

#[test]
fn numbers_are_found_alone_and_in_groups() {
    assert_eq!(card_numbers("x 4242424242424242,").len(), 1);
    assert_eq!(card_numbers("4242 4242 4242 4242").len(), 1);
    assert_eq!(card_numbers("4242-4242-4242-4242.").len(), 1);
    assert_eq!(card_numbers("4242424242424241").len(), 0);
    assert_eq!(card_numbers("pm_a4242424242424242").len(), 0);
    assert_eq!(card_numbers("1764000000123").len(), 0);
}
