//! The published test cards that all dialects take: how each number behaves; any other number is refused.

/// One published test number and what happens when it is charged.
pub(crate) struct TestCard {
    number: &'static str,
    pub(crate) brand: &'static str,
    pub(crate) funding: &'static str,
    pub(crate) country: &'static str,
    pub(crate) behaviour: Behaviour,
}

/// What the issuer behind a test card does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Behaviour {
    /// Approves.
    Approve,
    /// Approves, although the security code check fails.
    ApproveBadCvc,
    /// Declines with this reason.
    Decline(Reason),
    /// Wants 3-D Secure every time; approves or declines after it.
    Authenticate(Option<Reason>),
    /// Supports 3-D Secure, and shows it only when the payment asks for it.
    AuthenticateWhenAsked,
    /// Approves; a refund is `pending` first and has succeeded when it is next read.
    RefundPending,
    /// Approves; a refund has `succeeded` first and has failed when it is next read.
    RefundFails,
}

/// Why an issuer declines; each dialect has words of its own for it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Reason {
    /// No reason given.
    Generic,
    /// Not enough money on the account.
    InsufficientFunds,
    /// Reported lost.
    Lost,
    /// Reported stolen.
    Stolen,
    /// The provider's risk check.
    Fraudulent,
    /// Too often or too much in a short time.
    Velocity,
    /// Past its expiry.
    Expired,
    /// Another security code.
    IncorrectCvc,
    /// Something went wrong at the issuer.
    Processing,
    /// The cardholder has to be there.
    AuthenticationRequired,
}

impl TestCard {
    /// The last four digits: all of the number that is ever shown.
    pub(crate) fn last4(&self) -> &'static str {
        &self.number[self.number.len() - 4..]
    }

    /// A stand-in for a card fingerprint: the row of the shared table, which says nothing about the number.
    pub(crate) fn fingerprint(&self) -> String {
        let row = CARDS.iter().position(|card| std::ptr::eq(card, self)).unwrap_or(CARDS.len());
        format!("simulatedcard{row:03}")
    }

    /// Whether 3-D Secure can be shown for this card.
    pub(crate) fn supports_three_d_secure(&self) -> bool {
        !matches!(self.brand, "amex" | "diners" | "unionpay")
    }
}

/// Why a number is not taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Wrong {
    /// Not 12 to 19 digits.
    NoNumber,
    /// The check digit does not fit.
    CheckDigit,
    /// A number that no provider publishes for tests.
    NotPublished,
}

/// The test card with this number: from the dialect's own table first, then from the shared one.
///
/// # Errors
/// Why it is none; never with the number.
pub(crate) fn find(number: &str, own: &'static [TestCard]) -> Result<&'static TestCard, Wrong> {
    if !(12..=19).contains(&number.len()) || !number.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Wrong::NoNumber);
    }
    if !luhn(number) {
        return Err(Wrong::CheckDigit);
    }
    own.iter().chain(CARDS).find(|card| card.number == number).ok_or(Wrong::NotPublished)
}

fn luhn(number: &str) -> bool {
    let sum: u32 = number
        .bytes()
        .rev()
        .enumerate()
        .map(|(place, byte)| {
            let digit = u32::from(byte - b'0');
            if place % 2 == 0 { digit } else { digit / 5 + digit * 2 % 10 }
        })
        .sum();
    sum.is_multiple_of(10)
}

/// A row of a table of test cards.
pub(crate) const fn card(
    number: &'static str,
    brand: &'static str,
    funding: &'static str,
    behaviour: Behaviour,
) -> TestCard {
    TestCard { number, brand, funding, country: "US", behaviour }
}

