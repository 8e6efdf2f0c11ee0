//! Card schemes: which number belongs to which, how long it may be, and whether its last digit is a check digit. The vault
//! judges by it what a card number is, and `vaultctl scan` what looks like one.

use crate::payment_method::Brand;

/// What is known about the numbers of one scheme.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scheme {
    /// The scheme's name on the wire.
    pub brand: Brand,
    /// Shortest number, in digits.
    pub shortest: u8,
    /// Longest number, in digits.
    pub longest: u8,
    /// Whether every number passes [`luhn`]. UnionPay has issued numbers that do not, so a UnionPay number is taken by
    /// its range and length alone: refusing a good card costs a sale, taking a mistyped one costs a decline.
    pub checked: bool,
}

impl Scheme {
    /// The scheme of a number, given as ASCII digits and nothing else. Where ranges lie inside each other (Elo inside Visa and Maestro,
    /// RuPay inside Discover and UnionPay) the narrowest decides. Numbers in no range are [`Brand::Unknown`].
    #[must_use]
    pub fn of(digits: &[u8]) -> Scheme {
        let Some(prefix) = digits.first_chunk::<6>() else { return UNKNOWN };
        let prefix = prefix.iter().fold(0, |sum, digit| sum * 10 + u32::from(digit - b'0'));
        let narrowest = RANGES
            .iter()
            .filter(|(_, first, last)| (*first..=*last).contains(&prefix))
            .min_by_key(|(_, first, last)| last - first);
        let brand = narrowest.map_or(Brand::Unknown, |(brand, ..)| *brand);
        SCHEMES.into_iter().find(|scheme| scheme.brand == brand).unwrap_or(UNKNOWN)
    }

    /// Whether numbers of the scheme may have so many digits.
    #[must_use]
    pub fn takes_length(&self, digits: usize) -> bool {
        match self.brand {
            // These use some lengths of their span and not those between.
            Brand::Visa => matches!(digits, 13 | 16 | 19),
            _ => (usize::from(self.shortest)..=usize::from(self.longest)).contains(&digits),
        }
    }

    /// Length of the scheme's CVC, in digits; `None` where either 3 or 4 may be right.
    #[must_use]
    pub fn cvc_digits(brand: Brand) -> Option<usize> {
        match brand {
            Brand::Amex => Some(4),
            Brand::Unknown => None,
            _ => Some(3),
        }
    }
}

/// Whether a number, given as ASCII digits and nothing else, passes the check of ISO/IEC 7812-1 annex B.
#[must_use]
pub fn luhn(digits: &[u8]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(place, digit)| match (place % 2, u32::from(digit - b'0')) {
            (0, value) => value,
            (_, value) if value > 4 => 2 * value - 9,
            (_, value) => 2 * value,
        })
        .sum();
    sum.is_multiple_of(10)
}

const fn scheme(brand: Brand, shortest: u8, longest: u8) -> Scheme {
    Scheme { brand, shortest, longest, checked: true }
}

const UNKNOWN: Scheme = scheme(Brand::Unknown, 12, 19);

const SCHEMES: [Scheme; 11] = [
    scheme(Brand::Visa, 13, 19),
    scheme(Brand::Mastercard, 16, 16),
    scheme(Brand::Amex, 15, 15),
    scheme(Brand::Discover, 16, 19),
    scheme(Brand::Diners, 14, 19),
    scheme(Brand::Jcb, 16, 19),
    Scheme { brand: Brand::Unionpay, shortest: 16, longest: 19, checked: false },
    scheme(Brand::Maestro, 12, 19),
    scheme(Brand::Elo, 16, 16),
    scheme(Brand::Rupay, 16, 16),
    scheme(Brand::Mir, 16, 19),
];

