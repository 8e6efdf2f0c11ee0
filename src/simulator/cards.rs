//! The published test cards: how each number behaves; any other number is refused.

use crate::refusal::Refusal;

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
    Decline(Decline),
    /// Wants 3-D Secure every time; approves or declines after it.
    Authenticate(Option<Decline>),
    /// Supports 3-D Secure, and shows it only when the payment asks for it.
    AuthenticateWhenAsked,
    /// Approves; a refund is `pending` first and has succeeded when it is next read.
    RefundPending,
    /// Approves; a refund has `succeeded` first and has failed when it is next read.
    RefundFails,
}

/// Why an issuer declines, in Stripe's words.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Decline {
    /// Stripe's error code.
    pub(crate) code: &'static str,
    /// Stripe's decline code; a security code or expiry problem has it equal to the code.
    pub(crate) decline_code: &'static str,
    /// What Stripe tells the cardholder.
    pub(crate) message: &'static str,
}

impl TestCard {
    /// The last four digits: all of the number that is ever shown.
    pub(crate) fn last4(&self) -> &'static str {
        &self.number[self.number.len() - 4..]
    }

    /// A stand-in for Stripe's card fingerprint: the row of the table, which says nothing about the number.
    pub(crate) fn fingerprint(&self) -> String {
        let row = CARDS.iter().position(|card| std::ptr::eq(card, self)).unwrap_or(CARDS.len());
        format!("simulatedcard{row:03}")
    }

    /// Whether 3-D Secure can be shown for this card.
    pub(crate) fn supports_three_d_secure(&self) -> bool {
        !matches!(self.brand, "amex" | "diners" | "unionpay")
    }
}

/// The test card with this number.
///
/// # Errors
/// Stripe's own answers: `invalid_number` for what is no number, `incorrect_number` for a wrong check digit,
/// `test_mode_live_card` for a number that is not a published test number.
pub(crate) fn find(number: &str) -> Result<&'static TestCard, Refusal> {
    if !(12..=19).contains(&number.len()) || !number.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Refusal::card("invalid_number", None, "The card number is not a valid credit card number.")
            .param("card[number]"));
    }
    if !luhn(number) {
        return Err(Refusal::card("incorrect_number", None, "Your card number is incorrect.").param("card[number]"));
    }
    CARDS.iter().find(|card| card.number == number).ok_or_else(|| {
        Refusal::card(
            "card_declined",
            Some("test_mode_live_card"),
            "Your card was declined. This is a simulator: it takes the published Stripe test numbers alone, and this \
             is not one of them. Never send it a real card.",
        )
        .param("card[number]")
    })
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

const fn declined(decline_code: &'static str, message: &'static str) -> Decline {
    Decline { code: "card_declined", decline_code, message }
}

/// The reasons that the published numbers stand for.
pub(crate) const GENERIC: Decline = declined("generic_decline", "Your card was declined.");
const INSUFFICIENT_FUNDS: Decline = declined("insufficient_funds", "Your card has insufficient funds.");
const LOST: Decline = declined("lost_card", "Your card was declined.");
const STOLEN: Decline = declined("stolen_card", "Your card was declined.");
const FRAUDULENT: Decline = declined("fraudulent", "Your card was declined.");
const VELOCITY: Decline = declined(
    "card_velocity_exceeded",
    "Your card was declined for making repeated attempts too frequently or exceeding its amount limit.",
);
const EXPIRED: Decline =
    Decline { code: "expired_card", decline_code: "expired_card", message: "Your card has expired." };
const INCORRECT_CVC: Decline = Decline {
    code: "incorrect_cvc",
    decline_code: "incorrect_cvc",
    message: "Your card's security code is incorrect.",
};
const PROCESSING: Decline = Decline {
    code: "processing_error",
    decline_code: "processing_error",
    message: "An error occurred while processing your card. Try again in a little bit.",
};
/// The decline of a merchant-initiated payment that would have needed its cardholder.
pub(crate) const AUTHENTICATION_REQUIRED: Decline = Decline {
    code: "authentication_required",
    decline_code: "authentication_required",
    message: "Your card was declined. This transaction requires authentication.",
};

const fn card(number: &'static str, brand: &'static str, funding: &'static str, behaviour: Behaviour) -> TestCard {
    TestCard { number, brand, funding, country: "US", behaviour }
}

/// The numbers that Stripe publishes for its test mode (docs.stripe.com/testing).
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
    card("4000000000000002", "visa", "credit", Behaviour::Decline(GENERIC)),
    card("4000000000000341", "visa", "credit", Behaviour::Decline(GENERIC)),
    card("4000000000009995", "visa", "credit", Behaviour::Decline(INSUFFICIENT_FUNDS)),
    card("4000000000009987", "visa", "credit", Behaviour::Decline(LOST)),
    card("4000000000009979", "visa", "credit", Behaviour::Decline(STOLEN)),
    card("4000000000000069", "visa", "credit", Behaviour::Decline(EXPIRED)),
    card("4000000000000127", "visa", "credit", Behaviour::Decline(INCORRECT_CVC)),
    card("4000000000000119", "visa", "credit", Behaviour::Decline(PROCESSING)),
    card("4000000000006975", "visa", "credit", Behaviour::Decline(VELOCITY)),
    card("4100000000000019", "visa", "credit", Behaviour::Decline(FRAUDULENT)),
    card("4000002500003155", "visa", "credit", Behaviour::Authenticate(None)),
    card("4000002760003184", "visa", "credit", Behaviour::Authenticate(None)),
    card("4000000000003220", "visa", "credit", Behaviour::Authenticate(None)),
    card("4000000000003063", "visa", "credit", Behaviour::Authenticate(None)),
    card("4000008260003178", "visa", "credit", Behaviour::Authenticate(Some(INSUFFICIENT_FUNDS))),
    card("4000008400001629", "visa", "credit", Behaviour::Authenticate(Some(GENERIC))),
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
            let found = find(card.number).map_err(|_| row).expect("a published number is found");
            assert!(std::ptr::eq(found, card), "row {row} is a duplicate");
            assert_eq!(card.last4().len(), 4);
        }
    }

    #[test]
    fn number_that_is_not_published_is_refused_without_an_echo() {
        // Another provider's published number.
        let refusal = find("4111111111111111").err().expect("refused");
        let text = refusal.body(None).to_string();
        assert!(text.contains("test_mode_live_card") && !text.contains("4111"), "{text}");
    }

    #[test]
    fn wrong_check_digit_and_letters_have_their_own_answers() {
        let code = |number: &str| find(number).err().expect("refused").body(None)["error"]["code"].clone();
        assert_eq!(code("4242424242424241"), "incorrect_number");
        assert_eq!(code("4242 4242 4242 42"), "invalid_number");
        assert_eq!(code("42"), "invalid_number");
        assert_eq!(code("4111111111111111"), "card_declined");
    }
}
