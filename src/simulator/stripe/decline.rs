//! Why an issuer declines, in Stripe's words (docs.stripe.com/declines/codes).

use crate::cards::Reason;

/// A decline as Stripe spells it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Decline {
    /// Stripe's error code.
    pub(crate) code: &'static str,
    /// Stripe's decline code; a security code or expiry problem has it equal to the code.
    pub(crate) decline_code: &'static str,
    /// What Stripe tells the cardholder.
    pub(crate) message: &'static str,
}

impl From<Reason> for Decline {
    fn from(reason: Reason) -> Self {
        match reason {
            Reason::Generic => declined("generic_decline", "Your card was declined."),
            Reason::InsufficientFunds => declined("insufficient_funds", "Your card has insufficient funds."),
            Reason::Lost => declined("lost_card", "Your card was declined."),
            Reason::Stolen => declined("stolen_card", "Your card was declined."),
            Reason::Fraudulent => declined("fraudulent", "Your card was declined."),
            Reason::Velocity => declined(
                "card_velocity_exceeded",
                "Your card was declined for making repeated attempts too frequently or exceeding its amount limit.",
            ),
            Reason::Expired => same("expired_card", "Your card has expired."),
            Reason::IncorrectCvc => same("incorrect_cvc", "Your card's security code is incorrect."),
            Reason::Processing => {
                same("processing_error", "An error occurred while processing your card. Try again in a little bit.")
            }
            Reason::AuthenticationRequired => {
                same("authentication_required", "Your card was declined. This transaction requires authentication.")
            }
        }
    }
}

const fn declined(decline_code: &'static str, message: &'static str) -> Decline {
    Decline { code: "card_declined", decline_code, message }
}

const fn same(code: &'static str, message: &'static str) -> Decline {
    Decline { code, decline_code: code, message }
}
