//! What the issuer says: by Worldpay's magic cardholder names (`REFUSED51`), else as the card of the table behaves.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::body::Expiry;
use crate::cards::{Behaviour, Reason, TestCard, card};

/// The issuer's word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Word {
    /// Yes.
    Yes,
    /// No: Worldpay's code, and Mastercard's advice where there is one.
    No(Code, Option<&'static str>),
    /// Nothing that could be understood.
    Error,
}

/// A refusal code of Worldpay's and what it says.
pub(super) type Code = (&'static str, &'static str);

/// Asks the issuer of this card. `name` is the cardholder's.
pub(super) fn ask(card: &TestCard, name: Option<&str>, expiry: Expiry, now_s: i64) -> Word {
    match name.map(str::trim) {
        Some("AUTHORISED") => return Word::Yes,
        Some("ERROR") => return Word::Error,
        Some("REFUSED") => return Word::No(REFUSED, None),
        Some(name) => {
            let code = name.strip_prefix("REFUSED").and_then(|code| CODES.iter().find(|(known, _)| *known == code));
            if let Some(code) = code {
                return Word::No(*code, None);
            }
        }
        None => {}
    }
    if is_past(expiry, now_s) {
        return Word::No(code("33"), None);
    }
    match card.behaviour {
        Behaviour::Decline(reason) => refusal(reason),
        // Without 3-D Secure this issuer asks for it, whoever pays.
        Behaviour::Authenticate(_) => refusal(Reason::AuthenticationRequired),
        Behaviour::Approve
        | Behaviour::ApproveBadCvc
        | Behaviour::AuthenticateWhenAsked
        | Behaviour::RefundPending
        | Behaviour::RefundFails => Word::Yes,
    }
}

/// A no without a reason.
pub(super) const REFUSED: Code = ("5", "REFUSED");

/// Worldpay's code for each reason. Lost and stolen cards come with the scheme's advice not to try again.
fn refusal(reason: Reason) -> Word {
    let (number, advice) = match reason {
        Reason::Generic => ("5", None),
        Reason::InsufficientFunds => ("51", Some("02")),
        Reason::Lost => ("41", Some("03")),
        Reason::Stolen => ("43", Some("03")),
        Reason::Fraudulent => ("34", None),
        Reason::Velocity => ("61", None),
        Reason::Expired => ("33", None),
        Reason::IncorrectCvc => ("55", None),
        Reason::Processing => ("91", None),
        Reason::AuthenticationRequired => ("65", None),
    };
    Word::No(code(number), advice)
}

fn code(number: &str) -> Code {
    CODES.iter().find(|(known, _)| *known == number).copied().unwrap_or(REFUSED)
}

fn is_past(expiry: Expiry, now_s: i64) -> bool {
    let now = Timestamp::from_second(now_s).unwrap_or_default().to_zoned(TimeZone::UTC);
    (expiry.year, expiry.month) < (now.year(), now.month())
}

/// The codes of the magic values, and a few more of the list of refusal codes.
const CODES: &[Code] = &[
    ("4", "HOLD CARD"),
    REFUSED,
    ("8", "APPROVE AFTER IDENTIFICATION"),
    ("13", "INVALID AMOUNT"),
    ("15", "INVALID CARD ISSUER"),
    ("17", "ANNULATION BY CLIENT"),
    ("28", "ACCESS DENIED"),
    ("29", "IMPOSSIBLE REFERENCE NUMBER"),
    ("33", "CARD EXPIRED"),
    ("34", "FRAUD SUSPICION"),
    ("38", "SECURITY CODE EXPIRED"),
    ("41", "LOST CARD"),
    ("43", "STOLEN CARD, PICK UP"),
    ("51", "LIMIT EXCEEDED"),
    ("55", "INVALID SECURITY CODE"),
    ("56", "UNKNOWN CARD"),
    ("57", "ILLEGAL TRANSACTION"),
    ("61", "EXCEEDS WITHDRAWAL AMOUNT LIMIT"),
    ("62", "RESTRICTED CARD"),
    ("63", "SECURITY RULES VIOLATED"),
    ("65", "AUTHENTICATION REQUESTED"),
    ("75", "SECURITY CODE INVALID"),
    ("76", "CARD BLOCKED"),
    ("85", "REJECTED BY CARD ISSUER"),
    ("91", "CREDITCARD ISSUER TEMPORARILY NOT REACHABLE"),
];