/// First and last six digits of each range that a scheme issues from.
const RANGES: &[(Brand, u32, u32)] = &[
    (Brand::Visa, 400_000, 499_999),
    (Brand::Mastercard, 510_000, 559_999),
    (Brand::Mastercard, 222_100, 272_099),
    (Brand::Amex, 340_000, 349_999),
    (Brand::Amex, 370_000, 379_999),
    (Brand::Discover, 601_100, 601_199),
    (Brand::Discover, 644_000, 659_999),
    (Brand::Diners, 300_000, 305_999),
    (Brand::Diners, 309_500, 309_599),
    (Brand::Diners, 360_000, 369_999),
    (Brand::Diners, 380_000, 399_999),
    (Brand::Jcb, 352_800, 358_999),
    (Brand::Unionpay, 620_000, 629_999),
    (Brand::Unionpay, 810_000, 817_199),
    (Brand::Maestro, 500_000, 509_999),
    (Brand::Maestro, 560_000, 599_999),
    (Brand::Maestro, 630_000, 639_999),
    (Brand::Maestro, 670_000, 679_999),
    (Brand::Mir, 220_000, 220_499),
    (Brand::Rupay, 508_500, 508_999),
    (Brand::Rupay, 606_985, 607_984),
    (Brand::Rupay, 608_001, 608_500),
    (Brand::Rupay, 652_150, 653_149),
    (Brand::Rupay, 817_200, 820_199),
    (Brand::Elo, 401_178, 401_179),
    (Brand::Elo, 431_274, 431_274),
    (Brand::Elo, 438_935, 438_935),
    (Brand::Elo, 451_416, 451_416),
    (Brand::Elo, 457_393, 457_393),
    (Brand::Elo, 457_631, 457_632),
    (Brand::Elo, 504_175, 504_175),
    (Brand::Elo, 506_699, 506_778),
    (Brand::Elo, 509_000, 509_999),
    (Brand::Elo, 627_780, 627_780),
    (Brand::Elo, 636_297, 636_297),
    (Brand::Elo, 636_368, 636_368),
    (Brand::Elo, 650_031, 650_033),
    (Brand::Elo, 650_035, 650_051),
    (Brand::Elo, 650_405, 650_439),
    (Brand::Elo, 650_485, 650_538),
    (Brand::Elo, 650_541, 650_598),
    (Brand::Elo, 650_700, 650_718),
    (Brand::Elo, 650_720, 650_727),
    (Brand::Elo, 650_901, 650_978),
    (Brand::Elo, 651_652, 651_679),
    (Brand::Elo, 655_000, 655_019),
    (Brand::Elo, 655_021, 655_058),
];

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers that payment companies publish for tests: Stripe, Adyen, PayPal, PayU, T-Bank, Mastercard's gateway.
    const PUBLISHED: &[(Brand, &str)] = &[
        (Brand::Visa, "4242424242424242"),
        (Brand::Visa, "4000056655665556"),
        (Brand::Visa, "4111111111111111"),
        (Brand::Mastercard, "5555555555554444"),
        (Brand::Mastercard, "5105105105105100"),
        (Brand::Mastercard, "2223003122003222"),
        (Brand::Mastercard, "2223000048400011"),
        (Brand::Amex, "378282246310005"),
        (Brand::Amex, "371449635398431"),
        (Brand::Discover, "6011111111111117"),
        (Brand::Discover, "6011000990139424"),
        (Brand::Discover, "6011981111111113"),
        (Brand::Diners, "3056930009020004"),
        (Brand::Diners, "36227206271667"),
        (Brand::Diners, "30123400000000"),
        (Brand::Jcb, "3566002020360505"),
        (Brand::Jcb, "3530111333300000"),
        (Brand::Unionpay, "6200000000000005"),
        (Brand::Unionpay, "6205500000000000004"),
        (Brand::Maestro, "6771798021000008"),
        (Brand::Maestro, "6304000000000000"),
        (Brand::Maestro, "5000000000000000005"),
        (Brand::Elo, "5066991111111118"),
        (Brand::Rupay, "6082015309577308"),
        (Brand::Mir, "2201382000000013"),
    ];

    #[test]
    fn published_test_numbers_have_their_brand_length_and_check_digit() {
        for (brand, number) in PUBLISHED {
            let scheme = Scheme::of(number.as_bytes());
            assert_eq!(scheme.brand, *brand, "{number}");
            assert!(scheme.takes_length(number.len()), "{number}");
            assert!(luhn(number.as_bytes()), "{number}");
        }
    }

    #[test]
    fn every_brand_has_a_published_number() {
        for scheme in SCHEMES {
            assert!(PUBLISHED.iter().any(|(brand, _)| *brand == scheme.brand), "{:?}", scheme.brand);
        }
    }

    #[test]
    fn the_narrowest_range_decides() {
        let brand = |prefix: &str| Scheme::of(prefix.as_bytes()).brand;
        assert_eq!((brand("401177"), brand("401178"), brand("401180")), (Brand::Visa, Brand::Elo, Brand::Visa));
        assert_eq!((brand("506698"), brand("506699"), brand("506779")), (Brand::Maestro, Brand::Elo, Brand::Maestro));
        assert_eq!(
            (brand("652149"), brand("652150"), brand("653150")),
            (Brand::Discover, Brand::Rupay, Brand::Discover)
        );
        assert_eq!(
            (brand("817199"), brand("817200"), brand("820200")),
            (Brand::Unionpay, Brand::Rupay, Brand::Unknown)
        );
        assert_eq!((brand("627779"), brand("627780")), (Brand::Unionpay, Brand::Elo));
        assert_eq!((brand("508499"), brand("508500")), (Brand::Maestro, Brand::Rupay));
    }

    #[test]
    fn the_edges_of_the_mastercard_2_series_and_mir_hold() {
        let brand = |prefix: &str| Scheme::of(prefix.as_bytes()).brand;
        assert_eq!((brand("222099"), brand("222100")), (Brand::Unknown, Brand::Mastercard));
        assert_eq!((brand("272099"), brand("272100")), (Brand::Mastercard, Brand::Unknown));
        assert_eq!((brand("220499"), brand("220500")), (Brand::Mir, Brand::Unknown));
    }

    #[test]
    fn ranges_are_six_digits_in_order_and_of_a_known_scheme() {
        for (brand, first, last) in RANGES {
            assert!((100_000..=999_999).contains(first) && first <= last && *last <= 999_999);
            assert!(SCHEMES.iter().any(|scheme| scheme.brand == *brand));
        }
    }

    #[test]
    fn one_changed_digit_fails_the_check() {
        let good = *b"4242424242424242";
        for place in 0..good.len() {
            for digit in b'0'..=b'9' {
                let mut changed = good;
                changed[place] = digit;
                assert_eq!(luhn(&changed), digit == good[place]);
            }
        }
    }

    #[test]
    fn lengths_between_those_of_visa_are_refused() {
        let visa = Scheme::of(b"424242");
        assert_eq!((12..=20).filter(|n| visa.takes_length(*n)).collect::<Vec<_>>(), [13, 16, 19]);
    }
}
