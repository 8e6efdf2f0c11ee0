//! What may be tried after each of Worldpay's refusal codes (its "Refusal response codes" and the card schemes' own) and
//! after Mastercard's advice.

use crate::connector::DeclineKind;

/// The kind of a refusal. The scheme's advice goes first; then the code, with or without zeros in front. A code that is
/// not in the table counts as hard: another attempt costs scheme fees and may be forbidden.
pub(super) fn kind(code: Option<&str>, advice: Option<&str>) -> DeclineKind {
    match advice.map(bare) {
        // Do not try again; stop the recurring payment.
        Some("3" | "21") => return DeclineKind::DoNotRetry,
        // Try again later, or after an hour, a day, up to ten days.
        Some("2" | "24" | "25" | "26" | "27" | "28" | "29" | "30") => return DeclineKind::Soft,
        // New account details are known; the token or the product does not fit.
        Some("1" | "4" | "22") => return DeclineKind::Hard,
        _ => {}
    }
    let Some(code) = code.map(bare) else { return DeclineKind::Hard };
    if DO_NOT_RETRY.contains(&code) {
        DeclineKind::DoNotRetry
    } else if SOFT.contains(&code) {
        DeclineKind::Soft
    } else {
        DeclineKind::Hard
    }
}

/// `05` and `5` are one code: Worldpay's own have no zeros in front, the schemes' have.
fn bare(code: &str) -> &str {
    code.trim_start_matches('0')
}

/// The card is to be kept, lost, stolen, closed, blocked or suspected, or the cardholder has withdrawn.
const DO_NOT_RETRY: &[&str] =
    &["4", "7", "34", "41", "43", "46", "59", "62", "63", "76", "79", "83", "97", "R0", "R1", "R3"];

/// Time, another route, or nothing in particular may turn the answer.
const SOFT: &[&str] = &[
    "1", "2", "5", "8", "19", "20", "21", "28", "51", "61", "65", "68", "80", "85", "90", "91", "94", "96", "98", "99",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_code_is_of_two_kinds() {
        for code in DO_NOT_RETRY {
            assert!(!SOFT.contains(code), "{code}");
        }
    }

    #[test]
    fn codes_of_the_published_test_values_have_their_kind() {
        let cases = [
            ("4", DeclineKind::DoNotRetry),
            ("5", DeclineKind::Soft),
            ("05", DeclineKind::Soft),
            ("13", DeclineKind::Hard),
            ("15", DeclineKind::Hard),
            ("33", DeclineKind::Hard),
            ("34", DeclineKind::DoNotRetry),
            ("41", DeclineKind::DoNotRetry),
            ("43", DeclineKind::DoNotRetry),
            ("51", DeclineKind::Soft),
            ("54", DeclineKind::Hard),
            ("55", DeclineKind::Hard),
            ("62", DeclineKind::DoNotRetry),
            ("76", DeclineKind::DoNotRetry),
            ("85", DeclineKind::Soft),
            ("91", DeclineKind::Soft),
        ];
        for (code, expected) in cases {
            assert_eq!(kind(Some(code), None), expected, "{code}");
        }
    }

    #[test]
    fn advice_of_the_scheme_outweighs_the_code_and_an_unknown_code_is_not_tried_again() {
        assert_eq!(kind(Some("5"), Some("03")), DeclineKind::DoNotRetry);
        assert_eq!(kind(Some("5"), Some("21")), DeclineKind::DoNotRetry);
        assert_eq!(kind(Some("54"), Some("02")), DeclineKind::Soft);
        assert_eq!(kind(Some("51"), Some("25")), DeclineKind::Soft);
        assert_eq!(kind(Some("5"), Some("01")), DeclineKind::Hard);
        assert_eq!(kind(Some("51"), Some("40")), DeclineKind::Soft, "says what card it is, not what to do");
        assert_eq!(kind(Some("1234"), None), DeclineKind::Hard);
        assert_eq!(kind(None, None), DeclineKind::Hard);
    }
}