/// The numbers that Stripe publishes for its test mode (docs.stripe.com/testing). Every dialect takes them, so that one
/// payment can be tried at several providers with the same card.
static CARDS: &[TestCard] = &[
    card("4242424242424242", "visa", "credit", Behaviour::Approve),
    card("4000056655665556", "visa", "debit", Behaviour::Approve),
    card("5555555555554444", "mastercard", "credit", Behaviour::Approve),
    card("2223003122003222", "mastercard", "credit", Behaviour::Approve),
    card("5200828282828210", "mastercard", "debit", Behaviour::Approve),
    card("5105105105105100", "mastercard", "prepaid", Behaviour::Approve),
    card("378282246310005", "amex", "credit", Behaviour::Approve),
    card("371449635398431", "amex", "credit", Behaviour::Approve),
    card("6011111111111117", "discover", "credit", Behaviour::Approve),
    card("6011000990139424", "discover", "credit", Behaviour::Approve),
    card("6011981111111113", "discover", "debit", Behaviour::Approve),
    card("3056930009020004", "diners", "credit", Behaviour::Approve),
    card("36227206271667", "diners", "credit", Behaviour::Approve),
    card("3566002020360505", "jcb", "credit", Behaviour::Approve),
    card("6200000000000005", "unionpay", "credit", Behaviour::Approve),
    card("6200000000000047", "unionpay", "debit", Behaviour::Approve),
    card("6205500000000000004", "unionpay", "credit", Behaviour::Approve),
    card("4000000000000101", "visa", "credit", Behaviour::ApproveBadCvc),
    card("4000000000000002", "visa", "credit", Behaviour::Decline(Reason::Generic)),
    card("4000000000000341", "visa", "credit", Behaviour::Decline(Reason::Generic)),
    card("4000000000009995", "visa", "credit", Behaviour::Decline(Reason::InsufficientFunds)),
    card("4000000000009987", "visa", "credit", Behaviour::Decline(Reason::Lost)),
    card("4000000000009979", "visa", "credit", Behaviour::Decline(Reason::Stolen)),
    card("4000000000000069", "visa", "credit", Behaviour::Decline(Reason::Expired)),
    card("4000000000000127", "visa", "credit", Behaviour::Decline(Reason::IncorrectCvc)),
    card("4000000000000119", "visa", "credit", Behaviour::Decline(Reason::Processing)),
    card("4000000000006975", "visa", "credit", Behaviour::Decline(Reason::Velocity)),
    card("4100000000000019", "visa", "credit", Behaviour::Decline(Reason::Fraudulent)),
    card("4000002500003155", "visa", "credit", Behaviour::Authenticate(None)),
    card("4000002760003184", "visa", "credit", Behaviour::Authenticate(None)),
    card("4000000000003220", "visa", "credit", Behaviour::Authenticate(None)),
    card("4000000000003063", "visa", "credit", Behaviour::Authenticate(None)),
    card("4000008260003178", "visa", "credit", Behaviour::Authenticate(Some(Reason::InsufficientFunds))),
    card("4000008400001629", "visa", "credit", Behaviour::Authenticate(Some(Reason::Generic))),
    card("4000000000003055", "visa", "credit", Behaviour::AuthenticateWhenAsked),
    card("4000000000007726", "visa", "credit", Behaviour::RefundPending),
    card("4000000000005126", "visa", "credit", Behaviour::RefundFails),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_of_the_table_is_found_once_and_has_a_right_check_digit() {
        for (row, card) in CARDS.iter().enumerate() {
            assert!(luhn(card.number), "row {row}");
            let found = find(card.number, &[]).map_err(|_| row).expect("a published number is found");
            assert!(std::ptr::eq(found, card), "row {row} is a duplicate");
            assert_eq!(card.last4().len(), 4);
        }
    }

    #[test]
    fn number_that_is_not_published_and_number_that_is_none_are_told_apart() {
        let wrong = |number: &str| find(number, &[]).err();
        // Another provider's published number.
        assert_eq!(wrong("4111111111111111"), Some(Wrong::NotPublished));
        assert_eq!(wrong("4242424242424241"), Some(Wrong::CheckDigit));
        assert_eq!(wrong("4242 4242 4242 42"), Some(Wrong::NoNumber));
        assert_eq!(wrong("42"), Some(Wrong::NoNumber));
    }

    #[test]
    fn number_of_a_dialects_own_table_is_taken_by_that_dialect_alone() {
        static OWN: [TestCard; 1] = [card("4111111111111111", "visa", "credit", Behaviour::Decline(Reason::Lost))];
        let found = find("4111111111111111", &OWN).map_err(|_| "refused").expect("found");
        assert_eq!(found.behaviour, Behaviour::Decline(Reason::Lost));
        assert!(find("4111111111111111", &[]).is_err());
        assert!(find("4242424242424242", &OWN).is_ok());
    }
}
