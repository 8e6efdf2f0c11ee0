//! Card numbers where they should not be: in texts that this program would store and show (PCI DSS 3.4.1, 12.10.7).

/// Whether a text holds what looks like a card number: 13 to 19 digits of a length that the schemes use with such a first
/// digit, and with a right check digit; in one piece, or in groups with one separator between them. What stands before
/// or behind it (an order number, an expiry) does not hide it, and neither do full-width digits. A phone number in
/// international form (`+` and at most 15 digits) is not meant.
///
/// It stops accidents, not people who hide a number on purpose.
pub(crate) fn holds_card_number(text: &str) -> bool {
    let groups = groups(text);
    (0..groups.len()).any(|first| {
        let mut digits: Vec<u8> = Vec::with_capacity(DIGITS_MAX);
        for (place, group) in groups[first..].iter().enumerate() {
            if place > 0 && !group.joined || digits.len() + group.digits.len() > DIGITS_MAX {
                return false;
            }
            digits.extend_from_slice(&group.digits);
            let is_phone = groups[first].after_plus && digits.len() <= PHONE_DIGITS_MAX;
            if !is_phone && is_card(&digits) {
                return true;
            }
            // Only the last group of a written card number may be that short.
            if group.digits.len() < GROUP_MIN {
                return false;
            }
        }
        false
    })
}

/// Digits that stand together.
struct Group {
    digits: Vec<u8>,
    /// Whether exactly one separator stands between this group and the one before.
    joined: bool,
    /// Whether a plus sign stands before it.
    after_plus: bool,
}

fn groups(text: &str) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    // What stands between the last digit and here: at most two characters matter.
    let mut between = (0usize, ' ');
    let mut inside = false;
    let (mut word_until, mut opaque_until) = (0, 0);
    for (place, letter) in text.char_indices() {
        if place >= word_until && letter.is_ascii_alphanumeric() {
            let rest = &text[place..];
            let word = &rest[..rest.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(rest.len())];
            word_until = place + word.len();
            if is_hexadecimal(word) {
                opaque_until = word_until;
            }
        }
        match digit(letter).filter(|_| place >= opaque_until) {
            Some(digit) if inside => {
                if let Some(group) = groups.last_mut() {
                    group.digits.push(digit);
                }
            }
            Some(digit) => {
                let joined = !groups.is_empty() && between.0 == 1 && SEPARATORS.contains(&between.1);
                groups.push(Group { digits: vec![digit], joined, after_plus: between.1 == '+' });
                inside = true;
            }
            None if inside => {
                between = (1, letter);
                inside = false;
            }
            None => between = (between.0.saturating_add(1), letter),
        }
    }
    groups
}

/// Whether a word is a hexadecimal number: letters a to f and digits in turn, with more than one run of digits. A random
/// identifier of that form now and then holds digits that pass for a card number.
fn is_hexadecimal(word: &str) -> bool {
    let runs = word.split(|c: char| !c.is_ascii_digit()).filter(|run| !run.is_empty()).count();
    runs > 1 && word.bytes().all(|b| b.is_ascii_hexdigit())
}

fn digit(letter: char) -> Option<u8> {
    let value = match letter {
        '0'..='9' => u32::from(letter) - u32::from('0'),
        '\u{ff10}'..='\u{ff19}' => u32::from(letter) - 0xff10,
        _ => return None,
    };
    u8::try_from(value).ok()
}

/// The lengths that the schemes use, by first digit (ISO/IEC 7812: 2 and 5 Mastercard and Mir, 3 American Express, Diners
/// and JCB, 4 Visa, 5 and 6 Maestro, 6 Discover, UnionPay and RuPay).
fn is_card(digits: &[u8]) -> bool {
    let first = digits.first().copied().unwrap_or(0);
    let fits = match digits.len() {
        13 => first == 4,
        14 | 15 => first == 3,
        16 => (2..=6).contains(&first),
        17 | 18 => matches!(first, 5 | 6),
        19 => (2..=6).contains(&first),
        _ => false,
    };
    fits && luhn(digits)
}

fn luhn(digits: &[u8]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(place, digit)| {
            let doubled = u32::from(*digit) << (place % 2);
            if doubled > 9 { doubled - 9 } else { doubled }
        })
        .sum();
    sum.is_multiple_of(10)
}

const SEPARATORS: &[char] = &[' ', '-', '.', '/', '_', '\u{a0}', '\u{2009}', '\u{2010}', '\u{2011}', '\u{2013}'];
const DIGITS_MAX: usize = 19;
const GROUP_MIN: usize = 3;
/// Of E.164.
const PHONE_DIGITS_MAX: usize = 15;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn card_numbers_are_found_whatever_stands_beside_them_and_however_they_are_written() {
        for bad in [
            "4242424242424242",
            "pay 5555 5555-5555 4444 now",
            "378282246310005",
            "4222222222222",
            "1 5555555555554444",
            "ref12 5555555555554444",
            "5555555555554444 12/31",
            "5555 5555 5555 4444 12 2031 123",
            "order 77 5555555555554444 12",
            "5555.5555.5555.4444",
            "5555/5555/5555/4444",
            "5555_5555_5555_4444",
            "5555\u{a0}5555\u{a0}5555\u{a0}4444",
            "５５５５５５５５５５５５４４４４",
            "card4242424242424242x",
            "card4242424242424242b1",
            "+4242424242424242",
            r#"{"a":[4242424242424242]}"#,
        ] {
            assert!(holds_card_number(bad), "{bad}");
        }
    }

    #[test]
    fn numbers_that_are_none_are_left_alone() {
        for good in [
            "",
            "order 1234",
            "4242424242424241",
            "1700000000000",
            // A phone number with a right check digit, and a number that is too long for a card.
            "+4222222222222",
            "42424242424242420000000",
            "4242  4242  4242  4242",
            "[4242,4242,4242,4242]",
            "42 42 42 42 42 42 42 42",
            "pm_01a14242424242424242bc0f",
            "2026-11-21T07:29:33.216Z",
        ] {
            assert!(!holds_card_number(good), "{good}");
        }
    }
}
