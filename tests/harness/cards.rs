//! Cards that can be told apart: numbers that pass Luhn, made up behind the prefix of published test numbers.

/// A made-up card.
#[derive(Clone)]
pub struct Card {
    /// 16 digits.
    pub number: String,
    /// Three digits.
    pub cvc: String,
}

/// `count` cards, always the same ones, no two with the same number.
pub fn cards(count: u64) -> Vec<Card> {
    (0..count).map(Card::nth).collect()
}

impl Card {
    /// The multiplier has no factor in common with the modulus, so that no account number comes twice.
    fn nth(nth: u64) -> Self {
        let account = (nth * 618_033_989 + 271_828_183) % 1_000_000_000;
        let open = format!("{PREFIX}{account:09}");
        let number = format!("{open}{}", check_digit(&open));
        Self { number, cvc: format!("{}", 100 + nth % 900) }
    }
}

/// The digit that makes the sum of Luhn's algorithm (ISO/IEC 7812-1 annex B) a multiple of ten.
fn check_digit(open: &str) -> u32 {
    let sum: u32 = open
        .bytes()
        .rev()
        .enumerate()
        .map(|(place, digit)| {
            let digit = u32::from(digit - b'0');
            if place % 2 == 0 { digit * 2 / 10 + digit * 2 % 10 } else { digit }
        })
        .sum();
    (10 - sum % 10) % 10
}

/// Of 4000000000000002 and the other published numbers of this kind.
const PREFIX: &str = "400000";

#[test]
fn the_check_digit_is_that_of_published_numbers() {
    assert_eq!(check_digit("424242424242424"), 2);
    assert_eq!(check_digit("555555555555444"), 4);
    assert_eq!(check_digit("400000000000000"), 2);
}

#[test]
fn no_number_comes_twice() {
    let numbers: std::collections::BTreeSet<String> = cards(1_000).into_iter().map(|card| card.number).collect();
    assert_eq!(numbers.len(), 1_000);
    assert!(numbers.iter().all(|number| number.len() == 16));
}