/// The numbers that Worldpay publishes for its Try environment, beside those that every dialect takes.
pub(super) static CARDS: &[TestCard] = &[
    card("4444333322221111", "visa", "credit", Behaviour::Approve),
    card("4911830000000", "visa", "credit", Behaviour::Approve),
    card("4917610000000000", "visa", "credit", Behaviour::Approve),
    card("4462030000000000", "visa", "debit", Behaviour::Approve),
    card("4917610000000000003", "visa", "debit", Behaviour::Approve),
    card("4917300800000000", "visa", "debit", Behaviour::Approve),
    card("4150580996517927", "visa", "credit", Behaviour::Approve),
    card("4434020000000006", "visa", "debit", Behaviour::Approve),
    card("5454545454545454", "mastercard", "credit", Behaviour::Approve),
    card("2221000000000009", "mastercard", "credit", Behaviour::Approve),
    card("5163613613613613", "mastercard", "debit", Behaviour::Approve),
    card("5131072454408923", "mastercard", "credit", Behaviour::Approve),
    card("5163150000000005", "mastercard", "debit", Behaviour::Approve),
    card("6759649826438453", "maestro", "debit", Behaviour::Approve),
    card("5817020000000000", "maestro", "debit", Behaviour::Approve),
    card("343434343434343", "amex", "credit", Behaviour::Approve),
    card("6011000400000000", "discover", "credit", Behaviour::Approve),
    card("3528000700000000", "jcb", "credit", Behaviour::Approve),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cards::find;

    const NOW_S: i64 = 1_794_700_800;

    fn word(number: &str, name: Option<&str>) -> Word {
        let card = find(number, CARDS).map_err(|_| "refused").expect("a published number");
        ask(card, name, Expiry { month: 11, year: 2026 }, NOW_S)
    }

    #[test]
    fn magic_name_decides_whatever_the_card() {
        for number in ["4444333322221111", "4000000000009987"] {
            assert_eq!(word(number, Some("AUTHORISED")), Word::Yes);
            assert_eq!(word(number, Some("ERROR")), Word::Error);
            assert_eq!(word(number, Some("REFUSED")), Word::No(REFUSED, None));
            assert_eq!(word(number, Some(" REFUSED76 ")), Word::No(("76", "CARD BLOCKED"), None));
        }
        assert_eq!(word("4444333322221111", Some("REFUSED999")), Word::Yes);
        assert_eq!(word("4444333322221111", Some("Sherlock Holmes")), Word::Yes);
    }

    #[test]
    fn every_number_that_worldpay_publishes_is_found_and_approves() {
        for card in CARDS {
            assert_eq!(ask(card, None, Expiry { month: 12, year: 2030 }, NOW_S), Word::Yes);
        }
        for number in ["4911830000000", "4917610000000000003", "343434343434343", "5555555555554444"] {
            assert_eq!(word(number, None), Word::Yes);
        }
    }

    #[test]
    fn shared_cards_are_refused_with_worldpays_codes() {
        for (number, expected, advice) in [
            ("4000000000000002", "5", None),
            ("4000000000009995", "51", Some("02")),
            ("4000000000009987", "41", Some("03")),
            ("4000000000009979", "43", Some("03")),
            ("4100000000000019", "34", None),
            ("4000000000006975", "61", None),
            ("4000000000000069", "33", None),
            ("4000000000000127", "55", None),
            ("4000000000000119", "91", None),
            ("4000002500003155", "65", None),
        ] {
            assert_eq!(word(number, None), Word::No(code(expected), advice), "{expected}");
        }
    }

    #[test]
    fn card_is_good_until_the_end_of_its_month() {
        let card = &CARDS[0];
        assert_eq!(ask(card, None, Expiry { month: 11, year: 2026 }, NOW_S), Word::Yes);
        for (month, year) in [(10, 2026), (12, 2025)] {
            assert_eq!(ask(card, None, Expiry { month, year }, NOW_S), Word::No(("33", "CARD EXPIRED"), None));
        }
    }
}
