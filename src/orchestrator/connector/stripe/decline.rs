//! What may be tried after each of Stripe's decline codes (docs.stripe.com/declines/codes).

use crate::connector::DeclineKind;

/// The kind of a decline. Stripe's `advice_code` (docs.stripe.com/declines/card) is the network's own word and goes first;
/// then the decline code; then, where a bank gave none, the error code. A code that is not in the table counts as hard:
/// another attempt costs scheme fees and may be forbidden.
pub(super) fn kind(code: &str, decline_code: Option<&str>, advice_code: Option<&str>) -> DeclineKind {
    match advice_code {
        Some("do_not_try_again") => return DeclineKind::DoNotRetry,
        Some("try_again_later") => return DeclineKind::Soft,
        Some("confirm_card_data") => return DeclineKind::Hard,
        _ => {}
    }
    let code = decline_code.unwrap_or(code);
    if DO_NOT_RETRY.contains(&code) {
        DeclineKind::DoNotRetry
    } else if SOFT.contains(&code) {
        DeclineKind::Soft
    } else {
        DeclineKind::Hard
    }
}

/// The card is lost, stolen, closed or blocked, the cardholder has withdrawn, or the risk check said no.
const DO_NOT_RETRY: &[&str] = &[
    "do_not_try_again",
    "fraudulent",
    "invalid_account",
    "lost_card",
    "merchant_blacklist",
    "pickup_card",
    "restricted_card",
    "revocation_of_all_authorizations",
    "revocation_of_authorization",
    "security_violation",
    "stolen_card",
    "stop_payment_order",
];

/// Time, another route, or nothing in particular may turn the answer.
const SOFT: &[&str] = &[
    "approve_with_id",
    "call_issuer",
    "card_velocity_exceeded",
    "do_not_honor",
    "generic_decline",
    "insufficient_funds",
    "issuer_not_available",
    "no_action_taken",
    "processing_error",
    "reenter_transaction",
    "try_again_later",
    "withdrawal_count_limit_exceeded",
    // Of the error codes, for a bank that gave no reason.
    "card_declined",
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
    fn decline_codes_of_the_published_test_cards_have_their_kind() {
        let cases = [
            ("card_declined", Some("generic_decline"), DeclineKind::Soft),
            ("card_declined", Some("insufficient_funds"), DeclineKind::Soft),
            ("card_declined", Some("card_velocity_exceeded"), DeclineKind::Soft),
            ("processing_error", Some("processing_error"), DeclineKind::Soft),
            ("card_declined", None, DeclineKind::Soft),
            ("card_declined", Some("lost_card"), DeclineKind::DoNotRetry),
            ("card_declined", Some("stolen_card"), DeclineKind::DoNotRetry),
            ("card_declined", Some("fraudulent"), DeclineKind::DoNotRetry),
            ("expired_card", Some("expired_card"), DeclineKind::Hard),
            ("incorrect_cvc", Some("incorrect_cvc"), DeclineKind::Hard),
            ("incorrect_number", None, DeclineKind::Hard),
            ("authentication_required", Some("authentication_required"), DeclineKind::Hard),
            ("payment_intent_authentication_failure", None, DeclineKind::Hard),
        ];
        for (code, decline_code, expected) in cases {
            assert_eq!(kind(code, decline_code, None), expected, "{code} {decline_code:?}");
        }
    }

    #[test]
    fn advice_of_the_network_outweighs_the_code_and_an_unknown_code_is_not_tried_again() {
        let generic = Some("generic_decline");
        assert_eq!(kind("card_declined", generic, Some("do_not_try_again")), DeclineKind::DoNotRetry);
        assert_eq!(kind("card_declined", generic, Some("confirm_card_data")), DeclineKind::Hard);
        assert_eq!(kind("expired_card", None, Some("try_again_later")), DeclineKind::Soft);
        assert_eq!(kind("card_declined", generic, Some("a_new_word")), DeclineKind::Soft);
        assert_eq!(kind("card_declined", Some("a_new_code"), None), DeclineKind::Hard);
    }
}
